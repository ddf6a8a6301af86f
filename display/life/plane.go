package life

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// What a plane may hold. Beyond it, Step returns an error that wraps ErrTooLarge
// and the plane stays as it is.
const (
	MaxPlaneBlocks = 1 << 17 // of 64 x 64 cells that are not all dead, 1.2 KB each: 160 MB
	MaxPlaneSide   = 1 << 30 // cells from 0,0 in each direction
)

// ErrTooLarge is the error of a universe that has outgrown its limit.
var ErrTooLarge = errors.New("the universe has grown too large")

// A Plane is an unbounded grid of which only the blocks around live cells are kept,
// and only those worked on where something changes in another way than with period
// two. Coordinates may be negative. It is not safe for concurrent use.
type Plane struct {
	field
	rule   Rule
	blocks map[[2]int32]*block
	spare  []*block
	most   int // blocks; MaxPlaneBlocks but in tests
	err    error
}

// NewPlane returns an empty plane. Rules with bounds belong on a torus, and those
// with B0, under which empty space comes alive everywhere at once, are refused.
func NewPlane(rule Rule) (*Plane, error) {
	if err := rule.CheckUnbounded(); err != nil {
		return nil, err
	}
	p := &Plane{rule: rule, blocks: make(map[[2]int32]*block), most: MaxPlaneBlocks}
	p.field.init(rule, 0)
	p.grow = func(b *block, direction int) *block {
		d := directions[direction]
		return p.block(b.x+int32(d.X), b.y+int32(d.Y))
	}
	return p, nil
}

// CheckUnbounded says why a rule cannot run in an unbounded universe: it names
// bounds, or has B0, under which empty space comes alive everywhere at once.
func (r Rule) CheckUnbounded() error {
	if r.Bounds.Edge != NoEdge {
		return fmt.Errorf("the rule %s names a bounded grid; run it on a torus of that size", r)
	}
	if r.Born&1 != 0 {
		return fmt.Errorf("under %s empty space comes alive everywhere at once (B0); run it on a torus, as in %s:T256,256", r, r)
	}
	return nil
}

// block is the block at these coordinates, made if need be; nil, with p.err set, if
// the plane would outgrow its limits.
func (p *Plane) block(x, y int32) *block {
	if b := p.blocks[[2]int32{x, y}]; b != nil {
		return b
	}
	const side = MaxPlaneSide / 64
	if x < -side || x >= side || y < -side || y >= side {
		p.err = fmt.Errorf("%w: more than %d cells from its centre", ErrTooLarge, MaxPlaneSide)
		return nil
	}
	if len(p.blocks) >= p.most {
		p.err = fmt.Errorf("%w: more than %d blocks of 64 x 64 cells; HashLife may still hold it", ErrTooLarge, p.most)
		return nil
	}
	var b *block
	if n := len(p.spare); n > 0 {
		b, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		b = &block{rows: 64, end: 63}
	}
	b.x, b.y = x, y
	for i, d := range directions {
		if n := p.blocks[[2]int32{x + int32(d.X), y + int32(d.Y)}]; n != nil {
			b.near[i] = n
			n.near[(i+4)%8] = b
		}
	}
	p.blocks[[2]int32{x, y}] = b
	return b
}

// Empty blocks are looked for every so many steps. A glider needs 256 to cross one.
const reapEvery = 1 << 9

// reap takes away the blocks that are empty and asleep.
func (p *Plane) reap() {
	for at, b := range p.blocks {
		if b.woken == p.step+1 || b.edited || b.cells[0] != nothing || b.cells[1] != nothing {
			continue
		}
		for i, n := range b.near {
			if n != nil {
				n.near[(i+4)%8] = nil
				b.near[i] = nil
			}
		}
		delete(p.blocks, at)
		p.spare = append(p.spare, b)
	}
}

// Rule is the rule given to NewPlane.
func (p *Plane) Rule() Rule { return p.rule }

// Step advances one generation. It does not allocate unless the universe grows. On
// an error, which wraps ErrTooLarge, the generation has not changed.
func (p *Plane) Step() error {
	if p.err != nil {
		return fmt.Errorf("generation %d: %w", p.generation, p.err)
	}
	p.advance()
	if p.step%reapEvery == 0 {
		p.reap()
	}
	return nil
}

