package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/wire"
	"github.com/sierpi/sierpi/system/systemtest"
)

// wallScreen is a screen of the machine, written in Go: it keeps what the wall is told.
type wallScreen struct {
	conn *websocket.Conn

	mu      sync.Mutex
	code    string // the address of the last invitation
	invited int
	lives   map[uint64]int // what lived, by its hash -> frame
	last    int
}

var livesSeed = maphash.MakeSeed()

// foresee finds the frame in which the screen saw what lives in f, or what becomes of it within a
// few generations: not every one was shown. 0: it saw neither.
func (w *wallScreen) foresee(t *testing.T, f *wire.Frame) int {
	t.Helper()
	torus, err := life.NewTorus(f.Width, f.Height, life.Conway)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range f.Cells {
		torus.Set(i%f.Width, i/f.Width, c>>7 != 0)
	}
	shown := &wire.Frame{Cells: make([]uint8, len(f.Cells))}
	for range 12 {
		for i := range shown.Cells {
			shown.Cells[i] = 0
			if torus.Get(i%f.Width, i/f.Width) {
				shown.Cells[i] = 0x80
			}
		}
		if at := w.lives[livesOf(shown)]; at != 0 {
			return at
		}
		torus.Step()
	}
	return 0
}

// livesOf is a hash of the cells that live: the highest bit of the life scene's values.
func livesOf(f *wire.Frame) uint64 {
	b := make([]byte, len(f.Cells))
	for i, c := range f.Cells {
		b[i] = c >> 7
	}
	return maphash.Bytes(livesSeed, b)
}

// watch attaches a screen with the kiosk's token, until the test or the daemon ends.
func watch(t *testing.T, d *process) *wallScreen {
	t.Helper()
	signIn, err := url.Parse(d.kiosk)
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(d.pages, "http")+"/display/screen", &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Sierpi-Kiosk": {signIn.Query().Get("token")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	w := &wallScreen{conn: conn, lives: map[uint64]int{}}
	done := make(chan struct{})
	t.Cleanup(func() { conn.CloseNow(); <-done })
	go func() {
		defer close(done)
		var dec wire.Decoder
		for {
			kind, data, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			w.mu.Lock()
			if kind == websocket.MessageText {
				var m struct {
					Type       string
					Invitation *struct{ URL string }
				}
				if json.Unmarshal(data, &m) == nil && m.Type == "invitation" {
					w.code, w.invited = "", w.invited+1
					if m.Invitation != nil {
						w.code = m.Invitation.URL
					}
				}
			} else if f, err := dec.Decode(data); err == nil {
				w.last = int(f.Number)
				if h := livesOf(f); w.lives[h] == 0 {
					w.lives[h] = w.last
				}
				_ = conn.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, `{"type":"ack","frame":%d}`, f.Number))
			}
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *wallScreen) frame() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// await waits until something holds of the screen.
func (w *wallScreen) await(t *testing.T, what string, holds func(*wallScreen) bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		good := holds(w)
		w.mu.Unlock()
		if good {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the screen never saw %s", what)
		}
	}
}

// invitation is the address in the code that the wall shows now.
func (w *wallScreen) invitation(t *testing.T) string {
	t.Helper()
	var code string
	w.await(t, "an invitation", func(w *wallScreen) bool { code = w.code; return code != "" })
	return code
}

