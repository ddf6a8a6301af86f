package display

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sierpi/sierpi/display/sierpinski"
	"github.com/sierpi/sierpi/display/wire"
)

// director shows the scenes in rotation. Its time is counted in frames, so that a wall
// nobody looks at does not run through its scenes.
type director struct {
	names   []string
	setting Setting
	dwell   int // frames a scene stays, its fades included; 0: for ever
	fade    int // frames to the dark, and again as many from it
	log     *slog.Logger
	random  *rand.Rand
	scene   Scene
	at      int // index of the scene in names
	frame   int // since the scene began

	guest  string // name of a scene outside the rotation, which stays until it is dismissed
	leaves bool   // the guest stays no longer than any scene
}

func newDirector(o Options) (*director, error) {
	d := &director{
		names: o.Scenes, log: o.Logger,
		setting: Setting{Width: o.Width, Height: o.Height, FramesPerSecond: o.FramesPerSecond, Sharp: o.Sharp, Figures: o.Figures},
		random:  rand.New(rand.NewPCG(o.Seed, 0)),
		dwell:   int(o.Dwell * time.Duration(o.FramesPerSecond) / time.Second),
		fade:    int(o.Fade * time.Duration(o.FramesPerSecond) / time.Second / 2),
	}
	// All of them once, so that a wrong name is an error now and not in an hour.
	for i := len(d.names) - 1; i >= 0; i-- {
		if err := d.begin(i); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *director) begin(i int) error {
	d.setting.Seed = d.random.Uint64()
	scene, err := NewScene(d.names[i], d.setting)
	if err != nil {
		return fmt.Errorf("display: %w", err)
	}
	d.scene, d.at, d.frame = scene, i, 0
	return nil
}

// invite shows a scene outside the rotation, until it is dismissed.
func (d *director) invite(name string, scene Scene) {
	d.scene, d.guest, d.leaves, d.frame = scene, name, false, 0
}

// dismiss goes on with the rotation, if that guest is still there.
func (d *director) dismiss(scene Scene) {
	if d.guest != "" && d.scene == scene {
		d.skip()
	}
}

// setFigure sets one of the scenes of package sierpinski.
func (d *director) setFigure(f sierpinski.Settings, show bool) {
	figures := maps.Clone(d.setting.Figures)
	if figures == nil {
		figures = make(map[string]sierpinski.Settings)
	}
	figures[f.Scene] = f
	d.setting.Figures = figures
	at := slices.Index(d.names, f.Scene)
	switch {
	case d.guest != "" && !d.leaves: // somebody plays
	case at >= 0 && (show || at == d.at):
		d.at = (at + len(d.names) - 1) % len(d.names)
		d.skip()
	case show:
		d.setting.Seed = d.random.Uint64()
		scene, err := NewScene(f.Scene, d.setting)
		if err != nil {
			d.log.Error("the scene cannot be shown; the wall goes on", "scene", f.Scene, "error", err)
			return
		}
		d.invite(f.Scene, scene)
		d.leaves = true
	}
}

// step advances by one frame.
func (d *director) step() {
	d.frame++
	if d.rotates() && d.frame >= d.dwell {
		d.skip()
		return
	}
	d.scene.Step()
}

// rotates reports whether the scene will make way for the next.
func (d *director) rotates() bool {
	return d.dwell > 0 && (d.guest == "" && len(d.names) > 1 || d.guest != "" && d.leaves)
}

// skip changes to the next scene at once; it comes up out of the dark.
func (d *director) skip() {
	d.guest, d.leaves = "", false
	next := (d.at + 1) % len(d.names)
	if err := d.begin(next); err != nil {
		// It was made once, when the director was: only memory can be short now.
		d.log.Error("the next scene cannot be shown; this one stays", "scene", d.names[next], "error", err)
		d.frame = 0
	}
}

// light is how bright the scene is now, 0 to 1.
func (d *director) light() float64 {
	if d.fade == 0 {
		return 1
	}
	t := min(1, float64(d.frame)/float64(d.fade))
	if d.rotates() {
		t = min(t, float64(d.dwell-d.frame)/float64(d.fade))
	}
	t = max(0, t)
	// The eye takes the square for even.
	return t * t
}

// draw fills a frame of the right size.
func (d *director) draw(f *wire.Frame) {
	d.scene.Draw(f)
	f.Scene, f.Caption = d.names[d.at], d.scene.Caption()
	if d.guest != "" {
		f.Scene = d.guest
	}
	if light := d.light(); light < 1 {
		for i, c := range f.Palette {
			f.Palette[i] = mix(d.setting.ground(), c, light)
		}
	}
}
