package life

import "math/bits"

// The arithmetic of 64 cells at once, and its use on a block.
//
// A row sum is, for each cell, the number of live cells among itself and its
// neighbours left and right, 0 to 3, as two words of one bit a cell each. Three
// rows need each row sum; it is made once and kept in registers while the loop
// walks down a block. Two rows of output share the sum of their own two row sums.

// rowSum sums the 64 cells of c; west and east are the words beside it.
func rowSum(west, c, east uint64) (ones, twos uint64) {
	l := c<<1 | west>>63
	r := c>>1 | east<<63
	x := l ^ r
	return x ^ c, l&r | x&c
}

// A Table is a rule made ready for the arithmetic of 64 cells at once: for each sum
// of nine cells, the one in the middle included, what becomes of a dead cell, and
// what being alive changes in that.
type Table struct {
	dead [10]uint64
	live [10]uint64
}

// Table makes the rule ready; its bounds play no part.
func (r Rule) Table() *Table {
	t := new(Table)
	all := func(mask uint16, n int) uint64 { return -uint64(mask >> n & 1) }
	for sum := range 10 {
		if sum < 9 {
			t.dead[sum] = all(r.Born, sum)
		}
		t.live[sum] = t.dead[sum]
		if sum > 0 {
			t.live[sum] ^= all(r.Survives, sum-1)
		}
	}
	return t
}

// Next is the next generation of the 64 cells c, given for each the number of live
// cells among itself and its eight neighbours, as binary digits n0 (ones) to n3
// (eights).
func (t *Table) Next(n0, n1, n2, n3, c uint64) uint64 {
	pick := func(bit, zero, one uint64) uint64 { return zero ^ bit&(zero^one) }
	leaf := func(sum int) uint64 { return t.dead[sum] ^ c&t.live[sum] }
	low := pick(n1, pick(n0, leaf(0), leaf(1)), pick(n0, leaf(2), leaf(3)))
	high := pick(n1, pick(n0, leaf(4), leaf(5)), pick(n0, leaf(6), leaf(7)))
	return pick(n3, pick(n2, low, high), pick(n0, leaf(8), leaf(9)))
}

// A change says which of a block's tiles of 64 x 8 cells differ from what they were
// two generations ago, a bit a tile: in any cell, and in each of the lines of
// cells that tiles beside them see.
type change struct{ any, top, bottom, left, right uint8 }

// A surround is what a block sees: the words left and right of its rows, and the
// rows above and below as west, middle and east word.
type surround struct {
	west, east   *[64]uint64
	above, below [3]uint64
}

// note takes down how a tile changed: any bit that did in any row, and those of its
// top and bottom row.
func (ch *change) note(tile int, any, top, bottom uint64, end uint) {
	if any == 0 {
		return
	}
	ch.any |= 1 << tile
	if top != 0 {
		ch.top |= 1 << tile
	}
	if bottom != 0 {
		ch.bottom |= 1 << tile
	}
	ch.left |= uint8(any&1) << tile
	ch.right |= uint8(any>>(end&63)&1) << tile
}

