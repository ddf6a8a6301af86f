package power

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// pmicSource is the power controller of the Pi 5 family, asked through the
// firmware.
type pmicSource struct {
	open func() (Firmware, error)
	fw   Firmware // nil until the first reading; the Meter's lock covers it
}

func (*pmicSource) name() Source { return SourcePMIC }

// Close gives the firmware's door back.
func (s *pmicSource) Close() error {
	c, ok := s.fw.(io.Closer)
	s.fw = nil
	if !ok {
		return nil
	}
	return c.Close()
}

func (s *pmicSource) read(ctx context.Context) (Reading, error) {
	if s.fw == nil {
		fw, err := s.open()
		if err != nil {
			return Reading{}, err
		}
		s.fw = fw
	}
	answer, err := s.fw.Command(ctx, "pmic_read_adc")
	if err != nil {
		return Reading{}, err
	}
	rails, err := parsePMIC(answer)
	if err != nil {
		return Reading{}, err
	}
	r := Reading{Estimate: true, Rails: rails}
	// What leaves the 5 V input past the controller (USB ports, fan, hats) and what
	// the controller itself turns into heat is not measured. The fit is by
	// https://github.com/jfikar/RPi5-power against a wattmeter.
	total, measured := 0.0, false
	for _, rail := range rails {
		if rail.Watts != nil {
			total += *rail.Watts
			measured = true
		}
	}
	if measured {
		r.Watts = new(round(1.1451*total + .5879))
	}
	return r, nil
}

// pmicLine is "VDD_CORE_A current(7)=1.42A" or "EXT5V_V volt(24)=5.06V".
var pmicLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\w+)_([AV]) (current|volt)\(\d+\)=(-?[0-9.]+)([AV])$`)
})

// parsePMIC joins the answer's currents and voltages by rail, in the order in
// which they come. EXT5V and BATT have a voltage only.
func parsePMIC(answer string) ([]Rail, error) {
	var rails []Rail
	at := map[string]int{}
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := pmicLine().FindStringSubmatch(line)
		if m == nil || m[2] != m[5] {
			return nil, fmt.Errorf("the power controller's line %q is not understood", line)
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			return nil, fmt.Errorf("the power controller's line %q: %w", line, err)
		}
		i, ok := at[m[1]]
		if !ok {
			i = len(rails)
			at[m[1]] = i
			rails = append(rails, Rail{Name: m[1]})
		}
		if m[2] == "A" {
			rails[i].Amperes = &v
		} else {
			rails[i].Volts = &v
		}
	}
	for i, r := range rails {
		if r.Volts != nil && r.Amperes != nil {
			rails[i].Watts = new(round(*r.Volts * *r.Amperes))
		}
	}
	if len(rails) == 0 {
		return nil, errNoSensor
	}
	return rails, nil
}
