package display_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/life"
)

// call sends one command of the protocol to the tab.
func call[P, R any](t *testing.T, ctx context.Context, command cdp.Command[P, R], params P) (answer R) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		answer, err = cdp.Call(ctx, target, command, params)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// openLife opens the page of Life and waits for its board.
func openLife(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	open(t, ctx, "about:blank") // so that a link that differs in its fragment only is opened too
	open(t, ctx, url)
	await(t, ctx, "globalThis.sierpi?.canvas.painted > 0 && sierpi.state.generation !== undefined")
}

// cellAt is the middle of a cell of the board on the screen, in CSS pixels.
func cellAt(t *testing.T, ctx context.Context, x, y int) [2]float64 {
	t.Helper()
	return [2]float64(eval[[]float64](t, ctx, fmt.Sprintf(`(() => {
		const place = document.getElementById("board"), f = sierpi.canvas.frame;
		place.scrollIntoView({ block: "center", behavior: "instant" });
		const b = place.querySelector(".picture").getBoundingClientRect();
		return [b.left + (%d + 0.5) * b.width / f.width, b.top + (%d + 0.5) * b.height / f.height];
	})()`, x, y)))
}

func click(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	eval[any](t, ctx, fmt.Sprintf("document.getElementById(%q).click()", id))
}

// TestLifePage plays, steps, draws, loads, saves and shares.
func TestLifePage(t *testing.T) {
	house := newPlayHouse(t, web.Anyone, display.BoardOptions{})
	ctx := newTab(t, 1280, 800)
	openLife(t, ctx, house.base+"/life")
	await(t, ctx, "sierpi.state.name === 'Gosper glider gun' && sierpi.state.generation > 3")
	if visible := eval[bool](t, ctx, "document.getElementById('play').checkVisibility() || document.getElementById('error').checkVisibility()"); visible {
		t.Error("while it plays, the page shows the button that makes it play, or an empty error")
	}

	click(t, ctx, "random")
	await(t, ctx, "sierpi.state.name === 'A random soup' && sierpi.state.population > 500 && sierpi.state.playing")
	click(t, ctx, "clear")
	await(t, ctx, "sierpi.state.population === 0 && !sierpi.state.playing")

	// A blinker by mouse, in one stroke; then one step.
	mouse := func(kind input.DispatchMouseEventType, x, y int) {
		t.Helper()
		p := cellAt(t, ctx, x, y)
		call(t, ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: p[0], Y: p[1], Button: input.MouseButtonLeft, ClickCount: 1, Buttons: 1})
	}
	mouse(input.DispatchMouseEventTypeMousePressed, 20, 30)
	mouse(input.DispatchMouseEventTypeMouseMoved, 22, 30)
	mouse(input.DispatchMouseEventTypeMouseReleased, 22, 30)
	await(t, ctx, "sierpi.state.population === 3")
	alive := "(x, y) => (sierpi.canvas.frame.cells[y * sierpi.canvas.frame.width + x] & 128) !== 0"
	await(t, ctx, "(("+alive+")(20, 30) && ("+alive+")(21, 30) && ("+alive+")(22, 30))")
	click(t, ctx, "step")
	await(t, ctx, "(sierpi.state.generation === 1 && ("+alive+")(21, 29) && ("+alive+")(21, 31) && !("+alive+")(20, 30))")
	click(t, ctx, "step")
	click(t, ctx, "step")
	click(t, ctx, "step")
	await(t, ctx, "document.getElementById('repeats').textContent === 'repeats after 2'")

	// By keyboard: the cursor goes to a cell, and Enter changes it.
	eval[any](t, ctx, "document.getElementById('board').focus()")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "sierpi.state.population === 4")

	// A file of each format, and one that is wrong.
	dir := t.TempDir()
	load := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		root := call(t, ctx, dom.GetDocument, dom.GetDocumentParams{})
		node := call(t, ctx, dom.QuerySelector, dom.QuerySelectorParams{NodeID: root.Root.NodeID, Selector: "#file"})
		call(t, ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{path}, NodeID: node.NodeID})
	}
	for name, text := range map[string]string{
		"glider.rle":     "#N A glider as RLE\nx = 3, y = 3, rule = B3/S23\nbob$2bo$3o!\n",
		"glider-105.lif": "#Life 1.05\n#D A glider\n#N\n#P -1 -1\n.*.\n..*\n***\n",
		"glider-106.lif": "#Life 1.06\n0 -1\n1 0\n-1 1\n0 1\n1 1\n",
		"glider.cells":   "!Name: A glider in plain text\n.O.\n..O\nOOO\n",
	} {
		click(t, ctx, "clear")
		await(t, ctx, "sierpi.state.population === 0")
		load(name, text)
		await(t, ctx, "sierpi.state.population === 5 && document.getElementById('told').textContent.includes('5 cells')")
	}
	load("wrong.rle", "x = 3, y = 3\nbob$2b?o!\n")
	await(t, ctx, "document.getElementById('error').textContent.includes('Line 2, column 7')")
	load("vast.rle", "x = 100000, y = 100000, rule = B3/S23\n99999bo$o!\n")
	await(t, ctx, "document.getElementById('error').textContent.includes('sierpi life run')")
	if n := eval[int](t, ctx, "sierpi.state.population"); n != 5 {
		t.Errorf("after a file that is refused the board has %d cells", n)
	}

	// Saved as RLE.
	call(t, ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir})
	for _, f := range []string{"glider.rle", "life.rle"} {
		_ = os.Remove(filepath.Join(dir, f))
	}
	load("r.rle", "#N Glider\nx = 3, y = 3, rule = B36/S23\nbob$2bo$3o!\n")
	await(t, ctx, "sierpi.state.name === 'Glider' && sierpi.state.rule === 'B36/S23'")
	click(t, ctx, "save")
	saved := awaitFile(t, filepath.Join(dir, "glider.rle"))
	p, err := life.Parse(saved)
	if err != nil || len(p.Cells) != 5 || p.Rule.String() != "B36/S23" || p.Width != 3 {
		t.Errorf("saved %q (%v)", saved, err)
	}

	// Shared by link: another visitor's own board has it.
	click(t, ctx, "share")
	await(t, ctx, "location.hash.includes('rle=') && !document.getElementById('link-field').hidden")
	href := eval[string](t, ctx, "document.getElementById('link').value")
	if !strings.HasPrefix(href, house.base+"/life#rle=") {
		t.Fatalf("the link is %q", href)
	}
	other := newTab(t, 390, 844)
	openLife(t, other, href)
	await(t, other, "sierpi.state.population === 5 && sierpi.state.rule === 'B36/S23' && sierpi.state.name === 'Glider'")
	click(t, other, "clear")
	await(t, other, "sierpi.state.population === 0")
	if n := eval[int](t, ctx, "sierpi.state.population"); n != 5 {
		t.Errorf("what the other visitor does is seen here: %d cells", n)
	}

	// By touch, on the phone: a stroke draws, and the page stays where it is.
	phone(t, other)
	at := cellAt(t, other, 10, 40)
	y := eval[float64](t, other, "scrollY")
	touch(t, other, at, cellAt(t, other, 15, 40))
	await(t, other, "sierpi.state.population === 6")
	if now := eval[float64](t, other, "scrollY"); now != y {
		t.Errorf("the page scrolled by %v under the finger", now-y)
	}
	if eval[bool](t, other, "document.documentElement.scrollWidth > innerWidth") {
		t.Error("the page is wider than the phone")
	}

	// A pattern by link, and found by words.
	openLife(t, other, house.base+"/life#pattern=acorn")
	await(t, other, "sierpi.state.name === 'Acorn' && sierpi.state.playing")
	eval[any](t, ctx, "document.getElementById('find').focus()")
	if err := chromedp.Do(ctx, chromedp.KeyEvent("gun gosper")); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "[...document.querySelectorAll('a.pattern')].filter((a) => a.checkVisibility()).map((a) => a.dataset.slug).join() === 'gosper-glider-gun'")
}

