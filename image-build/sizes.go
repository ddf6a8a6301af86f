package imagebuild

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// parseSizes reads dpkg's status file: packages by size, largest first.
func parseSizes(doc []byte) []usage {
	var out []usage
	for stanza := range strings.SplitSeq(string(doc), "\n\n") {
		var u usage
		installed := false
		for line := range strings.Lines(stanza) {
			key, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch key {
			case "Package":
				u.name = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			case "Installed-Size":
				u.kib, _ = strconv.ParseInt(value, 10, 64) // absent or odd: 0
			}
		}
		if u.name != "" && installed {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b usage) int { return cmp.Or(-cmp.Compare(a.kib, b.kib), cmp.Compare(a.name, b.name)) })
	return out
}
