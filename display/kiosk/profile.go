package kiosk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// mostPreferences bounds what is read: a real file has some ten KiB.
const mostPreferences = 4 << 20

// cleanProfile makes a browser's profile look as if the last run had ended well, so
// that no bubble offers to restore pages and no lock of a run that is gone keeps the
// next one from starting. No browser may be running on it. A profile that cannot be
// read is set aside once: there is nothing in it that the wall needs.
func cleanProfile(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the browser's profile: %w", err)
	}
	// Links to a process and a socket that are gone; the link's target names
	// the host, and a renamed machine would be asked about "another computer".
	for _, name := range []string{"SingletonLock", "SingletonCookie", "SingletonSocket"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("freeing the browser's profile: %w", err)
		}
	}
	for _, name := range []string{"Default/Preferences", "Local State"} {
		if err := cleanFile(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("cleaning the browser's profile: %w", err)
		}
	}
	return nil
}

// cleanFile marks one of the profile's files; a file that is right is not written.
func cleanFile(path string) error {
	doc, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the browser makes it
	} else if err != nil {
		return err
	}
	cleaned, changed, err := markClean(doc)
	if err != nil {
		// Half a file, after a power cut.
		return os.Rename(path, path+".broken")
	}
	if !changed {
		return nil
	}
	return atomicfile.Write(path, cleaned, 0o600)
}

// markClean returns the preferences of a browser that ended well. Numbers and order of
// what it does not touch may change their spelling, not their value.
func markClean(doc []byte) (cleaned []byte, changed bool, err error) {
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(doc, &tree); err != nil {
		return nil, false, err
	}
	if tree == nil {
		return nil, false, errors.New("null")
	}
	changed, err = setKeys(tree, "profile", map[string]string{"exit_type": `"Normal"`, "exited_cleanly": "true"})
	if err != nil {
		return nil, false, err
	}
	// Of "Local State": the crash counter that leads to a safe mode.
	more, err := setKeys(tree, "user_experience_metrics.stability", map[string]string{"exited_cleanly": "true"})
	if err != nil {
		return nil, false, err
	}
	if changed = changed || more; !changed {
		return doc, false, nil
	}
	cleaned, err = json.Marshal(tree)
	return cleaned, true, err
}

// setKeys sets keys of the object that path names, if it is there.
func setKeys(tree map[string]json.RawMessage, path string, values map[string]string) (changed bool, err error) {
	name, rest, deeper := cut(path)
	raw, ok := tree[name]
	if !ok {
		return false, nil
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(raw, &inner); err != nil {
		return false, err
	}
	if inner == nil {
		return false, nil
	}
	if deeper {
		changed, err = setKeys(inner, rest, values)
	} else {
		for key, value := range values {
			if string(inner[key]) != value {
				inner[key], changed = json.RawMessage(value), true
			}
		}
	}
	if err != nil || !changed {
		return false, err
	}
	tree[name], err = json.Marshal(inner)
	return true, err
}

func cut(path string) (first, rest string, more bool) {
	for i := range len(path) {
		if path[i] == '.' {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, mostPreferences+1))
	if err == nil && len(doc) > mostPreferences {
		err = fmt.Errorf("%s is larger than %d MiB", path, mostPreferences>>20)
	}
	return doc, err
}
