package system

import (
	"os"
	"path/filepath"
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
