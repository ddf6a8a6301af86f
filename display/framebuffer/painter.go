package framebuffer

import (
	"bytes"
	"encoding/binary"
	"image"

	"github.com/sierpi/sierpi/display/wire"
)

// Tiles are so many cells: wide enough that a row is worth a copy, small enough
// that a glider damages few.
const tileX, tileY = 16, 8

// Painter paints frames with cards over them onto a device, and of each only what
// changed since the one before.
type Painter struct {
	dev     *Device
	fit     fit
	frame   wire.Frame  // what is on the screen; its own copies
	colours [256]uint32 // by value, in the device's format
	palette [256]uint32 // the same, as packed by rgb
	beside  uint32      // where no picture is, as packed by rgb: the palette's first colour is what is behind it
	plates  []*plate
	dirty   []bool // tiles that a plate came to or left
	all     bool   // everything is dirty
	row     []byte
	mixed   []uint32 // a row's colours, as packed by rgb
	tiles   int      // painted by the last Paint
}

// NewPainter paints on that device, which shows whatever it showed.
func NewPainter(dev *Device) *Painter {
	return &Painter{dev: dev, row: make([]byte, dev.Width*dev.Bits/8), mixed: make([]uint32, dev.Width), all: true}
}

// Tiles is how many tiles the last Paint painted, and of how many.
func (p *Painter) Tiles() (painted, all int) { return p.tiles, len(p.dirty) }

func (p *Painter) across() int { return (p.frame.Width + tileX - 1) / tileX }

// Paint brings the screen to a frame and to the plates set.
func (p *Painter) Paint(f *wire.Frame) {
	var beside uint32
	if len(f.Palette) > 0 {
		beside = rgb(f.Palette[0])
	}
	if f.Width != p.frame.Width || f.Height != p.frame.Height || len(p.dirty) == 0 {
		p.beside = beside
		p.resize(f.Width, f.Height)
	} else if beside != p.beside {
		p.beside = beside
		p.surround()
	}
	c := f.Colours()
	var colours [256]uint32
	for i, c := range c {
		p.palette[i] = rgb(c)
		colours[i] = p.packed(p.palette[i])
	}
	every := p.all || colours != p.colours
	p.colours = colours
	p.frame.Number, p.frame.Bits = f.Number, f.Bits
	p.tiles = 0
	across := p.across()
	for ty := 0; ty*tileY < f.Height; ty++ {
		for tx := range across {
			x0, y0 := tx*tileX, ty*tileY
			x1, y1 := min(x0+tileX, f.Width), min(y0+tileY, f.Height)
			changed := every || p.dirty[ty*across+tx]
			for y := y0; y < y1; y++ {
				was, is := p.frame.Cells[y*f.Width+x0:y*f.Width+x1], f.Cells[y*f.Width+x0:y*f.Width+x1]
				if !bytes.Equal(was, is) {
					copy(was, is)
					changed = true
				}
			}
			if changed {
				p.paintTile(x0, y0, x1, y1)
				p.tiles++
			}
		}
	}
	clear(p.dirty)
	p.all = false
}

// resize lays a frame of another size out.
func (p *Painter) resize(width, height int) {
	p.frame = wire.Frame{Width: width, Height: height, Cells: make([]uint8, width*height)}
	p.fit = newFit(p.dev.Width, p.dev.Height, width, height)
	p.dirty = make([]bool, p.across()*((height+tileY-1)/tileY))
	p.all = true
	p.surround()
}

// surround paints what the picture leaves free: above and below it on an upright screen.
func (p *Painter) surround() {
	inner, size := p.picture(), p.dev.Bits/8
	p.fill(p.row, p.packed(p.beside))
	for y := range p.dev.Height {
		if y < inner.Min.Y || y >= inner.Max.Y {
			p.dev.put(0, y, p.row)
			continue
		}
		p.dev.put(0, y, p.row[:inner.Min.X*size])
		p.dev.put(inner.Max.X, y, p.row[inner.Max.X*size:])
	}
	for _, pl := range p.plates {
		p.paintBeside(pl.area)
	}
}

