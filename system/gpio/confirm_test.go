package gpio

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// TestConfirm: only who holds ten seconds, lets go and presses again means it.
func TestConfirm(t *testing.T) {
	type phase struct {
		long  time.Duration
		level gpio.Level
	}
	const low, high = gpio.Low, gpio.High
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		phases []phase // the last one stays
		want   bool
		lights []Light
	}{
		"nobody":                 {[]phase{{0, high}}, false, []Light{Dark}},
		"held, again":            {[]phase{{11 * time.Second, low}, {2 * time.Second, high}, {300 * ms, low}, {0, high}}, true, []Light{Blink, Lit, Blink, Dark}},
		"with bounces":           {[]phase{{3 * time.Second, low}, {20 * ms, high}, {8 * time.Second, low}, {15 * ms, high}, {15 * ms, low}, {2 * time.Second, high}, {400 * ms, low}, {0, high}}, true, []Light{Blink, Lit, Blink, Dark}},
		"too short":              {[]phase{{9 * time.Second, low}, {0, high}}, false, []Light{Blink, Dark}},
		"only once":              {[]phase{{12 * time.Second, low}, {0, high}}, false, []Light{Blink, Lit, Blink, Dark}},
		"again, but late":        {[]phase{{12 * time.Second, low}, {15 * time.Second, high}, {time.Second, low}, {0, high}}, false, []Light{Blink, Lit, Blink, Dark}},
		"letting go bounces":     {[]phase{{12 * time.Second, low}, {5 * ms, high}, {5 * ms, low}, {5 * ms, high}, {5 * ms, low}, {0, high}}, false, []Light{Blink, Lit, Blink, Dark}},
		"a line that is broken":  {[]phase{{0, low}}, false, []Light{Blink, Lit, Dark}},
		"a spike is not a press": {[]phase{{12 * time.Second, low}, {time.Second, high}, {40 * ms, low}, {0, high}}, false, []Light{Blink, Lit, Blink, Dark}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pin := &gpiotest.Pin{N: "GPIO17", Num: 17, EdgesChan: make(chan gpio.Level)}
				set := func(l gpio.Level) {
					if err := pin.Out(l); err != nil {
						t.Error(err)
					}
				}
				go func() {
					time.Sleep(time.Millisecond) // asking for the pull-up sets this pin
					for i, p := range c.phases {
						set(p.level)
						if i < len(c.phases)-1 {
							time.Sleep(p.long) // the bubble's clock
						}
					}
				}()
				var lights []Light
				var told []string
				got, err := Confirm(t.Context(), pin, func(l Light) { lights = append(lights, l) }, func(s string) { told = append(told, s) })
				if err != nil {
					t.Fatal(err)
				}
				if got != c.want || !slices.Equal(lights, c.lights) {
					t.Errorf("got %v with the lights %v, want %v with %v; told %q", got, lights, c.want, c.lights, told)
				}
				if (len(told) == 0) != (c.phases[0].level == high) {
					t.Errorf("told %q", told)
				}
				synctest.Wait()
				time.Sleep(2 * time.Minute) // the finger comes to its end
			})
		})
	}
}
