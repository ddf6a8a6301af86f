package web

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile writes a file whole: what was acknowledged is there after a power
// cut, and a reader sees the old or the new one. Run as root it keeps the folder's
// owner, so that `sierpi owner reset-secret` leaves a file that the daemon can read.
func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if st, e := os.Stat(dir); e == nil && os.Geteuid() == 0 {
		if owner, ok := st.Sys().(*syscall.Stat_t); ok {
			if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems cannot sync a folder; the rename stands all the same.
	if e := d.Sync(); e != nil && !errors.Is(e, syscall.EINVAL) {
		_ = d.Close()
		return e
	}
	return d.Close()
}
