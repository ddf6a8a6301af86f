package chat

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// Message is a message as clients see it. A client keeps them by ID: one that it
// has comes again when it was edited or deleted.
type Message struct {
	ID      int64     `json:"id"` // rises within a room
	Name    string    `json:"name"`
	Text    string    `json:"text"` // "" when deleted
	Sent    time.Time `json:"sent"` // by the machine's clock
	Edited  bool      `json:"edited,omitempty"`
	Deleted bool      `json:"deleted,omitempty"`
	Key     string    `json:"key,omitempty"` // the one it was posted under; of one's own only
	Mine    bool      `json:"mine,omitempty"`

	version int64
	author  string
}

// Limits; see the package's documentation.
const (
	maxRooms    = 100
	maxText     = 2000
	maxName     = 40
	maxKey      = 64
	snapshotLen = 100 // messages of a snapshot
)

// The states of a message.
const (
	posted = iota
	edited
	deleted
)

var roomName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Failure is a request's mistake: the status it deserves, what and the remedy.
type Failure struct {
	Status       int
	What, Remedy string
}

func (f *Failure) Error() string { return f.What + "; " + f.Remedy }

var (
	errRoom    = &Failure{404, "there is no such room", "the rooms are listed at /chat"}
	errMessage = &Failure{404, "there is no such message, or not any more", "older messages are removed after a while"}
	errNotMine = &Failure{403, "only who wrote a message may change it", "the owner may delete it"}
)

// roomState is a room's row.
type roomState struct {
	name, epoch string
	last, floor int64
	wall        bool
}

const roomColumns = `name, epoch, last, floor, wall`

func scanRoom(row interface{ Scan(...any) error }) (roomState, error) {
	var r roomState
	var wall int64
	err := row.Scan(&r.name, &r.epoch, &r.last, &r.floor, &wall)
	r.wall = wall != 0
	return r, err
}

