package imagebuild

import (
	"fmt"
	"slices"
	"strings"
)

// bootPartition is what a linter sees of the FAT partition.
type bootPartition struct {
	files   map[string]bool // lower case, "overlays/x.dtbo"; FAT knows no case
	config  string
	cmdline string
}

func (b bootPartition) has(name string) bool { return b.files[strings.ToLower(name)] }

// boardFacts is what a board's firmware wants to find.
type boardFacts struct {
	firmware []string // "" variants: start.elf or with gpu_mem=16 start_cd.elf
	cut      []string // the cut-down ones that gpu_mem=16 asks for
	trees    []string // any of these: upstream's name, Raspberry Pi's name
	uart     string   // "mini" or "pl011" on GPIO 14 and 15
	noCMA    bool     // does not boot with cma=
	wide     bool     // has a 64-bit CPU
}

var (
	oldFirmware = []string{"bootcode.bin", "start.elf", "fixup.dat"}
	oldCut      = []string{"start_cd.elf", "fixup_cd.dat"}
	newFirmware = []string{"start4.elf", "fixup4.dat"}
	newCut      = []string{"start4cd.elf", "fixup4cd.dat"}
	boardTable  = map[string]boardFacts{
		"pi1":   {oldFirmware, oldCut, []string{"bcm2835-rpi-b-plus.dtb", "bcm2708-rpi-b-plus.dtb"}, "pl011", false, false},
		"pi0":   {oldFirmware, oldCut, []string{"bcm2835-rpi-zero.dtb", "bcm2708-rpi-zero.dtb"}, "pl011", false, false},
		"pi0w":  {oldFirmware, oldCut, []string{"bcm2835-rpi-zero-w.dtb", "bcm2708-rpi-zero-w.dtb"}, "mini", false, false},
		"pi2":   {oldFirmware, oldCut, []string{"bcm2836-rpi-2-b.dtb", "bcm2709-rpi-2-b.dtb"}, "pl011", false, false},
		"pi02":  {oldFirmware, oldCut, []string{"bcm2837-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2-w.dtb"}, "mini", false, true},
		"pi3":   {oldFirmware, oldCut, []string{"bcm2837-rpi-3-b.dtb", "bcm2710-rpi-3-b.dtb"}, "mini", false, true},
		"pi3+":  {oldFirmware, oldCut, []string{"bcm2837-rpi-3-b-plus.dtb", "bcm2710-rpi-3-b-plus.dtb"}, "mini", false, true},
		"pi4":   {newFirmware, newCut, []string{"bcm2711-rpi-4-b.dtb"}, "mini", true, true},
		"pi400": {newFirmware, newCut, []string{"bcm2711-rpi-400.dtb"}, "mini", true, true},
		"cm4":   {newFirmware, newCut, []string{"bcm2711-rpi-cm4-io.dtb", "bcm2711-rpi-cm4.dtb"}, "mini", true, true},
		"pi5":   {nil, nil, []string{"bcm2712-rpi-5-b.dtb"}, "pl011", true, true},
	}
)

