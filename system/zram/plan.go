package zram

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// Manager plans and applies on one machine.
type Manager struct {
	Root   system.Root
	RunDir string // where what we made is noted; gone after a boot, as it is
}

// At is the manager of the machine below root. Its notes lie apart from the daemon's
// folder: what the daemon's user can write must not steer root's commands.
func At(root system.Root) Manager {
	return Manager{Root: root, RunDir: root.Path("/run/sierpi-system")}
}

// Spec is what a device is set up with.
type Spec struct {
	Size       uint64   `json:"size"`       // bytes, whole pages
	Algorithms []string `json:"algorithms"` // in order of preference
	Priority   int      `json:"priority"`
	Discard    bool     `json:"discard"`
	MemLimit   uint64   `json:"mem_limit,omitempty"` // bytes; 0: none
	Recompress []string `json:"recompress,omitempty"`
	Writeback  string   `json:"writeback,omitempty"`
}

// Kind is what an action does.
type Kind string

// The kinds of action, in the order in which they are done.
const (
	KindForget  Kind = "forget"  // a device that is no longer there
	KindRemove  Kind = "remove"  // swapoff if it is on, reset, hot_remove
	KindAdd     Kind = "add"     // hot_add, set up, header, swapon
	KindLimit   Kind = "limit"   // change mem_limit of a device in use
	KindSet     Kind = "set"     // change a setting below /proc/sys/vm
	KindRestore Kind = "restore" // give one back
)

// Action is one thing to do.
type Action struct {
	Kind    Kind   `json:"kind"`
	Device  string `json:"device,omitempty"` // empty for one to be added
	Spec    *Spec  `json:"spec,omitempty"`   // of KindAdd and KindLimit
	Setting string `json:"setting,omitempty"`
	Value   string `json:"value,omitempty"`
	Was     string `json:"was,omitempty"`
	Why     string `json:"why"`

	// Algorithm is the one of Spec.Algorithms that the kernel offers; empty where
	// only a device tells, and none is there yet.
	Algorithm string `json:"algorithm,omitempty"`

	swappedOn bool
}

// Plan is what would be done, and what is left alone and why.
type Plan struct {
	Actions []Action `json:"actions"`
	Notes   []string `json:"notes,omitempty"`

	state state // what we own now
}

// Empty reports that everything is as it should be.
func (p Plan) Empty() bool { return len(p.Actions) == 0 }

// String is the plan for people, a line an action.
func (p Plan) String() string {
	var b strings.Builder
	if p.Empty() {
		b.WriteString("zram: nothing to change\n")
	}
	for _, a := range p.Actions {
		fmt.Fprintf(&b, "%-7s %s\n", a.Kind, a.describe())
	}
	for _, n := range p.Notes {
		b.WriteString("note    " + n + "\n")
	}
	return b.String()
}

func (a Action) describe() string {
	switch a.Kind {
	case KindAdd:
		algorithm := a.Algorithm
		if algorithm == "" {
			algorithm = strings.Join(a.Spec.Algorithms, " or ")
		}
		s := fmt.Sprintf("a device of %s, %s, swapped on with priority %d", formatBytes(a.Spec.Size), algorithm, a.Spec.Priority)
		if a.Spec.MemLimit > 0 {
			s += ", at most " + formatBytes(a.Spec.MemLimit) + " of RAM"
		}
		if len(a.Spec.Recompress) > 0 {
			s += ", recompressed with " + strings.Join(a.Spec.Recompress, ", ")
		}
		if a.Spec.Writeback != "" {
			s += ", written back to " + a.Spec.Writeback
		}
		return s + " (" + a.Why + ")"
	case KindLimit:
		limit := "none"
		if a.Spec.MemLimit > 0 {
			limit = formatBytes(a.Spec.MemLimit)
		}
		return fmt.Sprintf("%s: memory limit %s (%s)", a.Device, limit, a.Why)
	case KindSet, KindRestore:
		return fmt.Sprintf("%s from %s to %s (%s)", a.Setting, a.Was, a.Value, a.Why)
	}
	return fmt.Sprintf("%s (%s)", a.Device, a.Why)
}

// machine is what a plan is made from, read once.
type machine struct {
	devices []Device
	memory  system.Memory
	state   state
	seq     map[string]string // diskseq by device
}

func (m Manager) observe() (machine, error) {
	var now machine
	var err error
	now.devices, err = Read(m.Root)
	if errors.Is(err, ErrAbsent) {
		return now, m.absent()
	}
	if err != nil {
		return now, fmt.Errorf("looking at zram: %w", err)
	}
	if now.memory, err = system.ReadMemory(m.Root); err != nil {
		return now, err
	}
	now.seq = map[string]string{}
	for _, d := range now.devices {
		now.seq[d.Name], _ = m.Root.ReadString("/sys/block/" + d.Name + "/diskseq")
	}
	now.state, err = m.load()
	return now, err
}

