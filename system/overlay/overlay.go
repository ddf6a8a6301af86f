package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

const (
	confDir   = "/var/lib/sierpi-overlay"
	stateFile = confDir + "/state"
	listFile  = confDir + "/places"
	onFile    = confDir + "/on"

	runDir   = "/run/sierpi-overlay"
	lowerDir = runDir + "/lower" // the card's root, while an overlay lies over it
	rwDir    = runDir + "/rw"    // what is in memory
	stateDir = runDir + "/state" // the state partition

	label = "sierpi-state"
	// least is what the state needs: the database, the cache of at most 64 MiB, the journal.
	least = 128 << 20
)

// places are what must outlive a boot, where the machine has them. The clock's file is
// among them: a board without one would begin in the past.
var places = []string{
	"etc/sierpi", "var/lib/sierpi", "var/lib/sierpi-system", "var/lib/sierpi-firstboot", "var/lib/sierpi-kiosk",
	"var/lib/systemd/timesync", "var/log/journal",
}

// Manager plans and applies on one machine.
type Manager struct {
	Root system.Root
	// Run runs one of Debian's tools and returns what it wrote; nil: the program itself.
	Run func(ctx context.Context, stdin, name string, args ...string) (string, error)
}

func (m Manager) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	if m.Run != nil {
		return m.Run(ctx, stdin, name, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(said.String())
		return out.String(), fmt.Errorf("%s: %w: %s", name, err, text[max(0, len(text)-400):])
	}
	return out.String(), nil
}

// Step is one thing to be done, for people.
type Step struct {
	What string `json:"what"`

	do func(context.Context) error
}

// Plan is what would be done, or was.
type Plan struct {
	Steps  []Step   `json:"steps"`
	Reboot bool     `json:"reboot"` // nothing is in force before one
	Notes  []string `json:"notes,omitempty"`
}

// Empty reports that all is as asked.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// String is the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	if p.Empty() {
		b.WriteString("overlay: nothing to change\n")
	}
	for _, s := range p.Steps {
		b.WriteString(s.What + "\n")
	}
	for _, n := range p.Notes {
		b.WriteString("note    " + n + "\n")
	}
	if p.Reboot {
		b.WriteString("reboot  needed before it is in force\n")
	}
	return b.String()
}

// apply does the steps; the first that fails ends it. Each can be done again.
func (p Plan) apply(ctx context.Context) error {
	for _, s := range p.Steps {
		if err := s.do(ctx); err != nil {
			err = fmt.Errorf("%s: %w", s.What, err)
			if errors.Is(err, fs.ErrPermission) {
				return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "run it as root"}
			}
			return err
		}
	}
	return nil
}

func (p *Plan) add(what string, do func(context.Context) error) {
	p.Steps = append(p.Steps, Step{what, do})
}

// active reports whether an overlay lies over the root now.
func (m Manager) active() bool {
	mounts, err := m.Root.ReadString("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/" && strings.Contains(line, " - overlay sierpi-overlay ") {
			return true
		}
	}
	return false
}

// card is where a path of the card's own root is now.
func (m Manager) card(path string) string {
	if m.active() {
		return lowerDir + path
	}
	return path
}

func (m Manager) exists(path string) bool {
	_, err := m.Root.Lstat(path)
	return err == nil
}

// impossible is an error of a machine that cannot have it.
func impossible(err error, remedy string) error {
	return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: remedy}
}

