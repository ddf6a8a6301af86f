package web

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// replaceFile writes a file of the state folder whole and durably. Run as root it keeps
// the folder's owner, so that `sierpi owner reset-secret` leaves a file that the daemon
// can read.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	return atomicfile.Write(path, data, mode, func(f *os.File) error {
		if os.Geteuid() != 0 {
			return nil
		}
		st, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return err
		}
		owner, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("giving it to the folder's owner: %w", err)
		}
		return nil
	})
}
