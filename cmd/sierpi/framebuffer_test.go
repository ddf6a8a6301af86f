package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sierpi/sierpi/daemon/web"
)

// The daemon paints on a framebuffer in a file, and finds by the hash that was read
// back from it that the picture is its own.
func TestFramebuffer(t *testing.T) {
	for _, geometry := range []string{"1280x720x32", "800x480x16"} {
		t.Run(geometry, func(t *testing.T) {
			d := start(t, t.TempDir(), "--listen", freeAddress(t))
			fb := filepath.Join(t.TempDir(), "fb")
			cmd := command(t, "framebuffer", "--device", fb, "--geometry", geometry, "--daemon", d.pages+"/", "--token", filepath.Join(d.state, "run", web.KioskTokenFile))
			var log strings.Builder
			cmd.Stderr = &log
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				if err := cmd.Wait(); err != nil {
					t.Errorf("ended with %v\n%s", err, log.String())
				}
			}()
			// The screen of a session without a browser in it.
			s := &wallSession{t: t, daemon: d, noKeeper: true}
			s.awaitPaint("a framebuffer of "+geometry, 0)

			before, err := os.ReadFile(fb)
			if err != nil {
				t.Fatal(err)
			}
			at := s.frame()
			black(t, fb, len(before))
			s.awaitPaint("something black over the picture", at+40)

			_, _ = d.end(syscall.SIGKILL)
			s.daemon = start(t, d.state, "--listen", strings.TrimPrefix(d.pages, "http://"))
			s.awaitPaint("a daemon restart", 0)
		})
	}
}

// black writes zeros over a file in place, as another program would.
func black(t *testing.T, path string, size int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
}
