package cutout

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// load reads a picture from memory.
func load(t testing.TB, file []byte) *Picture {
	t.Helper()
	info, err := Probe(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(bytes.NewReader(file), info)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cut gives the result as a file and decoded.
func cut(t testing.TB, p *Picture, o Options) (*Plan, []byte, *image.NRGBA) {
	t.Helper()
	plan, err := p.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := plan.WritePNG(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return plan, b.Bytes(), decoded(t, b.Bytes())
}

func decoded(t testing.TB, file []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	n, ok := img.(*image.NRGBA)
	if !ok {
		t.Fatalf("the result is a %T", img)
	}
	return n
}

func encoded(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// over composes a channel over the background, as any program does: rounded.
func over(v, a, bg uint8) int { return (int(v)*int(a) + int(bg)*(255-int(a)) + 127) / 255 }

// worst is the greatest error a channel of the result composed over the
// background, beside the picture composed over it.
func worst(in []byte, out *image.NRGBA, bounds image.Rectangle, width int, bg Color) int {
	most := 0
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			p := in[4*((bounds.Min.Y+y)*width+bounds.Min.X+x):]
			q := out.Pix[y*out.Stride+4*x:]
			for c, b := range [3]uint8{bg.R, bg.G, bg.B} {
				most = max(most, abs(over(p[c], p[3], b)-over(q[c], q[3], b)))
			}
		}
	}
	return most
}

func TestDivision(t *testing.T) {
	m := newMatte(Color{}, 0)
	for a := uint64(1); a < 256; a++ {
		for n := uint64(0); n <= 255*255+127; n++ {
			if n*m.inv[a]>>32 != n/a {
				t.Fatalf("%d/%d is not %d", n, a, n*m.inv[a]>>32)
			}
		}
	}
}

// TestSmallestAlpha tries every alpha for random pixels: no smaller one explains the
// pixel within the error that is allowed, and the one that is found does.
func TestSmallestAlpha(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40_000 {
		bg := Color{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256))}
		switch rng.IntN(4) {
		case 0:
			bg = Color{255, 255, 255}
		case 1:
			bg = Color{0, 0, 0}
		}
		tol := rng.IntN(2) * rng.IntN(64)
		m := newMatte(bg, tol)
		p := []byte{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 255}
		if rng.IntN(2) == 0 {
			p[0], p[1], p[2] = uint8(int(bg.R)+rng.IntN(9)-4), uint8(int(bg.G)+rng.IntN(9)-4), uint8(int(bg.B)+rng.IntN(9)-4)
		}
		if rng.IntN(3) == 0 {
			p[3] = uint8(rng.IntN(256))
		}
		in := bytes.Clone(p)
		a := m.alpha(p)
		d := 0.0 // in levels
		for c, b := range m.bg {
			d = max(d, float64(in[3])*float64(abs(int(in[c])-b))/255)
		}
		allowed := float64(tol)
		if d > allowed {
			allowed = max(0, 2*float64(tol)-d)
		}
		explains := func(a int) bool {
			for c, b := range m.bg {
				n, room := float64(in[3])*float64(int(in[c])-b)/255, float64(255-b)
				if n < 0 {
					n, room = -n, float64(b)
				}
				if float64(a)/255*room < n-allowed-1e-9 {
					return false
				}
			}
			return true
		}
		if !explains(int(a)) || a > 0 && explains(int(a)-1) {
			t.Fatalf("background %v, tolerance %d, pixel %v: alpha %d", bg, tol, in, a)
		}
		if m.background(in) != (a == 0) {
			t.Fatalf("background %v, tolerance %d, pixel %v: alpha %d, but background is %v", bg, tol, in, a, m.background(in))
		}
		// Any greater alpha gives the picture back too.
		for _, a := range []uint8{a, a + uint8(rng.IntN(256-int(a))), max(a, in[3])} {
			q := bytes.Clone(in)
			m.unmix(q, a)
			for c, b := range m.bg {
				if off := abs(over(q[c], q[3], uint8(b)) - over(in[c], in[3], uint8(b))); off > max(1, tol) || tol == 0 && in[3] == 255 && off > 0 {
					t.Fatalf("background %v, tolerance %d, pixel %v at alpha %d: %v, off by %d", bg, tol, in, a, q, off)
				}
			}
		}
	}
}

