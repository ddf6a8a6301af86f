package kiosk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// The bounds on rebooting. A machine that reboots for ever helps nobody, and its
// login on the serial line is gone each time.
const (
	rebootsApart    = time.Hour
	rebootsInVain   = 3
	mostRecord      = 64 << 10
	keptReboots     = 16
	sessionIsRecent = 15 * time.Minute
)

// record is what must outlive the keeper: one small file, written before a session or the machine
// is started anew, and once afterwards. Wall time is noted for people; what is
// decided on is uptime, since boards without a clock boot in 1970.
type record struct {
	path string

	// Level is the last step that ended this keeper and has not helped yet.
	Level  Step    `json:"level"`
	Boot   string  `json:"boot"`   // the kernel's boot id at that step
	Uptime float64 `json:"uptime"` // seconds, at that step

	InVain  int      `json:"inVain"` // reboots since the wall painted last
	Reboots []reboot `json:"reboots"`
}

// reboot is one of them.
type reboot struct {
	At     time.Time `json:"at"`     // by the clock, which may be wrong
	Boot   string    `json:"boot"`   // that ended with it
	Uptime float64   `json:"uptime"` // seconds, when it happened
	Why    string    `json:"why"`
}

// openRecord reads the record. A broken one counts as a full one: it was written before a
// reboot, so there was one.
func openRecord(path string) (*record, error) {
	r := &record{path: path}
	doc, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the record of reboots: %w", err)
	}
	if err := r.parse(doc); err != nil {
		return &record{path: path, InVain: rebootsInVain}, nil
	}
	return r, nil
}

func (r *record) parse(doc []byte) error {
	if len(doc) > mostRecord {
		return errors.New("too large")
	}
	if err := json.Unmarshal(doc, r); err != nil {
		return err
	}
	if r.Level < None || r.Level > Reboot || r.InVain < 0 || !(r.Uptime >= 0) {
		return errors.New("values out of range")
	}
	for _, b := range r.Reboots {
		if !(b.Uptime >= 0) {
			return errors.New("an uptime out of range")
		}
	}
	return nil
}

func (r *record) save() error {
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(r.path, append(doc, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the record of reboots: %w", err)
	}
	return nil
}

// since is the time that has passed at least since the last reboot, from uptimes
// alone: all of this boot, and of boots in between nothing. ok is false without one.
func (r *record) since(boot string, uptime time.Duration) (passed time.Duration, ok bool) {
	if len(r.Reboots) == 0 {
		return 0, false
	}
	if last := r.Reboots[len(r.Reboots)-1]; last.Boot == boot {
		// Asked for, and it did not happen.
		return uptime - seconds(last.Uptime), true
	}
	return uptime, true
}

// mayReboot says why not; "" if it may.
func (r *record) mayReboot(boot string, uptime time.Duration) string {
	if r.InVain >= rebootsInVain {
		return fmt.Sprintf("%d reboots did not help", r.InVain)
	}
	if passed, ok := r.since(boot, uptime); ok && passed < rebootsApart {
		return fmt.Sprintf("the last reboot was less than %v ago", rebootsApart)
	}
	return ""
}

// note writes a step down before it is taken.
func (r *record) note(s Step, boot string, uptime time.Duration, why string) error {
	r.Level, r.Boot, r.Uptime = s, boot, uptime.Seconds()
	if s == Reboot {
		r.InVain++
		r.Reboots = append(r.Reboots, reboot{At: time.Now().UTC().Truncate(time.Second), Boot: boot, Uptime: uptime.Seconds(), Why: why})
		r.Reboots = r.Reboots[max(0, len(r.Reboots)-keptReboots):]
	}
	return r.save()
}

// helped writes down that the wall paints, if there is anything to take back.
func (r *record) helped() error {
	if r.Level == None && r.InVain == 0 {
		return nil
	}
	r.Level, r.InVain = None, 0
	return r.save()
}

// level is where the ladder goes on in a session that was started for a wall that
// did not paint.
func (r *record) level(boot string, uptime time.Duration) Step {
	if r.Boot == boot && r.Level == RestartSession && uptime-seconds(r.Uptime) < sessionIsRecent {
		return RestartSession
	}
	return None
}

func seconds(s float64) time.Duration { return time.Duration(min(s, 1e9) * float64(time.Second)) }
