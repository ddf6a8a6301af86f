package serial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// Manager plans and applies on one machine.
type Manager struct {
	Root     system.Root
	StateDir string  // where changes are noted across boots
	Systemd  Systemd // nil: the one on the bus, if this is the machine itself and runs it
}

// At is the manager of the machine below root. Its notes lie apart from the daemon's
// folder: what the daemon's user can write must not steer root's commands.
func At(root system.Root) Manager {
	return Manager{Root: root, StateDir: root.Path("/var/lib/sierpi-system")}
}

// FileEdit is one file to be changed.
type FileEdit struct {
	Path    string   `json:"path"`
	Changes []string `json:"changes"`

	now, next   []byte // nil: the file is not there
	note        *record
	backup, fat bool
}

// UnitStep is one thing to do with systemd.
type UnitStep struct {
	Do   string `json:"do"` // "enable", "restart", "disable", "stop", "mask", "unmask"
	Unit string `json:"unit"`
}

// Plan is what would be done, and what is left alone and why.
type Plan struct {
	Line     *Line      `json:"line,omitempty"`
	Files    []FileEdit `json:"files,omitempty"`
	Commands [][]string `json:"commands,omitempty"`
	Units    []UnitStep `json:"units,omitempty"`
	Reboot   bool       `json:"reboot"` // whether a reboot is needed for all of it
	Notes    []string   `json:"notes,omitempty"`

	state state
	after state
}

// Empty reports that everything is as it should be.
func (p Plan) Empty() bool { return len(p.Files)+len(p.Commands)+len(p.Units) == 0 }

// String is the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	if p.Line != nil {
		fmt.Fprintf(&b, "line    %s (%s)\n", p.Line.Device, p.Line.Why)
	}
	if p.Empty() {
		b.WriteString("serial: nothing to change\n")
	}
	for _, f := range p.Files {
		fmt.Fprintf(&b, "edit    %s\n", f.Path)
		if f.note == nil || f.note.Kind == kindOwn {
			for _, c := range f.Changes {
				b.WriteString("          " + c + "\n")
			}
			continue
		}
		// As a diff has it: a token or a line each.
		for _, o := range f.note.Ops {
			for line := range strings.Lines(o.Remove) {
				b.WriteString("        - " + strings.TrimRight(line, "\r\n") + "\n")
			}
			for line := range strings.Lines(o.Add) {
				b.WriteString("        + " + strings.TrimRight(line, "\r\n") + "\n")
			}
		}
	}
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "run     %s\n", strings.Join(c, " "))
	}
	for _, u := range p.Units {
		fmt.Fprintf(&b, "%-7s %s\n", u.Do, u.Unit)
	}
	for _, n := range p.Notes {
		b.WriteString("note    " + n + "\n")
	}
	if p.Reboot {
		b.WriteString("reboot  needed before all of it is in force\n")
	}
	return b.String()
}

// record is what was done to one file.
type record struct {
	Path   string  `json:"path"`
	Kind   kind    `json:"kind"`
	Before *string `json:"before"` // nil: there was no file
	After  string  `json:"after"`
	Ops    []op    `json:"ops"`
}

type kind string

const (
	kindTokens kind = "tokens"
	kindLines  kind = "lines"
	kindOwn    kind = "own" // a file of ours alone
)

// state is what is noted across boots.
type state struct {
	Files   []record `json:"files,omitempty"`
	Enabled []string `json:"enabled,omitempty"` // units that we enabled
	Masked  []string `json:"masked,omitempty"`
}

func (m Manager) stateFile() string { return filepath.Join(m.StateDir, "serial.json") }

func (m Manager) load() (state, error) {
	var s state
	b, err := os.ReadFile(m.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return state{}, fmt.Errorf("reading what sierpi changed for the serial line: %s: %w", m.stateFile(), err)
	}
	return s, nil
}

