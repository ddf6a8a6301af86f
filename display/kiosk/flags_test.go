package kiosk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
)

// machine is a root with these drivers of graphics.
func machine(t *testing.T, drivers ...string) system.Root {
	t.Helper()
	root := t.TempDir()
	for i, d := range drivers {
		dir := filepath.Join(root, "sys/class/drm", "card"+string(rune('0'+i)), "device")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../../../bus/platform/drivers/"+d, filepath.Join(dir, "driver")); err != nil {
			t.Fatal(err)
		}
	}
	return system.Root(root)
}

func TestFlags(t *testing.T) {
	for name, test := range map[string]struct {
		drivers   []string
		memory    uint64
		has, lack []string
	}{
		"Pi 4, 2 GB":              {[]string{"vc4-drm", "v3d"}, 1900 * mib, []string{"--enable-gpu-rasterization"}, []string{"--disable-gpu", "--enable-low-end-device-mode"}},
		"Pi 3":                    {[]string{"vc4-drm"}, 900 * mib, []string{"--disable-gpu", "--enable-low-end-device-mode"}, []string{"--enable-gpu-rasterization"}},
		"Zero 2 W":                {[]string{"vc4-drm"}, 430 * mib, []string{"--disable-gpu", "--renderer-process-limit=1"}, nil},
		"virtual machine":         {[]string{"virtio_gpu"}, 2000 * mib, []string{"--disable-gpu"}, []string{"--enable-low-end-device-mode"}},
		"no screen driver at all": {nil, 8000 * mib, []string{"--disable-gpu"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			flags := Flags(machine(t, test.drivers...), board.Board{Memory: test.memory}, "/profile", []string{"--disable-features=Mine,Translate", "--lang=de", "--disable-features=Other"})
			lists := 0
			for _, f := range flags {
				if strings.HasPrefix(f, disableFeatures) {
					lists++
					for _, want := range []string{"Mine", "Other", "Translate", "MediaRouter"} {
						if strings.Count(f, want+",")+strings.Count(f+",", ","+want+",") < 1 {
							t.Errorf("%s is not in %s", want, f)
						}
					}
				}
			}
			if lists != 1 {
				t.Errorf("%d lists of features in %q", lists, flags)
			}
			for _, f := range append(test.has, "--kiosk", "--lang=de", "--remote-debugging-pipe", "--user-data-dir=/profile") {
				if !slices.Contains(flags, f) {
					t.Errorf("%s is missing", f)
				}
			}
			for _, f := range test.lack {
				if slices.Contains(flags, f) {
					t.Errorf("%s is there", f)
				}
			}
		})
	}
}

func TestTooSmall(t *testing.T) {
	for name, test := range map[string]struct {
		b    board.Board
		want bool
	}{
		"Zero W":   {board.Board{Family: board.Family1, Memory: 430 * mib}, true},
		"256 MB":   {board.Board{Family: board.Family3, Memory: 230 * mib}, true},
		"Zero 2 W": {board.Board{Family: board.Family3, Memory: 430 * mib, Kernel: "aarch64"}, false},
		"PC":       {board.Board{Memory: 8000 * mib}, false},
	} {
		if why := TooSmall(test.b); (why != "") != test.want {
			t.Errorf("%s: %q", name, why)
		}
	}
}
