// Package atomicfile replaces a file whole and durably: after a power cut there is the
// old text or the new one, and what was acknowledged is the new one. It stands once,
// because each copy of these twenty lines forgot something else: the folder's sync, the
// mode, or the half file that a cut leaves behind.
//
// It needs a rename that is atomic, which FAT does not have: on the boot partition it
// makes new files, and package serial edits old ones in place.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// suffix marks files that are being written.
const suffix = ".new"

// Write replaces path by data. The file gets this mode; 0 leaves it at 0600, or at what a
// file system without modes gives. prepare runs on the new file before anything is
// written into it, to set its owner, say. Readers see the old file or the new one;
// several writers do not disturb each other, and the last one stands.
//
// An error names the path, and the old file is untouched, unless it was the sync of the
// folder that failed: then either may be there after a power cut. Half files that earlier
// power cuts left beside path are removed.
func Write(path string, data []byte, mode fs.FileMode, prepare ...func(*os.File) error) error {
	if err := write(path, data, mode, prepare); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func write(path string, data []byte, mode fs.FileMode, prepare []func(*os.File) error) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := create(dir, base)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // before the lock goes
		}
		_ = f.Close()
	}()
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	for _, p := range prepare {
		if err := p(f); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	sweep(dir, "."+base+".") // not f, which is locked
	return Rename(f, path)
}

// Rename gives a file, whose text is synced, the name path in its folder, durably.
func Rename(f *os.File, path string) error {
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// FAT keeps length and place in the folder's entry, and a new name is a new entry without
	// them until the file is synced again. Elsewhere this writes what SyncDir would.
	return errors.Join(f.Sync(), SyncDir(filepath.Dir(path)))
}

// create makes a file beside base that no one else writes, and locks it: the lock goes
// with the process, and a file that nobody has locked is what a power cut left.
func create(dir, base string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, "."+base+".*"+suffix)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOLCK) {
			var here, there unix.Stat_t
			if unix.Fstat(int(f.Fd()), &here) == nil && unix.Lstat(f.Name(), &there) == nil && here.Ino == there.Ino {
				return f, nil
			}
		}
		// Another writer's sweep took it between its making and its lock.
		_ = os.Remove(f.Name())
		_ = f.Close()
	}
}

// Sweep removes the half files that power cuts left in a folder whose names change, such
// as a cache's; Write does it for the file that it writes.
func Sweep(dir string) { sweep(dir, ".") }

// SweepOf removes the half files of one file alone, for who has no reason to write it.
func SweepOf(path string) { dir, base := filepath.Split(path); sweep(dir, "."+base+".") }

func sweep(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing is lost by a file too many
	}
	for _, e := range entries {
		name, ours := strings.CutSuffix(e.Name(), suffix)
		if !ours || !strings.HasPrefix(name, prefix) || !e.Type().IsRegular() {
			continue
		}
		// What os.CreateTemp put in place of the asterisk stands after the last dot.
		if number := name[strings.LastIndexByte(name, '.')+1:]; number == "" || strings.Trim(number, "0123456789") != "" || len(name)-len(number) < len(prefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = f.Close()
	}
}

// SyncDir makes what was made, renamed or removed in a folder outlast a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot sync a folder; what was done stands all the same.
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}