// undone is the text of a recorded file without what we did to it; nil: no file.
func (r record) undone(now []byte) []byte {
	if same(now, r.After, r.Kind) {
		if r.Before == nil {
			return nil
		}
		return []byte(*r.Before)
	}
	if r.Before != nil && same(now, *r.Before, r.Kind) {
		return []byte(*r.Before) // somebody took it back before us
	}
	if r.Kind == kindLines && r.Before != nil && halfGrown(now, []byte(*r.Before), []byte(r.After)) {
		return []byte(*r.Before)
	}
	switch r.Kind {
	case kindTokens:
		return undoTokens(now, r.Ops)
	case kindLines:
		return undoLines(now, r.Ops)
	}
	return now // somebody made the file theirs
}

// same compares a file with a text. Line ends at the end of a command line are
// what an interrupted overwriteSector may have left.
func same(now []byte, text string, k kind) bool {
	if k == kindTokens {
		return strings.TrimRight(string(now), "\n") == strings.TrimRight(text, "\n")
	}
	return string(now) == text
}

// halfGrown reports whether now is what a cut leaves of a file that was growing from
// before to after: behind what was there each byte is a new one, or a zero where the new
// one did not arrive.
func halfGrown(now, before, after []byte) bool {
	if len(now) <= len(before) || len(now) > len(after) || !bytes.HasPrefix(now, before) || !bytes.HasPrefix(after, before) {
		return false
	}
	for i := len(before); i < len(now); i++ {
		if now[i] != 0 && now[i] != after[i] {
			return false
		}
	}
	return true
}

// maxFile bounds what is read of a boot file.
const maxFile = 1 << 20

// edit plans one file: base is what it would be without us, make turns that into
// what it shall be. A file that is not there is left alone unless it is ours.
func (m Manager) edit(p *Plan, file string, k kind, make func(base []byte) ([]byte, []op, error)) error {
	now, err := m.Root.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		now = nil
		if k != kindOwn {
			return nil
		}
	case err != nil:
		return fmt.Errorf("reading %s: %w", file, err)
	case len(now) > maxFile:
		return fmt.Errorf("%s has %d bytes: this is not what it should be", file, len(now))
	case now == nil:
		now = []byte{}
	}
	// A cut while it grew: FAT noted the new length before the new bytes were there.
	base := bytes.TrimRight(now, "\x00")
	if now == nil {
		base = nil
	}
	i := slices.IndexFunc(p.after.Files, func(r record) bool { return r.Path == file })
	if i >= 0 {
		base = p.after.Files[i].undone(base)
	}
	next, ops, err := make(base)
	if err != nil {
		return &system.Error{Code: system.ExitFailed, Err: fmt.Errorf("%s: %w", file, err), Remedy: "nothing was changed"}
	}
	var note *record
	if len(ops) > 0 {
		note = &record{Path: file, Kind: k, After: string(next), Ops: ops}
		if base != nil {
			note.Before = new(string(base))
		}
	}
	if bytes.Equal(now, next) && (now == nil) == (next == nil) {
		return nil
	}
	if i >= 0 {
		p.after.Files = slices.Delete(slices.Clone(p.after.Files), i, i+1)
	}
	if note != nil {
		p.after.Files = append(p.after.Files, *note)
	}
	f := FileEdit{Path: file, now: now, next: next, note: note, backup: k != kindOwn, fat: k == kindTokens}
	for _, o := range ops {
		f.Changes = append(f.Changes, o.String())
	}
	switch {
	case len(ops) == 0 && next == nil:
		f.Changes = append(f.Changes, "delete it: sierpi made it")
	case len(ops) == 0:
		f.Changes = append(f.Changes, "take back what sierpi changed")
	}
	p.Files = append(p.Files, f)
	return nil
}

