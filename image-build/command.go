package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// command is one run of a Debian tool.
type command struct {
	dir   string
	env   []string  // beside a clean, fixed environment
	stdin io.Reader // nil: empty
	log   io.Writer // gets what the tool says; nil: only the error does
}

// run runs a tool and returns its standard output. An error holds the end of
// what the tool said.
func (c command) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Stdin = c.stdin
	// Nothing of the caller's locale, time zone or proxy for D-Bus may change what is
	// built; PATH is fixed because /usr/sbin is missing from many users'.
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
	}, c.env...)
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	// Ended gently first: mmdebstrap unmounts what it mounted.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var out bytes.Buffer
	end := &tail{limit: 4000}
	cmd.Stdout = &out
	cmd.Stderr = end
	if c.log != nil {
		fmt.Fprintf(c.log, "+ %s %s\n", name, strings.Join(args, " "))
		cmd.Stdout = io.MultiWriter(&out, c.log)
		cmd.Stderr = io.MultiWriter(end, c.log)
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	if err != nil {
		said := strings.TrimSpace(end.String())
		if said == "" {
			said = strings.TrimSpace(lastLines(out.String(), 10))
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && said != "" {
			return nil, fmt.Errorf("%s: %w: %s", name, err, said)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out.Bytes(), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	data  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.data) }
