package quotes

import (
	"bufio"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func parsed(t testing.TB, format Format, name, in string) (items []Item, skipped []Skip, err error) {
	t.Helper()
	err = parse(bufio.NewReaderSize(strings.NewReader(in), sniffed), format, name, sink{
		item: func(_ string, it Item) error {
			it, why := it.clean()
			if why != "" {
				skipped = append(skipped, Skip{"", why})
				return nil
			}
			items = append(items, it)
			return nil
		},
		skip: func(place, why string) { skipped = append(skipped, Skip{place, why}) },
	})
	return items, skipped, err
}

func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		file, in string
		want     []Item
		skipped  int
	}{
		"fortune":           {"f", "%\nOne.\n%\n\n%\nTwo\n\tlines.\n\t\t-- B. Author\n", []Item{{Text: "One."}, {Text: "Two\n        lines.", Author: "B. Author"}}, 0},
		"percent in a line": {"f", "100%\n%sure\n%\nb\n", []Item{{Text: "100%\n%sure"}, {Text: "b"}}, 0},
		"rot13 by name":     {"f-o", "Uryyb\n%\n", []Item{{Text: "Hello"}}, 0},
		"rot13 by content":  {"f", "Gur dhvpx oebja sbk naq gur qbt\n%\n\t\t-- k\n", []Item{{Text: "The quick brown fox and the dog"}, {Text: "-- x"}}, 0},
		"CRLF":              {"f", "a\r\n%\r\nb\r\n", []Item{{Text: "a"}, {Text: "b"}}, 0},
		"Latin-1":           {"f", "caf\xe9\n%\n", []Item{{Text: "café"}}, 0},
		"overstrike":        {"f", "a _\bb\n%\n", []Item{{Text: "a b"}}, 0},
		"long attribution":  {"f", "Text.\n\t\t-- Name, \"A Work that\n\t\t   goes on\"\n%\n", []Item{{Text: "Text.", Author: "Name", Source: "A Work that goes on"}}, 0},
		"attribution midway": {"f", "Title\n\t-- by Somebody\n\nAnd then a text.\n%\n",
			[]Item{{Text: "Title\n        -- by Somebody\n\nAnd then a text."}}, 0},
		"from a work":      {"f", "Text.\n\t-- from \"A Work\"\n%\n", []Item{{Text: "Text.", Source: "A Work"}}, 0},
		"JSON array":       {"x", `[ {"text":"a","author":"b","source":"c","tags":["X"]}, "d" ]`, []Item{{Text: "a", Author: "b", Source: "c", Tags: []string{"x"}}, {Text: "d"}}, 0},
		"JSON lines":       {"x", "{\"quote\":\"a\",\"by\":\"b\"}\n{\"content\":\"c\",\"author\":{\"name\":\"n\"}}\n", []Item{{Text: "a", Author: "b"}, {Text: "c", Author: "n"}}, 0},
		"JSON object":      {"x", `{"page":1,"quotes":[{"text":"a"}],"more":true}`, []Item{{Text: "a"}}, 0},
		"JSON wrong types": {"x.json", `[{"text":3},null,{"text":"a"},[]]`, []Item{{Text: "a"}}, 3},
		"CSV":              {"x.csv", "quote;author\n\"a; b\";c\nd\n", []Item{{Text: "a; b", Author: "c"}, {Text: "d"}}, 0},
		"plain lines":      {"x.txt", "\ufeffOne is enough. -- A. Name\nTwo are not.\n", []Item{{Text: "One is enough.", Author: "A. Name"}, {Text: "Two are not."}}, 0},
		"plain paragraphs": {"x.txt", "One\nis two.\n-- A\n\n\nThree.\n", []Item{{Text: "One\nis two.", Author: "A"}, {Text: "Three."}}, 0},
		"too long":         {"f", strings.Repeat("x", maxText+1) + "\n%\n" + strings.Repeat("y\n", maxEntry) + "%\nok\n", []Item{{Text: "ok"}}, 2},
		"empty":            {"f", "", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, skipped, err := parsed(t, Auto, c.file, c.in)
			if err != nil || len(skipped) != c.skipped || !slices.EqualFunc(got, c.want, equalItems) {
				t.Errorf("got %+v, %d skipped %v, %v\nwant %+v, %d skipped", got, len(skipped), skipped, err, c.want, c.skipped)
			}
		})
	}
}

func equalItems(a, b Item) bool {
	return a.Text == b.Text && a.Author == b.Author && a.Source == b.Source && slices.Equal(a.Tags, b.Tags)
}

