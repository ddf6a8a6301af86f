package display

import (
	"fmt"
	"math/rand/v2"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/snake"
	"github.com/sierpi/sierpi/display/wire"
)

// serpent is a game of snake in the light of the phosphor. On the wall it plays by
// itself until somebody takes it over. When the snake dies, its body dissolves into Life:
// the very cells of light that it was drawn with, thinned, live on under B3/S23.
type serpent struct {
	fps    int
	random *rand.Rand
	game   *snake.Game
	light  *phosphor
	torus  *life.Torus // of the afterlife

	side   int // of a square of the game, in cells of light
	x0, y0 int // of the game's first cell
	body   []snake.Cell
	left   snake.Cell // where the tail was before the last step
	way    int        // on the way to the next step, 0 to fps*waySlice

	auto     bool // plays by itself
	playing  bool // a game that is not over may be held
	after    int  // frames since the death; 0: it lives
	best     int  // of this serpent's games
	finished int  // games that were over
}

// Steps a second: the snake gets quicker as it grows.
const (
	serpentSlow  = 7
	serpentQuick = 13
	waySlice     = 10 // tenths of a step a second

	afterRest   = 12 // frames, of 30 a second, in which the dead snake lies still
	afterlife   = 14 // seconds
	serpentEdge = 22 // heat of the border
)

func newSerpent(s Setting) (*serpent, error) {
	sp := &serpent{fps: s.FramesPerSecond, random: rand.New(rand.NewPCG(s.Seed, 3)), auto: true, playing: true}
	// About 32 squares across, or 18 on an upright board.
	sp.side = max(4, min(s.Width, s.Height)/18)
	sp.light = newPhosphor(s.Width, s.Height, s.FramesPerSecond, 30, aurora(), 60)
	torus, err := life.NewTorus(s.Width, s.Height, life.Conway)
	if err != nil {
		return nil, fmt.Errorf("scene snake: %w", err)
	}
	sp.torus = torus
	if err := sp.begin(); err != nil {
		return nil, fmt.Errorf("scene snake: %w", err)
	}
	return sp, nil
}

func (sp *serpent) width() int  { return sp.light.width }
func (sp *serpent) height() int { return len(sp.light.cells) / sp.light.width }

// begin starts a game.
func (sp *serpent) begin() error {
	// Two cells of light around the game are its border.
	cols, rows := (sp.width()-4)/sp.side, (sp.height()-4)/sp.side
	game, err := snake.New(snake.Options{Width: min(cols, snake.MaxSide), Height: min(rows, snake.MaxSide), Growth: 2, Seed: sp.random.Uint32()})
	if err != nil {
		return err
	}
	sp.game = game
	sp.x0, sp.y0 = (sp.width()-cols*sp.side)/2, (sp.height()-rows*sp.side)/2
	sp.after, sp.way = 0, 0
	sp.body = game.AppendBody(sp.body[:0])
	sp.left = sp.body[len(sp.body)-1]
	sp.torus.Clear()
	sp.paint()
	return nil
}

// Turn steers; false if that way is not possible now.
func (sp *serpent) Turn(d snake.Direction) bool { return sp.game.Turn(d) }

// over reports whether the game is.
func (sp *serpent) over() bool { return sp.game.State() != snake.Playing }

// rate is how many steps a second the snake makes.
func (sp *serpent) rate() int {
	return min(serpentQuick, serpentSlow+sp.game.Score()/4)
}

func (sp *serpent) Step() {
	sp.light.age()
	if sp.after > 0 {
		sp.fade()
		return
	}
	if !sp.playing {
		sp.paint()
		return
	}
	sp.way += sp.rate() * waySlice
	for sp.way >= sp.fps*waySlice {
		sp.way -= sp.fps * waySlice
		if sp.auto {
			sp.game.Turn(sp.think())
		}
		sp.left = sp.body[len(sp.body)-1]
		if sp.game.Step() != snake.Playing {
			sp.finished++
			sp.best = max(sp.best, sp.game.Score())
			sp.after, sp.way = 1, 0
			break
		}
		length := len(sp.body)
		sp.body = sp.game.AppendBody(sp.body[:0])
		if len(sp.body) > length {
			sp.left = sp.body[len(sp.body)-1] // it grew: the tail stays
		}
	}
	sp.paint()
}

