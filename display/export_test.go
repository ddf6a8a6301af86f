package display

// Forward steps the scene before anybody watches.
func (s *Stage) Forward(frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range frames {
		s.director.step()
	}
}
