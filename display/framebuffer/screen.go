package framebuffer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/display/wire"
)

// Options are what a screen is made of.
type Options struct {
	Device    *Device
	Base      *url.URL // of the daemon, "http://127.0.0.1/"
	TokenFile string   // the wall's token; without it the screen is a visitor's, with fewer frames
	Header    string   // that carries the token
	Rate      float64  // frames a second to ask for
	Log       *slog.Logger
}

const (
	beatEvery    = 5 * time.Second
	ackEvery     = 100 * time.Millisecond
	cardsEvery   = time.Second
	writeTimeout = 10 * time.Second
	// A daemon that says nothing for so long is gone; it sends cards, frames or a ping.
	silence      = 60 * time.Second
	firstPause   = 500 * time.Millisecond
	longestPause = 15 * time.Second
	readLimit    = 16 << 20
	// Afterwards a start is worth a word.
	patience = 20 * time.Second
)

const lastPicture = "The picture is the last one: sierpi does not answer, and is asked again."

// screen is one framebuffer at work.
type screen struct {
	Options
	painter *Painter
	table   *table
	decoder wire.Decoder
	frame   *wire.Frame // on view; nil: none yet
	cards   Cards
	invited *invitation
	haunted []ghost
	ghosts  []*plate // laid over pictures of the size they came for
	lamp    lamp
	sign    string
	power   bool
	said    map[string]string

	painted   int // since the last heartbeat
	repainted int
	unacked   bool
}

// Run paints until the context ends. The last picture stays on the screen.
func Run(ctx context.Context, o Options) error {
	if err := o.Device.Check(); err != nil {
		return err
	}
	t, err := newTable(o.Device.Width, o.Device.Height)
	if err != nil {
		return err
	}
	s := &screen{Options: o, painter: NewPainter(o.Device), table: t, power: true, lamp: lamp{bright: 1}, said: map[string]string{}}
	if err := s.show(waitFrame(o.Device.Width, o.Device.Height), "The wall wakes up."); err != nil {
		return err
	}
	began, pause := time.Now(), firstPause
	for {
		err := s.attend(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var broken *paintError
		if errors.As(err, &broken) {
			return err
		}
		s.say("the daemon is away; it is asked again", err)
		s.invited, s.haunted, s.ghosts = nil, nil, nil // nobody would answer
		switch {
		case s.frame != nil:
			s.sign = lastPicture
			err = s.refresh()
		case time.Since(began) > patience:
			err = s.show(waitFrame(o.Device.Width, o.Device.Height), "A first start on a slow card takes a minute or two.")
		default:
			err = nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(float64(pause) * (0.75 + rand.Float64()/2))):
		}
		pause = min(2*pause, longestPause)
		if s.painted > 0 {
			pause, s.painted = firstPause, 0
		}
	}
}

// say logs what does not work once, and again when it is something else: the journal may
// be on a card.
func (s *screen) say(what string, err error) {
	if s.said[what] == err.Error() {
		return
	}
	s.said[what] = err.Error()
	s.Log.Info(what, "err", err)
}

// paintError is a failure of our own, not of the connection.
type paintError struct{ err error }

func (e *paintError) Error() string { return e.err.Error() }
func (e *paintError) Unwrap() error { return e.err }

