package board

import (
	"fmt"
	"strconv"
)

// Revision is the code that the firmware burns into each board. Boards before
// the Pi 2 have a sequential number; later ones pack fields:
//
//	NOQuuuWuFMMMCCCCPPPPTTTTTTTTRRRR
//	F new style, M memory, C maker, P processor, T type, R revision; W warranty
//
// See https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#raspberry-pi-revision-codes
type Revision uint32

// ParseRevision reads a code as /proc/cpuinfo prints it, hexadecimal.
func ParseRevision(s string) (Revision, error) {
	v, err := strconv.ParseUint(s, 16, 32)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("%q is not a Raspberry Pi revision code", s)
	}
	return Revision(v), nil
}

// String writes the code as /proc/cpuinfo and vendors' tables do, without the
// warranty bits.
func (r Revision) String() string {
	if r.newStyle() {
		return fmt.Sprintf("%06x", uint32(r)&0xffffff)
	}
	return fmt.Sprintf("%04x", uint32(r)&0xffff)
}

func (r Revision) newStyle() bool { return r&(1<<23) != 0 }

// Overvolted reports the warranty bit: over-clocked with over-voltage at least
// once. Bit 24 on old-style codes, 25 on new ones.
func (r Revision) Overvolted() bool {
	if r.newStyle() {
		return r&(1<<25) != 0
	}
	return r&(1<<24) != 0
}

// decoded is what a code says.
type decoded struct {
	model  Model
	pcb    string // "1.2"
	soc    string // "BCM2711"
	maker  string
	memory uint64 // bytes; 0: the code does not tell
}

const mib = 1 << 20

// oldStyle are the sequential codes.
var oldStyle = map[Revision]decoded{
	0x02: {ModelB, "1.0", "BCM2835", "Egoman", 256 * mib},
	0x03: {ModelB, "1.0", "BCM2835", "Egoman", 256 * mib},
	0x04: {ModelB, "2.0", "BCM2835", "Sony UK", 256 * mib},
	0x05: {ModelB, "2.0", "BCM2835", "Qisda", 256 * mib},
	0x06: {ModelB, "2.0", "BCM2835", "Egoman", 256 * mib},
	0x07: {ModelA, "2.0", "BCM2835", "Egoman", 256 * mib},
	0x08: {ModelA, "2.0", "BCM2835", "Sony UK", 256 * mib},
	0x09: {ModelA, "2.0", "BCM2835", "Qisda", 256 * mib},
	0x0d: {ModelB, "2.0", "BCM2835", "Egoman", 512 * mib},
	0x0e: {ModelB, "2.0", "BCM2835", "Sony UK", 512 * mib},
	0x0f: {ModelB, "2.0", "BCM2835", "Egoman", 512 * mib},
	0x10: {ModelBPlus, "1.2", "BCM2835", "Sony UK", 512 * mib},
	0x11: {ModelCM1, "1.0", "BCM2835", "Sony UK", 512 * mib},
	0x12: {ModelAPlus, "1.1", "BCM2835", "Sony UK", 256 * mib},
	0x13: {ModelBPlus, "1.2", "BCM2835", "Embest", 512 * mib},
	0x14: {ModelCM1, "1.0", "BCM2835", "Embest", 512 * mib},
	0x15: {ModelAPlus, "1.1", "BCM2835", "Embest", 0}, // 256 or 512 MiB
}

var (
	makers     = [...]string{"Sony UK", "Egoman", "Embest", "Sony Japan", "Embest", "Stadium"}
	processors = [...]string{"BCM2835", "BCM2836", "BCM2837", "BCM2711", "BCM2712"}
	types      = map[Revision]Model{
		0x00: ModelA, 0x01: ModelB, 0x02: ModelAPlus, 0x03: ModelBPlus, 0x04: Model2B, 0x05: ModelAlpha,
		0x06: ModelCM1, 0x08: Model3B, 0x09: ModelZero, 0x0a: ModelCM3, 0x0c: ModelZeroW, 0x0d: Model3BPlus,
		0x0e: Model3APlus, 0x10: ModelCM3Plus, 0x11: Model4B, 0x12: ModelZero2W, 0x13: Model400,
		0x14: ModelCM4, 0x15: ModelCM4S, 0x17: Model5, 0x18: ModelCM5, 0x19: Model500, 0x1a: ModelCM5Lite,
		0x1b: ModelCM0,
	}
)

// decode says what a code means. A type that came after this table is named by
// its number and stays a Raspberry Pi; an old-style code that was never given
// is not.
func (r Revision) decode() (decoded, bool) {
	if !r.newStyle() {
		d, ok := oldStyle[r&0xffff]
		return d, ok
	}
	d := decoded{
		pcb:   fmt.Sprintf("1.%d", r&0xf),
		maker: "unknown", soc: "unknown",
	}
	if i := r >> 20 & 7; i != 7 { // 7: other, which only the firmware knows
		d.memory = 256 * mib << i
	}
	if i := int(r >> 16 & 0xf); i < len(makers) {
		d.maker = makers[i]
	}
	if i := int(r >> 12 & 0xf); i < len(processors) {
		d.soc = processors[i]
	}
	d.model = types[r>>4&0xff]
	if d.model == "" {
		d.model = Model(fmt.Sprintf("type %#02x", uint32(r>>4&0xff)))
	}
	return d, true
}
