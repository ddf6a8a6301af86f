package quotes

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/sierpi/sierpi/daemon/store"
)

// document is what the index keeps of a quote.
type document struct {
	text, author, source []token
	facets               []string
}

func documentOf(q stored, tags []string) document {
	d := document{text: tokens(q.Text), author: tokens(q.Author), source: tokens(q.Source)}
	for _, f := range facetsOf(q, tags) {
		d.facets = append(d.facets, facetToken(f.kind, f.key))
	}
	d.facets = append(d.facets, facetToken(facetLength, string(lengthOf(q.Text))))
	return d
}

// words is every word of a document, once.
func (d document) words() map[string]bool {
	set := map[string]bool{}
	for _, field := range [][]token{d.text, d.author, d.source} {
		for _, t := range field {
			set[t.word] = true
		}
	}
	return set
}

func joined(ts []token) string {
	var b strings.Builder
	for i, t := range ts {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.word)
	}
	return b.String()
}

// facet is an author, source or tag that a search can be narrowed to.
type facet struct {
	kind      byte
	key, name string
}

func facetsOf(q stored, tags []string) []facet {
	var out []facet
	add := func(kind byte, name string) {
		f := facet{kind, fold(name), name}
		if f.key == "" {
			return
		}
		for _, have := range out {
			if have.kind == f.kind && have.key == f.key {
				return
			}
		}
		out = append(out, f)
	}
	add(facetAuthor, q.Author)
	add(facetSource, q.Source)
	add(facetSource, q.Origin)
	for _, t := range tags {
		add(facetTag, t)
	}
	return out
}

// expr is what the index is asked for: every clause, and every facet.
type expr struct {
	clauses []clause
	facets  []string
}

// clause is fulfilled by any of its alternatives, each a run of adjacent words.
type clause []run

// run is adjacent words, the last of which may go on where open is set.
type run struct {
	words []string
	open  bool
}

// index is what differs between the engines.
type index interface {
	// insert stores a new quote with its document; an id of 0 is assigned.
	insert(ctx context.Context, tx *store.Tx, q stored, d document) (int64, error)
	// insertAll stores quotes under their ids, with a document each.
	insertAll(ctx context.Context, tx *store.Tx, qs []stored, ds []document) error
	// first indexes a quote that is stored and not indexed.
	first(ctx context.Context, tx *store.Tx, id int64, d document) error
	// replace indexes a quote anew; nil removes it from the index.
	replace(ctx context.Context, tx *store.Tx, id int64, d *document) error
	// addWords changes in how many quotes words stand.
	addWords(ctx context.Context, tx *store.Tx, delta map[string]int) error
	// addFacets changes how many quotes facets have; all are keys of delta.
	addFacets(ctx context.Context, tx *store.Tx, facets []facet, delta map[facet]int) error
	// settle makes searching quick after many quotes came in. Each step is committed, and
	// step called after it; it may be broken off anywhere.
	settle(ctx context.Context, db *store.DB, step func()) error
	// match returns at most limit ids, the highest first.
	match(ctx context.Context, tx *store.Tx, e expr, limit int) ([]int64, error)
	// containing returns at most limit words with this substring of at least 3
	// characters, and near words that may be one slip away, to be checked.
	containing(ctx context.Context, tx *store.Tx, part string, limit int) ([]string, error)
	near(ctx context.Context, tx *store.Tx, word string, limit int) ([]string, error)
}

func indexOf(db *store.DB) index {
	if db.Engine() == store.PostgreSQL {
		return postgresIndex{}
	}
	return sqliteIndex{}
}

// trigrams are all runs of three characters of a word.
func trigrams(word string) []string {
	rs := []rune(word)
	var out []string
	for i := 0; i+3 <= len(rs); i++ {
		out = append(out, string(rs[i:i+3]))
	}
	return out
}

// deletions are a word and what is left of it when one letter is dropped. Two
// words that share one are at most one inserted, dropped, changed or swapped
// letter apart, or two of certain kinds, which near's caller sorts out.
func deletions(word string) []string {
	rs := []rune(word)
	if len(rs) < 4 || len(rs) > 24 || rs[0] >= '0' && rs[0] <= '9' {
		return nil
	}
	out := []string{word}
	for i := range rs {
		if i > 0 && rs[i] == rs[i-1] {
			continue
		}
		out = append(out, string(rs[:i])+string(rs[i+1:]))
	}
	return out
}

