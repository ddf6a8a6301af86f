package updates

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

var update = flag.Bool("update", false, "write the golden files anew")

func put(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// machine is a tree on which version 2 has been unpacked over version 1, and a systemd that
// starts its daemon.
type machine struct {
	t     *testing.T
	root  string
	asked []string
	// show is what systemd says of the daemon at a moment since the start.
	show func(since time.Duration) (state, invocation, pid string)
	from time.Time
	said strings.Builder
	data int // how often the data was put back
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, root: t.TempDir(), from: time.Now()}
	put(t, m.root, previousPath+programPath, "version 1")
	put(t, m.root, previousPath+"/usr/lib/systemd/system/sierpi.service", "unit 1")
	put(t, m.root, previousPath+"/version", "1.0\n")
	put(t, m.root, programPath, "version 2")
	put(t, m.root, "/usr/lib/systemd/system/sierpi.service", "unit 2")
	put(t, m.root, "/usr/lib/systemd/system/new.service", "only in 2")
	put(t, m.root, pendingPath, "1.0 2.0\n")
	// Process 7 runs what was there before, 9 what is installed now.
	put(t, m.root, "/proc/7/exe", "version 1")
	if err := os.MkdirAll(filepath.Join(m.root, "proc/9"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(m.root, programPath), filepath.Join(m.root, "proc/9/exe")); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) machine() Machine {
	return Machine{
		Root: system.Root(m.root), Say: &m.said,
		PutBackData: func(context.Context) error { m.data++; return nil },
		Run: func(_ context.Context, name string, args ...string) (string, error) {
			if args[0] == "show" {
				state, id, pid := m.show(time.Since(m.from))
				return fmt.Sprintf("ActiveState=%s\nInvocationID=%s\nMainPID=%s\n", state, id, pid), nil
			}
			m.asked = append(m.asked, name+" "+strings.Join(args, " "))
			return "", nil
		},
	}
}

// TestWatch holds which starts are taken for good and which put the version before back.
func TestWatch(t *testing.T) {
	attempts := func(since time.Duration) string { return fmt.Sprint("attempt ", int(since/(3*time.Second))) }
	for name, c := range map[string]struct {
		show    func(since time.Duration) (state, invocation, pid string)
		outcome Outcome // "": none yet
		why     string
		pending bool
		within  time.Duration
	}{
		"it runs": {func(s time.Duration) (string, string, string) {
			switch {
			case s < 4*time.Second: // the old process is still there, and active
				return "active", "old", "7"
			case s < 5*time.Second:
				return "deactivating", "old", "7"
			case s < 20*time.Second:
				return "activating", "new", "9"
			}
			return "active", "new", "9"
		}, Kept, "", false, 40 * time.Second},
		"it ends at once, again and again": {func(s time.Duration) (string, string, string) {
			if s < 2*time.Second {
				return "active", "old", "7"
			}
			return "activating", attempts(s), "0"
		}, PutBack, "failed 3 times", false, 20 * time.Second},
		"it is a script that ends": {func(s time.Duration) (string, string, string) {
			switch {
			case s < 2*time.Second:
				return "active", "old", "7"
			case s%(3*time.Second) < time.Second:
				return "activating", attempts(s), "7" // a shell, whose program is another file
			}
			return "activating", attempts(s), "0"
		}, PutBack, "failed 3 times", false, 20 * time.Second},
		"it is never ready": {func(s time.Duration) (string, string, string) {
			return "activating", fmt.Sprint("attempt ", int(s/(182*time.Second))), "9"
		}, PutBack, "not ready within 6m0s", false, 370 * time.Second},
		"ready, and dead after some seconds": {func(s time.Duration) (string, string, string) {
			if s%(3*time.Second) < 2*time.Second {
				return "active", attempts(s), "9"
			}
			return "activating", attempts(s), "0"
		}, PutBack, "failed 3 times", false, 20 * time.Second},
		"slow, but it comes": {func(s time.Duration) (string, string, string) {
			switch {
			case s < 170*time.Second:
				return "activating", "a", "9"
			case s < 182*time.Second:
				return "activating", "b", "0"
			case s < 340*time.Second:
				return "activating", "b", "9"
			}
			return "active", "b", "9"
		}, Kept, "", false, 360 * time.Second},
		"its owner has stopped it": {func(time.Duration) (string, string, string) {
			return "inactive", "", "0"
		}, "", "", true, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				m.show = c.show
				if err := m.machine().Watch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(m.from); took > c.within {
					t.Errorf("it took %s", took)
				}
				r, err := ReadReport(system.Root(m.root))
				if err != nil {
					t.Fatal(err)
				}
				if r.Outcome != c.outcome || !strings.Contains(r.Why, c.why) || r.Outcome != "" && (r.From != "1.0" || r.To != "2.0") {
					t.Errorf("report %+v; said %s", r, m.said.String())
				}
				if got := read(t, m.root, pendingPath) != ""; got != c.pending {
					t.Errorf("pending: %v", got)
				}
				want := "version 2"
				if c.outcome == PutBack {
					want = "version 1"
				}
				if got := read(t, m.root, programPath); got != want {
					t.Errorf("installed is %q", got)
				}
				if back := c.outcome == PutBack; back != (m.data == 1) || back != (read(t, m.root, putBackPath) == "1.0\n") {
					t.Errorf("the data was put back %d times, the note is %q", m.data, read(t, m.root, putBackPath))
				}
				if c.outcome == PutBack {
					if got := read(t, m.root, "/usr/lib/systemd/system/sierpi.service"); got != "unit 1" {
						t.Errorf("the unit is %q", got)
					}
					if got := strings.Join(m.asked, ", "); got != "systemctl stop sierpi.service, systemctl daemon-reload, systemctl reset-failed sierpi.service, systemctl start --no-block sierpi.service" {
						t.Errorf("asked for %s", got)
					}
					// What is kept is still there: a second failure finds it.
					if read(t, m.root, previousPath+programPath) != "version 1" {
						t.Error("what was kept is gone")
					}
				}
			})
		})
	}
}

