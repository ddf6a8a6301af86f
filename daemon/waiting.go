package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

// storeRetry is how long a database that does not answer is left alone.
const storeRetry = 5 * time.Second

// openStore opens the database. On the appliance, where the one of another machine may come
// up later than this one, it waits for it, and tells everybody who asks meanwhile; on a
// terminal an error is an error.
func openStore(ctx context.Context, o Options, look *web.Look, hosts web.Hosts, pages []net.Listener) (*store.DB, error) {
	options := store.Options{Dir: o.State, DSN: o.Config.Store.DSN, Log: o.Log}
	db, err := store.Open(ctx, options)
	if err == nil || o.Config.Store.DSN == "" || o.Terminal {
		return db, err
	}
	complaints := newComplaints(o.Log)
	complaints.of("store", "the database does not answer; waiting for it", err)
	handler, err := web.NewRouter([]web.Route{{Method: "GET", Pattern: "/", Role: web.Anyone, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "10")
		w.Header().Set("Refresh", "10")
		look.Error(w, r, http.StatusServiceUnavailable, "The database does not answer.",
			"It is on another machine. As soon as it answers, everything is here again; this page looks by itself. The log has the reason.")
	})}}, web.RouterOptions{Look: look, Hosts: hosts, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("building the page of the wait: %w", err)
	}
	// A server closes its listeners: it gets copies.
	var copies []net.Listener
	defer func() { closeAll(copies) }()
	for _, l := range pages {
		file, ok := l.(interface{ File() (*os.File, error) })
		if !ok {
			continue
		}
		f, err := file.File()
		if err != nil {
			return nil, fmt.Errorf("serving the page of the wait: %w", err)
		}
		twin, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("serving the page of the wait: %w", err)
		}
		copies = append(copies, twin)
	}
	waiting := &waiting{complaints: complaints, options: options}
	server := web.NewServer(web.ServerOptions{Name: "page of the wait", Listeners: copies, Handler: handler, Log: o.Log})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err = runTasks(ctx, o.Log, func() {
		// A unit that never gets ready is killed, and the pages with it.
		_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyReady+"\nSTATUS=waiting for the database")
	}, server, named{"wait for the database", func(ctx context.Context) error {
		defer stop()
		return waiting.run(ctx)
	}})
	if err == nil && waiting.db == nil {
		err = ctx.Err() // told to end before the database came
	}
	return waiting.db, err
}

type waiting struct {
	complaints *complaints
	options    store.Options
	db         *store.DB
}

// run tries again until the database answers or ctx ends.
func (w *waiting) run(ctx context.Context) error {
	tick := time.NewTicker(storeRetry)
	defer tick.Stop()
	for {
		_, _ = sdnotify.SdNotify(false, sdnotify.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		db, err := store.Open(ctx, w.options)
		if w.db = db; err == nil {
			return nil
		}
		w.complaints.of("store", "the database does not answer; waiting for it", err)
	}
}
