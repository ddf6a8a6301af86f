package display

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/sierpi/sierpi/display/wire"
)

// TestChangesAreSoft goes through changes of scene and watches the light.
func TestChangesAreSoft(t *testing.T) {
	o := Options{
		Width: 160, Height: 90, Scenes: []string{"zoom", "life", "carpet", "line"}, Seed: 4, Logger: slog.New(slog.DiscardHandler),
		Dwell: 6 * time.Second, Fade: 2 * time.Second, FramesPerSecond: 30,
	}
	d, err := newDirector(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &wire.Frame{Width: 160, Height: 90, Cells: make([]uint8, 160*90)}
	last := math.NaN()
	var seen []string
	for range 30 * 6 * 5 {
		d.draw(f)
		var mean float64
		colours := f.Colours()
		for _, v := range f.Cells {
			mean += luminance(colours[v]) / float64(len(f.Cells))
		}
		if math.Abs(mean-last) > 0.035 {
			t.Errorf("%s, frame %d: the light goes from %.3f to %.3f at once", f.Scene, d.frame, last, mean)
		}
		if len(seen) == 0 || seen[len(seen)-1] != f.Scene {
			if mean > 0.005 {
				t.Errorf("%s begins with a light of %.3f", f.Scene, mean)
			}
			seen = append(seen, f.Scene)
		}
		last = mean
		d.step()
	}
	if len(seen) != 5 || seen[0] != seen[4] {
		t.Errorf("the rotation was %v", seen)
	}
}
