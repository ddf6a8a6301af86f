package serial

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// Line is the serial line of a machine.
type Line struct {
	Device  string `json:"device"`  // "ttyS0", below /dev
	Console string `json:"console"` // what boot files call it: "serial0" where the firmware resolves that
	Unit    int    `json:"unit"`    // number among the PC's ports, for GRUB; -1: none
	Pi      bool   `json:"pi"`
	Pi5     bool   `json:"pi5,omitempty"`
	Why     string `json:"why"` // how it was found

	// Ghost says why nothing answers there now; empty if it is alive.
	Ghost string `json:"ghost,omitempty"`
}

// Find resolves the config's device: a name, or "auto" for the UART on this
// board's header, on a PC for the first port that is really there. A line that
// is not there is an error unless a reboot with the firmware's UART switched on
// will bring it.
func Find(root system.Root, device string) (Line, error) {
	compatible, _ := root.ReadFile("/proc/device-tree/compatible")
	l := Line{Device: device, Console: device, Unit: -1, Why: "the config names it"}
	l.Pi = strings.Contains(string(compatible), "raspberrypi,")
	l.Pi5 = l.Pi && strings.Contains(string(compatible), "brcm,bcm2712")
	if strings.ContainsAny(device, "/ \t,\x00") || device == "" || device == "." || device == ".." {
		return l, &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("[serial]: %q is no device name", device), Remedy: `write "auto", or a name as below /dev such as "ttyS0"`}
	}
	alias := serial0(root)
	switch {
	case device == "serial0" && alias == "" && !l.Pi:
		return l, absent("serial0", "only Raspberry Pis have a serial0")
	case device == "auto" && l.Pi, device == "serial0":
		l.onHeader(root, alias)
	case device == "auto":
		l.onPC(root)
	case alias == device && !l.Pi5:
		l.Console = "serial0"
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(l.Device, "ttyS")); err == nil && strings.HasPrefix(l.Device, "ttyS") && !l.Pi {
		l.Unit = n
	}
	l.Ghost = ghost(root, l.Device)
	if l.Ghost != "" && !l.Pi {
		return l, absent(l.Device, l.Ghost)
	}
	return l, nil
}

func absent(device, why string) error {
	return &system.Error{Code: system.ExitImpossible, Err: fmt.Errorf("there is no serial line %s: %s", device, why),
		Remedy: "name another device below [serial], or set enabled = false"}
}

// onHeader finds the UART on GPIO 14 and 15.
func (l *Line) onHeader(root system.Root, alias string) {
	if l.Pi5 {
		// Its serial0 is the debug connector; the header's UART belongs to the RP1.
		l.Device, l.Console, l.Why = "ttyAMA0", "ttyAMA0", "the header's UART of a Pi 5"
		return
	}
	if alias != "" {
		l.Device, l.Console, l.Why = alias, "serial0", "/dev/serial0 points to it"
		return
	}
	// Without Raspberry Pi's udev rules, as on Debian's own kernel, the device tree
	// says which UART is meant for people, and its address which name it got.
	if path := stdoutPath(root); path != "" {
		if tty := ttyAt(root, path); tty != "" {
			l.Device, l.Console, l.Why = tty, tty, "the device tree's stdout-path is this UART"
			return
		}
	}
	compatible, _ := root.ReadFile("/proc/device-tree/compatible")
	l.Device, l.Why = "ttyAMA0", "the PL011 is on this board's header"
	for _, mini := range []string{"brcm,bcm2837", "brcm,bcm2711", "raspberrypi,model-zero-w"} {
		if strings.Contains(string(compatible), mini) {
			l.Device, l.Why = "ttyS0", "the mini UART is on this board's header"
			if tty := ttyAt(root, "serial@7e215040"); tty != "" {
				l.Device = tty
			}
		}
	}
	l.Console = l.Device
	if _, err := root.Lstat("/boot/firmware/bootcode.bin"); err == nil {
		l.Console = "serial0" // Raspberry Pi OS, not yet booted with the UART on
	} else if _, err := root.Lstat("/boot/bootcode.bin"); err == nil {
		l.Console = "serial0"
	}
}

// onPC takes the first port that answers.
func (l *Line) onPC(root system.Root) {
	for _, name := range []string{"ttyS0", "ttyAMA0", "hvc0", "ttyS1", "ttyS2", "ttyS3"} {
		if ghost(root, name) == "" {
			l.Device, l.Console, l.Why = name, name, "the first port that is really there"
			return
		}
	}
	l.Device, l.Console, l.Why = "ttyS0", "ttyS0", "the usual first port"
}

// serial0 is the device that /dev/serial0 points to, empty if there is none.
func serial0(root system.Root) string {
	target, err := root.Readlink("/dev/serial0")
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(target, "/dev/")
}

// stdoutPath is the device-tree node of chosen/stdout-path, through its alias.
func stdoutPath(root system.Root) string {
	s, err := root.ReadString("/proc/device-tree/chosen/stdout-path")
	if err != nil {
		return ""
	}
	s, _, _ = strings.Cut(s, ":") // "serial1:115200n8"
	if !strings.HasPrefix(s, "/") {
		s, _ = root.ReadString("/proc/device-tree/aliases/" + s)
	}
	return s
}

// ttyAt finds the tty whose registers are where a device-tree node's are. A
// node's address is the bus's ("7e215040"), a tty's the processor's
// ("0x3F215040"): the last six digits are the same.
func ttyAt(root system.Root, node string) string {
	_, address, ok := strings.Cut(node[strings.LastIndex(node, "/")+1:], "@")
	if !ok || len(address) < 6 {
		return ""
	}
	tail := strings.ToLower(address[len(address)-6:])
	for _, path := range root.Glob("/sys/class/tty/tty*/iomem_base") {
		base, err := root.ReadString(path)
		if err == nil && strings.HasSuffix(strings.ToLower(base), tail) {
			return strings.Split(path, "/")[4]
		}
	}
	return ""
}

// ghost says why a line is none: a driver reserves ports that no chip answers on
// (type 0), and a getty there would be restarted for ever.
func ghost(root system.Root, device string) string {
	if _, err := root.Lstat("/sys/class/tty/" + device); err != nil {
		return "the kernel has no " + device
	}
	if kind, err := root.ReadString("/sys/class/tty/" + device + "/type"); err == nil && kind == "0" {
		return device + " is a name without a chip behind it (its type is 0)"
	}
	return ""
}

// names are what the line may be called in boot files.
func (l Line) names() []string {
	names := []string{l.Console}
	if l.Device != l.Console {
		names = append(names, l.Device)
	}
	return names
}

func checkLine(baud int, term string) error {
	if !slices.Contains(config.BaudRates(), baud) {
		return &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("[serial]: %d is not a speed of serial lines", baud), Remedy: "write for example 9600 or 115200"}
	}
	if term == "" || strings.Trim(term, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._") != "" {
		return &system.Error{Code: system.ExitConfig, Err: errors.New("[serial]: term is not the name of a terminal"), Remedy: `write for example "vt220"`}
	}
	return nil
}
