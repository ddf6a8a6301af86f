package imagebuild

import (
	"fmt"
	"slices"
	"strings"
)

// configLine is one setting of config.txt, with the conditional filters above it.
type configLine struct {
	number     int
	filters    []string // all must hold; empty: [all]
	key, value string
}

// modelFilters are the filters that name boards. Firmware combines filters of
// different kinds; of one kind the last wins, and [all] ends them all.
var modelFilters = []string{"pi0", "pi0w", "pi1", "pi02", "pi2", "pi3", "pi3+", "pi4", "pi400", "pi5", "pi500", "cm1", "cm3", "cm3+", "cm4", "cm4s", "cm5"}

// parseConfigTxt reads config.txt. What firmware would silently pass over is
// returned as a mistake.
func parseConfigTxt(doc string) (lines []configLine, mistakes []string) {
	var model, other string
	n := 0
	for text := range strings.Lines(doc) {
		n++
		line := strings.TrimSpace(text)
		if len(line) > 98 {
			mistakes = append(mistakes, fmt.Sprintf("line %d has %d characters; firmware reads 98", n, len(line)))
		}
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			name, ok := strings.CutSuffix(line[1:], "]")
			switch {
			case !ok:
				mistakes = append(mistakes, fmt.Sprintf("line %d: %q is not closed", n, line))
			case name == "all":
				model, other = "", ""
			case name == "none" || slices.Contains(modelFilters, name):
				model = name
			case strings.ContainsAny(name, "=:") || name == "tryboot":
				other = name
			default:
				mistakes = append(mistakes, fmt.Sprintf("line %d: [%s] is no filter that firmware knows; the lines below it are passed over", n, name))
				model = "none"
			}
		default:
			key, value, ok := strings.Cut(line, "=")
			if file, is := strings.CutPrefix(line, "initramfs "); is {
				key, value, ok = "initramfs", strings.TrimSpace(file), true
			}
			if !ok || strings.TrimSpace(key) != key || key == "" {
				mistakes = append(mistakes, fmt.Sprintf("line %d: %q is not KEY=VALUE", n, line))
				continue
			}
			l := configLine{number: n, key: key, value: value}
			for _, f := range []string{model, other} {
				if f != "" {
					l.filters = append(l.filters, f)
				}
			}
			lines = append(lines, l)
		}
	}
	return lines, mistakes
}

// applies reports whether a filter holds on a board. A filter names a family: [pi4]
// holds on a 400 and a CM4, [pi3] on a 3+, [pi0] on a Zero W and a Zero 2 W.
func applies(filter, board string) bool {
	if filter == board {
		return true
	}
	switch filter {
	case "pi4":
		return board == "pi400" || board == "cm4"
	case "pi3":
		return board == "pi3+"
	case "pi0":
		return board == "pi0w" || board == "pi02"
	}
	return false
}

// forBoard lists what holds on one board. Filters on serial numbers, GPIO and
// displays are taken not to hold.
func forBoard(lines []configLine, board string) []configLine {
	var out []configLine
	for _, l := range lines {
		if !slices.ContainsFunc(l.filters, func(f string) bool { return !applies(f, board) }) {
			out = append(out, l)
		}
	}
	return out
}

// last is the value of a key, the last one as firmware takes it.
func last(lines []configLine, key string) string {
	value := ""
	for _, l := range lines {
		if l.key == key {
			value = l.value
		}
	}
	return value
}

// overlays lists the overlays that are loaded, without their parameters.
func overlays(lines []configLine) []string {
	var out []string
	for _, l := range lines {
		if l.key == "dtoverlay" && l.value != "" {
			name, _, _ := strings.Cut(l.value, ",")
			name, _, _ = strings.Cut(name, ":")
			out = append(out, name)
		}
	}
	return out
}
