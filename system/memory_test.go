package system

import (
	"strings"
	"testing"
)

func TestReadMemoryOfThisMachine(t *testing.T) {
	m, err := ReadMemory("/")
	if err != nil {
		t.Fatal(err)
	}
	if m.Total < 64<<20 || m.Available == 0 || m.Available > m.Total || m.Free > m.Total {
		t.Errorf("implausible: %+v", m)
	}
}

func TestParseMemory(t *testing.T) {
	const zero = "MemTotal:         443372 kB\nMemFree:           22044 kB\nMemAvailable:     187632 kB\nBuffers:            9104 kB\nCached:           213848 kB\nSwapTotal:       6291452 kB\nSwapFree:        6291452 kB\n"
	m, err := parseMemory([]byte(zero))
	if err != nil {
		t.Fatal(err)
	}
	if m.Total != 443372*1024 || m.Available != 187632*1024 || m.SwapTotal != 6291452*1024 {
		t.Errorf("got %+v", m)
	}
	old, err := parseMemory([]byte(strings.ReplaceAll(zero, "MemAvailable", "MemOther")))
	if err != nil || old.Available != (22044+9104+213848)*1024 {
		t.Errorf("without MemAvailable: %+v, %v", old, err)
	}
	for _, bad := range []string{"", "MemFree: 1 kB\n", "MemTotal:\n", "MemTotal: x kB\n", "MemTotal: -4 kB\n"} {
		if m, err := parseMemory([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, m)
		}
	}
}

func FuzzParseMemory(f *testing.F) {
	f.Add([]byte("MemTotal:  443372 kB\nMemFree: 1 kB\n"))
	f.Add([]byte("MemTotal:18014398509481983\nMemFree: 18014398509481983 kB\nCached: 18014398509481983 kB"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMemory(b)
		if err == nil && m.Total == 0 {
			t.Errorf("accepted without a total")
		}
		if err == nil && m.Total%1024 != 0 {
			t.Errorf("not KiB")
		}
	})
}

func TestParseCPUTime(t *testing.T) {
	got, err := parseCPUTime([]byte("cpu  11441 10 5814 186870 886 3 115 48 7 0\ncpu0 1 1 1 1\n"))
	want := CPUTime{11441, 10, 5814, 186870, 886, 3, 115, 48}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := parseCPUTime([]byte("cpu 1 2 3 4\n")); err != nil || got.Total() != 10 || got.Busy() != 6 {
		t.Errorf("Linux 2.4's four columns: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4\n", "cpu 1 2\n", "cpu a b c d\n"} {
		if got, err := parseCPUTime([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func FuzzParseCPUTime(f *testing.F) {
	f.Add([]byte("cpu  11441 0 5814 186870 886 0 115 48 0 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) { parseCPUTime(b) })
}

func TestCPUMeter(t *testing.T) {
	root := Root(t.TempDir())
	m := NewCPUMeter(root)
	if _, err := m.Utilisation(); err == nil {
		t.Error("no error without /proc/stat")
	}
	step := func(stat string, want float64) {
		t.Helper()
		write(t, root, "/proc/stat", stat)
		if got, err := m.Utilisation(); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", stat, got, err, want)
		}
	}
	step("cpu 25 0 0 75 0 0 0 0 0 0\n", .25)     // since boot
	step("cpu 75 0 0 125 0 0 0 0 0 0\n", .5)     // 50 of 100
	step("cpu 75 0 0 125 0 0 0 0 0 0\n", .5)     // within a tick: the last answer
	step("cpu 75 0 0 125 100 0 0 0 0 0\n", 0)    // waiting for the card is idle
	step("cpu 85 0 0 125 90 0 0 0 0 0\n", 0)     // iowait stepped back: no span
	step("cpu 185 0 0 125 90 0 0 0 0 0\n", 1)    //
	step("cpu 10 0 0 20 0 0 0 0 0 0\n", 1)       // counters restarted: starts anew
	step("cpu 10 0 10 20 0 10 10 10 0 0\n", 1.0) // system, irq, softirq, steal
}

func TestProcessorsOnline(t *testing.T) {
	root := Root(t.TempDir())
	for text, want := range map[string]int{"0\n": 1, "0-3\n": 4, "0,2-3\n": 3, "": 0, "x": 0, "3-1": 0, "0-99999999": 0} {
		write(t, root, "/sys/devices/system/cpu/online", text)
		if got := ProcessorsOnline(root); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
