package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/pin"
	"periph.io/x/host/v3/gpioioctl"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// ErrAbsent says that no pin is configured, or that this machine has none.
var ErrAbsent = errors.New("no GPIO")

// Pins are those that the config names; nil for those that it does not.
type Pins struct {
	Button gpio.PinIn
	LED    gpio.PinOut
}

// Open finds the pins. Without any in the config, on a tree of files and on a
// machine without GPIO it returns ErrAbsent, wrapped with the reason.
func Open(root system.Root, cfg config.GPIO) (Pins, error) {
	var p Pins
	if cfg.Button == 0 && cfg.LED == 0 {
		return p, fmt.Errorf("%w: the config names no pin", ErrAbsent)
	}
	if cfg.Button == cfg.LED {
		return p, &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("[gpio]: button and led are both pin %d", cfg.LED), Remedy: "give each a pin of its own"}
	}
	if !root.Real() || len(root.Glob("/dev/gpiochip*")) == 0 {
		return p, fmt.Errorf("%w: this machine has no /dev/gpiochip*", ErrAbsent)
	}
	// The character device alone: importing periph's host would probe every bus.
	if _, err := driverreg.Init(); err != nil {
		return p, fmt.Errorf("opening the GPIO chips: %w", err)
	}
	if cfg.Button != 0 {
		b, err := byNumber(cfg.Button)
		if err != nil {
			return p, err
		}
		p.Button = b
	}
	if cfg.LED != 0 {
		l, err := byNumber(cfg.LED)
		if err != nil {
			return p, err
		}
		p.LED = l
	}
	return p, nil
}

// byNumber finds a BCM pin: by its name where the device tree gives names, else
// as the line of that number of the first chip, which is the header's.
func byNumber(n int) (gpio.PinIO, error) {
	if p := gpioreg.ByName("GPIO" + strconv.Itoa(n)); p != nil {
		return p, nil
	}
	if len(gpioioctl.Chips) > 0 && n < gpioioctl.Chips[0].LineCount() {
		return gpioioctl.Chips[0].ByNumber(n), nil
	}
	return nil, &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("[gpio]: this machine has no pin %d", n), Remedy: "write a BCM number from 2 to 27"}
}

func pinError(p pin.Pin, what string, err error) error {
	e := fmt.Errorf("using pin %s for %s: %w", p.Name(), what, err)
	if errors.Is(err, fs.ErrPermission) {
		return &system.Error{Code: system.ExitImpossible, Err: e, Remedy: "put sierpi's user into the group gpio"}
	}
	return e
}
