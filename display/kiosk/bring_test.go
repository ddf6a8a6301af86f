package kiosk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stubs are xrandr and xset for monitors that cannot be had here, those that save
// power: they keep the state of two outputs in files, print it as the real ones do,
// and write down what they were told.
func stubs(t *testing.T, saving string) (told func() string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"xrandr": `#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
*--output*) echo "xrandr $*" >>told; out=$2; case "$*" in *--off) : >"$out";; *--right-of*) echo ' 1920x1080+1920+0' >"$out";; *--auto) echo ' 1920x1080+0+0' >"$out";; esac ;;
*) for out in HDMI-1 HDMI-2; do echo "$out connected$(cat $out) (normal left)"; done ;;
esac
`,
		"xset": `#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
"dpms force off") echo "xset $*" >>told; echo Off >power ;;
"dpms force on") echo "xset $*" >>told; echo On >power ;;
q) ` + saving + ` ;;
*) ;;
esac
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"HDMI-1": " 1920x1080+0+0\n", "HDMI-2": " 1920x1080+1920+0\n", "power": "On\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		path := filepath.Join(dir, "told")
		text, _ := os.ReadFile(path)
		_ = os.Remove(path)
		return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; ")
	}
}

// Outputs are switched as is wished, by the means the X server has, once, and read back.
func TestBring(t *testing.T) {
	const dpms = `echo "DPMS (Display Power Management Signaling):"; echo "  DPMS is Enabled"; echo "  Monitor is $(cat power)"`
	const none = `echo "DPMS (Energy Star):"; echo "  Server does not have the DPMS Extension"`
	on, off := true, false
	for _, test := range []struct {
		name, saving string
		wishes       []map[string]bool
		told         []string
		lit          [][2]bool
	}{
		{"power is saved when all are off", dpms,
			[]map[string]bool{nil, {"HDMI-1": off, "HDMI-2": off}, {"HDMI-1": off, "HDMI-2": off}, {"HDMI-1": on, "HDMI-2": on}},
			[]string{"", "xset dpms force off", "", "xset dpms force on"},
			[][2]bool{{on, on}, {off, off}, {off, off}, {on, on}}},
		{"one of two", dpms,
			[]map[string]bool{{"HDMI-1": on, "HDMI-2": off}, {"HDMI-1": on, "HDMI-2": on}},
			[]string{"xrandr --output HDMI-2 --off", "xrandr --output HDMI-2 --auto --right-of HDMI-1"},
			[][2]bool{{on, off}, {on, on}}},
		{"a server that cannot save power", none,
			[]map[string]bool{{"HDMI-1": off, "HDMI-2": off}, {}},
			[]string{"xrandr --output HDMI-1 --off; xrandr --output HDMI-2 --off", "xrandr --output HDMI-1 --auto; xrandr --output HDMI-2 --auto --right-of HDMI-1"},
			[][2]bool{{off, off}, {on, on}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := stubs(t, test.saving)
			for i, wish := range test.wishes {
				_, reports, changed, err := display{}.bring(t.Context(), wish, i == 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := told(); got != test.told[i] || changed != (got != "") {
					t.Errorf("wish %d: %q, want %q", i, got, test.told[i])
				}
				if len(reports) != 2 || reports[0].On != test.lit[i][0] || reports[1].On != test.lit[i][1] || reports[0].Trouble != "" {
					t.Errorf("wish %d: read back %+v", i, reports)
				}
			}
		})
	}
}

// Two outputs that show the same, as an X server begins with them, are laid side by side.
func TestSideBySide(t *testing.T) {
	told := stubs(t, `echo "DPMS (Energy Star):"; echo "  Server does not have the DPMS Extension"`)
	path := filepath.Join(filepath.SplitList(os.Getenv("PATH"))[0], "HDMI-2")
	if err := os.WriteFile(path, []byte(" 1280x720+0+0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"xrandr --output HDMI-2 --right-of HDMI-1", ""} {
		list, _, _, err := display{}.bring(t.Context(), nil, false)
		if got := told(); err != nil || got != want || len(list) != 2 || list[1].x != 1920 {
			t.Errorf("%q, want %q: %+v, %v", got, want, list, err)
		}
	}
}
