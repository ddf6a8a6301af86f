package display

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sierpi/sierpi/display/sierpinski"
	"github.com/sierpi/sierpi/display/wire"
)

// Options are what a Stage is made of.
type Options struct {
	Width, Height   int           // cells; 480x270 if both are 0
	FramesPerSecond int           // 1 to 60; 0 is 30
	Scenes          []string      // in the order of rotation; none: life, line, zoom
	Dwell           time.Duration // how long a scene stays; 0 is 90 s
	Fade            time.Duration // how long the change takes, half of it into the dark; at least 1 s, 0 is 2 s
	Seed            uint64        // 0: from the operating system
	MaxScreens      int           // attached at once; 0 is 100
	Logger          *slog.Logger  // nil: slog.Default
	Sharp           bool          // Setting.Sharp
	AllowFlashes    bool          // the owner wants no guard against more than three flashes a second

	// Cards, if not nil, is asked every few seconds, while a screen is attached,
	// for what the cards over the picture say.
	Cards func(context.Context) Cards

	// Figures are the owner's settings of the scenes of package sierpinski, by name.
	Figures map[string]sierpinski.Settings

	// RateLimit, if not nil, is the most frames a second that this request's client
	// is sent.
	RateLimit func(*http.Request) int

	// Kiosk, if not nil, reports whether the request is the wall's own screen.
	Kiosk func(*http.Request) bool

	// Outputs are the machine's screens that the owner gave a part of the universe each: a video wall.
	// Others become known when the kiosk session reports them.
	Outputs []Output
	Hours   Timetable // what changes with the time of day

	// Settled, if not nil, is told of each soup that came to rest. It must not block, and may
	// not call the stage.
	Settled func(Settled)

	// Memory, if not nil, keeps the universe; Universe and Edits are what it has from before, or nil.
	Memory    Memory
	Universe  *Universe
	Edits     []Edit
	KeepEvery time.Duration // how often the universe is kept while somebody watches; 0 is 5 minutes
}

