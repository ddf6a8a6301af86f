package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/daemon/web"
)

// The proof: clients talk to daemons of their own through a proxy that drops,
// delays, halves, doubles and falls silent, while the daemons are killed with SIGKILL and
// started again, their clocks jump decades, and PostgreSQL is stopped as by a
// crash. In the end each reader must have each acknowledged message of his room
// exactly once, in the order of the ids.
//
//	go test -run TestProof -v ./daemon/chat                          seconds, as in every test run
//	make proof MINUTES=3     50 clients in 5 rooms, for 3 minutes on each engine

// TestMain lets the test binary be the daemon that is killed.
func TestMain(m *testing.M) {
	if addr := os.Getenv("SIERPI_CHAT_DAEMON"); addr != "" {
		if err := proofDaemon(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func proofDaemon(addr string) error {
	if os.Getenv("SIERPI_CHAT_PLANT") == "bare" {
		return bareServer(addr)
	}
	hold, err := time.ParseDuration(os.Getenv("SIERPI_CHAT_HOLD"))
	if err != nil {
		hold = 2 * time.Second
	}
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, store.Options{Dir: os.Getenv("SIERPI_CHAT_DIR"), DSN: os.Getenv("SIERPI_CHAT_DSN")})
	if err != nil {
		return err
	}
	look, err := web.NewLook(web.LookOptions{Name: "sierpi", Log: log})
	if err != nil {
		return err
	}
	jump := func() time.Time { return time.Now().Add(time.Duration(rand.IntN(200)-100) * 4000 * time.Hour) }
	s, err := New(Options{DB: db, Look: look, Log: log, Now: jump, Hold: hold, Waiters: 20_000, Each: 20_000, Posts: web.NewLimiter(time.Microsecond, 1e6, 10)})
	if err != nil {
		return err
	}
	for i := range 5 {
		if err := s.CreateRoom(ctx, fmt.Sprint("room", i)); err != nil {
			return err
		}
	}
	h, err := web.NewRouter(slices.Concat(look.Routes(), s.Routes()), web.RouterOptions{Look: look, Hosts: web.NewHosts("sierpi"), Log: log})
	if err != nil {
		return err
	}
	go s.Run(ctx)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	// Clients of one address may have half of the connections.
	return web.NewServer(web.ServerOptions{Name: "chat", Listeners: []net.Listener{l}, Log: log, Connections: 40_000,
		Handler: planted(os.Getenv("SIERPI_CHAT_PLANT"), s, h)}).Run(ctx)
}

// planted makes a daemon faulty, for the test that the proof notices.
func planted(plant string, s *Service, h http.Handler) http.Handler {
	if plant == "" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		room, ok := strings.CutPrefix(r.URL.Path, "/json/chat/")
		if r.Method != "POST" || !ok {
			h.ServeHTTP(w, r)
			return
		}
		var in postBody
		_ = json.NewDecoder(r.Body).Decode(&in)
		m := Message{Name: in.Name, Text: in.Text, Key: in.Key, Sent: time.Now(), author: author(r)}
		err := s.db.Update(r.Context(), func(tx *store.Tx) (err error) {
			if m, _, err = post(r.Context(), tx, room, m, 1000); err != nil || plant == "wake" {
				return err // committed, and nobody is woken
			}
			// The id of the message before is used again.
			_, err = tx.ExecContext(r.Context(), `DELETE FROM chat_message WHERE room = ? AND id = ?`, room, m.ID-1)
			if err == nil {
				_, err = tx.ExecContext(r.Context(), `UPDATE chat_message SET id = id - 1 WHERE room = ? AND id = ?`, room, m.ID)
				m.ID--
			}
			return err
		})
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		if rm, err := s.room(r.Context(), room); err == nil && plant != "wake" {
			s.refresh(r.Context(), rm)
		}
		web.JSON(w, 200, m)
	})
}

