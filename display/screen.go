package display

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sierpi/sierpi/display/wire"
)

// State is what is known of a screen from its heartbeats.
type State string

// The states of a screen.
const (
	Attached State = "attached" // no heartbeat yet, and still time for one
	Painting State = "painting" // the picture is the daemon's
	Frozen   State = "frozen"   // attached, and yet silent, or the frame number stands still
	Wrong    State = "wrong"    // another picture than the daemon's of that number
	Blank    State = "blank"    // a single colour where the daemon's picture has several, or an output that is off and should not be
	Off      State = "off"      // switched off on purpose
	Paused   State = "paused"   // by its user
	Hidden   State = "hidden"   // in a window that nobody sees
	Gone     State = "gone"     // not attached
)

// States are all of them.
var States = []State{Attached, Painting, Frozen, Wrong, Blank, Off, Paused, Hidden, Gone}

// Healthy reports whether nobody need look after a screen in that state. A window
// that is hidden is a visitor's habit; on the wall it is a fault.
func (s State) Healthy(kiosk bool) bool {
	switch s {
	case Frozen, Wrong, Blank:
		return false
	case Gone, Hidden:
		return !kiosk
	}
	return true
}

// ScreenStatus is one screen, as Status reports it. Times are the daemon's.
type ScreenStatus struct {
	ID       string    `json:"id,omitempty"`     // of the client's own making
	Output   string    `json:"output,omitempty"` // of the machine, if it is one of its screens
	View     string    `json:"view,omitempty"`   // part of the universe: Viewport.String
	Address  string    `json:"address"`
	Kiosk    bool      `json:"kiosk"` // the wall's own, by Options.Kiosk: what others report nobody need believe
	State    State     `json:"state"`
	Since    time.Time `json:"since"` // attached
	Left     time.Time `json:"left,omitzero"`
	LastBeat time.Time `json:"lastBeat,omitzero"`
	Frame    uint32    `json:"frame"`    // of the last heartbeat
	Rate     float64   `json:"rate"`     // frames a second it had on view lately
	HashTime float64   `json:"hashTime"` // ms that reading and hashing the canvas took in the page; 0: it did not
	Rung     string    `json:"rung,omitempty"`
	counts
}

// counts are what was sent to a screen.
type counts struct {
	Sent    uint64 `json:"sent"`    // frames
	Skipped uint64 `json:"skipped"` // frames it was too slow for
	Bytes   uint64 `json:"bytes"`   // of frames
}

func (c *counts) add(more counts) {
	c.Sent += more.Sent
	c.Skipped += more.Skipped
	c.Bytes += more.Bytes
}

// Status is the state of the stage.
type Status struct {
	Frame   uint32         `json:"frame"`
	Scene   string         `json:"scene"`
	Caption string         `json:"caption"`
	Bright  float64        `json:"bright"`  // 1 by day
	Colours Colours        `json:"colours"` // as chosen
	Day     bool           `json:"day"`     // ink on paper now
	Nights  bool           `json:"nights"`  // the timetable has hours of night, by which AutoColours can go
	Economy Economy        `json:"economy"` // what the machine saves
	Flashes float64        `json:"flashes"` // share of the worst ninth of the picture that flashed within the last second; above 0.25 the contrast is taken back
	Damped  float64        `json:"damped"`  // contrast taken back, 0 to 1
	Screens []ScreenStatus `json:"screens"` // attached ones first, then those gone lately
	Outputs []OutputWish   `json:"outputs"` // of the machine, as far as they are known
	Total   counts         `json:"total"`   // sent to all screens since the start
}

// WallScreen is one of the machine's own screens.
type WallScreen struct {
	Name  string // of the output; "wall" where the kiosk session named none
	State State
	Rate  float64 // frames a second
	Hash  float64 // ms a hash
}

// Wall lists the machine's own screens: each output that is known, with or without a page on
// it, and each page of the kiosk on none.
func (st Status) Wall() []WallScreen {
	var list []WallScreen
	for _, o := range st.Outputs {
		list = append(list, WallScreen{Name: o.Name, State: o.State, Rate: o.Rate, Hash: o.HashTime})
	}
	for _, sc := range st.Screens {
		named := slices.ContainsFunc(st.Outputs, func(o OutputWish) bool { return o.Name == sc.Output })
		// Once the session reports, an output that it does not see was unplugged.
		unplugged := sc.State == Gone && sc.Output != "" && len(st.Outputs) > 0
		if !sc.Kiosk || named || unplugged {
			continue
		}
		w := WallScreen{Name: sc.Output, State: sc.State, Rate: sc.Rate, Hash: sc.HashTime}
		if w.Name == "" {
			w.Name = "wall"
		}
		if i := slices.IndexFunc(list, func(o WallScreen) bool { return o.Name == w.Name }); i < 0 {
			list = append(list, w)
		} else if list[i].State == Gone {
			list[i] = w // a browser that was started again has another name
		}
	}
	return list
}

