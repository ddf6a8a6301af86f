package display

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/display/wire"
)

// Viewport is a part of the universe in cells. What lies beyond an edge comes from
// the other side: the universe is a torus. The zero value is all of it.
type Viewport struct{ X, Y, Width, Height int }

// ParseViewport reads "X,Y,WIDTH,HEIGHT" in cells, such as "240,0,240,270"; "" is the zero value.
func ParseViewport(text string) (Viewport, error) {
	if text == "" {
		return Viewport{}, nil
	}
	bad := fmt.Errorf("%q is no part of the universe: write its left edge, upper edge, width and height in cells, such as \"240,0,240,270\"", text)
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return Viewport{}, bad
	}
	var n [4]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 || v > wire.MaxSide {
			return Viewport{}, bad
		}
		n[i] = v
	}
	if n[2] < 1 || n[3] < 1 {
		return Viewport{}, bad
	}
	return Viewport{n[0], n[1], n[2], n[3]}, nil
}

// String is the viewport as ParseViewport reads it.
func (p Viewport) String() string {
	if p == (Viewport{}) {
		return ""
	}
	return fmt.Sprintf("%d,%d,%d,%d", p.X, p.Y, p.Width, p.Height)
}

// view is what the screens of one viewport share: the recent frames, each encoded
// once a base, and their hashes. The stage's mutex guards it.
type view struct {
	port     Viewport
	users    int
	ring     []wire.Frame // frame n in ring[n%len]
	hashes   [hashFrames]numbered
	current  *wire.Frame // in the ring
	encoder  wire.Encoder
	messages map[uint32]*encoded
	picture  picture
	quarters bool       // somebody paints every second cell only
	quarter  wire.Frame // scratch
}

type numbered struct {
	number        uint32
	hash, quarter uint32 // quarter: of every second cell of every second row
	varied        bool   // the picture is of more than one colour
}

// encoded is one encoded frame, shared by all screens it is sent to.
type encoded struct {
	number uint32
	data   []byte
}

func newView(port Viewport) *view {
	return &view{
		port: port, messages: make(map[uint32]*encoded),
		ring: make([]wire.Frame, max(4, min(ringFrames, ringBytes/(port.Width*port.Height)))),
	}
}

// fit makes the frame of that size.
func fit(f *wire.Frame, width, height int) {
	if f.Width != width || f.Height != height || len(f.Cells) != width*height {
		f.Width, f.Height = width, height
		f.Cells = make([]uint8, width*height)
	}
}

// slot is where the frame of that number is to be drawn.
func (v *view) slot(number uint32) *wire.Frame { return &v.ring[number%uint32(len(v.ring))] }

// cut takes the view's part of the whole frame, of each square of coarse by coarse
// cells the one that stands out most from the ground: the palette's first colour.
func (v *view) cut(from *wire.Frame, coarse int) {
	f := v.slot(from.Number)
	fit(f, (v.port.Width+coarse-1)/coarse, (v.port.Height+coarse-1)/coarse)
	f.Number, f.Bits = from.Number, from.Bits
	f.Palette = append(f.Palette[:0], from.Palette...)
	f.Ageing, f.Age = from.Ageing, from.Age
	f.Scene, f.Caption = from.Scene, from.Caption
	if coarse == 1 {
		for y := range f.Height {
			row := f.Cells[y*f.Width : (y+1)*f.Width]
			src := from.Cells[(v.port.Y+y)%from.Height*from.Width:][:from.Width]
			for done, x := 0, v.port.X%from.Width; done < len(row); x = 0 {
				done += copy(row[done:], src[x:])
			}
		}
		v.take(f)
		return
	}
	var light [256]float64 // how far from the ground's
	for i, c := range from.Palette {
		light[i] = math.Abs(luminance(c) - luminance(from.Palette[0]))
	}
	for y := range f.Height {
		for x := range f.Width {
			best, most := uint8(0), -1.0
			for dy := range min(coarse, v.port.Height-y*coarse) {
				src := from.Cells[(v.port.Y+y*coarse+dy)%from.Height*from.Width:][:from.Width]
				for dx := range min(coarse, v.port.Width-x*coarse) {
					c := src[(v.port.X+x*coarse+dx)%from.Width]
					if l := light[c]; l > most {
						best, most = c, l
					}
				}
			}
			f.Cells[y*f.Width+x] = best
		}
	}
	v.take(f)
}

