package serial

import (
	"context"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
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
type bus struct{ conn *dbus.Conn }

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
	return bus{conn}, nil
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
