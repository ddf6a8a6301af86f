package board

import (
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

// codes are all revision codes that Raspberry Pi publishes, with what they mean:
// raspberrypi/documentation, revision-codes.adoc, read in November 2026.
const codes = `
0002 B 1.0 256 Egoman pi1
0003 B 1.0 256 Egoman pi1
0004 B 2.0 256 Sony_UK pi1
0005 B 2.0 256 Qisda pi1
0006 B 2.0 256 Egoman pi1
0007 A 2.0 256 Egoman pi1
0008 A 2.0 256 Sony_UK pi1
0009 A 2.0 256 Qisda pi1
000d B 2.0 512 Egoman pi1
000e B 2.0 512 Sony_UK pi1
000f B 2.0 512 Egoman pi1
0010 B+ 1.2 512 Sony_UK pi1
0011 CM1 1.0 512 Sony_UK pi1
0012 A+ 1.1 256 Sony_UK pi1
0013 B+ 1.2 512 Embest pi1
0014 CM1 1.0 512 Embest pi1
0015 A+ 1.1 0 Embest pi1
900021 A+ 1.1 512 Sony_UK pi1
900032 B+ 1.2 512 Sony_UK pi1
a01040 2B 1.0 1024 Sony_UK pi2
a01041 2B 1.1 1024 Sony_UK pi2
a21041 2B 1.1 1024 Embest pi2
a02042 2B 1.2 1024 Sony_UK pi3
a22042 2B 1.2 1024 Embest pi3
900061 CM1 1.1 512 Sony_UK pi1
a02082 3B 1.2 1024 Sony_UK pi3
a22082 3B 1.2 1024 Embest pi3
a32082 3B 1.2 1024 Sony_Japan pi3
a52082 3B 1.2 1024 Stadium pi3
a22083 3B 1.3 1024 Embest pi3
900092 Zero 1.2 512 Sony_UK pi1
920092 Zero 1.2 512 Embest pi1
900093 Zero 1.3 512 Sony_UK pi1
920093 Zero 1.3 512 Embest pi1
a020a0 CM3 1.0 1024 Sony_UK pi3
a220a0 CM3 1.0 1024 Embest pi3
9000c1 Zero_W 1.1 512 Sony_UK pi1
a020d3 3B+ 1.3 1024 Sony_UK pi3
a020d4 3B+ 1.4 1024 Sony_UK pi3
9020e0 3A+ 1.0 512 Sony_UK pi3
9020e1 3A+ 1.1 512 Sony_UK pi3
a02100 CM3+ 1.0 1024 Sony_UK pi3
a03111 4B 1.1 1024 Sony_UK pi4
b03111 4B 1.1 2048 Sony_UK pi4
c03111 4B 1.1 4096 Sony_UK pi4
b03112 4B 1.2 2048 Sony_UK pi4
c03112 4B 1.2 4096 Sony_UK pi4
b03114 4B 1.4 2048 Sony_UK pi4
c03114 4B 1.4 4096 Sony_UK pi4
d03114 4B 1.4 8192 Sony_UK pi4
b03115 4B 1.5 2048 Sony_UK pi4
c03115 4B 1.5 4096 Sony_UK pi4
d03115 4B 1.5 8192 Sony_UK pi4
902120 Zero_2_W 1.0 512 Sony_UK pi3
c03130 400 1.0 4096 Sony_UK pi4
a03140 CM4 1.0 1024 Sony_UK pi4
b03140 CM4 1.0 2048 Sony_UK pi4
c03140 CM4 1.0 4096 Sony_UK pi4
d03140 CM4 1.0 8192 Sony_UK pi4
b04170 5 1.0 2048 Sony_UK pi5
c04170 5 1.0 4096 Sony_UK pi5
d04170 5 1.0 8192 Sony_UK pi5
a04171 5 1.1 1024 Sony_UK pi5
b04171 5 1.1 2048 Sony_UK pi5
c04171 5 1.1 4096 Sony_UK pi5
d04171 5 1.1 8192 Sony_UK pi5
e04171 5 1.1 16384 Sony_UK pi5
b04180 CM5 1.0 2048 Sony_UK pi5
c04180 CM5 1.0 4096 Sony_UK pi5
d04180 CM5 1.0 8192 Sony_UK pi5
e04180 CM5 1.0 16384 Sony_UK pi5
d04190 500 1.0 8192 Sony_UK pi5
e04190 500 1.0 16384 Sony_UK pi5
b041a0 CM5_Lite 1.0 2048 Sony_UK pi5
c041a0 CM5_Lite 1.0 4096 Sony_UK pi5
d041a0 CM5_Lite 1.0 8192 Sony_UK pi5
e041a0 CM5_Lite 1.0 16384 Sony_UK pi5
`

func TestEveryPublishedRevision(t *testing.T) {
	n := 0
	for line := range strings.Lines(strings.TrimSpace(codes)) {
		f := strings.Fields(line)
		n++
		for _, prefix := range []string{"", "2"} { // the warranty bit changes nothing else
			if prefix != "" && len(f[0]) == 4 {
				prefix = "100" // it was bit 24 of a shorter number: 100000d
			}
			r, err := ParseRevision(prefix + f[0])
			if err != nil {
				t.Fatal(err)
			}
			if r.Overvolted() != (prefix != "") {
				t.Errorf("%s%s: warranty bit", prefix, f[0])
			}
			b := Board{Revision: r, Name: "Raspberry Pi"}
			b.identify("")
			model, maker := strings.ReplaceAll(f[1], "_", " "), strings.ReplaceAll(f[4], "_", " ")
			installed := map[string]uint64{"0": 0, "256": 256, "512": 512, "1024": 1024, "2048": 2048, "4096": 4096, "8192": 8192, "16384": 16384}[f[3]] << 20
			if !b.Pi || string(b.Model) != model || b.PCB != f[2] || b.Installed != installed || b.Maker != maker || string(b.Family) != f[5] || r.String() != f[0] {
				t.Errorf("%s%s: %+v (%s)", prefix, f[0], b, r)
			}
		}
	}
	if n < 77 { // as many as were published when this was written; new ones are added
		t.Errorf("%d codes were tried", n)
	}
}

func TestRevisionsOfTheFuture(t *testing.T) {
	for code, want := range map[string]Model{"e05ff0": "type 0xff", "d041b0": ModelCM0, "f04170": Model5} {
		r, err := ParseRevision(code)
		if err != nil {
			t.Fatal(err)
		}
		b := Board{Revision: r, Name: "Raspberry Pi 9"}
		b.identify("")
		if !b.Pi || b.Model != want {
			t.Errorf("%s: %+v", code, b)
		}
		if code == "e05ff0" && b.Family != FamilyNew || code == "f04170" && b.Installed != 0 {
			t.Errorf("%s: %+v", code, b)
		}
	}
	for _, bad := range []string{"", "0", "0000", "xyz", "123456789"} {
		if _, err := ParseRevision(bad); err == nil {
			t.Errorf("%q is a revision", bad)
		}
	}
}

func TestReadTrees(t *testing.T) {
	for name, want := range map[string]Board{
		"zerow":    {Pi: true, Name: "Raspberry Pi Zero W Rev 1.1", Model: ModelZeroW, Family: Family1, Revision: 0x9000c1, PCB: "1.1", SoC: "BCM2835", Maker: "Sony UK", Installed: 512 << 20, Memory: 443372 << 10, Processors: 1, Kernel: "armv6l"},
		"pi3bplus": {Pi: true, Name: "Raspberry Pi 3 Model B Plus Rev 1.3", Model: Model3BPlus, Family: Family3, Revision: 0xa020d3, PCB: "1.3", SoC: "BCM2837", Maker: "Sony UK", Installed: 1 << 30, Memory: 948308 << 10, Processors: 4, Kernel: "aarch64"},
		"pi4b":     {Pi: true, Name: "Raspberry Pi 4 Model B Rev 1.5", Model: Model4B, Family: Family4, Revision: 0xd03115, PCB: "1.5", SoC: "BCM2711", Maker: "Sony UK", Installed: 8 << 30, Memory: 7999000 << 10, Processors: 4, Kernel: "aarch64"},
		"pi5":      {Pi: true, Name: "Raspberry Pi 5 Model B Rev 1.0", Model: Model5, Family: Family5, Revision: 0xd04170, PCB: "1.0", SoC: "BCM2712", Maker: "Sony UK", Installed: 8 << 30, Memory: 8245000 << 10, Processors: 4, Kernel: "aarch64"},
		"nopi":     {Name: "QEMU Standard PC (Q35 + ICH9, 2009)", Memory: 24684096 << 10, Processors: 2, Kernel: "x86_64"},
	} {
		b, err := Read(system.Root(systemtest.Tree(t, "../testdata/"+name+".txtar")))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want.Pi != (len(b.Compatible) == 2) {
			t.Errorf("%s: compatible %q", name, b.Compatible)
		}
		b.Compatible = nil
		if b.String() != want.String() || !equal(b, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, b, want)
		}
	}
}

