package serial

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system/systemtest"
)

// fakeSystemd answers on a real bus as org.freedesktop.systemd1 does, and notes
// what it was asked: what goes over the wire is tried, systemd itself in the VM.
type fakeSystemd struct {
	conn *dbus.Conn
	mu   sync.Mutex
	said []string
	job  uint32
	ends string // how jobs end: "done"
}

func (f *fakeSystemd) note(words ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, strings.Join(words, " "))
}

type change struct{ Type, File, Destination string }

func (f *fakeSystemd) Subscribe() *dbus.Error   { return nil }
func (f *fakeSystemd) Unsubscribe() *dbus.Error { return nil }
func (f *fakeSystemd) Reload() *dbus.Error      { f.note("reload"); return nil }
func (f *fakeSystemd) EnableUnitFiles(units []string, runtime, force bool) (bool, []change, *dbus.Error) {
	f.note("enable", units[0])
	return true, []change{{"symlink", "/etc/systemd/system/getty.target.wants/" + units[0], "x"}}, nil
}
func (f *fakeSystemd) DisableUnitFiles(units []string, runtime bool) ([]change, *dbus.Error) {
	f.note("disable", units[0])
	return nil, nil
}
func (f *fakeSystemd) MaskUnitFiles(units []string, runtime, force bool) ([]change, *dbus.Error) {
	f.note("mask", units[0])
	return nil, nil
}
func (f *fakeSystemd) UnmaskUnitFiles(units []string, runtime bool) ([]change, *dbus.Error) {
	f.note("unmask", units[0])
	return nil, nil
}
func (f *fakeSystemd) RestartUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	return f.start("restart", unit, mode)
}
func (f *fakeSystemd) StopUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	return f.start("stop", unit, mode)
}

func (f *fakeSystemd) start(do, unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	f.note(do, unit, mode)
	f.mu.Lock()
	f.job++
	id, ends := f.job, f.ends
	f.mu.Unlock()
	path := dbus.ObjectPath("/org/freedesktop/systemd1/job/" + string(rune('0'+id)))
	go f.conn.Emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", id, path, unit, ends)
	return path, nil
}

// unitProperties is one unit's object.
type unitProperties struct{}

func (unitProperties) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant("active"), nil
}

func TestBus(t *testing.T) {
	daemon := exec.Command(systemtest.Tool(t, "dbus-daemon", "dbus-daemon"), "--session", "--nofork", "--print-address")
	stdout, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Wait()
	defer daemon.Process.Kill()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, stdout)
	address = strings.TrimSpace(address)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)

	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fake := &fakeSystemd{conn: conn, ends: "done"}
	const manager = "/org/freedesktop/systemd1"
	if err := conn.Export(fake, manager, "org.freedesktop.systemd1.Manager"); err != nil {
		t.Fatal(err)
	}
	const unit = "serial-getty@ttyS0.service"
	if err := conn.Export(unitProperties{}, manager+"/unit/serial_2dgetty_40ttyS0_2eservice", "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sd, err := connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sd.Close()
	for _, do := range []func() error{
		func() error { return sd.Reload(ctx) },
		func() error { return sd.Enable(ctx, unit) },
		func() error { return sd.Restart(ctx, unit) },
		func() error { return sd.Mask(ctx, unit) },
		func() error { return sd.Unmask(ctx, unit) },
		func() error { return sd.Stop(ctx, unit) },
		func() error { return sd.Disable(ctx, unit) },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	want := []string{"reload", "enable " + unit, "restart " + unit + " replace", "mask " + unit, "unmask " + unit, "stop " + unit + " replace", "disable " + unit}
	fake.mu.Lock()
	if !slices.Equal(fake.said, want) {
		t.Errorf("asked %q, want %q", fake.said, want)
	}
	fake.ends = "dependency"
	fake.mu.Unlock()
	if state, err := sd.State(ctx, unit); err != nil || state != "active" {
		t.Errorf("%q %v", state, err)
	}
	if err := sd.Restart(ctx, unit); err == nil || !strings.Contains(err.Error(), "dependency") || !strings.Contains(err.Error(), "systemctl status") {
		t.Errorf("a job that fails: %v", err)
	}

	// A getty that starts after this very unit is asked for, and not waited for.
	t.Setenv("SYSTEMD_EXEC_PID", strconv.Itoa(os.Getpid()))
	atBoot, err := connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer atBoot.Close()
	if err := atBoot.Restart(ctx, unit); err != nil {
		t.Errorf("as a unit: %v", err)
	}
}

// In a tree of files, a card in a reader, the links are all that systemd would be
// told: apply, again, off, and nothing is left.
func TestOffline(t *testing.T) {
	for name, files := range machines {
		root := tree(t, files)
		before := snapshot(t, root)
		m := Manager{Root: root, StateDir: root.Path("/var/lib/sierpi-system")}
		cfg := config.Default().Serial
		for _, login := range []bool{true, false, true} {
			cfg.Login = login
			if p, err := m.Apply(t.Context(), cfg); err != nil || p.Empty() {
				t.Fatalf("%s, login %v: %v\n%s", name, login, err, p)
			}
			if p, err := m.Apply(t.Context(), cfg); err != nil || !p.Empty() {
				t.Errorf("%s, login %v, twice: %v\n%s", name, login, err, p)
			}
		}
		if m.hasSystemd() {
			if len(root.Glob("/etc/systemd/system/getty.target.wants/serial-getty@tty*")) != 1 {
				t.Errorf("%s: no login is enabled", name)
			}
			if len(root.Glob("/etc/systemd/system/serial-getty@tty*.service")) != 0 {
				t.Errorf("%s: the login stays masked", name)
			}
		}
		if _, err := m.Off(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if after := snapshot(t, root); !sameFiles(before, after) {
			t.Errorf("%s: off left something\n before %q\n after %q", name, before, after)
		}
	}
}
