package zram

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// busyFor is how long a device that something holds is waited for: udev opens
// each new one to look what is on it, for some hundred milliseconds on a Pi 1.
const busyFor = 5 * time.Second

// Apply brings the machine to the config and returns what it did. An empty plan
// means that all was right. When a step fails, what this call began is undone.
func (m Manager) Apply(ctx context.Context, cfg config.Zram) (Plan, error) {
	return m.do(ctx, func() (Plan, error) { return m.PlanApply(cfg) })
}

// Off takes away everything that Apply made, and nothing else.
func (m Manager) Off(ctx context.Context) (Plan, error) {
	return m.do(ctx, m.PlanOff)
}

// do plans and runs.
func (m Manager) do(ctx context.Context, plan func() (Plan, error)) (p Plan, err error) {
	err = m.locked(ctx, func() error {
		if p, err = plan(); err != nil {
			return err
		}
		now, err := m.run(ctx, p)
		if err != nil {
			return err
		}
		return m.mark(now)
	})
	return p, err
}

// locked works under a lock, so that two runs never see half of each other.
func (m Manager) locked(ctx context.Context, work func() error) error {
	if err := os.MkdirAll(m.RunDir, 0o755); err != nil {
		return explain(fmt.Errorf("preparing the run folder: %w", err))
	}
	lock, err := system.Open(filepath.Join(m.RunDir, "zram.lock"), unix.O_CREAT|unix.O_RDWR, 0o600)
	if err != nil {
		return explain(fmt.Errorf("preparing the run folder: %w", err))
	}
	defer lock.Close()
	err = whileBusy(ctx, func() error { return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		return &system.Error{Code: system.ExitNotNow, Err: fmt.Errorf("another run of sierpi zram is at work: %w", err), Remedy: "try again when it has ended"}
	}
	return work()
}

// run does what a plan says and returns what is ours then.
func (m Manager) run(ctx context.Context, p Plan) (state, error) {
	r := &runner{Manager: m, state: p.state}
	err := r.all(ctx, p.Actions)
	if err == nil {
		return r.state, nil
	}
	err = explain(err)
	// Undo with the devices that were in use before still in use: then the machine
	// is as it was. Also when the context has ended, which is often why.
	if r.removed {
		return r.state, fmt.Errorf("%w (what was already replaced stays replaced)", err)
	}
	ctx = context.WithoutCancel(ctx)
	var undone []error
	for _, undo := range slices.Backward(r.undo) {
		undone = append(undone, undo(ctx))
	}
	if bad := errors.Join(undone...); bad != nil {
		return r.state, fmt.Errorf("%w; and undoing it: %w", err, bad)
	}
	return r.state, err
}

// explain gives errors of the kernel the exit code and the remedy they mean.
func explain(err error) error {
	var e *system.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "setting up zram needs root; in a container it is not possible at all"}
	case errors.Is(err, unix.EROFS):
		return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "/sys is read-only, as in a container: run sierpi zram on the host"}
	case errors.Is(err, unix.EBUSY):
		return &system.Error{Code: system.ExitNotNow, Err: err, Remedy: "something holds the device; find it with `fuser -v` and try again"}
	case errors.Is(err, unix.ENOMEM):
		return &system.Error{Code: system.ExitNotNow, Err: err, Remedy: "memory does not suffice; stop something large and try again"}
	}
	return err
}

// runner does the actions of one run and remembers how to undo them.
type runner struct {
	Manager
	state   state
	undo    []func(context.Context) error
	removed bool // a device that was in use is gone: there is no way back
}

func (r *runner) all(ctx context.Context, actions []Action) error {
	for _, a := range actions {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		switch a.Kind {
		case KindForget:
			err = r.forget(a.Device)
		case KindRemove:
			if err = r.remove(ctx, a.Device); err == nil && a.swappedOn {
				r.removed = true
			}
		case KindAdd:
			err = r.add(ctx, *a.Spec)
		case KindLimit:
			err = r.limit(a.Device, *a.Spec)
		case KindSet:
			err = r.set(a)
		case KindRestore:
			err = r.restore(a)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", a.Kind, a.describe(), err)
		}
	}
	return nil
}

func (r *runner) forget(name string) error {
	r.state.Adding = nil
	r.state.Devices = slices.DeleteFunc(r.state.Devices, func(o owned) bool { return o.Name == name })
	return r.save(r.state)
}

