package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// console is our end of a machine's serial line: a pseudo-terminal that QEMU takes
// for a real one, so that the speed that the machine sets arrives here as well.
type console struct {
	master *os.File
	slave  string
	log    io.Writer

	mu     sync.Mutex
	buf    []byte // what has come since the last match
	change chan struct{}
	err    error
	turn   int // numbers the commands' ends
}

func openConsole(log io.Writer) (*console, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		// Raw from the start: what comes before QEMU sets it must not be echoed back.
		var t *unix.Termios
		if t, err = unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			t.Lflag, t.Oflag, t.Iflag = 0, 0, 0
			err = unix.IoctlSetTermios(fd, unix.TCSETS, t)
		}
	}
	if err != nil {
		master.Close()
		return nil, fmt.Errorf("setting up a pseudo-terminal: %w", err)
	}
	c := &console{master: master, slave: "/dev/pts/" + strconv.Itoa(n), log: log, change: make(chan struct{})}
	go c.read()
	return c, nil
}

// read collects until the line is closed. Before QEMU opens the other end, and after
// it closed it, a read fails with EIO.
func (c *console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := c.master.Read(buf)
		c.mu.Lock()
		if n > 0 {
			c.buf = append(c.buf, buf[:n]...)
			if over := len(c.buf) - 1<<20; over > 0 {
				c.buf = append(c.buf[:0], c.buf[over:]...)
			}
			c.log.Write(buf[:n]) // a file: its errors show when it is closed
		}
		if err != nil && !errors.Is(err, unix.EIO) {
			c.err = err
		}
		if n > 0 || c.err != nil {
			close(c.change)
			c.change = make(chan struct{})
		}
		stop := c.err != nil
		c.mu.Unlock()
		if stop {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // nobody at the other end yet
		}
	}
}

func (c *console) Close() error { return c.master.Close() }

// expect waits for the first of the patterns and returns its number and the text up
// to and with it; what follows stays for the next call.
func (c *console) expect(ctx context.Context, patterns ...string) (int, string, error) {
	res := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		res[i] = regexp.MustCompile(p)
	}
	for {
		c.mu.Lock()
		best, at := -1, []int(nil)
		for i, re := range res {
			if m := re.FindIndex(c.buf); m != nil && (best < 0 || m[0] < at[0]) {
				best, at = i, m
			}
		}
		if best >= 0 {
			text := string(c.buf[:at[1]])
			c.buf = append([]byte(nil), c.buf[at[1]:]...)
			c.mu.Unlock()
			return best, text, nil
		}
		change, err := c.change, c.err
		end := lastLines(printableTail(c.buf), 12)
		c.mu.Unlock()
		if err != nil {
			return -1, "", fmt.Errorf("the serial line is gone (%w), waiting for %q; the last that came:\n%s", err, patterns, end)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return -1, "", fmt.Errorf("%w, waiting for %q on the serial line; the last that came:\n%s", context.Cause(ctx), patterns, end)
		}
	}
}

func printableTail(b []byte) string {
	b = b[max(0, len(b)-2000):]
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' {
			return -1
		}
		return r
	}, string(b))
}

// send types a line, as slowly as a UART takes it: its FIFO holds 16 characters.
func (c *console) send(ctx context.Context, line string) error {
	for part := range chunks(line+"\r", 8) {
		if _, err := c.master.Write([]byte(part)); err != nil {
			return fmt.Errorf("typing on the serial line: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func chunks(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > 0 {
			k := min(n, len(s))
			if !yield(s[:k]) {
				return
			}
			s = s[k:]
		}
	}
}

// speed is the bit rate that the machine's UART is set to.
func (c *console) speed() (int, error) {
	t, err := unix.IoctlGetTermios(int(c.master.Fd()), unix.TCGETS)
	if err != nil {
		return 0, err
	}
	for rate, bits := range map[int]uint32{9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200} {
		if t.Cflag&unix.CBAUD == bits {
			return rate, nil
		}
	}
	return 0, fmt.Errorf("odd speed bits %#x", t.Cflag&unix.CBAUD)
}

// write makes a file on the machine, by typing it.
func (c *console) write(ctx context.Context, path, text string) error {
	_, err := c.run(ctx, "cat >"+path+" <<'EOF'\r"+strings.ReplaceAll(text, "\n", "\r")+"EOF\rtrue")
	return err
}

// run runs a shell command on the machine, where a shell waits, and returns what it
// wrote. A status other than 0 is an error.
func (c *console) run(ctx context.Context, command string) (string, error) {
	c.mu.Lock()
	c.turn++
	turn := c.turn
	c.buf = nil
	c.mu.Unlock()
	// The marker is written in two parts, so that the echo of the command is not taken for it.
	if err := c.send(ctx, fmt.Sprintf("%s; echo \"==E\"\"ND%d $?\"", command, turn)); err != nil {
		return "", err
	}
	_, text, err := c.expect(ctx, fmt.Sprintf(`==END%d (\d+)\r?\n`, turn))
	if err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	m := regexp.MustCompile(fmt.Sprintf(`==END%d (\d+)`, turn)).FindStringSubmatchIndex(text)
	status := text[m[2]:m[3]]
	out := ansi.ReplaceAllString(strings.ReplaceAll(text[:m[0]], "\r", ""), "")
	// The echo of what was typed ends with the marker's second half.
	if i := strings.LastIndex(out, fmt.Sprintf("ND%d $?\"", turn)); i >= 0 {
		out = out[i:]
		_, out, _ = strings.Cut(out, "\n")
	}
	out = strings.TrimSpace(out)
	if status != "0" {
		return out, fmt.Errorf("%s: exit status %s: %s", command, status, out)
	}
	return out, nil
}

var ansi = regexp.MustCompile(`\x1b\[[0-9;?!]*[a-zA-Z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[()][0-9A-B]|\x1b[=>]`)

// login answers the login prompt.
func (c *console) login(ctx context.Context, user, password string) error {
	if err := c.send(ctx, user); err != nil {
		return err
	}
	if _, _, err := c.expect(ctx, `(?i)password: ?$`); err != nil {
		return err
	}
	if err := c.send(ctx, password); err != nil {
		return err
	}
	if i, text, err := c.expect(ctx, user+`@[^\n]*\$ ?$`, `Login incorrect`); err != nil {
		return err
	} else if i == 1 {
		return fmt.Errorf("the login was refused: %s", lastLines(text, 3))
	}
	return nil
}

// become starts a root shell with a short prompt.
func (c *console) become(ctx context.Context, password string) error {
	if err := c.send(ctx, "sudo -s"); err != nil {
		return err
	}
	if i, _, err := c.expect(ctx, `(?i)password[^\n]*: ?$`, `# ?$`); err != nil {
		return err
	} else if i == 0 {
		if err := c.send(ctx, password); err != nil {
			return err
		}
		if _, _, err := c.expect(ctx, `# ?$`); err != nil {
			return err
		}
	}
	// Kernel messages and a clever prompt would stand between a command's lines.
	_, err := c.run(ctx, "dmesg -n 1; PS1='# '; bind 'set enable-bracketed-paste off' 2>/dev/null; stty cols 500; true")
	return err
}
