package gpio

import (
	"context"
	"sync/atomic"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Light is what an LED shows.
type Light string

// The lights.
const (
	Dark  Light = "dark"
	Lit   Light = "lit"   // all is well
	Blink Light = "blink" // the supply is too weak
)

// blinkEvery is half a period.
const blinkEvery = 250 * time.Millisecond

// LED shows a light on a pin. The zero value is not usable: NewLED.
type LED struct {
	pin    gpio.PinOut
	light  atomic.Value // Light
	change chan struct{}
}

// NewLED makes a dark one; Run drives it.
func NewLED(pin gpio.PinOut) *LED {
	l := &LED{pin: pin, change: make(chan struct{}, 1)}
	l.light.Store(Dark)
	return l
}

// Show changes the light. It never blocks and may be called from anywhere.
func (l *LED) Show(light Light) {
	if l.light.Swap(light) == light {
		return
	}
	select {
	case l.change <- struct{}{}:
	default: // Run has yet to see the one before, and will see this
	}
}

// Run drives the pin until ctx ends, which is no error, and leaves it dark.
func (l *LED) Run(ctx context.Context) error {
	defer l.pin.Halt()
	defer func() { _ = l.pin.Out(gpio.Low) }()
	tick := time.NewTimer(blinkEvery)
	defer tick.Stop()
	for on := true; ; on = !on {
		light := l.light.Load().(Light)
		level := gpio.Level(light == Lit || light == Blink && on)
		if err := l.pin.Out(level); err != nil {
			return pinError(l.pin, "the LED", err)
		}
		var half <-chan time.Time // nil, for ever: a steady light wakes nobody
		if light == Blink {
			tick.Reset(blinkEvery)
			half = tick.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.change:
			on = false // a new light begins with its lit half
		case <-half:
		}
	}
}
