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

// KeepHours sets the timetable's clock, and it stands.
func (s *Stage) KeepHours(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = func() time.Time { return at }
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

// Game is how a game of snake stands.
type Game struct {
	Heading, State string
	Score, Live    int // points; cells of the afterlife
	Playing        bool
}

// LookAtGame looks at the game of the first board of snake, or the wall's, under its
// lock; auto, if not nil, makes it play by itself or not.
func (bs *Boards) LookAtGame(wall bool, auto *bool) (g Game, ok bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	look := func(sp *serpent) {
		if auto != nil {
			sp.auto, sp.playing = *auto, true
		}
		g = Game{sp.game.Heading().String(), sp.game.State().String(), sp.game.Score(), sp.torus.Population(), sp.playing}
	}
	if wall {
		if bs.wall == nil {
			return g, false
		}
		s := bs.wall.stage
		s.mu.Lock()
		defer s.mu.Unlock()
		look(bs.wall.serpent)
		return g, true
	}
	for _, b := range bs.boards {
		if s, is := b.toy.(*snakeBoard); is {
			b.mu.Lock()
			look(s.serpent)
			b.nudgeHolder()
			b.mu.Unlock()
			return g, true
		}
	}
	return g, false
}

// nudgeHolder makes the board look whether it moves.
func (b *board) nudgeHolder() {
	b.dirty = true
	if b.holder != nil {
		b.holder.nudge()
	}
}
