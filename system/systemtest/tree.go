package systemtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Tree unpacks a txtar archive of a machine's files into a temporary folder, the
// root for code under test, and returns it. A section's header says where the
// file comes from, and must:
//
//	-- proc/cpuinfo | posted https://... --
//	-- proc/device-tree/model | quoted | derived from Debian's bcm2837-rpi-3-b.dtb --
//
// captured: read from a running machine or emulator by us; posted: somebody
// published it; derived: put together by us from what is named. A quoted file is
// a Go string, for device-tree values with their NUL.
func Tree(t testing.TB, archive string) string {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range a.Files {
		fields := strings.Split(f.Name, " | ")
		name, source := fields[0], fields[len(fields)-1]
		kind, from, _ := strings.Cut(source, " ")
		if len(fields) < 2 || kind != "captured" && kind != "posted" && kind != "derived" || from == "" {
			t.Fatalf("%s: %q does not say where the file comes from", archive, f.Name)
		}
		data := f.Data
		if len(fields) == 3 && fields[1] == "quoted" {
			s, err := strconv.Unquote(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatalf("%s: %s: %v", archive, name, err)
			}
			data = []byte(s)
		}
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
