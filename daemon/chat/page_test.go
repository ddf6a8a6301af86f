package chat

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/systemtest"
)

// TestScript has the compiler check the page's script.
func TestScript(t *testing.T) {
	tsc := systemtest.Tool(t, "tsc", "node-typescript")
	if out, err := exec.CommandContext(t.Context(), tsc, "--project", "page").CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

// TestLinked: what is linked, and what is not.
func TestLinked(t *testing.T) {
	for text, want := range map[string]string{
		"see http://a.example/x?y=1.":         "see [http://a.example/x?y=1].",
		"(https://a.example/b) and more":      "([https://a.example/b]) and more",
		"javascript:alert(1) ftp://x":         "javascript:alert(1) ftp://x",
		`"https://a.example/"onclick="alert"`: `"[https://a.example/]"onclick="alert"`,
		"https://":                            "https://",
	} {
		var got strings.Builder
		for _, p := range linked(text) {
			if p.Href != "" {
				got.WriteString("[" + p.Text + "]")
			} else {
				got.WriteString(p.Text)
			}
		}
		if got.String() != want {
			t.Errorf("%s became %s", text, got.String())
		}
	}
}

// TestTabs: two tabs of one browser talk to each other and share one poll; what
// another says arrives in both.
func TestTabs(t *testing.T) {
	d := start(t, store.Options{Dir: t.TempDir()}, Options{})
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(systemtest.Tool(t, "chromium", "chromium")),
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	defer stop()
	one, cancel := chromedp.NewContext(ctx)
	defer cancel()
	void := func(ctx context.Context, what string, a chromedp.Action[chromedp.Void]) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if _, err := chromedp.Run(ctx, a); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if _, err := chromedp.Run(one, chromedp.Navigate(d.url+"/chat")); err != nil {
		t.Fatal(err)
	}
	two, cancel := chromedp.NewContext(one)
	defer cancel()
	if _, err := chromedp.Run(two, chromedp.Navigate(d.url+"/chat")); err != nil {
		t.Fatal(err)
	}
	d.waitFor(t, 1)
	d.say(t, Lobby, "bob", "1", "from outside")
	void(one, "the first tab", chromedp.WaitVisible("#m1"))
	void(two, "the second tab", chromedp.WaitVisible("#m1"))
	void(two, "writing", chromedp.SendKeys("#text", "from the second tab"))
	void(two, "sending", chromedp.KeyEvent(kb.Enter))
	void(two, "the second tab", chromedp.WaitVisible("#m2.mine"))
	void(one, "the first tab", chromedp.WaitVisible("#m2.mine"))
	d.waitFor(t, 1)
	if _, err := chromedp.Run(one, chromedp.Navigate("about:blank")); err != nil { // whichever tab led: now it is the second
		t.Fatal(err)
	}
	d.waitFor(t, 1)
	d.say(t, Lobby, "bob", "2", "to the tab that is left")
	void(two, "the tab that is left", chromedp.WaitVisible("#m3"))
	// One changes his own message where it stands.
	void(two, "opening", chromedp.Click("#m2 summary"))
	void(two, "deleting", chromedp.Click("#m2 .delete button"))
	void(two, "deleted", chromedp.WaitVisible("#m2.deleted"))
	n, err := chromedp.Run(two, chromedp.Evaluate[int](`document.querySelectorAll(".message").length`))
	if err != nil || n != 3 {
		t.Errorf("%d messages in the second tab, %v", n, err)
	}
}
