package quotes

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// stored is a quote with what the API does not show.
type stored struct {
	Quote
	Origin string
	Hidden bool
	key    []byte
}

const storedColumns = `q.id, q.key, q.hidden, q.added, q.author, q.source, q.origin, q.text`

func scanStored(rows interface{ Scan(...any) error }) (stored, error) {
	var q stored
	var hidden, added int64
	err := rows.Scan(&q.ID, &q.key, &hidden, &added, &q.Author, &q.Source, &q.Origin, &q.Text)
	q.Hidden, q.Added = hidden != 0, time.UnixMilli(added).UTC()
	return q, err
}

func allStored(rows *sql.Rows, err error) ([]stored, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []stored
	for rows.Next() {
		q, err := scanStored(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, rows.Err()
}

// byID reads quotes, hidden ones too, in no particular order.
func byID(ctx context.Context, tx *store.Tx, ids []int64) ([]stored, error) {
	var out []stored
	for part := range slices.Chunk(ids, 1000) {
		among, args := oneOf(tx, part)
		qs, err := allStored(tx.QueryContext(ctx, `SELECT `+storedColumns+` FROM quote q WHERE q.id `+among, args...))
		if err != nil {
			return nil, err
		}
		out = append(out, qs...)
	}
	return out, nil
}

func tagsOf(ctx context.Context, tx *store.Tx, id int64) ([]string, error) {
	return scanAll[string](tx.QueryContext(ctx, `SELECT tag FROM quote_tag WHERE quote = ? ORDER BY tag`, id))
}

// changes gathers what a transaction does to the counts, to be written once at its end.
type changes struct {
	words   map[string]int
	facets  map[facet]int
	visible int
	any     bool
}

func newChanges() *changes {
	return &changes{words: map[string]int{}, facets: map[facet]int{}}
}

// count adds a visible quote to the counts, or takes it away with by = -1.
func (c *changes) count(q stored, tags []string, d document, by int) {
	c.any = true
	c.visible += by
	for w := range d.words() {
		c.words[w] += by
	}
	for _, f := range facetsOf(q, tags) {
		c.facets[f] += by
	}
}

func (c *changes) write(ctx context.Context, tx *store.Tx, ix index) error {
	if !c.any {
		return nil
	}
	maps.DeleteFunc(c.words, func(_ string, n int) bool { return n == 0 })
	if err := ix.addWords(ctx, tx, c.words); err != nil {
		return fmt.Errorf("counting words: %w", err)
	}
	maps.DeleteFunc(c.facets, func(_ facet, n int) bool { return n == 0 })
	facets := slices.SortedFunc(maps.Keys(c.facets), func(a, b facet) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key), cmp.Compare(a.name, b.name))
	})
	if err := ix.addFacets(ctx, tx, facets, c.facets); err != nil {
		return fmt.Errorf("counting authors, sources and tags: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE quote_state SET revision = revision + 1, visible = visible + ?`, c.visible); err != nil {
		return fmt.Errorf("counting quotes: %w", err)
	}
	return nil
}

func sorted(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// outcome is what became of one item.
type outcome int

const (
	added  outcome = iota // a new quote
	merged                // another wording or attribution of one that is there
	known                 // there already, exactly so
)

// add stores items, each already clean, in one transaction and says what became of each.
func (s *Service) add(ctx context.Context, items []Item, origin string) ([]outcome, error) {
	out := make([]outcome, len(items))
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, "quotes"); err != nil { // the look-up and the insert below must not interleave with another's
			return err
		}
		have, err := s.byKey(ctx, tx, items)
		if err != nil {
			return err
		}
		c := newChanges()
		for i, it := range items {
			k := string(key(it.Text))
			q, ok := have[k]
			if !ok {
				q = &stored{Quote: Quote{Text: it.Text, Author: it.Author, Source: it.Source, Added: it.Added}, Origin: origin, key: []byte(k)}
				if q.Source == "" {
					q.Source = origin
				}
				if err := s.insert(ctx, tx, q, it.Tags, c); err != nil {
					return err
				}
				have[k] = q
				out[i] = added
				continue
			}
			if out[i], err = s.merge(ctx, tx, q, it, origin, c); err != nil {
				return err
			}
		}
		return c.write(ctx, tx, s.index)
	})
	return out, err
}

