package quotes

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sierpi/sierpi/daemon/store"
)

// Class says how well a quote fits a query, the best first.
type Class int

// The classes of relevance.
const (
	PhraseMatch    Class = iota // the words as one phrase
	WordMatch                   // all the words
	BeginningMatch              // all the words, the last one begun
	PartMatch                   // words that contain what was typed
	NearMatch                   // words one slip of the fingers away
)

func (c Class) String() string {
	return [...]string{"phrase", "words", "beginning", "part", "near"}[c]
}

// Filter narrows a search. Names are compared folded; "" and zero mean any.
type Filter struct {
	Author, Source, Tag string
	Length              Length
}

func (f Filter) facets() []string {
	var out []string
	add := func(kind byte, folded string) {
		if folded != "" {
			out = append(out, facetToken(kind, folded))
		}
	}
	add(facetAuthor, fold(f.Author))
	add(facetSource, fold(f.Source))
	add(facetTag, fold(f.Tag))
	add(facetLength, string(f.Length))
	return out
}

// Query is what is looked for. Without words, the newest come first.
type Query struct {
	Words  string // words and "phrases"; anything else in it is passed over
	Filter Filter
	Limit  int    // quotes a page, 1 to 200; 0 means 20
	Cursor string // Page.Next of the page before
}

// Hit is a found quote.
type Hit struct {
	Quote
	Tags  []string
	Class Class
	Marks [][2]int // the bytes of Text that matched, in order
}

// Page is a part of the result.
type Page struct {
	Hits  []Hit
	Total int    // candidates that were ranked
	More  bool   // there are more than Total
	Next  string // the cursor of the next page; "" on the last
}

// The bounds of the work that one query may cause.
const (
	maxWords      = 8
	maxCandidates = 500 // a class
	maxForms      = 64  // forms of a word that are tried
	maxPage       = 200
)

// term is one word or phrase of a query.
type term struct {
	words  []string
	quoted bool
}

// parseQuery takes the words and "phrases" out of whatever was typed. last says
// that the last word may go on: nothing follows it.
func parseQuery(s string) (terms []term, last bool) {
	s = s[:min(len(s), 1000)]
	for i, part := range strings.Split(s, `"`) {
		ts := tokens(part)
		if i%2 == 1 {
			if words := wordsOf(ts); len(words) > 0 {
				terms = append(terms, term{words, true})
			}
			last = false
			continue
		}
		// What is typed without a space between, as in well-known, stands so in the text.
		for j := 0; j < len(ts); {
			k := j + 1
			for k < len(ts) && !strings.ContainsAny(part[ts[k-1].end:ts[k].start], " \t\r\n\u00a0\u3000") {
				k++
			}
			terms = append(terms, term{words: wordsOf(ts[j:k])})
			j = k
			last = true
		}
	}
	n := 0
	for i, t := range terms {
		if n += len(t.words); n > maxWords {
			return terms[:max(1, i)], false
		}
	}
	return terms, last
}

func wordsOf(ts []token) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.word
	}
	return out
}

// candidate is a found quote before ranking.
type candidate struct {
	id    int64
	class Class
	words int
}

// found gathers candidates, class by class.
type found struct {
	tx     *store.Tx
	ix     index
	facets []string
	all    []candidate
	seen   map[int64]bool
	marks  map[string]bool // words to highlight
	open   string          // and words that begin so; "" for none
	more   bool
}

func (f *found) class(ctx context.Context, class Class, clauses []clause) error {
	ids, err := f.ix.match(ctx, f.tx, expr{clauses, f.facets}, maxCandidates+1)
	if err != nil {
		return err
	}
	if len(ids) > maxCandidates {
		ids, f.more = ids[:maxCandidates], true
	}
	for _, id := range ids {
		if !f.seen[id] {
			f.seen[id] = true
			f.all = append(f.all, candidate{id: id, class: class})
		}
	}
	for _, c := range clauses {
		for _, r := range c {
			for _, w := range r.words {
				f.marks[w] = true
			}
			if r.open {
				f.open = r.words[len(r.words)-1]
			}
		}
	}
	return nil
}

