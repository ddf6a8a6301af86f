package zram

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rounds is how often each way is measured; the median is printed.
const rounds = 15

// BenchmarkSetUp prints, side by side in one run, how long setting up one 32 MiB
// lz4 swap device takes with the program that sierpi-zram.service starts and with its peers, the processor
// time of all processes, and how many processes each starts beyond its first:
//
//	go test ./system/zram -run '^$' -bench SetUp
//
// The peers are the recipe of the article that the project stems from, Debian's
// zram-tools and systemd-zram-generator; they are taken from build/peers, where
// `.ci/bench peers` unpacks them without installing them. All get a device from
// hot_add, which stands in for what their modprobe would add and counts as theirs;
// in their scripts its name stands in for zram0. At boot there is no other device; one
// that stands here costs sierpi half a millisecond, because it looks whose that is.
func BenchmarkSetUp(b *testing.B) {
	m := real(b)
	dir := b.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			b.Fatal(err)
		}
		return path
	}
	peer := func(pkg string, paths ...string) string {
		for _, prefix := range []string{filepath.Join("..", "..", "build", "peers"), "/"} {
			for _, p := range paths {
				if path, err := filepath.Abs(filepath.Join(prefix, p)); err == nil {
					if _, err := os.Stat(path); err == nil {
						return path
					}
				}
			}
		}
		b.Fatalf("%s is missing; unpack it without installing it: .ci/bench peers", pkg)
		return ""
	}
	sierpi := filepath.Join(dir, "sierpi-zram")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", sierpi, "../../cmd/sierpi-zram")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	// What it notes lies below --root: a folder with the machine's own /sys, /proc
	// and /dev, so that a sierpi that is at work here is left alone.
	// It is on tmpfs, as /run is.
	ram, err := os.MkdirTemp("/dev/shm", "sierpi-zram-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(ram) })
	root := filepath.Join(ram, "root")
	for _, name := range []string{"sys", "proc", "dev"} {
		if err := os.MkdirAll(root, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.Symlink("/"+name, filepath.Join(root, name)); err != nil {
			b.Fatal(err)
		}
	}
	m.RunDir = filepath.Join(root, "run/sierpi-system")
	cfg := file("sierpi.toml", "[zram]\nsize = \"32MiB\"\nalgorithm = [\"lz4\"]\ndiscard = false\nswappiness = -1\npage-cluster = -1\nwatermark-boost-factor = -1\nwatermark-scale-factor = -1\n")

	modprobe := "modprobe"
	if exec.Command("modprobe", "zram").Run() != nil {
		modprobe = "/bin/true" // no module to load; the process that the recipes start stays
	}
	zramswap, err := os.ReadFile(peer("zram-tools", "usr/sbin/zramswap"))
	if err != nil {
		b.Fatal(err)
	}
	file("zramswap.conf", "ALGO=lz4\nSIZE=32\nPRIORITY=100\n")
	generator := peer("systemd-zram-generator", "lib/systemd/system-generators/zram-generator", "usr/lib/systemd/system-generators/zram-generator")
	if err := os.Symlink("/proc", filepath.Join(dir, "proc")); err != nil {
		b.Fatal(err)
	}
	recipe := file("recipe", `#!/bin/sh -e
`+modprobe+` zram num_devices=1
echo lz4 > /sys/block/$1/comp_algorithm
echo $((32*1024*1024)) > /sys/block/$1/disksize
mkswap /dev/$1
swapon -p 100 /dev/$1
`)
	ways := []*way{
		{name: "sierpi", args: func(string) []string { return []string{sierpi, "--root", root, "--config", cfg, "apply"} }},
		{name: "shell-recipe", args: func(d string) []string { return []string{recipe, d} }},
		{name: "zramswap", args: func(d string) []string {
			s := strings.NewReplacer("zram0", d, "/etc/default/zramswap", dir+"/zramswap.conf", "modprobe ", modprobe+" ").Replace(string(zramswap))
			return []string{file("zramswap", s), "start"}
		}},
		{name: "zram-generator", args: func(d string) []string {
			file("etc/systemd/zram-generator.conf", "["+d+"]\nzram-size = 32\ncompression-algorithm = lz4\n")
			return []string{file("generator", "#!/bin/sh -e\n"+generator+" --setup-device "+d+"\nexec swapon -p 100 /dev/"+d+"\n")}
		}},
	}
	// once sets up one device and takes it away again.
	once := func(i int, wrap ...string) (took, cpu time.Duration) {
		device := ""
		start := time.Now()
		if i > 0 {
			number, err := m.Root.ReadString("/sys/class/zram-control/hot_add")
			if err != nil {
				b.Fatal(err)
			}
			device = "zram" + number
			defer func() {
				r := &runner{Manager: m}
				if err := r.remove(context.Background(), device); err != nil {
					b.Errorf("removing %s: %v", device, err)
				}
			}()
		} else {
			defer func() {
				if _, err := m.Off(context.Background()); err != nil {
					b.Error(err)
				}
			}()
		}
		took = time.Since(start)
		args := append(wrap, ways[i].args(device)...)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "ZRAM_GENERATOR_ROOT="+dir)
		if i == 0 {
			cmd.Env = append(cmd.Env, "GOMAXPROCS=1") // as sierpi-zram.service says
		}
		start = time.Now()
		out, err := cmd.CombinedOutput()
		took += time.Since(start)
		if err != nil {
			b.Fatalf("%s: %v\n%s", ways[i].name, err, out)
		}
		swaps, err := Swaps("/")
		if err != nil || !slices.ContainsFunc(swaps, func(s Swap) bool { return s.zram() != "" && (device == "" || s.zram() == device) }) {
			b.Fatalf("%s did not swap on: %v %v\n%s", ways[i].name, swaps, err, out)
		}
		return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	for i, w := range ways {
		once(i) // from the disk's cache on
		w.processes = processes(b, func(wrap ...string) { once(i, wrap...) })
	}
	for range rounds {
		for i, w := range ways {
			took, cpu := once(i)
			w.took, w.cpu = append(w.took, took), append(w.cpu, cpu)
		}
	}
	for _, w := range ways {
		slices.Sort(w.took)
		slices.Sort(w.cpu)
	}
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(w.took[rounds/2].Microseconds())/1000, "ms")
			b.ReportMetric(float64(w.cpu[rounds/2].Microseconds())/1000, "cpu-ms")
			b.ReportMetric(float64(w.took[rounds/2])/float64(ways[0].took[rounds/2]), "x-sierpi")
			b.ReportMetric(float64(w.processes), "processes-started")
		})
	}
}

// way is one way to set a device up.
type way struct {
	name      string
	args      func(device string) []string
	took, cpu []time.Duration
	processes int
}

// processes counts what a command starts beyond its first process, threads not
// counted.
func processes(b *testing.B, run func(wrap ...string)) int {
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.Fatal("apt-get install strace")
	}
	trace := filepath.Join(b.TempDir(), "trace")
	run(strace, "-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o", trace)
	log, err := os.ReadFile(trace)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(log)) {
		_, result, ok := strings.Cut(line, " = ")
		pid, err := strconv.Atoi(strings.TrimSpace(result))
		// A call that another thread's came in between of ends in a line of its own.
		if ok && err == nil && pid > 0 && !strings.Contains(line, "CLONE_THREAD") {
			n++
		}
	}
	return n
}
