package life

import (
	"fmt"
	"slices"
	"testing"
)

// runFor is the pattern after so many generations on a plane.
func runFor(t *testing.T, p *Pattern, generations uint64) *Plane {
	t.Helper()
	plane, err := NewPlane(p.Rule)
	if err != nil {
		t.Fatal(err)
	}
	if err := plane.Place(p, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := plane.StepN(generations); err != nil {
		t.Fatal(err)
	}
	return plane
}

// displaced reports whether the plane is p again, and how far from where it was.
func displaced(t *testing.T, plane *Plane, p *Pattern) (dx, dy int, same bool) {
	t.Helper()
	left, top, _, _ := plane.Bounds()
	now, err := plane.Pattern()
	if err != nil {
		t.Fatal(err)
	}
	return left, top, slices.Equal(now.Cells, p.Cells)
}

func abs(n int) int { return max(n, -n) }

// TestPatterns holds every pattern to what it is known for.
func TestPatterns(t *testing.T) {
	// Those that come back: the period, and how far they got meanwhile, the greater
	// of the two directions first.
	type motion struct{ period, far, near int }
	moves := map[string]motion{
		"Block": {1, 0, 0}, "Beehive": {1, 0, 0}, "Loaf": {1, 0, 0}, "Boat": {1, 0, 0}, "Eater 1": {1, 0, 0},
		"Blinker": {2, 0, 0}, "Toad": {2, 0, 0}, "Beacon": {2, 0, 0}, "Pulsar": {3, 0, 0}, "Mold": {4, 0, 0},
		"Octagon 2": {5, 0, 0}, "Unix": {6, 0, 0}, "Figure eight": {8, 0, 0}, "Kok's galaxy": {8, 0, 0},
		"Tumbler": {14, 0, 0}, "Pentadecathlon": {15, 0, 0}, "Queen bee shuttle": {30, 0, 0},
		"Glider": {4, 1, 1}, "Lightweight spaceship": {4, 2, 0}, "Middleweight spaceship": {4, 2, 0},
		"Heavyweight spaceship": {4, 2, 0}, "Copperhead": {10, 1, 0}, "Loafer": {7, 1, 0}, "Weekender": {7, 2, 0},
	}
	// Those that grow for ever: after how many generations the growth per period is
	// steady, the period, and the growth.
	type growth struct{ from, period, cells int }
	grows := map[string]growth{
		"Gosper glider gun":        {30, 30, 5},
		"Simkin glider gun":        {120, 120, 5},
		"Puffer 1":                 {1280, 128, 26},
		"Ten-cell infinite growth": {10000, 288, 32},
	}
	// Those that settle: in which generation, with how many cells; gliders that
	// leave are counted.
	type end struct{ generation, population int }
	ends := map[string]end{
		"R-pentomino": {1103, 116}, "B-heptomino": {148, 28}, "Pi-heptomino": {173, 55}, "Acorn": {5206, 633},
		"Rabbits": {17331, 1744},
	}
	all := Patterns()
	if len(all) < 30 {
		t.Errorf("%d patterns, thirty are promised", len(all))
	}
	names := map[string]bool{}
	for i := range all {
		p := &all[i]
		t.Run(p.Name, func(t *testing.T) {
			if names[p.Name] || p.Name == "" || p.Kind == "" || p.Discoverer == "" || p.Year < 1969 || p.Year > 2025 {
				t.Errorf("a name of its own, a discoverer and a year are due: %q, %q, %d", p.Name, p.Discoverer, p.Year)
			}
			names[p.Name] = true
			known := 0
			if m, ok := moves[p.Name]; ok {
				known++
				kind := fmt.Sprintf("oscillator of period %d", m.period)
				switch {
				case m.near != 0:
					kind = fmt.Sprintf("diagonal spaceship, %d cell in %d generations", m.far, m.period)
				case m.far == 1:
					kind = fmt.Sprintf("orthogonal spaceship, 1 cell in %d generations", m.period)
				case m.far != 0:
					kind = fmt.Sprintf("orthogonal spaceship, %d cells in %d generations", m.far, m.period)
				case m.period == 1:
					kind = "still life"
				}
				if p.Kind != kind {
					t.Errorf("kind %q, it is a %s", p.Kind, kind)
				}
				plane := runFor(t, p, 0)
				for g := 1; g <= m.period; g++ {
					if err := plane.Step(); err != nil {
						t.Fatal(err)
					}
					dx, dy, same := displaced(t, plane, p)
					if same != (g == m.period) {
						t.Errorf("generation %d: the first shape again is %v; the period is %d", g, same, m.period)
					}
					if same && (max(abs(dx), abs(dy)) != m.far || min(abs(dx), abs(dy)) != m.near) {
						t.Errorf("moved by %d,%d", dx, dy)
					}
				}
			}
			if w, ok := grows[p.Name]; ok {
				known++
				if w.period%30 == 0 && p.Kind != fmt.Sprintf("gun, a glider in %d generations", w.period) {
					t.Errorf("kind %q", p.Kind)
				}
				plane := runFor(t, p, uint64(w.from))
				a := plane.Population()
				if err := plane.StepN(uint64(w.period)); err != nil {
					t.Fatal(err)
				}
				b := plane.Population()
				if err := plane.StepN(uint64(w.period)); err != nil {
					t.Fatal(err)
				}
				c := plane.Population()
				if b-a != c-b || b-a != w.cells {
					t.Errorf("from generation %d in steps of %d: populations %d, %d, %d", w.from, w.period, a, b, c)
				}
			}
			if e, ok := ends[p.Name]; ok {
				known++
				if want := fmt.Sprintf("methuselah, settles after %d generations", e.generation); p.Kind != want {
					t.Errorf("kind %q, want %q", p.Kind, want)
				}
				plane := runFor(t, p, uint64(e.generation-1))
				before := plane.Population()
				if err := plane.Step(); err != nil {
					t.Fatal(err)
				}
				if n := plane.Population(); n != e.population || before == n {
					t.Errorf("populations at generations %d, %d: %d, %d; known is that it settles at %d", e.generation-1, e.generation, before, n, e.population)
				}
				// From there on nothing has a period but 1 and 2.
				if err := plane.StepN(120); err != nil {
					t.Fatal(err)
				}
				if n := plane.Population(); n != e.population {
					t.Errorf("population %d after another 120 generations", n)
				}
			}
			if p.Name == "Replicator" {
				known++
				for doublings, generation := range []uint64{0, 12, 24, 36, 48, 60, 72, 84} {
					// Copies lie where rule 90 from one cell has them.
					copies := []int{1, 2, 2, 4, 2, 4, 4, 8}[doublings]
					if n := runFor(t, p, generation).Population(); n != copies*len(p.Cells) {
						t.Errorf("generation %d: population %d, not %d copies", generation, n, copies)
					}
				}
			}
			if known != 1 {
				t.Error("no known behaviour to hold it to")
			}
		})
	}
}
