package web

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// crowd bounds the connections that are open at a time: some ten KiB of memory each, which
// a client that opens them and sends nothing would otherwise take without end. One client
// has at most half of them, so that who means ill alone locks nobody out. A client is
// counted as by ClientKey.
type crowd struct {
	most int
	log  *slog.Logger

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]int
	turned  int       // away, since it was last said
	said    time.Time // carries the monotonic clock
}

func newCrowd(most int, log *slog.Logger) *crowd {
	return &crowd{most: most, log: log, clients: map[netip.Prefix]int{}}
}

// listener lets in who has room.
func (c *crowd) listener(l net.Listener) net.Listener { return &crowdListener{l, c} }

type crowdListener struct {
	net.Listener
	crowd *crowd
}

// Accept closes at once what is too much: a browser says so, and tries again when it is told to.
func (l *crowdListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(conn.RemoteAddr().String())
		if l.crowd.enter(client) {
			return &crowdConn{wire: wire{Conn: newSocket(conn)}, leave: sync.OnceFunc(func() { l.crowd.leave(client) })}, nil
		}
		_ = conn.Close()
	}
}

type crowdConn struct {
	wire
	leave func()
}

func (c *crowdConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// enter counts a connection; false if there is no room for it.
func (c *crowd) enter(client netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open < c.most && c.clients[client] < (c.most+1)/2 {
		c.open++
		c.clients[client]++
		return true
	}
	c.turned++
	if c.said.IsZero() || time.Since(c.said) >= time.Minute {
		c.log.Warn("too many connections; more are closed at once", "open", c.open, "client", client, "of it", c.clients[client], "closed", c.turned)
		c.turned, c.said = 0, time.Now()
	}
	return false
}

func (c *crowd) leave(client netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.clients[client]--; c.clients[client] == 0 {
		delete(c.clients, client)
	}
}