// prune removes the oldest visible quotes of an origin beyond the newest kept. What the
// owner has hidden stays: it would come back. It returns how many went.
func (s *Service) prune(ctx context.Context, origin string, kept int) (gone int, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, "quotes"); err != nil {
			return err
		}
		ids, err := scanAll[int64](tx.QueryContext(ctx, `SELECT id FROM quote WHERE origin = ? AND hidden = 0 ORDER BY id DESC LIMIT ? OFFSET ?`, origin, maxCollected, kept))
		if err != nil || len(ids) == 0 {
			return err
		}
		qs, err := byID(ctx, tx, ids)
		if err != nil {
			return err
		}
		c := newChanges()
		for _, q := range qs {
			tags, err := tagsOf(ctx, tx, q.ID)
			if err != nil {
				return err
			}
			c.count(q, tags, documentOf(q, tags), -1)
			if err := s.index.replace(ctx, tx, q.ID, nil); err != nil {
				return fmt.Errorf("taking quote %d out of the index: %w", q.ID, err)
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM quote WHERE id = ?`, q.ID); err != nil {
				return fmt.Errorf("removing quote %d: %w", q.ID, err)
			}
		}
		gone = len(qs)
		return c.write(ctx, tx, s.index)
	})
	if err != nil {
		return 0, fmt.Errorf("removing the oldest quotes of %s: %w", origin, err)
	}
	return gone, nil
}

// Add stores one quote and returns its number, or that of the quote that it is a
// wording or attribution of. origin is where it came by.
func (s *Service) Add(ctx context.Context, it Item, origin string) (id int64, err error) {
	it, why := it.clean()
	if why != "" {
		return 0, &Refused{"the quote cannot be added: it is " + why}
	}
	if _, err := s.add(ctx, []Item{it}, origin); err != nil {
		return 0, fmt.Errorf("adding a quote: %w", err)
	}
	s.forget()
	err = s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT id FROM quote WHERE key = ?`, key(it.Text)).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("finding the quote that was added: %w", err)
	}
	return id, nil
}

// byKey looks up which of the items are there already.
func (s *Service) byKey(ctx context.Context, tx *store.Tx, items []Item) (map[string]*stored, error) {
	have := map[string]*stored{}
	keys := make([]any, len(items))
	for i, it := range items {
		keys[i] = key(it.Text)
	}
	if len(keys) == 0 {
		return have, nil
	}
	qs, err := allStored(tx.QueryContext(ctx, `SELECT `+storedColumns+` FROM quote q WHERE q.key IN (`+marks(len(keys))+`)`, keys...))
	if err != nil {
		return nil, fmt.Errorf("looking for duplicates: %w", err)
	}
	for _, q := range qs {
		have[string(q.key)] = &q
	}
	return have, nil
}

func (s *Service) insert(ctx context.Context, tx *store.Tx, q *stored, tags []string, c *changes) error {
	if q.Added.IsZero() {
		q.Added = time.Now().UTC()
	}
	d := documentOf(*q, tags)
	id, err := s.index.insert(ctx, tx, *q, d)
	if err != nil {
		return fmt.Errorf("storing a quote: %w", err)
	}
	q.ID = id
	for _, t := range tags {
		if _, err := tx.ExecContext(ctx, `INSERT INTO quote_tag (tag, quote) VALUES (?, ?)`, t, id); err != nil {
			return fmt.Errorf("storing a tag: %w", err)
		}
	}
	if !q.Hidden {
		c.count(*q, tags, d, 1)
	}
	return nil
}

