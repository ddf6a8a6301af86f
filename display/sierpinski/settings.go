package sierpinski

import (
	"errors"
	"fmt"
	"image/color"
	"math/rand/v2"
	"slices"
	"strings"
)

// Limits of a scene's size, in cells.
const (
	MinSide  = 16
	MaxSide  = 8192
	MaxCells = 3840 * 2160
)

// Scene is what every type of this package offers.
type Scene interface {
	// Step advances by one tick; 30 a second is the nominal pace.
	Step()
	// Draw writes one palette index a cell, row by row; row y starts at
	// dst[y*stride]. It panics if dst is too short, as a slice does.
	Draw(dst []uint8, stride int)
	// Bits is the number of bits a cell needs, 1 to 8; constant for a scene.
	Bits() int
	// Palette returns the colours of this moment, at most 1<<Bits() of them.
	// The slice is the scene's own and valid until the next call.
	Palette() []color.RGBA
	// Caption says in plain English what is shown.
	Caption() string
	// SetDay changes between the day and the night palette.
	SetDay(day bool)
}

// Settings is what a person may choose about a scene. The zero value of every
// field but Scene means "the scene's own default".
type Settings struct {
	// Scene is one of [Names].
	Scene string `json:"scene"`
	// Level is the fineness of the figure: see [Info] for what it counts in
	// each scene and for its range. 0 is the default.
	Level int `json:"level,omitempty"`
	// Colours is one of [Colours]; empty is the scene's own.
	Colours string `json:"colours,omitempty"`
	// Day chooses the light palette.
	Day bool `json:"day,omitempty"`
	// Speed is in percent of the nominal pace, 25 to 200; 0 is 100.
	Speed int `json:"speed,omitempty"`
	// Variant is one of the scene's [Info].Variants; empty is the first.
	Variant string `json:"variant,omitempty"`
	// Seed starts the random numbers: equal seeds, equal frames. 32 bits, so
	// that a page can hold it in a JavaScript number.
	Seed uint32 `json:"seed,omitempty"`
}

// Info describes one scene for a settings page.
type Info struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Level    string   `json:"level"` // what Level counts
	MinLevel int      `json:"minLevel"`
	MaxLevel int      `json:"maxLevel"`
	Default  int      `json:"defaultLevel"`
	Colours  string   `json:"colours"` // the default scheme
	Variants []string `json:"variants"`
}

// Speeds a person may set, in percent. Beyond twice the pace the finest cells would
// flash more than three times a second.
const (
	MinSpeed = 25
	MaxSpeed = 200
)

// Scenes describes every scene, in the order a settings page shows them.
func Scenes() []Info {
	return []Info{
		zoomInfo(), chaosInfo(), rule90Info(), arrowheadInfo(), carpetInfo(), fernInfo(),
	}
}

// Names lists the scenes.
func Names() []string {
	var names []string
	for _, s := range Scenes() {
		names = append(names, s.Name)
	}
	return names
}

// New makes the scene that s names, width by height cells.
func New(width, height int, s Settings) (Scene, error) {
	switch s.Scene {
	case "zoom":
		return NewZoom(width, height, s)
	case "chaos":
		return NewChaos(width, height, s)
	case "arrowhead":
		return NewArrowhead(width, height, s)
	case "fern":
		return NewFern(width, height, s)
	case "carpet":
		return NewCarpet(width, height, s)
	case "rule90":
		return NewRule90(width, height, s)
	}
	return nil, s.Validate()
}

// Validate reports every setting that is wrong, each with what it may be.
func (s Settings) Validate() error {
	i := slices.IndexFunc(Scenes(), func(n Info) bool { return n.Name == s.Scene })
	if i < 0 {
		return fmt.Errorf("scene: no scene %q; there are %s", s.Scene, strings.Join(Names(), ", "))
	}
	_, err := s.resolve(Scenes()[i])
	return err
}

// resolve fills in the defaults and reports what is wrong.
func (s Settings) resolve(n Info) (Settings, error) {
	var errs []error
	if s.Scene != "" && s.Scene != n.Name {
		errs = append(errs, fmt.Errorf("scene: these settings are for %q, not for %q", s.Scene, n.Name))
	}
	s.Scene = n.Name
	switch {
	case s.Level == 0:
		s.Level = n.Default
	case s.Level < n.MinLevel || s.Level > n.MaxLevel:
		errs = append(errs, fmt.Errorf("level: %d is out of range for %q; choose %d to %d (%s)", s.Level, n.Name, n.MinLevel, n.MaxLevel, n.Level))
	}
	if s.Colours == "" {
		s.Colours = n.Colours
	}
	if _, ok := schemes[s.Colours]; !ok {
		errs = append(errs, fmt.Errorf("colours: no colours %q; there are %s", s.Colours, strings.Join(Colours(), ", ")))
	}
	switch {
	case s.Speed == 0:
		s.Speed = 100
	case s.Speed < MinSpeed || s.Speed > MaxSpeed:
		errs = append(errs, fmt.Errorf("speed: %d %% is out of range; choose %d to %d (percent of the usual pace)", s.Speed, MinSpeed, MaxSpeed))
	}
	if s.Variant == "" {
		s.Variant = n.Variants[0]
	} else if !slices.Contains(n.Variants, s.Variant) {
		errs = append(errs, fmt.Errorf("variant: %q has no variant %q; there are %s", n.Name, s.Variant, strings.Join(n.Variants, ", ")))
	}
	return s, errors.Join(errs...)
}

// checkSize reports a width or height that a scene cannot have.
func checkSize(width, height int) error {
	for _, d := range []struct {
		name string
		n    int
	}{{"width", width}, {"height", height}} {
		if d.n < MinSide || d.n > MaxSide {
			return fmt.Errorf("%s: %d cells is out of range; choose %d to %d", d.name, d.n, MinSide, MaxSide)
		}
	}
	if width*height > MaxCells { // at most 2^26: no overflow in 32 bits
		return fmt.Errorf("size: %dx%d is more than %d cells; choose a smaller width or height", width, height, MaxCells)
	}
	return nil
}

// prepare checks the size and the settings in one go.
func prepare(width, height int, s Settings, n Info) (Settings, error) {
	s, err := s.resolve(n)
	if err := errors.Join(checkSize(width, height), err); err != nil {
		return s, fmt.Errorf("making the %s scene: %w", n.Name, err)
	}
	return s, nil
}

// newRand returns random numbers that depend on the seed alone.
func newRand(seed uint32) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0x51e7)) }

// pacer turns ticks into scene time at the chosen speed: hundredths of a tick.
type pacer struct {
	speed int
	rest  int
}

// tick returns how many nominal ticks pass with this one: 0 to 2.
func (p *pacer) tick() int {
	p.rest += p.speed
	n := p.rest / 100
	p.rest %= 100
	return n
}
