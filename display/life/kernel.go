package life

// The arithmetic of 64 cells at once. A row sum is, for each cell, the number of
// live cells among itself and its neighbours left and right, 0 to 3, as two words
// of one bit a cell each: the ones and the twos.

// rowSum sums the 64 cells of c; west and east are the words beside it.
func rowSum(west, c, east uint64) (ones, twos uint64) {
	l := c<<1 | west>>63
	r := c>>1 | east<<63
	x := l ^ r
	return x ^ c, l&r | x&c
}

// conway is the next generation under B3/S23 of the cells c, given the row sums
// above (a), of its own row (b) and below (d). With the cell itself counted, a
// cell lives when the nine make 3, or when they make 4 and it was alive.
func conway(a0, a1, b0, b1, d0, d1, c uint64) uint64 {
	x := a0 ^ b0
	t0 := x ^ d0
	k := a0&b0 | x&d0
	// Four words of weight two are left: a1, b1, d1 and k.
	x1, y1 := a1^b1, a1&b1
	x2, y2 := d1^k, d1&k
	odd := x1 ^ x2
	three := t0 & odd &^ (y1 | y2)
	four := c &^ (t0 | odd) & (x1 | y1 ^ y2)
	return three | four
}

// A ruleTable is a rule as masks for the arithmetic: for each sum of nine, what
// becomes of a dead cell, and what a live cell changes in that.
type ruleTable struct {
	dead [10]uint64
	live [10]uint64
}

func (r Rule) table() *ruleTable {
	t := new(ruleTable)
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

// next is conway for any rule.
func (t *ruleTable) next(a0, a1, b0, b1, d0, d1, c uint64) uint64 {
	x := a0 ^ b0
	t0 := x ^ d0
	k := a0&b0 | x&d0
	x1, y1 := a1^b1, a1&b1
	x2, y2 := d1^k, d1&k
	t1 := x1 ^ x2
	z := x1 & x2
	w := y1 ^ y2
	t2 := w ^ z
	t3 := y1&y2 | w&z
	pick := func(bit, zero, one uint64) uint64 { return zero ^ bit&(zero^one) }
	leaf := func(sum int) uint64 { return t.dead[sum] ^ c&t.live[sum] }
	low := pick(t1, pick(t0, leaf(0), leaf(1)), pick(t0, leaf(2), leaf(3)))
	high := pick(t1, pick(t0, leaf(4), leaf(5)), pick(t0, leaf(6), leaf(7)))
	return pick(t3, pick(t2, low, high), pick(t0, leaf(8), leaf(9)))
}
