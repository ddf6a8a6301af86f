package framebuffer

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// <linux/kd.h> and <linux/vt.h>.
const (
	setMode    = 0x4b3a // KDSETMODE
	text       = 0
	graphics   = 1
	activate   = 0x5606 // VT_ACTIVATE
	waitActive = 0x5607 // VT_WAITACTIVE
)

// Console is a virtual terminal whose text the kernel keeps off the screen.
type Console struct{ tty *os.File }

// TakeConsole brings the terminal, such as the one that systemd opened by TTYPath=, to
// the front and keeps the kernel from drawing text on it. Being its controlling
// process is enough: it needs no capability.
func TakeConsole(tty *os.File) (*Console, error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", tty.Fd()))
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(strings.TrimPrefix(path, "/dev/tty"))
	if err != nil || number < 1 || !strings.HasPrefix(path, "/dev/tty") {
		return nil, fmt.Errorf("%s is no virtual terminal", path)
	}
	fd := int(tty.Fd())
	if err := unix.IoctlSetInt(fd, activate, number); err != nil {
		return nil, fmt.Errorf("bringing %s to the front: %w", path, err)
	}
	if err := unix.IoctlSetInt(fd, waitActive, number); err != nil {
		return nil, fmt.Errorf("waiting for %s: %w", path, err)
	}
	if err := unix.IoctlSetInt(fd, setMode, graphics); err != nil {
		return nil, fmt.Errorf("keeping text off %s: %w", path, err)
	}
	return &Console{tty}, nil
}

// Release gives the terminal back to the kernel's text.
func (c *Console) Release() error {
	err := unix.IoctlSetInt(int(c.tty.Fd()), setMode, text)
	if errors.Is(err, unix.EIO) { // hung up: it has been given back
		return nil
	}
	return err
}
