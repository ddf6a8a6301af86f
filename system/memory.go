package system

import (
	"bytes"
	"fmt"
	"strconv"
)

// Memory is what /proc/meminfo says, in bytes. uint64 also on 32-bit boards,
// where swap of 4 GiB and more would overflow an int.
type Memory struct {
	Total     uint64
	Free      uint64
	Available uint64 // what new programs can have without swapping
	Buffers   uint64
	Cached    uint64
	Shmem     uint64

	SwapTotal  uint64
	SwapFree   uint64
	SwapCached uint64
	Zswap      uint64 // RAM that zswap's pool takes; 0 on kernels that do not say
	Zswapped   uint64 // what is stored in it, uncompressed
}

// ReadMemory reads /proc/meminfo.
func ReadMemory(root Root) (Memory, error) {
	b, err := root.ReadFile("/proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("reading memory figures: %w", err)
	}
	return parseMemory(b)
}

// parseMemory reads the text of /proc/meminfo. Lines that it does not know are
// skipped: every kernel adds some. MemTotal must be there.
func parseMemory(b []byte) (Memory, error) {
	var m Memory
	var available bool
	fields := map[string]*uint64{
		"MemTotal": &m.Total, "MemFree": &m.Free, "MemAvailable": &m.Available, "Buffers": &m.Buffers,
		"Cached": &m.Cached, "Shmem": &m.Shmem, "SwapTotal": &m.SwapTotal, "SwapFree": &m.SwapFree,
		"SwapCached": &m.SwapCached, "Zswap": &m.Zswap, "Zswapped": &m.Zswapped,
	}
	for line := range bytes.Lines(b) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		dst := fields[string(name)]
		if !ok || dst == nil {
			continue
		}
		words := bytes.Fields(rest)
		if len(words) == 0 {
			return Memory{}, fmt.Errorf("/proc/meminfo: %s has no value", name)
		}
		kib, err := strconv.ParseUint(string(words[0]), 10, 54) // 54 bits: times 1024 cannot overflow
		if err != nil {
			return Memory{}, fmt.Errorf("/proc/meminfo: %s: %w", name, err)
		}
		*dst = kib * 1024
		available = available || dst == &m.Available
	}
	if m.Total == 0 {
		return Memory{}, fmt.Errorf("/proc/meminfo: no MemTotal")
	}
	if !available { // before Linux 3.14
		m.Available = min(m.Free+m.Buffers+m.Cached, m.Total)
	}
	return m, nil
}
