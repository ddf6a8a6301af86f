package power

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Throttled is the firmware's word on why it slows the board down: bits 0 to 3
// now, 16 to 19 the same since boot.
type Throttled uint32

// Reason is one of the four.
type Reason string

// The reasons, by bit.
const (
	UnderVoltage    Reason = "under_voltage"    // the supply fell below 4.63 V
	FrequencyCapped Reason = "frequency_capped" // the clock is held down
	ThrottledNow    Reason = "throttled"        // the clock is cut
	SoftTempLimit   Reason = "soft_temperature" // the 3B+'s and 3A+'s limit below throttling
)

// Reasons are all reasons in the order of their bits.
var Reasons = [...]Reason{UnderVoltage, FrequencyCapped, ThrottledNow, SoftTempLimit}

// Now reports whether a reason holds now.
func (t Throttled) Now(r Reason) bool { return t.bit(r, 0) }

// SinceBoot reports whether it ever did. The kernel's own driver may clear these
// bits: count events with a Watcher instead.
func (t Throttled) SinceBoot(r Reason) bool { return t.bit(r, 16) }

func (t Throttled) bit(r Reason, shift int) bool {
	for i, reason := range Reasons {
		if reason == r {
			return t>>(i+shift)&1 == 1
		}
	}
	return false
}

// String is "fine", or the reasons in words.
func (t Throttled) String() string {
	var now, before []string
	for _, r := range Reasons {
		word := strings.ReplaceAll(string(r), "_", " ")
		if t.Now(r) {
			now = append(now, word)
		} else if t.SinceBoot(r) {
			before = append(before, word)
		}
	}
	switch {
	case len(now) > 0 && len(before) > 0:
		return strings.Join(now, ", ") + "; since boot also " + strings.Join(before, ", ")
	case len(now) > 0:
		return strings.Join(now, ", ")
	case len(before) > 0:
		return "fine now; since boot " + strings.Join(before, ", ")
	}
	return "fine"
}

// ReadThrottled asks the firmware. It never sends the word that clears the bits.
func ReadThrottled(ctx context.Context, fw Firmware) (Throttled, error) {
	answer, err := fw.Command(ctx, "get_throttled")
	if err != nil {
		return 0, err
	}
	return parseThrottled(answer)
}

// parseThrottled reads "throttled=0x50005".
func parseThrottled(answer string) (Throttled, error) {
	value, ok := strings.CutPrefix(strings.TrimSpace(answer), "throttled=0x")
	v, err := strconv.ParseUint(value, 16, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("the firmware's answer %q is not throttled=0x…", answer)
	}
	return Throttled(v), nil
}
