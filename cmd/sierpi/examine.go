package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	sdbus "github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/firstboot"
	"github.com/sierpi/sierpi/system/overlay"
	"github.com/sierpi/sierpi/system/power"
	"github.com/sierpi/sierpi/system/serial"
	"github.com/sierpi/sierpi/system/zram"
)

// patient is what the checks look at.
type patient struct {
	where  places
	root   system.Root
	cfg    config.Config
	board  board.Board
	report *power.Report // measured once
}

// examine looks at everything once; nothing is changed.
func examine(ctx context.Context, where places) findings {
	p := patient{where: where, root: where.machine()}
	var out findings
	var mistakes config.Errors
	p.cfg, mistakes = config.Load(config.Files(where.root, where.config)...)
	out = append(out, p.configFiles(mistakes.Err()))
	var err error
	if p.board, err = board.Read(p.root); err != nil {
		out = append(out, finding{"board", trouble, err.Error(), "is /proc mounted?"})
	} else {
		out = append(out, p.what())
	}
	for _, check := range []func(context.Context) []finding{
		p.system, p.memory, p.card, p.clock, p.power, p.zram, p.serial, p.screen, p.header, p.firstboot, p.units, p.daemon,
	} {
		out = append(out, check(ctx)...)
	}
	return out
}

func (p *patient) configFiles(mistakes error) finding {
	switch {
	case errors.Is(mistakes, fs.ErrPermission):
		return finding{"config", advice, mistakes.Error(), "sudo sierpi doctor"}
	case mistakes != nil:
		return finding{"config", trouble, mistakes.Error(), "mend it (`sierpi config check` looks again); until then the last good one is used"}
	}
	var read []string
	for _, f := range config.Files(p.where.root, p.where.config) {
		if _, err := os.Stat(f.Path); err == nil {
			read = append(read, f.Path)
		}
	}
	if len(read) == 0 {
		return finding{"config", healthy, "none: everything is at its default", ""}
	}
	return finding{"config", healthy, strings.Join(read, ", then "), ""}
}

func (p *patient) what() finding {
	f := finding{"board", healthy, p.board.String(), ""}
	if !p.board.Pi {
		f.State = absent
		if p.board.Name != "" {
			f.Detail += " (not a Raspberry Pi)"
		}
	}
	if p.board.Revision.Overvolted() && p.board.Pi {
		f.Detail += ", has been run over-volted"
	}
	return f
}

// system is the operating system.
func (p *patient) system(context.Context) []finding {
	name := ""
	if text, err := p.root.ReadString("/etc/os-release"); err == nil {
		for line := range strings.Lines(text) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
				name = strings.Trim(v, `"'`)
			}
		}
	}
	var words []string
	if name != "" {
		words = append(words, name)
	}
	if release, err := p.root.ReadString("/proc/sys/kernel/osrelease"); err == nil {
		words = append(words, "Linux "+release)
	}
	if p.board.Kernel != "" {
		words = append(words, p.board.Kernel)
	}
	if p.board.Processors > 0 {
		words = append(words, plural(p.board.Processors, "processor"))
	}
	if len(words) == 0 {
		return nil
	}
	return []finding{{"system", healthy, strings.Join(words, ", "), ""}}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (p *patient) memory(context.Context) []finding {
	m, err := system.ReadMemory(p.root)
	if err != nil {
		return nil // the board said so
	}
	f := finding{"memory", healthy, fmt.Sprintf("%d MiB, %d MiB of it available", m.Total>>20, m.Available>>20), ""}
	// Below a tenth the kernel begins to throw out programs' pages, and a small board crawls.
	if m.Available < m.Total/10 {
		f.State, f.Remedy = advice, "little is left: `ps aux --sort=-rss | head` shows who takes it"
	}
	return []finding{f}
}

