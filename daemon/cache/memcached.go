package cache

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Memcached is a pool of memcached servers that several instances share. A key
// lives on one server, found by rendezvous hashing, so that a new server takes
// over only its share of the keys.
//
// No call takes longer than the timeout. A server that failed is left alone for
// a while (1 s, doubling to 30 s), during which its keys are misses at no cost.
type Memcached struct {
	client *memcache.Client
	pool   *pool
	now    func() time.Time
}

// NewMemcached returns the pool of the servers, each "host:port". Names are
// looked up when a connection is made, so that it starts without a network.
// timeout bounds one call, connecting included; 0 means a second: the
// appliance is a small machine, and what is asked often is answered from memory.
func NewMemcached(servers []string, timeout time.Duration) (*Memcached, error) {
	if len(servers) == 0 {
		return nil, errors.New("a memcached pool needs at least one server, as host:port")
	}
	if timeout == 0 {
		timeout = time.Second
	}
	p := &pool{now: time.Now}
	seen := map[string]bool{}
	for _, s := range servers {
		host, port, err := net.SplitHostPort(s)
		if n, nerr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || nerr != nil || n == 0 {
			return nil, fmt.Errorf("memcached server %q: want host:port, for instance 192.168.1.5:11211", s)
		}
		if seen[s] {
			return nil, fmt.Errorf("memcached server %q is listed twice", s)
		}
		seen[s] = true
		p.servers = append(p.servers, &server{addr: s})
	}
	c := memcache.NewFromSelector(p)
	// Connecting and talking are bounded separately by the client: half each.
	c.Timeout = timeout / 2
	c.MaxIdleConns = 8
	c.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guardedConn{Conn: conn, timeout: timeout / 2}, nil
	}
	return &Memcached{client: c, pool: p, now: time.Now}, nil
}

func (m *Memcached) String() string { return "memcached" }

// Close closes the idle connections.
func (m *Memcached) Close() error { return m.client.Close() }

// wireKey is a key that memcached takes: at most 250 bytes, no spaces. The prefix
// carries the format's version, so that instances of different versions do not
// read one another's entries.
func wireKey(prefix, key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sierpi:1:" + prefix + hex.EncodeToString(sum[:20])
}

// Get implements Cache.
func (m *Memcached) Get(_ context.Context, key string) (Entry, error) {
	wk := wireKey("", key)
	it, err := m.client.Get(wk)
	if err := m.pool.note(wk, err); err != nil {
		if errors.Is(err, memcache.ErrCacheMiss) {
			return Entry{}, ErrMissing
		}
		return Entry{}, fmt.Errorf("asking memcached: %w", err)
	}
	e, err := decode(key, it.Value)
	if err != nil {
		return Entry{}, err
	}
	if e.At(m.now()) == Expired {
		return Entry{}, ErrMissing
	}
	return e, nil
}

// Set implements Cache.
func (m *Memcached) Set(_ context.Context, key string, e Entry) error {
	b, err := encode(key, e)
	if err != nil {
		return err
	}
	wk := wireKey("", key)
	err = m.client.Set(&memcache.Item{Key: wk, Value: b, Expiration: expiration(e.Stale)})
	if err := m.pool.note(wk, err); err != nil {
		return fmt.Errorf("telling memcached: %w", err)
	}
	return nil
}

// Delete implements Cache.
func (m *Memcached) Delete(_ context.Context, key string) error {
	wk := wireKey("", key)
	if err := m.pool.note(wk, m.client.Delete(wk)); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
		return fmt.Errorf("telling memcached: %w", err)
	}
	return nil
}

// expiration is a duration in memcached's terms: seconds, rounded up; above 30
// days it would be read as a date, and the clock here is not trusted, so such an
// entry has no end and is judged by its own times.
func expiration(d time.Duration) int32 {
	const month = 30 * 24 * time.Hour
	if d <= 0 || d >= month {
		return 0
	}
	return int32((d + time.Second - 1) / time.Second)
}

