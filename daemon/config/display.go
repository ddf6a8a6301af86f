package config

import "time"

// Display is the [display] table: what the wall shows and how fast.
type Display struct {
	Width           int      `toml:"width"`             // cells across, 480
	Height          int      `toml:"height"`            // cells down, 270
	FramesPerSecond int      `toml:"frames-per-second"` // 30
	Scenes          []string `toml:"scenes"`            // in the order of rotation
	Dwell           Duration `toml:"dwell"`             // how long a scene stays
	Fade            Duration `toml:"fade"`              // how long the change takes
}

func defaultDisplay() Display {
	return Display{
		Width: 480, Height: 270, FramesPerSecond: 30,
		Scenes: []string{"life", "line", "zoom"},
		Dwell:  Duration(90 * time.Second), Fade: Duration(2 * time.Second),
	}
}
