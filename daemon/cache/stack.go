package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Stack is several caches used as one, the quickest first.
type Stack struct {
	layers []Cache
	now    func() time.Time
	log    *slog.Logger
}

// NewStack returns a stack of the caches, the quickest first.
func NewStack(log *slog.Logger, layers ...Cache) *Stack {
	return &Stack{layers: layers, now: time.Now, log: log}
}

func (s *Stack) String() string {
	names := make([]string, len(s.layers))
	for i, c := range s.layers {
		names[i] = c.String()
	}
	return strings.Join(names, "+")
}

// Get returns the first fresh copy, else the newest of the stale ones: another
// instance may have put a newer one into a shared layer. A layer that fails is a
// layer without a copy.
func (s *Stack) Get(ctx context.Context, key string) (Entry, error) {
	var best Entry
	found := -1
	for i, c := range s.layers {
		e, err := c.Get(ctx, key)
		if err != nil {
			if !errors.Is(err, ErrMissing) {
				s.log.Debug("cache layer failed", "layer", c.String(), "key", key, "err", err)
			}
			continue
		}
		if found < 0 || e.Made.After(best.Made) {
			best, found = e, i
		}
		if e.At(s.now()) == Fresh {
			best, found = e, i
			break
		}
	}
	if found < 0 {
		return Entry{}, ErrMissing
	}
	// The quicker layers learn it, but a copy read back is never worth a write
	// to the card.
	back := best
	back.Transient = true
	for _, c := range s.layers[:found] {
		_ = c.Set(ctx, key, back)
	}
	return best, nil
}

// Set gives the entry to every layer. The error tells of the layers that did not
// take it; the others have it.
func (s *Stack) Set(ctx context.Context, key string, e Entry) error {
	var errs []error
	for _, c := range s.layers {
		if err := c.Set(ctx, key, e); err != nil {
			errs = append(errs, fmt.Errorf("%s cache: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

// Delete forgets the entry in every layer.
func (s *Stack) Delete(ctx context.Context, key string) error {
	var errs []error
	for _, c := range s.layers {
		if err := c.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("%s cache: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

// Lease asks the first shared layer. Without one, this instance is alone and
// always holds the lease.
func (s *Stack) Lease(ctx context.Context, key string, ttl time.Duration) (func(), bool, error) {
	for _, c := range s.layers {
		if l, ok := c.(Leaser); ok {
			return l.Lease(ctx, key, ttl)
		}
	}
	return func() {}, true, nil
}
