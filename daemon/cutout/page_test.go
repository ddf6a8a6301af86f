package cutout

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/system/systemtest"
)

// site serves the cut-out behind the real router.
func site(t testing.TB, memory int64) (*Service, string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	look, err := web.NewLook(web.LookOptions{Name: "sierpi", Nav: []web.NavEntry{{Href: "/cutout", Label: "Cut-out", Icon: "cut"}}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(ServiceOptions{Look: look, Memory: memory, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.NewRouter(slices.Concat(look.Routes(), s.Routes()), web.RouterOptions{Look: look, Hosts: web.NewHosts("sierpi"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return s, server.URL
}

// send posts a body and returns the answer and its body.
func send(t testing.TB, address, kind string, body io.Reader, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", address, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

// formOf is a form with options and files, in this order: name, value, ... and
// name, content, ...
func formOf(t testing.TB, fields []string, files ...string) (kind string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	m := multipart.NewWriter(body)
	for i := 0; i < len(files); i += 2 {
		w, err := m.CreateFormFile("picture", files[i])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, files[i+1])
	}
	for i := 0; i < len(fields); i += 2 {
		_ = m.WriteField(fields[i], fields[i+1])
	}
	m.Close()
	return m.FormDataContentType(), body
}

// TestPost cuts by the body and by the form, one picture and several.
func TestPost(t *testing.T) {
	_, at := site(t, 0)
	in := encoded(t, ring())
	_, want, _ := cut(t, load(t, in), Options{Tolerance: 0, Border: true, Trim: true})
	resp, body := send(t, at+"/cutout?border=1&trim=true&tolerance=0", "image/png", bytes.NewReader(in))
	if resp.StatusCode != 200 || !bytes.Equal(body, want) || resp.Header.Get("Cutout-Background") != "#ffffff" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("by the body: %s %v %.200s", resp.Status, resp.Header, body)
	}
	kind, form := formOf(t, []string{"border", "on", "trim", "on", "tolerance", "0", "color", ""}, `C:\pictures\mug.jpg`, string(in))
	resp, body = send(t, at+"/cutout", kind, form)
	if resp.StatusCode != 200 || !bytes.Equal(body, want) || resp.Header.Get("Content-Disposition") != "attachment; filename=mug.png" {
		t.Errorf("by the form: %s %v", resp.Status, resp.Header)
	}
	kind, form = formOf(t, []string{"border", "on", "trim", "on", "tolerance", "0"}, "a.jpg", string(in), "../a.jpg", string(in), "note.txt", "hello", "x.png", string(in))
	resp, body = send(t, at+"/cutout", kind, form)
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatalf("the archive: %v, %s", err, resp.Status)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name, ".png") && !bytes.Equal(got, want) {
			t.Errorf("%s differs", f.Name)
		}
		if strings.HasSuffix(f.Name, ".txt") && !strings.Contains(string(got), "JPEG") {
			t.Errorf("%s: %s", f.Name, got)
		}
	}
	if !slices.Equal(names, []string{"a.png", "a-2.png", "note - not cut.txt", "x-cut.png"}) {
		t.Errorf("the archive has %q", names)
	}
}

// TestPostErrors: every mistake is answered with what is wrong, as the client reads it.
func TestPostErrors(t *testing.T) {
	s, at := site(t, minMemory)
	heic := "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + strings.Repeat("x", 100)
	big := pngHeader(20000, 4000)
	for _, c := range []struct {
		query, kind, body string
		status            int
		says              string
	}{
		{"", "image/heic", heic, 422, "HEIC"},
		{"", "image/png", string(encoded(t, ring())[:300]), 422, "ends before"},
		{"", "image/png", big, 422, "cannot hold"},
		{"", "image/png", "", 422, "empty"},
		{"", "image/jpeg", string(claimed(0xc2, 4000, 3000, 0x11, 0x11, 0x11)), 422, "needs 196 MB of memory"},
		{"?color=pink", "image/png", string(encoded(t, ring())), 422, "pink"},
		{"?tolerance=-3", "image/png", string(encoded(t, ring())), 422, "tolerance"},
		{"?tolerance=300", "image/png", string(encoded(t, ring())), 422, "255"},
		{"?border=perhaps", "image/png", string(encoded(t, ring())), 422, "perhaps"},
		{"?feather=99999999999999999999", "image/png", string(encoded(t, ring())), 422, "feather"},
		{"", "application/x-www-form-urlencoded", "a=b", 422, "multipart"},
		{"", "multipart/form-data", "x", 422, "form"},
		{"", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a\"\r\n\r\n", 422, "broke off"},
		{"", "multipart/form-data; boundary=x", "--x--\r\n", 422, "chosen"},
		{"", "image/png", strings.Repeat("x", int(s.uploads.total)+1), 413, "MB"},
	} {
		resp, body := send(t, at+"/cutout"+c.query, c.kind, strings.NewReader(c.body))
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.says) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %.20q: %s %.300s", c.query, c.body, resp.Status, body)
		}
	}
	resp, body := send(t, at+"/cutout", "image/heic", strings.NewReader(heic), "Accept", "text/html,*/*")
	if resp.StatusCode != 422 || !strings.Contains(string(body), "Most Compatible") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("to a browser: %s %.300s", resp.Status, body)
	}
	// Of unknown length, and too long.
	r, w := io.Pipe()
	go func() {
		_, err := w.Write(make([]byte, s.uploads.total+maxBodyHead+2))
		w.CloseWithError(err)
	}()
	if resp, body := send(t, at+"/cutout", "image/png", r); resp.StatusCode != 413 {
		t.Errorf("of unknown length: %s %.300s", resp.Status, body)
	}
}

// pngHeader is the beginning and the end of a PNG that claims a size.
func pngHeader(w, h int) string {
	b := []byte("\x89PNG\r\n\x1a\n")
	b = appendChunk(b, "IHDR", []byte{byte(w >> 24), byte(w >> 16), byte(w >> 8), byte(w), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h), 8, 6, 0, 0, 0})
	b = appendChunk(b, "IDAT", []byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))
	return string(appendChunk(b, "IEND", nil))
}

