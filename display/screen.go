package display

import (
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
)

// State is what is known of a screen from its heartbeats.
type State string

// The states of a screen.
const (
	Attached State = "attached" // no heartbeat yet
	Painting State = "painting" // the picture is the daemon's
	Frozen   State = "frozen"   // visible, not paused, and yet the frame number stands still
	Wrong    State = "wrong"    // another picture than the daemon's of that number
	Blank    State = "blank"    // a single colour where the daemon's picture has several
	Paused   State = "paused"   // by its user
	Hidden   State = "hidden"   // in a window that nobody sees
	Gone     State = "gone"     // not attached, or silent
)

// ScreenStatus is one screen, as Status reports it. Times are the daemon's.
type ScreenStatus struct {
	ID       string    `json:"id,omitempty"` // of the client's own making
	Address  string    `json:"address"`
	Kiosk    bool      `json:"kiosk"` // the wall's own, by Options.Kiosk: what others report nobody need believe
	State    State     `json:"state"`
	Since    time.Time `json:"since"` // attached
	Left     time.Time `json:"left,omitzero"`
	LastBeat time.Time `json:"lastBeat,omitzero"`
	Frame    uint32    `json:"frame"` // of the last heartbeat
	Rate     float64   `json:"rate"`  // frames a second it painted lately
	Rung     string    `json:"rung,omitempty"`
	Sent     uint64    `json:"sent"`    // frames
	Skipped  uint64    `json:"skipped"` // frames it was too slow for
	Bytes    uint64    `json:"bytes"`   // sent
}

// Status is the state of the stage.
type Status struct {
	Frame   uint32         `json:"frame"`
	Scene   string         `json:"scene"`
	Caption string         `json:"caption"`
	Flashes float64        `json:"flashes"` // share of the worst ninth of the picture that flashed within the last second; above 0.25 the contrast is taken back
	Damped  float64        `json:"damped"`  // contrast taken back, 0 to 1
	Screens []ScreenStatus `json:"screens"` // attached ones first, then those gone lately
}

// Status reports the stage and its screens.
func (s *Stage) Status() Status {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Frame: s.current.Number, Scene: s.current.Scene, Caption: s.current.Caption, Flashes: s.guard.share, Damped: s.guard.damp, Screens: []ScreenStatus{}}
	for sc := range s.screens {
		st.Screens = append(st.Screens, sc.status(now))
	}
	slices.SortFunc(st.Screens, func(a, b ScreenStatus) int { return a.Since.Compare(b.Since) })
	for _, p := range s.past {
		if now.Sub(p.Left) < time.Hour {
			st.Screens = append(st.Screens, p)
		}
	}
	return st
}

const (
	maxPast      = 16
	beatEvery    = 5 * time.Second // the page's habit
	beatSilence  = 4 * beatEvery
	writeTimeout = 20 * time.Second
	pingEvery    = 20 * time.Second
	readLimit    = 4 << 10
)

// screen is one attached WebSocket. What is not said to be otherwise is guarded
// by the stage's mutex.
type screen struct {
	id, address string
	kiosk       bool
	accepted    bool // it is a WebSocket, not only a request for one
	since       time.Time
	limit       int // most frames a second
	wake        chan struct{}

	every    uint32 // every which frame it wants; 0: none
	sent     uint32 // number of the last frame sent
	needsKey bool
	inFlight []inFlight // sent and not acknowledged
	window   int        // how many may be
	cutAt    time.Time  // when the window was last halved
	cards    []byte     // the last cards sent

	frames, skipped, bytes uint64
	beat                   beat
	beatAt, movedAt        time.Time
	verdict                State
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
	full := len(sc.inFlight) >= sc.window
	before := len(sc.inFlight)
	sc.inFlight = slices.DeleteFunc(sc.inFlight, func(f inFlight) bool { return f.number <= number })
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
	Rung    string  `json:"rung"`    // how it paints: "webgl", "2d", "quarter", "png"
	Visible bool    `json:"visible"` // the window is on view
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

func (sc *screen) status(now time.Time) ScreenStatus {
	st := ScreenStatus{
		ID: sc.id, Address: sc.address, Kiosk: sc.kiosk, State: Attached, Since: sc.since, LastBeat: sc.beatAt,
		Frame: sc.beat.Frame, Rate: sc.beat.Rate, Rung: sc.beat.Rung,
		Sent: sc.frames, Skipped: sc.skipped, Bytes: sc.bytes,
	}
	switch {
	case sc.beatAt.IsZero():
		if now.Sub(sc.since) > beatSilence {
			st.State = Gone
		}
	case !sc.beat.Visible:
		// A hidden page's timers may run once a minute.
		st.State = Hidden
	case now.Sub(sc.beatAt) > beatSilence:
		st.State = Gone
	case sc.beat.Paused:
		st.State = Paused
	case sc.verdict == Wrong || sc.verdict == Blank:
		st.State = sc.verdict
	case now.Sub(sc.movedAt) > 2*beatEvery:
		st.State = Frozen
	default:
		st.State = Painting
	}
	return st
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
// id, a name of its own making that survives a reconnection. Down come binary
// messages, each a frame of package wire, and text messages
// {"type":"cards","cards":Cards}. Up go text messages: {"type":"ack","frame":n},
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
			cards, frame, err := s.next(sc)
			if err != nil {
				return err
			}
			if cards != nil {
				if err := write(websocket.MessageText, cards); err != nil {
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

// next is what is due to the screen now: cards, a frame, or neither.
func (s *Stage) next(sc *screen) (cards []byte, frame *encoded, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cards != nil && string(s.cards) != string(sc.cards) {
		cards, sc.cards = s.cards, s.cards
	}
	number := s.current.Number
	if sc.every == 0 || number == sc.sent {
		return cards, nil, nil
	}
	// Screens of one rate are served with the same frames, so that they share
	// the differences.
	if sc.sent != 0 && !sc.needsKey && number%sc.every != 0 && number-sc.sent < 2*sc.every {
		return cards, nil, nil
	}
	now := time.Now()
	if !sc.mayGo(now, s.opt.FramesPerSecond/int(sc.every)) {
		return cards, nil, nil
	}
	base := sc.sent
	if sc.needsKey {
		base = 0
	}
	frame, err = s.message(base)
	if err != nil {
		return cards, nil, err
	}
	if gap := number - sc.sent; sc.sent != 0 && gap >= 2*sc.every {
		sc.skipped += uint64(gap/sc.every - 1)
	}
	sc.sent, sc.needsKey = number, false
	sc.inFlight = append(sc.inFlight, inFlight{number, now})
	sc.frames++
	sc.bytes += uint64(len(frame.data))
	return cards, frame, nil
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
		if !slices.Contains(rungs, b.Rung) {
			b.Rung = ""
		}
		sc.acknowledge(b.Frame)
		if b.Frame != sc.beat.Frame || sc.beatAt.IsZero() {
			sc.movedAt = now
		}
		sc.beat, sc.beatAt = b, now
		sc.verdict = s.judge(b)
	default:
		return fmt.Errorf("type %q is not known", m.Type)
	}
	sc.nudge()
	return nil
}

// judge compares a heartbeat with the daemon's own picture. s.mu is held.
func (s *Stage) judge(b beat) State {
	if b.Hash == nil {
		return Painting
	}
	want, known := s.hashOf(b.Frame)
	switch {
	case !known || *b.Hash == want:
		return Painting
	case b.Blank:
		return Blank
	}
	return Wrong
}
