package power

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/systemtest"
)

// stub is the bus of the kernel's i2c-stub, chips without hardware, and puts words
// into its registers:
//
//	modprobe i2c-stub chip_addr=0x40,0x41,0x44 && modprobe i2c-dev
func stub(t *testing.T) (bus int, set func(address, register byte, value uint16)) {
	t.Helper()
	systemtest.Root(t)
	for _, file := range system.Root("").Glob("/sys/bus/i2c/devices/i2c-*/name") {
		name, err := system.Root("").ReadString(file)
		if err != nil || !strings.Contains(name, "SMBus stub") {
			continue
		}
		bus, err = strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "i2c-"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile("/dev/i2c-"+strconv.Itoa(bus), os.O_RDWR, 0)
		if err != nil {
			systemtest.Absent(t, err.Error())
		}
		t.Cleanup(func() { f.Close() })
		return bus, func(address, register byte, value uint16) {
			t.Helper()
			const ioctlForce = 0x0706 // also where a driver has the chip
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlForce, uintptr(address)); errno != 0 {
				t.Fatal(errno)
			}
			var data [34]byte
			data[0], data[1] = byte(value>>8), byte(value) // the chips' order
			call := smbusCall{readWrite: 0, command: register, size: smbusWordData, data: &data}
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlI2CSMBus, uintptr(unsafe.Pointer(&call))); errno != 0 {
				t.Fatal(errno)
			}
		}
	}
	systemtest.Absent(t, "no bus of the kernel's i2c-stub")
	return 0, nil
}

// Chips behind the kernel's own bus, by our driver: an INA219, an INA226 and an
// INA3221 with its second channel off.
func TestRealI2C(t *testing.T) {
	bus, set := stub(t)
	set(0x40, 0, 0x399f)
	set(0x40, 1, 12500)     // 125 mV over 0.1 ohm: 1.25 A
	set(0x40, 2, 3125<<3|2) // 12.5 V, and a status bit
	set(0x41, 0xfe, 0x5449)
	set(0x41, 1, 0xf830) // -2000: -5 mV over 0.01 ohm, -0.5 A
	set(0x41, 2, 4000)   // 5 V
	set(0x44, 0xfe, 0x5449)
	set(0x44, 0, 0x5127)
	set(0x44, 1, 500<<3) // 20 mV over 0.1 ohm: 0.2 A
	set(0x44, 2, 625<<3) // 5 V
	set(0x44, 5, 0)
	set(0x44, 6, 412<<3) // 3.296 V
	cfg := config.Default().Power
	cfg.Source = "i2c"
	cfg.Sensors = []config.PowerSensor{
		{Chip: "ina219", Bus: bus, Address: 0x40, Shunt: .1, Rail: "input"},
		{Chip: "ina226", Bus: bus, Address: 0x41, Shunt: .01, Rail: "battery"},
		{Chip: "ina3221", Bus: bus, Address: 0x44, Shunt: .1, Rail: "hat"},
	}
	m := New("", cfg, board.Board{})
	defer m.Close()
	r, err := m.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float64{"input": {12.5, 1.25}, "battery": {5, -.5}, "hat-1": {5, .2}, "hat-3": {3.296, 0}}
	if len(r.Rails) != len(want) {
		t.Errorf("rails %+v", r.Rails)
	}
	for _, rail := range r.Rails {
		if w := want[rail.Name]; *rail.Volts != w[0] || *rail.Amperes != w[1] {
			t.Errorf("%s: %v V, %v A; want %v", rail.Name, *rail.Volts, *rail.Amperes, w)
		}
	}
	// Something else, and nothing, at an address.
	cfg.Sensors = []config.PowerSensor{{Chip: "ina226", Bus: bus, Address: 0x40, Shunt: .1}}
	if _, err := New("", cfg, board.Board{}).Read(context.Background()); err == nil || !strings.Contains(err.Error(), "something else answers") {
		t.Errorf("an INA219 passed for an INA226: %v", err)
	}
	cfg.Sensors[0].Address = 0x55
	if _, err := New("", cfg, board.Board{}).Read(context.Background()); err == nil {
		t.Error("nothing at 0x55 was read")
	}
}

// The same chips by the kernel's drivers, and under-voltage of a simulated battery.
func TestRealHwmon(t *testing.T) {
	bus, set := stub(t)
	dir := "/sys/bus/i2c/devices/i2c-" + strconv.Itoa(bus) + "/"
	bind := func(chip, address string) {
		t.Helper()
		if err := os.WriteFile(dir+"new_device", []byte(chip+" "+address), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.WriteFile(dir+"delete_device", []byte(address), 0); err != nil {
				t.Error(err)
			}
		})
	}
	set(0x40, 0, 0x399f)
	bind("ina219", "0x40")
	if len(system.Root("").Glob("/sys/class/hwmon/hwmon*/curr1_input")) == 0 {
		systemtest.Absent(t, "this kernel has no driver for the INA219")
	}
	// The driver's shunt is 0.01 ohm unless told; its current register counts as the
	// calibration that it wrote says, so what is set here is what it reads there.
	set(0x40, 2, 1275<<3|2) // 5.1 V
	set(0x40, 4, 620)
	set(0x40, 3, 158)
	r, err := New("", config.Power{Source: "hwmon"}, board.Board{}).Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r.Rails)
	if len(r.Rails) != 1 || r.Rails[0].Chip != "ina219" || *r.Rails[0].Volts != 5.1 || *r.Rails[0].Amperes <= 0 || *r.Rails[0].Watts <= 0 {
		t.Errorf("%+v", r)
	}
	// The chip is the driver's: our own must not take it.
	cfg := config.Power{Source: "i2c", Sensors: []config.PowerSensor{{Chip: "ina219", Bus: bus, Address: 0x40, Shunt: .1}}}
	if _, err := New("", cfg, board.Board{}).Read(context.Background()); err == nil || !strings.Contains(err.Error(), "driver of the kernel") {
		t.Errorf("a chip of the kernel's was read beside it: %v", err)
	}
}
