package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Display is the [display] table: what the wall shows and how fast.
type Display struct {
	Width           int `toml:"width" allow:"64..3840"`          // cells across, 480
	Height          int `toml:"height" allow:"64..2160"`         // cells down, 270
	FramesPerSecond int `toml:"frames-per-second" allow:"1..60"` // 30

	// In the order of rotation; apart, because a new scene makes this line longer.
	Scenes []string `toml:"scenes" allow:"life|line|snake|zoom|chaos|rule90|arrowhead|carpet|fern"`

	Dwell Duration `toml:"dwell" allow:"5s..24h"`   // how long a scene stays
	Fade  Duration `toml:"fade" allow:"100ms..10s"` // how long the change takes

	Night           string `toml:"night"`                            // hours of the day with less light, "22:30-06:30"; empty: none
	NightBrightness int    `toml:"night-brightness" allow:"10..100"` // percent
	Colours         string `toml:"colours" allow:"night|day|auto"`   // light in the dark, ink on paper, or the one in the hours of night and else the other
	ScreensOff      string `toml:"screens-off"`                      // hours of the day with the machine's screens off; empty: none
	Visitors        bool   `toml:"visitors"`                         // whether the wall shows the code that lets visitors in
	SavePower       bool   `toml:"save-power"`                       // draw less while the board is short of power or too warm

	Programmes []Programme `toml:"programme"`
	Outputs    []Output    `toml:"output"`
}

// Programme is a [[display.programme]]: what is shown in a part of the day.
type Programme struct {
	Hours string `toml:"hours"` // "18:00-22:00"

	Scenes []string `toml:"scenes" allow:"life|line|snake|zoom|chaos|rule90|arrowhead|carpet|fern"`

	Dwell Duration `toml:"dwell" allow:"5s..24h"` // 0: as always
}

// Output is a [[display.output]]: the part of the universe that one screen of the machine shows.
type Output struct {
	Name string `toml:"name"` // as xrandr has it, "HDMI-2"
	View string `toml:"view"` // "left,top,width,height" in cells; empty: all of it
}

func defaultDisplay() Display {
	return Display{
		Width: 480, Height: 270, FramesPerSecond: 30,
		Scenes: []string{"life", "line", "zoom"},
		Dwell:  Duration(90 * time.Second), Fade: Duration(2 * time.Second),
		Night: "22:30-06:30", NightBrightness: 50, Colours: "night", Visitors: true, SavePower: true,
	}
}

const hoursHelp = "write from when to when, such as \"22:30-06:30\", or \"\" for never"

func (d Display) check(bad func(key, found, allowed string)) {
	if len(d.Scenes) == 0 {
		bad("scenes", "found an empty list", "name at least one scene, or leave the key away for all of them")
	}
	for key, hours := range map[string]string{"night": d.Night, "screens-off": d.ScreensOff} {
		if _, _, err := ParseHours(hours); err != nil {
			bad(key, fmt.Sprintf("found the string %q", hours), hoursHelp)
		}
	}
	if from, to, err := ParseHours(d.Night); d.Colours == "auto" && err == nil && from == to {
		bad("colours", fmt.Sprintf("found \"auto\", but no hours of night (night = %q)", d.Night),
			"write them in night, such as \"22:30-06:30\", with night-brightness = 100 if nothing is to be dimmed; or colours = \"day\" or \"night\"")
	}
	for i, p := range d.Programmes {
		at := fmt.Sprintf("programme[%d]", i)
		if from, to, err := ParseHours(p.Hours); err != nil || from == to {
			bad(at+".hours", fmt.Sprintf("found the string %q", p.Hours), "write from when to when, such as \"18:00-22:00\"")
		}
		if len(p.Scenes) == 0 {
			bad(at+".scenes", "found no scenes", "name at least one")
		}
	}
	for i, o := range d.Outputs {
		at := fmt.Sprintf("output[%d]", i)
		if !outputName.matches(o.Name) || slices.ContainsFunc(d.Outputs[:i], func(b Output) bool { return b.Name == o.Name }) {
			bad(at+".name", fmt.Sprintf("found the string %q", o.Name), "write the name of another screen, as `xrandr` lists it, such as \"HDMI-1\"")
		}
		if !d.hasPart(o.View) {
			bad(at+".view", fmt.Sprintf("found the string %q", o.View),
				fmt.Sprintf("write left, top, width and height in cells within the %d x %d of the wall, such as \"%d,0,%d,%d\", or \"\" for all", d.Width, d.Height, d.Width/2, d.Width/2, d.Height))
		}
	}
}

var outputName = newPattern(`^[!-~]{1,32}$`)

// hasPart reports whether the universe has that part: it may go over its edges, but is no larger.
func (d Display) hasPart(view string) bool {
	if view == "" {
		return true
	}
	parts := strings.Split(view, ",")
	if len(parts) != 4 {
		return false
	}
	var n [4]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return false
		}
		n[i] = v
	}
	return n[0] < d.Width && n[1] < d.Height && n[2] >= 1 && n[2] <= d.Width && n[3] >= 1 && n[3] <= d.Height
}

// ParseHours reads "22:30-06:30" as minutes since midnight; "" is 0, 0: never.
func ParseHours(s string) (from, to int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, ok := strings.Cut(s, "-")
	if ok {
		from, ok = minutes(first)
	}
	if ok {
		to, ok = minutes(last)
	}
	if !ok {
		return 0, 0, fmt.Errorf("%q is no part of the day; %s", s, hoursHelp)
	}
	return from, to, nil
}

// minutes reads "7:30" or "07:30" as minutes since midnight.
func minutes(s string) (int, bool) {
	h, m, _ := strings.Cut(s, ":")
	hours, bad := strconv.ParseUint(h, 10, 8)
	mins, worse := strconv.ParseUint(m, 10, 8)
	ok := bad == nil && worse == nil && len(h) <= 2 && len(m) == 2 && hours < 24 && mins < 60
	return int(hours*60 + mins), ok
}
