package display

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sierpi/sierpi/display/life"
)

// RemotePath is where the visitors' page expects ServeRemote.
const RemotePath = "/display/remote"

// Remotes are the visitors' phones: they steer the scene and draw into the universe.
type Remotes struct {
	stage *Stage
	who   func(*http.Request) string // the visitor's name; "" is nobody

	mu       sync.Mutex
	visitors map[string]*visitor
}

// visitor is one of them, over his connections: a new one does not give him new
// patience of the wall.
type visitor struct {
	draws, cells, ghosts, steers, undos *rate.Limiter
	takeOver                            context.CancelCauseFunc // ends the connection that he has
	seen                                time.Time
}

// The limits of a visitor. What is beyond them is refused, not queued.
const (
	maxRemotes    = 64 // visitors remembered
	remoteMessage = 16 << 10
	remoteIdle    = 20 * time.Minute
	ghostLife     = 15 * time.Second
	drawStays     = 30      // seconds that Life stays at least when somebody has drawn
	holdFor       = 10 * 60 // seconds that a scene can be held: who holds it may go home
)

func newVisitor() *visitor {
	return &visitor{
		draws:  rate.NewLimiter(2, 6),
		cells:  rate.NewLimiter(300, 2*maxStroke),
		ghosts: rate.NewLimiter(12, 12),
		steers: rate.NewLimiter(rate.Every(4*time.Second), 3),
		undos:  rate.NewLimiter(1, 6),
	}
}

// NewRemotes makes the remotes of a stage. who tells the name of the visitor that
// a request is from; a request of nobody is refused, wherever it comes from.
func NewRemotes(stage *Stage, who func(*http.Request) string) *Remotes {
	return &Remotes{stage: stage, who: who, visitors: make(map[string]*visitor)}
}

var (
	errRemoteTaken = errors.New("another page of the visitor has the remote now")
	errVisitOver   = errors.New("the visit is over")
)

