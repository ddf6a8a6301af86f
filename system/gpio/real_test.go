package gpio

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system/systemtest"
)

// A finger on a line of the kernel's gpio-sim, through the character device: a short
// press, a long one, and the LED's line as others see it.
func TestRealPins(t *testing.T) {
	systemtest.Root(t)
	const base = "/sys/kernel/config/gpio-sim"
	if _, err := os.Stat(base); err != nil {
		systemtest.Absent(t, "this kernel has no gpio-sim, or configfs is not mounted")
	}
	chip := filepath.Join(base, "sierpi-test")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bank0/line17", "bank0/line27"} {
		if err := os.MkdirAll(filepath.Join(chip, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		put(chip+"/live", "0")
		for _, dir := range []string{"bank0/line17", "bank0/line27", "bank0", ""} {
			os.Remove(filepath.Join(chip, dir))
		}
	}()
	put(chip+"/bank0/num_lines", "28")
	put(chip+"/bank0/line17/name", "GPIO17")
	put(chip+"/bank0/line27/name", "GPIO27")
	put(chip+"/live", "1")
	read := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:len(b)-1])
	}
	lines := "/sys/devices/platform/" + read(chip+"/dev_name") + "/" + read(chip+"/bank0/chip_name") + "/"
	put(lines+"sim_gpio17/pull", "pull-up")

	pins, err := Open("/", config.GPIO{Button: 17, LED: 27})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	presses := make(chan Press, 8)
	done := make(chan error, 2)
	go func() { done <- Button(ctx, pins.Button, func(p Press) { presses <- p }) }()
	led := NewLED(pins.LED)
	go func() { done <- led.Run(ctx) }()
	next := func() Press {
		t.Helper()
		select {
		case p := <-presses:
			return p
		case <-time.After(30 * time.Second):
			t.Fatal("no press came")
			return ""
		}
	}
	hold := func(d time.Duration) {
		put(lines+"sim_gpio17/pull", "pull-down")
		time.Sleep(d) // how long a finger rests is the thing that is tested
		put(lines+"sim_gpio17/pull", "pull-up")
	}
	time.Sleep(2 * waitEdge) // until it waits
	hold(200 * time.Millisecond)
	if p := next(); p != Short {
		t.Errorf("a short press was %q", p)
	}
	hold(longPress + time.Second)
	if p := next(); p != Long {
		t.Errorf("a long press was %q", p)
	}
	led.Show(Lit)
	for deadline := time.Now().Add(10 * time.Second); read(lines+"sim_gpio27/value") != "1"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the LED stays dark")
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if v := read(lines + "sim_gpio27/value"); v != "0" {
		t.Errorf("the LED is left at %s", v)
	}
}