// TestBudget: what can never fit is refused with its count, what fits waits for its
// turn, and nothing is left taken.
func TestBudget(t *testing.T) {
	b := NewBudget(1000)
	if _, err := b.Acquire(t.Context(), 1001); err == nil || !strings.Contains(err.Error(), "needs 1 MB") {
		t.Errorf("more than all: %v", err)
	}
	release, err := b.Acquire(t.Context(), 600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Acquire(ctx, 600); err == nil {
		t.Error("a second one fits beside the first")
	}
	next := make(chan error)
	go func() {
		release, err := b.Acquire(t.Context(), 600)
		if err == nil {
			release()
		}
		next <- err
	}()
	release()
	if err := <-next; err != nil {
		t.Error(err)
	}
	if _, err := b.Acquire(t.Context(), 1000); err != nil {
		t.Error(err)
	}
}

// TestTypes type-checks the page's modules.
func TestTypes(t *testing.T) {
	tsc := systemtest.Tool(t, "tsc", "node-typescript")
	cmd := exec.CommandContext(t.Context(), tsc, "--project", ".")
	cmd.Dir = "page"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestNothingInline holds the page to the content security policy, and to this host.
func TestNothingInline(t *testing.T) {
	bad := regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|(?:src|href|url\()\s*=?["']?\s*(?:https?:)?//`)
	for _, pattern := range []string{"page/*.html", "page/static/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if m := bad.Find(data); m != nil {
				t.Errorf("%s has %q", name, m)
			}
		}
	}
}

// eval evaluates JavaScript in the tab.
func eval[T any](t testing.TB, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return v
}

func await(t testing.TB, ctx context.Context, condition string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition)); err != nil {
		t.Fatalf("waiting for %s: %v", condition, err)
	}
}

