package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Make makes the next copy. old is the copy it replaces, nil if there is none.
// Its context ends after the Refresher's timeout, not when a caller gives up.
type Make func(ctx context.Context, old *Entry) (Entry, error)

// Shared is what a Refresher needs: a cache and, across instances, a lease.
type Shared interface {
	Cache
	Leaser
}

// Refresher sees that of all callers, in this process and in the others that
// share its cache, one makes the next copy and the rest get that copy.
type Refresher struct {
	cache   Shared
	timeout time.Duration
	ctx     context.Context // of all making; ended by Stop
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	flights map[string]*flight
}

type flight struct {
	done  chan struct{}
	entry Entry
	err   error
}

// NewRefresher returns a Refresher whose makers get timeout each; it is also the
// lifetime of their leases, so that when an instance dies another takes over.
func NewRefresher(c Shared, timeout time.Duration) *Refresher {
	ctx, stop := context.WithCancel(context.Background())
	return &Refresher{cache: c, timeout: timeout, ctx: ctx, stop: stop, flights: map[string]*flight{}}
}

// Stop cancels what is being made and returns when it has ended. No Refresh may
// begin after it.
func (r *Refresher) Stop() {
	r.stop()
	r.running.Wait()
}

// Refresh returns a copy newer than any made before since, by making it or by
// waiting for whoever makes it. When ctx ends it returns, but the making goes on
// for the others.
func (r *Refresher) Refresh(ctx context.Context, key string, since time.Time, mk Make) (Entry, error) {
	r.mu.Lock()
	f, ok := r.flights[key]
	if !ok {
		f = &flight{done: make(chan struct{})}
		r.flights[key] = f
		// Detached: the first caller's going away must not fail the others.
		r.running.Go(func() { r.fly(f, key, since, mk) })
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.entry, f.err
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
}

func (r *Refresher) fly(f *flight, key string, since time.Time, mk Make) {
	defer func() {
		// A panic in a maker is a bug, but it must not leave the waiters waiting.
		if p := recover(); p != nil {
			f.err = fmt.Errorf("making the copy: panic: %v", p)
		}
		r.mu.Lock()
		delete(r.flights, key)
		r.mu.Unlock()
		close(f.done)
	}()
	f.entry, f.err = r.make(r.ctx, key, since, mk)
}

const (
	lookEvery  = 200 * time.Millisecond // whether the holder of the lease is done
	leaseTries = 3
	leaseRetry = 1200 * time.Millisecond // longer than a failed server is left alone at first
)

func (r *Refresher) make(ctx context.Context, key string, since time.Time, mk Make) (Entry, error) {
	// Twice the timeout: one for another instance's lease to end, one to make.
	ctx, cancel := context.WithTimeout(ctx, 2*r.timeout+time.Second)
	defer cancel()
	for failures := 0; ; {
		release, held, err := r.cache.Lease(ctx, key, r.timeout)
		if err != nil {
			// A keeper of leases that is busy is asked again: nobody waits for a
			// refresh. One that is dead must not stop it: each is on its own then.
			if failures++; failures < leaseTries {
				if err := pause(ctx, leaseRetry); err != nil {
					return Entry{}, err
				}
				continue
			}
			release, held = func() {}, true
		}
		// Looked at after the lease is held: between looking and holding, the
		// previous holder may have finished.
		old, err := r.cache.Get(ctx, key)
		if err == nil && old.Made.After(since) {
			if held {
				release()
			}
			return old, nil
		}
		if held {
			defer release()
			return r.makeHeld(ctx, key, old, err, mk)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return Entry{}, err
		}
	}
}

// pause waits a little longer than d, each instance a different time.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another instance's copy: %w", ctx.Err())
	}
}

func (r *Refresher) makeHeld(ctx context.Context, key string, old Entry, missing error, mk Make) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	start := time.Now()
	var before *Entry
	if missing == nil {
		before = &old
	}
	e, err := mk(ctx, before)
	if err != nil {
		return Entry{}, err
	}
	e.Cost = time.Since(start)
	// The copy is good even where a cache would not take it.
	if err := r.cache.Set(context.WithoutCancel(ctx), key, e); err != nil {
		return e, &KeepError{err}
	}
	return e, nil
}

// KeepError comes with a good entry that a cache layer did not take.
type KeepError struct{ err error }

func (e *KeepError) Error() string { return "keeping the copy: " + e.err.Error() }

// Unwrap returns the layers' errors.
func (e *KeepError) Unwrap() error { return e.err }
