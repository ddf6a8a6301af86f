package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/sierpi/sierpi/"

// allowed is the table of docs/architecture.md: what a package may import of
// ours. "x/*" stands for x's sub-packages; a package not listed here is an error,
// so that a new one must be placed deliberately. Test files may import more.
var allowed = map[string][]string{
	"system":                 {},
	"system/systemtest":      {},
	"system/atomicfile":      {},
	"systemd":                {},
	"daemon/config":          {"system/atomicfile"},
	"daemon/cache":           {"system/atomicfile"},
	"daemon/fetch":           {},
	"daemon/store":           {"system/atomicfile"},
	"daemon/store/storetest": {"system/systemtest"},
	"daemon/backup":          {"daemon/config", "daemon/store", "system/atomicfile"},
	"daemon/metrics":         {},
	"daemon/web":             {"system/atomicfile"},
	"display/life":           {},
	"display/life/hash":      {"display/life"},
	"display/sierpinski":     {},
	"display/snake":          {},
	"display/wire":           {},
	"system/board":           {"system", "daemon/config"},
	"system/zram":            {"system", "daemon/config"},
	"system/serial":          {"system", "daemon/config", "system/atomicfile"},
	"system/overlay":         {"system", "daemon/config", "system/atomicfile"},
	"system/power":           {"system", "daemon/config", "system/board", "system/atomicfile"},
	"system/gpio":            {"system", "daemon/config", "system/board"},
	"system/firstboot":       {"system", "daemon/config", "system/board", "system/atomicfile"},
	"system/updates":         {"system", "daemon/config", "system/atomicfile"},
	"system/reset":           {"system", "system/atomicfile"},
	"daemon/feed":            {"daemon/cache", "daemon/fetch", "daemon/store", "daemon/web"},
	"daemon/quotes":          {"daemon/cache", "daemon/fetch", "daemon/store", "daemon/web"},
	"daemon/chat":            {"daemon/cache", "daemon/fetch", "daemon/store", "daemon/web"},
	"daemon/cutout":          {"daemon/cache", "daemon/fetch", "daemon/store", "daemon/web"},
	"display/page":           {"daemon/web"},
	"display/framebuffer":    {"display/wire", "daemon/config", "system", "system/board"},
	"display/kiosk":          {"display/wire", "daemon/config", "system", "system/board", "system/atomicfile"},
	"display":                {"display/life", "display/sierpinski", "display/snake", "display/wire", "display/page"},
	"daemon":                 {"daemon/*", "display", "display/life", "display/life/hash", "display/sierpinski", "display/snake", "display/wire", "display/page", "system", "system/*"},
	"image-build":            {"systemd", "system", "system/serial", "system/board", "daemon/config"},
	"cmd/sierpi":             {"*"},
	"cmd/sierpi-image":       {"*"},
	"cmd/sierpi-zram":        {"daemon/config", "system", "system/zram"},
}

// TestImports holds the import table of the design.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		seen++
		name := strings.TrimPrefix(pkg.ImportPath, module)
		may, ok := allowed[name]
		if !ok {
			t.Errorf("%s is not in the import table: place it there, and in docs/architecture.md", name)
			continue
		}
		for _, imp := range pkg.Imports {
			if ours, ok := strings.CutPrefix(imp, module); ok && !permits(may, ours) {
				t.Errorf("%s imports %s, which the import table forbids", name, ours)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("the table lists %d packages, the module has %d", len(allowed), seen)
	}
}

func permits(may []string, pkg string) bool {
	for _, m := range may {
		prefix, wild := strings.CutSuffix(m, "*")
		if m == pkg || wild && strings.HasPrefix(pkg, prefix) && !strings.HasPrefix(pkg, "cmd/") {
			return true
		}
	}
	return false
}
