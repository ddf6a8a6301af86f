package web

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"
)

// Hosts is the allowlist of names that this machine answers to. Without it a
// page anywhere could rebind its own name to the wall's address and read and
// steer it from a visitor's browser.
//
// Allowed always: localhost, any loopback address, and the very address the
// client connected to (an address cannot be rebound). Ports are not compared.
type Hosts struct {
	names map[string]bool
	// avahi renames a second "sierpi.local" to "sierpi-2.local".
	local string
}

// NewHosts allows hostname, hostname.local (and what avahi makes of it when two
// machines share a name: hostname-2.local) and the configured further names and
// addresses.
func NewHosts(hostname string, further ...string) Hosts {
	h := Hosts{names: map[string]bool{"localhost": true}}
	add := func(name string) {
		if name = canonicalHost(name); name != "" {
			h.names[name] = true
		}
	}
	if hostname = canonicalHost(hostname); hostname != "" {
		h.local, _, _ = strings.Cut(hostname, ".")
		add(hostname)
		add(h.local)
		add(h.local + ".local")
	}
	for _, name := range further {
		add(name)
	}
	return h
}

// Allowed reports whether the request names this machine in its Host.
func (h Hosts) Allowed(r *http.Request) bool {
	name := r.Host
	if host, port, err := net.SplitHostPort(name); err == nil {
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return false
		}
		name = host
	} else {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	}
	if h.names[name] {
		return true
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		addr = addr.WithZone("").Unmap()
		return addr.IsLoopback() || addr == localAddr(r) || h.names[addr.String()]
	}
	name = canonicalHost(name)
	if h.names[name] {
		return true
	}
	if h.local != "" {
		if n, ok := strings.CutPrefix(name, h.local+"-"); ok {
			n, ok = strings.CutSuffix(n, ".local")
			return ok && n != "" && len(n) <= 3 && strings.Trim(n, "0123456789") == ""
		}
	}
	return false
}

// Guard refuses requests for other hosts with 421 before next sees them.
func (h Hosts) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Allowed(r) {
			next.ServeHTTP(w, r)
			return
		}
		// Plain text, and the name is not repeated: whoever asks under a foreign
		// name gets nothing that a script could use.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMisdirectedRequest)
		_, _ = w.Write([]byte("This machine is not known by the name you asked for.\n" +
			"Use its address or its own name, or, if the name is right, add it to sierpi.toml:\n\n" +
			"  [web]\n  hosts = [\"the.name\"]\n"))
	})
}

// canonicalHost makes equal names equal: case, a closing dot, an IPv4 address in
// IPv6 clothes, a zone.
func canonicalHost(name string) string {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.WithZone("").Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// localAddr is the address of ours that the client connected to.
func localAddr(r *http.Request) netip.Addr {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().WithZone("").Unmap()
}

// crossSite refuses what another site's page makes a browser send: everything
// that may change state, and WebSocket upgrades, which are GET and which the
// same-origin policy does not cover. Programs that are no browser send neither
// header and pass; they carry no one's cookies.
func crossSite(look *Look, next http.Handler) http.Handler {
	// Sec-Fetch-Site where the browser sends it (it does not over plain http to
	// a name such as sierpi.local), else Origin against Host, which Hosts vetted.
	check := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probe := r
		if isUpgrade(r) {
			unsafe := *r
			unsafe.Method = http.MethodPost
			probe = &unsafe
		}
		if err := check.Check(probe); err != nil {
			look.Error(w, r, http.StatusForbidden, "This request came from another site's page.",
				"Open the page on this machine and try again there.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isUpgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != ""
}

// contentSecurityPolicy lets a page use this host and nothing else: no inline
// script or style (scripts may set element.style.x, not a style attribute), no
// frame. Canvas snapshots and picked files are data: and blob:.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secureHeaders(next http.Handler) http.Handler {
	type header struct {
		name   string
		values []string // shared by all answers, so without room to append to
	}
	var headers []header
	for name, value := range map[string]string{
		"Content-Security-Policy":      contentSecurityPolicy,
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY", // for browsers older than frame-ancestors
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		headers = append(headers, header{name, []string{value}})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, one := range headers {
			h[one.name] = one.values
		}
		next.ServeHTTP(w, r)
	})
}

// What a browser heeds of a page, and of nothing else.
var (
	referrerPolicy    = []string{"same-origin"}
	permissionsPolicy = []string{"camera=(self), microphone=(), geolocation=(), payment=(), usb=()"}
)

// documentHeaders adds what a page needs beside what every answer has. An answer that does
// not say what it is may turn out a page.
func documentHeaders(h http.Header) {
	if kind := h["Content-Type"]; len(kind) > 0 && !strings.HasPrefix(kind[0], "text/html") {
		return
	}
	if h["Referrer-Policy"] == nil { // a page may say less
		h["Referrer-Policy"] = referrerPolicy
	}
	h["Permissions-Policy"] = permissionsPolicy
}

// response notes what was sent, for the log and for panics. Flush and Hijack
// reach through it, as http.ResponseController does by Unwrap.
type response struct {
	http.ResponseWriter
	request *http.Request
	status  int
	bytes   int64
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		documentHeaders(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		documentHeaders(w.Header())
	}
	n, err := writeTogether(w.ResponseWriter, w.request, b)
	w.bytes += int64(n)
	return n, err
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher.
func (w *response) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// outermost logs each request at debug level and turns a panic into a logged 500.
func outermost(log *slog.Logger, look *Look, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rw := &response{ResponseWriter: w, request: r}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.Error("a handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if rw.status != 0 {
					panic(http.ErrAbortHandler) // half an answer must not look whole
				}
				look.Error(rw, r, http.StatusInternalServerError, "Something went wrong here.", "The machine's log says what; try again in a moment.")
			}
			if !log.Enabled(r.Context(), slog.LevelDebug) {
				return
			}
			log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", rw.status, "bytes", rw.bytes,
				"for", time.Since(start).Round(time.Microsecond), "client", r.RemoteAddr)
		}()
		next.ServeHTTP(rw, r)
	})
}
