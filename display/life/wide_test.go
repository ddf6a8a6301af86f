package life

import (
	"math/rand/v2"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestWideIsNarrow steps random blocks four rows at once and row by row, for every set of tiles,
// height in whole tiles and width.
func TestWideIsNarrow(t *testing.T) {
	if !wide {
		systemtest.Absent(t, "this machine's processor, or this build, does not take four rows at once")
	}
	rng := rand.New(rand.NewPCG(7, 2026))
	var room scratch
	word := func() uint64 {
		switch rng.IntN(4) {
		case 0:
			return rng.Uint64() & rng.Uint64() & rng.Uint64()
		case 1:
			return ^uint64(0)
		case 2:
			return 0
		}
		return rng.Uint64()
	}
	fill := func(a []uint64) {
		for i := range a {
			a[i] = word()
		}
	}
	for n := range 20000 {
		var west, mid, east, was [64]uint64
		s := surround{west: &west, east: &east}
		for _, a := range [][]uint64{west[:], mid[:], east[:], was[:], s.above[:], s.below[:]} {
			fill(a)
		}
		rows, end := 8*(1+rng.IntN(8)), uint(rng.IntN(64))
		active := uint8(n) & uint8(1<<(rows/8)-1)
		a, b := was, was
		wideChange := stepTilesWide(&s, &mid, &a, active, rows, end, &room)
		change := stepTiles(&s, &mid, &b, active, rows, end)
		if a != b || wideChange != change {
			t.Fatalf("%d rows to column %d, tiles %08b: cells equal: %v; changes %+v, want %+v", rows, end, active, a == b, wideChange, change)
		}
	}
}
