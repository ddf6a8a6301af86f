package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
		"100.64.0.1", "100.127.255.255", "198.18.0.1", "224.0.0.251", "255.255.255.255", "240.0.0.1", "192.0.2.1",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:192.168.1.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fd00::1", "fc00::1", "fec0::1",
		"ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1", "2001:db8::1", "100::1",
	} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s counts as public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "9.9.9.9", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "2606:4700::1", "2a00:1450::1", "::ffff:1.1.1.1"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s does not count as public", a)
		}
	}
}

// TestDenied: every way of writing the local host is refused before a connection
// is made.
func TestDenied(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	c := New(Options{Resolver: dnsAnswering(t, netip.MustParseAddr("127.0.0.1"))})
	defer c.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::ffff:127.0.0.1]", "[::1]", "user:pw@127.0.0.1"} {
		_, err := c.Get(context.Background(), Request{URL: "http://" + host + ":" + port + "/"})
		if err == nil {
			t.Errorf("%s was read", host)
			continue
		}
		// Go looks the odd spellings of numbers up as names, and finds none.
		var dns *net.DNSError
		if !errors.Is(err, ErrDenied) && !errors.As(err, &dns) {
			t.Errorf("%s: %v", host, err)
		}
		if errors.Is(err, ErrDenied) && !strings.Contains(err.Error(), "allow-private") {
			t.Errorf("%s: no remedy in %v", host, err)
		}
		if strings.Contains(err.Error(), "pw") {
			t.Errorf("the password is in %v", err)
		}
	}
	for _, u := range []string{"file:///etc/passwd", "gopher://x/", "ftp://x/", "http:///", "/relative", "data:,x", "http://a b/"} {
		if _, err := c.Get(context.Background(), Request{URL: u}); err == nil {
			t.Errorf("%s was read", u)
		}
	}
	if hits.Load() > 0 {
		t.Errorf("%d requests reached the local host", hits.Load())
	}
}

// TestRebinding: a name that first resolves to a public address and then to a
// private one is refused, for what is checked is the address that is dialled. The
// resolver here speaks DNS and answers with 127.0.0.1 for every name.
func TestRebinding(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the local host was reached") }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	dns := dnsAnswering(t, netip.MustParseAddr("127.0.0.1"))
	c := New(Options{Resolver: dns})
	defer c.Close()
	_, err := c.Get(context.Background(), Request{URL: "http://innocent.example:" + port + "/"})
	if !errors.Is(err, ErrDenied) {
		t.Errorf("got %v, want ErrDenied", err)
	}
}

// dnsAnswering is a resolver whose server, a real one on loopback, answers every A
// question with the address.
func dnsAnswering(t *testing.T, a netip.Addr) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if n < 17 {
				continue
			}
			q := buf[12:n]
			end := bytes.IndexByte(q, 0) + 5 // name, type, class
			typeA := q[end-3] == 1
			out := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[:end]...)
			if typeA {
				out[7] = 1
				ip := a.As4()
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
				out = append(out, ip[:]...)
			}
			_, _ = pc.WriteTo(out, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// TestRedirects: each hop is checked. A listed host may lead to itself; nobody
// leads to a private host that is not listed, and a host that the owner did not
// list does not lead to one that is.
func TestRedirects(t *testing.T) {
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) }))
	defer secret.Close()
	_, secretPort, _ := net.SplitHostPort(secret.Listener.Addr().String())
	var target atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			_, _ = w.Write([]byte("end"))
			return
		}
		http.Redirect(w, r, target.Load().(string), http.StatusFound)
	}))
	defer srv.Close()
	host := srv.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(host)

	c := New(Options{AllowPrivate: []string{host}})
	defer c.Close()
	get := func(c *Client, url string) (*Response, error) {
		return c.Get(context.Background(), Request{URL: url})
	}
	target.Store("/end")
	if r, err := get(c, srv.URL); err != nil || string(r.Body) != "end" || r.URL != srv.URL+"/end" {
		t.Errorf("a listed host to itself: %+v, %v", r, err)
	}
	target.Store("http://127.0.0.1:" + secretPort)
	if _, err := get(c, srv.URL); !errors.Is(err, ErrDenied) {
		t.Errorf("a listed host to another port: %v, want ErrDenied", err)
	}
	for _, to := range []string{"http://localhost:" + secretPort, "http://[::ffff:127.0.0.1]:" + secretPort, "http://169.254.169.254/latest/meta-data/"} {
		target.Store(to)
		if _, err := get(c, srv.URL); !errors.Is(err, ErrDenied) {
			t.Errorf("a listed host to %s: %v, want ErrDenied", to, err)
		}
	}
	for _, to := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "javascript:alert(1)"} {
		target.Store(to)
		if _, err := get(c, srv.URL); err == nil {
			t.Errorf("a redirect to %s was followed", to)
		}
	}
	target.Store("/again")
	if _, err := get(c, srv.URL); !errors.Is(err, ErrRedirects) {
		t.Errorf("a loop: %v, want ErrRedirects", err)
	}
	// A chain that did not begin at a listed host does not come to one: the
	// transport that such a chain has refuses even the listed address.
	h := &hop{client: c, mayPrivate: c.listed(mustURL(t, "http://public.example/"))}
	req := httptest.NewRequest("GET", "http://127.0.0.1:"+port+"/end", nil)
	req.RequestURI = ""
	if _, err := h.RoundTrip(req); !errors.Is(err, ErrDenied) {
		t.Errorf("from a public host to a listed one: %v, want ErrDenied", err)
	}
	req = req.Clone(req.Context())
	h.mayPrivate = true
	if resp, err := h.RoundTrip(req); err != nil {
		t.Errorf("the same from a listed host: %v", err)
	} else {
		_ = resp.Body.Close()
	}
}