// forgetAfter is how long a screen that is gone is remembered. The machine's own are until the
// daemon ends: somebody must miss them.
const forgetAfter = time.Hour

// Status reports the stage and its screens.
func (s *Stage) Status() Status {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.whole.current
	st := Status{
		Frame: f.Number, Scene: f.Scene, Caption: f.Caption, Bright: s.director.bright, Economy: s.economy,
		Colours: cmp.Or(s.opt.Hours.Colours, NightColours), Day: s.director.ink, Nights: s.opt.Hours.Night.From != s.opt.Hours.Night.To,
		Flashes: s.guard.share, Damped: s.guard.damp, Screens: []ScreenStatus{}, Total: s.told,
		Outputs: s.wishes(now),
	}
	for sc := range s.screens {
		st.Screens = append(st.Screens, s.status(sc, now))
		st.Total.add(sc.counts)
	}
	slices.SortFunc(st.Screens, func(a, b ScreenStatus) int { return a.Since.Compare(b.Since) })
	for _, p := range s.past {
		if p.Kiosk && s.isOff(&screen{kiosk: true, output: p.Output}) {
			p.State = Off // nobody sees the difference
		}
		if p.Kiosk || now.Sub(p.Left) < forgetAfter {
			st.Screens = append(st.Screens, p)
		}
	}
	return st
}

const (
	maxPast      = 16
	beatEvery    = 5 * time.Second // the page's habit
	beatSilence  = 3 * beatEvery
	mostAlike    = 8 // frames: of as many that are alike one is sent
	writeTimeout = 20 * time.Second
	pingEvery    = 20 * time.Second
	readLimit    = 4 << 10
)

// screen is one attached WebSocket. What is not said to be otherwise is guarded
// by the stage's mutex.
type screen struct {
	id, address string
	output      string // of the machine
	port        Viewport
	view        *view
	kiosk       bool
	accepted    bool // it is a WebSocket, not only a request for one
	since       time.Time
	limit       int // most frames a second
	wake        chan struct{}

	every    uint32 // every which frame it wants; 0: none
	sent     uint32 // number of the last frame sent
	acked    bool   // it answered to a frame of this connection
	needsKey bool
	inFlight []inFlight // sent and not acknowledged
	window   int        // how many may be
	cutAt    time.Time  // when the window was last halved
	alike    uint32     // number of the last frame that was not sent because it was like the one before
	spared   uint32     // such frames since the last one sent
	rested   uint32     // and since the last heartbeat
	cards    []byte     // the last cards sent
	told     []byte     // the last word on power and brightness
	ghostly  int        // of the stage, when it was told the ghosts last
	ghosts   int        // that it shows
	invited  []byte     // the last invitation sent

	counts
	beat            beat
	beatAt, movedAt time.Time
	onSince         time.Time // its output was switched on again
	verdict         State
}

// inFlight is a frame on its way.
type inFlight struct {
	number uint32
	at     time.Time
}

// The window of frames on their way follows the connection, as TCP's does: one
// more when it was full and something arrived, half when what was sent
// is not there after stale. Without it the buffers of a slow connection
// fill with seconds of frames that are old when they come.
const (
	firstWindow = 8
	stale       = 700 * time.Millisecond
)

// mayGo reports whether another frame may be sent. s.mu is held.
func (sc *screen) mayGo(now time.Time, fps int) bool {
	if len(sc.inFlight) == 0 {
		return true
	}
	if now.Sub(sc.inFlight[0].at) > stale && now.Sub(sc.cutAt) > stale {
		sc.window = max(1, sc.window/2)
		sc.cutAt = now
	}
	return len(sc.inFlight) < min(sc.window, max(3, fps))
}

func (sc *screen) acknowledge(number uint32) {
	if number > sc.sent {
		return // of an earlier daemon
	}
	full := len(sc.inFlight) >= sc.window
	before := len(sc.inFlight)
	sc.inFlight = slices.DeleteFunc(sc.inFlight, func(f inFlight) bool { return f.number <= number })
	sc.acked = sc.acked || len(sc.inFlight) < before
	if full && len(sc.inFlight) < before && sc.window < 1000 {
		sc.window++
	}
}

