package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/system/systemtest"
)

// SIGTERM and Ctrl-C end the daemon promptly with a stream and a request open;
// the bound is generous for a busy machine, the figure is printed.
func TestServeEndsWithStreamsOpen(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			d := start(t, t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(d.pages, "http")+"/display/screen", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			conn.SetReadLimit(16 << 20)
			if _, _, err := conn.Read(ctx); err != nil {
				t.Fatalf("no frame: %v", err)
			}
			status, took := d.end(sig)
			if status != 0 {
				t.Errorf("exit status %d", status)
			}
			t.Logf("ended in %v", took)
			for {
				if _, _, err = conn.Read(ctx); err != nil {
					break
				}
			}
			if websocket.CloseStatus(err) == -1 {
				t.Errorf("the screen was not sent away but cut off: %v", err)
			}
		})
	}
}

// Whatever keeps the daemon from starting is one clear line and an exit status.
func TestServeRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	busy := occupied(t)
	file := write("a-file", "")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"busy port", []string{"--listen", busy}, 1, []string{busy, "in use"}},
		{"unknown key", []string{"--config", write("unknown.toml", "[display]\nwidht = 480\n")}, 2, []string{"unknown.toml:2:1", "widht", "width"}},
		{"wrong type", []string{"--config", write("type.toml", "[display]\nwidth = \"wide\"\n")}, 2, []string{"type.toml:2:9", "width"}},
		{"bad value", []string{"--config", write("value.toml", "[display]\nframes-per-second = 1000\n")}, 2, []string{"value.toml:2:21", "1000", "60"}},
		{"not TOML", []string{"--config", write("broken.toml", "[display\n")}, 2, []string{"broken.toml:1:"}},
		{"no such config", []string{"--config", filepath.Join(dir, "absent.toml")}, 2, []string{"absent.toml"}},
		{"unwritable state", []string{"--state", filepath.Join(file, "state")}, 1, []string{"a-file", "--state"}},
		{"unknown flag", []string{"--port", "80"}, 2, []string{"--port", "--help"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state", filepath.Join(dir, "state")}, test.args...)
			out, err := command(t, args...).CombinedOutput()
			exit, ok := err.(*exec.ExitError)
			if !ok {
				t.Fatalf("it started: %v\n%s", err, out)
			}
			if exit.ExitCode() != test.status {
				t.Errorf("exit status %d, want %d", exit.ExitCode(), test.status)
			}
			if n := strings.Count(strings.TrimSpace(string(out)), "\n"); n != 0 {
				t.Errorf("%d lines, want one:\n%s", n+1, out)
			}
			for _, s := range test.says {
				if !strings.Contains(string(out), s) {
					t.Errorf("does not say %q:\n%s", s, out)
				}
			}
		})
	}
}

// What was acknowledged is there after kill -9.
func TestServeKilled(t *testing.T) {
	state := t.TempDir()
	quotes := filepath.Join(t.TempDir(), "own.txt")
	if err := os.WriteFile(quotes, []byte("Still waters boot slowly.\n\t\t-- A. Tester\n%\nA full card is a quiet card.\n%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, state)
	// The daemon runs; the import acknowledges; then the plug is pulled.
	if out, err := command(t, "quotes", "import", "--state", state, quotes).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	_, _ = d.end(syscall.SIGKILL)
	if d.said("owner") == "" {
		t.Error("the first start printed no owner's secret")
	}
	d = start(t, state)
	var latest []struct{ Text, Author string }
	if err := json.Unmarshal([]byte(d.get("/json/latest?count=10")), &latest); err != nil {
		t.Fatal(err)
	}
	if len(latest) != 2 {
		t.Fatalf("%d quotes after the kill, want 2: %v", len(latest), latest)
	}
	_, _ = d.end(syscall.SIGTERM)
	if d.said("owner") != "" {
		t.Error("a second start printed a new owner's secret")
	}
}

func TestServeHealth(t *testing.T) {
	d := start(t, t.TempDir())
	var report struct {
		Status string
		Parts  []struct {
			Name, State, Why string
			Since            time.Time
		}
	}
	if err := json.Unmarshal([]byte(d.get("/healthz")), &report); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, p := range report.Parts {
		states[p.Name] = p.State
		if age := time.Since(p.Since); age < -time.Minute || age > time.Minute {
			t.Errorf("%s since %v", p.Name, p.Since)
		}
	}
	if report.Status != "ok" || states["store"] != "ok" || states["pages"] != "ok" || states["display"] != "absent" {
		t.Errorf("report = %+v", report)
	}
}

// READY, STATUS, WATCHDOG and STOPPING as a service manager sees them.
func TestServeNotifies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	cmd := command(t, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state", t.TempDir())
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	await := func(want string) {
		t.Helper()
		_ = manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 4096)
		for {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if strings.Contains(string(buf[:n]), want) {
				return
			}
		}
	}
	await("READY=1")
	await("STATUS=")
	await("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Sockets that systemd opened are used by their names.
func TestServeActivated(t *testing.T) {
	var files []*os.File
	var ports []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, ports = append(files, f), append(ports, l.Addr().String())
	}
	cmd := command(t, "serve", "--state", t.TempDir())
	cmd.ExtraFiles = files // descriptors 3 and 4
	// LISTEN_PID must be the daemon's own, which only it knows: a shell tells it.
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=metrics:http")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for i, path := range []string{"/metrics", "/readyz"} {
		resp, err := http.Get("http://" + ports[i] + path) // waits in the backlog until the daemon answers
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// promtool has nothing to say about /metrics, and a real Prometheus scrapes it.
func TestServeScraped(t *testing.T) {
	d := start(t, t.TempDir())
	promtool := systemtest.Tool(t, "promtool", "prometheus")
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(d.get(d.scrapes))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	prometheus := systemtest.Tool(t, "prometheus", "prometheus")
	dir := t.TempDir()
	target, err := url.Parse(d.scrapes)
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: sierpi, static_configs: [{targets: ['%s']}]}\n", target.Host)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	server := exec.Command(prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	for deadline := time.Now().Add(time.Minute); ; {
		resp, err := http.Get("http://" + listen + "/api/v1/query?query=" + url.QueryEscape(`sierpi_build_info`))
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if strings.Contains(string(body), `"version"`) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("Prometheus never had sierpi_build_info")
		}
		select {
		case <-time.After(250 * time.Millisecond): // the next scrape
		case <-t.Context().Done():
		}
	}
}

// freeAddress is an address that nobody listens on just now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
