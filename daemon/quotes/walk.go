package quotes

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// permutation is a keyed one-to-one mapping of 0 ... 2^bits-1 onto itself: the
// order in which a random walk visits the ids. Every step of a round can be undone
// (an odd multiplier, an addition, a shift by at least half the bits), so nothing
// is visited twice and nothing left out.
type permutation struct {
	bits  uint
	mul   [rounds]uint64
	add   [rounds]uint64
	unmul [rounds]uint64
}

const rounds = 4

func newPermutation(seed string, bits uint) *permutation {
	p := &permutation{bits: bits}
	sum := sha256.Sum256([]byte(seed))
	for i := range rounds {
		sum = sha256.Sum256(sum[:])
		p.mul[i] = binary.LittleEndian.Uint64(sum[:8]) | 1
		p.add[i] = binary.LittleEndian.Uint64(sum[8:16])
		p.unmul[i] = inverse(p.mul[i])
	}
	return p
}

// inverse is the x with a*x = 1 modulo 2^64, by Newton's iteration; a is odd.
func inverse(a uint64) uint64 {
	x := a
	for range 5 {
		x *= 2 - a*x
	}
	return x
}

func (p *permutation) size() uint64 { return 1 << p.bits }

func (p *permutation) at(x uint64) uint64 {
	mask, shift := p.size()-1, (p.bits+1)/2
	for i := range rounds {
		x = (x*p.mul[i] + p.add[i]) & mask
		x ^= x >> shift
	}
	return x
}

// position is where at yields y.
func (p *permutation) position(y uint64) uint64 {
	mask, shift := p.size()-1, (p.bits+1)/2
	for i := rounds - 1; i >= 0; i-- {
		y ^= y >> shift
		y = (y - p.add[i]) * p.unmul[i] & mask
	}
	return y
}

// bitsFor is the size of the permutation that covers ids up to highest.
func bitsFor(highest int64) uint { return uint(max(1, bits.Len64(uint64(highest)))) }
