package imagebuild

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotices holds that every module that is linked into the program has a licence that
// allows it, for each board, and that the shipped file has the texts.
func TestNotices(t *testing.T) {
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[string]bool{}
	for _, arch := range []string{"amd64", "arm64", "armhf"} {
		notices, err := Source{Dir: dir}.Notices(t.Context(), arch, "./cmd/sierpi")
		if err != nil {
			t.Error(err)
		}
		text := string(thirdParty(notices))
		for _, n := range notices {
			shipped[n.Module] = true
			if !strings.Contains(text, "  "+n.Module+" "+n.Version+": ") || len(n.Texts) == 0 {
				t.Errorf("%s: %s is not listed", arch, n.Module)
			}
			for _, l := range n.Texts {
				if !strings.Contains(text, strings.TrimRight(l.Text, "\n")) {
					t.Errorf("%s: %s of %s is not passed on", arch, l.Name, n.Module)
				}
			}
		}
		if len(notices) < 40 {
			t.Errorf("%s: only %d modules", arch, len(notices))
		}
		t.Logf("%s: %d modules, %d bytes", arch, len(notices), len(text))
	}
	for _, name := range []string{"Go standard library", "modernc.org/sqlite", "github.com/spf13/cobra"} {
		if !shipped[name] {
			t.Errorf("%s is not listed", name)
		}
	}

	// What go.mod names beside, for tests and tools, must have a licence as well.
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		list := exec.CommandContext(t.Context(), "go", "list", "-m", "-json", r.Path)
		list.Dir = dir
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%s: %v", r.Path, err)
		}
		var m goModule
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatal(err)
		}
		if m.Dir == "" && !shipped[r.Path] {
			continue // nothing here uses it on this machine: it was not even fetched
		}
		if _, err := noticeOf(m, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestNoticesMissing: a module without a licence, or under one that forbids, is an error.
func TestNoticesMissing(t *testing.T) {
	for name, file := range map[string][2]string{
		"none":        {"README", "do what you like"},
		"unknown":     {"LICENSE", "You may look at this on Tuesdays."},
		"by its name": {"LICENSE", "See https://opensource.org/licenses/MIT"},
		"GPL":         {"COPYING", "GNU GENERAL PUBLIC LICENSE Version 3\nYou may convey verbatim copies of the\nProgram: its source code"},
		"both":        {"LICENSE", "Permission is hereby granted, free of charge, to any person obtaining a copy\nThe above copyright notice and this permission notice shall be included\nGNU AFFERO GENERAL PUBLIC LICENSE\nRemote Network Interaction"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := noticeOf(goModule{Path: "example.org/" + name, Version: "v1.0.0", Dir: dir}, nil); err == nil || !strings.Contains(err.Error(), "example.org/") {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	if _, err := noticeOf(goModule{Path: "example.org/gone"}, nil); err == nil || !strings.Contains(err.Error(), "go mod download") {
		t.Errorf("%v", err)
	}
}
