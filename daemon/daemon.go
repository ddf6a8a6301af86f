// Package daemon wires the parts of sierpi together: it builds each part with
// explicit constructors, runs them as tasks, lists every route in one table and
// answers for their health. It holds no logic of its own beyond that.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"github.com/godbus/dbus/v5"

	"github.com/sierpi/sierpi/daemon/backup"
	"github.com/sierpi/sierpi/daemon/cache"
	"github.com/sierpi/sierpi/daemon/chat"
	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/cutout"
	"github.com/sierpi/sierpi/daemon/feed"
	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system"
)

// Options are what a daemon is started with.
type Options struct {
	Config config.Config
	Notice string // what is wrong with the config, to be shown on the wall; empty: nothing

	ConfigFiles []config.File // that Config came from, the strongest last; for the backups

	State   string      // folder for what must last; made if it is not there
	Runtime string      // folder for what must not
	Kiosk   string      // folder for the wall's token, which the wall's user reads; empty: Runtime
	Root    system.Root // where /sys, /proc and /boot are
	Sockets web.Sockets // from systemd; nil: none
	Version string
	Log     *slog.Logger
	Out     io.Writer // where the addresses and, once, the owner's secret are printed

	// Terminal says that Out is read by whoever started the daemon and kept
	// nowhere: the wall's token may be printed there.
	Terminal bool
}

