package config

import "time"

// Display is the [display] table: what the wall shows and how fast.
type Display struct {
	Width           int      `toml:"width" allow:"16..3840"`                                                 // cells across, 480
	Height          int      `toml:"height" allow:"16..2160"`                                                // cells down, 270
	FramesPerSecond int      `toml:"frames-per-second" allow:"1..60"`                                        // 30
	Scenes          []string `toml:"scenes" allow:"life|line|snake|zoom|chaos|rule90|arrowhead|carpet|fern"` // in the order of rotation
	Dwell           Duration `toml:"dwell" allow:"5s..24h"`                                                  // how long a scene stays
	Fade            Duration `toml:"fade" allow:"100ms..10s"`                                                // how long the change takes
}

func defaultDisplay() Display {
	return Display{
		Width: 480, Height: 270, FramesPerSecond: 30,
		Scenes: []string{"life", "line", "zoom"},
		Dwell:  Duration(90 * time.Second), Fade: Duration(2 * time.Second),
	}
}

func (d Display) check(bad func(key, found, allowed string)) {
	if len(d.Scenes) == 0 {
		bad("scenes", "found an empty list", "name at least one scene, or leave the key away for all of them")
	}
}
