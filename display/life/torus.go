package life

import (
	"fmt"
	"slices"
)

// MaxTorusBlocks bounds a torus, which is made of blocks of 64 x 64 cells, 1.2 KB
// each: 80 MB and 268 million cells at the most.
const MaxTorusBlocks = 1 << 16

// A Torus is a grid of fixed size whose opposite edges touch, or, under a rule
// with Golly's ":P" bounds, one surrounded by cells that are always dead. It is
// not safe for concurrent use.
type Torus struct {
	field
	width, height int
	stride        int // words a row, blocks a row
	rule          Rule
	wrap          bool
	blocks        []block
	activity      float64
	rows          []uint64 // what Words returned, while valid
	valid         bool
}

// NewTorus returns an empty grid of width times height cells. A size of 1 or more
// is good; see MaxTorusBlocks for the upper end. If the rule names bounds they must
// be of this size.
func NewTorus(width, height int, rule Rule) (*Torus, error) {
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("a grid of %d x %d cells: both sides must be 1 or more", width, height)
	}
	across, down := (width-1)/64+1, (height-1)/64+1
	if uint64(across)*uint64(down) > MaxTorusBlocks {
		return nil, fmt.Errorf("a grid of %d x %d cells is too large: at most %d blocks of 64 x 64", width, height, MaxTorusBlocks)
	}
	if b := rule.Bounds; b.Edge != NoEdge && (b.Width != width || b.Height != height) {
		return nil, fmt.Errorf("the rule %s names bounds of %d x %d cells, the grid is %d x %d", rule, b.Width, b.Height, width, height)
	}
	t := &Torus{width: width, height: height, stride: across, rule: rule, wrap: rule.Bounds.Edge != Dead}
	t.blocks = make([]block, across*down)
	for i := range t.blocks {
		b := &t.blocks[i]
		x, y := i%across, i/across
		b.rows = uint8(min(height-y*64, 64))
		b.end = uint8(min(width-x*64, 64) - 1)
		for d, step := range directions {
			nx, ny := x+step.X, y+step.Y
			if !t.wrap && (nx < 0 || nx >= across || ny < 0 || ny >= down) {
				continue
			}
			b.near[d] = &t.blocks[(ny+down)%down*across+(nx+across)%across]
		}
	}
	t.field.init(rule, len(t.blocks))
	t.editAll()
	return t, nil
}

// Width is the number of cells in a row.
func (t *Torus) Width() int { return t.width }

// Height is the number of rows.
func (t *Torus) Height() int { return t.height }

// Rule is the rule given to NewTorus.
func (t *Torus) Rule() Rule { return t.rule }

// Words is the state: rows one after the other, stride words each; bit x&63 of
// word x>>6 of a row is the cell x, and the bits beyond the width are zero. It is
// a copy, overwritten by the first call of Words after the grid has changed.
func (t *Torus) Words() (words []uint64, stride int) {
	if !t.valid {
		if t.rows == nil {
			t.rows = make([]uint64, t.stride*t.height)
		}
		for i := range t.blocks {
			b := &t.blocks[i]
			column := t.rows[i/t.stride*64*t.stride+i%t.stride:]
			for r, w := range b.words(t.now)[:b.rows] {
				column[r*t.stride] = w
			}
		}
		t.valid = true
	}
	return t.rows, t.stride
}

// Population is the number of live cells.
func (t *Torus) Population() int {
	n := 0
	for i := range t.blocks {
		n += t.blocks[i].population(t.now)
	}
	return n
}

// at is the block and place of a cell. Coordinates wrap around; beyond the edge of
// a bounded plane there is no cell.
func (t *Torus) at(x, y int) (b *block, row int, bit uint64) {
	if x < 0 || x >= t.width || y < 0 || y >= t.height {
		if !t.wrap {
			return nil, 0, 0
		}
		if x %= t.width; x < 0 {
			x += t.width
		}
		if y %= t.height; y < 0 {
			y += t.height
		}
	}
	return &t.blocks[y>>6*t.stride+x>>6], y & 63, 1 << (x & 63)
}