// Search finds quotes. No query is a mistake: what cannot be understood finds nothing.
func (s *Service) Search(ctx context.Context, q Query) (Page, error) {
	limit := min(cmp.Or(max(q.Limit, 0), 20), maxPage)
	terms, last := parseQuery(q.Words)
	if len(terms) == 0 && strings.TrimSpace(q.Words) != "" {
		return Page{}, nil
	}
	if len(terms) == 0 {
		return s.browse(ctx, q, limit)
	}
	from, err := decodeOffset(q.Cursor)
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = s.db.View(ctx, func(tx *store.Tx) error {
		f := &found{tx: tx, ix: s.index, facets: q.Filter.facets(), seen: map[int64]bool{}, marks: map[string]bool{}}
		if err := f.search(ctx, terms, last); err != nil {
			return err
		}
		if err := f.rank(ctx); err != nil {
			return err
		}
		page.Total, page.More = len(f.all), f.more
		offset := int(min(from, int64(len(f.all))))
		part := f.all[offset:min(offset+limit, len(f.all))]
		if offset+limit < len(f.all) {
			page.Next = encodeOffset(int64(offset + limit))
		}
		ids := make([]int64, len(part))
		for i, c := range part {
			ids[i] = c.id
		}
		hits, err := hitsOf(ctx, tx, ids)
		if err != nil {
			return err
		}
		for i, h := range hits {
			h.Class = part[i].class
			for _, t := range tokens(h.Text) {
				if f.marks[t.word] || f.open != "" && strings.HasPrefix(t.word, f.open) {
					h.Marks = append(h.Marks, [2]int{t.start, t.end})
				}
			}
			page.Hits = append(page.Hits, h)
		}
		return nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("searching quotes: %w", err)
	}
	return page, nil
}

// search goes through the classes, the later and dearer ones only while the
// earlier ones did not find enough to fill a page.
func (f *found) search(ctx context.Context, terms []term, last bool) error {
	var phrase []string
	exact := make([]clause, len(terms))
	for i, t := range terms {
		exact[i] = clause{{words: t.words}}
		phrase = append(phrase, t.words...)
	}
	if len(terms) > 1 {
		if err := f.class(ctx, PhraseMatch, []clause{{{words: phrase}}}); err != nil {
			return err
		}
	}
	if err := f.class(ctx, WordMatch, exact); err != nil {
		return err
	}
	end := terms[len(terms)-1].words
	if last && utf8.RuneCountInString(end[len(end)-1]) >= 2 {
		open := slices.Clone(exact)
		open[len(open)-1] = clause{{end, true}}
		if err := f.class(ctx, BeginningMatch, open); err != nil {
			return err
		}
	}
	const enough = 20
	if len(f.all) < enough {
		if err := f.loosely(ctx, PartMatch, terms, func(w string) ([]string, error) {
			if utf8.RuneCountInString(w) < 3 {
				return nil, nil
			}
			return f.ix.containing(ctx, f.tx, w, maxForms)
		}); err != nil {
			return err
		}
	}
	if len(f.all) < enough {
		return f.loosely(ctx, NearMatch, terms, func(w string) ([]string, error) {
			ws, err := f.ix.near(ctx, f.tx, w, 4*maxForms)
			return slices.DeleteFunc(ws, func(v string) bool { return !oneSlip(w, v) }), err
		})
	}
	return nil
}

// loosely searches with more forms of each word; a word keeps its exact form too.
// Where no word has another form there is nothing new to find.
func (f *found) loosely(ctx context.Context, class Class, terms []term, forms func(string) ([]string, error)) error {
	var clauses []clause
	wider := false
	for _, t := range terms {
		if t.quoted || len(t.words) > 1 {
			clauses = append(clauses, clause{{words: t.words}})
			continue
		}
		c := clause{{words: t.words}}
		ws, err := forms(t.words[0])
		if err != nil {
			return err
		}
		for _, w := range ws {
			if w != t.words[0] {
				c = append(c, run{words: []string{w}})
				wider = true
			}
		}
		clauses = append(clauses, c)
	}
	if !wider {
		return nil
	}
	return f.class(ctx, class, clauses)
}

// oneSlip says whether two words are one inserted, dropped or changed letter, or
// two swapped neighbours, apart.
func oneSlip(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	switch len(y) - len(x) {
	case 0:
		return i == len(x) || slices.Equal(x[i+1:], y[i+1:]) ||
			i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && slices.Equal(x[i+2:], y[i+2:])
	case 1:
		return slices.Equal(x[i:], y[i+1:])
	}
	return false
}

// rank orders the candidates: by class, then the shorter first, then the newer.
func (f *found) rank(ctx context.Context) error {
	at := make(map[int64]int, len(f.all))
	for i, c := range f.all {
		at[c.id] = i
	}
	for part := range slices.Chunk(f.all, 500) {
		ids := make([]int64, len(part))
		for i, c := range part {
			ids[i] = c.id
		}
		among, args := oneOf(f.tx, ids)
		rows, err := f.tx.QueryContext(ctx, `SELECT id, words FROM quote WHERE id `+among, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id int64
			var words int
			if err := rows.Scan(&id, &words); err != nil {
				rows.Close()
				return err
			}
			f.all[at[id]].words = words
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
	}
	slices.SortFunc(f.all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.words, b.words), cmp.Compare(b.id, a.id))
	})
	return nil
}