// Run builds the daemon, runs it until ctx ends, and returns when every part has
// ended. Whatever keeps it from starting is one error that says what to do.
func Run(ctx context.Context, o Options) (err error) {
	room := newReserve(o.State, o.Log)
	room.release()
	if err := writable(o.State); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Runtime, 0o750); err != nil {
		return fmt.Errorf("making the runtime folder: %w; name one in $XDG_RUNTIME_DIR", err)
	}
	if err := backup.Recover(o.State); err != nil {
		return err
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "sierpi"
	}

	// What services stand on.
	pageListeners, err := o.Sockets.Listen(ctx, "http", o.Config.Web.Listen)
	if err != nil {
		return err
	}
	defer closeAll(pageListeners)
	metricListeners, err := o.Sockets.Listen(ctx, "metrics", o.Config.Web.MetricsListen)
	if err != nil {
		return err
	}
	defer closeAll(metricListeners)
	look, err := web.NewLook(web.LookOptions{Name: hostname, Version: o.Version, Nav: navigation(), Desk: desk(), Log: o.Log})
	if err != nil {
		return fmt.Errorf("preparing the pages' look: %w", err)
	}
	hosts := web.NewHosts(hostname, o.Config.Web.Hosts...)
	db, err := openStore(ctx, o, look, hosts, pageListeners)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to end while it waited
		}
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	owner, secret, err := web.OpenOwnerDoor(o.State, o.Log)
	if err != nil {
		return err
	}
	kiosk, err := web.OpenKioskDoor(cmp.Or(o.Kiosk, o.Runtime))
	if err != nil {
		return err
	}

	visitors, err := web.OpenVisitorDoor(o.State, o.Log)
	if err != nil {
		return err
	}

	// The services, the machine and the stage.
	copies, err := cache.Open(cacheOptions(o))
	if err != nil {
		return err
	}
	news, err := feed.New(feed.Options{
		Sources:      feedSources(o.Config.Feed),
		Interval:     time.Duration(o.Config.Feed.Interval),
		AllowPrivate: o.Config.Feed.AllowPrivate,
		Cache:        copies,
		Look:         look,
		Logger:       o.Log,
	})
	if err != nil {
		return fmt.Errorf("preparing the feeds: %w", err)
	}
	sayings, err := quotes.New(quotes.Options{
		DB: db, Look: look, Log: o.Log,
		Pages: quotePages(o.Config.Quotes), AllowPrivate: o.Config.Quotes.AllowPrivate,
	})
	if err != nil {
		return fmt.Errorf("preparing the quotes: %w", err)
	}
	talk, err := chat.New(chat.Options{
		DB: db, Look: look, Log: o.Log,
		Rooms: o.Config.Chat.Rooms, Keep: o.Config.Chat.Keep, Waiters: o.Config.Chat.Waiters,
		Posts: web.NewLimiter(time.Duration(o.Config.Chat.Interval), o.Config.Chat.Burst, chatClients),
	})
	if err != nil {
		return fmt.Errorf("preparing the chat: %w", err)
	}
	cutting, err := cutout.New(cutout.ServiceOptions{Look: look, Memory: cutoutMemory(o.Config.Cutout, o.Root), Log: o.Log})
	if err != nil {
		return fmt.Errorf("preparing the cut-out: %w", err)
	}
	thisMachine := newMachine(ctx, o.Root, o.Config, o.State, o.Log)
	defer func() { err = errors.Join(err, thisMachine.close()) }()
	where := visitorAddress(o.Config.Web.VisitorAddress, pageListeners)
	atAGlance := cards{thisMachine, sayings, news, talk, strings.Join(slices.DeleteFunc([]string{thisMachine.updateNotice(), o.Notice}, func(s string) bool { return s == "" }), "\n"), o.State, where}
	settings, err := wallFigures(ctx, db, o.Log)
	if err != nil {
		return err
	}
	universe := universes{db, hostname}
	lastUniverse, lastEdits, err := universe.load(ctx, o.Log)
	if err != nil {
		return err
	}
	outputs, err := wallOutputs(o.Config.Display)
	if err != nil {
		return err
	}
	soups := newGallery(db, o.Log)
	stage, err := display.New(display.Options{
		Width:           o.Config.Display.Width,
		Height:          o.Config.Display.Height,
		FramesPerSecond: o.Config.Display.FramesPerSecond,
		Scenes:          o.Config.Display.Scenes,
		Dwell:           time.Duration(o.Config.Display.Dwell),
		Fade:            time.Duration(o.Config.Display.Fade),
		Logger:          o.Log,
		RateLimit:       frameRate,
		Kiosk:           func(r *http.Request) bool { return web.RoleOf(r) == web.Kiosk },
		Figures:         settings,
		Cards:           atAGlance.now,
		Outputs:         outputs,
		Hours:           timetable(o.Config.Display),
		Settled:         soups.settled,
		Memory:          universe,
		Universe:        lastUniverse,
		Edits:           lastEdits,
	})
	if err != nil {
		return fmt.Errorf("preparing the stage: %w", err)
	}

	thisMachine.scenes = newSceneEnergy(func() (string, bool) {
		status := stage.Status()
		return status.Scene, slices.ContainsFunc(status.Wall(), func(w display.WallScreen) bool { return w.State == display.Painting })
	})

	play, err := playRoutes(look, stage, db, o.Log)
	if err != nil {
		return fmt.Errorf("preparing the visitors' boards: %w", err)
	}

	wall, err := wallRoutes(look, stage, visitors, soups)
	if err != nil {
		return fmt.Errorf("preparing the pages of the wall: %w", err)
	}

	backups := scheduledBackups(o, db, hostname)
	// All that a start must write is written.
	room.hold()

	// How they all are, and what they count.
	health := NewHealth(
		Check{"pages", true, answers(pageListeners)},
		Check{"store", true, storeHealth(db, thisMachine.complaints)},
		Check{"storage", false, storageHealth(o.State)},
		Check{"display", true, stageHealth(stage)},
		Check{"feed", false, said(news.Health)},
		Check{"quotes", false, said(sayings.Health)},
		Check{"chat", false, said(talk.Health)},
		Check{"board", false, thisMachine.boardHealth},
		Check{"load", false, thisMachine.loadHealth},
		Check{"power", false, thisMachine.powerHealth},
		Check{"temperature", false, thisMachine.temperatureHealth},
		Check{"zram", false, thisMachine.zramHealth},
		Check{"firstboot", false, thisMachine.firstbootHealth},
		Check{"backup", false, said(backups.Health)},
		Check{"update", false, thisMachine.updateHealth},
		Check{"config", false, configHealth(o.Notice)},
	)
	if o.Config.Store.DSN != "" {
		health.Elsewhere("store")
	}
	figures := metrics.New(o.Log, o.Version,
		thisMachine.figures, thisMachine.scenes.figures, healthFigures(health), stageFigures(stage), stateFigures(o.State), serviceFigures(sayings, talk))

	// Who listens where.
	var ready atomic.Bool
	maker, err := newPageMaker()
	if err != nil {
		return fmt.Errorf("preparing the pages: %w", err)
	}
	table := routes(parts{maker, look, owner, kiosk, news, sayings, talk, cutting, stage, atAGlance, visitors, play, wall, health, &ready})
	handler, err := web.NewRouter(table, web.RouterOptions{
		Look: look, Hosts: hosts, Identities: []web.Identity{owner, kiosk, visitors}, Log: o.Log,
	})
	if err != nil {
		return fmt.Errorf("building the table of routes: %w", err)
	}
	pages := web.NewServer(web.ServerOptions{Name: "pages", Listeners: pageListeners, Handler: handler, Log: o.Log,
		Connections: max(4096, 2*o.Config.Chat.Waiters)})
	scrapes := web.NewServer(web.ServerOptions{Name: "metrics", Listeners: metricListeners, Handler: metricsOnly(hosts, figures.Handler()), Log: o.Log})

	greet(o, pageListeners, metricListeners, kiosk, secret)
	tasks := append([]Task{
		pages, scrapes, owner, news, sayings, talk, stage, soups, backups,
		&manager{health: health, status: statusLine(stage), log: o.Log},
	}, thisMachine.tasks(stage.Skip, powerOff, ready.Load)...)
	if o.Config.Display.SavePower {
		tasks = append(tasks, &saver{thisMachine, stage, thriftEvery, o.Log})
	}
	if o.Config.Display.Visitors {
		tasks = append(tasks, &inviter{visitors, stage, where, o.Log})
	}
	return runTasks(ctx, o.Log, func() {
		ready.Store(true)
		if _, err := sdnotify.SdNotify(false, sdnotify.SdNotifyReady); err != nil {
			o.Log.Warn("systemd cannot be told that the daemon is ready", "err", err)
		}
		if err := backup.Settled(o.State); err != nil {
			o.Log.Warn("what was kept of the state before cannot be removed", "err", err)
		}
	}, tasks...)
}

