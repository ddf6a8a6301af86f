package system

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// CPUTime is the first line of /proc/stat: what all processors together did
// since boot, in ticks (1/100 s on every board we know).
type CPUTime struct {
	User, Nice, System, Idle, IOWait, IRQ, SoftIRQ, Steal uint64
}

// Busy is the time in which a processor worked. Waiting for the card is idle.
func (t CPUTime) Busy() uint64 { return t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ + t.Steal }

// Total is all time. User already contains guest time, so that is not added.
func (t CPUTime) Total() uint64 { return t.Busy() + t.Idle + t.IOWait }

// ReadCPUTime reads /proc/stat.
func ReadCPUTime(root Root) (CPUTime, error) {
	b, err := root.ReadFile("/proc/stat")
	if err != nil {
		return CPUTime{}, fmt.Errorf("reading processor time: %w", err)
	}
	return parseCPUTime(b)
}

// parseCPUTime reads the "cpu" line of /proc/stat, which has four columns on
// the oldest kernels and ten today.
func parseCPUTime(b []byte) (CPUTime, error) {
	for line := range bytes.Lines(b) {
		words := bytes.Fields(line)
		if len(words) == 0 || string(words[0]) != "cpu" {
			continue
		}
		if len(words) < 5 {
			return CPUTime{}, errors.New("/proc/stat: the cpu line has fewer than four columns")
		}
		var t CPUTime
		for i, dst := range []*uint64{&t.User, &t.Nice, &t.System, &t.Idle, &t.IOWait, &t.IRQ, &t.SoftIRQ, &t.Steal} {
			if i+1 >= len(words) {
				break
			}
			v, err := strconv.ParseUint(string(words[i+1]), 10, 60)
			if err != nil {
				return CPUTime{}, fmt.Errorf("/proc/stat: cpu column %d: %w", i+1, err)
			}
			*dst = v
		}
		return t, nil
	}
	return CPUTime{}, errors.New("/proc/stat: no cpu line")
}

// CPUMeter measures how busy the processors are between two calls. It is safe
// for concurrent use, but each caller that wants its own span needs its own.
type CPUMeter struct {
	root Root

	mu   sync.Mutex
	last CPUTime
	use  float64
}

// NewCPUMeter starts measuring; the first Utilisation covers the time since boot.
func NewCPUMeter(root Root) *CPUMeter { return &CPUMeter{root: root} }

// Utilisation is the share of all processors' time, 0 to 1, that was spent
// working since the last call. Calls within one tick repeat the last answer.
func (m *CPUMeter) Utilisation() (float64, error) {
	now, err := ReadCPUTime(m.root)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// iowait and idle may step back a little on some kernels: a span that is not
	// positive is not a span.
	if total, before := now.Total(), m.last.Total(); total > before {
		busy := now.Busy() - min(m.last.Busy(), now.Busy())
		m.use = min(float64(busy)/float64(total-before), 1)
		m.last = now
	} else if total < before {
		m.last = now
	}
	return m.use, nil
}

// ProcessorsOnline counts the processors of /sys/devices/system/cpu/online, "0-3" or "0,2-3";
// 0 if it does not say.
func ProcessorsOnline(root Root) int {
	s, err := root.ReadString("/sys/devices/system/cpu/online")
	if err != nil {
		return 0
	}
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		var from, to int
		switch c, _ := fmt.Sscanf(part, "%d-%d", &from, &to); {
		case c == 1 && from >= 0:
			n++
		case c == 2 && from >= 0 && to >= from && to < 1<<16:
			n += to - from + 1
		default:
			return 0
		}
	}
	return n
}
