package display

import "fmt"

// Economy is how much less than all the stage draws. The universe keeps its time and its size:
// only its pictures become fewer and coarser.
type Economy struct {
	Pace   int `json:"pace"`   // every which frame is drawn, 1: all
	Coarse int `json:"coarse"` // cells of the universe a cell of the picture, across and down; 1 or 2
}

// Economies are the steps down, the first of which saves nothing.
var Economies = []Economy{{1, 1}, {2, 1}, {3, 2}, {6, 2}}

// SetEconomy changes what is drawn, from the next frame on.
func (s *Stage) SetEconomy(e Economy) error {
	if e.Pace < 1 || e.Pace > s.opt.FramesPerSecond || e.Coarse < 1 || e.Coarse > 2 {
		return fmt.Errorf("an economy of every %d frames and %d cells: 1 to %d and 1 to 2 are possible", e.Pace, e.Coarse, s.opt.FramesPerSecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == s.economy {
		return nil
	}
	s.economy = e
	s.guard.fps = max(1, s.opt.FramesPerSecond/e.Pace)
	s.advance()
	return nil
}
