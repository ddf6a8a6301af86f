package cutout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/sierpi/sierpi/system/systemtest"
)

// samples are pictures that are on any machine that can build sierpi: those of Go's
// image packages and of golang.org/x/image.
func samples(t testing.TB) []string {
	t.Helper()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/image").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(goroot))
	var all []string
	for _, pattern := range []string{root + "/src/image/testdata/*", root + "/src/image/png/testdata/pngsuite/*.png", strings.TrimSpace(string(module)) + "/testdata/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no pictures at %s: %v", pattern, err)
		}
		for _, name := range names {
			switch filepath.Ext(name) {
			case ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tiff":
				all = append(all, name)
			}
		}
	}
	return all
}

// allocated is how many bytes f allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestSamples reads every sample: the size is as probed, no decoder takes more memory
// than was counted, the result is a PNG that gives the picture back and that
// pngcheck accepts, and every beginning of the file is refused as what it is.
func TestSamples(t *testing.T) {
	var results [][]byte
	read := 0
	for _, name := range samples(t) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := Probe(bytes.NewReader(file))
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				t.Errorf("%s: %v", name, err)
			} else if !strings.Contains(name, "truncated") && !strings.Contains(name, "invalid") {
				t.Errorf("%s is refused: %v", name, err)
			}
			continue
		}
		var p *Picture
		took := allocated(func() { p, err = Decode(bytes.NewReader(file), info) })
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(name, "invalid") && !strings.Contains(err.Error(), "of this kind") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		read++
		// A decoder's tables and windows are in the 12 MiB that every picture counts.
		if took > info.decoding+6<<20 {
			t.Errorf("%s: decoding took %d bytes, %d were counted", name, took, info.decoding)
		}
		w, h := p.Size()
		if w != info.Width || h != info.Height {
			t.Errorf("%s: %d by %d, and %d by %d were probed", name, w, h, info.Width, info.Height)
		}
		plan, result, out := cutAny(t, name, p)
		if plan == nil {
			continue
		}
		if off := worst(p.Pixels(), out, out.Bounds(), w, plan.Background.Color); off > 1 {
			t.Errorf("%s: composed over %v it is off by %d", name, plan.Background.Color, off)
		}
		results = append(results, result)
		// Cut off anywhere, it is an error; where the picture's end is known, before decoding.
		for _, n := range []int{0, 1, 7, 20, 40, len(file) / 4, len(file) / 2, len(file) - len(file)/8 - 1} {
			part := bytes.NewReader(file[:min(n, len(file))])
			info, err := Probe(part)
			if err == nil {
				if f := info.Format; f == "JPEG" || f == "PNG" || f == "WebP" {
					t.Errorf("%s: its first %d bytes pass", name, n)
				}
				_, err = Decode(part, info)
			}
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Errorf("%s: its first %d bytes: %v", name, n, err)
			}
		}
	}
	if read < 130 {
		t.Errorf("only %d samples were read", read)
	}
	pngcheck(t, results...)
}

// cutAny cuts at tolerance 0, over white where the border is transparent.
func cutAny(t *testing.T, name string, p *Picture) (*Plan, []byte, *image.NRGBA) {
	o := Options{}
	if _, err := p.Plan(t.Context(), o); err != nil {
		if !strings.Contains(err.Error(), "transparent") {
			t.Errorf("%s: %v", name, err)
			return nil, nil, nil
		}
		o.Color = &Color{255, 255, 255}
	}
	return cut(t, p, o)
}

// TestSamplesPixels compares with Go's own conversion, where that is exact.
func TestSamplesPixels(t *testing.T) {
	for _, name := range samples(t) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if ext := filepath.Ext(name); ext == ".jpeg" || ext == ".webp" || ext == ".gif" {
			continue
		}
		info, err := Probe(bytes.NewReader(file))
		if err != nil {
			continue
		}
		img, err := decodeImage(bytes.NewReader(file), info)
		if err != nil {
			continue
		}
		p := load(t, file)
		got := p.Pixels()
		b := img.Bounds()
		for y := range b.Dy() {
			for x := range b.Dx() {
				i := 4 * (y*b.Dx() + x)
				c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
				// Go truncates where we round; of an invisible pixel the colour is nothing.
				if c.A != 0 && (abs(int(c.R)-int(got[i])) > 1 || abs(int(c.G)-int(got[i+1])) > 1 || abs(int(c.B)-int(got[i+2])) > 1) || abs(int(c.A)-int(got[i+3])) > 1 {
					t.Fatalf("%s: at (%d, %d) %v, want %v", name, x, y, got[i:i+4], c)
				}
			}
		}
	}
}

