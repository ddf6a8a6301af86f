// Package system holds what every part of the machine layer is given instead of
// reaching for globals: the root under which /sys, /proc, /dev, /boot and /etc
// are found. It is "/" on the device and a folder under testdata in tests, so
// reading code is tested on trees that real machines produced, and never mocked.
package system

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// ReadFile reads a whole file of the machine.
func (r Root) ReadFile(path string) ([]byte, error) { return os.ReadFile(r.Path(path)) }

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
