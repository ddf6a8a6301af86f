package web

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// defaultMaxBody bounds the body of a request whose route sets no other limit.
const defaultMaxBody = 1 << 20

// RouterOptions is what NewRouter needs beside the table.
type RouterOptions struct {
	Look       *Look
	Hosts      Hosts
	Identities []Identity // the owner's door, the kiosk's, the visitors'
	Log        *slog.Logger

	streamWrite time.Duration // streamTimeout but in tests
}

// streamTimeout is how long a client of a stream may leave what was sent to it unread.
const streamTimeout = 30 * time.Second

// NewRouter builds the handler of all pages: the middleware, in this order: log
// and panics, headers, Host, cross-site, role; then the table, each route behind
// its role; then pages for 404 and 405. Two routes that collide, or a route
// without handler, are an error.
func NewRouter(routes []Route, o RouterOptions) (http.Handler, error) {
	if o.Look == nil || o.Log == nil {
		return nil, errors.New("the router needs a look and a logger")
	}
	mux := http.NewServeMux()
	// Level 1: a Pi Zero compresses a page in about a millisecond by it, and the
	// better levels save few bytes more on pages of some KiB.
	squeeze, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(1), gzhttp.MinSize(1024),
		gzhttp.ContentTypes([]string{"text/html", "text/plain", "text/css", "text/javascript", "application/json", "application/feed+json", "application/atom+xml", "image/svg+xml"}))
	if err != nil {
		return nil, fmt.Errorf("setting up compression: %w", err)
	}
	for _, route := range routes {
		h := enforce(o.Look, route, cmp.Or(o.streamWrite, streamTimeout))
		if !route.Streams && !route.Encodes {
			// A compressor would hold a stream's events back.
			h = squeeze(h)
		}
		if err := register(mux, route, h); err != nil {
			return nil, err
		}
	}
	table := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		switch {
		case pattern == "":
		case strings.IndexByte(pattern, '{') < 0:
			h.ServeHTTP(w, r) // found already; no part of the path is to be noted
			return
		default:
			mux.ServeHTTP(w, r)
			return
		}
		// ServeMux answers 404 and 405 in plain text; say it in the look.
		var plain statusOnly
		h.ServeHTTP(&plain, r)
		switch plain.status {
		case http.StatusNotFound:
			o.Look.Error(w, r, http.StatusNotFound, "There is no such page here.", "Check the address, or start from the wall.")
		case http.StatusMethodNotAllowed:
			allow := plain.Header().Get("Allow")
			w.Header().Set("Allow", allow)
			o.Look.Error(w, r, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not possible here.", methodName(r.Method)), "Allowed: "+allow+".")
		default:
			h.ServeHTTP(w, r)
		}
	})
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		table.ServeHTTP(w, withRole(r, o.Identities))
	})
	h = crossSite(o.Look, h)
	h = o.Hosts.Guard(h)
	h = secureHeaders(h)
	return outermost(o.Log, o.Look, h), nil
}

func register(mux *http.ServeMux, route Route, h http.Handler) (err error) {
	where := route.Method + " " + route.Pattern
	if route.Method == "" || !strings.HasPrefix(route.Pattern, "/") || route.Handler == nil {
		return fmt.Errorf("route %q: needs a method, a pattern that begins with / and a handler", where)
	}
	// ServeMux panics on a bad or colliding pattern.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("route %q: %v", where, p)
		}
	}()
	mux.Handle(where, h)
	return nil
}

// enforce puts a route's role and limits before its handler.
func enforce(look *Look, route Route, streamWrite time.Duration) http.Handler {
	limit := route.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if role := RoleOf(r); role < route.Role {
			look.refuse(w, r, role, route.Role)
			return
		}
		if r.Body != http.NoBody && (r.ContentLength < 0 || r.ContentLength > limit) {
			r.Body = http.MaxBytesReader(w, r.Body, limit) // of a known length the server gives no more
		}
		if !route.Streams {
			route.Handler.ServeHTTP(w, r)
			return
		}
		rc := http.NewResponseController(w)
		if r.Body != http.NoBody {
			// Whole, and while the server's deadline holds: a stream lasts, what asks for
			// it must not take as long.
			body, err := ReadBody(r)
			if err != nil {
				look.bodyError(w, r, err)
				return
			}
			held := &heldBody{all: body}
			held.Reset(body)
			r.Body = held
		}
		_ = rc.SetReadDeadline(time.Time{})
		out := &streamWriter{ResponseWriter: w, rc: rc, timeout: streamWrite}
		defer out.extend() // for what net/http still holds
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer endWithDaemon(ctx, cancel)()
		if session, ok := ctx.Value(sessionKey{}).(context.Context); ok && route.Role > Anyone {
			defer context.AfterFunc(session, cancel)()
		}
		route.Handler.ServeHTTP(out, r.WithContext(ctx))
	})
}

// heldBody is a body that was read already.
type heldBody struct {
	bytes.Reader
	all []byte
}

func (*heldBody) Close() error { return nil }

// ReadBody reads the whole body of a request; the route's MaxBody bounds it. The caller must
// not change the bytes. A small one of known length takes no more room than it needs: that of
// a stream is held as long as the stream.
func ReadBody(r *http.Request) ([]byte, error) {
	if held, ok := r.Body.(*heldBody); ok {
		return held.all, nil
	}
	if r.ContentLength < 0 || r.ContentLength > 4096 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// bodyError answers a request whose body is too large, or did not come.
func (l *Look) bodyError(w http.ResponseWriter, r *http.Request, err error) {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		l.Error(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("More than %d bytes are not taken here.", long.Limit), "Send less.")
		return
	}
	w.Header().Set("Connection", "close")
	l.Error(w, r, http.StatusRequestTimeout, "The request did not come whole.", "Send it again.")
}

// streamWriter gives each write of a stream its own deadline: who does not read holds a
// goroutine and a buffer for so long and no longer.
type streamWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	fresh   time.Time // until then the deadline is that of a write just before
}

// extend moves the deadline, unless three quarters of the time are left: a write comes
// seldom alone.
func (w *streamWriter) extend() {
	now := time.Now()
	if now.Before(w.fresh) {
		return
	}
	w.fresh = now.Add(w.timeout / 4)
	_ = w.rc.SetWriteDeadline(now.Add(w.timeout)) // where it cannot be set there is no network
}

func (w *streamWriter) Write(b []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls.
func (w *streamWriter) FlushError() error {
	w.extend()
	return w.rc.Flush()
}

// Flush implements http.Flusher.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// Hijack implements http.Hijacker.
func (w *streamWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.rc.Hijack() }

func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// methodName keeps a client's invention out of the page.
func methodName(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return m
	}
	return "This method"
}

// statusOnly is a ResponseWriter that keeps the status and the headers.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
