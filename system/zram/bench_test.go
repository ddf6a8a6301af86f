package zram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestBenchSetUp prints, side by side in one run, how long setting up one 32 MiB
// lz4 swap device takes with sierpi and with its peers, and how many processes
// each starts beyond its first:
//
//	SIERPI_BENCH=1 go test -run BenchSetUp -v ./system/zram
//
// The peers are Debian's zram-tools and systemd-zram-generator, installed, or
// unpacked with dpkg-deb -x into the folder that SIERPI_PEERS names. All
// get a device from hot_add, which stands in for what their modprobe would add;
// in the peers' scripts its name stands in for zram0. CPU is user and system time
// of all processes. Nothing here asserts a time.
func TestBenchSetUp(t *testing.T) {
	if os.Getenv("SIERPI_BENCH") == "" {
		systemtest.Absent(t, "a benchmark: set SIERPI_BENCH=1")
	}
	m := real(t)
	cfg := small()
	cfg.Size, cfg.Algorithm, cfg.Discard = "32MiB", []string{"lz4"}, false
	cfg.Swappiness, cfg.PageCluster, cfg.WatermarkBoostFactor, cfg.WatermarkScaleFactor = -1, -1, -1, -1
	doc, _ := json.Marshal(map[string]any{"RunDir": m.RunDir, "Config": cfg})

	prefix := os.Getenv("SIERPI_PEERS")
	find := func(pkg string, paths ...string) string {
		for _, p := range paths {
			if _, err := os.Stat(prefix + p); err == nil {
				return prefix + p
			}
		}
		systemtest.Missing(t, pkg+" is neither installed nor in SIERPI_PEERS")
		return ""
	}
	zramswap := find("zram-tools", "/usr/sbin/zramswap")
	generator := find("systemd-zram-generator", "/usr/lib/systemd/system-generators/zram-generator", "/lib/systemd/system-generators/zram-generator")
	modprobe := "modprobe"
	if exec.Command("modprobe", "zram").Run() != nil {
		modprobe = "/bin/true" // no module to load; the process that the recipe starts stays
	}
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	original, err := os.ReadFile(zramswap)
	if err != nil {
		t.Fatal(err)
	}
	script("zramswap.conf", "ALGO=lz4\nSIZE=32\nPRIORITY=100\n")
	// What the article of 2013 does in rc.local, for one processor.
	recipe := script("recipe", `#!/bin/sh -e
MODPROBE zram num_devices=1
echo lz4 > /sys/block/$1/comp_algorithm
echo $((32*1024*1024)) > /sys/block/$1/disksize
mkswap /dev/$1
swapon -p 100 /dev/$1
`)
	text, _ := os.ReadFile(recipe)
	script("recipe", strings.ReplaceAll(string(text), "MODPROBE", modprobe))
	if err := os.MkdirAll(filepath.Join(dir, "etc/systemd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc", filepath.Join(dir, "proc")); err != nil {
		t.Fatal(err)
	}

	peers := []struct {
		name string
		args func(device string) []string
	}{
		{"sierpi zram apply", func(string) []string { return []string{os.Args[0]} }},
		{"shell recipe", func(d string) []string { return []string{recipe, d} }},
		{"zramswap start", func(d string) []string {
			s := strings.NewReplacer("zram0", d, "/etc/default/zramswap", dir+"/zramswap.conf", "modprobe ", modprobe+" ").Replace(string(original))
			return []string{script("zramswap", s), "start"}
		}},
		{"zram-generator and swapon", func(d string) []string {
			if err := os.WriteFile(filepath.Join(dir, "etc/systemd/zram-generator.conf"), []byte("["+d+"]\nzram-size = 32\ncompression-algorithm = lz4\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return []string{script("generator", "#!/bin/sh -e\n"+generator+" --setup-device "+d+"\nexec swapon -p 100 /dev/"+d+"\n")}
		}},
	}
	env := append(os.Environ(), helperEnv+"="+string(doc), "ZRAM_GENERATOR_ROOT="+dir)
	// once runs one peer on a fresh device and takes the device away again.
	once := func(i int, wrap ...string) (took, cpu time.Duration) {
		t.Helper()
		device := ""
		start := time.Now()
		if i > 0 {
			number, err := m.Root.ReadString("/sys/class/zram-control/hot_add")
			if err != nil {
				t.Fatal(err)
			}
			device = "zram" + number
			defer func() {
				r := &runner{Manager: m}
				if err := r.remove(context.Background(), device); err != nil {
					t.Errorf("removing %s: %v", device, err)
				}
			}()
		} else {
			defer func() {
				if _, err := m.Off(context.Background()); err != nil {
					t.Error(err)
				}
			}()
		}
		took = time.Since(start)
		args := append(wrap, peers[i].args(device)...)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = env
		start = time.Now()
		out, err := cmd.CombinedOutput()
		took += time.Since(start)
		if err != nil {
			t.Fatalf("%s: %v\n%s", peers[i].name, err, out)
		}
		swaps, err := Swaps("/")
		if err != nil || !slices.ContainsFunc(swaps, func(s Swap) bool { return device == "" || s.zram() == device }) {
			t.Fatalf("%s did not swap on: %v %v\n%s", peers[i].name, swaps, err, out)
		}
		return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	const rounds = 15
	times, cpus := make([][]time.Duration, len(peers)), make([][]time.Duration, len(peers))
	for range rounds {
		for i := range peers {
			took, cpu := once(i)
			times[i], cpus[i] = append(times[i], took), append(cpus[i], cpu)
		}
	}
	strace := systemtest.Tool(t, "strace", "strace")
	var base time.Duration
	for i, p := range peers {
		slices.Sort(times[i])
		slices.Sort(cpus[i])
		median := times[i][rounds/2]
		if i == 0 {
			base = median
		}
		trace := filepath.Join(dir, "trace")
		once(i, strace, "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o", trace)
		log, err := os.ReadFile(trace)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		children := 0
		for line := range strings.Lines(string(log)) {
			_, result, ok := strings.Cut(line, " = ")
			if n, err := strconv.Atoi(strings.TrimSpace(result)); ok && err == nil && n > 0 && !strings.Contains(line, "CLONE_THREAD") {
				children++
			}
		}
		fmt.Printf("%-26s median %8s  min %8s  %5.2f x sierpi  CPU %7s  %d processes started\n", p.name,
			median.Round(10*time.Microsecond), times[i][0].Round(10*time.Microsecond), float64(median)/float64(base), cpus[i][rounds/2].Round(10*time.Microsecond), children)
	}
}
