package quotes

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

// maxFiltered is among how many of a filter's newest matches random chooses.
const maxFiltered = 20_000

// Walk is a place in a random order of all quotes. The same seed gives the same
// order as long as the number of quotes stays below the same power of two; quotes
// that come in meanwhile are woven in, removed ones are passed over.
type Walk struct {
	Seed string
	Bits uint   // the order covers ids below 2^Bits; 0: as many as there are now
	Pos  uint64 // how many places have been passed
}

// Random returns up to count quotes of a walk and where it goes on. Within one
// walk no quote comes twice; fewer than count means that all have been visited.
func (s *Service) Random(ctx context.Context, w Walk, f Filter, count int) ([]Quote, Walk, error) {
	var out []Quote
	err := s.db.View(ctx, func(tx *store.Tx) error {
		highest, visible, err := extent(ctx, tx)
		if err != nil || visible == 0 {
			return err
		}
		if w.Bits == 0 || w.Bits > 62 {
			w.Bits = bitsFor(highest)
		}
		p := newPermutation(w.Seed, w.Bits)
		if facets := f.facets(); len(facets) > 0 {
			out, w.Pos, err = s.walkFiltered(ctx, tx, p, w.Pos, facets, count)
		} else {
			out, w.Pos, err = walk(ctx, tx, p, w.Pos, highest, count)
		}
		return err
	})
	if err != nil {
		return nil, w, fmt.Errorf("choosing quotes: %w", err)
	}
	return out, w, nil
}

// extent is the highest id and the number of visible quotes.
func extent(ctx context.Context, tx *store.Tx) (highest int64, visible int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT (SELECT COALESCE(MAX(id), 0) FROM quote), visible FROM quote_state`).Scan(&highest, &visible)
	return highest, visible, err
}

// walk visits the ids in the permutation's order. What it costs depends on how
// many ids of the range are in use (at least about half, unless many quotes are
// hidden), not on how many there are.
func walk(ctx context.Context, tx *store.Tx, p *permutation, pos uint64, highest int64, count int) ([]Quote, uint64, error) {
	var out []Quote
	for step := 2*count + 8; pos < p.size(); step = min(2*step, 1000) {
		var ids []int64
		at := map[int64]uint64{}
		next := min(pos+uint64(step), p.size())
		for ; pos < next; pos++ {
			if id := int64(p.at(pos)); id >= 1 && id <= highest {
				ids = append(ids, id)
				at[id] = pos
			}
		}
		qs, err := byID(ctx, tx, ids)
		if err != nil {
			return nil, pos, err
		}
		slices.SortFunc(qs, func(a, b stored) int { return cmp.Compare(at[a.ID], at[b.ID]) })
		for _, q := range qs {
			if q.Hidden {
				continue
			}
			out = append(out, q.Quote)
			if len(out) == count {
				return out, at[q.ID] + 1, nil
			}
		}
	}
	return out, pos, nil
}

// walkFiltered visits the matches of a filter in the permutation's order.
func (s *Service) walkFiltered(ctx context.Context, tx *store.Tx, p *permutation, pos uint64, facets []string, count int) ([]Quote, uint64, error) {
	ids, err := s.index.match(ctx, tx, expr{facets: facets}, maxFiltered)
	if err != nil {
		return nil, pos, err
	}
	type place struct {
		id  int64
		pos uint64
	}
	var places []place
	for _, id := range ids {
		if uint64(id) < p.size() {
			if at := p.position(uint64(id)); at >= pos {
				places = append(places, place{id, at})
			}
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.pos, b.pos) })
	if len(places) <= count {
		pos = p.size()
	} else {
		pos = places[count-1].pos + 1
		places = places[:count]
	}
	chosen := make([]int64, len(places))
	for i, pl := range places {
		chosen[i] = pl.id
	}
	hits, err := hitsOf(ctx, tx, chosen)
	if err != nil {
		return nil, pos, err
	}
	out := make([]Quote, len(hits))
	for i, h := range hits {
		out[i] = h.Quote
	}
	return out, pos, nil
}

// Latest returns up to count quotes that pass the filter, the newest first.
func (s *Service) Latest(ctx context.Context, f Filter, count int) ([]Quote, error) {
	page, err := s.browse(ctx, Query{Filter: f}, count)
	return page.quotes(), err
}

// Alias is one more wording, attribution or origin of a quote.
type Alias struct {
	Text, Author, Source, Origin string // Text is "" where it is the quote's own
	Added                        time.Time
}

// Full is a quote with everything that is known of it.
type Full struct {
	Quote
	Origin string
	Tags   []string
	Hidden bool
	Also   []Alias
}

// Get returns a quote, a hidden one too, or ErrUnknown.
func (s *Service) Get(ctx context.Context, id int64) (Full, error) {
	var out Full
	err := s.db.View(ctx, func(tx *store.Tx) error {
		q, err := scanStored(tx.QueryRowContext(ctx, `SELECT `+storedColumns+` FROM quote q WHERE q.id = ?`, id))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		out = Full{Quote: q.Quote, Origin: q.Origin, Hidden: q.Hidden}
		if out.Tags, err = tagsOf(ctx, tx, id); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT text, author, source, origin, added FROM quote_also WHERE quote = ? ORDER BY added, hash LIMIT 100`, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Alias
			var when int64
			if err := rows.Scan(&a.Text, &a.Author, &a.Source, &a.Origin, &when); err != nil {
				return err
			}
			a.Added = time.UnixMilli(when).UTC()
			out.Also = append(out.Also, a)
		}
		return rows.Err()
	})
	if err != nil && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("reading quote %d: %w", id, err)
	}
	return out, err
}

