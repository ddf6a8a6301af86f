package framebuffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Format is how a framebuffer holds its pixels.
type Format struct {
	Width, Height int // pixels
	Stride        int // bytes a row
	Bits          int // a pixel: 16 or 32
	Red           Channel
	Green         Channel
	Blue          Channel
}

// Channel is one colour's bits within a pixel, which is a little-endian number.
type Channel struct{ Offset, Length int }

// Check reports what this package cannot paint on.
func (f Format) Check() error {
	switch {
	case f.Width < 64 || f.Height < 64 || f.Width > 16384 || f.Height > 16384:
		return fmt.Errorf("a framebuffer of %dx%d pixels: 64 to 16384 a side can be painted on", f.Width, f.Height)
	case f.Bits != 16 && f.Bits != 32:
		return fmt.Errorf("a framebuffer of %d bits a pixel: 16 and 32 can be painted on", f.Bits)
	case f.Stride < f.Width*f.Bits/8 || f.Stride > 1<<20:
		return fmt.Errorf("a framebuffer with rows of %d bytes for %d pixels of %d bits", f.Stride, f.Width, f.Bits)
	}
	for _, c := range []Channel{f.Red, f.Green, f.Blue} {
		if c.Length < 1 || c.Length > 8 || c.Offset < 0 || c.Offset+c.Length > f.Bits {
			return fmt.Errorf("a framebuffer whose colours are at bits %v, %v and %v of %d", f.Red, f.Green, f.Blue, f.Bits)
		}
	}
	return nil
}

func (f Format) pack(r, g, b uint8) uint32 {
	put := func(c Channel, v uint8) uint32 { return uint32(v>>(8-c.Length)) << c.Offset }
	return put(f.Red, r) | put(f.Green, g) | put(f.Blue, b)
}

func (f Format) unpack(p uint32) (r, g, b uint8) {
	get := func(c Channel) uint8 { return uint8(p>>c.Offset&(1<<c.Length-1)) << (8 - c.Length) }
	return get(f.Red), get(f.Green), get(f.Blue)
}

var geometry = regexp.MustCompile(`^(\d{1,5})x(\d{1,5})x(16|32)$`)

// ParseFormat reads "1920x1080x32": the usual layout of that size, without padding.
func ParseFormat(s string) (Format, error) {
	m := geometry.FindStringSubmatch(s)
	if m == nil {
		return Format{}, fmt.Errorf("%q is no framebuffer's geometry: write width, height and bits a pixel, as 1920x1080x32 or 800x480x16", s)
	}
	var f Format
	for i, n := range []*int{&f.Width, &f.Height, &f.Bits} {
		*n, _ = strconv.Atoi(m[i+1]) // the expression holds digits only
	}
	f.Stride = f.Width * f.Bits / 8
	if f.Bits == 16 {
		f.Red, f.Green, f.Blue = Channel{11, 5}, Channel{5, 6}, Channel{0, 5}
	} else {
		f.Red, f.Green, f.Blue = Channel{16, 8}, Channel{8, 8}, Channel{0, 8}
	}
	return f, f.Check()
}

// Device is a framebuffer that is mapped into memory.
type Device struct {
	Format
	pix    []byte // Height rows of Stride bytes
	mapped []byte
	file   *os.File
	real   bool
}

// Open maps the framebuffer at path. A plain file is one too, of the geometry as
// says; for a device as is not needed and not heeded.
func Open(path string, as Format) (*Device, error) {
	flags := os.O_RDWR
	if as.Width != 0 {
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the framebuffer: %w", err)
	}
	d, err := mapDevice(file, as)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return d, nil
}

