package display

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sierpi/sierpi/display/wire"
)

// turnDirector shows those scenes on a small stage.
func turnDirector(t *testing.T, fps int, scenes ...string) *director {
	t.Helper()
	d, err := newDirector(Options{
		Width: 160, Height: 90, Scenes: scenes, Seed: 4, Logger: slog.New(slog.DiscardHandler),
		Dwell: time.Minute, Fade: 2 * time.Second, FramesPerSecond: fps,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// meanLight is the picture's.
func meanLight(f *wire.Frame) (mean float64) {
	colours := f.Colours()
	for _, v := range f.Cells {
		mean += luminance(colours[v]) / float64(len(f.Cells))
	}
	return mean
}

// TestTurn turns every scene from night to day and back: softly, without a flash, with the
// ground of the time in the end, and each scene goes on.
func TestTurn(t *testing.T) {
	const fps = 30
	for _, name := range SceneNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := turnDirector(t, fps, name)
			g := newFlashGuard(160, 90, fps)
			f := &wire.Frame{Width: 160, Height: 90, Cells: make([]uint8, 160*90)}
			last := math.NaN()
			run := func(seconds int) {
				t.Helper()
				for range seconds * fps {
					d.step()
					d.draw(f)
					light := meanLight(f)
					if math.Abs(light-last) > 0.06 {
						t.Fatalf("frame %d: the light goes from %.3f to %.3f at once", g.frame, last, light)
					}
					last = light
					if g.check(f); g.damp > 0 {
						t.Fatalf("frame %d: %.0f %% of a ninth of the picture flash", g.frame, 100*g.share)
					}
				}
			}
			run(12)
			for _, day := range []bool{true, false} {
				d.setDay(day)
				d.setBrightness(map[bool]float64{true: 1, false: 0.5}[day]) // both at once, as the clock has it
				run(10)
				if ground := luminance(f.Palette[0]); day != (ground > 0.8) || !day && ground > 0.01 || d.ink != day || d.onPaper() != day {
					t.Errorf("day %v: the ground has a light of %.3f; ink %v, paper %v", day, ground, d.ink, d.onPaper())
				}
				if !isVaried(f) {
					t.Errorf("day %v: nothing is to be seen", day)
				}
			}
		})
	}
}

// TestTurnLeavesTheUniverse is that what lives takes no notice: the cells of a wall that
// turns are those of one that does not.
func TestTurnLeavesTheUniverse(t *testing.T) {
	const fps = 30
	turning, steady := turnDirector(t, fps, "life"), turnDirector(t, fps, "life")
	for n := range 27 * fps {
		if n%(9*fps) == 2*fps {
			turning.setDay(!turning.setting.Day)
		}
		turning.step()
		steady.step()
		a, b := turning.universe.torus, steady.universe.torus
		if a.Generation() != b.Generation() || a.Hash() != b.Hash() {
			t.Fatalf("frame %d: generation %d beside %d, hash %x beside %x", n, a.Generation(), b.Generation(), a.Hash(), b.Hash())
		}
	}
	if !turning.setting.Day || turning.ground != 1 {
		t.Errorf("day %v, frame %d: it did not turn", turning.setting.Day, turning.frame)
	}
}

// TestRestlessOwner changes the colours at every rate: no cell flashes more than three times a
// second by it. The scene is one that stands still.
func TestRestlessOwner(t *testing.T) {
	for _, fps := range []int{1, 10, 30, 60} {
		for _, fade := range []int{fps / 2, fps, 5 * fps} {
			for period := 1; period <= 14*fps; period += max(1, period/5) {
				d := &director{
					names: []string{"still"}, dwell: 60 * fps, fade: fade, bright: 1, wanted: 1,
					setting: Setting{Width: 2, Height: 1, FramesPerSecond: fps}, scene: new(still),
				}
				c := flashCounter{fps: fps}
				f := &wire.Frame{Width: 2, Height: 1, Cells: make([]uint8, 2)}
				for n := range 40 * fps {
					if n%period == 0 {
						d.setDay(!d.setting.Day)
					}
					d.step()
					d.draw(f)
					c.take(f)
				}
				if c.most > 3 {
					t.Errorf("%d frames/s, a fade of %d frames, changed every %d: %d flashes a second", fps, fade, period, c.most)
				}
			}
		}
	}
}