// Damage makes the next Paint paint everything.
func (p *Painter) Damage() { p.all = true }

// setPlates replaces what lies over the picture.
func (p *Painter) setPlates(plates []*plate) {
	old := p.plates
	p.plates = plates
	for _, list := range [][]*plate{old, plates} {
		for _, pl := range list {
			if !contains(old, pl) || !contains(plates, pl) {
				p.damage(pl.area)
				p.paintBeside(pl.area)
			}
		}
	}
}

func contains(list []*plate, pl *plate) bool {
	for _, l := range list {
		if l == pl {
			return true
		}
	}
	return false
}

// damage marks the tiles below an area.
func (p *Painter) damage(area image.Rectangle) {
	across := p.across()
	for i := range p.dirty {
		tx, ty := i%across, i/across
		t := p.fit.area(tx*tileX, ty*tileY, min((tx+1)*tileX, p.frame.Width), min((ty+1)*tileY, p.frame.Height))
		p.dirty[i] = p.dirty[i] || t.Overlaps(area)
	}
}

// picture is the part of the screen that cells cover.
func (p *Painter) picture() image.Rectangle {
	if p.frame.Width == 0 {
		return image.Rectangle{}
	}
	return p.fit.area(0, 0, p.frame.Width, p.frame.Height)
}

// paintBeside paints the part of an area that has no cells below it.
func (p *Painter) paintBeside(area image.Rectangle) {
	inner := p.picture()
	if area.In(inner) {
		return
	}
	size := p.dev.Bits / 8
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			at := image.Pt(x, y)
			if at.In(inner) {
				continue
			}
			c := p.beside
			for _, pl := range p.plates {
				if at.In(pl.area) {
					c = over(pl.at(x, y), c)
				}
			}
			putPixel(p.row, p.packed(c), size)
			p.dev.put(x, y, p.row[:size])
		}
	}
}

func putPixel(row []byte, c uint32, size int) {
	row[0], row[1] = byte(c), byte(c>>8)
	if size == 4 {
		row[2], row[3] = byte(c>>16), byte(c>>24)
	}
}

// fill sets a run of pixels to one colour.
func (p *Painter) fill(row []byte, c uint32) {
	if len(row) == 0 {
		return
	}
	size := p.dev.Bits / 8
	putPixel(row, c, size)
	for n := size; n < len(row); n *= 2 {
		copy(row[n:], row[:n])
	}
}

func (p *Painter) paintTile(x0, y0, x1, y1 int) {
	area := p.fit.area(x0, y0, x1, y1)
	if area.Empty() {
		return
	}
	size := p.dev.Bits / 8
	row := p.row[:area.Dx()*size]
	var over []*plate
	for _, pl := range p.plates {
		if pl.area.Overlaps(area) {
			over = append(over, pl)
		}
	}
	for y := y0; y < y1; y++ {
		top, bottom := p.fit.ys[y], p.fit.ys[y+1]
		if top == bottom {
			continue
		}
		cells := p.frame.Cells[y*p.frame.Width : (y+1)*p.frame.Width]
		p.plainRow(row, x0, x1, cells)
		for py := top; py < bottom; py++ {
			if len(over) > 0 {
				p.compose(row, x0, x1, py, cells, over)
			}
			p.dev.put(area.Min.X, py, row)
		}
	}
}

// plainRow fills a row of pixels with its cells' colours.
func (p *Painter) plainRow(row []byte, x0, x1 int, cells []uint8) {
	left, at := p.fit.xs[x0], 0
	for x := x0; x < x1; x++ {
		c, end := p.colours[cells[x]], p.fit.xs[x+1]-left
		if p.dev.Bits == 16 {
			for ; at < end; at++ {
				binary.LittleEndian.PutUint16(row[2*at:], uint16(c))
			}
		} else {
			for ; at < end; at++ {
				binary.LittleEndian.PutUint32(row[4*at:], c)
			}
		}
	}
}

