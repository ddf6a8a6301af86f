package hash

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"

	"github.com/sierpi/sierpi/display/life"
)

// ErrMemory is wrapped by the errors of a universe that does not fit its memory.
var ErrMemory = errors.New("the universe does not fit into HashLife's memory")

var errMemory = fmt.Errorf("%w; allow it more, or ask for fewer generations", ErrMemory)

// DefaultMemory is what a universe may take if Options say nothing, in bytes. While
// the arena grows it takes half as much again for a moment.
const DefaultMemory = 128 << 20

// MaxExponent bounds a single leap: 2^MaxExponent generations.
const MaxExponent = 1 << 14

// Options are a universe's settings; the zero value is good.
type Options struct {
	Memory int64 // bytes for the nodes, at least 1 MB; 0 for DefaultMemory
}

// A Universe is an unbounded universe that leaps. It is not safe for concurrent
// use.
type Universe struct {
	rule   life.Rule
	table  *life.Table
	conway bool

	nodes    []node
	heads    []id
	shift    uint
	free     id
	live     int // nodes in use
	capacity int
	limit    int
	empties  []id

	root       id // its middle is 0,0
	generation big.Int
	stack      []id // what a step under way needs
	err        error
	done       <-chan struct{}
	calls      int

	collections int
}

// New returns an empty universe under a rule without bounds and without B0.
func New(rule life.Rule, options Options) (*Universe, error) {
	if err := rule.CheckUnbounded(); err != nil {
		return nil, err
	}
	memory := options.Memory
	if memory == 0 {
		memory = DefaultMemory
	}
	if memory < 1<<20 {
		return nil, fmt.Errorf("HashLife with %d bytes of memory: it needs at least 1 MB", memory)
	}
	u := &Universe{
		rule:   rule,
		table:  rule.Table(),
		conway: rule == life.Conway,
		limit:  int(min(memory/nodeBytes, 1<<31-2)),
		nodes:  make([]node, 1),
	}
	u.resize(min(1<<14, u.limit))
	u.root = u.empty(leafLevel + 1)
	return u, nil
}

// Rule is the rule given to New.
func (u *Universe) Rule() life.Rule { return u.rule }

// Generation is the number of generations advanced.
func (u *Universe) Generation() *big.Int { return new(big.Int).Set(&u.generation) }

// Nodes is the number of nodes in use, and Collections how often unused ones were
// collected.
func (u *Universe) Nodes() int { return u.live }

// Collections is how often unused nodes were collected.
func (u *Universe) Collections() int { return u.collections }

func (u *Universe) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

// stopped reports whether the work under way is to be given up.
func (u *Universe) stopped() bool {
	if u.calls++; u.calls%1024 == 0 && u.done != nil {
		select {
		case <-u.done:
			u.fail(context.Canceled) // Advance puts the cause in its place
		default:
		}
	}
	return u.err != nil
}

// try does work that makes a new root, and keeps the old one if it fails.
func (u *Universe) try(work func() id) error {
	before := u.root
	u.err = nil
	base := len(u.stack)
	u.stack = append(u.stack, before)
	u.root = work()
	u.stack = u.stack[:base]
	if u.err != nil {
		u.root = before
	}
	return u.err
}

// level is the root's level.
func (u *Universe) level() uint16 { return u.nodes[u.root].level }

// expand doubles the root's width, the middle staying where it is.
func (u *Universe) expand() {
	if u.room(u.level()); u.err != nil {
		return
	}
	n := u.nodes[u.root]
	e := u.empty(n.level - 1)
	u.root = u.find(n.level+1,
		u.find(n.level, e, e, e, n.nw), u.find(n.level, e, e, n.ne, e),
		u.find(n.level, e, n.sw, e, e), u.find(n.level, n.se, e, e, e))
	u.empty(n.level + 1)
}

// shrink takes empty borders off the root.
func (u *Universe) shrink() {
	for u.level() > leafLevel+1 {
		if u.room(u.level()); u.err != nil {
			return
		}
		n := u.nodes[u.root]
		inner := u.centre(n.level, n.nw, n.ne, n.sw, n.se)
		m := u.nodes[inner]
		e := u.empty(n.level - 2)
		if u.find(n.level-1, e, e, e, m.nw) != n.nw || u.find(n.level-1, e, e, m.ne, e) != n.ne ||
			u.find(n.level-1, e, m.sw, e, e) != n.sw || u.find(n.level-1, m.se, e, e, e) != n.se {
			return
		}
		u.root = inner
	}
}