// beat is a heartbeat: what the screen painted last.
type beat struct {
	Frame   uint32  `json:"frame"`
	Hash    *uint32 `json:"hash"`    // wire's Frame.Hash of the canvas; null where there is no canvas to read
	Blank   bool    `json:"blank"`   // the canvas is of one colour
	Rate    float64 `json:"rate"`    // frames a second painted since the last heartbeat
	Rung    string  `json:"rung"`    // how it paints: one of rungs
	Visible bool    `json:"visible"` // the window is on view
	Spent   float64 `json:"spent"`   // ms that reading and hashing the canvas took
	Paused  bool    `json:"paused"`
}

// rungs a page may report.
var rungs = []string{"webgl", "2d", "quarter", "png", "framebuffer"}

func (sc *screen) nudge() {
	select {
	case sc.wake <- struct{}{}:
	default:
	}
}

// status is what is known of a screen. s.mu is held.
func (s *Stage) status(sc *screen, now time.Time) ScreenStatus {
	st := ScreenStatus{
		ID: sc.id, Output: sc.output, View: sc.port.String(), Address: sc.address, Kiosk: sc.kiosk, State: Attached, Since: sc.since, LastBeat: sc.beatAt,
		Frame: sc.beat.Frame, Rate: sc.beat.Rate, HashTime: sc.beat.Spent, Rung: sc.beat.Rung, counts: sc.counts,
	}
	silent := now.Sub(sc.beatAt) > beatSilence
	if sc.beatAt.IsZero() {
		silent = now.Sub(sc.since) > beatSilence
	}
	switch {
	case s.isOff(sc):
		st.State = Off
	case s.isDark(sc, now):
		st.State = Blank
	case silent && (sc.beatAt.IsZero() || sc.beat.Visible):
		st.State = Frozen
	case sc.beatAt.IsZero():
	case !sc.beat.Visible:
		// A hidden page's timers may run once a minute, or not at all on a phone.
		st.State = Hidden
	case sc.beat.Paused:
		st.State = Paused
	case now.Sub(sc.movedAt) > 2*beatEvery && now.Sub(sc.onSince) > 2*beatEvery:
		st.State = Frozen
	case sc.verdict != "":
		st.State = sc.verdict
	}
	return st
}

// lightMessage tells a page whether its output is to be lit, and how bright its text is. s.mu is held.
func (s *Stage) lightMessage(sc *screen, off bool) []byte {
	data, err := json.Marshal(struct {
		Type   string  `json:"type"`
		On     bool    `json:"on"`
		Bright float64 `json:"bright"`
		Day    bool    `json:"day"`
	}{"light", !off, s.director.wanted, s.director.onPaper()})
	if err != nil {
		s.opt.Logger.Error("the light's message cannot be written as JSON", "error", err)
	}
	return data
}

// setRate asks for so many frames a second; 0: none.
func (sc *screen) setRate(fps int, asked float64) {
	if !(asked > 0) {
		sc.every = 0
		return
	}
	asked = min(asked, float64(sc.limit))
	sc.every = uint32(max(1, float64(fps)/max(asked, 0.1)))
	if float64(fps)/float64(sc.every) > float64(sc.limit) {
		sc.every++
	}
}