// PlanApply computes what brings this machine to the config.
func (m Manager) PlanApply(cfg config.Serial) (Plan, error) {
	if !cfg.Enabled {
		p, err := m.PlanOff()
		p.Notes = append(p.Notes, "the serial line is switched off in the config: enabled = false")
		return p, err
	}
	if err := checkLine(cfg.Baud, cfg.Term); err != nil {
		return Plan{}, err
	}
	line, err := Find(m.Root, cfg.Device)
	if err != nil {
		return Plan{}, err
	}
	st, err := m.load()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Line: &line, state: st, after: st}
	c := Console{Names: line.names(), Baud: cfg.Baud, On: cfg.KernelConsole}
	if err := m.planBoot(&p, c, line); err != nil {
		return Plan{}, err
	}
	if err := m.planGetty(&p, cfg, line); err != nil {
		return Plan{}, err
	}
	active, _ := m.Root.ReadString("/sys/class/tty/console/active")
	if cfg.KernelConsole && !m.hasBootFiles() && !slices.Contains(strings.Fields(active), line.Device) {
		p.Notes = append(p.Notes, "no boot loader that sierpi knows is here: add "+c.token()+" to the kernel's command line by hand")
	}
	if _, err := m.Root.Lstat("/etc/inittab"); cfg.Login && err != nil && !m.hasSystemd() {
		p.Notes = append(p.Notes, "neither systemd nor /etc/inittab is here: nothing starts a login on "+line.Device)
	}
	// Files that an earlier config needed and this one does not.
	for _, r := range slices.Clone(p.after.Files) {
		if r.Kind == kindOwn && r.Path != dropIn(line.Device) {
			if err := m.edit(&p, r.Path, r.Kind, takeBack); err != nil {
				return Plan{}, err
			}
		}
	}
	if line.Ghost != "" {
		p.Reboot = true
		p.Notes = append(p.Notes, line.Ghost+": the firmware switches it on at the next boot")
	}
	return p, nil
}

// planBoot plans the files that the firmware, the boot loader or init reads.
func (m Manager) planBoot(p *Plan, c Console, line Line) error {
	files := len(p.Files)
	if dir := m.firmwareDir(); dir != "" {
		err := m.edit(p, dir+"/cmdline.txt", kindTokens, func(base []byte) ([]byte, []op, error) { return editCmdline(base, c) })
		if err != nil {
			return err
		}
		include := func(name string) ([]byte, error) { return m.Root.ReadFile(path.Join(dir, path.Clean("/"+name))) }
		err = m.edit(p, dir+"/config.txt", kindLines, func(base []byte) ([]byte, []op, error) {
			out, ops := editConfigTxt(base, line.Pi5, include)
			return out, ops, nil
		})
		if err != nil {
			return err
		}
	}
	err := m.edit(p, "/etc/default/raspi-firmware", kindLines, func(base []byte) ([]byte, []op, error) {
		out, ops := editRaspiFirmware(base, c)
		return out, ops, nil
	})
	if err != nil {
		return err
	}
	grub := len(p.Files)
	err = m.edit(p, "/etc/default/grub", kindLines, func(base []byte) ([]byte, []op, error) {
		out, ops := editGrub2(base, c, line.Unit)
		return out, ops, nil
	})
	if err != nil {
		return err
	}
	if len(p.Files) > grub {
		p.Commands = append(p.Commands, m.updateGrub())
	}
	seen := map[string]bool{}
	for _, name := range []string{"/boot/grub/grub.conf", "/boot/grub/menu.lst", "/etc/grub.conf"} {
		target := m.follow(name)
		if seen[target] {
			continue
		}
		seen[target] = true
		err := m.edit(p, target, kindLines, func(base []byte) ([]byte, []op, error) {
			out, ops := editGrubLegacy(base, c, line.Unit)
			return out, ops, nil
		})
		if err != nil {
			return err
		}
	}
	p.Reboot = p.Reboot || len(p.Files) > files
	return nil
}

