package wire

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"unicode/utf8"
)

// ErrBase is returned for a difference from a frame that the decoder does not hold; the
// remedy is to ask for a key frame.
var ErrBase = errors.New("difference from a frame that is not here")

// Decoder decodes the messages of one screen. The zero value is ready.
type Decoder struct {
	frame   Frame // Number 0: none
	payload []byte
	inflate io.ReadCloser
}

// Decode applies one message and returns the frame, which is the decoder's own and
// good until the next call. After an error the decoder holds no frame: only a
// key frame can follow.
func (d *Decoder) Decode(msg []byte) (*Frame, error) {
	if err := d.decode(msg); err != nil {
		d.frame.Number = 0
		return nil, fmt.Errorf("decoding a frame: %w", err)
	}
	return &d.frame, nil
}

var errShort = errors.New("the message ends too early")

func (d *Decoder) decode(msg []byte) error {
	if len(msg) < headerLen {
		return errShort
	}
	if msg[0] != 'S' || msg[1] != 'F' {
		return errors.New("this is no frame: it does not begin with SF")
	}
	if msg[2] != Version {
		return fmt.Errorf("version %d of the frame format: only %d is known here", msg[2], Version)
	}
	flags := msg[3]
	if flags&^byte(flagsKnown) != 0 {
		return fmt.Errorf("flags %#x: bits of no meaning are set", flags)
	}
	number, base := binary.LittleEndian.Uint32(msg[4:]), binary.LittleEndian.Uint32(msg[8:])
	width, height := int(binary.LittleEndian.Uint16(msg[12:])), int(binary.LittleEndian.Uint16(msg[14:]))
	depth, steps := int(msg[16]), int(msg[17])
	switch {
	case number == 0:
		return errors.New("frame numbers count from 1")
	case depth < 1 || depth > 8:
		return fmt.Errorf("%d bits a cell: 1 to 8 are possible", depth)
	case width < 1 || height < 1 || width > MaxSide || height > MaxSide || width*height > MaxCells:
		return fmt.Errorf("%dx%d cells: 1 to %d a side and at most %d in all are possible", width, height, MaxSide, MaxCells)
	}
	f := &d.frame
	isDifference := flags&flagDifference != 0
	if isDifference {
		if f.Number == 0 || f.Number != base {
			return fmt.Errorf("%w: base %d, held %d", ErrBase, base, f.Number)
		}
		if f.Width != width || f.Height != height || f.Bits != depth {
			return errors.New("a difference between frames of two sizes")
		}
	} else if base != 0 || steps != 0 {
		return errors.New("a key frame with a base")
	}

	rest := msg[headerLen:]
	take := func(n int) ([]byte, error) {
		if n > len(rest) {
			return nil, errShort
		}
		part := rest[:n]
		rest = rest[n:]
		return part, nil
	}
	var palette, ageing, scene, caption []byte
	if flags&flagPalette != 0 {
		count, err := take(1)
		if err != nil {
			return err
		}
		if int(count[0]) >= 1<<depth {
			return fmt.Errorf("%d colours for %d bits a cell", int(count[0])+1, depth)
		}
		if palette, err = take(3 * (int(count[0]) + 1)); err != nil {
			return err
		}
	}
	if flags&flagAgeing != 0 {
		var err error
		if ageing, err = take(1 << depth); err != nil {
			return err
		}
		for i, v := range ageing {
			if int(v)>>depth != 0 {
				return fmt.Errorf("the ageing table sends %d to %d, beyond %d bits", i, v, depth)
			}
		}
	}
	if flags&flagLabels != 0 {
		n, err := take(1)
		if err != nil {
			return err
		}
		if int(n[0]) > MaxScene {
			return errors.New("the scene id is too long")
		}
		if scene, err = take(int(n[0])); err != nil {
			return err
		}
		if n, err = take(2); err != nil {
			return err
		}
		length := int(binary.LittleEndian.Uint16(n))
		if length > MaxCaption {
			return errors.New("the caption is too long")
		}
		if caption, err = take(length); err != nil {
			return err
		}
		if !utf8.Valid(scene) || !utf8.Valid(caption) {
			return errors.New("the labels are not UTF-8")
		}
	}

	n := planesLen(width, height, depth)
	payload := rest
	if flags&flagDeflate != 0 {
		// No sensible payload is longer: a difference falls back to a key frame before.
		limit := n
		if flags&flagBytes != 0 {
			limit = width * height
		} else if isDifference {
			limit = n + n/8 + n/64 + 2
		}
		var err error
		if payload, err = d.inflated(rest, limit); err != nil {
			return err
		}
	}

	if !isDifference {
		if len(payload) != n && flags&flagBytes == 0 {
			return fmt.Errorf("%d bytes of planes where %d are due", len(payload), n)
		}
		*f = Frame{Width: width, Height: height, Bits: depth, Cells: resized(f.Cells, width*height)}
	}
	if flags&flagBytes != 0 {
		if len(payload) != width*height && (!isDifference || len(payload) != 0) {
			return fmt.Errorf("%d bytes of cells where %d are due", len(payload), width*height)
		}
		for _, v := range payload {
			if int(v)>>depth != 0 {
				return fmt.Errorf("a cell of value %d, beyond %d bits", v, depth)
			}
		}
	}
	if flags&flagPalette != 0 {
		f.Palette = make([]RGB, len(palette)/3)
		for i := range f.Palette {
			f.Palette[i] = RGB(palette[3*i:])
		}
	}
	if flags&flagAgeing != 0 {
		f.Ageing = bytes.Clone(ageing)
	}
	if flags&flagLabels != 0 {
		f.Scene, f.Caption = string(scene), string(caption)
	}
	if isDifference {
		if steps > 0 && f.Ageing == nil {
			return errors.New("ageing steps without an ageing table")
		}
		if steps > 0 {
			table := aged(f.Ageing, steps)
			for i, v := range f.Cells {
				f.Cells[i] = table[v]
			}
		}
	}
	switch {
	case flags&flagBytes != 0:
		for i, v := range payload {
			f.Cells[i] ^= v
		}
	case !isDifference:
		if err := flip(f, payload, 0); err != nil {
			return err
		}
	case len(payload) > 0:
		if err := applyChanged(f, payload); err != nil {
			return err
		}
	}
	f.Number = number
	return nil
}

