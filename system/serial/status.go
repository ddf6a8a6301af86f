package serial

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// Status is what the serial line is now. It marshals to JSON.
type Status struct {
	Line     Line     `json:"line"`
	Found    bool     `json:"found"`             // the kernel has it, and a chip answers
	Problem  string   `json:"problem,omitempty"` // why not
	Consoles []string `json:"consoles"`          // where the kernel writes, the last is /dev/console
	Kernel   bool     `json:"kernel_console"`    // whether the line is among them
	Getty    string   `json:"getty,omitempty"`   // systemd's state of its login; empty: not known
	InUse    bool     `json:"in_use"`            // somebody is logged in there
	Changed  []string `json:"changed,omitempty"` // files that sierpi changed
}

// Status reads it; device is the config's.
func (m Manager) Status(ctx context.Context, device string) (Status, error) {
	line, err := Find(m.Root, device)
	if err != nil && system.ExitCodeOf(err) != system.ExitImpossible {
		return Status{}, err
	}
	s := Status{Line: line, Found: line.Ghost == "" && err == nil, Problem: line.Ghost, InUse: m.inUse(line.Device)}
	active, _ := m.Root.ReadString("/sys/class/tty/console/active")
	s.Consoles = strings.Fields(active)
	s.Kernel = slices.Contains(s.Consoles, line.Device)
	st, err := m.load()
	if err != nil {
		return s, err
	}
	for _, r := range st.Files {
		s.Changed = append(s.Changed, r.Path)
	}
	sd := m.Systemd
	if sd == nil && m.Root.Real() && m.hasSystemd() {
		if sd, err = connect(ctx); err != nil {
			return s, nil // not allowed, or not running: the state stays unknown
		}
		defer sd.Close()
	}
	if sd != nil {
		s.Getty, _ = sd.State(ctx, getty(line.Device))
	}
	return s, nil
}

// WriteTo prints the status for people.
func (s Status) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	yes := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(&b, "line            %s (%s)\n", s.Line.Device, s.Line.Why)
	fmt.Fprintf(&b, "there           %s", yes[s.Found])
	if s.Problem != "" {
		b.WriteString(": " + s.Problem)
	}
	fmt.Fprintf(&b, "\nkernel console  %s (the kernel writes to %s)\n", yes[s.Kernel], strings.Join(append(slices.Clone(s.Consoles), []string{"nothing"}[min(len(s.Consoles), 1):]...), ", "))
	if s.Getty != "" {
		fmt.Fprintf(&b, "login           %s\n", s.Getty)
	}
	fmt.Fprintf(&b, "somebody there  %s\n", yes[s.InUse])
	for _, c := range s.Changed {
		b.WriteString("changed file    " + c + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