// planGetty plans the login: systemd's getty, or init's.
func (m Manager) planGetty(p *Plan, cfg config.Serial, line Line) error {
	err := m.edit(p, "/etc/securetty", kindLines, func(base []byte) ([]byte, []op, error) {
		if !cfg.Login {
			return base, nil, nil // an earlier config's line goes
		}
		out, ops := editSecuretty(base, line.Device)
		return out, ops, nil
	})
	if err != nil {
		return err
	}
	if !m.hasSystemd() {
		before := len(p.Files)
		err = m.edit(p, "/etc/inittab", kindLines, func(base []byte) ([]byte, []op, error) {
			out, ops := editInittab(base, line.Device, cfg.Baud, cfg.Term, cfg.Login)
			return out, ops, nil
		})
		if len(p.Files) > before {
			p.Commands = append(p.Commands, []string{"telinit", "q"})
		}
		return err
	}
	unit := getty(line.Device)
	if !cfg.Login {
		if !slices.Contains(p.after.Masked, unit) {
			p.Units = append(p.Units, UnitStep{"mask", unit}, UnitStep{"stop", unit})
			p.after.Masked = append(slices.Clone(p.after.Masked), unit)
		}
		return nil
	}
	if slices.Contains(p.after.Masked, unit) {
		p.Units = append(p.Units, UnitStep{"unmask", unit})
		p.after.Masked = slices.DeleteFunc(slices.Clone(p.after.Masked), func(u string) bool { return u == unit })
	}
	before := len(p.Files)
	text := gettyDropIn(cfg.Baud, cfg.Term, m.loginProgram())
	err = m.edit(p, dropIn(line.Device), kindOwn, func(base []byte) ([]byte, []op, error) {
		return []byte(text), []op{{Add: text}}, nil
	})
	if err != nil {
		return err
	}
	changed := len(p.Files) > before
	if changed {
		p.Files[len(p.Files)-1].Changes = []string{fmt.Sprintf("a login at %d baud for a %s", cfg.Baud, cfg.Term)}
	}
	if _, err := m.Root.Lstat(wants(unit)); err != nil {
		p.Units = append(p.Units, UnitStep{"enable", unit})
		if !slices.Contains(p.after.Enabled, unit) { // a run killed before systemd's answer noted it already
			p.after.Enabled = append(slices.Clone(p.after.Enabled), unit)
		}
		changed = true
	}
	switch {
	case line.Ghost != "":
	case changed && m.inUse(line.Device):
		p.Notes = append(p.Notes, "somebody is logged in on "+line.Device+": its getty gets the new settings after the logout")
	case changed:
		p.Units = append(p.Units, UnitStep{"restart", unit})
	}
	return nil
}

// PlanOff computes what takes away everything that Apply made, and nothing else.
func (m Manager) PlanOff() (Plan, error) {
	st, err := m.load()
	if err != nil {
		return Plan{}, err
	}
	p := Plan{state: st, after: st}
	for _, r := range slices.Clone(st.Files) {
		if _, err := m.Root.Lstat(r.Path); err != nil && r.Kind != kindOwn {
			p.Notes = append(p.Notes, r.Path+" is no longer there")
			continue
		}
		if err := m.edit(&p, r.Path, r.Kind, takeBack); err != nil {
			return Plan{}, err
		}
		switch {
		case r.Path == "/etc/default/grub":
			p.Commands = append(p.Commands, m.updateGrub())
			p.Reboot = true
		case r.Path == "/etc/inittab":
			p.Commands = append(p.Commands, []string{"telinit", "q"})
		case strings.HasPrefix(r.Path, "/boot/"):
			p.Reboot = true
		}
	}
	for _, u := range st.Enabled {
		p.Units = append(p.Units, UnitStep{"disable", u})
	}
	for _, u := range st.Masked {
		p.Units = append(p.Units, UnitStep{"unmask", u})
	}
	for _, u := range st.Enabled {
		device := strings.TrimSuffix(strings.TrimPrefix(u, "serial-getty@"), ".service")
		// systemd has a login there by itself when the kernel writes there and it was not sierpi
		// who told it to.
		_, err := m.Root.Lstat("/run/systemd/generator/getty.target.wants/" + u)
		stays := err == nil && !p.Reboot
		switch {
		case m.inUse(device) && stays:
			p.Notes = append(p.Notes, "somebody is logged in on "+device+": the session is left alone; the next login is as the system has it")
		case m.inUse(device):
			p.Notes = append(p.Notes, "somebody is logged in on "+device+": the session is left alone and its getty ends with the next boot")
		case stays:
			p.Units = append(p.Units, UnitStep{"restart", u})
			p.Notes = append(p.Notes, "the kernel writes to "+device+" by the system's own settings, and the login there stays, as the system has it")
		default:
			p.Units = append(p.Units, UnitStep{"stop", u})
		}
	}
	p.after = state{}
	return p, nil
}

func takeBack(base []byte) ([]byte, []op, error) { return base, nil, nil }

