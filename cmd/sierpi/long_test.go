//go:build long

package main

// What takes long, or makes files instead of testing: `make pictures`, `make soak`.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestPictures makes the pictures of docs/: `make pictures`.
func TestPictures(t *testing.T) {
	dir := os.Getenv("SIERPI_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	shoot := func(t *testing.T, ctx context.Context, name string) {
		t.Helper()
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, scene := range []struct {
		name   string
		frames int // to have evolved
	}{{"life", 300}, {"line", 600}, {"zoom", 240}} {
		t.Run(scene.name, func(t *testing.T) {
			d := furnished(t, fmt.Sprintf("[display]\nscenes = [%q]\ndwell = \"1h\"", scene.name))
			ctx := systemtest.Browser(t, 1920, 1080)
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(d.kiosk)); err != nil {
				t.Fatal(err)
			}
			awaitJS(t, ctx, fmt.Sprintf("%s > %d", painted, scene.frames))
			awaitJS(t, ctx, `document.body.innerText.includes("Harbour")`)
			shoot(t, ctx, "wall-"+scene.name)
			for _, size := range [][2]int64{{1280, 720}, {800, 480}, {480, 854}} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1])); err != nil {
					t.Fatal(err)
				}
				awaitJS(t, ctx, `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
				if err := chromedp.Do(ctx, chromedp.Sleep(500*time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				shoot(t, ctx, fmt.Sprintf("wall-%s-%dx%d", scene.name, size[0], size[1]))
			}
		})
	}
	t.Run("pages", func(t *testing.T) {
		d := furnished(t, "[display]\nscenes = [\"line\"]\ndwell = \"1h\"")
		ctx := systemtest.Browser(t, 1920, 1080)
		for _, page := range []string{"/", "/feed", "/quotes?q=computer", "/health", "/owner/login", "/nowhere"} {
			for _, look := range []struct {
				name          string
				width, height int64
				scheme        string
			}{{"desk", 1920, 1080, "light"}, {"night", 1920, 1080, "dark"}, {"phone", 390, 844, "light"}} {
				name := strings.Trim(strings.NewReplacer("/", "-", "?q=computer", "").Replace(page), "-")
				if name == "" {
					name = "home"
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, look.height), scheme(look.scheme), chromedp.Navigate(d.pages+page), chromedp.Sleep(2*time.Second)); err != nil {
					t.Fatal(err)
				}
				shoot(t, ctx, "page-"+name+"-"+look.name)
			}
		}
	})
}

// scheme makes the browser prefer light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// TestSoak runs the wall in a browser for as long as SIERPI_SOAK says (`make soak`:
// 20m) and prints a line a minute: frames, memory of page and daemon.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SIERPI_SOAK"))
	if err != nil {
		length = time.Minute
	}
	d := furnished(t, "[display]\ndwell = \"60s\"")
	ctx := systemtest.Browser(t, 1920, 1080)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(d.kiosk)); err != nil {
		t.Fatal(err)
	}
	awaitJS(t, ctx, painted+` > 30`)
	fmt.Println("minute  frame    heap MB  daemon RSS MB  state")
	for minute := 1; minute <= int(length/time.Minute); minute++ {
		before, err := chromedp.Run(ctx, chromedp.Evaluate[int](painted))
		if err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.Sleep(time.Minute)); err != nil {
			t.Fatal(err)
		}
		after, err := chromedp.Run(ctx, chromedp.Evaluate[int](painted))
		if err != nil {
			t.Fatal(err)
		}
		if after <= before {
			t.Fatalf("minute %d: the wall stands still at frame %d", minute, after)
		}
		heap, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`performance.memory.usedJSHeapSize`))
		if err != nil {
			t.Fatal(err)
		}
		awaitPart(t, d, "display", "ok")
		fmt.Printf("%6d  %7d  %7.1f  %13.1f  ok\n", minute, after, heap/1e6, float64(rss(t, d.cmd.Process.Pid))/1e6)
	}
}

// rss is a process's resident memory in bytes, from /proc/PID/status.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kib int64
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in /proc/PID/status")
	return 0
}
