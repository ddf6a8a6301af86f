package sierpinski

import (
	"fmt"
	"image/color"
	"math"
)

// Fern grows Barnsley's fern and some of its kin from the ground, grain by grain.
//
// All arithmetic is in integers of 1/65536, so that the same grains fall on every
// architecture.
type Fern struct {
	tones
	pacer
	*dust
	game       game // its random numbers
	maps       []affine
	plants     []plant
	grainsTick int
	ticks      int
	stage      chaosStage
	variant    string
	points     uint64
}

// affine maps (x, y) to (ax+by+e, cx+dy+f), in 1/65536, chosen with weight in 2^32.
type affine struct {
	a, b, c, d, e, f int64
	weight           uint32
}

// plant is a fern's place: a fern's coordinates to cells, in 1/65536 cell a unit.
type plant struct {
	x, y           int64 // the attractor's point, in 1/65536
	ox, oy         int64
	xx, xy, yx, yy int64
	group          uint16
	start          int // ticks before it sprouts
	share          int // grains of each 16
}

const (
	fernGrowing = 40 * 30
	fernHeight  = 10 * 65536
	fernResting = 15 * 30
)

func fernInfo() Info {
	return Info{
		Name: "fern", Title: "Barnsley's fern", Level: "how many grains",
		MinLevel: 1, MaxLevel: 9, Default: 5, Colours: "forest", Variants: []string{"barnsley", "thelypteris"},
	}
}

// The maps, from Barnsley's "Fractals Everywhere" (1988); those of the second are
// a well-known variation that looks like a marsh fern.
func fernMaps(variant string) []affine {
	rows := [][7]float64{
		{0, 0, 0, 0.16, 0, 0, 0.01},
		{0.85, 0.04, -0.04, 0.85, 0, 1.6, 0.85},
		{0.2, -0.26, 0.23, 0.22, 0, 1.6, 0.07},
		{-0.15, 0.28, 0.26, 0.24, 0, 0.44, 0.07},
	}
	if variant == "thelypteris" {
		rows = [][7]float64{
			{0, 0, 0, 0.25, 0, -0.4, 0.02},
			{0.95, 0.005, -0.005, 0.93, -0.002, 0.5, 0.84},
			{0.035, -0.2, 0.16, 0.04, -0.09, 0.02, 0.07},
			{-0.04, 0.2, 0.16, 0.04, 0.083, 0.12, 0.07},
		}
	}
	maps := make([]affine, len(rows))
	for i, r := range rows {
		q := func(k int) int64 { return int64(math.Round(r[k] * 65536)) }
		maps[i] = affine{q(0), q(1), q(2), q(3), q(4), q(5), uint32(r[6] * (1<<32 - 1))}
	}
	return maps
}

// NewFern makes a bed of ferns of width by height cells.
func NewFern(width, height int, s Settings) (*Fern, error) {
	s, err := prepare(width, height, s, fernInfo())
	if err != nil {
		return nil, err
	}
	f := &Fern{
		tones: newTones(s, dustGroups*dustTones), pacer: pacer{speed: s.Speed},
		dust: newDust(width, height, float64(6*s.Level)),
		game: game{rng: newRand(s.Seed)}, maps: fernMaps(s.Variant), variant: s.Variant,
		grainsTick: max(1, width*height*s.Level/(fernGrowing/2)),
	}
	f.plant()
	return f, nil
}

// plant sets out ferns: a tall one and smaller ones about it.
func (f *Fern) plant() {
	f.stage, f.ticks, f.points = chaosRain, 0, 0
	scale := 1.0
	if f.variant == "thelypteris" {
		scale = 1.42 // it is seven units tall
	}
	mirror := 1.0
	if f.game.rng.Uint32N(2) == 1 {
		mirror = -1
	}
	vary := func(by float64) float64 { return by * (float64(f.game.rng.Uint32N(2001))/1000 - 1) }
	f.plants = f.plants[:0]
	for _, p := range []struct {
		x, size, lean float64 // the foot as a part of the height from the middle; degrees to the right
		group         uint16
		share, start  int
		curl          float64
	}{
		{-0.03, 0.97, -5, 4, 6, 0, 1},
		{0.10, 0.74, 30, 1, 3, 200, 1},
		{-0.16, 0.72, -36, 6, 3, 120, -1},
		{0.21, 0.58, 56, 5, 2, 330, 1},
		{-0.26, 0.56, -62, 2, 2, 300, -1},
	} {
		size := p.size * float64(f.height) / 10 * scale
		sin, cos := math.Sincos((p.lean*mirror + vary(3)) * math.Pi / 180)
		curl := p.curl * mirror
		f.plants = append(f.plants, plant{
			ox: int64(q16(float64(f.width)/2 + (p.x*mirror+vary(0.01))*float64(f.height))),
			oy: int64(q16(float64(f.height) * 1.01)),
			xx: int64(q16(size * cos * curl)), xy: int64(q16(size * sin)),
			yx: int64(q16(size * sin * curl)), yy: int64(q16(-size * cos)),
			group: p.group, share: p.share, start: p.start,
		})
	}
}

// Step advances by one tick.
func (f *Fern) Step() {
	f.drift()
	for range f.tick() {
		f.move()
	}
}

func (f *Fern) move() {
	f.ticks++
	switch f.stage {
	case chaosRain:
		for i := range f.plants {
			f.grow(&f.plants[i])
		}
		if f.ticks >= fernGrowing {
			f.stage, f.ticks = chaosRest, 0
		}
	case chaosRest:
		if f.ticks >= fernResting {
			f.stage, f.ticks = chaosFade, 0
		}
	default:
		f.fade(f.ticks)
		if f.ticks >= chaosFading {
			clear(f.grains)
			f.plant()
		}
	}
}

// grow lets a plant's grains of this tick fall, below its growing height.
func (f *Fern) grow(p *plant) {
	age := f.ticks - p.start
	if age <= 0 {
		return
	}
	// It shoots up and then slows: 1-(1-t)² of the height.
	const shoot = fernGrowing * 6 / 10
	left := int64(max(0, shoot-age))
	top := fernHeight*11/10 - fernHeight*left*left/(shoot*shoot)*11/10
	for range max(1, f.grainsTick*p.share/16) {
		r := f.game.rng.Uint32()
		m := &f.maps[len(f.maps)-1]
		for i := range f.maps {
			if r < f.maps[i].weight {
				m = &f.maps[i]
				break
			}
			r -= f.maps[i].weight
		}
		p.x, p.y = (m.a*p.x+m.b*p.y)>>16+m.e, (m.c*p.x+m.d*p.y)>>16+m.f
		if p.y > top {
			continue
		}
		f.add(int((p.ox+(p.xx*p.x+p.xy*p.y)>>16)>>16), int((p.oy+(p.yx*p.x+p.yy*p.y)>>16)>>16), p.group)
		f.points++
	}
}

// Draw writes the picture of this moment.
func (f *Fern) Draw(dst []uint8, stride int) { f.draw(dst, stride) }

// Bits is 8: thirty tones in each of eight tints.
func (f *Fern) Bits() int { return 8 }

// Palette returns the colours of this moment.
func (f *Fern) Palette() []color.RGBA { return f.tinted(dustGroups, 10) }

// Caption says what is shown.
func (f *Fern) Caption() string {
	name := "Barnsley's fern"
	if f.variant == "thelypteris" {
		name = "Marsh fern after Barnsley"
	}
	return fmt.Sprintf("%s, %d grains", name, f.points)
}
