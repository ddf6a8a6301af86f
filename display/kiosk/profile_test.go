package kiosk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestCleanProfile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Default/Preferences", `{"profile":{"exit_type":"Crashed","exited_cleanly":false,"name":"Person 1","n":12345678901234567890},"other":[1,2.50]}`)
	write("Local State", `{"user_experience_metrics":{"stability":{"exited_cleanly":false,"crash_count":3}}}`)
	for _, name := range []string{"SingletonLock", "SingletonSocket"} {
		if err := os.Symlink("another-host-123", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cleanProfile(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		doc, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	if got, want := read("Default/Preferences"), `{"other":[1,2.50],"profile":{"exit_type":"Normal","exited_cleanly":true,"n":12345678901234567890,"name":"Person 1"}}`; got != want {
		t.Errorf("preferences:\n%s\n%s", got, want)
	}
	if got, want := read("Local State"), `{"user_experience_metrics":{"stability":{"crash_count":3,"exited_cleanly":true}}}`; got != want {
		t.Errorf("local state:\n%s\n%s", got, want)
	}
	if _, err := os.Lstat(filepath.Join(dir, "SingletonLock")); err == nil {
		t.Error("the lock is still there")
	}

	// What is clean is not written again.
	before, err := os.Stat(filepath.Join(dir, "Default/Preferences"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cleanProfile(dir); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dir, "Default/Preferences"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a clean file was replaced (%v)", err)
	}

	// Half a file is set aside.
	write("Default/Preferences", `{"profile":{"exit_ty`)
	if err := cleanProfile(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "Default/Preferences")); err == nil {
		t.Error("half a file stays")
	}
}

func FuzzMarkClean(f *testing.F) {
	f.Add([]byte(`{"profile":{"exit_type":"Crashed"},"user_experience_metrics":{"stability":null}}`))
	f.Add([]byte(`{"profile":[]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		cleaned, changed, err := markClean(doc)
		if err != nil {
			return
		}
		if !json.Valid(cleaned) {
			t.Fatalf("%q became %q", doc, cleaned)
		}
		if changed {
			if _, again, err := markClean(cleaned); again || err != nil {
				t.Fatalf("%q: not clean after cleaning (%v)", doc, err)
			}
		}
	})
}
