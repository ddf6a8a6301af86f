package web

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// wire is a client's connection that can send a long answer by one system call. net/http
// gathers what it writes in 4 KiB, and so sends a long answer by two: the header with what
// fits of the body, then the rest. The second costs server and client as much again.
type wire struct {
	net.Conn
	first *[]byte // what waits for the rest; nil unless gathering
}

// gathered is how much net/http gathers, in bytes. Were it another amount, answers would go
// out as they do without a wire.
const gathered = 4 << 10

var firsts = sync.Pool{New: func() any {
	b := make([]byte, 0, gathered)
	return &b
}}

// gather keeps the next write, if it is short, until the one after it, or release.
func (w *wire) gather() { w.first = firsts.Get().(*[]byte) }

// release ends gathering and sends what waits.
func (w *wire) release() {
	first := w.first
	w.first = nil
	if len(*first) > 0 {
		_, _ = w.Conn.Write(*first) // a connection that fails here fails at the next write too
	}
	*first = (*first)[:0]
	firsts.Put(first)
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	switch {
	case w.first == nil, len(*w.first) == 0 && len(b) > gathered:
		return w.Conn.Write(b)
	case len(*w.first) == 0:
		*w.first = append(*w.first, b...) // the caller will use b again
		return len(b), nil
	}
	n, err := writeBoth(w.Conn, *w.first, b)
	n -= len(*w.first)
	*w.first = (*w.first)[:0]
	return max(n, 0), err
}

type wireKey struct{}

// withWire lets the requests of a connection know it (http.Server.ConnContext).
func withWire(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*crowdConn); ok {
		return context.WithValue(ctx, wireKey{}, &c.wire)
	}
	return ctx
}

// writeTogether writes b and, if it is long, what net/http has yet to send before it, at once.
func writeTogether(w http.ResponseWriter, r *http.Request, b []byte) (int, error) {
	if len(b) > gathered {
		if c, ok := r.Context().Value(wireKey{}).(*wire); ok {
			c.gather()
			defer c.release()
		}
	}
	return w.Write(b)
}

// writeBoth writes a, then b: at once if the connection can.
func writeBoth(c net.Conn, a, b []byte) (int, error) {
	if s, ok := c.(*socket); ok {
		return s.writeBoth(a, b)
	}
	both := net.Buffers{a, b}
	n, err := both.WriteTo(c)
	return int(n), err
}
