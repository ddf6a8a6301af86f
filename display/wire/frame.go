package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The limits of the format.
const (
	Version    = 1
	MaxSide    = 8192    // cells across or down
	MaxCells   = 1 << 23 // cells in all: a 4K screen, a cell a pixel
	MaxCaption = 1024    // bytes
	MaxScene   = 64      // bytes
)

// RGB is a colour in sRGB, red first.
type RGB [3]uint8

// Frame is one picture as cells with a palette.
type Frame struct {
	Number        uint32 // counted from 1
	Width, Height int    // in cells
	Bits          int    // a cell's value is below 1<<Bits; 1 to 8

	// Cells holds Width*Height values, row by row from the top left.
	Cells []uint8

	// Palette is the colour of each value, at most 1<<Bits of them; a value
	// beyond it is black.
	Palette []RGB

	// Ageing is nil, or 1<<Bits values: what becomes of a cell in one step of
	// ageing when nothing happens to it. Age counts the steps; the encoder looks at the
	// difference between two frames only. It is a promise to the
	// encoder, not a rule: where the cells say otherwise, the cells are right.
	Ageing []uint8
	Age    uint32

	Scene   string // the scene's id, "life"
	Caption string // one line for people
}

// Check reports the first thing that makes the frame unfit to be encoded.
func (f *Frame) Check() error {
	switch {
	case f.Number == 0:
		return errors.New("frame numbers count from 1")
	case f.Bits < 1 || f.Bits > 8:
		return fmt.Errorf("%d bits a cell: 1 to 8 are possible", f.Bits)
	case f.Width < 1 || f.Width > MaxSide || f.Height < 1 || f.Height > MaxSide || f.Width*f.Height > MaxCells:
		return fmt.Errorf("%dx%d cells: 1 to %d a side and at most %d in all are possible", f.Width, f.Height, MaxSide, MaxCells)
	case len(f.Cells) != f.Width*f.Height:
		return fmt.Errorf("%d cells for a frame of %dx%d", len(f.Cells), f.Width, f.Height)
	case len(f.Palette) > 1<<f.Bits:
		return fmt.Errorf("%d colours for %d bits a cell", len(f.Palette), f.Bits)
	case f.Ageing != nil && len(f.Ageing) != 1<<f.Bits:
		return fmt.Errorf("an ageing table of %d values for %d bits a cell", len(f.Ageing), f.Bits)
	case len(f.Scene) > MaxScene:
		return fmt.Errorf("a scene id of %d bytes: at most %d are possible", len(f.Scene), MaxScene)
	case len(f.Caption) > MaxCaption:
		return fmt.Errorf("a caption of %d bytes: at most %d are possible", len(f.Caption), MaxCaption)
	}
	if !utf8.ValidString(f.Scene) || !utf8.ValidString(f.Caption) {
		return errors.New("the labels are not UTF-8")
	}
	for i, v := range f.Ageing {
		if int(v)>>f.Bits != 0 {
			return fmt.Errorf("the ageing table sends %d to %d, beyond %d bits", i, v, f.Bits)
		}
	}
	return nil
}

// Colours is the palette for every possible value of a byte.
func (f *Frame) Colours() (c [256]RGB) {
	copy(c[:], f.Palette)
	return c
}

// bandCells bounds what one heartbeat reads back and hashes. A picture of 480x270 is
// within it; of 1920x1080 cells a sixteenth is compared at a time.
const bandCells = 1 << 17

// Band is the rows, from and up to but without to, of the picture of this number that a
// heartbeat compares. Which they are follows from the number alone, so that screen and
// stage agree, and looks like chance, so that whatever lies between two heartbeats each
// row is compared before long.
func Band(width, height int, number uint32) (from, to int) {
	rows := max(1, bandCells/max(1, width))
	bands := (height + rows - 1) / rows
	if bands <= 1 {
		return 0, height
	}
	// MurmurHash3's last steps.
	number = (number ^ number>>16) * 0x85ebca6b
	number = (number ^ number>>13) * 0xc2b2ae35
	from = int(number>>16) % bands * rows
	return from, min(from+rows, height)
}

// BandHash is Hash of the rows that Band names.
func (f *Frame) BandHash() uint32 {
	from, to := Band(f.Width, f.Height, f.Number)
	return f.hash(f.Cells[from*f.Width : to*f.Width])
}

// Hash is the checksum of the picture; a screen reports that of a band in its heartbeat. It
// is taken of the colours, not of the cells, so that a screen can compute it from its canvas: each
// cell, as the number R | G<<8 | B<<16, goes into one of four FNV-1a sums
// (offset 2166136261, prime 16777619, a cell a round), cell i into sum i%4; the
// four sums go in order into a fifth.
func (f *Frame) Hash() uint32 { return f.hash(f.Cells) }

func (f *Frame) hash(cells []uint8) uint32 {
	var px [256]uint32
	for i, c := range f.Palette {
		px[i] = uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16
	}
	const offset, prime = 2166136261, 16777619
	// Four sums, because one would wait for its own multiplication at each cell.
	a, b, c, d := uint32(offset), uint32(offset), uint32(offset), uint32(offset)
	for len(cells) >= 4 {
		a = (a ^ px[cells[0]]) * prime
		b = (b ^ px[cells[1]]) * prime
		c = (c ^ px[cells[2]]) * prime
		d = (d ^ px[cells[3]]) * prime
		cells = cells[4:]
	}
	rest := [3]*uint32{&a, &b, &c}
	for i, v := range cells {
		*rest[i] = (*rest[i] ^ px[v]) * prime
	}
	h := uint32(offset)
	for _, s := range [4]uint32{a, b, c, d} {
		h = (h ^ s) * prime
	}
	return h
}

// planeStride is the bytes of one row of one plane.
func planeStride(width int) int { return (width + 7) / 8 }

// planesLen is the bytes of all planes of a frame.
func planesLen(width, height, bits int) int { return planeStride(width) * height * bits }

// aged is the table applied n times; nil is the identity.
func aged(table []uint8, n int) (t [256]uint8) {
	for i := range t {
		t[i] = uint8(i)
	}
	if table == nil {
		return t
	}
	for range n {
		for i := range table {
			t[i] = table[t[i]]
		}
	}
	return t
}
