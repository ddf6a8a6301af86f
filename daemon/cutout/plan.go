package cutout

import (
	"context"
	"fmt"
	"image"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// reach is over how many pixels an edge may climb from the background to the
// object: optics, scaling and codecs blur it over a few.
const reach = 6

// Plan is a picture with everything about its cutting decided.
type Plan struct {
	Background Background      // estimated, or the colour that the options name, with Share 1
	Tolerance  int             // that is used
	Bounds     image.Rectangle // of the result in the picture; smaller when trimmed

	src     pixels
	space   colorSpace
	m       *matte
	feather int
	border  bool
	gone    *bitmap // fully transparent pixels; nil when nothing asks for it
}

// Plan estimates what the options leave open and finds what is removed.
func (p *Picture) Plan(ctx context.Context, o Options) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	src := reduced(p.pixels, o.Size)
	w, h := src.size()
	plan := &Plan{Tolerance: o.Tolerance, Bounds: image.Rect(0, 0, w, h), src: src, space: p.Info.space, feather: o.Feather, border: o.Border}
	var err error
	if o.Color == nil || o.Tolerance == AutoTolerance {
		// Of the picture as it is, so that what is estimated does not depend on the size.
		plan.Background, err = estimate(p.pixels, p.Info.Lossy)
	}
	if o.Color != nil {
		if err != nil || distance([3]uint8{o.Color.R, o.Color.G, o.Color.B}, [3]int{int(plan.Background.Color.R), int(plan.Background.Color.G), int(plan.Background.Color.B)}) > near {
			plan.Background.Tolerance = 0 // the border says nothing about this colour
			if p.Info.Lossy {
				plan.Background.Tolerance = 6
			}
		}
		plan.Background.Color, plan.Background.Share = *o.Color, 1
	} else if err != nil {
		return nil, err
	}
	if plan.Tolerance == AutoTolerance {
		plan.Tolerance = plan.Background.Tolerance
	}
	plan.m = newMatte(plan.Background.Color, plan.Tolerance)
	if o.Border || o.Feather > 0 || o.Trim {
		if plan.gone, err = plan.removed(ctx); err != nil {
			return nil, err
		}
		if o.Border {
			plan.gone = plan.gone.flooded()
		}
		if o.Trim {
			x0, y0, x1, y1 := plan.gone.clearBounds()
			if x1 == 0 {
				return nil, &Refusal{"the whole picture is background: nothing would be left of it", "lower the tolerance, or name another colour"}
			}
			plan.Bounds = image.Rect(x0, y0, x1, y1)
		}
	}
	return plan, nil
}

// removed marks the pixels within the tolerance of the background.
func (p *Plan) removed(ctx context.Context) (*bitmap, error) {
	w, h := p.src.size()
	b := newBitmap(w, h)
	rows := stripRows(w)
	err := inStrips(ctx, (h+rows-1)/rows, func() func(int) {
		buf := make([]byte, 4*w*rows)
		return func(i int) {
			y0, y1 := i*rows, min(h, i*rows+rows)
			p.src.read(buf, 0, y0, w, y1)
			at := buf
			for y := y0; y < y1; y++ {
				row := b.row(y)
				for x := range w {
					if p.m.background(at[4*x : 4*x+4 : 4*x+4]) {
						row[x>>6] |= 1 << (x & 63)
					}
				}
				at = at[4*w:]
			}
		}
	})
	return b, err
}

// stripRows is how many rows of that width are worked on at a time: about 64 KiB to
// 1 MiB of pixels.
func stripRows(w int) int { return max(16, min(128, (256<<10)/(4*w))) }

// inStrips calls the function that each worker makes for itself with every number
// below n.
func inStrips(ctx context.Context, n int, worker func() func(i int)) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			f := worker()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wait.Wait()
	return ctx.Err()
}

