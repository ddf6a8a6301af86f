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
	"time"

	"github.com/sierpi/sierpi/daemon/store/storetest"
)

// chatAnswer is what a poll or a snapshot of the chat brings.
type chatAnswer struct {
	Rooms []struct {
		Room, Cursor string
		Messages     []struct{ Text string }
	}
	Cursor   string
	Stopping bool
	err      error
}

// send posts JSON to the daemon and reads its answer.
func (d *process) send(path string, in any) (out chatAnswer) {
	body, err := json.Marshal(in)
	if err != nil {
		return chatAnswer{err: err}
	}
	resp, err := http.Post(d.pages+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return chatAnswer{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return chatAnswer{err: fmt.Errorf("%s: %s", path, resp.Status)}
	}
	out.err = json.NewDecoder(resp.Body).Decode(&out)
	return out
}

// poll asks for what comes after the lobby's newest message, and returns once the
// daemon has the poll.
func (d *process) poll(client string) <-chan chatAnswer {
	d.t.Helper()
	var snap chatAnswer
	if err := json.Unmarshal([]byte(d.get("/json/chat/lobby")), &snap); err != nil {
		d.t.Fatal(err)
	}
	got := make(chan chatAnswer, 1)
	go func() {
		got <- d.send("/json/chat-poll", map[string]any{"client": client, "name": client, "cursors": []string{snap.Cursor}})
	}()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(d.get(d.scrapes), "sierpi_chat_waiters 1"); {
		if time.Now().After(end) {
			d.t.Fatal("the poll never arrived")
		}
	}
	return got
}

// SIGTERM answers every open poll, and tells it why.
func TestServeAnswersPollsAtTheEnd(t *testing.T) {
	d := start(t, t.TempDir())
	got := d.poll("ann")
	if status, took := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d after %v", status, took)
	}
	if a := <-got; a.err != nil || !a.Stopping {
		t.Errorf("the poll was answered %+v", a)
	}
}

// Two daemons on one PostgreSQL are one chat and one quotes database.
func TestServeTogether(t *testing.T) {
	server := storetest.Postgres(t)
	values := map[string]string{}
	for field := range strings.FieldsSeq(server.Database(t)) {
		name, value, _ := strings.Cut(field, "=")
		values[name] = value
	}
	config := filepath.Join(t.TempDir(), "sierpi.toml")
	text := fmt.Sprintf("[store]\ndsn = 'postgres:///%s?host=%s&user=%s'\n[chat]\nrooms = ['kitchen']\n", values["dbname"], url.QueryEscape(values["host"]), values["user"])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := start(t, t.TempDir(), "--config", config), start(t, t.TempDir(), "--config", config)
	got := one.poll("ann")
	if a := two.send("/json/chat/lobby", map[string]string{"key": "k1", "name": "Bob", "text": "from the other daemon"}); a.err != nil {
		t.Fatal(a.err)
	}
	if a := <-got; a.err != nil || len(a.Rooms) != 1 || len(a.Rooms[0].Messages) != 1 || a.Rooms[0].Messages[0].Text != "from the other daemon" {
		t.Errorf("the first daemon's poll was answered %+v", a)
	}
	if !strings.Contains(two.get("/chat/kitchen"), "Nothing has been said yet") {
		t.Error("the config's room is not there")
	}
	quotes := filepath.Join(t.TempDir(), "own.txt")
	if err := os.WriteFile(quotes, []byte("Two roofs, one kitchen.\n\t\t-- A. Tester\n%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "quotes", "import", "--config", config, "--state", t.TempDir(), quotes).CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	for _, d := range []*process{one, two} {
		if s := d.get("/json/latest?count=1"); !strings.Contains(s, "Two roofs, one kitchen.") {
			t.Errorf("the latest quote: %s", s)
		}
	}
}