// off is the greatest and the mean difference of a channel.
func off(t testing.TB, got []byte, want image.Image) (most int, mean float64) {
	t.Helper()
	b := want.Bounds()
	if len(got) != 4*b.Dx()*b.Dy() {
		t.Fatalf("%d bytes beside %v", len(got), b)
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			i := 4 * (y*b.Dx() + x)
			c := color.NRGBAModel.Convert(want.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			for k, v := range []uint8{c.R, c.G, c.B, c.A} {
				d := abs(int(v) - int(got[i+k]))
				most = max(most, d)
				mean += float64(d)
			}
		}
	}
	return most, mean / float64(len(got))
}

// TestBesideLibjpeg compares pixels with libjpeg-turbo's: the interpolation of chroma
// is the same, the inverse transform within rounding.
func TestBesideLibjpeg(t *testing.T) {
	djpeg := systemtest.Tool(t, "djpeg", "libjpeg-turbo-progs")
	for _, name := range samples(t) {
		if filepath.Ext(name) != ".jpeg" || strings.Contains(name, "truncated") || strings.Contains(name, "cmyk") || strings.Contains(name, ".rgb.") {
			continue // of the last two channels are subsampled that are no chroma
		}
		cmd := exec.CommandContext(t.Context(), djpeg, "-dct", "int", "-bmp", name)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ref := load(t, out)
		w, h := ref.Size()
		want := &image.NRGBA{Pix: ref.Pixels(), Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		most, mean := off(t, load(t, file).Pixels(), want)
		limit := 6
		for _, rare := range []string{"440", "410", "411", "221212"} {
			if strings.Contains(name, rare) {
				limit = 40 // libjpeg interpolates these otherwise
			}
		}
		if most > limit || mean > 1 {
			t.Errorf("%s: off by at most %d, by %.2f in the mean", name, most, mean)
		}
	}
}

// TestBesideLibwebp does it with dwebp; its own encoder makes the picture with alpha
// and the animation.
func TestBesideLibwebp(t *testing.T) {
	cwebp, dwebp, mux := systemtest.Tool(t, "cwebp", "webp"), systemtest.Tool(t, "dwebp", "webp"), systemtest.Tool(t, "webpmux", "webp")
	dir := t.TempDir()
	run := func(tool string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
		}
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	rng := rand.New(rand.NewPCG(21, 22))
	blobs := noise(rng, 90, 61, Color{250, 250, 250}, false)
	for i := 3; i < len(blobs.Pix); i += 4 * 5 {
		blobs.Pix[i] = uint8(rng.IntN(256))
	}
	if err := os.WriteFile(path("in.png"), encoded(t, blobs), 0o644); err != nil {
		t.Fatal(err)
	}
	run(cwebp, "-quiet", "-q", "90", path("in.png"), "-o", path("lossy.webp"))
	run(cwebp, "-quiet", "-lossless", "-exact", path("in.png"), "-o", path("lossless.webp"))
	run(cwebp, "-quiet", "-noalpha", "-q", "80", path("in.png"), "-o", path("opaque.webp"))
	run(mux, "-frame", path("lossy.webp"), "+100+4+6+1", "-frame", path("opaque.webp"), "+100+0+0", "-o", path("moving.webp"))
	for _, name := range []string{"lossy", "lossless", "opaque"} {
		run(dwebp, "-quiet", path(name+".webp"), "-o", path(name+".png"))
		file, err := os.ReadFile(path(name + ".webp"))
		if err != nil {
			t.Fatal(err)
		}
		png, err := os.ReadFile(path(name + ".png"))
		if err != nil {
			t.Fatal(err)
		}
		most, mean := off(t, load(t, file).Pixels(), decodedAny(t, png))
		if name == "lossless" && most > 0 || most > 5 || mean > 1 {
			t.Errorf("%s: off by at most %d, by %.2f in the mean", name, most, mean)
		}
	}
	file, err := os.ReadFile(path("moving.webp"))
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, file)
	w, h := p.Size()
	if w != 94 || h != 67 {
		t.Fatalf("the animation is %d by %d", w, h)
	}
	still, err := os.ReadFile(path("lossy.webp"))
	if err != nil {
		t.Fatal(err)
	}
	got, want := p.Pixels(), load(t, still).Pixels()
	for y := range 67 {
		for x := range 94 {
			in := image.Pt(x, y).In(image.Rect(4, 6, 94, 67))
			g := [4]byte(got[4*(94*y+x):])
			if !in && g != [4]byte{} || in && g != [4]byte(want[4*(90*(y-6)+x-4):]) {
				t.Fatalf("the animation's first frame at (%d, %d): %v", x, y, g)
			}
		}
	}
}

