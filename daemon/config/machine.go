package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Zram is the [zram] table.
type Zram struct {
	Enabled   bool     `toml:"enabled"`
	Devices   string   `toml:"devices"`   // a number, or "per-cpu" as kernels before 3.15 needed
	Size      string   `toml:"size"`      // of all devices together, see ParseSize; at most 200 % of RAM
	Algorithm []string `toml:"algorithm"` // in order of preference; the first the kernel offers wins
	Priority  int      `toml:"priority" allow:"0..32767"`
	MemLimit  string   `toml:"mem-limit"` // RAM that all devices together may take, like size; empty: no limit
	Discard   bool     `toml:"discard"`   // tell the device at once which pages swap no longer needs

	Recompress []string `toml:"recompress"` // algorithms for a second pass, where the kernel has it
	Writeback  string   `toml:"writeback"`  // a block device for what does not compress, where the kernel has it; empty: none

	// Settings of the kernel while our swap is on; -1 leaves one alone.
	Swappiness           int `toml:"swappiness" allow:"-1..200"`
	PageCluster          int `toml:"page-cluster" allow:"-1..10"`
	WatermarkBoostFactor int `toml:"watermark-boost-factor" allow:"-1..100000"`
	WatermarkScaleFactor int `toml:"watermark-scale-factor" allow:"-1..1000"`
}

func defaultZram() Zram {
	return Zram{
		Enabled: true, Devices: "1", Size: "50%", Algorithm: []string{"zstd", "lz4", "lzo-rle", "lzo"}, Priority: 100, Discard: true,
		// What the kernel's and the distributions' guides advise for swap in RAM:
		// swapping costs microseconds, reading ahead gains nothing.
		Swappiness: 180, PageCluster: 0, WatermarkBoostFactor: 0, WatermarkScaleFactor: 125,
	}
}

// maxZramDevices is what a kernel's 32 swap areas leave besides others.
const maxZramDevices = 24

// DeviceCount is the number of devices on a machine with that many processors.
func (z Zram) DeviceCount(processors int) (int, error) {
	if z.Devices == "per-cpu" {
		return min(max(processors, 1), maxZramDevices), nil
	}
	n, err := strconv.Atoi(z.Devices)
	if err != nil || n < 1 || n > maxZramDevices {
		return 0, fmt.Errorf("%q is not a number of devices; write \"1\" to \"%d\", or \"per-cpu\"", z.Devices, maxZramDevices)
	}
	return n, nil
}

// check is called by the loader with each mistake that types and ranges miss.
func (z Zram) check(bad func(key, found, allowed string)) {
	if _, err := z.DeviceCount(1); err != nil {
		bad("devices", fmt.Sprintf("found the string %q", z.Devices), fmt.Sprintf("write \"1\" to \"%d\", or \"per-cpu\"", maxZramDevices))
	}
	if _, err := ParseSize(z.Size); err != nil {
		bad("size", fmt.Sprintf("found the string %q", z.Size), sizeHelp)
	}
	if _, err := ParseSize(z.MemLimit); err != nil && z.MemLimit != "" {
		bad("mem-limit", fmt.Sprintf("found the string %q", z.MemLimit), sizeHelp+", or nothing for no limit")
	}
	if len(z.Algorithm) == 0 {
		bad("algorithm", "found an empty list", `name at least one, for example ["zstd", "lz4", "lzo-rle"]`)
	}
	for key, list := range map[string][]string{"algorithm": z.Algorithm, "recompress": z.Recompress} {
		for i, a := range list {
			if !isName(a) {
				bad(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("found the string %q", a), "name an algorithm of the kernel, for example \"zstd\", \"lz4\" or \"lzo-rle\"")
			}
		}
	}
	if z.Writeback != "" && !strings.HasPrefix(z.Writeback, "/dev/") {
		bad("writeback", fmt.Sprintf("found the string %q", z.Writeback), "name a block device below /dev, for example \"/dev/sda2\"")
	}
}

