package wire

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	flagDifference = 1 << iota
	flagDeflate
	flagPalette
	flagAgeing
	flagLabels

	flagsKnown = 1<<iota - 1
	headerLen  = 18
)

// Encoder encodes frames. It keeps buffers between calls; it is not for concurrent use.
// The zero value is ready.
type Encoder struct {
	planes  []byte
	payload []byte
	packed  bytes.Buffer
	deflate *flate.Writer
}

// Encode returns the message that shows cur on a screen that shows base; with a nil
// base, or one of another size, on any screen. The message is newly allocated.
func (e *Encoder) Encode(base, cur *Frame) ([]byte, error) {
	if err := cur.Check(); err != nil {
		return nil, fmt.Errorf("encoding frame %d: %w", cur.Number, err)
	}
	if base != nil && (base.Width != cur.Width || base.Height != cur.Height || base.Bits != cur.Bits) {
		base = nil
	}
	var flags, steps byte
	var baseNumber uint32
	n := planesLen(cur.Width, cur.Height, cur.Bits)
	if base == nil {
		e.planes = slices.Grow(e.planes[:0], n)[:n]
		difference(e.planes, cur, nil, nil)
		e.payload = append(e.payload[:0], e.planes...)
	} else {
		flags, baseNumber = flagDifference, base.Number
		if cur.Ageing != nil && cur.Age > base.Age {
			// A screen that skipped frames has slept through more steps.
			steps = byte(min(cur.Age-base.Age, 255))
		}
		table := aged(cur.Ageing, int(steps))
		e.planes = slices.Grow(e.planes[:0], n)[:n]
		if difference(e.planes, cur, base, &table) {
			e.payload = appendChanged(e.payload[:0], e.planes)
		} else {
			e.payload = e.payload[:0]
		}
		if len(e.payload) > n*85/100 {
			// The bitmap and masks no longer pay; and a key frame serves every screen.
			return e.Encode(nil, cur)
		}
	}
	if payload, ok := e.deflated(); ok {
		flags |= flagDeflate
		e.payload = append(e.payload[:0], payload...)
	}
	if len(cur.Palette) > 0 && (base == nil || !slices.Equal(base.Palette, cur.Palette)) {
		flags |= flagPalette
	}
	if cur.Ageing != nil && (base == nil || !bytes.Equal(base.Ageing, cur.Ageing)) {
		flags |= flagAgeing
	}
	if base == nil || base.Scene != cur.Scene || base.Caption != cur.Caption {
		flags |= flagLabels
	}
	if base != nil && (len(cur.Palette) == 0 && len(base.Palette) > 0 || cur.Ageing == nil && base.Ageing != nil) {
		// A difference cannot take away what its base has.
		return e.Encode(nil, cur)
	}

	msg := make([]byte, 0, headerLen+1+3*len(cur.Palette)+len(cur.Ageing)+3+len(cur.Scene)+len(cur.Caption)+len(e.payload))
	msg = append(msg, 'S', 'F', Version, flags)
	msg = binary.LittleEndian.AppendUint32(msg, cur.Number)
	msg = binary.LittleEndian.AppendUint32(msg, baseNumber)
	msg = binary.LittleEndian.AppendUint16(msg, uint16(cur.Width))
	msg = binary.LittleEndian.AppendUint16(msg, uint16(cur.Height))
	msg = append(msg, byte(cur.Bits), steps)
	if flags&flagPalette != 0 {
		msg = append(msg, byte(len(cur.Palette)-1))
		for _, c := range cur.Palette {
			msg = append(msg, c[0], c[1], c[2])
		}
	}
	if flags&flagAgeing != 0 {
		msg = append(msg, cur.Ageing...)
	}
	if flags&flagLabels != 0 {
		msg = append(msg, byte(len(cur.Scene)))
		msg = append(msg, cur.Scene...)
		msg = binary.LittleEndian.AppendUint16(msg, uint16(len(cur.Caption)))
		msg = append(msg, cur.Caption...)
	}
	return append(msg, e.payload...), nil
}

// deflated packs the payload, and reports whether that made it smaller.
func (e *Encoder) deflated() ([]byte, bool) {
	if len(e.payload) < 32 {
		return nil, false
	}
	e.packed.Reset()
	if e.deflate == nil {
		// Level 1: the higher ones take three times as long for a tenth of the size.
		e.deflate, _ = flate.NewWriter(&e.packed, flate.BestSpeed)
	} else {
		e.deflate.Reset(&e.packed)
	}
	if _, err := e.deflate.Write(e.payload); err != nil {
		return nil, false
	}
	if err := e.deflate.Close(); err != nil {
		return nil, false
	}
	return e.packed.Bytes(), e.packed.Len() < len(e.payload)
}

// difference writes into planes the planes of cur, exclusive-or'ed with those of base
// (nil: nothing) whose cells went through table; it reports whether anything is
// not zero.
func difference(planes []byte, cur, base *Frame, table *[256]uint8) bool {
	clear(planes)
	w, bits := cur.Width, cur.Bits
	stride := planeStride(w)
	plane := stride * cur.Height
	var any uint64
	for y := range cur.Height {
		row := cur.Cells[y*w : y*w+w]
		var was []uint8
		if base != nil {
			was = base.Cells[y*w : y*w+w]
		}
		at := y * stride
		for x := 0; x < w; x += 8 {
			// Eight cells as eight bytes of one word.
			var cells uint64
			if x+8 <= w {
				cells = binary.LittleEndian.Uint64(row[x:])
				if was != nil {
					b := was[x : x+8 : x+8]
					cells ^= uint64(table[b[0]]) | uint64(table[b[1]])<<8 | uint64(table[b[2]])<<16 | uint64(table[b[3]])<<24 |
						uint64(table[b[4]])<<32 | uint64(table[b[5]])<<40 | uint64(table[b[6]])<<48 | uint64(table[b[7]])<<56
				}
			} else {
				for i := x; i < w; i++ {
					v := row[i]
					if was != nil {
						v ^= table[was[i]]
					}
					cells |= uint64(v) << (8 * (i - x))
				}
			}
			if cells == 0 {
				continue
			}
			any |= cells
			for p := range bits {
				// Gathers bit p of each byte: the multiplication moves the bit of
				// byte i to bit 56+i, and no two meet elsewhere that high.
				planes[p*plane+at+x/8] = byte((cells >> p & 0x0101010101010101) * 0x0102040810204080 >> 56)
			}
		}
	}
	return any != 0
}

// appendChanged appends the bitmap, the masks and the bytes that are not zero.
func appendChanged(dst, planes []byte) []byte {
	words := (len(planes) + 7) / 8
	bitmap := len(dst)
	dst = append(dst, make([]byte, (words+7)/8)...)
	for w := range words {
		word := planes[8*w : min(8*w+8, len(planes))]
		if len(word) == 8 && binary.LittleEndian.Uint64(word) == 0 {
			continue
		}
		at := len(dst)
		dst = append(dst, 0)
		var mask byte
		for i, b := range word {
			if b != 0 {
				mask |= 1 << i
				dst = append(dst, b)
			}
		}
		if mask == 0 {
			dst = dst[:at]
			continue
		}
		dst[at] = mask
		dst[bitmap+w/8] |= 1 << (w % 8)
	}
	return dst
}
