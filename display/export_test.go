package display

import "time"

// Age makes all heartbeats older by d, as if the screens had been silent for so long.
func (s *Stage) Age(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.screens {
		sc.since = sc.since.Add(-d)
		sc.movedAt = sc.movedAt.Add(-d)
		if !sc.beatAt.IsZero() {
			sc.beatAt = sc.beatAt.Add(-d)
		}
	}
	for _, o := range s.outputs.list {
		o.askedAt = o.askedAt.Add(-d)
	}
}

// KeepHours is the clock's word.
func (s *Stage) KeepHours(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepHours(at)
}

// Forward steps the scene before anybody watches.
func (s *Stage) Forward(frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range frames {
		s.director.step()
	}
}

// Throttle makes every window what a slow connection makes it: one frame.
func (s *Stage) Throttle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.screens {
		sc.window = 1
	}
}
