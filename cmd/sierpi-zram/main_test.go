package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system"
)

// What it does is package zram's and held there, on real devices; here is that it asks
// for the right thing and says what went wrong as sierpi does.
func TestRun(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put("proc/meminfo", "MemTotal: 1000000 kB\nMemFree: 800000 kB\nMemAvailable: 900000 kB\n")
	put("proc/swaps", "Filename Type Size Used Priority\n")
	config := filepath.Join(root, "given.toml")
	for _, c := range []struct {
		name, own, given string
		args             []string
		code             system.ExitCode
		says             string
	}{
		{"no word", "", "", nil, system.ExitConfig, "apply or off"},
		{"two words", "", "", []string{"apply", "off"}, system.ExitConfig, "apply or off"},
		{"no zram", "", "", []string{"apply"}, system.ExitImpossible, "modprobe zram"},
		{"a mistake in its table", "[zram]\nsize = \"many\"\n", "", []string{"apply"}, system.ExitConfig, "zram.size"},
		{"a mistake elsewhere", "[display]\nwidth = \"many\"\n", "", []string{"apply"}, system.ExitImpossible, "modprobe zram"},
		{"switched off", "[zram]\nenabled = false\n", "", []string{"apply"}, system.ExitOK, "enabled = false"},
		{"a file of its own", "", "[zram]\nenabled = false\n", []string{"apply"}, system.ExitOK, "enabled = false"},
		{"off where nothing is", "[zram]\nsize = \"many\"\n", "", []string{"off"}, system.ExitOK, "nothing to change"},
	} {
		t.Run(c.name, func(t *testing.T) {
			put("etc/sierpi/sierpi.toml", c.own)
			file := ""
			if c.given != "" {
				file = config
				if err := os.WriteFile(config, []byte(c.given), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := run(system.Root(root), file, c.args)
			said := plan.String()
			if err != nil {
				said = err.Error()
			}
			if code := system.ExitCodeOf(err); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, want %d: %s", code, c.code, said)
			}
			if _, err := os.Stat(filepath.Join(root, "run/sierpi-system/zram.json")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it noted a device: %v", err)
			}
		})
	}
}
