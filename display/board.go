package display

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sierpi/sierpi/display/wire"
)

// A toy is a scene that one visitor steers, on a board of his own.
type toy interface {
	Scene
	// hear takes in one request. The answer, if not nil, is sent back as JSON, and
	// so is a userError; any other error ends the connection.
	hear(request) (answer any, l later, err error)
	// state is what the page shows beside the picture, as JSON. It is sent when
	// it changes.
	state() any
	// moves reports whether Step does anything now.
	moves() bool
	size() (width, height int)
}

// later is what takes long or waits for a disk: it runs outside the board's lock and
// does not touch the toy; what it returns, if not nil, does, under the lock.
type (
	later func(context.Context) (then, error)
	then  func() (answer any, err error)
)

// request is what a page asks of a toy. Fields that the type does not use are left out.
type request struct {
	Type string `json:"type"`

	Frame  uint32 `json:"frame"`  // ack
	Hidden bool   `json:"hidden"` // hidden

	Speed     int             `json:"speed"`     // speed: generations a second
	Cells     []int           `json:"cells"`     // draw: x, y, x, y, ...
	Alive     bool            `json:"alive"`     // draw
	Text      string          `json:"text"`      // load: a pattern file
	Name      string          `json:"name"`      // place: a pattern of life.Patterns; name: a player
	Rule      string          `json:"rule"`      // rule
	Width     int             `json:"width"`     // size
	Height    int             `json:"height"`    // size
	Direction string          `json:"direction"` // turn
	Settings  json.RawMessage `json:"settings"`  // settings
}

// userError is an error for the visitor to read.
type userError struct{ what, remedy string }

func (e *userError) Error() string { return e.what + " " + e.remedy }

// BoardOptions are what the visitors' boards are made of.
type BoardOptions struct {
	Logger    *slog.Logger // nil: slog.Default
	MaxBoards int          // of all visitors together, those that linger included; 0 is 16
	PerClient int          // of one address (IPv6: /64), 0 is 6
	Scores    Scores       // nil: scores are not kept
	Stage     *Stage       // nil: there is no wall to play on

	// For tests; zero values are what the constants say.
	Linger, Idle, WallLinger time.Duration
}

// Boards are the private universes of visitors. Each belongs to one WebSocket,
// takes at most about 1 MB and MaxBoardCells cells, moves only while its page is on view,
// and is dropped lingerFor after its page was left: with the default of 16 boards
// at most 20 MB in all, and, while a pattern file is read, 64 MB more.
type Boards struct {
	opt BoardOptions

	reading sync.Mutex // one pattern file at a time: a short one may name 4 million cells

	mu     sync.Mutex
	boards map[string]*board
	wall   *wallPlayer
}

// The limits of a board.
const (
	MaxBoardCells = 1 << 16
	MaxBoardSide  = 512
	MinBoardSide  = 16

	boardFPS     = 30
	boardWindow  = 10 // frames on their way
	boardMessage = 512 << 10
	lingerFor    = 2 * time.Minute  // a reload, or a phone in a pocket
	idleAfter    = 30 * time.Minute // without a word of the visitor
)

// Close codes of a board's WebSocket, of the range for private use.
const (
	closeTakenOver = websocket.StatusCode(4001) // another page of the visitor has the board now
	closeIdle      = websocket.StatusCode(4002) // nothing was asked for idleAfter
	closeBusy      = websocket.StatusCode(4003) // somebody else plays on the wall
)

// NewBoards makes the boards; there is nothing to run and nothing to stop.
func NewBoards(o BoardOptions) *Boards {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxBoards == 0 {
		o.MaxBoards = 16
	}
	if o.PerClient == 0 {
		o.PerClient = 6
	}
	if o.Linger == 0 {
		o.Linger = lingerFor
	}
	if o.Idle == 0 {
		o.Idle = idleAfter
	}
	if o.WallLinger == 0 {
		o.WallLinger = wallLinger
	}
	return &Boards{opt: o, boards: make(map[string]*board)}
}

// Count is how many boards there are, those included that linger.
func (bs *Boards) Count() int {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return len(bs.boards)
}

