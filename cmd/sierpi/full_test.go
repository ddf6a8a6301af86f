package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system/systemtest"
)

// A card at 100 % keeps the wall and the reading, says so, is no obstacle to a restart
// (the plug was pulled, too), and recovers.
func TestServeOnAFullCard(t *testing.T) {
	systemtest.Root(t)
	card := t.TempDir()
	if err := unix.Mount("card", card, "tmpfs", 0, "size=16m"); err != nil {
		systemtest.Absent(t, "no small file system can be mounted: "+err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(card, unix.MNT_DETACH) })
	state := filepath.Join(card, "state")
	d := start(t, state)
	if status, said := d.say("before the card was full"); status != http.StatusOK {
		t.Fatalf("posting: %d %s", status, said)
	}
	wall := d.wall()
	frames(t, wall, 5)

	filler := filepath.Join(card, "photographs")
	fill(t, filler)
	// What room there is in the files that are there may take some more.
	var status int
	var said string
	for range 2000 {
		if status, said = d.say("while it filled " + strings.Repeat("x", 400)); status != http.StatusOK {
			break
		}
		fill(t, filler)
	}
	if status != http.StatusInsufficientStorage || !strings.Contains(said, "full") {
		t.Fatalf("posting to a full card: %d %s", status, said)
	}
	full := func(when string) {
		t.Helper()
		if room := d.get("/chat/lobby"); !strings.Contains(room, "before the card was full") {
			t.Errorf("%s: the chat cannot be read", when)
		}
		if part := d.part("storage"); part.State != "failed" || !strings.Contains(part.Why, "full") {
			t.Errorf("%s: the storage is said to be %+v", when, part)
		}
		if part := d.part("store"); part.State != "ok" {
			t.Errorf("%s: the store is said to be %+v: the watchdog would end the wall", when, part)
		}
		if page := d.get("/health"); !strings.Contains(page, "the card is full") {
			t.Errorf("%s: the page does not say it", when)
		}
		frames(t, wall, 5)
	}
	full("running")
	_, _ = d.end(syscall.SIGKILL)
	d = start(t, state)
	wall = d.wall()
	full("after a kill")
	if status, took := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("ending on a full card: status %d after %v", status, took)
	}
	// A clean end takes SQLite's log and shared memory away, and somebody takes that room.
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d = start(t, state)
	_, _ = d.end(syscall.SIGTERM)
	if _, err := os.Stat(filepath.Join(state, "sierpi.db-shm")); err == nil {
		t.Fatal("the shared memory is still there: nothing is tried below")
	}
	for range 3 {
		fill(t, filler)
		d = start(t, state)
		wall = d.wall()
		full("after a clean end")
		_, _ = d.end(syscall.SIGTERM)
	}
	d = start(t, state)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if status, said := d.say("after it was freed"); status != http.StatusOK {
		t.Errorf("posting after room was made: %d %s", status, said)
	}
	if part := d.part("storage"); part.State == "failed" {
		t.Errorf("after room was made the storage is said to be %+v", part)
	}
	_, _ = d.end(syscall.SIGTERM)
	d = start(t, state)
	if st, err := os.Stat(filepath.Join(state, "reserve")); err != nil || st.Sys().(*syscall.Stat_t).Blocks*512 < 1<<20 {
		t.Errorf("the room for the next time is not taken again: %v, %v", st, err)
	}
}

// fill takes all that is left of a file system.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil && errors.Is(err, unix.ENOSPC) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// say posts a message to the lobby.
func (d *process) say(text string) (status int, said string) {
	d.t.Helper()
	doc, err := json.Marshal(map[string]string{"key": strings.Repeat("k", 8) + time.Now().Format("150405.000000000"), "name": "tester", "text": text})
	if err != nil {
		d.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Post(d.pages+"/json/chat/lobby", "application/json", strings.NewReader(string(doc)))
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// part is one of the parts of /healthz.
func (d *process) part(name string) (found struct{ Name, State, Why string }) {
	d.t.Helper()
	var report struct {
		Parts []struct{ Name, State, Why string }
	}
	if err := json.Unmarshal([]byte(d.get("/healthz")), &report); err != nil {
		d.t.Fatal(err)
	}
	for _, p := range report.Parts {
		if p.Name == name {
			return p
		}
	}
	d.t.Fatalf("/healthz has no part %s", name)
	return found
}

// wall is a screen.
func (d *process) wall() *websocket.Conn {
	d.t.Helper()
	conn, _, err := websocket.Dial(d.t.Context(), "ws"+strings.TrimPrefix(d.pages, "http")+"/display/screen", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(16 << 20)
	return conn
}

// frames waits for so many of them.
func frames(t *testing.T, conn *websocket.Conn, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range n {
		if _, _, err := conn.Read(ctx); err != nil {
			t.Fatalf("the wall stands still: %v", err)
		}
	}
}
