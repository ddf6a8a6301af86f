package quotes

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/sierpi/sierpi/daemon/store"
)

// Reindex makes anew what is derived from the quotes: the index, the words and the facets
// with their counts. It is for a transaction that has put other quotes into the
// database. progress may be nil.
func Reindex(ctx context.Context, tx *store.Tx, progress func(done int64)) error {
	if err := tx.Lock(ctx, "quotes"); err != nil {
		return err
	}
	ix := index(sqliteIndex{})
	empty := []string{`INSERT INTO quote_fts (quote_fts) VALUES ('delete-all')`, `INSERT INTO quote_word_fts (quote_word_fts) VALUES ('delete-all')`}
	if tx.Engine() == store.PostgreSQL {
		ix = postgresIndex{}
		empty = []string{`UPDATE quote SET tokens = NULL WHERE tokens IS NOT NULL`}
	}
	// Another revision than any before: a page must not be taken for one that had the number.
	empty = append(empty, `DELETE FROM quote_word`, `DELETE FROM quote_facet`, `DELETE FROM quote_state`,
		fmt.Sprintf(`INSERT INTO quote_state VALUES (1, %d, 0)`, rand.Int64N(1<<40)))
	for _, q := range empty {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("emptying the index of the quotes: %w", err)
		}
	}
	c := newChanges()
	c.any = true
	var done, last int64
	for {
		quotes, err := allStored(tx.QueryContext(ctx, `SELECT `+storedColumns+` FROM quote q WHERE q.id > ? ORDER BY q.id LIMIT ?`, last, batch))
		if err != nil {
			return fmt.Errorf("indexing the quotes: %w", err)
		}
		if len(quotes) == 0 {
			break
		}
		next := quotes[len(quotes)-1].ID
		tags, err := tagsBetween(ctx, tx, last, next)
		if err != nil {
			return fmt.Errorf("indexing the quotes: %w", err)
		}
		for _, q := range quotes {
			if q.Hidden {
				continue
			}
			d := documentOf(q, tags[q.ID])
			c.count(q, tags[q.ID], d, 1)
			if err := ix.first(ctx, tx, q.ID, d); err != nil {
				return fmt.Errorf("indexing quote %d: %w", q.ID, err)
			}
		}
		last = next
		done += int64(len(quotes))
		if progress != nil {
			progress(done)
		}
	}
	return c.write(ctx, tx, ix)
}

// tagsBetween are the tags of the quotes after one number and up to another.
func tagsBetween(ctx context.Context, tx *store.Tx, after, last int64) (map[int64][]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT tag, quote FROM quote_tag WHERE quote > ? AND quote <= ? ORDER BY quote, tag`, after, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tags := map[int64][]string{}
	for rows.Next() {
		var tag string
		var id int64
		if err := rows.Scan(&tag, &id); err != nil {
			return nil, err
		}
		tags[id] = append(tags[id], tag)
	}
	return tags, rows.Err()
}