// noise is a picture with a background, blobs and noise, of any size and alpha.
func noise(rng *rand.Rand, w, h int, bg Color, transparent bool) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = bg.R, bg.G, bg.B, 255
	}
	for range 1 + rng.IntN(6) {
		cx, cy, r := rng.Float64()*float64(w), rng.Float64()*float64(h), 1+rng.Float64()*float64(min(w, h))/3
		c := [3]float64{rng.Float64() * 255, rng.Float64() * 255, rng.Float64() * 255}
		hole := rng.IntN(2) == 0
		soft := 0.5 + 3*rng.Float64()
		for y := range h {
			for x := range w {
				d := (float64(x)-cx)*(float64(x)-cx) + (float64(y)-cy)*(float64(y)-cy)
				in := min(1, max(0, (r*r-d)/(2*r*soft)))
				if hole && d < r*r/4 {
					in = 0
				}
				p := m.Pix[m.PixOffset(x, y):]
				for k := range 3 {
					p[k] = uint8(float64(p[k])*(1-in) + c[k]*in + .5)
				}
			}
		}
	}
	amount := rng.IntN(8)
	for i := range m.Pix {
		if i&3 == 3 {
			if transparent && rng.IntN(3) == 0 {
				m.Pix[i] = uint8(rng.IntN(256))
			}
		} else if amount > 0 {
			m.Pix[i] = uint8(min(255, max(0, int(m.Pix[i])+rng.IntN(2*amount+1)-amount)))
		}
	}
	return m
}

// TestRecomposition holds the promise on random pictures under random options: at
// tolerance 0 within 1, at tolerance t within t, however the picture is cut.
func TestRecomposition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 50 {
		bg := Color{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256))}
		w, h := 1+rng.IntN(200), 1+rng.IntN(200)
		in := encoded(t, noise(rng, w, h, bg, round%3 == 0))
		p := load(t, in)
		o := Options{Color: &bg, Tolerance: rng.IntN(2) * rng.IntN(40), Border: rng.IntN(2) == 0, Trim: rng.IntN(3) == 0}
		if o.Trim {
			if _, err := p.Plan(t.Context(), o); err != nil {
				o.Trim = false
			}
		}
		plan, _, out := cut(t, p, o)
		if got := out.Bounds().Size(); got != plan.Bounds.Size() || !o.Trim && got != image.Pt(w, h) {
			t.Fatalf("%+v of %dx%d: the result is %v", o, w, h, got)
		}
		if off := worst(p.Pixels(), out, plan.Bounds, w, bg); off > max(1, o.Tolerance) {
			t.Fatalf("round %d, %dx%d, background %v, %+v: off by %d", round, w, h, bg, o, off)
		}
		if o.Trim {
			whole := o
			whole.Trim = false
			_, _, full := cut(t, p, whole)
			sub := full.SubImage(plan.Bounds).(*image.NRGBA)
			for y := range plan.Bounds.Dy() {
				if !bytes.Equal(sub.Pix[y*sub.Stride:y*sub.Stride+4*plan.Bounds.Dx()], out.Pix[y*out.Stride:y*out.Stride+4*plan.Bounds.Dx()]) {
					t.Fatalf("round %d: trimmed, row %d differs", round, y)
				}
			}
			for i := 3; i < len(full.Pix); i += 4 {
				if at := image.Pt(i/4%w, i/4/w); full.Pix[i] != 0 && !at.In(plan.Bounds) {
					t.Fatalf("round %d: %v is cut off by %v", round, at, plan.Bounds)
				}
			}
		}
	}
}

