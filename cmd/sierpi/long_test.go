//go:build long

package main

// What takes long, or makes files instead of testing: `make pictures`, `make soak`.

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display/wire"
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
		picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, scene := range []struct {
		name   string
		frames int // to have evolved
	}{{"life", 300}, {"line", 1800}, {"zoom", 240}} {
		t.Run(scene.name, func(t *testing.T) {
			d := furnished(t, fmt.Sprintf("[display]\nscenes = [%q]\nnight = \"\"\ndwell = \"1h\"", scene.name))
			ctx := systemtest.Browser(t, 1920, 1080)
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(d.kiosk)); err != nil {
				t.Fatal(err)
			}
			for n := min(600, scene.frames); n <= scene.frames; n += 600 { // each wait is bounded
				awaitJS(t, ctx, fmt.Sprintf("%s > %d", painted, n))
			}
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
	t.Run("kiosk-waiting", func(t *testing.T) {
		page, err := filepath.Abs("../../display/kiosk/wait.html")
		if err != nil {
			t.Fatal(err)
		}
		ctx := systemtest.Browser(t, 1280, 720)
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 720), chromedp.Navigate("file://"+page)); err != nil {
			t.Fatal(err)
		}
		awaitJS(t, ctx, "dots > 12000")
		shoot(t, ctx, "kiosk-waiting")
	})
	t.Run("framebuffer", func(t *testing.T) {
		const width, height = 1280, 720
		d := furnished(t, "[display]\nscenes = [\"life\"]\nnight = \"\"\ndwell = \"1h\"")
		fb := filepath.Join(t.TempDir(), "fb")
		cmd := command(t, "framebuffer", "--device", fb, "--geometry", fmt.Sprintf("%dx%dx32", width, height), "--daemon", d.pages+"/", "--token", filepath.Join(d.state, "run", web.KioskTokenFile))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		(&wallSession{t: t, daemon: d, noKeeper: true}).awaitPaint("a framebuffer", 300)
		// Stopped first: it may be in the middle of a frame.
		if err := errors.Join(cmd.Process.Signal(syscall.SIGSTOP), func() error {
			raw, err := os.ReadFile(fb)
			if err != nil {
				return err
			}
			img := image.NewRGBA(image.Rect(0, 0, width, height))
			for i := range width * height { // blue, green, red, and a byte that nobody looks at
				copy(img.Pix[4*i:], []byte{raw[4*i+2], raw[4*i+1], raw[4*i], 0xff})
			}
			f, err := os.Create(filepath.Join(dir, "framebuffer.png"))
			if err != nil {
				return err
			}
			return errors.Join(png.Encode(f, img), f.Close())
		}(), cmd.Process.Kill()); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	})
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
		fmt.Printf("%6d  %7d  %7.1f  %13.1f  ok\n", minute, after, heap/1e6, float64(memory(t, d.cmd.Process.Pid, "VmRSS"))/1e6)
	}
}

// TestFigures prints what the daemon takes, for docs/benchmarks.md: memory and
// processor with and without a screen, the time to READY, the size of the binary.
// Foreign architectures run under qemu-user, whose own memory is in their figure
// and whose times mean nothing.
func TestFigures(t *testing.T) {
	fmt.Println("| architecture | binary | RSS, idle | anonymous | CPU, no screen | CPU, one screen | its frames/s | start to READY |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, target := range []struct{ name, arch, arm, emulator string }{
		{"amd64", "amd64", "", ""},
		{"arm64 (qemu-user)", "arm64", "", "qemu-aarch64-static"},
		{"arm v7 (qemu-user)", "arm", "7", "qemu-arm-static"},
		{"arm v6 (qemu-user)", "arm", "6", "qemu-arm-static"},
	} {
		binary := filepath.Join(t.TempDir(), "sierpi")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+target.arch, "GOARM="+target.arm)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", target.name, err, out)
		}
		size, err := os.Stat(binary)
		if err != nil {
			t.Fatal(err)
		}
		argv := []string{binary}
		if target.emulator != "" {
			argv = []string{systemtest.Tool(t, target.emulator, "qemu-user-static"), binary}
		}
		f := measure(t, argv)
		fmt.Printf("| %s | %.1f MB | %.1f MB | %.1f MB | %.2f %% of a core | %.1f %% of a core | %.1f | %d ms |\n",
			target.name, float64(size.Size())/1e6, float64(f.rss)/1e6, float64(f.anonymous)/1e6, 100*f.idle, 100*f.screen, f.rate, f.ready.Milliseconds())
	}
}

// figures are what one running daemon takes.
type figures struct {
	rss, anonymous int64   // bytes, after 30 s without a screen
	idle, screen   float64 // cores
	rate           float64 // frames a second that the screen took
	ready          time.Duration
}

func measure(t *testing.T, argv []string) figures {
	t.Helper()
	notify := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	pages, state := freeAddress(t), t.TempDir()
	cmd := exec.Command(argv[0], append(argv[1:], "serve", "--listen", pages, "--metrics-listen", "127.0.0.1:0", "--state", state)...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR=", "NOTIFY_SOCKET="+notify, "INVOCATION_ID=", "WATCHDOG_USEC=")
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var f figures
	buf := make([]byte, 4096)
	_ = manager.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for f.ready == 0 {
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatalf("no READY: %v", err)
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			f.ready = time.Since(began)
		}
	}
	const span = 30 * time.Second
	pid := cmd.Process.Pid
	over := func() float64 {
		before := cpuTime(t, pid)
		time.Sleep(span) // the span that is measured
		return (cpuTime(t, pid) - before).Seconds() / span.Seconds()
	}
	f.idle = over()
	f.rss, f.anonymous = memory(t, pid, "VmRSS"), memory(t, pid, "RssAnon")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	token, err := os.ReadFile(filepath.Join(state, "run", web.KioskTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+pages+"/display/screen", &websocket.DialOptions{
		HTTPHeader: http.Header{web.KioskHeader: {strings.TrimSpace(string(token))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(16 << 20)
	var frames atomic.Int64
	go func() {
		var decoder wire.Decoder
		for {
			kind, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if kind != websocket.MessageBinary {
				continue
			}
			frame, err := decoder.Decode(data)
			if err != nil {
				t.Errorf("a frame cannot be decoded: %v", err)
				return
			}
			ack := fmt.Appendf(nil, `{"type":"ack","frame":%d}`, frame.Number)
			if conn.Write(ctx, websocket.MessageText, ack) != nil {
				return
			}
			frames.Add(1)
		}
	}()
	f.screen = over()
	f.rate = float64(frames.Load()) / span.Seconds()
	return f
}

// cpuTime is what a process has used so far, from columns 14 and 15 of /proc/PID/stat.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * time.Second / 100 // USER_HZ
}

// memory is a figure of /proc/PID/status in bytes.
func memory(t *testing.T, pid int, what string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var kib int64
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, what+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/PID/status", what)
	return 0
}
