package wire

import "testing"

// Whatever the step between heartbeats, each row is compared before long, and a small
// picture as a whole.
func TestBand(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {480, 270}, {960, 540}, {1080, 1920}, {1920, 1080}, {3840, 2160}, {200000, 3}} {
		width, height := size[0], size[1]
		rows := 0
		for number := range uint32(1 << 12) {
			from, to := Band(width, height, number)
			if from < 0 || from >= to || to > height || to-from > 1 && (to-from)*width > bandCells {
				t.Fatalf("%dx%d, picture %d: rows %d to %d", width, height, number, from, to)
			}
			rows = max(rows, to-from)
		}
		bands := (height + rows - 1) / rows
		for _, step := range []uint32{1, 25, 125, 128, 144, 150, 160, 300} {
			seen := make([]bool, height)
			left := height
			for beat := range uint32(12 * bands) {
				for y, to := Band(width, height, 7+beat*step); y < to; y++ {
					if !seen[y] {
						seen[y] = true
						left--
					}
				}
			}
			if left > 0 {
				t.Errorf("%dx%d, heartbeats %d pictures apart: %d of %d rows not compared after %d", width, height, step, left, height, 12*bands)
			}
		}
	}
}

func TestBandHash(t *testing.T) {
	f := &Frame{Number: 41, Width: 960, Height: 540, Bits: 1, Palette: []RGB{{}, {255, 255, 255}}, Cells: make([]uint8, 960*540)}
	from, to := Band(f.Width, f.Height, f.Number)
	for from == 0 || to == f.Height {
		f.Number++ // one in the middle, to try both sides
		from, to = Band(f.Width, f.Height, f.Number)
	}
	plain := f.BandHash()
	for _, row := range []int{from - 1, from, to - 1, to} {
		f.Cells[row*f.Width] = 1
		if inside := row >= from && row < to; (f.BandHash() != plain) != inside {
			t.Errorf("row %d of %d to %d: changed %v", row, from, to, !inside)
		}
		f.Cells[row*f.Width] = 0
	}
	small := &Frame{Number: 41, Width: 480, Height: 270, Bits: 1, Palette: f.Palette, Cells: make([]uint8, 480*270)}
	if small.BandHash() != small.Hash() {
		t.Error("a small picture is not compared as a whole")
	}
}