func (o *Options) complete() error {
	if o.Width == 0 && o.Height == 0 {
		o.Width, o.Height = 480, 270
	}
	if o.FramesPerSecond == 0 {
		o.FramesPerSecond = 30
	}
	if len(o.Scenes) == 0 {
		o.Scenes = []string{"life", "line", "zoom"}
	}
	if o.Dwell == 0 {
		o.Dwell = 90 * time.Second
	}
	if o.Fade == 0 {
		o.Fade = 2 * time.Second
	}
	if o.KeepEvery == 0 {
		o.KeepEvery = keepEvery
	}
	if o.MaxScreens == 0 {
		o.MaxScreens = 100
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	switch {
	case o.Width < 64 || o.Height < 64 || o.Width > wire.MaxSide || o.Height > wire.MaxSide || o.Width*o.Height > wire.MaxCells:
		return fmt.Errorf("display: %dx%d cells: write 64 to %d for width and height, and at most %d cells in all", o.Width, o.Height, wire.MaxSide, wire.MaxCells)
	case o.FramesPerSecond < 1 || o.FramesPerSecond > 60:
		return fmt.Errorf("display: %d frames a second: write 1 to 60", o.FramesPerSecond)
	case o.Fade < time.Second:
		return fmt.Errorf("display: a fade of %v: write at least 1s, a shorter one would be a flash", o.Fade)
	case o.Dwell < 2*o.Fade:
		return fmt.Errorf("display: a scene stays %v and fades for %v: write a dwell of at least twice the fade", o.Dwell, o.Fade)
	}
	if err := o.Hours.checkColours(); err != nil {
		return fmt.Errorf("display: %w", err)
	}
	for _, out := range o.Outputs {
		if err := checkOutputName(out.Name); err != nil {
			return fmt.Errorf("display: the output %q: %w", out.Name, err)
		}
		if v := out.View; v.X < 0 || v.Y < 0 || v.X >= o.Width || v.Y >= o.Height || v.Width < 0 || v.Height < 0 || v.Width > o.Width || v.Height > o.Height {
			return fmt.Errorf("display: the output %s shows the part %v of a universe of %dx%d cells", out.Name, v, o.Width, o.Height)
		}
	}
	return nil
}

// The ring of recent frames: so many, or so many bytes of cells.
const (
	ringFrames = 32
	ringBytes  = 8 << 20
	// A frame may be encoded against so many different bases: the last one, and
	// those of the screens that asked for fewer frames. Screens further off get
	// the key frame, which is also encoded once.
	maxBases = 4
	// Hashes are kept longer than frames, because a heartbeat takes its time.
	hashFrames = 1024
	// A video wall has a few parts; each costs a ring of its own.
	maxViews = 16
)

// Stage shows one universe on many screens.
type Stage struct {
	opt Options

	watched chan struct{} // capacity 1: a screen has come
	curious chan struct{} // capacity 1: a screen has come, which wants cards
	ended   chan struct{} // closed when Run returns
	empty   chan struct{} // closed when, after that, the last screen has left

	mu       sync.Mutex
	clock    func() time.Time // of the timetable
	director *director
	guard    *flashGuard
	whole    *view              // the universe; there always
	views    map[Viewport]*view // parts of it, while a screen shows them
	full     wire.Frame         // the universe's frame while the screens get a coarser one
	economy  Economy
	screens  map[*screen]struct{}
	past     map[pastKey]ScreenStatus // screens that are gone
	outputs  outputs
	keeping  keeping
	cards    []byte // the last cards as JSON
	ghosts   map[string]*ghost
	ghostly  int // counts their changes

	invitation []byte // for the machine's own screens alone
	told       counts // of screens that are gone
	stopped    bool
}

// pastKey tells screens that are gone apart. A visitor's cannot pass for the
// kiosk's; an output's next page is its last page's heir.
type pastKey struct {
	kiosk      bool
	output, id string
}

func (sc *screen) key() pastKey {
	if sc.output != "" {
		return pastKey{sc.kiosk, sc.output, ""}
	}
	return pastKey{sc.kiosk, "", sc.id}
}

// New makes a stage and draws its first frame.
func New(o Options) (*Stage, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d, err := newDirector(o)
	if err != nil {
		return nil, err
	}
	s := &Stage{
		opt: o, director: d, guard: newFlashGuard(o.Width, o.Height, o.FramesPerSecond),
		watched: make(chan struct{}, 1),
		curious: make(chan struct{}, 1),
		ended:   make(chan struct{}),
		empty:   make(chan struct{}),
		whole:   newView(Viewport{Width: o.Width, Height: o.Height}),
		views:   make(map[Viewport]*view),
		economy: Economy{Pace: 1, Coarse: 1},
		screens: make(map[*screen]struct{}),
		past:    make(map[pastKey]ScreenStatus),
		clock:   time.Now,
		ghosts:  make(map[string]*ghost),
		outputs: newOutputs(o.Outputs),
		keeping: keeping{wake: make(chan struct{}, 1)},
	}
	s.mu.Lock()
	s.takeUp(o.Universe, o.Edits)
	s.director.edited = func(e Edit) { s.noteEdit(e, nil) }
	if s.director.universe != nil {
		s.director.universe.onEdit = s.director.edited
	}
	s.keepHours(s.clock())
	s.director.light0()
	s.advance()
	s.mu.Unlock()
	return s, nil
}

// String names the task.
func (s *Stage) String() string { return "display" }

// Run steps the universe while a screen is attached, until the context ends; then
// it sends the screens away. It is called once.
func (s *Stage) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer s.close()
	if s.opt.Cards != nil {
		tasks.Go(func() { s.pollCards(ctx) })
	}
	tasks.Go(func() { s.followClock(ctx) })
	if s.opt.Memory != nil {
		tasks.Go(func() { s.remember(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.watched:
		}
		s.play(ctx)
	}
}

// play runs until nobody watches.
func (s *Stage) play(ctx context.Context) {
	pace := 0
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		if s.economy.Pace != pace {
			pace = s.economy.Pace
			ticker.Reset(time.Second * time.Duration(pace) / time.Duration(s.opt.FramesPerSecond))
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if !s.tick() {
				return
			}
		}
	}
}

// tick makes the next frame; false if nobody watches.
func (s *Stage) tick() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isWatched() {
		s.rest()
		return false
	}
	s.advance()
	for sc := range s.screens {
		sc.nudge()
	}
	return true
}

// isWatched reports whether anybody sees what is drawn. s.mu is held.
func (s *Stage) isWatched() bool {
	for sc := range s.screens {
		if !s.isOff(sc) {
			return true
		}
	}
	return false
}

// wake begins to draw again, if somebody watches. s.mu is held.
func (s *Stage) wake() {
	select {
	case s.watched <- struct{}{}:
	default:
	}
}

