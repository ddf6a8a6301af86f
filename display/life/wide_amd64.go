//go:build !purego

package life

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

// wide reports whether this machine can take four rows at once.
var wide = cpu.X86.HasAVX2

// A tileNote is how a tile changed: any bit that did in any of its rows, and those of its top and
// bottom row.
type tileNote struct{ any, top, bottom uint64 }

type wideScratch struct {
	ones, twos [66]uint64
	notes      [8]tileNote
}

// stepRun advances a run of tiles of eight rows each under B3/S23. west, mid, east and out
// point to the run's first row in arrays of one word a row; ones and twos to room for
// the row sums of all its rows and one more above and below, of which those two are filled in.
//
//go:noescape
func stepRun(west, mid, east, out, ones, twos *uint64, tiles int, used uint64, notes *tileNote)

// stepTilesWide is stepTiles with AVX2, four rows at once, for blocks of whole tiles: about four
// times as fast. A block's words lie one below the other, so that rows above and below are loads at
// the next word, and nothing has to be moved between lanes.
func stepTilesWide(s *surround, mid, out *[64]uint64, active uint8, rows int, end uint, room *scratch) (ch change) {
	west, east := s.west, s.east
	used := ^uint64(0) >> (63 - end&63)
	ones, twos, notes := &room.ones, &room.twos, &room.notes
	for active != 0 {
		first := bits.TrailingZeros8(active)
		after := first + bits.TrailingZeros8(^(active >> first))
		active &= uint8(0xff << after)
		r, n := first*8, (after-first)*8
		if r == 0 {
			ones[0], twos[0] = rowSum(s.above[0], s.above[1], s.above[2])
		} else {
			ones[0], twos[0] = rowSum(west[(r-1)&63], mid[(r-1)&63], east[(r-1)&63])
		}
		if r+n == rows {
			ones[n+1], twos[n+1] = rowSum(s.below[0], s.below[1], s.below[2])
		} else {
			ones[n+1], twos[n+1] = rowSum(west[(r+n)&63], mid[(r+n)&63], east[(r+n)&63])
		}
		stepRun(&west[r&63], &mid[r&63], &east[r&63], &out[r&63], &ones[0], &twos[0], after-first, used, &notes[0])
		for i := range after - first {
			ch.note(first+i, notes[i].any, notes[i].top, notes[i].bottom, end)
		}
	}
	return ch
}