// fade is the afterlife.
func (sp *serpent) fade() {
	sp.after++
	rest := max(1, afterRest*sp.fps/30)
	switch {
	case sp.after < rest:
		sp.paint()
	case sp.after == rest:
		sp.dissolve()
	case sp.after > afterlife*sp.fps && sp.auto:
		sp.torus.Clear()
		// Only memory could be short, and there was enough for the game before.
		_ = sp.begin()
	case sp.after > afterlife*sp.fps+2*sp.fps:
		// It waits for a player; what lives on, lives on.
		sp.torus.Step()
		sp.expose()
	case sp.after%max(1, sp.fps/15) == 0:
		sp.torus.Step()
		sp.expose()
	}
}

// dissolve gives the dead snake's light to Life.
func (sp *serpent) dissolve() {
	w := sp.width()
	sp.torus.Clear()
	for i, v := range sp.light.cells {
		if v&alive != 0 && v&maxHeat > serpentEdge && sp.random.Float64() < 0.42 {
			sp.torus.Set(i%w, i/w, true)
		}
	}
	sp.expose()
}

func (sp *serpent) expose() {
	words, stride := sp.torus.Words()
	sp.light.expose(words, stride, 0, 0)
	sp.border()
}

// paint draws the game into the light: what the snake left goes on glowing.
func (sp *serpent) paint() {
	for i := range sp.light.cells {
		sp.light.cells[i] &^= alive
	}
	sp.border()
	n := len(sp.body)
	t := sp.way * sp.side / (sp.fps * waySlice) // cells of light on the way
	if sp.after > 0 {
		t = sp.side
	}
	// Legs between neighbouring squares, from the tail to the head, which lies on top.
	heat := func(i int) uint8 { return uint8(62 + (maxHeat-62)*(n-i)/n) }
	for i := n - 2; i >= 1; i-- {
		sp.leg(sp.body[i+1], sp.body[i], 0, sp.side, heat(i))
	}
	// The tail's square has the tail's heat to the last, or the glow that it leaves
	// would have a seam at every square.
	tail := sp.body[n-1]
	sp.leg(tail, sp.left, 0, sp.side-t, heat(n-1))
	if n > 1 {
		sp.leg(sp.body[1], sp.body[0], 0, t, heat(0))
		sp.eyes(sp.body[1], sp.body[0], t)
	}
	if f, ok := sp.game.Food(); ok {
		sp.food(f)
	}
}

// set lights a cell.
func (sp *serpent) set(x, y int, heat uint8) {
	if x >= 0 && y >= 0 && x < sp.width() && y < sp.height() {
		sp.light.cells[y*sp.width()+x] = alive | heat
	}
}

// corner is the top left cell of light of a square.
func (sp *serpent) corner(c snake.Cell) (x, y int) { return sp.x0 + c.X*sp.side, sp.y0 + c.Y*sp.side }

// leg draws the body from a square towards a neighbour, so many cells far.
func (sp *serpent) leg(from, to snake.Cell, begin, length int, heat uint8) {
	x, y := sp.corner(from)
	dx, dy := to.X-from.X, to.Y-from.Y
	for s := begin; s <= length; s++ {
		sp.blob(x+dx*s, y+dy*s, heat)
		if dx == 0 && dy == 0 {
			return
		}
	}
}

// blob is a square of the body with its corners taken off.
func (sp *serpent) blob(x, y int, heat uint8) {
	in := 1
	if sp.side < 6 {
		in = 0
	}
	last := sp.side - 1 - in
	for j := in; j <= last; j++ {
		for i := in; i <= last; i++ {
			if (i == in || i == last) && (j == in || j == last) {
				continue
			}
			sp.set(x+i, y+j, heat)
		}
	}
}

// eyes look where the snake goes.
func (sp *serpent) eyes(from, to snake.Cell, t int) {
	if sp.side < 8 {
		return
	}
	x, y := sp.corner(from)
	dx, dy := to.X-from.X, to.Y-from.Y
	cx, cy := x+dx*t+sp.side/2, y+dy*t+sp.side/2
	a := sp.side/2 - 3 // ahead
	for _, b := range []int{-2, 1} {
		ex, ey := cx+dx*a, cy+dy*a
		if dx != 0 {
			ey += b
			if dx < 0 {
				ex--
			}
		} else {
			ex += b
			if dy < 0 {
				ey--
			}
		}
		sp.light.cells[ey*sp.width()+ex] = alive | 4
	}
}

