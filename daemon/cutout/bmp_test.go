package cutout

import (
	"encoding/binary"
	"fmt"
	"image/color"
	"testing"
)

// bmpKind is a variety of BMP, as Windows and OS/2 have written them.
type bmpKind struct {
	header, bits int
	compression  uint32
	masks        [4]uint32
	topDown      bool
	colors       int // in the palette; 0: all
	gap          int // bytes between palette and pixels
}

// bmpPixel is the picture all kinds hold: what a kind cannot hold is rounded to it.
func bmpPixel(k bmpKind, x, y int) (index int, c color.NRGBA) {
	c = color.NRGBA{uint8(x * 7), uint8(y * 11), uint8((x + y) * 5), 255}
	if k.bits <= 8 {
		n := k.colors
		if n == 0 {
			n = 1 << k.bits
		}
		index = (x/3 + y*5) % n
		return index, bmpColor(index, n)
	}
	return 0, c
}

func bmpColor(i, n int) color.NRGBA {
	if n == 1 {
		return color.NRGBA{10, 20, 30, 255}
	}
	return color.NRGBA{uint8(255 * i / (n - 1)), uint8(255 - 200*i/(n-1)), uint8(i * 37), 255}
}

// bmpFile writes a picture of the kind.
func bmpFile(k bmpKind, w, h int) []byte {
	le := binary.LittleEndian
	info := make([]byte, k.header)
	le.PutUint32(info, uint32(k.header))
	height := int32(h)
	if k.topDown {
		height = -height
	}
	if k.header == 12 {
		le.PutUint16(info[4:], uint16(w))
		le.PutUint16(info[6:], uint16(h))
		le.PutUint16(info[8:], 1)
		le.PutUint16(info[10:], uint16(k.bits))
	} else {
		le.PutUint32(info[4:], uint32(w))
		le.PutUint32(info[8:], uint32(height))
		le.PutUint16(info[12:], 1)
		le.PutUint16(info[14:], uint16(k.bits))
		if k.header > 16 {
			le.PutUint32(info[16:], k.compression)
			le.PutUint32(info[32:], uint32(k.colors))
		}
		if k.header >= 52 && k.header != 64 && k.compression == 3 {
			for i, m := range k.masks {
				if 40+4*i < k.header {
					le.PutUint32(info[40+4*i:], m)
				}
			}
		}
	}
	if k.header == 40 && k.compression == 3 {
		for _, m := range k.masks[:3] {
			info = le.AppendUint32(info, m)
		}
	}
	if k.bits <= 8 {
		n := k.colors
		if n == 0 {
			n = 1 << k.bits
		}
		for i := range n {
			c := bmpColor(i, n)
			info = append(info, c.B, c.G, c.R)
			if k.header != 12 {
				info = append(info, 0)
			}
		}
	}
	info = append(info, make([]byte, k.gap)...)
	var pix []byte
	for row := range h {
		y := h - 1 - row
		if k.topDown {
			y = row
		}
		pix = append(pix, bmpRow(k, w, y, row == h-1)...)
	}
	file := []byte("BM\x00\x00\x00\x00\x00\x00\x00\x00")
	file = le.AppendUint32(file, uint32(14+len(info)))
	file = append(append(file, info...), pix...)
	le.PutUint32(file[2:], uint32(len(file)))
	return file
}

func bmpRow(k bmpKind, w, y int, last bool) []byte {
	var row []byte
	if k.compression == 1 || k.compression == 2 {
		for x := 0; x < w; {
			index, _ := bmpPixel(k, x, y)
			run := 1
			for x+run < w && run < 255 {
				if i, _ := bmpPixel(k, x+run, y); i != index {
					break
				}
				run++
			}
			if k.compression == 2 {
				index |= index << 4
			}
			if n := w - x; x%2 == 0 && n >= 3 && y%2 == 0 { // absolute, for a few
				n = min(n, 7)
				row = append(row, 0, byte(n))
				start := len(row)
				for i := 0; i < n; i++ {
					a, _ := bmpPixel(k, x+i, y)
					if k.compression == 2 {
						b := 0
						if i+1 < n {
							b, _ = bmpPixel(k, x+i+1, y)
						}
						a, i = a<<4|b, i+1
					}
					row = append(row, byte(a))
				}
				if (len(row)-start)%2 == 1 {
					row = append(row, 0)
				}
				x += n
				continue
			}
			row = append(row, byte(run), byte(index))
			x += run
		}
		if last {
			return append(row, 0, 1)
		}
		return append(row, 0, 0)
	}
	var acc, have uint32
	for x := range w {
		index, c := bmpPixel(k, x, y)
		switch k.bits {
		case 24:
			row = append(row, c.B, c.G, c.R)
		case 16, 32:
			v := uint32(0)
			masks := k.masks
			if masks == [4]uint32{} {
				masks = [4]uint32{0xff0000, 0xff00, 0xff}
				if k.bits == 16 {
					masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
				}
			}
			for i, ch := range []uint8{c.R, c.G, c.B, c.A} {
				if m := masks[i]; m != 0 {
					shift := 0
					for m>>shift&1 == 0 {
						shift++
					}
					most := m >> shift
					v |= (uint32(ch)*most + 127) / 255 << shift
				}
			}
			row = binary.LittleEndian.AppendUint32(row, v)[:len(row)+k.bits/8]
		default:
			acc, have = acc<<k.bits|uint32(index), have+uint32(k.bits)
			if have == 8 {
				row = append(row, byte(acc))
				acc, have = 0, 0
			}
		}
	}
	if have > 0 {
		row = append(row, byte(acc<<(8-have)))
	}
	for len(row)%4 != 0 {
		row = append(row, 0)
	}
	return row
}

