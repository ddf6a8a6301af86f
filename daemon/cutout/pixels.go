package cutout

import (
	"fmt"
	"image"
	"image/color"
)

// pixels gives out a picture's pixels as non-premultiplied RGBA of 8 bits. It is
// read by several goroutines at once.
type pixels interface {
	size() (w, h int)
	gray() bool // every pixel is: R = G = B
	// read writes the pixels of the rectangle, row by row, into dst.
	read(dst []byte, x0, y0, x1, y1 int)
}

// pixelsOf wraps what a decoder gave, as a picture of w by h pixels: a GIF's or
// WebP's frame may cover a part, the rest is transparent.
func pixelsOf(img image.Image, w, h int, videoRange bool) (pixels, error) {
	at := img.Bounds().Min
	if p, ok := img.(placed); ok {
		img, at = p.Image, p.at
	}
	b := img.Bounds()
	var src pixels
	switch m := img.(type) {
	case *image.YCbCr:
		src = newYCC(m, videoRange)
	case *image.NYCbCrA:
		src = &yccAlpha{newYCC(&m.YCbCr, videoRange), m.A, m.AStride}
	case *image.Gray:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 1, true, func(d, s []byte) {
			for i, v := range s {
				q := d[4*i : 4*i+4 : 4*i+4]
				q[0], q[1], q[2], q[3] = v, v, v, 255
			}
		}}
	case *image.Gray16:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 2, true, func(d, s []byte) {
			for i := 0; i+1 < len(s); i += 2 {
				v := narrow(s[i], s[i+1])
				q := d[2*i : 2*i+4 : 2*i+4]
				q[0], q[1], q[2], q[3] = v, v, v, 255
			}
		}}
	case *image.Paletted:
		src = newPaletted(m)
	case *image.NRGBA:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 4, false, func(d, s []byte) { copy(d, s) }}
	case *image.RGBA:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 4, false, func(d, s []byte) {
			copy(d, s)
			for i := 3; i < len(s); i += 4 {
				if a := uint(s[i]); a != 255 && a != 0 {
					for c := i - 3; c < i; c++ {
						d[c] = uint8(min(255, (uint(s[c])*255+a/2)/a))
					}
				}
			}
		}}
	case *image.NRGBA64:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 8, false, func(d, s []byte) {
			for i := range d {
				d[i] = narrow(s[2*i], s[2*i+1])
			}
		}}
	case *image.RGBA64:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 8, false, func(d, s []byte) {
			for i := 0; i+3 < len(d); i += 4 {
				a := uint32(s[2*i+6])<<8 | uint32(s[2*i+7])
				for c := range 3 {
					v := uint32(s[2*i+2*c])<<8 | uint32(s[2*i+2*c+1])
					if a != 0 && a != 0xffff {
						v = min(0xffff, (v*0xffff+a/2)/a)
					}
					d[i+c] = narrow(byte(v>>8), byte(v))
				}
				d[i+3] = narrow(s[2*i+6], s[2*i+7])
			}
		}}
	case *image.CMYK:
		src = &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 4, false, func(d, s []byte) {
			for i := 0; i+3 < len(s); i += 4 {
				d[i], d[i+1], d[i+2] = color.CMYKToRGB(s[i], s[i+1], s[i+2], s[i+3])
				d[i+3] = 255
			}
		}}
	default:
		return nil, fmt.Errorf("a decoder gave a picture of unknown type %T", img)
	}
	if at == (image.Point{}) && b.Dx() == w && b.Dy() == h {
		return src, nil
	}
	return &canvas{src, w, h, at}, nil
}

// narrow rounds 16 bits to 8.
func narrow(hi, lo byte) uint8 { return uint8((uint32(hi)<<8 | uint32(lo) + 128) / 257) }

// flat is a plane of pixels of some bytes each, converted row by row.
type flat struct {
	w, h    int
	pix     []byte
	stride  int
	per     int
	isGray  bool
	convert func(dst, src []byte)
}

func (f *flat) size() (int, int) { return f.w, f.h }
func (f *flat) gray() bool       { return f.isGray }
func (f *flat) read(dst []byte, x0, y0, x1, y1 int) {
	n := 4 * (x1 - x0)
	for y := y0; y < y1; y++ {
		f.convert(dst[:n], f.pix[y*f.stride+f.per*x0:y*f.stride+f.per*x1])
		dst = dst[n:]
	}
}

// newPaletted looks the colours up once.
func newPaletted(m *image.Paletted) *flat {
	var table [256][4]byte
	gray := true
	for i, c := range m.Palette {
		if i > 255 {
			break
		}
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		table[i] = [4]byte{n.R, n.G, n.B, n.A}
		gray = gray && n.R == n.G && n.G == n.B
	}
	b := m.Bounds()
	return &flat{b.Dx(), b.Dy(), m.Pix, m.Stride, 1, gray, func(d, s []byte) {
		for i, v := range s {
			*(*[4]byte)(d[4*i:]) = table[v]
		}
	}}
}

