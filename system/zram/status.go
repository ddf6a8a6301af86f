package zram

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// Status is what compressed swap does now. It marshals to JSON.
type Status struct {
	Devices []DeviceStatus `json:"devices"`
	Swaps   []Swap         `json:"other_swaps,omitempty"` // swap areas that are not zram
	RAM     uint64         `json:"ram"`                   // bytes
	Free    uint64         `json:"available"`             // bytes that programs can have without swapping
	KSM     *KSM           `json:"ksm,omitempty"`
	KSMSize uint64         `json:"ksm_saved,omitempty"` // bytes
	Notes   []string       `json:"notes,omitempty"`
}

// DeviceStatus is a device, who made it and what for.
type DeviceStatus struct {
	Device
	Ours  bool   `json:"ours"`
	Owner string `json:"owner,omitempty"` // who probably made it; empty if nobody can be named
	Use   string `json:"use,omitempty"`   // "swap", "mounted on /tmp"; empty: nothing
}

// Status reads it. A machine without zram gets a Status that says so, not an error.
func (m Manager) Status() (Status, error) {
	var s Status
	memory, err := system.ReadMemory(m.Root)
	if err != nil {
		return s, err
	}
	s.RAM, s.Free = memory.Total, memory.Available
	swaps, err := Swaps(m.Root)
	if err != nil {
		return s, err
	}
	for _, sw := range swaps {
		if sw.zram() == "" {
			s.Swaps = append(s.Swaps, sw)
		}
	}
	if ksm, ok := ReadKSM(m.Root); ok {
		s.KSM, s.KSMSize = &ksm, ksm.Saved()
	}
	now, err := m.observe()
	if errors.Is(err, ErrAbsent) || system.ExitCodeOf(err) == system.ExitImpossible {
		s.Notes = append(s.Notes, err.Error())
		return s, nil
	}
	if err != nil {
		return s, err
	}
	var p Plan
	m.advise(machine{}, &p)
	s.Notes = append(s.Notes, p.Notes...)
	for _, d := range now.devices {
		ds := DeviceStatus{Device: d, Use: use(m.Root, d)}
		for _, o := range now.state.Devices {
			if found := now.find(o); found != nil && found.Name == d.Name {
				ds.Ours, ds.Owner = true, "sierpi"
				if missing := o.Spec.Recompress; len(missing) > 0 && len(d.Secondary) == 0 {
					s.Notes = append(s.Notes, d.Name+": this kernel has no recompression; "+strings.Join(missing, ", ")+" is not used")
				}
				if o.Spec.Writeback != "" && d.Backing == "" {
					s.Notes = append(s.Notes, d.Name+": this kernel has no writeback; "+o.Spec.Writeback+" is not used")
				}
			}
		}
		if !ds.Ours && ds.Use != "" {
			if p := providerOf(m.Root, d.Name); p != nil {
				ds.Owner = p.name
			}
		}
		s.Devices = append(s.Devices, ds)
	}
	return s, nil
}

// WriteTo prints the status for people: a table, a bar for each device, what
// merging saves. Lines are at most 80 columns, but for notes.
func (s Status) WriteTo(w io.Writer) (int64, error) {
	ink := system.InkFor(w)
	var b strings.Builder
	var out, data, used uint64
	active := false
	row := func(paint func(string) string, cells ...string) {
		line := fmt.Sprintf("%-6s %9s %9s %10s %9s %5s %-7s %4s %s", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7], cells[8])
		b.WriteString(paint(line) + "\n")
	}
	plain := func(s string) string { return s }
	if len(s.Devices) > 0 {
		row(ink.Bold, "DEVICE", "SIZE", "DATA", "COMPRESSED", "RAM", "RATIO", "WITH", "PRIO", "BY")
	}
	for _, d := range s.Devices {
		if d.Size == 0 {
			row(ink.Dim, d.Name, "-", "-", "-", "-", "-", "-", "-", "not set up")
			continue
		}
		mm := MemoryStat{}
		if d.Memory != nil {
			mm = *d.Memory
		}
		ratio, priority, by := "-", "-", d.Owner
		if mm.Used > 0 {
			ratio = strconv.FormatFloat(mm.Ratio(), 'f', 2, 64)
		}
		if d.Swap != nil {
			priority = strconv.Itoa(int(d.Swap.Priority))
		}
		if by == "" {
			by = "-"
		}
		row(plain, d.Name, formatBytes(d.Size), formatBytes(mm.Original), formatBytes(mm.Compressed), formatBytes(mm.Used), ratio, d.Algorithm, priority, by)
		in, what := mm.Original, d.Use
		if d.Swap != nil {
			in, what = d.Swap.Used, "swapped out"
			active = true
			out, data, used = out+d.Swap.Used, data+mm.Original, used+mm.Used
		}
		fmt.Fprintf(&b, "        %s %s %s\n", ink.Bar(float64(in), float64(d.Size), 40), percent(in, d.Size), what)
		var more []string
		if d.Memory != nil {
			more = append(more, fmt.Sprintf("%d same-filled", mm.SamePages), fmt.Sprintf("%d incompressible", mm.HugePages))
			if mm.Limit > 0 {
				more = append(more, "limit "+formatBytes(mm.Limit))
			}
		}
		if d.Back != nil {
			more = append(more, formatBytes(d.Back.Used*PageUnit)+" written back")
		}
		if len(more) > 0 {
			fmt.Fprintf(&b, "        %s\n", ink.Dim("pages: "+strings.Join(more, ", ")))
		}
		if len(d.Secondary) > 0 {
			fmt.Fprintf(&b, "        %s\n", ink.Dim("second pass: "+strings.Join(d.Secondary, ", ")))
		}
		if d.IO != nil && d.IO.FailedReads+d.IO.FailedWrites > 0 {
			fmt.Fprintf(&b, "        %s\n", ink.Bad(fmt.Sprintf("%d reads and %d writes FAILED", d.IO.FailedReads, d.IO.FailedWrites)))
		}
	}
	switch {
	case out > 0:
		fmt.Fprintf(&b, "%s in %s of RAM: %s gained, %s of this machine's %s\n", formatBytes(data), formatBytes(used),
			formatBytes(data-min(data, used)), percent(data-min(data, used), s.RAM), formatBytes(s.RAM))
	case active:
		b.WriteString("nothing is swapped out\n")
	}
	for _, sw := range s.Swaps {
		fmt.Fprintf(&b, "beside it: %s, %s, %s used, priority %d\n", sw.Path, formatBytes(sw.Size), formatBytes(sw.Used), sw.Priority)
	}
	switch {
	case s.KSM == nil:
	case s.KSM.Sharing > 0:
		fmt.Fprintf(&b, "same-page merging saves %s (%d pages stand for %d)\n", formatBytes(s.KSMSize), s.KSM.Shared, s.KSM.Shared+s.KSM.Sharing)
	case s.KSM.Running:
		b.WriteString("same-page merging runs and saves nothing yet\n")
	default:
		b.WriteString("same-page merging (KSM) is off\n")
	}
	for _, n := range s.Notes {
		b.WriteString(ink.Warn("note:") + " " + n + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64) + " %"
}
