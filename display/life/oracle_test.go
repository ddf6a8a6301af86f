package life

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func named(t testing.TB, name string) *Pattern {
	t.Helper()
	for _, p := range Patterns() {
		if p.Name == name {
			return &p
		}
	}
	t.Fatalf("no pattern %q", name)
	return nil
}

func row(n int) *Pattern {
	p, err := ParseRLE(fmt.Appendf(nil, "%do!", n))
	if err != nil {
		panic(err)
	}
	return p
}

// TestOracles holds the plane to populations that Golly confirms.
func TestOracles(t *testing.T) {
	diehard, err := Parse([]byte("6bo$2o$bo3b3o!"))
	if err != nil {
		t.Fatal(err)
	}
	type at struct {
		generation uint64
		population int
	}
	for _, o := range []struct {
		name    string
		pattern *Pattern
		want    []at
	}{
		{"glider", named(t, "Glider"), []at{{0, 5}, {1, 5}, {2, 5}, {3, 5}, {4, 5}, {1000, 5}, {100001, 5}}},
		{"gun", named(t, "Gosper glider gun"), []at{{0, 36}, {30, 41}, {300, 86}, {3000, 536}, {30000, 5036}}},
		{"R-pentomino", named(t, "R-pentomino"), []at{{1, 6}, {2, 7}, {3, 9}, {4, 8}, {5, 9}, {6, 12}, {100, 121}, {1000, 156}, {1102, 118}, {1103, 116}, {1104, 116}, {3000, 116}}},
		{"acorn", named(t, "Acorn"), []at{{5206, 633}}},
		{"diehard", diehard, []at{{128, 3}, {129, 2}, {130, 0}, {131, 0}}},
		{"B-heptomino", named(t, "B-heptomino"), []at{{148, 28}}},
		{"pi-heptomino", named(t, "Pi-heptomino"), []at{{173, 55}}},
		{"pulsar", named(t, "Pulsar"), []at{{0, 48}, {1, 56}, {2, 72}, {3, 48}}},
		{"row of 10", row(10), []at{{15, 12}}},
		{"row of 1024", row(1024), []at{{255, 208604}, {256, 12428}, {512, 30996}}},
		{"ten-cell infinite growth", named(t, "Ten-cell infinite growth"), []at{{1000, 158}, {10000, 1183}}},
	} {
		t.Run(o.name, func(t *testing.T) {
			plane := runFor(t, o.pattern, 0)
			for _, w := range o.want {
				if testing.Short() && w.generation > 10000 {
					continue
				}
				if err := plane.StepN(w.generation - plane.Generation()); err != nil {
					t.Fatal(err)
				}
				if n := plane.Population(); n != w.population {
					t.Errorf("generation %d: population %d, want %d", w.generation, n, w.population)
				}
			}
		})
	}
}

// TestPlaneForgets: what flies away leaves no blocks behind.
func TestPlaneForgets(t *testing.T) {
	plane := runFor(t, named(t, "Glider"), 20000)
	if n := len(plane.blocks); n > 24 {
		t.Errorf("one glider after 20000 generations keeps %d blocks", n)
	}
	if l, top, r, b := plane.Bounds(); l != 5000 || top != 5000 || r != 5003 || b != 5003 {
		t.Errorf("the glider is at %d,%d to %d,%d", l, top, r, b)
	}
	diehard, _ := Parse([]byte("6bo$2o$bo3b3o!"))
	plane = runFor(t, diehard, 5*reapEvery)
	if len(plane.blocks) != 0 || len(plane.list) != 0 {
		t.Errorf("nothing lives, %d blocks are kept, %d visited", len(plane.blocks), len(plane.list))
	}
	if plane.Hash() != 0 {
		t.Error("an empty plane has the hash 0")
	}
}