func mapDevice(file *os.File, as Format) (*Device, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	d := &Device{Format: as, file: file}
	offset, size := 0, 0
	if st.Mode()&os.ModeCharDevice != 0 {
		d.real = true
		if d.Format, offset, size, err = readFormat(file); err != nil {
			return nil, err
		}
	} else {
		if as.Width == 0 {
			return nil, fmt.Errorf("%s is no device; say with --geometry what it should hold, as 1920x1080x32", file.Name())
		}
		size = as.Stride * as.Height
		if err := file.Truncate(int64(size)); err != nil {
			return nil, fmt.Errorf("making room in %s: %w", file.Name(), err)
		}
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	if offset < 0 || offset+d.Stride*d.Height > size {
		return nil, fmt.Errorf("the framebuffer has %d bytes, too few for its own picture", size)
	}
	if d.mapped, err = unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("mapping the framebuffer: %w", err)
	}
	d.pix = d.mapped[offset : offset+d.Stride*d.Height]
	return d, nil
}

// The kernel's structures and calls, <linux/fb.h>.
const (
	getVariable = 0x4600 // FBIOGET_VSCREENINFO
	getFixed    = 0x4602 // FBIOGET_FSCREENINFO
	blank       = 0x4611 // FBIOBLANK
	unblanked   = 0      // FB_BLANK_UNBLANK
	poweredDown = 4      // FB_BLANK_POWERDOWN
)

type bitfield struct{ offset, length, msbRight uint32 }

type variableInfo struct {
	width, height, virtualWidth, virtualHeight uint32
	xOffset, yOffset                           uint32
	bits, grayscale                            uint32
	red, green, blue, transparent              bitfield
	_                                          [22]uint32
}

type fixedInfo struct {
	id         [16]byte
	start      uintptr
	length     uint32
	kind       uint32
	_          uint32
	visual     uint32
	_          [3]uint16
	lineLength uint32
	_          uintptr
	_          [3]uint32
	_          [3]uint16
	_          [8]uint16 // beyond what any kernel writes
}

func readFormat(file *os.File) (f Format, offset, size int, err error) {
	var v variableInfo
	var fixed fixedInfo
	for _, q := range []struct {
		request uintptr
		to      unsafe.Pointer
	}{{getVariable, unsafe.Pointer(&v)}, {getFixed, unsafe.Pointer(&fixed)}} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), q.request, uintptr(q.to)); errno != 0 {
			return f, 0, 0, fmt.Errorf("asking %s for its format: %w", file.Name(), errno)
		}
	}
	if fixed.kind != 0 {
		return f, 0, 0, errors.New("a framebuffer of planes or text: only packed pixels can be painted on")
	}
	channel := func(b bitfield) Channel { return Channel{int(b.offset), int(b.length)} }
	f = Format{int(v.width), int(v.height), int(fixed.lineLength), int(v.bits), channel(v.red), channel(v.green), channel(v.blue)}
	return f, int(v.yOffset)*f.Stride + int(v.xOffset)*f.Bits/8, int(fixed.length), nil
}

// Name is what the output is called, "fb0".
func (d *Device) Name() string { return filepath.Base(d.file.Name()) }

// SetPower lights the monitor, or lets it sleep. A file has none.
func (d *Device) SetPower(on bool) error {
	if !d.real {
		return nil
	}
	how := poweredDown
	if on {
		how = unblanked
	}
	if err := unix.IoctlSetInt(int(d.file.Fd()), blank, how); err != nil {
		return fmt.Errorf("switching the screen: %w", err)
	}
	return nil
}

// at reads a pixel.
func (d *Device) at(x, y int) uint32 {
	p := d.pix[y*d.Stride+x*d.Bits/8:]
	if d.Bits == 16 {
		return uint32(p[0]) | uint32(p[1])<<8
	}
	// What the colours do not use is not the picture's.
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}

// put writes pixels from x, y on; the row must be within the screen.
func (d *Device) put(x, y int, row []byte) { copy(d.pix[y*d.Stride+x*d.Bits/8:], row) }

// Close unmaps the framebuffer; what it shows stays.
func (d *Device) Close() error { return errors.Join(unix.Munmap(d.mapped), d.file.Close()) }
