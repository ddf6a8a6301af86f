package kiosk

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/system"
)

// Options are what a keeper is made of.
type Options struct {
	Root    system.Root
	Daemon  Daemon
	Browser string    // program; empty: Chromium as the distribution calls it
	Flags   []string  // of the browser: Flags
	Profile string    // the browser's folder
	State   string    // folder for the record of reboots
	Machine Machine   // what is beyond the browser
	Output  io.Writer // what the browser says
	Log     *slog.Logger
}

//go:embed wait.html
var waitPage []byte

// waitAddress is the page until the daemon is there. It is in the address itself, so that it
// shows without a file and without a network.
func waitAddress() string {
	return "data:text/html;charset=utf-8;base64," + base64.StdEncoding.EncodeToString(waitPage)
}

const (
	lookOften   = time.Second     // until the wall paints
	lookSeldom  = 2 * time.Second // afterwards
	readOutputs = 10 * time.Second
	// A page that lost its daemon knocks again by itself, later and later.
	settle = 20 * time.Second
	// How long one question to the page may take before it counts as no answer: this, or
	// a part of the patience where that is more.
	glanceTimeout = 2 * time.Second
	glanceShare   = 6
	// So many times the X server did not answer.
	blindTimes = 4
	// So often a page is opened again, without a paint in between, when its process died.
	mostCrashes  = 3
	shortLife    = 30 * time.Second
	longestPause = 30 * time.Second
	stepTimeout  = 30 * time.Second
)

// keeper watches over one session's browser.
type keeper struct {
	Options
	client  *client
	display display
	clock   func() time.Duration // since the boot
	program string
	record  *record
	boot    string
	ladder  ladder

	browser  *browser
	began    time.Duration // when it was started
	shortly  int           // times in a row that it ended soon
	reported bool          // that the wall paints, since the last start

	away     bool          // the daemon does not answer
	returned time.Duration // when it did again
	outputs  []output
	reports  []report
	wanted   map[string]bool
	read     time.Duration // when the outputs were read last; 0: never
	crashes  int           // times in a row that a page's process died
	blind    int           // times in a row that they could not be read
	said     map[string]string
}

// Run starts the browser and keeps the wall painting until the context ends.
func Run(ctx context.Context, o Options) error {
	program, err := findBrowser(o.Browser)
	if err != nil {
		return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "install it with `apt-get install chromium`, or name one with --browser"}
	}
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return fmt.Errorf("making the folder for the record of reboots: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(o.State, "kiosk.lock"), o.Log)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := openRecord(filepath.Join(o.State, "kiosk.json"))
	if err != nil {
		return err
	}
	boot, err := o.Root.ReadString("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("telling this boot from others: %w", err)
	}
	k := &keeper{Options: o, client: newClient(o.Daemon), clock: uptime, program: program, record: rec, boot: boot, away: true, said: map[string]string{}}
	k.ladder.level = rec.level(boot, uptime())
	if err := k.display.prepare(ctx); err != nil {
		k.Log.Warn("the screen cannot be kept on", "err", err)
	}
	stop := k.hideCursor(ctx)
	defer stop()
	return k.run(ctx)
}

// lock waits until no other keeper runs on this state: that of the session before may
// still be ending, and two browsers on one profile are none.
func lock(ctx context.Context, path string, log *slog.Logger) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making sure that no other keeper runs: %w", err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; said = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !said {
			log.Info("another keeper is ending; waiting for it", "lock", path)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// uptime is the time since the boot, sleep included.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("kiosk: no CLOCK_BOOTTIME: " + err.Error()) // Linux has it since 2.6.39
	}
	return time.Duration(t.Nano())
}

// hideCursor runs unclutter beside us, where it is installed. The page hides the
// cursor too; this is for what is not the page.
func (k *keeper) hideCursor(ctx context.Context) (stop func()) {
	cmd := exec.CommandContext(ctx, "unclutter", "-idle", "0.1", "-root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		k.Log.Info("the cursor is hidden by the page alone", "err", err)
		return func() {}
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}
}

