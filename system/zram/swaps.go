package zram

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// Swap is one line of /proc/swaps: a swap area of any kind.
type Swap struct {
	Path     string `json:"path"`     // "/dev/zram0"; unescaped
	Kind     string `json:"kind"`     // "partition" or "file"
	Size     uint64 `json:"size"`     // bytes, without the header's page
	Used     uint64 `json:"used"`     // bytes
	Priority int32  `json:"priority"` // below 0: given by the kernel
}

// zram is the device's name if the area is a zram device, else empty. In a
// private /dev the path may read "/zram0".
func (s Swap) zram() string {
	if base := path.Base(s.Path); s.Kind == "partition" && strings.HasPrefix(base, "zram") {
		return base
	}
	return ""
}

// Swaps reads /proc/swaps. A kernel without swap has no areas.
func Swaps(root system.Root) ([]Swap, error) {
	b, err := root.ReadFile("/proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading swap areas: %w", err)
	}
	return parseSwaps(string(b))
}

// parseSwaps reads the text of /proc/swaps, whose header line is skipped.
func parseSwaps(text string) ([]Swap, error) {
	var out []Swap
	first := true
	for line := range strings.Lines(text) {
		if first {
			first = false
			continue
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		words[0] = strings.TrimSuffix(words[0], `\040(deleted)`)
		if len(words) < 5 {
			return nil, fmt.Errorf("/proc/swaps: %q has fewer than five columns", strings.TrimSpace(line))
		}
		size, err1 := strconv.ParseUint(words[2], 10, 54)
		used, err2 := strconv.ParseUint(words[3], 10, 54)
		priority, err3 := strconv.ParseInt(words[4], 10, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("/proc/swaps: %q: %w", strings.TrimSpace(line), err)
		}
		out = append(out, Swap{Path: unescape(words[0]), Kind: words[1], Size: size * 1024, Used: used * 1024, Priority: int32(priority)})
	}
	return out, nil
}

// unescape undoes the kernel's octal escapes (blank, tab, newline, backslash).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