// Leap advances 2^exponent generations. On an error (ErrMemory, or the context's)
// the universe stays as it was.
func (u *Universe) Leap(ctx context.Context, exponent int) error {
	if exponent < 0 || exponent > MaxExponent {
		return fmt.Errorf("a leap of 2^%d generations: the exponent must be 0 to %d", exponent, MaxExponent)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u.done = ctx.Done()
	err := u.try(func() id {
		// Two rings of empty border around what lives, so that nothing can leave
		// the middle that is left, and wide enough for one leap.
		u.shrink()
		for range 2 {
			u.expand()
		}
		for u.err == nil && int(u.level()) < exponent+3 {
			u.expand()
		}
		if u.err != nil {
			return 0
		}
		u.root = u.result(u.root, uint16(exponent))
		if u.err == nil {
			u.shrink()
		}
		return u.root
	})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("stopped at generation %s: %w", u.generation.String(), context.Cause(ctx))
		}
		return fmt.Errorf("from generation %s by 2^%d: %w", u.generation.String(), exponent, err)
	}
	u.generation.Add(&u.generation, new(big.Int).Lsh(big.NewInt(1), uint(exponent)))
	return nil
}

// Advance advances n generations, in leaps of the powers of two that n is made of.
// On an error the universe stands at the generation that the last whole leap
// reached.
func (u *Universe) Advance(ctx context.Context, n *big.Int) error {
	if n.Sign() < 0 {
		return fmt.Errorf("advancing %s generations: time has one direction", n)
	}
	if n.BitLen() > MaxExponent {
		return fmt.Errorf("advancing a number of generations of %d bits: at most %d bits", n.BitLen(), MaxExponent)
	}
	for bit := n.BitLen() - 1; bit >= 0; bit-- {
		if n.Bit(bit) != 0 {
			if err := u.Leap(ctx, bit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Place makes the pattern's cells live, the top left corner of its box at x, y.
// What was alive stays alive, and the pattern's own rule is not looked at.
func (u *Universe) Place(p *life.Pattern, x, y int64) error {
	const far = 1 << 60
	if x < -far || x > far || y < -far || y > far {
		return fmt.Errorf("a pattern at %d,%d is too far from 0,0", x, y)
	}
	if len(p.Cells) == 0 {
		return nil
	}
	reach := uint64(max(-x, -y, x+int64(p.Width), y+int64(p.Height), 16))
	level := uint16(bits.Len64(reach)) + 1 // half of its width holds reach
	u.done = nil
	return u.try(func() id {
		for u.err == nil && u.level() < level {
			u.expand()
		}
		if u.err != nil {
			return 0
		}
		level := u.level()
		half := int64(1) << (min(level, 63) - 1)
		added := u.build(min(level, 63), slices.Clone(p.Cells), -half-x, -half-y)
		for l := min(level, 63); l < level && u.err == nil; l++ {
			// Beyond 64 bits of coordinates: widen the new part as expand does.
			n := u.nodes[added]
			e := u.empty(l - 1)
			added = u.find(l+1, u.find(l, e, e, e, n.nw), u.find(l, e, e, n.ne, e), u.find(l, e, n.sw, e, e), u.find(l, n.se, e, e, e))
		}
		u.stack = append(u.stack, added)
		return u.union(u.root, added)
	})
}

// build makes a node of cells, all of which lie in it; x, y is its corner.
func (u *Universe) build(level uint16, cells []life.Cell, x, y int64) id {
	if len(cells) == 0 {
		return u.empty(level)
	}
	if u.room(level); u.stopped() {
		return u.empty(level)
	}
	if level == leafLevel {
		var w uint64
		for _, c := range cells {
			w |= 1 << (8*(int64(c.Y)-y) + int64(c.X) - x)
		}
		return u.leaf(w)
	}
	half := int64(1) << (level - 1)
	south := partition(cells, func(c life.Cell) bool { return int64(c.Y) < y+half })
	var q [4]id
	base := len(u.stack)
	for i, row := range [2][]life.Cell{cells[:south], cells[south:]} {
		top := y + int64(i)*half
		east := partition(row, func(c life.Cell) bool { return int64(c.X) < x+half })
		q[2*i] = u.build(level-1, row[:east], x, top)
		u.stack = append(u.stack, q[2*i])
		q[2*i+1] = u.build(level-1, row[east:], x+half, top)
		u.stack = append(u.stack, q[2*i+1])
	}
	u.stack = u.stack[:base]
	return u.find(level, q[0], q[1], q[2], q[3])
}

// partition brings the cells that belong first to the front and counts them.
func partition(cells []life.Cell, first func(life.Cell) bool) int {
	n := 0
	for i, c := range cells {
		if first(c) {
			cells[n], cells[i] = c, cells[n]
			n++
		}
	}
	return n
}

// union is the node of all cells that live in a or in b, of one level.
func (u *Universe) union(a, b id) id {
	n := u.nodes[a]
	switch {
	case a == b || b == u.empty(n.level):
		return a
	case a == u.empty(n.level):
		return b
	case n.level == leafLevel:
		return u.leaf(u.cellsOf(a) | u.cellsOf(b))
	}
	base := len(u.stack)
	u.stack = append(u.stack, a, b)
	if u.room(n.level); u.stopped() {
		u.stack = u.stack[:base]
		return a
	}
	m := u.nodes[b]
	var q [4]id
	for i, pair := range [4][2]id{{n.nw, m.nw}, {n.ne, m.ne}, {n.sw, m.sw}, {n.se, m.se}} {
		q[i] = u.union(pair[0], pair[1])
		u.stack = append(u.stack, q[i])
	}
	u.stack = u.stack[:base]
	return u.find(n.level, q[0], q[1], q[2], q[3])
}

// Population is the number of live cells.
func (u *Universe) Population() *big.Int {
	// Up to level 31 a count fits 64 bits.
	const wide = 31
	small := make([]uint64, len(u.nodes)) // count + 1, 0 for not yet known
	var count func(id) uint64
	count = func(i id) uint64 {
		if small[i] != 0 {
			return small[i] - 1
		}
		n := u.nodes[i]
		var sum uint64
		if n.level == leafLevel {
			sum = uint64(bits.OnesCount64(u.cellsOf(i)))
		} else {
			sum = count(n.nw) + count(n.ne) + count(n.sw) + count(n.se)
		}
		small[i] = sum + 1
		return sum
	}
	large := make(map[id]*big.Int)
	var countLarge func(id) *big.Int
	countLarge = func(i id) *big.Int {
		if u.nodes[i].level <= wide {
			return new(big.Int).SetUint64(count(i))
		}
		if sum := large[i]; sum != nil {
			return sum
		}
		n := u.nodes[i]
		sum := new(big.Int)
		for _, q := range [4]id{n.nw, n.ne, n.sw, n.se} {
			sum.Add(sum, countLarge(q))
		}
		large[i] = sum
		return sum
	}
	return new(big.Int).Set(countLarge(u.root))
}

// Bounds is the smallest box that holds every live cell, its right and bottom edge
// exclusive; all zero when there is none.
func (u *Universe) Bounds() (left, top, right, bottom *big.Int) {
	if u.root == u.empty(u.level()) {
		return new(big.Int), new(big.Int), new(big.Int), new(big.Int)
	}
	const column, row = 0x0101010101010101, 0xff
	left = u.edge(func(n *node) [4]id { return [4]id{n.nw, n.sw, n.ne, n.se} }, column, 1)
	top = u.edge(func(n *node) [4]id { return [4]id{n.nw, n.ne, n.sw, n.se} }, row, 8)
	right = u.edge(func(n *node) [4]id { return [4]id{n.ne, n.se, n.nw, n.sw} }, column<<7, -1)
	bottom = u.edge(func(n *node) [4]id { return [4]id{n.sw, n.se, n.nw, n.ne} }, row<<56, -8)
	return left, top, right.Neg(right), bottom.Neg(bottom)
}

// edge looks from one side how far from the middle the first live cells are:
// negative on the near side. It goes down level by level with the set of nodes that
// the nearest cells are in; near gives a node's quarters, the two nearer ones first.
func (u *Universe) edge(near func(*node) [4]id, line uint64, shift int) *big.Int {
	at := new(big.Int).Lsh(big.NewInt(-1), uint(u.level()-1))
	set := []id{u.root}
	for level := u.level(); level > leafLevel; level-- {
		empty := u.empty(level - 1)
		halves := [2]map[id]bool{{}, {}}
		for _, i := range set {
			for k, q := range near(&u.nodes[i]) {
				if q != empty {
					halves[k/2][q] = true
				}
			}
		}
		chosen := halves[0]
		if len(chosen) == 0 {
			chosen = halves[1]
			at.Add(at, new(big.Int).Lsh(big.NewInt(1), uint(level-1)))
		}
		set = set[:0]
		for i := range chosen {
			set = append(set, i)
		}
	}
	var all uint64
	for _, i := range set {
		all |= u.cellsOf(i)
	}
	for k := range int64(8) {
		if all&line != 0 {
			return at.Add(at, big.NewInt(k))
		}
		if shift > 0 {
			line <<= shift
		} else {
			line >>= -shift
		}
	}
	return at // not reached: the set's nodes are not empty
}

// Pattern is the live cells as a pattern, drawn smaller if need be: a cell of it
// stands for a square of 2^shrink cells a side of which any is alive. Its box is
// that of Bounds, widened to whole squares.
func (u *Universe) Pattern(shrink int) (*life.Pattern, error) {
	if shrink < 0 {
		return nil, fmt.Errorf("shrinking by 2^%d: the exponent must not be negative", shrink)
	}
	out := &life.Pattern{Rule: u.rule}
	if u.root == u.empty(u.level()) {
		return out, nil
	}
	left, top, right, bottom := u.Bounds()
	one := big.NewInt(1)
	for _, v := range []*big.Int{left, top} {
		v.Rsh(v, uint(shrink)) // rounds down
	}
	for _, v := range []*big.Int{right, bottom} {
		v.Sub(v, one).Rsh(v, uint(shrink)).Add(v, one)
	}
	width, height := new(big.Int).Sub(right, left), new(big.Int).Sub(bottom, top)
	most := big.NewInt(life.MaxPatternSide)
	if width.Cmp(most) > 0 || height.Cmp(most) > 0 {
		return nil, fmt.Errorf("the universe of %s x %s squares of 2^%d cells is too large for a pattern; shrink it more", width, height, shrink)
	}
	out.Width, out.Height = int(width.Int64()), int(height.Int64())
	// Coordinates relative to the box keep within 64 bits even where the universe
	// does not: squares outside the box are empty and are not entered.
	var walk func(i id, x, y *big.Int) error
	walk = func(i id, x, y *big.Int) error {
		n := u.nodes[i]
		if i == u.empties[n.level] {
			return nil
		}
		add := func(x, y int64) error {
			if len(out.Cells) >= life.MaxPatternCells {
				return fmt.Errorf("the universe has more than %d live squares of 2^%d cells, too many for a pattern; shrink it more", life.MaxPatternCells, shrink)
			}
			out.Cells = append(out.Cells, life.Cell{X: int32(x), Y: int32(y)})
			return nil
		}
		if int(n.level) <= shrink {
			return add(x.Int64(), y.Int64())
		}
		if n.level == leafLevel {
			var seen [8]uint8
			for w := u.cellsOf(i); w != 0; w &= w - 1 {
				b := bits.TrailingZeros64(w)
				cx, cy := b&7>>shrink, b>>3>>shrink
				if seen[cy]>>cx&1 != 0 {
					continue
				}
				seen[cy] |= 1 << cx
				if err := add(x.Int64()+int64(cx), y.Int64()+int64(cy)); err != nil {
					return err
				}
			}
			return nil
		}
		half := new(big.Int).Rsh(new(big.Int).Lsh(one, uint(n.level-1)), uint(shrink))
		x2, y2 := new(big.Int).Add(x, half), new(big.Int).Add(y, half)
		if err := walk(n.nw, x, y); err != nil {
			return err
		}
		if err := walk(n.ne, x2, y); err != nil {
			return err
		}
		if err := walk(n.sw, x, y2); err != nil {
			return err
		}
		return walk(n.se, x2, y2)
	}
	if shrink >= int(u.level()) {
		// Four squares meet in the middle of the root.
		return nil, fmt.Errorf("shrinking by 2^%d leaves nothing to see of a universe of 2^%d cells a side", shrink, u.level())
	}
	corner := new(big.Int).Rsh(new(big.Int).Lsh(one, uint(u.level()-1)), uint(shrink))
	corner.Neg(corner)
	if err := walk(u.root, new(big.Int).Sub(corner, left), new(big.Int).Sub(corner, top)); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Cells, func(a, b life.Cell) int {
		if a.Y != b.Y {
			return int(a.Y) - int(b.Y)
		}
		return int(a.X) - int(b.X)
	})
	return out, nil
}