// lintBoot reports what is wrong for the boards that an image claims, a line each.
func lintBoot(b bootPartition, base, arch string, boards []string, rootPartUUID string) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	lines, mistakes := parseConfigTxt(b.config)
	for _, m := range mistakes {
		report("config.txt: %s", m)
	}
	tokens := strings.Fields(b.cmdline)
	lintCmdline(b.cmdline, rootPartUUID, report)
	for _, name := range boards {
		facts, ok := boardTable[name]
		if !ok {
			report("%s: no such board is known; there are %s", name, strings.Join(slices.Sorted(boardNames), ", "))
			continue
		}
		here := forBoard(lines, name)
		firmware := facts.firmware
		if last(here, "gpu_mem") == "16" && firmware != nil {
			firmware = append(slices.Clone(firmware), facts.cut...)
		}
		for _, f := range firmware {
			if !b.has(f) {
				report("%s: its firmware %s is not on the boot partition", name, f)
			}
		}
		if !slices.ContainsFunc(facts.trees, b.has) {
			report("%s: its device tree is not on the boot partition (%s)", name, strings.Join(facts.trees, " or "))
		}
		for _, o := range overlays(here) {
			if !b.has("overlays/" + o + ".dtbo") {
				report("%s: config.txt loads the overlay %s, which is not on the boot partition", name, o)
			}
		}
		if k := last(here, "kernel"); k != "" && !b.has(k) {
			report("%s: config.txt names the kernel %s, which is not on the boot partition", name, k)
		} else if k == "" && base == "debian" {
			report("%s: config.txt names no kernel; Debian's has none of the names that firmware looks for", name)
		}
		if i := last(here, "initramfs"); i != "" && !b.has(strings.Fields(i)[0]) {
			report("%s: config.txt names the initramfs %s, which is not on the boot partition", name, i)
		} else if i == "" && last(here, "auto_initramfs") != "1" {
			report("%s: config.txt loads no initramfs, and ext4 is a module", name)
		}
		if arch == "arm64" && last(here, "arm_64bit") != "1" && name != "pi5" && name != "pi4" && name != "pi400" && name != "cm4" {
			report("%s: config.txt lacks arm_64bit=1: its firmware starts kernels in 32 bits", name)
		}
		if arch == "arm64" && !facts.wide {
			report("%s: has no 64-bit CPU", name)
		}
		if facts.noCMA && slices.ContainsFunc(tokens, func(t string) bool { return strings.HasPrefix(t, "cma=") }) {
			report("%s: does not boot with cma= in cmdline.txt", name)
		}
		if last(here, "enable_uart") != "1" {
			report("%s: config.txt lacks enable_uart=1: no serial line, and on boards with a mini UART the wrong speed", name)
		}
		lintConsole(name, base, facts, here, tokens, report)
	}
	return found
}

func boardNames(yield func(string) bool) {
	for name := range boardTable {
		if !yield(name) {
			return
		}
	}
}

func lintCmdline(text, rootPartUUID string, report func(string, ...any)) {
	trimmed := strings.TrimRight(text, "\n")
	switch {
	case trimmed == "":
		report("cmdline.txt is empty")
	case strings.ContainsAny(trimmed, "\n\r"):
		report("cmdline.txt has more than one line; the kernel gets the first only")
	}
	if len(text) > 512 {
		report("cmdline.txt has %d bytes; more than one sector, 512, cannot be rewritten safely", len(text))
	}
	roots := 0
	for _, t := range strings.Fields(text) {
		key, value, _ := strings.Cut(t, "=")
		switch key {
		case "root":
			roots++
			if rootPartUUID != "" && value != "PARTUUID="+rootPartUUID {
				report("cmdline.txt: root=%s is not this image's root, PARTUUID=%s", value, rootPartUUID)
			}
		case "init", "systemd.run", "systemd.unit":
			report("cmdline.txt: %s= starts something else than the system", key)
		}
	}
	if roots != 1 {
		report("cmdline.txt names %d roots", roots)
	}
}

// lintConsole holds that the kernel's console is the line on the header.
func lintConsole(board, base string, facts boardFacts, config []configLine, tokens []string, report func(string, ...any)) {
	var serial []string
	for _, t := range tokens {
		if c, ok := strings.CutPrefix(t, "console="); ok {
			if name, _, _ := strings.Cut(c, ","); strings.HasPrefix(name, "tty") && len(name) > 4 || name == "serial0" {
				serial = append(serial, name)
			}
		}
	}
	want := "ttyAMA0"
	loaded := overlays(config)
	if facts.uart == "mini" && !slices.Contains(loaded, "disable-bt") && !slices.Contains(loaded, "miniuart-bt") {
		want = "ttyS0"
		// Debian's own device trees call it the second UART.
		if base == "debian" && !slices.Contains(loaded, overlayName) {
			want = "ttyS1"
		}
	}
	if base == "raspios" && slices.Contains(serial, "serial0") {
		return // follows the board
	}
	if !slices.Contains(serial, want) {
		report("%s: the UART on its header is %s, and cmdline.txt has no console=%s", board, want, want)
	}
}
