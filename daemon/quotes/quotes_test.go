package quotes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/system/systemtest"
)

// fortunesDir is where Debian's packages fortunes and fortunes-min put theirs.
const fortunesDir = "/usr/share/games/fortunes"

// onBoth runs a test against every engine, each time with an empty database.
func onBoth(t *testing.T, tests map[string]func(*testing.T, *Service)) {
	run := func(t *testing.T, o func(*testing.T) store.Options) {
		for name, f := range tests {
			t.Run(name, func(t *testing.T) { f(t, service(t, o(t))) })
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		run(t, func(t *testing.T) store.Options { return store.Options{Dir: t.TempDir()} })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := storetest.Postgres(t)
		run(t, func(t *testing.T) store.Options { return store.Options{DSN: server.Database(t)} })
	})
}

func service(t testing.TB, o store.Options) *Service {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func importText(t testing.TB, s *Service, name, text string) Report {
	t.Helper()
	rep, err := s.Import(t.Context(), strings.NewReader(text), ImportOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// rhymes is our own text, in the shape of a fortune file.
const rhymes = `The kettle sings before it boils,
the engine hums before it toils.
		-- Ada Brewster, "Steam and Patience"
%
A bridge is a promise that two banks keep.
		-- Otto Lindqvist
%
Never trust a clock that agrees with you.
%
The river does not hurry, and the river arrives.
		-- Otto Lindqvist, "River Notes", ch. 3
%
Café tables know more secrets than confessionals.
		-- Zoë Ångström
%
Don't count the well-known stars; count the dark between.
%
`

func TestConformance(t *testing.T) {
	onBoth(t, map[string]func(*testing.T, *Service){
		"import":    testImport,
		"search":    testSearch,
		"near":      testNearDuplicates,
		"random":    testRandom,
		"edit":      testEdit,
		"hostile":   testHostileQueries,
		"candidate": testBoundedRanking,
		"http":      testHTTP,
	})
}

func testImport(t *testing.T, s *Service) {
	var calls []int64
	rep, err := s.Import(t.Context(), strings.NewReader(rhymes), ImportOptions{Name: "rhymes", Total: int64(len(rhymes)),
		Progress: func(done, total int64) { calls = append(calls, done, total) }})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Read != 6 || rep.Added != 6 || rep.SkippedTotal() != 0 {
		t.Errorf("first import: %v", rep)
	}
	// All was read at the first commit; those that settle the index follow.
	if all := int64(len(rhymes)); len(calls) < 4 || slices.ContainsFunc(calls, func(n int64) bool { return n != all }) {
		t.Errorf("progress %v, want %d each time", calls, all)
	}
	if rep := importText(t, s, "rhymes", rhymes); rep.Read != 6 || rep.Known != 6 {
		t.Errorf("second import: %v", rep)
	}
	qs, err := s.Latest(t.Context(), Filter{}, 200)
	if err != nil || len(qs) != 6 {
		t.Fatalf("latest: %d quotes, %v", len(qs), err)
	}
	got := qs[5]
	if got.Text != "The kettle sings before it boils,\nthe engine hums before it toils." || got.Author != "Ada Brewster" || got.Source != "Steam and Patience" {
		t.Errorf("the first quote came in as %+v", got)
	}
	if got := qs[2]; got.Author != "Otto Lindqvist" || got.Source != "River Notes, ch. 3" {
		t.Errorf("attribution with a chapter: %+v", got)
	}
	if got := qs[3]; got.Author != "" || got.Source != "rhymes" {
		t.Errorf("no attribution: %+v", got)
	}
	if age := time.Since(got.Added); age < 0 || age > time.Minute {
		t.Errorf("added %v", got.Added)
	}
	rep = importText(t, s, "list.json", `[{"text":"One plain thought.","author":"M. Weaver","tags":["Thought"]}, {"quote":"  "}, "Just a string.", 7]`)
	if rep.Added != 2 || rep.Skipped["empty"] != 1 || rep.SkippedTotal() != 2 || rep.Places[0].Place != "item 2" {
		t.Errorf("JSON: %v", rep)
	}
	if n, err := s.Count(t.Context()); n != 8 || err != nil {
		t.Errorf("count %d, %v", n, err)
	}
}

func search(t *testing.T, s *Service, words string, f Filter) Page {
	t.Helper()
	p, err := s.Search(t.Context(), Query{Words: words, Filter: f})
	if err != nil {
		t.Fatalf("search %q: %v", words, err)
	}
	return p
}

// found is a result in short: class and beginning of each hit.
func inShort(p Page) string {
	var out []string
	for _, h := range p.Hits {
		out = append(out, fmt.Sprintf("%s %.12s", h.Class, h.Text))
	}
	return strings.Join(out, " | ")
}

func testSearch(t *testing.T, s *Service) {
	importText(t, s, "rhymes", rhymes)
	for _, c := range []struct{ words, want string }{
		{"river", "words The river do"},
		{"lindqvist", "words The river do | words A bridge is "},
		{"the river arrives", "phrase The river do"},
		{"river arrives the", "words The river do"},
		{"does not hurry", "phrase The river do"},
		{`"two banks"`, "words A bridge is "},
		{`"banks two"`, ""},
		{"cafe", "words Café tables "},
		{"ANGSTROM", "words Café tables "},
		{"dont", "words Don't count "},
		{"well-known", "words Don't count "},
		{"ket", "beginning The kettle s"},
		{"ettl", "part The kettle s"},
		{"kettel", "near The kettle s"},
		{"ketle", "near The kettle s"},
		{"bridgge", "near A bridge is "},
		{"engine before", "words The kettle s"},
		{"xyzzy", ""},
		{"   ", "words Don't count  | words Café tables  | words The river do | words Never trust  | words A bridge is  | words The kettle s"},
		{"?!", ""},
	} {
		if got := inShort(search(t, s, c.words, Filter{})); got != c.want {
			t.Errorf("search %q: %s; want %s", c.words, got, c.want)
		}
	}
	if got := inShort(search(t, s, "", Filter{Author: "otto lindqvist"})); got != "words The river do | words A bridge is " {
		t.Errorf("by author: %s", got)
	}
	if got := inShort(search(t, s, "bridge", Filter{Author: "Ada Brewster"})); got != "" {
		t.Errorf("by another author: %s", got)
	}
	if got := inShort(search(t, s, "river", Filter{Source: "rhymes", Length: Short})); got != "words The river do" {
		t.Errorf("by the import's name: %s", got)
	}
	p := search(t, s, "cafe", Filter{})
	if m := p.Hits[0].Marks; len(m) != 1 || p.Hits[0].Text[m[0][0]:m[0][1]] != "Café" {
		t.Errorf("marks %v", m)
	}
	first, err := s.Search(t.Context(), Query{Limit: 4})
	if err != nil || len(first.Hits) != 4 || first.Next == "" {
		t.Fatalf("first page %s, %v", inShort(first), err)
	}
	second, err := s.Search(t.Context(), Query{Limit: 4, Cursor: first.Next})
	if err != nil || len(second.Hits) != 2 || second.Next != "" {
		t.Errorf("second page %s, %v", inShort(second), err)
	}
}

func testNearDuplicates(t *testing.T, s *Service) {
	importText(t, s, "rhymes", rhymes)
	rep := importText(t, s, "other", `never trust a clock that agrees with you
		-- Somebody Else
%
NEVER TRUST A CLOCK, THAT AGREES WITH YOU!
		-- A Third, "Third Things"
`)
	if rep.Added != 0 || rep.Merged != 2 {
		t.Fatalf("near-duplicates: %v", rep)
	}
	if rep := importText(t, s, "other", "never trust a clock that agrees with you\n\t\t-- Somebody Else\n%\n"); rep.Known != 1 {
		t.Errorf("a known wording again: %v", rep)
	}
	p := search(t, s, "never trust", Filter{})
	if len(p.Hits) != 1 || p.Hits[0].Author != "Somebody Else" {
		t.Fatalf("got %+v, want the one quote with the first attribution that came", p.Hits)
	}
	full, err := s.Get(t.Context(), p.Hits[0].ID)
	if err != nil || len(full.Also) != 2 || full.Also[0].Origin != "other" {
		t.Errorf("provenance %+v, %v", full.Also, err)
	}
	if got := inShort(search(t, s, "somebody", Filter{})); !strings.HasPrefix(got, "words Never") {
		t.Errorf("by the author taken over: %s", got)
	}
}

func testRandom(t *testing.T, s *Service) {
	if qs, _, err := s.Random(t.Context(), Walk{Seed: "x"}, Filter{}, 3); err != nil || len(qs) != 0 {
		t.Errorf("of nothing: %v, %v", qs, err)
	}
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "Number %d is a number.\n\t\t-- Author %d\n%%\n", i, i%3)
	}
	importText(t, s, "numbers", b.String())
	if err := s.Hide(t.Context(), 7, true); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want int
	}{"all": {Filter{}, 299}, "of one author": {Filter{Author: "author 1"}, 100}} {
		seen := map[int64]bool{}
		w := Walk{Seed: "seed"}
		for range 100 {
			qs, next, err := s.Random(t.Context(), w, c.f, 17)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range qs {
				if seen[q.ID] {
					t.Fatalf("%s: quote %d twice", name, q.ID)
				}
				seen[q.ID] = true
			}
			if w = next; len(qs) < 17 {
				break
			}
		}
		if len(seen) != c.want || seen[7] {
			t.Errorf("%s: a walk visited %d quotes, want %d", name, len(seen), c.want)
		}
	}
	one, _, _ := s.Random(t.Context(), Walk{Seed: "a"}, Filter{}, 20)
	two, _, _ := s.Random(t.Context(), Walk{Seed: "a"}, Filter{}, 20)
	three, _, _ := s.Random(t.Context(), Walk{Seed: "b"}, Filter{}, 20)
	if !slices.Equal(one, two) || slices.Equal(one, three) {
		t.Error("a seed must give its own order, and always the same")
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	q, ok := s.OfTheHour(now)
	again, _ := s.OfTheHour(now.Add(30 * time.Minute))
	if !ok || q.ID != again.ID {
		t.Errorf("quote of the hour %v, then %v", q, again)
	}
	if err := s.Hide(t.Context(), q.ID, true); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.OfTheHour(now.Add(31 * time.Minute)); again.ID == q.ID {
		t.Error("a hidden quote stays on the wall")
	}
}

func testEdit(t *testing.T, s *Service) {
	importText(t, s, "rhymes", rhymes)
	id := search(t, s, "bridge", Filter{}).Hits[0].ID
	if err := s.Edit(t.Context(), id, Item{Text: "A viaduct is a promise.", Author: "O. L.", Tags: []string{"Steel", "steel"}}); err != nil {
		t.Fatal(err)
	}
	if got := inShort(search(t, s, "bridge", Filter{})); got != "" {
		t.Errorf("the old text is still found: %s", got)
	}
	if got := inShort(search(t, s, "viaduct", Filter{Tag: "steel"})); got != "words A viaduct is" {
		t.Errorf("the new text: %s", got)
	}
	if err := s.Edit(t.Context(), id, Item{Text: "never trust a clock that agrees with you"}); err == nil {
		t.Error("a quote took another one's text")
	}
	if err := s.Edit(t.Context(), 999, Item{Text: "x"}); err != ErrUnknown {
		t.Errorf("editing what is not there: %v", err)
	}
	if err := s.Hide(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	if got := inShort(search(t, s, "viaduct", Filter{})); got != "" {
		t.Errorf("hidden, and found: %s", got)
	}
	if n, _ := s.Count(t.Context()); n != 5 {
		t.Errorf("%d visible", n)
	}
	if rep := importText(t, s, "rhymes", "A viaduct is a promise.\n%\n"); rep.Added != 0 {
		t.Errorf("a hidden quote came in again: %v", rep)
	}
	if err := s.Hide(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if got := inShort(search(t, s, "viad", Filter{})); got != "beginning A viaduct is" {
		t.Errorf("shown again: %s", got)
	}
}

// hostile are queries in the syntax of FTS5, tsquery, SQL and LIKE, and in none.
var hostile = []string{`"`, `""`, `"""`, `a"b`, `AND`, `OR NOT`, `NEAR(a b)`, `text : river`, `{text} : x`, `river*`, `^river`, `-river`, `+`, `(`, `)`, `()`,
	`'`, `''`, `\`, `'; DROP TABLE quote; --`, `%`, `_`, `river & | !`, `<->`, `a:*`, `:A`, "\x00", "\xff\xfe", "river\x00river", strings.Repeat("a ", 500), strings.Repeat("ab", 5000),
	strings.Repeat(`"a" `, 200), `ⅷ ½ ﬁ ẞ`, "👍🏽", "العربية", "吾輩は猫である", "\u202eriver", "İstanbul", "ｆｕｌｌ", "a\u0301"}

func testHostileQueries(t *testing.T, s *Service) {
	importText(t, s, "rhymes", rhymes)
	importText(t, s, "hostile.json", func() string { b, _ := json.Marshal(hostile); return string(b) }())
	for _, q := range hostile {
		search(t, s, q, Filter{})
		search(t, s, "river "+q, Filter{Author: q, Source: q, Tag: q})
	}
	if got := inShort(search(t, s, `river*`, Filter{})); got == "" {
		t.Error("river* found nothing")
	}
	if got := search(t, s, "猫", Filter{}); len(got.Hits) != 1 {
		t.Errorf("猫: %s", inShort(got))
	}
	if got := search(t, s, "istanbul", Filter{}); len(got.Hits) != 1 {
		t.Errorf("istanbul: %s", inShort(got))
	}
}

func testBoundedRanking(t *testing.T, s *Service) {
	var b strings.Builder
	for i := range 600 {
		fmt.Fprintf(&b, "common word number%d\n%%\n", i)
	}
	importText(t, s, "many", b.String())
	p := search(t, s, "common", Filter{})
	if !p.More || p.Total != maxCandidates || len(p.Hits) != 20 {
		t.Errorf("%d hits of more than %d: %v", len(p.Hits), p.Total, p.More)
	}
	pages := 1
	for seen := map[int64]bool{}; p.Next != ""; pages++ {
		for _, h := range p.Hits {
			if seen[h.ID] {
				t.Fatalf("quote %d on two pages", h.ID)
			}
			seen[h.ID] = true
		}
		var err error
		if p, err = s.Search(t.Context(), Query{Words: "common", Limit: 100, Cursor: p.Next}); err != nil {
			t.Fatal(err)
		}
	}
	if pages != 6 {
		t.Errorf("%d pages", pages)
	}
}

func testHTTP(t *testing.T, s *Service) {
	importText(t, s, "rhymes", rhymes)
	mux := http.NewServeMux()
	for _, r := range s.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	get := func(url string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", url, nil))
		return w
	}
	for _, path := range []string{"/json/random", "/json/latest"} {
		for query, want := range map[string]int{"": 1, "?count=3": 3, "?count=200": 6, "?count=201": 6, "?count=99999999999999999999": 6} {
			w := get(path + query)
			var got []map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || len(got) != want {
				t.Errorf("%s%s: %d, %d quotes, want %d: %v", path, query, w.Code, len(got), want, err)
				continue
			}
			for _, k := range []string{"id", "text", "author", "source", "added"} {
				if _, ok := got[0][k]; !ok || len(got[0]) != 5 {
					t.Errorf("%s: a quote is %v", path, got[0])
				}
			}
		}
		for _, count := range []string{"", "0", "-1", "abc", "1.5", "0x10", "%20", "1e3"} {
			w := get(path + "?count=" + count)
			var got struct{ Error, Remedy string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 400 || !strings.Contains(got.Error, "count") || got.Remedy == "" {
				t.Errorf("%s?count=%s: %d %s", path, count, w.Code, w.Body)
			}
		}
	}
}

// TestDebianFortunes imports some of Debian's files, beside their links and
// indexes as they lie there. (All of them are imported by the benchmarks: under the
// race detector that takes a minute.)
func TestDebianFortunes(t *testing.T) {
	if _, err := os.Stat(filepath.Join(fortunesDir, "literature")); err != nil {
		systemtest.Missing(t, "Debian's fortunes are not installed (apt-get install fortunes)")
	}
	dir := t.TempDir()
	for _, name := range []string{"literature", "literature.dat", "wisdom", "pets"} {
		b, err := os.ReadFile(filepath.Join(fortunesDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("wisdom", filepath.Join(dir, "wisdom.u8")); err != nil {
		t.Fatal(err)
	}
	s := service(t, store.Options{Dir: t.TempDir()})
	var files []string
	rep, err := s.ImportPath(t.Context(), dir, ImportOptions{}, func(path string) { files = append(files, filepath.Base(path)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Log(rep)
	if !slices.Equal(files, []string{"literature", "pets", "wisdom"}) {
		t.Errorf("files %v", files)
	}
	if rep.Read < 500 || rep.Added < rep.Read*9/10 || rep.Read != rep.Added+rep.Merged+rep.Known+rep.SkippedTotal() {
		t.Errorf("%v", rep)
	}
	p := search(t, s, "mark twain", Filter{})
	if len(p.Hits) == 0 || p.Hits[0].Class != PhraseMatch {
		t.Errorf("mark twain: %s", inShort(p))
	}
	p = search(t, s, "", Filter{Author: "Mark Twain", Source: "The Disappearance of Literature"})
	if len(p.Hits) != 1 || !strings.HasPrefix(p.Hits[0].Text, "A classic is something") {
		t.Errorf("by author and work: %s", inShort(p))
	}
}

// TestMigrate copies from each engine to the other, with an interruption.
func TestMigrate(t *testing.T) {
	server := storetest.Postgres(t)
	lite := service(t, store.Options{Dir: t.TempDir()})
	importText(t, lite, "numbers", numbers(1100))
	importText(t, lite, "rhymes", rhymes)
	importText(t, lite, "other", "never trust a clock that agrees with you\n\t\t-- Somebody\n%\n")
	if err := lite.Hide(t.Context(), 9, true); err != nil {
		t.Fatal(err)
	}
	if err := lite.Edit(t.Context(), 8, Item{Text: "Eight.", Tags: []string{"even"}}); err != nil {
		t.Fatal(err)
	}
	pg := service(t, store.Options{DSN: server.Database(t)})
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lite.MigrateTo(ctx, pg, func(done, _ int64) {
		if done >= 1000 {
			cancel()
		}
	}); err == nil {
		t.Error("the interruption was not noticed")
	}
	var calls []int64
	n, err := lite.MigrateTo(t.Context(), pg, func(done, total int64) { calls = append(calls, done, total) })
	if err != nil || n >= 1106 || n < 1 || calls[len(calls)-2] != 1106 || calls[len(calls)-1] != 1106 {
		t.Fatalf("resumed: %d copied, %v, progress %v", n, err, calls)
	}
	back := service(t, store.Options{Dir: t.TempDir()})
	if _, err := pg.MigrateTo(t.Context(), back, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 8, 9, 1103} {
		want, err := lite.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*Service{pg, back} {
			if got, err := s.Get(t.Context(), id); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("quote %d: %+v, %v; want %+v", id, got, err, want)
			}
		}
	}
	for _, q := range []string{"number 77", "never", "kettel", "numb", "somebody", "eight"} {
		want := search(t, lite, q, Filter{})
		for _, s := range []*Service{pg, back} {
			if got := search(t, s, q, Filter{}); !reflect.DeepEqual(got, want) {
				t.Errorf("search %q: %s; want %s", q, inShort(got), inShort(want))
			}
		}
	}
	if rep := importText(t, pg, "x", "A new one.\n%\n"); rep.Added != 1 {
		t.Errorf("after the move: %v", rep)
	}
	if _, err := lite.MigrateTo(t.Context(), pg, nil); err == nil {
		t.Error("copied into a database with other quotes")
	}
}

// TestExport writes every format and reads it back.
func TestExport(t *testing.T) {
	s := service(t, store.Options{Dir: t.TempDir()})
	importText(t, s, "rhymes", rhymes+"A sign\n  %\nalone.\n%\n")
	importText(t, s, "x.json", `[{"text":"Tagged, \"quoted\" <b>; text.","author":"A, B","tags":["one","two words"]}]`)
	want, err := s.Latest(t.Context(), Filter{}, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []Format{Fortune, JSON, CSV, Plain} {
		var b strings.Builder
		if n, err := s.Export(t.Context(), &b, format, nil); err != nil || n != 8 {
			t.Fatalf("%s: %d, %v", format, n, err)
		}
		back := service(t, store.Options{Dir: t.TempDir()})
		rep, err := back.Import(t.Context(), strings.NewReader(b.String()), ImportOptions{Format: format, Source: "back"})
		if err != nil || rep.Added != 8 {
			t.Fatalf("%s: %v, %v\n%s", format, rep, err, b.String())
		}
		got, err := back.Latest(t.Context(), Filter{}, 200)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i].Text != want[i].Text || got[i].Author != want[i].Author || got[i].Source != want[i].Source {
				t.Errorf("%s: %+v came back as %+v", format, want[i], got[i])
			}
		}
		if format == JSON || format == CSV {
			if full, err := back.Get(t.Context(), 8); err != nil || !slices.Equal(full.Tags, []string{"one", "two words"}) {
				t.Errorf("%s: tags %v, %v", format, full.Tags, err)
			}
		}
	}
}

func TestOutdented(t *testing.T) {
	for in, want := range map[string]string{
		"\t\"Yes?\"\n\t\"No.\"":  "\"Yes?\"\n\"No.\"",
		"\tA paragraph\nof two.": "        A paragraph\nof two.",
		"  a\n\n    b\n  c":      "a\n\n  b\nc",
		"plain":                  "plain",
		"   ":                    "",
	} {
		it, _ := Item{Text: in}.clean()
		if it.Text != want {
			t.Errorf("%q became %q, want %q", in, it.Text, want)
		}
	}
}

// Of what a page brings the newest stay, and nothing is left of the others: no word, no
// facet, no tag. What came another way, and what the owner has hidden, stays.
func TestPrune(t *testing.T) {
	onBoth(t, map[string]func(*testing.T, *Service){"prune": func(t *testing.T, s *Service) {
		ctx := t.Context()
		var items []Item
		for _, word := range []string{"apple", "birch", "cedar", "dogwood", "elm", "fir"} {
			items = append(items, Item{Text: "A tree called " + word + ".", Author: word + " warden", Tags: []string{"tree", word}})
		}
		if _, err := s.add(ctx, items, "arboretum"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.add(ctx, []Item{{Text: "A shrub called gorse.", Author: "gorse warden"}}, "owner"); err != nil {
			t.Fatal(err)
		}
		page, err := s.Search(ctx, Query{Words: "apple"})
		if err != nil || len(page.Hits) != 1 {
			t.Fatalf("%+v, %v", page, err)
		}
		if err := s.Hide(ctx, page.Hits[0].ID, true); err != nil {
			t.Fatal(err)
		}
		if gone, err := s.prune(ctx, "arboretum", 3); err != nil || gone != 2 {
			t.Fatalf("%d went, %v; expected birch and cedar", gone, err)
		}
		s.forget()
		for word, want := range map[string]int{"birch": 0, "cedar": 0, "dogwood": 1, "elm": 1, "fir": 1, "gorse": 1, "tree": 3} {
			if page, err := s.Search(ctx, Query{Words: word}); err != nil || len(page.Hits) != want {
				t.Errorf("%s: %d quotes, %v; expected %d", word, len(page.Hits), err, want)
			}
		}
		if n, err := s.Count(ctx); err != nil || n != 4 {
			t.Errorf("%d quotes are counted, %v", n, err)
		}
		for _, table := range []string{`quote WHERE hidden = 1`, `quote_tag WHERE tag = 'apple'`} {
			if got := countOfTable(t, s, table); got != 1 {
				t.Errorf("%s: %d rows, the hidden one's is to stay", table, got)
			}
		}
		for _, table := range []string{`quote_tag WHERE tag IN ('birch', 'cedar')`, `quote_facet WHERE n > 0 AND name LIKE 'birch%'`, `quote_word WHERE n > 0 AND word = 'birch'`} {
			if got := countOfTable(t, s, table); got != 0 {
				t.Errorf("%s: %d rows are left", table, got)
			}
		}
		if gone, err := s.prune(ctx, "arboretum", 3); err != nil || gone != 0 {
			t.Errorf("a second time %d went, %v", gone, err)
		}
	}})
}

// TestImportSettles: after an import the index is in one part, whatever the number of commits;
// a few quotes more are not worth it.
func TestImportSettles(t *testing.T) {
	s := service(t, store.Options{Dir: t.TempDir()})
	parts := func(table string) int {
		t.Helper()
		return countOfTable(t, s, `(SELECT DISTINCT segid FROM `+table+`_idx)`)
	}
	importText(t, s, "numbers", numbers(3*batch))
	for _, table := range []string{"quote_fts", "quote_word_fts"} {
		if n := parts(table); n != 1 {
			t.Errorf("%s is in %d parts", table, n)
		}
	}
	if p := search(t, s, "number 77", Filter{}); len(p.Hits) == 0 || p.Hits[0].Text != "Number 77 is a number." {
		t.Errorf("the index has lost quotes: %s", inShort(p))
	}
	importText(t, s, "one", "A single one.\n")
	if n := parts("quote_fts"); n != 2 {
		t.Errorf("for one quote %d parts were made anew", n)
	}
}

// TestFacetSpellings: names that differ in their spelling only are one facet, also when they
// come in one commit.
func TestFacetSpellings(t *testing.T) {
	onBoth(t, map[string]func(*testing.T, *Service){"": func(t *testing.T, s *Service) {
		for range 2 { // a new one, and one that is there
			var text strings.Builder
			for _, author := range []string{"Ada Brewster", "ADA BREWSTER", "Ada  Brëwster"} {
				fmt.Fprintf(&text, "Tree %d stands alone.\n\t\t-- %s\n%%\n", countOfTable(t, s, "quote")+text.Len(), author)
			}
			if rep := importText(t, s, "trees", text.String()); rep.Added != 3 {
				t.Fatal(rep)
			}
		}
		if n := countOfTable(t, s, `quote_facet WHERE kind = 'a'`); n != 1 {
			t.Errorf("%d authors", n)
		}
		if n := countOfTable(t, s, `quote_facet WHERE kind = 'a' AND n = 6`); n != 1 {
			t.Error("not all quotes of the author are counted")
		}
		if page, err := s.Search(t.Context(), Query{Words: "tree", Filter: Filter{Author: "ada brewster"}}); err != nil || page.Total != 6 {
			t.Errorf("%d quotes of the author are found, %v", page.Total, err)
		}
	}})
}

func countOfTable(t *testing.T, s *Service, table string) (n int) {
	t.Helper()
	if err := s.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
