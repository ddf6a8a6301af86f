package display

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Output is a screen of the machine by the name that the kiosk session knows it by,
// such as "HDMI-1", and the part of the universe that it shows.
type Output struct {
	Name string
	View Viewport // zero: all of it
}

// OutputWish is what the daemon asks of an output, and what it knows of it. The
// kiosk session reads it at OutputsPath; package documentation has the whole exchange.
type OutputWish struct {
	Name string `json:"name"`
	Page string `json:"page"` // where its browser window belongs: path and query on this host
	On   bool   `json:"on"`   // what is asked for

	// What the session read back, absent before it did.
	ReadBack *bool  `json:"readBack,omitempty"`
	Trouble  string `json:"trouble,omitempty"` // why it could not do what was asked, in its words

	// What the page on it says.
	State    State    `json:"state"` // gone while there is no page
	Frame    uint32   `json:"frame"`
	Rate     float64  `json:"rate"`     // frames a second
	HashTime float64  `json:"hashTime"` // ms that reading and hashing the canvas takes
	Rung     string   `json:"rung"`     // how it paints
	BeatAge  *float64 `json:"beatAge"`  // seconds since the last heartbeat; null: none yet
	Attached float64  `json:"attached"` // seconds since the page came; 0 while it is gone
}

// OutputsReply is the answer of OutputsPath.
type OutputsReply struct {
	Version uint64       `json:"version"` // to be given as ?after=
	Outputs []OutputWish `json:"outputs"`
}

// OutputReport is what the kiosk session sends there: every output it sees.
type OutputReport struct {
	Name    string `json:"name"`
	On      bool   `json:"on"` // read back from the system, not remembered
	Trouble string `json:"trouble,omitempty"`
}

const (
	// OutputsPath is where the kiosk session asks and reports: ServeOutputs.
	OutputsPath = "/display/outputs"

	maxOutputs  = 8
	maxTrouble  = 200
	outputsWait = 25 * time.Second // below what proxies and clients take for dead
	// darkAfter is how long an output may take from asked to read back.
	darkAfter = 15 * time.Second
)

// Power is what the owner wants of an output.
type Power string

// The powers of an output.
const (
	ByTimetable Power = "auto"
	AlwaysOn    Power = "on"
	AlwaysOff   Power = "off"
)

// outputs are the machine's screens. The stage's mutex guards them.
type outputs struct {
	list    []*output
	dark    bool // it is the time for screens to be off
	version uint64
	changed chan struct{} // closed at the next change
}

type output struct {
	Output
	power    Power
	asked    bool      // on
	askedAt  time.Time // with its monotonic reading
	readBack *bool
	trouble  string
}

func newOutputs(known []Output) outputs {
	o := outputs{changed: make(chan struct{}), version: 1}
	for _, k := range known {
		o.list = append(o.list, &output{Output: k, power: ByTimetable, asked: true, askedAt: time.Now()})
	}
	return o
}

func (o *outputs) find(name string) *output {
	for _, out := range o.list {
		if out.Name == name {
			return out
		}
	}
	return nil
}

// add makes an output known; nil if there are too many.
func (o *outputs) add(name string) *output {
	if len(o.list) >= maxOutputs {
		return nil
	}
	out := &output{Output: Output{Name: name}, power: ByTimetable, asked: !o.dark, askedAt: time.Now()}
	o.list = append(o.list, out)
	o.announce()
	return out
}

func (o *outputs) announce() {
	o.version++
	close(o.changed)
	o.changed = make(chan struct{})
}

// settle asks of each output what is wanted now; true if that is new.
func (o *outputs) settle() bool {
	news := false
	for _, out := range o.list {
		on := out.power == AlwaysOn || out.power == ByTimetable && !o.dark
		if on != out.asked {
			out.asked, out.askedAt, news = on, time.Now(), true
		}
	}
	if news {
		o.announce()
	}
	return news
}

// isOff reports whether nobody can see the screen, on purpose. s.mu is held.
func (s *Stage) isOff(sc *screen) bool {
	if !sc.kiosk {
		return false
	}
	if out := s.outputs.find(sc.output); out != nil {
		return !out.asked
	}
	return s.outputs.dark
}

// isDark reports whether an output is off that was asked to be on. s.mu is held.
func (s *Stage) isDark(sc *screen, now time.Time) bool {
	out := s.outputs.find(sc.output)
	return sc.kiosk && out != nil && out.asked && out.readBack != nil && !*out.readBack && now.Sub(out.askedAt) > darkAfter
}

// setDark switches all outputs that follow the timetable. s.mu is held.
func (s *Stage) setDark(dark bool) {
	if dark == s.outputs.dark {
		return
	}
	s.outputs.dark = dark
	s.outputs.settle()
	s.powerChanged()
}

// powerChanged tells the pages and draws again, or no more. s.mu is held.
func (s *Stage) powerChanged() {
	s.wake()
	for sc := range s.screens {
		sc.nudge()
	}
}

