package display

import (
	"fmt"
	"math/bits"
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
	Day             bool                           // ink on paper instead of light in the dark
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
	scene, err := newScene(name, s)
	if d, ok := scene.(daylit); ok && err == nil && s.Day {
		d.daylight(true)
	}
	return scene, err
}

func newScene(name string, s Setting) (Scene, error) {
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
		return &triangle{inner, figure.Day}, nil
	}
	return nil, fmt.Errorf("there is no scene %q; there are %s", name, strings.Join(SceneNames(), ", "))
}

// triangle is a scene of package sierpinski.
type triangle struct {
	sierpinski.Scene
	always bool // ink on paper, whatever the others are
}

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
	torus   *life.Torus
	light   *phosphor
	shrink  int // cells of the universe along a side of one of the picture
	x0, y0  int // of the visible part, in cells of the universe
	length  int
	every   int // frames a generation
	drawn   int // cells of the line that are there already
	words   []uint64
	phase   linePhase
	since   int // frames in this phase
}

type linePhase uint8

// The line is drawn from its middle, rests, and grows until its ends meet in the
// middle: then the triangles are closed. There it stands still and its light settles, before
// all of it goes out.
const (
	lineDraws linePhase = iota
	lineRests
	lineGrows
	lineStands
	lineFades
)

// How long each phase takes, in seconds.
const (
	lineDraw  = 3
	lineRest  = 2
	lineGrow  = 54
	lineStand = 14
	lineFade  = 16
)

// prism is aurora with more colours on the way down, for what has fallen still.
func prism() []wire.RGB {
	return ramp(maxHeat+1,
		stop{0, night}, stop{0.08, wire.RGB{0x14, 0x10, 0x34}}, stop{0.20, wire.RGB{0x33, 0x1f, 0x6c}},
		stop{0.34, wire.RGB{0x2c, 0x49, 0xa2}}, stop{0.46, wire.RGB{0x1b, 0x7f, 0xb0}}, stop{0.57, wire.RGB{0x1f, 0xa4, 0x9c}},
		stop{0.70, wire.RGB{0x8c, 0xc4, 0x82}}, stop{0.84, wire.RGB{0xee, 0xca, 0x74}}, stop{1, wire.RGB{0xff, 0xe9, 0xbe}})
}

// The light of the line comes and goes slowly: in a minute from one end of the
// colours to the other. So what strobes below it glows evenly, and each triangle that has
// fallen still keeps the shade of the moment when it did.
const lineHeats = 2 // a second

// lineCells is the largest universe of a line, in cells.
const lineCells = 4 << 20

func newLine(s Setting) (*line, error) {
	l := &line{setting: s}
	l.shrink, l.length = lineScale(s.Width, s.Height)
	// The universe is larger than the picture, so that what leaves it does not come
	// back from the other side before the scene is over.
	const margin = 128
	l.x0, l.y0 = margin, margin
	torus, err := life.NewTorus(s.Width*l.shrink+2*margin, s.Height*l.shrink+2*margin, life.Conway)
	if err != nil {
		return nil, fmt.Errorf("scene line: %w", err)
	}
	l.torus = torus
	l.light = newPhosphor(s.Width, s.Height, s.FramesPerSecond, lineHeats, prism(), lineHeats)
	l.every = max(1, lineGrow*s.FramesPerSecond/(l.length/2))
	l.words = make([]uint64, s.Height*((s.Width+63)/64))
	l.restart()
	return l, nil
}

// lineScale is how many cells of the universe, in each direction, make one of the
// picture, and the length of the line. The triangles close only where the length is a power
// of two, and they become as high as it is long: the scale that fills most of the
// picture is best, and among those the finest.
func lineScale(width, height int) (shrink, length int) {
	side := min(width, height)
	best := 0.0
	for n := 1; n <= 6 && (n == 1 || width*n*height*n <= lineCells); n++ {
		l := 1
		for l*2 <= side*n {
			l *= 2
		}
		if fill := float64(l) / float64(side*n); fill >= best {
			best, shrink, length = fill, n, l
		}
	}
	return shrink, length
}

func (l *line) restart() {
	l.torus.Clear()
	l.drawn = 0
	l.enter(lineDraws)
}

func (l *line) enter(p linePhase) { l.phase, l.since = p, 0 }

func (l *line) Step() {
	l.since++
	l.light.age()
	fps := l.setting.FramesPerSecond
	switch l.phase {
	case lineDraws:
		t := min(1, float64(l.since)/float64(lineDraw*fps))
		want := int(float64(l.length) * t * t * (3 - 2*t))
		mid := l.x0 + l.setting.Width*l.shrink/2
		for l.drawn < want {
			x := mid + l.drawn/2
			if l.drawn%2 == 1 {
				x = mid - l.drawn/2 - 1
			}
			l.torus.Set(x, l.y0+l.setting.Height*l.shrink/2, true)
			l.drawn++
		}
		l.expose()
		if l.since >= lineDraw*fps {
			l.enter(lineRests)
		}
	case lineRests:
		if l.since >= lineRest*fps {
			l.enter(lineGrows)
		}
	case lineGrows:
		if l.since%l.every != 0 {
			return
		}
		l.torus.Step()
		l.expose()
		if l.torus.Generation() >= uint64(l.length/2) {
			l.enter(lineStands)
		}
	case lineStands:
		// Nothing is born any more, so that quicker light cannot flash.
		if l.since%2 == 0 {
			l.light.age()
		}
		if l.since >= lineStand*fps {
			l.torus.Clear()
			l.expose()
			l.enter(lineFades)
		}
	case lineFades:
		for range 3 {
			l.light.age()
		}
		if l.since >= lineFade*fps {
			l.restart()
		}
	}
}

// expose lights every cell of the picture under which something lives.
func (l *line) expose() {
	clear(l.words)
	words, stride := l.torus.Words()
	across := (l.setting.Width + 63) / 64
	for y := range l.setting.Height * l.shrink {
		row := words[(y+l.y0)*stride:][:stride]
		out := l.words[y/l.shrink*across:][:across]
		for i, w := range row {
			for ; w != 0; w &= w - 1 {
				x := (i*64 + bits.TrailingZeros64(w) - l.x0) / l.shrink
				if x >= 0 && x < l.setting.Width {
					out[x>>6] |= 1 << (x & 63)
				}
			}
		}
	}
	l.light.expose(l.words, across, 0, 0)
}

func (l *line) Draw(f *wire.Frame) { l.light.draw(f) }

func (l *line) Caption() string {
	switch l.phase {
	case lineDraws, lineRests:
		return "One straight line of cells …"
	case lineGrows:
		return "… grows Sierpinski’s triangle under the plain rules of Life"
	}
	return fmt.Sprintf("Generation %d of a line of %d cells: Sierpinski’s triangle", l.length/2, l.length)
}
