package sierpinski

import (
	"fmt"
	"image/color"
	"math"
	"math/bits"
)

// Zoom falls into Sierpinski's triangle for ever.
//
// It zooms about the point whose barycentric coordinates are (2/7, 1/7, 4/7).
// In binary these are .(010), .(001) and .(100): the point's address repeats with
// period three, so the picture repeats exactly with every factor of 8. The depth
// is therefore only counted, never multiplied, and no precision is ever lost.
//
// A cell's tone is its distance to the triangle, on a logarithmic scale. In
// coordinates scaled to 32 bits, x+y+z is all ones; the corner triangle a point
// lies in at each level is told by the one coordinate that has that bit; the
// first bit that none has is the level of the hole it lies in; what the largest
// coordinate still lacks to half the hole is the distance to the hole's edge.
// Distances do not alias, so one sample a cell is antialiased: about ten integer
// instructions, all of 32 bits.
type Zoom struct {
	tones
	pacer
	width, height int
	level         int
	frames        int    // per factor of 8
	frame         int    // 0 to frames-1
	depth         uint64 // factors of 8 gone by
	hold          int
	tone          [32][256]uint8 // by the hole's level, then by the distance
}

// zoomHold is for how many ticks a picture of the zoom stands: 15 pictures a
// second halve the stream, and the zoom is too slow for an eye to mind.
const zoomHold = 2

// Holes of one level share a tint; the tints must come round with the picture,
// which does so every three levels.
const (
	zoomGroups = 3
	zoomTones  = 40
)

const zoomPictures = 540 // pictures for a factor of 8: 36 s

func zoomInfo() Info {
	return Info{
		Name: "zoom", Title: "Endless zoom", Level: "how far the glow reaches, from thin lines to wide light",
		MinLevel: 1, MaxLevel: 9, Default: 5, Colours: "lagoon", Variants: []string{"in", "out"},
	}
}

// NewZoom makes an endless zoom of width by height cells.
func NewZoom(width, height int, s Settings) (*Zoom, error) {
	s, err := prepare(width, height, s, zoomInfo())
	if err != nil {
		return nil, err
	}
	z := &Zoom{
		tones: newTones(s, zoomGroups*zoomTones), pacer: pacer{speed: s.Speed},
		width: width, height: height, level: s.Level, frames: zoomPictures,
	}
	return z, nil
}

// Step advances by one tick.
func (z *Zoom) Step() {
	z.tones.step()
	for range z.tick() {
		if z.hold++; z.hold < zoomHold {
			continue
		}
		z.hold = 0
		if z.frame++; z.frame == z.frames {
			z.frame = 0
			z.depth++
		}
	}
}

// Seek goes to a depth: the zoom has magnified by 8^depth.
func (z *Zoom) Seek(depth uint64) { z.depth, z.frame, z.hold = depth, 0, 0 }

// Bits is 7: forty tones in each of three tints.
func (z *Zoom) Bits() int { return 8 }

// Caption says what is shown.
func (z *Zoom) Caption() string { return fmt.Sprintf("Sierpinski triangle, zoom ×8^%d", z.depth) }

// Palette returns the colours of this moment.
func (z *Zoom) Palette() []color.RGBA {
	for i := range z.buf {
		group, v := i/zoomTones, float64(i%zoomTones)/(zoomTones-1)
		// The tints part in the middle of the ramp and meet at its ends.
		z.buf[i] = z.at(v, float64(group-1)*32*4*v*(1-v)).rgba()
	}
	return z.buf
}

// unit is 2^32: the altitude of the triangle that surrounds the picture.
const unit = 1 << 32

// altitude returns the surrounding triangle's altitude in cells. The smallest
// coordinate of the centre is 1/7, so 7 half-diagonals keep every aspect inside.
func (z *Zoom) altitude() float64 {
	w, h := float64(z.width), float64(z.height)
	return float64(3.5*math.Sqrt(float64(w*w)+float64(h*h))) * exp2(3*float64(z.frame)/float64(z.frames))
}

// exp2 is 2^v for v in 0 to 3, the same to the last bit on every architecture:
// math.Exp2 is assembly on some, and the conversions keep products from being fused into sums.
func exp2(v float64) float64 {
	term, sum := 1.0, 1.0
	for n := 1; n < 40; n++ {
		term = float64(term * v * math.Ln2 / float64(n))
		sum += term
	}
	return sum
}

// Draw writes the picture.
func (z *Zoom) Draw(dst []uint8, stride int) {
	alt := z.altitude()
	z.fillTones(alt)
	// Along a row z stands still, x grows and y shrinks by the same.
	e := uint32(math.Round(unit * (math.Sqrt(3) / 2) / alt))
	for row := range z.height {
		up := float64(z.height-1)/2 - float64(row) // cells above the centre
		zz := fixed(4.0/7, float64(up/alt))
		x := fixed(2.0/7, float64(-up/(2*alt))) - uint32(uint64(e)*uint64(z.width-1)/2)
		line := dst[row*stride:][:z.width]
		for i := range line {
			y := ^(x + zz)
			n := bits.LeadingZeros32(^(x|y|zz)|1) & 31
			half := uint32(1<<31) >> n
			m := half - 1
			d := half - max(x&m, y&m, zz&m)
			// A floating number of five and three bits: log2 by table.
			l := bits.Len32(d)
			line[i] = z.tone[n][(l<<3|int(d<<(32-l)>>28&7))&255]
			x += e
		}
	}
}

// fixed returns the coordinate base+off as 32 bits.
func fixed(base, off float64) uint32 {
	return uint32(int64(math.Round(float64(float64(base+off) * unit))))
}

// fillTones makes the tables from a distance's logarithm to a tone.
func (z *Zoom) fillTones(alt float64) {
	reach := float64(z.height) * float64(z.level) / 10
	// Of d at the resolution of the table, in cells.
	var dark [256]float64
	for i := range dark {
		l, f := i>>3, float64(i&7)
		d := float64(float64(1+f/8+1.0/16)*float64(uint64(1)<<max(l-1, 0))) / unit * alt
		dark[i] = ramp(d, 0.5, reach)
	}
	for n := range z.tone {
		// A hole too small to be seen melts into the light instead of
		// twinkling: its contrast comes as it grows.
		size := alt / float64(uint64(6)<<n) // the radius of the circle within
		seen := ramp(size, 0.6, 4)
		group := n % zoomGroups
		for i, v := range dark {
			z.tone[n][i] = uint8(group*zoomTones) + uint8(math.Round(float64(float64(zoomTones-1)*float64(1-float64(seen*v)))))
		}
	}
}

// ramp is 0 at or below d0, 1 at or above d1, logarithmic between.
func ramp(d, d0, d1 float64) float64 {
	if d <= d0 {
		return 0
	}
	return min(1, math.Log(d/d0)/math.Log(d1/d0))
}