// merge keeps what an item says that its quote does not: another wording,
// attribution or origin. An author or a source nobody named yet is taken over.
func (s *Service) merge(ctx context.Context, tx *store.Tx, q *stored, it Item, origin string, c *changes) (outcome, error) {
	sameText := it.Text == q.Text
	sameAuthor := it.Author == "" || fold(it.Author) == fold(q.Author)
	sameSource := it.Source == "" || fold(it.Source) == fold(q.Source)
	if sameText && sameAuthor && sameSource && origin == q.Origin {
		return known, nil
	}
	wording := it.Text
	if sameText {
		wording = ""
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{wording, it.Author, it.Source, origin}, "\x00")))
	when := it.Added
	if when.IsZero() {
		when = time.Now()
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO quote_also (quote, hash, author, source, origin, text, added) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (quote, hash) DO NOTHING`, q.ID, sum[:16], it.Author, it.Source, origin, wording, when.UnixMilli())
	if err != nil {
		return known, fmt.Errorf("keeping the provenance of quote %d: %w", q.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return known, err
	}
	better := *q
	if q.Author == "" {
		better.Author = it.Author
	}
	if it.Source != "" && (q.Source == "" || q.Source == q.Origin) { // so far only the collection's name
		better.Source = it.Source
	}
	if better.Author != q.Author || better.Source != q.Source {
		tags, err := tagsOf(ctx, tx, q.ID)
		if err != nil {
			return known, err
		}
		if err := s.rewrite(ctx, tx, *q, tags, better, tags, c); err != nil {
			return known, err
		}
		*q = better
	}
	c.any = true
	if sameText && sameAuthor && sameSource {
		return known, nil // only its origin was news
	}
	return merged, nil
}

// rewrite replaces a quote by another version of itself, with its index and counts.
func (s *Service) rewrite(ctx context.Context, tx *store.Tx, was stored, wasTags []string, is stored, tags []string, c *changes) error {
	c.any = true
	if !was.Hidden {
		c.count(was, wasTags, documentOf(was, wasTags), -1)
	}
	d := documentOf(is, tags)
	hidden := 0
	if is.Hidden {
		hidden = 1
	} else {
		c.count(is, tags, d, 1)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE quote SET key = ?, hidden = ?, words = ?, author = ?, source = ?, text = ? WHERE id = ?`,
		is.key, hidden, len(d.text), is.Author, is.Source, is.Text, is.ID); err != nil {
		return fmt.Errorf("changing quote %d: %w", is.ID, err)
	}
	if !slices.Equal(wasTags, tags) {
		if _, err := tx.ExecContext(ctx, `DELETE FROM quote_tag WHERE quote = ?`, is.ID); err != nil {
			return fmt.Errorf("changing the tags of quote %d: %w", is.ID, err)
		}
		for _, t := range tags {
			if _, err := tx.ExecContext(ctx, `INSERT INTO quote_tag (tag, quote) VALUES (?, ?)`, t, is.ID); err != nil {
				return fmt.Errorf("changing the tags of quote %d: %w", is.ID, err)
			}
		}
	}
	doc := &d
	if is.Hidden {
		doc = nil
	}
	if err := s.index.replace(ctx, tx, is.ID, doc); err != nil {
		return fmt.Errorf("indexing quote %d: %w", is.ID, err)
	}
	return nil
}

// ErrUnknown is the answer for a quote that is not there, or is hidden.
var ErrUnknown = errors.New("there is no such quote")

// Refused is why an edit was not made, for people.
type Refused struct{ Why string }

func (r *Refused) Error() string { return r.Why }

// Edit changes a quote. A new text must not be another quote's.
func (s *Service) Edit(ctx context.Context, id int64, it Item) error {
	it, why := it.clean()
	if why != "" {
		return &Refused{"the quote cannot be changed so: " + why}
	}
	slices.Sort(it.Tags)
	return s.change(ctx, id, func(tx *store.Tx, q *stored, tags []string) ([]string, error) {
		if k := key(it.Text); !bytes.Equal(k, q.key) {
			var other int64
			err := tx.QueryRowContext(ctx, `SELECT id FROM quote WHERE key = ?`, k).Scan(&other)
			if err == nil {
				return nil, &Refused{fmt.Sprintf("quote %d has this text already", other)}
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return nil, err
			}
			q.key = k
		}
		q.Text, q.Author, q.Source = it.Text, it.Author, it.Source
		return it.Tags, nil
	})
}

// Hide takes a quote out of every page and answer, or brings it back. It stays
// known, so that no import brings it in again.
func (s *Service) Hide(ctx context.Context, id int64, hidden bool) error {
	return s.change(ctx, id, func(_ *store.Tx, q *stored, tags []string) ([]string, error) {
		q.Hidden = hidden
		return tags, nil
	})
}

func (s *Service) change(ctx context.Context, id int64, f func(*store.Tx, *stored, []string) ([]string, error)) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, "quotes"); err != nil {
			return err
		}
		qs, err := byID(ctx, tx, []int64{id})
		if err != nil {
			return err
		}
		if len(qs) == 0 {
			return ErrUnknown
		}
		tags, err := tagsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		is := qs[0]
		newTags, err := f(tx, &is, tags)
		if err != nil {
			return err
		}
		c := newChanges()
		if err := s.rewrite(ctx, tx, qs[0], tags, is, newTags, c); err != nil {
			return err
		}
		return c.write(ctx, tx, s.index)
	})
	if err == nil {
		s.forget()
	}
	return err
}