func equal(a, b Board) bool {
	a.Compatible, b.Compatible = nil, nil
	return a.Pi == b.Pi && a.Name == b.Name && a.Model == b.Model && a.Family == b.Family && a.Revision == b.Revision && a.PCB == b.PCB &&
		a.SoC == b.SoC && a.Maker == b.Maker && a.Installed == b.Installed && a.Memory == b.Memory && a.Processors == b.Processors && a.Kernel == b.Kernel
}

// Mainline firmware paths leave no code: the name must do.
func TestModelByName(t *testing.T) {
	for name, want := range map[string]Model{
		"Raspberry Pi Compute Module 4S Rev 1.0":  ModelCM4S,
		"Raspberry Pi Compute Module 4 Rev 1.0":   ModelCM4,
		"Raspberry Pi Compute Module 3 Plus":      ModelCM3Plus,
		"Raspberry Pi Compute Module Rev 1.1":     ModelCM1,
		"Raspberry Pi 3 Model B+":                 Model3BPlus,
		"Raspberry Pi 3 Model B":                  Model3B,
		"Raspberry Pi Model B Plus Rev 1.2":       ModelBPlus,
		"Raspberry Pi Model B Rev 2":              ModelB,
		"Raspberry Pi Zero 2 W":                   ModelZero2W,
		"Raspberry Pi 500 Rev 1.0":                Model500,
		"Raspberry Pi Compute Module 5 Lite Rev1": ModelCM5Lite,
		"Raspberry Pi 6":                          "",
		"Orange Pi Zero":                          "",
	} {
		b := Board{Name: name, Compatible: []string{"x,y", "brcm,bcm2711"}}
		b.identify("")
		if b.Model != want || b.Pi != strings.HasPrefix(name, "Raspberry") {
			t.Errorf("%s: %q, want %q (%+v)", name, b.Model, want, b)
		}
	}
}

// Another maker's board prints a Revision of its own meaning.
func TestOtherBoard(t *testing.T) {
	info := parseCPUInfo("processor\t: 0\nHardware\t: Allwinner sun8i Family\nRevision\t: 0000\nSerial\t\t: 02c00081\n\nHardware : ODROID-XU4\nRevision : 0100\n")
	b := Board{Name: info.model, Revision: info.revision}
	b.identify(info.hardware)
	if b.Pi || b.Revision != 0 || b.Model != "" {
		t.Errorf("%+v", b)
	}
}

func FuzzParseCPUInfo(f *testing.F) {
	f.Add("processor\t: 0\nRevision\t: d04170\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n")
	f.Add("Revision : 100000d\nHardware : BCM2708")
	f.Fuzz(func(t *testing.T, text string) {
		info := parseCPUInfo(text)
		b := Board{Name: info.model, Revision: info.revision}
		b.identify(info.hardware)
		if !b.Pi && (b.Model != "" || b.Family != FamilyNone) {
			t.Errorf("a model without a Pi: %+v", b)
		}
		_ = b.String()
	})
}