// chatClients is how many addresses the chat's limit remembers.
const chatClients = 4096

// writable makes the state folder and makes sure that it can be written.
func writable(dir string) error {
	hint := "; name a folder that this user can write with --state DIR"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the state folder: %w%s", err, hint)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("writing to the state folder %s: %w%s", dir, err, hint)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // the server has closed it already unless the start failed
	}
}

// greet prints where the daemon is to be found and, the first time, the secret.
func greet(o Options, pages, scrapes []net.Listener, kiosk *web.KioskDoor, secret string) {
	for _, l := range pages {
		fmt.Fprintf(o.Out, "pages    http://%s/\n", reachable(l.Addr()))
		if o.Terminal {
			fmt.Fprintf(o.Out, "wall     http://%s%s\n", reachable(l.Addr()), kiosk.SignInPath())
		}
	}
	for _, l := range scrapes {
		fmt.Fprintf(o.Out, "metrics  http://%s/metrics\n", reachable(l.Addr()))
	}
	fmt.Fprintf(o.Out, "state    %s\n", filepath.Clean(o.State))
	if secret != "" {
		fmt.Fprintf(o.Out, "owner    %s   (shown this once; it signs you in at /owner)\n", secret)
	}
}

// reachable is a listener's address as a browser on this machine reaches it.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	if port == "80" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// metricsOnly answers /metrics and nothing else, and under this machine's names alone: a
// page elsewhere could rebind its own name to this port and read it from a visitor's
// browser.
func metricsOnly(hosts web.Hosts, scrape http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrape)
	return hosts.Guard(mux)
}

// cacheOptions hands the config's caches to the package.
func cacheOptions(o Options) cache.Options {
	c := o.Config.Cache
	bytes := func(expression string) int64 {
		size, err := config.ParseSize(expression)
		memory, merr := system.ReadMemory(o.Root)
		if err != nil || merr != nil {
			return 0 // the package's own
		}
		return int64(min(size.Bytes(memory.Total), math.MaxInt))
	}
	return cache.Options{
		Layers: c.Layers, Memory: int(bytes(c.Memory)), Dir: filepath.Join(o.State, "cache"), Disk: bytes(c.Disk),
		Memcached: c.Memcached, Timeout: time.Duration(c.Timeout), Logger: o.Log,
	}
}

// feedSources hands the config's feeds to the service.
func feedSources(cfg config.Feed) []feed.Source {
	var sources []feed.Source
	for _, s := range cfg.Sources {
		sources = append(sources, feed.Source{Name: s.Name, URL: s.URL})
	}
	return sources
}

// quotePages hands the config's pages to the collector.
func quotePages(cfg config.Quotes) []quotes.CollectedPage {
	var pages []quotes.CollectedPage
	for _, p := range cfg.Pages {
		pages = append(pages, quotes.CollectedPage{Name: p.Name, URL: p.URL, Selector: p.Selector})
	}
	return pages
}

// cutoutMemory is the config's size on this machine, in bytes; 0 where the memory
// cannot be read.
func cutoutMemory(cfg config.Cutout, root system.Root) int64 {
	size, err := config.ParseSize(cfg.Memory)
	if err != nil {
		return 0 // the config's check has said it
	}
	mem, err := system.ReadMemory(root)
	if err != nil {
		return 0
	}
	may, _, err := system.MemoryLimit(root)
	if err != nil {
		return 0
	}
	// Half of what the unit leaves the daemon: the rest of it works on meanwhile.
	return int64(min(size.Bytes(mem.Total), may/2, math.MaxInt64))
}

// powerOff asks logind, which asks polkit; the daemon itself may do nothing.
func powerOff(ctx context.Context) error {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reaching logind: %w", err)
	}
	defer bus.Close()
	const interactive = false // nobody sits there to type a password
	err = bus.Object("org.freedesktop.login1", "/org/freedesktop/login1").
		CallWithContext(ctx, "org.freedesktop.login1.Manager.PowerOff", 0, interactive).Err
	if err != nil {
		return fmt.Errorf("asking logind to power off: %w", err)
	}
	return nil
}