// PlanOn says what makes the root read-only from the next boot on. device is a
// partition for the state, "/dev/sda1"; empty: the one in use, else the room that the
// first boot left behind the root.
func (m Manager) PlanOn(ctx context.Context, device string) (Plan, error) {
	var p Plan
	if m.exists(m.card(onFile)) {
		if !m.active() {
			p.Reboot = true
			p.Notes = append(p.Notes, "it is switched on and waits for a reboot")
		}
		return p, nil
	}
	if !m.active() && !m.hasInitramfs() {
		return p, impossible(errors.New("this machine boots without an initramfs, which is where the overlay is laid over the root"),
			"install initramfs-tools; on Raspberry Pi OS write auto_initramfs=1 into config.txt")
	}
	if part, err := m.Root.ReadString(m.card(stateFile)); err != nil {
		if err := m.planState(ctx, &p, device); err != nil {
			return p, err
		}
	} else if device != "" {
		return p, &system.Error{Code: system.ExitOwned, Err: fmt.Errorf("the state is on %s already", part),
			Remedy: "leave --device away; to move it, copy the partition and write its PARTUUID into " + stateFile}
	}
	if !m.active() {
		p.add("build    the initramfs of every kernel, with the script that lays memory over the root", func(ctx context.Context) error {
			_, err := m.run(ctx, "", "update-initramfs", "-u", "-k", "all")
			return err
		})
	}
	p.add("mark     "+m.card(onFile), func(ctx context.Context) error {
		return m.onCard(ctx, func() error { return m.write(m.card(onFile), "") })
	})
	p.Reboot = true
	p.Notes = append(p.Notes, "what apt installs while it is on is gone after the next boot: `sierpi overlay off` and a reboot come before an update",
		"cmdline.txt, config.txt and passwords can then only be changed with it off")
	return p, nil
}

// hasInitramfs reports whether the running kernel was given one by initramfs-tools.
func (m Manager) hasInitramfs() bool {
	return m.exists("/usr/sbin/update-initramfs") && m.exists("/run/initramfs")
}

// planState plans the partition for the state.
func (m Manager) planState(ctx context.Context, p *Plan, device string) error {
	if device == "" {
		d, _, err := system.ReadRootDisk(m.Root)
		if err != nil {
			return impossible(err, "name an empty partition for the state with --device")
		}
		// One that a run made which was cut off.
		if last := "/dev/" + partitionName(d.Disk, d.Last); fmt.Sprint(d.Last) != d.Number {
			kind, found, err := m.probe(ctx, last)
			if err != nil {
				return err
			}
			if kind == "" || found == label {
				device = last
			}
		}
		if device != "" {
			return m.planPartition(p, device)
		}
		if d.Last >= 4 || d.Free < least {
			return impossible(fmt.Errorf("behind the last partition of /dev/%s are %d MiB free; the state needs %d", d.Disk, d.Free>>20, least>>20),
				"put an empty partition on a stick and name it with --device /dev/sda1, or flash the image anew onto a card of 3 GiB or more")
		}
		device = "/dev/" + partitionName(d.Disk, d.Last+1)
		p.add(fmt.Sprintf("create   %s, %d MiB behind the last partition of /dev/%s", device, d.Free>>20, d.Disk), func(ctx context.Context) error {
			if m.exists(device) {
				return nil // a run before was cut off here
			}
			// Its start is said: sfdisk would take the first gap, before the first partition, where a
			// PC's GRUB lies. In whole MiB, as cards like it.
			const mib = 1 << 20
			start := (d.End + mib - 1) / mib * mib
			if _, err := m.run(ctx, fmt.Sprintf("start=%d, type=83\n", start/512), "sfdisk", "--quiet", "--append", "--force", "--no-reread", "--no-tell-kernel", "/dev/"+d.Disk); err != nil {
				return err
			}
			_, err := m.run(ctx, "", "partx", "--update", "--nr", fmt.Sprint(d.Last+1), "/dev/"+d.Disk)
			return err
		})
	} else {
		if !strings.HasPrefix(device, "/dev/") || !m.exists(device) {
			return &system.Error{Code: system.ExitConfig, Err: fmt.Errorf("--device %s is no partition of this machine", device), Remedy: "`lsblk` lists them"}
		}
		kind, found, err := m.probe(ctx, device)
		if err != nil {
			return err
		}
		if kind != "" && found != label {
			return &system.Error{Code: system.ExitOwned, Err: fmt.Errorf("%s holds a file system (%s), and maybe somebody's files", device, kind),
				Remedy: "take an empty partition, or empty this one yourself: wipefs --all " + device}
		}
		if found == label {
			p.Notes = append(p.Notes, "the state that lies on "+device+" is replaced by this machine's")
		}
		p.Notes = append(p.Notes, "without "+device+" the machine boots too, with the state that the card's root has now")
	}
	return m.planPartition(p, device)
}

