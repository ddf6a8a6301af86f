package framebuffer

import (
	"image"
	"image/color"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// invitation is the code that lets visitors in, as the daemon sends it.
type invitation struct {
	Side    int    `json:"side"`    // modules
	Modules []byte `json:"modules"` // a bit each, row by row, the first in the lowest bit; 1 is dark
}

const (
	fewestModules, mostModules = 21, 177 // a QR code's, ISO/IEC 18004
	quietZone                  = 4       // modules of light around it
	codeLabel                  = "Scan, and draw"
)

// valid reports whether it can be drawn.
func (i *invitation) valid() bool {
	return i != nil && i.Side >= fewestModules && i.Side <= mostModules && len(i.Modules) >= (i.Side*i.Side+7)/8
}

func (i *invitation) dark(x, y int) bool {
	at := y*i.Side + x
	return i.Modules[at/8]>>(at%8)&1 == 1
}

// The page's ink and paper.
var (
	ink   = color.RGBA{0x05, 0x06, 0x0c, 0xff}
	paper = color.RGBA{0xec, 0xe6, 0xda, 0xff}
)

// code makes the plate of an invitation in the lower right corner, with whole pixels a
// module so that a camera can read it. room is what it takes without its shade.
func (t *typesetter) code(i *invitation, l lamp, screen image.Point, unit, edge float64, shift image.Point) (pl *plate, room image.Point, err error) {
	all := i.Side + 2*quietZone
	module := max(2, int(18.5*unit)/all)
	size := all * module
	face, err := t.face(2.7*unit, false)
	if err != nil {
		return nil, room, err
	}
	space := int(1.2 * unit)
	below := space + face.Metrics().Ascent.Ceil() + face.Metrics().Descent.Ceil()
	label := font.MeasureString(face, codeLabel).Ceil()
	width := max(size, label)
	corner := screen.Sub(image.Pt(int(edge)+width, int(edge)+size+below)).Add(shift)
	area := image.Rectangle{corner, corner.Add(image.Pt(width, size+below))}
	if !area.In(image.Rectangle{Max: screen}) {
		return nil, room, nil // a code that is cut off lets nobody in
	}
	whole := area.Inset(-int(8 * unit))
	shaded := whole.Intersect(image.Rectangle{Max: screen})
	drawn := image.NewRGBA(image.Rectangle{Max: shaded.Size()})
	l.style().behind(drawn, shaded, whole)
	at := area.Min.Sub(shaded.Min)
	left := at.X + (width-size)/2
	for y := range size {
		my := y/module - quietZone
		for x := range size {
			mx := x/module - quietZone
			c := paper
			if mx >= 0 && my >= 0 && mx < i.Side && my < i.Side && i.dark(mx, my) {
				c = ink
			}
			drawn.SetRGBA(left+x, at.Y+y, c)
		}
	}
	d := font.Drawer{Dst: drawn, Src: image.NewUniform(l.style().quiet), Face: face,
		Dot: fixed.P(at.X+(width-label)/2, at.Y+size+space+face.Metrics().Ascent.Ceil())}
	d.DrawString(codeLabel)
	l.dim(drawn)
	return newPlate(shaded, drawn), area.Size(), nil
}

// ghost is what a visitor is about to draw, in cells of the frame: x, y, x, y, ...
type ghost struct {
	Who   string  `json:"who"`
	Cells []int32 `json:"cells"`
}

// ghostFrame is how many cells lie between a ghost and its frame, by which small things
// are found from afar.
const ghostFrame = 5

// ghostColours are those of the page, none that Life glows in; ghostInks the same by day.
var (
	ghostColours = []color.RGBA{{0x8c, 0xf0, 0xd7, 0xff}, {0xf2, 0xb8, 0xff, 0xff}, {0x9e, 0xc5, 0xff, 0xff}, {0xc9, 0xf0, 0x8c, 0xff}, {0xff, 0xff, 0xff, 0xff}}
	ghostInks    = []color.RGBA{{0x00, 0x70, 0x5f, 0xff}, {0x8c, 0x1f, 0xae, 0xff}, {0x13, 0x57, 0xb8, 0xff}, {0x3f, 0x6f, 0x00, 0xff}, {0x00, 0x00, 0x00, 0xff}}
)

// colour is a visitor's, the same on every screen.
func (g ghost) colour(day bool) color.RGBA {
	var sum uint32
	for _, r := range g.Who {
		sum = sum*31 + uint32(r)
	}
	if day {
		return ghostInks[sum%uint32(len(ghostInks))]
	}
	return ghostColours[sum%uint32(len(ghostColours))]
}

// plate lays a ghost over a picture of that many cells; nil where none of it is seen.
func (g ghost) plate(f fit, width, height int, day bool) *plate {
	var box image.Rectangle
	for i := 0; i+1 < len(g.Cells); i += 2 {
		if at := image.Pt(int(g.Cells[i]), int(g.Cells[i+1])); at.In(image.Rect(0, 0, width, height)) {
			box = box.Union(image.Rectangle{at, at.Add(image.Pt(1, 1))})
		}
	}
	if box.Empty() {
		return nil
	}
	frame := box.Inset(-ghostFrame)
	box = frame.Intersect(image.Rect(0, 0, width, height))
	area := f.area(box.Min.X, box.Min.Y, box.Max.X, box.Max.Y)
	if area.Empty() {
		return nil
	}
	drawn := image.NewRGBA(image.Rectangle{Max: area.Size()})
	fill := func(x, y int, c color.RGBA) {
		if !image.Pt(x, y).In(box) {
			return
		}
		r := f.area(x, y, x+1, y+1).Sub(area.Min)
		for py := r.Min.Y; py < r.Max.Y; py++ {
			for px := r.Min.X; px < r.Max.X; px++ {
				drawn.SetRGBA(px, py, c)
			}
		}
	}
	c := g.colour(day)
	faint := color.RGBA{c.R / 2, c.G / 2, c.B / 2, 0x80} // premultiplied
	for x := frame.Min.X; x < frame.Max.X; x++ {
		fill(x, frame.Min.Y, faint)
		fill(x, frame.Max.Y-1, faint)
	}
	for y := frame.Min.Y; y < frame.Max.Y; y++ {
		fill(frame.Min.X, y, faint)
		fill(frame.Max.X-1, y, faint)
	}
	for i := 0; i+1 < len(g.Cells); i += 2 {
		fill(int(g.Cells[i]), int(g.Cells[i+1]), c)
	}
	return newPlate(area, drawn)
}
