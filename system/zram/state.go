package zram

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// state is what we made, in the run folder. It lives as long as the devices do:
// until the next boot.
type state struct {
	// Adding is set while a device is being added: the devices there were before.
	// A run killed between the kernel's answer and our note of it leaves a device
	// that is in no list, and this tells it from other people's.
	Adding  *[]string        `json:"adding,omitempty"`
	Devices []owned          `json:"devices,omitempty"`
	VM      map[string]vmWas `json:"vm,omitempty"`
}

// owned is a device that we added.
type owned struct {
	Name string `json:"name"`
	// Seq tells the device from a later one of the same number (/sys/block/*/diskseq,
	// since Linux 5.15; empty before).
	Seq  string `json:"diskseq,omitempty"`
	UUID string `json:"uuid,omitempty"`
	Spec Spec   `json:"spec"`
	On   bool   `json:"on"` // swapped on by us
}

// vmWas is a kernel setting that we changed.
type vmWas struct {
	Was string `json:"was"`
	Set string `json:"set"`
}

// load reads the state; an absent file is an empty state, a broken one an error,
// because guessing what is ours could take somebody's swap away.
func (m Manager) load() (state, error) {
	var s state
	b, err := system.Root("/").ReadFile(m.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return state{}, fmt.Errorf("reading which zram devices are ours: %s: %w", m.stateFile(), err)
	}
	return s, nil
}

// save replaces the file atomically. The run folder is RAM: power loss takes the
// devices along with it, so there is nothing to sync.
func (m Manager) save(s state) error {
	if s.Adding == nil && len(s.Devices) == 0 && len(s.VM) == 0 {
		err := os.Remove(m.stateFile())
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	tmp := m.stateFile() + ".new"
	f, err := system.Open(tmp, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
		// Whatever the unit's umask: nothing in it is secret, and status is for everybody.
		err = errors.Join(err, f.Chmod(0o644), f.Close())
	}
	if err == nil {
		err = unix.Rename(tmp, m.stateFile())
	}
	if err != nil {
		return fmt.Errorf("noting which zram devices are ours: %w", err)
	}
	return nil
}

func (m Manager) stateFile() string { return filepath.Join(m.RunDir, "zram.json") }
