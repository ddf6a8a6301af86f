package kiosk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system"
)

// steps notes what is asked of the machine, and that it was on disk before.
type steps struct {
	t     *testing.T
	path  string
	clock *time.Duration
	taken []string
}

func (s *steps) note(what Step) error {
	var r record
	doc, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(doc, &r)
	}
	if err != nil || r.Level != what {
		s.t.Errorf("%v was asked for before it was written down (%v)", what, err)
	}
	s.taken = append(s.taken, fmt.Sprintf("%v at %v", what, *s.clock))
	return nil
}

func (s *steps) RestartSession(context.Context) error { return s.note(RestartSession) }
func (s *steps) Reboot(context.Context) error         { return s.note(Reboot) }

// A browser that starts and never shows anything: every step comes in its time, and
// the machine is rebooted once an hour, three times, and then no more.
func TestKeeperClimbs(t *testing.T) {
	dir := t.TempDir()
	stub := filepath.Join(dir, "chromium")
	// It closes its pipes, so that it answers nothing at once.
	if err := os.WriteFile(stub, []byte("#!/bin/sh\nexec sleep 1000 3<&- 4>&-\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == outputsPath && r.Header.Get("X-Token") != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"outputs":[{"name":"screen","page":"/kiosk?output=screen","on":true,"state":"gone"}]}`)
	}))
	defer daemon.Close()
	t.Setenv("DISPLAY", ":4711") // no X server there: one screen is assumed

	path := filepath.Join(dir, "kiosk.json")
	now := time.Duration(0)
	machine := &steps{t: t, path: path, clock: &now}
	var counts []int
	for _, boot := range []string{"a", "b", "c", "d", "e"} {
		rec, err := openRecord(path)
		if err != nil {
			t.Fatal(err)
		}
		now = 10 * time.Second
		k := &keeper{
			Options: Options{
				Root: system.Root(dir), Flags: nil, Profile: filepath.Join(dir, "profile"), Machine: machine, Output: io.Discard, Log: slog.New(slog.DiscardHandler),
				Daemon: Daemon{Base: mustURL(t, daemon.URL+"/"), TokenFile: token, Header: "X-Token", SignIn: "/sign-in"},
			},
			clock: func() time.Duration { return now }, program: stub, record: rec, boot: boot, away: true, said: map[string]string{},
		}
		k.client = newClient(k.Daemon)
		k.ladder.level = rec.level(boot, now)
		if err := k.start(false); err != nil {
			t.Fatal(err)
		}
		before := len(machine.taken)
		for ; now < 2*time.Hour && !slices.ContainsFunc(machine.taken[before:], func(s string) bool { return s[:6] == "reboot" }); now += time.Minute {
			k.tick(t.Context())
		}
		k.browser.kill()
		counts = append(counts, len(machine.taken)-before)
	}
	// The browser is started anew after 5 minutes, the session after 10, the machine after 15;
	// after a reboot an hour must have passed.
	if len(machine.taken) < 2 || machine.taken[0][:len(RestartSession.String())] != RestartSession.String() {
		t.Fatalf("%q", machine.taken)
	}
	reboots := 0
	for _, s := range machine.taken {
		if s[:6] == "reboot" {
			reboots++
		}
	}
	if reboots != rebootsInVain {
		t.Errorf("%d reboots, want %d: %q", reboots, rebootsInVain, machine.taken)
	}
	t.Logf("%d boots: %q", len(counts), machine.taken)
}