// board is one private universe.
type board struct {
	id     string
	client netip.Prefix
	kind   string

	// Guarded by Boards.mu.
	holder *holder     // who is attached; nil while it lingers
	leftAt time.Time   // when it began to linger
	drop   *time.Timer // ends the lingering

	mu       sync.Mutex
	toy      toy
	guard    *flashGuard
	encoder  wire.Encoder
	shown    *wire.Frame // what the page has, nil: nothing
	spare    *wire.Frame
	number   uint32
	acked    uint32
	dirty    bool
	hidden   bool
	lastHear time.Time
}

// holder is one connection's hold on a board.
type holder struct {
	cancel context.CancelCauseFunc
	wake   chan struct{}
	out    chan []byte // answers
}

var (
	errTakenOver = errors.New("the board is held by another page")
	errIdle      = errors.New("nothing was asked for a long time")
)

// ServeBoard is the WebSocket of one visitor's board.
//
// Query: kind, "life", "snake" or "figure"; width and height in cells; board, the id
// of a board left lately, to have it again. Down come binary messages, frames of
// package wire, and text messages: {"type":"board","id":ID,"kept":BOOL} first,
// {"type":"state","state":{...}} on changes, {"type":"error","error":...,"remedy":...},
// and answers. Up go text messages, a request each: {"type":"ack","frame":n} for the last
// frame painted, {"type":"hidden","hidden":BOOL}, {"type":"key"} for a key
// frame, and what the toy understands.
func (bs *Boards) ServeBoard(w http.ResponseWriter, r *http.Request) {
	b, h, kept, err := bs.take(r)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errNoBoard) {
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "30")
		}
		http.Error(w, err.Error(), status)
		return
	}
	defer bs.leave(b, h)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		bs.opt.Logger.Debug("a board was refused", "error", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(boardMessage)

	// The request's own context ends with the daemon, before the page could be told.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	bs.mu.Lock()
	h.cancel = cancel
	gone := b.holder != h
	bs.mu.Unlock()
	if gone {
		cancel(errTakenOver)
	}
	h.send(map[string]any{"type": "board", "id": b.id, "kept": kept})
	read := make(chan struct{})
	go func() {
		defer close(read)
		err := bs.read(ctx, conn, b, h)
		cancel(err)
	}()
	err = b.write(ctx, r.Context().Done(), conn, h, bs.opt.Idle)
	switch {
	case errors.Is(err, errTakenOver):
		conn.Close(closeTakenOver, "the board is open in another page")
	case errors.Is(err, errIdle):
		conn.Close(closeIdle, "nothing was asked for a long time")
	case errors.Is(err, errStopping):
		conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
	default:
		conn.CloseNow()
	}
	cancel(err)
	<-read
}

var errNoBoard = errors.New("all boards are taken; try again in a minute")

// clientOf is whom the limit counts.
func clientOf(r *http.Request) netip.Prefix {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // all unknown clients share one
	}
	addr := ap.Addr().WithZone("").Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// take finds the visitor's board again or makes a new one.
func (bs *Boards) take(r *http.Request) (b *board, h *holder, kept bool, err error) {
	q := r.URL.Query()
	kind := q.Get("kind")
	h = &holder{cancel: func(error) {}, wake: make(chan struct{}, 1), out: make(chan []byte, 16)}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	// The id is as good as a key: 128 bits of chance.
	if b := bs.boards[q.Get("board")]; b != nil && b.kind == kind {
		if b.holder != nil {
			b.holder.cancel(errTakenOver)
		}
		if b.drop != nil {
			b.drop.Stop()
		}
		b.holder, b.drop = h, nil
		b.mu.Lock()
		b.shown, b.acked, b.hidden, b.dirty = nil, b.number, false, true
		b.lastHear = time.Now()
		b.mu.Unlock()
		return b, h, true, nil
	}
	client := clientOf(r)
	if err := bs.makeRoom(client); err != nil {
		return nil, nil, false, err
	}
	t, err := bs.newToy(kind, q)
	if err != nil {
		return nil, nil, false, err
	}
	width, height := t.size()
	b = &board{
		id: rand.Text(), client: client, kind: kind, holder: h, toy: t, dirty: true, lastHear: time.Now(),
		guard: newFlashGuard(width, height, boardFPS),
	}
	bs.boards[b.id] = b
	return b, h, false, nil
}

