package serial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

// Apply brings the machine to the config and returns what it did; an empty plan
// means that all was right. When a step fails, the files written before it get
// their bytes back.
func (m Manager) Apply(ctx context.Context, cfg config.Serial) (Plan, error) {
	p, err := m.PlanApply(cfg)
	if err != nil {
		return p, err
	}
	return p, m.run(ctx, p)
}

// Off takes away everything that Apply made, and nothing else.
func (m Manager) Off(ctx context.Context) (Plan, error) {
	p, err := m.PlanOff()
	if err != nil {
		return p, err
	}
	return p, m.run(ctx, p)
}

func (m Manager) run(ctx context.Context, p Plan) error {
	m.sweep(p)
	if p.Empty() {
		return nil
	}
	// The notes go first, old and new: killed between two files, the next run finds
	// out from the files themselves what was done.
	if err := m.save(p.after); err != nil {
		return explain(err)
	}
	var written []FileEdit
	fail := func(err error) error {
		err = explain(err)
		for _, f := range slices.Backward(written) {
			if back := m.put(f.Path, f.next, f.now, f.fat); back != nil {
				err = fmt.Errorf("%w; and giving %s its bytes back: %w", err, f.Path, back)
			}
		}
		if back := m.save(p.state); back != nil {
			err = fmt.Errorf("%w; and %w", err, back)
		}
		return err
	}
	for _, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		if f.backup {
			if err := m.keep(f); err != nil {
				return fail(fmt.Errorf("keeping a copy of %s: %w", f.Path, err))
			}
		}
		if err := m.put(f.Path, f.now, f.next, f.fat); err != nil {
			return fail(fmt.Errorf("writing %s: %w", f.Path, err))
		}
		written = append(written, f)
	}
	for _, c := range p.Commands {
		if err := m.command(ctx, c); err != nil {
			return fail(err)
		}
	}
	if err := m.units(ctx, p); err != nil {
		return fail(err)
	}
	for _, f := range p.Files {
		if f.backup && f.note == nil {
			os.Remove(m.Root.Path(f.Path + backupSuffix)) // taken back: a copy has no more use
		}
	}
	return nil
}

// sweep removes what a power cut left of files that were being written beside those that
// are noted; a copy that is there is not written again, and FAT shows its half to any
// computer that reads the card.
func (m Manager) sweep(p Plan) {
	for _, r := range slices.Concat(p.state.Files, p.after.Files) {
		atomicfile.SweepOf(m.Root.Path(r.Path))
		atomicfile.SweepOf(m.Root.Path(r.Path + backupSuffix))
	}
}

// explain gives what only root may do the exit code and the remedy it means.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "run it as root, on a file system that may be written"}
	}
	return err
}

const backupSuffix = ".sierpi-backup"

// keep writes what a file was before us beside it, once: the copy is of the
// owner's text, not of an earlier one of ours.
func (m Manager) keep(f FileEdit) error {
	if f.note == nil || f.note.Before == nil {
		return nil
	}
	path := f.Path + backupSuffix
	if have, err := m.Root.ReadFile(path); err == nil && string(have) == *f.note.Before {
		return nil
	}
	return m.replace(path, []byte(*f.note.Before), f.Path)
}

// put brings a file from now to next; nil is no file.
func (m Manager) put(path string, now, next []byte, fat bool) error {
	full := m.Root.Path(path)
	switch {
	case next == nil:
		err := os.Remove(full)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		os.Remove(filepath.Dir(full)) // the drop-in's own folder, if it is empty now
		return err
	case now == nil:
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
	case fat && len(now) <= maxCmdline && len(next) <= maxCmdline:
		return overwriteSector(full, now, next)
	case strings.HasPrefix(path, "/boot/") && grows(now, next):
		// FAT has no atomic rename, but growing at the end leaves what was there whole.
		return grow(full, now, next)
	case strings.HasPrefix(path, "/boot/") && bytes.HasPrefix(now, next):
		return shrink(full, now, next)
	}
	return m.replace(path, next, path)
}

// check holds the file to what the plan was made from.
func check(f *os.File, now []byte) error {
	have, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return err
	}
	if !bytes.Equal(have, now) {
		return errors.New("somebody changed it meanwhile; run the command again")
	}
	return nil
}

