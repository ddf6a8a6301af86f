package power

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// Temperature is one sensor's, in degrees Celsius.
type Temperature struct {
	Sensor   string   `json:"sensor"` // "cpu-thermal", "nvme Composite"
	Celsius  float64  `json:"celsius"`
	Critical *float64 `json:"critical_celsius,omitempty"` // the machine protects itself above it
}

// Temperatures reads every thermal zone, and every hwmon temperature that no
// zone shows already, the processor's first. An empty list is a machine without
// sensors, which most virtual ones are.
func Temperatures(root system.Root) []Temperature {
	var out []Temperature
	zones := map[string]bool{}
	for _, dir := range root.Glob("/sys/class/thermal/thermal_zone*") {
		kind, _ := root.ReadString(dir + "/type")
		c, ok := celsius(root, dir+"/temp")
		if !ok || kind == "" {
			continue
		}
		// The zone's own hwmon node has its name with the dash changed.
		zones[strings.ReplaceAll(kind, "-", "_")] = true
		t := Temperature{Sensor: kind, Celsius: c}
		for _, trip := range root.Glob(dir + "/trip_point_*_type") {
			if what, _ := root.ReadString(trip); what == "critical" {
				if c, ok := celsius(root, strings.TrimSuffix(trip, "type")+"temp"); ok {
					t.Critical = &c
				}
			}
		}
		out = append(out, t)
	}
	for _, dir := range root.Glob("/sys/class/hwmon/hwmon*") {
		chip, _ := root.ReadString(dir + "/name")
		if chip == "" || zones[chip] {
			continue
		}
		for _, input := range root.Glob(dir + "/temp*_input") {
			base := strings.TrimSuffix(input, "input")
			c, ok := celsius(root, input)
			if !ok {
				continue
			}
			t := Temperature{Sensor: chip, Celsius: c}
			if label, _ := root.ReadString(base + "label"); label != "" {
				t.Sensor += " " + label
			}
			if c, ok := celsius(root, base+"crit"); ok {
				t.Critical = &c
			}
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b Temperature) int { return rank(a) - rank(b) })
	return out
}

// Processor picks the temperature of the chip that computes; false if none is.
func Processor(ts []Temperature) (Temperature, bool) {
	if len(ts) == 0 || rank(ts[0]) > 1 {
		return Temperature{}, false
	}
	return ts[0], true
}

func rank(t Temperature) int {
	s := strings.ToLower(t.Sensor)
	switch {
	case strings.HasPrefix(s, "cpu") || strings.HasPrefix(s, "bcm2835") || strings.HasPrefix(s, "soc"):
		return 0
	case strings.HasPrefix(s, "coretemp") || strings.HasPrefix(s, "k10temp") || strings.HasPrefix(s, "x86_pkg"):
		return 1
	}
	return 2
}

// celsius reads millidegrees. Sensors answer EAGAIN or nonsense while they wake:
// then there is no figure.
func celsius(root system.Root, path string) (float64, bool) {
	s, err := root.ReadString(path)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < -60_000 || v > 300_000 {
		return 0, false
	}
	return float64(v) / 1000, true
}
