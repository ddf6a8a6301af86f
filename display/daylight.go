package display

import "github.com/sierpi/sierpi/display/wire"

// By day the scenes are ink on paper: what glows by night is dark, and what fades goes
// pale.

// Colours choose between the two on a stage.
type Colours string

// The colours of a stage.
const (
	NightColours Colours = "night" // light in the dark
	DayColours   Colours = "day"   // ink on paper
	AutoColours  Colours = "auto"  // the night's in the timetable's hours of night, else the day's
)

// paper is behind everything by day.
var paper = wire.RGB{0xf4, 0xf1, 0xe7}

// emberInk is embers by day: sanguine, and sepia where it is old.
func emberInk() []wire.RGB {
	return inks(stop{0, wire.RGB{0xd0, 0x7c, 0x78}}, stop{0.46, wire.RGB{0xc4, 0x50, 0x54}}, stop{0.58, wire.RGB{0xb0, 0x30, 0x38}},
		stop{0.74, wire.RGB{0x96, 0x30, 0x18}}, stop{0.88, wire.RGB{0x6a, 0x34, 0x14}}, stop{1, wire.RGB{0x42, 0x26, 0x12}})
}

// auroraInk is aurora by day: indigo, and umber where it is old.
func auroraInk() []wire.RGB {
	return inks(stop{0, wire.RGB{0x9c, 0xb6, 0xd6}}, stop{0.42, wire.RGB{0x4a, 0x92, 0xb4}}, stop{0.56, wire.RGB{0x14, 0x7a, 0x92}},
		stop{0.72, wire.RGB{0x22, 0x5a, 0x62}}, stop{0.86, wire.RGB{0x5e, 0x46, 0x1e}}, stop{1, wire.RGB{0x40, 0x2a, 0x10}})
}

// prismInk is prism by day.
func prismInk() []wire.RGB {
	return inks(stop{0, wire.RGB{0xc8, 0xa0, 0xc8}}, stop{0.2, wire.RGB{0xa4, 0x84, 0xc4}}, stop{0.36, wire.RGB{0x70, 0x80, 0xc8}},
		stop{0.48, wire.RGB{0x40, 0x80, 0xb8}}, stop{0.57, wire.RGB{0x14, 0x78, 0x8e}},
		stop{0.70, wire.RGB{0x16, 0x58, 0x56}}, stop{0.84, wire.RGB{0x60, 0x46, 0x1a}}, stop{1, wire.RGB{0x3a, 0x22, 0x0e}})
}

// The luminance of ink that is fresh, and of the oldest. Down to the fresh ink every step of
// heat takes an equal part of the paper's light, which is the least that a phosphor at
// thirty steps a second needs to pale without a flash.
const (
	freshInk = 0.27
	oldInk   = 0.025
)

// inks are the colours of the stops, each as dark as its heat asks for.
func inks(stops ...stop) []wire.RGB {
	colours := ramp(maxHeat+1, stops...)
	white := luminance(paper)
	for heat, c := range colours {
		want := white + (freshInk-white)*float64(heat)/freshHeat
		if heat > freshHeat {
			want = freshInk + (oldInk-freshInk)*float64(heat-freshHeat)/(maxHeat-freshHeat)
		}
		if have := luminance(c); want <= have {
			colours[heat] = mix(wire.RGB{}, c, want/have)
		} else {
			colours[heat] = mix(c, paper, (want-have)/(white-have))
		}
	}
	return colours
}

// A daylit scene can be shown as ink on paper and as light in the dark. It may be changed at
// any time, but while nothing of it is seen: its picture leaps.
type daylit interface{ daylight(day bool) }

func (s *soup) daylight(day bool)     { s.light.setColours(either(day, emberInk, embers)) }
func (l *line) daylight(day bool)     { l.light.setColours(either(day, prismInk, prism)) }
func (sp *serpent) daylight(day bool) { sp.light.setColours(either(day, auroraInk, aurora)) }
func (t *triangle) daylight(day bool) { t.SetDay(day || t.always) }

func either(day bool, ink, light func() []wire.RGB) []wire.RGB {
	if day {
		return ink()
	}
	return light()
}

// isInk reports whether the scene is ink on paper where the stage asks for it, or does not.
func isInk(scene Scene, day bool) bool {
	if t, ok := scene.(*triangle); ok && t.always {
		return true
	}
	_, ok := scene.(daylit)
	return ok && day
}
