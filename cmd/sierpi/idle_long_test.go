//go:build long

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestIdleWrites prints what an idle appliance with its wall on writes to the card in an
// hour, counted by the block device below a real ext4, so with its journal: `make idle`.
// SIERPI_IDLE is how long it is counted (20m: every task's interval but the hourly poll of
// the feeds comes round), SIERPI_IDLE_WALL=browser takes LXDE and Chromium for the screen
// in place of a client that only reads frames.
func TestIdleWrites(t *testing.T) {
	systemtest.Root(t)
	length, err := time.ParseDuration(os.Getenv("SIERPI_IDLE"))
	if err != nil {
		length = time.Minute
	}
	device, at := card(t, 1<<30)
	d := furnished(t, "[display]\ndwell = \"60s\"\n")
	wall, browser := "a wire client", (*wallSession)(nil)
	if os.Getenv("SIERPI_IDLE_WALL") == "browser" {
		wall = "LXDE and Chromium"
		// As on the appliance, /tmp and the browser's profile lie in memory.
		memory, err := os.MkdirTemp("/dev/shm", "sierpi-idle-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(memory) })
		t.Setenv("TMPDIR", memory)
		browser = startWallSession(t, d, xserver(t, "Xvfb", "xvfb", "-screen", "0", "1280x720x24"), d.pages+"/", memory+"/profile")
	} else {
		watch(t, d)
	}
	if browser != nil { // the client sends no heartbeat, which is no matter of the card's
		awaitPart(t, d, "display", "ok")
	}
	// What the start wrote is another matter; a browser goes on with it for a while.
	settle := min(length, 3*time.Minute)
	fmt.Printf("settling for %v, then counting for %v\n", settle, length)
	time.Sleep(settle)

	pids := func() []int {
		if browser == nil {
			return nil
		}
		return browser.processes("")
	}
	before, daemon, theirs := written(t, device, at), writeBytes(t, d.cmd.Process.Pid), writeBytes(t, pids()...)
	began := time.Now()
	for step := 1; step <= 4; step++ {
		time.Sleep(length / 4)
		hours := time.Since(began).Hours()
		fmt.Printf("%5.1f min: %.2f MB an hour to the device; the daemon's part %.2f, the browser's %.2f\n", 60*hours, float64(written(t, device, at)-before)/1e6/hours,
			float64(writeBytes(t, d.cmd.Process.Pid)-daemon)/1e6/hours, float64(writeBytes(t, pids()...)-theirs)/1e6/hours)
	}
	hours := time.Since(began).Hours()
	fmt.Printf("| %s | %.0f min | %.2f MB/h | %.2f MB/h | %.2f MB/h |\n", wall, 60*hours, float64(written(t, device, at)-before)/1e6/hours,
		float64(writeBytes(t, d.cmd.Process.Pid)-daemon)/1e6/hours, float64(writeBytes(t, pids()...)-theirs)/1e6/hours)
	if browser != nil {
		awaitPart(t, d, "display", "ok")
	}
}

// card mounts an ext4 as the image has it and makes it the place of all temporary files
// of the test. It returns the block device's name and where it is mounted.
func card(t *testing.T, size int64) (device, at string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sierpi-idle-") // T's own would hold on to the place before
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	img := filepath.Join(dir, "card.img")
	at = filepath.Join(dir, "card")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(img)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	// Not lazily: the kernel would go on making inode tables while we count.
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			systemtest.Absent(t, fmt.Sprintf("%s: %v %s", name, err, out))
		}
		return strings.TrimSpace(string(out))
	}
	run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", img)
	device = run("losetup", "--find", "--show", img)
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	run("mount", "-o", "noatime", device, at)
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	t.Setenv("TMPDIR", at)
	return filepath.Base(device), at
}

// written is what the block device has been given since it is there, in bytes, with all
// that still was in memory.
func written(t *testing.T, device, at string) uint64 {
	t.Helper()
	f, err := os.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile("/sys/block/" + device + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	sectors, err := strconv.ParseUint(strings.Fields(string(stat))[6], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return sectors * 512
}

// writeBytes is the sum of what processes have sent to storage; of those that have ended
// nothing is known.
func writeBytes(t *testing.T, pids ...int) (sum uint64) {
	t.Helper()
	for _, pid := range pids {
		io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(io))
		if i := slices.Index(f, "write_bytes:"); i >= 0 {
			n, err := strconv.ParseUint(f[i+1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
