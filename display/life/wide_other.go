//go:build !amd64 || purego

package life

const wide = false

type wideScratch struct{}

func stepTilesWide(s *surround, mid, out *[64]uint64, active uint8, rows int, end uint, _ *scratch) change {
	return stepTiles(s, mid, out, active, rows, end)
}
