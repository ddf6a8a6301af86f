package daemon

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

// State is how a part of the daemon is.
type State string

// The states of a part. Absent is not failed: the machine simply has none.
const (
	OK     State = "ok"
	Absent State = "absent"
	Stale  State = "stale"
	Failed State = "failed"
)

// checkTimeout is how long a part may take to say how it is before it counts as
// failed: a part that is deadlocked must not take /healthz down with it.
const checkTimeout = 2 * time.Second

// longestCheck ends a check that nobody waits for any more.
const longestCheck = 30 * time.Second

// Check asks one part how it is.
type Check struct {
	Name     string
	Required bool // the daemon is of no use while this part fails
	Look     func(ctx context.Context) (state State, why string)
}

// Part is what a check found.
type Part struct {
	Name     string    `json:"name"`
	State    State     `json:"state"`
	Why      string    `json:"why,omitempty"`
	Since    time.Time `json:"since"`    // when the part entered this state, by today's clock
	Required bool      `json:"required"` // a failure of this part is a failure of the daemon

	elsewhere bool // a restart of the daemon would not mend it
}

// Report is the whole of /healthz.
type Report struct {
	Status State  `json:"status"` // "failed" when a required part failed, else "ok"
	Parts  []Part `json:"parts"`
}

// Health remembers since when each part has been as it is.
type Health struct {
	mu      sync.Mutex
	checks  []Check
	seen    map[string]entered
	pending map[string]*looking // checks that have not come back

	elsewhere map[string]bool // parts on other machines
	last      Report
	lastAt    time.Time
}

type entered struct {
	state State
	at    time.Time // with its monotonic reading, so that a clock that jumps does not age it
}

// NewHealth makes the health of these parts, in the order they are shown.
func NewHealth(checks ...Check) *Health {
	return &Health{checks: checks, seen: map[string]entered{}, pending: map[string]*looking{}, elsewhere: map[string]bool{}}
}

// Elsewhere says that a part is on another machine, so that a restart of the daemon would not
// mend it: systemd's watchdog does not ask after it. To be called before the first Report.
func (h *Health) Elsewhere(part string) { h.elsewhere[part] = true }

// Report runs every check side by side and waits for at most checkTimeout.
func (h *Health) Report(ctx context.Context) Report { return h.ReportWithin(ctx, checkTimeout) }

// ReportWithin waits for longer or shorter: what is slow is not dead.
func (h *Health) ReportWithin(ctx context.Context, patience time.Duration) Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	parts := make([]Part, len(h.checks))
	var looking sync.WaitGroup
	for i, c := range h.checks {
		looking.Go(func() {
			state, why := h.look(ctx, c)
			parts[i] = Part{Name: c.Name, State: state, Why: why, Required: c.Required, elsewhere: h.elsewhere[c.Name]}
		})
	}
	looking.Wait()

	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	report := Report{Status: OK, Parts: parts}
	for i, p := range parts {
		if h.seen[p.Name].state != p.State {
			h.seen[p.Name] = entered{p.State, now}
		}
		parts[i].Since = now.Add(-now.Sub(h.seen[p.Name].at)).Round(0).UTC()
		if p.Required && p.State == Failed {
			report.Status = Failed
		}
	}
	h.last, h.lastAt = report, now
	return report
}

// Recent is the last report if it is no older than age, else a new one: a scrape
// need not run the checks that have just been run for the watchdog.
func (h *Health) Recent(ctx context.Context, age time.Duration) Report {
	h.mu.Lock()
	last, at := h.last, h.lastAt
	h.mu.Unlock()
	if !at.IsZero() && time.Since(at) <= age {
		return last
	}
	return h.Report(ctx)
}

// looking is a check under way. Who comes meanwhile waits for the same answer.
type looking struct {
	done  chan struct{}
	state State
	why   string
}

// look runs one check, and leaves one that hangs behind without starting another.
func (h *Health) look(ctx context.Context, c Check) (State, string) {
	h.mu.Lock()
	l := h.pending[c.Name]
	if l == nil {
		l = &looking{done: make(chan struct{})}
		h.pending[c.Name] = l
		// Its own bound, not that of who happened to ask first: the watchdog is more patient.
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestCheck)
		go func() {
			defer cancel()
			l.state, l.why = c.Look(own)
			h.mu.Lock()
			delete(h.pending, c.Name)
			h.mu.Unlock()
			close(l.done)
		}()
	}
	h.mu.Unlock()
	select {
	case <-l.done:
		return l.state, l.why
	case <-ctx.Done():
		return Failed, "does not answer"
	}
}

// ServeHTTP answers /healthz: 503 only when a part that must work does not.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report := h.Report(r.Context())
	status := http.StatusOK
	if report.Status == Failed {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, status, report)
}