// makeRoom drops boards that linger, the one left first, until there is room for
// another of that client. bs.mu is held.
func (bs *Boards) makeRoom(client netip.Prefix) error {
	for {
		own := 0
		for _, b := range bs.boards {
			if b.client == client {
				own++
			}
		}
		full := len(bs.boards) >= bs.opt.MaxBoards
		if !full && own < bs.opt.PerClient {
			return nil
		}
		var oldest *board
		for _, b := range bs.boards {
			if b.holder == nil && (full || b.client == client) && (oldest == nil || b.leftAt.Before(oldest.leftAt)) {
				oldest = b
			}
		}
		if oldest == nil {
			if !full {
				return fmt.Errorf("%w: this address has %d boards open; close a page", errNoBoard, own)
			}
			return errNoBoard
		}
		oldest.drop.Stop()
		delete(bs.boards, oldest.id)
	}
}

// leave lets a board linger.
func (bs *Boards) leave(b *board, h *holder) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b.holder != h || bs.boards[b.id] != b {
		return
	}
	b.holder, b.leftAt = nil, time.Now()
	b.drop = time.AfterFunc(bs.opt.Linger, func() {
		bs.mu.Lock()
		defer bs.mu.Unlock()
		if b.holder == nil && bs.boards[b.id] == b {
			delete(bs.boards, b.id)
		}
	})
	b.mu.Lock()
	// What only a page needs; most of it is the compressor.
	b.encoder, b.shown, b.spare = wire.Encoder{}, nil, nil
	b.mu.Unlock()
}

// newToy makes what the query asks for.
func (bs *Boards) newToy(kind string, q url.Values) (toy, error) {
	width, height, err := boardSize(q.Get("width"), q.Get("height"))
	if err != nil {
		return nil, err
	}
	switch kind {
	case "life":
		return newLifeBoard(width, height, &bs.reading)
	case "snake":
		return newSnakeBoard(width, height, bs.opt.Scores)
	case "figure":
		return newFigureBoard(width, height)
	}
	return nil, fmt.Errorf("kind: there is no %.20q; write life, snake or figure", kind)
}

func (h *holder) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// send queues an answer; a page that takes none is soon gone.
func (h *holder) send(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // all answers are of our own types
	}
	select {
	case h.out <- data:
	default:
	}
}

// read takes in what the page says, until the connection ends.
func (bs *Boards) read(ctx context.Context, conn *websocket.Conn, b *board, h *holder) error {
	// An honest page sends at most thirty strokes and ten acknowledgements a second.
	limiter := rate.NewLimiter(60, 120)
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading from the page: %w", err)
		}
		if !limiter.Allow() {
			conn.Close(websocket.StatusPolicyViolation, "too many messages")
			return errors.New("the page sends too many messages")
		}
		if kind != websocket.MessageText {
			conn.Close(websocket.StatusUnsupportedData, "only text is read here")
			return errors.New("the page sends something else than text")
		}
		answer, err := b.hear(ctx, data)
		var user *userError
		switch {
		case errors.As(err, &user):
			h.send(map[string]string{"type": "error", "error": user.what, "remedy": user.remedy})
		case err != nil:
			conn.Close(websocket.StatusPolicyViolation, "not understood")
			return fmt.Errorf("a message of the page: %w", err)
		case answer != nil:
			h.send(answer)
		}
		h.nudge()
	}
}

// hear takes in one message.
func (b *board) hear(ctx context.Context, data []byte) (any, error) {
	var m request
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	answer, later, err := b.take(m)
	if later == nil || err != nil {
		return answer, err
	}
	then, err := later(ctx)
	if then == nil || err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = true
	return then()
}

func (b *board) take(m request) (any, later, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Type {
	case "ack":
		if m.Frame <= b.number {
			b.acked = max(b.acked, m.Frame)
		}
		return nil, nil, nil
	case "key":
		b.shown, b.acked, b.dirty = nil, b.number, true
		return nil, nil, nil
	case "hidden":
		b.hidden = m.Hidden
		return nil, nil, nil
	}
	b.lastHear = time.Now()
	b.dirty = true
	return b.toy.hear(m)
}