// isName holds what is written into sysfs to letters, digits, dash and underscore.
func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Serial is the [serial] table.
type Serial struct {
	Enabled       bool   `toml:"enabled"`
	Device        string `toml:"device"` // "auto" or "ttyS0"
	Baud          int    `toml:"baud"`
	Term          string `toml:"term"`
	KernelConsole bool   `toml:"kernel-console"`
	Login         bool   `toml:"login"`
}

func defaultSerial() Serial {
	return Serial{Enabled: true, Device: "auto", Baud: 115200, Term: "vt220", KernelConsole: true, Login: true}
}

// BaudRates are the speeds that the drivers of these UARTs and agetty know.
func BaudRates() []int {
	return []int{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600,
		1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000}
}

func (s Serial) check(bad func(key, found, allowed string)) {
	if !slices.Contains(BaudRates(), s.Baud) {
		bad("baud", fmt.Sprintf("found the number %d", s.Baud), "write a speed of serial lines, for example 9600 or 115200")
	}
	if !isTerm(s.Term) {
		bad("term", fmt.Sprintf("found the string %q", s.Term), `name a terminal, for example "vt220"`)
	}
	if !isName(s.Device) {
		bad("device", fmt.Sprintf("found the string %q", s.Device), `write "auto", or a name as below /dev such as "ttyS0"`)
	}
}

// isTerm holds what becomes a word of a command line to what terminfo's names use.
func isTerm(s string) bool { return isName(strings.NewReplacer("+", "_", ".", "_").Replace(s)) }

// Power is the [power] table.
type Power struct {
	Source      string        `toml:"source" allow:"auto|hwmon|i2c|pmic|power_supply|model|off"`
	SupplyLimit float64       `toml:"supply-limit" allow:"0..20"` // amperes the supply can give at 5 V; 0: unknown
	Sensors     []PowerSensor `toml:"sensor"`                     // [[power.sensor]]: chips on I2C that the kernel does not drive
}

// PowerSensor is one [[power.sensor]].
type PowerSensor struct {
	Chip        string  `toml:"chip" allow:"ina219|ina226|ina3221"`
	Bus         int     `toml:"bus" allow:"0..255"`       // N of /dev/i2c-N; on the header it is 1
	Address     int     `toml:"address" allow:"3..119"`   // 0x40 as the boards come
	Shunt       float64 `toml:"shunt" allow:"0..10"`      // ohms: 0.1 on most boards, 0.01 on some
	Calibration float64 `toml:"calibration" allow:"0..2"` // factor on the current, found with a meter; 0: none
	Rail        string  `toml:"rail"`                     // what it measures, "input"
}

func defaultPower() Power { return Power{Source: "auto"} }

func (p Power) check(bad func(key, found, allowed string)) {
	for i, s := range p.Sensors {
		key := func(name string) string { return fmt.Sprintf("sensor[%d].%s", i, name) }
		if s.Chip == "" {
			bad(key("chip"), "is missing", `write one of "ina219", "ina226", "ina3221"`)
		}
		if s.Address == 0 {
			bad(key("address"), "is missing", "write its I2C address, for example 0x40")
		}
		if s.Shunt <= 0 {
			bad(key("shunt"), "is missing", "write the shunt's resistance in ohms, for example 0.1 (the resistor says R100)")
		}
	}
}

// GPIO is the [gpio] table; pins are BCM numbers, 0: not connected. 0 and 1 are
// the header's identity bus, so nobody connects a button there.
type GPIO struct {
	Button int `toml:"button" allow:"0..27"`
	LED    int `toml:"led" allow:"0..27"`
}

func (g GPIO) check(bad func(key, found, allowed string)) {
	if g.Button != 0 && g.Button == g.LED {
		bad("led", fmt.Sprintf("found the number %d, which is the button's", g.LED), "give each a pin of its own")
	}
}
