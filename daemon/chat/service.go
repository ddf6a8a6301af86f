package chat

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

// Options are what the service needs.
type Options struct {
	DB   *store.DB
	Look *web.Look // nil where no pages are served
	Log  *slog.Logger

	Rooms   []string         // made where they are not there yet, beside the lobby
	Keep    int              // messages kept in each room; 0 means 1,000
	Hold    time.Duration    // how long a poll waits for news; 0 means 20 s. Each is up to a quarter shorter, by chance
	Waiters int              // open polls and streams at most; 0 means 2,000
	Each    int              // and of one address (IPv4, IPv6 /64); 0 means a tenth of Waiters, at least 20
	Now     func() time.Time // for the time a message is sent; nil means time.Now
	Posts   *web.Limiter     // nil means a burst of 10 and then one every 2 s for each client
}

// Service is the chat. It is safe for concurrent use.
type Service struct {
	db            *store.DB
	look          *web.Look
	log           *slog.Logger
	assets        *web.Assets
	keep          int
	hold          time.Duration
	now           func() time.Time
	posts         *web.Limiter
	waiters, each int           // open polls and streams at most, and of one address
	done          chan struct{} // closed when the daemon stops: every poll is answered
	stop          sync.Once

	posted atomic.Int64 // messages since the start

	id string // of this daemon, for the others on the same database

	mu      sync.Mutex
	waiting int                  // open polls and streams
	waits   map[netip.Prefix]int // and of each address
	from    map[string]string    // network that authors wrote from last
	rooms   map[string]*room
	polls   map[string]chan struct{} // open poll of each client; closed by its next one
	trouble error                    // of the watch over the database
}

// Lobby is the room that is always there.
const Lobby = "lobby"

// New returns the chat over an open database, with its lobby.
func New(o Options) (*Service, error) {
	if o.DB == nil {
		return nil, errors.New("chat: no database")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Keep == 0 {
		o.Keep = 1000
	}
	if o.Hold == 0 {
		o.Hold = 20 * time.Second // home routers cut what is silent for longer
	}
	if o.Waiters == 0 {
		o.Waiters = 2000
	}
	if o.Each == 0 {
		o.Each = max(20, o.Waiters/10)
	}
	if o.Posts == nil {
		o.Posts = web.NewLimiter(2*time.Second, 10, 4096)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{db: o.DB, look: o.Look, log: o.Log, keep: o.Keep, hold: o.Hold, now: o.Now, posts: o.Posts,
		waiters: o.Waiters, each: o.Each, done: make(chan struct{}), id: rand.Text(),
		waits: map[netip.Prefix]int{}, from: map[string]string{},
		rooms: map[string]*room{}, polls: map[string]chan struct{}{}}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for _, name := range append([]string{Lobby}, o.Rooms...) {
		if err := s.CreateRoom(ctx, name); err != nil {
			return nil, err
		}
	}
	if o.Look != nil {
		var err error
		if s.assets, err = newAssets(); err != nil {
			return nil, fmt.Errorf("chat: %w", err)
		}
	}
	return s, nil
}

// String names the task.
func (s *Service) String() string { return "chat" }

// channel is PostgreSQL's NOTIFY channel; the payload is the room.
const channel = "sierpi_chat"

// Run watches for what other daemons on the same PostgreSQL write, until ctx
// ends; then every open poll is answered. On SQLite there is nothing to watch.
func (s *Service) Run(ctx context.Context) error {
	defer s.stop.Do(func() { close(s.done) })
	if s.db.Engine() == store.SQLite {
		<-ctx.Done()
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.listen(ctx) })
	defer wg.Wait()
	var told presence
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.compare(ctx)
			if err := s.tell(ctx, &told); err != nil && ctx.Err() == nil {
				s.log.Debug("the daemons do not know of each other's visitors", "error", err)
			}
		}
	}
}

// listen follows NOTIFY. It is a help only: PgBouncer breaks it, and a server
// that restarts forgets who listened.
func (s *Service) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.db.Listen(ctx, channel, func(name string) {
			if r := s.known(name); r != nil {
				s.refresh(ctx, r)
			}
		})
		if ctx.Err() != nil {
			return
		}
		s.log.Debug("not listening", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + mathrand.N(time.Second)):
		}
	}
}

// compare compares all rooms in memory with the database.
func (s *Service) compare(ctx context.Context) {
	var states []roomState
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		states, err = readRooms(ctx, tx)
		return err
	})
	s.mu.Lock()
	before := s.trouble
	s.trouble = err
	s.mu.Unlock()
	if err != nil {
		if before == nil { // once, not every time
			s.log.Error("the rooms cannot be read", "error", err)
		}
		return
	}
	s.mu.Lock()
	for name := range s.rooms {
		if !slices.ContainsFunc(states, func(st roomState) bool { return st.name == name }) {
			s.drop(name) // another daemon removed it
		}
	}
	s.mu.Unlock()
	for _, st := range states {
		if r := s.known(st.name); r != nil {
			r.mu.Lock()
			same := r.epoch == st.epoch && r.last == st.last
			r.mu.Unlock()
			if !same {
				s.refresh(ctx, r)
			}
		}
	}
}

