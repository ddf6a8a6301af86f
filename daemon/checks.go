package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/chat"
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
	ask := func(ctx context.Context, address string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close() // nothing is read from it
	}
	return func(ctx context.Context) (State, string) {
		for _, l := range listeners {
			addresses := ownAddresses(l.Addr())
			answered := len(addresses) == 0
			for _, address := range addresses {
				answered = answered || ask(ctx, address) == nil
			}
			if !answered {
				return Failed, fmt.Sprintf("%s does not answer", l.Addr())
			}
		}
		return OK, ""
	}
}

// ownAddresses are those by which this machine reaches a listener of its own; any of them
// will do. They are numbers, for a name would wait for a resolver, which may be what is
// broken. A listener on all addresses of IPv6 has those of IPv4 too, unless
// net.ipv6.bindv6only is set.
func ownAddresses(a net.Addr) []string {
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case !ok:
		return nil
	case !tcp.IP.IsUnspecified():
		return []string{tcp.String()}
	}
	port := strconv.Itoa(tcp.Port)
	addresses := []string{net.JoinHostPort("127.0.0.1", port)}
	if tcp.IP.To4() == nil {
		addresses = append(addresses, net.JoinHostPort("::1", port))
	}
	return addresses
}

// complaints writes what is wrong with a part to the log, once as long as it stays the
// same, because /healthz is read by strangers: errors name paths, users and hosts.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]string // by part
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, last: map[string]string{}}
}

// of logs an error and returns what strangers may know; nil takes an earlier one back.
func (c *complaints) of(part, what string, err error) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.last, part)
		return ""
	}
	if c.last[part] != err.Error() {
		c.last[part] = err.Error()
		c.log.Warn(what, "part", part, "err", err)
	}
	return what + "; the log has the reason"
}

func storeHealth(db *store.DB, complaints *complaints) func(context.Context) (State, string) {
	return func(ctx context.Context) (State, string) {
		err := db.View(ctx, func(tx *store.Tx) error {
			var one int
			return tx.QueryRowContext(ctx, "SELECT 1").Scan(&one)
		})
		if why := complaints.of("store", "the database does not answer", err); why != "" {
			return Failed, why
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

// stageHealth asks the machine's own screens. What visitors' screens say of themselves is not
// believed, and a screen that is off on purpose is well.
func stageHealth(stage *display.Stage) func(context.Context) (State, string) {
	return func(context.Context) (State, string) {
		status := stage.Status()
		var well, ill []string
		for _, w := range status.Wall() {
			word := fmt.Sprintf("%s is %s", w.Name, w.State)
			if w.State.Healthy(true) {
				well = append(well, word)
			} else {
				ill = append(ill, word)
			}
		}
		if len(ill) > 0 {
			return Stale, strings.Join(ill, ", ")
		}
		visitors := 0
		for _, s := range status.Screens {
			if !s.Kiosk && s.State != display.Gone {
				visitors++
			}
		}
		if visitors > 0 {
			well = append(well, fmt.Sprintf("%d visiting screen(s)", visitors))
		}
		if len(well) == 0 {
			return Absent, "no screen is attached"
		}
		return OK, strings.Join(well, ", ")
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
const scrapedAge = 30 * time.Second

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
		status := stage.Status()
		wall, visiting := map[display.State]int{}, map[display.State]int{}
		for _, w := range status.Wall() {
			wall[w.State]++
			emit(metrics.DisplayRate, w.Rate, w.Name)
			emit(metrics.DisplayHashTime, w.Hash/1000, w.Name)
		}
		for _, s := range status.Screens {
			if !s.Kiosk {
				visiting[s.State]++
			}
		}
		// The zeros too: an alert must see that a state is over.
		for _, state := range display.States {
			emit(metrics.DisplayScreens, float64(wall[state]), "wall", string(state))
			emit(metrics.DisplayScreens, float64(visiting[state]), "visitor", string(state))
		}
		for _, o := range status.Outputs {
			emit(metrics.DisplayOutputAsked, number(o.On), o.Name)
			if o.ReadBack != nil {
				emit(metrics.DisplayOutputOn, number(*o.ReadBack), o.Name)
			}
		}
		emit(metrics.DisplayFrames, float64(status.Frame))
		emit(metrics.DisplayBytes, float64(status.Total.Bytes))
		emit(metrics.DisplayDropped, float64(status.Total.Skipped))
		emit(metrics.DisplayBrightness, status.Bright)
		emit(metrics.DisplayPace, float64(status.Economy.Pace))
		emit(metrics.DisplayCoarse, float64(status.Economy.Coarse))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stateFigures emits how full the file system of the state folder is.
func stateFigures(dir string) metrics.Source {
	return func(_ context.Context, emit metrics.Emit) {
		if free, size, err := space(dir); err == nil {
			emit(metrics.StateSize, float64(size))
			emit(metrics.StateFree, float64(free))
		}
	}
}

// countedEvery is how often the database is asked for a scrape: quotes come one by
// one, and a question costs as much as a third of all other figures.
const countedEvery = time.Minute

// serviceFigures emits what the services hold.
func serviceFigures(sayings *quotes.Service, talk *chat.Service) metrics.Source {
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
		emit(metrics.ChatWaiters, float64(talk.Waiting()))
		emit(metrics.ChatMessages, float64(talk.Posted()))
	}
}
