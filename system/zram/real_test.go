package zram

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

// real is a manager on this machine's kernel, whose devices are all taken away
// when the test ends, however it ends. It uses small devices from hot_add only.
func real(t testing.TB) Manager {
	t.Helper()
	if testing.Short() {
		systemtest.Absent(t, "-short leaves the real kernel alone, as under qemu-user")
	}
	systemtest.Root(t)
	if _, err := os.Stat("/sys/class/zram-control/hot_add"); err != nil {
		systemtest.Absent(t, "this kernel has no zram")
	}
	m := Manager{Root: "/", RunDir: t.TempDir()}
	vm := map[string]string{}
	for _, name := range vmNames {
		vm[name], _ = m.Root.ReadString("/proc/sys/vm/" + name)
	}
	before := deviceNames(t)
	t.Cleanup(func() {
		if _, err := m.Off(context.Background()); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
		if after := deviceNames(t); !slices.Equal(before, after) {
			t.Errorf("devices before the test %v, after it %v", before, after)
		}
		for name, was := range vm {
			if now, _ := m.Root.ReadString("/proc/sys/vm/" + name); now != was {
				t.Errorf("vm.%s was %s before the test and is %s after it", name, was, now)
			}
		}
	})
	return m
}

func deviceNames(t testing.TB) []string {
	t.Helper()
	d, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range d {
		names = append(names, d.Name)
	}
	return names
}

// small is a config that any machine can afford.
func small() config.Zram {
	cfg := config.Default().Zram
	cfg.Size = "16MiB"
	cfg.Swappiness = 150
	return cfg
}

func apply(t testing.TB, m Manager, cfg config.Zram) Plan {
	t.Helper()
	p, err := m.Apply(context.Background(), cfg)
	if err != nil {
		t.Fatalf("apply: %v\n%s", err, p)
	}
	return p
}

// ours lists the devices that m made and that are swapped on.
func ours(t testing.TB, m Manager) []Device {
	t.Helper()
	now, err := m.observe()
	if err != nil {
		t.Fatal(err)
	}
	var out []Device
	for _, o := range now.state.Devices {
		if d := now.find(o); d != nil && d.Swap != nil {
			out = append(out, *d)
		}
	}
	return out
}

func TestRealApplyTwiceThenOff(t *testing.T) {
	m := real(t)
	cfg := small()
	dry, err := m.PlanApply(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.stateFile()); err == nil {
		t.Error("planning left a trace")
	}
	mask := unix.Umask(0o077) // as the unit has it
	p := apply(t, m, cfg)
	unix.Umask(mask)
	if p.String() != dry.String() {
		t.Errorf("applied\n%sbut planned\n%s", p, dry)
	}
	if st, err := os.Stat(m.stateFile()); err != nil {
		t.Error(err)
	} else if st.Mode() != 0o644 {
		t.Errorf("not everybody can see which devices are ours: %v", st.Mode())
	}
	got := ours(t, m)
	if len(got) != 1 || got[0].Size != 16<<20 || got[0].Swap.Priority != 100 || got[0].Swap.Size != 16<<20-uint64(os.Getpagesize()) {
		t.Fatalf("got %+v", got)
	}
	if v, _ := m.Root.ReadString("/proc/sys/vm/swappiness"); v != "150" {
		t.Errorf("swappiness is %s", v)
	}
	// The system's own tools see the same.
	out, err := exec.Command(systemtest.Tool(t, "swapon", "mount"), "--show=NAME,PRIO,LABEL,UUID", "--noheadings").CombinedOutput()
	now, _ := m.load()
	if err != nil || !strings.Contains(string(out), "sierpi-"+got[0].Name+" "+now.Devices[0].UUID) {
		t.Errorf("swapon --show says %q (%v), not our label and %s", out, err, now.Devices[0].UUID)
	}
	out, err = exec.Command(systemtest.Tool(t, "blkid", "util-linux"), "-p", "-o", "export", "/dev/"+got[0].Name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "UUID="+now.Devices[0].UUID) || !strings.Contains(string(out), "TYPE=swap") {
		t.Errorf("blkid says %q, %v", out, err)
	}
	if p := apply(t, m, cfg); !p.Empty() {
		t.Errorf("the second apply is not idle:\n%s", p)
	}
	if p, err := m.Off(context.Background()); err != nil || p.Empty() {
		t.Errorf("off: %v\n%s", err, p)
	}
	if p, err := m.Off(context.Background()); err != nil || !p.Empty() {
		t.Errorf("off twice: %v\n%s", err, p)
	}
	if _, err := os.Stat(m.stateFile()); err == nil {
		t.Error("off left its notes")
	}
}