// canvas is a picture of which the source covers a part.
type canvas struct {
	src  pixels
	w, h int
	at   image.Point
}

func (c *canvas) size() (int, int) { return c.w, c.h }
func (c *canvas) gray() bool       { return c.src.gray() }
func (c *canvas) read(dst []byte, x0, y0, x1, y1 int) {
	n := 4 * (x1 - x0)
	clear(dst[:n*(y1-y0)])
	sw, sh := c.src.size()
	in := image.Rect(x0, y0, x1, y1).Intersect(image.Rect(0, 0, sw, sh).Add(c.at))
	for y := in.Min.Y; y < in.Max.Y; y++ {
		at := (y-y0)*n + 4*(in.Min.X-x0)
		c.src.read(dst[at:at+4*in.Dx()], in.Min.X-c.at.X, y-c.at.Y, in.Max.X-c.at.X, y+1-c.at.Y)
	}
}

// oriented turns a picture as EXIF's orientation o asks.
func oriented(src pixels, o int) pixels {
	if o < 2 || o > 8 {
		return src
	}
	return &turned{src, o >= 5, o == 2 || o == 3 || o == 7 || o == 6, o == 3 || o == 4 || o == 7 || o == 8}
}

// turned shows at (x, y) the source's (y, x) if swapped, and that counted from the
// right or the bottom of what is shown if mirrored.
type turned struct {
	src                    pixels
	swap, mirrorX, mirrorY bool
}

func (t *turned) size() (int, int) {
	w, h := t.src.size()
	if t.swap {
		w, h = h, w
	}
	return w, h
}
func (t *turned) gray() bool { return t.src.gray() }
func (t *turned) read(dst []byte, x0, y0, x1, y1 int) {
	w, h := t.size()
	wide := x1 - x0
	// The rectangle before mirroring.
	mx0, mx1, my0, my1 := x0, x1, y0, y1
	if t.mirrorX {
		mx0, mx1 = w-x1, w-x0
	}
	if t.mirrorY {
		my0, my1 = h-y1, h-y0
	}
	sx0, sy0, sx1, sy1 := mx0, my0, mx1, my1
	if t.swap {
		sx0, sy0, sx1, sy1 = my0, mx0, my1, mx1
	}
	// A block of rows at a time: each read of the source has its cost.
	const block = 32
	sw := sx1 - sx0
	rows := make([]byte, 4*sw*min(block, sy1-sy0))
	for top := sy0; top < sy1; top += block {
		end := min(top+block, sy1)
		t.src.read(rows, sx0, top, sx1, end)
		for sy := top; sy < end; sy++ {
			row := rows[4*sw*(sy-top) : 4*sw*(sy-top+1)]
			for i := range sw {
				x, y := sx0+i, sy
				if t.swap {
					x, y = y, x
				}
				if t.mirrorX {
					x = w - 1 - x
				}
				if t.mirrorY {
					y = h - 1 - y
				}
				*(*[4]byte)(dst[4*((y-y0)*wide+x-x0):]) = *(*[4]byte)(row[4*i:])
			}
		}
	}
}

// reduced is a picture made smaller by a whole factor, each pixel the mean of a
// square, weighed by alpha.
func reduced(src pixels, most int) pixels {
	w, h := src.size()
	if most <= 0 || max(w, h) <= most {
		return src
	}
	k := (max(w, h) + most - 1) / most
	nw, nh := (w+k-1)/k, (h+k-1)/k
	out := make([]byte, 4*nw*nh)
	row := make([]byte, 4*w)
	sum := make([]uint64, 4*nw)
	for ny := range nh {
		clear(sum)
		for y := ny * k; y < min(h, ny*k+k); y++ {
			src.read(row, 0, y, w, y+1)
			for x := range w {
				p, s := row[4*x:4*x+4], sum[x/k*4:x/k*4+4]
				a := uint64(p[3])
				s[0] += a * uint64(p[0])
				s[1] += a * uint64(p[1])
				s[2] += a * uint64(p[2])
				s[3] += a
			}
		}
		for nx := range nw {
			s, p := sum[4*nx:4*nx+4], out[4*(ny*nw+nx):]
			n := uint64((min(w, nx*k+k) - nx*k) * (min(h, ny*k+k) - ny*k))
			if s[3] > 0 {
				for c := range 3 {
					p[c] = uint8((s[c] + s[3]/2) / s[3])
				}
			}
			p[3] = uint8((s[3] + n/2) / n)
		}
	}
	return &flat{nw, nh, out, 4 * nw, 4, src.gray(), func(d, s []byte) { copy(d, s) }}
}
