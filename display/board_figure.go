package display

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/sierpinski"
)

// PageScenes are the scenes of package sierpinski as the settings page offers them.
func PageScenes() []page.SceneInfo {
	var out []page.SceneInfo
	for _, i := range sierpinski.Scenes() {
		out = append(out, page.SceneInfo{Name: i.Name, Title: i.Title, Level: i.Level, MinLevel: i.MinLevel, MaxLevel: i.MaxLevel,
			Default: i.Default, Colours: i.Colours, Variants: i.Variants})
	}
	return out
}

// ParseSettings reads the settings of a scene strictly, from JSON.
func ParseSettings(data []byte) (sierpinski.Settings, error) {
	var s sierpinski.Settings
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("reading the settings: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s, errors.New("reading the settings: something follows after them")
	}
	return s, s.Validate()
}

// figureBoard is the private preview of the settings page.
type figureBoard struct {
	triangle
	settings      sierpinski.Settings
	width, height int
	still         bool
}

func newFigureBoard(width, height int) (*figureBoard, error) {
	f := &figureBoard{width: width, height: height}
	return f, f.set(sierpinski.Settings{Scene: sierpinski.Names()[0]})
}

func (f *figureBoard) set(s sierpinski.Settings) error {
	day := s
	day.Day = f.settings.Day
	seed := s.Seed
	if s.Seed == 0 {
		s.Seed = rand.Uint32()
	}
	if f.triangle.Scene != nil && day == f.settings {
		// Nothing but the light: it goes on where it is.
		f.triangle.SetDay(s.Day)
	} else {
		scene, err := sierpinski.New(f.width, f.height, s)
		if err != nil {
			return err
		}
		f.triangle = triangle{Scene: scene}
	}
	s.Seed = seed
	f.settings = s
	return nil
}

func (f *figureBoard) size() (int, int) { return f.width, f.height }
func (f *figureBoard) moves() bool      { return !f.still }

func (f *figureBoard) state() any {
	return struct {
		Settings sierpinski.Settings `json:"settings"`
		Playing  bool                `json:"playing"`
	}{f.settings, !f.still}
}

func (f *figureBoard) hear(m request) (any, later, error) {
	switch m.Type {
	case "settings":
		s, err := ParseSettings(m.Settings)
		if err == nil {
			err = f.set(s)
		}
		if err != nil {
			return nil, nil, &userError{"These settings are not possible: " + err.Error() + ".", "Choose from what the page offers."}
		}
	case "anew":
		s := f.settings
		f.triangle.Scene = nil
		if err := f.set(s); err != nil {
			return nil, nil, fmt.Errorf("beginning the scene anew: %w", err)
		}
	case "play":
		f.still = false
	case "pause":
		f.still = true
	default:
		return nil, nil, fmt.Errorf("type %.20q is not known", m.Type)
	}
	return nil, nil, nil
}
