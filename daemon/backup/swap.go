package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/atomicfile"
)

// How a whole state takes the place of another, so that a cut leaves one of the two:
//
//	STATE/restore/new/          the new files, on the disk
//	STATE/restore/commit.json   the note: from here on the new state counts
//	STATE/before-restore/       the files that were replaced
//
// With the note every step can be taken again; without it restore/ is rubbish.
const (
	workDir   = "restore"
	newDir    = "new"
	noteName  = "commit.json"
	asideDir  = "before-restore"
	notePart  = noteName + ".part"
	database  = "sierpi.db"
	sessions  = "owner-sessions.json"
	undoAside = "PostgreSQL.tar.gz" // what was in a shared database, as a backup
)

// replaced are the files of a state, the database's log before the database.
var replaced = slices.Concat([]string{database + "-wal", database + "-shm", database, sessions}, stateFiles)

// note says what moves where.
type note struct {
	Replace []string `json:"replace"` // comes from restore/new
	Remove  []string `json:"remove"`  // goes aside, with nothing in its place
}

// commit makes what lies in restore/new the state. keep names files that stay as they
// are though nothing takes their place.
func commit(state string, keep ...string) error {
	var n note
	fresh := filepath.Join(state, workDir, newDir)
	for _, name := range replaced {
		if _, err := os.Lstat(filepath.Join(fresh, name)); err == nil {
			n.Replace = append(n.Replace, name)
		} else if !slices.Contains(keep, name) {
			n.Remove = append(n.Remove, name)
		}
	}
	if err := own(state, filepath.Join(state, workDir)); err != nil {
		return fmt.Errorf("giving the new state its owner: %w", err)
	}
	if err := syncTree(filepath.Join(state, workDir)); err != nil {
		return fmt.Errorf("writing the new state: %w", roomFor(err))
	}
	aside := filepath.Join(state, asideDir)
	if err := os.MkdirAll(aside, 0o750); err != nil {
		return fmt.Errorf("making room for the old state: %w", err)
	}
	if err := errors.Join(own(state, aside), atomicfile.SyncDir(state)); err != nil {
		return fmt.Errorf("making room for the old state: %w", err)
	}
	doc, err := json.Marshal(n)
	if err != nil {
		return err
	}
	part, final := filepath.Join(state, workDir, notePart), filepath.Join(state, workDir, noteName)
	if err := writeSynced(part, doc); err != nil {
		return fmt.Errorf("writing the new state: %w", roomFor(err))
	}
	if err := errors.Join(os.Rename(part, final), atomicfile.SyncDir(filepath.Dir(final))); err != nil {
		return fmt.Errorf("writing the new state: %w", err)
	}
	return finish(state)
}

// finish does what the note says; it may have been begun before.
func finish(state string) error {
	doc, err := os.ReadFile(filepath.Join(state, workDir, noteName))
	if err != nil {
		return fmt.Errorf("going on with a restore: %w", err)
	}
	var n note
	if err := json.Unmarshal(doc, &n); err != nil {
		return fmt.Errorf("going on with a restore: %w", err)
	}
	aside, fresh := filepath.Join(state, asideDir), filepath.Join(state, workDir, newDir)
	move := func(from, to string) error {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // moved before the cut, or never there
		}
		return err
	}
	for _, name := range replaced {
		here := filepath.Join(state, name)
		switch {
		case slices.Contains(n.Replace, name):
			if _, err := os.Lstat(filepath.Join(fresh, name)); errors.Is(err, fs.ErrNotExist) {
				continue // it has its place
			}
			if err := move(here, filepath.Join(aside, name)); err != nil {
				return fmt.Errorf("putting the old state aside: %w", err)
			}
			if err := move(filepath.Join(fresh, name), here); err != nil {
				return fmt.Errorf("moving the new state into place: %w", err)
			}
		case slices.Contains(n.Remove, name):
			if err := move(here, filepath.Join(aside, name)); err != nil {
				return fmt.Errorf("putting the old state aside: %w", err)
			}
		}
	}
	if err := errors.Join(atomicfile.SyncDir(aside), atomicfile.SyncDir(state)); err != nil {
		return fmt.Errorf("moving the new state into place: %w", err)
	}
	if err := os.Remove(filepath.Join(state, workDir, noteName)); err != nil {
		return fmt.Errorf("ending the restore: %w", err)
	}
	return clean(state)
}