func TestRealReconcile(t *testing.T) {
	m := real(t)
	cfg := small()
	apply(t, m, cfg)
	first := ours(t, m)[0].Name

	cfg.Size = "24MiB"
	p := apply(t, m, cfg)
	if got := ours(t, m); len(got) != 1 || got[0].Size != 24<<20 || got[0].Name == first {
		t.Errorf("size: %+v\n%s", got, p)
	}
	if len(p.Actions) < 2 || p.Actions[0].Kind != KindAdd || p.Actions[1].Kind != KindRemove {
		t.Errorf("not staged through a second device:\n%s", p)
	}
	cfg.Algorithm = []string{"no-such-algorithm", "lzo"}
	apply(t, m, cfg)
	if got := ours(t, m); len(got) != 1 || got[0].Algorithm != "lzo" {
		t.Errorf("algorithm: %+v", got)
	}
	cfg.Devices = "3"
	apply(t, m, cfg)
	if got := ours(t, m); len(got) != 3 || got[0].Size != 8<<20 {
		t.Errorf("devices: %+v", got)
	}
	names := ours(t, m)
	cfg.MemLimit = "6MiB"
	p = apply(t, m, cfg)
	got := ours(t, m)
	if len(got) != 3 || got[0].Memory.Limit != 2<<20 || got[0].Name != names[0].Name {
		t.Errorf("memory limit: not changed in place: %+v\n%s", got, p)
	}
	cfg.Swappiness = -1
	p = apply(t, m, cfg)
	if len(p.Actions) != 1 || p.Actions[0].Kind != KindRestore {
		t.Errorf("swappiness alone:\n%s", p)
	}
	cfg.Enabled = false
	apply(t, m, cfg)
	if got := ours(t, m); len(got) != 0 {
		t.Errorf("disabled: %+v", got)
	}
}

