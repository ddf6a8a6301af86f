package zram

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/system"
)

// PageUnit is the unit of bd_stat's columns in bytes, whatever the page size.
const PageUnit = 4096

// Device is one zram block device and everything the kernel says of it. Nodes
// that a kernel lacks leave their field empty or nil.
type Device struct {
	Name      string   `json:"name"`                // "zram0"
	Size      uint64   `json:"size"`                // disksize in bytes; 0: not set up
	Algorithm string   `json:"algorithm,omitempty"` // the one in use
	Offered   []string `json:"offered,omitempty"`   // what the kernel offers, in its order
	Secondary []string `json:"secondary,omitempty"` // recompression, as the kernel lists it, by priority
	Backing   string   `json:"backing,omitempty"`   // the device of writeback; empty: none

	Memory *MemoryStat `json:"memory,omitempty"` // mm_stat
	IO     *IOStat     `json:"io,omitempty"`     // io_stat
	Back   *BackStat   `json:"back,omitempty"`   // bd_stat
	Block  *BlockStat  `json:"block,omitempty"`  // stat

	Swap *Swap `json:"swap,omitempty"` // set when it is swapped on
}

// MemoryStat is mm_stat: bytes, but for the counts of pages.
type MemoryStat struct {
	Original       uint64 `json:"original"`   // stored, before compression
	Compressed     uint64 `json:"compressed"` // the same, compressed
	Used           uint64 `json:"used"`       // RAM taken, with the allocator's overhead
	Limit          uint64 `json:"limit"`      // of Used; 0: none
	UsedMax        uint64 `json:"used_max"`   // highest Used since set-up
	SamePages      uint64 `json:"same_pages"` // pages of one repeated word, which take no RAM
	PagesCompacted uint64 `json:"compacted"`  // pages freed by compaction
	HugePages      uint64 `json:"huge_pages"` // pages that do not compress, now
	HugeSince      uint64 `json:"huge_since"` // the same, ever since set-up
	Columns        int    `json:"-"`          // how many columns the kernel has, 7 to 9; 5 on pre-4.1 nodes
}

// IOStat is io_stat: counts since set-up.
type IOStat struct {
	FailedReads  uint64 `json:"failed_reads"`
	FailedWrites uint64 `json:"failed_writes"`
	Invalid      uint64 `json:"invalid"`     // requests not aligned to a page
	NotifyFree   uint64 `json:"notify_free"` // slots freed because swap no longer needs them
}

// BackStat is bd_stat, in units of PageUnit.
type BackStat struct {
	Used   uint64 `json:"used"`   // on the backing device now
	Reads  uint64 `json:"reads"`  // read from it since set-up
	Writes uint64 `json:"writes"` // written to it since set-up
}

// BlockStat is the part of the block layer's stat that zram fills.
type BlockStat struct {
	Reads        uint64 `json:"reads"`
	ReadSectors  uint64 `json:"read_sectors"` // of 512 bytes
	Writes       uint64 `json:"writes"`
	WriteSectors uint64 `json:"write_sectors"`
	Discards     uint64 `json:"discards"` // since Linux 4.18
}

// Ratio is how many bytes a byte of RAM holds, or 0 for an empty device.
func (m MemoryStat) Ratio() float64 {
	if m.Used == 0 {
		return 0
	}
	return float64(m.Original) / float64(m.Used)
}

// ErrAbsent says that the kernel has no zram, or its module is not loaded.
var ErrAbsent = errors.New("this kernel has no zram")

// Read lists the zram devices by number. A device that vanishes meanwhile is
// left out. Without zram it returns ErrAbsent.
func Read(root system.Root) ([]Device, error) {
	paths := root.Glob("/sys/block/zram*")
	if len(paths) == 0 {
		if _, err := root.ReadDir("/sys/class/zram-control"); err != nil {
			return nil, ErrAbsent
		}
	}
	swaps, err := Swaps(root)
	if err != nil {
		return nil, err
	}
	out, err := each(root, paths, readDevice)
	for i, d := range out {
		for _, s := range swaps {
			if s.zram() == d.Name {
				out[i].Swap = &s
			}
		}
	}
	return out, err
}

// Figures is Read for a scrape: sizes and statistics alone, which is half of the
// files. Without zram there are none.
func Figures(root system.Root) ([]Device, error) {
	return each(root, root.Glob("/sys/block/zram*"), readFigures)
}

// each reads the devices by number, without those that vanish meanwhile.
func each(root system.Root, paths []string, read func(system.Root, string) (Device, error)) ([]Device, error) {
	var out []Device
	for _, path := range paths {
		d, err := read(root, strings.TrimPrefix(path, "/sys/block/"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Device) int { return number(a.Name) - number(b.Name) })
	return out, nil
}

func number(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "zram"))
	if err != nil {
		return 1 << 30
	}
	return n
}