// awaitFile waits until a download is there as a whole.
func awaitFile(t *testing.T, path string) []byte {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if data, err := os.ReadFile(path); err == nil && strings.HasSuffix(strings.TrimSpace(string(data)), "!") {
			return data
		}
		select {
		case <-ticker.C:
		case <-deadline:
			entries, _ := os.ReadDir(filepath.Dir(path))
			t.Fatalf("%s was not saved; there are %v", path, entries)
		}
	}
}

// TestScenesPage tries settings on a board of one's own; the owner puts them on the wall.
func TestScenesPage(t *testing.T) {
	house := newPlayHouse(t, web.Owner, display.BoardOptions{})
	wall := newTab(t, 640, 360)
	open(t, wall, house.base+"/kiosk")
	await(t, wall, "globalThis.sierpi?.screen.painted > 0")
	ctx := newTab(t, 1280, 800)
	open(t, ctx, house.base+"/scenes#fern")
	await(t, ctx, "globalThis.sierpi?.canvas.frame?.caption.includes('fern')")
	set := func(selector, value string) {
		t.Helper()
		eval[any](t, ctx, fmt.Sprintf("(() => { const e = document.querySelector(%q); if (e.type === 'radio') e.checked = true; else e.value = %q; e.dispatchEvent(new Event('input', { bubbles: true })); })()", selector, value))
	}
	set(`input[name=scene][value=carpet]`, "")
	await(t, ctx, "sierpi.canvas.frame.caption.includes('carpet') && document.getElementById('level').value === '5'")
	night := eval[int](t, ctx, "sierpi.canvas.read()[0] & 255")
	set(`input[name=light][value=day]`, "")
	await(t, ctx, fmt.Sprintf("sierpi.canvas.read().reduce((s, p) => s + (p & 255), 0) / sierpi.canvas.read().length > %d", min(200, night+60)))
	set(`input[name=colours][value=forest]`, "")
	set(`#level`, "7")
	set(`input[name=variant][value=in]`, "")
	click(t, ctx, "show")
	await(t, ctx, "document.getElementById('told').textContent.includes('The wall shows it now')")
	awaitStatus(t, house.stage, func(st display.Status) bool { return st.Scene == "carpet" })
	f := house.stage.Figures()["carpet"]
	if f.Level != 7 || f.Colours != "forest" || !f.Day || f.Variant != "in" {
		t.Errorf("the wall is set to %+v", f)
	}
	// What the wall has is what the page begins with.
	open(t, ctx, house.base+"/scenes?again#carpet")
	await(t, ctx, "globalThis.sierpi?.settings().level === 7 && sierpi.settings().day && sierpi.settings().colours === 'forest'")

	// Who is not the owner gets the preview only.
	visitors := newPlayHouse(t, web.Visitor, display.BoardOptions{})
	open(t, ctx, visitors.base+"/scenes")
	await(t, ctx, "globalThis.sierpi?.canvas.painted > 3")
	if eval[bool](t, ctx, "document.getElementById('show') !== null") {
		t.Error("a visitor is offered what is the owner's")
	}
	if status := eval[int](t, ctx, `fetch("/scenes", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"settings":{"scene":"zoom"}}' }).then((r) => r.status)`); status != 403 {
		t.Errorf("a visitor's attempt is answered with %d", status)
	}
}
