package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/firstboot"
	"github.com/sierpi/sierpi/system/gpio"
	"github.com/sierpi/sierpi/system/power"
	"github.com/sierpi/sierpi/system/updates"
	"github.com/sierpi/sierpi/system/zram"
)

// sampleEvery is how often power is read for the energy counter and the LED. The
// mean of two readings stands for the time between them.
const sampleEvery = 5 * time.Second

// machine reads the board it runs on: once for what stays, on each question for
// what changes (figures for a scrape, a card for the wall, a part of health), and
// all the time, where the board has them, its energy and its under-voltage.
type machine struct {
	root  system.Root
	board board.Board
	cpu   *system.CPUMeter // of the scrapes
	idle  *system.CPUMeter // of the cards; each reader has an interval of its own
	load  *system.CPUMeter // of health
	meter *power.Meter

	energy   *power.Energy  // nil where nothing measures power
	scenes   *sceneEnergy   // what each scene takes; nil: nobody asks
	watcher  *power.Watcher // nil where nothing reports under-voltage
	firmware *power.Mailbox // nil where the kernel has no door to it
	pins     gpio.Pins
	log      *slog.Logger

	complaints *complaints
}

// newMachine finds out what there is; what is absent is left out.
func newMachine(ctx context.Context, root system.Root, cfg config.Config, state string, log *slog.Logger) *machine {
	b, err := board.Read(root)
	if err != nil {
		log.Warn("what this machine is cannot be read in full", "err", err)
	}
	m := &machine{
		root: root, board: b, log: log, complaints: newComplaints(log),
		cpu: system.NewCPUMeter(root), idle: system.NewCPUMeter(root), load: system.NewCPUMeter(root),
		meter: power.New(root, cfg.Power, b),
	}
	if _, err := m.meter.Read(ctx); err == nil {
		if m.energy, err = power.OpenEnergy(filepath.Join(state, "energy.json")); err != nil {
			log.Warn("the energy counter begins anew", "err", err)
		}
	}
	var door power.Firmware
	if fw, err := power.OpenFirmware(root, false); err == nil {
		m.firmware, door = fw, fw
	}
	if w, err := power.NewWatcher(root, door); err == nil {
		m.watcher = w
	}
	if m.pins, err = gpio.Open(root, cfg.GPIO); err != nil && !errors.Is(err, gpio.ErrAbsent) {
		log.Warn("the button and the LED cannot be used", "err", err)
	}
	return m
}

func (m *machine) String() string { return "machine" }

// tasks are what the machine does all the time; skip shows the next scene, off
// switches the machine off in order.
func (m *machine) tasks(skip func(), off func(context.Context) error, well func() bool) []Task {
	var tasks []Task
	if m.watcher != nil {
		tasks = append(tasks, named{"under-voltage watch", func(ctx context.Context) error { return m.watcher.Run(ctx, m.event) }})
	}
	var led *gpio.LED
	if m.pins.LED != nil {
		led = gpio.NewLED(m.pins.LED)
		tasks = append(tasks, named{"LED", led.Run})
	}
	if m.energy != nil || led != nil {
		tasks = append(tasks, named{"power samples", func(ctx context.Context) error { return m.sample(ctx, led, well) }})
	}
	if m.pins.Button != nil {
		tasks = append(tasks, named{"button", func(ctx context.Context) error {
			return gpio.Button(ctx, m.pins.Button, func(p gpio.Press) {
				m.log.Info("button", "press", string(p))
				if p == gpio.Short {
					skip()
				} else if err := off(ctx); err != nil {
					m.log.Error("the machine cannot be switched off", "err", err)
				}
			})
		}})
	}
	return tasks
}

// event logs the beginning and the end of what slows the board down.
func (m *machine) event(e power.Event) {
	if e.Now {
		m.log.Warn("the board is slowed down", "reason", string(e.Reason))
	} else {
		m.log.Info("the board is no longer slowed down", "reason", string(e.Reason))
	}
}