func decodedAny(t testing.TB, file []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// exif is the TIFF that says an orientation, as phones write it.
func exif(orientation byte) []byte {
	return []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(orientation) + "\x00\x00\x00\x00\x00\x00")
}

// TestOrientation turns a picture of four colours all eight ways, in the three formats
// that say how.
func TestOrientation(t *testing.T) {
	// As it should be seen: red green / blue white, 48 by 32.
	corners := [2][2]color.NRGBA{{{255, 0, 0, 255}, {0, 255, 0, 255}}, {{0, 0, 255, 255}, {255, 255, 255, 255}}}
	seen := func(x, y int) color.NRGBA { return corners[y/16][x/24] }
	for o := 1; o <= 8; o++ {
		w, h := 48, 32
		if o >= 5 {
			w, h = h, w
		}
		stored := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range 32 {
			for x := range 48 {
				// EXIF: what the 0th row and the 0th column of what is stored are.
				var sx, sy int
				switch o {
				case 1: // top, left
					sx, sy = x, y
				case 2: // top, right
					sx, sy = 47-x, y
				case 3: // bottom, right
					sx, sy = 47-x, 31-y
				case 4: // bottom, left
					sx, sy = x, 31-y
				case 5: // left, top
					sx, sy = y, x
				case 6: // right, top
					sx, sy = y, 47-x
				case 7: // right, bottom
					sx, sy = 31-y, 47-x
				case 8: // left, bottom
					sx, sy = 31-y, x
				}
				stored.SetNRGBA(sx, sy, seen(x, y))
			}
		}
		var j, tf bytes.Buffer
		if err := jpeg.Encode(&j, stored, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		segment := append([]byte("Exif\x00\x00"), exif(byte(o))...)
		withEXIF := append([]byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(segment) + 2)}, segment...)
		withEXIF = append(withEXIF, j.Bytes()[2:]...)
		file := encoded(t, stored)
		withChunk := append(appendChunk(bytes.Clone(file[:33]), "eXIf", exif(byte(o))), file[33:]...)
		if err := tiff.Encode(&tf, stored, nil); err != nil {
			t.Fatal(err)
		}
		for name, file := range map[string][]byte{"JPEG": withEXIF, "PNG": withChunk, "TIFF": tiffWith(tf.Bytes(), 274, uint32(o))} {
			p := load(t, file)
			if w, h := p.Size(); w != 48 || h != 32 || p.Info.Width != 48 {
				t.Errorf("%s, orientation %d: %d by %d", name, o, w, h)
				continue
			}
			pix := p.Pixels()
			for _, at := range []image.Point{{4, 4}, {44, 4}, {4, 28}, {44, 28}} {
				got, want := pix[4*(48*at.Y+at.X):][:3], seen(at.X, at.Y)
				if abs(int(got[0])-int(want.R)) > 8 || abs(int(got[1])-int(want.G)) > 8 || abs(int(got[2])-int(want.B)) > 8 {
					t.Errorf("%s, orientation %d: at %v %v, want %v", name, o, at, got, want)
				}
			}
			// The parts that strips read are the same picture.
			part := make([]byte, 4*10*7)
			p.pixels.read(part, 21, 13, 31, 20)
			for y := range 7 {
				if !bytes.Equal(part[40*y:40*y+40], pix[4*(48*(13+y)+21):][:40]) {
					t.Errorf("%s, orientation %d: a part differs", name, o)
				}
			}
			_, result, out := cut(t, p, Options{Tolerance: 0})
			if out.Rect.Dx() != 48 || bytes.Contains(result, []byte("eXIf")) || bytes.Contains(result, []byte("Exif")) {
				t.Errorf("%s, orientation %d: the result is %v, or carries EXIF", name, o, out.Rect)
			}
		}
	}
}

