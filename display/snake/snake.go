package snake

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// Limits of a board, in cells a side.
const (
	MinSide = 5
	MaxSide = 512
)

// MaxGrowth is the most cells one piece of food may add.
const MaxGrowth = 64

// Direction is where the snake goes.
type Direction uint8

// The directions, clockwise.
const (
	Up Direction = iota
	Right
	Down
	Left
)

var directionNames = [...]string{"up", "right", "down", "left"}

// String returns the direction's name, as ParseDirection reads it.
func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return fmt.Sprintf("Direction(%d)", uint8(d))
}

// ParseDirection reads "up", "right", "down" or "left".
func ParseDirection(s string) (Direction, error) {
	for i, n := range directionNames {
		if s == n {
			return Direction(i), nil
		}
	}
	return 0, fmt.Errorf("no direction %.20q; there are up, right, down, left", s)
}

// Cell is a place on the board; (0, 0) is at the top left.
type Cell struct{ X, Y int }

// Kind is what stands on a cell when drawn.
type Kind = uint8

// What Draw writes.
const (
	Ground Kind = iota
	Body
	Head
	Food
)

// State is how a game stands.
type State uint8

// The states. A game that is not Playing stays as it is.
const (
	Playing State = iota
	HitWall
	HitSelf
	Won // the snake fills the board
)