// cutter cuts strips; each worker has its own.
type cutter struct {
	p     *Plan
	x0, w int     // columns that are read: the result's and a margin
	buf   []byte  // pixels as they are
	alpha []uint8 // the smallest alpha of each, for the margins too
	taken []bool  // flooded, or reached from there
	edge  []int32 // what is reached, in the order of the steps
}

// margin is how many pixels around a pixel decide about it.
func (p *Plan) margin() int {
	if p.border {
		return reach
	}
	return 0
}

// strip gives the cut rows y0 to y1 of the picture, of the columns of Bounds, in
// RGBA; they are overwritten by the next call.
func (c *cutter) strip(y0, y1 int) []byte {
	p := c.p
	w, h := p.src.size()
	k := p.margin()
	x0, x1 := max(0, p.Bounds.Min.X-k), min(w, p.Bounds.Max.X+k)
	top, bottom := max(0, y0-k), min(h, y1+k)
	c.x0, c.w = x0, x1-x0
	if n := 4 * c.w * (bottom - top); cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:4*c.w*(bottom-top)]
	p.src.read(c.buf, x0, top, x1, bottom)
	out := c.buf
	if !p.border {
		for i := 0; i+4 <= len(out); i += 4 {
			q := out[i : i+4 : i+4]
			p.m.unmix(q, p.m.alpha(q))
		}
	} else {
		c.cutBorder(top, bottom, y0, y1)
		out = out[4*c.w*(y0-top) : 4*c.w*(y1-top)]
	}
	if p.feather > 0 {
		c.fade(out, y0, y1)
	}
	return c.crop(out, y1-y0)
}

// cutBorder takes away what the flood reached and unmixes the edge above it.
//
// From the flooded pixels the edge is climbed for at most reach steps, each to a
// neighbour of greater alpha: a background-coloured pixel behind a thin line lies
// lower and is not reached. What is reached mixes the background with the object
// beside it: its alpha is its own smallest one in proportion to the greatest around,
// so that a gray object ends up as solid as a black one. Where even the greatest is
// hardly more than the tolerance there is no object but noise, which stays faint.
func (c *cutter) cutBorder(top, bottom, y0, y1 int) {
	p, w, n := c.p, c.w, bottom-top
	if cap(c.alpha) < w*n {
		c.alpha, c.taken = make([]uint8, w*n), make([]bool, w*n)
	}
	alpha, taken := c.alpha[:w*n], c.taken[:w*n]
	edge := c.edge[:0]
	for y := range n {
		row := p.gone.row(top + y)
		above, below := p.gone.row(max(top+y-1, 0)), p.gone.row(min(top+y+1, p.gone.h-1))
		for x := range w {
			i, at := y*w+x, c.x0+x
			word, bit := at>>6, at&63
			if row[word]>>bit&1 != 0 {
				alpha[i], taken[i] = 0, true
				continue
			}
			alpha[i], taken[i] = p.m.alpha(c.buf[4*i:4*i+4:4*i+4]), false
			// Beside the flood, all of whose pixels have alpha 0?
			if alpha[i] == 0 {
				continue
			}
			near := row[word] | above[word] | below[word]
			touches := false
			if bit > 0 && bit < 63 {
				touches = near>>(bit-1)&7 != 0
			} else {
				for k := max(at-1, 0); k <= min(at+1, p.gone.w-1); k++ {
					touches = touches || (row[k>>6]|above[k>>6]|below[k>>6])>>(k&63)&1 != 0
				}
			}
			if touches {
				edge = append(edge, int32(i))
			}
		}
	}
	for _, i := range edge {
		taken[i] = true
	}
	around := func(i int32, k int) (x0, x1, y0, y1 int) {
		x, y := int(i)%w, int(i)/w
		return max(0, x-k), min(w, x+k+1), max(0, y-k), min(n, y+k+1)
	}
	front := 0
	for step := 2; step <= reach; step++ {
		end := len(edge)
		for _, i := range edge[front:end] {
			ax0, ax1, ay0, ay1 := around(i, 1)
			for y := ay0; y < ay1; y++ {
				for k := y*w + ax0; k < y*w+ax1; k++ {
					if !taken[k] && alpha[k] > alpha[i] {
						taken[k] = true
						edge = append(edge, int32(k))
					}
				}
			}
		}
		front = end
	}
	c.edge = edge
	for i := (y0 - top) * w; i < (y1-top)*w; i++ {
		if taken[i] && alpha[i] == 0 {
			p.m.unmix(c.buf[4*i:4*i+4:4*i+4], 0)
		}
	}
	least := uint8(min(128, 8*p.Tolerance))
	for _, i := range edge {
		if y := int(i)/w + top; y < y0 || y >= y1 {
			continue
		}
		most := max(alpha[i], least)
		ax0, ax1, ay0, ay1 := around(i, reach)
		for y := ay0; y < ay1; y++ {
			for _, a := range alpha[y*w+ax0 : y*w+ax1] {
				most = max(most, a)
			}
		}
		q := c.buf[4*i : 4*i+4 : 4*i+4]
		a := (int(q[3])*int(alpha[i]) + int(most) - 1) / int(most)
		p.m.unmix(q, max(alpha[i], uint8(a)))
	}
}

