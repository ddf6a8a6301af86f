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
	for _, names := range testsByFolder(t, root) {
		for _, name := range names {
			there[name] = true
		}
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

// testsByFolder are the names of all tests, benchmarks and fuzz targets, by the folder below root that they are in.
func testsByFolder(t *testing.T, root string) map[string][]string {
	t.Helper()
	there := map[string][]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
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
		folder, _ := filepath.Rel(root, filepath.Dir(path))
		for _, m := range declared.FindAllSubmatch(text, -1) {
			there[folder] = append(there[folder], string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// TestTestsThatAreAskedFor: each `go test` of the documents, the Makefile and the scripts finds, by its -run
// or -bench, a test in every folder that it names; each `make` has its target.
func TestTestsThatAreAskedFor(t *testing.T) {
	root := filepath.Join("..", "..")
	there := testsByFolder(t, root)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "Makefile", ".ci/bench", ".ci/test"} {
		files = append(files, filepath.Join(root, name))
	}
	asked := regexp.MustCompile("go test ([^;`\n]*)")
	folders := regexp.MustCompile(`(?:^| )\./([\w/.]+)`)
	pattern := regexp.MustCompile(`-(run|bench) ('[^']+'|\S+)`)
	targets := regexp.MustCompile("(?m)^    make ([a-z -]+)|`make ([a-z -]+)")
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range targets.FindAllStringSubmatch(string(text), -1) {
			for _, target := range strings.Fields(m[1] + m[2]) {
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
					t.Errorf("%s: make %s has no target", file, target)
				}
			}
		}
		for _, m := range asked.FindAllStringSubmatch(string(text), -1) {
			for _, p := range pattern.FindAllStringSubmatch(m[1], -1) {
				expr := strings.ReplaceAll(strings.Trim(p[2], `'"`), "$$", "$")
				expr, _, _ = strings.Cut(expr, "/")
				if expr == "^$" { // only benchmarks
					continue
				}
				find, err := regexp.Compile(expr)
				if err != nil {
					t.Errorf("%s: %s: %v", file, m[0], err)
					continue
				}
				for _, f := range folders.FindAllStringSubmatch(m[1], -1) {
					count++
					if !slices.ContainsFunc(there[strings.TrimSuffix(f[1], "/")], func(name string) bool {
						return find.MatchString(name) && strings.HasPrefix(name, "Benchmark") == (p[1] == "bench")
					}) {
						t.Errorf("%s: %s finds nothing in %s", file, m[0], f[1])
					}
				}
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d were found", count)
	}
}

// TestCommandsThatAreShown: whoever types what the help, the documents or an error's remedy has
// is understood.
func TestCommandsThatAreShown(t *testing.T) {
	systemtest.Commands(t, newRoot(), filepath.Join("..", ".."))
}

// TestArchitectureDiffs applies the changes that docs/architecture.md shows to copies of what
// they touch, one by one, builds what comes of it and tests what can be tested so: they stay as real as the day they were written.
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
			// What the change must hold beside that, where it reads no file that is only here.
			holds := map[string][]string{
				"display": {"./display", "-run", "^(TestTurn|TestGuardLeavesScenesAlone|TestTraffic)$/^tide"},
				"board":   {"./system/board"},
			}
			if args := holds[filepath.Base(t.Name())]; args != nil {
				hold := exec.CommandContext(t.Context(), "go", append([]string{"test", "-short", "-v", "-overlay", filepath.Join(tree, "overlay.json")}, args...)...)
				hold.Dir = root
				if out, err := hold.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
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
