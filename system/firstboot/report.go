package firstboot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

const (
	// The folder is root's: the daemon reads it, and cannot steer the next boot by it.
	reportPath = "/var/lib/sierpi-firstboot/report.json"
	// agetty shows it above every login prompt, on the screen and the serial line.
	issuePath = "/run/issue.d/50-sierpi.issue"
	fatReport = bootDir + "/sierpi-firstboot.txt"
)

// Report is what the last boot that found something made of it.
type Report struct {
	Keys   []Key  `json:"keys"`
	Digest string `json:"digest,omitempty"` // of sierpi.toml's table, when all of it was taken over
	// NoUser: nobody can log in; the serial line offers to make the first user.
	NoUser bool `json:"no-user,omitempty"`
}

// ReadReport returns the last report; the zero Report when there is none, as on
// every machine that is not one of our images.
func ReadReport(root system.Root) (Report, error) {
	var r Report
	doc, err := root.ReadFile(reportPath)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return r, fmt.Errorf("reading the first boot's report: %w", err)
	}
	if err := json.Unmarshal(doc, &r); err != nil {
		return Report{}, fmt.Errorf("reading the first boot's report %s: %w; remove it, and the next boot writes it anew", reportPath, err)
	}
	return r, nil
}

// Failures are the keys that failed.
func (r Report) Failures() []Key {
	var out []Key
	for _, k := range r.Keys {
		if k.Outcome == Failed {
			out = append(out, k)
		}
	}
	return out
}

// secretFailed reports whether a file holds a secret that could not be taken over,
// or could not be read at all.
func (r Report) secretFailed(file string) bool {
	for _, k := range r.Failures() {
		if k.File == file && (k.Key == "" || strings.HasPrefix(k.Key, "user") || strings.HasPrefix(k.Key, "password") || strings.HasPrefix(k.Key, "wlan") || strings.HasPrefix(k.Key, "wifi")) {
			return true
		}
	}
	return false
}

// Text is the report for people.
func (r Report) Text() string {
	var b strings.Builder
	for _, k := range r.Keys {
		fmt.Fprintf(&b, "%-8s %s", k.Outcome, k.File)
		if k.Key != "" {
			b.WriteString(" " + printable(k.Key))
		}
		if k.Why != "" {
			b.WriteString(": " + printable(k.Why))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// printable keeps what stood in a file from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// issue is what stands above the login prompt. Its backslashes are agetty's.
func (r Report) issue() string {
	var b strings.Builder
	b.WriteString("Pages: http://\\n.local/  \\4\n")
	for _, k := range r.Keys {
		if k.Outcome != Applied {
			b.WriteString(strings.ReplaceAll(fmt.Sprintf("%s %s %s: %s", k.File, printable(k.Key), k.Outcome, printable(k.Why)), "\\", "\\\\") + "\n")
		}
	}
	if r.NoUser {
		b.WriteString("There is no user yet. On the serial line, type the name of the first one.\n")
	}
	return b.String() + "\n"
}

// writeReport keeps a report, and what it says above the login's prompt.
func (m Machine) writeReport(rep Report) error {
	doc, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(m.writeFile(reportPath, append(doc, '\n'), 0o644), m.writeFile(issuePath, []byte(rep.issue()), 0o644))
}

// link makes a symbolic link at path, over what is there: there is one at any moment.
func (m Machine) link(target, path string) error {
	full := m.Root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := os.Remove(full + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, full+".new"); err != nil {
		return err
	}
	if err := os.Rename(full+".new", full); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(full))
}

// writeFile replaces a file atomically and durably, and leaves one alone that is
// the same already: cards wear.
func (m Machine) writeFile(path string, data []byte, mode fs.FileMode) error {
	full := m.Root.Path(path)
	if st, err := os.Lstat(full); err == nil && st.Mode().IsRegular() && st.Mode().Perm() == mode {
		if old, err := os.ReadFile(full); err == nil && string(old) == string(data) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(full, data, mode)
}