// TestPutBackAgain: a cut in the middle leaves the mark, and the next boot does it all again.
func TestPutBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.show = func(s time.Duration) (string, string, string) {
			return "activating", fmt.Sprint(int(s / (2 * time.Second))), "0"
		}
		cut := errors.New("the plug was pulled")
		mm := m.machine()
		mm.PutBackData = func(context.Context) error { return cut }
		if err := mm.Watch(t.Context()); !errors.Is(err, cut) || read(t, m.root, pendingPath) == "" {
			t.Fatalf("%v; the mark is %q", err, read(t, m.root, pendingPath))
		}
		if err := os.Remove(filepath.Join(m.root, programPath)); err != nil { // it is a link to what is kept
			t.Fatal(err)
		}
		put(t, m.root, programPath, "version 2 again")
		if err := m.machine().Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(m.root, "usr/lib/systemd/system/.sierpi-put-back")); err == nil {
			t.Error("a name is left over")
		}
		if read(t, m.root, programPath) != "version 1" || read(t, m.root, pendingPath) != "" {
			t.Errorf("installed is %q, the mark %q", read(t, m.root, programPath), read(t, m.root, pendingPath))
		}
	})
}

// TestNothingKept: without the version before nothing is touched, and it is said.
func TestNothingKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.show = func(s time.Duration) (string, string, string) {
			return "activating", fmt.Sprint(int(s / (2 * time.Second))), "0"
		}
		if err := os.RemoveAll(filepath.Join(m.root, previousPath)); err != nil {
			t.Fatal(err)
		}
		err := m.machine().Watch(t.Context())
		if system.ExitCodeOf(err) != system.ExitImpossible || read(t, m.root, programPath) != "version 2" {
			t.Errorf("%v; installed is %q", err, read(t, m.root, programPath))
		}
	})
}

// TestSecurity holds what is generated, file by file.
func TestSecurity(t *testing.T) {
	for name, u := range map[string]config.Updates{
		"default": config.Default().Updates,
		"reboot":  {Security: true, Time: "23:15", Reboot: "04:30"},
		"off":     {Time: "04:00"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			m := Machine{Root: system.Root(root)}
			p, err := m.PlanApply(u)
			if err != nil || p.Absent == "" || !p.Empty() {
				t.Fatalf("without unattended-upgrades: %v %v", p, err)
			}
			put(t, root, upgrader, "")
			put(t, root, "/etc/apt/apt.conf.d/20auto-upgrades", "the owner's")
			if p, err = m.PlanApply(u); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(p.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != string(want) {
				t.Errorf("planned\n%s", p)
			}
			if err := p.Apply(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again, err := m.PlanApply(u); err != nil || !again.Empty() {
				t.Errorf("a second time: %v %v", again, err)
			}
			s, err := m.Status(u)
			if err != nil || strings.Contains(s.Security, "not as") {
				t.Errorf("%+v: %v", s, err)
			}
			off, err := m.PlanOff()
			if err == nil {
				err = off.Apply(t.Context())
			}
			if err != nil || read(t, root, aptPath) != "" || read(t, root, timerPath) != "" || read(t, root, "/etc/apt/apt.conf.d/20auto-upgrades") != "the owner's" {
				t.Errorf("taken away: %v", err)
			}
		})
	}
}

// FuzzReport: whatever stands in the files of root, there is an error or a report.
func FuzzReport(f *testing.F) {
	f.Add(`{"outcome": "kept"}`, "1 2\n")
	f.Fuzz(func(t *testing.T, report, mark string) {
		root := t.TempDir()
		put(t, root, reportPath, report)
		put(t, root, pendingPath, mark)
		if r, err := ReadReport(system.Root(root)); err == nil && r.String() == "" {
			t.Error("a report without words")
		}
		if p, ok, err := readPending(system.Root(root)); err != nil || !ok || p.from == "" || p.to == "" {
			t.Errorf("%+v %v %v", p, ok, err)
		}
	})
}
