package chat

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// linger is how long a name stays in a room after its last poll ended: between
// two polls nobody has gone.
const linger = 15 * time.Second

// maxNames bounds the names that a room remembers and tells.
const maxNames = 100

// visitor is a name in a room.
type visitor struct {
	polls int       // open now
	seen  time.Time // when the last one ended; monotonic
}

// enter and leave keep the list of who is here.
func (r *room) enter(name string) {
	if name == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.here[name]
	v.polls++
	r.here[name] = v
}

func (r *room) leave(name string) {
	if name == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.here[name]
	v.polls--
	v.seen = time.Now()
	r.here[name] = v
	if v.polls == 0 && len(r.here) > maxNames {
		delete(r.here, name)
	}
}

// present is the names of those who are here, at most 100.
func (r *room) present() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := r.mine()
	for _, n := range r.others {
		if _, ok := r.here[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxNames)]
}

// mine is the names of those who wait at this daemon. mu is held.
func (r *room) mine() []string {
	now := time.Now()
	maps.DeleteFunc(r.here, func(_ string, v visitor) bool { return v.polls == 0 && now.Sub(v.seen) > linger })
	return slices.Sorted(maps.Keys(r.here))
}

// presence is what this daemon told the others last, and when.
type presence struct {
	told map[string][]string // names by room
	at   time.Time
}

// tell exchanges with the other daemons on the same PostgreSQL who is where. What a
// daemon told counts for half a minute: one that was killed takes its names along.
func (s *Service) tell(ctx context.Context, last *presence) error {
	s.mu.Lock()
	rooms := slices.Collect(maps.Values(s.rooms))
	s.mu.Unlock()
	now := map[string][]string{}
	for _, r := range rooms {
		r.mu.Lock()
		if names := r.mine(); len(names) > 0 {
			now[r.name] = names[:min(len(names), maxNames)]
		}
		r.mu.Unlock()
	}
	if !maps.EqualFunc(now, last.told, slices.Equal) || len(now) > 0 && time.Since(last.at) > 10*time.Second {
		if err := s.db.Update(ctx, func(tx *store.Tx) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM chat_presence WHERE daemon = ? OR seen < now() - interval '1 hour'`, s.id); err != nil {
				return err
			}
			for room, names := range now {
				if _, err := tx.ExecContext(ctx, `INSERT INTO chat_presence (daemon, room, name, seen) SELECT ?, ?, n, now() FROM unnest(?::text[]) AS n`, s.id, room, names); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		*last = presence{now, time.Now()}
	}
	others := map[string][]string{}
	if err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT DISTINCT room, name FROM chat_presence WHERE daemon <> ? AND seen > now() - interval '30 seconds' ORDER BY room, name`, s.id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var room, name string
			if err := rows.Scan(&room, &name); err != nil {
				return err
			}
			if len(others[room]) < maxNames {
				others[room] = append(others[room], name)
			}
		}
		return rows.Err()
	}); err != nil {
		return err
	}
	for _, r := range rooms {
		r.mu.Lock()
		r.others = others[r.name]
		r.mu.Unlock()
	}
	return nil
}
