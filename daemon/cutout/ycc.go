package cutout

import "image"

// ycc is a picture in luma and chroma, as JPEG and WebP leave it. Chroma of half
// the width is interpolated, as libjpeg does: taking the nearest sample would draw
// steps along coloured edges, which is where a cut-out is looked at.
type ycc struct {
	m          *image.YCbCr
	w, h       int
	sx, sy     int // luma samples a chroma sample
	y0         int // of black, 0 or 16
	ky         int // gain of luma, in 65536ths
	rv, gu, gv int
	bu         int
}

func newYCC(m *image.YCbCr, videoRange bool) *ycc {
	y := &ycc{m: m, w: m.Rect.Dx(), h: m.Rect.Dy(), sx: 1, sy: 1, ky: 65536, rv: 91881, gu: 22554, gv: 46802, bu: 116130}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		y.sx = 2
	case image.YCbCrSubsampleRatio420:
		y.sx, y.sy = 2, 2
	case image.YCbCrSubsampleRatio440:
		y.sy = 2
	case image.YCbCrSubsampleRatio411:
		y.sx = 4
	case image.YCbCrSubsampleRatio410:
		y.sx, y.sy = 4, 2
	}
	if videoRange { // WebP: luma 16 to 235, chroma 16 to 240
		y.y0, y.ky, y.rv, y.gu, y.gv, y.bu = 16, 76309, 104597, 25674, 53279, 132201
	}
	return y
}

func (y *ycc) size() (int, int) { return y.w, y.h }
func (y *ycc) gray() bool       { return false }

func (y *ycc) read(dst []byte, x0, y0, x1, y1 int) {
	wide := x1 - x0
	cw := (y.w + y.sx - 1) / y.sx
	ch := (y.h + y.sy - 1) / y.sy
	// A chroma row, in 16ths where interpolated both ways, of the columns needed.
	c0, c1 := max(0, x0/y.sx-1), min(cw, (x1-1)/y.sx+2)
	n := c1 - c0
	buf := make([]int16, 2*n+2*wide)
	vb, vr, ub, ur := buf[:n], buf[n:2*n], buf[2*n:2*n+wide], buf[2*n+wide:]
	for row := y0; row < y1; row++ {
		luma := y.m.Y[row*y.m.YStride+x0 : row*y.m.YStride+x1]
		cy := row / y.sy
		near := cy * y.m.CStride
		far := near
		if y.sy == 2 {
			// Each row lies a quarter off its own chroma row, towards a neighbour.
			other := cy - 1
			if row&1 == 1 {
				other = cy + 1
			}
			far = min(max(other, 0), ch-1) * y.m.CStride
		}
		cb, cr := y.m.Cb[near+c0:near+c1], y.m.Cr[near+c0:near+c1]
		fb, fr := y.m.Cb[far+c0:far+c1], y.m.Cr[far+c0:far+c1]
		for i := range vb {
			vb[i] = 3*int16(cb[i]) + int16(fb[i])
			vr[i] = 3*int16(cr[i]) + int16(fr[i])
		}
		switch y.sx {
		case 1:
			for i := range ub {
				ub[i], ur[i] = (vb[x0-c0+i]+2)>>2, (vr[x0-c0+i]+2)>>2
			}
		case 2:
			spread(ub, vb, x0, c0)
			spread(ur, vr, x0, c0)
		default:
			for i := range ub {
				c := (x0+i)/y.sx - c0
				ub[i], ur[i] = (vb[c]+2)>>2, (vr[c]+2)>>2
			}
		}
		y.convert(dst[:4*wide], luma, ub, ur)
		dst = dst[4*wide:]
	}
}

// spread doubles a row of chroma in 4ths: each sample three quarters of its own
// and one of the neighbour on its side, with libjpeg's alternating rounding.
func spread(dst, src []int16, x0, c0 int) {
	last := len(src) - 1
	for i := range dst {
		x := x0 + i
		c := x>>1 - c0
		if x&1 == 0 {
			dst[i] = (3*src[c] + src[max(c-1, 0)] + 8) >> 4
		} else {
			dst[i] = (3*src[c] + src[min(c+1, last)] + 7) >> 4
		}
	}
}

func (y *ycc) convert(dst, luma []byte, cb, cr []int16) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	ky, rv, gu, gv, bu, black := int32(y.ky), int32(y.rv), int32(y.gu), int32(y.gv), int32(y.bu), int32(y.y0)
	for i, l := range luma {
		u, v := int32(cb[i])-128, int32(cr[i])-128
		yy := (int32(l)-black)*ky + 32768
		p := dst[4*i : 4*i+4 : 4*i+4]
		p[0] = clamp((yy + rv*v) >> 16)
		p[1] = clamp((yy - gu*u - gv*v) >> 16)
		p[2] = clamp((yy + bu*u) >> 16)
		p[3] = 255
	}
}

func clamp(v int32) uint8 {
	if uint32(v) <= 255 {
		return uint8(v)
	}
	return uint8(^(v >> 31)) // 0 below, 255 above
}

// yccAlpha is a WebP with alpha.
type yccAlpha struct {
	*ycc
	a      []byte
	stride int
}

func (y *yccAlpha) read(dst []byte, x0, y0, x1, y1 int) {
	y.ycc.read(dst, x0, y0, x1, y1)
	i := 3
	for row := y0; row < y1; row++ {
		for _, a := range y.a[row*y.stride+x0 : row*y.stride+x1] {
			dst[i] = a
			i += 4
		}
	}
}
