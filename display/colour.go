package display

import (
	"math"

	"github.com/sierpi/sierpi/display/wire"
)

// stop is a colour at a place along a ramp.
type stop struct {
	at float64
	c  wire.RGB
}

// ramp returns n colours between the stops, mixed in linear light, where a mixture
// has the brightness that the eye expects.
func ramp(n int, stops ...stop) []wire.RGB {
	out := make([]wire.RGB, n)
	for i := range out {
		at := float64(i) / float64(n-1)
		k := 0
		for k < len(stops)-2 && at > stops[k+1].at {
			k++
		}
		a, b := stops[k], stops[k+1]
		out[i] = mix(a.c, b.c, min(1, max(0, (at-a.at)/(b.at-a.at))))
	}
	return out
}

// mix is a at 0 and b at 1, in linear light.
func mix(a, b wire.RGB, t float64) (c wire.RGB) {
	for i := range c {
		c[i] = toSRGB(toLinear(a[i])*(1-t) + toLinear(b[i])*t)
	}
	return c
}

func toLinear(v uint8) float64 { return linear[v] }

// linear is the light of each value of sRGB, 0 to 1. A table, because every fade asks
// for hundreds of them in every frame.
var linear = func() (t [256]float64) {
	for i := range t {
		s := float64(i) / 255
		if s <= 0.04045 {
			t[i] = s / 12.92
		} else {
			t[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return t
}()

func toSRGB(l float64) uint8 {
	s := 12.92 * l
	if l > 0.0031308 {
		s = 1.055*math.Pow(l, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * min(1, max(0, s))))
}

// luminance is the relative luminance of WCAG 2.2, 0 to 1.
func luminance(c wire.RGB) float64 {
	return 0.2126*toLinear(c[0]) + 0.7152*toLinear(c[1]) + 0.0722*toLinear(c[2])
}