// add makes one device and swaps it on. Each step is noted before the next.
func (r *runner) add(ctx context.Context, spec Spec) error {
	before := []string{}
	for _, p := range r.Root.Glob("/sys/block/zram*") {
		before = append(before, filepath.Base(p))
	}
	r.state.Adding = &before
	if err := r.save(r.state); err != nil {
		return err
	}
	number, err := r.Root.ReadString("/sys/class/zram-control/hot_add")
	if errors.Is(err, fs.ErrNotExist) {
		return &system.Error{Code: system.ExitImpossible, Err: errors.New("this kernel's zram cannot add devices (before Linux 4.2)"), Remedy: "update the kernel"}
	}
	if err != nil {
		return fmt.Errorf("adding a device: %w", err)
	}
	if _, err := strconv.ParseUint(number, 10, 31); err != nil {
		return fmt.Errorf("adding a device: the kernel answered %q", number)
	}
	o := owned{Name: "zram" + number, Spec: spec}
	o.Seq, _ = r.Root.ReadString("/sys/block/" + o.Name + "/diskseq")
	id := newUUID()
	o.UUID = id.String()
	r.state.Adding = nil
	r.state.Devices = append(r.state.Devices, o)
	r.undo = append(r.undo, func(ctx context.Context) error { return r.remove(ctx, o.Name) })
	if err := r.save(r.state); err != nil {
		return err
	}
	if err := r.setUp(ctx, o.Name, spec); err != nil {
		return err
	}
	if err := r.mkswap(ctx, o.Name, spec, id); err != nil {
		return err
	}
	// EBUSY: the kernel claims the device for itself alone, and udev may look at it.
	err = whileBusy(ctx, func() error { return swapOn(r.node(o.Name), spec.Priority, spec.Discard) })
	if err != nil {
		return fmt.Errorf("swapping %s on: %w", o.Name, err)
	}
	r.state.Devices[len(r.state.Devices)-1].On = true
	return r.save(r.state)
}

// setUp writes the nodes of a new device, in the order that the driver demands:
// everything before disksize, which brings the device to life.
func (r *runner) setUp(ctx context.Context, name string, spec Spec) error {
	write := func(node, value string) error {
		return whileBusy(ctx, func() error { return r.write("/sys/block/"+name+"/"+node, value) })
	}
	if offered, err := r.Root.ReadString("/sys/block/" + name + "/comp_algorithm"); err == nil {
		all, used := parseAlgorithms(offered)
		best, err := choose(spec.Algorithms, all)
		if err != nil {
			return err
		}
		if best != used {
			if err := write("comp_algorithm", best); err != nil {
				return fmt.Errorf("choosing %s: %w", best, err)
			}
		}
	}
	for i, algorithm := range spec.Recompress {
		err := write("recomp_algorithm", fmt.Sprintf("algo=%s priority=%d", algorithm, i+1))
		if errors.Is(err, fs.ErrNotExist) {
			break // a kernel without it compresses once; the status says so
		}
		if err != nil {
			return fmt.Errorf("choosing %s for recompression: %w", algorithm, err)
		}
	}
	if spec.Writeback != "" {
		if err := write("backing_dev", spec.Writeback); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("taking %s for writeback: %w", spec.Writeback, err)
		}
	}
	if spec.MemLimit > 0 {
		if err := write("mem_limit", strconv.FormatUint(spec.MemLimit, 10)); err != nil {
			return fmt.Errorf("limiting memory to %s: %w", formatBytes(spec.MemLimit), err)
		}
	}
	if err := write("disksize", strconv.FormatUint(spec.Size, 10)); err != nil {
		return fmt.Errorf("setting the size to %s: %w", formatBytes(spec.Size), err)
	}
	return nil
}

