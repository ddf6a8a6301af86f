package display

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// handheld is the connection of a page that steers the wall, a visitor's remote or a game's
// pad: texts up, the state and answers down, each within its bounds.
type handheld struct {
	conn  *websocket.Conn
	whose string // for errors: "remote", "player"
	out   chan []byte
	heard chan struct{}
}

func newHandheld(conn *websocket.Conn, whose string) *handheld {
	return &handheld{conn: conn, whose: whose, out: make(chan []byte, 32), heard: make(chan struct{}, 1)}
}

// say sends something down; a phone that does not read is not waited for.
func (h *handheld) say(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // all are of our own types
	}
	select {
	case h.out <- data:
	default:
	}
}

// read hands each text to take until the connection ends or take returns an error that is
// not the user's. Who sends more than limiter allows, or what is not understood, is sent away.
func (h *handheld) read(ctx context.Context, limiter *rate.Limiter, take func([]byte) error) error {
	for {
		kind, data, err := h.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading from the %s: %w", h.whose, err)
		}
		if !limiter.Allow() || kind != websocket.MessageText {
			h.conn.Close(websocket.StatusPolicyViolation, "too many messages, or not text")
			return fmt.Errorf("the %s sends too many messages, or not text", h.whose)
		}
		switch err := take(data); {
		case errors.Is(err, errLeaves):
			return err
		case err != nil:
			h.conn.Close(websocket.StatusPolicyViolation, "not understood")
			return fmt.Errorf("a message of the %s: %w", h.whose, err)
		}
		select {
		case h.heard <- struct{}{}:
		default:
		}
	}
}

// write sends hello, the state when it has changed, and what say was given, until the
// connection ends (the context's cause), over is closed (ended), or nothing was heard for
// as long as idle (errIdle).
func (h *handheld) write(ctx context.Context, over <-chan struct{}, ended error, idle time.Duration, hello any, state func() any) error {
	const stateEvery = 200 * time.Millisecond
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	silent := time.NewTimer(idle)
	defer silent.Stop()
	write := func(data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		if err := h.conn.Write(ctx, websocket.MessageText, data); err != nil {
			return fmt.Errorf("writing to the %s: %w", h.whose, err)
		}
		return nil
	}
	greeting, err := json.Marshal(hello)
	if err != nil {
		return fmt.Errorf("greeting the %s: %w", h.whose, err)
	}
	if err := write(greeting); err != nil {
		return err
	}
	var told string
	for {
		data, err := json.Marshal(map[string]any{"type": "state", "state": state()})
		if err != nil {
			return fmt.Errorf("telling the %s the state: %w", h.whose, err)
		}
		if string(data) != told {
			told = string(data)
			if err := write(data); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return ended
		case <-silent.C:
			return errIdle
		case data := <-h.out:
			if err := write(data); err != nil {
				return err
			}
		case <-h.heard:
			silent.Reset(idle)
		case <-tick.C:
		}
	}
}