// Pages written into a device must appear in its statistics: zeros take no RAM,
// text compresses, random bytes do not.
func TestRealStatisticsSeePages(t *testing.T) {
	m := real(t)
	cfg := small()
	apply(t, m, cfg)
	d := ours(t, m)[0]
	// Written through the block device of a swapped-off area, which is the same
	// path that swap takes, without forcing this machine to swap.
	if err := swapOff(context.Background(), m.node(d.Name)); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	f, err := os.OpenFile("/dev/"+d.Name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const pages = 64
	text := []byte(strings.Repeat("the quick brown fox jumps over the lazy dog; ", pages*page/45+1))[:pages*page]
	random := make([]byte, pages*page)
	rand.Read(random)
	zero := make([]byte, pages*page)
	var last MemoryStat
	for i, c := range []struct {
		name string
		data []byte
		ok   func(was, is MemoryStat) bool
	}{
		{"text", text, func(was, is MemoryStat) bool {
			return is.Original-was.Original == pages*uint64(page) && is.Compressed-was.Compressed < pages*uint64(page)/4
		}},
		{"random", random, func(was, is MemoryStat) bool {
			return is.Original-was.Original == pages*uint64(page) && is.Compressed-was.Compressed >= pages*uint64(page) && is.HugePages-was.HugePages == pages
		}},
		{"zero", zero, func(was, is MemoryStat) bool {
			return is.SamePages-was.SamePages == pages && is.Compressed == was.Compressed
		}},
	} {
		if _, err := f.WriteAt(c.data, int64((1+i*pages)*page)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		all, err := Read("/")
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range all {
			if now.Name == d.Name {
				if i > 0 && !c.ok(last, *now.Memory) {
					t.Errorf("%s: from %+v to %+v", c.name, last, *now.Memory)
				} else if i == 0 && !c.ok(MemoryStat{Original: uint64(page), Compressed: now.Memory.Compressed / 2}, *now.Memory) {
					t.Errorf("%s: %+v", c.name, *now.Memory)
				}
				last = *now.Memory
			}
		}
	}
}

// A device that something holds open is waited for, then reported, and its swap
// comes back as it was.
func TestRealHeldDevice(t *testing.T) {
	m := real(t)
	cfg := small()
	apply(t, m, cfg)
	d := ours(t, m)[0]
	f, err := os.Open("/dev/" + d.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // wait for nothing: the answer is the same
	cfg.Size = "20MiB"
	_, err = m.Apply(ctx, cfg)
	if err == nil {
		t.Fatal("no error with an ended context")
	}
	r := &runner{Manager: m}
	r.state, _ = m.load()
	err = explain(r.remove(ctx, d.Name))
	if system.ExitCodeOf(err) != system.ExitNotNow || !strings.Contains(err.Error(), "holds") {
		t.Errorf("a held device: %v (exit %d)", err, system.ExitCodeOf(err))
	}
	f.Close()
	p := apply(t, m, cfg)
	if got := ours(t, m); len(got) != 1 || got[0].Size != 20<<20 {
		t.Errorf("after it was let go: %+v\n%s", got, p)
	}
}

// A step that fails takes everything back that the call began.
func TestRealRollsBack(t *testing.T) {
	m := real(t)
	cfg := small()
	cfg.Devices = "2"
	p, err := m.PlanApply(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Actions[1].Spec.Size = uint64(os.Getpagesize()) // the kernel takes it, a swap header does not fit
	before := deviceNames(t)
	if _, err := m.run(context.Background(), p); err == nil {
		t.Fatal("no error")
	}
	if after := deviceNames(t); !slices.Equal(before, after) {
		t.Errorf("left behind: before %v, after %v", before, after)
	}
	if _, err := os.Stat(m.stateFile()); err == nil {
		t.Error("left its notes")
	}
}

// Somebody else's zram swap is named and not touched.
func TestRealForeign(t *testing.T) {
	other := real(t)
	apply(t, other, small())
	theirs := ours(t, other)[0]
	m := Manager{Root: "/", RunDir: t.TempDir()}
	_, err := m.Apply(context.Background(), small())
	if system.ExitCodeOf(err) != system.ExitOwned || !strings.Contains(err.Error(), theirs.Name) {
		t.Errorf("beside foreign swap: %v (exit %d)", err, system.ExitCodeOf(err))
	}
	p, err := m.Off(context.Background())
	if err != nil || !p.Empty() || len(p.Notes) == 0 {
		t.Errorf("off beside foreign swap: %v\n%s", err, p)
	}
	if got := ours(t, other); len(got) != 1 || got[0].Name != theirs.Name {
		t.Errorf("it was touched: %+v", got)
	}
}

// The header is what mkswap writes, on sizes around every edge.
func TestHeaderIsMkswaps(t *testing.T) {
	mkswap := systemtest.Tool(t, "mkswap", "util-linux")
	page := os.Getpagesize()
	for _, pages := range []int{minSwapPages, 11, 4096, 4097, 1 << 16} {
		for _, label := range []string{"", "sierpi-zram0", "fifteen-bytes-a"} {
			path := filepath.Join(t.TempDir(), "swap")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, int64(pages*page)); err != nil {
				t.Fatal(err)
			}
			id := newUUID()
			args := []string{"-U", id.String()}
			if label != "" {
				args = append(args, "-L", label)
			}
			if out, err := exec.Command(mkswap, append(args, path)...).CombinedOutput(); err != nil {
				t.Fatalf("mkswap: %v\n%s", err, out)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, page)
			_, err = f.ReadAt(want, 0)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			got, err := header(uint64(pages*page), page, id, label)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d pages, label %q: differs from mkswap (%v)", pages, label, err)
			}
		}
	}
	for _, bad := range []uint64{0, 9 * 4096, 1 << 32 * 4096} {
		if _, err := header(bad, 4096, uuid{}, ""); err == nil {
			t.Errorf("a header for %d bytes", bad)
		}
	}
	if _, err := header(1<<20, 4096, uuid{}, "sixteen-bytes-ab"); err == nil {
		t.Error("a label of 16 bytes")
	}
}

func TestErrorsAreExplained(t *testing.T) {
	for err, code := range map[error]system.ExitCode{
		os.ErrPermission:             system.ExitFailed, // not the kernel's: left as it is
		errors.New("something else"): system.ExitFailed,
	} {
		if got := system.ExitCodeOf(explain(err)); got != code {
			t.Errorf("%v: exit %d, want %d", err, got, code)
		}
	}
}
