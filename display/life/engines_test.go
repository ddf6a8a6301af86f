//go:build long

package life_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestEngineRatios runs BenchmarkEngines as binaries for amd64, arm64 and ARMv6, the foreign ones
// under qemu-user, and prints a table for docs/benchmarks.md: .ci/bench engines. An
// emulator's speed says nothing about a board's, so each engine stands beside the torus on the same
// machine.
func TestEngineRatios(t *testing.T) {
	targets := []struct{ name, arch, arm, emulator, apt string }{
		{"amd64", "amd64", "", "", ""},
		{"arm64, emulated", "arm64", "", "qemu-aarch64-static", "qemu-user-static"},
		{"ARMv6, emulated", "arm", "6", "qemu-arm-static", "qemu-user-static"},
	}
	figures := map[string]map[string]float64{}
	var names []string
	for _, target := range targets {
		binary := filepath.Join(t.TempDir(), "life.test")
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+target.arch, "GOARM="+target.arm)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", target.name, err, out)
		}
		argv := []string{binary, "-test.run=^$", "-test.bench=Engines", "-test.benchtime=3x", "-test.cpu=1"}
		if target.emulator != "" {
			argv = append([]string{systemtest.Tool(t, target.emulator, target.apt)}, argv...)
		}
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", target.name, err, out)
		}
		figures[target.name] = map[string]float64{}
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) < 4 || !strings.HasPrefix(f[0], "BenchmarkEngines/") {
				continue
			}
			name := strings.TrimPrefix(f[0], "BenchmarkEngines/")
			for i := 3; i < len(f); i += 2 {
				value, err := strconv.ParseFloat(f[i-1], 64)
				if err != nil {
					t.Fatalf("%s: %q: %v", target.name, lines.Text(), err)
				}
				switch {
				case f[i] == "Gcell/s":
					figures[target.name][name] = value
				case f[i] == "ns/op" && strings.HasPrefix(name, "hash"):
					figures[target.name][name] = value / 1e6 // ms
				}
			}
			if target.emulator == "" {
				names = append(names, name)
			}
		}
	}
	head, rule := "| engine |", "| --- |"
	for _, target := range targets {
		head += " " + target.name + " |  |"
		rule += " ---: | ---: |"
	}
	fmt.Println(head)
	fmt.Println(rule)
	for _, name := range names {
		row := "| " + name + " |"
		for _, target := range targets {
			v, base := figures[target.name][name], figures[target.name]["torus-soup-Life"]
			if strings.HasPrefix(name, "hash") {
				row += fmt.Sprintf(" %.3g ms |  |", v)
				continue
			}
			row += fmt.Sprintf(" %.3g Gcell/s | %.2f |", v, v/base)
		}
		fmt.Println(row)
	}
}
