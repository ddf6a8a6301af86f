package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNoPlace says that the folder for backups is not there: a stick that is not plugged in.
var ErrNoPlace = errors.New("the folder for backups is not there")

// sticks are the folders below which disks are mounted that come and go.
var sticks = []string{"/media", "/mnt", "/run/media"}

// Place makes sure that dir is where backups belong. Below /media, /mnt and /run/media
// something must be mounted: otherwise a backup would fill the card under the name of a
// stick that is not there.
func Place(dir string) error { return place(dir, "/", sticks) }

// dormant reports whether a disk is mounted at dir as soon as somebody looks into it.
func dormant(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && int64(fs.Type) == unix.AUTOFS_SUPER_MAGIC
}

// absent are what opening a folder says whose disk is mounted on demand and not there.
var absent = []error{unix.ENODEV, unix.EHOSTDOWN, unix.ENXIO, unix.ENOMEDIUM}

func place(dir, system string, sticks []string) error {
	// stat(2) does not wake what is mounted on demand, opening does.
	f, err := os.Open(dir)
	if err == nil {
		_ = f.Close()
	}
	if refused(err) || dormant(dir) {
		return fmt.Errorf("%w: nothing can be mounted at %s", ErrNoPlace, dir)
	}
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s does not exist", ErrNoPlace, dir)
	}
	if err != nil {
		return fmt.Errorf("looking at the folder for backups: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder; name one for the backups", dir)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("looking at the folder for backups: %w", err)
	}
	if !below(real, sticks) {
		return nil
	}
	root, err := os.Stat(system)
	if err != nil {
		return fmt.Errorf("looking at the folder for backups: %w", err)
	}
	here, ok1 := st.Sys().(*syscall.Stat_t)
	there, ok2 := root.Sys().(*syscall.Stat_t)
	if ok1 && ok2 && here.Dev == there.Dev {
		return fmt.Errorf("%w: nothing is mounted at %s", ErrNoPlace, dir)
	}
	return nil
}

// refused reports whether the disk of a folder is not there.
func refused(err error) bool {
	return slices.ContainsFunc(absent, func(e error) bool { return errors.Is(err, e) })
}

// Removable reports whether a folder lies where disks are mounted that come and go.
func Removable(dir string) bool { return below(filepath.Clean(dir), sticks) }

// below reports whether a clean path lies below one of the folders.
func below(dir string, sticks []string) bool {
	for _, s := range sticks {
		if strings.HasPrefix(dir, strings.TrimSuffix(s, "/")+"/") {
			return true
		}
	}
	return false
}
