package life

// MaxPeriod is the longest period that a CycleDetector finds. 60 is a multiple of
// the periods of nearly all that soups leave behind (2, 3, 4, 5, 6, 10, 15, 30).
const MaxPeriod = 60

// A CycleDetector tells when a universe only repeats itself. The zero value is
// ready. Gliders that circle a torus repeat only after a whole round, which is
// longer than MaxPeriod: see Torus.Activity for those.
type CycleDetector struct {
	seen [MaxPeriod]uint64
	n    int
}

// Observe takes the hash of each generation in turn, none left out, and returns
// the period if this state was seen within the last MaxPeriod generations: 1 for a
// universe that stands still, 2 for blinkers; 0 while it is still going somewhere.
func (d *CycleDetector) Observe(hash uint64) (period int) {
	for p := 1; p <= min(d.n, MaxPeriod); p++ {
		if d.seen[(d.n-p)%MaxPeriod] == hash {
			period = p
			break
		}
	}
	d.seen[d.n%MaxPeriod] = hash
	d.n++
	if d.n == 2*MaxPeriod {
		d.n = MaxPeriod
	}
	return period
}

// Reset forgets what was seen; call it when cells were changed by hand.
func (d *CycleDetector) Reset() { *d = CycleDetector{} }
