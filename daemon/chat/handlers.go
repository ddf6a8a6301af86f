package chat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

// Routes are the addresses of the chat.
func (s *Service) Routes() []web.Route {
	route := func(method, pattern string, role web.Role, h func(http.ResponseWriter, *http.Request) error) web.Route {
		return web.Route{Method: method, Pattern: pattern, Role: role, MaxBody: 16 << 10, Handler: s.handler(h)}
	}
	stream := func(r web.Route) web.Route { r.Streams = true; return r }
	routes := []web.Route{
		route("GET", "/chat", web.Anyone, s.lobbyPage),
		route("POST", "/chat", web.Owner, s.createForm),
		route("GET", "/chat/{room}", web.Anyone, s.roomPage),
		route("POST", "/chat/{room}", web.Anyone, s.postForm),
		route("POST", "/chat/{room}/wall", web.Owner, s.wallForm),
		route("POST", "/chat/{room}/remove", web.Owner, s.removeForm),
		route("POST", "/chat/{room}/unsilence", web.Owner, s.unsilenceForm),
		route("POST", "/chat/{room}/{id}/silence", web.Owner, s.silenceForm),
		route("POST", "/chat/{room}/{id}", web.Anyone, s.changeForm),
		route("GET", "/json/chat/{room}", web.Anyone, s.jsonSnapshot),
		route("GET", "/json/chat/{room}/search", web.Anyone, s.jsonSearch),
		route("POST", "/json/chat/{room}", web.Anyone, s.jsonPost),
		route("POST", "/json/chat/{room}/{id}", web.Anyone, s.jsonChange),
		stream(route("POST", "/json/chat-poll", web.Anyone, s.jsonPoll)),
		stream(route("GET", "/json/chat/{room}/events", web.Anyone, s.events)),
	}
	if s.assets != nil {
		routes = append(routes, s.assets.Route(s.look))
	}
	return routes
}

// busy is an answer to try again later: 429 for one client, 503 for all.
type busy struct {
	status int
	what   string
	wait   time.Duration
}

func (b *busy) Error() string { return b.what }

func (s *Service) handler(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		status, what, remedy := http.StatusInternalServerError, "the chat does not work just now", "try again in a moment; the owner finds the reason in the log"
		var mistake *Failure
		var later *busy
		switch {
		case errors.As(err, &mistake):
			status, what, remedy = mistake.Status, mistake.What, mistake.Remedy
		case errors.As(err, &later):
			seconds := int(math.Ceil(later.wait.Seconds()))
			w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds)))
			status, what, remedy = later.status, later.what, fmt.Sprintf("try again in %d s", max(1, seconds))
		case errors.Is(err, store.ErrFull):
			status, what, remedy = http.StatusInsufficientStorage, "the card is full: the message was not kept", "try again when its owner has freed some space"
		case r.Context().Err() != nil:
			return
		default:
			s.log.Error("request failed", "path", r.URL.Path, "error", err)
		}
		if len(r.URL.Path) > 6 && r.URL.Path[:6] == "/json/" || s.look == nil {
			web.JSON(w, status, map[string]string{"error": what, "remedy": remedy})
			return
		}
		s.look.Error(w, r, status, what, remedy)
	})
}

// whose is the cookie that makes messages one's own.
const whose = "sierpi_chat"

// token returns the client's token, giving it one where it has none.
func token(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(whose); err == nil && len(c.Value) >= 20 && len(c.Value) <= 64 {
		return c.Value
	}
	t := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: whose, Value: t, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	return t
}

// writer is who sends a request that writes.
func writer(w http.ResponseWriter, r *http.Request) Author {
	return Author{Token: token(w, r), From: web.ClientKey(r), Owner: web.RoleOf(r) == web.Owner}
}

func author(r *http.Request) string {
	if c, err := r.Cookie(whose); err == nil {
		return authorOf(c.Value)
	}
	return ""
}

func (s *Service) jsonSnapshot(w http.ResponseWriter, r *http.Request) error {
	t := token(w, r)
	snap, err := s.Snapshot(r.Context(), r.PathValue("room"), authorOf(t))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, snap)
	return nil
}

func (s *Service) jsonSearch(w http.ResponseWriter, r *http.Request) error {
	ms, err := s.find(r.Context(), r.PathValue("room"), r.URL.Query().Get("q"), author(r))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, map[string]any{"messages": forAuthor(ms, author(r))})
	return nil
}

// body reads a small JSON body.
func body(r *http.Request, into any) error {
	b, err := web.ReadBody(r)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return &Failure{400, "the body is no JSON of the kind expected here: " + err.Error(), "see the page's own script for the form"}
	}
	return nil
}

// allow takes a token of the client's rate limit.
func (s *Service) allow(r *http.Request) error {
	if ok, wait := s.posts.Allow(r); !ok {
		return &busy{http.StatusTooManyRequests, "too many messages", wait}
	}
	return nil
}