// browse lists the newest quotes that pass a filter.
func (s *Service) browse(ctx context.Context, q Query, limit int) (Page, error) {
	before, err := decodeOffset(q.Cursor)
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = s.db.View(ctx, func(tx *store.Tx) error {
		var ids []int64
		var err error
		if facets := q.Filter.facets(); len(facets) > 0 {
			// The filter may leave many: walk down from the newest, as far as is ranked at all.
			ids, err = s.index.match(ctx, tx, expr{facets: facets}, maxCandidates+1)
			if err != nil {
				return err
			}
			page.More = len(ids) > maxCandidates
			ids = ids[:min(len(ids), maxCandidates)]
			page.Total = len(ids)
			from := int(min(before, int64(len(ids))))
			if from+limit < len(ids) {
				page.Next = encodeOffset(int64(from + limit))
			}
			ids = ids[from:min(from+limit, len(ids))]
		} else {
			if err := tx.QueryRowContext(ctx, `SELECT visible FROM quote_state`).Scan(&page.Total); err != nil {
				return err
			}
			below := before
			if below == 0 {
				below = 1<<63 - 1
			}
			ids, err = scanAll[int64](tx.QueryContext(ctx, `SELECT id FROM quote WHERE id < ? AND hidden = 0 ORDER BY id DESC LIMIT ?`, below, limit+1))
			if err != nil {
				return err
			}
			if len(ids) > limit {
				ids = ids[:limit]
				page.Next = encodeOffset(ids[limit-1])
			}
		}
		page.Hits, err = hitsOf(ctx, tx, ids)
		for i := range page.Hits {
			page.Hits[i].Class = WordMatch
		}
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing quotes: %w", err)
	}
	return page, nil
}

// hidden lists hidden quotes, the newest first.
func (s *Service) hidden(ctx context.Context, cursor string) (Page, error) {
	below, err := decodeOffset(cursor)
	if err != nil {
		return Page{}, err
	}
	if below == 0 {
		below = 1<<63 - 1
	}
	const limit = 50
	var page Page
	err = s.db.View(ctx, func(tx *store.Tx) error {
		ids, err := scanAll[int64](tx.QueryContext(ctx, `SELECT id FROM quote WHERE id < ? AND hidden <> 0 ORDER BY id DESC LIMIT ?`, below, limit+1))
		if err != nil {
			return err
		}
		if len(ids) > limit {
			ids = ids[:limit]
			page.Next = encodeOffset(ids[limit-1])
		}
		page.Hits, err = hitsOf(ctx, tx, ids)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing hidden quotes: %w", err)
	}
	return page, nil
}

// hitsOf reads quotes with their tags, in the order of ids.
func hitsOf(ctx context.Context, tx *store.Tx, ids []int64) ([]Hit, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	qs, err := byID(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	at := make(map[int64]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	hits := make([]Hit, len(ids))
	for _, q := range qs {
		hits[at[q.ID]].Quote = q.Quote
	}
	among, args := oneOf(tx, ids)
	rows, err := tx.QueryContext(ctx, `SELECT quote, tag FROM quote_tag WHERE quote `+among+` ORDER BY quote, tag`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var tag string
		if err := rows.Scan(&id, &tag); err != nil {
			return nil, err
		}
		hits[at[id]].Tags = append(hits[at[id]].Tags, tag)
	}
	return hits, rows.Err()
}

// BadRequest is a mistake of the asking side, in words for people.
type BadRequest struct{ What, Remedy string }

func (b *BadRequest) Error() string { return b.What + "; " + b.Remedy }

var badCursor = &BadRequest{"the cursor is not one of ours", `leave "cursor" out to begin at the first page`}

func encodeOffset(n int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(n, 10)))
}

func decodeOffset(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, badCursor
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return 0, badCursor
	}
	return n, nil
}