// tiffWith adds a tag of one 16-bit number to a little-endian TIFF, by writing its
// directory anew at the end.
func tiffWith(file []byte, tag uint16, value uint32) []byte {
	le := binary.LittleEndian
	file = bytes.Clone(file)
	at := le.Uint32(file[4:])
	n := le.Uint16(file[at:])
	entries := file[at+2 : at+2+12*uint32(n)]
	var dir []byte
	added := false
	add := func() {
		dir = le.AppendUint16(dir, tag)
		dir = le.AppendUint16(dir, 3)
		dir = le.AppendUint32(dir, 1)
		dir = le.AppendUint32(dir, value)
		added = true
	}
	for i := 0; i < len(entries); i += 12 {
		if !added && le.Uint16(entries[i:]) > tag {
			add()
		}
		dir = append(dir, entries[i:i+12]...)
	}
	if !added {
		add()
	}
	if len(file)%2 == 1 {
		file = append(file, 0)
	}
	le.PutUint32(file[4:], uint32(len(file)))
	file = le.AppendUint16(file, n+1)
	file = append(file, dir...)
	return le.AppendUint32(file, 0)
}

// TestGIFFrame: the first frame of an animation, on its canvas, with its transparency.
func TestGIFFrame(t *testing.T) {
	pal := color.Palette{color.NRGBA{255, 255, 255, 255}, color.NRGBA{200, 0, 0, 255}, color.NRGBA{}}
	one := image.NewPaletted(image.Rect(3, 2, 13, 9), pal)
	for i := range one.Pix {
		one.Pix[i] = uint8(i % 3)
	}
	two := image.NewPaletted(image.Rect(0, 0, 20, 10), pal)
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{one, two}, Delay: []int{1, 1}, Config: image.Config{Width: 20, Height: 10, ColorModel: pal}}); err != nil {
		t.Fatal(err)
	}
	p := load(t, b.Bytes())
	if w, h := p.Size(); w != 20 || h != 10 {
		t.Fatalf("%d by %d", w, h)
	}
	pix := p.Pixels()
	for y := range 10 {
		for x := range 20 {
			want := [4]byte{}
			if image.Pt(x, y).In(one.Rect) {
				c := pal[one.ColorIndexAt(x, y)].(color.NRGBA)
				want = [4]byte{c.R, c.G, c.B, c.A}
			}
			if got := [4]byte(pix[4*(20*y+x):]); got != want {
				t.Fatalf("at (%d, %d) %v, want %v", x, y, got, want)
			}
		}
	}
}

