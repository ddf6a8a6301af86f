package sierpinski

import "math"

// dust counts grains a cell; the logarithm of the count is the tone, so that a
// figure condenses out of single grains without ever burning out. The upper three
// bits of a count are the tint.
type dust struct {
	width, height int
	grains        []uint16
	tone          [dustMax + 1]uint8
}

const (
	dustMax    = 1<<10 - 1
	dustGroups = 8
	dustTones  = 30
)

// newDust makes an empty plane on which full grains a cell are the full light.
func newDust(width, height int, full float64) *dust {
	d := &dust{width: width, height: height, grains: make([]uint16, width*height)}
	for i := range d.tone {
		if i > 0 {
			d.tone[i] = uint8(3 + math.Round((dustTones-4)*ramp(float64(i), 1, full)))
		}
	}
	return d
}

// add lets a grain of a tint fall on a cell, which may lie outside.
func (d *dust) add(x, y int, group uint16) {
	if uint(x) >= uint(d.width) || uint(y) >= uint(d.height) {
		return
	}
	p := &d.grains[y*d.width+x]
	*p = min(*p&0x1fff+1, dustMax) | group<<13
}

// fade takes a part of every eighth row's grains away: the rows whose turn it is,
// 0 to 7.
func (d *dust) fade(turn int) {
	for y := turn & 7; y < d.height; y += 8 {
		row := d.grains[y*d.width:][:d.width]
		for i, v := range row {
			if n := v & 0x1fff; n > 0 {
				row[i] = v&0xe000 | n*5/8
			}
		}
	}
}

func (d *dust) draw(dst []uint8, stride int) {
	for y := range d.height {
		line := dst[y*stride:][:d.width]
		for i, v := range d.grains[y*d.width:][:d.width] {
			line[i] = uint8(v>>13)*dustTones + d.tone[v&dustMax]
		}
	}
}