// Lease implements Leaser. memcached's add succeeds for exactly one of those who
// try at the same time.
func (m *Memcached) Lease(_ context.Context, key string, ttl time.Duration) (func(), bool, error) {
	wk := wireKey("lease:", key)
	token := []byte(rand.Text())
	err := m.client.Add(&memcache.Item{Key: wk, Value: token, Expiration: max(1, expiration(ttl))})
	err = m.pool.note(wk, err)
	if errors.Is(err, memcache.ErrNotStored) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("asking memcached for the lease: %w", err)
	}
	return func() { m.release(wk, token) }, true, nil
}

// release ends a lease unless it ended by itself and another has it now: read and
// expire are tied by memcached's compare-and-swap.
func (m *Memcached) release(wk string, token []byte) {
	it, err := m.client.Get(wk)
	if m.pool.note(wk, err) != nil || !bytes.Equal(it.Value, token) {
		return
	}
	it.Expiration = -1 // at once
	_ = m.pool.note(wk, m.client.CompareAndSwap(it))
}

// pool is the servers, and which of them are left alone for now.
type pool struct {
	servers []*server
	now     func() time.Time
}

type server struct {
	addr string

	mu       sync.Mutex
	failures int
	retryAt  time.Time
}

func (s *server) Network() string { return "tcp" }
func (s *server) String() string  { return s.addr }

var errDown = errors.New("this memcached server failed a moment ago and is left alone for now")

// pick finds a key's server by rendezvous hashing: the highest hash of server and
// key wins.
func (p *pool) pick(key string) *server {
	var best *server
	var high uint64
	for _, s := range p.servers {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.addr))
		_, _ = h.Write([]byte{0})
		_, _ = h.Write([]byte(key))
		if score := mix(h.Sum64()); best == nil || score > high {
			best, high = s, score
		}
	}
	return best
}

// mix spreads FNV's output, whose high bits hardly depend on the last bytes, over
// all bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// PickServer implements memcache.ServerSelector.
func (p *pool) PickServer(key string) (net.Addr, error) {
	s := p.pick(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 && p.now().Before(s.retryAt) {
		return nil, errDown
	}
	return s, nil
}

// Each implements memcache.ServerSelector.
func (p *pool) Each(f func(net.Addr) error) error {
	for _, s := range p.servers {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// note learns from a call's outcome whether the key's server is well, and returns
// that outcome.
func (p *pool) note(key string, err error) error {
	if errors.Is(err, errDown) {
		return err
	}
	s := p.pick(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, memcache.ErrCacheMiss), errors.Is(err, memcache.ErrNotStored), errors.Is(err, memcache.ErrCASConflict):
		s.failures = 0
	default:
		s.failures++
		s.retryAt = p.now().Add(min(30*time.Second, time.Second<<min(s.failures-1, 5)))
	}
	return err
}

// guardedConn holds a lying server to one answer: the client trusts the announced
// size of a value (a gigabyte would be allocated) and extends its deadline with
// every line it reads.
type guardedConn struct {
	net.Conn
	timeout time.Duration // for one request with its whole answer
	asked   bool          // a request goes out, its answer's first line was not seen yet
	left    int           // bytes the answer may still have
	head    []byte        // read ahead of the caller
}

var errLying = errors.New("the memcached server answers with more than it may")

const maxLine = 512

func (c *guardedConn) Write(b []byte) (int, error) {
	if !c.asked {
		c.asked = true
		if err := c.Conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// SetDeadline does nothing: the deadline stands from the request's first byte.
func (c *guardedConn) SetDeadline(time.Time) error { return nil }

func (c *guardedConn) Read(b []byte) (int, error) {
	if c.asked {
		if err := c.readHead(); err != nil {
			return 0, err
		}
	}
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.left <= 0 {
		return 0, errLying
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// readHead reads up to the answer's first line end and sets how long the answer
// may be.
func (c *guardedConn) readHead() error {
	buf := make([]byte, maxLine)
	n := 0
	for {
		k, err := c.Conn.Read(buf[n:])
		n += k
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			c.left = maxLine
			if f := bytes.Fields(buf[:i]); len(f) >= 4 && string(f[0]) == "VALUE" {
				size, err := strconv.Atoi(string(f[3]))
				if err != nil || size < 0 || size > 1<<20 {
					return errLying
				}
				c.left += size
			}
			c.left -= n
			c.asked, c.head = false, buf[:n]
			return nil
		}
		if err != nil {
			return err
		}
		if n == len(buf) {
			return errLying
		}
	}
}
