package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/system/systemtest"
)

// scheme makes the browser prefer light or dark, and what else is named.
func scheme(name string, more ...*emulation.MediaFeature) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: append(more, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: name}),
		})
		return err
	})
}

// axeViolation is what axe-core finds wrong.
type axeViolation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"` // minor, moderate, serious or critical
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"` // selectors
}

// TestPagesForEverybody walks the pages of the whole program by their links, as the
// owner and as a stranger, at the sizes of a wall, a desk and a phone, light and dark: axe-core finds
// nothing wrong, nothing is wider than the screen, nothing is asked of another host,
// and the console is silent.
func TestPagesForEverybody(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "build", "axe", "node_modules", "axe-core", "axe.min.js"))
	if errors.Is(err, fs.ErrNotExist) {
		systemtest.Missing(t, "axe-core is not in build/axe (.ci/test install fetches it; it needs npm)")
	} else if err != nil {
		t.Fatal(err)
	}
	d := furnished(t, "[display]\nscenes = [\"line\"]\ndwell = \"1h\"")
	host := strings.TrimPrefix(d.pages, "http://")
	ctx := systemtest.Browser(t, 1280, 720)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()

	var mu sync.Mutex
	at, complaints := "", map[string]bool{}
	complain := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		complaints[at+": "+fmt.Sprintf(format, args...)] = true
	}
	err = chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *cdplog.EventEntryAdded:
			if e.Entry.Source != "network" { // a page of an error is one on purpose
				complain("log: %s (%s)", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			complain("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != host && u.Scheme != "data" && u.Scheme != "blob" {
				complain("a request to %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	looks := []struct {
		name          string
		width, height int64
		scheme        string
	}{{"wall", 1920, 1080, "dark"}, {"desk", 1280, 720, "light"}, {"phone", 390, 844, "light"}}
	number := regexp.MustCompile(`\d+`)
	seen := map[string]bool{}
	// One page of a kind: of a hundred quotes the first.
	kind := func(u *url.URL) string { return number.ReplaceAllString(u.Path, "N") }
	visited := 0
	// A card that is half faded in has no contrast yet.
	still := &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}
	walk := func(who string, start ...string) {
		clear(seen)
		todo := slices.Clone(start)
		for len(todo) > 0 && ctx.Err() == nil {
			path := todo[0]
			todo = todo[1:]
			u, err := url.Parse(path)
			if err != nil || seen[kind(u)] {
				continue
			}
			seen[kind(u)] = true
			for _, look := range looks {
				mu.Lock()
				at = fmt.Sprintf("%s, %s, %s", path, who, look.name)
				where := at
				mu.Unlock()
				loading, loaded := context.WithTimeout(ctx, time.Minute)
				err := chromedp.Do(loading, chromedp.EmulateViewport(look.width, look.height), scheme(look.scheme, still), chromedp.Navigate(d.pages+path))
				loaded()
				if err != nil {
					t.Errorf("%s: it does not load: %v", where, err)
					break
				}
				if kind, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.contentType`)); err != nil || kind != "text/html" {
					break // no page for people
				}
				visited++
				if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](string(axe)+";true")); err != nil {
					t.Fatalf("%s: loading axe-core: %v", where, err)
				}
				found, err := chromedp.Run(ctx, chromedp.Evaluate[[]axeViolation](`document.fonts.ready.then(() => axe.run(document, { resultTypes: ['violations'] })).then(r => r.violations.map(v =>
					({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.target.join(' ') + ' ' + (n.failureSummary ?? '').replace(/\s+/g, ' ').slice(0, 200)) })))`, chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatalf("%s: axe-core: %v", where, err)
				}
				for _, v := range found {
					t.Errorf("%s: %s (%s): %s\n\t%s", where, v.ID, v.Impact, v.Help, strings.Join(v.Nodes[:min(3, len(v.Nodes))], "\n\t"))
				}
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
				if err != nil || wide > look.width {
					t.Errorf("%s: the page is %d wide (%v)", where, wide, err)
				}
				if dir := os.Getenv("SIERPI_PAGES"); dir != "" { // to be looked at
					png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					name := strings.NewReplacer("/", "-", " ", "-", ",", "", "?", "-", "=", "-").Replace(where)
					if err := os.WriteFile(filepath.Join(dir, "page"+name+".png"), png, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			links, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('a[href]')].filter(a => a.host === location.host && !a.download).map(a => a.getAttribute('href'))`))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range links {
				// What is no page: pictures, feeds, JSON.
				if strings.HasPrefix(l, "/") && !regexp.MustCompile(`\.(rss|atom|xml|json|png|rle|ics|opml|txt)\b|^/json/`).MatchString(l) {
					todo = append(todo, l)
				}
			}
		}
	}
	walk("a stranger", "/", "/wall", "/cutout", "/chat", "/owner/login", "/nowhere")
	if visited < 30 {
		t.Errorf("only %d views of pages: the walk did not get far", visited)
	}
	printed, err := command(t, "owner", "reset-secret", "--state", d.state).Output()
	secret := regexp.MustCompile(`\w{4}(-\w{4}){3,}`).FindString(string(printed))
	if err != nil || secret == "" {
		t.Fatalf("no secret in %q: %v", printed, err)
	}
	signing, signed := context.WithTimeout(ctx, time.Minute)
	defer signed()
	if err := chromedp.Do(signing, chromedp.Navigate(d.pages+"/owner/login"), chromedp.SendKeys("#secret", secret), chromedp.Click("main button.primary"), chromedp.WaitVisible(`.foot form button`)); err != nil {
		t.Fatalf("signing in: %v", err)
	}
	walk("the owner", "/", "/quotes", "/owner/login")
	mu.Lock()
	defer mu.Unlock()
	for c := range complaints {
		t.Error(c)
	}
	t.Logf("%d views", visited)
}