// advance draws the next frame into the views. s.mu is held.
func (s *Stage) advance() {
	number := uint32(1)
	if s.whole.current != nil {
		// Numbers count the universe's time: a machine that draws fewer frames leaves some out.
		number = s.whole.current.Number + uint32(s.economy.Pace)
		for range s.economy.Pace {
			s.director.step()
		}
		if u := s.director.universe; u != nil && u.epoch != s.keeping.epoch && !s.keeping.again && s.opt.Memory != nil {
			s.keeping.hurry()
		}
	}
	f := &s.full
	if s.economy.Coarse == 1 {
		s.full = wire.Frame{}
		f = s.whole.slot(number)
	}
	fit(f, s.opt.Width, s.opt.Height)
	f.Number = number
	s.director.draw(f)
	if !s.opt.AllowFlashes {
		damped := s.guard.damp > 0
		s.guard.check(f)
		if !damped && s.guard.damp > 0 {
			s.opt.Logger.Warn("a scene flashes more than three times a second; its contrast is taken back", "scene", f.Scene)
		}
	}
	if s.economy.Coarse > 1 {
		s.whole.cut(f, s.economy.Coarse)
	} else {
		s.whole.take(f)
	}
	for _, v := range s.views {
		v.cut(f, s.economy.Coarse)
	}
}

// rest lets go of what only screens need. s.mu is held.
func (s *Stage) rest() {
	s.whole.rest()
	for _, v := range s.views {
		v.rest()
	}
}

// Skip changes to the next scene at once.
func (s *Stage) Skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.director.skip()
}

var errFull = errors.New("as many screens as this daemon allows are attached already")

// attach adds a screen.
func (s *Stage) attach(sc *screen) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("the daemon is stopping")
	}
	if len(s.screens) >= s.opt.MaxScreens {
		return errFull
	}
	v, err := s.viewOf(sc.port)
	if err != nil {
		return err
	}
	v.users++
	sc.view = v
	s.screens[sc] = struct{}{}
	delete(s.past, sc.key())
	for _, c := range []chan struct{}{s.watched, s.curious} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return nil
}

// detach removes a screen and remembers how it was.
func (s *Stage) detach(sc *screen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.screens, sc)
	if sc.view.users--; sc.view.users == 0 {
		delete(s.views, sc.view.port)
	}
	s.told.add(sc.counts)
	if s.stopped && len(s.screens) == 0 {
		close(s.empty)
	}
	if sc.id == "" && sc.output == "" || !sc.accepted {
		return
	}
	now := time.Now()
	st := s.status(sc, now)
	st.State = Gone
	st.Left = now
	s.past[sc.key()] = st
	for len(s.past) > maxPast {
		var oldest pastKey
		when := now.Add(time.Hour)
		for key, p := range s.past {
			left := p.Left
			if !key.kiosk {
				// Visitors' go first: somebody may ask for the wall's.
				left = left.Add(-24 * time.Hour)
			}
			if left.Before(when) {
				oldest, when = key, left
			}
		}
		delete(s.past, oldest)
	}
}

func (s *Stage) close() {
	s.mu.Lock()
	s.stopped = true
	attached := len(s.screens)
	s.mu.Unlock()
	close(s.ended)
	if attached == 0 {
		return
	}
	// Screens are told why; one that does not answer is not waited for.
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-s.empty:
	case <-patience.C:
	}
}

// farewell is how long screens have to take leave when the daemon stops.
const farewell = 500 * time.Millisecond

// cardsEvery is how often the cards are asked for.
const cardsEvery = 5 * time.Second

func (s *Stage) pollCards(ctx context.Context) {
	ticker := time.NewTicker(cardsEvery)
	defer ticker.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.curious:
			if time.Since(last) < cardsEvery {
				continue // the screen is sent those
			}
		case <-ticker.C:
			s.mu.Lock()
			watched := len(s.screens) > 0
			s.mu.Unlock()
			if !watched {
				continue
			}
		}
		last = time.Now()
		s.refreshCards(ctx)
	}
}

func (s *Stage) refreshCards(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cardsEvery)
	defer cancel()
	cards := s.opt.Cards(ctx)
	data, err := json.Marshal(struct {
		Type  string `json:"type"`
		Cards Cards  `json:"cards"`
	}{"cards", cards})
	if err != nil {
		s.opt.Logger.Error("the cards cannot be written as JSON", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(data) == string(s.cards) {
		return
	}
	s.cards = data
	for sc := range s.screens {
		sc.nudge()
	}
}