// still is a scene of two cells: its ground, and what stands out most from it.
type still struct{ day bool }

func (s *still) Step()             {}
func (s *still) Caption() string   { return "" }
func (s *still) daylight(day bool) { s.day = day }
func (s *still) Draw(f *wire.Frame) {
	f.Bits = 1
	f.Palette = []wire.RGB{night, {255, 255, 255}}
	if s.day {
		f.Palette = []wire.RGB{paper, {0, 0, 0}}
	}
	f.Cells[0], f.Cells[1] = 0, 1
}

// TestTurnWaitsForThePlayer is that nobody's game is taken out of his sight.
func TestTurnWaitsForThePlayer(t *testing.T) {
	const fps = 10
	d := turnDirector(t, fps, "zoom", "life")
	game, err := NewScene("snake", d.setting)
	if err != nil {
		t.Fatal(err)
	}
	d.invite("snake", game)
	d.setDay(true)
	for range 20 * fps {
		d.step()
	}
	if d.ink || d.light() < 1 {
		t.Fatalf("ink %v, light %v", d.ink, d.light())
	}
	d.dismiss(game)
	for range 10 * fps {
		d.step()
	}
	if !d.ink || d.ground != 1 || d.light() < 1 {
		t.Errorf("after the game: ink %v, ground %v, light %v", d.ink, d.ground, d.light())
	}
}

// TestDayWithoutAClock is what the timetable says.
func TestDayWithoutAClock(t *testing.T) {
	night := Hours{22*60 + 30, 6*60 + 30}
	at := func(year, hour, minute int) time.Time { return time.Date(year, 5, 1, hour, minute, 0, 0, time.Local) }
	for _, c := range []struct {
		colours Colours
		at      time.Time
		want    bool
	}{
		{"", at(2026, 12, 0), false}, {NightColours, at(2026, 12, 0), false}, {DayColours, at(2026, 3, 0), true}, {DayColours, at(1970, 3, 0), true},
		{AutoColours, at(2026, 12, 0), true}, {AutoColours, at(2026, 6, 30), true}, {AutoColours, at(2026, 22, 29), true},
		{AutoColours, at(2026, 22, 30), false}, {AutoColours, at(2026, 6, 29), false}, {AutoColours, at(2026, 0, 0), false},
		// Nobody knows the time: it does not glare.
		{AutoColours, at(1970, 12, 0), false},
	} {
		if got := (Timetable{Night: night, Colours: c.colours}).isDay(c.at); got != c.want {
			t.Errorf("%q at %s: day %v", c.colours, c.at.Format("2006 15:04"), got)
		}
	}
	for _, bad := range []Timetable{{Colours: "noon"}, {Colours: AutoColours}} {
		if _, err := New(Options{Hours: bad, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestCoarseKeepsInk is that half the resolution keeps a thin line, of light or of ink.
func TestCoarseKeepsInk(t *testing.T) {
	for name, palette := range map[string][]wire.RGB{"light": {night, {200, 180, 140}}, "ink": {paper, {60, 30, 10}}} {
		v := newView(Viewport{Width: 6, Height: 4})
		from := &wire.Frame{Number: 1, Width: 6, Height: 4, Bits: 1, Palette: palette, Cells: slices.Concat(make([]uint8, 6), []uint8{0, 1, 0, 0, 0, 0}, make([]uint8, 12))}
		v.cut(from, 2)
		if got := fmt.Sprint(v.current.Cells); got != "[1 0 0 0 0 0]" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
