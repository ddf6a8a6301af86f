package serial

import (
	"bytes"
	"strings"
)

// setting is one thing that config.txt must switch on.
type setting struct {
	line string // as we write it: "enable_uart=1"
	key  string // "enable_uart", or for a device-tree parameter "dtparam:uart0"
	want string
}

var (
	enableUART = setting{"enable_uart=1", "enable_uart", "1"}
	uart0      = setting{"dtparam=uart0=on", "dtparam:uart0", "on"}
)

// EditConfigTxt makes the text of a Raspberry Pi's config.txt switch the header's
// UART on, whatever the sections above say. pi5 is for boards with a BCM2712.
// include reads a file that the text includes; nil or an error: it is unknown.
func EditConfigTxt(text []byte, pi5 bool, include func(name string) ([]byte, error)) []byte {
	out, _ := editConfigTxt(text, pi5, include)
	return out
}

func editConfigTxt(text []byte, pi5 bool, include func(string) ([]byte, error)) ([]byte, []op) {
	needs := []setting{enableUART}
	if pi5 {
		needs = append(needs, uart0)
	}
	var block []string
	for _, s := range needs {
		e := evaluation{setting: s, include: include}
		e.file(text, 0)
		if e.value != s.want {
			if s.key != "enable_uart" {
				// An empty overlay ends the one before, which would take the parameter.
				block = append(block, "dtoverlay=")
			}
			block = append(block, s.line)
		}
	}
	if len(block) == 0 {
		return text, nil
	}
	// The last word counts, under no condition.
	out, o := appendBlock(text, append([]string{marker, "[all]"}, block...)...)
	return out, []op{o}
}

// evaluation follows config.txt as the firmware does, without knowing which of
// its conditional sections apply here: value is what surely holds in the end.
type evaluation struct {
	setting
	include func(string) ([]byte, error)
	value   string // "" not set, "?" depends
}

func (e *evaluation) file(text []byte, depth int) { e.section(text, depth, true) }

func (e *evaluation) section(text []byte, depth int, sure bool) {
	outer := sure
	for raw := range bytes.Lines(text) {
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			sure = outer && strings.EqualFold(line, "[all]")
			continue
		}
		if name, ok := strings.CutPrefix(line, "include "); ok {
			if e.include == nil || depth >= 8 {
				e.value = "?"
				continue
			}
			included, err := e.include(strings.TrimSpace(name))
			if err == nil {
				e.section(included, depth+1, sure)
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, "#")
		value = strings.TrimSpace(value)
		switch {
		case strings.TrimSpace(key) == e.key:
			e.set(value, sure)
		case strings.HasPrefix(e.key, "dtparam:") && (strings.TrimSpace(key) == "dtparam" || strings.TrimSpace(key) == "device_tree_param"):
			for param := range strings.SplitSeq(value, ",") {
				name, v, given := strings.Cut(param, "=")
				if !given {
					v = "on"
				}
				if "dtparam:"+name == e.key {
					switch v {
					case "yes", "okay", "true", "1":
						v = "on"
					}
					e.set(v, sure)
				}
			}
		}
	}
}

func (e *evaluation) set(value string, sure bool) {
	switch {
	case sure:
		e.value = value
	case e.value != value:
		e.value = "?"
	}
}
