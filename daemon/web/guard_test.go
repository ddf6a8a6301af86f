package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	h := NewHosts("Sierpi.lan", "wall.example.org", "192.0.2.80", "2001:DB8::1")
	for host, want := range map[string]bool{
		"sierpi": true, "sierpi.local": true, "sierpi.local:8080": true, "sierpi.lan": true, "SIERPI.LOCAL.": true,
		"sierpi-2.local": true, "sierpi-12.local:80": true, "localhost:1": true, "127.0.0.53": true, "[::1]": true, "[::1]:8080": true,
		"wall.example.org": true, "192.0.2.80:80": true, "[2001:db8:0::1]:80": true, "[::ffff:192.0.2.80]": true,
		"evil.example": false, "sierpi.evil.example": false, "sierpi-.local": false, "sierpi-x.local": false, "sierpi-2.local.evil.example": false,
		"sierpi-2": false, "example.org": false, "192.0.2.81": false, "": false, ":80": false, "localhost:": false, "localhost:80x": false,
		"localhost.evil.example": false, "sierpi.local/": false, "a@sierpi.local": false, "[::1": true, "0": false,
	} {
		if got := h.Allowed(&http.Request{Host: host}); got != want {
			t.Errorf("Host %q: %t, want %t", host, got, want)
		}
	}
	if NewHosts("").Allowed(&http.Request{Host: ""}) {
		t.Error("a machine without a name answers to no name")
	}
}

// TestHostsKnowTheAddressConnectedTo connects for real: the address that the
// client dialled is allowed, whatever the machine is called.
func TestHostsKnowTheAddressConnectedTo(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := localAddr(r); got != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("local address %s", got)
		}
	}))
	defer s.Close()
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	local := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 80}
	r := httptest.NewRequest("GET", "http://192.0.2.7/", nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	if h := NewHosts("wall"); !h.Allowed(r) {
		t.Error("the address connected to is refused")
	} else if r.Host = "192.0.2.8"; h.Allowed(r) {
		t.Error("another address is allowed")
	}
}

func FuzzHosts(f *testing.F) {
	for _, s := range []string{"wall:80", "[::1%eth0]:80", "wall-2.local", "a:b:c", "[]", "%", "WALL.LOCAL."} {
		f.Add(s)
	}
	h := NewHosts("wall")
	f.Fuzz(func(t *testing.T, host string) {
		if !h.Allowed(&http.Request{Host: host}) {
			return
		}
		// Whatever passes must be one of the names by a reading of our own.
		name := strings.ToLower(host)
		if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") && strings.Count(name, ":") == 1 || strings.Contains(name, "]:") {
			name = name[:i]
		}
		name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
		if addr, err := netip.ParseAddr(name); err == nil && addr.Unmap().IsLoopback() {
			return
		}
		if name != "wall" && name != "wall.local" && name != "localhost" && !(strings.HasPrefix(name, "wall-") && strings.HasSuffix(name, ".local")) {
			t.Errorf("%q was allowed", host)
		}
	})
}

func TestRefusedHostGetsARemedy(t *testing.T) {
	h, _, _ := newSite(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://evil.example/", nil))
	if body := w.Body.String(); w.Code != 421 || !strings.Contains(body, "hosts = [") || strings.Contains(body, "evil") || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %v\n%s", w.Code, w.Header(), body)
	}
}

