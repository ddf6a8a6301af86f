package imagebuild

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openLine starts a program with a terminal of its own at the other end of a console.
func openLine(t *testing.T, name string, args ...string) *console {
	t.Helper()
	c, err := openConsole(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	tty, err := os.OpenFile(c.slave, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if out, err := exec.Command("stty", "-F", c.slave, "sane", "115200").CombinedOutput(); err != nil {
		t.Fatalf("stty: %v: %s", err, out)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "PS1=$ ", "TERM=dumb"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return c
}

// TestConsole talks to a real shell at the other end of a line.
func TestConsole(t *testing.T) {
	c := openLine(t, "/bin/sh", "-i")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := c.expect(ctx, `\$ $`); err != nil {
		t.Fatal(err)
	}
	out, err := c.run(ctx, "echo hello; echo two words; tty")
	if err != nil || out != "hello\ntwo words\n"+c.slave {
		t.Errorf("the shell said %q, %v", out, err)
	}
	if _, err := c.run(ctx, "echo why; false"); err == nil || !strings.Contains(err.Error(), "exit status 1: why") {
		t.Errorf("a failed command: %v", err)
	}
	// Longer than a UART's FIFO, and than a terminal's line of 80.
	long := strings.Repeat("abcdefghij", 30)
	if out, err := c.run(ctx, "echo "+long); err != nil || out != long {
		t.Errorf("a long line came back as %q, %v", out, err)
	}
	// The speed that the machine sets arrives at this end.
	if _, err := c.run(ctx, "stty 9600"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.speed(); err != nil || got != 9600 {
		t.Errorf("the line is at %d baud, %v", got, err)
	}
}

// TestConsoleSaysWhatItWaitsFor: a bound that is reached names the pattern and the last
// that came.
func TestConsoleSaysWhatItWaitsFor(t *testing.T) {
	c := openLine(t, "/bin/sh", "-c", "echo Starting kernel; exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := c.expect(ctx, `Starting`); err != nil {
		t.Fatal(err)
	}
	late, stop := context.WithCancelCause(ctx)
	stop(errors.New("not within 3 minutes"))
	_, _, err := c.expect(late, `login: $`)
	if err == nil || !strings.Contains(err.Error(), "not within 3 minutes") || !strings.Contains(err.Error(), "login:") || !strings.Contains(err.Error(), "kernel") {
		t.Errorf("the error is %v", err)
	}
}
