package life

import (
	"fmt"
	"math/bits"
)

// MaxTorusWords bounds a torus: rows times words a row, 64 cells each. At 2^22 a
// torus takes 64 MB and has 268 million cells if its width is a multiple of 64.
const MaxTorusWords = 1 << 22

// A Torus is a grid of fixed size whose opposite edges touch, or, under a rule
// with Golly's ":P" bounds, one surrounded by cells that are always dead. It is
// not safe for concurrent use.
type Torus struct {
	width, height int
	stride        int    // words a row
	last          uint64 // the cells in use of a row's last word
	rule          Rule
	table         *ruleTable // nil for B3/S23
	wrap          bool
	generation    uint64
	activity      float64
	cur, next     []uint64
	sums          [4][]uint64 // row sums, ones and twos interleaved: three rows in turn, and the first row kept
}

// NewTorus returns an empty grid of width times height cells. A size of 1 or more
// is good; see MaxTorusWords for the upper end. If the rule names bounds they must
// be of this size.
func NewTorus(width, height int, rule Rule) (*Torus, error) {
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("a grid of %d x %d cells: both sides must be 1 or more", width, height)
	}
	if uint64(height)*((uint64(width)+63)/64) > MaxTorusWords {
		return nil, fmt.Errorf("a grid of %d x %d cells is too large: at most %d cells in rows of a multiple of 64", width, height, MaxTorusWords*64)
	}
	if b := rule.Bounds; b.Edge != NoEdge && (b.Width != width || b.Height != height) {
		return nil, fmt.Errorf("the rule %s names bounds of %d x %d cells, the grid is %d x %d", rule, b.Width, b.Height, width, height)
	}
	t := &Torus{width: width, height: height, stride: (width + 63) / 64, rule: rule, wrap: rule.Bounds.Edge != Dead, activity: 1}
	t.last = ^uint64(0) >> (63 - uint(width-1)&63)
	if rule.Unbounded() != Conway {
		t.table = rule.table()
	}
	t.cur = make([]uint64, t.stride*height)
	t.next = make([]uint64, t.stride*height)
	for i := range t.sums {
		t.sums[i] = make([]uint64, 2*t.stride)
	}
	return t, nil
}

// Width is the number of cells in a row.
func (t *Torus) Width() int { return t.width }

// Height is the number of rows.
func (t *Torus) Height() int { return t.height }

// Rule is the rule given to NewTorus.
func (t *Torus) Rule() Rule { return t.rule }

// Generation is the number of steps since the grid was made or cleared.
func (t *Torus) Generation() uint64 { return t.generation }

// Words is the state: rows one after the other, stride words each; bit x&63 of
// word x>>6 of a row is the cell x, and the bits beyond the width are zero. It is
// valid until the next call that changes the grid, and must not be written to.
func (t *Torus) Words() (words []uint64, stride int) { return t.cur, t.stride }

// Population is the number of live cells.
func (t *Torus) Population() int {
	n := 0
	for _, w := range t.cur {
		n += bits.OnesCount64(w)
	}
	return n
}

// at is the word and bit of a cell. Coordinates wrap around; beyond the edge of a
// bounded plane there is no cell.
func (t *Torus) at(x, y int) (word int, bit uint64, ok bool) {
	if x < 0 || x >= t.width || y < 0 || y >= t.height {
		if !t.wrap {
			return 0, 0, false
		}
		if x %= t.width; x < 0 {
			x += t.width
		}
		if y %= t.height; y < 0 {
			y += t.height
		}
	}
	return y*t.stride + x>>6, 1 << (x & 63), true
}

// Get reports whether the cell is alive. Coordinates wrap around; beyond the edge
// of a bounded plane every cell is dead.
func (t *Torus) Get(x, y int) bool {
	i, bit, ok := t.at(x, y)
	return ok && t.cur[i]&bit != 0
}

// Set makes a cell live or dead. Coordinates wrap around; beyond the edge of a
// bounded plane nothing happens.
func (t *Torus) Set(x, y int, alive bool) {
	i, bit, ok := t.at(x, y)
	switch {
	case !ok:
	case alive:
		t.cur[i] |= bit
	default:
		t.cur[i] &^= bit
	}
}

// Place makes the pattern's cells live, the top left corner of its box at x, y.
// What was alive stays alive, and the pattern's own rule is not looked at.
func (t *Torus) Place(p *Pattern, x, y int) {
	for _, c := range p.Cells {
		t.Set(x+int(c.X), y+int(c.Y), true)
	}
}

// PlaceCentred is Place with the pattern's box in the middle of the grid.
func (t *Torus) PlaceCentred(p *Pattern) {
	t.Place(p, (t.width-p.Width)/2, (t.height-p.Height)/2)
}

// Clear kills every cell and sets the generation to 0.
func (t *Torus) Clear() {
	clear(t.cur)
	t.generation = 0
}