// hasBootFiles tells whether planBoot found anything to look at.
func (m Manager) hasBootFiles() bool {
	return m.firmwareDir() != "" || slices.ContainsFunc([]string{"/etc/default/grub", "/boot/grub/grub.conf", "/boot/grub/menu.lst", "/etc/grub.conf"},
		func(path string) bool { _, err := m.Root.Lstat(path); return err == nil })
}

// firmwareDir is where the Raspberry Pi's firmware reads its files: Debian and
// newer images have them in /boot/firmware and leave a notice in /boot.
func (m Manager) firmwareDir() string {
	for _, dir := range []string{"/boot/firmware", "/boot"} {
		text, err := m.Root.ReadFile(dir + "/cmdline.txt")
		if err == nil && !strings.Contains(string(text), "DO NOT EDIT THIS FILE") {
			return dir
		}
	}
	return ""
}

// follow resolves a symbolic link, so that it stays one; within the root.
func (m Manager) follow(name string) string {
	for range 8 {
		target, err := m.Root.Readlink(name)
		if err != nil {
			break
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = path.Clean(target)
	}
	return name
}

func (m Manager) updateGrub() []string {
	for _, p := range []string{"/usr/sbin/update-grub", "/sbin/update-grub"} {
		if _, err := m.Root.Lstat(p); err == nil {
			return []string{"update-grub"}
		}
	}
	if _, err := m.Root.Lstat("/boot/grub2"); err == nil {
		return []string{"grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"}
	}
	return []string{"grub-mkconfig", "-o", "/boot/grub/grub.cfg"}
}

// hasSystemd tells whether systemd runs here, or, in a tree of files, will.
func (m Manager) hasSystemd() bool {
	if _, err := m.Root.Lstat("/run/systemd/system"); err == nil {
		return true
	}
	if m.Root.Real() {
		return false
	}
	return len(m.Root.Glob("/usr/lib/systemd/systemd"))+len(m.Root.Glob("/lib/systemd/systemd")) > 0
}

func getty(device string) string { return "serial-getty@" + device + ".service" }

func dropIn(device string) string {
	return "/etc/systemd/system/" + getty(device) + ".d/sierpi.conf"
}

// loginProgram is what sierpi's package puts before login(1), for the first boot;
// empty if it is not installed.
func (m Manager) loginProgram() string {
	const path = "/usr/lib/sierpi/login"
	if _, err := m.Root.Lstat(path); err != nil {
		return ""
	}
	return path
}

// gettyDropIn fixes what the stock unit guesses: its list of speeds begins at
// 115200, keeping whatever the line is at, and its terminal is vt220 whatever is
// connected. It comes after the package's own 10-sierpi.conf and replaces its
// command, so it must name the same login program.
func gettyDropIn(baud int, term, login string) string {
	if login != "" {
		login = "--login-program " + login + " "
	}
	return fmt.Sprintf(`# Written by "sierpi serial apply"; "sierpi serial off" takes it away.
[Service]
Environment=TERM=%[2]s
ExecStart=
ExecStart=-/sbin/agetty %[3]s-o '-- \\u' --noreset --noclear %[1]d %%I %[2]s
`, baud, term, login)
}

// inUse tells whether a session runs on the line: a process of the line's that
// is no getty and no login waiting for a password.
func (m Manager) inUse(device string) bool {
	dev, err := m.Root.ReadString("/sys/class/tty/" + device + "/dev")
	var major, minor int
	if n, _ := fmt.Sscanf(dev, "%d:%d", &major, &minor); err != nil || n != 2 {
		return false
	}
	number := minor&0xff | major<<8 | minor&^0xff<<12 // the kernel's encoding in /proc/PID/stat
	for _, file := range m.Root.Glob("/proc/[0-9]*/stat") {
		stat, err := m.Root.ReadString(file)
		// The name, in parentheses, may hold blanks and parentheses.
		open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
		if err != nil || open < 0 || end < open {
			continue
		}
		fields := strings.Fields(stat[end+1:])
		if len(fields) < 5 || fields[4] != fmt.Sprint(number) {
			continue
		}
		switch stat[open+1 : end] {
		case "agetty", "getty", "mingetty", "login":
		default:
			return true
		}
	}
	return false
}
