package power

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// Energy adds watts up to joules and keeps them over restarts. It writes its
// file, some hundred bytes, every saveEvery and when it is closed: pulling the
// plug loses at most that much counting.
type Energy struct {
	path string

	mu     sync.Mutex
	joules map[EnergyKey]float64
	last   map[EnergyKey]point
	saved  time.Time
}

// EnergyKey is what joules are counted by; an empty rail is the whole board.
type EnergyKey struct {
	Source Source
	Rail   string
}

type point struct {
	at    time.Time
	watts float64
}

const (
	saveEvery = 15 * time.Minute
	// Between readings further apart nobody knows what flowed: nothing is added.
	longestSpan = 5 * time.Minute
)

// joulesFile is one line of the file.
type joulesFile struct {
	Source Source  `json:"source"`
	Rail   string  `json:"rail,omitempty"`
	Joules float64 `json:"joules"`
}

// OpenEnergy continues counting from a file; a missing one begins at zero. A
// broken one is set aside as FILE.broken, and told, because a daemon must run.
func OpenEnergy(path string) (*Energy, error) {
	e := &Energy{path: path, joules: map[EnergyKey]float64{}, last: map[EnergyKey]point{}, saved: time.Now()}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	var lines []joulesFile
	if err == nil {
		if err = json.Unmarshal(b, &lines); err != nil {
			_ = os.Rename(path, path+".broken")
		}
	}
	for _, l := range lines {
		if l.Joules >= 0 && l.Joules < 1e18 {
			e.joules[EnergyKey{l.Source, l.Rail}] = l.Joules
		}
	}
	if err != nil {
		return e, fmt.Errorf("energy so far is lost: %s: %w", path, err)
	}
	return e, nil
}

// Add counts a reading: the mean of it and the one before, times the time
// between, by the monotonic clock. The error is of the file; counting goes on.
func (e *Energy) Add(r Reading) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Watts != nil {
		e.add(EnergyKey{r.Source, ""}, point{r.Time, *r.Watts})
	}
	for _, rail := range r.Rails {
		if rail.Watts != nil {
			e.add(EnergyKey{r.Source, rail.Name}, point{r.Time, *rail.Watts})
		}
	}
	if time.Since(e.saved) < saveEvery {
		return nil
	}
	return e.save()
}

func (e *Energy) add(key EnergyKey, now point) {
	before, ok := e.last[key]
	e.last[key] = now
	span := now.at.Sub(before.at)
	if _, known := e.joules[key]; !known {
		e.joules[key] = 0
	}
	if ok && span > 0 && span <= longestSpan {
		// A counter never falls: a current that flows back adds nothing.
		e.joules[key] += max((before.watts+now.watts)/2, 0) * span.Seconds()
	}
}

// Joules is what was counted so far.
func (e *Energy) Joules() map[EnergyKey]float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[EnergyKey]float64, len(e.joules))
	for k, v := range e.joules {
		out[k] = v
	}
	return out
}

// Close writes the file.
func (e *Energy) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.save()
}

func (e *Energy) save() error {
	e.saved = time.Now() // also after a failure: a full card is not tried each second
	lines := make([]joulesFile, 0, len(e.joules))
	for k, v := range e.joules {
		lines = append(lines, joulesFile{k.Source, k.Rail, v})
	}
	if len(lines) == 0 {
		return nil
	}
	b, err := json.Marshal(lines)
	if err == nil {
		err = atomicfile.Write(e.path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping the energy so far: %w", err)
	}
	return nil
}