// take makes the frame, which is in its slot, the current one.
func (v *view) take(f *wire.Frame) {
	v.current = f
	h := numbered{number: f.Number, hash: f.BandHash(), varied: isVaried(f)}
	if v.quarters {
		q := &v.quarter
		fit(q, (f.Width+1)/2, (f.Height+1)/2)
		for y := range q.Height {
			for x := range q.Width {
				q.Cells[y*q.Width+x] = f.Cells[2*y*f.Width+2*x]
			}
		}
		q.Palette, q.Number = f.Palette, f.Number
		h.quarter = q.BandHash()
	}
	v.hashes[f.Number%hashFrames] = h
	clear(v.messages)
}

// isVaried reports whether there are two colours in what a heartbeat compares.
func isVaried(f *wire.Frame) bool {
	colours := f.Colours()
	from, to := wire.Band(f.Width, f.Height, f.Number)
	band := f.Cells[from*f.Width : to*f.Width]
	first := colours[band[0]]
	for _, c := range band {
		if colours[c] != first {
			return true
		}
	}
	return false
}

// rest lets go of what only screens need.
func (v *view) rest() {
	for i := range v.ring {
		if &v.ring[i] != v.current {
			v.ring[i] = wire.Frame{}
		}
	}
	clear(v.messages)
	v.encoder = wire.Encoder{}
	v.picture = picture{}
}

// frame returns the frame of that number, if it is still there.
func (v *view) frame(number uint32) *wire.Frame {
	if f := v.slot(number); f.Number == number && number != 0 {
		return f
	}
	return nil
}

// message returns the current frame encoded for a screen that shows base (0:
// nothing yet).
func (v *view) message(base uint32) (*encoded, error) {
	from := v.frame(base)
	if from != nil && (from.Width != v.current.Width || from.Height != v.current.Height) {
		from = nil
	}
	if from == nil {
		base = 0
	}
	if m := v.messages[base]; m != nil {
		return m, nil
	}
	if len(v.messages) >= maxBases && base != 0 {
		return v.message(0)
	}
	data, err := v.encoder.Encode(from, v.current)
	if err != nil {
		return nil, err
	}
	m := &encoded{number: v.current.Number, data: data}
	v.messages[base] = m
	return m, nil
}

// hashOf returns the hashes of a frame that was shown lately.
func (v *view) hashOf(number uint32) (numbered, bool) {
	h := v.hashes[number%hashFrames]
	return h, h.number == number && number != 0
}

var errViews = errors.New("the universe is shown in as many parts as this daemon allows")

// viewOf returns the view of a part of the universe, made if nobody shows it yet.
// s.mu is held.
func (s *Stage) viewOf(p Viewport) (*view, error) {
	if p == (Viewport{}) || p == s.whole.port {
		return s.whole, nil
	}
	if v := s.views[p]; v != nil {
		return v, nil
	}
	if len(s.views) >= maxViews {
		return nil, errViews
	}
	v := newView(p)
	s.views[p] = v
	f := s.whole.current
	if s.economy.Coarse > 1 {
		f = &s.full
	}
	v.cut(f, s.economy.Coarse)
	return v, nil
}

// portOf is the part of the universe that a request asks for: by view, or as the
// owner gave it to the output.
func (s *Stage) portOf(r *http.Request) (Viewport, error) {
	p, err := ParseViewport(r.URL.Query().Get("view"))
	if err != nil {
		return p, err
	}
	if name := r.URL.Query().Get("output"); name != "" && p == (Viewport{}) {
		for _, o := range s.opt.Outputs {
			if o.Name == name {
				p = o.View
			}
		}
	}
	return p, s.checkView(p)
}

// checkView reports whether the universe has such a part.
func (s *Stage) checkView(p Viewport) error {
	if p.X >= s.opt.Width || p.Y >= s.opt.Height || p.Width > s.opt.Width || p.Height > s.opt.Height {
		return fmt.Errorf("the part %v does not fit the universe of %dx%d cells", p, s.opt.Width, s.opt.Height)
	}
	return nil
}