// TestFlood compares with a walk from pixel to pixel.
func TestFlood(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		w, h := 1+rng.IntN(150), 1+rng.IntN(40)
		pass := newBitmap(w, h)
		density := 0.4 + 0.5*rng.Float64()
		for y := range h {
			for x := range w {
				if rng.Float64() < density {
					pass.row(y)[x>>6] |= 1 << (x & 63)
				}
			}
		}
		if round == 0 { // a spiral of walls
			clear(pass.words)
			x, y, dx, dy := 0, 0, 1, 0
			for range w * h {
				pass.row(y)[x>>6] |= 1 << (x & 63)
				nx, ny := x+2*dx, y+2*dy
				if nx < 0 || ny < 0 || nx >= w || ny >= h || pass.has(nx, ny) {
					dx, dy = -dy, dx
				}
				if x+dx < 0 || y+dy < 0 || x+dx >= w || y+dy >= h {
					break
				}
				x, y = x+dx, y+dy
			}
		}
		want := map[[2]int]bool{}
		var stack [][2]int
		push := func(x, y int) {
			if x >= 0 && y >= 0 && x < w && y < h && pass.has(x, y) && !want[[2]int{x, y}] {
				want[[2]int{x, y}] = true
				stack = append(stack, [2]int{x, y})
			}
		}
		for x := range w {
			push(x, 0)
			push(x, h-1)
		}
		for y := range h {
			push(0, y)
			push(w-1, y)
		}
		for len(stack) > 0 {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			push(at[0]-1, at[1])
			push(at[0]+1, at[1])
			push(at[0], at[1]-1)
			push(at[0], at[1]+1)
		}
		got := pass.flooded()
		for y := range h {
			for x := range w {
				if got.has(x, y) != want[[2]int{x, y}] {
					t.Fatalf("round %d, %dx%d: (%d, %d) is %v", round, w, h, x, y, got.has(x, y))
				}
			}
		}
		x0, y0, x1, y1 := got.clearBounds()
		in := image.Rect(x0, y0, x1, y1)
		box := image.Rectangle{}
		for y := range h {
			for x := range w {
				if !want[[2]int{x, y}] {
					box = box.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		if in != box {
			t.Fatalf("round %d: the bounds are %v, want %v", round, in, box)
		}
	}
}

// ring is a black circle line with white inside and outside, antialiased, and a
// gray disc beside it.
func ring() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 120, 60))
	for y := range 60 {
		for x := range 120 {
			v, n := 0.0, 0.0
			for sy := range 4 {
				for sx := range 4 {
					fx, fy := float64(x)+float64(sx)/4, float64(y)+float64(sy)/4
					level := 255.0
					if d := (fx-30)*(fx-30) + (fy-30)*(fy-30); d < 400 && d > 361 {
						level = 0
					}
					if d := (fx-90)*(fx-90) + (fy-30)*(fy-30); d < 400 {
						level = 128
					}
					v, n = v+level, n+1
				}
			}
			m.SetNRGBA(x, y, color.NRGBA{uint8(v / n), uint8(v / n), uint8(v / n), 255})
		}
	}
	return m
}

// TestBorder: what the border does not reach stays as it is, and the object ends up
// solid with a soft edge.
func TestBorder(t *testing.T) {
	p := load(t, encoded(t, ring()))
	_, _, everywhere := cut(t, p, Options{Tolerance: 0})
	_, _, border := cut(t, p, Options{Tolerance: 0, Border: true})
	alpha := func(m *image.NRGBA, x, y int) uint8 { return m.NRGBAAt(x, y).A }
	if alpha(everywhere, 30, 30) != 0 || alpha(everywhere, 90, 30) != 127 || alpha(everywhere, 2, 2) != 0 {
		t.Errorf("everywhere: inside the ring %d, the disc %d, outside %d", alpha(everywhere, 30, 30), alpha(everywhere, 90, 30), alpha(everywhere, 2, 2))
	}
	if border.NRGBAAt(30, 30) != (color.NRGBA{255, 255, 255, 255}) || border.NRGBAAt(90, 30) != (color.NRGBA{128, 128, 128, 255}) || alpha(border, 2, 2) != 0 {
		t.Errorf("border: inside the ring %v, the disc %v, outside %d", border.NRGBAAt(30, 30), border.NRGBAAt(90, 30), alpha(border, 2, 2))
	}
	// Along the disc's edge: alpha rises without a white rim.
	soft := 0
	for x := 66; x < 80; x++ {
		for y := 15; y < 45; y++ {
			c := border.NRGBAAt(x, y)
			if c.A > 0 && c.A < 255 {
				soft++
			}
			if c.A > 8 && c.R > 140 {
				t.Errorf("a rim at (%d, %d): %v", x, y, c)
			}
		}
	}
	if soft < 10 {
		t.Errorf("only %d soft pixels along the disc", soft)
	}
}