type sqliteIndex struct{}

func (ix sqliteIndex) insert(ctx context.Context, tx *store.Tx, q stored, d document) (int64, error) {
	var id any
	if q.ID != 0 {
		id = q.ID
	}
	// Not RETURNING: it needs a savepoint, at which FTS5 writes out all it has
	// gathered, and importing takes three times as long.
	res, err := tx.ExecContext(ctx, `INSERT INTO quote (id, key, hidden, words, added, author, source, origin, text)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, q.key, q.Hidden, len(d.text), q.Added.UnixMilli(), q.Author, q.Source, q.Origin, q.Text)
	if err != nil {
		return 0, err
	}
	if q.ID, err = res.LastInsertId(); err != nil || q.Hidden {
		return q.ID, err
	}
	return q.ID, ix.first(ctx, tx, q.ID, d)
}

func (ix sqliteIndex) insertAll(ctx context.Context, tx *store.Tx, qs []stored, ds []document) error {
	for i, q := range qs {
		if _, err := ix.insert(ctx, tx, q, ds[i]); err != nil {
			return err
		}
	}
	return nil
}

func (sqliteIndex) first(ctx context.Context, tx *store.Tx, id int64, d document) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO quote_fts (rowid, text, author, source, facet) VALUES (?, ?, ?, ?, ?)`,
		id, joined(d.text), joined(d.author), joined(d.source), strings.Join(d.facets, " "))
	return err
}

