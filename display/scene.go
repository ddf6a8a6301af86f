package display

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/sierpinski"
	"github.com/sierpi/sierpi/display/wire"
)

// A Scene is a pure state machine that draws: the same seed gives the same frames. It knows no
// clock; one Step is one frame.
type Scene interface {
	// Step advances by one frame.
	Step()
	// Draw fills Bits, Palette, Ageing, Age and Cells of a frame whose size is set and
	// whose Cells have that size. It may keep nothing of the frame; the frame may keep
	// the scene's ageing table, which never changes.
	Draw(f *wire.Frame)
	// Caption is one line about what is to be seen.
	Caption() string
}

// Setting is what a scene is made for.
type Setting struct {
	Width, Height   int // cells
	FramesPerSecond int
	Seed            uint64
	Figures         map[string]sierpinski.Settings // of the scenes of package sierpinski; those not named are as they come
	Sharp           bool                           // the life scene without afterglow: it costs a browser less, and flickers
}

// SceneNames lists the scenes that a Stage can show.
func SceneNames() []string {
	names := []string{"life", "line", "snake"}
	for _, n := range sierpinski.Names() {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// NewScene makes the scene of that name.
func NewScene(name string, s Setting) (Scene, error) {
	switch name {
	case "life":
		return newSoup(s)
	case "line":
		return newLine(s)
	case "snake":
		return newSerpent(s)
	}
	if slices.Contains(sierpinski.Names(), name) {
		figure := s.Figures[name]
		figure.Scene = name
		if figure.Seed == 0 {
			figure.Seed = uint32(s.Seed)
		}
		if figure.Speed == 0 {
			figure.Speed = 100
		}
		// Its pace is counted in ticks of 30 a second.
		figure.Speed = min(sierpinski.MaxSpeed, max(sierpinski.MinSpeed, figure.Speed*30/s.FramesPerSecond))
		inner, err := sierpinski.New(s.Width, s.Height, figure)
		if err != nil {
			return nil, fmt.Errorf("scene %q: %w", name, err)
		}
		return &triangle{inner}, nil
	}
	return nil, fmt.Errorf("there is no scene %q; there are %s", name, strings.Join(SceneNames(), ", "))
}

// triangle is a scene of package sierpinski.
type triangle struct{ sierpinski.Scene }

func (t *triangle) Draw(f *wire.Frame) {
	f.Bits = t.Bits()
	f.Ageing = nil
	t.Scene.Draw(f.Cells, f.Width)
	f.Palette = f.Palette[:0]
	for _, c := range t.Palette() {
		f.Palette = append(f.Palette, wire.RGB{c.R, c.G, c.B})
	}
}

// night is behind everything: not quite black, so that the edge of the picture does
// not show on a dark wall.
var night = wire.RGB{0x05, 0x06, 0x0c}

func embers() []wire.RGB {
	return ramp(maxHeat+1,
		stop{0, night}, stop{0.12, wire.RGB{0x0d, 0x10, 0x2b}}, stop{0.30, wire.RGB{0x2c, 0x1c, 0x5e}},
		stop{0.46, wire.RGB{0x7a, 0x26, 0x6b}}, stop{0.58, wire.RGB{0xc4, 0x4c, 0x50}},
		stop{0.74, wire.RGB{0xe0, 0x88, 0x3f}}, stop{0.88, wire.RGB{0xe6, 0xb0, 0x62}}, stop{1, wire.RGB{0xe2, 0xc2, 0x8c}})
}

func aurora() []wire.RGB {
	return ramp(maxHeat+1,
		stop{0, night}, stop{0.10, wire.RGB{0x0a, 0x10, 0x2a}}, stop{0.26, wire.RGB{0x14, 0x2a, 0x5c}},
		stop{0.42, wire.RGB{0x16, 0x5f, 0x86}}, stop{0.56, wire.RGB{0x1f, 0x9c, 0x94}},
		stop{0.72, wire.RGB{0x8f, 0xc4, 0x86}}, stop{0.86, wire.RGB{0xe3, 0xc5, 0x77}}, stop{1, wire.RGB{0xf0, 0xcf, 0x96}})
}

// line is the link between Life and Sierpinski: one long straight line of cells under plain
// B3/S23 grows Sierpinski triangles from both ends.
type line struct {
	setting Setting
	random  *rand.Rand
	torus   *life.Torus
	light   *phosphor
	x0, y0  int // of the visible part
	length  int
	frame   int
	every   int
	drawn   int // cells of the line that are there already
	drain   int
	growing bool
}

// The line is drawn from its middle within two seconds, rests for one, and grows.
const (
	lineDraw = 2
	lineRest = 1
)

func newLine(s Setting) (*line, error) {
	// The universe is larger than the picture, so that what leaves it does not come
	// back from the other side before the scene is over.
	margin := 128
	w := (s.Width + 63) / 64 * 64
	torus, err := life.NewTorus(w+2*margin, s.Height+2*margin, life.Conway)
	if err != nil {
		return nil, fmt.Errorf("scene line: %w", err)
	}
	l := &line{
		setting: s, torus: torus, random: rand.New(rand.NewPCG(s.Seed, 2)), x0: margin, y0: margin,
		light: newPhosphor(s.Width, s.Height, s.FramesPerSecond, 15, aurora(), 15),
		every: max(1, s.FramesPerSecond/6),
	}
	l.restart()
	return l, nil
}

func (l *line) restart() {
	l.torus.Clear()
	l.frame, l.drawn, l.growing = 0, 0, false
	// Triangles grow as far as half the line; a power of two closes them.
	l.length = 1
	for l.length*2 <= min(l.setting.Height, l.setting.Width) {
		l.length *= 2
	}
}

func (l *line) Step() {
	l.frame++
	l.light.age()
	fps := l.setting.FramesPerSecond
	switch {
	case l.drain > 0:
		if l.drain--; l.drain == 0 {
			l.restart()
		}
	case !l.growing:
		t := min(1, float64(l.frame)/float64(lineDraw*fps))
		want := int(float64(l.length) * t * t * (3 - 2*t))
		mid := l.x0 + l.setting.Width/2
		for l.drawn < want {
			x := mid + l.drawn/2
			if l.drawn%2 == 1 {
				x = mid - l.drawn/2 - 1
			}
			l.torus.Set(x, l.y0+l.setting.Height/2, true)
			l.drawn++
		}
		l.expose()
		l.growing = l.frame >= (lineDraw+lineRest)*fps
	case l.frame%l.every == 0:
		l.torus.StepN(2) // every second generation: its interior strobes
		l.expose()
		if l.torus.Generation() > uint64(3*l.length) {
			l.torus.Clear()
			l.expose()
			l.drain = 4 * fps
		}
	}
}

func (l *line) expose() {
	words, stride := l.torus.Words()
	l.light.expose(words, stride, l.x0, l.y0)
}

func (l *line) Draw(f *wire.Frame) { l.light.draw(f) }

func (l *line) Caption() string {
	if !l.growing {
		return "One straight line of cells …"
	}
	return "… grows Sierpinski’s triangle under the plain rules of Life"
}