func do(t testing.TB, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// tab is a browser on the page.
func tab(t testing.TB, at string) context.Context {
	t.Helper()
	ctx := systemtest.Browser(t, 1280, 800)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	host := strings.TrimPrefix(at, "http://")
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *cdplog.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "422") { // a refusal, as it should be
				t.Errorf("log: %s (%s)", e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, "http://"+host+"/") && !strings.HasPrefix(u, "blob:http://"+host) && !strings.HasPrefix(u, "data:") {
				t.Errorf("a request to %s", u)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate(at+"/cutout"))
	return ctx
}

// TestPreviewIsTheResult cuts random pictures under random options in Chromium, with
// the page's own module on the pixels that the server gives for a preview, and by
// POST /cutout: equal, byte for byte.
func TestPreviewIsTheResult(t *testing.T) {
	_, at := site(t, 0)
	ctx := tab(t, at)
	eval[bool](t, ctx, `(async () => {
		const { cut } = await import('/static/cutout/cut.js');
		globalThis.cutHere = async (picture, size, o, trim) => {
			const body = Uint8Array.from(atob(picture), c => c.charCodeAt(0));
			const answer = await fetch('/cutout/preview?size=' + size, { method: 'POST', body, headers: { 'Content-Type': 'image/png' } });
			const pixels = new Uint8ClampedArray(await answer.arrayBuffer());
			const [w, h] = answer.headers.get('Cutout-Size').split('x').map(Number);
			const r = cut(pixels, w, h, o);
			let s = '';
			for (let i = 0; i < r.pixels.length; i += 8192) s += String.fromCharCode(...r.pixels.subarray(i, i + 8192));
			return [w + 'x' + h, btoa(s), r.bounds.join()];
		};
		return true;
	})()`)
	rng := rand.New(rand.NewPCG(11, 12))
	for round := range 25 { // the limit is 60 requests at once
		bg := Color{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256))}
		w, h := 1+rng.IntN(130), 1+rng.IntN(130)+round%5/4*300 // one in five of several strips
		in := encoded(t, noise(rng, w, h, bg, round%4 == 0))
		o := Options{Color: &bg, Tolerance: rng.IntN(2) * rng.IntN(60), Border: rng.IntN(2) == 0, Feather: rng.IntN(3) * rng.IntN(6), Size: 1 + rng.IntN(150)}
		got := eval[[]string](t, ctx, fmt.Sprintf("cutHere(%q, %d, {color: [%d, %d, %d], tolerance: %d, border: %v, feather: %d})",
			base64.StdEncoding.EncodeToString(in), o.Size, bg.R, bg.G, bg.B, o.Tolerance, o.Border, o.Feather))
		_, body := send(t, fmt.Sprintf("%s/cutout?color=%s&tolerance=%d&border=%v&feather=%d&size=%d", at, strings.TrimPrefix(bg.String(), "#"), o.Tolerance, o.Border, o.Feather, o.Size), "image/png", bytes.NewReader(in))
		want := decoded(t, body)
		pix, err := base64.StdEncoding.DecodeString(got[1])
		if err != nil || got[0] != fmt.Sprintf("%dx%d", want.Rect.Dx(), want.Rect.Dy()) {
			t.Fatalf("round %d: %s beside %v, %v", round, got[0], want.Rect, err)
		}
		if !bytes.Equal(pix, want.Pix) {
			for i := range pix {
				if pix[i] != want.Pix[i] {
					at := i / 4 * 4
					t.Fatalf("round %d, %+v, background %v: at (%d, %d) the page has %v, the server %v", round, o, bg, at/4%want.Rect.Dx(), at/4/want.Rect.Dx(), pix[at:at+4], want.Pix[at:at+4])
				}
			}
		}
		p := load(t, in)
		o.Trim = true
		bounds := "0,0,0,0"
		if plan, err := p.Plan(t.Context(), o); err == nil {
			b := plan.Bounds
			bounds = fmt.Sprintf("%d,%d,%d,%d", b.Min.X, b.Min.Y, b.Max.X, b.Max.Y)
		}
		if got[2] != bounds {
			t.Errorf("round %d: the page's bounds are %s, the server's %s", round, got[2], bounds)
		}
	}
}

