package cutout

import "slices"

// Background is what the border says of the background.
type Background struct {
	Color     Color
	Share     float64 // of the border's opaque pixels that are near that colour, 0 to 1
	Tolerance int     // levels that the near ones spread over, plus what compression adds
}

// near is how far, in levels a channel, a pixel of the border may be from the
// commonest colour to count as background.
const near = 24

// estimate looks at the pixels along the border: the commonest colour in a coarse
// grid, then the median of what is near it, or the one exact colour that most of
// them have. Objects that touch the border do not shift it.
func estimate(src pixels, lossy bool) (Background, error) {
	w, h := src.size()
	var ring []byte
	grab := func(x0, y0, x1, y1 int) {
		b := make([]byte, 4*(x1-x0)*(y1-y0))
		src.read(b, x0, y0, x1, y1)
		ring = append(ring, b...)
	}
	grab(0, 0, w, 1)
	if h > 1 {
		grab(0, h-1, w, h)
	}
	if h > 2 {
		grab(0, 1, 1, h-1)
		if w > 1 {
			grab(w-1, 1, w, h-1)
		}
	}
	var colors [][3]uint8
	for i := 0; i < len(ring); i += 4 {
		if ring[i+3] == 255 {
			colors = append(colors, [3]uint8(ring[i:i+3]))
		}
	}
	if len(colors)*8 < len(ring)/4 {
		return Background{}, &Refusal{"the picture's border is transparent already", "there may be nothing to cut out; otherwise name the background's colour"}
	}
	// Cells of 16 levels, counted in two grids that are half a cell apart, so that no
	// colour is parted by a line in both.
	type cell struct{ grid, r, g, b uint8 }
	count := map[cell]int{}
	var best cell
	for grid := range uint8(2) {
		for _, c := range colors {
			k := cell{grid, uint8((int(c[0]) + 8*int(grid)) >> 4), uint8((int(c[1]) + 8*int(grid)) >> 4), uint8((int(c[2]) + 8*int(grid)) >> 4)}
			count[k]++
			if count[k] > count[best] {
				best = k
			}
		}
	}
	centre := [3]int{}
	for i, v := range [3]uint8{best.r, best.g, best.b} {
		centre[i] = min(255, int(v)*16+8-8*int(best.grid))
	}
	var color Color
	for range 2 { // the median moves the centre, then once more from there
		color = median(colors, centre)
		centre = [3]int{int(color.R), int(color.G), int(color.B)}
	}
	var distances []int
	exact := map[[3]uint8]int{}
	for _, c := range colors {
		if d := distance(c, centre); d <= near {
			distances = append(distances, d)
			exact[c]++
		}
	}
	share := float64(len(distances)) / float64(len(colors))
	// Flat by design: the very colour, not the median of it and its noise.
	for c, n := range exact {
		if 2*n > len(distances) {
			color = Color{c[0], c[1], c[2]}
			distances = distances[:0]
			for _, c := range colors {
				if d := distance(c, [3]int{int(color.R), int(color.G), int(color.B)}); d <= near {
					distances = append(distances, d)
				}
			}
		}
	}
	slices.Sort(distances)
	spread := min(distances[(len(distances)-1)*995/1000], near/2)
	if lossy {
		// The codec's noise is stronger beside the object than along the border.
		spread = max(spread+4, 6)
	}
	return Background{color, share, spread}, nil
}

func distance(c [3]uint8, centre [3]int) int {
	return max(abs(int(c[0])-centre[0]), abs(int(c[1])-centre[1]), abs(int(c[2])-centre[2]))
}

// median is, channel by channel, the median of the colours near the centre.
func median(colors [][3]uint8, centre [3]int) Color {
	var count [3][256]int
	n := 0
	for _, c := range colors {
		if distance(c, centre) <= near {
			n++
			for i, v := range c {
				count[i][v]++
			}
		}
	}
	var m [3]uint8
	for i := range m {
		sum := 0
		for level, k := range count[i] {
			if sum += k; sum >= (n+1)/2 {
				m[i] = uint8(level)
				break
			}
		}
	}
	return Color{m[0], m[1], m[2]}
}
