package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// reserveSize is room enough for a start on a full card: SQLite's shared memory and a
	// little of its log, and the small files that are replaced.
	reserveSize = 1 << 20
	// From lowSpace on the owner is told; below fullSpace nothing new can be kept.
	lowSpace, fullSpace = 64 << 20, 256 << 10
)

// reserve is a file in the state folder that holds some room on the card, so that a
// daemon that is restarted on a full one can open its database all the same and show
// what there is. Nothing is ever written into it.
type reserve struct {
	path string
	log  *slog.Logger
}

func newReserve(state string, log *slog.Logger) reserve {
	return reserve{filepath.Join(state, "reserve"), log}
}

// release gives the room to the start that follows, where there is no other. The caller
// calls hold when it is through.
func (r reserve) release() {
	free, _, err := space(filepath.Dir(r.path))
	if err != nil || free > reserveSize {
		return
	}
	if err := os.Truncate(r.path, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Warn("the room kept for a full card cannot be given back", "err", err)
	}
}

// hold takes as much of the room as there is. Where it is taken already nothing is
// written.
func (r reserve) hold() {
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		r.log.Warn("no room can be kept for the next start on a full card", "err", err)
		return
	}
	defer f.Close()
	const step = 64 << 10
	for size := int64(reserveSize); size > 0; size -= step {
		if st, err := f.Stat(); err == nil && st.Size() >= size {
			return
		}
		// Without a word where the file system knows no such call: only a full card needs it.
		if err := unix.Fallocate(int(f.Fd()), 0, 0, size); !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			return
		}
	}
}

// space is what the daemon may still write to the file system of a folder, and its size,
// in bytes.
func space(dir string) (free, size uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("asking for the space in %s: %w", dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize), nil
}

// fullCard is the remedy of a card without room.
const fullCard = "`sudo apt-get clean`, and delete what `sudo du -xh / | sort -h | tail` names"

// storageHealth says how full the file system of the state folder is.
func storageHealth(dir string) func(context.Context) (State, string) {
	return func(context.Context) (State, string) {
		free, size, err := space(dir)
		switch {
		case err != nil:
			return Failed, err.Error()
		case free < fullSpace:
			return Failed, "the card is full: nothing new is kept, what there is can be read; " + fullCard
		case free < lowSpace || free < size/50:
			return Stale, fmt.Sprintf("%d MiB are left on the card; %s", free>>20, fullCard)
		}
		return OK, fmt.Sprintf("%.1f GB free", float64(free)/1e9)
	}
}

// storageNotice is what the wall says of the card; empty while there is room.
func storageNotice(dir string) string {
	if free, _, err := space(dir); err == nil && free < fullSpace {
		return "The card is full: nothing new is kept until its owner makes room. /health says how."
	}
	return ""
}
