package hash

// result is the middle of a node of level 4 or more, half as wide, advanced by
// 2^min(pace, level-2) generations.
func (u *Universe) result(i id, pace uint16) id {
	n := &u.nodes[i]
	level := n.level
	pace = min(pace, level-2)
	if n.result != 0 && n.pace == pace {
		return n.result
	}
	if i == u.empties[level] {
		return u.empties[level-1]
	}
	base := len(u.stack)
	u.stack = append(u.stack, i)
	if u.room(level); u.stopped() {
		u.stack = u.stack[:base]
		return u.empties[level-1]
	}
	// Only from here on: room may have moved the arena.
	n = &u.nodes[i]
	var r id
	if level == leafLevel+1 {
		r = u.leaf(u.middle(u.cellsOf(n.nw), u.cellsOf(n.ne), u.cellsOf(n.sw), u.cellsOf(n.se), 1<<pace))
	} else {
		r = u.nine(*n, pace)
	}
	u.stack = u.stack[:base]
	if u.err == nil {
		n = &u.nodes[i]
		n.result, n.pace = r, pace
	}
	return r
}

// nine is Gosper's step: nine overlapping squares of half the width are advanced,
// and the four squares that they make again, or, when the pace asks for less than
// the node could leap, only cut to their middles.
func (u *Universe) nine(n node, pace uint16) id {
	level := n.level
	a, b, c, d := u.nodes[n.nw], u.nodes[n.ne], u.nodes[n.sw], u.nodes[n.se]
	var r [9]id
	advance := func(k int, i id) {
		r[k] = u.result(i, pace)
		u.stack = append(u.stack, r[k])
	}
	advance(0, n.nw)
	advance(1, u.find(level-1, a.ne, b.nw, a.se, b.sw))
	advance(2, n.ne)
	advance(3, u.find(level-1, a.sw, a.se, c.nw, c.ne))
	advance(4, u.find(level-1, a.se, b.sw, c.ne, d.nw))
	advance(5, u.find(level-1, b.sw, b.se, d.nw, d.ne))
	advance(6, n.sw)
	advance(7, u.find(level-1, c.ne, d.nw, c.se, d.sw))
	advance(8, n.se)
	full := pace == level-2
	var q [4]id
	for k := range q {
		o := k&1 + k>>1*3
		nw, ne, sw, se := r[o], r[o+1], r[o+3], r[o+4]
		if full {
			q[k] = u.result(u.find(level-1, nw, ne, sw, se), pace)
		} else {
			q[k] = u.centre(level-1, nw, ne, sw, se)
		}
		u.stack = append(u.stack, q[k])
	}
	return u.find(level-1, q[0], q[1], q[2], q[3])
}

// centre is the middle, as it is, of the square of this level with these quarters.
func (u *Universe) centre(level uint16, nw, ne, sw, se id) id {
	if level == leafLevel+1 {
		return u.leaf(u.middle(u.cellsOf(nw), u.cellsOf(ne), u.cellsOf(sw), u.cellsOf(se), 0))
	}
	return u.find(level-1, u.nodes[nw].se, u.nodes[ne].sw, u.nodes[sw].ne, u.nodes[se].nw)
}

// spread puts the bytes of the low half of x, four rows of eight cells, into lanes
// of 16 bits.
func spread(x uint64) uint64 {
	x &= 0xffffffff
	x = (x | x<<16) & 0x0000ffff0000ffff
	return (x | x<<8) & 0x00ff00ff00ff00ff
}

// gather is the way back.
func gather(x uint64) uint64 {
	x &= 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return (x | x>>16) & 0xffffffff
}

// middle advances a square of 16 x 16 cells, given as its quarters, by 0 to 4
// generations, and returns the 8 x 8 in its middle. Four rows of 16 share a word;
// what runs over from row to row, and in from outside, spoils one cell of the
// border a generation, and four cells of border are not returned.
func (u *Universe) middle(nw, ne, sw, se uint64, generations int) uint64 {
	w := [4]uint64{
		spread(nw) | spread(ne)<<8,
		spread(nw>>32) | spread(ne>>32)<<8,
		spread(sw) | spread(se)<<8,
		spread(sw>>32) | spread(se>>32)<<8,
	}
	for range generations {
		var ones, twos [6]uint64
		for i, c := range w {
			l, r := c<<1, c>>1
			x := l ^ r
			ones[i+1], twos[i+1] = x^c, l&r|x&c
		}
		for i, c := range w {
			b0, b1 := ones[i+1], twos[i+1]
			a0, a1 := b0<<16|ones[i]>>48, b1<<16|twos[i]>>48
			d0, d1 := b0>>16|ones[i+2]<<48, b1>>16|twos[i+2]<<48
			x := a0 ^ b0
			n0 := x ^ d0
			k := a0&b0 | x&d0
			x1, y1 := a1^b1, a1&b1
			x2, y2 := d1^k, d1&k
			n1 := x1 ^ x2
			z, y := x1&x2, y1^y2
			if u.conway {
				w[i] = (n0 ^ y ^ z) & (n0 | c) &^ (n0 ^ n1)
			} else {
				w[i] = u.table.Next(n0, n1, y^z, y1&y2|y&z, c)
			}
		}
	}
	return gather(w[1]>>4) | gather(w[2]>>4)<<32
}