func TestPanicBecomesAPage(t *testing.T) {
	var log strings.Builder
	look, err := NewLook(LookOptions{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewRouter([]Route{
		{Method: "GET", Pattern: "/early", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh\nno") })},
		{Method: "GET", Pattern: "/late", Streams: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("late")
		})},
	}, RouterOptions{Look: look, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	res, err := http.Get(s.URL + "/early")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 500 || !strings.Contains(string(body), "<main") || strings.Contains(string(body), "oh") {
		t.Errorf("%d\n%s", res.StatusCode, body)
	}
	if !strings.Contains(log.String(), `panic="oh\nno"`) || !strings.Contains(log.String(), "guard_test.go") {
		t.Errorf("the log does not say where:\n%s", log.String())
	}
	res, err = http.Get(s.URL + "/late")
	if err == nil {
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

func TestErrorsAreInTheLookOrJSON(t *testing.T) {
	h, _, _ := newSite(t,
		Route{Method: "POST", Pattern: "/only-post", Handler: http.HandlerFunc(nothing)},
		Route{Method: "GET", Pattern: "/mine", Role: Owner, Handler: http.HandlerFunc(nothing)},
		Route{Method: "GET", Pattern: "/screen", Role: Kiosk, Handler: http.HandlerFunc(nothing)})
	for _, c := range []struct {
		method, path, accept string
		status               int
		has                  string
	}{
		{"GET", "/nothing", "text/html", 404, "<main"},
		{"GET", "/nothing", "application/json", 404, `{"error":"There is no such page here.","remedy":"`},
		{"GET", "/json/nothing", "*/*", 404, `{"error"`},
		{"GET", "/json/nothing", "text/html,*/*", 404, "<main"},
		{"GET", "/only-post", "text/html", 405, "Allowed: POST"},
		{"PROPFIND<x>", "/only-post", "text/html", 405, "This method is not possible"},
		{"GET", "/mine?a=b", "text/html", 401, `value="/mine?a=b"`},
		{"GET", "/mine", "application/json", 401, "/owner/login"},
		{"GET", "/screen", "text/html", 401, "own screen"},
	} {
		r := httptest.NewRequest("GET", "http://wall.local"+c.path, nil)
		r.Method = c.method
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s %s as %s: %d\n%s", c.method, c.path, c.accept, w.Code, w.Body)
		}
		if c.status == 405 && w.Header().Get("Allow") != "POST" {
			t.Errorf("Allow: %q", w.Header().Get("Allow"))
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
}

func TestBodyLimit(t *testing.T) {
	var got error
	read := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, got = io.Copy(io.Discard, r.Body) })
	h, _, _ := newSite(t, Route{Method: "POST", Pattern: "/usual", Handler: read}, Route{Method: "POST", Pattern: "/small", MaxBody: 10, Handler: read})
	for path, limit := range map[string]int{"/usual": defaultMaxBody, "/small": 10} {
		for _, over := range []int{0, 1} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "http://wall"+path, strings.NewReader(strings.Repeat("x", limit+over))))
			if (got != nil) != (over == 1) {
				t.Errorf("%s, %d over: %v", path, over, got)
			}
		}
	}
}

func TestCompression(t *testing.T) {
	big := strings.Repeat("a quiet page ", 500)
	page := func(kind, text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		})
	}
	h, _, _ := newSite(t,
		Route{Method: "GET", Pattern: "/big", Handler: page("text/html; charset=utf-8", big)},
		Route{Method: "GET", Pattern: "/small", Handler: page("text/html; charset=utf-8", "x")},
		Route{Method: "GET", Pattern: "/picture", Handler: page("image/png", big)},
		Route{Method: "GET", Pattern: "/stream", Streams: true, Handler: page("text/event-stream", big)})
	for path, want := range map[string]string{"/big": "gzip", "/small": "", "/picture": "", "/stream": ""} {
		r := httptest.NewRequest("GET", "http://wall"+path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestRouterRefusesBadTables(t *testing.T) {
	look, _ := NewLook(LookOptions{Log: slog.New(slog.DiscardHandler)})
	for _, bad := range [][]Route{
		{{Method: "GET", Pattern: "/x"}},
		{{Method: "", Pattern: "/x", Handler: http.HandlerFunc(nothing)}},
		{{Method: "GET", Pattern: "x", Handler: http.HandlerFunc(nothing)}},
		{{Method: "GET", Pattern: "/{", Handler: http.HandlerFunc(nothing)}},
		{{Method: "GET", Pattern: "/{a}/b", Handler: http.HandlerFunc(nothing)}, {Method: "GET", Pattern: "/a/{b}", Handler: http.HandlerFunc(nothing)}},
	} {
		if _, err := NewRouter(bad, RouterOptions{Look: look, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestLimiter(t *testing.T) {
	l := NewLimiter(10*time.Second, 3, 2)
	now := time.Now()
	a, b, c := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("192.0.2.3/32")
	for i := range 5 {
		ok, wait := l.allow(a, now)
		if ok != (i < 3) || !ok && (wait <= 9*time.Second || wait > 10*time.Second) {
			t.Errorf("try %d: %t, wait %v", i, ok, wait)
		}
	}
	if ok, _ := l.allow(b, now.Add(time.Second)); !ok {
		t.Error("one client's limit holds another")
	}
	if ok, _ := l.allow(a, now.Add(11*time.Second)); !ok {
		t.Error("no token after the interval")
	}
	l.allow(c, now.Add(12*time.Second)) // b is the one unseen for longest
	if _, ok := l.buckets[a]; !ok || len(l.buckets) != 2 {
		t.Errorf("remembers %v", l.buckets)
	}
	for addr, want := range map[string]string{"192.0.2.1:5": "192.0.2.1/32", "[::ffff:192.0.2.1]:5": "192.0.2.1/32",
		"[2001:db8::1]:5": "2001:db8::/64", "[fe80::1%eth0]:5": "fe80::/64", "junk": netip.Prefix{}.String()} {
		if got := ClientKey(&http.Request{RemoteAddr: addr}).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
