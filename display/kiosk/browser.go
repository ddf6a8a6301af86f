package kiosk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// browser is one run of Chromium.
type browser struct {
	cmd    *exec.Cmd
	tools  *devtools
	exited chan struct{} // closed when the program has ended
	err    error         // how, once exited is closed
	pages  map[string]*page
}

// page is one window of it.
type page struct {
	target, session string
	path            string        // what it was sent to, on the daemon's host
	opened          time.Duration // since the boot
	at              output        // that its window fills
}

// startBrowser runs the program with these flags on an address. It is killed with
// the keeper, so that no second one ever runs on the profile.
func startBrowser(program string, flags []string, address string, log io.Writer) (*browser, error) {
	out, in, theirs, err := devtoolsPipes()
	if err != nil {
		return nil, fmt.Errorf("making the browser's pipes: %w", err)
	}
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	cmd := exec.Command(program, append(flags, address)...)
	cmd.ExtraFiles = theirs
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second // what it leaves behind may hold the log open
	// A group of its own, so that all its processes can be ended together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		_ = in.Close()
		return nil, fmt.Errorf("starting the browser: %w", err)
	}
	b := &browser{cmd: cmd, tools: newDevtools(out, in), exited: make(chan struct{}), pages: map[string]*page{}}
	go func() {
		b.err = cmd.Wait()
		b.tools.close()
		close(b.exited)
	}()
	return b, nil
}

// kill ends the browser and whatever it started, stopped processes too.
func (b *browser) kill() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	<-b.exited
	// Its helpers outlive it for a moment, and one that is stopped for ever.
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
}

// quit asks the browser to end, so that its profile is whole, and kills it if it
// does not within the context.
func (b *browser) quit(ctx context.Context) {
	_ = b.tools.call(ctx, "", "Browser.close", nil, nil)
	select {
	case <-b.exited:
	case <-ctx.Done():
	}
	b.kill()
}

// first returns the window that the browser opens by itself, as soon as it is there.
func (b *browser) first(ctx context.Context) (*page, error) {
	if err := b.tools.call(ctx, "", "Target.setDiscoverTargets", map[string]any{"discover": true}, nil); err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var reply struct {
			TargetInfos []struct{ TargetID, Type string }
		}
		if err := b.tools.call(ctx, "", "Target.getTargets", nil, &reply); err != nil {
			return nil, err
		}
		for _, t := range reply.TargetInfos {
			if t.Type == "page" {
				return b.attach(ctx, t.TargetID)
			}
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the browser opens no window")
		case <-tick.C:
		}
	}
}

// another opens one more window, full screen on the part of the desktop that begins
// at x, y.
func (b *browser) another(ctx context.Context, x, y, width, height int) (*page, error) {
	var made struct{ TargetID string }
	if err := b.tools.call(ctx, "", "Target.createTarget", map[string]any{
		"url": "about:blank", "newWindow": true, "left": x, "top": y, "width": width, "height": height,
	}, &made); err != nil {
		return nil, err
	}
	p, err := b.attach(ctx, made.TargetID)
	if err != nil {
		return nil, err
	}
	return p, b.place(ctx, p, x, y, width, height)
}

// place moves a window to an output and fills it.
func (b *browser) place(ctx context.Context, p *page, x, y, width, height int) error {
	var window struct{ WindowID int }
	if err := b.tools.call(ctx, "", "Browser.getWindowForTarget", map[string]any{"targetId": p.target}, &window); err != nil {
		return err
	}
	// A window that fills an output is not moved before it is a plain one again.
	for _, bounds := range []map[string]any{
		{"windowState": "normal"},
		{"left": x, "top": y, "width": width, "height": height},
		{"windowState": "fullscreen"},
	} {
		if err := b.tools.call(ctx, "", "Browser.setWindowBounds", map[string]any{"windowId": window.WindowID, "bounds": bounds}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *browser) attach(ctx context.Context, target string) (*page, error) {
	var reply struct{ SessionID string }
	if err := b.tools.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true}, &reply); err != nil {
		return nil, err
	}
	return &page{target: target, session: reply.SessionID}, nil
}

// setCookies makes the browser carry what signed the keeper in.
func (b *browser) setCookies(ctx context.Context, p *page, base string, cookies []*http.Cookie) error {
	for _, c := range cookies {
		if err := b.tools.call(ctx, p.session, "Network.setCookie", map[string]any{
			"url": base, "name": c.Name, "value": c.Value, "path": c.Path, "httpOnly": c.HttpOnly, "secure": c.Secure, "sameSite": "Strict",
		}, nil); err != nil {
			return err
		}
	}
	return nil
}

// open sends a window to an address.
func (b *browser) open(ctx context.Context, p *page, address string) error {
	var reply struct{ ErrorText string }
	if err := b.tools.call(ctx, p.session, "Page.navigate", map[string]any{"url": address}, &reply); err != nil {
		return err
	}
	if reply.ErrorText != "" {
		return fmt.Errorf("the browser cannot open the page: %s", reply.ErrorText)
	}
	return nil
}

// glance is what the page itself says.
type glance struct {
	Path    string // of its address
	Picture bool   // the wall's picture is what stands in the middle of the window
}

// The middle is the picture's on every wall; the cards keep to the edges.
const glanceJS = `(() => ({
  path: location.pathname + location.search,
  picture: document.elementsFromPoint(innerWidth / 2, innerHeight / 2).some((e) => e.matches("canvas, img") && e.checkVisibility({ opacityProperty: true })),
}))()`

// look asks the page what it shows. An error means that it does not answer.
func (b *browser) look(ctx context.Context, p *page) (glance, error) {
	var reply struct {
		Result           struct{ Value glance }
		ExceptionDetails *struct{ Text string }
	}
	err := b.tools.call(ctx, p.session, "Runtime.evaluate", map[string]any{"expression": glanceJS, "returnByValue": true}, &reply)
	if err == nil && reply.ExceptionDetails != nil {
		return glance{}, nil // it answers, but shows no wall
	}
	return reply.Result.Value, err
}

// findBrowser returns the program to run: what was asked for, or what Debian and
// Raspberry Pi OS call Chromium.
func findBrowser(asked string) (string, error) {
	if asked != "" {
		return exec.LookPath(asked)
	}
	for _, name := range []string{"chromium", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Chromium is installed: %w", os.ErrNotExist)
}
