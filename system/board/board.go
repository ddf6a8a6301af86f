package board

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Model is a type of Raspberry Pi as its maker's tables call it.
type Model string

// The models, in order of appearance.
const (
	ModelA       Model = "A"
	ModelB       Model = "B"
	ModelAPlus   Model = "A+"
	ModelBPlus   Model = "B+"
	ModelAlpha   Model = "Alpha"
	ModelCM1     Model = "CM1"
	Model2B      Model = "2B"
	ModelZero    Model = "Zero"
	Model3B      Model = "3B"
	ModelCM3     Model = "CM3"
	ModelZeroW   Model = "Zero W"
	Model3BPlus  Model = "3B+"
	Model3APlus  Model = "3A+"
	ModelCM3Plus Model = "CM3+"
	Model4B      Model = "4B"
	Model400     Model = "400"
	ModelCM4     Model = "CM4"
	ModelCM4S    Model = "CM4S"
	ModelZero2W  Model = "Zero 2 W"
	Model5       Model = "5"
	ModelCM5     Model = "CM5"
	Model500     Model = "500" // and 500+
	ModelCM5Lite Model = "CM5 Lite"
	ModelCM0     Model = "CM0"
)

// Family groups the boards that share a processor, and with it UARTs, power
// controller and models of consumption.
type Family string

// The families; FamilyNone is not a Raspberry Pi.
const (
	FamilyNone Family = ""
	Family1    Family = "pi1"   // BCM2835: 1, Zero, Zero W, CM1
	Family2    Family = "pi2"   // BCM2836
	Family3    Family = "pi3"   // BCM2837: 3, 3+, CM3, Zero 2 W, late 2B
	Family4    Family = "pi4"   // BCM2711: 4, 400, CM4
	Family5    Family = "pi5"   // BCM2712: 5, 500, CM5
	FamilyNew  Family = "newer" // a Raspberry Pi that came after this program
)

// Board is what this machine is.
type Board struct {
	Pi         bool     `json:"pi"`                   // a Raspberry Pi
	Name       string   `json:"name"`                 // as the device tree or the PC's firmware says it; may be empty
	Model      Model    `json:"model,omitempty"`      // "4B"; empty unless Pi
	Family     Family   `json:"family,omitempty"`     // empty unless Pi
	Revision   Revision `json:"revision,omitempty"`   // 0: not known
	PCB        string   `json:"pcb,omitempty"`        // revision of the circuit board, "1.4"
	SoC        string   `json:"soc,omitempty"`        // "BCM2711"
	Maker      string   `json:"maker,omitempty"`      // who built it
	Installed  uint64   `json:"installed,omitempty"`  // bytes of RAM soldered on, by the revision code; 0: not known
	Memory     uint64   `json:"memory"`               // bytes of RAM that the kernel has (less the GPU's and reserved)
	Processors int      `json:"processors,omitempty"` // online; 0: not known
	Kernel     string   `json:"kernel,omitempty"`     // instruction set of the kernel: "aarch64", "armv7l", "x86_64"
	Compatible []string `json:"compatible,omitempty"` // the device tree's strings, most exact first
}

// String is the board in a line, "Raspberry Pi 4 Model B Rev 1.4 (BCM2711, d03114)".
func (b Board) String() string {
	switch {
	case b.Pi && b.Revision != 0:
		return fmt.Sprintf("%s (%s, %s)", b.Name, b.SoC, b.Revision)
	case b.Name != "":
		return b.Name
	}
	return "not a Raspberry Pi"
}

// Read says which machine this is. The error is only about /proc/meminfo, which
// every Linux has; all else may be absent and is left empty.
func Read(root system.Root) (Board, error) {
	var b Board
	b.Name, _ = root.ReadString("/proc/device-tree/model")
	if raw, err := root.ReadFile("/proc/device-tree/compatible"); err == nil {
		b.Compatible = splitStrings(raw)
	}
	info := readCPUInfo(root)
	b.Revision = info.revision
	// The firmware leaves the code in the device tree also on kernels, Debian's
	// among them, whose /proc/cpuinfo has no Revision line.
	if raw, err := root.ReadFile("/proc/device-tree/system/linux,revision"); err == nil && len(raw) == 4 {
		b.Revision = Revision(binary.BigEndian.Uint32(raw))
	}
	if b.Name == "" {
		b.Name = info.model
	}
	if b.Name == "" {
		if name, _ := root.ReadString("/sys/class/dmi/id/product_name"); name != "" {
			vendor, _ := root.ReadString("/sys/class/dmi/id/sys_vendor")
			b.Name = strings.TrimSpace(vendor + " " + name)
		}
	}
	b.Processors = system.ProcessorsOnline(root)
	if b.Processors == 0 {
		b.Processors = info.processors
	}
	b.Kernel = kernel(root)
	b.identify(info.hardware)
	memory, err := system.ReadMemory(root)
	b.Memory = memory.Total
	return b, err
}