// card is the file system that all stands on, and the card's own word on its age.
func (p *patient) card(context.Context) []finding {
	var out []finding
	if p.root.Real() {
		if s, err := (overlay.Manager{Root: p.root}).Status(); err == nil {
			out = storage(s)
		}
	}
	for _, dir := range p.root.Glob("/sys/block/mmcblk*/device") {
		name, _ := p.root.ReadString(dir + "/name")
		kind, _ := p.root.ReadString(dir + "/type")
		date, _ := p.root.ReadString(dir + "/date")
		f := finding{"card", healthy, strings.TrimSpace(fmt.Sprintf("%s: %s %s, made %s", path.Base(path.Dir(dir)), kind, name, date)), ""}
		// Two figures of eMMC, in tenths of its life: 0x0b is beyond the end.
		if life, err := p.root.ReadString(dir + "/life_time"); err == nil {
			f.Detail += ", life used (in tenths) " + life
			for word := range strings.FieldsSeq(life) {
				if v, err := strconv.ParseUint(word, 0, 8); err == nil && v >= 0x0a {
					f.State, f.Remedy = trouble, "it is worn out: copy it to a new one"
				}
			}
		}
		out = append(out, f)
	}
	swaps, _ := zram.Swaps(p.root)
	for _, s := range swaps {
		if base := path.Base(s.Path); !strings.HasPrefix(base, "zram") {
			out = append(out, finding{"swap", advice, fmt.Sprintf("%s, %d MiB, %d MiB used", s.Path, s.Size>>20, s.Used>>20),
				"swap on a card wears it and is slow; zram does without: `sudo swapoff " + s.Path + "`, and take it out of /etc/fstab"})
		}
	}
	return out
}

// storage is the room that there is: on the card's root, and where the root is only read
// (or was, and left the state where it is) in memory and on the state partition.
func storage(s overlay.Status) []finding {
	f := finding{"storage", healthy, fmt.Sprintf("root has %.1f GB, %.1f GB free", float64(s.RootSize)/1e9, float64(s.RootFree)/1e9), ""}
	switch {
	case s.Active: // nothing can be written there, so its room is nobody's need
		f.Detail += ", and is only read"
	case s.ReadOnly:
		f.State, f.Remedy = advice, "it is read-only: what sierpi notes is gone after a boot; `mount -o remount,rw /`, unless that is meant, and look for I/O errors with `dmesg`"
	case s.RootFree < s.RootSize/20 || s.RootFree < 100e6:
		f.State, f.Remedy = trouble, "almost full: `sudo apt-get clean; sudo journalctl --vacuum-size=16M`"
	}
	if !s.Active && s.State == "" {
		return []finding{f}
	}
	o := finding{"overlay", healthy, "off", ""}
	if s.Active {
		o.Detail = fmt.Sprintf("on: what was written since the boot takes %d of %d MiB of memory", s.MemoryUsed>>20, s.MemorySize>>20)
	}
	switch {
	case s.Device != "":
		o.Detail += fmt.Sprintf("; the state is on %s, %d of %d MiB free", s.Device, s.StateFree>>20, s.StateSize>>20)
	case s.State != "":
		o.Detail += fmt.Sprintf("; the state partition %s was not there at boot, and the root's own copies are used", s.State)
	}
	if s.Active != s.Next {
		o.Detail += fmt.Sprintf("\n%s after the next boot", map[bool]string{true: "on", false: "off"}[s.Next])
	}
	switch {
	case s.State != "" && s.Device == "":
		o.State, o.Remedy = trouble, "plug it in again and reboot; without it what is noted now is lost at a boot. `sierpi overlay status`, `lsblk`"
	case s.Device != "" && s.StateFree < s.StateSize/20:
		o.State, o.Remedy = trouble, "the state partition is almost full: `sudo du -xh /run/sierpi-overlay/state | sort -h | tail` shows what takes it"
	case s.Active && s.MemoryUsed > s.MemorySize/10*9:
		o.State, o.Remedy = trouble, "the memory over the root is almost full: a reboot empties it; `sudo du -xh /run/sierpi-overlay/rw | sort -h | tail` shows what takes it"
	}
	return []finding{f, o}
}

// clock is whether the time can be trusted: most boards have none of their own.
func (p *patient) clock(context.Context) []finding {
	if !p.root.Real() {
		return nil
	}
	f := finding{What: "clock", State: healthy, Detail: time.Now().Format("2006-01-02 15:04 MST")}
	if len(p.root.Glob("/sys/class/rtc/rtc*")) == 0 {
		f.Detail += ", no clock that runs without power"
	}
	var now unix.Timex
	state, err := unix.Adjtimex(&now)
	switch {
	case time.Now().Year() < 2025:
		f.State, f.Remedy = advice, "the time is wrong: certificates and schedules wait for it; connect a network, `timedatectl` shows more"
	case err == nil && state == unix.TIME_ERROR && p.board.Pi:
		f.State, f.Remedy = advice, "not synchronised by the network: `timedatectl` shows why"
	case err == nil && state != unix.TIME_ERROR:
		f.Detail += ", synchronised"
	}
	return []finding{f}
}

