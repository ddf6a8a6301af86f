package kiosk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// Machine is what the keeper can do beyond its browser.
type Machine interface {
	RestartSession(ctx context.Context) error
	Reboot(ctx context.Context) error
}

// Login is the machine as systemd and logind let the kiosk's user steer it: polkit
// rules of the package name each action.
type Login struct{}

// RestartSession starts the display manager anew, which logs the kiosk in again; where
// that is refused (a desktop without the package's rule) the session is ended.
func (Login) RestartSession(ctx context.Context) error {
	err := call(ctx, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.RestartUnit", "lightdm.service", "replace")
	if err == nil {
		return nil
	}
	err = fmt.Errorf("restarting lightdm: %w", err)
	pid := sessionProcess()
	if pid == 0 {
		return errors.Join(err, errors.New("this is no session of lxsession's that could be ended"))
	}
	if e := syscall.Kill(pid, syscall.SIGTERM); e != nil {
		return errors.Join(err, fmt.Errorf("ending the session: %w", e))
	}
	return nil
}

// sessionProcess is lxsession, which puts its process into its children's environment; 0 outside of one.
func sessionProcess() int {
	pid, err := strconv.Atoi(os.Getenv("_LXSESSION_PID"))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// sessionEnded reports whether the session that we were started in is over.
func sessionEnded(pid int) bool {
	return pid != 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// Reboot asks logind, which an upgrade that is running can refuse.
func (Login) Reboot(ctx context.Context) error {
	const interactive = false // nobody sits there to type a password
	if err := call(ctx, "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager.Reboot", interactive); err != nil {
		return fmt.Errorf("asking logind to reboot: %w", err)
	}
	return nil
}

func call(ctx context.Context, name string, path dbus.ObjectPath, method string, args ...any) error {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reaching the system bus: %w", err)
	}
	defer bus.Close()
	return bus.Object(name, path).CallWithContext(ctx, method, 0, args...).Err
}
