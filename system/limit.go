package system

import (
	"path"
	"strconv"
	"strings"
)

// MemoryLimit is how much memory, in bytes, this process may have: the machine's, or less
// where its control group or one above it says so (memory.high and memory.max; with version
// 1 memory.limit_in_bytes). limited tells the two apart. On a tree of files it is that tree's
// /proc/self/cgroup that counts.
func MemoryLimit(root Root) (bytes uint64, limited bool, err error) {
	m, err := ReadMemory(root)
	if err != nil {
		return 0, false, err
	}
	bytes = m.Total
	text, err := root.ReadString("/proc/self/cgroup")
	if err != nil {
		return bytes, false, nil // a kernel without control groups
	}
	for mount, group := range memoryGroups(text) {
		for ; ; group = path.Dir(group) {
			for _, name := range []string{"memory.high", "memory.max", "memory.limit_in_bytes"} {
				// "max", or nothing at all, is no limit.
				if s, err := root.ReadString(mount + path.Join(group, name)); err == nil {
					if n, err := strconv.ParseUint(s, 10, 64); err == nil && n < bytes {
						bytes, limited = n, true
					}
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return bytes, limited, nil
}

// memoryGroups reads /proc/PID/cgroup: where the memory controller is mounted -> the group in it.
func memoryGroups(text string) map[string]string {
	groups := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || !strings.HasPrefix(fields[2], "/") {
			continue
		}
		switch group := path.Clean(fields[2]); {
		case fields[1] == "":
			groups["/sys/fs/cgroup"] = group
		case strings.Contains(","+fields[1]+",", ",memory,"):
			groups["/sys/fs/cgroup/memory"] = group
		}
	}
	return groups
}