// TestPlaneAgainstTorus: until something can go round, a torus and a plane are the
// same, under every rule and with cells set by hand in between.
func TestPlaneAgainstTorus(t *testing.T) {
	for seed := range uint64(24) {
		s := seed
		rule := Conway
		if seed%3 != 0 {
			rule = Rule{Born: uint16(splitMix(&s)) & 0x1fe, Survives: uint16(splitMix(&s)) & 0x1ff}
		}
		torus, err := NewTorus(320, 320, rule)
		if err != nil {
			t.Fatal(err)
		}
		soup, _ := NewTorus(int(40+splitMix(&s)%80), int(40+splitMix(&s)%80), rule)
		soup.Randomize(seed, 0.4)
		p, err := soup.Pattern()
		if err != nil {
			t.Fatal(err)
		}
		plane, err := NewPlane(rule)
		if err != nil {
			t.Fatal(err)
		}
		torus.Place(p, 100, 100)
		if err := plane.Place(p, 100-160, 100-160); err != nil {
			t.Fatal(err)
		}
		for range 90 {
			if splitMix(&s)%8 == 0 {
				x, y, alive := int(100+splitMix(&s)%120), int(100+splitMix(&s)%120), splitMix(&s)%2 == 0
				torus.Set(x, y, alive)
				if err := plane.Set(x-160, y-160, alive); err != nil {
					t.Fatal(err)
				}
			}
			torus.Step()
			if err := plane.Step(); err != nil {
				t.Fatal(err)
			}
			l, top, r, b := plane.Bounds()
			if min(l, top) < -158 || max(r, b) > 158 {
				break
			}
			if torus.Population() != plane.Population() {
				t.Fatalf("%s, seed %d, generation %d: populations %d and %d", rule, seed, torus.Generation(), torus.Population(), plane.Population())
			}
			if torus.Generation()%8 != 0 {
				continue
			}
			p, err := torus.Pattern()
			if err != nil {
				t.Fatal(err)
			}
			q, err := plane.Pattern()
			if err != nil {
				t.Fatal(err)
			}
			for i := range q.Cells {
				q.Cells[i].X += int32(l + 160)
				q.Cells[i].Y += int32(top + 160)
			}
			if !slices.Equal(p.Cells, q.Cells) {
				t.Fatalf("%s, seed %d: generation %d differs", rule, seed, torus.Generation())
			}
		}
	}
}

// TestSkippingAgainstDefinition runs long enough for most tiles to sleep, and wakes
// some by hand.
func TestSkippingAgainstDefinition(t *testing.T) {
	s := uint64(7)
	for _, size := range [][2]int{{130, 97}, {64, 200}, {200, 64}, {33, 9}} {
		g, err := NewTorus(size[0], size[1], Conway)
		if err != nil {
			t.Fatal(err)
		}
		g.Randomize(3, 0.35)
		for g.Generation() < 400 {
			if splitMix(&s)%16 == 0 {
				g.Set(int(splitMix(&s)%1000), -int(splitMix(&s)%1000), splitMix(&s)%2 == 0)
			}
			want := naive(g)
			g.Step()
			if x, y, bad := differs(g, want); bad {
				t.Fatalf("%v, generation %d: cell %d,%d is %v", size, g.Generation(), x, y, g.Get(x, y))
			}
		}
	}
}

