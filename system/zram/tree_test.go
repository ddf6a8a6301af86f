package zram

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// onTree is a manager on the files of a machine.
func onTree(t *testing.T, name string) Manager {
	t.Helper()
	return Manager{Root: system.Root(systemtest.Tree(t, "../testdata/"+name+".txtar")), RunDir: t.TempDir()}
}

func put(t *testing.T, root system.Root, path, text string) {
	t.Helper()
	full := root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The status of each machine, as it is printed. Rewrite with -update.
func TestStatusGolden(t *testing.T) {
	for _, name := range []string{"zerow", "pi3bplus", "pi4b", "pi5", "nopi"} {
		s, err := onTree(t, name).Status()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got bytes.Buffer
		if _, err := s.WriteTo(&got); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(got.String()) {
			if len(line) > 81 && !strings.HasPrefix(line, "note:") {
				t.Errorf("%s: %d columns: %s", name, len(line)-1, line)
			}
		}
		golden := "testdata/status-" + name + ".txt"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got.String() != string(want) {
			t.Errorf("%s: %v\ngot\n%swant\n%s", name, err, got.String(), want)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadEveryColumn(t *testing.T) {
	d, err := Read(onTree(t, "pi4b").Root)
	if err != nil || len(d) != 2 {
		t.Fatalf("%v %+v", err, d)
	}
	want := Device{
		Name: "zram0", Size: 2 << 30, Algorithm: "zstd", Offered: []string{"lzo-rle", "lzo", "lz4", "lz4hc", "zstd", "deflate", "842"},
		Secondary: []string{"zstd"}, Backing: "/dev/loop0",
		Memory: &MemoryStat{1073741824, 268435456, 281018368, 0, 301989888, 5120, 1200, 2048, 4096, 9},
		IO:     &IOStat{0, 0, 0, 0},
		Back:   &BackStat{131072, 10240, 262144},
		Block:  &BlockStat{1021, 8168, 7990, 63920, 310},
		Swap:   &Swap{Path: "/dev/zram0", Kind: "partition", Size: 2147479552, Used: 1 << 30, Priority: 100},
	}
	if !reflect.DeepEqual(d[0], want) {
		got, _ := json.Marshal(d[0])
		t.Errorf("got %s", got)
	}
	old, err := Read(onTree(t, "zerow").Root)
	if err != nil || old[0].Memory.Columns != 7 || old[0].Memory.UsedMax != 106196992 || old[0].Back != nil {
		t.Errorf("seven columns: %v %+v", err, old)
	}
}

// Before Linux 4.1 each figure had a node of its own.
func TestReadAncientNodes(t *testing.T) {
	root := system.Root(t.TempDir())
	put(t, root, "/sys/block/zram0/disksize", "125829120\n")
	put(t, root, "/sys/block/zram0/orig_data_size", "1048576\n")
	put(t, root, "/sys/block/zram0/compr_data_size", "262144\n")
	put(t, root, "/sys/block/zram0/mem_used_total", "524288\n")
	put(t, root, "/sys/block/zram0/zero_pages", "7\n")
	d, err := Read(root)
	if err != nil || len(d) != 1 || d[0].Memory == nil || *d[0].Memory != (MemoryStat{Original: 1 << 20, Compressed: 1 << 18, Used: 1 << 19, SamePages: 7, Columns: 5}) {
		t.Errorf("%v %+v", err, d)
	}
	if d[0].Memory.Ratio() != 2 {
		t.Errorf("ratio %v", d[0].Memory.Ratio())
	}
}

func TestPlanOnTrees(t *testing.T) {
	cfg := config.Default().Zram
	for _, c := range []struct {
		tree   string
		change func(*config.Zram, system.Root)
		code   system.ExitCode
		says   string
	}{
		{"zerow", nil, system.ExitOwned, "zram0 is already zram swap"},
		{"pi4b", nil, system.ExitOwned, "rpi-swap"},
		{"pi5", nil, system.ExitImpossible, "modprobe zram"},
		{"pi5", func(_ *config.Zram, r system.Root) { put(t, r, "/run/systemd/container", "lxc") }, system.ExitImpossible, "container"},
		{"nopi", nil, system.ExitOK, "11.8 GiB"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Devices = "per-cpu"; z.Size = "1GiB" }, system.ExitOK, "512 MiB"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Size = "201%" }, system.ExitConfig, "200 %"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Size = "4KiB" }, system.ExitConfig, "at least"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Size = "plenty" }, system.ExitConfig, "min(ram/2, 4GiB)"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Devices = "none" }, system.ExitConfig, "per-cpu"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.MemLimit = "x" }, system.ExitConfig, "mem-limit"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Algorithm = []string{"zstd", "842"} }, system.ExitImpossible, "lzo-rle, lzo, lz4"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Size = "4GiB" }, system.ExitOK, "4 GiB"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Recompress = []string{"zstd"}; z.Writeback = "/dev/sda2" }, system.ExitOK, "recompressed with zstd, written back to /dev/sda2"},
		{"nopi", func(_ *config.Zram, r system.Root) { put(t, r, "/run/systemd/generator/dev-zram0.swap", "") }, system.ExitOwned, "zram-generator"},
		{"nopi", func(_ *config.Zram, r system.Root) {
			put(t, r, "/etc/systemd/system/multi-user.target.wants/zramswap.service", "")
		}, system.ExitOwned, "disable --now zramswap"},
		{"nopi", func(_ *config.Zram, r system.Root) { put(t, r, "/sys/module/zswap/parameters/enabled", "Y\n") }, system.ExitOK, "zswap.enabled=0"},
		{"nopi", func(_ *config.Zram, r system.Root) {
			put(t, r, "/proc/sys/vm/swappiness", "60\n")
			put(t, r, "/proc/sys/kernel/osrelease", "5.4.0-1-arm\n")
		}, system.ExitOK, "vm.swappiness from 60 to 100"},
		{"nopi", func(_ *config.Zram, r system.Root) {
			put(t, r, "/sys/block/zram0/disksize", "1048576\n")
			put(t, r, "/sys/block/zram0/dev", "253:0\n")
			put(t, r, "/proc/self/mountinfo", "36 35 253:0 / /var/my\\040log rw - ext4 /dev/zram0 rw\n")
		}, system.ExitOK, "zram0 is left alone (mounted on /var/my log)"},
		{"nopi", func(z *config.Zram, _ system.Root) { z.Enabled = false }, system.ExitOK, "nothing to change"},
	} {
		m, cfg := onTree(t, c.tree), cfg
		if c.change != nil {
			c.change(&cfg, m.Root)
		}
		p, err := m.PlanApply(cfg)
		text := p.String()
		if err != nil {
			text = err.Error()
		}
		if system.ExitCodeOf(err) != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s", c.tree, system.ExitCodeOf(err), c.code, c.says, text)
		}
	}
}

