package power

import (
	"fmt"
	"io"
	"strings"
)

// Report is what `sierpi power` prints: a reading, temperatures and the
// firmware's word, each where there is one. It marshals to JSON.
type Report struct {
	Board        string          `json:"board"`
	Reading      *Reading        `json:"reading,omitempty"`
	Absent       string          `json:"absent,omitempty"` // why there is no reading
	Temperatures []Temperature   `json:"temperatures,omitempty"`
	Firmware     *FirmwareReport `json:"firmware,omitempty"`
}

// WriteTo prints it for people.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "board        %s\n", r.Board)
	if p := r.Reading; p != nil {
		how := string(p.Source)
		if p.Estimate {
			how += ", an estimate"
		}
		fmt.Fprintf(&b, "power        %s (%s)\n", figure(p.Watts, "W"), how)
		if p.Trouble != "" {
			fmt.Fprintf(&b, "trouble      %s\n", p.Trouble)
		}
		if p.Limit != nil {
			fmt.Fprintf(&b, "supply       %s at most", figure(p.Limit, "W"))
			if p.Headroom != nil && p.Watts != nil {
				fmt.Fprintf(&b, ", %s left  %s", figure(p.Headroom, "W"), bar(*p.Watts, *p.Limit))
			}
			b.WriteString("\n")
		}
		if len(p.Rails) > 1 || len(p.Rails) == 1 && p.Rails[0].Chip != "" {
			for _, rail := range p.Rails {
				fmt.Fprintf(&b, "  %-10s %10s %10s %10s  %s\n", rail.Name, figure(rail.Volts, "V"), figure(rail.Amperes, "A"), figure(rail.Watts, "W"), rail.Chip)
			}
		}
	} else {
		fmt.Fprintf(&b, "power        - (%s)\n", r.Absent)
	}
	for _, t := range r.Temperatures {
		fmt.Fprintf(&b, "temperature  %.1f °C (%s)", t.Celsius, t.Sensor)
		if t.Critical != nil {
			fmt.Fprintf(&b, ", critical at %.0f °C  %s", *t.Critical, bar(t.Celsius, *t.Critical))
		}
		b.WriteString("\n")
	}
	if f := r.Firmware; f != nil && f.Throttled != nil {
		fmt.Fprintf(&b, "supply says  %s\n", f.Throttled)
		for _, clock := range []string{"arm", "core", "v3d", "emmc"} {
			if hz, ok := f.Hertz[clock]; ok {
				fmt.Fprintf(&b, "clock        %.0f MHz (%s)\n", hz/1e6, clock)
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

// bar draws a share in 20 columns.
func bar(part, whole float64) string {
	const width = 20
	n := 0
	if whole > 0 && part > 0 {
		n = int(min(part/whole, 1)*width + .5)
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}