// absent explains why there is no zram.
func (m Manager) absent() error {
	e := &system.Error{Code: system.ExitImpossible, Err: ErrAbsent,
		Remedy: "load its module (`modprobe zram num_devices=0`), or set enabled = false below [zram]"}
	if _, err := m.Root.Lstat("/run/systemd/container"); err == nil {
		e.Err = errors.New("zram belongs to the kernel, and a container has none of its own")
		e.Remedy = "run sierpi zram on the host"
	} else if _, err := m.Root.Lstat("/.dockerenv"); err == nil {
		e.Err = errors.New("zram belongs to the kernel, and a container has none of its own")
		e.Remedy = "run sierpi zram on the host"
	}
	return e
}

// find returns the device that an owned one is now, nil if it is gone or its
// number belongs to a later device.
func (now machine) find(o owned) *Device {
	for i, d := range now.devices {
		if d.Name == o.Name && (o.Seq == "" || now.seq[d.Name] == o.Seq) {
			return &now.devices[i]
		}
	}
	return nil
}

// best is the algorithm that the kernel would take of these, empty if no device
// is there that tells.
func (now machine) best(wanted []string) string {
	for _, d := range now.devices {
		if best, err := choose(wanted, d.Offered); err == nil {
			return best
		}
	}
	return ""
}

// PlanApply computes what brings this machine to the config.
func (m Manager) PlanApply(cfg config.Zram) (Plan, error) {
	if !cfg.Enabled {
		p, err := m.PlanOff()
		p.Notes = append(p.Notes, "zram is switched off in the config: enabled = false")
		return p, err
	}
	now, err := m.observe()
	if err != nil {
		return Plan{}, err
	}
	if err := m.foreign(now); err != nil {
		return Plan{}, err
	}
	specs, err := m.specs(cfg, now)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{state: now.state}
	p.leftOvers(now)

	missing := specs
	var late []Action
	for _, o := range now.state.Devices {
		d := now.find(o)
		if d == nil {
			p.Actions = append(p.Actions, Action{Kind: KindForget, Device: o.Name, Why: "it is no longer there"})
			continue
		}
		if d.Swap == nil {
			why := "an interrupted run left it unfinished"
			if o.On {
				why = "it was swapped off by somebody else"
			}
			p.Actions = append(p.Actions, Action{Kind: KindRemove, Device: d.Name, Why: why})
			continue
		}
		i, limit, why := match(*d, o, missing)
		if i < 0 {
			late = append(late, Action{Kind: KindRemove, Device: d.Name, Why: why, swappedOn: true})
			continue
		}
		if limit {
			late = append(late, Action{Kind: KindLimit, Device: d.Name, Spec: &missing[i], Why: "the config changed"})
		}
		missing = slices.Delete(slices.Clone(missing), i, i+1)
	}
	for _, s := range missing {
		why := "the config asks for it"
		if len(missing) == len(specs) && len(late) > 0 {
			why = "staged beside the one it replaces"
		}
		p.Actions = append(p.Actions, Action{Kind: KindAdd, Spec: &s, Algorithm: now.best(s.Algorithms), Why: why})
	}
	p.Actions = append(p.Actions, late...)
	if err := affordable(now, p.Actions); err != nil {
		return Plan{}, err
	}
	m.planVM(cfg, &p)
	m.advise(now, &p)
	return p, nil
}

// PlanOff computes what takes away everything we made, and nothing else.
func (m Manager) PlanOff() (Plan, error) {
	now, err := m.observe()
	if err != nil && !errors.Is(err, ErrAbsent) {
		return Plan{}, err
	}
	p := Plan{state: now.state}
	p.leftOvers(now)
	for _, o := range now.state.Devices {
		if d := now.find(o); d == nil {
			p.Actions = append(p.Actions, Action{Kind: KindForget, Device: o.Name, Why: "it is no longer there"})
		} else {
			p.Actions = append(p.Actions, Action{Kind: KindRemove, Device: d.Name, Why: "sierpi made it", swappedOn: d.Swap != nil})
		}
	}
	for _, name := range vmNames {
		if was, ok := now.state.VM[name]; ok {
			p.restore(m.Root, name, was)
		}
	}
	for _, d := range now.devices {
		if !slices.ContainsFunc(now.state.Devices, func(o owned) bool { return o.Name == d.Name && now.find(o) != nil }) {
			if u := use(m.Root, d); u != "" {
				p.Notes = append(p.Notes, fmt.Sprintf("%s is left alone (%s): sierpi did not make it", d.Name, u))
			}
		}
	}
	return p, affordable(now, p.Actions)
}