func readDevice(root system.Root, name string) (Device, error) {
	dir := "/sys/block/" + name + "/"
	d, err := readFigures(root, name)
	if err != nil {
		return d, err
	}
	if s, err := root.ReadString(dir + "comp_algorithm"); err == nil {
		d.Offered, d.Algorithm = parseAlgorithms(s)
	}
	if s, err := root.ReadString(dir + "recomp_algorithm"); err == nil && s != "" {
		for line := range strings.Lines(s) {
			if _, used := parseAlgorithms(line); used != "" {
				d.Secondary = append(d.Secondary, used)
			}
		}
	}
	if s, err := root.ReadString(dir + "backing_dev"); err == nil && s != "none" {
		d.Backing = s
	}
	if v, err := columns(root, dir+"stat", 11, 15); err != nil {
		return d, err
	} else if v != nil {
		d.Block = &BlockStat{Reads: v[0], ReadSectors: v[2], Writes: v[4], WriteSectors: v[6], Discards: v[11]}
	}
	return d, nil
}

func readFigures(root system.Root, name string) (Device, error) {
	dir := "/sys/block/" + name + "/"
	d := Device{Name: name}
	size, err := root.ReadString(dir + "disksize")
	if err != nil {
		return d, err
	}
	if d.Size, err = strconv.ParseUint(size, 10, 64); err != nil {
		return d, fmt.Errorf("%sdisksize: %w", dir, err)
	}
	if d.Memory, err = readMemoryStat(root, dir); err != nil {
		return d, err
	}
	if v, err := columns(root, dir+"io_stat", 4, 4); err != nil {
		return d, err
	} else if v != nil {
		d.IO = &IOStat{v[0], v[1], v[2], v[3]}
	}
	if v, err := columns(root, dir+"bd_stat", 3, 3); err != nil {
		return d, err
	} else if v != nil {
		d.Back = &BackStat{v[0], v[1], v[2]}
	}
	return d, nil
}

func readMemoryStat(root system.Root, dir string) (*MemoryStat, error) {
	v, err := columns(root, dir+"mm_stat", 7, 9)
	if err != nil {
		return nil, err
	}
	if v != nil {
		return &MemoryStat{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], int(v[9])}, nil
	}
	// Before Linux 4.1 a node for each figure, and no mm_stat.
	m := &MemoryStat{Columns: 5}
	found := false
	for node, dst := range map[string]*uint64{
		"orig_data_size": &m.Original, "compr_data_size": &m.Compressed, "mem_used_total": &m.Used,
		"mem_used_max": &m.UsedMax, "zero_pages": &m.SamePages,
	} {
		if v, err := columns(root, dir+node, 1, 1); err == nil && v != nil {
			*dst, found = v[0], true
		}
	}
	if !found {
		return nil, nil
	}
	return m, nil
}

// errGone is a device that was removed between listing and reading.
var errGone = errors.New("gone")

// columns reads a node of numbers: nil without error where the kernel has no
// such node. Columns above least may be missing and read as 0; the slice is one
// longer than most and ends with their number.
func columns(root system.Root, path string, least, most int) ([]uint64, error) {
	s, err := root.ReadString(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		// ENODEV comes from a device that is being removed.
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	v, err := parseColumns(s, least, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func parseColumns(s string, least, most int) ([]uint64, error) {
	words := strings.Fields(s)
	if len(words) < least {
		return nil, fmt.Errorf("%d columns, at least %d were expected", len(words), least)
	}
	out := make([]uint64, most+1)
	for i, w := range words[:min(len(words), most)] {
		v, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			// Statistics are signed atomics inside: a race may show one below zero.
			if _, signed := strconv.ParseInt(w, 10, 64); signed != nil {
				return nil, fmt.Errorf("column %d: %w", i+1, err)
			}
		}
		out[i] = v
	}
	out[most] = uint64(len(words))
	return out, nil
}

// parseAlgorithms reads "[lzo-rle] lzo lz4", which recomp_algorithm prefixes
// with "#1: ".
func parseAlgorithms(s string) (offered []string, used string) {
	for _, w := range strings.Fields(s) {
		if strings.HasPrefix(w, "#") {
			continue
		}
		if inner, ok := strings.CutPrefix(w, "["); ok {
			w = strings.TrimSuffix(inner, "]")
			used = w
		}
		offered = append(offered, w)
	}
	return offered, used
}

// KSM is what kernel same-page merging saves; counts of pages.
type KSM struct {
	Running bool   `json:"running"`
	Shared  uint64 `json:"pages_shared"`  // pages kept
	Sharing uint64 `json:"pages_sharing"` // further pages that would have existed
}

// ReadKSM reads /sys/kernel/mm/ksm; false where the kernel has none.
func ReadKSM(root system.Root) (KSM, bool) {
	get := func(node string) (uint64, bool) {
		v, err := columns(root, "/sys/kernel/mm/ksm/"+node, 1, 1)
		if err != nil || v == nil {
			return 0, false
		}
		return v[0], true
	}
	run, ok := get("run")
	shared, ok2 := get("pages_shared")
	sharing, ok3 := get("pages_sharing")
	return KSM{run == 1, shared, sharing}, ok && ok2 && ok3
}

// Saved is what merging saves, in bytes.
func (k KSM) Saved() uint64 { return k.Sharing * uint64(os.Getpagesize()) }