// TestBMP reads every kind that is in use, those of the good files of bmpsuite
// included, and refuses each when it is cut short.
func TestBMP(t *testing.T) {
	rgb565, rgb888 := [4]uint32{0xf800, 0x7e0, 0x1f}, [4]uint32{0xff0000, 0xff00, 0xff}
	kinds := []bmpKind{
		{header: 12, bits: 1}, {header: 12, bits: 4}, {header: 12, bits: 8}, {header: 12, bits: 24},
		{header: 40, bits: 1}, {header: 40, bits: 1, colors: 2}, {header: 40, bits: 1, colors: 1}, {header: 40, bits: 2}, {header: 40, bits: 4}, {header: 40, bits: 4, colors: 12},
		{header: 40, bits: 8}, {header: 40, bits: 8, colors: 252}, {header: 40, bits: 8, colors: 252, topDown: true}, {header: 40, bits: 8, gap: 100},
		{header: 40, bits: 4, compression: 2, colors: 12}, {header: 40, bits: 8, compression: 1, colors: 252},
		{header: 40, bits: 16}, {header: 40, bits: 16, compression: 3, masks: rgb565}, {header: 40, bits: 16, compression: 3, masks: [4]uint32{0x7c00, 0x3e0, 0x1f}},
		{header: 40, bits: 24}, {header: 40, bits: 24, topDown: true}, {header: 40, bits: 24, gap: 1000}, {header: 40, bits: 32}, {header: 40, bits: 32, compression: 3, masks: rgb888},
		{header: 40, bits: 32, compression: 3, masks: [4]uint32{0xff000000, 0xff0000, 0xff00}}, {header: 40, bits: 32, compression: 3, masks: [4]uint32{0x3ff00000, 0xffc00, 0x3ff}},
		{header: 52, bits: 32, compression: 3, masks: rgb888}, {header: 56, bits: 32, compression: 3, masks: [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}},
		{header: 64, bits: 8}, {header: 64, bits: 24}, {header: 16, bits: 8}, {header: 16, bits: 24},
		{header: 108, bits: 8, colors: 252}, {header: 108, bits: 24}, {header: 124, bits: 8, colors: 252}, {header: 124, bits: 24}, {header: 124, bits: 16, compression: 3, masks: rgb565},
		{header: 124, bits: 32, compression: 3, masks: [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}}, {header: 124, bits: 16, compression: 3, masks: [4]uint32{0xf00, 0xf0, 0xf, 0xf000}},
	}
	for _, k := range kinds {
		for _, w := range []int{1, 31, 124, 125, 126, 127} {
			const h = 13
			name := fmt.Sprintf("%+v, %d wide", k, w)
			file := bmpFile(k, w, h)
			p, err := tryLoad(file)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			if gotW, gotH := p.Size(); gotW != w || gotH != h {
				t.Errorf("%s: %d by %d", name, gotW, gotH)
				break
			}
			step := 0 // of what the kind cannot hold
			if k.bits == 16 {
				step = 9
			}
			pix := p.Pixels()
			for i := 0; i < len(pix); i += 4 {
				x, y := i/4%w, i/4/w
				_, c := bmpPixel(k, x, y)
				if abs(int(pix[i])-int(c.R)) > step || abs(int(pix[i+1])-int(c.G)) > step || abs(int(pix[i+2])-int(c.B)) > step || pix[i+3] != c.A {
					t.Errorf("%s: at (%d, %d) %v, want %v", name, x, y, pix[i:i+4], c)
					break
				}
			}
			if _, err := tryLoad(file[:len(file)-3]); err == nil && k.compression != 1 && k.compression != 2 {
				t.Errorf("%s: cut short, it is read", name)
			}
		}
	}
}
