//go:build long

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/draw"

	"github.com/sierpi/sierpi/daemon/cutout"
	"github.com/sierpi/sierpi/system/systemtest"
)

// cutoutPeer is a program that makes white transparent.
type cutoutPeer struct {
	name   string
	unmix  bool // it takes the white out of the colours; the others only mark pixels
	tools  []string
	steps  func(in, out, dir string) [][]string
	source string // whose decoder it reads the picture with: "go" or "libjpeg"
}

// pilScript is colour to alpha with PIL and numpy, rounded as we round, in strips
// as its author would who minds memory.
const pilScript = `
import sys
import numpy
from PIL import Image
picture = Image.open(sys.argv[1]).convert("RGB")
pixels = numpy.asarray(picture)
out = numpy.empty(pixels.shape[:2] + (4,), numpy.uint8)
for y in range(0, pixels.shape[0], 256):
    d = 255 - pixels[y:y+256].astype(numpy.float32)
    a = d.max(axis=2)
    d *= (255 / numpy.maximum(a, 1))[..., None]
    out[y:y+256, :, :3] = 255 - numpy.minimum(numpy.rint(d), 255)
    out[y:y+256, :, 3] = a
Image.fromarray(out, "RGBA").save(sys.argv[2])
`

func cutoutPeers(self string) []cutoutPeer {
	one := func(args ...string) func(in, out, dir string) [][]string {
		return func(in, out, _ string) [][]string {
			step := slices.Clone(args)
			for i, a := range step {
				step[i] = strings.NewReplacer("IN", in, "OUT", out).Replace(a)
			}
			return [][]string{step}
		}
	}
	return []cutoutPeer{
		{"sierpi", true, nil, one(self, "cutout", "--color", "white", "--tolerance", "0", "--force", "IN", "--output", "OUT"), "go"},
		{"PIL 9.4 and numpy", true, []string{"/usr/bin/python3"}, one("/usr/bin/python3", "-c", pilScript, "IN", "OUT"), "libjpeg"},
		{"gegl 0.4, color-to-alpha", true, []string{"gegl"}, one("gegl", "IN", "-o", "OUT", "--", "color-to-alpha", "color=white"), "libjpeg"},
		{"ImageMagick 6, divided", true, []string{"convert"}, one("convert", "IN", "-negate", "(", "+clone", "-separate", "-evaluate-sequence", "max", ")",
			"(", "-clone", "1", "-clone", "0", "-compose", "DivideDst", "-composite", "-negate", ")", "-delete", "0", "+swap", "-alpha", "off", "-compose", "CopyOpacity", "-composite", "-depth", "8", "PNG32:OUT"), "libjpeg"},
		{"vips 8.14, in steps", true, []string{"vips"}, func(in, out, dir string) [][]string {
			f := func(n string) string { return filepath.Join(dir, n+".v") }
			return [][]string{
				{"vips", "invert", in, f("d")},
				{"vips", "extract_band", f("d"), f("r"), "0"}, {"vips", "extract_band", f("d"), f("g"), "1"}, {"vips", "extract_band", f("d"), f("b"), "2"},
				{"vips", "bandrank", f("r") + " " + f("g") + " " + f("b"), f("a"), "--index", "2"},
				{"vips", "divide", f("d"), f("a"), f("q")},
				{"vips", "linear", f("q"), f("s"), "255", "0.5", "--uchar"},
				{"vips", "invert", f("s"), f("f")},
				{"vips", "bandjoin", f("f") + " " + f("a"), f("o")},
				{"vips", "copy", f("o"), out},
			}
		}, "libjpeg"},
		{"ImageMagick 6, -fuzz 5%", false, []string{"convert"}, one("convert", "IN", "-fuzz", "5%", "-transparent", "white", "PNG32:OUT"), "libjpeg"},
		{"GraphicsMagick 1.4, -fuzz 5%", false, []string{"gm"}, one("gm", "convert", "IN", "-fuzz", "5%", "-transparent", "white", "PNG32:OUT"), "libjpeg"},
	}
}

