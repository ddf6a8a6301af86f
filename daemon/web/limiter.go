package web

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ClientKey is whom a limit counts: the IPv4 address, or the IPv6 /64, of which
// one client commands all addresses. Forwarding headers are not believed.
func ClientKey(r *http.Request) netip.Prefix { return clientOf(r.RemoteAddr) }

func clientOf(address string) netip.Prefix {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{} // all unknown clients share one bucket
	}
	addr := ap.Addr().WithZone("").Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// Limiter is a token bucket for each client. It remembers at most max clients, a
// few hundred bytes each; beyond, the one unseen for longest is forgotten.
type Limiter struct {
	every rate.Limit
	burst int
	max   int

	mu      sync.Mutex
	buckets map[netip.Prefix]*bucket
}

type bucket struct {
	tokens *rate.Limiter
	seen   time.Time // carries the monotonic clock
}

// NewLimiter allows burst at once and then one in each interval, for each client.
func NewLimiter(interval time.Duration, burst, max int) *Limiter {
	return &Limiter{every: rate.Every(interval), burst: burst, max: max, buckets: map[netip.Prefix]*bucket{}}
}

// Allow takes a token of the request's client; without one it says how long to
// wait for the next.
func (l *Limiter) Allow(r *http.Request) (ok bool, wait time.Duration) {
	return l.allow(ClientKey(r), time.Now())
}

func (l *Limiter) allow(key netip.Prefix, now time.Time) (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		if len(l.buckets) >= l.max {
			l.forget()
		}
		b = &bucket{tokens: rate.NewLimiter(l.every, l.burst)}
		l.buckets[key] = b
	}
	b.seen = now
	res := b.tokens.ReserveN(now, 1)
	if wait := res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		return false, wait
	}
	return true, 0
}

func (l *Limiter) forget() {
	var oldest netip.Prefix
	var seen time.Time
	for key, b := range l.buckets {
		if seen.IsZero() || b.seen.Before(seen) {
			oldest, seen = key, b.seen
		}
	}
	delete(l.buckets, oldest)
}
