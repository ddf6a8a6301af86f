package framebuffer

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// plate is a rectangle of text with a shade behind it, laid over the picture. It is
// drawn once and never changed.
type plate struct {
	area image.Rectangle // on the screen
	pix  []uint32        // of each pixel the colour, as packed by rgb and premultiplied, and above it what it lets through
}

// line is the plate's pixels in a row of the screen.
func (pl *plate) line(y int) []uint32 {
	w := pl.area.Dx()
	return pl.pix[(y-pl.area.Min.Y)*w : (y-pl.area.Min.Y+1)*w]
}

func (pl *plate) at(x, y int) uint32 { return pl.line(y)[x-pl.area.Min.X] }

// over lays a plate's pixel over a colour.
func over(top, below uint32) uint32 {
	through := top >> 24 // 0 to 255, for nothing to all
	through += through >> 7
	odd := ((below&0xff00ff)*through + 0x800080) >> 8 & 0xff00ff
	even := ((below&0x00ff00)*through + 0x008000) >> 8 & 0x00ff00
	return top&0xffffff + odd + even
}

// newPlate makes a plate of what was drawn.
func newPlate(area image.Rectangle, drawn *image.RGBA) *plate {
	pl := &plate{area: area, pix: make([]uint32, area.Dx()*area.Dy())}
	for i := range pl.pix {
		p := drawn.Pix[4*i : 4*i+4 : 4*i+4]
		pl.pix[i] = uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(255-p[3])<<24
	}
	return pl
}

// style is how text is set: light in the dark, or ink on paper.
type style struct {
	text, quiet, accent color.RGBA
	shade               color.RGBA // behind it
}

// The page's colours.
var (
	nightStyle = style{color.RGBA{0xec, 0xe6, 0xda, 0xff}, color.RGBA{0xa5, 0x9f, 0x99, 0xff}, color.RGBA{0xe0, 0xa9, 0x5c, 0xff}, color.RGBA{0x05, 0x06, 0x0c, 0xff}}
	dayStyle   = style{color.RGBA{0x24, 0x1c, 0x14, 0xff}, color.RGBA{0x56, 0x4e, 0x46, 0xff}, color.RGBA{0x6f, 0x3a, 0x0a, 0xff}, color.RGBA{0xf4, 0xf1, 0xe7, 0xff}}
)

// lamp is how the cards are lit.
type lamp struct {
	day    bool
	bright float64 // as the daemon has it, 0 to 1
}

func (l lamp) style() style {
	if l.day {
		return dayStyle
	}
	return nightStyle
}

// dim makes what was drawn as dark as the picture: light in the dark lets more of it
// through, as on the page; paper stays in the way, or its ink would pale, and is darker.
func (l lamp) dim(drawn *image.RGBA) {
	if l.bright >= 1 {
		return
	}
	share := l.bright
	if l.day {
		share = math.Pow(l.bright, 2/2.4) // the picture has the square of it in linear light
	}
	for i, v := range drawn.Pix {
		if !l.day || i%4 < 3 {
			drawn.Pix[i] = uint8(float64(v)*share + 0.5)
		}
	}
}

// typesetter draws text in the Go fonts, which may be embedded (BSD) and hold Latin, Greek
// and Cyrillic.
type typesetter struct {
	regular, italic *opentype.Font
	faces           map[faceKey]font.Face
}

type faceKey struct {
	italic bool
	size   int // pixels
}

func newTypesetter() (*typesetter, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("reading the built-in font: %w", err)
	}
	italic, err := opentype.Parse(goitalic.TTF)
	if err != nil {
		return nil, fmt.Errorf("reading the built-in italic font: %w", err)
	}
	return &typesetter{regular, italic, map[faceKey]font.Face{}}, nil
}

