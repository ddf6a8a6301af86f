package display_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/wire"
)

// play runs a scene for so many frames and gives each to see. The frame is reused.
func play(t testing.TB, name string, frames int, see func(*wire.Frame)) {
	t.Helper()
	const w, h = 480, 270
	s, err := display.NewScene(name, display.Setting{Width: w, Height: h, FramesPerSecond: 30, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	f := &wire.Frame{Width: w, Height: h, Cells: make([]uint8, w*h)}
	for n := range frames {
		if n > 0 {
			s.Step()
		}
		f.Number = uint32(n + 1)
		s.Draw(f)
		f.Scene, f.Caption = name, s.Caption()
		see(f)
	}
}

// copyOf keeps a frame that the next draw would overwrite.
func copyOf(f *wire.Frame) *wire.Frame {
	g := *f
	g.Cells = append([]uint8(nil), f.Cells...)
	g.Palette = append([]wire.RGB(nil), f.Palette...)
	return &g
}

// TestTraffic holds every scene to the budget: at most 500 KB/s at 480x270 and 30 frames a
// second, over any ten seconds of the first forty. Read the figures with -v.
func TestTraffic(t *testing.T) {
	const budget = 500e3
	for _, name := range display.SceneNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rates := []int{1}
			if name == "life" {
				rates = []int{1, 3} // a screen, a phone
			}
			for _, every := range rates {
				var enc wire.Encoder
				var base *wire.Frame
				key, total, inTen, worst := 0, 0, 0, 0
				var sizes []int
				const frames = 40 * 30
				play(t, name, frames, func(f *wire.Frame) {
					if (int(f.Number)-1)%every != 0 {
						return
					}
					msg, err := enc.Encode(base, f)
					if err != nil {
						t.Fatal(err)
					}
					if base == nil {
						key = len(msg)
					}
					base = copyOf(f)
					sizes = append(sizes, len(msg))
					total += len(msg)
					inTen += len(msg)
					if n := 300 / every; len(sizes) > n {
						inTen -= sizes[len(sizes)-1-n]
						worst = max(worst, inTen)
					}
				})
				mean := float64(total) / 40
				t.Logf("%-10s %2d frames/s: mean %6.1f KB/s, worst ten seconds %6.1f KB/s, %5.0f B a frame, first frame %d B",
					name, 30/every, mean/1e3, float64(worst)/10/1e3, float64(total)/float64(len(sizes)), key)
				if float64(worst)/10 > budget {
					t.Errorf("%.0f B/s in the worst ten seconds; the budget is %.0f", float64(worst)/10, budget)
				}
			}
		})
	}
}

var update = flag.Bool("update", false, "draw the golden pictures anew")

// TestGoldenPictures holds every scene's look: two moments each, of a small stage. After a
// change that is meant, look at the new ones: go test -run Golden -update.
func TestGoldenPictures(t *testing.T) {
	for _, name := range display.SceneNames() {
		t.Run(name, func(t *testing.T) {
			s, err := display.NewScene(name, display.Setting{Width: 160, Height: 90, FramesPerSecond: 30, Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			f := &wire.Frame{Number: 1, Width: 160, Height: 90, Cells: make([]uint8, 160*90)}
			for n := 1; n <= 600; n++ {
				s.Step()
				if n != 240 && n != 600 {
					continue
				}
				s.Draw(f)
				path := filepath.Join("testdata", "golden", fmt.Sprintf("%s-%d.png", name, n))
				img := display.Image(f, 1)
				if *update {
					var buf bytes.Buffer
					if err := png.Encode(&buf, img); err != nil {
						t.Fatal(err)
					}
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				file, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				want, err := png.Decode(file)
				file.Close()
				if err != nil {
					t.Fatal(err)
				}
				different := 0
				for i := range f.Cells {
					// Colours are mixed in floating point, which may round by one
					// elsewhere; the cells are exact everywhere.
					r0, g0, b0, _ := img.At(i%f.Width, i/f.Width).RGBA()
					r1, g1, b1, _ := want.At(i%f.Width, i/f.Width).RGBA()
					for _, d := range [3]int{int(r0>>8) - int(r1>>8), int(g0>>8) - int(g1>>8), int(b0>>8) - int(b1>>8)} {
						if d < -1 || d > 1 {
							different++
							break
						}
					}
				}
				if different > 0 {
					t.Errorf("%s: %d of %d cells differ", path, different, len(f.Cells))
				}
			}
		})
	}
}

// TestContactSheet draws all scenes at six moments, for people to look at.
func TestContactSheet(t *testing.T) {
	dir := os.Getenv("SIERPI_SHOTS")
	if dir == "" {
		t.Skip("SKIPPED: set SIERPI_SHOTS to a folder to get a contact sheet")
	}
	moments := []int{90, 260, 410, 600, 1000, 1800}
	names := display.SceneNames()
	sheet := image.NewRGBA(image.Rect(0, 0, 486*len(moments), 276*len(names)))
	for y, name := range names {
		x := 0
		play(t, name, moments[len(moments)-1]+1, func(f *wire.Frame) {
			if int(f.Number) == moments[x] {
				draw.Draw(sheet, image.Rect(486*x, 276*y, 486*x+480, 276*y+270), display.Image(f, 1), image.Point{}, draw.Src)
				x = min(x+1, len(moments)-1)
			}
		})
	}
	file, err := os.Create(filepath.Join(dir, "contact.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, sheet); err != nil {
		t.Fatal(err)
	}
}
