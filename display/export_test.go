package display

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