// ServeRemote is the WebSocket of one phone. Up go text messages:
//
//	{"type":"ghost","cells":[x,y,...]}                   what is about to be drawn, for the wall to show; none: nothing
//	{"type":"draw","n":1,"cells":[x,y,...],"alive":true} draws, and shows Life if it is not on
//	{"type":"undo","n":2}                                takes the visitor's last drawing back
//	{"type":"scene","n":3,"name":"zoom"}, {"type":"next","n":4}, {"type":"hold","n":5,"on":true}
//
// Down come {"type":"hello",...} once, {"type":"state","state":{...}} when it changes, and an
// answer for each n: {"type":"done","n":1} when it is done and, for a drawing, durable, or
// {"type":"error","n":1,"error":...,"remedy":...}.
func (rs *Remotes) ServeRemote(w http.ResponseWriter, r *http.Request) {
	name := rs.who(r)
	if name == "" {
		http.Error(w, "Scan the code that the wall shows.", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		rs.stage.opt.Logger.Debug("a remote was refused", "error", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(remoteMessage)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	v := rs.enter(name, cancel)
	defer rs.stage.dropGhost(name)
	p := &remote{handheld: newHandheld(conn, "remote"), stage: rs.stage, name: name, visitor: v}
	read := make(chan struct{})
	go func() {
		defer close(read)
		cancel(p.read(ctx, rate.NewLimiter(40, 80), p.hear))
	}()
	state := func() any { return rs.stage.remoteState(name) }
	err = p.write(ctx, r.Context().Done(), errVisitOver, remoteIdle, p.hello(), state)
	switch {
	case errors.Is(err, errRemoteTaken):
		conn.Close(closeTakenOver, err.Error())
	case errors.Is(err, errIdle):
		conn.Close(closeIdle, "the remote was not used for long")
	case errors.Is(err, errVisitOver):
		conn.Close(websocket.StatusGoingAway, err.Error())
	default:
		conn.CloseNow()
	}
	cancel(err)
	<-read
}

// enter remembers the visitor, and takes the remote out of the hand of his other page.
func (rs *Remotes) enter(name string, cancel context.CancelCauseFunc) *visitor {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	v := rs.visitors[name]
	if v == nil {
		if len(rs.visitors) >= maxRemotes {
			oldest := ""
			for n, o := range rs.visitors {
				if oldest == "" || o.seen.Before(rs.visitors[oldest].seen) {
					oldest = n
				}
			}
			delete(rs.visitors, oldest)
		}
		v = newVisitor()
		rs.visitors[name] = v
	}
	if v.takeOver != nil {
		v.takeOver(errRemoteTaken)
	}
	v.takeOver, v.seen = cancel, time.Now()
	return v
}

// remote is one connection.
type remote struct {
	*handheld
	stage   *Stage
	name    string
	visitor *visitor
}

// remoteRequest is what a phone asks. Fields that the type does not use are left out.
type remoteRequest struct {
	Type  string  `json:"type"`
	N     int     `json:"n"`
	Cells []int32 `json:"cells"`
	Alive bool    `json:"alive"`
	Name  string  `json:"name"`
	On    bool    `json:"on"`
}

// remoteState is what the phone shows beside the picture.
type remoteState struct {
	Scene   string `json:"scene"`
	Hold    bool   `json:"hold"`
	Undo    bool   `json:"undo"`    // there is something of his to take back
	Playing bool   `json:"playing"` // somebody plays a game on the wall
	Fading  bool   `json:"fading"`  // an old universe fades: nothing can be drawn for a moment
}

// remotePattern is what a phone can stamp.
type remotePattern struct {
	Name   string  `json:"name"`
	Width  int     `json:"width"`
	Height int     `json:"height"`
	Cells  []int32 `json:"cells"`
}

// stamps are the patterns of the visitors' palette.
var stamps = []string{"Glider", "Lightweight spaceship", "R-pentomino", "Acorn", "Pulsar", "Pentadecathlon", "Gosper glider gun", "Copperhead"}

func remotePatterns() []remotePattern {
	var out []remotePattern
	all := life.Patterns()
	for _, name := range stamps {
		i := slices.IndexFunc(all, func(p life.Pattern) bool { return p.Name == name })
		if i < 0 {
			continue
		}
		p := remotePattern{Name: name, Width: all[i].Width, Height: all[i].Height}
		for _, c := range all[i].Cells {
			p.Cells = append(p.Cells, c.X, c.Y)
		}
		out = append(out, p)
	}
	return out
}

func (p *remote) hear(data []byte) error {
	var m remoteRequest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	p.take(m)
	return nil
}

func (p *remote) take(m remoteRequest) {
	if m.Type == "ghost" {
		if p.visitor.ghosts.Allow() {
			// A ghost that does not fit is not worth an answer.
			_ = p.stage.setGhost(p.name, m.Cells)
		}
		return
	}
	answer := func(err error) {
		var user *userError
		switch {
		case err == nil:
			p.say(map[string]any{"type": "done", "n": m.N, "what": m.Type})
		case errors.As(err, &user):
			p.say(map[string]any{"type": "error", "n": m.N, "error": user.what, "remedy": user.remedy})
		default:
			p.say(map[string]any{"type": "error", "n": m.N, "error": "That did not work.", "remedy": err.Error()})
		}
	}
	tooFast := &userError{"Not so fast.", "The wall takes the next one in a moment."}
	switch m.Type {
	case "draw":
		if !p.visitor.draws.Allow() || len(m.Cells) <= 2*maxStroke && !p.visitor.cells.AllowN(time.Now(), len(m.Cells)/2) {
			answer(tooFast)
			return
		}
		if err := p.stage.draw(p.name, m.Cells, m.Alive, answer); err != nil {
			answer(err)
		}
	case "undo":
		if !p.visitor.undos.Allow() {
			answer(tooFast)
			return
		}
		if err := p.stage.undo(p.name, answer); err != nil {
			answer(err)
		}
	case "scene", "next", "hold":
		if !p.visitor.steers.Allow() {
			answer(tooFast)
			return
		}
		answer(p.stage.steer(m.Type, m.Name, m.On))
	default:
		answer(&userError{"The wall does not understand that.", "Load this page again."})
	}
}

// hello is what the phone is told first.
func (p *remote) hello() any {
	return map[string]any{
		"type": "hello", "name": p.name, "width": p.stage.opt.Width, "height": p.stage.opt.Height,
		"maxCells": maxStroke, "patterns": remotePatterns(),
	}
}

func (s *Stage) remoteState(name string) remoteState {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.director
	st := remoteState{Scene: d.name(), Hold: d.held > 0, Playing: d.guest != "" && !d.leaves}
	if u := d.universe; u != nil {
		st.Undo, st.Fading = u.drain == 0 && u.undoable(name), d.name() == "life" && u.drain > 0
	}
	return st
}

// steer changes what is on.
func (s *Stage) steer(what, name string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.director
	if d.guest != "" && !d.leaves {
		return &userError{"Somebody plays on the wall.", "Wait until the game is over."}
	}
	switch what {
	case "next":
		d.skip()
	case "hold":
		d.held = 0
		if on {
			d.held = holdFor * d.setting.FramesPerSecond
		}
	case "scene":
		if !slices.Contains(SceneNames(), name) {
			return &userError{"There is no such scene.", "Load this page again."}
		}
		if name == d.name() {
			return nil
		}
		if err := d.show(name); err != nil {
			return err
		}
	}
	return nil
}

// checkCells holds a drawing to the universe and its limits.
func (s *Stage) checkCells(cells []int32) error {
	if len(cells) == 0 || len(cells)%2 != 0 || len(cells) > 2*maxStroke {
		return &userError{fmt.Sprintf("A drawing has 1 to %d cells.", maxStroke), "Draw it in several parts."}
	}
	for i := 0; i < len(cells); i += 2 {
		if cells[i] < 0 || cells[i+1] < 0 || int(cells[i]) >= s.opt.Width || int(cells[i+1]) >= s.opt.Height {
			return &userError{"That is beside the wall.", "Draw inside the picture."}
		}
	}
	return nil
}

// draw draws into the universe, which is shown if it is not on. done is told when it is durable.
func (s *Stage) draw(who string, cells []int32, alive bool, done func(error)) error {
	if err := s.checkCells(cells); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.director
	if d.guest != "" && !d.leaves {
		return &userError{"Somebody plays on the wall.", "Wait until the game is over."}
	}
	if d.name() != "life" {
		if err := d.show("life"); err != nil {
			return err
		}
	}
	u := d.universe
	if u.drain > 0 {
		return &userError{"The old universe fades just now.", "A new one begins in a moment."}
	}
	d.stay(drawStays)
	if s.ghosts[who] != nil {
		delete(s.ghosts, who)
		s.ghostly++
	}
	s.noteEdit(u.edit(Edit{Alive: alive, Cells: slices.Clone(cells), Who: who}), done)
	return nil
}

// undo takes the visitor's last drawing back; who "*" is the last of any visitor's.
func (s *Stage) undo(who string, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.director.universe
	if u == nil {
		return errNothingToUndo
	}
	if err := u.undo(who); err != nil {
		return err
	}
	s.noteUniverse(done)
	return nil
}

// TakeBack undoes all that visitors drew within the last minute, and returns how many drawings
// that were.
func (s *Stage) TakeBack() int {
	n := 0
	for s.undo("*", func(error) {}) == nil {
		n++
	}
	return n
}

// ghost is what somebody is about to draw.
type ghost struct {
	cells []int32
	at    time.Time
}

// setGhost shows what somebody is about to draw; no cells: nothing.
func (s *Stage) setGhost(who string, cells []int32) error {
	if len(cells) > 0 {
		if err := s.checkCells(cells); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(cells) == 0 {
		if s.ghosts[who] == nil {
			return nil
		}
		delete(s.ghosts, who)
	} else {
		s.ghosts[who] = &ghost{slices.Clone(cells), time.Now()}
	}
	s.ghostly++
	return nil
}

func (s *Stage) dropGhost(who string) { _ = s.setGhost(who, nil) } // nothing is wrong with no cells

// fadeGhosts forgets those whose phones are silent. s.mu is held.
func (s *Stage) fadeGhosts(now time.Time) {
	for who, g := range s.ghosts {
		if now.Sub(g.at) > ghostLife {
			delete(s.ghosts, who)
			s.ghostly++
		}
	}
}

// ghostMessage is the ghosts in the cells of a view, or of what it is shown as. s.mu is held.
func (s *Stage) ghostMessage(v *view) []byte {
	type shown struct {
		Who   string  `json:"who"`
		Cells []int32 `json:"cells"`
	}
	list := make([]shown, 0, len(s.ghosts))
	for who, g := range s.ghosts {
		sh := shown{Who: who, Cells: []int32{}}
		for i := 0; i < len(g.cells); i += 2 {
			x := (int(g.cells[i]) - v.port.X + s.opt.Width) % s.opt.Width
			y := (int(g.cells[i+1]) - v.port.Y + s.opt.Height) % s.opt.Height
			if x < v.port.Width && y < v.port.Height {
				sh.Cells = append(sh.Cells, int32(x/s.economy.Coarse), int32(y/s.economy.Coarse))
			}
		}
		list = append(list, sh)
	}
	slices.SortFunc(list, func(a, b shown) int {
		if a.Who < b.Who {
			return -1
		}
		return 1
	})
	data, err := json.Marshal(map[string]any{"type": "ghosts", "ghosts": list})
	if err != nil {
		s.opt.Logger.Error("the ghosts cannot be written as JSON", "error", err)
	}
	return data
}

// Invitation is the code that lets visitors in, as the machine's own screens show it.
type Invitation struct {
	URL     string `json:"url"`
	Side    int    `json:"side"`    // modules of the QR code, without its margin
	Modules []byte `json:"modules"` // a bit each, row by row, the first in the lowest bit; 1 is dark
}

// Invite shows an invitation on the machine's own screens and nowhere else; nil takes it away.
func (s *Stage) Invite(i *Invitation) error {
	data, err := json.Marshal(struct {
		Type       string      `json:"type"`
		Invitation *Invitation `json:"invitation"`
	}{"invitation", i})
	if err != nil {
		return fmt.Errorf("writing the invitation: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invitation = data
	for sc := range s.screens {
		sc.nudge()
	}
	return nil
}

// Steer is the owner's hand on the remote: what is "next", "hold", or "scene" with a name.
func (s *Stage) Steer(what, name string, on bool) error { return s.steer(what, name, on) }

// Held reports whether somebody holds the scene that is on.
func (s *Stage) Held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.director.held > 0
}
