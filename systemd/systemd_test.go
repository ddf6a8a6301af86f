package systemd

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// tree lays the files out under a root of their own, with stand-ins for the
// programs that the units start, which systemd-analyze looks for.
func tree(t *testing.T) string {
	root := t.TempDir()
	write := func(path string, mode fs.FileMode, data []byte) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range Files() {
		write(f.Path, f.Mode, f.Data)
	}
	for _, program := range []string{"/usr/bin/sierpi", "/usr/lib/sierpi/sierpi-zram", "/usr/lib/sierpi/previous/usr/bin/sierpi", "/sbin/agetty", "/bin/kill"} {
		write(program, 0o755, []byte("#!/bin/sh\n"))
	}
	return root
}

func TestEveryEmbeddedFileIsInstalled(t *testing.T) {
	entries, err := fs.ReadDir(files, "units")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, Units()) {
		t.Errorf("units/ holds %v, Units() says %v", names, Units())
	}
	if !slices.IsSortedFunc(Files(), func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("Files is not sorted")
	}
}

// TestVerify holds that systemd itself has nothing to say about the units.
func TestVerify(t *testing.T) {
	analyze := systemtest.Tool(t, "systemd-analyze", "systemd")
	root := tree(t)
	// The distribution's own units that ours name, and the template that we add to.
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		stock, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range stock {
			to := filepath.Join(root, "usr/lib/systemd/system", filepath.Base(path))
			if _, err := os.Lstat(to); err == nil {
				continue
			}
			if target, err := filepath.EvalSymlinks(path); err == nil {
				if data, err := os.ReadFile(target); err == nil {
					if err := os.WriteFile(to, data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	args := []string{"verify", "--root=" + root, "--man=no", "--recursive-errors=one", "serial-getty@ttyS0.service"}
	cmd := exec.Command(analyze, append(args, Units()...)...)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
}

// TestSecurity holds the bounds on systemd's own measure of exposure and prints it.
func TestSecurity(t *testing.T) {
	analyze := systemtest.Tool(t, "systemd-analyze", "systemd")
	dir := filepath.Join(tree(t), "usr/lib/systemd/system")
	level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	for _, unit := range Units() {
		if !strings.HasSuffix(unit, ".service") {
			continue
		}
		bound := 4.0
		if unit == "sierpi.service" {
			bound = 1.5
		}
		out, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold=100", filepath.Join(dir, unit)).CombinedOutput()
		m := level.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("systemd-analyze security %s: %v\n%s", unit, err, out)
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-26s exposure %.1f, at most %.1f", unit, got, bound)
		if got > bound {
			t.Errorf("%s: exposure %.1f is over %.1f\n%s", unit, got, bound, out)
		}
	}
}

// TestReasons holds that every line that hardens a service has its reason above
// it, in the same run of lines.
func TestReasons(t *testing.T) {
	hardening := regexp.MustCompile(`^(Protect|Private|Restrict|Capability|SystemCallFilter|DevicePolicy|NoNew|MemoryDeny)`)
	for _, f := range Files() {
		if !strings.HasSuffix(f.Path, ".service") {
			continue
		}
		section, reasoned := "", false
		for i, line := range strings.Split(string(f.Data), "\n") {
			switch {
			case strings.HasPrefix(line, "["):
				section = line
			case strings.HasPrefix(line, "#"):
				reasoned = true
			case line == "":
				reasoned = false
			case section == "[Service]" && hardening.MatchString(line) && !reasoned:
				t.Errorf("%s:%d: %s has no reason", filepath.Base(f.Path), i+1, line)
			}
		}
	}
}

func TestSysusersAndTmpfiles(t *testing.T) {
	sysusers := systemtest.Tool(t, "systemd-sysusers", "systemd")
	root := tree(t)
	if out, err := exec.Command(sysusers, "--root="+root, "--dry-run").CombinedOutput(); err != nil {
		t.Errorf("systemd-sysusers: %v\n%s", err, out)
	} else {
		for _, want := range []string{"sierpi", "gpio", "i2c"} {
			if !strings.Contains(string(out), "'"+want+"'") {
				t.Errorf("systemd-sysusers would not make %s:\n%s", want, out)
			}
		}
	}
}

func TestLoginScript(t *testing.T) {
	out, err := exec.Command("sh", "-n", filepath.Join(tree(t), "usr/lib/sierpi/login")).CombinedOutput()
	if err != nil {
		t.Errorf("sh -n: %v\n%s", err, out)
	}
}

// TestKioskFiles holds that every file of the package sierpi-kiosk is installed, that
// the users are made, and that systemd reads the drop-in.
func TestKioskFiles(t *testing.T) {
	entries, err := fs.ReadDir(kioskFiles, "kiosk")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(KioskFiles()) {
		t.Errorf("kiosk/ holds %d files, KioskFiles lists %d", len(entries), len(KioskFiles()))
	}
	if !slices.IsSortedFunc(KioskFiles(), func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("KioskFiles is not sorted")
	}
	root := tree(t)
	for _, f := range KioskFiles() {
		path := filepath.Join(root, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
		if f.Mode&0o111 != 0 {
			if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
				t.Errorf("sh -n %s: %v\n%s", f.Path, err, out)
			}
		}
	}
	out, err := exec.Command(systemtest.Tool(t, "systemd-sysusers", "systemd"), "--root="+root, "--dry-run").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "'sierpi-kiosk'") {
		t.Errorf("systemd-sysusers: %v\n%s", err, out)
	}
}
