package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// manager tells the service manager how the daemon is, and feeds its watchdog
// while, and only while, every required part is well. Without a service manager
// it does nothing at all.
type manager struct {
	health *Health
	status func() string // one line for `systemctl status`
	log    *slog.Logger
}

func (m *manager) String() string { return "systemd notifications" }

// Run announces STATUS and feeds the watchdog at half its interval.
func (m *manager) Run(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the watchdog's interval cannot be read; it will not be fed", "err", err)
	}
	if !m.notify("STATUS=" + m.status()) {
		<-ctx.Done() // nobody listens
		return nil
	}
	every := interval / 2
	if interval == 0 {
		every = time.Minute
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.notify(daemon.SdNotifyStopping)
			return nil
		case <-tick.C:
			// A board that swaps, or whose processors are hogged, answers late: that is no hang, and a
			// restart would make it worse. What is left of the interval is for the word to arrive.
			m.beat(ctx, interval*2/5)
		}
	}
}

// beat feeds the watchdog when all is well that a restart could mend, and says what is not.
// A database on another machine that is away is none of it: killed for that, the daemon would
// not even show the wall.
// patience is how long the parts may take to answer; 0: there is no watchdog.
func (m *manager) beat(ctx context.Context, patience time.Duration) {
	watchdog := patience > 0
	report := m.health.ReportWithin(ctx, max(patience, checkTimeout))
	state := "STATUS=" + m.status()
	for _, p := range report.Parts {
		if !p.Required || p.State != Failed {
			continue
		}
		state = "STATUS=" + p.Name + " failed: " + p.Why
		if !p.elsewhere {
			watchdog = false
			m.log.Error("a part that must work does not; the watchdog is not fed", "part", p.Name, "why", p.Why)
		}
	}
	if watchdog {
		state += "\n" + daemon.SdNotifyWatchdog
	}
	m.notify(state)
}

// notify reports whether somebody listens.
func (m *manager) notify(state string) bool {
	sent, err := daemon.SdNotify(false, state)
	if err != nil {
		m.log.Warn("the service manager cannot be told", "state", state, "err", err)
	}
	return sent
}
