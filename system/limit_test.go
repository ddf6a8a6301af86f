package system

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		files   map[string]string
		want    uint64
		limited bool
	}{
		"no groups":         {nil, 512 * mib, false},
		"no limit":          {map[string]string{"proc/self/cgroup": "0::/system.slice/sierpi.service\n", "sys/fs/cgroup/system.slice/sierpi.service/memory.high": "max\n"}, 512 * mib, false},
		"high":              {map[string]string{"proc/self/cgroup": "0::/system.slice/sierpi.service\n", "sys/fs/cgroup/system.slice/sierpi.service/memory.high": "268435456\n", "sys/fs/cgroup/system.slice/sierpi.service/memory.max": "max\n"}, 256 * mib, true},
		"one above":         {map[string]string{"proc/self/cgroup": "0::/system.slice/sierpi.service\n", "sys/fs/cgroup/system.slice/memory.max": "104857600\n"}, 100 * mib, true},
		"more than is":      {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "9223372036854771712\n"}, 512 * mib, false},
		"version 1":         {map[string]string{"proc/self/cgroup": "9:cpu:/x\n4:memory:/process/a\n0::/\n", "sys/fs/cgroup/memory/process/a/memory.limit_in_bytes": "134217728\n"}, 128 * mib, true},
		"climbs":            {map[string]string{"proc/self/cgroup": "0::/../../../etc\n", "etc/memory.max": "1\n"}, 512 * mib, false},
		"of another kind":   {map[string]string{"proc/self/cgroup": "4:cpu:/a\n0:x\n::\n", "sys/fs/cgroup/a/memory.max": "1\n"}, 512 * mib, false},
		"not a number":      {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "-1\n"}, 512 * mib, false},
		"the group is root": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.high": "1048576\n"}, mib, true},
	} {
		root := t.TempDir()
		files := map[string]string{"proc/meminfo": "MemTotal: 524288 kB\nMemAvailable: 1 kB\n"}
		for path, text := range c.files {
			files[path] = text
		}
		for path, text := range files {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, limited, err := MemoryLimit(Root(root)); got != c.want || limited != c.limited || err != nil {
			t.Errorf("%s: %d, %t, %v; want %d, %t", name, got, limited, err, c.want, c.limited)
		}
	}
	if _, _, err := MemoryLimit(Root(t.TempDir())); err == nil {
		t.Error("no /proc/meminfo, and no error")
	}
	// This machine's own.
	if n, _, err := MemoryLimit("/"); err != nil || n < 64*mib {
		t.Errorf("here: %d, %v", n, err)
	}
}

func FuzzMemoryGroups(f *testing.F) {
	f.Add("0::/system.slice/sierpi.service\n4:memory:/a\n")
	f.Fuzz(func(t *testing.T, text string) {
		for mount, group := range memoryGroups(text) {
			if mount == "" || group == "" || group[0] != '/' || filepath.Clean(group) != group {
				t.Errorf("%q: %q", mount, group)
			}
		}
	})
}
