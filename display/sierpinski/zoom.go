package sierpinski

import (
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
// Distances do not alias, so one sample a cell is antialiased: about fifteen
// integer instructions, all of 32 bits.
type Zoom struct {
	tones
	journey
	width, height, level int
	table                depthTones
}

const (
	zoomGroups   = 3   // levels until the picture repeats
	zoomPictures = 540 // 36 s for a factor of 8
)

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
	return &Zoom{
		tones: newTones(s, zoomGroups*zoomTones), journey: newJourney(zoomPictures, width, height, s),
		width: width, height: height, level: s.Level,
	}, nil
}

// Step advances by one tick.
func (z *Zoom) Step() {
	z.drift()
	z.advance()
}

// Bits is 8: forty tones in each of three tints. Seven would do, but whole bytes
// deflate better.
func (z *Zoom) Bits() int { return 8 }

// Caption says what is shown.
func (z *Zoom) Caption() string {
	return "Sierpinski’s triangle, an endless zoom" + z.times(8)
}

// Palette returns the colours of this moment.
func (z *Zoom) Palette() []color.RGBA { return z.tinted(zoomGroups, 32) }

// unit is 2^32: the altitude of the triangle that surrounds the picture.
const unit = 1 << 32

// altitude returns the surrounding triangle's altitude in cells. The smallest
// coordinate of the centre is 1/7, so 7 half-diagonals keep every aspect inside.
func (z *Zoom) altitude() float64 {
	w, h := float64(z.width), float64(z.height)
	return float64(3.5*math.Sqrt(float64(w*w)+float64(h*h))) * exp(float64(z.phase()*3*math.Ln2))
}

// Draw writes the picture of this moment.
func (z *Zoom) Draw(dst []uint8, stride int) {
	alt := z.altitude()
	z.table.fill(holeTones{
		fast: coarse(z.width, z.height, z.speed), cells: alt / unit, near: 0.5, whole: 3, reach: float64(z.height*z.level) / 10, groups: zoomGroups,
		radius: func(n int) float64 { return alt / float64(uint64(6)<<n) },
	})
	// Along a row z stands still, x grows and y shrinks by the same.
	e := uint32(math.Round(unit * (math.Sqrt(3) / 2) / alt))
	for row := range z.height {
		up := float64(z.height-1)/2 - float64(row) // cells above the centre
		zz := fixed(4.0/7, up/alt)
		x := fixed(2.0/7, -up/(2*alt)) - uint32(uint64(e)*uint64(z.width-1)/2)
		line := dst[row*stride:][:z.width]
		for i := range line {
			n, d := hole(x, zz)
			line[i] = z.table[n][logIndex(d, bits.Len32(d))]
			x += e
		}
	}
}

// hole returns the level of the hole that (x, ^(x+z), z) lies in, 0 to 31, and
// the distance to the hole's nearest edge. A point of the triangle itself counts
// as one at the edge of a hole of level 31.
func hole(x, z uint32) (level int, distance uint32) {
	y := ^(x + z)
	n := bits.LeadingZeros32(^(x|y|z)|1) & 31
	half := uint32(1<<31) >> n
	m := half - 1
	return n, half - max(x&m, y&m, z&m)
}

// fixed returns the coordinate base+off as 32 bits.
func fixed(base, off float64) uint32 {
	return uint32(int64(math.Round(float64((base + off) * unit))))
}
