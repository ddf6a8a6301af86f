package snake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func begin(t testing.TB, o Options) *Game {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{Width: 4, Height: 513, Growth: -1})
	if err == nil {
		t.Fatal("a board of 4x513 was taken")
	}
	for _, want := range []string{"width: 4", "height: 513", "growth: -1", "choose 5 to 512", "choose 1 to 64"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q lacks %q", err, want)
		}
	}
}

func TestWallKillsAndWrapDoesNot(t *testing.T) {
	g := begin(t, Options{Width: 9, Height: 5})
	for range 4 {
		if s := g.Step(); s != Playing {
			t.Fatalf("%v before the wall", s)
		}
	}
	before := g.AppendBody(nil)
	if s := g.Step(); s != HitWall {
		t.Fatalf("at the wall: %v", s)
	}
	if after := g.AppendBody(nil); !slices.Equal(before, after) || g.Head() != (Cell{8, 2}) {
		t.Errorf("the remains moved from %v to %v", before, after)
	}
	if g.Step() != HitWall || g.Turn(Up) || g.Steps() != 5 {
		t.Error("a dead snake still plays")
	}

	g = begin(t, Options{Width: 9, Height: 5, Wrap: true})
	for range 9 {
		g.Step()
	}
	if g.State() != Playing || g.Head() != (Cell{4, 2}) {
		t.Errorf("once round: %v at %v", g.State(), g.Head())
	}
}

func TestTurns(t *testing.T) {
	g := begin(t, Options{Width: 20, Height: 20})
	for _, d := range []Direction{Left, Right, 4, 255} {
		if g.Turn(d) {
			t.Errorf("turning %v while going right counted", d)
		}
	}
	// Two quick turns within a step turn the snake round without biting itself.
	if !g.Turn(Up) || g.Turn(Down) || !g.Turn(Left) || g.Turn(Up) {
		t.Error("up, then left, and nothing else, should count")
	}
	at := g.Head()
	g.Step()
	g.Step()
	if g.State() != Playing || g.Heading() != Left || g.Head() != (Cell{at.X - 1, at.Y - 1}) {
		t.Errorf("after up and left from %v: %v, %v at %v", at, g.State(), g.Heading(), g.Head())
	}
	for _, d := range []Direction{Up, Right, Down, Left} {
		if p, err := ParseDirection(d.String()); p != d || err != nil {
			t.Errorf("ParseDirection(%q) = %v, %v", d, p, err)
		}
	}
	if _, err := ParseDirection("sideways"); err == nil {
		t.Error("sideways is a direction")
	}
}

// steer plays towards the food, as far as that is safe for a step.
func steer(g *Game) {
	f, _ := g.Food()
	h := g.Head()
	switch {
	case f.X > h.X:
		g.Turn(Right)
	case f.X < h.X:
		g.Turn(Left)
	}
	switch {
	case f.Y > h.Y:
		g.Turn(Down)
	case f.Y < h.Y:
		g.Turn(Up)
	}
}

func TestFoodGrowsAndSelfKills(t *testing.T) {
	g := begin(t, Options{Width: 12, Height: 12, Wrap: true, Growth: 5, Seed: 3})
	for g.Score() < 2 && g.State() == Playing && g.Steps() < 1000 {
		steer(g)
		g.Step()
	}
	if g.Score() != 2 {
		t.Fatalf("two pieces were not eaten: %v, %d", g.State(), g.Score())
	}
	for range 10 { // straight on: no row is longer than twelve
		g.Step()
	}
	if want := startLength + 2*5; g.State() == Playing && g.Score() == 2 && g.Len() != want {
		t.Errorf("length %d after two pieces of growth 5, want %d", g.Len(), want)
	}
	// Turning always the same way bites a snake of five or more cells.
	for range 8 {
		g.Turn((g.Heading() + 1) & 3)
		g.Step()
	}
	if g.State() != HitSelf {
		t.Errorf("after turning in a ring: %v", g.State())
	}
}

// TestTailMayBeFollowed drives a snake of four cells in a ring of four.
func TestTailMayBeFollowed(t *testing.T) {
	g := begin(t, Options{Width: 8, Height: 8, Seed: 1})
	for g.Len() < 4 && g.State() == Playing {
		steer(g)
		g.Step()
	}
	for i := range 12 {
		g.Turn((g.Heading() + 1) & 3)
		g.Step()
		if g.Len() > 4 {
			t.Fatal("it ate on the way: choose another seed")
		}
		if g.State() == HitSelf {
			t.Fatalf("bit its leaving tail at turn %d", i)
		}
	}
}

// TestFillingTheBoardWins sweeps a wrapped board of even height by a path through
// every cell.
func TestFillingTheBoardWins(t *testing.T) {
	g := begin(t, Options{Width: 6, Height: 6, Seed: 9})
	// Down the first column, and in a zigzag through the others back up.
	for g.State() == Playing && g.Steps() < 6*6*6*6 {
		h := g.Head()
		want := Right
		switch {
		case h.X == 0 && h.Y < 5:
			want = Down
		case h.X == 0:
			want = Right
		case h.Y%2 == 1 && h.X < 5:
			want = Right
		case h.Y%2 == 1:
			want = Up
		case h.X > 1 || h.Y == 0:
			want = Left
		default:
			want = Up
		}
		if want != g.Heading() && !g.Turn(want) {
			g.Turn(Up) // about to reverse at the start
		}
		g.Step()
	}
	if g.State() != Won || g.Len() != 36 {
		t.Fatalf("%v with %d cells after %d steps", g.State(), g.Len(), g.Steps())
	}
	if _, ok := g.Food(); ok {
		t.Error("there is food on a full board")
	}
}