// food is a small round light.
func (sp *serpent) food(c snake.Cell) {
	x, y := sp.corner(c)
	r := sp.side/2 - 1
	mid := 2*r + 1
	for j := range sp.side {
		for i := range sp.side {
			di, dj := 2*i+1-sp.side, 2*j+1-sp.side
			d := di*di + dj*dj
			if d <= mid*mid*5/8 {
				sp.set(x+i, y+j, uint8(maxHeat-d*36/(mid*mid)))
			}
		}
	}
}

// border draws where the game ends.
func (sp *serpent) border() {
	cols, rows := sp.game.Size()
	left, top, right, bottom := sp.x0-2, sp.y0-2, sp.x0+cols*sp.side+1, sp.y0+rows*sp.side+1
	for x := left; x <= right; x++ {
		sp.edge(x, top)
		sp.edge(x, bottom)
	}
	for y := top; y <= bottom; y++ {
		sp.edge(left, y)
		sp.edge(right, y)
	}
}

func (sp *serpent) edge(x, y int) {
	if x < 0 || y < 0 || x >= sp.width() || y >= sp.height() {
		return
	}
	if c := &sp.light.cells[y*sp.width()+x]; *c&maxHeat < serpentEdge {
		*c = *c&alive | serpentEdge
	}
}

// think is how the serpent plays by itself: the nearest way to the food on which it can
// still reach its tail, or else the way that leaves most room.
func (sp *serpent) think() snake.Direction {
	w, h := sp.game.Size()
	taken := make([]bool, w*h)
	for _, c := range sp.body[:len(sp.body)-1] { // the tail will be gone
		taken[c.Y*w+c.X] = true
	}
	food, ok := sp.game.Food()
	head := sp.game.Head()
	steps := [4]snake.Cell{snake.Up: {Y: -1}, snake.Right: {X: 1}, snake.Down: {Y: 1}, snake.Left: {X: -1}}
	best, score := sp.game.Heading(), -1<<30
	for d, s := range steps {
		if snake.Direction(d) == (sp.game.Heading()+2)%4 {
			continue
		}
		next := snake.Cell{X: head.X + s.X, Y: head.Y + s.Y}
		if next.X < 0 || next.Y < 0 || next.X >= w || next.Y >= h || taken[next.Y*w+next.X] {
			continue
		}
		room := roomFrom(next, taken, w, h, len(sp.body)+8)
		v := room * 1000
		if ok {
			v -= abs(next.X-food.X) + abs(next.Y-food.Y)
		}
		if v > score {
			best, score = snake.Direction(d), v
		}
	}
	return best
}

// roomFrom counts the free squares that can be reached, up to enough.
func roomFrom(from snake.Cell, taken []bool, w, h, enough int) int {
	seen := make([]bool, len(taken))
	queue := []snake.Cell{from}
	seen[from.Y*w+from.X] = true
	for n := 0; n < len(queue) && len(queue) < enough; n++ {
		c := queue[n]
		for _, next := range [4]snake.Cell{{X: c.X, Y: c.Y - 1}, {X: c.X + 1, Y: c.Y}, {X: c.X, Y: c.Y + 1}, {X: c.X - 1, Y: c.Y}} {
			if next.X < 0 || next.Y < 0 || next.X >= w || next.Y >= h {
				continue
			}
			if i := next.Y*w + next.X; !taken[i] && !seen[i] {
				seen[i] = true
				queue = append(queue, next)
			}
		}
	}
	return min(len(queue), enough)
}

func abs(n int) int { return max(n, -n) }

func (sp *serpent) Draw(f *wire.Frame) { sp.light.draw(f) }

func (sp *serpent) Caption() string {
	switch {
	case sp.after > 0:
		return fmt.Sprintf("The snake %s at %d and dissolves into Life", sp.game.State(), sp.game.Score())
	case sp.auto:
		return fmt.Sprintf("A snake that plays by itself · %d", sp.game.Score())
	}
	return fmt.Sprintf("Snake · %d", sp.game.Score())
}
