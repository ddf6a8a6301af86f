package imagebuild

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

func kioskDeb(t *testing.T) string {
	t.Helper()
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	path, err := (Deb{Version: "0.1.0", Time: testTime}).BuildKiosk(t.Context(), license, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKioskDebIsReproducible(t *testing.T) {
	systemtest.Tool(t, "dpkg-deb", "dpkg")
	var packages [2][]byte
	for i := range packages {
		old := syscall.Umask([]int{0o022, 0o077}[i])
		path := kioskDeb(t)
		syscall.Umask(old)
		var err error
		if packages[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packages[0], packages[1]) {
		t.Errorf("two builds differ: %d and %d bytes", len(packages[0]), len(packages[1]))
	}
}

// TestKioskDebContents holds paths, modes, owners, conffiles and the control file.
func TestKioskDebContents(t *testing.T) {
	dpkg := systemtest.Tool(t, "dpkg-deb", "dpkg")
	path := kioskDeb(t)
	var got bytes.Buffer
	for _, args := range [][]string{{"--field", path}, {"--info", path, "conffiles"}, {"--contents", path}} {
		out, err := exec.Command(dpkg, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); args[0] == "--contents" && len(f) > 5 {
				line = f[0] + " " + f[1] + " " + strings.Join(f[5:], " ") + "\n"
			}
			if strings.HasPrefix(line, "Installed-Size:") {
				line = "Installed-Size: N\n"
			}
			got.WriteString(line)
		}
	}
	golden(t, "deb-kiosk.txt", got.Bytes())
}

func TestKioskLintian(t *testing.T) {
	lintian := systemtest.Tool(t, "lintian", "lintian")
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "bad-distribution-in-changes-file", kioskDeb(t)).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

func TestKioskScripts(t *testing.T) {
	scripts := kioskScripts()
	for _, f := range (Deb{}).kioskFiles(nil) {
		if f.Mode&0o111 != 0 {
			scripts[f.Path] = string(f.Data)
		}
	}
	for name, script := range scripts {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func FuzzParsePPM(f *testing.F) {
	f.Add([]byte("P6\n2 1\n255\nabcdef"))
	f.Add([]byte("P6\n16384 16384\n255\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if img, err := parsePPM(doc); err == nil && 3*img.Rect.Dx()*img.Rect.Dy() > len(doc) {
			t.Errorf("%v of %d bytes", img.Rect, len(doc))
		}
	})
}
