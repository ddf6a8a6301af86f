package config

import (
	"slices"
	"testing"
)

func TestZramCheck(t *testing.T) {
	wrong := func(z Zram) (keys []string) {
		z.check(func(key, found, allowed string) {
			if found == "" || allowed == "" {
				t.Errorf("%s: found %q, allowed %q", key, found, allowed)
			}
			keys = append(keys, key)
		})
		slices.Sort(keys)
		return keys
	}
	if keys := wrong(Default().Zram); keys != nil {
		t.Errorf("the default is wrong: %v", keys)
	}
	bad := Zram{Devices: "many", Size: "large", MemLimit: "some", Algorithm: []string{"zstd", "lz4 level=3"}, Recompress: []string{"../x"}, Writeback: "sda2"}
	if keys := wrong(bad); !slices.Equal(keys, []string{"algorithm[1]", "devices", "mem-limit", "recompress[0]", "size", "writeback"}) {
		t.Errorf("found %v", keys)
	}
	if keys := wrong(Zram{Devices: "1", Size: "1G"}); !slices.Equal(keys, []string{"algorithm"}) {
		t.Errorf("found %v", keys)
	}
	for devices, want := range map[string]int{"1": 1, "24": 24, "per-cpu": 4, "0": 0, "25": 0, "-1": 0, "": 0, "1.5": 0} {
		n, err := Zram{Devices: devices}.DeviceCount(4)
		if n != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", devices, n, err)
		}
	}
}

func TestPowerCheck(t *testing.T) {
	var keys []string
	bad := func(key, found, allowed string) { keys = append(keys, key) }
	Power{Sensors: []PowerSensor{{Chip: "ina219", Bus: 1, Address: 0x40, Shunt: .1}, {}}}.check(bad)
	if !slices.Equal(keys, []string{"sensor[1].chip", "sensor[1].address", "sensor[1].shunt"}) {
		t.Errorf("found %v", keys)
	}
}

func TestSerialAndGPIOCheck(t *testing.T) {
	var keys []string
	bad := func(key, found, allowed string) { keys = append(keys, key) }
	Default().Serial.check(bad)
	Default().GPIO.check(bad)
	GPIO{Button: 17, LED: 27}.check(bad)
	Serial{Baud: 115200, Term: "xterm-256color", Device: "ttyAMA0"}.check(bad)
	if keys != nil {
		t.Errorf("what is right is wrong: %v", keys)
	}
	Serial{Baud: 12345, Term: "vt100 -l /bin/sh", Device: "../sda"}.check(bad)
	GPIO{Button: 17, LED: 17}.check(bad)
	if !slices.Equal(keys, []string{"baud", "term", "device", "led"}) {
		t.Errorf("found %v", keys)
	}
}
