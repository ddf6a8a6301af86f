package gpio

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// A finger on a pin: level changes at moments, with the bounce of a real contact.
func TestButton(t *testing.T) {
	type move struct {
		after time.Duration
		level gpio.Level
	}
	down := func(after time.Duration) []move { // 3 bounces in 6 ms
		return []move{{after, gpio.Low}, {2 * time.Millisecond, gpio.High}, {2 * time.Millisecond, gpio.Low}, {time.Millisecond, gpio.High}, {time.Millisecond, gpio.Low}}
	}
	up := func(after time.Duration) []move {
		return []move{{after, gpio.High}, {2 * time.Millisecond, gpio.Low}, {2 * time.Millisecond, gpio.High}}
	}
	for name, c := range map[string]struct {
		moves []move
		want  []Press
	}{
		"short":              {slices.Concat(down(time.Second), up(150*time.Millisecond)), []Press{Short}},
		"two shorts":         {slices.Concat(down(time.Second), up(100*time.Millisecond), down(200*time.Millisecond), up(100*time.Millisecond)), []Press{Short, Short}},
		"long":               {slices.Concat(down(time.Second), up(5*time.Second)), []Press{Long}},
		"held for ever":      {down(time.Second), []Press{Long}},
		"almost long":        {slices.Concat(down(time.Second), up(2900*time.Millisecond)), []Press{Short}},
		"a spike":            {[]move{{time.Second, gpio.Low}, {5 * time.Millisecond, gpio.High}}, nil},
		"nothing":            {nil, nil},
		"long, then a short": {slices.Concat(down(time.Second), up(4*time.Second), down(time.Second), up(time.Second)), []Press{Long, Short}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pin := &gpiotest.Pin{N: "GPIO17", Num: 17, EdgesChan: make(chan gpio.Level)}
				ctx, cancel := context.WithCancel(t.Context())
				var got []Press
				done := make(chan error)
				go func() { done <- Button(ctx, pin, func(p Press) { got = append(got, p) }) }()
				for _, m := range c.moves {
					time.Sleep(m.after) // the bubble's clock
					pin.EdgesChan <- m.level
				}
				time.Sleep(10 * time.Second)
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if pin.P != gpio.PullUp {
					t.Error("no pull-up: an open pin would press by itself")
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestLED(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := &gpiotest.Pin{N: "GPIO27", Num: 27}
		led := NewLED(pin)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- led.Run(ctx) }()
		is := func(when string, want gpio.Level) {
			t.Helper()
			synctest.Wait()
			if got := pin.Read(); got != want {
				t.Errorf("%s: %v", when, got)
			}
		}
		is("at first", gpio.Low)
		led.Show(Lit)
		is("lit", gpio.High)
		time.Sleep(time.Minute)
		is("still lit", gpio.High)
		led.Show(Blink)
		is("blinking, first half", gpio.High)
		time.Sleep(blinkEvery)
		is("second half", gpio.Low)
		time.Sleep(blinkEvery)
		is("and again", gpio.High)
		led.Show(Blink) // no change: the rhythm goes on
		time.Sleep(blinkEvery)
		is("in rhythm", gpio.Low)
		led.Show(Dark)
		led.Show(Lit)
		is("the last word counts", gpio.High)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		is("in the end", gpio.Low)
	})
}

func TestOpenWithoutPins(t *testing.T) {
	for _, c := range []struct {
		root system.Root
		cfg  config.GPIO
	}{{"/", config.GPIO{}}, {system.Root(t.TempDir()), config.GPIO{Button: 17, LED: 27}}} {
		if _, err := Open(c.root, c.cfg); !errors.Is(err, ErrAbsent) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Open("/", config.GPIO{Button: 17, LED: 17}); system.ExitCodeOf(err) != system.ExitConfig {
		t.Errorf("one pin for both: %v", err)
	}
}

// A pin that refuses says which, and what for.
func TestButtonRefused(t *testing.T) {
	err := Button(t.Context(), &gpiotest.Pin{N: "GPIO17"}, nil) // without EdgesChan it has no edges
	if err == nil || err.Error()[:33] != "using pin GPIO17 for the button: " {
		t.Errorf("%v", err)
	}
}
