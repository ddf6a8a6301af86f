package zram

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system/systemtest"
)

// What Tidy writes where, on a tree of files, for kernels that have all, only a
// second algorithm, only a backing device, no notion of what is idle, or neither.
func TestTidyOnTree(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes map[string]string // of /sys/block/zram7
		want  map[string]string // what stands there afterwards
		none  bool
	}{
		{"all", map[string]string{"recomp_algorithm": "#1: lzo lz4 [zstd]\n", "recompress": "", "backing_dev": "/dev/sda2\n", "writeback": "", "idle": ""},
			map[string]string{"recompress": "type=idle", "writeback": "huge_idle", "idle": "all"}, false},
		{"recompression", map[string]string{"recomp_algorithm": "#1: lzo lz4 [zstd]\n", "recompress": "", "backing_dev": "none\n", "writeback": "", "idle": ""},
			map[string]string{"recompress": "type=idle", "writeback": "", "idle": "all"}, false},
		{"writeback", map[string]string{"backing_dev": "/dev/sda2\n", "writeback": "", "idle": ""}, map[string]string{"writeback": "huge_idle", "idle": "all"}, false},
		{"nothing is idle", map[string]string{"recomp_algorithm": "#1: lzo lz4 [zstd]\n", "recompress": "", "backing_dev": "/dev/sda2\n", "writeback": ""},
			map[string]string{"recompress": "type=huge", "writeback": "huge"}, false},
		{"neither", map[string]string{"idle": ""}, map[string]string{"idle": ""}, true},
	} {
		m := onTree(t, "nopi")
		for node, text := range map[string]string{"disksize": "1048576\n", "comp_algorithm": "[lzo] lz4\n", "mm_stat": "8192 4096 12288 0 12288 0 0 1 1\n", "diskseq": "9\n"} {
			put(t, m.Root, "/sys/block/zram7/"+node, text)
		}
		for node, text := range c.nodes {
			put(t, m.Root, "/sys/block/zram7/"+node, text)
		}
		put(t, m.Root, "/proc/swaps", "Filename Type Size Used Priority\n/dev/zram7 partition 1020 8 100\n")
		if err := os.MkdirAll(m.RunDir, 0o755); err != nil {
			t.Fatal(err)
		}
		// The config asked for both; what the kernel has is another matter.
		ours := state{Devices: []owned{{Name: "zram7", Seq: "9", On: true, Spec: Spec{Recompress: []string{"zstd"}, Writeback: "/dev/sda2"}}}}
		if err := m.save(ours); err != nil {
			t.Fatal(err)
		}
		done, err := m.Tidy(t.Context())
		if err != nil || (len(done.Devices) == 0) != c.none {
			t.Errorf("%s: %+v, %v", c.name, done, err)
		}
		for node, want := range c.want {
			if got, _ := m.Root.ReadString("/sys/block/zram7/" + node); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, node, got, want)
			}
		}
		if err := m.mark(ours); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(m.RunDir, tidyMark)); (err == nil) == c.none {
			t.Errorf("%s: the timer's mark: %v", c.name, err)
		}
		var b strings.Builder
		if _, err := done.WriteTo(&b); err != nil || !strings.HasPrefix(b.String(), "zram") {
			t.Errorf("%s: %q %v", c.name, b.String(), err)
		}
	}
}

// On a kernel with recompression and writeback: pages really get smaller, those that
// do not compress really go to the backing device, all come back as they were, and
// Off gives the backing device back.
func TestRealTidy(t *testing.T) {
	m := real(t)
	losetup := systemtest.Tool(t, "losetup", "mount")
	cfg := small()
	cfg.Size, cfg.Algorithm, cfg.Recompress = "32MiB", []string{"lz4", "lzo"}, []string{"zstd"}
	file := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 32<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(losetup, "--find", "--show", file).Output()
	if err != nil {
		systemtest.Absent(t, "no loop devices here")
	}
	loop := strings.TrimSpace(string(out))
	defer func() {
		if out, err := exec.Command(losetup, "--detach", loop).CombinedOutput(); err != nil {
			t.Errorf("%s is still held: %v %s", loop, err, out)
		}
	}()
	cfg.Writeback = loop
	apply(t, m, cfg)
	if p := apply(t, m, cfg); !p.Empty() {
		t.Errorf("a second apply changes something:\n%s", p)
	}
	d := ours(t, m)[0]
	if len(d.Secondary) == 0 && d.Backing == "" {
		systemtest.Absent(t, "this kernel's zram has neither recompression nor writeback")
	}
	t.Logf("second algorithm %v, backing device %q", d.Secondary, d.Backing)

	const size = 16 << 20
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	want := make([]byte, size)
	half := want[:size/2] // text, which a second algorithm makes smaller
	for i := range half {
		half[i] = "swap in RAM, twice over "[(i*i/97+i)%24]
	}
	noise(want[size/2:]) // and what nothing does
	copy(memory, want)
	if err := unix.Madvise(memory, unix.MADV_PAGEOUT); err != nil {
		if errors.Is(err, unix.EINVAL) {
			systemtest.Absent(t, "MADV_PAGEOUT needs Linux 5.4")
		}
		t.Fatal(err)
	}
	// Idle is what the call before marked and nobody touched since.
	if _, err := m.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, err := m.Tidy(t.Context())
	if err != nil || len(done.Devices) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	after := ours(t, m)[0]
	t.Logf("%+v; mm_stat %+v", done, *after.Memory)
	if d.Backing != "" && done.Devices[0].BackedAfter < size/4 {
		t.Errorf("%s of %s that does not compress went to the backing device", formatBytes(done.Devices[0].BackedAfter), formatBytes(size/2))
	}
	if before := done.Devices[0].RAMBefore; d.Backing != "" && after.Memory.Used > size/2 {
		t.Errorf("of %s of RAM, more than the noise took, %s are left", formatBytes(before), formatBytes(after.Memory.Used))
	}
	if string(memory) != string(want) {
		t.Error("pages came back changed")
	}
	if _, err := m.Off(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func noise(b []byte) {
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
}