// planPartition plans what is done to the partition.
func (m Manager) planPartition(p *Plan, device string) error {
	p.add("format   "+device+" as ext4, labelled "+label, func(ctx context.Context) error {
		if _, found, err := m.probe(ctx, device); err != nil || found == label {
			return err
		}
		// Forced: a card that was used before may have an old file system at this place.
		_, err := m.run(ctx, "", "mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-m", "1", device)
		return err
	})
	var here []string
	for _, place := range places {
		if m.exists("/" + place) {
			here = append(here, place)
		}
	}
	p.add("move     /"+strings.Join(here, ", /")+" to it; the daemon stops for it", func(ctx context.Context) error {
		return m.move(ctx, device, here)
	})
	return nil
}

// partitionName is the kernel's: a number after a name that ends in one takes a p.
func partitionName(disk string, n int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", disk, n)
	}
	return fmt.Sprintf("%s%d", disk, n)
}

// probe asks what lies on a partition; "" is nothing.
func (m Manager) probe(ctx context.Context, device string) (kind, label string, err error) {
	out, err := m.run(ctx, "", "blkid", "-p", "-o", "export", device)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return "", "", nil // blkid's word for nothing
	} else if err != nil {
		return "", "", fmt.Errorf("looking at %s: %w", device, err)
	}
	for line := range strings.Lines(out) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "TYPE", "PTTYPE":
			kind = value
		case "LABEL":
			label = value
		}
	}
	return kind, label, nil
}

// units that write to the state; sockets first, or a visitor would start them again.
var units = []string{"sierpi.socket", "sierpi-metrics.socket", "sierpi.service"}

// move copies the state onto the partition and lays it over its places at once, so that
// what is written until the reboot is not lost either.
func (m Manager) move(ctx context.Context, device string, here []string) (err error) {
	do := func(name string, args ...string) error { _, err := m.run(ctx, "", name, args...); return err }
	if err := os.MkdirAll(m.Root.Path(stateDir), 0o755); err != nil {
		return err
	}
	if err := do("mount", "-t", "ext4", "-o", "noatime,nodev,nosuid", device, stateDir); err != nil {
		return err
	}
	if err := do("systemctl", append([]string{"stop"}, units...)...); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, do("systemctl", append([]string{"start", "--no-block"}, units...)...))
	}()
	for _, place := range here {
		// What a run that was cut off has left would mix with what is there now.
		if err := os.RemoveAll(m.Root.Path(filepath.Join(stateDir, place))); err != nil {
			return err
		}
		// With the folders above it, their owners and modes.
		if err := do("cp", "--archive", "--parents", "/"+place, stateDir); err != nil {
			return err
		}
	}
	if err := do("sync", "-f", stateDir); err != nil {
		return err
	}
	id, err := m.run(ctx, "", "blkid", "-p", "-o", "value", "-s", "PART_ENTRY_UUID", device)
	if err != nil {
		return err
	}
	if id = strings.TrimSpace(id); id == "" {
		return impossible(fmt.Errorf("%s has no PARTUUID: it is a whole disk", device), "make a partition on it")
	}
	for _, place := range here {
		if err := do("mount", "--bind", filepath.Join(stateDir, place), "/"+place); err != nil {
			return err
		}
	}
	// The list before the name: the script looks for the name.
	if err := m.write(listFile, strings.Join(here, "\n")+"\n"); err != nil {
		return err
	}
	return m.write(stateFile, "PARTUUID="+id+"\n")
}

// PlanOff says what makes the root writable again from the next boot on.
func (m Manager) PlanOff() (Plan, error) {
	var p Plan
	if !m.exists(m.card(onFile)) {
		if m.active() {
			p.Reboot = true
			p.Notes = append(p.Notes, "it is switched off and waits for a reboot")
		}
		return p, nil
	}
	p.add("unmark   "+m.card(onFile), func(ctx context.Context) error {
		return m.onCard(ctx, func() error {
			path := m.Root.Path(m.card(onFile))
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return atomicfile.SyncDir(filepath.Dir(path))
		})
	})
	p.Reboot = m.active()
	p.Notes = append(p.Notes, "the state stays on its partition; nothing is copied")
	return p, nil
}