func (s *Service) known(name string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[name]
}

func (s *Service) refresh(ctx context.Context, r *room) {
	if err := r.refresh(ctx, s.db); err != nil && ctx.Err() == nil {
		s.log.Warn("a room could not be read", "room", r.name, "error", err)
	}
}

// room returns a room, reading it when it is not in memory yet.
func (s *Service) room(ctx context.Context, name string) (*room, error) {
	if r := s.known(name); r != nil {
		return r, nil
	}
	if !roomName.MatchString(name) {
		return nil, errRoom
	}
	r := newRoom(name)
	if err := r.refresh(ctx, s.db); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.rooms[name]; ok {
		return have, nil
	}
	s.rooms[name] = r
	return r, nil
}

// CreateRoom makes a room; one that is there stays as it is.
func (s *Service) CreateRoom(ctx context.Context, name string) error {
	var have bool
	err := s.db.View(ctx, func(tx *store.Tx) error {
		_, err := readRoom(ctx, tx, name)
		have = err == nil
		if errors.Is(err, errRoom) {
			err = nil
		}
		return err
	})
	if err == nil && !have { // an SD card is not written to for a room that is there
		err = s.db.Update(ctx, func(tx *store.Tx) error { return createRoom(ctx, tx, name) })
	}
	if err != nil {
		return fmt.Errorf("making the room %.40q: %w", name, err)
	}
	return nil
}

// RemoveRoom removes a room with all its messages; the lobby stays.
func (s *Service) RemoveRoom(ctx context.Context, name string) error {
	if name == Lobby {
		return &Failure{409, "the lobby stays", "remove another room"}
	}
	if err := s.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM chat_message WHERE room = ?`, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM chat_room WHERE name = ?`, name)
		return err
	}); err != nil {
		return fmt.Errorf("removing the room %.40q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
	return nil
}

// drop forgets a room; those who wait there learn of it. mu is held.
func (s *Service) drop(name string) {
	r := s.rooms[name]
	if r == nil {
		return
	}
	delete(s.rooms, name)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.wake)
	r.wake, r.epoch = make(chan struct{}), ""
}

// Snapshot is a room's newest messages and the cursor after them, of one moment.
type Snapshot struct {
	Room     string    `json:"room"`
	Cursor   string    `json:"cursor"`
	Reset    bool      `json:"reset,omitempty"` // forget what you have of this room
	Messages []Message `json:"messages"`
	Here     []string  `json:"here"` // names of those who wait for news
}

// Snapshot reads a room; author is who asks, to tell which messages are his.
func (s *Service) Snapshot(ctx context.Context, name, author string) (Snapshot, error) {
	r, err := s.room(ctx, name)
	if err != nil {
		return Snapshot{}, err
	}
	out := Snapshot{Room: name}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		state, err := readRoom(ctx, tx, name)
		if err != nil {
			return err
		}
		out.Cursor = cursor{name, state.epoch, state.last}.String()
		out.Messages, err = recent(ctx, tx, name, snapshotLen)
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading the room %s: %w", name, err)
	}
	out.Messages = forAuthor(out.Messages, author)
	out.Here = r.present()
	return out, nil
}

// forAuthor copies messages, marking the author's own.
func forAuthor(ms []Message, author string) []Message {
	out := make([]Message, len(ms))
	for i, m := range ms {
		if m.Mine = author != "" && m.author == author; !m.Mine {
			m.Key = ""
		}
		out[i] = m
	}
	return out
}

// authorOf is how the author of a cookie's token stands in the database.
func authorOf(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("author " + token))
	return hex.EncodeToString(sum[:12])
}

// Post appends a message and returns it once it is on the disk. The same author
// and key give the same message, however often.
func (s *Service) Post(ctx context.Context, name string, by Author, key, who, text string) (Message, error) {
	m := Message{Name: cleanLine(who), Text: cleanText(text), Key: key, Sent: s.now().UTC(), author: by.id()}
	switch {
	case m.Text == "":
		return m, &Failure{400, "the message is empty", "write something"}
	case len(m.Text) > maxText:
		return m, &Failure{413, fmt.Sprintf("the message is longer than %d bytes", maxText), "send it in parts"}
	case m.Name == "":
		m.Name = "guest"
	case len(m.Name) > maxName:
		return m, &Failure{400, fmt.Sprintf("the name is longer than %d bytes", maxName), "use a shorter one"}
	case key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return m, &Failure{400, "the key is missing or unfit", "send 1 to 64 letters and digits, new for each message and the same when you try again"}
	}
	if m.Key != key || m.author == "" {
		return m, &Failure{400, "the author is unknown", "allow this page's cookie"}
	}
	fresh := false
	m, err := s.write(ctx, name, by.id(), func(tx *store.Tx) (kept Message, err error) {
		if err := maySpeak(ctx, tx, by); err != nil {
			return m, err
		}
		kept, fresh, err = post(ctx, tx, name, m, s.keep)
		return kept, err
	})
	if err == nil && fresh {
		s.posted.Add(1)
		s.remember(by)
	}
	return m, err
}

