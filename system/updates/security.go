package updates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sierpi/sierpi/daemon/config"
)

const (
	aptPath   = "/etc/apt/apt.conf.d/52sierpi-updates" // after Debian's own 20auto-upgrades and 50unattended-upgrades
	timerPath = "/etc/systemd/system/apt-daily-upgrade.timer.d/10-sierpi.conf"
	timerUnit = "apt-daily-upgrade.timer"
	upgrader  = "/usr/bin/unattended-upgrade"
)

// Plan is what would be written for the security updates, or was.
type Plan struct {
	Changes []Change `json:"changes"`
	// Absent says why nothing can be done; empty: it can.
	Absent string `json:"absent,omitempty"`

	m Machine
}

// Change is one file.
type Change struct {
	Path string `json:"path"`
	Text string `json:"text,omitempty"` // empty: it is removed
}

// PlanApply says how the machine is brought to the config. It changes nothing.
func (m Machine) PlanApply(u config.Updates) (*Plan, error) {
	p := &Plan{m: m}
	if _, err := m.Root.Lstat(upgrader); err != nil {
		p.Absent = "unattended-upgrades is not installed (apt install unattended-upgrades): security updates are left to the owner"
		return p, nil
	}
	return p, errors.Join(p.want(aptPath, aptText(u)), p.want(timerPath, timerText(u)))
}

// PlanOff says how what PlanApply wrote is taken away.
func (m Machine) PlanOff() (*Plan, error) {
	p := &Plan{m: m}
	return p, errors.Join(p.want(aptPath, ""), p.want(timerPath, ""))
}

// want plans a file's text where it is another.
func (p *Plan) want(path, text string) error {
	have, err := p.m.Root.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text == "" {
			return nil
		}
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	} else if text != "" && bytes.Equal(have, []byte(text)) {
		return nil
	}
	p.Changes = append(p.Changes, Change{path, text})
	return nil
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	if p.Absent != "" {
		b.WriteString(p.Absent + "\n")
	}
	for _, c := range p.Changes {
		if c.Text == "" {
			fmt.Fprintf(&b, "remove %s\n", c.Path)
			continue
		}
		fmt.Fprintf(&b, "write %s\n", c.Path)
		for line := range strings.Lines(c.Text) {
			b.WriteString("    " + line)
		}
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

// Apply does it.
func (p *Plan) Apply(ctx context.Context) error {
	reload := false
	for _, c := range p.Changes {
		path := p.m.Root.Path(c.Path)
		reload = reload || c.Path == timerPath
		if c.Text == "" {
			if err := remove(path); err != nil {
				return fmt.Errorf("removing %s: %w", c.Path, err)
			}
			_ = os.Remove(filepath.Dir(path)) // another's drop-in keeps it
			continue
		}
		if err := replaceFile(path, []byte(c.Text), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", c.Path, err)
		}
	}
	if !reload {
		return nil
	}
	for _, args := range [][]string{{"daemon-reload"}, {"try-restart", "--no-block", timerUnit}} {
		if _, err := p.m.run(ctx, "systemctl", args...); err != nil {
			return fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

const written = " Written by `sierpi updates apply` from [updates] in /etc/sierpi/sierpi.toml; change it there.\n"

// aptText is apt's side of the config.
func aptText(u config.Updates) string {
	on, reboot := 0, "false"
	if u.Security {
		on = 1
	}
	if u.Reboot != "" {
		reboot = "true"
	}
	var b strings.Builder
	b.WriteString("//" + written)
	fmt.Fprintf(&b, "APT::Periodic::Update-Package-Lists \"%d\";\nAPT::Periodic::Unattended-Upgrade \"%d\";\n", on, on)
	fmt.Fprintf(&b, "Unattended-Upgrade::Automatic-Reboot \"%s\";\n", reboot)
	if u.Reboot != "" {
		// Somebody is always logged in: the wall.
		fmt.Fprintf(&b, "Unattended-Upgrade::Automatic-Reboot-Time \"%s\";\nUnattended-Upgrade::Automatic-Reboot-WithUsers \"true\";\n", u.Reboot)
	}
	return b.String()
}

// timerText is when it happens.
func timerText(u config.Updates) string {
	if !u.Security {
		return ""
	}
	return "#" + written + "[Timer]\nOnCalendar=\nOnCalendar=*-*-* " + u.Time + "\n# Not all boards of a house at once.\nRandomizedDelaySec=30min\n# A machine that was off catches up.\nPersistent=true\n"
}

// Status is how updates stand.
type Status struct {
	Security string `json:"security"` // in a sentence
	Last     Report `json:"last"`     // of sierpi
	Pending  bool   `json:"pending"`  // an update of sierpi is being watched
	Previous string `json:"previous"` // the version that is kept; empty: none
}

// Status reads how updates stand.
func (m Machine) Status(u config.Updates) (Status, error) {
	var s Status
	p, err := m.PlanApply(u)
	if err != nil {
		return s, err
	}
	switch {
	case p.Absent != "":
		s.Security = p.Absent
	case !p.Empty():
		s.Security = "not as the config says; `sudo sierpi updates apply` brings them there"
	case !u.Security:
		s.Security = "off"
	default:
		s.Security = "installed by themselves at " + u.Time
		if u.Reboot != "" {
			s.Security += "; restarts by itself at " + u.Reboot + " where one asks for it"
		}
	}
	if s.Last, err = ReadReport(m.Root); err != nil {
		return s, err
	}
	if _, s.Pending, err = readPending(m.Root); err != nil {
		return s, err
	}
	s.Previous, _ = m.PreviousVersion()
	return s, nil
}

// WriteTo is the status for people.
func (s Status) WriteTo(w io.Writer) (int64, error) {
	sierpi := s.Last.String()
	if s.Pending {
		sierpi = "an update is being watched"
	}
	kept := "none"
	if s.Previous != "" {
		kept = s.Previous + " (`sudo sierpi updates rollback` puts it back)"
	}
	n, err := fmt.Fprintf(w, "security updates   %s\nsierpi             %s\nkept version       %s\n", s.Security, sierpi, kept)
	return int64(n), err
}