// sample adds energy up and shows the LED.
func (m *machine) sample(ctx context.Context, led *gpio.LED, well func() bool) (err error) {
	if m.energy != nil {
		defer func() { err = errors.Join(err, m.energy.Close()) }()
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if m.energy != nil {
			if r, err := m.meter.Read(ctx); err == nil {
				if m.scenes != nil {
					m.scenes.add(r)
				}
				if err := m.energy.Add(r); err != nil {
					m.log.Warn("the energy counter cannot be kept", "err", err)
				}
			}
		}
		if led != nil {
			led.Show(m.light(well()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// light is what the LED shows.
func (m *machine) light(well bool) gpio.Light {
	switch {
	case m.watcher != nil && m.watcher.Counts()[power.UnderVoltage].Now:
		return gpio.Blink
	case well:
		return gpio.Lit
	}
	return gpio.Dark
}

// close gives the devices back.
func (m *machine) close() error {
	err := m.meter.Close()
	if m.firmware != nil {
		err = errors.Join(err, m.firmware.Close())
	}
	return err
}

// figures emits all that the machine says of itself.
func (m *machine) figures(ctx context.Context, emit metrics.Emit) {
	if m.board.Pi {
		emit(metrics.BoardInfo, 1, string(m.board.Model), m.board.Revision.String(), m.board.SoC)
	}
	if u, err := m.cpu.Utilisation(); err == nil {
		emit(metrics.CPUUtilization, u)
	}
	if mem, err := system.ReadMemory(m.root); err == nil {
		emit(metrics.MemoryTotal, float64(mem.Total))
		emit(metrics.MemoryAvailable, float64(mem.Available))
	}
	for _, t := range power.Temperatures(m.root) {
		emit(metrics.Temperature, t.Celsius, t.Sensor)
	}
	m.powerFigures(ctx, emit)
	m.throttleFigures(emit)
	m.zramFigures(emit)
}

func (m *machine) powerFigures(ctx context.Context, emit metrics.Emit) {
	r, err := m.meter.Read(ctx)
	if err != nil {
		return // absent: nothing is exported
	}
	some := func(f *metrics.Figure, v *float64, labels ...string) {
		if v != nil {
			emit(f, *v, labels...)
		}
	}
	source := string(r.Source)
	some(metrics.PowerWatts, r.Watts, source, "total")
	for _, rail := range r.Rails {
		some(metrics.PowerWatts, rail.Watts, source, rail.Name)
		some(metrics.PowerVolts, rail.Volts, source, rail.Name)
		some(metrics.PowerAmperes, rail.Amperes, source, rail.Name)
	}
	some(metrics.PowerLimit, r.Limit)
	some(metrics.PowerHeadroom, r.Headroom)
}

func (m *machine) throttleFigures(emit metrics.Emit) {
	if m.energy != nil {
		for key, joules := range m.energy.Joules() {
			rail := key.Rail
			if rail == "" {
				rail = "total"
			}
			emit(metrics.PowerJoules, joules, string(key.Source), rail)
		}
	}
	if m.watcher != nil {
		for reason, count := range m.watcher.Counts() {
			now := 0.0
			if count.Now {
				now = 1
			}
			emit(metrics.Throttled, now, string(reason))
			emit(metrics.ThrottledEvents, float64(count.Events), string(reason))
		}
	}
}

func (m *machine) zramFigures(emit metrics.Emit) {
	devices, err := zram.Figures(m.root)
	if err != nil {
		m.log.Warn("zram figures are incomplete", "err", err)
	}
	for _, d := range devices {
		emit(metrics.ZramDisksize, float64(d.Size), d.Name)
		if s := d.Memory; s != nil {
			emit(metrics.ZramOriginal, float64(s.Original), d.Name)
			emit(metrics.ZramCompressed, float64(s.Compressed), d.Name)
			emit(metrics.ZramUsed, float64(s.Used), d.Name)
			if s.Limit > 0 {
				emit(metrics.ZramLimit, float64(s.Limit), d.Name)
			}
			emit(metrics.ZramUsedMax, float64(s.UsedMax), d.Name)
			emit(metrics.ZramSamePages, float64(s.SamePages), d.Name)
			emit(metrics.ZramPagesCompacted, float64(s.PagesCompacted), d.Name)
			if s.Columns >= 8 {
				emit(metrics.ZramHugePages, float64(s.HugePages), d.Name)
			}
			if s.Columns >= 9 {
				emit(metrics.ZramHugePagesSince, float64(s.HugeSince), d.Name)
			}
		}
		if s := d.IO; s != nil {
			emit(metrics.ZramFailedReads, float64(s.FailedReads), d.Name)
			emit(metrics.ZramFailedWrites, float64(s.FailedWrites), d.Name)
			emit(metrics.ZramInvalidIO, float64(s.Invalid), d.Name)
			emit(metrics.ZramNotifyFree, float64(s.NotifyFree), d.Name)
		}
		if s := d.Back; s != nil {
			emit(metrics.ZramBackingUsed, float64(s.Used*zram.PageUnit), d.Name)
			emit(metrics.ZramBackingRead, float64(s.Reads*zram.PageUnit), d.Name)
			emit(metrics.ZramBackingWritten, float64(s.Writes*zram.PageUnit), d.Name)
		}
	}
	if ksm, ok := zram.ReadKSM(m.root); ok {
		emit(metrics.KSMSaved, float64(ksm.Saved()))
	}
	swaps, err := zram.Swaps(m.root)
	if err != nil {
		return
	}
	for _, s := range swaps {
		emit(metrics.SwapSize, float64(s.Size), s.Path)
		emit(metrics.SwapUsed, float64(s.Used), s.Path)
	}
}

// powerHealth is the part "power" of /healthz.
func (m *machine) powerHealth(ctx context.Context) (State, string) {
	r, err := m.meter.Read(ctx)
	switch {
	case errors.Is(err, power.ErrAbsent):
		return Absent, "no source of power figures on this machine"
	case err != nil:
		return Failed, m.complaints.of("power", "its sensor cannot be read", err)
	case r.Watts == nil:
		return OK, string(r.Source)
	}
	return OK, fmt.Sprintf("%.1f W by %s", *r.Watts, r.Source)
}

// firstbootHealth is the part "firstboot" of /healthz: what the last boot made of
// the settings on the boot partition.
func (m *machine) firstbootHealth(context.Context) (State, string) {
	report, err := firstboot.ReadReport(m.root)
	if err != nil {
		return Failed, m.complaints.of("firstboot", "the first boot's report cannot be read", err)
	}
	if failed := report.Failures(); len(failed) > 0 {
		return Stale, fmt.Sprintf("%d setting(s) could not be taken over, the first is %s in %s", len(failed), failed[0].Key, failed[0].File)
	}
	if report.NoUser {
		return Stale, "nobody can log in yet; log in on the serial line to make the first user"
	}
	if len(report.Keys) == 0 {
		return Absent, "this machine was not set up from a boot partition"
	}
	return OK, fmt.Sprintf("%d setting(s) taken over", len(report.Keys))
}

// updateHealth is the part "update" of /healthz: what became of the last update of sierpi.
func (m *machine) updateHealth(context.Context) (State, string) {
	r, err := updates.ReadReport(m.root)
	switch {
	case err != nil:
		return Failed, err.Error()
	case r.Outcome == updates.PutBack:
		return Stale, r.String()
	case r.Outcome == updates.Kept:
		return OK, r.String()
	}
	return Absent, r.String()
}

// updateNotice is what the wall says of an update that was put back; "" for nothing.
func (m *machine) updateNotice() string {
	if r, err := updates.ReadReport(m.root); err == nil && r.Outcome == updates.PutBack {
		return r.String()
	}
	return ""
}

// temperatureHealth is the part "temperature" of /healthz.
func (m *machine) temperatureHealth(context.Context) (State, string) {
	t, ok := power.Processor(power.Temperatures(m.root))
	if !ok {
		return Absent, "no temperature sensor on this machine"
	}
	why := fmt.Sprintf("%.0f °C at %s", t.Celsius, t.Sensor)
	if t.Critical != nil && t.Celsius >= *t.Critical {
		return Failed, why + ", above its critical mark"
	}
	return OK, why
}

// boardHealth is the part "board" of /healthz.
func (m *machine) boardHealth(context.Context) (State, string) {
	if !m.board.Pi {
		return Absent, m.board.String()
	}
	return OK, m.board.String()
}

// loadHealth is the part "load" of /healthz: how busy processors and memory are. A
// machine at its limits is still a machine that works.
func (m *machine) loadHealth(context.Context) (State, string) {
	u, err := m.load.Utilisation()
	mem, merr := system.ReadMemory(m.root)
	if err := errors.Join(err, merr); err != nil {
		return Absent, m.complaints.of("load", "processors and memory cannot be read", err)
	}
	const mib = 1 << 20
	return OK, fmt.Sprintf("processors %.0f %% busy; %d of %d MiB of memory available", 100*u, mem.Available/mib, mem.Total/mib)
}

// swap adds up all swap areas, in bytes; without any the total is 0.
func (m *machine) swap() (used, total uint64) {
	areas, err := zram.Swaps(m.root)
	if err != nil {
		return 0, 0
	}
	for _, s := range areas {
		used, total = used+s.Used, total+s.Size
	}
	return used, total
}

// zramHealth is the part "zram" of /healthz, with what the devices hold.
func (m *machine) zramHealth(context.Context) (State, string) {
	devices, err := zram.Read(m.root)
	if errors.Is(err, zram.ErrAbsent) {
		return Absent, "the kernel has no zram, or its module is not loaded"
	}
	if err != nil {
		return Failed, m.complaints.of("zram", "its figures cannot be read", err)
	}
	var swaps int
	var used, size, original, taken uint64
	for _, d := range devices {
		if d.Swap == nil {
			continue
		}
		swaps++
		used, size = used+d.Swap.Used, size+d.Swap.Size
		if d.Memory != nil {
			original, taken = original+d.Memory.Original, taken+d.Memory.Used
		}
	}
	if swaps == 0 {
		return Absent, "no zram swap is on; `sierpi zram apply` sets it up"
	}
	const mib = 1 << 20
	why := fmt.Sprintf("%d swap device(s), %d of %d MiB used", swaps, used/mib, size/mib)
	if original > 0 && taken > 0 {
		why += fmt.Sprintf("; %d MiB stored in %d MiB of memory", original/mib, taken/mib)
	}
	return OK, why
}
