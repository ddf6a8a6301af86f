package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/display"
)

// said turns what a service says of itself into a check.
func said(look func() (state, why string)) func(context.Context) (State, string) {
	return func(context.Context) (State, string) {
		state, why := look()
		return State(state), why
	}
}

// answers checks that the pages' listeners are answered, by asking one the way a
// client would: a server that is stuck must not feed the watchdog.
func answers(listeners []net.Listener) func(context.Context) (State, string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) (State, string) {
		for _, l := range listeners {
			if l.Addr().Network() != "tcp" {
				continue
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(l.Addr())+"/readyz", nil)
			if err != nil {
				return Failed, err.Error()
			}
			resp, err := client.Do(req)
			if err != nil {
				return Failed, fmt.Sprintf("%s does not answer", l.Addr())
			}
			_ = resp.Body.Close() // nothing is read from it
		}
		return OK, ""
	}
}

func storeHealth(db *store.DB) func(context.Context) (State, string) {
	return func(ctx context.Context) (State, string) {
		err := db.View(ctx, func(tx *store.Tx) error {
			var one int
			return tx.QueryRowContext(ctx, "SELECT 1").Scan(&one)
		})
		if err != nil {
			return Failed, "the database does not answer; the log has the reason"
		}
		return OK, db.Engine().String()
	}
}

func configHealth(notice string) func(context.Context) (State, string) {
	return func(context.Context) (State, string) {
		if notice != "" {
			return Stale, "the last good config is used; `sierpi config check` names the mistakes"
		}
		return OK, ""
	}
}

func stageHealth(stage *display.Stage) func(context.Context) (State, string) {
	return func(context.Context) (State, string) {
		attached := 0
		for _, s := range stage.Status().Screens {
			switch s.State {
			case display.Gone:
			case display.Frozen, display.Wrong, display.Blank:
				return Stale, fmt.Sprintf("a screen is %s", s.State)
			default:
				attached++
			}
		}
		if attached == 0 {
			return Absent, "no screen is attached"
		}
		return OK, fmt.Sprintf("%d screen(s)", attached)
	}
}

// statusLine is what `systemctl status` shows.
func statusLine(stage *display.Stage) func() string {
	return func() string {
		status := stage.Status()
		n := 0
		for _, s := range status.Screens {
			if s.State != display.Gone {
				n++
			}
		}
		if n == 0 {
			return "No screen attached"
		}
		return fmt.Sprintf("%s on %d screen(s)", status.Caption, n)
	}
}

// scrapedAge is how old a part's state may be in a scrape: as old as the watchdog's
// last look at them all.
const scrapedAge = 15 * time.Second

func healthFigures(h *Health) metrics.Source {
	return func(ctx context.Context, emit metrics.Emit) {
		for _, p := range h.Recent(ctx, scrapedAge).Parts {
			for _, s := range []State{OK, Absent, Stale, Failed} {
				v := 0.0
				if p.State == s {
					v = 1
				}
				emit(metrics.PartState, v, p.Name, string(s))
			}
		}
	}
}

// stageFigures emits what the stage counts.
func stageFigures(stage *display.Stage) metrics.Source {
	return func(_ context.Context, emit metrics.Emit) {
		screens := map[display.State]int{}
		for _, s := range stage.Status().Screens {
			screens[s.State]++
		}
		for state, n := range screens {
			emit(metrics.DisplayScreens, float64(n), string(state))
		}
	}
}

// stateFigures emits how full the file system of the state folder is.
func stateFigures(dir string) metrics.Source {
	return func(_ context.Context, emit metrics.Emit) {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) == nil {
			emit(metrics.StateSize, float64(fs.Blocks)*float64(fs.Bsize))
			emit(metrics.StateFree, float64(fs.Bavail)*float64(fs.Bsize))
		}
	}
}

// countedEvery is how often the database is asked for a scrape: quotes come one by
// one, and a question costs as much as a third of all other figures.
const countedEvery = time.Minute

// serviceFigures emits what the services hold.
func serviceFigures(sayings *quotes.Service) metrics.Source {
	var mu sync.Mutex
	var quotes int
	var counted time.Time
	return func(ctx context.Context, emit metrics.Emit) {
		mu.Lock()
		defer mu.Unlock()
		if counted.IsZero() || time.Since(counted) > countedEvery {
			n, err := sayings.Count(ctx)
			if err != nil {
				return
			}
			quotes, counted = n, time.Now()
		}
		emit(metrics.Quotes, float64(quotes))
	}
}
