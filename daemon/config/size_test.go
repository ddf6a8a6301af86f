package config

import (
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	const ram = 927 << 20 // a 3B+ with its GPU's share taken
	for _, c := range []struct {
		in   string
		want uint64
	}{
		{"536870912", 512 << 20},
		{"512MiB", 512 << 20},
		{" 512 mib ", 512 << 20},
		{"512M", 512 << 20},
		{"1.5GiB", 1536 << 20},
		{"1GB", 1e9},
		{"50%", ram / 2},
		{"12.5%", ram / 8},
		{"200%", ram * 2},
		{"ram", ram},
		{"ram/2", ram / 2},
		{"RAM * 1.5", ram * 3 / 2},
		{"min(ram/2, 4GiB)", ram / 2},
		{"min(ram / 2, 128MiB)", 128 << 20},
		{"max(10%, 256M, 1k)", 256 << 20},
		{"min(max(ram/4, 300MiB), 8GiB)", 300 << 20},
		{"4GiB", 4 << 30}, // more than an int of a 32-bit board holds
		{"0", 0},
	} {
		s, err := ParseSize(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if got := s.Bytes(ram); got != c.want {
			t.Errorf("%q is %d, want %d", c.in, got, c.want)
		}
	}
	for _, bad := range []string{
		"", "half", "-1", "1..5", "1.", ".5", "5 apples", "512 TiB", "50%%", "ram/0", "ram/", "ram+1", "min(", "min()", "min(1",
		"min(1,)", "1 2", "99999999999999999999", "18446744073709551615GiB", "min(min(min(min(min(min(1))))))", "1e9",
		strings.Repeat("9", 300),
	} {
		if s, err := ParseSize(bad); err == nil {
			t.Errorf("%q was read as %d", bad, s.Bytes(ram))
		} else if !strings.Contains(err.Error(), "MiB") && len(bad) < 100 {
			t.Errorf("%q: the error names no remedy: %v", bad, err)
		}
	}
	if s, err := ParseSize("100000%"); err != nil || s.Bytes(1<<63) != 1<<64-1 {
		t.Errorf("does not saturate: %v %v", s.Bytes(1<<63), err)
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"512MiB", "min(ram/2, 4GiB)", "12.5%", "ram*1.5", "max(1,2,3)"} {
		f.Add(s, uint64(1<<30))
	}
	f.Fuzz(func(t *testing.T, s string, ram uint64) {
		size, err := ParseSize(s)
		if err != nil {
			return
		}
		// More memory never means a smaller size, so no arithmetic wraps.
		if ram < 1<<63 && size.Bytes(ram) > size.Bytes(ram*2) {
			t.Errorf("%q shrinks: %d at %d, %d at twice that", s, size.Bytes(ram), ram, size.Bytes(ram*2))
		}
	})
}