// attend shows what the daemon sends until the connection ends.
func (s *screen) attend(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(readLimit)
	if err := s.report(ctx); err != nil {
		s.Log.Debug("the daemon does not know of this screen", "err", err)
	}
	s.decoder = wire.Decoder{}
	s.painted, s.unacked = 0, false

	// One goroutine reads; all else is done here.
	type heard struct {
		kind websocket.MessageType
		data []byte
	}
	ctx, cancel := context.WithCancelCause(ctx)
	in := make(chan heard)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			bound, stop := context.WithTimeout(ctx, silence)
			kind, data, err := conn.Read(bound)
			stop()
			if err != nil {
				cancel(fmt.Errorf("reading from the daemon: %w", err))
				return
			}
			select {
			case in <- heard{kind, data}:
			case <-ctx.Done():
				return
			}
		}
	}()
	// Told first: the reader may hold a message that nobody takes any more.
	defer func() { cancel(nil); conn.CloseNow(); <-done }()

	beat, cards, ack := time.NewTicker(beatEvery), time.NewTicker(cardsEvery), time.NewTicker(ackEvery)
	defer beat.Stop()
	defer cards.Stop()
	defer ack.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-in:
			if m.kind == websocket.MessageBinary {
				err = s.take(ctx, conn, m.data)
			} else {
				err = s.hear(m.data)
			}
		case <-beat.C:
			if err := s.report(ctx); err != nil {
				s.Log.Debug("the daemon does not know of this screen", "err", err)
			}
			err = s.beat(ctx, conn)
		case <-cards.C:
			err = s.refresh()
		case <-ack.C:
			if s.unacked {
				s.unacked = false
				err = send(ctx, conn, map[string]any{"type": "ack", "frame": s.frame.Number})
			}
		}
		if err != nil {
			return err
		}
	}
}

func (s *screen) dial(ctx context.Context) (*websocket.Conn, error) {
	u := *s.Base.JoinPath("/display/screen")
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	u.RawQuery = url.Values{"rate": {strconv.FormatFloat(s.Rate, 'f', -1, 64)}, "id": {"framebuffer"}, "output": {s.Device.Name()}}.Encode()
	header, err := s.token()
	if err != nil {
		s.say("without the wall's token the picture has fewer frames", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPHeader: header, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, fmt.Errorf("asking the daemon at %s for the picture: %w", s.Base.Host, err)
	}
	return conn, nil
}

// token is the header that makes this the wall's own screen.
func (s *screen) token() (http.Header, error) {
	header := http.Header{}
	token, err := os.ReadFile(s.TokenFile)
	if err == nil {
		header.Set(s.Header, strings.TrimSpace(string(token)))
	}
	return header, err
}

// report tells the daemon of this output, as a kiosk session does of its own. It is
// for the daemon's word on the wall; the picture comes without.
func (s *screen) report(ctx context.Context) error {
	header, err := s.token()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"outputs": []map[string]any{{"name": s.Device.Name(), "on": s.power}}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Base.JoinPath("/display/outputs").String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	header.Set("Content-Type", "application/json")
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("telling the daemon of the screen: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("telling the daemon of the screen: it answers %s", resp.Status)
	}
	return nil
}

func send(ctx context.Context, conn *websocket.Conn, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("writing to the daemon: %w", err)
	}
	return nil
}

// take paints a frame.
func (s *screen) take(ctx context.Context, conn *websocket.Conn, data []byte) error {
	f, err := s.decoder.Decode(data)
	if err != nil {
		s.Log.Debug("a frame cannot be decoded; a whole one is asked for", "err", err)
		return send(ctx, conn, map[string]string{"type": "key"})
	}
	caption := ""
	if s.frame != nil {
		if f.Width != s.frame.Width || f.Height != s.frame.Height {
			s.haunted, s.ghosts = nil, nil
		}
		caption = s.frame.Caption
	}
	came := s.frame == nil || s.sign != ""
	s.frame, s.sign = f, ""
	if came || f.Caption != caption {
		if err := s.refresh(); err != nil {
			return err
		}
	}
	s.painter.Paint(f)
	if s.painted++; came {
		clear(s.said)
		s.Log.Info("the wall is painted", "frame", f.Number)
	}
	s.unacked = true
	return nil
}