// stepTiles advances the tiles of a block named by active, from mid into out, which
// holds the generation before mid, under B3/S23. Rows are the rows in use, end the
// last cell in use of a row; bits of mid beyond it count as neighbours and are
// cleared in out.
func stepTiles(s *surround, mid, out *[64]uint64, active uint8, rows int, end uint) (ch change) {
	west, east := s.west, s.east
	used := ^uint64(0) >> (63 - end&63)
	for active != 0 {
		// A run of tiles one below the other goes through in one walk.
		first := bits.TrailingZeros8(active)
		after := first + bits.TrailingZeros8(^(active >> first))
		active &= uint8(0xff << after)
		r := first * 8
		var a0, a1 uint64
		if r == 0 {
			a0, a1 = rowSum(s.above[0], s.above[1], s.above[2])
		} else {
			a0, a1 = rowSum(west[(r-1)&63], mid[(r-1)&63], east[(r-1)&63])
		}
		b := mid[r&63]
		b0, b1 := rowSum(west[r&63], b, east[r&63])
		for tile := first; tile < after; tile++ {
			var any, top, diff uint64
			for stop := min(r+8, rows); r < stop; r += 2 {
				// Output b's row and c's, from a, b, c and d.
				var cw, c, ce, dw, d, de uint64
				if r+2 < rows {
					cw, c, ce = west[(r+1)&63], mid[(r+1)&63], east[(r+1)&63]
					dw, d, de = west[(r+2)&63], mid[(r+2)&63], east[(r+2)&63]
				} else {
					dw, d, de = s.below[0], s.below[1], s.below[2]
					cw, c, ce = dw, d, de
					if r+1 < rows {
						cw, c, ce = west[(r+1)&63], mid[(r+1)&63], east[(r+1)&63]
					}
				}
				c0, c1 := rowSum(cw, c, ce)
				d0, d1 := rowSum(dw, d, de)
				// The shared sum of b and c: 1 p0 + 2 p1 + 4 p2.
				p0 := b0 ^ c0
				k := b0 & c0
				x := b1 ^ c1
				p1 := x ^ k
				p2 := b1&c1 | x&k

				n0 := p0 ^ a0
				k = p0 & a0
				x = p1 ^ a1
				n1 := x ^ k
				four := p1&a1 | x&k
				// With the cell itself counted, it lives when the nine make 3,
				// or when they make 4 and it was alive.
				word := (n0 ^ four ^ p2) & (n0 | b) &^ (n0 ^ n1) & used
				diff = word ^ out[r&63]
				out[r&63] = word
				any |= diff
				if r&7 == 0 {
					top = diff
				}
				if r+1 < rows {
					n0 = p0 ^ d0
					k = p0 & d0
					x = p1 ^ d1
					n1 = x ^ k
					four = p1&d1 | x&k
					word = (n0 ^ four ^ p2) & (n0 | c) &^ (n0 ^ n1) & used
					diff = word ^ out[(r+1)&63]
					out[(r+1)&63] = word
					any |= diff
				}
				a0, a1, b, b0, b1 = c0, c1, d, d0, d1
			}
			ch.note(tile, any, top, diff, end)
		}
	}
	return ch
}

// stepTilesUnder is stepTiles for any rule. A rule needs about twice the arithmetic
// of B3/S23, and a call in the loop of stepTiles would slow that by a tenth.
func stepTilesUnder(t *Table, s *surround, mid, out *[64]uint64, active uint8, rows int, end uint) (ch change) {
	west, east := s.west, s.east
	used := ^uint64(0) >> (63 - end&63)
	for ; active != 0; active &= active - 1 {
		tile := bits.TrailingZeros8(active)
		r := tile * 8
		var a0, a1 uint64
		if r == 0 {
			a0, a1 = rowSum(s.above[0], s.above[1], s.above[2])
		} else {
			a0, a1 = rowSum(west[(r-1)&63], mid[(r-1)&63], east[(r-1)&63])
		}
		b := mid[r&63]
		b0, b1 := rowSum(west[r&63], b, east[r&63])
		var any, top, diff uint64
		for stop := min(r+8, rows); r < stop; r++ {
			dw, d, de := s.below[0], s.below[1], s.below[2]
			if r+1 < rows {
				dw, d, de = west[(r+1)&63], mid[(r+1)&63], east[(r+1)&63]
			}
			d0, d1 := rowSum(dw, d, de)
			x := a0 ^ b0
			k := a0&b0 | x&d0
			x1, y1 := a1^b1, a1&b1
			x2, y2 := d1^k, d1&k
			y, z := y1^y2, x1&x2
			word := t.Next(x^d0, x1^x2, y^z, y1&y2|y&z, b) & used
			diff = word ^ out[r&63]
			out[r&63] = word
			any |= diff
			if r&7 == 0 {
				top = diff
			}
			a0, a1, b, b0, b1 = b0, b1, d, d0, d1
		}
		ch.note(tile, any, top, diff, end)
	}
	return ch
}
