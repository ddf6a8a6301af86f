package imagebuild

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what is made now (go test -update writes it anew):\n%s", path, got)
	}
}

var testTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// program builds a small static Go program for the architecture: a real ELF file,
// as lintian wants to see it.
func program(t *testing.T, arch string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module small\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(0) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := goBuild(t.Context(), goBuildOptions{dir: dir, arch: arch, pkg: "."})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func testContents(t *testing.T, arch string) Contents {
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	return Contents{
		Binary:      program(t, arch),
		Zram:        program(t, arch),
		Reference:   []byte("# every key, commented\n"),
		Man:         map[string][]byte{"sierpi.1": []byte(".TH SIERPI 1 2026-11-20 sierpi sierpi\n.SH NAME\nsierpi \\- appliance with a living screen\n")},
		Completions: map[string][]byte{"bash": []byte("complete -W 'serve' sierpi\n"), "zsh": []byte("#compdef sierpi\n"), "fish": []byte("complete -c sierpi\n")},
		License:     license,
		Notices:     []Notice{{Module: "example.org/part", Version: "v1.0.0", Kinds: []string{"MIT"}, Texts: []LicenseText{{"LICENSE", "Do what you like.\n"}}}},
	}
}

func TestDebIsReproducible(t *testing.T) {
	systemtest.Tool(t, "dpkg-deb", "dpkg")
	deb := Deb{Version: "0.1.0", Arch: "armel", Time: testTime}
	contents := testContents(t, "armel")
	var packages [2][]byte
	for i := range packages {
		// What differs between machines: the umask, the clock and the folder.
		old := syscall.Umask([]int{0o022, 0o077}[i])
		path, err := deb.Build(t.Context(), contents, t.TempDir())
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if packages[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packages[0], packages[1]) {
		t.Errorf("two builds differ: %d and %d bytes", len(packages[0]), len(packages[1]))
	}
}

// TestDebContents holds paths, modes, owners and the control file.
func TestDebContents(t *testing.T) {
	dpkg := systemtest.Tool(t, "dpkg-deb", "dpkg")
	contents := testContents(t, "arm64")
	contents.Binary = []byte("program") // so that the size does not follow the Go release
	path, err := (Deb{Version: "0.1.0", Arch: "arm64", Time: testTime}).Build(t.Context(), contents, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, args := range [][]string{{"--field", path}, {"--contents", path}} {
		out, err := exec.Command(dpkg, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			// The size of a file changes with its text; its mode, owner and path must not.
			if f := strings.Fields(line); args[0] == "--contents" && len(f) > 5 {
				line = f[0] + " " + f[1] + " " + strings.Join(f[5:], " ") + "\n"
			}
			got.WriteString(line)
		}
	}
	text := strings.Split(got.String(), "\n")
	for i, line := range text {
		if strings.HasPrefix(line, "Installed-Size:") {
			text[i] = "Installed-Size: N"
		}
	}
	golden(t, "deb.txt", []byte(strings.Join(text, "\n")))
}

func TestDebRefuses(t *testing.T) {
	for _, tt := range []struct{ deb Deb }{
		{Deb{Version: "v1", Arch: "arm64"}},
		{Deb{Version: "1.0/../x", Arch: "arm64"}},
		{Deb{Version: "1.0", Arch: "riscv64"}},
	} {
		if _, err := tt.deb.Build(t.Context(), Contents{}, t.TempDir()); err == nil {
			t.Errorf("%+v was built", tt.deb)
		}
	}
}

func TestLintian(t *testing.T) {
	lintian := systemtest.Tool(t, "lintian", "lintian")
	for _, arch := range []string{"amd64", "armel"} {
		path, err := (Deb{Version: "0.1.0", Arch: arch, Time: testTime}).Build(t.Context(), testContents(t, arch), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "bad-distribution-in-changes-file", path).CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("lintian on %s: %v\n%s", arch, err, out)
		}
	}
}

func TestMaintainerScripts(t *testing.T) {
	for name, script := range maintainerScripts() {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if strings.Contains(script, "@") && strings.Contains(script, "@ENABLED") {
			t.Errorf("%s: a placeholder is left", name)
		}
	}
	for _, unit := range strings.Fields(enabledUnits) {
		if _, err := os.Stat(filepath.Join("../systemd/units", unit)); err != nil {
			t.Error(fmt.Errorf("enabled, but not there: %w", err))
		}
	}
}
