package gpio

import (
	"context"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Press is what a finger did.
type Press string

// The presses.
const (
	Short Press = "short" // pressed and let go
	Long  Press = "long"  // held for longPress; reported while it is still held
)

const (
	// A contact bounces for some milliseconds: what is shorter is no press.
	debounce  = 30 * time.Millisecond
	longPress = 3 * time.Second
	// How long a wait for an edge lasts before the context is looked at.
	waitEdge = 200 * time.Millisecond
)

// Button reports presses until ctx ends, which is no error. report must not block.
func Button(ctx context.Context, pin gpio.PinIn, report func(Press)) error {
	if err := pin.In(gpio.PullUp, gpio.BothEdges); err != nil {
		return pinError(pin, "the button", err)
	}
	defer pin.Halt()
	var b press
	for ctx.Err() == nil {
		wait := waitEdge
		if b.down || b.changing {
			wait = debounce // its length must be measured, edges or not
		}
		pin.WaitForEdge(wait)
		if p := b.see(pin.Read() == gpio.Low, time.Now()); p != "" {
			report(p)
		}
	}
	return nil
}

// press follows one contact.
type press struct {
	down     bool // as debounced
	told     bool // the long press was reported
	since    time.Time
	changing bool // the contact differs from down, since changed
	changed  time.Time
}

// see takes the contact's state at a moment and says what it completes.
func (p *press) see(closed bool, at time.Time) Press {
	switch {
	case closed == p.down:
		p.changing = false
	case !p.changing:
		p.changing, p.changed = true, at
	}
	if p.changing && at.Sub(p.changed) >= debounce {
		p.changing = false
		p.down = closed
		if closed {
			p.since, p.told = p.changed, false
		} else if !p.told {
			return Short
		}
	}
	if p.down && !p.told && at.Sub(p.since) >= longPress {
		p.told = true
		return Long
	}
	return ""
}