// OfTheHour is the quote of an hour for the wall's card: short enough to be read
// from a distance, the same on every screen. False while there is none. It keeps
// the hour's quote in memory and asks the database at most once a minute.
func (s *Service) OfTheHour(now time.Time) (Quote, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hour := now.UTC().Format("2006-01-02 15")
	if s.hour == hour && now.Sub(s.hourAt).Abs() < time.Minute {
		return s.hourly, s.hourly.ID != 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	q, err := s.chosen(ctx, "hour "+hour, 240, 6)
	if err != nil {
		s.log.Warn("no quote for the wall", "error", err)
		return s.hourly, s.hourly.ID != 0
	}
	q.Text = shown(q.Text) // the wall breaks lines where it must
	s.hour, s.hourAt, s.hourly = hour, now, q
	return q, q.ID != 0
}

// OfTheDay is the quote of a day, by UTC; false while there is none.
func (s *Service) OfTheDay(ctx context.Context, now time.Time) (Quote, bool, error) {
	q, err := s.chosen(ctx, "day "+now.UTC().Format(time.DateOnly), 600, 14)
	return q, q.ID != 0, err
}

// chosen is the first quote of a seed's walk that has at most so many bytes and
// lines; where none of the first hundreds has, the shortest of them.
func (s *Service) chosen(ctx context.Context, seed string, size, lines int) (Quote, error) {
	var best Quote
	w := Walk{Seed: seed}
	for range 4 {
		qs, next, err := s.Random(ctx, w, Filter{}, 64)
		if err != nil {
			return Quote{}, err
		}
		for _, q := range qs {
			if len(q.Text) <= size && countLines(q.Text) <= lines && !isSet(q.Text) { // a drawing is none for a wall
				return q, nil
			}
			if best.ID == 0 || len(q.Text) < len(best.Text) {
				best = q
			}
		}
		if len(qs) < 64 {
			break
		}
		w = next
	}
	return best, nil
}

func countLines(s string) int {
	n := 1
	for i := range len(s) {
		if s[i] == '\n' {
			n++
		}
	}
	return n
}

// freshSeed is a seed nobody can guess.
func freshSeed() string { return rand.Text()[:16] }