// Get reports whether the cell is alive. Coordinates wrap around; beyond the edge
// of a bounded plane every cell is dead.
func (t *Torus) Get(x, y int) bool {
	b, row, bit := t.at(x, y)
	return b.words(t.now)[row]&bit != 0
}

// Set makes a cell live or dead. Coordinates wrap around; beyond the edge of a
// bounded plane nothing happens.
func (t *Torus) Set(x, y int, alive bool) {
	b, row, bit := t.at(x, y)
	if b == nil {
		return
	}
	t.valid = false
	t.set(b, row, bit, alive)
}

// Place makes the pattern's cells live, the top left corner of its box at x, y.
// What was alive stays alive, and the pattern's own rule is not looked at.
func (t *Torus) Place(p *Pattern, x, y int) {
	if t.wrap {
		x, y = x%t.width, y%t.height // so that adding to them cannot overflow
	}
	for _, c := range p.Cells {
		t.Set(x+int(c.X), y+int(c.Y), true)
	}
}

// PlaceCentred is Place with the pattern's box in the middle of the grid.
func (t *Torus) PlaceCentred(p *Pattern) {
	t.Place(p, (t.width-p.Width)/2, (t.height-p.Height)/2)
}

// Pattern is the grid as a pattern of the grid's size.
func (t *Torus) Pattern() (*Pattern, error) {
	if t.width > MaxPatternSide || t.height > MaxPatternSide || t.Population() > MaxPatternCells {
		return nil, fmt.Errorf("the grid of %d x %d cells is too large for a pattern", t.width, t.height)
	}
	p := &Pattern{Rule: t.rule, Width: t.width, Height: t.height}
	for i := range t.blocks {
		p.Cells = t.blocks[i].appendCells(p.Cells, t.now, i%t.stride*64, i/t.stride*64)
	}
	slices.SortFunc(p.Cells, byRows)
	return p, nil
}

// Clear kills every cell and sets the generation to 0.
func (t *Torus) Clear() {
	for i := range t.blocks {
		clear(t.blocks[i].words(t.now)[:])
	}
	t.generation = 0
	t.editAll()
}

// editAll notes that any cell may have been changed by hand.
func (t *Torus) editAll() {
	t.valid = false
	t.activity = 1
	for i := range t.blocks {
		t.edit(&t.blocks[i])
	}
}

// Randomize fills the grid with soup: each cell is alive with the given
// probability (0 to 1, in steps of 1/65536), the same for the same seed on every
// machine. The generation becomes 0.
func (t *Torus) Randomize(seed uint64, density float64) {
	threshold := uint32(0)
	if density > 0 { // not for NaN
		threshold = uint32(min(density, 1)*65536 + 0.5)
	}
	for y := range t.height {
		row := t.blocks[y>>6*t.stride:][:t.stride]
		for i := range row {
			b := &row[i]
			b.words(t.now)[y&63] = randomWord(&seed, threshold) & (^uint64(0) >> (63 - b.end))
		}
	}
	t.generation = 0
	t.editAll()
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
	sum := uint64(t.width)<<32 ^ uint64(t.height)
	for i := range t.blocks {
		sum = mix(sum ^ t.blocks[i].hash(t.now))
	}
	return sum
}

// Activity is the share of the grid, 0 to 1, that the last step had to work on,
// because something there or right beside it differed from two generations ago:
// 0 when only still lifes and blinkers are left, little more with a few gliders
// circling. A wall that shows little for long should be reseeded.
func (t *Torus) Activity() float64 { return t.activity }

// StepN advances n generations.
func (t *Torus) StepN(n uint64) {
	for range n {
		t.Step()
	}
}

// Step advances one generation. It does not allocate.
func (t *Torus) Step() {
	t.valid = false
	tiles := t.advance()
	t.activity = float64(tiles) / float64(t.stride*((t.height+7)/8))
}