// clean removes what a restore works with.
func clean(state string) error {
	if err := os.RemoveAll(filepath.Join(state, workDir)); err != nil {
		return fmt.Errorf("removing what a restore left: %w", err)
	}
	return atomicfile.SyncDir(state)
}

// Recover goes on with a restore that a power cut interrupted, or removes what is left of
// one that had not counted yet. It is called before the database is opened.
func Recover(state string) (err error) {
	if _, err := os.Lstat(filepath.Join(state, workDir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	hold, err := store.Alone(state)
	if err != nil {
		return fmt.Errorf("a restore is under way: %w; wait until it is through", err)
	}
	defer func() { err = errors.Join(err, hold.Release()) }()
	if _, err := os.Lstat(filepath.Join(state, workDir, noteName)); errors.Is(err, fs.ErrNotExist) {
		return clean(state)
	}
	return finish(state)
}

// Settled removes what was kept of the state before the last restore and before the last
// change of the schema: the daemon runs on what came after.
func Settled(state string) error {
	return errors.Join(os.RemoveAll(filepath.Join(state, asideDir)), store.ForgetBefore(state))
}

// CanUndo is nil while the state that a restore replaced is kept, and otherwise says why there
// is nothing to bring back.
func CanUndo(state string) error {
	aside := filepath.Join(state, asideDir)
	entries, err := os.ReadDir(aside)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("nothing is kept of the state before a restore: it goes once the daemon has started with what was restored")
	}
	if err != nil {
		return fmt.Errorf("reading the state before the restore: %w", err)
	}
	for _, e := range entries {
		if e.Name() == undoAside {
			return fmt.Errorf("what was in PostgreSQL before is a backup now; restore it: sierpi backup restore %s", filepath.Join(aside, undoAside))
		}
	}
	return nil
}

// Undo brings back the state that the last restore replaced, and puts aside the one that
// it brings.
func Undo(state string) (err error) {
	hold, err := store.Alone(state)
	if err != nil {
		return busy(err)
	}
	defer func() { err = errors.Join(err, hold.Release()) }()
	if err := CanUndo(state); err != nil {
		return err
	}
	if err := clean(state); err != nil {
		return err
	}
	fresh := filepath.Join(state, workDir, newDir)
	if err := os.MkdirAll(filepath.Dir(fresh), 0o750); err != nil {
		return fmt.Errorf("bringing the old state back: %w", err)
	}
	if err := os.Rename(filepath.Join(state, asideDir), fresh); err != nil {
		return fmt.Errorf("bringing the old state back: %w", err)
	}
	return commit(state)
}

// busy says what to do about a state folder that is in use.
func busy(err error) error {
	if errors.Is(err, store.ErrHeld) {
		return fmt.Errorf("%w: a daemon or a command works on it; stop it first (sudo systemctl stop sierpi.service, or Ctrl-C where `sierpi serve` runs)", err)
	}
	return err
}

// own gives what root made in a state folder to the folder's owner.
func own(state, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(state)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(owner.Uid), int(owner.Gid))
	})
}

// syncTree makes all files and names below a folder durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return atomicfile.SyncDir(p)
		}
		f, err := os.OpenFile(p, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// writeSynced writes a new file and makes its bytes durable.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// isOurs keeps names of the archive from leaving the folder.
func isOurs(name string) bool {
	return slices.Contains(stateFiles, name) && !strings.ContainsAny(name, "/\\")
}
