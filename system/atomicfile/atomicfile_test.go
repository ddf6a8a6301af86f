package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system/systemtest"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret.json")
	// What a power cut left, one that somebody is writing, and files that only look alike.
	for _, name := range []string{".secret.json.123.new", ".secret.json.12x.new", ".other.json.123.new", "secret.json.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other, err := create(dir, "secret.json")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o640} {
		text := fmt.Sprint("mode ", mode)
		if err := Write(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if got, _ := os.ReadFile(path); err != nil || string(got) != text || st.Mode().Perm() != mode {
			t.Fatalf("%q, %v, %v", got, st.Mode(), err)
		}
	}
	left := []string{".other.json.123.new", ".secret.json.12x.new", filepath.Base(other.Name()), "secret.json", "secret.json.new"}
	slices.Sort(left) // as a folder is listed: the name in use is a random one
	if got, want := names(t, dir), strings.Join(left, " "); got != want {
		t.Errorf("the folder holds %s\nwant             %s", got, want)
	}
}

// TestFailures: the old file stands, nothing is left beside it, the error names the path.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses := errors.New("refused")
	if err := Write(path, []byte("new"), 0o600, func(*os.File) error { return refuses }); !errors.Is(err, refuses) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := Write(filepath.Join(dir, "none", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "folder"), []byte("new"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if got, _ := os.ReadFile(path); string(got) != "old" || names(t, dir) != "file folder" {
		t.Errorf("%q; %s", got, names(t, dir))
	}
}

// TestFullCard: on a file system without room the old file stands.
func TestFullCard(t *testing.T) {
	if os.Getenv("SIERPI_SMALL_CARD") == "" {
		unshare := systemtest.Tool(t, "unshare", "util-linux")
		// A tmpfs in a mount namespace of its own: nothing of this machine is touched.
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), unshare, "--mount", "--map-root-user", "sh", "-c", `mount -t tmpfs -o size=64k none "$0" && exec "$@"`, dir, os.Args[0], "-test.run=^TestFullCard$")
		cmd.Env = append(os.Environ(), "SIERPI_SMALL_CARD="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			if bytes.Contains(out, []byte("unshare:")) || bytes.Contains(out, []byte("mount:")) {
				systemtest.Absent(t, "nobody may make a mount namespace here: "+strings.TrimSpace(string(out)))
			}
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := os.Getenv("SIERPI_SMALL_CARD")
	path := filepath.Join(dir, "file")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, make([]byte, 128<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" || names(t, dir) != "file" {
		t.Errorf("%d bytes; %s", len(got), names(t, dir))
	}
}

// TestWriters: many at once leave one whole file and nothing beside it.
func TestWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			for range 20 {
				if err := Write(path, bytes.Repeat([]byte{byte('a' + i)}, 3000), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	got, err := os.ReadFile(path)
	if err != nil || len(got) != 3000 || len(bytes.Trim(got, string(got[:1]))) != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if names(t, dir) != "file" {
		t.Error(names(t, dir))
	}
}

// TestKilled: writers that are killed at any moment leave a whole file, and the next one
// clears away what they left.
func TestKilled(t *testing.T) {
	if path := os.Getenv("SIERPI_WRITE_FOR_EVER"); path != "" {
		for i := 0; ; i++ {
			if err := Write(path, bytes.Repeat([]byte{byte('a' + i%26)}, 200_000), 0o600); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				fmt.Println("written")
			}
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "SIERPI_WRITE_FOR_EVER="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // in the midst of the second, or the hundredth
			t.Fatal(err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		got, err := os.ReadFile(path)
		if err != nil || len(got) != 200_000 || len(bytes.Trim(got, string(got[:1]))) != 0 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if err := Write(path, []byte("end"), 0o600); err != nil || names(t, dir) != "file" {
		t.Errorf("%v; %s", err, names(t, dir))
	}
}
