package system

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts a file below a root.
func write(t *testing.T, root Root, path, text string) {
	t.Helper()
	full := root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRoot(t *testing.T) {
	if !Root("").Real() || !Root("/").Real() || !Root("//").Real() || Root("/tmp").Real() {
		t.Error("Real")
	}
	root := Root(t.TempDir())
	write(t, root, "/sys/block/zram0/disksize", "4096\n")
	write(t, root, "/proc/device-tree/model", "Raspberry Pi 5\x00")
	if got := root.Glob("/sys/block/zram*"); len(got) != 1 || got[0] != "/sys/block/zram0" {
		t.Errorf("Glob: %v", got)
	}
	if got := Root("").Glob("/pro[c]/self/stat"); len(got) != 1 || got[0] != "/proc/self/stat" {
		t.Errorf("Glob on the real root: %v", got)
	}
	if s, err := root.ReadString("/proc/device-tree/model"); err != nil || s != "Raspberry Pi 5" {
		t.Errorf("ReadString: %q, %v", s, err)
	}
}

// ReadFile reads what os.ReadFile does, whatever the size, and the errors are as
// good.
func TestReadFile(t *testing.T) {
	root := Root(t.TempDir())
	for _, n := range []int{0, 1, 511, 4095, 4096, 4097, 8192, 100_000} {
		text := strings.Repeat("x", n)
		write(t, root, "/f", text)
		if b, err := root.ReadFile("/f"); err != nil || string(b) != text {
			t.Errorf("%d bytes: got %d, %v", n, len(b), err)
		}
	}
	for _, path := range []string{"/proc/self/status", "/proc/self/maps", "/proc/kallsyms", "/sys/devices/system/cpu/online"} {
		if want, err := os.ReadFile(path); err == nil && len(want) > 0 {
			if b, err := Root("").ReadFile(path); err != nil || len(b) == 0 || path[1] == 's' && string(b) != string(want) {
				t.Errorf("%s: %d bytes, %v", path, len(b), err)
			}
		}
	}
	if _, err := root.ReadFile("/none"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), string(root)+"/none") {
		t.Errorf("%v", err)
	}
	if _, err := root.ReadFile("/"); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("%v", err)
	}
}
