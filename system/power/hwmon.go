package power

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// errNoSensor is said by a source that has nothing to read here.
var errNoSensor = errors.New("no sensor")

// hwmon reads the power monitors that the kernel's ina2xx, ina238 and ina3221
// drivers bind: millivolts, milliamperes, microwatts below /sys/class/hwmon.
type hwmon struct{ root system.Root }

func (*hwmon) name() Source { return SourceHwmon }

// powerChips are the hwmon names whose figures are power of the board.
var powerChips = map[string]bool{
	"ina209": true, "ina219": true, "ina220": true, "ina226": true, "ina228": true, "ina230": true, "ina231": true,
	"ina232": true, "ina233": true, "ina234": true, "ina237": true, "ina238": true, "ina260": true, "ina3221": true,
}

func (h *hwmon) read(context.Context) (Reading, error) {
	var r Reading
	for _, dir := range h.root.Glob("/sys/class/hwmon/hwmon*") {
		chip, err := h.root.ReadString(dir + "/name")
		if err != nil || !powerChips[chip] {
			continue
		}
		for channel := 1; channel <= 3; channel++ {
			rail, ok := h.rail(dir, chip, channel)
			if ok {
				r.Rails = append(r.Rails, rail)
			}
		}
	}
	if len(r.Rails) == 0 {
		return Reading{}, errNoSensor
	}
	r.Watts = sum(r.Rails)
	return r, nil
}

// rail reads one channel: inN is its bus voltage on all these chips (in0 of the
// INA219's and in4 to in6 of the INA3221's are voltages over the shunt).
func (h *hwmon) rail(dir, chip string, channel int) (Rail, bool) {
	n := strconv.Itoa(channel)
	rail := Rail{
		Name:    strings.TrimPrefix(dir, "/sys/class/hwmon/"),
		Chip:    chip,
		Volts:   h.value(dir+"/in"+n+"_input", 1e3),
		Amperes: h.value(dir+"/curr"+n+"_input", 1e3),
		Watts:   h.value(dir+"/power"+n+"_input", 1e6),
	}
	if rail.Volts == nil && rail.Amperes == nil && rail.Watts == nil {
		return Rail{}, false
	}
	if label, err := h.root.ReadString(dir + "/in" + n + "_label"); err == nil && label != "" {
		rail.Name = label
	} else if chip == "ina3221" {
		rail.Name = fmt.Sprintf("%s-%d", rail.Name, channel)
	}
	if rail.Watts == nil && rail.Volts != nil && rail.Amperes != nil {
		rail.Watts = new(round(*rail.Volts * *rail.Amperes))
	}
	return rail, true
}

// value reads an integer in 1/scale units; nil when the node is absent or the
// chip says ENODATA, as a switched-off channel does.
func (h *hwmon) value(path string, scale float64) *float64 {
	s, err := h.root.ReadString(path)
	if err != nil {
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil
	}
	return new(float64(v) / scale)
}

// sum adds the rails' watts; nil if one of them has none, for a part is no total.
func sum(rails []Rail) *float64 {
	total := 0.0
	for _, r := range rails {
		if r.Watts == nil {
			return nil
		}
		total += *r.Watts
	}
	return new(round(total))
}