func TestSameSeedSameGame(t *testing.T) {
	play := func(seed uint32) string {
		g := begin(t, Options{Width: 24, Height: 16, Wrap: true, Seed: seed})
		log := ""
		for range 300 {
			steer(g)
			g.Step()
			f, _ := g.Food()
			log += fmt.Sprint(g.Head(), f, g.Score())
		}
		return log
	}
	if first, again := play(7), play(7); first != again {
		t.Error("equal seeds played differently")
	}
	if play(7) == play(8) {
		t.Error("different seeds played equally")
	}
}

func TestFoodIsEven(t *testing.T) {
	counts := map[Cell]int{}
	const games = 20000
	for seed := range uint32(games) {
		f, _ := begin(t, Options{Width: 5, Height: 5, Seed: seed}).Food()
		counts[f]++
	}
	if len(counts) != 5*5-startLength {
		t.Errorf("food fell on %d cells of %d", len(counts), 5*5-startLength)
	}
	for c, n := range counts { // 909 a cell with a deviation of 29
		if n < 760 || n > 1060 {
			t.Errorf("%d of %d games begin with food on %v", n, games, c)
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	g := begin(t, Options{Width: 64, Height: 48, Wrap: true})
	buf := make([]uint8, 64*48)
	if n := testing.AllocsPerRun(500, func() { steer(g); g.Step(); g.Draw(buf, 64) }); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// FuzzGame plays any turns on any board and holds what must always be true.
func FuzzGame(f *testing.F) {
	f.Add(uint32(1), uint8(0), uint8(0), uint8(1), false, []byte("turns of all kinds"))
	f.Add(uint32(2), uint8(20), uint8(3), uint8(9), true, []byte{0, 1, 2, 3, 255, 4, 4, 4, 9, 1, 2})
	f.Add(uint32(3), uint8(1), uint8(1), uint8(64), true, []byte{4, 4, 4, 4, 0, 3, 2, 1, 0, 3, 2, 1})
	f.Fuzz(func(t *testing.T, seed uint32, w, h, growth uint8, wrap bool, play []byte) {
		o := Options{Width: MinSide + int(w)%20, Height: MinSide + int(h)%20, Wrap: wrap, Growth: 1 + int(growth)%MaxGrowth, Seed: seed}
		g := begin(t, o)
		buf := make([]uint8, o.Width*o.Height)
		for _, b := range play[:min(len(play), 2000)] {
			if b&4 == 0 {
				g.Turn(Direction(b & 3))
				if b&8 != 0 {
					g.Turn(Direction(b >> 4))
				}
			}
			before, length, score, state := g.Head(), g.Len(), g.Score(), g.State()
			g.Step()
			body := g.AppendBody(nil)
			if len(body) != g.Len() || body[0] != g.Head() {
				t.Fatalf("the body %v does not begin at %v or is not %d long", body, g.Head(), g.Len())
			}
			if g.Score() > score+1 || g.Len() > length+1 || g.Len() < length {
				t.Fatalf("one step: length %d to %d, score %d to %d", length, g.Len(), score, g.Score())
			}
			if state != Playing && (g.Head() != before || g.State() != state) {
				t.Fatal("a finished game went on")
			}
			if g.State() == HitWall && wrap {
				t.Fatal("hit a wall that is not there")
			}
			seen := map[Cell]bool{}
			for i, c := range body {
				if c.X < 0 || c.Y < 0 || c.X >= o.Width || c.Y >= o.Height || seen[c] {
					t.Fatalf("cell %v is outside or twice in %v", c, body)
				}
				seen[c] = true
				if i > 0 && !next(body[i-1], c, o) {
					t.Fatalf("the body is torn between %v and %v", body[i-1], c)
				}
			}
			food, ok := g.Food()
			if ok == (g.Len() == len(buf)) || ok && seen[food] {
				t.Fatalf("food %v, %v with %d of %d cells taken", food, ok, g.Len(), len(buf))
			}
			g.Draw(buf, o.Width)
			kinds := [4]int{}
			for _, k := range buf {
				kinds[k]++
			}
			if kinds[Head] != 1 || kinds[Body] != g.Len()-1 || ok != (kinds[Food] == 1) {
				t.Fatalf("drawn: %v of ground, body, head and food; length %d", kinds, g.Len())
			}
		}
	})
}

// next reports whether two cells touch along a side, round the board if it wraps.
func next(a, b Cell, o Options) bool {
	dx, dy := abs(a.X-b.X), abs(a.Y-b.Y)
	if o.Wrap {
		dx, dy = min(dx, o.Width-dx), min(dy, o.Height-dy)
	}
	return dx+dy == 1
}

func abs(n int) int { return max(n, -n) }
