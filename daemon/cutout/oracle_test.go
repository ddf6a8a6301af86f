package cutout

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// wallpapers is the folder of Debian's ukui-wallpapers: photographs and paintings in
// JPEG and PNG, of 9 megapixels each.
func wallpapers(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("/usr/share/backgrounds/*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		if ext := filepath.Ext(name); ext == ".jpg" || ext == ".png" {
			out = append(out, name)
		}
	}
	if _, err := os.Stat("/usr/share/backgrounds/goldfish.png"); err != nil {
		systemtest.Missing(t, "there are no wallpapers in /usr/share/backgrounds (apt-get install ukui-wallpapers)")
	}
	return out
}

// TestWallpapers holds the promise of the recomposition on real pictures.
func TestWallpapers(t *testing.T) {
	var results [][]byte
	for i, name := range wallpapers(t) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := load(t, file)
		if i%2 == 1 {
			continue // half of them are as many as a test has time for
		}
		const size = 500
		whole := size
		if i == 0 {
			whole = 1500 // one of them larger, of many strips
		}
		for _, o := range []Options{
			{Tolerance: 0, Size: whole},
			{Tolerance: AutoTolerance, Size: size, Border: true},
			{Tolerance: 40, Size: size, Color: &Color{uint8(31 * i), 128, uint8(255 - 20*i)}},
		} {
			plan, file, out := cut(t, p, o)
			w, _ := plan.src.size()
			in := (&Picture{pixels: plan.src}).Pixels()
			if off := worst(in, out, plan.Bounds, w, plan.Background.Color); off > max(1, plan.Tolerance) {
				t.Errorf("%s, %+v, background %v, tolerance %d: off by %d", name, o, plan.Background.Color, plan.Tolerance, off)
			}
			results = append(results, file)
		}
	}
	pngcheck(t, results...)
}

// TestBesideGEGL compares with GIMP's colour to alpha, which calculates in floating
// point and writes 16 bits: our alpha is its alpha rounded up, our colour is its colour
// as exactly as that alpha lets 8 bits be.
func TestBesideGEGL(t *testing.T) {
	gegl := systemtest.Tool(t, "gegl", "gegl")
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(31, 32))
	file, err := os.ReadFile(wallpapers(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	photo := load(t, file)
	small := reduced(photo.pixels, 500)
	w, h := small.size()
	img := &image.NRGBA{Pix: make([]byte, 4*w*h), Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
	small.read(img.Pix, 0, 0, w, h)
	for i, c := range []struct {
		img *image.NRGBA
		bg  Color
	}{
		{img, Color{255, 255, 255}}, {img, Color{0, 0, 0}}, {noise(rng, 200, 150, Color{12, 180, 99}, false), Color{12, 180, 99}},
	} {
		in, out := filepath.Join(dir, fmt.Sprintf("in%d.png", i)), filepath.Join(dir, fmt.Sprintf("out%d.png", i))
		if err := os.WriteFile(in, encoded(t, c.img), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), gegl, in, "-o", out, "--", "color-to-alpha", "color="+c.bg.String())
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gegl: %v\n%s", err, said)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		want, ok := theirs.(*image.NRGBA64)
		if !ok {
			t.Fatalf("gegl wrote a %T", theirs)
		}
		_, _, got := cut(t, load(t, encoded(t, c.img)), Options{Color: &c.bg, Tolerance: 0})
		bad := 0
		for y := range got.Rect.Dy() {
			for x := range got.Rect.Dx() {
				o := got.NRGBAAt(x, y)
				g := want.At(x, y).(color.NRGBA64)
				up := float64(o.A) - float64(g.A)/257 // in levels
				ok := up > -0.01 && up < 1.01
				if o.A > 0 && g.A > 0 {
					for _, ch := range [][3]float64{
						{float64(o.R), float64(g.R) / 257, float64(c.bg.R)}, {float64(o.G), float64(g.G) / 257, float64(c.bg.G)}, {float64(o.B), float64(g.B) / 257, float64(c.bg.B)},
					} {
						// Both explain the pixel: what they add to the background is the same, but
						// for half a level of ours and what its 16 bits leave.
						add, theirs := float64(o.A)*(ch[0]-ch[2])/255, float64(g.A)/257*(ch[1]-ch[2])/255
						ok = ok && add-theirs < 0.6 && theirs-add < 0.6
					}
				}
				if !ok {
					if bad++; bad < 4 {
						t.Errorf("%d: at (%d, %d) of %v over %v: ours %v, gegl's %v", i, x, y, c.img.NRGBAAt(x, y), c.bg, o, g)
					}
				}
			}
		}
		if bad > 0 {
			t.Errorf("%d: %d of %d pixels differ", i, bad, got.Rect.Dx()*got.Rect.Dy())
		}
	}
}