// Randomize fills the grid with soup: each cell is alive with the given
// probability (0 to 1, in steps of 1/65536), the same for the same seed on every
// machine. The generation becomes 0.
func (t *Torus) Randomize(seed uint64, density float64) {
	t.generation = 0
	threshold := uint32(min(max(density, 0), 1)*65536 + 0.5)
	for y := range t.height {
		row := t.cur[y*t.stride : (y+1)*t.stride]
		for i := range row {
			row[i] = randomWord(&seed, threshold)
		}
		row[t.stride-1] &= t.last
	}
}

// randomWord is 64 cells, each alive with probability threshold/65536: the bits of
// the threshold, from the lowest, choose between AND and OR with a fresh random
// word, which halves the probability or halves its distance from 1.
func randomWord(seed *uint64, threshold uint32) uint64 {
	if threshold >= 1<<16 {
		return ^uint64(0)
	}
	var w uint64
	started := false
	for i := range 16 {
		one := threshold>>i&1 != 0
		if !started && !one {
			continue // still 0: AND leaves it
		}
		started = true
		r := splitMix(seed)
		if one {
			w |= r
		} else {
			w &= r
		}
	}
	return w
}

// splitMix is Steele, Lea and Flood's SplitMix64 (2014), chosen because it is the
// same few lines in any language.
func splitMix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Hash is a 64-bit hash of the live cells, not of the generation; equal grids of
// one size have equal hashes on every machine.
func (t *Torus) Hash() uint64 {
	const prime = 0x9e3779b97f4a7c15
	// Four chains, so that the multiplications overlap.
	h := [4]uint64{1, 2, 3, 4}
	w := t.cur
	for ; len(w) >= 4; w = w[4:] {
		for i := range h {
			h[i] = (h[i] ^ w[i]) * prime
			h[i] ^= h[i] >> 32
		}
	}
	for i, v := range w {
		h[i] = (h[i] ^ v) * prime
		h[i] ^= h[i] >> 32
	}
	sum := uint64(t.width)<<32 ^ uint64(t.height)
	for _, v := range h {
		sum = (sum ^ v) * prime
		sum ^= sum >> 29
	}
	return sum
}

// Activity is the share of the grid, 0 to 1, whose cells differ from what they were
// two generations ago: near 0 when only still lifes and blinkers are left, perhaps
// with a few gliders circling. A wall that shows it for long should be reseeded.
func (t *Torus) Activity() float64 { return t.activity }

// StepN advances n generations.
func (t *Torus) StepN(n uint64) {
	for range n {
		t.Step()
	}
}

// Step advances one generation.
func (t *Torus) Step() {
	h := t.height
	above, own, below, first := t.sums[0], t.sums[1], t.sums[2], t.sums[3]
	if t.wrap {
		t.sumRow(above, h-1)
	} else {
		clear(above)
	}
	t.sumRow(own, 0)
	copy(first, own)
	for y := range h {
		switch {
		case y+1 < h:
			t.sumRow(below, y+1)
		case t.wrap:
			copy(below, first)
		default:
			clear(below)
		}
		row := t.cur[y*t.stride : (y+1)*t.stride]
		out := t.next[y*t.stride:][:len(row)]
		a, b, d := above[:2*len(row)], own[:2*len(row)], below[:2*len(row)]
		if t.table == nil {
			for i, c := range row {
				out[i] = conway(a[2*i], a[2*i+1], b[2*i], b[2*i+1], d[2*i], d[2*i+1], c)
			}
		} else {
			for i, c := range row {
				out[i] = t.table.next(a[2*i], a[2*i+1], b[2*i], b[2*i+1], d[2*i], d[2*i+1], c)
			}
		}
		out[len(out)-1] &= t.last
		above, own, below = own, below, above
	}
	t.cur, t.next = t.next, t.cur
	t.generation++
}

// sumRow sums one row. The neighbours of its ends are found at the other end (or
// are dead), wherever in a word the width ends.
func (t *Torus) sumRow(into []uint64, y int) {
	row := t.cur[y*t.stride : (y+1)*t.stride]
	end := uint(t.width-1) & 63
	var west, wrapped uint64
	if t.wrap {
		west = row[len(row)-1] << (63 - end)
		wrapped = row[0] & 1
	}
	for i, c := range row {
		var east uint64
		if i+1 < len(row) {
			east = row[i+1]
		} else if end == 63 {
			east = wrapped
		}
		into[2*i], into[2*i+1] = rowSum(west, c, east)
		west = c
	}
	if end != 63 && wrapped != 0 {
		// The right neighbour of the last cell lies within the last word.
		i := len(row) - 1
		c := row[i]
		l, r := c<<1, c>>1|wrapped<<end
		if i > 0 {
			l |= row[i-1] >> 63
		} else if t.wrap {
			l |= row[0] >> end & 1
		}
		into[2*i], into[2*i+1] = l^r^c, l&r|(l^r)&c
	}
}
