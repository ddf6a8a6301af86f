package system

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// RootDisk is where the root file system lies.
type RootDisk struct {
	Disk      string // "mmcblk0", below /dev and /sys/block
	Partition string // "mmcblk0p2"
	Number    string // "2"
	Size      uint64 // bytes of the partition
	Last      int    // the number of the disk's last partition
	End       uint64 // where on the disk the last one in place ends, bytes
	Free      uint64 // bytes behind that, which nobody has
}

// StateRoom is what the first boot leaves free behind the root of a disk that is large
// enough, for the partition that `sierpi overlay on` keeps the state on: a root that has
// grown cannot shrink while it is mounted. Bytes; 0 for a disk of this size.
func StateRoom(disk uint64) uint64 {
	const room = 256 << 20
	if disk < 12*room {
		return 0
	}
	return room
}

// ReadRootDisk finds the root's partition in /proc and /sys. A root that is no
// partition of a disk is an error, and so is one under an overlay.
func ReadRootDisk(root Root) (RootDisk, uint64, error) {
	mounts, err := root.ReadString("/proc/self/mountinfo")
	if err != nil {
		return RootDisk{}, 0, err
	}
	device := rootDevice(mounts)
	if device == "" {
		return RootDisk{}, 0, errors.New("no root in mountinfo")
	}
	link, err := filepath.EvalSymlinks(root.Path("/sys/dev/block/" + device))
	if err != nil {
		return RootDisk{}, 0, fmt.Errorf("the root is no partition of a disk: %w", err)
	}
	dir := "/" + strings.TrimPrefix(strings.TrimPrefix(link, root.Path("/")), "/")
	read := func(path string) (uint64, error) {
		s, err := root.ReadString(path)
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(s, 10, 64)
	}
	d := RootDisk{Partition: filepath.Base(dir), Disk: filepath.Base(filepath.Dir(dir))}
	d.Number, err = root.ReadString(dir + "/partition")
	if errors.Is(err, fs.ErrNotExist) {
		return RootDisk{}, 0, fmt.Errorf("the root is on all of /dev/%s, which has no partitions", d.Partition)
	} else if err != nil {
		return RootDisk{}, 0, err
	}
	total, err := read(filepath.Dir(dir) + "/size")
	if err != nil {
		return RootDisk{}, 0, err
	}
	size, err := read(dir + "/size")
	if err != nil {
		return RootDisk{}, 0, err
	}
	d.Size = size << 9
	var end uint64
	for _, start := range root.Glob(filepath.Dir(dir) + "/*/start") {
		at, err1 := read(start)
		size, err2 := read(filepath.Dir(start) + "/size")
		number, err3 := read(filepath.Dir(start) + "/partition")
		if err := errors.Join(err1, err2, err3); err != nil {
			return RootDisk{}, 0, err
		}
		if at+size > end {
			end, d.Last = at+size, int(number)
		}
	}
	if d.End = end << 9; total > end {
		d.Free = (total - end) << 9
	}
	return d, total << 9, nil
}

// rootDevice finds "8:2" of the mount at / in mountinfo; "" when there is none.
func rootDevice(mountinfo string) string {
	device := ""
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) > 4 && f[4] == "/" {
			device = f[2] // the last one is on top
		}
	}
	return device
}
