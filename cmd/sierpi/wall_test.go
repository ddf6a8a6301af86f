package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/system/systemtest"
)

// fortunes is where Debian's quotes are.
const fortunes = "/usr/share/games/fortunes"

// publisher serves the feed fixtures as publishers do: with ETag and
// Last-Modified, and 304 to who has the copy.
func publisher(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "daemon", "feed", "testdata")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Join(dir, filepath.Base(r.URL.Path))
		info, err := os.Stat(name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprint(info.Size(), info.ModTime().Unix())))
		w.Header().Set("Content-Type", "application/octet-stream") // as half the world does
		http.ServeFile(w, r, name)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// furnished starts the daemon with quotes, feeds and these lines of config.
func furnished(t *testing.T, display string, args ...string) *process {
	t.Helper()
	if _, err := os.Stat(filepath.Join(fortunes, "computers")); err != nil {
		systemtest.Missing(t, "Debian's fortunes are not installed (apt-get install fortunes)")
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if out, err := command(t, "quotes", "import", "--state", state, filepath.Join(fortunes, "computers")).CombinedOutput(); err != nil {
		t.Fatalf("importing: %v\n%s", err, out)
	}
	conf := filepath.Join(dir, "sierpi.toml")
	text := display + "\n[feed]\nallow-private = [\"127.0.0.1\"]\n"
	site := publisher(t)
	for _, f := range []struct{ name, file string }{{"Garden", "rss2.xml"}, {"Workshop", "atom.xml"}, {"Harbour", "feed.json"}} {
		text += fmt.Sprintf("[[feed.source]]\nname = %q\nurl = %q\n", f.name, site+"/"+f.file)
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, state, append([]string{"--config", conf}, args...)...)
}

// painted is the number of the frame that the page shows.
const painted = `(globalThis.sierpi?.screen?.painted ?? 0)`

// awaitJS waits until an expression is true in the page.
func awaitJS(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	js := `(async () => { while (!(` + expression + `)) await new Promise((r) => setTimeout(r, 25)); return true })()`
	if _, err := chromedp.Run(bounded, chromedp.Evaluate[bool](js, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatalf("waiting for %s: %v", expression, err)
	}
}

// The whole program with a real browser: the wall paints, the daemon knows it,
// the cards say what the services hold, and after a kill -9 of the daemon the page
// keeps its picture, comes back by itself and paints on.
func TestWall(t *testing.T) {
	d := furnished(t, "[display]\nscenes = [\"life\"]\ndwell = \"1h\"", "--listen", freeAddress(t)) // no change of scenes, in whose middle there is no picture
	ctx := systemtest.Browser(t, 1280, 720)
	if err := chromedp.Do(ctx, chromedp.Navigate(d.kiosk)); err != nil {
		t.Fatal(err)
	}
	awaitJS(t, ctx, painted+` > 30`)
	awaitJS(t, ctx, `document.body.innerText.includes("Harbour") || document.body.innerText.includes("tide")`)

	awaitPart(t, d, "display", "ok")
	if body := d.get(d.scrapes); !strings.Contains(body, `sierpi_display_screens{kind="wall",state="painting"} 1`) {
		t.Errorf("the metrics know no painting screen:\n%s", grep(body, "sierpi_display"))
	}

	const address = `location.pathname + location.search`
	where, err := chromedp.Run(ctx, chromedp.Evaluate[string](address))
	if err != nil || where != "/kiosk" {
		t.Errorf("the wall stands at %q (%v); the token must not stay in the address", where, err)
	}

	_, _ = d.end(syscall.SIGKILL)
	awaitJS(t, ctx, `document.body.classList.contains("offline")`)
	const blank = `(() => { const px = sierpi.screen.read(); return px.every((p) => p === px[0]) })()`
	if empty, err := chromedp.Run(ctx, chromedp.Evaluate[bool](blank)); err != nil || empty {
		t.Errorf("the last picture is gone while the daemon is away (%v)", err)
	}
	again := start(t, d.state, "--listen", strings.TrimPrefix(d.pages, "http://"))
	awaitJS(t, ctx, `!document.body.classList.contains("offline")`)
	awaitJS(t, ctx, painted+` > 30`)
	awaitPart(t, again, "display", "ok")
}

// awaitPart waits until a part of the daemon's health is in a state.
func awaitPart(t *testing.T, d *process, part, state string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var report struct {
			Parts []struct{ Name, State, Why string }
		}
		resp, err := http.Get(d.pages + "/healthz") // 503 where a part failed that must work
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&report)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Parts {
			if p.Name == part && p.State == state {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not %s: %+v", part, state, report)
		}
		time.Sleep(100 * time.Millisecond) // between two questions to another process
	}
}

func grep(text, what string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
