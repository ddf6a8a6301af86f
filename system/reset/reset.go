// Package reset brings a machine back to what it was before its owner used it: state,
// caches and config of sierpi, and the answers of the first boot are asked for again. The
// system's users, passwords, keys and network stay.
//
// A note in /var/lib/sierpi-system is written before the first file goes and removed after the
// last: a reset that a power cut interrupts goes on at the next boot.
package reset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

const (
	notePath      = "/var/lib/sierpi-system/reset-pending"
	statePath     = "/var/lib/sierpi"
	cachePath     = "/var/cache/sierpi"
	configPath    = "/etc/sierpi/sierpi.toml"
	referencePath = "/usr/share/sierpi/sierpi.toml"
	firstbootPath = "/var/lib/sierpi-firstboot/report.json"
)

// known are the names in a state folder that is not the service's, where nothing else may go.
var known = []string{"sierpi.db", "sierpi.db-wal", "sierpi.db-shm", "sierpi-schema-*.db", "owner.json", "owner-sessions.json", "visitors.json", "energy.json", "config-last-good.toml", "cache", "run", "restore", "before-restore"}

// Item is something that goes.
type Item struct {
	Path string `json:"path"`
	What string `json:"what"`
}

// Plan is what goes and what stays.
type Plan struct {
	Remove []Item   `json:"remove"`
	Keep   []string `json:"keep"`

	root system.Root
	all  bool // the whole machine, not only a folder
}

// Options say what is reset.
type Options struct {
	Root     system.Root
	State    string // a state folder alone; "": the machine's
	Backups  string // the folder for backups, which stays wherever it is
	Database string // the PostgreSQL server's database, which stays; "": none
}

// NewPlan looks at what there is. It changes nothing.
func NewPlan(o Options) (*Plan, error) {
	p := &Plan{root: o.Root}
	if o.State != "" {
		for _, name := range known {
			found, err := filepath.Glob(filepath.Join(o.State, name))
			if err != nil {
				return nil, fmt.Errorf("looking into %s: %w", o.State, err)
			}
			for _, f := range found {
				p.add(f, "of the state", o.Backups)
			}
		}
	} else {
		p.all = true
		for _, dir := range []struct{ path, what string }{
			{statePath, "quotes, chat, scores, the universe, the owner's secret, bans"},
			{cachePath, "copies of what other machines sent"},
		} {
			entries, err := o.Root.ReadDir(dir.path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("looking into %s: %w", dir.path, err)
			}
			for _, e := range entries {
				kept := ""
				if o.Backups != "" {
					kept = o.Root.Path(o.Backups)
				}
				p.add(o.Root.Path(filepath.Join(dir.path, e.Name())), dir.what, kept)
			}
		}
		for _, f := range []Item{
			{configPath, "the config; the commented reference takes its place"},
			{configPath + ".before-restore", "the config of before a restore"},
			{firstbootPath, "that the first boot was; the next start asks its settings again"},
		} {
			if _, err := o.Root.Lstat(f.Path); err == nil {
				p.Remove = append(p.Remove, Item{o.Root.Path(f.Path), f.What})
			}
		}
		p.Keep = append(p.Keep, "the system's users with their passwords and keys, its name, network and time zone",
			"the boot partition, with the sierpi.toml on it: its [firstboot] table is taken over again at the next start",
			"zram and the serial line as they are, until the next start sets them up by the defaults")
	}
	if o.Database != "" {
		p.Keep = append(p.Keep, "what is in "+o.Database+": other machines may use it; empty it there")
	}
	if o.Backups != "" {
		p.Keep = append(p.Keep, "the backups in "+o.Backups)
	}
	return p, nil
}

// add plans the removal of a path, but not of the folder with the backups or what leads to it.
func (p *Plan) add(path, what, backups string) {
	if backups != "" && (path == backups || strings.HasPrefix(backups, path+"/")) {
		return
	}
	p.Remove = append(p.Remove, Item{path, what})
}

// Empty reports whether there is nothing to remove.
func (p *Plan) Empty() bool { return len(p.Remove) == 0 }

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	last := ""
	for _, i := range p.Remove {
		if i.What != last {
			fmt.Fprintf(&b, "removes %s:\n", i.What)
			last = i.What
		}
		fmt.Fprintf(&b, "  %s\n", i.Path)
	}
	if len(p.Remove) == 0 {
		b.WriteString("there is nothing to remove\n")
	}
	for _, k := range p.Keep {
		fmt.Fprintf(&b, "keeps %s\n", k)
	}
	return b.String()
}

// Pending reports whether a reset was interrupted.
func Pending(root system.Root) bool {
	_, err := root.Lstat(notePath)
	return err == nil
}

// Apply does it. Nobody may use the state meanwhile.
func (p *Plan) Apply() error {
	note := p.root.Path(notePath)
	if p.all {
		if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
			return fmt.Errorf("noting the reset: %w", err)
		}
		if err := atomicfile.Write(note, []byte("goes on at the next boot\n"), 0o644); err != nil {
			return fmt.Errorf("noting the reset: %w", err)
		}
	}
	for _, i := range p.Remove {
		if i.Path == p.root.Path(configPath) {
			if err := p.freshConfig(i.Path); err != nil {
				return fmt.Errorf("putting the reference in the config's place: %w", err)
			}
			continue
		}
		// RemoveAll removes links, and does not follow them.
		if err := os.RemoveAll(i.Path); err != nil {
			return fmt.Errorf("removing what is reset: %w", err)
		}
	}
	if !p.all {
		return nil
	}
	if err := syncAll(p.root); err != nil {
		return fmt.Errorf("removing what is reset: %w", err)
	}
	if err := os.Remove(note); err != nil {
		return fmt.Errorf("ending the reset: %w", err)
	}
	return syncAll(p.root)
}

// freshConfig lays the reference where the config was, under its owner and mode.
func (p *Plan) freshConfig(path string) error {
	doc, err := p.root.ReadFile(referencePath)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Remove(path)
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	return atomicfile.Write(path, doc, fs.FileMode(st.Mode&0o777), func(f *os.File) error {
		if os.Geteuid() != 0 {
			return nil
		}
		return f.Chown(int(st.Uid), int(st.Gid))
	})
}

// syncAll makes what was done durable.
func syncAll(root system.Root) error {
	for _, dir := range []string{"/var/lib/sierpi-system", "/etc"} {
		d, err := os.Open(root.Path(dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = unix.Syncfs(int(d.Fd()))
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