// identify fills in what follows from code, device tree and name.
func (b *Board) identify(hardware string) {
	b.Pi = strings.HasPrefix(b.Name, "Raspberry Pi") || strings.HasPrefix(hardware, "BCM27") || strings.HasPrefix(hardware, "BCM283")
	for _, c := range b.Compatible {
		b.Pi = b.Pi || strings.HasPrefix(c, "raspberrypi,")
		if soc, ok := strings.CutPrefix(c, "brcm,"); ok {
			b.SoC = strings.ToUpper(soc)
		}
	}
	if !b.Pi {
		b.Revision = 0 // other ARM boards print a Revision of another meaning
		return
	}
	if d, ok := b.Revision.decode(); ok && b.Revision != 0 {
		b.Model, b.PCB, b.Maker, b.Installed = d.model, d.pcb, d.maker, d.memory
		if d.soc != "unknown" {
			b.SoC = d.soc
		}
	} else {
		b.Model = modelByName(b.Name)
	}
	if b.Name == "" {
		b.Name = "Raspberry Pi " + string(b.Model)
	}
	b.Family = familyOf(b.SoC)
}

func familyOf(soc string) Family {
	switch soc {
	case "BCM2835", "BCM2708":
		return Family1
	case "BCM2836", "BCM2709":
		return Family2
	case "BCM2837", "BCM2710", "BCM2837B0":
		return Family3
	case "BCM2711", "BCM2838":
		return Family4
	case "BCM2712":
		return Family5
	}
	return FamilyNew
}

// byName are the device tree's names, longest first where one begins another.
var byName = []struct {
	prefix string
	model  Model
}{
	{"Compute Module 5 Lite", ModelCM5Lite}, {"Compute Module 0", ModelCM0},
	{"Compute Module 5", ModelCM5}, {"Compute Module 4S", ModelCM4S}, {"Compute Module 4", ModelCM4},
	{"Compute Module 3 Plus", ModelCM3Plus}, {"Compute Module 3+", ModelCM3Plus}, {"Compute Module 3", ModelCM3},
	{"Compute Module", ModelCM1},
	{"500", Model500}, {"400", Model400},
	{"5 Model B", Model5}, {"5", Model5}, {"4 Model B", Model4B},
	{"3 Model B Plus", Model3BPlus}, {"3 Model B+", Model3BPlus}, {"3 Model A Plus", Model3APlus}, {"3 Model A+", Model3APlus},
	{"3 Model B", Model3B}, {"2 Model B", Model2B},
	{"Zero 2 W", ModelZero2W}, {"Zero W", ModelZeroW}, {"Zero", ModelZero},
	{"Model B Plus", ModelBPlus}, {"Model B+", ModelBPlus}, {"Model A Plus", ModelAPlus}, {"Model A+", ModelAPlus},
	{"Model B", ModelB}, {"Model A", ModelA},
}

// modelByName is for mainline device trees under firmware that left no code.
func modelByName(name string) Model {
	rest, ok := strings.CutPrefix(name, "Raspberry Pi ")
	if !ok {
		return ""
	}
	for _, n := range byName {
		if strings.HasPrefix(rest, n.prefix) {
			return n.model
		}
	}
	return ""
}

type cpuInfo struct {
	revision        Revision
	hardware, model string
	processors      int
}

func readCPUInfo(root system.Root) cpuInfo {
	b, err := root.ReadFile("/proc/cpuinfo")
	if err != nil {
		return cpuInfo{}
	}
	return parseCPUInfo(string(b))
}

// parseCPUInfo reads the text of /proc/cpuinfo. Nothing in it is required.
func parseCPUInfo(text string) cpuInfo {
	var info cpuInfo
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "processor": // "Processor", capital, is the name on old ARM kernels
			info.processors++
		case "Hardware":
			info.hardware = value
		case "Model":
			info.model = value
		case "Revision":
			info.revision, _ = ParseRevision(value)
		}
	}
	return info
}

// kernel is the kernel's instruction set, as uname -m says it. It may be wider
// than this program's: Raspberry Pi OS runs 32-bit programs on 64-bit kernels.
func kernel(root system.Root) string {
	if arch, err := root.ReadString("/proc/sys/kernel/arch"); err == nil { // since Linux 6.1
		return arch
	}
	var u unix.Utsname
	if !root.Real() || unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}

func splitStrings(raw []byte) []string {
	var out []string
	for s := range strings.SplitSeq(string(raw), "\x00") {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