// power is consumption, temperature and what slows the board down.
func (p *patient) power(ctx context.Context) []finding {
	meter := power.New(p.root, p.cfg.Power, p.board)
	defer meter.Close()
	var firmware power.Firmware
	door, doorErr := power.OpenFirmware(p.root, os.Geteuid() == 0)
	if doorErr == nil {
		defer door.Close()
		firmware = door
	}
	_, _ = meter.Read(ctx) // the model needs two readings
	_ = pause(ctx, 200*time.Millisecond)
	report := powerReport(ctx, p.root, p.board, meter, firmware)
	p.report = &report

	var out []finding
	if t, ok := power.Processor(report.Temperatures); ok {
		f := finding{"temperature", healthy, fmt.Sprintf("%.1f °C (%s)", t.Celsius, t.Sensor), ""}
		if t.Critical != nil {
			f.Detail += fmt.Sprintf(", critical at %.0f °C", *t.Critical)
		}
		// Raspberry Pis slow down from 80 degrees on, whatever their critical mark is.
		if t.Celsius >= 80 || t.Critical != nil && t.Celsius >= *t.Critical-5 {
			f.State, f.Remedy = trouble, "too hot: it is slowed down; give it air, a heat sink or a fan"
		}
		out = append(out, f)
	} else {
		out = append(out, finding{"temperature", absent, "no sensor", ""})
	}

	switch r := report.Reading; {
	case p.cfg.Power.Source == "off":
		out = append(out, finding{"power", absent, "switched off in the config", ""})
	case r == nil:
		out = append(out, finding{"power", absent, report.Absent, "to measure it, connect an INA219 to the I2C bus; see the [power] table"})
	default:
		f := finding{"power", healthy, string(r.Source), ""}
		if r.Watts != nil {
			f.Detail = fmt.Sprintf("%.2f W (%s)", *r.Watts, r.Source)
			if r.Estimate {
				f.Detail += ", an estimate"
			}
		}
		if r.Limit != nil {
			f.Detail += fmt.Sprintf(", the supply gives %.1f W", *r.Limit)
		}
		switch {
		case r.Trouble != "":
			f.State, f.Detail, f.Remedy = trouble, f.Detail+"\n"+r.Trouble, "a better source is here but does not answer: check the wires and the [power] table"
		case r.Headroom != nil && *r.Headroom < 0:
			f.State, f.Remedy = trouble, "the supply cannot give what the machine takes: use a stronger one"
		}
		out = append(out, f)
	}

	switch w, err := power.NewWatcher(p.root, firmware); {
	case err != nil:
		out = append(out, finding{"throttling", absent, "neither the firmware nor the kernel reports it here", ""})
	case report.Firmware != nil && report.Firmware.Throttled != nil:
		t := *report.Firmware.Throttled
		f := finding{"throttling", healthy, t.String(), ""}
		if t != 0 {
			f.State, f.Remedy = advice, "it was slowed down since boot: "+cure(t)
		}
		if t&0xf != 0 {
			f.State, f.Remedy = trouble, "it is slowed down now: "+cure(t)
		}
		out = append(out, f)
	default:
		out = append(out, underVoltage(ctx, w))
	}
	return out
}

// cure is what helps against the reasons.
func cure(t power.Throttled) string {
	if t.Now(power.UnderVoltage) || t.SinceBoot(power.UnderVoltage) {
		return "use the board's own supply and a short, thick cable"
	}
	return "give it air, a heat sink or a fan"
}

// underVoltage is what the kernel alone reports.
func underVoltage(ctx context.Context, w *power.Watcher) finding {
	now, err := w.Look(ctx)
	f := finding{"throttling", healthy, "no under-voltage (the kernel's word; the firmware cannot be asked)", ""}
	switch {
	case err != nil:
		f.State, f.Detail, f.Remedy = trouble, err.Error(), "see `dmesg`"
	case slices.Contains(now, power.UnderVoltage):
		f.State, f.Detail, f.Remedy = trouble, "under-voltage now", "use the board's own supply and a short, thick cable"
	}
	return f
}

