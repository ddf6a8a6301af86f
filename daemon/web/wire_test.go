package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// written keeps each write to it.
type written struct {
	net.Conn
	each []string
}

func (c *written) Write(b []byte) (int, error) {
	c.each = append(c.each, string(b))
	return len(b), nil
}

func TestWire(t *testing.T) {
	var c written
	w := wire{Conn: &c}
	write := func(s string, sent ...string) {
		t.Helper()
		buffer := []byte(s)
		n, err := w.Write(buffer)
		clear(buffer) // its owner uses it again
		if n != len(s) || err != nil || strings.Join(c.each, "|") != strings.Join(sent, "|") {
			t.Errorf("writing %.9q: %d, %v, and sent is %.40q, want %.40q", s, n, err, c.each, sent)
		}
	}
	write("a", "a")
	w.gather()
	write("b", "a")
	write("c", "a", "b", "c")
	write("d", "a", "b", "c")
	w.release()
	write("e", "a", "b", "c", "d", "e")
	c.each = nil
	long := strings.Repeat("l", gathered+1)
	w.gather()
	write(long, long)
	w.release()
	write("f", long, "f")
}

// TestAnswersOfEveryLength: whatever net/http gathers and the wire keeps back, the client
// gets it all, in order, and the connection can be used again.
func TestAnswersOfEveryLength(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef\n"), 1<<16/17+1)[:1<<16]
	size := func(r *http.Request) (n int) {
		_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
		return n
	}
	route := func(pattern string, h http.HandlerFunc) Route {
		return Route{Method: "GET", Pattern: pattern, Encodes: true, Handler: h}
	}
	addr, _ := serve(t,
		route("/whole", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size(r)))
			_, _ = w.Write(body[:size(r)])
		}),
		route("/parts", func(w http.ResponseWriter, r *http.Request) {
			n := size(r)
			for from := 0; from < n; from += n/3 + 1 {
				_, _ = w.Write(body[from:min(n, from+n/3+1)])
			}
		}),
		route("/flushed", func(w http.ResponseWriter, r *http.Request) {
			n := size(r)
			_, _ = w.Write(body[:n/2])
			w.(http.Flusher).Flush()
			_, _ = w.Write(body[n/2 : n])
		}),
	)
	c := dial(t, addr)
	in := bufio.NewReader(c)
	for _, path := range []string{"/whole", "/parts", "/flushed"} {
		for _, n := range []int{0, 1, 2047, 2048, 3500, 3600, 3700, 4095, 4096, 4097, 4500, 7000, 8191, 8192, 8193, 12288, 21000, 1 << 16} {
			for _, method := range []string{"GET", "HEAD"} {
				fmt.Fprintf(c, "%s %s?n=%d HTTP/1.1\r\nHost: wall\r\n\r\n", method, path, n)
				res, err := http.ReadResponse(in, &http.Request{Method: method})
				if err != nil {
					t.Fatalf("%s %s, %d bytes: %v", method, path, n, err)
				}
				got, err := io.ReadAll(res.Body)
				want := body[:n]
				if method == "HEAD" {
					want = nil
				}
				if err != nil || res.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
					t.Fatalf("%s %s, %d bytes: %s, %d bytes, %v", method, path, n, res.Status, len(got), err)
				}
			}
		}
	}
}

func TestHeadersOfPages(t *testing.T) {
	answer := func(path, kind string) Route {
		return Route{Method: "GET", Pattern: path, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			_, _ = io.WriteString(w, "<!doctype html>")
		})}
	}
	own := Route{Method: "GET", Pattern: "/own", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusTeapot)
	})}
	h, _, _ := newSite(t, answer("/page", "text/html; charset=utf-8"), answer("/feed", "application/rss+xml"), answer("/silent", ""), own)
	for path, want := range map[string]string{"/page": "same-origin", "/feed": "", "/silent": "same-origin", "/own": "no-referrer", "/nothing": "same-origin"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://wall.local"+path, nil))
		got := w.Result().Header
		if got.Get("Referrer-Policy") != want || (got.Get("Permissions-Policy") != "") != (want != "") {
			t.Errorf("%s: Referrer-Policy %q, want %q; Permissions-Policy %q", path, got.Get("Referrer-Policy"), want, got.Get("Permissions-Policy"))
		}
		if got.Get("Content-Security-Policy") == "" || got.Get("Cross-Origin-Resource-Policy") == "" {
			t.Errorf("%s lacks what every answer has: %v", path, got)
		}
	}
}
