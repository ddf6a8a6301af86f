package reset

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

// tree is a machine that was used.
func tree(t *testing.T) string {
	root := t.TempDir()
	for path, text := range map[string]string{
		"/var/lib/sierpi/sierpi.db":                     "quotes",
		"/var/lib/sierpi/owner.json":                    "{}",
		"/var/lib/sierpi/backups/sierpi-x-0001.tar.gz":  "a backup",
		"/var/lib/sierpi-system/serial.json":            "what undoes the serial line",
		"/var/lib/sierpi-firstboot/report.json":         "{}",
		"/var/cache/sierpi/copy":                        "x",
		"/etc/sierpi/sierpi.toml":                       "[chat]\nkeep = 500\n",
		"/etc/sierpi/web.yml":                           "the owner's",
		"/usr/share/sierpi/sierpi.toml":                 "# reference\n",
		"/boot/firmware/sierpi.toml":                    "[firstboot]\n",
		"/etc/passwd":                                   "ada",
		"/home/ada/picture":                             "x",
		"/var/lib/sierpi/cache/feeds/link-target-below": "x",
	} {
		put(t, filepath.Join(root, path), text)
	}
	// A link in the state must not lead the removal out of it.
	if err := os.Symlink(filepath.Join(root, "home"), filepath.Join(root, "var/lib/sierpi/link")); err != nil {
		t.Fatal(err)
	}
	return root
}

func files(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReset removes what a machine has gathered, and nothing that is its owner's otherwise.
func TestReset(t *testing.T) {
	root := tree(t)
	before := files(t, root)
	p, err := NewPlan(Options{Root: system.Root(root), Backups: "/var/lib/sierpi/backups", Database: "PostgreSQL u@h/d"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(files(t, root), before) {
		t.Fatal("planning changed something")
	}
	for _, want := range []string{"sierpi.db", "PostgreSQL u@h/d", "the system's users", "/var/lib/sierpi/backups"} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("the plan does not say %q:\n%s", want, p)
		}
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/boot/firmware/sierpi.toml", "/etc/passwd", "/etc/sierpi/sierpi.toml", "/etc/sierpi/web.yml", "/home/ada/picture",
		"/usr/share/sierpi/sierpi.toml", "/var/lib/sierpi/backups/sierpi-x-0001.tar.gz", "/var/lib/sierpi-system/serial.json",
	}
	got := files(t, root)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("left is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	doc, err := os.ReadFile(filepath.Join(root, "etc/sierpi/sierpi.toml"))
	if err != nil || string(doc) != "# reference\n" {
		t.Errorf("the config is %q: %v", doc, err)
	}
	if Pending(system.Root(root)) {
		t.Error("the note is still there")
	}
}

// TestInterrupted: with the note there the next boot goes on, whatever is left.
func TestInterrupted(t *testing.T) {
	root := tree(t)
	put(t, filepath.Join(root, notePath), "")
	if err := os.Remove(filepath.Join(root, "var/lib/sierpi/sierpi.db")); err != nil {
		t.Fatal(err)
	}
	if !Pending(system.Root(root)) {
		t.Fatal("the note is not seen")
	}
	p, err := NewPlan(Options{Root: system.Root(root)})
	if err == nil {
		err = p.Apply()
	}
	if err != nil || Pending(system.Root(root)) {
		t.Fatalf("%v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(root, "var/lib/sierpi")); err != nil || len(entries) != 0 {
		t.Errorf("left: %v %v", entries, err)
	}
}

// TestOtherFolder: in a folder that was named by hand only what is sierpi's goes.
func TestOtherFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sierpi.db", "sierpi.db-wal", "sierpi-schema-10.db", "owner.json", "thesis.doc", "cache/x", "Pictures/y"} {
		put(t, filepath.Join(dir, name), "x")
	}
	p, err := NewPlan(Options{State: dir})
	if err == nil {
		err = p.Apply()
	}
	if got := files(t, dir); err != nil || !slices.Equal(got, []string{"/Pictures/y", "/thesis.doc"}) {
		t.Errorf("left is %v: %v", got, err)
	}
	if p, err = NewPlan(Options{State: dir}); err != nil || !p.Empty() {
		t.Errorf("a second time: %v %v", p, err)
	}
}