// On applies PlanOn.
func (m Manager) On(ctx context.Context, device string) (Plan, error) {
	p, err := m.PlanOn(ctx, device)
	if err != nil {
		return p, err
	}
	return p, p.apply(ctx)
}

// Off applies PlanOff.
func (m Manager) Off(ctx context.Context) (Plan, error) {
	p, err := m.PlanOff()
	if err != nil {
		return p, err
	}
	return p, p.apply(ctx)
}

// onCard makes the card's root writable for a moment, where it is not.
func (m Manager) onCard(ctx context.Context, write func() error) (err error) {
	if m.active() {
		if _, err := m.run(ctx, "", "mount", "-o", "remount,rw", lowerDir); err != nil {
			return err
		}
		defer func() {
			_, back := m.run(ctx, "", "mount", "-o", "remount,ro", lowerDir)
			err = errors.Join(err, back)
		}()
	}
	return write()
}

// write replaces a small file, durably.
func (m Manager) write(path, text string) error {
	full := m.Root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(full, []byte(text), 0o644)
}

// Status is how it is, and how it will be after a boot.
type Status struct {
	Active bool   `json:"active"` // an overlay lies over the root now
	Next   bool   `json:"next"`   // and will after the next boot
	State  string `json:"state"`  // the state partition, "PARTUUID=..."; empty: none
	Device string `json:"device"` // which that is now; empty: it is not mounted
	// Of the card's own root, of the memory that lies over it, and of the state partition; bytes.
	RootFree, RootSize     uint64
	MemoryUsed, MemorySize uint64
	StateFree, StateSize   uint64
	ReadOnly               bool // the root, without an overlay over it
}

// Status looks at the machine.
func (m Manager) Status() (Status, error) {
	s := Status{Active: m.active(), Next: m.exists(m.card(onFile))}
	s.State, _ = m.Root.ReadString(m.card(stateFile)) // absent: none
	mounts, err := m.Root.ReadString("/proc/self/mountinfo")
	if err != nil {
		return s, fmt.Errorf("reading the mounts: %w", err)
	}
	s.Device = mountedFrom(mounts, stateDir)
	room := func(path string) (st unix.Statfs_t, size, free uint64) {
		if unix.Statfs(m.Root.Path(path), &st) != nil {
			return st, 0, 0 // what cannot be asked has no figures
		}
		return st, st.Blocks * uint64(st.Bsize), st.Bavail * uint64(st.Bsize)
	}
	root, size, free := room(m.card("/"))
	s.RootSize, s.RootFree, s.ReadOnly = size, free, !s.Active && root.Flags&unix.ST_RDONLY != 0
	if s.Active {
		_, size, free := room(rwDir)
		s.MemorySize, s.MemoryUsed = size, size-free
	}
	if s.Device != "" {
		_, s.StateSize, s.StateFree = room(stateDir)
	}
	return s, nil
}

// mountedFrom is the device of a mount point in mountinfo; "" when nothing is there.
func mountedFrom(mountinfo, at string) string {
	device := ""
	for line := range strings.Lines(mountinfo) {
		mount, source, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(mount), strings.Fields(source)
		if ok && len(f) > 4 && len(g) > 1 && f[4] == at {
			device = g[1]
		}
	}
	return device
}

// WriteTo is the status for people.
func (s Status) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	switch {
	case s.Active:
		fmt.Fprintf(&b, "overlay  on: the root is only read; %d of %d MiB of memory hold what was written since the boot\n", s.MemoryUsed>>20, s.MemorySize>>20)
	default:
		b.WriteString("overlay  off: the root is written to\n")
	}
	if s.Active != s.Next {
		fmt.Fprintf(&b, "         %s after the next boot\n", map[bool]string{true: "on", false: "off"}[s.Next])
	}
	switch {
	case s.Device != "":
		fmt.Fprintf(&b, "state    on %s (%s), %d of %d MiB free\n", s.Device, s.State, s.StateFree>>20, s.StateSize>>20)
	case s.State != "":
		fmt.Fprintf(&b, "state    MISSING: %s was not there at boot; the root's own copies are used, and what they take is lost\n", s.State)
	default:
		b.WriteString("state    on the root; `sierpi overlay on` gives it a partition\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