// String says how the game stands, in plain English.
func (s State) String() string {
	switch s {
	case Playing:
		return "playing"
	case HitWall:
		return "ran into the wall"
	case HitSelf:
		return "bit itself"
	case Won:
		return "filled the board"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Options are the rules of one game.
type Options struct {
	Width, Height int // MinSide to MaxSide
	// Wrap lets the snake leave at one side and come in at the other.
	Wrap bool
	// Growth is how many cells a piece of food adds, 1 to MaxGrowth; 0 is 1.
	Growth int
	// Seed places the food: equal seeds and turns, equal games.
	Seed uint32
}

// Game is one game. It begins with a snake of three cells in the middle, going
// right.
type Game struct {
	opt   Options
	rng   *rand.Rand
	state State

	body   []int32 // a ring of cells as y*width+x
	head   int     // the head's place in the ring
	length int
	taken  []bool
	grow   int

	dir   Direction
	turns [maxTurns]Direction // asked for and not yet taken
	asked int

	food  int32 // -1: none
	score int
	steps uint64
}

// maxTurns is how many turns are remembered: two quick ones within a step are how
// a player turns round, more would steer a snake of the past.
const maxTurns = 2

const startLength = 3

// New begins a game.
func New(o Options) (*Game, error) {
	if o.Growth == 0 {
		o.Growth = 1
	}
	var errs []error
	check := func(name string, n, least, most int) {
		if n < least || n > most {
			errs = append(errs, fmt.Errorf("%s: %d is out of range; choose %d to %d", name, n, least, most))
		}
	}
	check("width", o.Width, MinSide, MaxSide)
	check("height", o.Height, MinSide, MaxSide)
	check("growth", o.Growth, 1, MaxGrowth)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("beginning a game of snake: %w", err)
	}
	cells := o.Width * o.Height
	g := &Game{
		opt: o, rng: rand.New(rand.NewPCG(uint64(o.Seed), 0x5a4e)),
		body: make([]int32, cells), taken: make([]bool, cells), dir: Right,
	}
	middle := int32(o.Height/2*o.Width + o.Width/2)
	for i := range int32(startLength) {
		g.push(middle - (startLength - 1) + i)
	}
	g.feed()
	return g, nil
}

// push puts the head on a free cell.
func (g *Game) push(c int32) {
	g.head = (g.head + 1) % len(g.body)
	g.body[g.head] = c
	g.taken[c] = true
	g.length++
}

// tail is the last cell.
func (g *Game) tail() int32 {
	return g.body[(g.head-g.length+1+len(g.body))%len(g.body)]
}

// feed lays food on one of the free cells, each as likely as another.
func (g *Game) feed() {
	g.food = -1
	free := len(g.taken) - g.length
	if free == 0 {
		return
	}
	k := g.rng.IntN(free)
	for c, t := range g.taken {
		if t {
			continue
		}
		if k == 0 {
			g.food = int32(c)
			return
		}
		k--
	}
}

// Turn asks for a direction at the next step and reports whether it counts: not
// when the game is over, when the snake goes that way or the opposite one
// anyway, or when two turns are already waiting.
func (g *Game) Turn(d Direction) bool {
	last := g.dir
	if g.asked > 0 {
		last = g.turns[g.asked-1]
	}
	if d > Left || g.state != Playing || g.asked == maxTurns || d&1 == last&1 {
		return false
	}
	g.turns[g.asked] = d
	g.asked++
	return true
}

// Step moves the snake by a cell and returns how the game stands.
func (g *Game) Step() State {
	if g.state != Playing {
		return g.state
	}
	g.steps++
	if g.asked > 0 {
		g.dir = g.turns[0]
		copy(g.turns[:], g.turns[1:])
		g.asked--
	}
	next, ok := g.ahead()
	if !ok {
		g.state = HitWall
		return g.state
	}
	// The tail leaves before the head arrives: a snake may follow its own tail.
	tail := g.tail()
	moves := g.grow == 0
	if g.taken[next] && !(moves && next == tail) {
		g.state = HitSelf
		return g.state
	}
	if moves {
		g.taken[tail] = false
		g.length--
	} else {
		g.grow--
	}
	g.push(next)
	if next == g.food {
		g.score++
		g.grow += g.opt.Growth
		g.feed()
	}
	if g.length == len(g.body) {
		g.state = Won
	}
	return g.state
}

// ahead is the cell before the head; false is the wall.
func (g *Game) ahead() (int32, bool) {
	h := g.Head()
	switch g.dir {
	case Up:
		h.Y--
	case Right:
		h.X++
	case Down:
		h.Y++
	case Left:
		h.X--
	}
	w, ht := g.opt.Width, g.opt.Height
	if g.opt.Wrap {
		h.X, h.Y = (h.X+w)%w, (h.Y+ht)%ht
	} else if h.X < 0 || h.X >= w || h.Y < 0 || h.Y >= ht {
		return 0, false
	}
	return int32(h.Y*w + h.X), true
}

func (g *Game) cell(c int32) Cell { return Cell{int(c) % g.opt.Width, int(c) / g.opt.Width} }

// Size returns the board's width and height.
func (g *Game) Size() (width, height int) { return g.opt.Width, g.opt.Height }

// State returns how the game stands.
func (g *Game) State() State { return g.state }

// Score returns how many pieces of food were eaten.
func (g *Game) Score() int { return g.score }

// Steps returns how many steps were played.
func (g *Game) Steps() uint64 { return g.steps }

// Heading returns where the snake goes.
func (g *Game) Heading() Direction { return g.dir }

// Head returns the head's cell.
func (g *Game) Head() Cell { return g.cell(g.body[g.head]) }

// Len returns the snake's length in cells.
func (g *Game) Len() int { return g.length }

// Food returns the food's cell; false when the board has no room for any.
func (g *Game) Food() (Cell, bool) {
	if g.food < 0 {
		return Cell{}, false
	}
	return g.cell(g.food), true
}

// AppendBody appends the snake's cells, head first, to dst. After the end of a
// game these are the remains.
func (g *Game) AppendBody(dst []Cell) []Cell {
	for i := range g.length {
		dst = append(dst, g.cell(g.body[(g.head-i+len(g.body))%len(g.body)]))
	}
	return dst
}

// Draw writes one Kind a cell, row by row; row y starts at dst[y*stride].
func (g *Game) Draw(dst []uint8, stride int) {
	w := g.opt.Width
	for y := range g.opt.Height {
		line := dst[y*stride:][:w]
		for x, t := range g.taken[y*w:][:w] {
			line[x] = Ground
			if t {
				line[x] = Body
			}
		}
	}
	if f, ok := g.Food(); ok {
		dst[f.Y*stride+f.X] = Food
	}
	h := g.Head()
	dst[h.Y*stride+h.X] = Head
}
