package quotes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/fetch"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

// Options are what the service needs.
type Options struct {
	DB   *store.DB
	Look *web.Look // nil where no pages are served, as in a command
	Log  *slog.Logger

	Pages        []CollectedPage // where quotes are collected every hour; may be empty
	AllowPrivate []string        // hosts on private networks that may be collected from
}

// Service is the quotes database. It is safe for concurrent use.
type Service struct {
	db    *store.DB
	index index
	look  *web.Look
	log   *slog.Logger

	assets *web.Assets // nil without pages

	pages  []collected
	client *fetch.Client // nil without pages

	mu       sync.Mutex // guards what follows
	hour     string     // the wall's quote, its hour and when it was looked up
	hourAt   time.Time
	hourly   Quote
	troubles map[string]string // of the collector, by address
}

// New returns the service over an open database.
func New(o Options) (*Service, error) {
	if o.DB == nil {
		return nil, errors.New("quotes: no database")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{db: o.DB, index: indexOf(o.DB), look: o.Look, log: o.Log}
	var err error
	if s.pages, err = collectedPages(o.Pages); err != nil {
		return nil, err
	}
	if len(s.pages) > 0 {
		s.client = fetch.New(fetch.Options{AllowPrivate: o.AllowPrivate})
	}
	if o.Look != nil {
		if s.assets, err = newAssets(); err != nil {
			return nil, fmt.Errorf("quotes: %w", err)
		}
	}
	return s, nil
}

// forget drops what is kept in memory after the quotes changed.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hour = ""
}

// state is the revision, which changes with every change, and the number of
// visible quotes.
func (s *Service) state(ctx context.Context) (revision int64, visible int, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT revision, visible FROM quote_state`).Scan(&revision, &visible)
	})
	return revision, visible, err
}

// Count is the number of visible quotes.
func (s *Service) Count(ctx context.Context) (int, error) {
	_, n, err := s.state(ctx)
	return n, err
}

// Health is "ok", "absent" while there is no quote, "stale" while a page cannot be
// collected, or "failed", and why.
func (s *Service) Health() (state, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, err := s.Count(ctx)
	switch {
	case err != nil:
		return "failed", "the quotes cannot be read: the database does not answer"
	case n == 0:
		return "absent", "there are no quotes yet; import some: sierpi quotes import FILE"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range slices.Sorted(maps.Keys(s.troubles)) {
		return "stale", "not collected: " + s.troubles[url]
	}
	return "ok", ""
}
