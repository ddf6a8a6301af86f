package imagebuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestUpgradeKeepsTheVersionBefore lets dpkg itself install and upgrade the package in a
// root of its own, scripts and all, and looks at what is kept for the way back.
func TestUpgradeKeepsTheVersionBefore(t *testing.T) {
	systemtest.Root(t)
	dpkg := systemtest.Tool(t, "dpkg", "dpkg")
	systemtest.Tool(t, "systemd-sysusers", "systemd")
	systemtest.Tool(t, "deb-systemd-helper", "init-system-helpers")
	root, debs := t.TempDir(), t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc", "usr"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"var/lib/dpkg/status": "", "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(dpkg, append([]string{"--root=" + root, "--force-script-chrootless", "--force-depends"}, args...)...)
		cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("dpkg %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	contents := testContents(t, "amd64")
	install := func(version string) {
		t.Helper()
		contents.Binary = []byte("program " + version)
		path, err := (Deb{Version: version, Arch: "amd64", Time: testTime}).Build(t.Context(), contents, debs)
		if err != nil {
			t.Fatal(err)
		}
		run("--force-architecture", "--install", path)
	}
	is := func(path, want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil && !os.IsNotExist(err) || string(got) != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	const (
		program = "usr/bin/sierpi"
		kept    = "usr/lib/sierpi/previous/"
		pending = "var/lib/sierpi-system/update-pending"
	)
	install("1.0")
	is(kept+"version", "")
	is(pending, "")

	install("2.0")
	is(program, "program 2.0")
	is(kept+program, "program 1.0")
	is(kept+"version", "1.0\n")
	is(pending, "1.0 2.0\n")
	unit := "usr/lib/systemd/system/sierpi.service"
	if _, err := os.Stat(filepath.Join(root, kept+unit)); err != nil {
		t.Errorf("the unit is not kept: %v", err)
	}

	// Another before that one was shown to start: what ran is worth keeping.
	install("3.0")
	is(program, "program 3.0")
	is(kept+program, "program 1.0")
	is(pending, "1.0 3.0\n")

	// Shown to start, the next one keeps it.
	if err := os.Remove(filepath.Join(root, pending)); err != nil {
		t.Fatal(err)
	}
	install("4.0")
	is(kept+program, "program 3.0")
	is(pending, "3.0 4.0\n")

	// Put back: dpkg says 4.0, and the files are 3.0's.
	if err := os.Remove(filepath.Join(root, program)); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(root, kept+program), filepath.Join(root, program)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, pending)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/sierpi-system/put-back"), []byte("3.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	install("5.0")
	is(program, "program 5.0")
	is(kept+program, "program 3.0")
	is(kept+"version", "3.0\n")
	is(pending, "3.0 5.0\n")

	run("--remove", "sierpi")
	for _, gone := range []string{"usr/lib/sierpi", pending} {
		if _, err := os.Lstat(filepath.Join(root, gone)); !os.IsNotExist(err) {
			t.Errorf("after the removal %s is there: %v", gone, err)
		}
	}
}