func (k *keeper) run(ctx context.Context) error {
	if err := k.start(false); err != nil {
		return err
	}
	defer func() {
		if k.browser != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			k.browser.quit(ctx)
		}
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	session := sessionProcess()
	for {
		if sessionEnded(session) {
			k.Log.Info("the session is over")
			return nil
		}
		if k.blind >= blindTimes {
			return errors.New("the X server is gone, and with it the session")
		}
		var exited <-chan struct{}
		if k.browser != nil {
			exited = k.browser.exited
		}
		select {
		case <-ctx.Done():
			return nil
		case <-exited:
			next.Reset(k.ended())
		case <-next.C:
			if k.browser == nil {
				if err := k.start(false); err != nil {
					k.say("browser", err.Error())
				}
			}
			if k.browser != nil {
				k.tick(ctx)
			}
			if k.ladder.isWell {
				next.Reset(lookSeldom)
			} else {
				next.Reset(lookOften)
			}
		}
	}
}

// start cleans the profile and starts the browser on our own page.
func (k *keeper) start(byStep bool) error {
	if err := cleanProfile(k.Profile); err != nil {
		return err
	}
	b, err := startBrowser(k.program, k.Flags, waitAddress(), k.Output)
	if err != nil {
		return err
	}
	k.browser, k.began, k.reported, k.crashes = b, k.clock(), false, 0
	k.ladder.browserStarted(k.began, byStep)
	k.Log.Info("the browser is started", "program", k.program, "pid", b.cmd.Process.Pid)
	return nil
}

// ended takes in that the browser is gone, and returns how long to wait before the
// next one: the first time not at all.
func (k *keeper) ended() time.Duration {
	lived := k.clock() - k.began
	k.browser.kill()
	how := k.browser.err
	k.browser = nil
	if lived > shortLife {
		k.shortly = 0
	}
	pause := time.Duration(0)
	if k.shortly > 0 {
		pause = min(time.Second<<min(k.shortly-1, 10), longestPause)
	}
	k.shortly++
	k.Log.Warn("the browser ended; it is started again", "how", how, "after", lived.Round(time.Second), "in", pause)
	return pause
}

// tick looks once and does what is due.
func (k *keeper) tick(ctx context.Context) {
	asked := k.clock()
	s := k.see(ctx)
	s.asked = asked
	if ctx.Err() != nil {
		return
	}
	now := k.clock()
	step := k.ladder.look(now, s)
	if s.fine && !k.reported {
		k.reported = true
		k.Log.Info("the wall paints", "after", (now - k.began).Round(100*time.Millisecond), "start", k.ladder.start.Round(100*time.Millisecond))
	}
	if s.fine {
		k.crashes = 0
	}
	if s.fine && k.ladder.level == None {
		if err := k.record.helped(); err != nil {
			k.say("record", err.Error())
		}
	}
	if step != None {
		k.take(ctx, now, step, s.why)
	}
}

// see finds out how the wall is, and opens the pages that are wished for.
func (k *keeper) see(ctx context.Context) sight {
	now := k.clock()
	if k.read == 0 || now-k.read >= readOutputs || k.differs() {
		k.readOutputs(ctx, now)
	}
	wishes, err := k.ask(ctx, now)
	if err != nil {
		why := err.Error()
		k.say("daemon", why)
		_, answers := k.glance(ctx, k.anyPage(ctx))
		return sight{excused: true, answers: answers, why: why}
	}
	k.say("daemon", "")
	k.wanted = map[string]bool{}
	for _, w := range wishes {
		k.wanted[w.Name] = w.On
	}

	// One wall of all outputs: it is as well as the worst of them.
	all := sight{fine: true, answers: true}
	seen, lit := 0, 0
	for _, w := range wishes {
		if !k.connected(w.Name) {
			continue
		}
		seen++
		if !w.On {
			continue
		}
		lit++
		s := k.seeOutput(ctx, now, w)
		if now-k.returned < settle && !s.fine && (w.State == "gone" || w.State == "attached") {
			s.excused = true
		}
		if !s.fine && (all.fine || all.excused) {
			all = s
		}
	}
	switch {
	case seen == 0:
		all = sight{excused: true, answers: true, why: "no screen is connected"}
	case lit == 0:
		_, answers := k.glance(ctx, k.anyPage(ctx))
		all = sight{excused: true, answers: answers, why: "all screens are off on purpose"}
	}
	return all
}