func (s *Service) jsonPost(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Key, Name, Text string }
	if err := body(r, &in); err != nil {
		return err
	}
	if err := s.allow(r); err != nil {
		return err
	}
	m, err := s.Post(r.Context(), r.PathValue("room"), writer(w, r), in.Key, in.Name, in.Text)
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, m)
	return nil
}

func (s *Service) jsonChange(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Text string }
	if err := body(r, &in); err != nil {
		return err
	}
	m, err := s.changed(w, r, in.Text)
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, m)
	return nil
}

func (s *Service) changed(w http.ResponseWriter, r *http.Request, text string) (Message, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Message{}, errMessage
	}
	if err := s.allow(r); err != nil {
		return Message{}, err
	}
	return s.Change(r.Context(), r.PathValue("room"), id, writer(w, r), text)
}

// Poll is the body of POST /json/chat-poll.
type Poll struct {
	Client  string   `json:"client"`  // one a browser; its next poll ends this one
	Name    string   `json:"name"`    // shown to others as present; may be empty
	Cursors []string `json:"cursors"` // one for each room, as they came
}

// Answer is what a poll brings: for each room with news, what is new and the
// cursor after it. A hold that brought no news ends with all rooms, without
// messages: who is here may have changed. No rooms: ask again with the same cursors.
type Answer struct {
	Rooms      []Snapshot `json:"rooms"`
	Superseded bool       `json:"superseded,omitempty"` // a newer poll of this client took over
	Stopping   bool       `json:"stopping,omitempty"`   // the daemon ends; come back in a moment
}

// maxPollRooms bounds the rooms of one poll.
const maxPollRooms = 8

func (s *Service) jsonPoll(w http.ResponseWriter, r *http.Request) error {
	var in Poll
	if err := body(r, &in); err != nil {
		return err
	}
	if len(in.Cursors) == 0 || len(in.Cursors) > maxPollRooms {
		return &Failure{400, fmt.Sprintf("%d cursors", len(in.Cursors)), fmt.Sprintf("send one for each room, 1 to %d", maxPollRooms)}
	}
	if in.Client == "" || len(in.Client) > maxKey {
		return &Failure{400, "the client is not named", "send a random word of up to 64 letters, the same each time"}
	}
	cursors := make([]cursor, len(in.Cursors))
	for i, c := range in.Cursors {
		var err error
		if cursors[i], err = parseCursor(c); err != nil {
			return err
		}
	}
	release, err := s.admit(r)
	if err != nil {
		return err
	}
	defer release()
	parts, end, err := s.poll(r.Context(), in, cursors, author(r))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// An Answer, put together from parts that others get too.
	size := 64
	for _, part := range parts {
		size += 1 + len(part)
	}
	answer := append(make([]byte, 0, size), `{"rooms":[`...)
	for i, part := range parts {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, part...)
	}
	answer = append(answer, ']')
	if end != "" {
		answer = append(append(append(answer, `,"`...), end...), `":true`...)
	}
	_, _ = w.Write(append(answer, "}\n"...))
	return nil
}

// admit counts a waiter in, or refuses it when there are too many.
func (s *Service) admit(r *http.Request) (release func(), err error) {
	key := web.ClientKey(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	later := time.Duration(2+mathrand.IntN(8)) * time.Second
	switch {
	case s.waiting >= s.waiters:
		return nil, &busy{http.StatusServiceUnavailable, "too many are waiting", later}
	case s.waits[key] >= s.each:
		return nil, &busy{http.StatusTooManyRequests, "too many of your address are waiting", later}
	}
	s.waiting++
	s.waits[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting--
		if s.waits[key]--; s.waits[key] == 0 {
			delete(s.waits, key)
		}
	}, nil
}

// poll waits for news. It returns each room's part of the answer, as JSON, or
// which of Answer's flags tells why there is none ("" when the hold was over).
func (s *Service) poll(ctx context.Context, in Poll, cursors []cursor, author string) (parts [][]byte, end string, err error) {
	mine := make(chan struct{})
	s.mu.Lock()
	if old, ok := s.polls[in.Client]; ok {
		close(old)
	}
	s.polls[in.Client] = mine
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if s.polls[in.Client] == mine {
			delete(s.polls, in.Client)
		}
		s.mu.Unlock()
	}()
	name := cleanLine(in.Name)
	if len(name) > maxName {
		name = ""
	}
	rooms := make([]*room, len(cursors))
	for i, c := range cursors {
		r, err := s.room(ctx, c.room)
		if err != nil {
			return nil, "", err
		}
		rooms[i] = r
	}
	for _, r := range rooms {
		r.enter(name)
	}
	defer func() {
		for _, r := range rooms {
			r.leave(name)
		}
	}()
	// By chance a little shorter, so that what was cut off together does not come back together.
	hold := time.NewTimer(s.hold - mathrand.N(s.hold/4+1))
	defer hold.Stop()
	for {
		wakes := make([]<-chan struct{}, len(rooms))
		for i, r := range rooms {
			part, wake, ok, err := r.answer(cursors[i], author)
			if err == nil && !ok {
				var snap Snapshot
				if snap, err = s.catchUp(ctx, cursors[i], author); err == nil {
					part, err = json.Marshal(snap)
				}
			}
			if err != nil {
				return nil, "", err
			}
			if wakes[i] = wake; part != nil {
				parts = append(parts, part)
			}
		}
		if len(parts) > 0 {
			return parts, "", nil
		}
		woken, over := anyOf(wakes)
		select {
		case <-woken:
			over()
			continue
		case <-mine:
			end = "superseded"
		case <-s.done:
			end = "stopping"
		case <-ctx.Done():
			end = "stopping" // or the client has gone, and nobody reads it
		case <-hold.C:
			for i, r := range rooms {
				part, err := json.Marshal(Snapshot{Room: r.name, Cursor: cursors[i].String(), Messages: []Message{}, Here: r.present()})
				if err != nil {
					return nil, "", err
				}
				parts = append(parts, part)
			}
		}
		over()
		return parts, end, nil
	}
}