// TestFormatErrors: what cannot be read on says where.
func TestFormatErrors(t *testing.T) {
	for in, want := range map[string]string{
		`[{"text":"a"},{"text":`:                           "item 2",
		`[{"text":"a"} {"text":"b"}]`:                      "after byte",
		`["` + strings.Repeat("x", 4*maxEntry) + `"]`:      "1 MB",
		`{"quotes":["` + strings.Repeat("x", 4<<20) + `"]`: "1 MB",
	} {
		_, _, err := parsed(t, JSON, "", in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: got %v, want %q", in, err, want)
		}
	}
	if _, _, err := parsed(t, CSV, "", "a,b\n1,2\n"); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("CSV without a text column: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{rhymes, `[{"text":"a","author":{"name":"b"},"tags":"x,y"}]`, "{\"quote\":\"a\"}\n{}", `{"quotes":[1,"a"]}`,
		"text,author\na,b\n\"c", "a -- b\n\nc", "Gur naq\n%\n", "\xff\xfe%\n%", "_\b%\n\b\b\n%\n"} {
		for _, format := range []string{"", "fortune", "json", "csv", "plain"} {
			f.Add(s, format)
		}
	}
	f.Fuzz(func(t *testing.T, in, format string) {
		fm, err := ParseFormat(format)
		if err != nil {
			return
		}
		items, _, _ := parsed(t, fm, "x", in)
		for _, it := range items {
			if it.Text == "" || len(it.Text) > maxText || !utf8.ValidString(it.Text) || strings.ContainsAny(it.Text, "\x00\r\b\t") || cleanText(it.Text) != it.Text {
				t.Fatalf("a text came in as %q, which cleans to %q", it.Text, cleanText(it.Text))
			}
			if strings.ContainsAny(it.Author+it.Source, "\n\r\t") {
				t.Fatalf("a name came in as %q, %q", it.Author, it.Source)
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	for _, s := range append(hostile, rhymes, "don't Ünïcödé straße 吾輩は猫 한국어") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		end := 0
		for _, tok := range tokens(in) {
			if tok.start < end || tok.end <= tok.start || tok.end > len(in) {
				t.Fatalf("%q: token %+v after %d", in, tok, end)
			}
			end = tok.end
			if tok.word == "" || len(tok.word) > maxWord || !utf8.ValidString(tok.word) {
				t.Fatalf("%q: word %q", in, tok.word)
			}
			// Folding is a projection: or a word would not be found by itself.
			if again := fold(tok.word); strings.ReplaceAll(again, " ", "") != tok.word {
				t.Fatalf("%q folds to %q", tok.word, again)
			}
			for _, r := range tok.word {
				if r < utf8.RuneSelf && (r < '0' || r > '9' && r < 'a' || r > 'z') {
					t.Fatalf("%q: the word %q has the sign %q", in, tok.word, r)
				}
			}
		}
		parseQuery(in)
	})
}

func TestPermutation(t *testing.T) {
	for bits := uint(1); bits <= 12; bits++ {
		p := newPermutation("seed", bits)
		seen := make([]bool, p.size())
		for i := range p.size() {
			at := p.at(i)
			if seen[at] || p.position(at) != i {
				t.Fatalf("%d bits: %d goes to %d, back to %d", bits, i, at, p.position(at))
			}
			seen[at] = true
		}
	}
}

// TestPermutationSpread: over many seeds, each id must be about as often first.
func TestPermutationSpread(t *testing.T) {
	const bits, rounds = 6, 64_000
	var first, second [1 << bits]float64
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		p := newPermutation(string(rune('a'+r.IntN(26)))+strings.Repeat("x", r.IntN(5))+string(rune(r.IntN(1<<16)+0x10000)), bits)
		first[p.at(0)]++
		second[(p.at(1)-p.at(0))&(1<<bits-1)]++
	}
	chi := func(counts []float64, want float64) (x float64) {
		for _, c := range counts {
			x += (c - want) * (c - want) / want
		}
		return x
	}
	// 63 degrees of freedom: 120 is exceeded by chance once in 10,000 times.
	if x := chi(first[:], rounds/64.); x > 120 {
		t.Errorf("the first place is not uniform: chi-square %.0f", x)
	}
	t.Logf("chi-square: first %.0f, distance of the second %.0f", chi(first[:], rounds/64.), chi(second[1:], rounds/63.))
}

func TestSplitAttribution(t *testing.T) {
	for said, want := range map[string][2]string{
		`Mark Twain`:                              {"Mark Twain", ""},
		`Ann Author, "The Work", ch. 2`:           {"Ann Author", "The Work, ch. 2"},
		`Ann Author, _The Work_`:                  {"Ann Author", "The Work"},
		`Ann Author, _The_Long_Work_, ch. 2`:      {"Ann Author", "The Long Work, ch. 2"},
		`Ann, from _The Work_`:                    {"Ann", "The Work"},
		`_The Work_`:                              {"", "The Work"},
		`somebody speaking of _The Work_ at noon`: {"somebody speaking of _The Work_ at noon", ""},
		`ann_author`:                              {"ann_author", ""},
		`_`:                                       {"_", ""},
	} {
		if author, source := splitAttribution(said); author != want[0] || source != want[1] {
			t.Errorf("%s became %q and %q", said, author, source)
		}
	}
}