// ask tells the daemon of the outputs and returns its wishes.
func (k *keeper) ask(ctx context.Context, now time.Duration) ([]wish, error) {
	if k.away {
		if err := k.client.ready(ctx); err != nil {
			return nil, err
		}
	}
	wishes, err := k.client.exchange(ctx, k.reports)
	if err != nil {
		if !k.away {
			k.Log.Warn("the daemon is away", "err", err)
		}
		k.away = true
		return nil, err
	}
	if k.away {
		k.away, k.returned = false, now
		k.Log.Info("the daemon answers")
	}
	return wishes, nil
}

func (k *keeper) connected(name string) bool {
	for _, r := range k.reports {
		if r.Name == name {
			return true
		}
	}
	return false
}

// differs reports whether an output is not as it is wished.
func (k *keeper) differs() bool {
	for _, r := range k.reports {
		if on, ok := k.wanted[r.Name]; ok && on != r.On {
			return true
		}
	}
	return false
}

// readOutputs switches outputs as it is wished and reads them back.
func (k *keeper) readOutputs(ctx context.Context, now time.Duration) {
	probe := k.read == 0
	k.read = now
	outputs, reports, changed, err := k.display.bring(ctx, k.wanted, probe)
	if err != nil {
		k.blind++
		k.say("outputs", err.Error())
		if len(k.reports) == 0 {
			// An X server without RANDR shows something all the same.
			k.reports = []report{{Name: "screen", On: true}}
		}
		return
	}
	k.blind = 0
	k.say("outputs", "")
	if changed && !slices.Equal(reports, k.reports) {
		k.Log.Info("the screens were switched", "wanted", fmt.Sprint(maps.Clone(k.wanted)), "now", fmt.Sprint(reports))
	}
	k.outputs, k.reports = outputs, reports
}

// seeOutput looks at one output that is to paint; the daemon's wish was asked for at that time.
func (k *keeper) seeOutput(ctx context.Context, asked time.Duration, w wish) sight {
	p, err := k.page(ctx, w.Name)
	if err != nil {
		return sight{why: err.Error()}
	}
	if p.path != w.Page {
		if err := k.open(ctx, p, w.Page); err != nil {
			return sight{answers: true, why: err.Error()}
		}
	}
	if k.browser.tools.hasCrashed(p.target) {
		// Like a browser that ended: no step, but not for ever either.
		if k.crashes++; k.crashes > mostCrashes {
			return sight{why: "the page's process dies again and again"}
		}
		k.Log.Warn("the page's process died; the page is opened again")
		if err := k.open(ctx, p, w.Page); err != nil {
			return sight{why: err.Error()}
		}
	}
	g, answers := k.glance(ctx, p)
	// The first heartbeat takes its time, and what came before it is of another page.
	fresh := k.ladder.painted && k.clock()-p.opened < 2*k.ladder.patience()
	switch {
	case !answers:
		return sight{why: "the page does not answer", beat: heard(w, asked)}
	case w.State == "paused" || w.State == "off":
		return sight{excused: true, answers: true, why: w.State}
	case g.Path != w.Page:
		return sight{answers: true, why: fmt.Sprintf("the window shows %.100q", g.Path)}
	case !g.Picture:
		return sight{answers: true, why: "the picture is not on view"}
	case w.State != "painting" && fresh:
		return sight{excused: true, answers: true, why: "the page was opened just now"}
	case w.State != "painting":
		return sight{answers: true, why: "the daemon finds the page " + w.State}
	}
	return sight{fine: true, answers: true}
}

// page returns the window of an output, which is made if need be.
func (k *keeper) page(ctx context.Context, name string) (*page, error) {
	b := k.browser
	var at output
	for _, o := range k.outputs {
		if o.name == name {
			at = o
		}
	}
	p := b.pages[name]
	if p != nil && (p.at == at || !at.lit) {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.askFor())
	defer cancel()
	if p != nil { // the output was moved, or shows another number of pixels
		k.Log.Info("the window follows its screen", "screen", name)
		p.at = at
		return p, b.place(ctx, p, at.x, at.y, at.width, at.height)
	}
	// The window that the browser opened by itself goes to the first output.
	if p := b.pages[""]; p != nil {
		delete(b.pages, "")
		b.pages[name], p.at = p, at
		if len(k.outputs) > 1 {
			return p, b.place(ctx, p, at.x, at.y, at.width, at.height)
		}
		return p, nil
	}
	if len(b.pages) == 0 {
		p, err := b.first(ctx)
		if err != nil {
			return nil, err
		}
		b.pages[""] = p
		return k.page(ctx, name)
	}
	p, err := b.another(ctx, at.x, at.y, at.width, at.height)
	if err == nil {
		b.pages[name], p.at = p, at
	}
	return p, err
}

