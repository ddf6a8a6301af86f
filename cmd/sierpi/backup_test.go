package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sierpi/sierpi/daemon/store/storetest"
)

// sierpi runs the program to its end and returns what it printed; it must end with status.
func sierpi(t *testing.T, status int, stdin string, args ...string) string {
	t.Helper()
	cmd := command(t, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("sierpi %s ended with %d, want %d:\n%s", strings.Join(args, " "), got, status, out.String())
	}
	return out.String()
}

// post sends a message into the lobby.
func (d *process) post(text string) {
	d.t.Helper()
	resp, err := http.PostForm(d.pages+"/chat/lobby", url.Values{"key": {strings.ReplaceAll(text, " ", "-")}, "name": {"Ada"}, "text": {text}})
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // the page that it leads back to
		d.t.Fatalf("posting: %s", resp.Status)
	}
}

// TestBackupOfARunningDaemon makes a backup while people chat, and brings it onto another
// board and onto PostgreSQL; the daemons there serve it, and the owner's secret opens them.
func TestBackupOfARunningDaemon(t *testing.T) {
	dir := t.TempDir()
	state, sticks := filepath.Join(dir, "state"), filepath.Join(dir, "stick")
	if err := os.MkdirAll(sticks, 0o755); err != nil {
		t.Fatal(err)
	}
	fortunes := filepath.Join(dir, "fortunes")
	if err := os.WriteFile(fortunes, []byte("The universe is bigger than this card.\n        -- Ada\n%\nTwo lines\nof nothing.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sierpi(t, 0, "", "quotes", "import", "--state", state, fortunes)
	d := start(t, state)
	secret := d.said("owner")
	d.post("before the backup")
	var made struct{ File string }
	if err := json.Unmarshal([]byte(sierpi(t, 0, "", "backup", "create", "--json", "--state", state, "--to", sticks)), &made); err != nil {
		t.Fatal(err)
	}
	d.post("after the backup")
	if got := sierpi(t, 0, "", "backup", "list", "--from", sticks, "--verify"); !strings.Contains(got, "2 quotes, 1 messages") || !strings.Contains(got, "; whole") {
		t.Errorf("listed\n%s", got)
	}
	// Not under a daemon that runs.
	if got := sierpi(t, 1, "", "backup", "restore", "--yes", "--state", state, made.File); !strings.Contains(got, "in use") || !strings.Contains(got, "stop it first") {
		t.Errorf("while it runs: %s", got)
	}
	d.end(syscall.SIGTERM)
	if got := sierpi(t, 5, "n\n", "backup", "restore", "--state", state, made.File); !strings.Contains(got, "nothing was changed") {
		t.Errorf("told no: %s", got)
	}
	if got := sierpi(t, 0, "", "backup", "restore", "--dry-run", "--state", state, made.File); !strings.Contains(got, "dry run") {
		t.Errorf("dry run: %s", got)
	}

	config := filepath.Join(dir, "postgres.toml")
	f := map[string]string{}
	for part := range strings.FieldsSeq(storetest.Postgres(t).Database(t)) {
		k, v, _ := strings.Cut(part, "=")
		f[k] = v
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, "[store]\ndsn = \"postgres://%s@/%s?host=%s\"\n", f["user"], f["dbname"], f["host"]), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.toml")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ state, config string }{
		"the same board, taken back": {state, empty},
		"another board":              {filepath.Join(dir, "other"), empty},
		"PostgreSQL":                 {filepath.Join(dir, "beside"), config},
	} {
		t.Run(name, func(t *testing.T) {
			sierpi(t, 0, "y\n", "backup", "restore", "--state", c.state, "--config", c.config, made.File)
			if _, err := os.Stat(filepath.Join(c.state, "before-restore")); err != nil {
				t.Errorf("the old state is not kept: %v", err)
			}
			d := start(t, c.state, "--config", c.config)
			if got := d.get("/quotes?q=universe"); !strings.Contains(got, "bigger than this card") {
				t.Errorf("the quote is not found:\n%s", got)
			}
			got := d.get("/chat/lobby")
			if !strings.Contains(got, "before the backup") || strings.Contains(got, "after the backup") {
				t.Errorf("the chat:\n%s", got)
			}
			d.post("and it goes on")
			if d.said("owner") != "" {
				t.Error("there is a new owner's secret")
			}
			resp, err := http.PostForm(d.pages+"/owner/login", map[string][]string{"secret": {secret}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("the owner's secret: %s", resp.Status)
			}
			if !strings.Contains(d.get("/healthz"), `"backup"`) {
				t.Error("/healthz has no part for backups")
			}
			// It is ready: what was before is let go of.
			if _, err := os.Stat(filepath.Join(c.state, "before-restore")); !os.IsNotExist(err) {
				t.Errorf("the old state is still there: %v", err)
			}
		})
	}
}

// TestResetCommand: asked twice, or told on purpose, and never under a daemon that runs.
func TestResetCommand(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, state)
	secret := d.said("owner")
	if got := sierpi(t, 5, "", "reset", "--erase", host, "--state", state); !strings.Contains(got, "stop the daemon") {
		t.Errorf("while it runs: %s", got)
	}
	d.end(syscall.SIGTERM)
	for _, answers := range []string{"", "yes\nyes\n", host + "\nno\n", host + "\n\n"} {
		if got := sierpi(t, 5, answers, "reset", "--state", state); !strings.Contains(got, "nothing was changed") {
			t.Errorf("answered %q: %s", answers, got)
		}
	}
	sierpi(t, 2, "", "reset", "--erase", "not-"+host, "--state", state)
	if got := sierpi(t, 0, "", "reset", "--dry-run", "--state", state); !strings.Contains(got, "sierpi.db") || !strings.Contains(got, "dry run") {
		t.Errorf("dry run: %s", got)
	}
	sierpi(t, 0, host+"\nyes\n", "reset", "--state", state)
	if got := start(t, state).said("owner"); got == "" || got == secret {
		t.Errorf("after it the owner's secret is %q", got)
	}
}

// TestWatchedUpdate puts a version back by the program itself, files and schema, in a tree
// with a systemctl that says that the new daemon ends at once.
func TestWatchedUpdate(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put("usr/bin/sierpi", "new")
	put("usr/lib/sierpi/previous/usr/bin/sierpi", "old")
	put("usr/lib/sierpi/previous/version", "1.0\n")
	put("etc/empty.toml", "")
	put("var/lib/sierpi-system/update-pending", "1.0 2.0\n")
	state := filepath.Join(root, "var/lib/sierpi")
	sierpi(t, 0, "", "quotes", "import", "--state", state, "/dev/null")
	if got := sierpi(t, 5, "", "updates", "rollback", "--root", root); !strings.Contains(got, "puts sierpi 1.0 back") {
		t.Errorf("not asked: %s", got)
	}
	got := sierpi(t, 0, "y\n", "updates", "rollback", "--root", root)
	if !strings.Contains(got, "sierpi 1.0 is back") {
		t.Errorf("said %s", got)
	}
	if now, err := os.ReadFile(filepath.Join(root, "usr/bin/sierpi")); err != nil || string(now) != "old" {
		t.Errorf("installed is %q: %v", now, err)
	}
	// The daemon says so.
	d := start(t, filepath.Join(t.TempDir(), "state"), "--root", root)
	if got := d.get("/healthz"); !strings.Contains(got, "1.0 was put back") {
		t.Errorf("/healthz does not say so:\n%s", got)
	}
	if got := sierpi(t, 0, "", "updates", "status", "--root", root, "--config", filepath.Join(root, "etc/empty.toml")); !strings.Contains(got, "1.0 was put back") {
		t.Errorf("status: %s", got)
	}
}
