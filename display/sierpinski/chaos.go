package sierpinski

import (
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
)

// game is the chaos game on the unit triangle in skewed coordinates of 32 bits:
// go half-way to a corner drawn by lot, again and again. After n throws the first
// n bits of x and y are never both 1: that is Sierpinski's triangle.
type game struct {
	x, y uint32
	rng  *rand.Rand
}

// throw moves on and returns the corner.
func (g *game) throw() int {
	corner := int(g.rng.Uint32N(3))
	g.x >>= 1
	g.y >>= 1
	switch corner {
	case 1:
		g.x |= 1 << 31
	case 2:
		g.y |= 1 << 31
	}
	return corner
}

// Chaos condenses Sierpinski's triangle out of dust. A cloud of grains over the
// whole picture flies half-way to corners drawn by lot, one throw after another,
// and is a triangle of triangles after a few; then grains rain on it until it
// shines, it rests, and blows away.
type Chaos struct {
	tones
	pacer
	*dust
	grainsTick int // grains that fall in a tick of rain

	game
	corner   [3][2]int32 // in 1/65536 cell
	from, to [][2]int32
	throws   int
	stage    chaosStage
	ticks    int // of this throw or stage
	points   uint64
	shown    int // the tick of the flight that is drawn
	beat     bool
	ease     [chaosFlight + 1]int64
	walkers  int
}

type chaosStage int

const (
	chaosGather chaosStage = iota
	chaosRain
	chaosRest
	chaosFade
)

const (
	chaosFlight  = 54 // ticks a throw takes
	chaosThrows  = 7
	chaosLight   = 12 // of a grain in flight, in tones
	chaosRaining = 30 * 30
	chaosResting = 12 * 30
	chaosFading  = 5 * 30
)

func chaosInfo() Info {
	return Info{
		Name: "chaos", Title: "Chaos game", Level: "how many grains",
		MinLevel: 1, MaxLevel: 9, Default: 5, Colours: "ember", Variants: []string{"condense", "rain"},
	}
}

// NewChaos makes a chaos game of width by height cells.
func NewChaos(width, height int, s Settings) (*Chaos, error) {
	s, err := prepare(width, height, s, chaosInfo())
	if err != nil {
		return nil, err
	}
	w, h := float64(width), float64(height)
	side := math.Min(0.94*w, 0.9*h*2/math.Sqrt(3))
	top := (h - side*math.Sqrt(3)/2) * 0.5
	cells := side * side * math.Sqrt(3) / 4
	c := &Chaos{
		tones: newTones(s, dustGroups*dustTones), pacer: pacer{speed: s.Speed},
		grainsTick: max(1, int(cells*float64(2*s.Level)/chaosRaining)),
		game:       game{rng: newRand(s.Seed)},
		walkers:    min(40000, max(100, width*height/24)),
	}
	// Most of the grains fall on few cells: the mean of a cell hit at all is
	// several times that of the triangle's area.
	c.dust = newDust(width, height, float64(20*s.Level))
	c.corner = [3][2]int32{
		{q16(w / 2), q16(top)},
		{q16(w/2 - side/2), q16(top + side*math.Sqrt(3)/2)},
		{q16(w/2 + side/2), q16(top + side*math.Sqrt(3)/2)},
	}
	for i := range c.ease {
		t := float64(i) / chaosFlight
		c.ease[i] = int64(math.Round(65536 * t * t * (3 - 2*t)))
	}
	c.from, c.to = make([][2]int32, c.walkers), make([][2]int32, c.walkers)
	c.begin()
	if s.Variant == "rain" {
		c.stage = chaosRain
	}
	return c, nil
}

func q16(v float64) int32 { return int32(math.Round(v * 65536)) }

// begin scatters the cloud.
func (c *Chaos) begin() {
	c.stage, c.ticks, c.throws, c.points = chaosGather, 0, 0, 0
	for i := range c.from {
		// A round cloud: the mean of three even draws is nearly a bell.
		c.from[i] = [2]int32{c.cloud(c.width), c.cloud(c.height)}
	}
	c.aim()
}

// cloud is a place along a side of n cells, likeliest in the middle.
func (c *Chaos) cloud(n int) int32 {
	var sum uint64
	for range 3 {
		sum += uint64(c.rng.Uint32())
	}
	return int32(sum * uint64(n) / 3 >> 16)
}

// aim draws every grain's next corner.
func (c *Chaos) aim() {
	for i, p := range c.from {
		k := c.rng.Uint32N(3)
		c.to[i] = [2]int32{p[0]/2 + c.corner[k][0]/2, p[1]/2 + c.corner[k][1]/2}
	}
}

