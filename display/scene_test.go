package display_test

import (
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
// second, over any ten seconds of the first minute and a half. Read the figures with -v.
func TestTraffic(t *testing.T) {
	const budget = 500e3
	for _, name := range display.SceneNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, every := range []int{1, 3} { // a screen, a phone
				var enc wire.Encoder
				var base *wire.Frame
				key, total, inTen, worst := 0, 0, 0, 0
				var sizes []int
				const frames = 90 * 30
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
				mean := float64(total) / 90
				t.Logf("%-10s %2d frames/s: mean %6.1f KB/s, worst ten seconds %6.1f KB/s, %5.0f B a frame, first frame %d B",
					name, 30/every, mean/1e3, float64(worst)/10/1e3, float64(total)/float64(len(sizes)), key)
				if float64(worst)/10 > budget {
					t.Errorf("%.0f B/s in the worst ten seconds; the budget is %.0f", float64(worst)/10, budget)
				}
			}
		})
	}
}
