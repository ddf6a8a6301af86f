package serial

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

// Systemd is what Apply needs of the service manager. Units are named in full.
type Systemd interface {
	Reload(ctx context.Context) error
	Enable(ctx context.Context, unit string) error
	Disable(ctx context.Context, unit string) error
	Mask(ctx context.Context, unit string) error
	Unmask(ctx context.Context, unit string) error
	Restart(ctx context.Context, unit string) error // also starts it
	Stop(ctx context.Context, unit string) error
	// State is the unit's ActiveState: "active", "failed", "inactive".
	State(ctx context.Context, unit string) (string, error)
	Close()
}

// bus is systemd over D-Bus.
type bus struct {
	conn *dbus.Conn
	// This process is a unit's. The gettys start after sierpi-serial.service: it must not
	// wait for them.
	unit bool
}

// connect reaches the system's manager: root has a private socket to it, and all
// have the bus.
func connect(ctx context.Context) (Systemd, error) {
	conn, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("reaching systemd: %w", err)
	}
	// Without it a private connection is not told how a job ended.
	if err := conn.Subscribe(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("reaching systemd: %w", err)
	}
	return bus{conn, os.Getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid())}, nil
}

func (b bus) Close() { b.conn.Close() }

func (b bus) Reload(ctx context.Context) error { return b.conn.ReloadContext(ctx) }

func (b bus) Enable(ctx context.Context, unit string) error {
	_, _, err := b.conn.EnableUnitFilesContext(ctx, []string{unit}, false, false)
	return err
}

func (b bus) Disable(ctx context.Context, unit string) error {
	_, err := b.conn.DisableUnitFilesContext(ctx, []string{unit}, false)
	return err
}

func (b bus) Mask(ctx context.Context, unit string) error {
	_, err := b.conn.MaskUnitFilesContext(ctx, []string{unit}, false, false)
	return err
}

func (b bus) Unmask(ctx context.Context, unit string) error {
	_, err := b.conn.UnmaskUnitFilesContext(ctx, []string{unit}, false)
	return err
}

func (b bus) Restart(ctx context.Context, unit string) error {
	if b.unit {
		_, err := b.conn.RestartUnitContext(ctx, unit, "replace", nil)
		return err
	}
	return b.job(ctx, unit, func(done chan<- string) error {
		_, err := b.conn.RestartUnitContext(ctx, unit, "replace", done)
		return err
	})
}

func (b bus) Stop(ctx context.Context, unit string) error {
	return b.job(ctx, unit, func(done chan<- string) error {
		_, err := b.conn.StopUnitContext(ctx, unit, "replace", done)
		return err
	})
}

// job waits for what systemd makes of a request.
func (b bus) job(ctx context.Context, unit string, ask func(chan<- string) error) error {
	done := make(chan string, 1)
	if err := ask(done); err != nil {
		return err
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("systemd says of %s: %s; see `systemctl status %s`", unit, result, unit)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b bus) State(ctx context.Context, unit string) (string, error) {
	p, err := b.conn.GetUnitPropertyContext(ctx, unit, "ActiveState")
	if err != nil {
		return "", err
	}
	s, _ := p.Value.Value().(string)
	return s, nil
}

// offline is systemd of a tree of files, a card in a reader: what it would do at
// the next boot is done to the links that say so; nothing runs there.
type offline struct{ root system.Root }

func (offline) Reload(context.Context) error                  { return nil }
func (offline) Restart(context.Context, string) error         { return nil }
func (offline) Stop(context.Context, string) error            { return nil }
func (offline) State(context.Context, string) (string, error) { return "", nil }
func (offline) Close()                                        {}

func (o offline) Enable(_ context.Context, unit string) error {
	return o.link(wants(unit), "/usr/lib/systemd/system/serial-getty@.service")
}

func (o offline) Disable(_ context.Context, unit string) error { return o.unlink(wants(unit)) }

func (o offline) Mask(_ context.Context, unit string) error {
	return o.link("/etc/systemd/system/"+unit, "/dev/null")
}

func (o offline) Unmask(_ context.Context, unit string) error {
	if target, err := o.root.Readlink("/etc/systemd/system/" + unit); err != nil || target != "/dev/null" {
		return nil
	}
	return o.unlink("/etc/systemd/system/" + unit)
}

func (o offline) link(path, target string) error {
	full := o.root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	err := os.Symlink(target, full)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, atomicfile.SyncDir(filepath.Dir(full)))
}

func (o offline) unlink(path string) error {
	err := os.Remove(o.root.Path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_ = os.Remove(filepath.Dir(o.root.Path(path))) // if it is empty now
	return err
}

// wants is the link that enables a getty.
func wants(unit string) string { return "/etc/systemd/system/getty.target.wants/" + unit }
