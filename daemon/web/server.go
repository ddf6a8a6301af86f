package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// Limits of the server. A client that dawdles over its headers or its body holds
// a connection, and on a small board connections are memory.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 60 * time.Second // a 12-megapixel picture over poor Wi-Fi
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeader         = 16 << 10
	maxConnections    = 4096                   // 17 KiB each with a poll that waits: 70 MB
	grace             = 800 * time.Millisecond // for answers under way; the whole stop is promised within 1 s
)

// Sockets are the listeners that systemd opened for us, by the name that the
// socket unit gives (FileDescriptorName=). Take them once a process, in main.
type Sockets map[string][]net.Listener

// InheritedSockets takes over systemd's listeners; none outside systemd.
func InheritedSockets() (Sockets, error) {
	ls, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking over systemd's sockets: %w", err)
	}
	for name, group := range ls {
		for _, l := range group {
			if l == nil {
				return nil, fmt.Errorf("systemd's socket %q is no stream listener; use ListenStream= in the socket unit", name)
			}
		}
	}
	return ls, nil
}

// Listen gives systemd's listeners of that name, or, when there are none, opens
// addr ("127.0.0.1:8080"). Nothing is opened for an empty addr.
func (s Sockets) Listen(ctx context.Context, name, addr string) ([]net.Listener, error) {
	if ls := s[name]; len(ls) > 0 {
		return ls, nil
	}
	if addr == "" {
		return nil, nil // to net.Listen it would mean any port on every address
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return []net.Listener{l}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop it (`ss -ltnp` names it), or choose another address", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s needs privileges that this user lacks: choose a port above 1023, or let sierpi.socket open it", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine: choose one of `ip address`, or leave the address away (\":80\") for all of them", addr)
	}
	return nil, fmt.Errorf("listening on %s: %w", addr, err)
}

// ServerOptions is what NewServer needs.
type ServerOptions struct {
	Name      string // for the log and errors: "pages", "metrics"
	Listeners []net.Listener
	Handler   http.Handler
	Log       *slog.Logger

	// Connections is how many may be open at a time, 4096 when 0; one client
	// (ClientKey) may have half of them.
	Connections int
}

// Server serves one handler on its listeners.
type Server struct {
	opt  ServerOptions
	busy atomic.Int64 // handlers running, hijacked connections included
	idle chan struct{}

	crowd *crowd

	readHeader, read, grace time.Duration // readHeaderTimeout, readTimeout and grace but in tests
}

// NewServer makes a server of listeners that are open already, so that a client
// who comes before Run waits instead of being refused.
func NewServer(o ServerOptions) *Server {
	if o.Connections == 0 {
		o.Connections = maxConnections
	}
	return &Server{opt: o, idle: make(chan struct{}, 1), crowd: newCrowd(o.Connections, o.Log),
		readHeader: readHeaderTimeout, read: readTimeout, grace: grace}
}

// String names the task.
func (s *Server) String() string { return "server of the " + s.opt.Name }

type stoppingKey struct{}

// endWithDaemon cancels a stream when the daemon stops, so that it can say
// goodbye while plain requests are still served to their end.
func endWithDaemon(ctx context.Context, cancel context.CancelFunc) (release func()) {
	stopping, ok := ctx.Value(stoppingKey{}).(context.Context)
	if !ok {
		return func() {}
	}
	stop := context.AfterFunc(stopping, cancel)
	return func() { stop() }
}

// Run serves until ctx ends, then stops within a second: streams (Route.Streams)
// have their context cancelled at once and may answer, plain requests run on for
// up to 800 ms and only then have theirs cancelled. It returns when every handler
// has returned, or when that time is over.
func (s *Server) Run(ctx context.Context) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	base = context.WithValue(base, stoppingKey{}, ctx)
	srv := &http.Server{
		Handler:           http.HandlerFunc(s.count),
		ReadHeaderTimeout: s.readHeader, ReadTimeout: s.read,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: withWire,
		ErrorLog:    slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelDebug),
	}
	// Browsers open connections in reserve. Shutdown gives one that has sent nothing
	// yet five seconds; nothing is lost by closing it.
	var unused sync.Map
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			unused.Store(c, nil)
		} else {
			unused.Delete(c)
		}
	}
	srv.RegisterOnShutdown(func() {
		unused.Range(func(c, _ any) bool {
			_ = c.(net.Conn).Close()
			return true
		})
	})
	failed := make(chan error, len(s.opt.Listeners))
	for _, l := range s.opt.Listeners {
		go func() { failed <- srv.Serve(s.crowd.listener(l)) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serving the %s: %w", s.opt.Name, err)
	}
	// Serve returns as soon as Shutdown begins; Shutdown itself knows the end,
	// but not of hijacked connections (WebSockets): those are counted.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer stop()
	if e := srv.Shutdown(end); e == nil {
		s.wait(end)
	}
	cancel()
	_ = srv.Close()
	if s.busy.Load() > 0 {
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), s.grace/8)
		defer stop()
		s.wait(last)
	}
	if n := s.busy.Load(); n > 0 {
		s.opt.Log.Warn("requests were cut off at the end", "server", s.opt.Name, "requests", n)
	}
	return err
}

func (s *Server) count(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer func() {
		if s.busy.Add(-1) == 0 {
			select {
			case s.idle <- struct{}{}:
			default:
			}
		}
	}()
	s.opt.Handler.ServeHTTP(w, r)
}

func (s *Server) wait(ctx context.Context) {
	for s.busy.Load() > 0 {
		select {
		case <-s.idle:
		case <-ctx.Done():
			return
		}
	}
}
