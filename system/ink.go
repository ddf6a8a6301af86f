package system

import (
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// Ink is how figures are drawn for people: plain in files and pipes, coloured on
// a terminal. The zero value is plain.
type Ink struct {
	colours bool
	blocks  bool // the terminal shows more than ASCII
}

// InkFor is the ink for a writer: colours only on a terminal, and not against
// the owner's will (NO_COLOR, see https://no-color.org, or TERM=dumb).
func InkFor(w io.Writer) Ink {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Ink{}
	}
	return inkOf(os.Getenv)
}

// inkOf is the ink of a terminal in an environment. Old terminals on the serial
// line know colours by ANSI, or ignore them, but no block letters.
func inkOf(env func(string) string) Ink {
	locale := env("LC_ALL")
	if locale == "" {
		locale = env("LC_CTYPE")
	}
	if locale == "" {
		locale = env("LANG")
	}
	locale = strings.ToLower(locale)
	dumb := env("TERM") == "" || env("TERM") == "dumb"
	return Ink{
		colours: env("NO_COLOR") == "" && !dumb,
		blocks:  !dumb && (strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")),
	}
}

// Good, Warn, Bad, Dim and Bold colour a text, which may be padded already.
func (k Ink) Good(s string) string { return k.paint("32", s) }

// Warn is for what will be trouble.
func (k Ink) Warn(s string) string { return k.paint("33", s) }

// Bad is for trouble.
func (k Ink) Bad(s string) string { return k.paint("31", s) }

// Dim is for what stands beside the matter.
func (k Ink) Dim(s string) string { return k.paint("2", s) }

// Bold is for headings.
func (k Ink) Bold(s string) string { return k.paint("1", s) }

func (k Ink) paint(code, s string) string {
	if !k.colours || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Bar draws part of whole in so many columns between brackets. What is not zero
// shows, what is not all leaves a gap. From three quarters on it is a warning,
// from nine tenths on trouble.
func (k Ink) Bar(part, whole float64, columns int) string {
	share := 0.0
	if whole > 0 && part > 0 {
		share = min(part/whole, 1)
	}
	n := int(math.Round(share * float64(columns)))
	if share > 0 {
		n = max(n, 1)
	}
	if share < 1 {
		n = min(n, columns-1)
	}
	full, empty := "#", "."
	if k.blocks {
		full, empty = "█", "░"
	}
	done := strings.Repeat(full, n)
	switch {
	case share >= .9:
		done = k.Bad(done)
	case share >= .75:
		done = k.Warn(done)
	default:
		done = k.Good(done)
	}
	return "[" + done + k.Dim(strings.Repeat(empty, columns-n)) + "]"
}

// Spark draws the last columns of a curve, its least value lowest, in a row;
// where the terminal has no blocks, nothing.
func (k Ink) Spark(values []float64, columns int) string {
	values = values[max(0, len(values)-columns):]
	if !k.blocks || len(values) == 0 {
		return ""
	}
	const heights = "▁▂▃▄▅▆▇█"
	least, most := slices.Min(values), slices.Max(values)
	var b strings.Builder
	for _, v := range values {
		i := 0
		if most > least {
			i = int((v - least) / (most - least) * 7.999)
		}
		b.WriteString(string([]rune(heights)[i]))
	}
	return b.String()
}