func (ix sqliteIndex) replace(ctx context.Context, tx *store.Tx, id int64, d *document) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM quote_fts WHERE rowid = ?`, id); err != nil || d == nil {
		return err
	}
	return ix.first(ctx, tx, id, *d)
}

func (sqliteIndex) addWords(ctx context.Context, tx *store.Tx, delta map[string]int) error {
	update, err := tx.PrepareContext(ctx, `UPDATE quote_word SET n = n + ? WHERE word = ?`)
	if err != nil {
		return err
	}
	defer update.Close()
	insert, err := tx.PrepareContext(ctx, `INSERT INTO quote_word (word, n) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	keys, err := tx.PrepareContext(ctx, `INSERT INTO quote_word_fts (rowid, keys) VALUES (?, ?)`)
	if err != nil {
		return err
	}
	defer keys.Close()
	for _, word := range sorted(delta) {
		res, err := update.ExecContext(ctx, delta[word], word)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			if err != nil {
				return err
			}
			continue
		}
		if res, err = insert.ExecContext(ctx, word, delta[word]); err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		var b strings.Builder
		for _, g := range trigrams(word) {
			b.WriteString(" 3" + g)
		}
		for _, d := range deletions(word) {
			b.WriteString(" 1" + d)
		}
		if b.Len() > 0 {
			if _, err := keys.ExecContext(ctx, id, b.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (sqliteIndex) addFacets(ctx context.Context, tx *store.Tx, facets []facet, delta map[facet]int) error {
	add, err := tx.PrepareContext(ctx, `INSERT INTO quote_facet (kind, key, name, n) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET n = quote_facet.n + excluded.n`)
	if err != nil {
		return err
	}
	defer add.Close()
	for _, f := range facets {
		if _, err := add.ExecContext(ctx, string(f.kind), f.key, f.name, delta[f]); err != nil {
			return err
		}
	}
	return nil
}

// settle merges what each commit left as a part of its own: a search looks each word up in
// every part, and takes half the time when there is one.
func (sqliteIndex) settle(ctx context.Context, db *store.DB, step func()) error {
	const pages = 500 // 2 MB: others who write wait no longer than for a batch of quotes
	for _, table := range []string{"quote_fts", "quote_word_fts"} {
		for n := -pages; ; n = pages { // negative the first time: all parts, not only those of one size
			var before, after int64
			if err := db.Update(ctx, func(tx *store.Tx) error {
				if err := tx.QueryRowContext(ctx, `SELECT total_changes()`).Scan(&before); err != nil {
					return err
				}
				if _, err := tx.ExecContext(ctx, `INSERT INTO `+table+` (`+table+`, rank) VALUES ('merge', ?)`, n); err != nil {
					return err
				}
				return tx.QueryRowContext(ctx, `SELECT total_changes()`).Scan(&after)
			}); err != nil {
				return fmt.Errorf("merging the index %s: %w", table, err)
			}
			if step(); after-before < 2 { // FTS5's sign that nothing was left to do
				break
			}
		}
	}
	return nil
}

// matchString writes an expression in FTS5's language. Every word is one of ours,
// letters and digits only, and quoted: nothing a user types can be syntax.
func (e expr) matchString() string {
	var b strings.Builder
	if len(e.clauses) > 0 {
		b.WriteString("{text author source} : (")
		for i, c := range e.clauses {
			if i > 0 {
				b.WriteString(" AND ")
			}
			b.WriteByte('(')
			for j, run := range c {
				if j > 0 {
					b.WriteString(" OR ")
				}
				b.WriteString(`"` + strings.Join(run.words, " ") + `"`)
				if run.open {
					b.WriteByte('*')
				}
			}
			b.WriteByte(')')
		}
		b.WriteByte(')')
	}
	for i, f := range e.facets {
		if i > 0 || len(e.clauses) > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`facet : "` + f + `"`)
	}
	return b.String()
}

func (sqliteIndex) match(ctx context.Context, tx *store.Tx, e expr, limit int) ([]int64, error) {
	return scanAll[int64](tx.QueryContext(ctx, `SELECT rowid FROM quote_fts WHERE quote_fts MATCH ? ORDER BY rowid DESC LIMIT ?`, e.matchString(), limit))
}

func (sqliteIndex) containing(ctx context.Context, tx *store.Tx, part string, limit int) ([]string, error) {
	var keys []string
	for _, g := range trigrams(part) {
		keys = append(keys, `"3`+g+`"`)
	}
	return scanAll[string](tx.QueryContext(ctx, `SELECT word FROM quote_word_fts JOIN quote_word w ON w.id = quote_word_fts.rowid
		WHERE quote_word_fts MATCH ? AND w.n > 0 AND instr(w.word, ?) > 0 ORDER BY w.n DESC, w.word LIMIT ?`,
		strings.Join(keys, " AND "), part, limit))
}

func (sqliteIndex) near(ctx context.Context, tx *store.Tx, word string, limit int) ([]string, error) {
	var keys []string
	for _, d := range deletions(word) {
		keys = append(keys, `"1`+d+`"`)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return scanAll[string](tx.QueryContext(ctx, `SELECT word FROM quote_word_fts JOIN quote_word w ON w.id = quote_word_fts.rowid
		WHERE quote_word_fts MATCH ? AND w.n > 0 ORDER BY w.n DESC, w.word LIMIT ?`, strings.Join(keys, " OR "), limit))
}

type postgresIndex struct{}

// postgresFacet is a facet's lexeme. No word begins so, and a query needs no weights
// to tell them apart: the index does not hold weights, and each hit would have to be
// looked at again in the table.
func postgresFacet(f string) string { return "#" + f }

// Beside its words and facets a document has lexemes that no user can ask for, because
// PostgreSQL's index knows neither positions nor an order:
//
//   - Each pair of neighbours stands for itself, or a phrase of common words would be looked
//     for in every document that has them all. 65,536 lexemes serve all pairs: what the index
//     names too much is compared in the table.
//   - The ages are the ranges of numbers that the quote's falls in, one of each size: a search
//     that wants the newest does not fetch all that ever fitted.
//
// The migration 0011 writes the same ones.
func pairLexeme(a, b string) string {
	sum := sha256.Sum256([]byte(a + " " + b))
	return "+" + hex.EncodeToString(sum[:2])
}

// ages are the sizes of the ranges, as powers of two. Where a word is in half of all quotes a
// small one holds enough; a million are eight large ones.
var ages = [...]uint{17, 13, fineAge}

const fineAge = 10

func ageLexeme(size uint, n int64) string {
	return "@" + strconv.Itoa(int(size)) + "." + strconv.FormatInt(n, 10)
}

// agesOf are the lexemes of the numbers from low up to high, each of which begins a fine range.
func agesOf(low, high int64) []string {
	var out []string
	for low < high {
		for _, size := range ages {
			if low&(1<<size-1) == 0 && (low+1<<size <= high || size == fineAge) {
				out = append(out, ageLexeme(size, low>>size))
				low += 1 << size
				break
			}
		}
	}
	return out
}

// tsvector writes the document of a quote in PostgreSQL's notation. A gap between the
// fields keeps phrases from reaching from one into the next.
func (d document) tsvector(id int64) string {
	var b strings.Builder
	bare := map[string]bool{}
	for _, size := range ages {
		bare[ageLexeme(size, id>>size)] = true
	}
	pos := 0
	put := func(word string, weight byte) {
		// PostgreSQL keeps no position beyond 16383: later words share the last.
		pos = min(pos+1, 16383)
		b.WriteString("'" + word + "':" + strconv.Itoa(pos))
		b.WriteByte(weight)
		b.WriteByte(' ')
	}
	for i, field := range [][]token{d.text, d.author, d.source} {
		for j, t := range field {
			put(t.word, "ABC"[i])
			if j > 0 {
				bare[pairLexeme(field[j-1].word, t.word)] = true
			}
		}
		pos += 100
	}
	for _, f := range d.facets {
		put(postgresFacet(f), 'D')
	}
	for l := range bare {
		b.WriteString("'" + l + "' ")
	}
	return b.String()
}

func (postgresIndex) insert(ctx context.Context, tx *store.Tx, q stored, d document) (int64, error) {
	if q.ID == 0 {
		if err := tx.QueryRowContext(ctx, `SELECT nextval(pg_get_serial_sequence('quote', 'id'))`).Scan(&q.ID); err != nil {
			return 0, err
		}
	}
	var vector any
	if !q.Hidden {
		vector = d.tsvector(q.ID)
	}
	hidden := 0
	if q.Hidden {
		hidden = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quote (id, key, hidden, words, added, author, source, origin, text, tokens)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?::text::tsvector)`,
		q.ID, q.key, hidden, len(d.text), q.Added.UnixMilli(), q.Author, q.Source, q.Origin, q.Text, vector)
	return q.ID, err
}

// insertAll takes one round trip: a row each would take a thousand.
func (postgresIndex) insertAll(ctx context.Context, tx *store.Tx, qs []stored, ds []document) error {
	n := len(qs)
	ids, hidden, words, added := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	keys := make([][]byte, n)
	authors, sources, origins, texts, vectors := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, q := range qs {
		ids[i], keys[i], words[i], added[i] = q.ID, q.key, int64(len(ds[i].text)), q.Added.UnixMilli()
		authors[i], sources[i], origins[i], texts[i] = q.Author, q.Source, q.Origin, q.Text
		if q.Hidden {
			hidden[i] = 1
		} else {
			vectors[i] = ds[i].tsvector(q.ID)
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quote (id, key, hidden, words, added, author, source, origin, text, tokens)
		SELECT id, key, hidden, words, added, author, source, origin, text, CASE hidden WHEN 0 THEN v::tsvector END
		FROM unnest(?::bigint[], ?::bytea[], ?::integer[], ?::integer[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[])
			AS u (id, key, hidden, words, added, author, source, origin, text, v)`,
		ids, keys, hidden, words, added, authors, sources, origins, texts, vectors)
	return err
}

func (ix postgresIndex) first(ctx context.Context, tx *store.Tx, id int64, d document) error {
	return ix.replace(ctx, tx, id, &d)
}

func (postgresIndex) replace(ctx context.Context, tx *store.Tx, id int64, d *document) error {
	var vector any
	if d != nil {
		vector = d.tsvector(id)
	}
	_, err := tx.ExecContext(ctx, `UPDATE quote SET tokens = ?::text::tsvector WHERE id = ?`, vector, id)
	return err
}

func (postgresIndex) addWords(ctx context.Context, tx *store.Tx, delta map[string]int) error {
	words := sorted(delta) // in one order everywhere, or two importers could wait for each other for ever
	counts := make([]int64, len(words))
	keys := make([]string, len(words))
	for i, w := range words {
		counts[i] = int64(delta[w])
		var ks []string
		for _, d := range deletions(w) {
			ks = append(ks, "1"+d)
		}
		keys[i] = strings.Join(ks, " ")
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quote_word (word, n, keys)
		SELECT w, n, CASE k WHEN '' THEN '{}' ELSE string_to_array(k, ' ') END FROM unnest(?::text[], ?::bigint[], ?::text[]) AS u (w, n, k)
		ON CONFLICT (word) DO UPDATE SET n = quote_word.n + excluded.n`, words, counts, keys)
	return err
}

// addFacets takes one round trip. Two spellings of a name are one facet, which a statement
// may change but once: the first spelling stays, as on SQLite.
func (postgresIndex) addFacets(ctx context.Context, tx *store.Tx, facets []facet, delta map[facet]int) error {
	var kinds, keys, names []string
	var counts []int64
	for i, f := range facets { // sorted: equal ones stand together
		if i > 0 && f.kind == facets[i-1].kind && f.key == facets[i-1].key {
			counts[len(counts)-1] += int64(delta[f])
			continue
		}
		kinds, keys, names, counts = append(kinds, string(f.kind)), append(keys, f.key), append(names, f.name), append(counts, int64(delta[f]))
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quote_facet (kind, key, name, n)
		SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::bigint[])
		ON CONFLICT (kind, key) DO UPDATE SET n = quote_facet.n + excluded.n`, kinds, keys, names, counts)
	return err
}

// settle does what autovacuum does some time later: until then each search goes through all
// that came last, and the planner knows the tables empty.
func (postgresIndex) settle(ctx context.Context, db *store.DB, step func()) error {
	for _, q := range []string{
		`SELECT gin_clean_pending_list('quote_tokens'), gin_clean_pending_list('quote_word_trgm'), gin_clean_pending_list('quote_word_keys')`,
		`ANALYZE quote, quote_word, quote_facet, quote_tag`,
	} {
		if err := db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, q)
			return err
		}); err != nil {
			return fmt.Errorf("settling the index: %w", err)
		}
		step()
	}
	return nil
}

