package display

import (
	"strings"
	"testing"

	"github.com/sierpi/sierpi/display/wire"

	"github.com/sierpi/sierpi/system/systemtest"
)

// flashes counts, cell by cell and without any area or block, the most flashes
// (pairs of opposing changes by a tenth) that any cell makes within a second,
// and the share of cells that make more than three.
type flashCounter struct {
	fps     int
	frame   int
	extreme []float64
	falling []bool
	turns   [][]int
	most    int
	over    map[int]int // cells with more than three flashes, by frame
}

func (c *flashCounter) take(f *wire.Frame) {
	if c.extreme == nil {
		c.extreme = make([]float64, len(f.Cells))
		c.falling = make([]bool, len(f.Cells))
		c.turns = make([][]int, len(f.Cells))
		c.over = map[int]int{}
	}
	c.frame++
	var light [256]float64
	for _, v := range f.Cells[:min(len(f.Cells), 2)] {
		light[v] = luminance(f.Palette[v])
	}
	if len(f.Cells) > 2 {
		for i, p := range f.Palette {
			light[i] = luminance(p)
		}
	}
	for i, cell := range f.Cells {
		v := light[cell]
		switch {
		case c.falling[i] && v < c.extreme[i], !c.falling[i] && v > c.extreme[i]:
			c.extreme[i] = v
		case c.falling[i] && v-c.extreme[i] >= 0.1, !c.falling[i] && c.extreme[i]-v >= 0.1:
			c.falling[i] = !c.falling[i]
			c.extreme[i] = v
			turns := append(c.turns[i], c.frame)
			for c.frame-turns[0] >= c.fps {
				turns = turns[1:]
			}
			c.turns[i] = turns
			c.most = max(c.most, len(turns)/2)
			if len(turns)/2 > 3 {
				c.over[c.frame]++
			}
		}
	}
}

// TestPhosphorCannotFlash is the construction: whatever the universe does, no cell of a phosphor
// makes more than three flashes a second. The universe here is the worst there
// is: every cell on and off at every rate.
func TestPhosphorCannotFlash(t *testing.T) {
	for _, fps := range []int{10, 25, 30, 60} {
		for name, colours := range map[string][]wire.RGB{"embers": embers(), "aurora": aurora(), "prism": prism(), "ember ink": emberInk(), "aurora ink": auroraInk(), "prism ink": prismInk()} {
			steps, cooling := 30, 75.0
			if strings.HasPrefix(name, "prism") {
				steps, cooling = lineHeats, lineHeats
			}
			for period := 2; period <= fps; period++ {
				for on := 1; on < period; on++ {
					p := newPhosphor(1, 1, fps, steps, colours, cooling)
					c := flashCounter{fps: fps}
					f := &wire.Frame{Width: 1, Height: 1, Cells: make([]uint8, 1)}
					for n := range 3 * fps {
						p.age()
						word := uint64(0)
						if n%period < on {
							word = 1
						}
						p.expose([]uint64{word}, 1, 0, 0)
						p.draw(f)
						c.take(f)
					}
					if c.most > 3 {
						t.Fatalf("%s at %d frames/s: %d of %d frames alive make %d flashes a second", name, fps, on, period, c.most)
					}
				}
			}
		}
	}
}

// TestGuard lets scenes of the worst kind through the guard and counts what comes out.
func TestGuard(t *testing.T) {
	const w, h, fps = 96, 54, 30
	for _, period := range []int{2, 3, 4, 6, 15} {
		g := newFlashGuard(w, h, fps)
		before, after := flashCounter{fps: fps}, flashCounter{fps: fps}
		f := &wire.Frame{Width: w, Height: h, Bits: 1, Cells: make([]uint8, w*h)}
		for n := range 20 * fps {
			for i := range f.Cells {
				f.Cells[i] = 0
				// A third of the picture strobes.
				if i%w < w/3 && n%period < (period+1)/2 {
					f.Cells[i] = 1
				}
			}
			f.Palette = []wire.RGB{{0, 0, 0}, {255, 255, 255}}
			before.take(f)
			g.check(f)
			after.take(f)
		}
		want := period < 10
		if (before.most > 3) != want {
			t.Fatalf("period %d: the test's own scene makes %d flashes a second", period, before.most)
		}
		if after.most > 3 {
			t.Errorf("period %d: %d flashes a second come through", period, after.most)
		}
		if want && g.damp == 0 || !want && g.damp > 0 {
			t.Errorf("period %d: the contrast is damped by %v", period, g.damp)
		}
	}
}

// TestGuardLeavesScenesAlone is that no scene needs the guard: for a minute each, measured
// per frame as the daemon measures it, and cell by cell.
func TestGuardLeavesScenesAlone(t *testing.T) {
	const w, h, fps = 240, 135, 30
	seconds := 60
	if systemtest.Hurried() {
		seconds = 10
	}
	for i := range 2 * len(SceneNames()) {
		name, day := SceneNames()[i/2], i%2 == 1
		t.Run(name+map[bool]string{true: "-day"}[day], func(t *testing.T) {
			t.Parallel()
			s, err := NewScene(name, Setting{Width: w, Height: h, FramesPerSecond: fps, Seed: 5, Day: day})
			if err != nil {
				t.Fatal(err)
			}
			g := newFlashGuard(w, h, fps)
			c := flashCounter{fps: fps}
			f := &wire.Frame{Width: w, Height: h, Cells: make([]uint8, w*h)}
			worst := 0.0
			for range seconds * fps {
				s.Step()
				s.Draw(f)
				g.check(f)
				c.take(f)
				worst = max(worst, g.share)
				if g.damp > 0 {
					t.Fatalf("frame %d: %.0f %% of a ninth of the picture flash", c.frame, 100*g.share)
				}
			}
			over := 0
			for _, n := range c.over {
				over = max(over, n)
			}
			t.Logf("%-10s worst window %.1f %% of its blocks; a single cell makes up to %d flashes a second, at most %d cells of %d at once more than three",
				name, 100*worst, c.most, over, w*h)
		})
	}
}

func BenchmarkGuard(b *testing.B) {
	g := newFlashGuard(480, 270, 30)
	s, err := NewScene("life", Setting{Width: 480, Height: 270, FramesPerSecond: 30, Seed: 5})
	if err != nil {
		b.Fatal(err)
	}
	f := &wire.Frame{Width: 480, Height: 270, Cells: make([]uint8, 480*270)}
	s.Draw(f)
	for b.Loop() {
		g.measure(f)
	}
}
