package metrics

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

var monitoring = filepath.Join("..", "..", "docs", "monitoring")

// promtool accepts the alert rules and sees each of them fire and not fire.
func TestAlertRules(t *testing.T) {
	promtool := systemtest.Tool(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "sierpi.rules.yml"},
		{"test", "rules", "sierpi.rules.test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// promtool accepts the config that the README there shows.
func TestMonitoringReadme(t *testing.T) {
	promtool := systemtest.Tool(t, "promtool", "prometheus")
	text, err := os.ReadFile(filepath.Join(monitoring, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if shown == nil {
		t.Fatal("no config is shown")
	}
	dir := t.TempDir()
	rules, err := os.ReadFile(filepath.Join(monitoring, "sierpi.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"prometheus.yml": shown[1], "sierpi.rules.yml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(promtool, "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "SUCCESS: 8 rules found") {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}

// The rules and the dashboard ask for figures that exist.
func TestMonitoringNames(t *testing.T) {
	var names []string
	for _, f := range All() {
		names = append(names, f.Name)
	}
	for _, file := range []string{"sierpi.rules.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(monitoring, file))
		if err != nil {
			t.Fatal(err)
		}
		used := regexp.MustCompile(`\bsierpi_[a-z_]+`).FindAllString(string(text), -1)
		if len(used) < 5 {
			t.Errorf("%s uses %d figures", file, len(used))
		}
		for _, name := range used {
			if !slices.Contains(names, name) {
				t.Errorf("%s asks for %s, which nobody exports", file, name)
			}
		}
	}
}
