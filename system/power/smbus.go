package power

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/host/v3/sysfs"

	"github.com/sierpi/sierpi/system"
)

// From linux/i2c-dev.h and linux/i2c.h.
const (
	ioctlI2CSlave = 0x0703
	ioctlI2CFuncs = 0x0705
	ioctlI2CSMBus = 0x0720

	funcI2C           = 0x00000001
	funcSMBusReadWord = 0x00200000

	smbusRead     = 1
	smbusWordData = 3
)

// openBus opens an I2C bus: by periph, or, where the adapter only speaks SMBus as
// those of PCs do, by the one command of it that a monitor chip needs. Only this
// driver of periph's, not its host.Init: that would map the board's memory.
func openBus(n int) (i2c.BusCloser, error) {
	path := "/dev/i2c-" + strconv.Itoa(n)
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &system.Error{Code: system.ExitImpossible, Err: fmt.Errorf("there is no %s", path), Remedy: "write dtparam=i2c_arm=on into config.txt, load the module i2c-dev, and reboot"}
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "put sierpi's user into the group i2c"}
	}
	if err != nil {
		return nil, err
	}
	var can uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlI2CFuncs, uintptr(unsafe.Pointer(&can))); errno == 0 && can&funcI2C == 0 && can&funcSMBusReadWord != 0 {
		return &smbus{file: f}, nil
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return sysfs.NewI2C(n)
}

// smbus is a bus whose adapter speaks SMBus only.
type smbus struct {
	file *os.File
	addr uint16 // selected last; 0: none
}

func (b *smbus) String() string { return b.file.Name() }

// SetSpeed is the adapter's business.
func (b *smbus) SetSpeed(physic.Frequency) error { return errors.New("an SMBus has its own speed") }

// Close gives the bus back.
func (b *smbus) Close() error { return b.file.Close() }

// smbusCall is struct i2c_smbus_ioctl_data.
type smbusCall struct {
	readWrite, command uint8
	size               uint32
	data               *[34]byte // union i2c_smbus_data
}

// Tx reads a register of two bytes, and nothing else.
func (b *smbus) Tx(addr uint16, w, r []byte) error {
	if len(w) != 1 || len(r) != 2 {
		return fmt.Errorf("%s speaks SMBus only: %d bytes there and %d back are not possible", b, len(w), len(r))
	}
	if b.addr != addr {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, b.file.Fd(), ioctlI2CSlave, uintptr(addr)); errno != 0 {
			if errno == unix.EBUSY {
				return &system.Error{Code: system.ExitOwned, Err: fmt.Errorf("a driver of the kernel has the chip at %#x", addr), Remedy: "its figures come by hwmon: take the [[power.sensor]] table away"}
			}
			return errno
		}
		b.addr = addr
	}
	var data [34]byte
	call := smbusCall{readWrite: smbusRead, command: w[0], size: smbusWordData, data: &data}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, b.file.Fd(), ioctlI2CSMBus, uintptr(unsafe.Pointer(&call)))
	runtime.KeepAlive(&call)
	if errno != 0 {
		return errno
	}
	// The word is in the processor's order; its low byte came first over the wires.
	word := *(*uint16)(unsafe.Pointer(&data[0]))
	r[0], r[1] = byte(word), byte(word>>8)
	return nil
}