// hear takes in what is no frame. What it does not know it skips.
func (s *screen) hear(data []byte) error {
	m, err := parseMessage(data)
	if err != nil {
		return err
	}
	switch m.Type {
	case "cards":
		s.cards = m.Cards
		return s.refresh()
	case "invitation":
		s.invited = m.Invitation
		return s.refresh()
	case "ghosts":
		s.haunted = m.Ghosts
		s.haunt()
		return s.refresh()
	case "light":
		now := lamp{m.Day, 1}
		if m.Bright > 0 {
			now.bright = min(1, m.Bright)
		}
		changed := now != s.lamp
		if s.lamp = now; changed {
			s.haunt()
		}
		if m.On != s.power {
			s.power = m.On
			if err := s.Device.SetPower(m.On); err != nil {
				s.Log.Warn("the screen stays as it is", "err", err)
			}
			s.painter.Damage()
		}
		if changed {
			return s.refresh()
		}
	}
	return nil
}

// haunt makes the plates of what visitors are about to draw.
func (s *screen) haunt() {
	s.ghosts = nil
	if s.frame == nil {
		return
	}
	for _, g := range s.haunted {
		if pl := g.plate(s.painter.fit, s.frame.Width, s.frame.Height, s.lamp.day); pl != nil {
			s.ghosts = append(s.ghosts, pl)
		}
	}
}

// refresh brings the cards to what they say now.
func (s *screen) refresh() error {
	if s.frame == nil {
		return nil // the waiting picture has no cards but its own
	}
	plates, err := s.table.plates(laid{s.lamp, s.cards, s.invited, s.frame.Caption, s.sign}, time.Now())
	if err != nil {
		return &paintError{err}
	}
	s.painter.setPlates(append(slices.Clone(s.ghosts), plates...))
	s.painter.Paint(s.frame)
	return nil
}

// show paints a picture of our own with a word below it.
func (s *screen) show(f *wire.Frame, word string) error {
	plates, err := s.table.plates(laid{lamp: lamp{bright: 1}, sign: word}, time.Now())
	if err != nil {
		return &paintError{err}
	}
	s.painter.setPlates(plates)
	s.painter.Paint(f)
	return nil
}

// beat tells the daemon what is on the screen, and paints it again if something else is.
func (s *screen) beat(ctx context.Context, conn *websocket.Conn) error {
	if s.frame == nil {
		return nil
	}
	began := time.Now()
	hash, blank, wrong := s.painter.readBack()
	spent := time.Since(began)
	if wrong > 0 {
		s.repainted++
		s.Log.Warn("something else painted over the picture; it is painted again", "cells", wrong)
		s.painter.Damage()
		s.painter.Paint(s.frame)
	}
	rate := float64(s.painted) / beatEvery.Seconds()
	s.painted = 0
	return send(ctx, conn, map[string]any{
		"type": "beat", "frame": s.frame.Number, "hash": hash, "blank": blank, "rate": rate,
		"rung": "framebuffer", "visible": true, "paused": false, "spent": float64(spent.Microseconds()) / 1000,
	})
}

// waitFrame is Sierpinski's triangle, as the cells x AND y = 0 draw it, while there is no
// other picture.
func waitFrame(width, height int) *wire.Frame {
	const side = 128
	h := side * 2
	w := max(side*2, h*width/height)
	f := &wire.Frame{Number: 1, Width: w, Height: h, Bits: 2, Palette: []wire.RGB{{0x05, 0x06, 0x0c}, {0xe0, 0xa9, 0x5c}, {0xc9, 0xd4, 0xe8}, {0x7f, 0x9b, 0xd1}}, Cells: make([]uint8, w*h)}
	// Set upright: row y holds Pascal's triangle modulo 2.
	left, top := w/2, (h-side)*3/4
	for y := range side {
		for x := 0; x <= y; x++ {
			if x&(y-x) != 0 {
				continue
			}
			colour := uint8(1)
			if y >= side/2 {
				colour = 2
				if x < side/2 {
					colour = 3
				}
			}
			for i := range 2 { // a cell is two wide, so that rows meet half way
				if cx := left - y + 2*x + i; cx >= 0 && cx < w {
					f.Cells[(top+y)*w+cx] = colour
				}
			}
		}
	}
	return f
}
