package life

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// naive steps a grid cell by cell, straight from the definition.
func naive(t *Torus) [][]bool {
	out := make([][]bool, t.Height())
	for y := range out {
		out[y] = make([]bool, t.Width())
		for x := range out[y] {
			n := 0
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if (dx != 0 || dy != 0) && t.Get(x+dx, y+dy) {
						n++
					}
				}
			}
			if t.Get(x, y) {
				out[y][x] = t.Rule().Survives>>n&1 != 0
			} else {
				out[y][x] = t.Rule().Born>>n&1 != 0
			}
		}
	}
	return out
}

func TestTorusAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 2, 3, 4, 5, 8, 9, 31, 62, 63, 64, 65, 66, 127, 128, 129, 191, 200}
	for range 120 {
		w, h := sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))]
		rule := Conway
		if rng.IntN(2) == 0 {
			rule = Rule{Born: uint16(rng.IntN(512)), Survives: uint16(rng.IntN(512))}
		}
		if rng.IntN(3) == 0 {
			rule.Bounds = Bounds{Dead, w, h}
		}
		g, err := NewTorus(w, h, rule)
		if err != nil {
			t.Fatal(err)
		}
		g.Randomize(rng.Uint64(), rng.Float64())
		name := fmt.Sprintf("%dx%d %s", w, h, rule)
		for range 4 {
			want := naive(g)
			g.Step()
			for y := range h {
				for x := range w {
					if g.Get(x, y) != want[y][x] {
						t.Fatalf("%s, generation %d: cell %d,%d is %v", name, g.Generation(), x, y, g.Get(x, y))
					}
				}
			}
			words, stride := g.Words()
			if w&63 != 0 {
				for y := range h {
					if words[y*stride+stride-1]>>(w&63) != 0 {
						t.Fatalf("%s: padding bits are set", name)
					}
				}
			}
		}
	}
}

func TestTorusGlider(t *testing.T) {
	p, err := ParseRLE([]byte("x = 3, y = 3\nbob$2bo$3o!"))
	if err != nil {
		t.Fatal(err)
	}
	g, _ := NewTorus(64, 64, Conway)
	g.Place(p, 62, 10)
	before := g.Hash()
	var d CycleDetector
	for i := range 256 {
		if g.Population() != 5 {
			t.Fatalf("generation %d: population %d", i, g.Population())
		}
		if i > 0 && g.Hash() == before {
			t.Fatalf("back at generation %d", i)
		}
		if p := d.Observe(g.Hash()); p != 0 {
			t.Fatalf("generation %d: period %d", i, p)
		}
		g.Step()
	}
	if g.Hash() != before {
		t.Error("a glider on a torus of 64 is not back after 256 generations")
	}
}

func BenchmarkTorusStep(b *testing.B) {
	g, _ := NewTorus(1920, 1080, Conway)
	g.Randomize(1, 0.5)
	b.ReportAllocs()
	for b.Loop() {
		g.Step()
	}
	b.ReportMetric(float64(b.N)*1920*1080/float64(b.Elapsed().Nanoseconds()), "Gcell/s")
}