func TestActivityAndCycle(t *testing.T) {
	g, err := NewTorus(480, 270, Conway)
	if err != nil {
		t.Fatal(err)
	}
	g.Place(named(t, "Toad"), 100, 100)
	g.Place(named(t, "Block"), 300, 100)
	var d CycleDetector
	period := 0
	for period == 0 && g.Generation() < 10 {
		period = d.Observe(g.Hash())
		g.Step()
	}
	if period != 2 || g.Generation() != 3 {
		t.Errorf("a toad: period %d, noticed at generation %d", period, g.Generation())
	}
	g.StepN(4)
	if g.Activity() != 0 {
		t.Errorf("only period two is left, activity %v", g.Activity())
	}
	g.Place(named(t, "Pentadecathlon"), 200, 200)
	d.Reset()
	for period = 0; period == 0 && g.Generation() < 200; g.Step() {
		period = d.Observe(g.Hash())
	}
	if period != 30 {
		t.Errorf("a pentadecathlon and a toad: period %d, want 30", period)
	}
	if a := g.Activity(); a <= 0 || a > 0.05 {
		t.Errorf("activity %v", a)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	g, err := NewTorus(2000, 2000, Conway)
	if err != nil {
		t.Fatal(err)
	}
	g.Randomize(1, 0.4)
	g.StepN(3)
	if n := testing.AllocsPerRun(5, g.Step); n >= 1 {
		t.Errorf("a step of a torus allocates %v times", n)
	}
	p := runFor(t, named(t, "Kok's galaxy"), 10)
	if n := testing.AllocsPerRun(50, func() {
		if err := p.Step(); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("a step of a plane allocates %v times", n)
	}
}

// TestSameEverywhere holds the soup and its hash to fixed values: screens of other
// architectures must agree.
func TestSameEverywhere(t *testing.T) {
	g, err := NewTorus(480, 270, Conway)
	if err != nil {
		t.Fatal(err)
	}
	g.Randomize(2026, 0.3)
	start, h := g.Population(), g.Hash()
	g.StepN(100)
	got := fmt.Sprintf("%d %016x, %d %016x", start, h, g.Population(), g.Hash())
	if want := "38656 6c2752cb13970bf2, 12779 8d75f1db0261de4a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestCoresAgree: however many cores share the work, the outcome is one.
func TestCoresAgree(t *testing.T) {
	steps := uint64(60)
	if testing.Short() {
		steps = 10
	}
	var hashes []uint64
	for _, cores := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(cores)
		g, err := NewTorus(1000, 1000, Conway)
		if err != nil {
			t.Fatal(err)
		}
		g.Randomize(9, 0.4)
		g.StepN(steps)
		runtime.GOMAXPROCS(before)
		hashes = append(hashes, g.Hash())
	}
	if hashes[0] != hashes[1] || hashes[0] != hashes[2] {
		t.Errorf("1, 2 and 4 cores: hashes %x", hashes)
	}
}

func TestLimits(t *testing.T) {
	for _, size := range [][2]int{{0, 5}, {5, -1}, {1 << 30, 1 << 30}, {1 << 23, 1}, {1, 1 << 23}} {
		if _, err := NewTorus(size[0], size[1], Conway); err == nil {
			t.Errorf("a torus of %v is made", size)
		}
	}
	for _, rule := range []string{"B03/S23", "B3/S23:T10,10"} {
		r, err := ParseRule(rule)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewPlane(r); err == nil || !strings.Contains(err.Error(), "torus") {
			t.Errorf("a plane under %s: %v", rule, err)
		}
	}
	r, _ := ParseRule("B3/S23:T10,10")
	if _, err := NewTorus(10, 11, r); err == nil {
		t.Error("a torus that contradicts its rule is made")
	}
	p, _ := NewPlane(Conway)
	if err := p.Set(MaxPlaneSide, 0, true); err == nil {
		t.Error("a cell beyond the plane is set")
	}
	if p.Get(MaxPlaneSide, 0) || p.Population() != 0 {
		t.Error("a cell beyond the plane lives")
	}
	// A universe that explodes runs into its limit, not into the machine's memory,
	// and stands where it last was.
	r, _ = ParseRule("B1/S012345678")
	p, _ = NewPlane(r)
	p.most = 500
	if err := p.Set(0, 0, true); err != nil {
		t.Fatal(err)
	}
	err := p.StepN(10000)
	if !errors.Is(err, ErrTooLarge) || len(p.blocks) > p.most {
		t.Errorf("%d blocks at generation %d: %v", len(p.blocks), p.Generation(), err)
	}
	before := p.Population()
	if err := p.Step(); !errors.Is(err, ErrTooLarge) || p.Population() != before {
		t.Errorf("a step further: %v", err)
	}
}
