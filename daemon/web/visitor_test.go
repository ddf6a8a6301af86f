package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// newVisitors is a door whose clock the test turns.
func newVisitors(t *testing.T, dir string) (*VisitorDoor, *time.Duration) {
	t.Helper()
	d, err := OpenVisitorDoor(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := new(time.Duration)
	d.uptime = func() time.Duration { return *now }
	return d, now
}

// scan is a request from a phone at an address.
func scan(address string) *http.Request {
	r := httptest.NewRequest("POST", "/join", nil)
	r.RemoteAddr = net.JoinHostPort(address, "5555")
	return r
}

func (d *VisitorDoor) mustOpen(t *testing.T, address, code string) *http.Request {
	t.Helper()
	r := scan(address)
	id, refused := d.open(r, code)
	if refused != nil {
		t.Fatalf("%s: %s", address, refused.what)
	}
	r.AddCookie(&http.Cookie{Name: visitorCookie, Value: id})
	return r
}

func code(d *VisitorDoor) string { c, _, _ := d.Code(); return c }

// TestVisitorCodes is the life of codes: rotation, grace, expiry, one use each.
func TestVisitorCodes(t *testing.T) {
	d, now := newVisitors(t, t.TempDir())
	first := code(d)
	if !regexp.MustCompile(`^[0-9A-Z]{16}$`).MatchString(first) {
		t.Errorf("the code is %q", first)
	}
	*now += codeEvery - time.Second
	if code(d) != first {
		t.Error("the code changed before its time")
	}
	if _, left, _ := d.Code(); left != time.Second {
		t.Errorf("%v left", left)
	}
	*now += time.Second
	second := code(d)
	if second == first {
		t.Fatal("the code does not rotate")
	}
	// Who scanned just before the change still gets in; later nobody does.
	*now += codeEvery - time.Second
	d.mustOpen(t, "192.0.2.1", first)
	if code(d) != second {
		t.Error("the use of an older code changed the one on the wall")
	}
	*now += 2 * time.Second // 2 minutes and a second after the first
	if _, refused := d.open(scan("192.0.2.2"), first); refused == nil {
		t.Error("a code that is over let somebody in")
	}
	third := code(d)
	_, _, changed := d.Code()
	d.mustOpen(t, "192.0.2.3", third)
	select {
	case <-changed:
	default:
		t.Error("who shows the code is not told that it was used")
	}
	if code(d) == third {
		t.Error("a used code stays on the wall")
	}
	if _, refused := d.open(scan("192.0.2.4"), third); refused == nil {
		t.Error("a code let two in")
	}
	for _, guess := range []string{"", "0000000000000000", third[:15], third + "0"} {
		if _, refused := d.open(scan("192.0.2.5"), guess); refused == nil {
			t.Errorf("%q let somebody in", guess)
		}
	}
}

// TestVisits is how long a visit lasts, and that no clock but the monotonic one says so.
func TestVisits(t *testing.T) {
	d, now := newVisitors(t, t.TempDir())
	r := d.mustOpen(t, "192.0.2.1", code(d))
	if d.Identify(r) != Visitor || d.Name(r) == "" {
		t.Fatal("the visitor is none")
	}
	session := d.Session(r)
	for range 7 { // used now and then
		*now += visitIdle - time.Minute
		if d.Identify(r) != Visitor {
			t.Fatalf("the visit is over after %v", *now)
		}
	}
	*now += visitLife
	if d.Identify(r) != Anyone || len(d.Visitors()) != 0 {
		t.Error("the visit lasts for ever")
	}
	if session.Err() == nil {
		t.Error("a stream of the visit goes on after its end")
	}
	r = d.mustOpen(t, "192.0.2.1", code(d))
	*now += visitIdle
	if d.Identify(r) != Anyone {
		t.Error("a phone that was put away is still a visitor's")
	}
	// One phone that scans again has one visit; and there are only so many.
	r = d.mustOpen(t, "192.0.2.1", code(d))
	if _, refused := d.open(r, code(d)); refused != nil || len(d.Visitors()) != 1 {
		t.Errorf("scanned again: %v, %d visits", refused, len(d.Visitors()))
	}
	for i := range maxVisits - 1 {
		d.mustOpen(t, "192.0.2.1", code(d))
		_ = i
	}
	if _, refused := d.open(scan("192.0.2.1"), code(d)); refused == nil {
		t.Error("there is no end of visitors")
	}
	names := map[string]bool{}
	for _, v := range d.Visitors() {
		names[v.Name] = true
	}
	if len(names) != maxVisits {
		t.Errorf("%d names for %d visitors", len(names), maxVisits)
	}
}

// TestFreezeAndBan is the owner's hand, and that it outlasts a restart.
func TestFreezeAndBan(t *testing.T) {
	dir := t.TempDir()
	d, _ := newVisitors(t, dir)
	old := code(d)
	good, bad := d.mustOpen(t, "192.0.2.1", old), d.mustOpen(t, "2001:db8::7", code(d))
	photographed := code(d)
	session := d.Session(good)
	if err := d.Freeze(true); err != nil {
		t.Fatal(err)
	}
	if d.Identify(good) != Anyone || session.Err() == nil || code(d) != "" {
		t.Error("frozen, and yet something moves")
	}
	if _, refused := d.open(scan("192.0.2.9"), photographed); refused == nil {
		t.Error("somebody came in while frozen")
	}
	if again, _ := newVisitors(t, dir); !again.Frozen() {
		t.Error("the freeze did not outlast a restart")
	}
	if err := d.Freeze(false); err != nil {
		t.Fatal(err)
	}
	if d.Identify(good) != Visitor || d.Session(good).Err() != nil {
		t.Error("thawed, and yet the visitor is none")
	}
	if _, refused := d.open(scan("192.0.2.9"), photographed); refused == nil {
		t.Error("a photograph of before the freeze let somebody in")
	}
	session = d.Session(bad)
	if err := d.Ban(d.Name(bad)); err != nil {
		t.Fatal(err)
	}
	if d.Identify(bad) != Anyone || session.Err() == nil {
		t.Error("banned, and yet a visitor")
	}
	// The neighbour's address is in the same /64: it is the same client, by all that can be known.
	d, _ = newVisitors(t, dir)
	if _, refused := d.open(scan("2001:db8::8"), code(d)); refused == nil {
		t.Error("banned, and in again with another address and after a restart")
	}
	bans := d.Bans()
	if len(bans) != 1 || bans[0].Client != "2001:db8::/64" {
		t.Fatalf("%+v", bans)
	}
	if err := d.Pardon(bans[0].Client); err != nil {
		t.Fatal(err)
	}
	d.mustOpen(t, "2001:db8::8", code(d))
	for _, err := range []error{d.Ban("Nobody"), d.Pardon("192.0.2.77")} {
		if err == nil {
			t.Error("no error for who is not there")
		}
	}
	// A file that cannot be read opens nothing.
	if err := os.WriteFile(filepath.Join(dir, visitorsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, _ := newVisitors(t, dir); !d.Frozen() {
		t.Error("with a damaged list of bans the wall is open")
	}
}

// TestStreamsEndWithTheVisit is the router's part of it.
func TestStreamsEndWithTheVisit(t *testing.T) {
	d, _ := newVisitors(t, t.TempDir())
	log := slog.New(slog.DiscardHandler)
	look, err := NewLook(LookOptions{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	in, out := make(chan struct{}), make(chan error)
	h, err := NewRouter([]Route{{Method: "GET", Pattern: "/stream", Role: Visitor, Streams: true, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(in)
		<-r.Context().Done()
		out <- r.Context().Err()
	})}}, RouterOptions{Look: look, Hosts: NewHosts("wall"), Identities: []Identity{d}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r := d.mustOpen(t, "192.0.2.1", code(d))
	stream := httptest.NewRequest("GET", "http://wall/stream", nil)
	stream.RemoteAddr = r.RemoteAddr
	c, err := r.Cookie(visitorCookie)
	if err != nil {
		t.Fatal(err)
	}
	stream.AddCookie(c)
	go h.ServeHTTP(httptest.NewRecorder(), stream)
	<-in
	if err := d.Ban(d.Name(r)); err != nil {
		t.Fatal(err)
	}
	if err := <-out; err != context.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}