// tsquery writes an expression in PostgreSQL's notation.
func (e expr) tsquery() string {
	var all []string
	for _, c := range e.clauses {
		var any []string
		for _, run := range c {
			words := make([]string, len(run.words))
			pairs := ""
			for i, w := range run.words {
				words[i] = "'" + w + "'"
				if i > 0 && (i < len(words)-1 || !run.open) {
					pairs += "'" + pairLexeme(run.words[i-1], w) + "' & "
				}
			}
			if run.open {
				words[len(words)-1] += ":*"
			}
			any = append(any, "("+pairs+"("+strings.Join(words, " <-> ")+"))")
		}
		all = append(all, "("+strings.Join(any, " | ")+")")
	}
	for _, f := range e.facets {
		all = append(all, "'"+postgresFacet(f)+"'")
	}
	return strings.Join(all, " & ")
}

// Each goes the way it is made for: PostgreSQL knows neither how many quotes have a word that
// begins so, nor what looking into a document costs. OFFSET 0 keeps it from walking down from
// the newest quote, CASE from the index.
const (
	matching      = `SELECT id FROM (SELECT id FROM quote WHERE tokens @@ ?::text::tsquery OFFSET 0) AS found ORDER BY id DESC LIMIT ?`
	matchingOfAge = `SELECT id FROM (SELECT id FROM quote WHERE tokens @@ ?::text::tsquery AND tokens @@ ?::text::tsquery OFFSET 0) AS found ORDER BY id DESC LIMIT ?`
	walkingDown   = `SELECT id FROM quote WHERE CASE WHEN id > 0 THEN tokens @@ ?::text::tsquery END ORDER BY id DESC LIMIT ?`
)