// leftOvers plans the removal of a device that an interrupted run added but
// could not note: new since then, and untouched.
func (p *Plan) leftOvers(now machine) {
	if now.state.Adding == nil {
		return
	}
	for _, d := range now.devices {
		known := slices.Contains(*now.state.Adding, d.Name) ||
			slices.ContainsFunc(now.state.Devices, func(o owned) bool { return o.Name == d.Name })
		if !known && d.Size == 0 && d.Swap == nil {
			p.Actions = append(p.Actions, Action{Kind: KindRemove, Device: d.Name, Why: "an interrupted run left it"})
		}
	}
	if len(p.Actions) == 0 {
		p.Actions = append(p.Actions, Action{Kind: KindForget, Device: "a device that was being added", Why: "an interrupted run did not get to it"})
	}
}

// foreign refuses to work beside zram swap that somebody else set up: two of
// them would divide the same RAM twice.
func (m Manager) foreign(now machine) error {
	for _, d := range now.devices {
		if d.Swap == nil || slices.ContainsFunc(now.state.Devices, func(o owned) bool { return o.Name == d.Name && now.find(o) != nil }) {
			continue
		}
		e := &system.Error{Code: system.ExitOwned,
			Err:    fmt.Errorf("%s is already zram swap of %s that sierpi did not make", d.Name, formatBytes(d.Size)),
			Remedy: "switch off whatever set it up (swapoff /dev/" + d.Name + "), or set enabled = false below [zram]"}
		if p := providerOf(m.Root, d.Name); p != nil {
			e.Err = fmt.Errorf("%s is already zram swap of %s, made by %s", d.Name, formatBytes(d.Size), p.name)
			e.Remedy = p.remedy
		}
		return e
	}
	// At boot the others' devices may come later than ours would.
	if p := providerOf(m.Root, "zram*"); p != nil {
		return &system.Error{Code: system.ExitOwned, Err: fmt.Errorf("%s sets up zram swap on this machine", p.name), Remedy: p.remedy}
	}
	return nil
}

// specs is what the config asks for on this machine.
func (m Manager) specs(cfg config.Zram, now machine) ([]Spec, error) {
	bad := func(err error) error {
		return &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("[zram]: %w", err)}
	}
	n, err := cfg.DeviceCount(max(system.ProcessorsOnline(m.Root), 1))
	if err != nil {
		return nil, bad(err)
	}
	size, err := config.ParseSize(cfg.Size)
	if err != nil {
		return nil, bad(err)
	}
	ram, page := now.memory.Total, uint64(os.Getpagesize())
	total := size.Bytes(ram)
	if total/2 > ram {
		return nil, bad(fmt.Errorf("size %q is %s here, more than 200 %% of this machine's %s: zram takes RAM for what it stores, and the kernel's guide advises against more; write at most \"200%%\"", cfg.Size, formatBytes(total), formatBytes(ram)))
	}
	each := total / uint64(n) / page * page
	if each < minSwapPages*page || each/page > 1<<32-1 {
		return nil, bad(fmt.Errorf("size %q is %s a device (%d of them), and a swap area needs at least %s; write for example \"50%%\"", cfg.Size, formatBytes(total/uint64(n)), n, formatBytes(minSwapPages*page)))
	}
	spec := Spec{Size: each, Algorithms: cfg.Algorithm, Priority: cfg.Priority, Discard: cfg.Discard, Recompress: cfg.Recompress, Writeback: cfg.Writeback}
	if cfg.Priority < 0 || cfg.Priority > 32767 {
		return nil, bad(fmt.Errorf("priority %d is not from 0 to 32767", cfg.Priority))
	}
	if len(cfg.Algorithm) == 0 {
		return nil, bad(errors.New("no algorithm is named"))
	}
	if cfg.MemLimit != "" {
		limit, err := config.ParseSize(cfg.MemLimit)
		if err != nil {
			return nil, bad(fmt.Errorf("mem-limit: %w", err))
		}
		spec.MemLimit = limit.Bytes(ram) / uint64(n) / page * page
	}
	// Any device lists what the kernel offers; without one it shows when the first
	// is added.
	for _, d := range now.devices {
		if d.Offered == nil {
			continue
		}
		if _, err := choose(cfg.Algorithm, d.Offered); err != nil {
			return nil, err
		}
		break
	}
	return slices.Repeat([]Spec{spec}, n), nil
}

// choose picks the first wanted algorithm that is offered.
func choose(wanted, offered []string) (string, error) {
	for _, w := range wanted {
		if slices.Contains(offered, w) {
			return w, nil
		}
	}
	return "", &system.Error{Code: system.ExitImpossible,
		Err:    fmt.Errorf("this kernel's zram has none of the algorithms %s", strings.Join(wanted, ", ")),
		Remedy: "add one that it has (" + strings.Join(offered, ", ") + ") to algorithm below [zram]"}
}

