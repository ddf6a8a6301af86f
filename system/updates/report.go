package updates

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/atomicfile"
)

const (
	stateDir    = "/var/lib/sierpi-system"
	pendingPath = stateDir + "/update-pending"
	reportPath  = stateDir + "/update.json"
	// putBackPath holds the version whose files are there again though dpkg says otherwise;
	// the next preinst reads it.
	putBackPath  = stateDir + "/put-back"
	previousPath = "/usr/lib/sierpi/previous"
	programPath  = "/usr/bin/sierpi"
	unit         = "sierpi.service"
)

// Outcome is what became of an update.
type Outcome string

// The outcomes.
const (
	Kept    Outcome = "kept"     // the new version runs
	PutBack Outcome = "put-back" // the version before runs again
)

// Report is what became of the last update of sierpi.
type Report struct {
	From    string    `json:"from"`
	To      string    `json:"to"`
	Outcome Outcome   `json:"outcome"`
	Why     string    `json:"why,omitempty"`
	At      time.Time `json:"at"` // by the clock, which may have been wrong
}

// String is the report in a sentence.
func (r Report) String() string {
	switch r.Outcome {
	case PutBack:
		return fmt.Sprintf("sierpi %s %s; %s was put back. `journalctl -u sierpi -u sierpi-update` has the reason", r.To, r.Why, r.From)
	case Kept:
		return fmt.Sprintf("updated from %s to %s", r.From, r.To)
	}
	return "no update was watched yet"
}

// ReadReport returns what became of the last update; the zero Report when there was none.
func ReadReport(root system.Root) (Report, error) {
	var r Report
	doc, err := root.ReadFile(reportPath)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(doc, &r)
	}
	if err != nil {
		return Report{}, fmt.Errorf("reading what became of the last update: %w", err)
	}
	return r, nil
}

// pending is an update that has not been shown to start.
type pending struct{ from, to string }

// readPending reports false when there is none.
func readPending(root system.Root) (pending, bool, error) {
	doc, err := root.ReadString(pendingPath)
	if errors.Is(err, fs.ErrNotExist) {
		return pending{}, false, nil
	}
	if err != nil {
		return pending{}, false, fmt.Errorf("reading the mark of an update: %w", err)
	}
	p := pending{"the version before", "the new version"} // a mark that was cut short counts all the same
	if f := strings.Fields(doc); len(f) > 0 {
		p.from = f[0]
		if len(f) > 1 {
			p.to = f[1]
		}
	}
	return p, true, nil
}

// replaceFile writes a file whole and durably, in a folder that is made where there is none.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, data, mode)
}

// remove removes a file durably; one that is not there is no error.
func remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}
