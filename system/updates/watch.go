package updates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Machine is what is watched and put back.
type Machine struct {
	Root system.Root
	Say  io.Writer // what happens, for the journal and the console
	// Run runs one of the system's programs and returns what it printed; nil: the program.
	Run func(ctx context.Context, name string, args ...string) (string, error)
	// PutBackData puts what the new version changed of the daemon's data back to how the one
	// before left it; nil: nothing. The daemon is stopped meanwhile.
	PutBackData func(ctx context.Context) error
}

const (
	pollEvery  = time.Second
	steadyFor  = 15 * time.Second // READY and still there
	maxStarts  = 3                // that may fail
	maxWait    = 6 * time.Minute  // two starts that systemd breaks off
	idleFor    = time.Minute      // not running and not being started: its owner stopped it
	propertyOf = "ActiveState,InvocationID,MainPID"
)

// Watch waits until the daemon of a new version has started, or puts the version before back.
// It returns at once when no update is pending.
func (m Machine) Watch(ctx context.Context) error {
	p, ok, err := readPending(m.Root)
	if err != nil || !ok {
		return err
	}
	fmt.Fprintf(m.Say, "watching the start of sierpi %s\n", p.to)
	why, err := m.wait(ctx)
	switch {
	case err != nil:
		return err
	case why == "":
		return m.settle(p)
	case why == idle:
		fmt.Fprintf(m.Say, "%s is not started by anybody; sierpi %s is watched again at its next start\n", unit, p.to)
		return nil
	}
	return m.putBack(ctx, p, why)
}

// idle is wait's answer when nobody starts the daemon.
const idle = "idle"

