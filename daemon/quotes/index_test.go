package quotes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
)

// scattered stores n quotes of few words, so that all ways of looking them up are gone, under
// numbers as far apart as those of hundreds of thousands.
func scattered(t *testing.T, s *Service, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	var quotes []stored
	var documents []document
	c := newChanges()
	for i := range n {
		id := int64(i)*300 + r.Int64N(300) + 1
		var text []string
		for len(text) < 12 {
			// The first of them are the most frequent by far.
			text = append(text, fmt.Sprintf("word%d", int(60*r.Float64()*r.Float64()*r.Float64())))
		}
		if i%7 == 0 && i < n/4 { // a phrase that only old ones have, of words that all have
			text = append(text, "word1", "word0", "word1", "word0", "word2")
		}
		q := stored{Quote: Quote{ID: id, Text: strings.Join(text, " "), Author: fmt.Sprintf("Author %d", r.IntN(3)), Source: "The words 0"}, key: fmt.Appendf(nil, "%016d", i)}
		d := documentOf(q, nil)
		quotes, documents = append(quotes, q), append(documents, d)
		c.count(q, nil, d, 1)
	}
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := s.index.insertAll(t.Context(), tx, quotes, documents); err != nil {
			return err
		}
		return c.write(t.Context(), tx, s.index)
	}); err != nil {
		t.Fatal(err)
	}
}

// TestMatchAlike holds the engines against each other where PostgreSQL does not fetch all
// that fits at once.
func TestMatchAlike(t *testing.T) {
	lite := service(t, store.Options{Dir: t.TempDir()})
	pg := service(t, store.Options{DSN: storetest.Postgres(t).Database(t)})
	const n = 2000
	for _, s := range []*Service{lite, pg} {
		scattered(t, s, n)
	}
	one := func(words ...string) clause { return clause{{words: words}} }
	exprs := []expr{
		{clauses: []clause{one("word0", "word1", "word2")}},
		{clauses: []clause{one("word1", "word0", "word1", "word0", "word2")}},
		{clauses: []clause{{{[]string{"word1", "word0"}, true}}}},
		{clauses: []clause{{{[]string{"word5"}, true}}}},
		{clauses: []clause{one("words", "0", "word1")}}, // not from one field into the next
		{facets: []string{facetToken(facetAuthor, "author 1")}},
		{clauses: []clause{one("word3"), one("word9")}, facets: []string{facetToken(facetAuthor, "author 2"), facetToken(facetSource, "the words 0")}},
	}
	for a := 0; a < 60; a += 6 {
		x := fmt.Sprintf("word%d", a)
		exprs = append(exprs, expr{clauses: []clause{one(x)}}, expr{clauses: []clause{one(x), one(fmt.Sprintf("word%d", a/4))}},
			expr{clauses: []clause{one(fmt.Sprintf("word%d", a/6), x)}}, expr{clauses: []clause{{{words: []string{x}}, {words: []string{"word59"}}, {words: []string{"word1", "word2"}}}}})
	}
	for _, e := range exprs {
		for _, limit := range []int{5, 40, n} {
			want, got := matched(t, lite, e, limit), matched(t, pg, e, limit)
			if !slices.Equal(got, want) {
				t.Errorf("%s, at most %d: PostgreSQL has %d, %v; SQLite %d, %v", e.matchString(), limit, len(got), got[:min(5, len(got))], len(want), want[:min(5, len(want))])
			}
		}
	}
}

func matched(t *testing.T, s *Service, e expr, limit int) (ids []int64) {
	t.Helper()
	if err := s.db.View(t.Context(), func(tx *store.Tx) (err error) {
		ids, err = s.index.match(t.Context(), tx, e, limit)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestAges: the lexemes of a range are those of the quotes in it and of no others.
func TestAges(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 300 {
		low, high := r.Int64N(400)<<fineAge, r.Int64N(400)<<fineAge
		ages := agesOf(low, high)
		if len(ages) > 2*(7+15)+3 {
			t.Errorf("%d lexemes for %d to %d", len(ages), low, high)
		}
		for id := int64(0); id <= 400<<fineAge; id += 1 << fineAge {
			for _, id := range []int64{id - 1, id} {
				if id < 0 {
					continue
				}
				vector, has := document{}.tsvector(id), 0
				for _, a := range ages {
					has += strings.Count(vector, "'"+a+"'")
				}
				if want := id >= low && id < high; want && has != 1 || !want && has != 0 {
					t.Fatalf("%d to %d: quote %d has %d of %v", low, high, id, has, ages)
				}
			}
		}
	}
}

// TestMigrationOfLexemes: the migration brings documents to what is written today.
func TestMigrationOfLexemes(t *testing.T) {
	ctx, dsn := t.Context(), storetest.Postgres(t).Database(t)
	old, err := store.Open(ctx, store.Options{DSN: dsn, Schema: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	s, err := New(Options{DB: old})
	if err != nil {
		t.Fatal(err)
	}
	importText(t, s, "some", rhymes+"The the the, the THE end's end.\n\t\t-- The End, \"The\"\n%\nÅngström über 1⁄2 東京 naïve\n%\n...\n%\n")
	if err := s.Hide(ctx, 2, true); err != nil {
		t.Fatal(err)
	}
	scattered(t, s, 300)
	vectors := func() (out []string) {
		t.Helper()
		if err := old.View(ctx, func(tx *store.Tx) (err error) {
			out, err = scanAll[string](tx.QueryContext(ctx, `SELECT COALESCE(tokens::text, 'hidden') FROM quote ORDER BY id`))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := vectors()
	if err := old.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE quote SET tokens = ts_filter(tokens, '{a,b,c,d}')`) // as they were: what has no position is taken out
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if before := vectors(); slices.Equal(before, want) || strings.ContainsAny(before[0], "@+") {
		t.Fatalf("not as they were: %q", before[0])
	}
	if err := old.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for i, got := range vectors() {
		if got != want[i] {
			t.Errorf("the migration writes\n%s\nwant\n%s", got, want[i])
		}
	}
}
