package sierpinski

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// journey is an endless zoom's place between two equal pictures.
type journey struct {
	period int // hundredths of a picture until the figure repeats
	speed  int // hundredths of a picture gained with each picture shown
	out    bool
	pos    int    // 0 to period-1
	depth  uint64 // periods gone by
	stand  int    // ticks for which a picture stands
	hold   int
}

// journeyHold is for how many ticks a picture stands. Fifteen pictures a second
// halve the stream, and a zoom of a few cells a second shows no judder by it.
const journeyHold = 2

// newJourney shows ten pictures a second where they are large, at three fifths of the
// pace: each of them costs what its edges are long.
func newJourney(pictures, width, height int, s Settings) journey {
	j := journey{period: pictures * 100, speed: s.Speed, stand: journeyHold, out: s.Variant == "out"}
	if large(width, height) {
		j.stand, j.speed = 3, s.Speed*9/10
	}
	return j
}

// large reports whether a picture has more than a million cells.
func large(width, height int) bool { return width*height > 1<<20 }

func (j *journey) advance() {
	if j.hold++; j.hold < j.stand {
		return
	}
	j.hold = 0
	if j.pos += j.speed; j.pos >= j.period {
		j.pos -= j.period
		j.depth++
	}
}

// phase is the place between two equal pictures, 0 to less than 1.
func (j *journey) phase() float64 {
	if j.out && j.pos > 0 {
		return float64(j.period-j.pos) / float64(j.period)
	}
	return float64(j.pos) / float64(j.period)
}

// Seek goes to a depth: the figure has repeated that often.
func (j *journey) Seek(depth uint64) { j.depth, j.pos, j.hold = depth, 0, 0 }

// times is how much larger the figure has become, as a power of the factor by which it
// repeats: " · ×8¹²", or nothing before the first repetition.
func (j *journey) times(factor int) string {
	if j.depth == 0 {
		return ""
	}
	sign := ""
	if j.out {
		sign = "⁻"
	}
	raised := strings.Map(func(r rune) rune {
		return [10]rune{'⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'}[r-'0']
	}, strconv.FormatUint(j.depth, 10))
	return fmt.Sprintf(" · ×%d%s%s", factor, sign, raised)
}

// exp is e^v for v in 0 to 3, the same to the last bit on every architecture:
// math.Exp is assembly on some, and the conversion keeps products from being
// fused into sums.
func exp(v float64) float64 {
	term, sum := 1.0, 1.0
	for n := 1; n < 40; n++ {
		term = float64(term*v) / float64(n)
		sum += term
	}
	return sum
}

// depthTones are the tables from a hole's level and the logarithm of the
// distance to its edge to a palette index. Index group*zoomTones is the ground
// of a group, the last of the group the figure itself.
type depthTones [32][256]uint8

// holeTones says how light falls into the holes.
type holeTones struct {
	cells  float64             // the size of the coordinates' unit, in cells
	near   float64             // the distance in cells within which all is figure
	reach  float64             // the distance in cells at which the ramp ends
	whole  float64             // the size of a hole, as radius has it, from which on it has its full contrast
	radius func(n int) float64 // the greatest distance in a hole of level n, in cells
	groups int                 // levels until the picture repeats
	lit    bool                // the holes are lit and the figure is the ground
	fast   bool                // with fewer tones
}

// Holes of one level share a tint; the tints must come round with the picture.
// The tones are the price of the stream: every edge between two moves. A faster
// journey gets fewer, which its motion hides, and so does a large picture, whose
// edges are longer: with all tones it would take half as much again as 4 MB/s.
const (
	zoomTones     = 40
	zoomTonesFast = 20
)

// coarse reports whether a journey gets fewer tones.
func coarse(width, height, speed int) bool { return speed > 100 || large(width, height) }

func (t *depthTones) fill(h holeTones) {
	var far [256]float64
	for i := range far {
		l, f := i>>3, float64(i&7)
		d := float64(1+f/8+1.0/16) * float64(uint64(1)<<max(l-1, 0)) * h.cells
		far[i] = ramp(d, h.near, h.reach)
	}
	for n := range t {
		// A hole too small to be seen melts into the figure instead of
		// twinkling: its contrast comes as it grows.
		seen := float64((zoomTones - 1) * ramp(h.radius(n), h.whole/6, h.whole))
		first := uint8(n % h.groups * zoomTones)
		for i, v := range far {
			k := uint8(math.Round(float64(seen * v)))
			if h.fast {
				k = uint8(math.Round(float64(seen*v)*(zoomTonesFast-1)/(zoomTones-1))) * (zoomTones - 1) / (zoomTonesFast - 1)
			}
			if !h.lit {
				k = zoomTones - 1 - k
			}
			t[n][i] = first + k
		}
	}
}

// logIndex is the place of d in a table of depthTones: a floating number of five
// and three bits.
func logIndex(d uint32, length int) int {
	return (length<<3 | int(d<<(32-length)>>28&7)) & 255
}

// ramp is 0 at or below d0, 1 at or above d1, logarithmic between.
func ramp(d, d0, d1 float64) float64 {
	if d <= d0 {
		return 0
	}
	return min(1, ln(d/d0)/ln(d1/d0))
}

// ln is the natural logarithm, like exp the same on every architecture.
func ln(v float64) float64 {
	f, e := math.Frexp(v)
	t := (f - 1) / (f + 1) // -1/3 to 0
	sum, power := 0.0, t
	for n := 1; n < 40; n += 2 {
		sum += power / float64(n)
		power = float64(power * float64(t*t))
	}
	return float64(2*sum) + float64(float64(e)*math.Ln2)
}