// fade lowers the alpha of what lies within the feather of a removed pixel: to
// nothing at the edge, not at all a feather's breadth inside. The share of kept
// pixels in the square around decides; beyond the picture goes on as at its rim.
func (c *cutter) fade(out []byte, y0, y1 int) {
	p := c.p
	f := p.feather
	w, h := p.src.size()
	side := 2*f + 1
	total := uint32(side * side)
	column := make([]uint32, w) // kept pixels of each column within the square's rows
	add := func(y int, sign uint32) {
		row := p.gone.row(min(max(y, 0), h-1))
		for x := range column {
			column[x] += sign * uint32(^row[x>>6]>>(x&63)&1)
		}
	}
	for y := y0 - f; y < y0+f; y++ {
		add(y, 1)
	}
	for y := y0; y < y1; y++ {
		add(y+f, 1)
		sum := uint32(0)
		for x := c.x0 - f; x < c.x0+f; x++ {
			sum += column[min(max(x, 0), w-1)]
		}
		row := out[4*c.w*(y-y0):]
		for x := range c.w {
			at := c.x0 + x
			sum += column[min(at+f, w-1)]
			if a := uint32(row[4*x+3]); a != 0 {
				kept := uint32(0)
				if 2*sum > total {
					kept = 2*sum - total
				}
				if a = (a*kept + total - 1) / total; a == 0 {
					clear(row[4*x : 4*x+4])
				}
				row[4*x+3] = uint8(a)
			}
			sum -= column[max(at-f, 0)]
		}
		add(y-f, ^uint32(0))
	}
}

// crop moves the rows of Bounds together.
func (c *cutter) crop(out []byte, rows int) []byte {
	left, n := c.p.Bounds.Min.X-c.x0, c.p.Bounds.Dx()
	if n == c.w {
		return out
	}
	for y := range rows {
		copy(out[4*n*y:4*n*(y+1)], out[4*(c.w*y+left):])
	}
	return out[:4*n*rows]
}

// WritePNG cuts the picture and writes the result as it comes.
func (p *Plan) WritePNG(ctx context.Context, w io.Writer) error {
	gray := p.src.gray() && p.Background.Color.gray()
	err := writePNG(ctx, w, pngImage{
		width: p.Bounds.Dx(), height: p.Bounds.Dy(), gray: gray, chunks: p.space.png(gray),
		strips: func() func(y0, y1 int) []byte {
			c := &cutter{p: p}
			return func(y0, y1 int) []byte { return c.strip(p.Bounds.Min.Y+y0, p.Bounds.Min.Y+y1) }
		},
	})
	if err != nil {
		return fmt.Errorf("writing the PNG: %w", err)
	}
	return nil
}
