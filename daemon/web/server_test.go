package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// serve runs a server of these routes and returns its address, and how to stop it
// and learn what Run returned.
func serve(t *testing.T, routes ...Route) (addr string, stop func() error) {
	t.Helper()
	h, _, _ := newSite(t, routes...)
	ctx, cancel := context.WithCancel(t.Context())
	ls, err := Sockets{}.Listen(ctx, "pages", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{Name: "pages", Listeners: ls, Handler: h, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	s.readHeader = 100 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var result error
	stopped := false
	stop = func() error {
		if cancel(); !stopped {
			stopped = true
			select {
			case result = <-done:
			case <-time.After(10 * time.Second):
				result = errors.New("the server does not stop")
			}
		}
		return result
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return ls[0].Addr().String(), stop
}

// TestStopAnswersEverybody: streams and polls are told at once and answer, a plain
// request under way runs to its end, a WebSocket says goodbye.
func TestStopAnswersEverybody(t *testing.T) {
	started := make(chan string, 4)
	release := make(chan struct{})
	route := func(path string, streams bool, h http.HandlerFunc) Route {
		return Route{Method: "GET", Pattern: path, Streams: streams, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			started <- path
			h(w, r)
		})}
	}
	addr, stop := serve(t,
		route("/poll", true, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_, _ = io.WriteString(w, "poll again")
		}),
		route("/events", true, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			_, _ = io.WriteString(w, "data: goodbye\n\n")
			close(release) // the plain request ends only after the stop has begun
		}),
		route("/plain", false, func(w http.ResponseWriter, r *http.Request) {
			<-release
			if r.Context().Err() != nil {
				t.Error("a plain request was cancelled")
			}
			_, _ = io.WriteString(w, "stored")
		}),
		route("/socket", true, func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			<-r.Context().Done()
			_ = c.Close(websocket.StatusGoingAway, "restarting")
		}))
	type answer struct {
		path, body string
		err        error
	}
	answers := make(chan answer, 4)
	for _, path := range []string{"/poll", "/events", "/plain"} {
		go func() {
			res, err := http.Get("http://" + addr + path)
			if err != nil {
				answers <- answer{path, "", err}
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			answers <- answer{path, string(body), err}
		}()
	}
	go func() {
		c, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/socket", nil)
		if err == nil {
			_, _, err = c.Read(t.Context())
		}
		answers <- answer{"/socket", websocket.CloseStatus(err).String(), nil}
	}()
	for range 4 {
		select {
		case <-started:
		case <-time.After(10 * time.Second):
			t.Fatal("not all requests arrived")
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"/poll": "poll again", "/events": "data: 1\n\ndata: goodbye\n\n", "/plain": "stored", "/socket": "StatusGoingAway"}
	for range 4 {
		if a := <-answers; a.err != nil || a.body != want[a.path] {
			t.Errorf("%s: %q, %v", a.path, a.body, a.err)
		}
	}
}

// TestStopDoesNotWaitForEver: a handler that minds nothing is cut off.
func TestStopDoesNotWaitForEver(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	addr, stop := serve(t, Route{Method: "GET", Pattern: "/stuck", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(started)
		<-release
	})})
	go func() {
		if res, err := http.Get("http://" + addr + "/stuck"); err == nil {
			res.Body.Close()
		}
	}()
	<-started
	if err := stop(); err != nil {
		t.Error(err)
	}
	close(release)
}

// TestStopDoesNotWaitForReserves: a browser's unused connection holds nothing up,
// and it would for the whole minute of grace given here.
func TestStopDoesNotWaitForReserves(t *testing.T) {
	ls, err := Sockets{}.Listen(t.Context(), "pages", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{Name: "pages", Listeners: ls, Log: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	s.grace, s.readHeader = time.Minute, time.Minute
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c, err := net.Dial("tcp", ls[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Connections are accepted in order: after this answer the first one is known.
	if res, err := http.Get("http://" + ls[0].Addr().String()); err != nil {
		t.Fatal(err)
	} else {
		res.Body.Close()
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(4 * time.Second): // net/http would let go after five
		t.Error("still waiting for a connection that was never used")
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	addr, _ := serve(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is held open for who never finishes the headers")
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	addr, _ := serve(t)
	r, _ := http.NewRequest("GET", "http://"+addr+"/", nil)
	r.Header.Set("X-Large", strings.Repeat("x", 2*maxHeader))
	res, err := http.DefaultClient.Do(r)
	if err == nil {
		defer res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", res.StatusCode)
		}
	}
}

// TestWebSocketOfAnotherSiteIsRefused by a real client.
func TestWebSocketOfAnotherSiteIsRefused(t *testing.T) {
	addr, _ := serve(t, Route{Method: "GET", Pattern: "/socket", Streams: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Even where the handler itself checks nothing.
		if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err == nil {
			_ = c.CloseNow()
		}
	})})
	for origin, ok := range map[string]bool{"": true, "http://" + addr: true, "http://evil.example": false, "null": false} {
		o := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if origin != "" {
			o.HTTPHeader.Set("Origin", origin)
		}
		c, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/socket", o)
		if (err == nil) != ok {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			_ = c.CloseNow()
		}
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	if ls, err := (Sockets{}).Listen(t.Context(), "metrics", ""); len(ls) != 0 || err != nil {
		t.Errorf("an empty address opens %v, %v", ls, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for addr, says := range map[string]string{l.Addr().String(): "in use by another program", "192.0.2.1:80": "no address of this machine"} {
		_, err := Sockets{}.Listen(t.Context(), "pages", addr)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestServesSystemdsSocket hands a listener over as systemd does, to this test
// run again.
func TestServesSystemdsSocket(t *testing.T) {
	if os.Getenv("LISTEN_FDS") != "" {
		s, err := InheritedSockets()
		if err != nil {
			t.Fatal(err)
		}
		ls, err := s.Listen(t.Context(), "pages", "256.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		if err := NewServer(ServerOptions{Name: "pages", Listeners: ls, Log: slog.New(slog.DiscardHandler),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "activated")
				stop()
			})}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", os.Args[0], "-test.run=^TestServesSystemdsSocket$")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=pages")
	cmd.ExtraFiles = []*os.File{f}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The listener is open already: the request waits for the program.
	res, err := http.Get(fmt.Sprintf("http://%s/", l.Addr()))
	if err != nil {
		t.Fatal(err, out.String())
	}
	defer res.Body.Close()
	if line, _ := bufio.NewReader(res.Body).ReadString('\n'); line != "activated" {
		t.Errorf("answer %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