// TestListedNetwork: a network lets the owner's own addresses in, by number and by a
// name that resolves into it, and their redirects within it; not another host's.
func TestListedNetwork(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("other")) }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/on" {
			http.Redirect(w, r, other.URL, http.StatusFound)
			return
		}
		_, _ = w.Write([]byte("ok"))
	}))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	for _, listed := range []string{"127.0.0.0/8", "127.0.0.1"} {
		c := New(Options{AllowPrivate: []string{listed}, Resolver: dnsAnswering(t, netip.MustParseAddr("127.0.0.1"))})
		defer c.Close()
		for path, want := range map[string]string{"127.0.0.1:" + port + "/": "ok", "nas.example:" + port + "/": "ok", "nas.example:" + port + "/on": "other"} {
			if r, err := c.Get(context.Background(), Request{URL: "http://" + path}); err != nil || string(r.Body) != want {
				t.Errorf("%s with %s listed: %+v, %v", path, listed, r, err)
			}
		}
		// Another host's redirect into it.
		h := &hop{client: c, begun: true}
		req := httptest.NewRequest("GET", other.URL, nil)
		req.RequestURI = ""
		if _, err := h.RoundTrip(req); !errors.Is(err, ErrDenied) {
			t.Errorf("from outside into %s: %v, want ErrDenied", listed, err)
		}
	}
	c := New(Options{AllowPrivate: []string{"192.168.0.0/16"}})
	defer c.Close()
	if _, err := c.Get(context.Background(), Request{URL: srv.URL}); !errors.Is(err, ErrDenied) {
		t.Errorf("outside the listed network: %v, want ErrDenied", err)
	}
}

func local127(t *testing.T, h http.HandlerFunc, o Options) (*Client, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o.AllowPrivate = []string{"127.0.0.1"}
	c := New(o)
	t.Cleanup(c.Close)
	return c, srv.URL
}

func TestSizes(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		chunk := make([]byte, 1<<20)
		for range 4 {
			_, _ = z.Write(chunk)
		}
		_ = z.Close()
		return b.Bytes()
	}()
	small := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte("<rss/>"))
		_ = z.Close()
		return b.Bytes()
	}()
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		want error
		body string
	}{
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, ErrTooLarge, ""},
		"gzip bomb undeclared": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bomb) }, ErrTooLarge, ""},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 1<<16); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, ErrTooLarge, ""},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(small)
		}, nil, "<rss/>"},
		"gzip undeclared": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(small) }, nil, "<rss/>"},
		"plain":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<rss/>")) }, nil, "<rss/>"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("<rss/>"))
		}, errAny, ""},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", maxHeaderBytes+1000))
		}, errAny, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, url := local127(t, tc.h, Options{MaxBytes: 1 << 20})
			r, err := c.Get(context.Background(), Request{URL: url})
			switch {
			case tc.want == nil && err != nil, tc.want != nil && err == nil:
				t.Fatalf("got %v, want %v", err, tc.want)
			case tc.want != nil && tc.want != errAny && !errors.Is(err, tc.want):
				t.Fatalf("got %v, want %v", err, tc.want)
			case err == nil && string(r.Body) != tc.body:
				t.Errorf("body %q, want %q", r.Body, tc.body)
			}
		})
	}
}

var errAny = errors.New("any")

// TestTimes: neither a server that says nothing nor one that drips takes longer
// than the timeout.
func TestTimes(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"silent": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"dripping": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(20 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, url := local127(t, h, Options{Timeout: 200 * time.Millisecond})
			if _, err := c.Get(context.Background(), Request{URL: url}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
		})
	}
}

// TestOneAtATime holds the limit of one request a host.
func TestOneAtATime(t *testing.T) {
	var now, most atomic.Int32
	c, url := local127(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond) // so that others would overlap if they could
	}, Options{})
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := c.Get(context.Background(), Request{URL: fmt.Sprint(url, "/", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 {
		t.Errorf("%d requests at once to one host, want 1", most.Load())
	}
	if len(c.hosts.hosts) != 0 {
		t.Errorf("%d hosts remembered after the last request", len(c.hosts.hosts))
	}
}

func TestHeadersSent(t *testing.T) {
	var got http.Header
	c, url := local127(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.WriteHeader(http.StatusNotModified)
	}, Options{})
	r, err := c.Get(context.Background(), Request{URL: url, ETag: `W/"a,b"`, LastModified: "Sun, 22 Nov 2026 18:30:00 GMT"})
	if err != nil || r.Status != 304 || len(r.Body) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got.Get("If-None-Match") != `W/"a,b"` || got.Get("If-Modified-Since") != "Sun, 22 Nov 2026 18:30:00 GMT" {
		t.Errorf("validators: %v", got)
	}
	if !strings.HasPrefix(got.Get("User-Agent"), "sierpi") || got.Get("Accept-Encoding") != "gzip" {
		t.Errorf("headers: %v", got)
	}
}

func TestRedact(t *testing.T) {
	if got := Redact("https://user:pw@h.example/feed?key=123#x"); strings.Contains(got, "pw") || strings.Contains(got, "123") || !strings.Contains(got, "h.example/feed") {
		t.Error(got)
	}
	if got := Redact("http://h\x7f:pw"); strings.Contains(got, "pw") {
		t.Error(got)
	}
}