// process is a daemon that can be killed.
type process struct {
	addr string
	env  []string
	cmd  *exec.Cmd
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(append(os.Environ(), "SIERPI_CHAT_DAEMON="+p.addr), p.env...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// counts is what the proof counted.
type counts struct {
	Acknowledged, Delivered                                      int64
	Lost, Doubled, Disordered, Reused, Resets                    int64 // must be 0
	Dropped, Unanswered, Halved, Hung, Delayed, Repeated, Killed int64 // the faults
}

func (c counts) wrong() int64 { return c.Lost + c.Doubled + c.Disordered + c.Reused + c.Resets }

// proxy passes requests on to the daemons in turn, unfaithfully while bad is set.
type proxy struct {
	to                                                   []string
	turn                                                 atomic.Int64
	bad                                                  atomic.Bool
	dropped, unanswered, halved, hung, delayed, repeated atomic.Int64
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fault := 100
	if p.bad.Load() {
		fault = rand.IntN(100)
	}
	if fault < 5 {
		p.dropped.Add(1)
		panic(http.ErrAbortHandler)
	}
	if fault >= 5 && fault < 15 {
		p.delayed.Add(1)
		select {
		case <-time.After(rand.N(300 * time.Millisecond)):
		case <-r.Context().Done():
		}
	}
	pass := func() (*http.Response, []byte) {
		to := p.to[int(p.turn.Add(1))%len(p.to)]
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to+r.URL.RequestURI(), bytes.NewReader(in))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return resp, out
	}
	if fault >= 15 && fault < 22 {
		p.repeated.Add(1)
		if strings.HasSuffix(r.URL.Path, "poll") { // side by side: the second ends the first
			var first sync.WaitGroup
			first.Go(func() {
				defer func() { _ = recover() }() // what became of it nobody asks
				pass()
			})
			defer first.Wait()
		} else {
			pass()
		}
	}
	resp, out := pass()
	switch {
	case fault >= 22 && fault < 29:
		p.unanswered.Add(1)
		panic(http.ErrAbortHandler)
	case fault >= 29 && fault < 34:
		p.halved.Add(1)
		w.Header().Set("Content-Length", fmt.Sprint(len(out)))
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(out[:len(out)/2])
		panic(http.ErrAbortHandler)
	}
	if fault >= 34 && fault < 37 { // the connection stays, and nothing comes: a router that forgot it
		p.hung.Add(1)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(out)
}

// patience is how long a client waits for an answer: longer than the proof's polls are held.
const patience = 5 * time.Second

// try does one request; any failure of the way is an error.
func try(ctx context.Context, method, url, who string, in, out any) (int, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	req.AddCookie(&http.Cookie{Name: whose, Value: "proof-author-of-some-length-" + who})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return resp.StatusCode, fmt.Errorf("status %d", resp.StatusCode)
	}
	return 200, json.NewDecoder(resp.Body).Decode(out)
}

// prove runs the proof for a time and returns what it counted.
func prove(t *testing.T, length time.Duration, clients int, plant string, so store.Options, daemons int, crash func()) counts {
	const rooms = 5
	p := &proxy{}
	var procs []*process
	for range daemons {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		d := &process{addr: addr, env: []string{"SIERPI_CHAT_DIR=" + so.Dir, "SIERPI_CHAT_DSN=" + so.DSN, "SIERPI_CHAT_PLANT=" + plant}}
		d.start(t)
		defer func() { d.kill() }()
		procs = append(procs, d)
		p.to = append(p.to, addr)
	}
	front := httptest.NewUnstartedServer(p)
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	front.Start()
	defer front.Close()
	defer http.DefaultClient.CloseIdleConnections()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var c counts
	type told struct {
		room int
		text string
	}
	var mu sync.Mutex
	acked := map[told]int64{}
	delivered := make([][]Message, clients)
	var writers, readers sync.WaitGroup
	writing, stopWriting := context.WithCancel(ctx)
	var ready sync.WaitGroup
	ready.Add(clients)
	for i := range clients {
		room, who := i%rooms, fmt.Sprint("c", i)
		readers.Go(func() {
			// A reader keeps his cursor and moves it on only with an answer that came whole.
			at := ""
			got := map[int64]string{}
			take := func(s Snapshot) {
				mu.Lock()
				defer mu.Unlock()
				for _, m := range s.Messages {
					if have, ok := got[m.ID]; ok && have != m.Text {
						c.Reused++
					}
					got[m.ID] = m.Text
					delivered[i] = append(delivered[i], m)
					c.Delivered++
				}
				at = s.Cursor
			}
			first := true
			for ctx.Err() == nil {
				if at == "" {
					var s Snapshot
					if _, err := try(ctx, "GET", fmt.Sprintf("%s/json/chat/room%d", front.URL, room), who, nil, &s); err != nil {
						pause(ctx)
						continue
					}
					take(s)
					if first {
						first = false
						ready.Done()
					}
					continue
				}
				var a Answer
				if _, err := try(ctx, "POST", front.URL+"/json/chat-poll", who, Poll{Client: who, Name: who, Cursors: []string{at}}, &a); err != nil {
					pause(ctx)
					continue
				}
				for _, s := range a.Rooms {
					if s.Reset {
						mu.Lock()
						c.Resets++
						mu.Unlock()
					}
					take(s)
				}
			}
		})
		writers.Go(func() {
			ready.Wait()
			for n := 0; writing.Err() == nil; n++ {
				text, key := fmt.Sprintf("%s says %d", who, n), fmt.Sprintf("%s-%d", who, n)
				for ctx.Err() == nil { // until it is acknowledged, under the same key
					var m Message
					if _, err := try(ctx, "POST", fmt.Sprintf("%s/json/chat/room%d", front.URL, room), who, postBody{key, who, text}, &m); err == nil {
						mu.Lock()
						acked[told{room, text}] = m.ID
						c.Acknowledged++
						mu.Unlock()
						break
					}
					pause(ctx)
				}
				select {
				case <-writing.Done():
				case <-time.After(rand.N(400 * time.Millisecond)):
				}
			}
		})
	}
	ready.Wait() // the snapshots come before the faults: what is missing later was lost
	p.bad.Store(true)
	for end := time.Now().Add(length); time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-time.After(500*time.Millisecond + rand.N(1500*time.Millisecond)):
		}
		d := procs[rand.IntN(len(procs))]
		d.kill()
		c.Killed++
		if crash != nil && c.Killed%3 == 1 {
			crash()
		}
		d.start(t)
	}
	p.bad.Store(false)
	select { // the last daemon runs for a while: what is said now must arrive without the help of a restart
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	stopWriting()
	writers.Wait()
	// All is acknowledged; now it must arrive soon, not with the end of a poll's hold.
	complete := func() bool {
		mu.Lock()
		defer mu.Unlock()
		want := make([]int, rooms)
		for a := range acked {
			want[a.room]++
		}
		for i := range clients {
			if len(delivered[i]) < want[i%rooms] {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(8 * time.Second); !complete() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	readers.Wait()
	for i := range clients {
		times := map[string]int{}
		last := int64(0)
		for _, m := range delivered[i] {
			times[m.Text]++
			if m.ID <= last {
				c.Disordered++
			}
			last = m.ID
		}
		for a := range acked {
			if a.room == i%rooms {
				switch n := times[a.text]; {
				case n == 0:
					c.Lost++
				case n > 1:
					c.Doubled += int64(n - 1)
				}
			}
		}
	}
	c.Dropped, c.Unanswered, c.Halved, c.Hung, c.Delayed, c.Repeated = p.dropped.Load(), p.unanswered.Load(), p.halved.Load(), p.hung.Load(), p.delayed.Load(), p.repeated.Load()
	return c
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(100 * time.Millisecond)):
	}
}

func TestProof(t *testing.T) {
	length, clients := 4*time.Second, 10
	if v := os.Getenv("SIERPI_CHAT_PROOF"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatalf("SIERPI_CHAT_PROOF: %v", err)
		}
		clients = 50
	}
	check := func(t *testing.T, c counts) {
		t.Helper()
		t.Logf("%+v", c)
		if c.wrong() > 0 || c.Acknowledged == 0 || c.Dropped+c.Unanswered+c.Halved+c.Repeated == 0 {
			t.Errorf("something went wrong, or nothing was put to the proof")
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		check(t, prove(t, length, clients, "", store.Options{Dir: t.TempDir()}, 1, nil))
	})
	t.Run("PostgreSQL, two daemons", func(t *testing.T) {
		server := storetest.Postgres(t)
		check(t, prove(t, length, clients, "", store.Options{DSN: server.Database(t)}, 2, func() {
			server.Stop(t)
			server.Start(t)
		}))
	})
}

// TestProofNotices plants a fault and wants to see it caught.
func TestProofNotices(t *testing.T) {
	for plant, caught := range map[string]func(counts) int64{
		"wake":  func(c counts) int64 { return c.Lost },
		"reuse": func(c counts) int64 { return c.Reused + c.Lost + c.Disordered },
	} {
		t.Run(plant, func(t *testing.T) {
			c := prove(t, time.Second, 10, plant, store.Options{Dir: t.TempDir()}, 1, nil)
			t.Logf("%+v", c)
			if caught(c) == 0 {
				t.Error("the proof did not notice")
			}
		})
	}
}