// phone is a visitor's browser, as far as cookies go.
func phone(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// join posts the code of an address, as the page behind it does.
func join(t *testing.T, d *process, c *http.Client, address string, change ...func(*http.Request)) (status int, text string) {
	t.Helper()
	code := address[strings.LastIndex(address, "/")+1:]
	req, err := http.NewRequestWithContext(t.Context(), "POST", d.pages+"/join", strings.NewReader(url.Values{"code": {code}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range change {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// remote is a phone's remote control.
type remote struct {
	t    *testing.T
	conn *websocket.Conn
	n    int
}

func takeRemote(t *testing.T, d *process, c *http.Client) *remote {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(d.pages, "http")+"/display/remote", &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		t.Fatalf("status %d: %v", status, err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &remote{t: t, conn: conn}
}

// ask sends a request and waits for its answer: "" when it is done.
func (r *remote) ask(m map[string]any) string {
	r.t.Helper()
	r.n++
	m["n"] = r.n
	data, err := json.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.conn.Write(r.t.Context(), websocket.MessageText, data); err != nil {
		r.t.Fatal(err)
	}
	for {
		_, data, err := r.conn.Read(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		var a struct {
			Type, Error string
			N           int
		}
		if err := json.Unmarshal(data, &a); err != nil {
			r.t.Fatal(err)
		}
		if a.N == r.n {
			if a.Type == "error" {
				return a.Error
			}
			return ""
		}
	}
}

// square is the cells of a square with holes, which does not die at once.
func square(x, y int) []int {
	var cells []int
	for dy := range 12 {
		for dx := range 12 {
			if (dx*dy+dx)%3 != 0 {
				cells = append(cells, x+dx, y+dy)
			}
		}
	}
	return cells
}

// TestUniverseSurvivesKill is a power cut a moment after somebody drew: the universe goes on
// from a state that it really had, and not from before what was acknowledged.
func TestUniverseSurvivesKill(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"), "--config", configFile(t, "[display]\nscenes = [\"life\"]\n"))
	screen := watch(t, d)
	screen.await(t, "some frames", func(w *wallScreen) bool { return w.last > 60 })
	visitor := phone(t)
	if status, text := join(t, d, visitor, screen.invitation(t)); status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", status, text)
	}
	r := takeRemote(t, d, visitor)
	drawnAt := screen.frame()
	if what := r.ask(map[string]any{"type": "draw", "alive": true, "cells": square(200, 100)}); what != "" {
		t.Fatal(what)
	}
	acknowledged := screen.frame()
	screen.await(t, "the drawing", func(w *wallScreen) bool { return w.last > acknowledged+20 })
	_, _ = d.end(syscall.SIGKILL)

	again := start(t, d.state, "--config", configFile(t, "[display]\nscenes = [\"life\"]\n"))
	resp, err := http.Get(again.pages + "/display/cells") // nobody watches: it stands where it began
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var dec wire.Decoder
	f, err := dec.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	screen.mu.Lock()
	at := screen.foresee(t, f)
	screen.mu.Unlock()
	if at == 0 {
		t.Fatal("what lives after the kill never lived before it")
	}
	if at < drawnAt {
		t.Errorf("it goes on from frame %d, before what was drawn at frame %d", at, drawnAt)
	}
	t.Logf("drawn after frame %d, killed after frame %d, goes on from frame %d: %s", drawnAt, screen.last, at, f.Caption)
	// And it ends in order with all that lived until then.
	more := watch(t, again)
	more.await(t, "the universe going on", func(w *wallScreen) bool { return w.last > 40 })
	if status, _ := again.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
	third := start(t, d.state, "--config", configFile(t, "[display]\nscenes = [\"life\"]\n"))
	resp, err = http.Get(third.pages + "/display/cells")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if f, err = new(wire.Decoder).Decode(body); err != nil {
		t.Fatal(err)
	}
	more.mu.Lock()
	defer more.mu.Unlock()
	// The frame at which the daemon was told to end may have reached nobody.
	if at := more.foresee(t, f); at != 0 && at < more.last-4 {
		t.Errorf("after an orderly end it goes on from frame %d of %d", at, more.last)
	}
}

// configFile writes a config.
func configFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sierpi.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestVisitorsOnly is everything that must not open the remote, on the real daemon.
func TestVisitorsOnly(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"), "--config", configFile(t, "[display]\nscenes = [\"zoom\"]\n"))
	screen := watch(t, d)
	code := screen.invitation(t)
	upgrade := func(c *http.Client, change func(*http.Request)) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.pages+"/display/remote", nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
			req.Header.Set(k, v)
		}
		if change != nil {
			change(req)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}

	stranger := phone(t)
	if got := upgrade(stranger, nil); got != http.StatusUnauthorized {
		t.Errorf("from loopback, without a code: status %d", got)
	}
	if got := upgrade(stranger, header("Cookie", "sierpi-visitor="+strings.Repeat("0", 64))); got != http.StatusUnauthorized {
		t.Errorf("with a made-up cookie: status %d", got)
	}
	// Another site's page, and a name that was rebound to us, get nowhere with the right code.
	if status, _ := join(t, d, stranger, code, header("Origin", "http://evil.example")); status != http.StatusForbidden {
		t.Errorf("cross-site: status %d", status)
	}
	if status, _ := join(t, d, stranger, code, header("Sec-Fetch-Site", "cross-site")); status != http.StatusForbidden {
		t.Errorf("cross-site by Sec-Fetch-Site: status %d", status)
	}
	if status, _ := join(t, d, stranger, code, host("evil.example")); status != http.StatusMisdirectedRequest {
		t.Errorf("a rebound name: status %d", status)
	}
	// Looking at the address uses nothing up: it is what scanners and chats do first.
	for range 3 {
		if body := d.get(d.pages + code[strings.LastIndex(code, "/J/"):]); !strings.Contains(body, "remote") {
			t.Error("the page behind the code does not offer the remote")
		}
	}

	visitor := phone(t)
	if status, text := join(t, d, visitor, code); status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", status, text)
	}
	if status, text := join(t, d, phone(t), code); status != http.StatusForbidden || !strings.Contains(text, "already") {
		t.Errorf("the same code again: status %d", status)
	}
	screen.await(t, "another code", func(w *wallScreen) bool { return w.code != "" && w.code != code })
	if got := upgrade(visitor, header("Origin", "http://evil.example")); got != http.StatusForbidden {
		t.Errorf("the visitor's browser, from another site: status %d", got)
	}
	if got := upgrade(visitor, host("evil.example")); got != http.StatusMisdirectedRequest {
		t.Errorf("the visitor's browser, under a rebound name: status %d", got)
	}
	r := takeRemote(t, d, visitor)
	if what := r.ask(map[string]any{"type": "scene", "name": "life"}); what != "" {
		t.Error(what)
	}

	// Guessing is slow: five tries, then one in ten seconds.
	last := 0
	for i := range 8 {
		last, _ = join(t, d, phone(t), fmt.Sprintf("/J/%016d", i))
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the eighth guess: status %d", last)
	}

	// The owner freezes: the remote is out of the hand at once, the wall shows no code.
	owner := phone(t)
	form := func(c *http.Client, path string, values url.Values) int {
		t.Helper()
		resp, err := c.PostForm(d.pages+path, values)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := form(visitor, "/owner/wall", url.Values{"do": {"clear"}}); got != http.StatusForbidden {
		t.Errorf("a visitor on the owner's page: status %d", got)
	}
	if got := form(owner, "/owner/login", url.Values{"secret": {ownerSecret(t, d)}, "next": {"/owner/wall"}}); got != http.StatusSeeOther {
		t.Fatalf("signing in: status %d", got)
	}
	if got := form(owner, "/owner/wall", url.Values{"do": {"freeze"}}); got != http.StatusSeeOther {
		t.Fatalf("freezing: status %d", got)
	}
	for {
		if _, _, err := r.conn.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("the remote ended with %v", err)
			}
			break
		}
	}
	screen.await(t, "no code", func(w *wallScreen) bool { return w.code == "" })
	if got := upgrade(visitor, nil); got != http.StatusUnauthorized {
		t.Errorf("while frozen: status %d", got)
	}
	// The colours, by the same page.
	for colours, want := range map[string]int{"day": http.StatusSeeOther, "auto": http.StatusSeeOther, "pink": http.StatusBadRequest, "": http.StatusBadRequest} {
		if got := form(owner, "/owner/wall", url.Values{"do": {"colours"}, "colours": {colours}}); got != want {
			t.Errorf("colours %q: status %d, not %d", colours, got, want)
		}
		if body := ownerPage(t, d, owner); want == http.StatusSeeOther && !strings.Contains(body, `value="`+colours+`" aria-pressed="true"`) {
			t.Errorf("colours %q are not on the page", colours)
		}
	}
	if got := form(owner, "/owner/wall", url.Values{"do": {"thaw"}}); got != http.StatusSeeOther {
		t.Fatalf("thawing: status %d", got)
	}
	takeRemote(t, d, visitor)

	// The owner bans: the visit is over, the address does not come in again.
	page := ownerPage(t, d, owner)
	name := regexp.MustCompile(`name="visitor" value="([^"]+)"`).FindStringSubmatch(page)
	if name == nil {
		t.Fatalf("the owner's page lists no visitor:\n%s", page)
	}
	if got := form(owner, "/owner/wall", url.Values{"do": {"ban"}, "visitor": {name[1]}}); got != http.StatusSeeOther {
		t.Fatalf("banning: status %d", got)
	}
	if got := upgrade(visitor, nil); got != http.StatusUnauthorized {
		t.Errorf("banned: status %d", got)
	}
	if !strings.Contains(ownerPage(t, d, owner), `name="client" value="127.0.0.1"`) {
		t.Error("the owner's page lists no ban")
	}
	_, _ = d.end(syscall.SIGKILL)
	again := start(t, d.state)
	if body := ownerPage(t, again, owner); !strings.Contains(body, `name="client" value="127.0.0.1"`) {
		t.Error("the ban is forgotten after a kill")
	}
	newScreen := watch(t, again)
	if status, text := join(t, again, phone(t), newScreen.invitation(t)); status != http.StatusForbidden || !strings.Contains(text, "may not steer") {
		t.Errorf("banned, with a fresh code, after a restart: status %d", status)
	}
}

// ownerSecret makes a new secret for the owner.
func ownerSecret(t *testing.T, d *process) string {
	t.Helper()
	out, err := command(t, "owner", "reset-secret", "--state", d.state).Output()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`[0-9a-z]{4}(-[0-9a-z]{4}){4}`).FindString(string(out))
}

func ownerPage(t *testing.T, d *process, c *http.Client) string {
	t.Helper()
	resp, err := c.Get(d.pages + "/owner/wall")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return string(body)
}

// shot writes a picture of the page, for people to look at, if they asked for pictures.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("SIERPI_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func js[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// settle waits until an expression is true, over the loading of pages.
func settle(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	for {
		good, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && good {
			return
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			t.Fatalf("waiting for %s: %v", expression, err)
		}
		if err := chromedp.Do(ctx, chromedp.Sleep(20*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRemote is a visit, in two real browsers: a phone scans the code from the wall's own
// picture, aims, the wall shows the ghost, the phone places, takes back and steers.
func TestRemote(t *testing.T) {
	zbar := systemtest.Tool(t, "zbarimg", "zbar-tools")
	d := furnished(t, "[display]\nscenes = [\"life\", \"zoom\"]\ndwell = \"1h\"\nnight = \"\"\n")
	wall := systemtest.Browser(t, 1920, 1080)
	if err := chromedp.Do(wall, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(d.kiosk)); err != nil {
		t.Fatal(err)
	}
	awaitJS(t, wall, painted+` > 200 && document.querySelector(".invitation canvas")`)
	shot(t, wall, "wall")

	// A real scanner reads the code off the wall's picture.
	picture, err := chromedp.Run(wall, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "wall.png")
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), zbar, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
	scanned := strings.TrimSpace(string(out))
	if err != nil || !strings.EqualFold(scanned[:min(len(scanned), len(d.pages))], d.pages) {
		t.Fatalf("the scanner reads %q (%v)", scanned, err)
	}

	phone := systemtest.Browser(t, 390, 844)
	if _, err := chromedp.Call(phone, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true}); err != nil {
		t.Logf("no touch: %v", err)
	}
	if err := chromedp.Do(phone, chromedp.EmulateViewport(390, 844), chromedp.Navigate(scanned)); err != nil {
		t.Fatal(err)
	}
	settle(t, phone, `location.pathname === "/remote" && document.querySelectorAll(".stamp").length > 5 && document.querySelector(".picture")`)
	shot(t, phone, "remote")

	choose := func(name string) {
		t.Helper()
		awaitJS(t, phone, `(() => { const b = [...document.querySelectorAll(".stamp")].find((b) => b.textContent === "`+name+`"); b?.click(); return b?.getAttribute("aria-checked") === "true"; })()`)
	}
	press := func(x, y float64) {
		t.Helper()
		js[any](t, phone, fmt.Sprintf(`(() => {
			const s = document.getElementById("stage"), b = s.getBoundingClientRect();
			s.setPointerCapture = () => {};
			for (const [type, dx] of [["pointerdown", 0], ["pointermove", 12], ["pointerup", 12]])
				s.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, pointerId: 1, pointerType: "mouse", button: 0, clientX: b.left + b.width * %v + dx, clientY: b.top + b.height * %v }));
		})()`, x, y))
	}
	choose("Gosper glider gun")
	press(0.3, 0.4)
	awaitJS(t, phone, `sierpi.remote.ghost.length === 72 && !document.getElementById("place").disabled`)
	// The wall shows the ghost, and who holds it; nothing lives yet.
	awaitJS(t, wall, `!document.querySelector("canvas.ghosts").hidden && document.querySelector(".guests").textContent !== ""`)
	shot(t, phone, "remote-ghost")
	shot(t, wall, "wall-ghost")
	js[any](t, phone, `document.getElementById("place").click()`)
	awaitJS(t, phone, `document.getElementById("message").textContent === "It lives." && sierpi.remote.ghost.length === 0`)
	awaitJS(t, wall, `document.querySelector("canvas.ghosts").hidden && document.querySelector(".about").textContent.includes("visitors drew")`)
	awaitJS(t, phone, `sierpi.remote.state.undo`)
	js[any](t, phone, `document.getElementById("undo").click()`)
	awaitJS(t, phone, `document.getElementById("message").textContent === "Taken back." && !sierpi.remote.state.undo`)

	choose("Pen")
	js[any](t, phone, `document.getElementById("zoom").click()`)
	press(0.5, 0.5)
	awaitJS(t, phone, `sierpi.remote.ghost.length > 4`)
	shot(t, phone, "remote-pen")
	js[any](t, phone, `document.querySelector('[data-scene="zoom"]').click()`)
	awaitJS(t, phone, `document.querySelector('[data-scene="zoom"]').getAttribute("aria-pressed") === "true"`)
	if err := chromedp.Do(phone, chromedp.EmulateViewport(1920, 1080)); err != nil {
		t.Fatal(err)
	}
	shot(t, phone, "remote-1080")

	// The owner's page, and what the phone shows when the wall is frozen.
	owner := systemtest.Browser(t, 390, 844)
	if err := chromedp.Do(owner, chromedp.EmulateViewport(390, 844), chromedp.Navigate(d.pages+"/owner/wall")); err != nil {
		t.Fatal(err)
	}
	js[any](t, owner, `(() => { document.querySelector('input[name="secret"]').value = "`+ownerSecret(t, d)+`"; document.querySelector('input[name="secret"]').form.submit(); })()`)
	settle(t, owner, `location.pathname === "/owner/wall" && document.querySelector('[value="freeze"]')`)
	shot(t, owner, "owner")
	full, err := chromedp.Run(owner, chromedp.FullScreenshot(90))
	if err == nil && os.Getenv("SIERPI_SHOTS") != "" {
		_ = os.WriteFile(filepath.Join(os.Getenv("SIERPI_SHOTS"), "owner-full.jpg"), full, 0o644)
	}
	if err := chromedp.Do(owner, chromedp.EmulateViewport(1920, 1080)); err != nil {
		t.Fatal(err)
	}
	shot(t, owner, "owner-1080")
	js[any](t, owner, `document.querySelector('[value="freeze"]').click()`)
	settle(t, owner, `document.querySelector('[value="thaw"]')`)
	awaitJS(t, wall, `!document.querySelector(".invitation canvas")`)
	if err := chromedp.Do(phone, chromedp.EmulateViewport(390, 844)); err != nil {
		t.Fatal(err)
	}
	settle(t, phone, `document.body.innerText.includes("frozen")`)
	shot(t, phone, "remote-frozen")
	js[any](t, owner, `document.querySelector('[value="thaw"]').click()`)
	awaitJS(t, wall, `document.querySelector(".invitation canvas")`)
	if err := chromedp.Do(phone, chromedp.Navigate(d.pages+"/gallery")); err != nil {
		t.Fatal(err)
	}
	shot(t, phone, "gallery")
}
