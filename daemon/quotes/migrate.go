package quotes

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sierpi/sierpi/daemon/store"
)

// MigrateTo copies all quotes, hidden ones, tags and provenance too, into another
// database under the same ids. Broken off, it goes on where it stopped when it is
// run again. The daemon should be stopped: changes made meanwhile are noticed and
// reported, not carried over. done and total count quotes; progress may be nil.
func (s *Service) MigrateTo(ctx context.Context, to *Service, progress func(done, total int64)) (copied int, err error) {
	fail := func(err error) (int, error) {
		return copied, fmt.Errorf("copying quotes from %s to %s: %w", s.db, to.db, err)
	}
	before, _, err := s.state(ctx)
	if err != nil {
		return fail(err)
	}
	var total int64
	if total, err = s.rows(ctx); err != nil {
		return fail(err)
	}
	last, err := to.lastCopied(ctx, s)
	if err != nil {
		return fail(err)
	}
	done, err := to.rows(ctx)
	if err != nil {
		return fail(err)
	}
	for {
		n, next, err := s.copyBatch(ctx, to, last)
		if err != nil {
			return fail(err)
		}
		copied, last = copied+n, next
		if progress != nil {
			progress(done+int64(copied), total)
		}
		if n == 0 {
			break
		}
	}
	if to.db.Engine() == store.PostgreSQL {
		// The ids were given: let the sequence go on after them.
		if err := to.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, `SELECT setval(pg_get_serial_sequence('quote', 'id'), GREATEST((SELECT COALESCE(MAX(id), 1) FROM quote), 1))`)
			return err
		}); err != nil {
			return fail(err)
		}
	}
	if copied > 0 {
		if err := to.index.settle(ctx, to.db, func() {
			if progress != nil {
				progress(done+int64(copied), total)
			}
		}); err != nil {
			return fail(err)
		}
	}
	after, _, err := s.state(ctx)
	if err != nil {
		return fail(err)
	}
	if after != before {
		return fail(errors.New("the quotes were changed meanwhile; stop the daemon, empty the new database and run it again"))
	}
	if have, err := to.rows(ctx); err != nil || have != total {
		return fail(errors.Join(err, fmt.Errorf("%d of %d quotes are in the new database; empty it and run it again", have, total)))
	}
	return copied, nil
}

// rows is the number of quotes, hidden ones included.
func (s *Service) rows(ctx context.Context) (n int64, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM quote`).Scan(&n)
	})
	return n, err
}

// lastCopied is the highest id of a copy that was begun, after a check that it is
// one: its last quote must be the one that stands there in from.
func (s *Service) lastCopied(ctx context.Context, from *Service) (id int64, err error) {
	last := func(db *store.DB, where string, args ...any) (q []stored, err error) {
		err = db.View(ctx, func(tx *store.Tx) error {
			q, err = allStored(tx.QueryContext(ctx, `SELECT `+storedColumns+` FROM quote q `+where+` ORDER BY q.id DESC LIMIT 1`, args...))
			return err
		})
		return q, err
	}
	here, err := last(s.db, "")
	if err != nil || len(here) == 0 {
		return 0, err
	}
	there, err := last(from.db, "WHERE q.id = ?", here[0].ID)
	if err != nil {
		return 0, err
	}
	if len(there) == 0 || !bytes.Equal(there[0].key, here[0].key) {
		return 0, errors.New("the new database holds other quotes already; name an empty one")
	}
	return here[0].ID, nil
}

// copyBatch copies the quotes after an id, a thousand at most, in one transaction.
func (s *Service) copyBatch(ctx context.Context, to *Service, after int64) (n int, last int64, err error) {
	type also struct {
		quote, added                 int64
		hash                         []byte
		author, source, origin, text string
	}
	var quotes []stored
	var aliases []also
	var tags map[int64][]string
	err = s.db.View(ctx, func(tx *store.Tx) error {
		if quotes, err = allStored(tx.QueryContext(ctx, `SELECT `+storedColumns+` FROM quote q WHERE q.id > ? ORDER BY q.id LIMIT ?`, after, batch)); err != nil || len(quotes) == 0 {
			return err
		}
		last = quotes[len(quotes)-1].ID
		if tags, err = tagsBetween(ctx, tx, after, last); err != nil {
			return err
		}
		more, err := tx.QueryContext(ctx, `SELECT quote, hash, author, source, origin, text, added FROM quote_also WHERE quote > ? AND quote <= ?`, after, last)
		if err != nil {
			return err
		}
		defer more.Close()
		for more.Next() {
			var a also
			if err := more.Scan(&a.quote, &a.hash, &a.author, &a.source, &a.origin, &a.text, &a.added); err != nil {
				return err
			}
			aliases = append(aliases, a)
		}
		return more.Err()
	})
	if err != nil || len(quotes) == 0 {
		return 0, after, err
	}
	err = to.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, "quotes"); err != nil {
			return err
		}
		c := newChanges()
		c.any = true
		documents := make([]document, len(quotes))
		for i, q := range quotes {
			documents[i] = documentOf(q, tags[q.ID])
			if !q.Hidden {
				c.count(q, tags[q.ID], documents[i], 1)
			}
		}
		if err := to.index.insertAll(ctx, tx, quotes, documents); err != nil {
			return err
		}
		for id, ts := range tags {
			for _, t := range ts {
				if _, err := tx.ExecContext(ctx, `INSERT INTO quote_tag (tag, quote) VALUES (?, ?)`, t, id); err != nil {
					return err
				}
			}
		}
		for _, a := range aliases {
			if _, err := tx.ExecContext(ctx, `INSERT INTO quote_also (quote, hash, author, source, origin, text, added) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				a.quote, a.hash, a.author, a.source, a.origin, a.text, a.added); err != nil {
				return err
			}
		}
		return c.write(ctx, tx, to.index)
	})
	if err != nil {
		return 0, after, err
	}
	return len(quotes), last, nil
}
