package power

import (
	"context"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// powerSupply reads the kernel's power_supply class: PoE hats, UPS hats with a
// driver, USB supplies. Microvolts, microamperes, microwatts.
type powerSupply struct{ root system.Root }

func (*powerSupply) name() Source { return SourcePowerSupply }

func (s *powerSupply) read(context.Context) (Reading, error) {
	var r Reading
	for _, dir := range s.root.Glob("/sys/class/power_supply/*") {
		kind, _ := s.root.ReadString(dir + "/type")
		status, _ := s.root.ReadString(dir + "/status")
		// A battery that charges takes from the supply: that is not the board's.
		if kind == "" || kind == "Battery" && status != "Discharging" {
			continue
		}
		if online, err := s.root.ReadString(dir + "/online"); err == nil && online == "0" {
			continue
		}
		// What a mouse's or a keyboard's battery gives is not the board's either.
		if scope, _ := s.root.ReadString(dir + "/scope"); scope == "Device" {
			continue
		}
		rail := Rail{
			Name:    strings.TrimPrefix(dir, "/sys/class/power_supply/"),
			Volts:   s.value(dir + "/voltage_now"),
			Amperes: s.value(dir + "/current_now"),
			Watts:   s.value(dir + "/power_now"),
		}
		if rail.Volts == nil && rail.Amperes == nil && rail.Watts == nil {
			continue
		}
		if rail.Watts == nil && rail.Volts != nil && rail.Amperes != nil {
			rail.Watts = new(round(*rail.Volts * *rail.Amperes))
		}
		r.Rails = append(r.Rails, rail)
	}
	if len(r.Rails) == 0 {
		return Reading{}, errNoSensor
	}
	r.Watts = sum(r.Rails)
	return r, nil
}

// value reads millionths; some drivers give a battery's discharge a sign.
func (s *powerSupply) value(path string) *float64 {
	text, err := s.root.ReadString(path)
	if err != nil {
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return new(float64(max(v, -v)) / 1e6)
}
