package sierpinski

import (
	"image/color"
	"math"
	"math/bits"
)

// Carpet rises from Sierpinski's carpet for ever, or falls into it.
//
// The centre is (1/4, 3/4): in base 3 .(02) and .(20), so the picture repeats
// with every factor of 9. A point lies in a hole of level n where the n-th digits
// of both coordinates are 1. Whether a coordinate's digit is 1, and how far it is
// from the edge of that digit, depends on the column or the row alone; a cell
// costs one AND, one count of zeros and two loads.
type Carpet struct {
	tones
	journey
	width, height, level int
	table                depthTones
	cols, rows           axis
}

// axis holds for each place along one side which digits are 1 (bit 31 is the
// first), and for each level the palette index by the distance to the edge.
type axis struct {
	ones []uint32
	tone [carpetLevels][]uint8
}

const (
	carpetGroups   = 2
	carpetLevels   = 16
	carpetPictures = 720        // 48 s for a factor of 9
	carpetUnit     = 3486784401 // 3^20: the side of the surrounding square
)

func carpetInfo() Info {
	return Info{
		Name: "carpet", Title: "Carpet", Level: "how far the glow reaches, from thin lines to wide light",
		MinLevel: 1, MaxLevel: 9, Default: 5, Colours: "orchid", Variants: []string{"out", "in"},
	}
}

// NewCarpet makes an endless carpet of width by height cells.
func NewCarpet(width, height int, s Settings) (*Carpet, error) {
	s, err := prepare(width, height, s, carpetInfo())
	if err != nil {
		return nil, err
	}
	return &Carpet{
		tones: newTones(s, carpetGroups*zoomTones), journey: newJourney(carpetPictures, width, height, s),
		width: width, height: height, level: s.Level,
		cols: newAxis(width), rows: newAxis(height),
	}, nil
}

func newAxis(n int) axis {
	a := axis{ones: make([]uint32, n)}
	for i := range a.tone {
		a.tone[i] = make([]uint8, n)
	}
	return a
}

// Step advances by one tick.
func (c *Carpet) Step() {
	c.drift()
	c.advance()
}

// Bits is 8: forty tones in each of two tints.
func (c *Carpet) Bits() int { return 8 }

// Caption says what is shown.
func (c *Carpet) Caption() string {
	return "Sierpinski’s carpet, an endless zoom" + c.times(9)
}

// Palette returns the colours of this moment.
func (c *Carpet) Palette() []color.RGBA { return c.tinted(carpetGroups, 40) }

// Draw writes the picture of this moment.
func (c *Carpet) Draw(dst []uint8, stride int) {
	// The centre is a quarter of the square's side from its edges: two longer
	// sides of the picture keep it inside.
	side := float64(2*max(c.width, c.height)) * 1.01 * exp(float64(c.phase()*2*math.Log(3)))
	c.table.fill(holeTones{
		fast: coarse(c.width, c.height, c.speed), cells: side / carpetUnit, near: 0.4, whole: 6, reach: float64(c.height*c.level) / 10, groups: carpetGroups, lit: true,
		radius: func(n int) float64 {
			r := side / 6
			for range n {
				r /= 3
			}
			return r
		},
	})
	c.cols.fill(1.0/4, side, &c.table)
	c.rows.fill(3.0/4, side, &c.table)
	for row, down := range c.rows.ones {
		line := dst[row*stride:][:c.width]
		for i, right := range c.cols.ones {
			n := bits.LeadingZeros32(down & right)
			if n >= carpetLevels {
				line[i] = 0
				continue
			}
			line[i] = min(c.cols.tone[n][i], c.rows.tone[n][row])
		}
	}
}

// fill finds the digits of the places about centre, and their tones.
func (a *axis) fill(centre, side float64, table *depthTones) {
	for i := range a.ones {
		off := (float64(i) - float64(len(a.ones)-1)/2) / side
		u := uint32(int64(float64((centre + off) * carpetUnit)))
		third := uint32(carpetUnit / 3)
		var ones uint32
		for n := range carpetLevels {
			digit := u / third
			u -= digit * third
			if digit == 1 {
				ones |= 1 << (31 - n)
				d := max(1, min(u, third-u))
				a.tone[n][i] = table[n][logIndex(d, bits.Len32(d))]
			}
			third /= 3
		}
		a.ones[i] = ones
	}
}