func (t *typesetter) face(size float64, italic bool) (font.Face, error) {
	key := faceKey{italic, max(6, int(math.Round(size)))}
	if f, ok := t.faces[key]; ok {
		return f, nil
	}
	from := t.regular
	if italic {
		from = t.italic
	}
	f, err := opentype.NewFace(from, &opentype.FaceOptions{Size: float64(key.size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("preparing the built-in font: %w", err)
	}
	t.faces[key] = f
	return f, nil
}

// run is one piece of a line.
type run struct {
	text   string
	size   float64 // pixels
	colour color.RGBA
	italic bool
}

// line is runs on one base line.
type line struct {
	runs  []run
	space float64 // above it, pixels
}

type anchor struct{ right, bottom bool }

// set is a card in letters: lines wrapped to a width, to be anchored in a corner.
type set struct {
	lines  []line
	at     anchor
	width  int  // at most, pixels
	inset  int  // farther from the right edge than the others, pixels
	lift   int  // and from the lower one
	most   int  // lines at most after wrapping
	plain  bool // no shade behind it
	centre bool // above the middle, for a notice
}

// measured is a line that fits, with its metrics.
type measured struct {
	line
	width, ascent, descent int
}

func (t *typesetter) measure(l line) (measured, error) {
	m := measured{line: l}
	for _, r := range l.runs {
		f, err := t.face(r.size, r.italic)
		if err != nil {
			return m, err
		}
		m.width += font.MeasureString(f, r.text).Ceil()
		m.ascent = max(m.ascent, f.Metrics().Ascent.Ceil())
		m.descent = max(m.descent, f.Metrics().Descent.Ceil())
	}
	return m, nil
}

// wrap breaks a line of a single run at its blanks; others are cut with an ellipsis.
func (t *typesetter) wrap(l line, width int) ([]measured, error) {
	m, err := t.measure(l)
	if err != nil || m.width <= width {
		return []measured{m}, err
	}
	if len(l.runs) != 1 {
		return t.cut(l, width)
	}
	var out []measured
	rest, space := l.runs[0].text, l.space
	for rest != "" {
		r := l.runs[0]
		r.text, rest, err = t.firstLine(r, rest, width)
		if err != nil {
			return nil, err
		}
		m, err := t.measure(line{[]run{r}, space})
		if err != nil {
			return nil, err
		}
		out, space = append(out, m), 0
	}
	return out, nil
}

// firstLine takes as many words as fit, one at least.
func (t *typesetter) firstLine(r run, text string, width int) (head, rest string, err error) {
	f, err := t.face(r.size, r.italic)
	if err != nil {
		return "", "", err
	}
	end := len(text)
	for i := 0; i < len(text); {
		next := strings.IndexByte(text[i:], ' ')
		stop := len(text)
		if next >= 0 {
			stop = i + next
		}
		if i > 0 && font.MeasureString(f, text[:stop]).Ceil() > width {
			end = i
			break
		}
		i = stop + 1
	}
	return strings.TrimRight(text[:min(end, len(text))], " "), strings.TrimLeft(text[min(end, len(text)):], " "), nil
}

func (t *typesetter) cut(l line, width int) ([]measured, error) {
	l.runs = append([]run(nil), l.runs...)
	for i := 0; i < len(l.runs); {
		m, err := t.measure(l)
		if err != nil || m.width <= width {
			return []measured{m}, err
		}
		// The first run gives way: a headline before its source.
		text := strings.TrimRight(strings.TrimSuffix(l.runs[i].text, "…"), " ")
		if text == "" {
			i++
			continue
		}
		_, n := utf8.DecodeLastRuneInString(text)
		l.runs[i].text = text[:len(text)-n] + "…"
	}
	m, err := t.measure(l)
	return []measured{m}, err
}

// draw makes the plate of a card on a screen of that size, moved by shift and kept
// within edge of the border.
func (t *typesetter) draw(s set, l lamp, screen image.Point, unit, edge float64, shift image.Point) (*plate, error) {
	var lines []measured
	for _, l := range s.lines {
		wrapped, err := t.wrap(l, s.width)
		if err != nil {
			return nil, err
		}
		lines = append(lines, wrapped...)
	}
	if s.most > 0 && len(lines) > s.most {
		last := lines[s.most-1].line
		last.runs = append([]run(nil), last.runs...)
		last.runs[len(last.runs)-1].text += "…"
		fits, err := t.cut(last, s.width)
		if err != nil {
			return nil, err
		}
		lines = append(lines[:s.most-1], fits...)
	}
	w, h := 0, 0
	for _, l := range lines {
		w = max(w, l.width)
		h += int(l.space) + l.ascent + l.descent
	}
	if w == 0 {
		return nil, nil
	}
	corner := image.Pt(int(edge), int(edge))
	if s.at.right {
		corner.X = screen.X - int(edge) - w - s.inset
	}
	if s.at.bottom {
		corner.Y = screen.Y - int(edge) - h - s.lift
	}
	if s.centre {
		corner = image.Pt((screen.X-w)/2, screen.Y/4)
	}
	text := image.Rectangle{corner, corner.Add(image.Pt(w, h))}.Add(shift)
	area := text
	if !s.plain {
		area.Min = area.Min.Sub(image.Pt(int(16*unit), int(9*unit)))
		area.Max = area.Max.Add(image.Pt(int(16*unit), int(9*unit)))
	}
	whole := area
	area = area.Intersect(image.Rectangle{Max: screen})
	if area.Empty() {
		return nil, nil
	}
	drawn := image.NewRGBA(image.Rectangle{Max: area.Size()})
	if !s.plain {
		l.style().behind(drawn, area, whole)
	}
	y := text.Min.Y
	for _, line := range lines {
		y += int(line.space) + line.ascent
		x := text.Min.X
		if s.at.right {
			x = text.Max.X - line.width
		}
		for _, r := range line.runs {
			f, err := t.face(r.size, r.italic)
			if err != nil {
				return nil, err
			}
			d := font.Drawer{Dst: drawn, Src: image.NewUniform(r.colour), Face: f, Dot: fixed.P(x-area.Min.X, y-area.Min.Y)}
			d.DrawString(r.text)
			x += font.MeasureString(f, r.text).Ceil()
		}
		y += line.descent
	}
	l.dim(drawn)
	return newPlate(area, drawn), nil
}

// behind darkens (by day, pales) an area in an ellipse that fills whole, so that text can be
// read over any picture, and the picture goes on to the edge.
func (st style) behind(drawn *image.RGBA, area, whole image.Rectangle) {
	cx, cy := float64(whole.Min.X+whole.Max.X)/2, float64(whole.Min.Y+whole.Max.Y)/2
	rx, ry := float64(whole.Dx())/2, float64(whole.Dy())/2
	stops := [][2]float64{{0, 0.9}, {0.65, 0.84}, {0.83, 0.58}, {1, 0}}
	for y := range area.Dy() {
		for x := range area.Dx() {
			dx, dy := (float64(x+area.Min.X)+0.5-cx)/rx, (float64(y+area.Min.Y)+0.5-cy)/ry
			d := math.Sqrt(dx*dx + dy*dy)
			a := 0.0
			for i := 1; i < len(stops); i++ {
				from, to := stops[i-1], stops[i]
				if d <= to[0] {
					a = from[1] + (to[1]-from[1])*(d-from[0])/(to[0]-from[0])
					break
				}
			}
			alpha := uint32(a*255 + 0.5)
			i := drawn.PixOffset(x, y)
			for c, v := range [3]uint8{st.shade.R, st.shade.G, st.shade.B} {
				drawn.Pix[i+c] = uint8((uint32(v)*alpha + 127) / 255)
			}
			drawn.Pix[i+3] = uint8(alpha)
		}
	}
}
