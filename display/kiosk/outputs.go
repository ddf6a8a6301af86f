package kiosk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// output is a screen that is connected to the X server.
type output struct {
	name                string
	lit                 bool // a picture is sent to it, whether or not its power is saved
	x, y, width, height int  // where on the desktop, in pixels; 0 unless lit
}

// outputLine begins an output of `xrandr`, such as
// "HDMI-1 connected primary 1920x1080+0+0 (normal left ...) 520mm x 290mm".
var outputLine = regexp.MustCompile(`^(\S+) connected (?:primary )?(?:(\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5}) )?`)

// parseOutputs reads what `xrandr` prints: the connected outputs in its order.
func parseOutputs(text []byte) []output {
	var list []output
	scan := bufio.NewScanner(bytes.NewReader(text))
	for scan.Scan() {
		m := outputLine.FindStringSubmatch(scan.Text() + " ")
		if m == nil {
			continue
		}
		o := output{name: m[1], lit: m[2] != ""}
		for i, n := range []*int{&o.width, &o.height, &o.x, &o.y} {
			*n, _ = strconv.Atoi(m[i+2]) // empty: 0; the expression holds digits only
		}
		list = append(list, o)
	}
	return list
}

// saving reads from what `xset q` prints whether the X server can save the monitors'
// power, and whether it does.
func parseSaving(text []byte) (can, saves bool) {
	s := string(text)
	_, s, ok := strings.Cut(s, "DPMS (")
	if !ok || strings.Contains(s, "does not have the DPMS") {
		return false, false
	}
	_, state, ok := strings.Cut(s, "Monitor is ")
	return true, ok && !strings.HasPrefix(state, "On")
}

// display is the X server of the session.
type display struct{}

// quiet is how long a program of the X server may take.
const quiet = 15 * time.Second

func (display) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = errors.New(strings.TrimSpace(strings.SplitN(string(exit.Stderr), "\n", 2)[0]))
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// prepare keeps the screen on and the root window dark.
func (d display) prepare(ctx context.Context) error {
	_, err := d.run(ctx, "xset", "s", "off", "s", "noblank")
	// Not every X server can save power; then it does not.
	_, _ = d.run(ctx, "xset", "-dpms")
	_, e := d.run(ctx, "xsetroot", "-solid", "#05060c")
	return errors.Join(err, e)
}

// state is the outputs and whether the X server saves their power. Unless probe, the
// monitors are not asked: the X server notices by itself when one comes.
func (d display) state(ctx context.Context, probe bool) (list []output, canSave, saves bool, err error) {
	args := []string{"xrandr", "--current"}
	if probe {
		args = args[:1]
	}
	text, err := d.run(ctx, args...)
	if err != nil {
		return nil, false, false, err
	}
	power, err := d.run(ctx, "xset", "q")
	if err != nil {
		return nil, false, false, err
	}
	canSave, saves = parseSaving(power)
	return parseOutputs(text), canSave, saves, nil
}

// beside places an output to the right of the one before it that is to be lit; the first
// stays where it is.
func beside(o output, list []output, on func(output) bool) []string {
	left := ""
	for _, other := range list {
		if other.name == o.name {
			break
		}
		if on(other) {
			left = other.name
		}
	}
	if left == "" {
		return nil
	}
	return []string{"--right-of", left}
}

// isOver reports whether the output shows some of what an output before it shows.
func (o output) isOver(list []output) bool {
	for _, other := range list {
		if other.name == o.name {
			break
		}
		if other.lit && o.lit && o.x < other.x+other.width && other.x < o.x+o.width && o.y < other.y+other.height && other.y < o.y+o.height {
			return true
		}
	}
	return false
}

// bring makes the outputs what is wanted of them (absent: on), and returns what was
// read back afterwards, with whether anything was changed.
func (d display) bring(ctx context.Context, wanted map[string]bool, probe bool) (list []output, reports []report, changed bool, err error) {
	list, canSave, saves, err := d.state(ctx, probe)
	if err != nil {
		return nil, nil, false, err
	}
	on := func(o output) bool {
		w, ok := wanted[o.name]
		return w || !ok
	}
	allOff := len(list) > 0
	for _, o := range list {
		allOff = allOff && !on(o)
	}
	trouble := map[string]string{}
	try := func(o output, args ...string) {
		changed = true
		if _, err := d.run(ctx, args...); err != nil {
			trouble[o.name] = err.Error()
		}
	}
	for _, o := range list {
		switch {
		case !on(o) && allOff && canSave:
			// Saving power keeps the windows where they are; it knows all outputs or none.
			if !saves {
				try(o, "xset", "dpms", "force", "off")
				saves = true
			}
		case !on(o) && o.lit:
			try(o, "xrandr", "--output", o.name, "--off")
		case on(o) && !o.lit:
			// Alone it would come upon the first one and show the same.
			try(o, append([]string{"xrandr", "--output", o.name, "--auto"}, beside(o, list, on)...)...)
		case on(o) && o.isOver(list):
			try(o, append([]string{"xrandr", "--output", o.name}, beside(o, list, on)...)...)
		case on(o) && saves:
			try(o, "xset", "dpms", "force", "on")
			try(o, "xset", "-dpms")
			saves = false
		}
	}
	if changed {
		if list, _, saves, err = d.state(ctx, false); err != nil {
			return nil, nil, true, err
		}
	}
	for _, o := range list {
		reports = append(reports, report{Name: o.name, On: o.lit && !saves, Trouble: trouble[o.name]})
	}
	return list, reports, changed, nil
}