// ServeScreen is the WebSocket of one screen.
//
// Query: rate, the frames a second it asks for (default: as many as it may have);
// id, a name of its own making that survives a reconnection; view, a part of the
// universe as ParseViewport reads it; output, of the machine's own screens the name of the
// output, which decides on the view. Down come binary
// messages, each a frame of package wire, and text messages
// {"type":"cards","cards":Cards}; {"type":"light","on":true,"bright":0.5,"day":false}, whether the
// output is to be lit, how bright the cards are, and whether they stand on paper; {"type":"ghosts","ghosts":[{"who":...,"cells":[x,y,...]}]},
// what visitors are about to draw; and, for the machine's own screens alone,
// {"type":"invitation","invitation":Invitation or null}. Up go text messages: {"type":"ack","frame":n},
// every now and then, for the last frame painted; {"type":"beat",...} every five
// seconds; {"type":"rate","rate":r} to change the rate; {"type":"key"} to ask
// for a key frame.
func (s *Stage) ServeScreen(w http.ResponseWriter, r *http.Request) {
	sc := &screen{address: r.RemoteAddr, since: time.Now(), limit: s.opt.FramesPerSecond, wake: make(chan struct{}, 1), window: firstWindow}
	if s.opt.RateLimit != nil {
		sc.limit = min(sc.limit, max(1, s.opt.RateLimit(r)))
	}
	sc.kiosk = s.opt.Kiosk != nil && s.opt.Kiosk(r)
	asked := float64(s.opt.FramesPerSecond)
	if v := r.URL.Query().Get("rate"); v != "" {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1000) {
			http.Error(w, "rate: write the frames a second as a number of 0 to 1000", http.StatusBadRequest)
			return
		}
		asked = f
	}
	sc.setRate(s.opt.FramesPerSecond, asked)
	sc.id = r.URL.Query().Get("id")
	if len(sc.id) > 64 || strings.ContainsFunc(sc.id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		http.Error(w, "id: write at most 64 printable ASCII characters", http.StatusBadRequest)
		return
	}
	port, err := s.portOf(r)
	if err != nil {
		http.Error(w, "view: "+err.Error(), http.StatusBadRequest)
		return
	}
	sc.port = port
	if name := r.URL.Query().Get("output"); name != "" && sc.kiosk {
		if err := checkOutputName(name); err != nil {
			http.Error(w, "output: "+err.Error(), http.StatusBadRequest)
			return
		}
		sc.output = name
	}
	if err := s.attach(sc); err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer s.detach(sc)

	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		// Frames are deflated already, once for all screens.
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		s.opt.Logger.Debug("a screen was refused", "address", sc.address, "error", err)
		return
	}
	defer conn.CloseNow()
	sc.accepted = true
	conn.SetReadLimit(readLimit)
	s.opt.Logger.Debug("a screen is attached", "address", sc.address, "id", sc.id)

	// The request's own context ends with the daemon, before a screen could be told.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	read := make(chan struct{})
	go func() {
		defer close(read)
		cancel(s.readScreen(ctx, conn, sc))
	}()
	sc.nudge()
	err = s.writeScreen(ctx, conn, sc)
	if errors.Is(err, errStopping) {
		conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
	} else {
		conn.CloseNow()
	}
	cancel(err)
	<-read
	s.opt.Logger.Debug("a screen is gone", "address", sc.address, "id", sc.id, "reason", context.Cause(ctx))
}

var errStopping = errors.New("the daemon is stopping")

// writeScreen sends frames and cards as they come.
func (s *Stage) writeScreen(ctx context.Context, conn *websocket.Conn, sc *screen) error {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	write := func(kind websocket.MessageType, data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		if err := conn.Write(ctx, kind, data); err != nil {
			return fmt.Errorf("writing to the screen: %w", err)
		}
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ended:
			return errStopping
		case <-ping.C:
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			err := conn.Ping(ctx)
			cancel()
			if err != nil {
				return fmt.Errorf("the screen does not answer: %w", err)
			}
		case <-sc.wake:
			texts, frame, err := s.next(sc)
			if err != nil {
				return err
			}
			for _, text := range texts {
				if err := write(websocket.MessageText, text); err != nil {
					return err
				}
			}
			if frame != nil {
				if err := write(websocket.MessageBinary, frame.data); err != nil {
					return err
				}
			}
		}
	}
}

