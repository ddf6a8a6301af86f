package power

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// Report is what `sierpi power` prints: a reading, temperatures and the
// firmware's word, each where there is one. It marshals to JSON.
type Report struct {
	Board        string          `json:"board"`
	Reading      *Reading        `json:"reading,omitempty"`
	Absent       string          `json:"absent,omitempty"` // why there is no reading
	Temperatures []Temperature   `json:"temperatures,omitempty"`
	Firmware     *FirmwareReport `json:"firmware,omitempty"`

	History []float64 `json:"-"` // watts of earlier readings, for a curve; may be empty
}

// barColumns is how wide a bar is drawn.
const barColumns = 20

// WriteTo prints it for people.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	ink := system.InkFor(w)
	var b strings.Builder
	row := func(name, text string) { fmt.Fprintf(&b, "%s  %s\n", ink.Bold(fmt.Sprintf("%-11s", name)), text) }
	row("board", r.Board)
	if p := r.Reading; p != nil {
		how := string(p.Source)
		if p.Estimate {
			how += ", an estimate"
		}
		row("power", fmt.Sprintf("%9s    %s", figure(p.Watts, "W"), ink.Dim(how)))
		if len(r.History) > 1 {
			row("", strings.Repeat(" ", 13)+ink.Spark(r.History, 40)+ink.Dim(fmt.Sprintf("  %.2f to %.2f W", slices.Min(r.History), slices.Max(r.History))))
		}
		if p.Trouble != "" {
			row("trouble", ink.Warn(p.Trouble))
		}
		if p.Limit != nil {
			text := fmt.Sprintf("%9s    at most", figure(p.Limit, "W"))
			if p.Headroom != nil && p.Watts != nil {
				left := figure(p.Headroom, "W") + " left"
				if *p.Headroom < 0 {
					left = ink.Bad(figure(new(-*p.Headroom), "W") + " too much")
				}
				text = fmt.Sprintf("%9s    %s  at most, %s", figure(p.Limit, "W"), ink.Bar(*p.Watts, *p.Limit, barColumns), left)
			}
			row("supply", text)
		}
		if len(p.Rails) > 1 || len(p.Rails) == 1 && p.Rails[0].Chip != "" {
			for _, rail := range p.Rails {
				fmt.Fprintf(&b, "  %-10s %10s %10s %10s  %s\n", rail.Name, figure(rail.Volts, "V"), figure(rail.Amperes, "A"), figure(rail.Watts, "W"), ink.Dim(rail.Chip))
			}
		}
	} else {
		row("power", "      -      "+ink.Dim(r.Absent))
	}
	for i, t := range r.Temperatures {
		name := "temperature"
		if i > 0 {
			name = ""
		}
		text, sensor := fmt.Sprintf("%7.1f °C  ", t.Celsius), t.Sensor
		if t.Critical != nil {
			text += " " + ink.Bar(t.Celsius, *t.Critical, barColumns) + " "
			sensor += fmt.Sprintf(", critical at %.0f °C", *t.Critical)
		}
		row(name, text+" "+ink.Dim(sensor))
	}
	if f := r.Firmware; f != nil && f.Throttled != nil {
		words := f.Throttled.String()
		switch {
		case *f.Throttled&0xf != 0:
			words = ink.Bad(words)
		case *f.Throttled != 0:
			words = ink.Warn(words)
		default:
			words = ink.Good(words)
		}
		row("throttling", words)
		name := "clocks"
		for _, clock := range []string{"arm", "core", "v3d", "emmc"} {
			if hz, ok := f.Hertz[clock]; ok {
				row(name, fmt.Sprintf("%7.0f MHz  %s", hz/1e6, ink.Dim(clock)))
				name = ""
			}
		}
		name = "voltages"
		for _, rail := range []string{"core", "sdram_c", "sdram_i", "sdram_p"} {
			if v, ok := f.Volts[rail]; ok {
				row(name, fmt.Sprintf("%7.4f V    %s", v, ink.Dim(rail)))
				name = ""
			}
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// figure prints an amount, "-" where nothing measures it.
func figure(v *float64, unit string) string {
	if v == nil {
		return "-"
	}
	if unit == "A" {
		return fmt.Sprintf("%.3f A", *v) // a Zero at rest takes a tenth
	}
	return fmt.Sprintf("%.2f %s", *v, unit)
}