// anyOf is a channel that closes when one of several does, until over is called.
func anyOf(wakes []<-chan struct{}) (woken <-chan struct{}, over func()) {
	if len(wakes) == 1 { // most polls: nothing to spend
		return wakes[0], func() {}
	}
	any, stop := make(chan struct{}), make(chan struct{})
	var once sync.Once
	for _, wake := range wakes {
		go func() {
			select {
			case <-wake:
				once.Do(func() { close(any) })
			case <-stop:
			}
		}()
	}
	return any, func() { close(stop) }
}

// catchUp serves a cursor that memory does not reach back to: from the database
// where it is all there still, else by a fresh snapshot.
func (s *Service) catchUp(ctx context.Context, c cursor, author string) (Snapshot, error) {
	r, err := s.room(ctx, c.room)
	if err != nil {
		return Snapshot{}, err
	}
	if err := r.refresh(ctx, s.db); err != nil {
		return Snapshot{}, err
	}
	out := Snapshot{Room: c.room}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		state, err := readRoom(ctx, tx, c.room)
		if err != nil {
			return err
		}
		at := cursor{c.room, state.epoch, state.last}
		if c.epoch == state.epoch && c.version >= state.floor && c.version <= state.last {
			out.Messages, err = since(ctx, tx, c.room, c.version, snapshotLen)
			if len(out.Messages) == snapshotLen { // the rest comes with the next poll
				at.version = out.Messages[snapshotLen-1].version
			}
		} else {
			out.Reset = true
			out.Messages, err = recent(ctx, tx, c.room, snapshotLen)
		}
		out.Cursor = at.String()
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading the room %s: %w", c.room, err)
	}
	out.Messages = forAuthor(out.Messages, author)
	out.Here = r.present()
	return out, nil
}

// events is the same as server-sent events: the id of each is the cursor.
func (s *Service) events(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("room")
	flush := http.NewResponseController(w)
	release, err := s.admit(r)
	if err != nil {
		return err
	}
	defer release()
	room, err := s.room(r.Context(), name)
	if err != nil {
		return err
	}
	who := author(r)
	send := func(snap Snapshot) (cursor, error) {
		data, err := json.Marshal(snap)
		if err != nil {
			return cursor{}, err
		}
		if _, err := fmt.Fprintf(w, "id: %s\ndata: %s\n\n", snap.Cursor, data); err != nil {
			return cursor{}, err
		}
		if err := flush.Flush(); err != nil {
			return cursor{}, err
		}
		return parseCursor(snap.Cursor)
	}
	var snap Snapshot
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		c, err := parseCursor(last)
		if err != nil || c.room != name {
			return &Failure{400, "Last-Event-ID is not one of ours", "leave it out to begin anew"}
		}
		if snap, err = s.catchUp(r.Context(), c, who); err != nil {
			return err
		}
	} else if snap, err = s.Snapshot(r.Context(), name, who); err != nil {
		return err
	} else {
		snap.Reset = true
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	at, err := send(snap)
	beat := time.NewTicker(s.hold)
	defer beat.Stop()
	for err == nil {
		ms, last, wake, ok := room.after(at)
		switch {
		case !ok:
			if snap, err = s.catchUp(r.Context(), at, who); err == nil {
				at, err = send(snap)
			}
			continue
		case len(ms) > 0:
			at, err = send(Snapshot{Room: name, Cursor: cursor{name, at.epoch, last}.String(), Messages: forAuthor(ms, who), Here: room.present()})
			continue
		}
		select {
		case <-wake:
		case <-beat.C:
			if _, err = fmt.Fprint(w, ": still here\n\n"); err == nil {
				err = flush.Flush()
			}
		case <-s.done:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
	return nil // the stream has begun: what is wrong ends it, and the client comes back with its cursor
}