// Change edits a message of one's own, or deletes it when the text is empty; the
// owner deletes anybody's.
func (s *Service) Change(ctx context.Context, name string, id int64, by Author, text string) (Message, error) {
	text = cleanText(text)
	if len(text) > maxText {
		return Message{}, &Failure{413, fmt.Sprintf("the message is longer than %d bytes", maxText), "shorten it"}
	}
	return s.write(ctx, name, by.id(), func(tx *store.Tx) (Message, error) {
		if text != "" {
			if err := maySpeak(ctx, tx, by); err != nil {
				return Message{}, err
			}
		}
		return change(ctx, tx, name, id, by.id(), by.Owner, text)
	})
}

func (s *Service) write(ctx context.Context, name, author string, f func(*store.Tx) (Message, error)) (Message, error) {
	r, err := s.room(ctx, name)
	if err != nil {
		return Message{}, err
	}
	select {
	case r.writing <- struct{}{}:
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
	var m Message
	func() {
		defer func() { <-r.writing }()
		err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
			if m, err = f(tx); err != nil {
				return err
			}
			return tx.Notify(ctx, channel, name)
		})
	}()
	if err != nil {
		return m, fmt.Errorf("writing to the room %s: %w", name, err)
	}
	m.Mine = author != "" && m.author == author
	// Acknowledged already: if this fails, those who wait learn of it by the next.
	s.refresh(context.WithoutCancel(ctx), r)
	return m, nil
}

// earlier returns the messages before one, the oldest of them first.
func (s *Service) earlier(ctx context.Context, name string, before int64, author string) ([]Message, error) {
	var ms []Message
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if _, err = readRoom(ctx, tx, name); err == nil {
			ms, err = scanMessages(tx.QueryContext(ctx, `SELECT `+messageColumns+` FROM chat_message WHERE room = ? AND id < ? ORDER BY id DESC LIMIT ?`, name, before, snapshotLen))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the room %s: %w", name, err)
	}
	slices.Reverse(ms)
	return forAuthor(ms, author), nil
}

// find searches a room's history, the newest first. All words must be there,
// regardless of case.
func (s *Service) find(ctx context.Context, name, words, author string) ([]Message, error) {
	var all []Message
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if _, err = readRoom(ctx, tx, name); err == nil {
			all, err = recent(ctx, tx, name, 2*s.keep)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("searching the room %s: %w", name, err)
	}
	want := strings.Fields(strings.ToLower(words))
	var out []Message
	for _, m := range slices.Backward(all) {
		text := strings.ToLower(m.Name + "\n" + m.Text)
		if m.Deleted || slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		if out = append(out, m); len(out) == 50 {
			break
		}
	}
	return forAuthor(out, author), nil
}

// ShowOnWall says whether the wall may show a room.
func (s *Service) ShowOnWall(ctx context.Context, name string, show bool) error {
	n := 0
	if show {
		n = 1
	}
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE chat_room SET wall = ? WHERE name = ?`, n, name)
		if err != nil {
			return err
		}
		if k, err := res.RowsAffected(); err != nil || k == 0 {
			return errors.Join(err, errRoom)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("showing the room %.40q: %w", name, err)
	}
	return nil
}

// OnWall returns the newest messages of the rooms that the owner lets the wall
// show, the oldest first; nothing when there is none.
func (s *Service) OnWall(ctx context.Context, limit int) ([]Message, error) {
	var out []Message
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rooms, err := readRooms(ctx, tx)
		for _, r := range rooms {
			if err == nil && r.wall {
				var ms []Message
				ms, err = recent(ctx, tx, r.name, limit)
				out = append(out, slices.DeleteFunc(ms, func(m Message) bool { return m.Deleted })...)
			}
		}
		return err
	})
	slices.SortStableFunc(out, func(a, b Message) int { return a.Sent.Compare(b.Sent) })
	return out[max(0, len(out)-limit):], err
}

// Health is "ok", or "failed" and why.
func (s *Service) Health() (state, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != nil {
		return "failed", "the rooms cannot be read: the database does not answer; the log has the reason"
	}
	return "ok", ""
}

// Waiting is the number of open polls and streams.
func (s *Service) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Posted is the number of messages that this daemon took since its start.
func (s *Service) Posted() int64 { return s.posted.Load() }

// cleanText keeps line breaks, at most one empty line in a row, and no other
// control or bidirectional characters.
func cleanText(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.TrimSpace(s)
}

func cleanLine(s string) string { return strings.Join(strings.Fields(cleanText(s)), " ") }
