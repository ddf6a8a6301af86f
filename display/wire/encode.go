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
	flagBytes

	flagsKnown = 1<<iota - 1
	headerLen  = 18
)

// Encoder encodes frames. It keeps buffers between calls; it is not for concurrent use.
// The zero value is ready.
type Encoder struct {
	residue []byte
	planes  []byte
	sparse  []byte
	payload []byte
	packed  bytes.Buffer
	deflate *flate.Writer
	key     layout
	changed layout
}

// layout chooses between planes and bytes for a kind of message. Which of them is smaller depends on
// the scene and changes slowly, so both are tried now and then only.
type layout struct {
	bytes bool // bytes were smaller the last time
	age   int  // messages since
}

// tryEvery is how many messages one layout is kept.
const tryEvery = 32

// Encode returns the message that shows cur on a screen that shows base; with a nil
// base, or one of another size, on any screen. The message is newly allocated.
func (e *Encoder) Encode(base, cur *Frame) ([]byte, error) {
	if err := cur.Check(); err != nil {
		return nil, fmt.Errorf("encoding frame %d: %w", cur.Number, err)
	}
	if base != nil && (base.Width != cur.Width || base.Height != cur.Height || base.Bits != cur.Bits ||
		// A difference cannot take away what its base has.
		len(cur.Palette) == 0 && len(base.Palette) > 0 || cur.Ageing == nil && base.Ageing != nil) {
		base = nil
	}
	var flags, steps byte
	var baseNumber uint32
	which := &e.key
	if base != nil {
		flags, baseNumber = flagDifference, base.Number
		which = &e.changed
		if cur.Ageing != nil && cur.Age > base.Age {
			// A screen that skipped frames has slept through more steps.
			steps = byte(min(cur.Age-base.Age, 255))
		}
	}
	n := planesLen(cur.Width, cur.Height, cur.Bits)
	changed := e.subtract(base, cur, steps)
	e.payload = e.payload[:0]
	if changed || base == nil {
		var best byte
		both := which.age%tryEvery == 0
		which.age++
		if both || !which.bytes {
			var planes []byte
			planes, best = e.smaller(e.planesOf(cur, base != nil))
			e.payload = append(e.payload, planes...)
		}
		if both && best == 0 && len(e.payload) < worthDeflating {
			which.bytes = false // they would have to be deflated
		} else if both || which.bytes {
			packed, f := e.smaller(e.residue)
			which.bytes = !both || len(packed) < len(e.payload)
			if which.bytes {
				e.payload, best = append(e.payload[:0], packed...), f|flagBytes
			}
		}
		flags |= best
	}
	if base != nil && len(e.payload) > n {
		// Bitmap and masks do not pay for this one.
		return e.Encode(nil, cur)
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

// Alike reports whether an encoded message changes nothing of the frame before it but its number.
func Alike(msg []byte) bool {
	return len(msg) == headerLen && msg[3] == flagDifference && msg[17] == 0
}

// planesOf lays the residue out as planes: all of them, or those parts that are
// not zero.
func (e *Encoder) planesOf(f *Frame, sparse bool) []byte {
	n := planesLen(f.Width, f.Height, f.Bits)
	e.planes = slices.Grow(e.planes[:0], n)[:n]
	toPlanes(e.planes, e.residue, f.Width, f.Height, f.Bits)
	if !sparse {
		return e.planes
	}
	e.sparse = appendChanged(e.sparse[:0], e.planes)
	return e.sparse
}

// worthDeflating is how much is deflated, in bytes. A browser inflates by a stream, which is set up
// anew for each message and costs more than reading a few packets.
const worthDeflating = 4 << 10

// smaller returns data, deflated if it is long and that makes it smaller, and the flag for
// it. The result is good until the next call.
func (e *Encoder) smaller(data []byte) ([]byte, byte) {
	if len(data) >= worthDeflating {
		e.packed.Reset()
		if e.deflate == nil {
			// Level 1: the higher ones take three times as long for a tenth of the size.
			e.deflate, _ = flate.NewWriter(&e.packed, flate.BestSpeed)
		} else {
			e.deflate.Reset(&e.packed)
		}
		_, _ = e.deflate.Write(data) // a bytes.Buffer does not fail
		_ = e.deflate.Close()
		if e.packed.Len() < len(data) {
			return e.packed.Bytes(), flagDeflate
		}
	}
	return data, 0
}

// subtract writes into e.residue each cell of cur, exclusive-or'ed with what
// became of the base's; it reports whether anything is not zero.
func (e *Encoder) subtract(base, cur *Frame, steps byte) bool {
	e.residue = slices.Grow(e.residue[:0], len(cur.Cells))[:len(cur.Cells)]
	if base == nil {
		copy(e.residue, cur.Cells)
		return true
	}
	table := aged(cur.Ageing, int(steps))
	out, is := e.residue, cur.Cells[:len(e.residue)]
	var any uint8
	for i, was := range base.Cells[:len(out)] {
		d := is[i] ^ table[was]
		out[i] = d
		any |= d
	}
	return any != 0
}

// toPlanes lays cells out as planes.
func toPlanes(planes, cells []byte, w, h, bits int) {
	clear(planes)
	stride := planeStride(w)
	plane := stride * h
	for y := range h {
		row := cells[y*w : y*w+w]
		at := y * stride
		for x := 0; x < w; x += 8 {
			// Eight cells as eight bytes of one word.
			var eight uint64
			if x+8 <= w {
				eight = binary.LittleEndian.Uint64(row[x:])
			} else {
				for i := x; i < w; i++ {
					eight |= uint64(row[i]) << (8 * (i - x))
				}
			}
			if eight == 0 {
				continue
			}
			for p := range bits {
				// Gathers bit p of each byte: the multiplication moves the bit of
				// byte i to bit 56+i, and no two meet elsewhere that high.
				planes[p*plane+at+x/8] = byte((eight >> p & 0x0101010101010101) * 0x0102040810204080 >> 56)
			}
		}
	}
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
