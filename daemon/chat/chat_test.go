package chat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/system/systemtest"
)

// daemon is one daemon's chat behind the real router.
type daemon struct {
	*Service
	url    string
	secret string // the owner's
	stop   context.CancelFunc
}

func start(t testing.TB, so store.Options, o Options) *daemon {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	look, err := web.NewLook(web.LookOptions{Name: "sierpi", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	owner, secret, err := web.OpenOwnerDoor(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	o.DB, o.Look = db, look
	if o.Posts == nil {
		o.Posts = web.NewLimiter(time.Microsecond, 1000, 100)
	}
	if o.Hold == 0 {
		o.Hold = 10 * time.Second
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.NewRouter(slices.Concat(look.Routes(), owner.Routes(look), s.Routes()),
		web.RouterOptions{Look: look, Hosts: web.NewHosts("sierpi"), Identities: []web.Identity{owner}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return &daemon{s, server.URL, secret, cancel}
}

func onBoth(t *testing.T, tests map[string]func(*testing.T, store.Options)) {
	t.Run("SQLite", func(t *testing.T) {
		for name, f := range tests {
			t.Run(name, func(t *testing.T) { f(t, store.Options{Dir: t.TempDir()}) })
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := storetest.Postgres(t)
		for name, f := range tests {
			t.Run(name, func(t *testing.T) { f(t, store.Options{DSN: server.Database(t)}) })
		}
	})
}

// call sends JSON and reads JSON; who is the author's cookie.
func call(t testing.TB, method, address, who string, in, out any) *http.Response {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: whose, Value: "test-author-of-some-length-" + who})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil && resp.StatusCode == 200 {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, address, err, b)
		}
	}
	return resp
}

type postBody struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	Text string `json:"text"`
}

func (d *daemon) say(t testing.TB, room, who, key, text string) Message {
	t.Helper()
	var m Message
	if resp := call(t, "POST", d.url+"/json/chat/"+room, who, postBody{key, who, text}, &m); resp.StatusCode != 200 {
		t.Fatalf("posting: %d", resp.StatusCode)
	}
	return m
}

func (d *daemon) snapshot(t testing.TB, room, who string) Snapshot {
	t.Helper()
	var snap Snapshot
	if resp := call(t, "GET", d.url+"/json/chat/"+room, who, nil, &snap); resp.StatusCode != 200 {
		t.Fatalf("snapshot: %d", resp.StatusCode)
	}
	return snap
}

func (d *daemon) ask(t testing.TB, client string, cursors ...string) Answer {
	t.Helper()
	var a Answer
	if resp := call(t, "POST", d.url+"/json/chat-poll", client, Poll{Client: client, Name: client, Cursors: cursors}, &a); resp.StatusCode != 200 {
		t.Fatalf("polling: %d", resp.StatusCode)
	}
	return a
}

func texts(ms []Message) string {
	var out []string
	for _, m := range ms {
		s := fmt.Sprintf("%d:%s", m.ID, m.Text)
		if m.Edited {
			s += "(edited)"
		}
		if m.Deleted {
			s += "(deleted)"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestConformance(t *testing.T) {
	onBoth(t, map[string]func(*testing.T, store.Options){
		"protocol": testProtocol, "retention": testRetention, "rooms": testRooms, "waiting": testWaiting, "restart": testRestart, "events": testEvents,
		"silence": testSilence, "presence": testPresence, "each": testEach,
	})
}

func testProtocol(t *testing.T, o store.Options) {
	d := start(t, o, Options{})
	first := d.snapshot(t, Lobby, "ann")
	m := d.say(t, Lobby, "ann", "k1", "hello")
	if again := d.say(t, Lobby, "ann", "k1", "hello"); again.ID != m.ID {
		t.Errorf("the same key twice: %d and %d", m.ID, again.ID)
	}
	if other := d.say(t, Lobby, "bob", "k1", "hi"); other.ID == m.ID {
		t.Error("another author's key counted")
	}
	a := d.ask(t, "ann", first.Cursor)
	if len(a.Rooms) != 1 || len(a.Rooms[0].Messages) != 2 || a.Rooms[0].Messages[0].Text != "hello" || !a.Rooms[0].Messages[0].Mine || a.Rooms[0].Messages[1].Mine {
		t.Fatalf("after the snapshot: %+v", a)
	}
	// The answer got lost: the same cursor brings it again.
	if b := d.ask(t, "ann", first.Cursor); texts(b.Rooms[0].Messages) != texts(a.Rooms[0].Messages) {
		t.Errorf("delivered again: %s, not %s", texts(b.Rooms[0].Messages), texts(a.Rooms[0].Messages))
	}
	at := a.Rooms[0].Cursor
	// Edits and deletions of one's own; not of others'.
	path := fmt.Sprintf("%s/json/chat/%s/%d", d.url, Lobby, m.ID)
	if resp := call(t, "POST", path, "bob", map[string]string{"text": "changed"}, nil); resp.StatusCode != 403 {
		t.Errorf("bob edits ann's message: %d", resp.StatusCode)
	}
	if resp := call(t, "POST", path, "ann", map[string]string{"text": "hello all"}, nil); resp.StatusCode != 200 {
		t.Errorf("editing: %d", resp.StatusCode)
	}
	a = d.ask(t, "bob", at)
	if got := a.Rooms[0].Messages; len(got) != 1 || got[0].ID != m.ID || !got[0].Edited || got[0].Text != "hello all" {
		t.Errorf("an edit: %s", texts(got))
	}
	if resp := call(t, "POST", path, "ann", map[string]string{"text": ""}, nil); resp.StatusCode != 200 {
		t.Errorf("deleting: %d", resp.StatusCode)
	}
	a = d.ask(t, "bob", a.Rooms[0].Cursor)
	if got := a.Rooms[0].Messages; len(got) != 1 || !got[0].Deleted || got[0].Text != "" {
		t.Errorf("a deletion: %s", texts(got))
	}
	if resp := call(t, "POST", path, "ann", map[string]string{"text": "back"}, nil); resp.StatusCode != 404 {
		t.Errorf("editing what was deleted: %d", resp.StatusCode)
	}
	var found struct{ Messages []Message }
	call(t, "GET", d.url+"/json/chat/lobby/search?q=HI", "ann", nil, &found)
	if len(found.Messages) != 1 || found.Messages[0].Text != "hi" {
		t.Errorf("found %s", texts(found.Messages))
	}
	for _, bad := range []postBody{{"k", "n", " \n"}, {"", "n", "x"}, {"a b", "n", "x"}, {"k", strings.Repeat("n", maxName+1), "x"}, {"k", "n", strings.Repeat("x", maxText+1)}} {
		if resp := call(t, "POST", d.url+"/json/chat/lobby", "ann", bad, nil); resp.StatusCode != 400 && resp.StatusCode != 413 {
			t.Errorf("%.20v: %d", bad, resp.StatusCode)
		}
	}
	for _, bad := range []Poll{{}, {Client: "c"}, {Client: "c", Cursors: []string{"!"}}, {Client: "c", Cursors: []string{cursor{"lobby", "x", -1}.String()}}, {Client: "c", Cursors: slices.Repeat([]string{at}, 9)}, {Cursors: []string{at}}} {
		if resp := call(t, "POST", d.url+"/json/chat-poll", "ann", bad, nil); resp.StatusCode != 400 {
			t.Errorf("%+v: %d", bad, resp.StatusCode)
		}
	}
	// A cursor of another time gets a fresh snapshot.
	for _, old := range []cursor{{Lobby, "another", 1}, {Lobby, "", 0}} {
		if a := d.ask(t, "ann", old.String()); len(a.Rooms) != 1 || !a.Rooms[0].Reset || len(a.Rooms[0].Messages) != 2 {
			t.Errorf("cursor %v: %+v", old, a)
		}
	}
	c, _ := parseCursor(at)
	c.version += 1000
	if a := d.ask(t, "ann", c.String()); !a.Rooms[0].Reset {
		t.Error("a cursor ahead of the log was not reset")
	}
}

func testRetention(t *testing.T, o store.Options) {
	d := start(t, o, Options{})
	first := d.snapshot(t, Lobby, "ann")
	var half string
	for i := range 1000 + 100 + 50 {
		if _, err := d.Post(t.Context(), Lobby, Author{Token: "token-of-ann-long-enough"}, fmt.Sprint(i), "ann", fmt.Sprint("message ", i)); err != nil {
			t.Fatal(err)
		}
		if i == 500 {
			half = d.snapshot(t, Lobby, "ann").Cursor
		}
	}
	if a := d.ask(t, "ann", first.Cursor); !a.Rooms[0].Reset || len(a.Rooms[0].Messages) != snapshotLen {
		t.Errorf("a cursor that retention overtook: reset %v, %d messages", a.Rooms[0].Reset, len(a.Rooms[0].Messages))
	}
	// One that it did not overtake brings everything, in parts.
	n := 0
	for at, a := half, (Answer{}); n < 649; {
		a = d.ask(t, "ann", at)
		for _, m := range a.Rooms[0].Messages {
			if want := fmt.Sprint("message ", 501+n); m.Text != want {
				t.Fatalf("got %q, want %q", m.Text, want)
			}
			n++
		}
		at = a.Rooms[0].Cursor
	}
	var rows int
	if err := d.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM chat_message`).Scan(&rows)
	}); err != nil || rows > 1000+100+16 {
		t.Errorf("%d messages are kept: %v", rows, err)
	}
}

func testRooms(t *testing.T, o store.Options) {
	d := start(t, o, Options{})
	if resp := call(t, "GET", d.url+"/json/chat/garden", "ann", nil, nil); resp.StatusCode != 404 {
		t.Errorf("a room that is not there: %d", resp.StatusCode)
	}
	if err := d.CreateRoom(t.Context(), "garden"); err != nil {
		t.Fatal(err)
	}
	var f *Failure
	if err := d.CreateRoom(t.Context(), "No room"); !errors.As(err, &f) {
		t.Errorf("a bad name: %v", err)
	}
	lobby, garden := d.snapshot(t, Lobby, "ann").Cursor, d.snapshot(t, "garden", "ann").Cursor
	got := make(chan Answer, 1)
	go func() { got <- d.ask(t, "ann", lobby, garden) }()
	d.waitFor(t, 1)
	d.say(t, "garden", "bob", "k", "roses")
	a := <-got
	if len(a.Rooms) != 1 || a.Rooms[0].Room != "garden" || texts(a.Rooms[0].Messages) != "1:roses" {
		t.Errorf("one poll, two rooms: %+v", a)
	}
	if !slices.Equal(a.Rooms[0].Here, []string{"ann"}) {
		t.Errorf("here: %v", a.Rooms[0].Here)
	}
	if ms, err := d.OnWall(t.Context(), 5); err != nil || len(ms) != 0 {
		t.Errorf("on the wall without leave: %v, %v", ms, err)
	}
	if err := d.ShowOnWall(t.Context(), "garden", true); err != nil {
		t.Fatal(err)
	}
	if ms, err := d.OnWall(t.Context(), 5); err != nil || texts(ms) != "1:roses" {
		t.Errorf("on the wall: %v, %v", ms, err)
	}
	codes := make(chan int, 1)
	go func() {
		codes <- call(t, "POST", d.url+"/json/chat-poll", "ann", Poll{Client: "ann", Cursors: []string{a.Rooms[0].Cursor}}, nil).StatusCode
	}()
	d.waitFor(t, 1)
	if err := d.RemoveRoom(t.Context(), "garden"); err != nil {
		t.Fatal(err)
	}
	if code := <-codes; code != 404 {
		t.Errorf("waiting in a room that is removed: %d", code)
	}
	if err := d.RemoveRoom(t.Context(), Lobby); !errors.As(err, &f) {
		t.Errorf("the lobby was removed: %v", err)
	}
}

// waitFor waits until so many polls are open.
func (d *daemon) waitFor(t testing.TB, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); d.Waiting() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d polls are open, not %d", d.Waiting(), n)
		}
	}
}

func testWaiting(t *testing.T, o store.Options) {
	d := start(t, o, Options{Waiters: 2, Posts: web.NewLimiter(time.Hour, 2, 10)})
	at := d.snapshot(t, Lobby, "ann").Cursor
	got := make(chan Answer, 2)
	go func() { got <- d.ask(t, "ann", at) }()
	d.waitFor(t, 1)
	go func() { got <- d.ask(t, "ann", at) }()
	if a := <-got; !a.Superseded {
		t.Errorf("a newer poll of the same client did not end the older: %+v", a)
	}
	go func() { got <- d.ask(t, "bob", at) }()
	d.waitFor(t, 2)
	if resp := call(t, "POST", d.url+"/json/chat-poll", "cy", Poll{Client: "cy", Cursors: []string{at}}, nil); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d", resp.StatusCode)
	}
	d.say(t, Lobby, "cy", "1", "one")
	for range 2 {
		if a := <-got; texts(a.Rooms[0].Messages) != "1:one" {
			t.Errorf("woken: %+v", a)
		}
	}
	d.say(t, Lobby, "cy", "2", "two")
	if resp := call(t, "POST", d.url+"/json/chat/lobby", "cy", postBody{"3", "cy", "three"}, nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("too many messages: %d", resp.StatusCode)
	}
	// On shutdown every poll is answered.
	at = d.snapshot(t, Lobby, "ann").Cursor
	for _, who := range []string{"ann", "bob"} {
		go func() { got <- d.ask(t, who, at) }()
	}
	d.waitFor(t, 2)
	d.stop()
	for range 2 {
		if a := <-got; !a.Stopping {
			t.Errorf("at the end: %+v", a)
		}
	}
}

// testSilence: the owner silences an author, whose messages may go with it, and lets him speak again.
func testSilence(t *testing.T, o store.Options) {
	d := start(t, o, Options{Rooms: []string{"garden"}})
	spam, good := Author{Token: "token-of-mal-long-enough", From: netip.MustParsePrefix("192.0.2.7/32")}, Author{Token: "token-of-ann-long-enough", From: netip.MustParsePrefix("192.0.2.8/32")}
	say := func(room string, by Author, key string) (Message, error) {
		return d.Post(t.Context(), room, by, key, "name", "text "+key)
	}
	must := func(m Message, err error) Message {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := must(say(Lobby, spam, "1"))
	must(say("garden", spam, "2"))
	kept := must(say(Lobby, good, "3"))
	at := d.snapshot(t, Lobby, "x").Cursor
	if err := d.Silence(t.Context(), Lobby, m.ID, true); err != nil {
		t.Fatal(err)
	}
	if a := d.ask(t, "x", at); texts(a.Rooms[0].Messages) != "1:(deleted)" {
		t.Errorf("who waits learns of it: %s", texts(a.Rooms[0].Messages))
	}
	if ms := d.snapshot(t, "garden", "x").Messages; texts(ms) != "1:(deleted)" {
		t.Errorf("in another room: %s", texts(ms))
	}
	if ms := d.snapshot(t, Lobby, "x").Messages; texts(ms) != fmt.Sprintf("1:(deleted) %d:text 3", kept.ID) {
		t.Errorf("what others wrote: %s", texts(ms))
	}
	other := Author{Token: "another-cookie-of-mal-xx", From: spam.From}
	elsewhere := Author{Token: spam.Token, From: netip.MustParsePrefix("198.51.100.1/32")}
	for _, by := range []Author{spam, other, elsewhere} {
		if _, err := say(Lobby, by, "4"); !errors.Is(err, errSilenced) {
			t.Errorf("%v was let speak: %v", by, err)
		}
	}
	must(say(Lobby, good, "5"))
	var list []Silenced
	if err := d.db.View(t.Context(), func(tx *store.Tx) (err error) {
		list, err = silenced(t.Context(), tx)
		return err
	}); err != nil || len(list) != 1 || list[0].Name != "name" {
		t.Fatalf("silenced: %v, %v", list, err)
	}
	if err := d.Unsilence(t.Context(), list[0].Author); err != nil {
		t.Fatal(err)
	}
	must(say(Lobby, spam, "6"))
}

// testPresence: who waits is here, also for whom nothing was said; a hold that ends says so.
func testPresence(t *testing.T, o store.Options) {
	d := start(t, o, Options{Hold: 200 * time.Millisecond})
	at := d.snapshot(t, Lobby, "ann").Cursor
	d.ask(t, "ann", at)
	a := d.ask(t, "bob", at)
	if len(a.Rooms) != 1 || len(a.Rooms[0].Messages) != 0 || a.Rooms[0].Cursor != at || !slices.Equal(a.Rooms[0].Here, []string{"ann", "bob"}) {
		t.Errorf("at the end of a hold: %+v", a)
	}
}

// testEach: one address may not take all the places.
func testEach(t *testing.T, o store.Options) {
	d := start(t, o, Options{Waiters: 10, Each: 1})
	at := d.snapshot(t, Lobby, "ann").Cursor
	got := make(chan Answer, 1)
	go func() { got <- d.ask(t, "ann", at) }()
	d.waitFor(t, 1)
	if resp := call(t, "POST", d.url+"/json/chat-poll", "bob", Poll{Client: "bob", Cursors: []string{at}}, nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many of an address: %d", resp.StatusCode)
	}
	d.say(t, Lobby, "ann", "1", "one")
	<-got
}

func testRestart(t *testing.T, o store.Options) {
	d := start(t, o, Options{})
	at := d.snapshot(t, Lobby, "ann").Cursor
	d.say(t, Lobby, "ann", "1", "one")
	again := start(t, o, Options{})
	if a := again.ask(t, "ann", at); a.Rooms[0].Reset || texts(a.Rooms[0].Messages) != "1:one" {
		t.Errorf("after a restart: %+v", a)
	}
}

func testEvents(t *testing.T, o store.Options) {
	d := start(t, o, Options{})
	d.say(t, Lobby, "ann", "1", "one")
	open := func(last string) (*bufio.Reader, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", d.url+"/json/chat/lobby/events", nil)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(resp.Body), func() { cancel(); resp.Body.Close() }
	}
	next := func(r *bufio.Reader) (id string, snap Snapshot) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(v), &snap); err != nil {
					t.Fatal(err)
				}
				return id, snap
			}
		}
	}
	r, end := open("")
	id, snap := next(r)
	if !snap.Reset || texts(snap.Messages) != "1:one" {
		t.Errorf("at first: %+v", snap)
	}
	d.say(t, Lobby, "ann", "2", "two")
	if _, snap := next(r); texts(snap.Messages) != "2:two" {
		t.Errorf("then: %+v", snap)
	}
	end()
	r, end = open(id)
	defer end()
	if _, snap := next(r); snap.Reset || texts(snap.Messages) != "2:two" {
		t.Errorf("back again: %+v", snap)
	}
}

// TestTwoDaemons: two daemons on one PostgreSQL are one chat, with NOTIFY and,
// after the server was restarted under them, without.
func TestTwoDaemons(t *testing.T) {
	server := storetest.Postgres(t)
	o := store.Options{DSN: server.Database(t)}
	one, two := start(t, o, Options{}), start(t, o, Options{})
	at := one.snapshot(t, Lobby, "ann").Cursor
	for round := range 2 {
		got := make(chan Answer, 1)
		go func() { got <- one.ask(t, "ann", at) }()
		one.waitFor(t, 1)
		if round == 1 {
			server.Stop(t)
			server.Start(t)
		}
		text := fmt.Sprint("round ", round)
		var err error
		for range 20 { // the first may meet a connection of before the restart
			if _, err = two.Post(t.Context(), Lobby, Author{Token: "token-of-bob-long-enough"}, fmt.Sprint(round), "bob", text); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		a := <-got
		if len(a.Rooms) != 1 || len(a.Rooms[0].Messages) != 1 || a.Rooms[0].Messages[0].Text != text {
			t.Fatalf("round %d: %+v", round, a)
		}
		at = a.Rooms[0].Cursor
	}
	// Who waits at one daemon is here at the other.
	asked := make(chan Answer, 1)
	go func() { asked <- one.ask(t, "ann", at) }()
	one.waitFor(t, 1)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if slices.Contains(two.snapshot(t, Lobby, "bob").Here, "ann") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the other daemon never heard of ann")
		}
	}
	two.say(t, Lobby, "bob", "last", "bye")
	<-asked
}

// TestPageWithoutScript posts, edits and deletes by forms.
func TestPageWithoutScript(t *testing.T) {
	d := start(t, store.Options{Dir: t.TempDir()}, Options{})
	post := func(path string, v url.Values, cookies ...*http.Cookie) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", d.url+path, strings.NewReader(v.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(&http.Cookie{Name: whose, Value: "test-author-of-some-length-ann"})
		for _, c := range cookies {
			req.AddCookie(c)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	page := func(path string) string {
		resp, err := http.Get(d.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		return string(b)
	}
	evil := `<script>alert(1)</script>`
	for range 2 { // the button pressed twice
		if resp := post("/chat/lobby", url.Values{"key": {"k"}, "name": {"Ann"}, "text": {evil}}); resp.StatusCode != 303 {
			t.Fatalf("posting: %d", resp.StatusCode)
		}
	}
	if p := page("/chat"); strings.Count(p, `class="message`) != 2 /* the list and one message */ || strings.Contains(p, evil) {
		t.Errorf("the page has not the one message, escaped:\n%s", p)
	}
	if p := page("/chat/lobby?q=alert"); !strings.Contains(p, "1 message has") {
		t.Errorf("search:\n%s", p)
	}
	if resp := post("/chat/lobby/1", url.Values{"text": {""}}); resp.StatusCode != 303 {
		t.Errorf("deleting: %d", resp.StatusCode)
	}
	if p := page("/chat"); !strings.Contains(p, "deleted") {
		t.Error("the deletion does not show")
	}
	if resp := post("/chat", url.Values{"room": {"garden"}}); resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Errorf("anyone may make rooms: %d", resp.StatusCode)
	}
	login := post("/owner/login", url.Values{"secret": {d.secret}})
	if resp := post("/chat", url.Values{"room": {"garden"}}, login.Cookies()...); resp.StatusCode != 303 {
		t.Errorf("the owner makes a room: %d", resp.StatusCode)
	}
	page("/chat/garden")
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{"lobby", "ABCD", 12}.String())
	f.Add("")
	f.Add("bG9iYnkgIDk5OTk5OTk5OTk5OTk5OTk5OTk5")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err != nil {
			return
		}
		if again, err := parseCursor(c.String()); err != nil || again != c {
			t.Fatalf("%q became %+v and %+v, %v", s, c, again, err)
		}
	})
}

func FuzzCleanText(f *testing.F) {
	f.Add("a\r\n\n\n\nb\t\x00\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		if got := cleanText(s); cleanText(got) != got || strings.ContainsAny(got, "\x00\r\t\u202e") {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// TestW3M reads and writes with a browser that has no scripts at all.
func TestW3M(t *testing.T) {
	w3m := systemtest.Tool(t, "w3m", "w3m")
	d := start(t, store.Options{Dir: t.TempDir()}, Options{})
	d.say(t, Lobby, "ann", "1", "Is anybody there?")
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), w3m, args...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("-dump", d.url+"/chat"); !strings.Contains(out, "Is anybody there?") || !strings.Contains(out, "Send") || !strings.Contains(out, "Look for new messages") {
		t.Errorf("the page in w3m:\n%s", out)
	}
	form := filepath.Join(t.TempDir(), "form")
	if err := os.WriteFile(form, []byte("key=w3m-1&name=Text+Only&text=Yes%2C+without+a+script."), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("-dump", "-post", form, d.url+"/chat/lobby"); !strings.Contains(out, "Text Only") || !strings.Contains(out, "Yes, without a script.") {
		t.Errorf("after sending the form in w3m:\n%s", out)
	}
}