func (p *patient) zram(context.Context) []finding {
	s, err := zram.At(p.root).Status()
	if errors.Is(err, fs.ErrPermission) { // the notes of a start before an upgrade
		return []finding{{"zram", advice, err.Error(), "sudo sierpi doctor"}}
	}
	if err != nil {
		return []finding{{"zram", trouble, err.Error(), "sudo sierpi zram apply"}}
	}
	var ours, others []string
	failed := false
	for _, d := range s.Devices {
		if d.Swap == nil {
			continue
		}
		text := fmt.Sprintf("%s, %d MiB, %s", d.Name, d.Size>>20, d.Algorithm)
		if d.Memory != nil && d.Swap.Used > 0 {
			text += fmt.Sprintf(", %d MiB in %d MiB of RAM", d.Memory.Original>>20, d.Memory.Used>>20)
		}
		failed = failed || d.IO != nil && d.IO.FailedReads+d.IO.FailedWrites > 0
		if d.Ours {
			ours = append(ours, text)
		} else {
			owner := d.Owner
			if owner == "" {
				owner = "somebody else"
			}
			others = append(others, text+", made by "+owner+" and left alone")
		}
	}
	f := finding{"zram", healthy, strings.Join(append(ours, others...), "\n"), ""}
	switch {
	case failed:
		f.State, f.Remedy = trouble, "reads or writes of a device failed: see `dmesg` and `sierpi zram status`"
	case len(ours)+len(others) > 0:
	case !p.cfg.Zram.Enabled:
		f = finding{"zram", absent, "switched off in the config", ""}
	case len(s.Notes) > 0 && len(s.Devices) == 0:
		f = finding{"zram", absent, strings.Join(s.Notes, "\n"), ""}
	default:
		f = finding{"zram", advice, "no zram swap is on", "sudo sierpi zram apply"}
	}
	return []finding{f}
}

func (p *patient) serial(ctx context.Context) []finding {
	if !p.cfg.Serial.Enabled {
		return []finding{{"serial login", absent, "switched off in the config", ""}}
	}
	s, err := serial.At(p.root).Status(ctx, p.cfg.Serial.Device)
	f := finding{What: "serial login", State: healthy, Detail: s.Line.Device}
	if s.Kernel {
		f.Detail += ", the kernel writes there too"
	}
	switch {
	case err != nil:
		return []finding{{"serial login", trouble, err.Error(), "see the [serial] table"}}
	case !s.Found && p.board.Pi:
		f = finding{"serial login", advice, s.Problem, "sudo sierpi serial apply, and reboot"}
	case !s.Found:
		f = finding{"serial login", absent, s.Problem, ""}
	case !p.cfg.Serial.Login:
		f.Detail += "; the login is switched off in the config"
	case s.Getty == "active":
		f.Detail += ", a login waits"
		if s.InUse {
			f.Detail = strings.Replace(f.Detail, "a login waits", "somebody is logged in", 1)
		}
	case s.Getty == "":
		f.State, f.Detail = absent, f.Detail+"; whether a login waits is not known: systemd does not answer"
	default:
		f.State, f.Detail, f.Remedy = trouble, f.Detail+", the login is "+s.Getty, "sudo sierpi serial apply"
	}
	return []finding{f}
}

// screen is what can show the wall.
func (p *patient) screen(context.Context) []finding {
	var on, off []string
	for _, file := range p.root.Glob("/sys/class/drm/card*-*/status") {
		connector := path.Base(path.Dir(file))
		_, connector, _ = strings.Cut(connector, "-")
		if s, _ := p.root.ReadString(file); s == "connected" {
			mode, _ := p.root.ReadString(path.Dir(file) + "/modes")
			mode, _, _ = strings.Cut(mode, "\n")
			on = append(on, strings.TrimSpace(connector+" "+mode))
		} else {
			off = append(off, connector)
		}
	}
	fb := len(p.root.Glob("/dev/fb0")) > 0
	switch {
	case len(on) > 0:
		return []finding{{"screen", healthy, strings.Join(on, ", "), ""}}
	case len(off) > 0:
		return []finding{{"screen", absent, "nothing is connected to " + strings.Join(off, ", "), ""}}
	case fb:
		return []finding{{"screen", healthy, "a framebuffer", ""}}
	}
	return []finding{{"screen", absent, "no graphics here; the pages show the wall to browsers", ""}}
}

// header is what the config says is connected to the header.
func (p *patient) header(context.Context) []finding {
	var out []finding
	if g := p.cfg.GPIO; g.Button+g.LED > 0 {
		f := finding{"GPIO", healthy, "", ""}
		var uses []string
		if g.Button > 0 {
			uses = append(uses, fmt.Sprintf("button on %d", g.Button))
		}
		if g.LED > 0 {
			uses = append(uses, fmt.Sprintf("LED on %d", g.LED))
		}
		f.Detail = strings.Join(uses, ", ")
		if len(p.root.Glob("/dev/gpiochip*")) == 0 {
			f.State, f.Remedy = trouble, "this machine has no /dev/gpiochip*: empty the [gpio] table"
		}
		out = append(out, f)
	}
	for _, s := range p.cfg.Power.Sensors {
		if len(p.root.Glob("/dev/i2c-"+strconv.Itoa(s.Bus))) == 0 {
			f := finding{"I2C", trouble, fmt.Sprintf("the config names a %s on bus %d, and there is no /dev/i2c-%d", s.Chip, s.Bus, s.Bus), "write dtparam=i2c_arm=on into config.txt, load the module i2c-dev, and reboot"}
			out = append(out, f)
		}
	}
	return out
}

