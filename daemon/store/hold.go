package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Hold is a claim on a state folder, by flock(2) on the folder itself, so that it ends
// with the process and leaves no file behind. Whoever has the database open shares
// the folder; who replaces what is in it wants it alone.
type Hold struct{ dir *os.File }

// Release ends the claim. A nil Hold has none.
func (h *Hold) Release() error {
	if h == nil || h.dir == nil {
		return nil
	}
	err := h.dir.Close()
	h.dir = nil
	return err
}

// ErrHeld says that somebody has the state folder.
var ErrHeld = errors.New("the state folder is in use")

// Alone claims a state folder while nobody has its database open; else its error is
// ErrHeld.
func Alone(dir string) (*Hold, error) { return hold(dir, syscall.LOCK_EX) }

// share claims a folder beside others. A folder that is not there yet, or cannot be
// opened, is not claimed: opening the database says what is wrong with it.
func share(dir string) (*Hold, error) {
	if dir == "" {
		return nil, nil
	}
	h, err := hold(dir, syscall.LOCK_SH)
	if errors.Is(err, ErrHeld) {
		return nil, &Error{Name: dir, What: "is being replaced by a restore or a reset", Remedy: "wait until that is through, then try again", Err: err}
	}
	if err != nil {
		return nil, nil
	}
	return h, nil
}

func hold(dir string, how int) (*Hold, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("claiming the state folder: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrHeld, dir)
		}
		return nil, fmt.Errorf("claiming the state folder: %w", &fs.PathError{Op: "flock", Path: dir, Err: err})
	}
	return &Hold{f}, nil
}