func (d *Decoder) inflated(packed []byte, limit int) ([]byte, error) {
	if d.inflate == nil {
		d.inflate = flate.NewReader(bytes.NewReader(packed))
	} else if err := d.inflate.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
		return nil, fmt.Errorf("inflating: %w", err)
	}
	buf := bytes.NewBuffer(d.payload[:0])
	if _, err := io.Copy(buf, io.LimitReader(d.inflate, int64(limit)+1)); err != nil {
		return nil, fmt.Errorf("inflating: %w", err)
	}
	d.payload = buf.Bytes()
	if len(d.payload) > limit {
		return nil, errors.New("the payload inflates beyond what the frame can need")
	}
	return d.payload, nil
}

// applyChanged flips what a difference's payload names.
func applyChanged(f *Frame, payload []byte) error {
	n := planesLen(f.Width, f.Height, f.Bits)
	words := (n + 7) / 8
	if len(payload) < (words+7)/8 {
		return errShort
	}
	bitmap, rest := payload[:(words+7)/8], payload[(words+7)/8:]
	for i, b := range bitmap {
		for ; b != 0; b &= b - 1 {
			word := 8*i + bits.TrailingZeros8(b)
			if word >= words || len(rest) < 1 {
				return errShort
			}
			mask := rest[0]
			rest = rest[1:]
			if mask == 0 {
				return errors.New("a changed word without a change")
			}
			for ; mask != 0; mask &= mask - 1 {
				at := 8*word + bits.TrailingZeros8(mask)
				if at >= n || len(rest) < 1 {
					return errShort
				}
				if rest[0] == 0 {
					return errors.New("a changed byte without a change")
				}
				if err := flip(f, rest[:1], at); err != nil {
					return err
				}
				rest = rest[1:]
			}
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes too many at the end", len(rest))
	}
	return nil
}

// flip exclusive-ors the cells with planes that begin at byte `at` of all planes.
func flip(f *Frame, planes []byte, at int) error {
	stride := planeStride(f.Width)
	plane := stride * f.Height
	for i, b := range planes {
		if b == 0 {
			continue
		}
		p, in := (at+i)/plane, (at+i)%plane
		x, y := in%stride*8, in/stride
		for ; b != 0; b &= b - 1 {
			if x := x + bits.TrailingZeros8(b); x < f.Width {
				f.Cells[y*f.Width+x] ^= 1 << p
			} else {
				return errors.New("bits are set beyond the width")
			}
		}
	}
	return nil
}

func resized(cells []uint8, n int) []uint8 {
	if cap(cells) < n {
		return make([]uint8, n)
	}
	cells = cells[:n]
	clear(cells)
	return cells
}