// StepN advances n generations, or as many as there is room for.
func (p *Plane) StepN(n uint64) error {
	for range n {
		if err := p.Step(); err != nil {
			return err
		}
	}
	return nil
}

// Population is the number of live cells.
func (p *Plane) Population() int {
	n := 0
	for _, b := range p.blocks {
		n += b.population(p.now)
	}
	return n
}

// Get reports whether the cell is alive.
func (p *Plane) Get(x, y int) bool {
	if !onPlane(x, y) {
		return false
	}
	b := p.blocks[[2]int32{int32(x >> 6), int32(y >> 6)}]
	return b.words(p.now)[y&63]>>(x&63)&1 != 0
}

func onPlane(x, y int) bool {
	return x >= -MaxPlaneSide && x < MaxPlaneSide && y >= -MaxPlaneSide && y < MaxPlaneSide
}

// Set makes a cell live or dead. It fails, with an error that wraps ErrTooLarge,
// only beyond the limits of a plane.
func (p *Plane) Set(x, y int, alive bool) error {
	if !onPlane(x, y) {
		return fmt.Errorf("the cell %d,%d: %w: more than %d cells from its centre", x, y, ErrTooLarge, MaxPlaneSide)
	}
	at := [2]int32{int32(x >> 6), int32(y >> 6)}
	b := p.blocks[at]
	if b == nil {
		if !alive {
			return nil
		}
		if b = p.block(at[0], at[1]); b == nil {
			return p.err
		}
	}
	p.set(b, y&63, 1<<(x&63), alive)
	return p.err
}

// Place makes the pattern's cells live, the top left corner of its box at x, y.
// What was alive stays alive, and the pattern's own rule is not looked at.
func (p *Plane) Place(pattern *Pattern, x, y int) error {
	if !onPlane(x, y) {
		return fmt.Errorf("a pattern at %d,%d: %w: more than %d cells from its centre", x, y, ErrTooLarge, MaxPlaneSide)
	}
	for _, c := range pattern.Cells {
		if err := p.Set(x+int(c.X), y+int(c.Y), true); err != nil {
			return err
		}
	}
	return nil
}

// Bounds is the smallest box that holds every live cell, its right and bottom edge
// exclusive; all zero when there is none.
func (p *Plane) Bounds() (left, top, right, bottom int) {
	first := true
	for _, b := range p.blocks {
		w := b.words(p.now)
		var all uint64
		low, high := -1, 0
		for r, v := range w {
			if v != 0 {
				all |= v
				high = r
				if low < 0 {
					low = r
				}
			}
		}
		if low < 0 {
			continue
		}
		x, y := int(b.x)*64, int(b.y)*64
		l, r := x+bits.TrailingZeros64(all), x+bits.Len64(all)
		t, u := y+low, y+high+1
		if first {
			left, top, right, bottom, first = l, t, r, u, false
			continue
		}
		left, top, right, bottom = min(left, l), min(top, t), max(right, r), max(bottom, u)
	}
	return left, top, right, bottom
}

// Pattern is the live cells as a pattern, its box at the corner Bounds gives.
func (p *Plane) Pattern() (*Pattern, error) {
	left, top, right, bottom := p.Bounds()
	if right-left > MaxPatternSide || bottom-top > MaxPatternSide || p.Population() > MaxPatternCells {
		return nil, fmt.Errorf("the universe of %d x %d cells is too large for a pattern", right-left, bottom-top)
	}
	out := &Pattern{Rule: p.rule, Width: right - left, Height: bottom - top}
	for _, b := range p.blocks {
		out.Cells = b.appendCells(out.Cells, p.now, int(b.x)*64-left, int(b.y)*64-top)
	}
	slices.SortFunc(out.Cells, byRows)
	return out, nil
}

// Hash is a 64-bit hash of where the live cells are, not of the generation.
func (p *Plane) Hash() uint64 {
	var sum uint64 // a sum, for the blocks come in no order
	for _, b := range p.blocks {
		if h := b.hash(p.now); h != 0 {
			sum += mix(mix(h^uint64(uint32(b.x))) ^ uint64(uint32(b.y)))
		}
	}
	return sum
}
