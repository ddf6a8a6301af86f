// Package system holds what every part of the machine layer is given instead of
// reaching for globals: the root under which /sys, /proc, /dev, /boot and /etc
// are found. It is "/" on the device and a folder under testdata in tests, so
// reading code is tested on trees that real machines produced, and never mocked.
package system

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the directory under which the machine's files are read and written.
// The zero value is "/".
type Root string

// Path joins an absolute path of the machine ("/sys/block") to the root.
func (r Root) Path(path string) string {
	if r == "" {
		r = "/"
	}
	return filepath.Join(string(r), path)
}

// Real reports whether this is the machine itself and not a tree of files, so
// that ioctls, I2C buses and D-Bus may be used beside plain reads.
func (r Root) Real() bool { return r == "" || filepath.Clean(string(r)) == "/" }

// ReadFile reads a whole file of the machine. Most are some bytes of /sys and
// /proc, read at each scrape: plain system calls take half the time of os.ReadFile,
// which registers what sysfs answers with the poller.
func (r Root) ReadFile(path string) ([]byte, error) {
	full := r.Path(path)
	fail := func(op string, err error) ([]byte, error) { return nil, &fs.PathError{Op: op, Path: full, Err: err} }
	fd, err := retry(func() (int, error) { return unix.Open(full, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var buf []byte
	var first [4096]byte // sysfs answers with at most a page
	for into := first[:]; ; into = buf[len(buf):cap(buf)] {
		n, err := retry(func() (int, error) { return unix.Read(fd, into) })
		if err != nil {
			return fail("read", err)
		}
		if n == 0 {
			return buf, nil
		}
		if buf == nil {
			buf = append(make([]byte, 0, n+1), first[:n]...)
		} else {
			buf = buf[:len(buf)+n]
		}
		if len(buf) < len(first) && strings.HasPrefix(path, "/sys/") {
			return buf, nil // an attribute comes whole: nobody need ask for its end
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf)+512)
		}
	}
}

// Open is os.OpenFile without its poller, which does nothing for files and devices: in a
// command that is over in milliseconds, starting it took a tenth of the time.
func Open(path string, flags int, mode uint32) (*os.File, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, mode) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// ReadString reads a one-value file of the machine, without the trailing
// newline, blanks or the NUL that device-tree strings end with.
func (r Root) ReadString(path string) (string, error) {
	b, err := r.ReadFile(path)
	return strings.Trim(string(b), " \t\r\n\x00"), err
}

// ReadDir lists a folder of the machine, sorted by name.
func (r Root) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(r.Path(path)) }

// Glob lists the machine's paths (absolute, without the root) that match.
// Never glob below /sys/class/zram-control: reading hot_add creates a device.
func (r Root) Glob(pattern string) []string {
	matches, err := filepath.Glob(r.Path(pattern))
	if err != nil {
		return nil
	}
	prefix := strings.TrimSuffix(r.Path("/"), "/")
	for i, m := range matches {
		matches[i] = strings.TrimPrefix(m, prefix)
	}
	return matches
}

// Lstat describes a file of the machine without following a symbolic link at
// its end: a unit's link counts also when what it points to is elsewhere.
func (r Root) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(r.Path(path)) }

// Readlink reads a symbolic link of the machine; the target is as it stands
// there, without the root.
func (r Root) Readlink(path string) (string, error) { return os.Readlink(r.Path(path)) }
