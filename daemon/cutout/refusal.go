package cutout

// Refusal is an error about the picture or the options, in words for whoever
// sent them: what is wrong, and what to do about it (may be empty).
type Refusal struct{ What, Remedy string }

// Error is both in one line.
func (r *Refusal) Error() string {
	if r.Remedy == "" {
		return r.What
	}
	return r.What + "; " + r.Remedy
}
