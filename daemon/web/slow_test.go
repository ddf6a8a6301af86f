package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveSlow runs a server whose patience is short, of these routes.
func serveSlow(t *testing.T, connections int, log io.Writer, routes ...Route) string {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil))
	look, err := NewLook(LookOptions{Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewRouter(routes, RouterOptions{Look: look, Hosts: NewHosts("wall"), Log: logger, streamWrite: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := Sockets{}.Listen(t.Context(), "pages", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{Name: "pages", Listeners: ls, Handler: h, Log: logger, Connections: connections})
	s.readHeader, s.read = 300*time.Millisecond, 600*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ls[0].Addr().String()
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// dial connects, and gives the connection up after far longer than the server is patient.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// drip sends a byte now and then, for ever, until the server hangs up; what it answered
// before that is returned.
func drip(t *testing.T, c net.Conn, begin, with string) string {
	t.Helper()
	if _, err := io.WriteString(c, begin); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := io.WriteString(c, with); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	answer, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it may drip for ever")
	}
	return string(answer)
}

// TestSlowLoris drips heads and bodies over real connections, into a page, a form, and a
// long poll, which has no deadline of its own. All are cut off, while others are served.
func TestSlowLoris(t *testing.T) {
	whole := make(chan string, 8)
	takes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		whole <- r.URL.Path
	})
	addr := serveSlow(t, 0, t.Output(),
		Route{Method: "GET", Pattern: "/page", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })},
		Route{Method: "POST", Pattern: "/form", Handler: takes},
		Route{Method: "POST", Pattern: "/poll", Streams: true, Handler: takes})
	for name, c := range map[string]struct{ begin, with string }{
		"nothing":          {"", ""},
		"a request line":   {"GET /", "x"},
		"header names":     {"GET /page HTTP/1.1\r\nHost: wall\r\n", "x"},
		"many headers":     {"GET /page HTTP/1.1\r\nHost: wall\r\n", "X-A: b\r\n"},
		"a form":           {"POST /form HTTP/1.1\r\nHost: wall\r\nContent-Length: 100000\r\n\r\n", "x"},
		"a form in chunks": {"POST /form HTTP/1.1\r\nHost: wall\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
		"a poll":           {"POST /poll HTTP/1.1\r\nHost: wall\r\nContent-Length: 100000\r\n\r\n", "x"},
		"a poll in chunks": {"POST /poll HTTP/1.1\r\nHost: wall\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
		"a body unasked":   {"GET /page HTTP/1.1\r\nHost: wall\r\nContent-Length: 100000\r\n\r\n", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := drip(t, dial(t, addr), c.begin, c.with)
			if strings.HasPrefix(answer, "HTTP/1.1 200") && name != "a body unasked" {
				t.Errorf("it was served:\n%s", answer)
			}
			if res, err := http.Get("http://" + addr + "/page"); err != nil {
				t.Error(err)
			} else {
				res.Body.Close()
			}
		})
	}
	t.Cleanup(func() {
		select {
		case path := <-whole:
			t.Errorf("%s took a body that never came whole", path)
		default:
		}
	})
}

// TestUnreadStream: who asks for a stream and does not read it is let go.
func TestUnreadStream(t *testing.T) {
	ended := make(chan error, 1)
	addr := serveSlow(t, 0, t.Output(), Route{Method: "GET", Pattern: "/stream", Streams: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				ended <- err
				return
			}
			if err := rc.Flush(); err != nil {
				ended <- err
				return
			}
		}
	})})
	if _, err := io.WriteString(dial(t, addr), "GET /stream HTTP/1.1\r\nHost: wall\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the stream waits for ever for who does not read")
	}
}

// TestStreamOutlastsItsDeadlines: one that says little is not cut off.
func TestStreamOutlastsItsDeadlines(t *testing.T) {
	addr := serveSlow(t, 0, t.Output(), Route{Method: "POST", Pattern: "/poll", Streams: true, MaxBody: 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Second): // longer than any of its deadlines
		case <-r.Context().Done():
			t.Error("the poll was ended")
		}
		_, _ = w.Write(body)
	})})
	res, err := http.Post("http://"+addr+"/poll", "text/plain", strings.NewReader("last"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != "first\nlast" {
		t.Errorf("%q, %v", got, err)
	}
	res, err = http.Post("http://"+addr+"/poll", "text/plain", strings.NewReader("more than ten"))
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too long: %s", res.Status)
	}
}

// TestCrowd: one client has at most half of the connections, whose end makes room, and the
// log says it once.
func TestCrowd(t *testing.T) {
	var log lockedBuffer
	hello := "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
	addr := serveSlow(t, 6, &log, Route{Method: "GET", Pattern: "/page", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })})
	from := func(ip string) (net.Conn, bool) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.WriteString(c, hello)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return c, false
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return c, true
	}
	var first net.Conn
	for i := range 6 {
		c, served := from("127.0.0.2")
		if served != (i < 3) {
			t.Errorf("connection %d of one client: served %t", i+1, served)
		}
		if i == 0 {
			first = c
		}
	}
	for i := range 4 {
		if _, served := from("127.0.0.3"); served != (i < 3) {
			t.Errorf("connection %d of another: served %t", i+1, served)
		}
	}
	first.Close()
	for end := time.Now().Add(30 * time.Second); ; { // its end reaches the server in its own time
		if _, served := from("127.0.0.4"); served {
			break
		} else if time.Now().After(end) {
			t.Fatal("who left makes no room")
		}
	}
	if n := strings.Count(log.String(), "too many connections"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}