// TestPage does what a visitor does: chooses pictures, clicks on the background, moves
// the slider, downloads one and all, by mouse and by keyboard.
func TestPage(t *testing.T) {
	_, at := site(t, 0)
	ctx := tab(t, at)
	dir, into := t.TempDir(), t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("ring.png", encoded(t, ring()))
	second := write("blobs.png", encoded(t, noise(rand.New(rand.NewPCG(1, 1)), 90, 70, Color{200, 30, 60}, false)))
	heic := write("phone.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"+strings.Repeat("x", 100)))
	if _, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: into}); err != nil {
		t.Fatal(err)
	}
	wait := func(name string) []byte {
		t.Helper()
		for ctx.Err() == nil {
			if data, err := os.ReadFile(filepath.Join(into, name)); err == nil && len(data) > 0 {
				return data
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		t.Fatalf("%s was not downloaded", name)
		return nil
	}

	do(t, ctx, chromedp.SetUploadFiles("#files", []string{first, second, heic}))
	await(t, ctx, `document.querySelector('#canvas').width === 120 && document.querySelectorAll('#pictures .failed').length === 1`)
	if got := eval[string](t, ctx, `[...document.querySelectorAll('#pictures .state')].map(e => e.textContent).join('; ')`); got != "120 × 60; 90 × 70; cannot be cut" {
		t.Errorf("the list says %q", got)
	}
	// The second picture, its background picked by a click into its corner.
	do(t, ctx, chromedp.Click("#pictures li:nth-child(2) .picture"))
	await(t, ctx, `document.querySelector('#canvas').width === 90`)
	eval[bool](t, ctx, `(() => { const b = document.querySelector('#canvas').getBoundingClientRect();
		document.querySelector('#canvas').dispatchEvent(new MouseEvent('click', { clientX: b.left + 2, clientY: b.top + 2, bubbles: true })); return true; })()`)
	if got := eval[string](t, ctx, `document.querySelector('#color').value`); !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(got) {
		t.Errorf("the colour that was clicked on is %q", got)
	}
	eval[bool](t, ctx, `(() => { const s = document.querySelector('#slide'); s.value = 12; s.dispatchEvent(new Event('input')); return true; })()`)
	if got := eval[string](t, ctx, `document.querySelector('#tolerance').value`); got != "12" {
		t.Errorf("the tolerance is %q", got)
	}
	// By keyboard: the cross to the corner, and Enter.
	do(t, ctx, chromedp.Focus("#canvas"))
	eval[bool](t, ctx, `(() => { for (let i = 0; i < 9; i++) for (const key of ['ArrowLeft', 'ArrowUp'])
		document.querySelector('#canvas').dispatchEvent(new KeyboardEvent('keydown', { key, shiftKey: true, bubbles: true })); return true; })()`)
	if got := eval[string](t, ctx, `document.querySelector('#show-original').ariaPressed + ' ' + document.querySelector('#say').textContent.split(':')[0]`); got != "true 0, 0" {
		t.Errorf("the cross: %q", got)
	}
	eval[bool](t, ctx, `document.querySelector('#canvas').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))`)
	picked := eval[string](t, ctx, `document.querySelector('#color').value`)

	do(t, ctx, chromedp.Click("#download"))
	got := decoded(t, wait("blobs-cut.png"))
	bg, err := ParseColor(picked)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	_, _, want := cut(t, load(t, in), Options{Color: &bg, Tolerance: 12, Border: true})
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Error("the download differs from the server's own result")
	}
	await(t, ctx, `!document.querySelector('#download').disabled`)
	// What is on the canvas is that result, but for what a canvas loses: it multiplies by alpha.
	shown := eval[string](t, ctx, `(() => { const c = document.querySelector('#canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		let s = ''; for (const b of d) s += String.fromCharCode(b); return btoa(s); })()`)
	pix, err := base64.StdEncoding.DecodeString(shown)
	if err != nil || len(pix) != len(want.Pix) {
		t.Fatal(err, len(pix))
	}
	for i := 3; i < len(pix); i += 4 {
		if pix[i] != want.Pix[i] {
			t.Fatalf("the canvas shows alpha %d, the result has %d", pix[i], want.Pix[i])
		}
	}

	do(t, ctx, chromedp.Click("#download-all"))
	data := wait("cut-out.zip")
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"ring-cut.png", "blobs-cut.png"} {
		r, err := z.File[i].Open()
		if err != nil || z.File[i].Name != name {
			t.Fatal(err, z.File[i].Name)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if img := decoded(t, b); i == 1 && !bytes.Equal(img.Pix, want.Pix) {
			t.Errorf("%s differs", name)
		}
	}
	if len(z.File) != 2 {
		t.Errorf("%d files in the archive", len(z.File))
	}
	await(t, ctx, `document.querySelector('#say').textContent === '2 are ready, 1 could not be cut.'`)

	// Dropped and pasted files are taken too; a picture that cannot be cut says why.
	for _, kind := range []string{"drop", "paste"} {
		before := eval[int](t, ctx, `document.querySelectorAll('#pictures li').length`)
		eval[bool](t, ctx, fmt.Sprintf(`(() => { const d = new DataTransfer(); d.items.add(new File(['no picture'], 'x.jpg', { type: 'image/jpeg' }));
			const e = new Event(%q, { bubbles: true, cancelable: true }); Object.assign(e, { dataTransfer: d, clipboardData: d });
			document.dispatchEvent(e); return true; })()`, kind))
		await(t, ctx, fmt.Sprintf(`document.querySelectorAll('#pictures li').length === %d && !document.querySelector('#trouble').hidden`, before+1))
	}
	if got := eval[string](t, ctx, `document.querySelector('#trouble').textContent`); !strings.Contains(got, "JPEG, PNG") {
		t.Errorf("the trouble is %q", got)
	}
}

