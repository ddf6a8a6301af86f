package cutout

import "math/bits"

// bitmap is a plane of bits, each row beginning a word.
type bitmap struct {
	w, h, stride int
	words        []uint64
}

func newBitmap(w, h int) *bitmap {
	stride := (w + 63) / 64
	return &bitmap{w, h, stride, make([]uint64, stride*h)}
}

func (b *bitmap) row(y int) []uint64 { return b.words[y*b.stride : (y+1)*b.stride] }

func (b *bitmap) has(x, y int) bool { return b.words[y*b.stride+x>>6]>>(x&63)&1 != 0 }

// flooded is what of pass can be reached from the border, stepping up, down, left
// and right. Rows are filled a word at a time, downwards and upwards by turns until
// nothing changes: no stack that a hostile picture could grow.
func (pass *bitmap) flooded() *bitmap {
	w, h, n := pass.w, pass.h, pass.stride
	f := newBitmap(w, h)
	dirty := make([]bool, h)
	copy(f.row(0), pass.row(0))
	copy(f.row(h-1), pass.row(h-1))
	last := uint64(1) << ((w - 1) & 63)
	for y := range h {
		p, r := pass.row(y), f.row(y)
		r[0] |= fill(p[0]&1, p[0])
		r[n-1] |= fill(p[n-1]&last, p[n-1])
		dirty[y] = true
	}
	step := func(y int) (changed bool) {
		if !dirty[y] {
			return false
		}
		dirty[y] = false
		p, r := pass.row(y), f.row(y)
		above, below := r, r
		if y > 0 {
			above = f.row(y - 1)
		}
		if y < h-1 {
			below = f.row(y + 1)
		}
		carry := uint64(0)
		for i := range r {
			was := r[i]
			seed := (was | above[i] | below[i] | carry) & p[i]
			if seed != was {
				seed = fill(seed, p[i])
				r[i] = seed
				changed = true
			}
			carry = seed >> 63
		}
		carry = 0
		for i := n - 1; i >= 0; i-- {
			if seed := (r[i] | carry<<63) & p[i]; seed != r[i] {
				r[i] = fill(seed, p[i])
				changed = true
			}
			carry = r[i] & 1
		}
		if changed {
			dirty[max(y-1, 0)], dirty[min(y+1, h-1)] = true, true
		}
		return changed
	}
	for again := true; again; {
		again = false
		for y := range h {
			again = step(y) || again
		}
		for y := h - 1; y >= 0; y-- {
			again = step(y) || again
		}
	}
	return f
}

// fill spreads the seeds over the runs of p in which they lie.
func fill(seed, p uint64) uint64 {
	up, down := p, p
	for s := 1; s < 64; s <<= 1 {
		seed |= up & (seed << s)
		seed |= down & (seed >> s)
		up &= up << s
		down &= down >> s
	}
	return seed
}

// clearBounds is the smallest rectangle, as x0, y0, x1, y1, that holds every bit that
// is not set; all 0 when each is set.
func (b *bitmap) clearBounds() (x0, y0, x1, y1 int) {
	x0, y0 = b.w, -1
	for y := range b.h {
		row := b.row(y)
		for i, word := range row {
			word = ^word
			if i == len(row)-1 && b.w&63 != 0 {
				word &= 1<<(b.w&63) - 1
			}
			if word == 0 {
				continue
			}
			if y0 < 0 {
				y0 = y
			}
			y1 = y + 1
			x0 = min(x0, i*64+bits.TrailingZeros64(word))
			x1 = max(x1, i*64+64-bits.LeadingZeros64(word))
		}
	}
	if y0 < 0 {
		return 0, 0, 0, 0
	}
	return x0, y0, x1, y1
}
