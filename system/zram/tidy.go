package zram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Tidied is what Tidy did to the devices that are set up for it, and the settings
// that they have. It marshals to JSON.
type Tidied struct {
	Devices []TidiedDevice `json:"devices"`
	Notes   []string       `json:"notes,omitempty"`
}

// TidiedDevice is one device before and after; bytes.
type TidiedDevice struct {
	Name         string `json:"name"`
	Recompressed bool   `json:"recompressed"` // idle and incompressible pages were compressed anew
	WrittenBack  bool   `json:"written_back"` // idle incompressible pages went to the backing device
	RAMBefore    uint64 `json:"ram_before"`
	RAMAfter     uint64 `json:"ram_after"`
	BackedBefore uint64 `json:"backed_before"`
	BackedAfter  uint64 `json:"backed_after"`
}

// Tidy does what the kernel leaves to user space: it compresses a second time what
// nobody touched since the last call, and what did not compress at all; moves what
// still does not and was not touched to the backing device; and marks everything as
// idle for the next call. Of devices that sierpi made, and that have a second
// algorithm or a backing device. Pages stay swapped out meanwhile.
func (m Manager) Tidy(ctx context.Context) (Tidied, error) {
	var out Tidied
	err := m.locked(ctx, func() error {
		now, err := m.observe()
		if err != nil {
			return err
		}
		for _, o := range now.state.Devices {
			d := now.find(o)
			if d == nil || d.Swap == nil || len(d.Secondary) == 0 && d.Backing == "" {
				continue
			}
			t, err := m.tidy(ctx, *d, &out)
			if err != nil {
				return explain(err)
			}
			out.Devices = append(out.Devices, t)
		}
		return nil
	})
	return out, err
}

func (m Manager) tidy(ctx context.Context, d Device, out *Tidied) (TidiedDevice, error) {
	r := &runner{Manager: m}
	dir := "/sys/block/" + d.Name + "/"
	// EAGAIN: the kernel does one such pass at a time.
	write := func(node, value string) error {
		err := whileBusy(ctx, func() error { return r.write(dir+node, value) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: writing %q to %s: %w", d.Name, value, node, err)
		}
		return err
	}
	t := TidiedDevice{Name: d.Name, RAMBefore: ramOf(d), BackedBefore: backedOf(d)}
	idle := true
	if _, err := m.Root.Lstat(dir + "idle"); err != nil {
		idle = false // a kernel that does not know what is idle
	}
	if len(d.Secondary) > 0 {
		kinds := []string{"type=huge"}
		if idle {
			kinds = append(kinds, "type=idle")
		}
		for _, kind := range kinds {
			err := write("recompress", kind)
			if err != nil {
				return t, err
			}
		}
		t.Recompressed = true
	}
	if d.Backing != "" {
		kind := "huge"
		if idle {
			kind = "huge_idle" // a card is written for what nobody asks for, and nothing else
		}
		err := write("writeback", kind)
		switch {
		case errors.Is(err, unix.ENOSPC):
			out.Notes = append(out.Notes, d.Name+": "+d.Backing+" is full")
		case errors.Is(err, unix.EIO):
			out.Notes = append(out.Notes, d.Name+": its writeback_limit is reached")
		case err != nil:
			return t, err
		}
		t.WrittenBack = true
	}
	if idle {
		if err := write("idle", "all"); err != nil {
			return t, err
		}
	}
	after, err := readFigures(m.Root, d.Name)
	if err != nil {
		return t, err
	}
	t.RAMAfter, t.BackedAfter = ramOf(after), backedOf(after)
	return t, nil
}

func ramOf(d Device) uint64 {
	if d.Memory == nil {
		return 0
	}
	return d.Memory.Used
}

func backedOf(d Device) uint64 {
	if d.Back == nil {
		return 0
	}
	return d.Back.Used * PageUnit
}

// WriteTo prints it for people.
func (t Tidied) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	if len(t.Devices) == 0 {
		b.WriteString("zram: no device of sierpi's has a second algorithm or a backing device; see recompress and writeback below [zram]\n")
	}
	for _, d := range t.Devices {
		fmt.Fprintf(&b, "%s: %s of RAM before, %s after", d.Name, formatBytes(d.RAMBefore), formatBytes(d.RAMAfter))
		if d.WrittenBack {
			fmt.Fprintf(&b, "; %s on its backing device before, %s after", formatBytes(d.BackedBefore), formatBytes(d.BackedAfter))
		}
		b.WriteString("\n")
	}
	for _, n := range t.Notes {
		b.WriteString("note: " + n + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// tidyMark tells sierpi-zram-tidy.timer that there is something to do.
const tidyMark = "zram-tidy"

// mark leaves the mark or takes it away, by what the devices are set up for.
func (m Manager) mark(ours state) error {
	path := filepath.Join(m.RunDir, tidyMark)
	// Who asked for neither need not look whether the kernel has it.
	var now machine
	var err error
	if slices.ContainsFunc(ours.Devices, func(o owned) bool { return len(o.Spec.Recompress) > 0 || o.Spec.Writeback != "" }) {
		now, err = m.observe()
	}
	if err != nil && !errors.Is(err, ErrAbsent) && system.ExitCodeOf(err) != system.ExitImpossible {
		return err
	}
	for _, o := range ours.Devices {
		if d := now.find(o); d != nil && (len(d.Secondary) > 0 || d.Backing != "") {
			return os.WriteFile(path, nil, 0o644)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