// next is what is due to the screen now: texts, a frame, or neither.
func (s *Stage) next(sc *screen) (texts [][]byte, frame *encoded, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	off := s.isOff(sc)
	if light := s.lightMessage(sc, off); string(light) != string(sc.told) {
		if off {
			sc.inFlight = sc.inFlight[:0]
		} else if sc.told != nil {
			sc.onSince = time.Now()
		}
		texts, sc.told = append(texts, light), light
	}
	if s.cards != nil && string(s.cards) != string(sc.cards) {
		texts, sc.cards = append(texts, s.cards), s.cards
	}
	if sc.kiosk && s.invitation != nil && string(s.invitation) != string(sc.invited) {
		texts, sc.invited = append(texts, s.invitation), s.invitation
	}
	if sc.ghostly != s.ghostly && (len(s.ghosts) > 0 || sc.ghosts > 0) {
		texts = append(texts, s.ghostMessage(sc.view))
		sc.ghostly, sc.ghosts = s.ghostly, len(s.ghosts)
	}
	number := s.whole.current.Number
	if sc.every == 0 || number == sc.sent || off {
		return texts, nil, nil
	}
	// Screens of one rate are served with the same frames, so that they share
	// the differences.
	if sc.sent != 0 && !sc.needsKey && number%sc.every != 0 && number-sc.sent < 2*sc.every {
		return texts, nil, nil
	}
	now := time.Now()
	if !sc.mayGo(now, s.opt.FramesPerSecond/int(sc.every)) {
		return texts, nil, nil
	}
	base := sc.sent
	if sc.needsKey {
		base = 0
	}
	frame, err = sc.view.message(base)
	if err != nil {
		return texts, nil, err
	}
	gap := number - sc.sent
	if wire.Alike(frame.data) && gap < mostAlike && gap+sc.every < uint32(len(sc.view.ring)) {
		// Life moves in every second frame, and a screen that is told nothing new need not
		// even wake. Not for long: the number has to move, and the base to be there.
		if sc.alike != number {
			sc.alike = number
			sc.spared++
			sc.rested++
		}
		return texts, nil, nil
	}
	if sc.sent != 0 && gap >= 2*sc.every {
		sc.Skipped += uint64(max(gap/sc.every-1, sc.spared) - sc.spared)
	}
	sc.sent, sc.needsKey, sc.spared = number, false, 0
	sc.inFlight = append(sc.inFlight, inFlight{number, now})
	sc.Sent++
	sc.Bytes += uint64(len(frame.data))
	return texts, frame, nil
}

// readScreen takes in what the screen says, until the connection ends.
func (s *Stage) readScreen(ctx context.Context, conn *websocket.Conn, sc *screen) error {
	// An honest page sends about six messages a second.
	limiter := rate.NewLimiter(50, 100)
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading from the screen: %w", err)
		}
		if !limiter.Allow() {
			conn.Close(websocket.StatusPolicyViolation, "too many messages")
			return errors.New("the screen sends too many messages")
		}
		if kind != websocket.MessageText {
			conn.Close(websocket.StatusUnsupportedData, "only text is read here")
			return errors.New("the screen sends something else than text")
		}
		if err := s.hear(sc, data); err != nil {
			conn.Close(websocket.StatusPolicyViolation, "not understood")
			return fmt.Errorf("a message of the screen: %w", err)
		}
	}
}

// hear takes in one message of a screen.
func (s *Stage) hear(sc *screen, data []byte) error {
	var m struct {
		Type string  `json:"type"`
		Rate float64 `json:"rate"`
		beat
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Type {
	case "ack":
		sc.acknowledge(m.Frame)
	case "rate":
		was := sc.every
		sc.setRate(s.opt.FramesPerSecond, m.Rate)
		if was == 0 {
			sc.inFlight = sc.inFlight[:0]
		}
	case "key":
		sc.needsKey = true
		sc.inFlight = sc.inFlight[:0]
	case "beat":
		b := m.beat
		b.Rate = m.Rate
		if passed := now.Sub(sc.beatAt).Seconds(); !sc.beatAt.IsZero() && passed > 0 && !b.Paused {
			b.Rate += float64(sc.rested) / passed // on view they were all the same
		}
		sc.rested = 0
		if !slices.Contains(rungs, b.Rung) {
			b.Rung = ""
		}
		sc.acknowledge(b.Frame)
		sc.view.quarters = sc.view.quarters || b.Rung == "quarter"
		if b.Frame != sc.beat.Frame || sc.beatAt.IsZero() {
			sc.movedAt = now
		}
		sc.beat, sc.beatAt = b, now
		sc.verdict = sc.judge()
	default:
		return fmt.Errorf("type %q is not known", m.Type)
	}
	sc.nudge()
	return nil
}

// judge compares the last heartbeat with the daemon's own picture; "" where there is nothing to
// compare yet. s.mu is held.
func (sc *screen) judge() State {
	b := sc.beat
	if !sc.acked && b.Rung != "png" {
		return "" // what it shows is of an earlier daemon
	}
	want, known := sc.view.hashOf(b.Frame)
	hash := want.hash
	if b.Rung == "quarter" {
		hash = want.quarter
		known = known && sc.view.quarters && hash != 0 // not before the first heartbeat asked for it
	}
	switch {
	case b.Frame > sc.sent && b.Rung != "png":
		return Wrong // it was never sent that
	case b.Hash == nil || !known || *b.Hash == hash:
		return Painting
	case b.Blank && want.varied:
		return Blank
	}
	return Wrong
}
