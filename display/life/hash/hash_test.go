package hash

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/display/life"
)

func named(t testing.TB, name string) *life.Pattern {
	t.Helper()
	for _, p := range life.Patterns() {
		if p.Name == name {
			return &p
		}
	}
	t.Fatalf("no pattern %q", name)
	return nil
}

func universe(t testing.TB, p *life.Pattern, options Options) *Universe {
	t.Helper()
	u, err := New(p.Rule, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Place(p, 0, 0); err != nil {
		t.Fatal(err)
	}
	return u
}

func advance(t testing.TB, u *Universe, n *big.Int) {
	t.Helper()
	if err := u.Advance(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func power(base, exponent int64) *big.Int {
	return new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil)
}

// TestOracles holds populations that Golly confirms.
func TestOracles(t *testing.T) {
	row, err := life.Parse([]byte("1024o!"))
	if err != nil {
		t.Fatal(err)
	}
	diehard, err := life.Parse([]byte("6bo$2o$bo3b3o!"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		pattern    *life.Pattern
		generation int64
		population int64
	}{
		{named(t, "Gosper glider gun"), 0, 36},
		{named(t, "Gosper glider gun"), 30000, 5036},
		{named(t, "Gosper glider gun"), 1e9, 166666713},
		{named(t, "R-pentomino"), 1102, 118},
		{named(t, "R-pentomino"), 1103, 116},
		{named(t, "R-pentomino"), 1e15, 116},
		{named(t, "Acorn"), 5206, 633},
		{diehard, 129, 2},
		{diehard, 130, 0},
		{diehard, 1e6, 0},
		{named(t, "Pulsar"), 1, 56},
		{named(t, "Pulsar"), 3000000002, 72},
		{row, 255, 208604},
		{row, 256, 12428},
		{named(t, "Ten-cell infinite growth"), 10000, 1183},
	} {
		u := universe(t, o.pattern, Options{})
		advance(t, u, big.NewInt(o.generation))
		if n := u.Population(); n.Cmp(big.NewInt(o.population)) != 0 || u.Generation().Cmp(big.NewInt(o.generation)) != 0 {
			t.Errorf("%s: population %s at generation %s, want %d at %d", o.pattern.Name, n, u.Generation(), o.population, o.generation)
		}
	}
}

// TestAgainstPlane runs random soups under random rules beside the plane, in leaps
// of many sizes, and with so little memory that it must be collected.
func TestAgainstPlane(t *testing.T) {
	collections := 0
	for seed := range uint64(12) {
		rule := life.Conway
		if seed%2 == 1 {
			r := seed * 0x9e3779b97f4a7c15
			rule = life.Rule{Born: uint16(r>>40) & 0x1f8, Survives: uint16(r>>20) & 0x1ff}
		}
		soup, err := life.NewTorus(100, 70, rule)
		if err != nil {
			t.Fatal(err)
		}
		soup.Randomize(seed, 0.4)
		p, err := soup.Pattern()
		if err != nil {
			t.Fatal(err)
		}
		plane, err := life.NewPlane(rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := plane.Place(p, -20, -41); err != nil {
			t.Fatal(err)
		}
		u, err := New(rule, Options{Memory: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Place(p, -20, -41); err != nil {
			t.Fatal(err)
		}
		for _, n := range []uint64{1, 1, 2, 3, 4, 5, 8, 13, 100, 64, 99} {
			if err := plane.StepN(n); err != nil {
				t.Fatal(err)
			}
			advance(t, u, new(big.Int).SetUint64(n))
			want, err := plane.Pattern()
			if err != nil {
				t.Fatal(err)
			}
			got, err := u.Pattern(0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Cells, want.Cells) || got.Width != want.Width || got.Height != want.Height {
				t.Fatalf("%s, seed %d: generation %d differs from the plane's", rule, seed, plane.Generation())
			}
			left, top, right, bottom := plane.Bounds()
			l, o, r, b := u.Bounds()
			if fmt.Sprint(left, top, right, bottom) != fmt.Sprint(l, o, r, b) {
				t.Fatalf("%s: bounds %d %d %d %d, want %d %d %d %d", rule, l, o, r, b, left, top, right, bottom)
			}
			if u.live > u.limit {
				t.Errorf("%d nodes, the limit is %d", u.live, u.limit)
			}
		}
		collections += u.Collections()
	}
	if collections == 0 {
		t.Error("nothing was collected: the test tests too little")
	}
}

// TestLongAgo: generations that no counter of 64 bits holds.
func TestLongAgo(t *testing.T) {
	u := universe(t, named(t, "Glider"), Options{})
	n := power(10, 100)
	n.Mul(n, big.NewInt(4))
	advance(t, u, n)
	left, top, right, bottom := u.Bounds()
	for _, v := range [][2]*big.Int{{left, power(10, 100)}, {top, power(10, 100)},
		{right, new(big.Int).Add(power(10, 100), big.NewInt(3))}, {bottom, right}} {
		if v[0].Cmp(v[1]) != 0 {
			t.Errorf("the glider's box: %s, want %s", v[0], v[1])
		}
	}
	if u.Population().Int64() != 5 {
		t.Errorf("population %s", u.Population())
	}
	p, err := u.Pattern(0)
	if err != nil || !slices.Equal(p.Cells, named(t, "Glider").Cells) {
		t.Errorf("%+v, %v", p, err)
	}
	// A gun sends a glider every 30 generations.
	u = universe(t, named(t, "Gosper glider gun"), Options{})
	advance(t, u, new(big.Int).Mul(power(10, 100), big.NewInt(30)))
	want := new(big.Int).Mul(power(10, 100), big.NewInt(5))
	want.Add(want, big.NewInt(36))
	if got := u.Population(); got.Cmp(want) != 0 {
		t.Errorf("the gun at 30*10^100: population %s", got)
	}
	// Far out there is room to draw, too.
	if err := u.Place(named(t, "Block"), -1<<59, 1<<59); err != nil {
		t.Fatal(err)
	}
	if got := u.Population(); got.Cmp(want.Add(want, big.NewInt(4))) != 0 {
		t.Errorf("with a block: population %s", got)
	}
}

func TestShrunkPattern(t *testing.T) {
	u := universe(t, named(t, "Acorn"), Options{})
	advance(t, u, big.NewInt(1000))
	full, err := u.Pattern(0)
	if err != nil {
		t.Fatal(err)
	}
	left, top, _, _ := u.Bounds()
	for _, shrink := range []int{1, 2, 3, 4, 6} {
		got, err := u.Pattern(shrink)
		if err != nil {
			t.Fatal(err)
		}
		want := map[life.Cell]bool{}
		for _, c := range full.Cells {
			x, y := (left.Int64()+int64(c.X))>>shrink, (top.Int64()+int64(c.Y))>>shrink
			want[life.Cell{X: int32(x - left.Int64()>>shrink), Y: int32(y - top.Int64()>>shrink)}] = true
		}
		for _, c := range got.Cells {
			if !want[c] {
				t.Errorf("shrunk by 2^%d: %v is too much", shrink, c)
			}
		}
		if len(got.Cells) != len(want) {
			t.Errorf("shrunk by 2^%d: %d cells, want %d", shrink, len(got.Cells), len(want))
		}
	}
	u = universe(t, named(t, "Gosper glider gun"), Options{})
	advance(t, u, big.NewInt(1e9))
	if _, err := u.Pattern(0); err == nil || !strings.Contains(err.Error(), "shrink it more") {
		t.Errorf("a pattern of 250 million cells a side: %v", err)
	}
	if p, err := u.Pattern(20); err != nil || p.Width > 300 || len(p.Cells) < 200 {
		t.Errorf("%v, %v", p, err)
	}
}

func TestErrors(t *testing.T) {
	for _, rule := range []string{"B03/S23", "B3/S23:T10,10"} {
		r, err := life.ParseRule(rule)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(r, Options{}); err == nil || !strings.Contains(err.Error(), "torus") {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if _, err := New(life.Conway, Options{Memory: 1000}); err == nil {
		t.Error("a universe of 1000 bytes is made")
	}
	u := universe(t, named(t, "Acorn"), Options{})
	if err := u.Advance(t.Context(), big.NewInt(-1)); err == nil {
		t.Error("time runs backwards")
	}
	if err := u.Advance(t.Context(), new(big.Int).Lsh(big.NewInt(1), MaxExponent+1)); err == nil {
		t.Error("a number of generations without end is taken")
	}
	if err := u.Leap(t.Context(), -1); err == nil {
		t.Error("a leap of 2^-1 is taken")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user wants to go home")
	cancel(why)
	if err := u.Advance(ctx, big.NewInt(5)); err == nil || u.Population().Int64() != 7 {
		t.Errorf("a cancelled universe went on: %v", err)
	}
}

// TestOutOfMemory: what does not fit is an error, and the universe stays usable.
func TestOutOfMemory(t *testing.T) {
	soup, err := life.NewTorus(1400, 1400, life.Conway)
	if err != nil {
		t.Fatal(err)
	}
	soup.Randomize(1, 0.4)
	p, err := soup.Pattern()
	if err != nil {
		t.Fatal(err)
	}
	u, err := New(life.Conway, Options{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Place(p, 0, 0); !errors.Is(err, ErrMemory) || u.Population().Sign() != 0 {
		t.Fatalf("a soup of 2 million cells in 1 MB: %v, population %s", err, u.Population())
	}
	if u, err = New(life.Conway, Options{Memory: 2 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := u.Place(p, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := u.Leap(t.Context(), 0); !errors.Is(err, ErrMemory) {
		t.Fatalf("a generation of it in 2 MB: %v", err)
	}
	if u.Population().Int64() != int64(len(p.Cells)) || u.Generation().Sign() != 0 {
		t.Errorf("after the error: population %s at generation %s", u.Population(), u.Generation())
	}
	if u.live > u.limit || len(u.nodes) > u.limit+1 {
		t.Errorf("%d nodes in an arena of %d, the limit is %d", u.live, len(u.nodes), u.limit)
	}
	// Emptied, it takes another.
	u.root = u.empty(leafLevel + 1)
	if err := u.Place(named(t, "Acorn"), 0, 0); err != nil {
		t.Fatal(err)
	}
	advance(t, u, big.NewInt(5206))
	if u.Population().Int64() != 633 {
		t.Errorf("population %s", u.Population())
	}
}

// TestCancelled stops a leap that is under way.
func TestCancelled(t *testing.T) {
	soup, err := life.NewTorus(600, 600, life.Conway)
	if err != nil {
		t.Fatal(err)
	}
	soup.Randomize(2, 0.4)
	p, err := soup.Pattern()
	if err != nil {
		t.Fatal(err)
	}
	u := universe(t, p, Options{Memory: 64 << 20})
	ctx := &countdown{Context: t.Context(), done: make(chan struct{})}
	u.done = nil
	ctx.left = 1
	err = u.Leap(ctx, 14)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled leap: %v", err)
	}
	if u.Generation().Sign() != 0 || u.Population().Int64() != int64(len(p.Cells)) {
		t.Errorf("population %s at generation %s", u.Population(), u.Generation())
	}
}

// A countdown is a context that is found to be fine at first and cancelled then.
type countdown struct {
	context.Context
	left int
	done chan struct{}
}

func (c *countdown) Done() <-chan struct{} { return c.done }

func (c *countdown) Err() error {
	if c.left == 0 {
		return context.Canceled
	}
	c.left--
	close(c.done)
	return nil
}
