package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program too, so that tests run the real
// thing, with its signals and exit codes.
func TestMain(m *testing.M) {
	if os.Getenv("SIERPI_BE_SIERPI") == "1" {
		main()
	}
	testscript.Main(m, map[string]func(){"sierpi": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts runs the command line as a user does; each script is headed by
// what it holds.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// unhex FROM TO writes the bytes that a script holds in hexadecimal.
			"unhex": func(ts *testscript.TestScript, _ bool, args []string) {
				data, err := hex.DecodeString(strings.Join(strings.Fields(ts.ReadFile(args[0])), ""))
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
			},
		},
	})
}

// process is a running `sierpi serve`.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	state   string
	pages   string // "http://127.0.0.1:12345"
	scrapes string
	kiosk   string // the address that signs the wall in

	mu      sync.Mutex
	printed bytes.Buffer  // on standard output
	news    chan struct{} // something was printed
	log     bytes.Buffer
}

var addresses = regexp.MustCompile(`(?m)^(pages|metrics|wall|owner) +(\S+)[ \n]`)

// said is what the daemon printed under a name; empty: nothing so far. After its end
// that is all there will be.
func (d *process) said(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range addresses.FindAllStringSubmatch(d.printed.String(), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// greeting takes what the daemon prints.
type greeting struct{ d *process }

func (g greeting) Write(p []byte) (int, error) {
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	select {
	case g.d.news <- struct{}{}:
	default: // it was told that there is news, and has not looked yet
	}
	return g.d.printed.Write(p)
}

// start runs the daemon on free ports and waits until it is ready.
func start(t *testing.T, state string, args ...string) *process {
	t.Helper()
	return startAs(t, state, nil, args...)
}

// startAs is start; change may change how the program is run.
func startAs(t *testing.T, state string, change func(*exec.Cmd), args ...string) *process {
	t.Helper()
	d := &process{t: t, state: state, news: make(chan struct{}, 1)}
	d.cmd = command(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state", state}, args...)...)
	d.cmd.Stdout, d.cmd.Stderr = greeting{d}, lockedWriter{d}
	if change != nil {
		change(d.cmd)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.logged())
		}
	})
	patience := time.After(time.Minute)
	for d.pages == "" || d.scrapes == "" || d.kiosk == "" {
		select {
		case <-d.news:
		case <-patience:
			t.Fatalf("the daemon printed no address\n%s", d.logged())
		}
		d.pages, d.scrapes, d.kiosk = strings.TrimSuffix(d.said("pages"), "/"), d.said("metrics"), d.said("wall")
	}
	d.await("/readyz", http.StatusOK)
	return d
}

// command is the program with these arguments, not yet started.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SIERPI_BE_SIERPI=1", "XDG_RUNTIME_DIR=", "STATE_DIRECTORY=", "RUNTIME_DIRECTORY=", "INVOCATION_ID=", "JOURNAL_STREAM=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=")
	return cmd
}

type lockedWriter struct{ d *process }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	return w.d.log.Write(p)
}

func (d *process) logged() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// await asks an address until it answers with a status.
func (d *process) await(path string, status int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.pages+path, nil)
		if err != nil {
			d.t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == status {
				return
			}
		} else if ctx.Err() != nil {
			d.t.Fatalf("%s never answered %d: %v", path, status, err)
		}
	}
}

// get reads an address, which must answer 200.
func (d *process) get(url string) string {
	d.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = d.pages + url
	}
	resp, err := http.Get(url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s\n%s", url, resp.Status, body)
	}
	return string(body)
}

// end sends a signal and returns the exit status and how long it took.
func (d *process) end(sig os.Signal) (status int, took time.Duration) {
	d.t.Helper()
	began := time.Now()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
	_ = d.cmd.Wait()
	return d.cmd.ProcessState.ExitCode(), time.Since(began)
}

// occupied is an address that somebody listens on.
func occupied(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
