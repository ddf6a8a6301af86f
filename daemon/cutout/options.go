package cutout

import (
	"fmt"
	"net/url"
	"strconv"
)

// AutoTolerance asks for a tolerance that suits the background's noise.
const AutoTolerance = -1

// The most that options may ask for.
const (
	MaxTolerance = 255
	MaxFeather   = 32
)

// Options say what is cut and how. The zero value but for Tolerance is sensible:
// see DefaultOptions.
type Options struct {
	Color     *Color // of the background; nil: estimated from the border
	Tolerance int    // 0 to MaxTolerance levels of 255 that a channel may be off; AutoTolerance
	Border    bool   // only what the border reaches: white inside the object stays
	Feather   int    // pixels, 0 to MaxFeather, over which the object fades in behind its edge
	Trim      bool   // cut the transparent margins off
	Size      int    // reduce first, by a whole factor, to at most so many pixels a side; 0: not
}

// DefaultOptions estimate colour and tolerance and cut everywhere.
func DefaultOptions() Options { return Options{Tolerance: AutoTolerance} }

// Check refuses, with a *Refusal, what is out of range.
func (o Options) Check() error {
	switch {
	case o.Tolerance < AutoTolerance || o.Tolerance > MaxTolerance:
		return &Refusal{fmt.Sprintf("the tolerance %d is out of range", o.Tolerance), fmt.Sprintf("choose from 0 (exact) to %d, or auto", MaxTolerance)}
	case o.Feather < 0 || o.Feather > MaxFeather:
		return &Refusal{fmt.Sprintf("the feather of %d pixels is out of range", o.Feather), fmt.Sprintf("choose from 0 to %d", MaxFeather)}
	case o.Size < 0 || o.Size > maxSide:
		return &Refusal{fmt.Sprintf("the size of %d pixels is out of range", o.Size), fmt.Sprintf("choose from 1 to %d, or 0 for the picture's own", maxSide)}
	}
	return nil
}

// ParseOptions reads color, tolerance, border, feather, trim and size as the form
// and the query of POST /cutout carry them. Empty values are the defaults; a check
// box is on with "on", "true", "1".
func ParseOptions(v url.Values) (Options, error) {
	o := DefaultOptions()
	if s := v.Get("color"); s != "" && s != "auto" {
		c, err := ParseColor(s)
		if err != nil {
			return o, &Refusal{err.Error(), ""}
		}
		o.Color = &c
	}
	number := func(name string, into *int) error {
		s := v.Get(name)
		if s == "" || name == "tolerance" && s == "auto" {
			return nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return &Refusal{fmt.Sprintf("the option %s is %.40q, which is no number", name, s), "write a whole number, 0 or more"}
		}
		*into = n
		return nil
	}
	flag := func(name string, into *bool) error {
		switch s := v.Get(name); s {
		case "on", "true", "1":
			*into = true
		case "", "off", "false", "0":
		default:
			return &Refusal{fmt.Sprintf("the option %s is %.40q, which is neither true nor false", name, s), "write true or false"}
		}
		return nil
	}
	for _, err := range []error{
		number("tolerance", &o.Tolerance), number("feather", &o.Feather), number("size", &o.Size),
		flag("border", &o.Border), flag("trim", &o.Trim),
	} {
		if err != nil {
			return o, err
		}
	}
	return o, o.Check()
}