// wait returns why the new version does not start, "" when it does.
func (m Machine) wait(ctx context.Context) (why string, err error) {
	began := time.Now()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	starts := map[string]bool{}
	var steady, quiet time.Time // since when
	steadyID, before := "", ""
	for first := true; ; first = false {
		s, err := m.show(ctx)
		if err != nil {
			return "", err
		}
		now := time.Now()
		mine := m.runsNew(s["MainPID"])
		id := s["InvocationID"]
		// The process of before, until it is stopped, is none of the new version's starts.
		if first && s["MainPID"] != "0" && !mine && s["ActiveState"] != "activating" {
			before = id
		}
		if id != "" && id != before {
			starts[id] = true
		}
		switch {
		case s["ActiveState"] == "active" && mine:
			quiet = time.Time{}
			if steadyID != id {
				steadyID, steady = id, now
			}
			if now.Sub(steady) >= steadyFor {
				return "", nil
			}
		case s["ActiveState"] == "inactive":
			if quiet.IsZero() {
				quiet = now
			}
			if now.Sub(quiet) >= idleFor {
				return idle, nil
			}
		default:
			quiet, steadyID = time.Time{}, ""
		}
		if steadyID == "" || len(starts) > maxStarts {
			if len(starts) > maxStarts {
				return fmt.Sprintf("did not start: it failed %d times", maxStarts), nil
			}
			if now.Sub(began) >= maxWait {
				return fmt.Sprintf("was not ready within %s", maxWait), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

// show asks systemd how the daemon is.
func (m Machine) show(ctx context.Context) (map[string]string, error) {
	out, err := m.run(ctx, "systemctl", "show", unit, "--property="+propertyOf)
	if err != nil {
		return nil, fmt.Errorf("asking systemd how the daemon is: %w", err)
	}
	s := map[string]string{}
	for line := range strings.Lines(out) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s[k] = v
		}
	}
	return s, nil
}

// runsNew reports whether a process runs the program that is installed now: one that was
// started before the update runs a file that is no longer there.
func (m Machine) runsNew(pid string) bool {
	if pid == "" || pid == "0" || strings.ContainsAny(pid, "/.") {
		return false
	}
	running, err1 := os.Stat(m.Root.Path("/proc/" + pid + "/exe"))
	installed, err2 := os.Stat(m.Root.Path(programPath))
	return err1 == nil && err2 == nil && os.SameFile(running, installed)
}

// settle takes the new version for good.
func (m Machine) settle(p pending) error {
	fmt.Fprintf(m.Say, "sierpi %s runs\n", p.to)
	if err := m.report(Report{From: p.from, To: p.to, Outcome: Kept, At: time.Now().UTC().Truncate(time.Second)}); err != nil {
		return err
	}
	return errors.Join(remove(m.Root.Path(putBackPath)), remove(m.Root.Path(pendingPath)))
}

func (m Machine) report(r Report) error {
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(m.Root.Path(reportPath), append(doc, '\n'), 0o644); err != nil {
		return fmt.Errorf("noting what became of the update: %w", err)
	}
	return nil
}

// Rollback puts the version before back, on its owner's word.
func (m Machine) Rollback(ctx context.Context) error {
	p, ok, err := readPending(m.Root)
	if err != nil {
		return err
	}
	if !ok {
		version, err := m.PreviousVersion()
		if err != nil {
			return err
		}
		p = pending{version, "the version that was installed"}
	}
	return m.putBack(ctx, p, "was taken back by its owner")
}

// PreviousVersion is the version whose files are kept.
func (m Machine) PreviousVersion() (string, error) {
	v, err := m.Root.ReadString(previousPath + "/version")
	if errors.Is(err, fs.ErrNotExist) {
		return "", &system.Error{Code: system.ExitImpossible, Err: errors.New("no version before this one is kept"), Remedy: "install the one that you want: apt install sierpi=VERSION"}
	}
	if err != nil {
		return "", fmt.Errorf("reading which version is kept: %w", err)
	}
	return v, nil
}

// putBack puts the kept files into their places. Taken up again after a cut it does the
// same once more.
func (m Machine) putBack(ctx context.Context, p pending, why string) error {
	// Whatever the mark says: the files know what they are.
	if v, err := m.PreviousVersion(); err != nil {
		return fmt.Errorf("sierpi %s %s, and the version before cannot be put back: %w", p.to, why, err)
	} else if v != "" {
		p.from = v
	}
	fmt.Fprintf(m.Say, "sierpi %s %s: putting %s back\n", p.to, why, p.from)
	if _, err := m.run(ctx, "systemctl", "stop", unit); err != nil {
		fmt.Fprintf(m.Say, "stopping the daemon: %v\n", err) // it does not run anyhow
	}
	if err := m.files(); err != nil {
		return fmt.Errorf("putting the files of sierpi %s back: %w", p.from, err)
	}
	var errs []error
	if m.PutBackData != nil {
		if err := m.PutBackData(ctx); err != nil {
			errs = append(errs, fmt.Errorf("putting the data back: %w", err))
		}
	}
	if err := m.report(Report{From: p.from, To: p.to, Outcome: PutBack, Why: why, At: time.Now().UTC().Truncate(time.Second)}); err != nil {
		errs = append(errs, err)
	}
	if err := replaceFile(m.Root.Path(putBackPath), []byte(p.from+"\n"), 0o644); err != nil {
		errs = append(errs, err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"reset-failed", unit}, {"start", "--no-block", unit}} {
		if _, err := m.run(ctx, "systemctl", args...); err != nil {
			errs = append(errs, fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the mark stays: the next boot tries again
	}
	fmt.Fprintf(m.Say, "sierpi %s is back\n", p.from)
	return remove(m.Root.Path(pendingPath))
}

// files links every kept file back to where it was. What only the new version has stays;
// nobody asks for it.
func (m Machine) files() error {
	base := m.Root.Path(previousPath)
	n := 0
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil || !strings.HasPrefix(rel, "usr/") {
			return err
		}
		to := m.Root.Path("/" + rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		// A link, not a move: a second failure finds them again.
		part := filepath.Join(filepath.Dir(to), ".sierpi-put-back")
		if err := remove(part); err != nil {
			return err
		}
		n++
		kept, err1 := os.Stat(path)
		there, err2 := os.Stat(to)
		if err1 == nil && err2 == nil && os.SameFile(kept, there) {
			return nil // not replaced, or back already; rename(2) of two names of one file does nothing
		}
		if err := os.Link(path, part); err != nil {
			return err
		}
		return os.Rename(part, to)
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%s is empty", base)
	}
	return m.sync()
}

// sync makes the names durable: many folders, once.
func (m Machine) sync() error {
	d, err := os.Open(m.Root.Path("/usr"))
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

func (m Machine) run(ctx context.Context, name string, args ...string) (string, error) {
	if m.Run != nil {
		return m.Run(ctx, name, args...)
	}
	if !m.Root.Real() {
		return "", nil // a tree of files has no units
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}