// TestWithoutScript: the form alone cuts.
func TestWithoutScript(t *testing.T) {
	_, at := site(t, 0)
	resp, err := http.Get(at + "/cutout")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, m := range regexp.MustCompile(`<input[^>]* name="([a-z]+)"[^>]*>`).FindAllStringSubmatch(string(page), -1) {
		value := regexp.MustCompile(` value="([^"]*)"`).FindStringSubmatch(m[0])
		switch {
		case strings.Contains(m[0], `type="file"`):
		case strings.Contains(m[0], `type="checkbox"`):
			if strings.Contains(m[0], " checked") {
				fields = append(fields, m[1], "on")
			}
		case value != nil:
			fields = append(fields, m[1], value[1])
		default:
			fields = append(fields, m[1], "")
		}
	}
	if want := []string{"color", "", "tolerance", "", "feather", "0", "border", "on"}; !slices.Equal(fields, want) {
		t.Errorf("the form sends %q, want %q", fields, want)
	}
	in := encoded(t, ring())
	kind, form := formOf(t, fields, "", "", "ring.gif", string(in))
	got, body := send(t, at+"/cutout", kind, form, "Accept", "text/html")
	_, want, _ := cut(t, load(t, in), Options{Tolerance: AutoTolerance, Border: true})
	if got.StatusCode != 200 || !bytes.Equal(body, want) {
		t.Errorf("%s %.200s", got.Status, body)
	}
	if img := decoded(t, body); img.Bounds() != image.Rect(0, 0, 120, 60) {
		t.Errorf("the result is %v", img.Bounds())
	}
}