// TestCutout runs the comparison of docs/benchmarks.md. It needs, beside a Debian:
// apt-get install python3-pil python3-numpy gegl imagemagick graphicsmagick libvips-tools libjpeg-turbo-progs ukui-wallpapers
func TestCutout(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "sierpi")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", self, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const need = "apt-get install python3-pil python3-numpy gegl imagemagick graphicsmagick libvips-tools libjpeg-turbo-progs ukui-wallpapers"
	peers := cutoutPeers(self)
	for _, p := range peers {
		for _, tool := range p.tools {
			if _, err := exec.LookPath(tool); err != nil {
				t.Fatalf("%s is not there: %s", tool, need)
			}
		}
	}
	photo, logo := filepath.Join(dir, "photo.jpg"), filepath.Join(dir, "logo.png")
	if err := makePhoto("/usr/share/backgrounds/rhythm.jpg", photo); err != nil {
		t.Fatalf("%v: %s", err, need)
	}
	if err := makeLogo(logo); err != nil {
		t.Fatal(err)
	}
	for _, in := range []struct{ what, path string }{
		{"a photograph of 12 megapixels, JPEG of baseline 4:2:0", photo},
		{"a logo of 2 megapixels, PNG", logo},
	} {
		sources := map[string][]byte{}
		var err error
		if sources["go"], err = goPixels(in.path); err != nil {
			t.Fatal(err)
		}
		if sources["libjpeg"], err = libjpegPixels(in.path, dir); err != nil {
			t.Fatalf("%v: %s", err, need)
		}
		fmt.Printf("%s (%.1f MB):\n\n", strings.ToUpper(in.what[:1])+in.what[1:], float64(fileSize(in.path))/1e6)
		fmt.Println("| | unmixes | seconds | CPU seconds | x sierpi | x by CPU | peak MB | result MB | worst error |")
		fmt.Println("|---|---|---|---|---|---|---|---|---|")
		times := make([][]float64, len(peers))
		cpus := make([][]float64, len(peers))
		peaks := make([]int64, len(peers))
		out := func(i int) string { return filepath.Join(dir, fmt.Sprintf("out%d.png", i)) }
		for range 3 { // in turns: what else the machine does hits all
			for i, p := range peers {
				began, cpu := time.Now(), 0.0
				for _, step := range p.steps(in.path, out(i), dir) {
					// The kernel counts this test's own memory as the peak of what it starts itself;
					// what a small program starts is counted by itself.
					peak := filepath.Join(dir, "peak")
					cmd := exec.Command(systemtest.Tool(t, "time", "time"), append([]string{"-f", "%M", "-o", peak}, step...)...)
					cmd.Env = append(os.Environ(), "HOME="+dir)
					if said, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%s: %v: %v\n%s", p.name, step, err, said)
					}
					kib, err := os.ReadFile(peak)
					if err != nil {
						t.Fatal(err)
					}
					n, err := strconv.ParseInt(strings.TrimSpace(string(kib)), 10, 64)
					if err != nil {
						t.Fatalf("the peak of %s: %v", p.name, err)
					}
					peaks[i] = max(peaks[i], n<<10)
					cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
				}
				times[i] = append(times[i], time.Since(began).Seconds())
				cpus[i] = append(cpus[i], cpu)
			}
		}
		median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
		for i, p := range peers {
			worst, err := worstOverWhite(out(i), sources[p.source])
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			unmixes := "yes"
			if !p.unmix {
				unmixes = "no"
			}
			fmt.Printf("| %s | %s | %.2f | %.2f | %.1f | %.1f | %.0f | %.2f | %.0f |\n", p.name, unmixes, median(times[i]), median(cpus[i]), median(times[i])/median(times[0]), median(cpus[i])/median(cpus[0]), float64(peaks[i])/1e6, float64(fileSize(out(i)))/1e6, worst)
		}
		fmt.Println()
	}
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// makePhoto scales a wallpaper to 4000 by 3000 pixels.
func makePhoto(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil {
		return err
	}
	big := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	draw.BiLinear.Scale(big, big.Rect, img, img.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, big, &jpeg.Options{Quality: 92}); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o644)
}

// makeLogo draws discs and a ring with soft edges on white, 1600 by 1250.
func makeLogo(to string) error {
	img := image.NewRGBA(image.Rect(0, 0, 1600, 1250))
	shapes := []struct {
		x, y, r, hole float64
		c             color.RGBA
	}{{800, 620, 560, 430, color.RGBA{16, 107, 90, 255}}, {620, 520, 230, 0, color.RGBA{240, 130, 30, 255}}, {1000, 760, 180, 60, color.RGBA{30, 30, 40, 255}}}
	for y := range 1250 {
		for x := range 1600 {
			c := [3]float64{255, 255, 255}
			for _, s := range shapes {
				d := math.Hypot(float64(x)-s.x, float64(y)-s.y)
				in := min(1, max(0, s.r-d+.5)) * min(1, max(0, d-s.hole+.5))
				for i, v := range [3]uint8{s.c.R, s.c.G, s.c.B} {
					c[i] += in * (float64(v) - c[i])
				}
			}
			img.SetRGBA(x, y, color.RGBA{uint8(c[0] + .5), uint8(c[1] + .5), uint8(c[2] + .5), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o644)
}

// goPixels are the picture's pixels as we read them, RGBA.
func goPixels(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := cutout.Probe(f)
	if err != nil {
		return nil, err
	}
	p, err := cutout.Decode(f, info)
	if err != nil {
		return nil, err
	}
	return p.Pixels(), nil
}

// libjpegPixels are they as libjpeg reads them; a PNG is what it is.
func libjpegPixels(path, dir string) ([]byte, error) {
	if filepath.Ext(path) != ".jpg" {
		return goPixels(path)
	}
	bmp := filepath.Join(dir, "ref.bmp")
	if out, err := exec.Command("djpeg", "-bmp", "-outfile", bmp, path).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("djpeg: %w: %s", err, out)
	}
	return goPixels(bmp)
}

// worstOverWhite composes a result over white and compares with the picture.
func worstOverWhite(path string, source []byte) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return 0, err
	}
	b := img.Bounds()
	if 4*b.Dx()*b.Dy() != len(source) {
		return 0, fmt.Errorf("the result is %v", b)
	}
	worst := 0.0
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, a := img.At(x, y).RGBA() // premultiplied
			s := source[4*(y*b.Dx()+x):]
			for i, v := range []uint32{r, g, bl} {
				over := math.Round(float64(v+0xffff-a) / 257)
				worst = max(worst, math.Abs(over-float64(s[i])))
			}
		}
	}
	return worst, nil
}