// What is swapped out must fit into memory before anything is swapped off.
func TestPlanRefusesWhatMemoryCannotTake(t *testing.T) {
	m := onTree(t, "pi4b")
	os.RemoveAll(m.Root.Path("/run"))
	if err := m.save(state{Devices: []owned{{Name: "zram0", On: true}}}); err != nil {
		t.Fatal(err)
	}
	if p, err := m.PlanOff(); err != nil || len(p.Actions) != 1 {
		t.Errorf("6 GiB for 1 GiB: %v\n%s", err, p)
	}
	put(t, m.Root, "/proc/meminfo", "MemTotal: 1900000 kB\nMemAvailable: 900000 kB\n")
	_, err := m.PlanOff()
	if system.ExitCodeOf(err) != system.ExitNotNow || !strings.Contains(err.Error(), "1 GiB") {
		t.Errorf("879 MiB for 1 GiB: %v", err)
	}
	cfg := config.Default().Zram
	if _, err := m.PlanApply(cfg); system.ExitCodeOf(err) != system.ExitNotNow {
		t.Errorf("apply: %v", err)
	}
	if err := os.WriteFile(m.stateFile(), []byte("{broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := m.PlanOff(); err == nil || !strings.Contains(err.Error(), m.stateFile()) {
		t.Errorf("broken notes: %v", err)
	}
}

// A later device of the same number is not ours.
func TestDiskseqTellsDevicesApart(t *testing.T) {
	m := onTree(t, "nopi")
	put(t, m.Root, "/sys/block/zram0/diskseq", "17\n")
	if err := m.save(state{Devices: []owned{{Name: "zram0", Seq: "9"}}}); err != nil {
		t.Fatal(err)
	}
	p, err := m.PlanOff()
	if err != nil || len(p.Actions) != 1 || p.Actions[0].Kind != KindForget {
		t.Errorf("%v\n%s", err, p)
	}
}

func TestParseSwaps(t *testing.T) {
	const header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	got, err := parseSwaps(header +
		"/dev/zram0                              partition\t8388604\t\t7475912\t\t100\n" + // posted, util-linux issue 3903
		"/zram1                                  partition\t4\t\t0\t\t-2\n" +
		"/swap\\040dir/my\\134file                 file\t\t4398046511104\t0\t\t-3\n" +
		"/var/swap\\040(deleted)                  file\t\t1024\t\t8\t\t-4\n")
	want := []Swap{
		{"/dev/zram0", "partition", 8388604 << 10, 7475912 << 10, 100},
		{"/zram1", "partition", 4 << 10, 0, -2},
		{"/swap dir/my\\file", "file", 4 << 50, 0, -3},
		{"/var/swap", "file", 1 << 20, 8 << 10, -4},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	if got[0].zram() != "zram0" || got[1].zram() != "zram1" || got[2].zram() != "" {
		t.Error("which are zram")
	}
	for _, bad := range []string{"x file\n", "x file a 0 0\n", "x file 1 0 99999999999\n", "x file -1 0 0\n"} {
		if got, err := parseSwaps(header + bad); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func FuzzParseSwaps(f *testing.F) {
	f.Add("Filename Type Size Used Priority\n/dev/zram0 partition 8388604 7475912 100\n")
	f.Add("h\n/a\\040b file 1 2 -3\n\\ partition 0 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		swaps, err := parseSwaps(text)
		for _, s := range swaps {
			if err != nil || s.Size%1024 != 0 || s.Used%1024 != 0 {
				t.Errorf("%+v %v", s, err)
			}
		}
	})
}

func FuzzParseColumns(f *testing.F) {
	f.Add("181977088 57352941 64512000        0 106196992     3992        0")
	f.Add("-1 2 3 4 5 6 7 8 9 10 11")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseColumns(text, 7, 9)
		if (err == nil) != (v != nil) || err == nil && (len(v) != 10 || v[9] < 7) {
			t.Errorf("%q: %v %v", text, v, err)
		}
	})
}

func FuzzParseAlgorithms(f *testing.F) {
	f.Add("[lzo-rle] lzo lz4 ")
	f.Add("#1: lzo [zstd]")
	f.Add("[")
	f.Fuzz(func(t *testing.T, text string) {
		offered, used := parseAlgorithms(text)
		for _, o := range offered {
			if strings.HasPrefix(o, "[") && o != used && !strings.HasPrefix(o, "[[") {
				t.Errorf("%q: %q %q", text, offered, used)
			}
		}
	})
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 512 << 20: "512 MiB", 1<<30 - 1: "1 GiB", 4 << 30: "4 GiB", 1<<64 - 1: "16 EiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
