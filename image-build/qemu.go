package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// virtual is a running QEMU.
type virtual struct {
	cmd     *exec.Cmd
	line    *console // the serial line that the login is on
	monitor string   // path of its socket
	dir     string
	done    chan struct{}
	err     error
	stderr  *tail
	close   []io.Closer
}

// virtualOptions say what to start. serial is the place of the line among QEMU's
// serial ports: on a raspi3b the first is the PL011, the second the mini UART.
type virtualOptions struct {
	program string
	args    []string
	serial  int
	dir     string // logs go here
	name    string
}

// startVirtual starts QEMU. Its end is in done.
func startVirtual(o virtualOptions) (*virtual, error) {
	if err := makeDir(o.dir); err != nil {
		return nil, err
	}
	v := &virtual{dir: o.dir, monitor: filepath.Join(o.dir, o.name+".monitor"), done: make(chan struct{}), stderr: &tail{limit: 2000}}
	fail := func(err error) (*virtual, error) {
		for _, c := range v.close {
			c.Close()
		}
		return nil, err
	}
	args := append(o.args, "-display", "none", "-no-user-config", "-monitor", "unix:"+v.monitor+",server=on,wait=off")
	for i := range o.serial + 1 {
		log, err := os.OpenFile(filepath.Join(o.dir, fmt.Sprintf("%s.serial%d.log", o.name, i)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return fail(err)
		}
		v.close = append(v.close, log)
		c, err := openConsole(log)
		if err != nil {
			return fail(err)
		}
		v.close = append(v.close, c)
		v.line = c
		args = append(args, "-chardev", fmt.Sprintf("serial,id=line%d,path=%s", i, c.slave), "-serial", fmt.Sprintf("chardev:line%d", i))
	}
	v.cmd = exec.Command(o.program, args...)
	v.cmd.Stderr = v.stderr
	if err := v.cmd.Start(); err != nil {
		return fail(fmt.Errorf("starting QEMU: %w", err))
	}
	go func() {
		v.err = v.cmd.Wait()
		close(v.done)
	}()
	return v, nil
}

// stop ends QEMU and its lines.
func (v *virtual) stop() {
	select {
	case <-v.done:
	default:
		_ = v.cmd.Process.Signal(os.Interrupt)
		select {
		case <-v.done:
		case <-time.After(10 * time.Second):
			_ = v.cmd.Process.Kill()
			<-v.done
		}
	}
	for _, c := range v.close {
		c.Close()
	}
}

// watch gives a context that ends when QEMU does.
func (v *virtual) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-v.done:
			cancel(fmt.Errorf("QEMU ended (%v): %s", v.err, v.stderr))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// screendump asks the monitor for a picture of the machine's screen, or of an output of
// the graphics card card.
func (v *virtual) screendump(path string, output int) error {
	if output > 0 {
		return v.command(fmt.Sprintf("screendump %s %s %d", path, card, output))
	}
	return v.command("screendump " + path)
}

// command gives the monitor a command and waits until it is done.
func (v *virtual) command(command string) error {
	conn, err := net.DialTimeout("unix", v.monitor, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return err
	}
	// The monitor answers with its prompt when it is done.
	buf := make([]byte, 4096)
	var said strings.Builder
	for strings.Count(said.String(), "(qemu)") < 2 {
		n, err := conn.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			return err
		}
	}
	if _, answer, ok := strings.Cut(said.String(), "Error: "); ok {
		return fmt.Errorf("QEMU's monitor refused %q: %.200s", command, answer)
	}
	return nil
}

// usableKVM tries KVM for a bounded time: a /dev/kvm that is there may not work.
func usableKVM(ctx context.Context, program string) bool {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// A machine without a disk ends by itself when its BIOS has found nothing to start.
	cmd := exec.CommandContext(ctx, program, "-M", "pc", "-accel", "kvm", "-m", "64", "-display", "none", "-monitor", "none",
		"-serial", "none", "-no-reboot", "-boot", "reboot-timeout=0", "-net", "none")
	err := cmd.Run()
	return err == nil && ctx.Err() == nil
}

// freePort asks the system for a port on loopback that nobody uses.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// copyDisk makes a working copy of an image that is as large as a card.
func copyDisk(from, to string, size int64) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if st.Size() > size {
		return fmt.Errorf("%s has %d MiB; the card would have %d", from, st.Size()/mib, size/mib)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(size), copySparse(f, from, 0), f.Close())
	if err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}