// What a quote costs PostgreSQL, in microseconds with a million of them: one that has a word
// that begins so, all of which the index gathers first whatever else is asked for; and one on
// the way down from the newest.
const (
	gatheredCost = 0.2
	passedCost   = 2
)

// match asks for the newest quotes first: for a range of numbers that should hold all that
// are wanted, and then for larger ones before it. All that fit, each of which lies somewhere
// else in the table, are fetched at once only where they are few.
func (postgresIndex) match(ctx context.Context, tx *store.Tx, e expr, limit int) ([]int64, error) {
	fit, begun, visible, err := expected(ctx, tx, e)
	if err != nil || visible == 0 {
		return nil, err
	}
	query, want := e.tsquery(), 1.3*float64(limit)
	if gatheredCost*begun*fit > passedCost*float64(limit)*visible {
		return scanAll[int64](tx.QueryContext(ctx, walkingDown, query, limit))
	}
	if fit < 2*want {
		return scanAll[int64](tx.QueryContext(ctx, matching, query, limit))
	}
	var high int64
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(max(id), 0) FROM quote`).Scan(&high); err != nil {
		return nil, err
	}
	high = high>>fineAge<<fineAge + 1<<fineAge
	var out []int64
	for size := float64(high) * want / fit; high > 0; {
		low := max(0, high-max(int64(size), 1<<fineAge)) >> fineAge << fineAge
		ids, err := scanAll[int64](tx.QueryContext(ctx, matchingOfAge, query, "'"+strings.Join(agesOf(low, high), "' | '")+"'", limit-len(out)))
		if err != nil {
			return nil, err
		}
		if out = append(out, ids...); len(out) == limit {
			break
		}
		// What is still wanted, as dense as it was here.
		size = float64(high - low)
		size *= min(16, max(4, 1.3*float64(limit-len(out))/float64(max(len(ids), 1))))
		high = low
	}
	return out, nil
}

// expected is about how many quotes fit an expression, as if its words stood
// independently of each other, how many have a word that begins as one that is left open, and
// how many there are.
func expected(ctx context.Context, tx *store.Tx, e expr) (fit, begun, visible float64, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT visible FROM quote_state`).Scan(&visible); err != nil || visible == 0 {
		return 0, 0, visible, err
	}
	var words []string
	for _, c := range e.clauses {
		for _, run := range c {
			words = append(words, run.words...)
		}
	}
	have := map[string]float64{}
	rows, err := tx.QueryContext(ctx, `SELECT word, n FROM quote_word WHERE word = ANY(?::text[])`, words)
	if err != nil {
		return 0, 0, visible, err
	}
	defer rows.Close()
	for rows.Next() {
		var word string
		var n float64
		if err := rows.Scan(&word, &n); err != nil {
			return 0, 0, visible, err
		}
		have[word] = n
	}
	if err := rows.Err(); err != nil {
		return 0, 0, visible, err
	}
	fit = visible
	for _, c := range e.clauses {
		var share float64
		for _, run := range c {
			all := 1.0 // the words of a run must all be there
			for i, w := range run.words {
				n := have[w]
				if run.open && i == len(run.words)-1 {
					if err := tx.QueryRowContext(ctx, `SELECT COALESCE(sum(n), 0) FROM quote_word WHERE word >= ? AND word < ?`, w, w+"\U0010FFFF").Scan(&n); err != nil {
						return 0, 0, visible, err
					}
					begun += n
				}
				all *= min(1, n/visible)
			}
			share += all
		}
		fit *= min(1, share)
	}
	for range e.facets {
		fit /= 10 // a guess; a filter that few pass must not walk
	}
	return fit, begun, visible, nil
}