// compose lays plates over one row of a tile's pixels; what they do not touch stays.
func (p *Painter) compose(row []byte, x0, x1, y int, cells []uint8, plates []*plate) {
	left, right := p.fit.xs[x0], p.fit.xs[x1]
	from, to := right, left
	for _, pl := range plates {
		if y >= pl.area.Min.Y && y < pl.area.Max.Y {
			from, to = min(from, max(left, pl.area.Min.X)), max(to, min(right, pl.area.Max.X))
		}
	}
	if from >= to {
		// The row above may have been below a plate.
		p.plainRow(row, x0, x1, cells)
		return
	}
	mixed := p.mixed[:right-left]
	at := 0
	for x := x0; x < x1; x++ {
		c := p.palette[cells[x]]
		for end := p.fit.xs[x+1] - left; at < end; at++ {
			mixed[at] = c
		}
	}
	for _, pl := range plates {
		if y < pl.area.Min.Y || y >= pl.area.Max.Y {
			continue
		}
		a, b := max(left, pl.area.Min.X), min(right, pl.area.Max.X)
		if a >= b {
			continue
		}
		line := pl.line(y)[a-pl.area.Min.X : b-pl.area.Min.X]
		below := mixed[a-left : b-left]
		for i, c := range line {
			below[i] = over(c, below[i])
		}
	}
	size := p.dev.Bits / 8
	for i, c := range mixed {
		putPixel(row[i*size:], p.packed(c), size)
	}
}

// rgb is a colour as a number: red lowest.
func rgb(c wire.RGB) uint32 { return uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16 }

// packed is such a number in the device's format.
func (p *Painter) packed(c uint32) uint32 { return p.dev.pack(uint8(c), uint8(c>>8), uint8(c>>16)) }

// readBack looks at what is on the screen: the hash of the picture, as wire's
// Frame.BandHash; whether it is of one colour; and how many cells are not as they were
// painted. Cells that a plate covers, and those beyond the screen's edge, are taken
// as painted.
func (p *Painter) readBack() (hash uint32, blank bool, wrong int) {
	mask := p.dev.pack(255, 255, 255)
	first, single := uint32(0), true
	seen := 0
	px := make([]uint32, len(p.frame.Cells))
	for y := range p.frame.Height {
		top, bottom := p.fit.ys[y], p.fit.ys[y+1]
		for x := range p.frame.Width {
			i := y*p.frame.Width + x
			v := p.frame.Cells[i]
			px[i] = p.palette[v]
			left, right := p.fit.xs[x], p.fit.xs[x+1]
			if top == bottom || left == right {
				continue
			}
			at := image.Pt((left+right)/2, (top+bottom)/2)
			if p.covered(at) {
				continue
			}
			got := p.dev.at(at.X, at.Y) & mask
			if seen++; seen == 1 {
				first = got
			}
			single = single && got == first
			if got != p.colours[v] {
				wrong++
				r, g, b := p.dev.unpack(got)
				px[i] = uint32(r) | uint32(g)<<8 | uint32(b)<<16
			}
		}
	}
	from, to := wire.Band(p.frame.Width, p.frame.Height, p.frame.Number)
	return sum(px[from*p.frame.Width : to*p.frame.Width]), single && seen > 0, wrong
}

func (p *Painter) covered(at image.Point) bool {
	for _, pl := range p.plates {
		if at.In(pl.area) {
			return true
		}
	}
	return false
}

// sum is the checksum of Frame.Hash over colours that no palette holds.
func sum(px []uint32) uint32 {
	const offset, prime = 2166136261, 16777619
	s := [4]uint32{offset, offset, offset, offset}
	for i, v := range px {
		s[i%4] = (s[i%4] ^ v) * prime
	}
	h := uint32(offset)
	for _, v := range s {
		h = (h ^ v) * prime
	}
	return h
}
