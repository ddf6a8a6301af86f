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
	newest, found := s.look()
	now := time.Now()
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
		s.say("failed", err.Error())
		return
	}
	s.last, s.failed = time.Now(), time.Time{}
	s.say("", "")
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
	if err := Place(s.Dir); errors.Is(err, ErrNoPlace) {
		s.say("absent", err.Error())
		return nil, false
	} else if err != nil {
		s.say("failed", err.Error())
		return nil, false
	}
	mine, err := ours(s.Dir, hostPart(s.Source.Host))
	if err != nil {
		s.say("failed", err.Error())
		return nil, false
	}
	for _, e := range mine {
		if e.Manifest, e.Err = peek(e.Path); e.Err == nil {
			newest = &e
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failed.IsZero() {
		return newest, true // it stays failed until one is made
	}
	if newest == nil {
		s.state, s.why = "ok", "the first backup is made within minutes"
	} else {
		s.state, s.why = "ok", fmt.Sprintf("%d in %s, the newest of %s", len(mine), s.Dir, newest.Manifest.Made.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return newest, true
}

func (s *Schedule) say(state, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.why = state, why
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
