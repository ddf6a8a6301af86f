package display

import (
	"math"

	"github.com/sierpi/sierpi/display/wire"
)

// A phosphor turns a one-bit universe into light that comes at once and goes
// slowly. A cell's value is its heat, 0 to 127, plus 128 while it lives: a live
// cell heats up, fast and then slowly, a dead one cools. So the colour tells age on
// the way up and time since death on the way down.
//
// The rule is a table from value to value, and travels to the screens as the frame's
// ageing table: between frames only births and deaths are sent.
//
// It also holds the limit of three flashes a second by construction (WCAG 2.3.1): a flash is a
// pair of opposing changes of at least a tenth of the full relative luminance. The
// cooling is so slow that no cell loses a tenth within a third of a second; so
// no pair of changes, of however many cells at once, fits into it.
type phosphor struct {
	cells  []uint8 // live<<7 | heat
	table  []uint8
	frames int
	every  int  // frames a step of ageing
	due    bool // a step of ageing waits for the next exposure
	aged   uint32
	width  int
	colour []wire.RGB // of each heat

	rate, cooling float64 // steps of ageing and, at most, heats lost in a second
}

const (
	phosphorBits = 8
	alive        = 1 << 7
	maxHeat      = 127
	freshHeat    = 72 // reached within a few frames after birth
)

// newPhosphor takes the frames a second, the steps of ageing a second (at most 30:
// with more the finest step of cooling would be too large a change of
// light), the colours of heat 0 to 127 and how many heats a second a dead cell loses at most.
func newPhosphor(width, height, fps, steps int, colours []wire.RGB, cooling float64) *phosphor {
	p := &phosphor{cells: make([]uint8, width*height), width: width, cooling: cooling}
	// At most every second frame, as the life below: a frame in which nothing changes costs a
	// browser next to nothing, and it is the browser that works hardest.
	p.every = max(min(2, fps/10), (fps+steps-1)/steps)
	p.rate = float64(fps) / float64(p.every)
	p.setColours(colours)
	return p
}

// setColours gives each heat its colour, and makes the cooling as slow as these ask for.
func (p *phosphor) setColours(colours []wire.RGB) {
	p.colour = colours
	p.table = make([]uint8, 256) // frames keep the one before
	for heat := range maxHeat + 1 {
		up := heat + 1
		if heat < freshHeat {
			up = min(freshHeat, heat+max(1, int(freshHeat*8/p.rate)))
		}
		p.table[alive|heat] = uint8(alive | min(maxHeat, up))
		p.table[heat] = uint8(cooled(colours, heat, p.rate, p.cooling))
	}
}

// cooled is the lowest heat that is not a tenth of the light in a third of a second
// away, at rate steps a second, and not further than cooling (heats a second) allows.
func cooled(colours []wire.RGB, heat int, rate, cooling float64) int {
	if heat == 0 {
		return 0
	}
	// A little less than a tenth, for rounding in eight bits.
	most := 0.095 / (rate/3 + 1)
	down := heat - 1
	for down > 0 && float64(heat-down+1) <= cooling/rate && math.Abs(luminance(colours[heat])-luminance(colours[down-1])) <= most {
		down--
	}
	return down
}

// age lets one frame pass. A step of ageing that is due waits for an exposure in the
// same frame or the next, so that both change the picture once.
func (p *phosphor) age() {
	p.cool()
	p.frames++
	p.due = p.frames%p.every == 0
}

// cool is a step of ageing, if one is due.
func (p *phosphor) cool() {
	if !p.due {
		return
	}
	p.due = false
	p.aged++
	for i, v := range p.cells {
		p.cells[i] = p.table[v]
	}
}

// expose sets which cells live: words as life.Torus has them, rows of stride
// words, of which the picture begins at column x0 (a multiple of 64) and row y0.
func (p *phosphor) expose(words []uint64, stride, x0, y0 int) {
	p.cool()
	height := len(p.cells) / p.width
	for y := range height {
		row := p.cells[y*p.width : (y+1)*p.width]
		src := words[(y+y0)*stride+x0/64:]
		for x := 0; x < p.width; x += 64 {
			word := src[x/64]
			part := row[x:min(x+64, p.width)]
			if word == 0 {
				for i := range part {
					part[i] &^= alive
				}
				continue
			}
			for i := range part {
				part[i] = part[i]&^alive | uint8(word&1)<<7
				word >>= 1
			}
		}
	}
}

// drawSharp fills the frame with what lives, without any afterglow.
func (p *phosphor) drawSharp(f *wire.Frame) {
	f.Bits, f.Ageing = 1, nil
	for i, v := range p.cells {
		f.Cells[i] = v >> 7
	}
	f.Palette = append(f.Palette[:0], p.colour[0], p.colour[maxHeat])
}

// draw fills the frame.
func (p *phosphor) draw(f *wire.Frame) {
	f.Bits = phosphorBits
	f.Ageing, f.Age = p.table, p.aged
	copy(f.Cells, p.cells)
	f.Palette = f.Palette[:0]
	for range 2 {
		f.Palette = append(f.Palette, p.colour...)
	}
}
