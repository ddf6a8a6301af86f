package kiosk

import (
	"slices"
	"testing"
)

func TestParseOutputs(t *testing.T) {
	const text = `Screen 0: minimum 320 x 200, current 3840 x 1080, maximum 7680 x 7680
HDMI-1 connected primary 1920x1080+0+0 (normal left inverted right x axis y axis) 520mm x 290mm
   1920x1080     60.00*+  50.00
HDMI-2 connected 1080x1920+1920+0 left (normal left inverted right x axis y axis) 520mm x 290mm
   1920x1080     60.00*+
DSI-1 connected (normal left inverted right x axis y axis)
   800x480       60.00 +
Composite-1 disconnected (normal left inverted right x axis y axis)
screen connected
DUMMY0 connected primary
`
	want := []output{
		{"HDMI-1", true, 0, 0, 1920, 1080}, {"HDMI-2", true, 1920, 0, 1080, 1920},
		{"DSI-1", false, 0, 0, 0, 0}, {"screen", false, 0, 0, 0, 0}, {"DUMMY0", false, 0, 0, 0, 0},
	}
	if got := parseOutputs([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestParseSaving(t *testing.T) {
	for text, want := range map[string][2]bool{
		"DPMS (Energy Star):\n  Standby: 600    Suspend: 600    Off: 600\n  DPMS is Enabled\n  Monitor is On\n": {true, false},
		"DPMS (Display Power Management Signaling):\n  DPMS is Enabled\n  Monitor is Off\n":                     {true, true},
		"DPMS (Energy Star):\n  DPMS is Enabled\n  Monitor is in Standby\n":                                     {true, true},
		"DPMS (Energy Star):\n  Standby: 600    Suspend: 600    Off: 600\n  DPMS is Disabled\n":                 {true, false},
		"DPMS (Energy Star):\n  Server does not have the DPMS Extension\n":                                      {false, false},
		"Font Path:\n": {false, false},
	} {
		if can, saves := parseSaving([]byte(text)); can != want[0] || saves != want[1] {
			t.Errorf("%q: can %v, saves %v", text, can, saves)
		}
	}
}

func FuzzParseOutputs(f *testing.F) {
	f.Add([]byte("HDMI-1 connected primary 1920x1080+0+0 (normal) 520mm x 290mm\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, o := range parseOutputs(text) {
			if o.name == "" || o.width < 0 || o.width > 99999 || !o.lit && o.width != 0 {
				t.Errorf("%+v", o)
			}
		}
		parseSaving(text)
	})
}

func FuzzParseWishes(f *testing.F) {
	f.Add([]byte(`{"version":1,"outputs":[{"name":"HDMI-1","page":"/kiosk?output=HDMI-1","on":true,"state":"painting"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		wishes, _ := parseWishes(doc)
		c := client{Daemon: Daemon{Base: mustURL(t, "http://127.0.0.1:8080/")}}
		for _, w := range wishes {
			if address, err := c.address(w.Page); err == nil && mustURL(t, address).Host != "127.0.0.1:8080" {
				t.Errorf("%q leads to %s", w.Page, address)
			}
		}
	})
}