// Step advances by one tick.
func (c *Chaos) Step() {
	c.drift()
	for range c.tick() {
		c.move()
	}
	// Fifteen pictures a second of the flight, at any speed.
	if c.beat = !c.beat; c.beat || c.ticks < c.shown {
		c.shown = c.ticks
	}
}

func (c *Chaos) move() {
	c.ticks++
	switch c.stage {
	case chaosGather:
		if c.ticks < chaosFlight {
			return
		}
		c.ticks = 0
		c.from, c.to = c.to, c.from
		if c.throws++; c.throws == chaosThrows {
			c.stage = chaosRain
			for i, p := range c.from {
				c.add(int(p[0]>>16), int(p[1]>>16), uint16(c.tint(p[0], i)))
			}
			c.points = uint64(c.walkers)
			return
		}
		c.aim()
	case chaosRain:
		for i := range c.grainsTick {
			c.throw()
			// Skewed to upright: the corners' weights are 1-x-y, x and y.
			x, y := int64(c.x>>8), int64(c.y>>8)
			o := int64(1<<24) - x - y
			px := (o*int64(c.corner[0][0]) + x*int64(c.corner[1][0]) + y*int64(c.corner[2][0])) >> 24
			py := (o*int64(c.corner[0][1]) + x*int64(c.corner[1][1]) + y*int64(c.corner[2][1])) >> 40
			c.add(int(px>>16), int(py), uint16(c.tint(int32(px), i)))
		}
		c.points += uint64(c.grainsTick)
		if c.ticks >= chaosRaining {
			c.stage, c.ticks = chaosRest, 0
		}
	case chaosRest:
		if c.ticks >= chaosResting {
			c.stage, c.ticks = chaosFade, 0
		}
	case chaosFade:
		c.fade(c.ticks)
		if c.ticks >= chaosFading {
			clear(c.grains)
			c.begin()
		}
	}
}

// tint is the tint of grain i at a place: from the left corner to the right, the
// step between two tints dithered by the grain's number.
func (c *Chaos) tint(x int32, i int) uint8 {
	at := int64(x-c.corner[1][0])*(dustGroups-1)*16/int64(c.corner[2][0]-c.corner[1][0]) + int64(i*7&15)
	return uint8(min(max(at>>4, 0), dustGroups-1))
}

// Draw writes the picture of this moment.
func (c *Chaos) Draw(dst []uint8, stride int) {
	c.draw(dst, stride)
	if c.stage != chaosGather {
		return
	}
	// A grain's light is shared between four cells by its place, so that it glides
	// without twinkling.
	e := c.ease[c.shown]
	for i, p := range c.from {
		q := c.to[i]
		x := int64(p[0]) + int64(q[0]-p[0])*e>>16
		y := int64(p[1]) + int64(q[1]-p[1])*e>>16
		tint := c.tint(int32(x), i) * dustTones
		fx, fy := x>>8&255, y>>8&255
		for k, light := range [4]int64{(256 - fx) * (256 - fy), fx * (256 - fy), (256 - fx) * fy, fx * fy} {
			px, py := int(x>>16)+k&1, int(y>>16)+k>>1
			add := uint8(light * chaosLight >> 16)
			if add == 0 || uint(px) >= uint(c.width) || uint(py) >= uint(c.height) {
				continue
			}
			cell := &dst[py*stride+px]
			*cell = tint + min(*cell%dustTones+add, dustTones-1)
		}
	}
}

// Bits is 8: thirty tones in each of eight tints.
func (c *Chaos) Bits() int { return 8 }

// Palette returns the colours of this moment.
func (c *Chaos) Palette() []color.RGBA {
	for i := range c.buf {
		v := float64(i%dustTones) / (dustTones - 1)
		if !c.day { // single grains must be seen in the dark
			v = math.Pow(v, 0.55)
		}
		side := float64(i/dustTones)/(dustGroups-1) - 0.5
		c.buf[i] = c.at(0.9*v, side*75*min(1, 3*v)).rgba()
	}
	return c.buf
}

// Caption says what is shown.
func (c *Chaos) Caption() string {
	switch c.stage {
	case chaosGather:
		return fmt.Sprintf("Chaos game, throw %d of %d grains", c.throws+1, c.walkers)
	case chaosFade:
		return "Chaos game, blown away"
	}
	return fmt.Sprintf("Chaos game, %d grains", c.points)
}