// overwriteSector replaces a text of at most one sector in place. The card writes
// a sector whole or not at all, so a power cut leaves the old text or the new
// one; only line ends at their end may differ, because the length stands in
// another sector: it grows before the text does and shrinks after it. A length that has
// reached the card before the line ends leaves zeros in their place, which end a command
// line as well; the next run takes them away.
func overwriteSector(path string, now, next []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := check(f, now); err != nil {
		return err
	}
	size := max(len(now), len(next))
	if len(now) < size {
		if _, err := f.WriteAt(bytes.Repeat([]byte("\n"), size-len(now)), int64(len(now))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	padded := append(slices.Clone(next), bytes.Repeat([]byte("\n"), size-len(next))...)
	if _, err := f.WriteAt(padded, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if len(next) < size {
		if err := f.Truncate(int64(len(next))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return f.Close()
}

// grows reports whether next is now with more at its end; zeros, or an end of it that is
// there already, are what an earlier growth left that was cut off.
func grows(now, next []byte) bool {
	n := common(now, next)
	return bytes.HasPrefix(next, now) || len(bytes.TrimRight(now, "\x00")) == n || halfGrown(now, next[:n], next)
}

// common is the length of the beginning that both have.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func grow(path string, now, next []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := check(f, now); err != nil {
		return err
	}
	n := common(now, next)
	if _, err := f.WriteAt(next[n:], int64(n)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if len(now) > len(next) { // zeros of a longer growth
		if err := f.Truncate(int64(len(next))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return f.Close()
}

func shrink(path string, now, next []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := check(f, now); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(next))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// replace writes a file anew beside the old one and renames it, with the mode
// and the owner of like, if that is there.
func (m Manager) replace(path string, text []byte, like string) error {
	const mode = 0 // set below: FAT has neither modes nor owners
	return atomicfile.Write(m.Root.Path(path), text, mode, func(f *os.File) error {
		mode := fs.FileMode(0o644)
		if st, err := os.Stat(m.Root.Path(like)); err == nil {
			mode = st.Mode().Perm()
			if sys, ok := st.Sys().(*syscall.Stat_t); ok {
				_ = f.Chown(int(sys.Uid), int(sys.Gid))
			}
		}
		if err := f.Chmod(mode); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	})
}

// save replaces the notes.
func (m Manager) save(s state) error {
	if len(s.Files)+len(s.Enabled)+len(s.Masked) == 0 {
		err := os.Remove(m.stateFile())
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err := os.MkdirAll(m.StateDir, 0o755); err != nil {
		return fmt.Errorf("noting what is changed for the serial line: %w", err)
	}
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := (Manager{}).replace(m.stateFile(), append(b, '\n'), m.stateFile()); err != nil {
		return fmt.Errorf("noting what is changed for the serial line: %w", err)
	}
	return nil
}

// command runs a program of the machine's own, as a person would after such an
// edit. On a tree of files there is none to run.
func (m Manager) command(ctx context.Context, args []string) error {
	if !m.Root.Real() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // os-prober on a Pi 1
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// units does what the plan wants of systemd.
func (m Manager) units(ctx context.Context, p Plan) error {
	reload := slices.ContainsFunc(p.Files, func(f FileEdit) bool { return strings.HasPrefix(f.Path, "/etc/systemd/") })
	if len(p.Units) == 0 && !reload {
		return nil
	}
	sd := m.Systemd
	if sd == nil {
		var err error
		switch {
		case !m.hasSystemd():
			return nil
		case !m.Root.Real():
			sd = offline{m.Root}
		default:
			if sd, err = connect(ctx); err != nil {
				return err
			}
		}
		defer sd.Close()
	}
	refresh := func() error {
		if !reload {
			return nil
		}
		reload = false
		if err := sd.Reload(ctx); err != nil {
			return fmt.Errorf("reloading systemd: %w", err)
		}
		return nil
	}
	files := map[string]func(context.Context, string) error{"enable": sd.Enable, "disable": sd.Disable, "mask": sd.Mask, "unmask": sd.Unmask}
	jobs := map[string]func(context.Context, string) error{"restart": sd.Restart, "stop": sd.Stop}
	for _, u := range p.Units {
		do := files[u.Do]
		if do != nil {
			// Else systemctl warns of every unit, until the next boot, that it changed on disk.
			reload = true
		} else {
			do = jobs[u.Do]
			if err := refresh(); err != nil {
				return err
			}
		}
		if err := do(ctx, u.Unit); err != nil {
			return fmt.Errorf("%s %s: %w", u.Do, u.Unit, err)
		}
	}
	return refresh()
}
