package sierpinski

import (
	"image/color"
	"maps"
	"math"
	"slices"
)

// lch is a colour in OKLCH: lightness 0 to 1, chroma 0 to about 0.37, hue in
// degrees. Ramps are mixed here because equal steps look equal, so that sixteen
// levels make a gradient without a visible stair.
type lch struct{ l, c, h float64 }

// scheme is a set of colours: two ends of a ramp each for night and day.
// Hues run the way they are written: 200 to 420 passes through 360.
type scheme struct {
	night, day []lch
	// swing is how far the hue drifts to either side, in degrees; 360 means
	// that it goes all the way round.
	swing float64
}

// driftTicks is one period of the drift of hue: 8 minutes at 30 ticks a second.
const driftTicks = 8 * 60 * 30

var schemes = map[string]scheme{
	// Deep water, lit from below.
	"lagoon": {
		night: []lch{{0.13, 0.035, 275}, {0.26, 0.09, 268}, {0.46, 0.12, 235}, {0.70, 0.13, 195}, {0.88, 0.10, 150}, {0.97, 0.06, 105}},
		day:   []lch{{0.97, 0.012, 95}, {0.92, 0.03, 150}, {0.82, 0.06, 190}, {0.67, 0.09, 215}, {0.50, 0.10, 245}, {0.34, 0.09, 270}},
		swing: 24,
	},
	// The last coals.
	"ember": {
		night: []lch{{0.13, 0.03, 340}, {0.25, 0.09, 355}, {0.43, 0.15, 15}, {0.63, 0.18, 40}, {0.82, 0.15, 70}, {0.96, 0.07, 95}},
		day:   []lch{{0.97, 0.012, 80}, {0.93, 0.035, 70}, {0.84, 0.08, 58}, {0.70, 0.12, 45}, {0.54, 0.13, 30}, {0.37, 0.10, 5}},
		swing: 14,
	},
	// Dusk, from violet to the first rose.
	"orchid": {
		night: []lch{{0.13, 0.04, 290}, {0.25, 0.11, 292}, {0.42, 0.16, 305}, {0.62, 0.18, 330}, {0.80, 0.12, 365}, {0.96, 0.05, 430}},
		day:   []lch{{0.97, 0.010, 60}, {0.92, 0.03, 20}, {0.83, 0.06, 360}, {0.68, 0.10, 335}, {0.51, 0.13, 312}, {0.36, 0.11, 292}},
		swing: 20,
	},
	// Under the canopy.
	"forest": {
		night: []lch{{0.13, 0.025, 200}, {0.25, 0.055, 180}, {0.42, 0.09, 158}, {0.63, 0.14, 143}, {0.83, 0.15, 125}, {0.96, 0.09, 108}},
		day:   []lch{{0.97, 0.013, 105}, {0.91, 0.045, 120}, {0.80, 0.08, 130}, {0.64, 0.10, 142}, {0.48, 0.09, 152}, {0.33, 0.06, 165}},
		swing: 12,
	},
	// Lagoon's lights, travelling all round the wheel.
	"spectrum": {
		night: []lch{{0.13, 0.035, 275}, {0.26, 0.09, 268}, {0.45, 0.12, 240}, {0.68, 0.13, 210}, {0.87, 0.10, 180}, {0.97, 0.05, 150}},
		day:   []lch{{0.97, 0.010, 95}, {0.92, 0.03, 150}, {0.82, 0.06, 190}, {0.67, 0.09, 215}, {0.50, 0.10, 245}, {0.34, 0.09, 270}},
		swing: 360,
	},
}

// Colours lists the colour schemes.
func Colours() []string { return slices.Sorted(maps.Keys(schemes)) }

// tones gives a scene its colours: a ramp from the ground (0) to the light (1).
type tones struct {
	scheme scheme
	day    bool
	ticks  int // of the drift, 0 to driftTicks-1
	buf    []color.RGBA
}

func newTones(s Settings, n int) tones {
	return tones{scheme: schemes[s.Colours], day: s.Day, buf: make([]color.RGBA, n)}
}

// SetDay changes between the day and the night palette.
func (t *tones) SetDay(day bool) { t.day = day }

// drift advances the drift of hue by a tick.
func (t *tones) drift() {
	if t.ticks++; t.ticks == driftTicks {
		t.ticks = 0
	}
}

// at returns the colour at v, 0 to 1, on the ramp, its hue turned by the drift
// of the moment and by turn degrees more.
func (t *tones) at(v, turn float64) lch {
	stops := t.scheme.night
	if t.day {
		stops = t.scheme.day
	}
	v = min(max(v, 0), 1) * float64(len(stops)-1)
	i := min(int(v), len(stops)-2)
	f := v - float64(i)
	phase := float64(t.ticks) / driftTicks
	if t.scheme.swing == 360 {
		turn += 360 * phase
	} else {
		turn += t.scheme.swing * math.Sin(2*math.Pi*phase)
	}
	a, b := stops[i], stops[i+1]
	return lch{mix(a.l, b.l, f), mix(a.c, b.c, f), mix(a.h, b.h, f) + turn}
}

// tinted fills the palette with groups of equal ramps whose hues part by turn
// degrees in the middle and meet at both ends.
func (t *tones) tinted(groups int, turn float64) []color.RGBA {
	n := len(t.buf) / groups
	for i := range t.buf {
		v := float64(i%n) / float64(n-1)
		side := float64(i/n) - float64(groups-1)/2
		t.buf[i] = t.at(v, side*turn*4*v*(1-v)).rgba()
	}
	return t.buf
}

func mix(a, b, f float64) float64 { return a + (b-a)*f }

// rgba converts to sRGB.
func (k lch) rgba() color.RGBA {
	k = k.fit()
	r, g, b := k.linear()
	return color.RGBA{encode(r), encode(g), encode(b), 255}
}

// fit takes chroma, not hue or lightness, from a colour that sRGB cannot show.
func (k lch) fit() lch {
	for range 24 {
		if r, g, b := k.linear(); min(r, g, b) >= -1e-4 && max(r, g, b) <= 1+1e-4 {
			break
		}
		k.c *= 0.92
	}
	return k
}

// over lays a light over a ground with a coverage of 0 to 1. It mixes as light
// does, not as its encoding: thin lines keep their weight.
func over(light, ground lch, cover float64) color.RGBA {
	a, b := light.fit(), ground.fit()
	r1, g1, b1 := a.linear()
	r0, g0, b0 := b.linear()
	return color.RGBA{encode(mix(r0, r1, cover)), encode(mix(g0, g1, cover)), encode(mix(b0, b1, cover)), 255}
}

// linear converts to linear sRGB by the matrices of Björn Ottosson's "A perceptual
// color space for image processing" (2020).
func (k lch) linear() (r, g, b float64) {
	sin, cos := math.Sincos(k.h * math.Pi / 180)
	a, bb := k.c*cos, k.c*sin
	l := k.l + 0.3963377774*a + 0.2158037573*bb
	m := k.l - 0.1055613458*a - 0.0638541728*bb
	s := k.l - 0.0894841775*a - 1.2914855480*bb
	l, m, s = l*l*l, m*m*m, s*s*s
	return 4.0767416621*l - 3.3077115913*m + 0.2309699292*s,
		-1.2684380046*l + 2.6097574011*m - 0.3413193965*s,
		-0.0041960863*l - 0.7034186147*m + 1.7076147010*s
}

// encode applies sRGB's transfer curve.
func encode(v float64) uint8 {
	v = min(max(v, 0), 1)
	if v <= 0.0031308 {
		v *= 12.92
	} else {
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return uint8(math.Round(v * 255))
}
