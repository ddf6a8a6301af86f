package life

import "math/bits"

// The directions of a block's neighbours.
const (
	north = iota
	northEast
	east
	southEast
	south
	southWest
	west
	northWest
)

// directions is where they lie, in blocks.
var directions = [8]struct{ X, Y int }{{0, -1}, {1, -1}, {1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}}

// A block is 64 x 64 cells, row by row, in two buffers: this generation and the one
// before it, in turns. Blocks know their neighbours; a torus links them in a ring.
type block struct {
	changes [2]change // of each buffer against two generations before
	edited  bool      // cells were set by hand since the last step
	rows    uint8     // in use, 1 to 64
	end     uint8     // the last cell in use of a row
	woken   uint64    // the step for which it is on the list
	near    [8]*block // nil where there is none: dead cells
	x, y    int32     // in blocks
	cells   [2][64]uint64
}

var nothing [64]uint64

// A scratch is room that a step of a block needs; clearing it for each would take as long as
// the arithmetic.
type scratch struct {
	joined [2][64]uint64
	wideScratch
}

// words is the buffer's cells; those of no block are dead.
func (b *block) words(now uint) *[64]uint64 {
	if b == nil {
		return &nothing
	}
	return &b.cells[now&1]
}

// lowest is the buffer's last row in use.
func (b *block) lowest(now uint) uint64 {
	if b == nil {
		return 0
	}
	return b.cells[now&1][(b.rows-1)&63]
}

// lastTile is the bit of the block's lowest tile.
func (b *block) lastTile() uint8 { return 1 << ((b.rows - 1) / 8) }

// active is the tiles that see a cell that differs from what it was two generations
// ago. The others need no work: the other buffer holds their next generation.
func (b *block) active(now uint) uint8 {
	now &= 1
	c := &b.changes[now]
	act := c.any | c.bottom<<1 | c.top>>1
	last := b.lastTile()
	if n := b.near[west]; n != nil {
		if c := &n.changes[now]; c.right != 0 {
			act |= c.right | (c.right&c.bottom)<<1 | (c.right&c.top)>>1
		}
	}
	if n := b.near[east]; n != nil {
		if c := &n.changes[now]; c.left != 0 {
			act |= c.left | (c.left&c.bottom)<<1 | (c.left&c.top)>>1
		}
	}
	if n := b.near[north]; n != nil && n.changes[now].bottom&n.lastTile() != 0 {
		act |= 1
	}
	if n := b.near[south]; n != nil && n.changes[now].top&1 != 0 {
		act |= last
	}
	// A tile whose bottom row and right column changed may have changed in the
	// corner; that is exact enough.
	if n := b.near[northWest]; n != nil && n.changes[now].bottom&n.changes[now].right&n.lastTile() != 0 {
		act |= 1
	}
	if n := b.near[northEast]; n != nil && n.changes[now].bottom&n.changes[now].left&n.lastTile() != 0 {
		act |= 1
	}
	if n := b.near[southWest]; n != nil && n.changes[now].top&n.changes[now].right&1 != 0 {
		act |= last
	}
	if n := b.near[southEast]; n != nil && n.changes[now].top&n.changes[now].left&1 != 0 {
		act |= last
	}
	return act & (last<<1 - 1)
}

// step brings the block from buffer now to the other one, and returns how many of
// its tiles it had to work on. Only the block's own other buffer and changes are
// written, only the now of any block is read, so blocks can be stepped in any order
// and at once.
func (b *block) step(t *Table, now uint, room *scratch) (tiles int) {
	act := b.active(now)
	var ch change
	if act != 0 {
		ch = b.stepTiles(t, now, act, room)
	}
	if b.edited {
		// The other buffer was made from what the cells were before: its tiles must
		// be made anew a second time.
		b.edited, ch = false, allChanged
	}
	b.changes[(now+1)&1] = ch
	return bits.OnesCount8(act)
}

var allChanged = change{0xff, 0xff, 0xff, 0xff, 0xff}

func (b *block) stepTiles(t *Table, now uint, act uint8, room *scratch) change {
	mid, out := b.words(now), b.words(now+1)
	s := surround{west: b.near[west].words(now), east: b.near[east].words(now)}
	if act&1 != 0 {
		s.above = [3]uint64{b.near[northWest].lowest(now), b.near[north].lowest(now), b.near[northEast].lowest(now)}
	}
	if act&b.lastTile() != 0 {
		s.below = [3]uint64{b.near[southWest].words(now)[0], b.near[south].words(now)[0], b.near[southEast].words(now)[0]}
	}
	if b.end != 63 || b.near[west] != nil && b.near[west].end != 63 {
		s.west, mid = s.join(mid, b, &room.joined)
	}
	if t == nil && wide && b.rows%8 == 0 {
		return stepTilesWide(&s, mid, out, act, int(b.rows), uint(b.end), room)
	}
	if t == nil {
		return stepTiles(&s, mid, out, act, int(b.rows), uint(b.end))
	}
	return stepTilesUnder(t, &s, mid, out, act, int(b.rows), uint(b.end))
}

// join serves a block whose own last column, or its western neighbour's, is no 63:
// it brings what lies beside such an edge to where the arithmetic looks for it, in
// copies made in room, and returns those of the western and the block's own words.
func (s *surround) join(mid *[64]uint64, b *block, room *[2][64]uint64) (left, own *[64]uint64) {
	shift := uint(0)
	if w := b.near[west]; w != nil {
		shift = uint(63-w.end) & 63
	}
	ghost := uint(b.end+1) & 63 // 0: the row is full, its eastern word is looked at
	join := func(w, c, e uint64) (uint64, uint64) {
		if ghost != 0 {
			c |= e & 1 << ghost
		}
		return w << shift, c
	}
	left, own = &room[0], &room[1]
	for r := range int(b.rows) {
		left[r&63], own[r&63] = join(s.west[r&63], mid[r&63], s.east[r&63])
	}
	s.above[0], s.above[1] = join(s.above[0], s.above[1], s.above[2])
	s.below[0], s.below[1] = join(s.below[0], s.below[1], s.below[2])
	return left, own
}

func (b *block) population(now uint) int {
	n := 0
	for _, w := range b.words(now) {
		n += bits.OnesCount64(w)
	}
	return n
}

// appendCells adds the live cells, the block's corner at x, y.
func (b *block) appendCells(cells []Cell, now uint, x, y int) []Cell {
	for r, w := range b.words(now) {
		for ; w != 0; w &= w - 1 {
			cells = append(cells, Cell{int32(x + bits.TrailingZeros64(w)), int32(y + r)})
		}
	}
	return cells
}

// hash is 0 for an empty block, so that it makes no difference whether it exists.
func (b *block) hash(now uint) uint64 {
	w := b.words(now)
	var any uint64
	h := [4]uint64{1, 2, 3, 4} // four chains, so that the multiplications overlap
	for i := 0; i < 64; i += 4 {
		for j := range h {
			v := w[i+j]
			any |= v
			h[j] = mix(h[j] ^ v)
		}
	}
	if any == 0 {
		return 0
	}
	return mix(mix(mix(h[0]^h[1]<<1)^h[2])^h[3]) | 1
}

func mix(h uint64) uint64 {
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>32
}
