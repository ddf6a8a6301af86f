package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Event is the beginning or the end of a reason for slowness.
type Event struct {
	Time   time.Time `json:"time"`
	Reason Reason    `json:"reason"`
	Now    bool      `json:"now"` // it began; false: it ended
}

// Count is what a Watcher saw of one reason.
type Count struct {
	Now    bool   `json:"now"`
	Events uint64 `json:"events"` // how often it began
}

// Watcher turns the firmware's bits into events. It looks once a second and at
// once when the kernel's hwmon driver reports under-voltage, and counts by itself,
// because the bits "since boot" may be cleared by that driver.
type Watcher struct {
	alarm string   // path of rpi_volt's in0_lcrit_alarm; empty: the kernel has none
	fw    Firmware // nil: none

	mu    sync.Mutex
	count map[Reason]Count
}

// lookEvery is how often the firmware is asked. A question takes a millisecond.
const lookEvery = time.Second

// NewWatcher prepares watching; fw may be nil. ErrAbsent: this machine reports
// neither by hwmon nor by its firmware.
func NewWatcher(root system.Root, fw Firmware) (*Watcher, error) {
	w := &Watcher{fw: fw, count: map[Reason]Count{}}
	for _, dir := range root.Glob("/sys/class/hwmon/hwmon*") {
		if name, _ := root.ReadString(dir + "/name"); name == "rpi_volt" {
			w.alarm = root.Path(dir + "/in0_lcrit_alarm")
			w.count[UnderVoltage] = Count{}
		}
	}
	if fw != nil {
		for _, r := range Reasons {
			w.count[r] = Count{}
		}
	}
	if len(w.count) == 0 {
		return nil, fmt.Errorf("%w: nothing here reports under-voltage or throttling", ErrAbsent)
	}
	return w, nil
}

// Counts is what was seen so far: the reasons that this machine reports, no others.
func (w *Watcher) Counts() map[Reason]Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[Reason]Count, len(w.count))
	for r, c := range w.count {
		out[r] = c
	}
	return out
}

// Look says once which reasons hold now, without counting anything.
func (w *Watcher) Look(ctx context.Context) ([]Reason, error) {
	once := &Watcher{alarm: w.alarm, fw: w.fw, count: w.Counts()}
	for r := range once.count {
		once.count[r] = Count{}
	}
	var alarm *os.File
	if w.alarm != "" {
		var err error
		if alarm, err = os.Open(w.alarm); err != nil {
			return nil, fmt.Errorf("looking at the power supply: %w", err)
		}
		defer alarm.Close()
	}
	var out []Reason
	err := once.look(ctx, alarm, func(e Event) { out = append(out, e.Reason) })
	return out, err
}

// Run watches until ctx ends, which is no error. Each change goes to report, which
// must not block; nil: it is only counted. What holds already when it begins is
// reported as a beginning.
func (w *Watcher) Run(ctx context.Context, report func(Event)) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching the power supply: %w", err)
	}
	defer unix.Close(wake)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() { // it runs: the descriptor must live until it has written
			<-done
		}
	}()
	var alarm *os.File
	if w.alarm != "" {
		if alarm, err = os.Open(w.alarm); err != nil {
			return fmt.Errorf("watching the power supply: %w", err)
		}
		defer alarm.Close()
	}
	for ctx.Err() == nil {
		if err := w.look(ctx, alarm, report); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
		if alarm != nil {
			fds = append(fds, unix.PollFd{Fd: int32(alarm.Fd()), Events: unix.POLLPRI | unix.POLLERR})
		}
		if _, err := unix.Poll(fds, int(lookEvery/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watching the power supply: %w", err)
		}
	}
	return nil
}

// look reads all that there is to read and tells what changed.
func (w *Watcher) look(ctx context.Context, alarm *os.File, report func(Event)) error {
	now := map[Reason]bool{}
	if w.fw != nil {
		t, err := ReadThrottled(ctx, w.fw)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && alarm == nil:
			return err
		case err == nil:
			for _, r := range Reasons {
				now[r] = t.Now(r)
			}
		}
	}
	if alarm != nil {
		// sysfs must be read again from its beginning before poll waits anew.
		buf := make([]byte, 8)
		n, err := alarm.ReadAt(buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("watching the power supply: %w", err)
		}
		now[UnderVoltage] = now[UnderVoltage] || strings.TrimSpace(string(buf[:n])) == "1"
	}
	w.mu.Lock()
	var events []Event
	for _, r := range Reasons {
		is, known := now[r]
		c := w.count[r]
		if !known || is == c.Now {
			continue
		}
		c.Now = is
		if is {
			c.Events++
		}
		w.count[r] = c
		events = append(events, Event{Time: time.Now(), Reason: r, Now: is})
	}
	w.mu.Unlock()
	if report != nil {
		for _, e := range events {
			report(e)
		}
	}
	return nil
}