func readRoom(ctx context.Context, tx *store.Tx, name string) (roomState, error) {
	r, err := scanRoom(tx.QueryRowContext(ctx, `SELECT `+roomColumns+` FROM chat_room WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return r, errRoom
	}
	return r, err
}

func readRooms(ctx context.Context, tx *store.Tx) ([]roomState, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+roomColumns+` FROM chat_room ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []roomState
	for rows.Next() {
		r, err := scanRoom(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func createRoom(ctx context.Context, tx *store.Tx, name string) error {
	if !roomName.MatchString(name) {
		return &Failure{400, fmt.Sprintf("%.40q is no name for a room", name), "use up to 32 small letters, digits and hyphens"}
	}
	if err := tx.Lock(ctx, "chat rooms"); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM chat_room`).Scan(&n); err != nil {
		return err
	}
	if n >= maxRooms {
		return &Failure{409, fmt.Sprintf("there are %d rooms already", n), "remove one first"}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO chat_room (name, epoch, last, floor) VALUES (?, ?, 0, 0) ON CONFLICT (name) DO NOTHING`, name, rand.Text()[:8])
	return err
}

const messageColumns = `id, version, key, author, name, text, sent, state`

func scanMessages(rows *sql.Rows, err error) ([]Message, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Message
	for rows.Next() {
		var m Message
		var sent int64
		var state int
		if err := rows.Scan(&m.ID, &m.version, &m.Key, &m.author, &m.Name, &m.Text, &sent, &state); err != nil {
			return nil, err
		}
		m.Sent, m.Edited, m.Deleted = time.UnixMilli(sent).UTC(), state == edited, state == deleted
		out = append(out, m)
	}
	return out, rows.Err()
}

// recent returns the newest messages of a room, the oldest of them first.
func recent(ctx context.Context, tx *store.Tx, room string, limit int) ([]Message, error) {
	ms, err := scanMessages(tx.QueryContext(ctx, `SELECT `+messageColumns+` FROM chat_message WHERE room = ? ORDER BY id DESC LIMIT ?`, room, limit))
	slices.Reverse(ms)
	return ms, err
}

// since returns what became new after a version, in the order of versions.
func since(ctx context.Context, tx *store.Tx, room string, version int64, limit int) ([]Message, error) {
	return scanMessages(tx.QueryContext(ctx, `SELECT `+messageColumns+` FROM chat_message WHERE room = ? AND version > ? ORDER BY version LIMIT ?`, room, version, limit))
}

func one(ctx context.Context, tx *store.Tx, where string, args ...any) (Message, bool, error) {
	ms, err := scanMessages(tx.QueryContext(ctx, `SELECT `+messageColumns+` FROM chat_message WHERE `+where, args...))
	if err != nil || len(ms) == 0 {
		return Message{}, false, err
	}
	return ms[0], true, nil
}

// nextVersion gives out the room's next version. The update holds the room's row
// until the transaction ends: versions become visible in their order, which a
// sequence would not guarantee.
func nextVersion(ctx context.Context, tx *store.Tx, room string) (int64, error) {
	var v int64
	err := tx.QueryRowContext(ctx, `UPDATE chat_room SET last = last + 1 WHERE name = ? RETURNING last`, room).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errRoom
	}
	return v, err
}

// post appends a message, unless its author posted one under this key already:
// then it returns that one, and fresh is false.
func post(ctx context.Context, tx *store.Tx, room string, m Message, keep int) (kept Message, fresh bool, err error) {
	v, err := nextVersion(ctx, tx, room) // first: it makes the look below and the insert one step
	if err != nil {
		return m, false, err
	}
	have, ok, err := one(ctx, tx, `room = ? AND author = ? AND key = ?`, room, m.author, m.Key)
	if err != nil {
		return m, false, err
	}
	if ok {
		// The version stays unused: a gap that no cursor minds.
		return have, false, nil
	}
	m.ID, m.version = v, v
	if _, err := tx.ExecContext(ctx, `INSERT INTO chat_message (room, id, version, key, author, name, text, sent, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		room, m.ID, m.version, m.Key, m.author, m.Name, m.Text, m.Sent.UnixMilli(), posted); err != nil {
		return m, false, err
	}
	if v%16 != 0 { // counting a thousand rows each time would be most of the work
		return m, true, nil
	}
	return m, true, purge(ctx, tx, room, keep)
}

// purge removes a room's oldest messages once it has a tenth more than it may
// keep, and notes the highest version that went: cursors from before are reset.
func purge(ctx context.Context, tx *store.Tx, room string, keep int) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM chat_message WHERE room = ?`, room).Scan(&n); err != nil {
		return err
	}
	if n <= keep+keep/10 {
		return nil
	}
	var upTo int64
	if err := tx.QueryRowContext(ctx, `SELECT id FROM chat_message WHERE room = ? ORDER BY id LIMIT 1 OFFSET ?`, room, n-keep-1).Scan(&upTo); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE chat_room SET floor = (SELECT MAX(version) FROM chat_message WHERE room = ? AND id <= ?) WHERE name = ?`, room, upTo, room); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM chat_message WHERE room = ? AND id <= ?`, room, upTo)
	return err
}

// change edits a message, or deletes it when the text is empty.
func change(ctx context.Context, tx *store.Tx, room string, id int64, author string, owner bool, text string) (Message, error) {
	v, err := nextVersion(ctx, tx, room)
	if err != nil {
		return Message{}, err
	}
	m, ok, err := one(ctx, tx, `room = ? AND id = ?`, room, id)
	switch {
	case err != nil:
		return m, err
	case !ok || m.Deleted:
		return m, errMessage
	case m.author != author && (!owner || text != ""):
		return m, errNotMine
	}
	state := edited
	if text == "" {
		state = deleted
	}
	m.Text, m.Edited, m.Deleted, m.version = text, state == edited, state == deleted, v
	_, err = tx.ExecContext(ctx, `UPDATE chat_message SET text = ?, state = ?, version = ? WHERE room = ? AND id = ?`, text, state, v, room, id)
	return m, err
}

// cursor is a place in a room's log. Clients pass it back as it came.
type cursor struct {
	room, epoch string
	version     int64
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.room + " " + c.epoch + " " + strconv.FormatInt(c.version, 10)))
}

func parseCursor(s string) (cursor, error) {
	var c cursor
	var version string
	var ok bool
	b, err := base64.RawURLEncoding.DecodeString(s[:min(len(s), 201)])
	if err == nil && len(s) <= 200 {
		c.room, version, ok = strings.Cut(string(b), " ")
		c.epoch, version, _ = strings.Cut(version, " ")
	}
	if c.version, err = strconv.ParseInt(version, 10, 64); !ok || err != nil || c.version < 0 || !roomName.MatchString(c.room) {
		return cursor{}, &Failure{400, "the cursor is not one of ours", "register anew: GET /json/chat/ROOM"}
	}
	return c, nil
}

// Renew gives every room a new epoch: for a transaction that has put another log into
// the database, of which no browser's cursor knows.
func Renew(ctx context.Context, tx *store.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT name FROM chat_room`)
	if err != nil {
		return fmt.Errorf("listing the rooms: %w", err)
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			rows.Close()
			return fmt.Errorf("listing the rooms: %w", err)
		}
		names = append(names, name)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("listing the rooms: %w", err)
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, `UPDATE chat_room SET epoch = ? WHERE name = ?`, rand.Text()[:8], name); err != nil {
			return fmt.Errorf("beginning a new epoch of %s: %w", name, err)
		}
	}
	return nil
}
