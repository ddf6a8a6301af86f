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
	programmes []programme // the usual one first
	showing    int         // index of the programme
	setting    Setting
	universe   *soup // the life scene: it is one universe, and goes on where it was
	held       int   // frames for which the scene stays
	seen       func(Settled)
	edited     func(Edit)

	names  []string // of the programme
	dwell  int      // frames a scene stays, its fades included; 0: for ever
	fade   int      // frames to the dark, and again as many from it
	log    *slog.Logger
	random *rand.Rand
	scene  Scene
	at     int // index of the scene in names
	frame  int // since the scene began

	bright float64 // 0 to 1
	wanted float64 // what bright goes to, within a few seconds

	ink    bool    // the scene is ink on paper
	ground float64 // what is behind it: 0 is night, 1 is paper
	veil   int     // frames on the way into the ground, 0 to fade
	sinks  bool    // the scene is on that way, and goes it to the end

	guest  string // name of a scene outside the rotation, which stays until it is dismissed
	leaves bool   // the guest stays no longer than any scene
}

// programme is a rotation of scenes.
type programme struct {
	names []string
	dwell int
}

func newDirector(o Options) (*director, error) {
	frames := func(d time.Duration) int { return int(d * time.Duration(o.FramesPerSecond) / time.Second) }
	d := &director{
		log: o.Logger, seen: o.Settled, bright: 1, wanted: 1,
		setting: Setting{Width: o.Width, Height: o.Height, FramesPerSecond: o.FramesPerSecond, Sharp: o.Sharp, Figures: o.Figures},
		random:  rand.New(rand.NewPCG(o.Seed, 0)),
		fade:    frames(o.Fade / 2),
	}
	d.programmes = []programme{{o.Scenes, frames(o.Dwell)}}
	for _, p := range o.Hours.Programmes {
		dwell := p.Dwell
		if dwell == 0 {
			dwell = o.Dwell
		}
		d.programmes = append(d.programmes, programme{p.Scenes, frames(dwell)})
	}
	// All of them once, so that a wrong name is an error now and not in an hour.
	for i := len(d.programmes) - 1; i >= 0; i-- {
		d.names, d.dwell, d.showing = d.programmes[i].names, d.programmes[i].dwell, i
		for k := len(d.names) - 1; k >= 0; k-- {
			if err := d.begin(k); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (d *director) begin(i int) error {
	d.setting.Seed = d.random.Uint64()
	scene, err := d.make(d.names[i])
	if err != nil {
		return fmt.Errorf("display: %w", err)
	}
	d.at = i
	d.put(scene)
	return nil
}

// put shows a scene, in the colours of the time, out of the dark or the paper.
func (d *director) put(scene Scene) {
	d.scene, d.frame, d.sinks = scene, 0, false
	d.paint()
	if d.veil = 0; d.ground != d.wantedGround() {
		d.veil = d.fade
	}
}

// paint gives the scene, of which nothing is seen, the colours of the time.
func (d *director) paint() {
	d.ink = isInk(d.scene, d.setting.Day)
	if l, ok := d.scene.(daylit); ok {
		l.daylight(d.ink)
	}
}

func (d *director) wantedGround() float64 {
	if d.ink {
		return 1
	}
	return 0
}

// turn goes on from light in the dark to ink on paper, or back, where that is due: the scene
// goes into its ground, the ground changes, and the scene comes out of it again in its other
// colours. All that while it goes on. It reports whether nothing is seen of the scene.
//
// However often somebody changes his mind, it flashes less than three times a second: a way
// in or out is gone to the end, and the ground takes a quarter of a second for a tenth of the light.
func (d *director) turn() (hidden bool) {
	due := d.ink != isInk(d.scene, d.setting.Day) && !d.isPlayed()
	switch {
	case d.sinks && d.veil < d.fade:
		d.veil++
		return false
	case d.sinks || due && d.ground != d.wantedGround():
		d.sinks = false
		d.paint()
		return true
	case d.ground != d.wantedGround():
		step := 1 / float64(groundSeconds*d.setting.FramesPerSecond)
		d.ground += max(-step, min(step, d.wantedGround()-d.ground))
		return true
	case d.veil > 0:
		d.veil--
	case due:
		d.sinks = true
	}
	return false
}

// groundSeconds is how long night takes to become paper.
const groundSeconds = 4

// isPlayed reports whether somebody plays on the wall, who must see it.
func (d *director) isPlayed() bool { return d.guest != "" && !d.leaves }

// setDay chooses between ink on paper and light in the dark.
func (d *director) setDay(day bool) { d.setting.Day = day }

// onPaper reports whether what is over the picture stands on a light ground.
func (d *director) onPaper() bool { return d.ground > 0.6 }

// make makes a scene; there is one universe of Life, whenever it is shown.
func (d *director) make(name string) (Scene, error) {
	if name == "life" && d.universe != nil {
		return d.universe, nil
	}
	scene, err := NewScene(name, d.setting)
	if u, ok := scene.(*soup); ok && err == nil {
		d.universe, u.settled, u.onEdit = u, d.seen, d.edited
	}
	return scene, err
}

// setProgramme changes to a programme of the timetable; -1 is the usual one. What is on
// makes way only if the new programme does not have it.
func (d *director) setProgramme(i int) {
	if i+1 == d.showing {
		return
	}
	on := d.names[d.at]
	d.showing = i + 1
	p := d.programmes[d.showing]
	d.names, d.dwell = p.names, p.dwell
	if at := slices.Index(d.names, on); at >= 0 {
		// It may have stood for hours: its time begins anew, so that it fades.
		d.at, d.frame = at, min(d.frame, max(d.fade, d.dwell/2))
		return
	}
	d.at = len(d.names) - 1 // so that the first is next
	if d.guest == "" {
		d.skip()
	}
}

// setBrightness dims, or lights up again, within a few seconds.
func (d *director) setBrightness(b float64) { d.wanted = b }

// light0 takes the wanted brightness and colours at once: nobody has seen others.
func (d *director) light0() {
	d.bright = d.wanted
	d.paint()
	d.ground, d.veil, d.sinks = d.wantedGround(), 0, false
}

// dimSeconds is how long the way from dark to bright would take.
const dimSeconds = 8

// show puts a scene on, out of the rotation's order if it is part of it, else as a guest.
func (d *director) show(name string) error {
	if at := slices.Index(d.names, name); at >= 0 {
		d.at = (at + len(d.names) - 1) % len(d.names)
		d.skip()
		return nil
	}
	d.setting.Seed = d.random.Uint64()
	scene, err := d.make(name)
	if err != nil {
		return err
	}
	d.invite(name, scene)
	d.leaves = true
	return nil
}

// name is the name of the scene that is on.
func (d *director) name() string {
	if d.guest != "" {
		return d.guest
	}
	return d.names[d.at]
}

// stay keeps the scene for at least so many seconds from now.
func (d *director) stay(seconds int) {
	if d.rotates() {
		d.frame = min(d.frame, max(d.fade, d.dwell-d.fade-seconds*d.setting.FramesPerSecond))
	}
}

// invite shows a scene outside the rotation, until it is dismissed.
func (d *director) invite(name string, scene Scene) {
	d.guest, d.leaves = name, false
	d.put(scene)
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
	switch {
	case d.isPlayed():
	case show || f.Scene == d.name():
		if err := d.show(f.Scene); err != nil {
			d.log.Error("the scene cannot be shown; the wall goes on", "scene", f.Scene, "error", err)
		}
	}
}

// step advances by one frame.
func (d *director) step() {
	hidden := d.turn()
	if d.held > 0 {
		// Its time begins anew when it is let go, so that it fades.
		d.held, d.frame = d.held-1, min(d.frame, max(d.fade, d.dwell/2))
	}
	step := 1 / float64(dimSeconds*d.setting.FramesPerSecond)
	d.bright += max(-step, min(step, d.wanted-d.bright))
	if hidden {
		if d.frame > 0 {
			d.scene.Step()
		}
		return // its time, and one that is new, waits until it is seen
	}
	if d.frame++; d.rotates() && d.frame >= d.dwell {
		d.skip()
		return
	}
	d.scene.Step()
}

// rotates reports whether the scene will make way for the next.
func (d *director) rotates() bool {
	return d.dwell > 0 && d.held == 0 && (d.guest == "" && len(d.names) > 1 || d.guest != "" && d.leaves)
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
	if d.fade == 0 { // one frame a second
		if d.ground != d.wantedGround() {
			return 0
		}
		return 1
	}
	t := min(1, float64(d.frame)/float64(d.fade))
	if d.rotates() {
		t = min(t, float64(d.dwell-d.frame)/float64(d.fade))
	}
	t = max(0, min(t, 1-float64(d.veil)/float64(d.fade)))
	// The eye takes the square for even.
	return t * t
}

// draw fills a frame of the right size.
func (d *director) draw(f *wire.Frame) {
	d.scene.Draw(f)
	f.Scene, f.Caption = d.name(), d.scene.Caption()
	ground := mix(night, paper, d.ground*d.ground)
	// The eye takes the square of a share of the light for its half.
	if light, bright := d.light(), d.bright*d.bright; light*bright < 1 {
		for i, c := range f.Palette {
			for k := range c {
				seen := toLinear(c[k])*light + toLinear(ground[k])*(1-light)
				f.Palette[i][k] = toSRGB(seen*bright + toLinear(night[k])*(1-bright))
			}
		}
	}
}