// SetPower is the owner's word on an output.
func (s *Stage) SetPower(name string, p Power) error {
	if p != ByTimetable && p != AlwaysOn && p != AlwaysOff {
		return fmt.Errorf("%q is no power of a screen: write %q, %q or %q", p, ByTimetable, AlwaysOn, AlwaysOff)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.outputs.find(name)
	if out == nil {
		return fmt.Errorf("there is no screen %q", name)
	}
	out.power = p
	if s.outputs.settle() {
		s.powerChanged()
	}
	return nil
}

// OutputStatus is an output as the owner sees it.
type OutputStatus struct {
	OutputWish
	Power Power
	View  string
}

// Outputs lists the machine's screens.
func (s *Stage) Outputs() []OutputStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []OutputStatus
	for i, wish := range s.wishes(time.Now()) {
		list = append(list, OutputStatus{wish, s.outputs.list[i].power, s.outputs.list[i].View.String()})
	}
	return list
}

// wishes is one for each output. s.mu is held.
func (s *Stage) wishes(now time.Time) []OutputWish {
	list := make([]OutputWish, 0, len(s.outputs.list))
	for _, out := range s.outputs.list {
		w := OutputWish{
			Name: out.Name, Page: "/kiosk?output=" + url.QueryEscape(out.Name), On: out.asked,
			ReadBack: out.readBack, Trouble: out.trouble, State: Gone,
		}
		if !out.asked {
			w.State = Off
		}
		for sc := range s.screens {
			if !sc.kiosk || sc.output != out.Name {
				continue
			}
			st := s.status(sc, now)
			w.State, w.Frame, w.Rate, w.HashTime, w.Rung = st.State, st.Frame, st.Rate, st.HashTime, st.Rung
			w.Attached = now.Sub(sc.since).Seconds()
			if !sc.beatAt.IsZero() {
				w.BeatAge = new(now.Sub(sc.beatAt).Seconds())
			}
		}
		list = append(list, w)
	}
	return list
}

// ServeOutputs is the exchange with the kiosk session; see the package documentation.
func (s *Stage) ServeOutputs(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodPost {
		if err := s.hearOutputs(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	} else if v := r.URL.Query().Get("after"); v != "" {
		after, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			http.Error(w, "after: write the version of the answer before", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), outputsWait)
		defer cancel()
		s.awaitOutputs(ctx, after)
	}
	s.mu.Lock()
	reply := OutputsReply{s.outputs.version, s.wishes(time.Now())}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(reply) // the client is gone: nobody to tell
}

// awaitOutputs waits until the version is another than that.
func (s *Stage) awaitOutputs(ctx context.Context, after uint64) {
	for {
		s.mu.Lock()
		version, changed := s.outputs.version, s.outputs.changed
		s.mu.Unlock()
		if version != after {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			return
		case <-changed:
		}
	}
}

func (s *Stage) hearOutputs(r *http.Request) error {
	var m struct {
		Outputs []OutputReport `json:"outputs"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 16<<10)).Decode(&m); err != nil {
		return fmt.Errorf("the report cannot be read: %w; send {\"outputs\":[{\"name\":\"HDMI-1\",\"on\":true}]}", err)
	}
	for _, o := range m.Outputs {
		if err := checkOutputName(o.Name); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range m.Outputs {
		out := s.outputs.find(o.Name)
		if out == nil {
			if out = s.outputs.add(o.Name); out == nil {
				return fmt.Errorf("more than %d outputs", maxOutputs)
			}
			s.opt.Logger.Info("a screen of this machine reports", "output", o.Name)
		}
		if out.readBack == nil || *out.readBack != o.On || out.trouble != o.Trouble {
			s.opt.Logger.Info("a screen of this machine is switched", "output", o.Name, "asked", out.asked, "on", o.On, "trouble", o.Trouble)
		}
		out.readBack, out.trouble = new(o.On), o.Trouble[:min(len(o.Trouble), maxTrouble)]
	}
	// What the session sees no more was unplugged; what the config names stays.
	s.outputs.list = slices.DeleteFunc(s.outputs.list, func(out *output) bool {
		seen := slices.ContainsFunc(m.Outputs, func(o OutputReport) bool { return o.Name == out.Name })
		named := slices.ContainsFunc(s.opt.Outputs, func(o Output) bool { return o.Name == out.Name })
		if !seen && named {
			out.readBack, out.trouble = new(false), "not connected"
		}
		return !seen && !named
	})
	return nil
}

// checkOutputName holds a name to what X and the kernel give: "HDMI-A-1", "DP-2".
func checkOutputName(name string) error {
	if name == "" || len(name) > 32 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return errors.New("an output's name is 1 to 32 printable ASCII characters without blanks, such as \"HDMI-1\"")
	}
	return nil
}