// anyPage is a window of the browser, nil if it has none yet.
func (k *keeper) anyPage(ctx context.Context) *page {
	for _, p := range k.browser.pages {
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, k.askFor())
	defer cancel()
	p, err := k.browser.first(ctx)
	if err != nil {
		return nil
	}
	k.browser.pages[""] = p
	return p
}

// glance asks a page; false if it does not answer in time.
func (k *keeper) glance(ctx context.Context, p *page) (glance, bool) {
	if p == nil {
		return glance{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, k.askFor())
	defer cancel()
	g, err := k.browser.look(ctx, p)
	return g, err == nil
}

// askFor is how long one question to the page may take here.
func (k *keeper) askFor() time.Duration {
	return max(glanceTimeout, k.ladder.patience()/glanceShare)
}

// heard is when the daemon, asked at that time, had heard the page of an output last; 0: never.
func heard(w wish, asked time.Duration) time.Duration {
	if w.BeatAge == nil || *w.BeatAge < 0 || *w.BeatAge > asked.Seconds() {
		return 0
	}
	return asked - time.Duration(*w.BeatAge*float64(time.Second))
}

// open signs the browser in and sends a window to its page.
func (k *keeper) open(ctx context.Context, p *page, path string) error {
	address, err := k.client.address(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	cookies, err := k.client.signIn(ctx)
	if err != nil {
		return err
	}
	if err := k.browser.setCookies(ctx, p, k.client.Base.String(), cookies); err != nil {
		return err
	}
	if err := k.browser.open(ctx, p, address); err != nil {
		return err
	}
	p.path, p.opened = path, k.clock()
	return nil
}

// take does one step.
func (k *keeper) take(ctx context.Context, now time.Duration, s Step, why string) {
	log := k.Log.With("why", why)
	if s == Reboot {
		if no := k.record.mayReboot(k.boot, now); no != "" {
			log.Warn("the wall does not paint; a reboot is not due, the browser is started anew", "because", no)
			k.ladder.taken(now, RestartSession)
			k.restartBrowser()
			return
		}
	}
	log.Warn("the wall does not paint: "+s.String(), "patience", k.ladder.patience().Round(time.Second))
	k.ladder.taken(now, s)
	switch s {
	case Reload:
		for _, p := range k.browser.pages {
			if path := p.path; path != "" {
				if err := k.open(ctx, p, path); err != nil {
					log.Warn("the page cannot be opened", "err", err)
				}
			}
		}
	case RestartBrowser:
		k.restartBrowser()
	case RestartSession, Reboot:
		if err := k.beyond(ctx, now, s, why); err != nil {
			log.Error("could not "+s.String(), "err", err)
		}
		// Until it happens, or if it does not.
		k.restartBrowser()
	}
}

// beyond takes a step that ends this program. It is on disk before: whoever cannot
// write it down does not take it.
func (k *keeper) beyond(ctx context.Context, now time.Duration, s Step, why string) error {
	if err := k.record.note(s, k.boot, now, why); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if s == Reboot {
		return k.Machine.Reboot(ctx)
	}
	return k.Machine.RestartSession(ctx)
}

func (k *keeper) restartBrowser() {
	k.browser.kill()
	k.browser = nil
	if err := k.start(true); err != nil {
		k.say("browser", err.Error()) // the loop tries again
	}
}

// say logs what is wrong with a part when it changes, not every second.
func (k *keeper) say(part, what string) {
	if k.said[part] == what {
		return
	}
	k.said[part] = what
	if what != "" {
		k.Log.Info("waiting", "for", part, "err", errors.New(what))
	}
}
