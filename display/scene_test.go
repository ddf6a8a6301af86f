package display_test

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/wire"

	"github.com/sierpi/sierpi/system/systemtest"
)

// playSize runs a scene of that many cells for so many frames and gives each to see. The frame is reused.
func playSize(t testing.TB, name string, w, h, frames int, see func(*wire.Frame)) {
	t.Helper()
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

// traffic is what a scene sends to one screen, in bytes.
type traffic struct {
	key         int     // the first frame
	mean, worst float64 // a second; over all, and over the worst ten seconds
	frame       float64 // a frame
}

// measureTraffic sends every so many frames of a scene, of 30 a second, to a screen that keeps up.
func measureTraffic(t testing.TB, name string, w, h, seconds, every int) traffic {
	t.Helper()
	var enc wire.Encoder
	var was *wire.Frame
	total, inTen, worst := 0, 0, 0
	var sizes []int
	playSize(t, name, w, h, seconds*30, func(f *wire.Frame) {
		if (int(f.Number)-1)%every != 0 {
			return
		}
		msg, err := enc.Encode(was, f)
		if err != nil {
			t.Fatal(err)
		}
		was = copyOf(f)
		sizes = append(sizes, len(msg))
		total += len(msg)
		inTen += len(msg)
		if n := 300 / every; len(sizes) > n {
			inTen -= sizes[len(sizes)-1-n]
			worst = max(worst, inTen)
		}
	})
	return traffic{sizes[0], float64(total) / float64(seconds), float64(worst) / 10, float64(total) / float64(len(sizes))}
}

// TestTraffic holds every scene to the budget: at most 500 KB/s at 480x270 and 30 frames a
// second, over any ten seconds of the first forty. Read the figures with -v.
func TestTraffic(t *testing.T) {
	const budget = 500e3
	seconds := 40
	if systemtest.Hurried() {
		seconds = 12
	}
	for _, name := range display.SceneNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rates := []int{1}
			if name == "life" {
				rates = []int{1, 3} // a screen, a phone
			}
			for _, every := range rates {
				got := measureTraffic(t, name, 480, 270, seconds, every)
				t.Logf("%-10s %2d frames/s: mean %6.1f KB/s, worst ten seconds %6.1f KB/s, %5.0f B a frame, first frame %d B",
					name, 30/every, got.mean/1e3, got.worst/1e3, got.frame, got.key)
				if got.worst > budget {
					t.Errorf("%.0f B/s in the worst ten seconds; the budget is %.0f", got.worst, budget)
				}
			}
		})
	}
}

// BenchmarkWire is the stream of every scene over a minute and a half, at full size over half
// a minute, and its budget: 500 KB/s at 480x270, 4 MB/s at full size.
//
//	go test ./display -run '^$' -bench Wire -benchtime 1x
func BenchmarkWire(b *testing.B) {
	for _, size := range []struct {
		w, h, seconds int
		budget        float64
	}{{480, 270, 90, 500e3}, {1920, 1080, 30, 4e6}} {
		for _, name := range display.SceneNames() {
			b.Run(fmt.Sprintf("%dx%d/%s", size.w, size.h, name), func(b *testing.B) {
				for b.Loop() {
					got := measureTraffic(b, name, size.w, size.h, size.seconds, 1)
					b.ReportMetric(got.mean/1e3, "KB/s")
					b.ReportMetric(got.worst/1e3, "KB/s-worst-10s")
					b.ReportMetric(float64(got.key)/1e3, "KB-first-frame")
					b.ReportMetric(got.worst/size.budget, "of-budget")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}

var update = flag.Bool("update", false, "draw the golden pictures anew")

// TestGoldenPictures holds every scene's look: two moments by night, one of them by day too, of a small stage. After a
// change that is meant, look at the new ones: go test -run Golden -update.
func TestGoldenPictures(t *testing.T) {
	for _, name := range display.SceneNames() {
		for _, day := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "-day"}[day], func(t *testing.T) {
				s, err := display.NewScene(name, display.Setting{Width: 160, Height: 90, FramesPerSecond: 30, Seed: 3, Day: day})
				if err != nil {
					t.Fatal(err)
				}
				f := &wire.Frame{Number: 1, Width: 160, Height: 90, Cells: make([]uint8, 160*90)}
				for n := 1; n <= 600; n++ {
					s.Step()
					if n != 600 && (day || n != 240) {
						continue
					}
					s.Draw(f)
					path := filepath.Join("testdata", "golden", fmt.Sprintf("%s-%d%s.png", name, n, map[bool]string{true: "-day"}[day]))
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
}
