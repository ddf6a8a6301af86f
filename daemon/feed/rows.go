package feed

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// snapshot is what requests are answered from; it is made anew when a source
// changed and never written to.
type snapshot struct {
	rows    []row // newest first
	items   int
	lastSeq uint64
	made    time.Time // when the rows changed last
}

// row is a line of the page: an episode with its releases, or any other item.
type row struct {
	Title string
	Show  string // the title without the mark
	Mark  string // "S02E03", a date, "Season 2"; "" for what is no release
	When  time.Time
	Seq   uint64 // of the newest item
	Items []item // newest first
	id    string
}

// item is one source's entry.
type item struct {
	*entry
	Source string
}

// Release is what the item's title says, nil if it is no release's.
func (i item) Release() *Release { return i.release }

// Mark is the numbering as people write it.
func (r *Release) Mark() string {
	switch {
	case r.Date != "":
		return r.Date
	case r.Pack && r.LastSeason > r.Season:
		return fmt.Sprintf("Seasons %d–%d", r.Season, r.LastSeason)
	case r.Pack:
		return fmt.Sprintf("Season %d", r.Season)
	case len(r.Episodes) > 1:
		return fmt.Sprintf("S%02dE%02d–%02d", r.Season, r.Episodes[0], r.Episodes[len(r.Episodes)-1])
	case len(r.Episodes) == 1:
		return fmt.Sprintf("S%02dE%02d", r.Season, r.Episodes[0])
	case r.Absolute > 0:
		return fmt.Sprintf("#%d", r.Absolute)
	case r.Part > 0:
		return fmt.Sprintf("Part %d", r.Part)
	}
	return ""
}

// Kind is what one chooses a release by, beside its resolution.
func (r *Release) Kind() string {
	parts := []string{r.Source, r.Codec}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// key is the same for all releases of one episode.
func (r *Release) key() string {
	name := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, r.Show)
	return name + "\x00" + r.Mark()
}

// rebuild makes the snapshot from the sources' records.
func (s *Service) rebuild() {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := &snapshot{lastSeq: s.seq}
	byKey := map[string]int{}
	for _, src := range s.sources {
		if src.rec == nil {
			continue
		}
		if src.rec.Changed.After(snap.made) {
			snap.made = src.rec.Changed
		}
		for i := range src.rec.Entries {
			it := item{&src.rec.Entries[i], name(src)}
			snap.items++
			r := it.release
			if r == nil || r.Show == "" {
				snap.rows = append(snap.rows, row{Title: it.Title, Items: []item{it}, id: src.URL + "\x00" + it.ID})
				continue
			}
			key := r.key()
			if at, ok := byKey[key]; ok {
				snap.rows[at].Items = append(snap.rows[at].Items, it)
				continue
			}
			byKey[key] = len(snap.rows)
			snap.rows = append(snap.rows, row{Title: strings.TrimSpace(r.Show + " " + r.Mark()), Show: r.Show, Mark: r.Mark(), Items: []item{it}, id: key})
		}
	}
	if snap.made.IsZero() {
		snap.made = s.now() // the clock was not set when they came
	}
	for i := range snap.rows {
		r := &snap.rows[i]
		slices.SortStableFunc(r.Items, newer)
		r.When = r.Items[0].When()
		for _, it := range r.Items {
			r.Seq = max(r.Seq, it.Seq)
		}
	}
	slices.SortStableFunc(snap.rows, func(a, b row) int {
		return cmp.Or(b.When.Compare(a.When), cmp.Compare(b.Seq, a.Seq))
	})
	s.shown.Store(snap)
}

func newer(a, b item) int {
	return cmp.Or(b.When().Compare(a.When()), cmp.Compare(b.Seq, a.Seq))
}

// filter is what a visitor wants to see.
type filter struct {
	Query      string // words that all occur
	Source     string
	Resolution string // "1080p"
	Kind       string // "releases", "other", or "" for both
	New        bool   // since the last visit only
	Page       int
}

const maxQuery = 200

// parseFilter reads a filter from an address; the error says what is wrong with it.
func parseFilter(q url.Values) (filter, error) {
	f := filter{Query: strings.TrimSpace(q.Get("q")), Source: q.Get("source"), Resolution: q.Get("resolution"), Kind: q.Get("kind"), Page: 1}
	if len(f.Query) > maxQuery {
		return f, fmt.Errorf("the search has more than %d bytes", maxQuery)
	}
	if f.Kind != "" && f.Kind != "releases" && f.Kind != "other" {
		return f, fmt.Errorf("kind is %.20q; it may be releases or other", f.Kind)
	}
	switch q.Get("new") {
	case "":
	case "1":
		f.New = true
	default:
		return f, fmt.Errorf("new is %.20q; it may be 1", q.Get("new"))
	}
	if p := q.Get("page"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 100_000 {
			return f, fmt.Errorf("page is %.20q; it is a number from 1", p)
		}
		f.Page = n
	}
	return f, nil
}

// none tells that everything is wanted.
func (f filter) none() bool {
	return f.Query == "" && f.Source == "" && f.Resolution == "" && f.Kind == "" && !f.New
}

// pick returns the rows with their items that fit. seen is the last visit's number.
func (f filter) pick(rows []row, seen uint64) []row {
	if f.none() {
		return rows
	}
	words := strings.Fields(strings.ToLower(f.Query))
	var out []row
	for _, r := range rows {
		if f.Kind == "releases" && r.Mark == "" || f.Kind == "other" && r.Mark != "" {
			continue
		}
		var items []item
		for _, it := range r.Items {
			if f.fits(it, words, seen) {
				items = append(items, it)
			}
		}
		if len(items) > 0 {
			r.Items = items
			out = append(out, r)
		}
	}
	return out
}

func (f filter) fits(it item, words []string, seen uint64) bool {
	if f.Source != "" && it.Source != f.Source || f.New && it.Seq <= seen {
		return false
	}
	if f.Resolution != "" && (it.release == nil || it.release.Resolution != f.Resolution) {
		return false
	}
	if len(words) == 0 {
		return true
	}
	hay := strings.ToLower(it.Title + "\x00" + it.Summary + "\x00" + it.Source + "\x00" + it.Author + "\x00" + strings.Join(it.Categories, "\x00"))
	if it.release != nil {
		hay += strings.ToLower("\x00" + it.release.Show + " " + it.release.Mark())
	}
	for _, w := range words {
		if !strings.Contains(hay, w) {
			return false
		}
	}
	return true
}
