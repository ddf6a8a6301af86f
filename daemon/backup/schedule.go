package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Schedule makes backups by itself.
type Schedule struct {
	Dir    string // "": none
	Every  time.Duration
	Keep   int
	Source Source
	Log    *slog.Logger

	// Moments of this run, with their monotonic readings; Run's alone.
	start, last, failed time.Time
	newest              *Entry // that was seen last

	mu    sync.Mutex
	state string // of Health
	why   string
}

const (
	// lookEvery is how often the clock and the folder are looked at: a stick may be plugged
	// in at any time.
	lookEvery = 5 * time.Minute
	// settleFor leaves the start of a slow board alone.
	settleFor = 3 * time.Minute
)

// String names the task.
func (s *Schedule) String() string { return "backups" }

// Run goes on until the context ends. A backup that fails is tried again; it never ends
// the daemon.
func (s *Schedule) Run(ctx context.Context) error {
	if s.Dir == "" {
		<-ctx.Done()
		return nil
	}
	s.start = time.Now()
	next := time.NewTimer(settleFor)
	defer next.Stop()
	s.look()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		next.Reset(lookEvery)
		s.turn(ctx)
	}
}

// turn makes a backup if one is due.
func (s *Schedule) turn(ctx context.Context) {
	now := time.Now()
	if s.newest != nil && dormant(s.Dir) && !due(now, s.start, s.last, s.newest, s.Every) {
		return // a stick that sleeps is not mounted every five minutes to be looked at
	}
	newest, found := s.look()
	if !found || !s.failed.IsZero() && now.Sub(s.failed) < min(s.Every, time.Hour) || !due(now, s.start, s.last, newest, s.Every) {
		return
	}
	e, err := Create(ctx, s.Dir, s.Source, s.Keep)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.failed = now
		s.Log.Error("no backup could be made", "err", err)
		s.say("failed", "the last backup could not be made; the log has the reason", nil)
		return
	}
	s.last, s.failed = time.Now(), time.Time{}
	s.Log.Info("a backup was made", "file", e.Path, "bytes", e.Size, "took", time.Since(now).Round(time.Millisecond))
	s.look()
}

// due reports whether it is time. Within one run of the daemon the monotonic clock counts.
// Before the first backup of a run the newest file's date does, unless it lies in the
// future: then this clock, or that one, was wrong, and the run's own time counts.
func due(now, start, last time.Time, newest *Entry, every time.Duration) bool {
	switch {
	case !last.IsZero():
		return now.Sub(last) >= every
	case newest == nil:
		return true
	}
	if age := now.Round(0).Sub(newest.Manifest.Made); age >= 0 {
		return age >= every
	}
	return now.Sub(start) >= every
}

// look finds this machine's newest backup, nil for none; found is false when there is no
// folder.
func (s *Schedule) look() (newest *Entry, found bool) {
	err := Place(s.Dir)
	var mine []Entry
	if err == nil {
		mine, err = ours(s.Dir, hostPart(s.Source.Host))
	}
	if errors.Is(err, ErrNoPlace) {
		s.say("absent", "the folder or the stick that [backup] dir names is not there", err)
		return nil, false
	} else if err != nil {
		s.say("failed", "the folder that [backup] dir names cannot be used; the log has the reason", err)
		return nil, false
	}
	for _, e := range mine {
		if e.Manifest, e.Err = peek(e.Path); e.Err == nil {
			newest = &e
			break
		}
	}
	s.newest = newest
	switch {
	case !s.failed.IsZero(): // it stays failed until one is made
	case newest == nil:
		s.say("ok", "the first backup is made within minutes", nil)
	default:
		s.say("ok", fmt.Sprintf("%d kept, the newest of %s", len(mine), newest.Manifest.Made.UTC().Format("2006-01-02 15:04 UTC")), nil)
	}
	return newest, true
}

// say notes how it is, for everybody who asks /healthz; the reason, with its paths, goes
// to the log, once.
func (s *Schedule) say(state, why string, err error) {
	s.mu.Lock()
	before := s.state
	s.state, s.why = state, why
	s.mu.Unlock()
	if err != nil && state != before {
		s.Log.Warn("backups are not made", "state", state, "err", err)
	}
}

// Health is how the backups are: "ok", "absent" or "failed", and why.
func (s *Schedule) Health() (state, why string) {
	if s.Dir == "" {
		return "absent", "none are made by themselves; [backup] dir names a folder"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == "" {
		return "ok", "the folder has not been looked at yet"
	}
	return s.state, s.why
}
