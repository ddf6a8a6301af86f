package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestDocumentsNameRealTests: what docs/SECURITY.md and docs/faults.md say was tried is tried by
// tests that are there.
func TestDocumentsNameRealTests(t *testing.T) {
	root := filepath.Join("..", "..")
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "build") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"docs/SECURITY.md", "docs/faults.md", "docs/architecture.md"} {
		text, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(text, -1)
		for _, m := range named {
			if !there[string(m[1])] {
				t.Errorf("%s names %s, which is nowhere", doc, m[1])
			}
		}
		if doc != "docs/architecture.md" && len(named) < 20 {
			t.Errorf("%s names only %d tests", doc, len(named))
		}
	}
}

// TestArchitectureDiffs applies the changes that docs/architecture.md shows to copies of what
// they touch, one by one, and builds what comes of it: they stay as real as the day they were written.
func TestArchitectureDiffs(t *testing.T) {
	systemtest.Tool(t, "git", "git")
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	diffs := regexp.MustCompile("(?ms)^```diff\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(diffs) != 4 {
		t.Errorf("%d changes are shown: a scene, a metric, a service, a board", len(diffs))
	}
	for _, d := range diffs {
		files := regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)$`).FindAllSubmatch(d[1], -1)
		if len(files) == 0 {
			t.Fatalf("no file is changed by\n%s", d[1])
		}
		t.Run(filepath.Base(filepath.Dir(string(files[len(files)-1][1]))), func(t *testing.T) {
			// Only what is touched is copied; the compiler sees it in the place of the original,
			// so that all else comes from its cache.
			tree, root := t.TempDir(), filepath.Join("..", "..")
			overlay := struct{ Replace map[string]string }{map[string]string{}}
			packages := map[string]bool{}
			var names []string
			for _, f := range files {
				name := string(f[1])
				names = append(names, name)
				from, err := filepath.Abs(filepath.Join(root, name))
				if err != nil {
					t.Fatal(err)
				}
				to := filepath.Join(tree, name)
				overlay.Replace[from] = to
				if strings.HasSuffix(name, ".go") {
					packages["./"+filepath.Dir(name)] = true
				}
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if data, err := os.ReadFile(from); err == nil {
					err = os.WriteFile(to, data, 0o644)
					if err != nil {
						t.Fatal(err)
					}
				} else if !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
			apply := exec.CommandContext(t.Context(), "git", "apply", "--unidiff-zero", "--whitespace=error", "-")
			apply.Dir, apply.Stdin = tree, bytes.NewReader(d[1])
			if out, err := apply.CombinedOutput(); err != nil {
				t.Fatalf("it does not apply any more: %v\n%s\n%s", err, out, d[1])
			}
			list, err := json.Marshal(overlay)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(tree, "overlay.json"), list, 0o644); err != nil {
				t.Fatal(err)
			}
			build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay", filepath.Join(tree, "overlay.json")}, slices.Sorted(maps.Keys(packages))...)...)
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", names, err, out)
			}
			format := exec.CommandContext(t.Context(), "gofmt", append([]string{"-l"}, goFiles(names)...)...)
			format.Dir = tree
			if out, err := format.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("gofmt: %v\n%s", err, out)
			}
		})
	}
}

func goFiles(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, ".go") })
}