// mkswap writes the swap header, holding the lock that udev respects.
func (r *runner) mkswap(ctx context.Context, name string, spec Spec, id uuid) error {
	page, err := header(spec.Size, os.Getpagesize(), id, "sierpi-"+name)
	if err != nil {
		return err
	}
	var f *os.File
	// devtmpfs makes the node while hot_add runs; in a /dev of another kind udev
	// needs a moment.
	err = whileBusy(ctx, func() error {
		f, err = system.Open(r.node(name), unix.O_RDWR, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	err = whileBusy(ctx, func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	if _, err := f.WriteAt(page, 0); err != nil {
		return fmt.Errorf("writing the swap header of %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing the swap header of %s: %w", name, err)
	}
	return f.Close()
}

// remove swaps a device of ours off and gives it back to the kernel.
func (r *runner) remove(ctx context.Context, name string) error {
	if _, err := r.Root.Lstat("/sys/block/" + name); errors.Is(err, fs.ErrNotExist) {
		return r.forget(name)
	}
	// The list of swap areas, not our note, says whether it is on.
	swaps, err := Swaps(r.Root)
	if err != nil {
		return err
	}
	for _, s := range swaps {
		if s.zram() != name {
			continue
		}
		if err := swapOff(ctx, r.node(name)); err != nil {
			return fmt.Errorf("swapping %s off: %w", name, err)
		}
	}
	err = whileBusy(ctx, func() error { return r.write("/sys/block/"+name+"/reset", "1") })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("resetting %s: %w", name, err)
	}
	err = whileBusy(ctx, func() error {
		return r.write("/sys/class/zram-control/hot_remove", strings.TrimPrefix(name, "zram"))
	})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return r.forget(name)
}

func (r *runner) limit(name string, spec Spec) error {
	if err := r.write("/sys/block/"+name+"/mem_limit", strconv.FormatUint(spec.MemLimit, 10)); err != nil {
		return err
	}
	for i := range r.state.Devices {
		if r.state.Devices[i].Name == name {
			r.state.Devices[i].Spec.MemLimit = spec.MemLimit
		}
	}
	return r.save(r.state)
}

func (r *runner) set(a Action) error {
	name := strings.TrimPrefix(a.Setting, "vm.")
	before, changed := r.state.VM[name]
	if r.state.VM == nil {
		r.state.VM = map[string]vmWas{}
	}
	was := a.Was
	if changed && before.Set == a.Was {
		was = before.Was // ours until now: what to restore is older
	}
	r.state.VM[name] = vmWas{Was: was, Set: a.Value}
	if err := r.save(r.state); err != nil {
		return err
	}
	if err := r.write("/proc/sys/vm/"+name, a.Value); err != nil {
		return err
	}
	r.undo = append(r.undo, func(context.Context) error {
		err := r.write("/proc/sys/vm/"+name, a.Was)
		if changed {
			r.state.VM[name] = before
		} else {
			delete(r.state.VM, name)
		}
		return errors.Join(err, r.save(r.state))
	})
	return nil
}

func (r *runner) restore(a Action) error {
	name := strings.TrimPrefix(a.Setting, "vm.")
	was := r.state.VM[name]
	now, err := r.Root.ReadString("/proc/sys/vm/" + name)
	if err == nil && now == was.Set {
		if err := r.write("/proc/sys/vm/"+name, was.Was); err != nil {
			return err
		}
	}
	delete(r.state.VM, name)
	return r.save(r.state)
}

// write puts a value into a node in one write(2), as sysfs demands, and never
// creates a file where a kernel has no such node.
func (r *runner) write(path, value string) error {
	f, err := system.Open(r.Root.Path(path), unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func (m Manager) node(name string) string { return m.Root.Path("/dev/" + name) }

// whileBusy repeats do while the kernel says that something else holds the
// device, for busyFor or until ctx ends.
func whileBusy(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, busyFor)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := do()
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !missingNode(err) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// missingNode is a device node that udev has yet to make.
func missingNode(err error) bool {
	var e *fs.PathError
	return errors.As(err, &e) && strings.Contains(e.Path, "/dev/zram") && errors.Is(err, fs.ErrNotExist)
}

// Flags of swapon(2), linux/swap.h.
const (
	swapFlagPrefer   = 0x8000
	swapFlagPrioMask = 0x7fff
	swapFlagDiscard  = 0x10000
)

func swapOn(path string, priority int, discard bool) error {
	flags := swapFlagPrefer | priority&swapFlagPrioMask
	if discard {
		flags |= swapFlagDiscard
	}
	return swapCall(unix.SYS_SWAPON, path, uintptr(flags))
}

// swapOff brings all pages back. The call ends early with EINTR whenever a signal
// reaches its thread, what it brought back stays back: repeat until ctx ends.
func swapOff(ctx context.Context, path string) error {
	for {
		err := swapCall(unix.SYS_SWAPOFF, path, 0)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func swapCall(call uintptr, path string, flags uintptr) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(call, uintptr(unsafe.Pointer(p)), flags, 0)
	runtime.KeepAlive(p)
	if errno != 0 {
		return errno
	}
	return nil
}
