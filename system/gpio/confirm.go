package gpio

import (
	"context"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// The two questions that a button answers with yes.
const (
	holdFor     = 10 * time.Second // the first: held so long from the start on
	confirmIn   = 10 * time.Second // the second: pressed again, within this after letting go
	releaseIn   = time.Minute      // a line that stays closed is a fault and no finger
	confirmPoll = 20 * time.Millisecond
)

// Confirm asks twice by a button: whether it is held now and for ten seconds, and, let go,
// whether it is pressed once more within ten. It returns at once, and false, when nobody
// holds it. light shows how far it is: it blinks while the button is held, is lit when it may be let
// go, and blinks while the second press is waited for; tell says so in words. Both are
// called from here. A line that is closed for ever is never a yes.
func Confirm(ctx context.Context, pin gpio.PinIn, light func(Light), tell func(string)) (bool, error) {
	// By looking, not by edges: one wire, some seconds, at boot.
	if err := pin.In(gpio.PullUp, gpio.NoEdge); err != nil {
		return false, pinError(pin, "the button", err)
	}
	defer pin.Halt()
	defer light(Dark)
	// The pull-up needs a moment to lift an open line.
	if !pause(ctx, debounce) || pin.Read() == gpio.High {
		return false, ctx.Err()
	}
	light(Blink)
	tell("the button is held: ten seconds ask for a factory reset, letting go forgets it")
	if stays(ctx, pin, gpio.Low, holdFor) {
		light(Lit)
		tell("let it go, then press it once more within ten seconds to erase quotes, chat, scores and settings")
	} else {
		tell("the button was let go: nothing is reset")
		return false, ctx.Err()
	}
	if stays(ctx, pin, gpio.Low, releaseIn) {
		tell("the button does not open: its line is taken for broken, nothing is reset")
		return false, ctx.Err()
	}
	light(Blink)
	// Open for a moment, so that the bounce of letting go is no press.
	for end := time.Now().Add(confirmIn); time.Now().Before(end); {
		if !pause(ctx, confirmPoll) {
			return false, ctx.Err()
		}
		if pin.Read() == gpio.Low && stays(ctx, pin, gpio.Low, 5*debounce) {
			return true, nil
		}
	}
	tell("it was not pressed again: nothing is reset")
	return false, nil
}

// stays reports whether the line keeps a level for so long; what is shorter than a
// bounce is not seen. It is false too when ctx ends.
func stays(ctx context.Context, pin gpio.PinIn, level gpio.Level, long time.Duration) bool {
	var other time.Duration
	for end := time.Now().Add(long); time.Now().Before(end); {
		if !pause(ctx, confirmPoll) {
			return false
		}
		if pin.Read() == level {
			other = 0
		} else if other += confirmPoll; other > debounce {
			return false
		}
	}
	return true
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, long time.Duration) bool {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