// TestFeather: the edge fades from nothing to whole over the feather, and nothing
// else changes.
func TestFeather(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for y := range 64 {
		for x := range 64 {
			c := color.NRGBA{255, 255, 255, 255}
			if x >= 20 {
				c = color.NRGBA{0, 0, 0, 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	_, _, out := cut(t, load(t, encoded(t, m)), Options{Color: &Color{255, 255, 255}, Feather: 4})
	before := uint8(0)
	for x := range 64 {
		a := out.NRGBAAt(x, 32).A
		if a < before || x < 20 && a != 0 || x >= 24 && a != 255 || x > 20 && x < 24 && (a == 0 || a == 255) {
			t.Errorf("alpha %d at %d", a, x)
		}
		before = a
	}
	if out.NRGBAAt(63, 0).A != 255 || out.NRGBAAt(40, 63).A != 255 {
		t.Error("the object fades where the picture ends")
	}
}

// pngcheck has the results judged.
func pngcheck(t testing.TB, files ...[]byte) {
	t.Helper()
	tool := systemtest.Tool(t, "pngcheck", "pngcheck")
	for i, f := range files {
		cmd := exec.CommandContext(t.Context(), tool, "-v")
		cmd.Stdin = bytes.NewReader(f)
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("warning")) {
			t.Errorf("pngcheck of %d: %v\n%s", i, err, out)
		}
	}
}

// TestSizes writes results of awkward sizes, in colour and gray, and has pngcheck
// judge them.
func TestSizes(t *testing.T) {
	var files [][]byte
	rng := rand.New(rand.NewPCG(7, 8))
	for _, size := range [][2]int{{1, 1}, {1, 300}, {300, 1}, {64, 128}, {65, 129}, {3000, 17}, {7, 1000}, {16400, 33}} {
		w, h := size[0], size[1]
		gray := image.NewGray(image.Rect(0, 0, w, h))
		for i := range gray.Pix {
			gray.Pix[i] = uint8(rng.IntN(256))
		}
		white := Color{255, 255, 255}
		for _, img := range []image.Image{gray, noise(rng, min(w, 400), min(h, 400), white, false)} {
			p := load(t, encoded(t, img))
			_, file, out := cut(t, p, Options{Color: &white, Tolerance: 0})
			files = append(files, file)
			w, _ := p.Size()
			if off := worst(p.Pixels(), out, out.Bounds(), w, white); off > 0 {
				t.Errorf("%T of %v: off by %d", img, img.Bounds(), off)
			}
		}
		if kind := files[len(files)-2][25]; kind != 4 {
			t.Errorf("a gray picture's result has colour type %d", kind)
		}
	}
	pngcheck(t, files...)
}

// A result that cannot be written ends with the writer's error, and a context that
// ends stops the work.
func TestWriteErrors(t *testing.T) {
	p := load(t, encoded(t, noise(rand.New(rand.NewPCG(9, 9)), 200, 600, Color{9, 9, 9}, false)))
	plan, err := p.Plan(t.Context(), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		if err := plan.WritePNG(t.Context(), &shortWriter{n: n}); err == nil {
			t.Errorf("no error after %d writes", n)
		}
	}
	r, w := io.Pipe()
	r.Close()
	if err := plan.WritePNG(t.Context(), w); err == nil {
		t.Error("no error from a closed pipe")
	}
}

type shortWriter struct{ n int }

func (s *shortWriter) Write(b []byte) (int, error) {
	if s.n--; s.n < 0 {
		return 0, fmt.Errorf("the disk is full")
	}
	return len(b), nil
}