func (postgresIndex) containing(ctx context.Context, tx *store.Tx, part string, limit int) ([]string, error) {
	// Letters and digits only: there is no % or _ to escape.
	return scanAll[string](tx.QueryContext(ctx, `SELECT word FROM quote_word WHERE word LIKE ? AND n > 0 ORDER BY n DESC, word LIMIT ?`, "%"+part+"%", limit))
}

func (postgresIndex) near(ctx context.Context, tx *store.Tx, word string, limit int) ([]string, error) {
	var keys []string
	for _, d := range deletions(word) {
		keys = append(keys, "1"+d)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return scanAll[string](tx.QueryContext(ctx, `SELECT word FROM quote_word WHERE keys && ?::text[] AND n > 0 ORDER BY n DESC, word LIMIT ?`, keys, limit))
}

// scanAll collects the one column of a query.
func scanAll[T any](rows *sql.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// oneOf is the condition that a column is one of ids, at least one, and its arguments. On
// PostgreSQL it is one argument: each length of a list would be a statement to prepare.
func oneOf(tx *store.Tx, ids []int64) (condition string, args []any) {
	if tx.Engine() == store.PostgreSQL {
		return `= ANY(?::bigint[])`, []any{ids}
	}
	for _, id := range ids {
		args = append(args, id)
	}
	return `IN (` + marks(len(ids)) + `)`, args
}

// marks is n question marks for an IN list.
func marks(n int) string {
	if n == 0 {
		panic(fmt.Sprintf("quotes: an IN list of %d", n))
	}
	return strings.Repeat("?, ", n-1) + "?"
}