func (p *patient) firstboot(context.Context) []finding {
	r, err := firstboot.ReadReport(p.root)
	switch {
	case err != nil:
		return []finding{{"first boot", trouble, err.Error(), "see `journalctl -u sierpi-firstboot`"}}
	case len(r.Failures()) > 0:
		failed := r.Failures()
		return []finding{{"first boot", trouble, fmt.Sprintf("%d setting(s) could not be taken over; the first is %s in %s: %s", len(failed), failed[0].Key, failed[0].File, failed[0].Why), "mend the file on the boot partition and reboot; `sierpi firstboot status` has all"}}
	case r.NoUser:
		return []finding{{"first boot", advice, "nobody can log in yet", "log in on the serial line to make the first user"}}
	case len(r.Keys) > 0:
		return []finding{{"first boot", healthy, fmt.Sprintf("%d setting(s) taken over", len(r.Keys)), ""}}
	}
	return nil // not one of our images
}

// units are sierpi's units that failed, and others' that did.
func (p *patient) units(ctx context.Context) []finding {
	if _, err := p.root.Lstat("/run/systemd/system"); err != nil || !p.root.Real() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := sdbus.NewWithContext(ctx)
	if err != nil {
		return []finding{{"units", advice, "systemd does not answer: " + err.Error(), "run it as root"}}
	}
	defer conn.Close()
	units, err := conn.ListUnitsFilteredContext(ctx, []string{"failed"})
	if err != nil {
		return []finding{{"units", advice, "systemd does not answer: " + err.Error(), "run it as root"}}
	}
	var failed []string
	for _, u := range units {
		failed = append(failed, u.Name)
	}
	slices.Sort(failed)
	if len(failed) == 0 {
		return []finding{{"units", healthy, "none has failed", ""}}
	}
	return []finding{{"units", trouble, "failed: " + strings.Join(failed, ", "), "journalctl -b -u " + failed[0]}}
}

// daemon asks the daemon where the config has it, and on the appliance's port.
func (p *patient) daemon(ctx context.Context) []finding {
	if !p.root.Real() {
		return nil // a tree of files runs nothing
	}
	body, address, err := askDaemon(ctx, p.cfg, "/healthz")
	if err != nil {
		return []finding{{"daemon", trouble, "it does not answer", "systemctl status sierpi, or start it here: sierpi serve"}}
	}
	var report struct {
		Status string
		Parts  []struct{ Name, State, Why string }
	}
	if err := json.Unmarshal(body, &report); err != nil {
		return []finding{{"daemon", trouble, "it answers at " + address + ", but not as this version of sierpi does: " + err.Error(), "restart it: sudo systemctl restart sierpi"}}
	}
	f := finding{"daemon", healthy, "answers at " + address, ""}
	for _, part := range report.Parts {
		if part.State == "failed" || part.State == "stale" {
			f.State, f.Remedy = trouble, "see /health on its pages, and `journalctl -u sierpi`"
			f.Detail += fmt.Sprintf("\n%s is %s: %s", part.Name, part.State, part.Why)
		}
	}
	return []finding{f}
}

// askDaemon gets one of the daemon's answers from where it listens: where the config
// says, and on the appliance's ports. Somebody else's server there is passed over.
func askDaemon(ctx context.Context, cfg config.Config, path string) (body []byte, address string, err error) {
	// On a board that is short of memory the daemon may have to be read back from swap.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	listen, sign := []string{cfg.Web.Listen, "localhost:80"}, `"parts"`
	if path == "/metrics" {
		listen, sign = []string{cfg.Web.MetricsListen, "localhost:9101"}, "sierpi_build_info"
	}
	for _, address := range listen {
		if address == "" {
			continue
		}
		if strings.HasPrefix(address, ":") {
			address = "localhost" + address
		}
		body, askErr := get(ctx, "http://"+address+path)
		if askErr == nil && !strings.Contains(string(body), sign) {
			askErr = fmt.Errorf("%s is somebody else's server", address)
		}
		if askErr == nil {
			return body, address, nil
		}
		err = errors.Join(err, askErr)
	}
	return nil, "", err
}

// get reads a small answer. /healthz has a report also when it says 503.
func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
