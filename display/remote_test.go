package display_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/display"
)

// handset is a visitor's phone, written in Go.
type handset struct {
	t    *testing.T
	conn *websocket.Conn
	n    int
}

// remotes serves the stage with remotes: ?who= names the visitor.
func remotes(t *testing.T, s *display.Stage) string {
	t.Helper()
	rs := display.NewRemotes(s, func(r *http.Request) string { return r.URL.Query().Get("who") })
	m := http.NewServeMux()
	m.Handle("/", mux(s))
	m.HandleFunc(display.RemotePath, rs.ServeRemote)
	srv := httptest.NewServer(m)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

func pickUp(t *testing.T, base, who string) *handset {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(base, "http")+display.RemotePath+"?who="+who, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &handset{t: t, conn: conn}
}

func (h *handset) say(m map[string]any) {
	h.t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.conn.Write(h.t.Context(), websocket.MessageText, data); err != nil {
		h.t.Fatal(err)
	}
}

// ask says something and returns the error that it is answered with, or "".
func (h *handset) ask(m map[string]any) string {
	h.t.Helper()
	h.n++
	m["n"] = h.n
	h.say(m)
	for {
		_, data, err := h.conn.Read(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		var a struct {
			Type, Error string
			N           int
		}
		if err := json.Unmarshal(data, &a); err != nil {
			h.t.Fatal(err)
		}
		if a.N == h.n && a.Type != "done" {
			return a.Error
		} else if a.N == h.n {
			return ""
		}
	}
}

func block(x, y int) []int { return []int{x, y, x + 1, y, x, y + 1, x + 1, y + 1} }

// TestRemoteLimits is what a visitor may do, and how often.
func TestRemoteLimits(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom", "life"}, Dwell: time.Hour})
	base := remotes(t, s)
	dial(t, base, "", nil) // somebody watches
	if r, err := http.Get(base + display.RemotePath); err != nil || r.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %v, %v", r.StatusCode, err)
	}
	a, b := pickUp(t, base, "A"), pickUp(t, base, "B")
	for _, bad := range []map[string]any{
		{"type": "draw", "cells": []int{}}, {"type": "draw", "cells": []int{1}}, {"type": "draw", "cells": []int{480, 0}}, {"type": "draw", "cells": []int{0, -1}},
		{"type": "draw", "cells": make([]int, 1202)}, {"type": "scene", "name": "nothing"}, {"type": "shout"},
	} {
		if a.ask(bad) == "" {
			t.Errorf("%v was done", bad)
		}
	}
	if s.Status().Scene != "zoom" {
		t.Errorf("something that was refused changed the scene to %s", s.Status().Scene)
	}
	// Who draws sees it: Life comes on.
	if what := b.ask(map[string]any{"type": "draw", "alive": true, "cells": block(100, 100)}); what != "" {
		t.Fatal(what)
	}
	awaitStatus(t, s, func(st display.Status) bool {
		return st.Scene == "life" && strings.Contains(st.Caption, "visitors drew")
	})
	// One does not take back what another drew.
	if a.ask(map[string]any{"type": "undo"}) == "" {
		t.Error("A took back what B drew")
	}
	if what := b.ask(map[string]any{"type": "undo"}); what != "" {
		t.Error(what)
	}
	if b.ask(map[string]any{"type": "undo"}) == "" {
		t.Error("B took the same back twice")
	}
	// Not more than a few at once, and a new connection is not new patience.
	drawn := 0
	for i := range 12 {
		if i == 8 {
			b = pickUp(t, base, "B")
		}
		if b.ask(map[string]any{"type": "draw", "alive": true, "cells": block(10*i, 10)}) == "" {
			drawn++
		}
	}
	if drawn < 3 || drawn > 10 {
		t.Errorf("%d of 12 drawings in a row", drawn)
	}
	steered := 0
	for range 6 {
		if b.ask(map[string]any{"type": "next"}) == "" {
			steered++
		}
	}
	if steered == 0 || steered > 4 {
		t.Errorf("%d of 6 changes of scene in a row", steered)
	}
	if n := s.TakeBack(); n < 1 {
		t.Errorf("the owner took %d drawings back", n)
	}
	// Whoever says nonsense is hung up on.
	if err := a.conn.Write(t.Context(), websocket.MessageText, []byte("{")); err != nil {
		t.Fatal(err)
	}
	for {
		if _, _, err := a.conn.Read(t.Context()); err != nil {
			break
		}
	}
}

// TestGhosts is that the wall shows what is about to be drawn, in the cells of each screen's
// part, until it is drawn, dropped, or its visitor leaves; and that a ghost does not live.
func TestGhosts(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, FramesPerSecond: 10})
	base := remotes(t, s)
	type shown struct {
		Who   string
		Cells []int
	}
	ghosts := func(c *client) []shown {
		t.Helper()
		for {
			kind, data, err := c.conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				Type   string
				Ghosts []shown
			}
			if kind == websocket.MessageText && json.Unmarshal(data, &m) == nil && m.Type == "ghosts" {
				return m.Ghosts
			}
			if kind == websocket.MessageBinary { // or the stage waits for it
				if f, err := c.dec.Decode(data); err == nil {
					_ = c.say(t.Context(), map[string]any{"type": "ack", "frame": f.Number})
				}
			}
		}
	}
	whole, part := dial(t, base, "", nil), dial(t, base, "?view=100,50,200,100", nil)
	a := pickUp(t, base, "A")
	a.say(map[string]any{"type": "ghost", "cells": []int{99, 60, 120, 70}})
	if g := ghosts(whole); len(g) != 1 || g[0].Who != "A" || len(g[0].Cells) != 4 {
		t.Errorf("%+v", g)
	}
	if g := ghosts(part); len(g) != 1 || len(g[0].Cells) != 2 || g[0].Cells[0] != 20 || g[0].Cells[1] != 20 {
		t.Errorf("in a part: %+v", g)
	}
	if c := s.Status().Caption; strings.Contains(c, "drew") {
		t.Errorf("a ghost lives: %s", c)
	}
	a.say(map[string]any{"type": "ghost", "cells": []int{9999, 1}}) // nonsense changes nothing
	if what := a.ask(map[string]any{"type": "draw", "alive": true, "cells": block(120, 70)}); what != "" {
		t.Fatal(what)
	}
	if g := ghosts(whole); len(g) != 0 {
		t.Errorf("drawn, and still a ghost: %+v", g)
	}
	a.say(map[string]any{"type": "ghost", "cells": []int{1, 1}})
	if g := ghosts(whole); len(g) != 1 {
		t.Errorf("%+v", g)
	}
	a.conn.CloseNow()
	if g := ghosts(whole); len(g) != 0 {
		t.Errorf("gone, and still a ghost: %+v", g)
	}
}

// TestInvitationIsForTheWall is that the code goes to nobody but the machine's own screens.
func TestInvitationIsForTheWall(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}, FramesPerSecond: 10, Kiosk: func(r *http.Request) bool { return r.URL.Query().Get("token") == "secret" }})
	if err := s.Invite(exampleInvitation()); err != nil {
		t.Fatal(err)
	}
	base := serve(t, s)
	told := func(c *client) bool {
		t.Helper()
		frames := 0
		for frames < 10 {
			kind, data, err := c.conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if kind == websocket.MessageBinary {
				f, err := c.dec.Decode(data)
				if err != nil {
					t.Fatal(err)
				}
				frames++
				_ = c.say(t.Context(), map[string]any{"type": "ack", "frame": f.Number})
			} else if strings.Contains(string(data), "invitation") {
				return true
			}
		}
		return false
	}
	if !told(dial(t, base, "?token=secret", nil)) {
		t.Error("the wall was not told the code")
	}
	if told(dial(t, base, "", nil)) {
		t.Error("a stranger's screen was told the code")
	}
}