// TestRefusals: what cannot be read is named, and what to do is said.
func TestRefusals(t *testing.T) {
	box := func(brand string, more ...string) string {
		return "\x00\x00\x00\x20ftyp" + brand + "\x00\x00\x00\x00" + strings.Join(more, "")
	}
	for _, c := range []struct{ file, says string }{
		{box("heic", "mif1heic"), "HEIC"}, {box("mif1", "mif1heic"), "HEIC"}, {box("heix"), "Most Compatible"}, {box("avif"), "AVIF"},
		{box("mif1", "mif1avif"), "AVIF"}, {box("crx "), "CR3"}, {box("isom"), "film"},
		{"II*\x00\x10\x00\x00\x00CR\x02\x00", "raw file"}, {"\xff\x0a....", "JPEG XL"}, {"%PDF-1.7", "PDF"}, {"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"},
		{"<?xml version=\"1.0\"?><svg/>", "SVG"}, {" \n<svg xmlns=''>", "SVG"}, {"8BPS\x00\x01", "Photoshop"}, {"\x00\x00\x01\x00\x01\x00", "icon"},
		{"PK\x03\x04", "unpack"}, {"<!DOCTYPE html>", "web page"}, {"hello", "JPEG, PNG"}, {"", "empty"},
		{pngHeader(1<<31-1, 1<<31-1), "million pixels"}, {pngHeader(70000, 1), "a side"}, {pngHeader(0, 5), "0 by 5"}, {pngHeader(9000, 9000), "cannot hold"},
		{"BM" + strings.Repeat("\x00", 12) + "\x28\x00\x00\x00\xc0\xc6\x2d\x00\x80\x84\x1e\x00\x01\x00\x18\x00" + strings.Repeat("\x00", 24), "3000000 by 2000000"},
		{"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\x00\x08\x01\x00\x00;", "cannot hold"},
		{"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "no picture"},
		{"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00\x00\x00\xff\xd9", "cannot hold"},
		{"\xff\xd8\xff\xc3\x00\x11\x08\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", "lossless"},
		{"\xff\xd8\xff\xc0\x00\x11\x0c\x00\x10\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", "12 bits"},
		{"\xff\xd8\xff\xd9", "no picture"},
		{"RIFF\xff\xff\x00\x00WEBPVP8 ", "ends before"},
	} {
		info, err := Probe(strings.NewReader(c.file))
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.says) || c.file != "" && refusal.Remedy == "" {
			t.Errorf("%.30q: %v, %+v; want %q", c.file, err, info, c.says)
		}
	}
}

// TestScans: a JPEG of thousands of passes over a large picture would take minutes.
func TestScans(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	at := bytes.Index(file, []byte{0xff, 0xda})
	many := bytes.Clone(file[:at])
	for range maxScans + 1 {
		many = append(many, file[at:len(file)-2]...)
	}
	many = append(many, 0xff, 0xd9)
	if _, err := Probe(bytes.NewReader(many)); err == nil || !strings.Contains(err.Error(), "passes") {
		t.Errorf("%v", err)
	}
}

// claimed is a JPEG of that size, with the data that the size needs at the least and no
// picture in it.
func claimed(sof byte, w, h int, sampling ...byte) []byte {
	b := []byte{0xff, 0xd8, 0xff, sof, 0, byte(8 + 3*len(sampling)), 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(len(sampling))}
	for i, s := range sampling {
		b = append(b, byte(i+1), s, 0)
	}
	b = append(b, 0xff, 0xda, 0, byte(6+2*len(sampling)), byte(len(sampling)))
	for i := range sampling {
		b = append(b, byte(i+1), 0)
	}
	b = append(b, 0, 63, 0)
	b = append(b, make([]byte, w*h/64/8+w+h)...)
	return append(b, 0xff, 0xd9)
}