// match finds the spec that a device of ours fulfils: its index or -1, whether
// its memory limit must be changed, and why it fulfils none.
func match(d Device, o owned, specs []Spec) (index int, limit bool, why string) {
	why = "there are more than the config asks for"
	for i, s := range specs {
		best, err := choose(s.Algorithms, d.Offered)
		switch {
		case err != nil:
			why = "its algorithm cannot be compared"
		case d.Size != s.Size:
			why = fmt.Sprintf("its size is %s, the config's %s", formatBytes(d.Size), formatBytes(s.Size))
		case d.Algorithm != best:
			why = fmt.Sprintf("its algorithm is %s, the config's %s", d.Algorithm, best)
		case int(d.Swap.Priority) != s.Priority:
			why = fmt.Sprintf("its priority is %d, the config's %d", d.Swap.Priority, s.Priority)
		case o.Spec.Discard != s.Discard:
			why = "the config changed discard"
		case !slices.Equal(o.Spec.Recompress, s.Recompress):
			why = "the config changed recompress"
		case o.Spec.Writeback != s.Writeback:
			why = "the config changed writeback"
		default:
			return i, d.Memory != nil && d.Memory.Columns >= 7 && d.Memory.Limit != s.MemLimit, ""
		}
	}
	return -1, false, why
}

// affordable refuses to swap off what memory cannot take back: swapoff would
// fail half-way with ENOMEM, or wake the OOM killer.
func affordable(now machine, actions []Action) error {
	var back uint64
	var names []string
	for _, a := range actions {
		if a.Kind != KindRemove {
			continue
		}
		for _, d := range now.devices {
			if d.Name == a.Device && d.Swap != nil {
				back += d.Swap.Used
				names = append(names, d.Name)
			}
		}
	}
	if back > now.memory.Available {
		return &system.Error{Code: system.ExitNotNow,
			Err:    fmt.Errorf("%s holds %s that must come back into memory, and only %s is available", strings.Join(names, ", "), formatBytes(back), formatBytes(now.memory.Available)),
			Remedy: "nothing was changed; stop something large or reboot, which applies the config to empty devices"}
	}
	return nil
}

// vmNames are the settings below /proc/sys/vm that we may change.
var vmNames = []string{"swappiness", "page-cluster", "watermark_boost_factor", "watermark_scale_factor"}

func (m Manager) planVM(cfg config.Zram, p *Plan) {
	for i, want := range []int{cfg.Swappiness, cfg.PageCluster, cfg.WatermarkBoostFactor, cfg.WatermarkScaleFactor} {
		name := vmNames[i]
		was, changed := p.state.VM[name]
		if want < 0 {
			if changed {
				p.restore(m.Root, name, was)
			}
			continue
		}
		value, err := m.Root.ReadString("/proc/sys/vm/" + name)
		if err != nil {
			continue // this kernel has no such setting
		}
		if name == "swappiness" && want > 100 && !m.wideSwappiness() {
			want = 100
		}
		if value != strconv.Itoa(want) {
			p.Actions = append(p.Actions, Action{Kind: KindSet, Setting: "vm." + name, Value: strconv.Itoa(want), Was: value, Why: "for swap in RAM"})
		}
	}
}

// restore plans to give a setting back, unless somebody else changed it since.
func (p *Plan) restore(root system.Root, name string, was vmWas) {
	value, err := root.ReadString("/proc/sys/vm/" + name)
	if err == nil && value != was.Set && value != was.Was {
		p.Notes = append(p.Notes, fmt.Sprintf("vm.%s is left at %s: somebody changed it after sierpi set %s", name, value, was.Set))
	}
	p.Actions = append(p.Actions, Action{Kind: KindRestore, Setting: "vm." + name, Value: was.Was, Was: value, Why: "as it was before"})
}

// wideSwappiness tells whether the kernel takes values up to 200, since 5.8.
func (m Manager) wideSwappiness() bool {
	release, _ := m.Root.ReadString("/proc/sys/kernel/osrelease")
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return true
	}
	return major > 5 || major == 5 && minor >= 8
}

// advise notes what is not ours to change but spoils zram.
func (m Manager) advise(now machine, p *Plan) {
	if s, err := m.Root.ReadString("/sys/module/zswap/parameters/enabled"); err == nil && s == "Y" {
		p.Notes = append(p.Notes, "zswap is on: it compresses pages before zram gets them, which wastes both; add zswap.enabled=0 to the kernel's command line")
	}
	for _, d := range now.devices {
		ours := slices.ContainsFunc(now.state.Devices, func(o owned) bool { return o.Name == d.Name })
		if u := use(m.Root, d); !ours && u != "" {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is left alone (%s): sierpi did not make it", d.Name, u))
		}
	}
}

// formatBytes writes an amount of memory for people, in the 1024 units that the
// config takes.
func formatBytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.95 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0") + " " + units[i:i+1] + "iB"
}
