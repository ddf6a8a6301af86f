package display

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sierpi/sierpi/display/sierpinski"
)

// wallPlayer is who holds the wall's game.
type wallPlayer struct {
	player
	stage *Stage
	id    string

	// Guarded by Boards.mu.
	holder int                     // how many connections have held it
	cancel context.CancelCauseFunc // ends the one that does; nil while it lingers
	drop   *time.Timer             // ends the lingering
	leaves bool                    // the player said so
}

const (
	// wallIdle is how long the wall waits for a player who does nothing.
	wallIdle = time.Minute
	// wallLinger is how long it waits for one whose connection is gone: a phone
	// that changes from one network to the other must not lose its game.
	wallLinger = 12 * time.Second
)

// ServeControl is the WebSocket of who plays snake on the wall: one at a time, and
// the wall shows the game while the connection lasts, and a few seconds more.
//
// Query: board, the id of a game left a moment ago, to go on with it. Up go text messages
// {"type":"start"}, {"type":"turn","direction":...}, {"type":"pause"},
// {"type":"hidden","hidden":BOOL}, which holds the game, {"type":"name","name":...} and
// {"type":"leave"}; down come {"type":"board","id":ID,"kept":BOOL} first,
// {"type":"state","state":{...}} and answers, as with ServeBoard.
func (bs *Boards) ServeControl(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		bs.opt.Logger.Debug("a player was refused", "error", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(readLimit)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	p, holder, err := bs.takeWall(r.URL.Query().Get("board"), cancel)
	if err != nil {
		conn.Close(closeBusy, err.Error())
		return
	}
	defer bs.leaveWall(p, holder)
	h := newHandheld(conn, "player")
	read := make(chan struct{})
	go func() {
		defer close(read)
		err := h.read(ctx, rate.NewLimiter(30, 60), func(data []byte) error { return p.answer(ctx, h, data) })
		if errors.Is(err, errLeaves) {
			bs.endWall(p)
		}
		cancel(err)
	}()
	state := func() any {
		p.stage.mu.Lock()
		defer p.stage.mu.Unlock()
		return p.state("wall")
	}
	hello := map[string]any{"type": "board", "id": p.id, "kept": holder > 1}
	err = h.write(ctx, r.Context().Done(), errStopping, wallIdle, hello, state)
	switch {
	case errors.Is(err, errTakenOver):
		conn.Close(closeTakenOver, "the game is held by another page")
	case errors.Is(err, errIdle):
		bs.endWall(p)
		conn.Close(closeIdle, "the wall waited long enough")
	case errors.Is(err, errStopping):
		conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
	default:
		conn.CloseNow()
	}
	cancel(err)
	<-read
}

// takeWall finds the game of that id again, or begins one.
func (bs *Boards) takeWall(id string, cancel context.CancelCauseFunc) (p *wallPlayer, holder int, err error) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.opt.Stage == nil {
		return nil, 0, errors.New("there is no wall to play on")
	}
	if p := bs.wall; p != nil {
		// The id is as good as a key: 128 bits of chance.
		if id != p.id {
			return nil, 0, errors.New("somebody else plays on the wall; wait until the game is over")
		}
		if p.cancel != nil {
			p.cancel(errTakenOver)
		}
		if p.drop != nil {
			p.drop.Stop()
		}
		p.holder++
		p.cancel, p.drop = cancel, nil
		return p, p.holder, nil
	}
	sp, err := bs.opt.Stage.playSnake()
	if err != nil {
		return nil, 0, err
	}
	bs.wall = &wallPlayer{player: player{serpent: sp, scores: bs.opt.Scores}, stage: bs.opt.Stage, id: rand.Text(), holder: 1, cancel: cancel}
	return bs.wall, 1, nil
}

// leaveWall is when the player's connection has ended: the game is held for a while.
func (bs *Boards) leaveWall(p *wallPlayer, holder int) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.wall != p || p.holder != holder {
		return
	}
	p.cancel = nil
	if p.leaves {
		bs.freeWall(p)
		return
	}
	p.stage.hold(p.serpent)
	p.drop = time.AfterFunc(bs.opt.WallLinger, func() {
		bs.mu.Lock()
		defer bs.mu.Unlock()
		if bs.wall == p && p.cancel == nil {
			bs.freeWall(p)
		}
	})
}

// endWall ends the game of a player who will not be waited for.
func (bs *Boards) endWall(p *wallPlayer) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	p.leaves = true
}

// freeWall gives the wall back to its scenes. bs.mu is held.
func (bs *Boards) freeWall(p *wallPlayer) {
	bs.wall = nil
	p.stage.release(p.serpent)
}

// answer takes in one message and answers it.
func (p *wallPlayer) answer(ctx context.Context, h *handheld, data []byte) error {
	v, err := p.take(ctx, data)
	var user *userError
	switch {
	case errors.As(err, &user):
		h.say(map[string]string{"type": "error", "error": user.what, "remedy": user.remedy})
	case err != nil:
		return err
	case v != nil:
		h.say(v)
	}
	return nil
}

func (p *wallPlayer) take(ctx context.Context, data []byte) (any, error) {
	var m request
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	switch {
	case m.Type == "leave":
		return nil, errLeaves
	case m.Type == "hidden" && !m.Hidden:
		return nil, nil
	case m.Type == "hidden":
		m.Type = "pause" // a phone in a pocket
	}
	p.stage.mu.Lock()
	v, later, err := p.hear(m)
	p.stage.mu.Unlock()
	if later == nil || err != nil {
		return v, err
	}
	then, err := later(ctx)
	if then == nil || err != nil {
		return nil, err
	}
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	return then()
}

var errLeaves = errors.New("the player leaves")

// playSnake shows a game for one player, outside the rotation.
func (s *Stage) playSnake() (*serpent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	setting := s.director.setting
	setting.Seed = s.director.random.Uint64()
	sp, err := newSerpent(setting)
	if err != nil {
		return nil, err
	}
	sp.daylight(setting.Day)
	sp.auto, sp.playing = false, false
	s.director.invite("snake", sp)
	return sp, nil
}

// hold stops the game while its player is away.
func (s *Stage) hold(sp *serpent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp.playing = false
}

// release goes on with the rotation when the player has left.
func (s *Stage) release(sp *serpent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.director.dismiss(sp)
}

// Figures are the settings of the scenes of package sierpinski on this wall.
func (s *Stage) Figures() map[string]sierpinski.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.director.setting.Figures)
}

// SetFigure sets one of the scenes of package sierpinski. It holds from the next time
// that the scene begins: now, if it is on or show is set, which also leaves the
// rotation's order for it.
func (s *Stage) SetFigure(f sierpinski.Settings, show bool) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.director.setFigure(f, show)
	return nil
}
