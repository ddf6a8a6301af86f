package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadRootDisk(t *testing.T) {
	root := Root(t.TempDir())
	write := func(path, text string) {
		t.Helper()
		full := root.Path(path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const disk = "/sys/devices/pci/block/mmcblk0"
	write("/proc/self/mountinfo", "22 1 0:5 / /dev rw - devtmpfs\n25 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n")
	write(disk+"/size", "8388608\n")
	for _, p := range [][4]string{{"mmcblk0p1", "1", "16384", "1048576"}, {"mmcblk0p2", "2", "1064960", "2048000"}} {
		write(disk+"/"+p[0]+"/partition", p[1]+"\n")
		write(disk+"/"+p[0]+"/start", p[2]+"\n")
		write(disk+"/"+p[0]+"/size", p[3]+"\n")
	}
	if err := os.MkdirAll(root.Path("/sys/dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../devices/pci/block/mmcblk0/mmcblk0p2", root.Path("/sys/dev/block/179:2")); err != nil {
		t.Fatal(err)
	}
	want := RootDisk{Disk: "mmcblk0", Partition: "mmcblk0p2", Number: "2", Size: 2048000 << 9, Last: 2, End: (1064960 + 2048000) << 9, Free: (8388608 - 1064960 - 2048000) << 9}
	if got, total, err := ReadRootDisk(root); err != nil || got != want || total != 8388608<<9 {
		t.Errorf("%+v of %d, %v; expected %+v", got, total, err, want)
	}
	// Another partition behind it, and a little room behind that.
	write(disk+"/mmcblk0p3/partition", "3\n")
	write(disk+"/mmcblk0p3/start", "4000000\n")
	write(disk+"/mmcblk0p3/size", "4388000\n")
	want.Last, want.End, want.Free = 3, 8388000<<9, 608<<9
	if got, _, err := ReadRootDisk(root); err != nil || got != want {
		t.Errorf("%+v, %v; expected %+v", got, err, want)
	}
	// A disk without partitions, as virtual machines have it.
	if err := os.Remove(root.Path(disk + "/mmcblk0p2/partition")); err != nil {
		t.Fatal(err)
	}
	if got, _, err := ReadRootDisk(root); err == nil || !strings.Contains(err.Error(), "/dev/mmcblk0p2, which has no partitions") {
		t.Errorf("%+v, %v", got, err)
	}
	// Under an overlay there is no such device.
	write("/proc/self/mountinfo", "25 1 0:31 / / rw - overlay sierpi-overlay rw\n")
	if got, _, err := ReadRootDisk(root); err == nil {
		t.Errorf("an overlay lies on %+v", got)
	}
}