// TestTwelveMegapixels: a usual JPEG of 12 megapixels is cut within 96 MB, all that is ever
// allocated together; what a progressive one needs is counted.
func TestTwelveMegapixels(t *testing.T) {
	for _, c := range []struct {
		sof      byte
		sampling []byte
		from, to int64 // MB
	}{
		{0xc0, []byte{0x22, 0x11, 0x11}, 30, 40}, {0xc0, []byte{0x11, 0x11, 0x11}, 48, 60}, {0xc0, []byte{0x11}, 24, 32},
		{0xc2, []byte{0x22, 0x11, 0x11}, 100, 115}, {0xc2, []byte{0x11, 0x11, 0x11}, 190, 205}, {0xc0, []byte{0x11, 0x11, 0x11, 0x11}, 105, 120},
	} {
		info, err := Probe(bytes.NewReader(claimed(c.sof, 4000, 3000, c.sampling...)))
		if err != nil || info.Memory < c.from*1e6 || info.Memory > c.to*1e6 {
			t.Errorf("%x %x: %+v, %v", c.sof, c.sampling, info, err)
		}
	}
	img := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = uint8(255 - i%4000/1000*60)
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	img = nil
	r := bytes.NewReader(b.Bytes())
	took := allocated(func() {
		info, err := Probe(r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Decode(r, info)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := p.Plan(t.Context(), Options{Tolerance: 6, Border: true, Trim: true, Feather: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := plan.WritePNG(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
	})
	if took > 96e6 {
		t.Errorf("%d bytes were allocated", took)
	}
	t.Logf("%d bytes were allocated", took)
}

// TestColorSpace: what the numbers mean is kept, everything else dropped.
func TestColorSpace(t *testing.T) {
	file := encoded(t, ring())
	profile := make([]byte, 300)
	copy(profile[16:], "RGB ")
	copy(profile[36:], "acsp")
	for i := 132; i < len(profile); i++ {
		profile[i] = byte(i)
	}
	var space colorSpace
	space.icc(profile, 3)
	icc := space.png(false)[0]
	chunks := func(list ...string) []byte {
		out := bytes.Clone(file[:33])
		for i := 0; i < len(list); i += 2 {
			out = appendChunk(out, list[i], []byte(list[i+1]))
		}
		return append(out, file[33:]...)
	}
	gama, chrm := "\x00\x00\xb1\x8f", strings.Repeat("\x00\x00\x7a\x26", 8)
	for _, c := range []struct {
		in   []byte
		want []string
	}{
		{chunks("sRGB", "\x00", "gAMA", gama, "cHRM", chrm, "tEXt", "Author\x00me", "pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01", "tIME", "\x07\xe0\x01\x01\x01\x01\x01"), []string{"sRGB", "gAMA", "cHRM"}},
		{chunks(icc[0], icc[1], "sRGB", "\x00"), []string{"iCCP"}},
		{chunks("sRGB", "\x09", "gAMA", "\x00\x00\x00\x00", "iCCP", "x\x00\x00damaged"), nil},
		{chunks("gAMA", gama, "gAMA", gama), []string{"gAMA"}},
	} {
		_, out, _ := cut(t, load(t, c.in), Options{Tolerance: 0, Color: &Color{255, 255, 255}})
		pngcheck(t, out)
		if got := ancillary(t, out); strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("the chunks are %q, want %q", got, c.want)
		}
		for _, name := range c.want {
			if name == "iCCP" {
				back := load(t, out)
				if !bytes.Equal(back.Info.space.profile, profile) {
					t.Error("the profile is another")
				}
			}
		}
	}
	// A JPEG's profile lies in two parts.
	var j bytes.Buffer
	if err := jpeg.Encode(&j, ring(), nil); err != nil {
		t.Fatal(err)
	}
	withICC := []byte{0xff, 0xd8}
	for i, part := range [][]byte{profile[:100], profile[100:]} {
		body := append([]byte("ICC_PROFILE\x00"), byte(i+1), 2)
		body = append(body, part...)
		withICC = append(append(withICC, 0xff, 0xe2, byte((len(body)+2)>>8), byte(len(body)+2)), body...)
	}
	p := load(t, append(withICC, j.Bytes()[2:]...))
	if !bytes.Equal(p.Info.space.profile, profile) {
		t.Error("the JPEG's profile is lost")
	}
	_, out, _ := cut(t, p, DefaultOptions())
	if got := ancillary(t, out); len(got) != 1 || got[0] != "iCCP" {
		t.Errorf("the chunks are %q", got)
	}
}

// ancillary are a PNG's chunks but the four that hold the picture.
func ancillary(t testing.TB, file []byte) (names []string) {
	t.Helper()
	for at := 8; at < len(file); {
		n, name := int(binary.BigEndian.Uint32(file[at:])), string(file[at+4:at+8])
		if crc32.ChecksumIEEE(file[at+4:at+8+n]) != binary.BigEndian.Uint32(file[at+8+n:]) {
			t.Errorf("%s has a wrong checksum", name)
		}
		if !strings.Contains("IHDR IDAT IEND PLTE", name) {
			names = append(names, name)
		}
		at += 12 + n
	}
	return names
}