// write steps the board and sends what is to be seen, until the connection ends.
func (b *board) write(ctx context.Context, stopping <-chan struct{}, conn *websocket.Conn, h *holder, idle time.Duration) error {
	tick := time.NewTicker(time.Second / boardFPS)
	defer tick.Stop()
	ticking := true
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	write := func(kind websocket.MessageType, data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		if err := conn.Write(ctx, kind, data); err != nil {
			return fmt.Errorf("writing to the page: %w", err)
		}
		return nil
	}
	var told []byte // the last state sent
	var toldAt time.Time
	for {
		step := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stopping:
			return errStopping
		case data := <-h.out:
			if err := write(websocket.MessageText, data); err != nil {
				return err
			}
			continue
		case <-ping.C:
			pong, cancel := context.WithTimeout(ctx, writeTimeout)
			err := conn.Ping(pong)
			cancel()
			if err != nil {
				return fmt.Errorf("the page does not answer: %w", err)
			}
			b.mu.Lock()
			silent := time.Since(b.lastHear)
			b.mu.Unlock()
			if silent > idle {
				return errIdle
			}
			continue
		case <-tick.C:
			step = true
		case <-h.wake:
		}
		frame, state, busy, err := b.advance(step)
		if err != nil {
			return err
		}
		// Counters run with the picture; ten a second can be read.
		if !bytes.Equal(state, told) && (!busy || time.Since(toldAt) > 100*time.Millisecond) {
			if err := write(websocket.MessageText, state); err != nil {
				return err
			}
			told, toldAt = state, time.Now()
		}
		if frame != nil {
			if err := write(websocket.MessageBinary, frame); err != nil {
				return err
			}
		}
		switch {
		case busy && !ticking:
			tick.Reset(time.Second / boardFPS)
			ticking = true
		case !busy && ticking:
			tick.Stop()
			ticking = false
		}
	}
}

// advance steps the toy and encodes what is to be seen, nil if nothing is or if the
// page has not taken what it was sent. busy asks to be called again soon.
func (b *board) advance(step bool) (frame, state []byte, busy bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if step && !b.hidden && b.toy.moves() {
		b.toy.Step()
		b.dirty = true
	}
	state, err = json.Marshal(map[string]any{"type": "state", "state": b.toy.state()})
	if err != nil {
		return nil, nil, false, fmt.Errorf("telling the board's state: %w", err)
	}
	if b.dirty && !b.hidden && b.number-b.acked < boardWindow {
		if frame, err = b.encode(); err != nil {
			return nil, nil, false, err
		}
		b.dirty = false
	}
	return frame, state, !b.hidden && (b.toy.moves() || b.dirty), nil
}

// encode draws and encodes the next frame. b.mu is held.
func (b *board) encode() ([]byte, error) {
	width, height := b.toy.size()
	f := b.spare
	if f == nil || f.Width != width || f.Height != height {
		f = &wire.Frame{Width: width, Height: height, Cells: make([]uint8, width*height)}
		if b.shown != nil && (b.shown.Width != width || b.shown.Height != height) {
			b.guard = newFlashGuard(width, height, boardFPS)
		}
	}
	b.number++
	f.Number = b.number
	b.toy.Draw(f)
	f.Scene, f.Caption = b.kind, b.toy.Caption()
	b.guard.check(f)
	msg, err := b.encoder.Encode(b.shown, f)
	if err != nil {
		return nil, err
	}
	b.spare, b.shown = b.shown, f
	return msg, nil
}

// boardSize reads the size that a page asks for; nothing means 128 by 80.
func boardSize(w, h string) (width, height int, err error) {
	width, height = 128, 80
	if w != "" || h != "" {
		if _, err := fmt.Sscanf(w+" "+h, "%d %d", &width, &height); err != nil {
			return 0, 0, errors.New("width, height: write the cells as numbers")
		}
	}
	return width, height, checkBoardSize(width, height)
}

func checkBoardSize(width, height int) error {
	if width < MinBoardSide || height < MinBoardSide || width > MaxBoardSide || height > MaxBoardSide || width*height > MaxBoardCells {
		return &userError{fmt.Sprintf("A board of %d by %d cells is not possible.", width, height),
			fmt.Sprintf("A side has %d to %d cells, and the board %d at most.", MinBoardSide, MaxBoardSide, MaxBoardCells)}
	}
	return nil
}
