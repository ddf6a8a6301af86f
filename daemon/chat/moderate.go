package chat

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// Author is who writes.
type Author struct {
	Token string       // of his cookie
	From  netip.Prefix // network he writes from (web.ClientKey); the zero value where it is not known
	Owner bool
}

func (a Author) id() string { return authorOf(a.Token) }

func (a Author) address() string {
	if !a.From.IsValid() {
		return ""
	}
	return a.From.String()
}

// maxSilenced bounds how many may be silenced.
const maxSilenced = 1000

var errSilenced = &Failure{403, "the owner of this machine does not let you speak here", "ask the owner"}

// maxAddresses bounds for how many authors it is remembered from where they wrote.
const maxAddresses = 4096

// remember keeps in memory from where an author wrote last: silencing him reaches
// him there under another cookie too. Nothing of it is stored unless he is silenced.
func (s *Service) remember(by Author) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.from[by.id()]; !ok && len(s.from) >= maxAddresses {
		for old := range s.from { // any: maps begin at random
			delete(s.from, old)
			break
		}
	}
	s.from[by.id()] = by.address()
}

// maySpeak fails for who is silenced.
func maySpeak(ctx context.Context, tx *store.Tx, by Author) error {
	if by.Owner {
		return nil
	}
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM chat_silence WHERE author = ? OR address <> '' AND address = ?`, by.id(), by.address()).Scan(&n)
	if err == nil && n > 0 {
		return errSilenced
	}
	return err
}

// Silenced is somebody whom the owner does not let speak.
type Silenced struct {
	Author string // as it stands in the database, to lift it by
	Name   string
	Since  time.Time // by the machine's clock
}

// Silence keeps the author of a message from writing, under his cookie and from the
// network he wrote from last, until Unsilence; his messages go too where all is set.
func (s *Service) Silence(ctx context.Context, name string, id int64, all bool) error {
	var changed []string
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		changed = nil
		m, ok, err := one(ctx, tx, `room = ? AND id = ?`, name, id)
		if err != nil {
			return err
		}
		if !ok {
			return errMessage
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM chat_silence`).Scan(&n); err != nil {
			return err
		}
		if n >= maxSilenced {
			return &Failure{409, fmt.Sprintf("%d are silenced already", n), "let somebody speak again first"}
		}
		s.mu.Lock()
		address := s.from[m.author]
		s.mu.Unlock()
		if _, err := tx.ExecContext(ctx, `INSERT INTO chat_silence (author, name, address, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (author) DO UPDATE SET name = excluded.name, address = excluded.address`, m.author, m.Name, address, s.now().UnixMilli()); err != nil {
			return err
		}
		if !all {
			return nil
		}
		rooms, err := readRooms(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range rooms {
			ms, err := scanMessages(tx.QueryContext(ctx, `SELECT `+messageColumns+` FROM chat_message WHERE room = ? AND author = ? AND state <> ? ORDER BY id`, r.name, m.author, deleted))
			if err != nil {
				return err
			}
			for _, m := range ms {
				if _, err := change(ctx, tx, r.name, m.ID, "", true, ""); err != nil {
					return err
				}
			}
			if len(ms) > 0 {
				changed = append(changed, r.name)
				if err := tx.Notify(ctx, channel, r.name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("silencing the author of message %d in the room %.40q: %w", id, name, err)
	}
	for _, room := range changed {
		if r := s.known(room); r != nil {
			s.refresh(context.WithoutCancel(ctx), r)
		}
	}
	return nil
}

// Unsilence lets somebody speak again.
func (s *Service) Unsilence(ctx context.Context, author string) error {
	if err := s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM chat_silence WHERE author = ?`, author)
		return err
	}); err != nil {
		return fmt.Errorf("letting somebody speak again: %w", err)
	}
	return nil
}

// silenced lists whom the owner does not let speak, the latest first.
func silenced(ctx context.Context, tx *store.Tx) ([]Silenced, error) {
	rows, err := tx.QueryContext(ctx, `SELECT author, name, since FROM chat_silence ORDER BY since DESC, author`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Silenced
	for rows.Next() {
		var one Silenced
		var since int64
		if err := rows.Scan(&one.Author, &one.Name, &since); err != nil {
			return nil, err
		}
		one.Since = time.UnixMilli(since).UTC()
		out = append(out, one)
	}
	return out, rows.Err()
}
