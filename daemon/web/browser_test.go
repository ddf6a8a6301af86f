package web

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestPagesInChromium looks at the pages as an owner's browser does: no complaint
// in the console (which a broken Content-Security-Policy would make), no request to
// another host, nothing wider than the screen, both colour schemes, and a sign-in.
func TestPagesInChromium(t *testing.T) {
	chromium := systemtest.Tool(t, "chromium", "chromium")
	look := newLook(t)
	dir := t.TempDir()
	addr, secret := serveLook(t, look, dir)

	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	var mu sync.Mutex
	var complaints []string
	complain := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		complaints = append(complaints, fmt.Sprintf(format, args...))
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 720)); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			complain("log: %s (%s)", e.Entry.Text, e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			complain("console: %s", e.Type)
		case *runtime.EventExceptionThrown:
			complain("exception: %s", e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != addr {
				complain("request to %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme := func(name string) {
		t.Helper()
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(js string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+js+")"))
		if err != nil {
			t.Fatal(js, err)
		}
		return s
	}
	background := map[string]string{"light": "rgb(245, 247, 244)", "dark": "rgb(10, 15, 18)"}
	for _, size := range [][2]int64{{320, 640}, {390, 844}, {800, 480}, {1920, 1080}} {
		for _, name := range []string{"light", "dark"} {
			scheme(name)
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate("http://"+addr+"/")); err != nil {
				t.Fatal(err)
			}
			at := fmt.Sprintf("%s at %dx%d", name, size[0], size[1])
			if got := ask("getComputedStyle(document.body).backgroundColor"); got != background[name] {
				t.Errorf("%s: the background is %s", at, got)
			}
			if got := ask("document.documentElement.scrollWidth"); got != fmt.Sprint(size[0]) {
				t.Errorf("%s: the page is %s wide", at, got)
			}
			// The sections stand where the thumb is, on a phone; all of it can be hit.
			if got := ask(`[...document.querySelectorAll("a, button, input")].filter(e => !e.closest(".skip, p, td, .card, .foot, .list") && e.getBoundingClientRect().height < 36).map(e => e.outerHTML).join()`); got != "" {
				t.Errorf("%s: too small to hit: %s", at, got)
			}
			onPhone := ask(`document.querySelector(".sections").getBoundingClientRect().bottom === innerHeight`)
			if want := fmt.Sprint(size[0] <= 768); onPhone != want {
				t.Errorf("%s: the sections at the bottom: %s", at, onPhone)
			}
		}
	}
	// Every control has a name, every landmark is there once, headings start at h1.
	if got := ask(`[...document.querySelectorAll("a, button")].filter(e => !e.textContent.trim() && !e.ariaLabel).length + " " +
		[...document.querySelectorAll("input:not([type=hidden])")].filter(e => !e.labels.length).length + " " +
		document.querySelectorAll("main").length + " " + document.querySelectorAll("h1").length`); got != "0 0 1 1" {
		t.Errorf("unnamed controls, unlabelled fields, mains, h1s: %s", got)
	}
	mu.Lock()
	for _, c := range complaints {
		t.Error(c)
	}
	complaints = nil
	mu.Unlock()

	// The first Tab reaches the skip link, and it shows.
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+addr+"/"), chromedp.KeyEvent("\t")); err != nil {
		t.Fatal(err)
	}
	if got := ask(`document.activeElement.className + " " + (document.activeElement.getBoundingClientRect().top >= 0)`); got != "skip true" {
		t.Errorf("the first Tab: %s", got)
	}

	// A stranger's visit to the owner's page ends, with the secret, on that page.
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+addr+"/mine"),
		chromedp.SendKeys("#secret", secret), chromedp.Click("main button.primary"), chromedp.WaitVisible("#mine")); err != nil {
		t.Fatal(err)
	}
	if got := ask("document.cookie"); strings.Contains(got, "sierpi") {
		t.Errorf("a script can read %s", got)
	}
	if got := ask("location.pathname"); got != "/mine" {
		t.Errorf("signed in, and now at %s", got)
	}
	if err := chromedp.Do(ctx, chromedp.Click(".foot form button"), chromedp.WaitVisible(`.foot a[href="/owner/login"]`)); err != nil {
		t.Errorf("signing out: %v", err)
	}
}
