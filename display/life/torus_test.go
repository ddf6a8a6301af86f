package life

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// naive is the next generation cell by cell, straight from the definition.
func naive(t *Torus) [][]bool {
	w, h := t.Width(), t.Height()
	// A ring of cells around the grid repeats the other side.
	ringed := make([][]byte, h+2)
	for y := range ringed {
		ringed[y] = make([]byte, w+2)
		for x := range ringed[y] {
			if t.Get(x-1, y-1) {
				ringed[y][x] = 1
			}
		}
	}
	out := make([][]bool, h)
	for y := range out {
		out[y] = make([]bool, w)
		a, b, c := ringed[y], ringed[y+1], ringed[y+2]
		for x := range out[y] {
			n := a[x] + a[x+1] + a[x+2] + b[x] + b[x+2] + c[x] + c[x+1] + c[x+2]
			mask := t.Rule().Born
			if b[x+1] != 0 {
				mask = t.Rule().Survives
			}
			out[y][x] = mask>>n&1 != 0
		}
	}
	return out
}

// differs finds a cell of the grid that is not as wanted.
func differs(t *Torus, want [][]bool) (x, y int, found bool) {
	words, stride := t.Words()
	for y, row := range want {
		for x, alive := range row {
			if words[y*stride+x>>6]>>(x&63)&1 != 0 != alive {
				return x, y, true
			}
		}
	}
	return 0, 0, false
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
			if x, y, bad := differs(g, want); bad {
				t.Fatalf("%s, generation %d: cell %d,%d is %v", name, g.Generation(), x, y, g.Get(x, y))
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
