//go:build long

package feed

// Measures against the test vectors of other projects, which are not ours to keep
// here: SIERPI_VECTORS names a folder with clones of them (`.ci/bench feed`).

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/mmcdole/gofeed"
	"github.com/moistari/rls"
	"go.yaml.in/yaml/v3"
)

func vectors(t testing.TB, parts ...string) string {
	t.Helper()
	dir := os.Getenv("SIERPI_VECTORS")
	if dir == "" {
		t.Fatal(`SIERPI_VECTORS is not set. The vectors are other projects' tests, cloned side by side:
  mkdir /tmp/vectors && cd /tmp/vectors
  git clone --depth 1 https://github.com/Sonarr/Sonarr
  git clone --depth 1 https://github.com/guessit-io/guessit
  git clone --depth 1 https://github.com/kurtmckee/feedparser
then: SIERPI_VECTORS=/tmp/vectors .ci/bench feed`)
	}
	p := filepath.Join(append([]string{dir}, parts...)...)
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("the vectors are not complete: %v", err)
	}
	return p
}

// said is a name as two parsers say it alike: letters and digits only.
func said(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// reading is what a parser said of a title, in one form for all parsers.
type reading struct {
	show, date, resolution, group string
	season, absolute              int
	episodes                      []int
	pack                          bool
}

func ours(title string) reading {
	r, _ := ParseTitle(title)
	return reading{show: r.Show, date: r.Date, resolution: r.Resolution, group: r.Group, season: r.Season, absolute: r.Absolute, episodes: r.Episodes, pack: r.Pack}
}

func theirs(title string) (out reading) {
	r := rls.ParseString(title)
	out = reading{show: r.Title, resolution: r.Resolution, group: r.Group, season: r.Series}
	if r.Type == rls.Series && r.Episode == 0 && r.Series > 0 {
		out.pack = true
	}
	for _, pair := range r.SeriesEpisodes() {
		if len(pair) > 1 && pair[1] > 0 {
			out.episodes = append(out.episodes, pair[1])
		}
	}
	if len(out.episodes) == 0 && r.Episode > 0 {
		out.episodes = []int{r.Episode}
	}
	if r.Series == 0 && len(out.episodes) == 1 {
		out.absolute = out.episodes[0]
	}
	if r.Month > 0 && r.Day > 0 {
		out.date = fmt.Sprintf("%04d-%02d-%02d", r.Year, r.Month, r.Day)
	}
	return out
}

// vector is a title with what its project expects.
type vector struct {
	kind, title string
	fits        func(reading) bool
}

func TestReleaseVectors(t *testing.T) {
	all := append(sonarrVectors(t), guessitVectors(t)...)
	var kinds []string
	type tally struct{ n, ours, theirs, panics int }
	sums := map[string]*tally{}
	var titles []string
	for _, v := range all {
		sum, ok := sums[v.kind]
		if !ok {
			sum = &tally{}
			sums[v.kind] = sum
			kinds = append(kinds, v.kind)
		}
		sum.n++
		titles = append(titles, v.title)
		if v.fits(ours(v.title)) {
			sum.ours++
		} else if os.Getenv("SIERPI_MISSES") != "" {
			fmt.Printf("miss %s: %s: %+v\n", v.kind, v.title, ours(v.title))
		}
		func() {
			defer func() {
				if recover() != nil {
					sum.panics++
				}
			}()
			if v.fits(theirs(v.title)) {
				sum.theirs++
			}
		}()
	}
	fmt.Println("| names of releases | read | by moistari/rls | of what it misses, read |")
	fmt.Println("|---|---|---|---|")
	for _, kind := range kinds {
		s := sums[kind]
		share := "-"
		if s.n > s.theirs {
			share = fmt.Sprintf("%.0f %%", 100*float64(s.ours-s.theirs)/float64(s.n-s.theirs))
		}
		fmt.Printf("| %s | %d of %d | %d | %s |\n", kind, s.ours, s.n, s.theirs, share)
		if s.n == s.theirs {
			continue
		}
		if strings.HasPrefix(kind, "Sonarr") && 2*(s.ours-s.theirs) < s.n-s.theirs {
			t.Errorf("%s: %d of %d, the best Go library %d: less than half of what it misses", kind, s.ours, s.n, s.theirs)
		}
	}
	per := func(f func(string) reading) time.Duration { // the least processor time of some runs
		best := time.Duration(math.MaxInt64)
		for range 5 {
			start := processorTime()
			for _, s := range titles {
				func() { defer func() { _ = recover() }(); f(s) }()
			}
			best = min(best, (processorTime()-start)/time.Duration(len(titles)))
		}
		return best
	}
	us, them := per(ours), per(theirs)
	fmt.Printf("\nA title takes %.1f us of processor time, moistari/rls %.0f us: %.0f times as long.\n\n", float64(us.Nanoseconds())/1e3, float64(them.Nanoseconds())/1e3, float64(them)/float64(us))
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var (
	testCase = regexp.MustCompile(`^\s*\[TestCase\((.*)\)\]\s*$`)
	method   = regexp.MustCompile(`^\s*public void (\w+)\((.*)\)`)
	lineName = regexp.MustCompile(`(\d{3,4})p`)
)

// sonarrVectors reads the [TestCase(...)] lines of Sonarr's fixtures.
func sonarrVectors(t *testing.T) []vector {
	dir := vectors(t, "Sonarr", "src", "NzbDrone.Core.Test", "ParserTests")
	var out []vector
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	for _, fixture := range []string{"SingleEpisode", "MultiEpisode", "DailyEpisode", "Season", "AbsoluteEpisodeNumber", "MiniSeriesEpisode", "ReleaseGroup", "Quality"} {
		b, err := os.ReadFile(filepath.Join(dir, fixture+"ParserFixture.cs"))
		if err != nil {
			t.Fatal(err)
		}
		var cases [][]string
		for _, line := range strings.Split(string(b), "\n") {
			line = strings.TrimRight(line, "\r")
			if m := testCase.FindStringSubmatch(line); m != nil {
				cases = append(cases, csharp(m[1]))
			}
			m := method.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			name, group := m[1], cases
			cases = nil
			for _, c := range group {
				var v vector
				switch {
				case fixture == "SingleEpisode" && len(c) == 4:
					season, episode := number(c[2]), number(c[3])
					v = vector{"Sonarr, one episode", c[0], func(r reading) bool {
						return said(r.show) == said(c[1]) && r.season == season && slices.Equal(r.episodes, []int{episode})
					}}
				case fixture == "MultiEpisode" && len(c) == 4:
					var want []int
					for _, e := range strings.Split(c[3], ",") {
						want = append(want, number(strings.TrimSpace(e)))
					}
					season := number(c[2])
					v = vector{"Sonarr, several episodes", c[0], func(r reading) bool {
						return said(r.show) == said(c[1]) && r.season == season && slices.Equal(r.episodes, want)
					}}
				case fixture == "DailyEpisode" && len(c) >= 5 && strings.Contains(name, "should_parse"):
					want := fmt.Sprintf("%04d-%02d-%02d", number(c[2]), number(c[3]), number(c[4]))
					v = vector{"Sonarr, daily", c[0], func(r reading) bool { return said(r.show) == said(c[1]) && r.date == want }}
				case fixture == "Season" && len(c) == 3 && (strings.Contains(name, "full_season") || strings.Contains(name, "multi_season")):
					season := number(c[2])
					v = vector{"Sonarr, season pack", c[0], func(r reading) bool {
						return said(r.show) == said(c[1]) && r.season == season && len(r.episodes) == 0 && r.pack
					}}
				case fixture == "AbsoluteEpisodeNumber" && len(c) == 5 && name == "should_parse_absolute_numbers" && c[3] == "0":
					want := number(c[2])
					v = vector{"Sonarr, absolute number", c[0], func(r reading) bool {
						return strings.HasPrefix(said(c[1]), said(r.show)) && r.show != "" && (r.absolute == want || r.absolute == 0 && slices.Equal(r.episodes, []int{want}))
					}}
				case fixture == "MiniSeriesEpisode" && len(c) >= 3:
					want := number(c[2])
					v = vector{"Sonarr, miniseries", c[0], func(r reading) bool {
						return said(r.show) == said(c[1]) && slices.Equal(r.episodes, []int{want})
					}}
				case fixture == "ReleaseGroup" && len(c) == 2:
					want := c[1]
					if want == "null" {
						want = ""
					}
					v = vector{"Sonarr, group", c[0], func(r reading) bool { return r.group == want }}
				case fixture == "Quality" && len(c) == 2 && lineName.MatchString(name):
					want := lineName.FindStringSubmatch(name)[1]
					v = vector{"Sonarr, resolution", c[0], func(r reading) bool { return strings.TrimRight(r.resolution, "pi") == want }}
				default:
					continue
				}
				out = append(out, v)
			}
		}
	}
	if len(out) < 300 {
		t.Fatalf("%d vectors in Sonarr's fixtures: their form has changed", len(out))
	}
	return out
}

// csharp splits the arguments of an attribute: strings unquoted, arrays as their
// elements.
func csharp(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), ",")) {
		switch {
		case strings.HasPrefix(s, "@\""):
			var b strings.Builder
			i := 2
			for ; i < len(s); i++ {
				if s[i] == '"' {
					if i+1 < len(s) && s[i+1] == '"' {
						i++
					} else {
						break
					}
				}
				b.WriteByte(s[i])
			}
			out = append(out, b.String())
			s = s[min(len(s), i+1):]
		case s[0] == '"':
			i := 1
			for i < len(s) && s[i] != '"' {
				if s[i] == '\\' {
					i++
				}
				i++
			}
			text, err := strconv.Unquote(s[:min(len(s), i+1)])
			if err != nil {
				text = s[1:i]
			}
			out = append(out, text)
			s = s[min(len(s), i+1):]
		case strings.HasPrefix(s, "new"):
			open, shut := strings.IndexByte(s, '{'), strings.IndexByte(s, '}')
			if open < 0 || shut < open {
				return out
			}
			out = append(out, s[open+1:shut])
			s = s[shut+1:]
		default:
			i := strings.IndexByte(s, ',')
			if i < 0 {
				i = len(s)
			}
			out = append(out, strings.TrimSpace(s[:i]))
			s = s[i:]
		}
	}
	return out
}

// guessitVectors reads guessit's episodes.yml: every title that has a season, an
// episode or a date.
func guessitVectors(t *testing.T) []vector {
	b, err := os.ReadFile(vectors(t, "guessit", "guessit", "test", "episodes.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var out []vector
	var waiting []string
	for i := 0; i+1 < len(doc.Content[0].Content); i += 2 {
		key, value := doc.Content[0].Content[i].Value, doc.Content[0].Content[i+1]
		if value.Kind != yaml.MappingNode {
			waiting = append(waiting, key) // it has the next one's value
			continue
		}
		names := append(waiting, key)
		waiting = nil
		var want struct {
			Title    string    `yaml:"title"`
			Season   yaml.Node `yaml:"season"`
			Episode  yaml.Node `yaml:"episode"`
			Date     string    `yaml:"date"`
			Options  string    `yaml:"options"`
			Absolute yaml.Node `yaml:"absolute_episode"`
			Year     string    `yaml:"year"`
			Country  string    `yaml:"country"`
		}
		if err := value.Decode(&want); err != nil || want.Options != "" || want.Title == "" {
			continue
		}
		season, episodes, absolute := numbers(want.Season), numbers(want.Episode), numbers(want.Absolute)
		if len(season)+len(episodes)+len(absolute) == 0 && want.Date == "" {
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, "__") || strings.HasPrefix(name, "-") {
				continue
			}
			name = path.Base(strings.ReplaceAll(strings.TrimPrefix(name, "+"), `\`, "/"))
			out = append(out, vector{"guessit, episodes", name, func(r reading) bool {
				// The year and the country that tell two shows of one name apart stand
				// beside the title there, and in it here.
				name := said(strings.NewReplacer("("+want.Country+")", "", want.Year, "").Replace(r.show))
				if said(r.show) != said(want.Title) && name != said(want.Title) && strings.TrimSuffix(name, strings.ToLower(want.Country)) != said(want.Title) || want.Date != "" && r.date != want.Date {
					return false
				}
				if len(season) > 0 && r.season != season[0] {
					return false
				}
				got := r.episodes
				if len(got) == 0 && r.absolute > 0 {
					got = []int{r.absolute}
				}
				return len(episodes) == 0 || slices.Equal(got, episodes)
			}})
		}
	}
	if len(out) < 200 {
		t.Fatalf("%d vectors in guessit's episodes.yml: its form has changed", len(out))
	}
	return out
}

func numbers(n yaml.Node) []int {
	var out []int
	for _, node := range append([]*yaml.Node{&n}, n.Content...) {
		if v, err := strconv.Atoi(node.Value); err == nil {
			out = append(out, v)
		}
	}
	return out
}

var dateCase = regexp.MustCompile(`(?s)\(\s*_parse_date_\w+,\s*("(?:[^"\\]|\\.)*"),\s*(None|\([\d, ]+\)),?\s*\)`)

// TestDateVectors reads feedparser's table of dates.
func TestDateVectors(t *testing.T) {
	b, err := os.ReadFile(vectors(t, "feedparser", "tests", "test_date_parsers.py"))
	if err != nil {
		t.Fatal(err)
	}
	valid, good, invalid, refused := 0, 0, 0, 0
	for _, m := range dateCase.FindAllStringSubmatch(string(b), -1) {
		in, err := strconv.Unquote(m[1])
		if err != nil {
			t.Fatalf("%s: %v", m[1], err)
		}
		got, ok := parseDate(in)
		if m[2] == "None" {
			invalid++
			if !ok {
				refused++
			} else {
				fmt.Printf("taken for %v: %q\n", got, in)
			}
			continue
		}
		valid++
		if want, _ := timeTuple(m[2]); ok && got.Truncate(time.Second).Equal(want) {
			good++
		} else {
			fmt.Printf("%q: %v, %v; feedparser %v\n", in, got, ok, want)
		}
	}
	fmt.Printf("Of feedparser's %d valid dates %d are read as it reads them; of its %d invalid ones %d are refused.\n\n", valid, good, invalid, refused)
	if valid < 40 || invalid < 20 {
		t.Fatal("feedparser's table has changed its form")
	}
	if valid-good > 2 || refused < invalid {
		t.Error("the aim is all but two of the valid ones, and every invalid one refused")
	}
}

func timeTuple(s string) (time.Time, bool) {
	var n []int
	for _, f := range strings.Split(strings.Trim(s, "() "), ",") {
		v, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil {
			break
		}
		n = append(n, v)
	}
	if len(n) < 6 {
		return time.Time{}, false
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC), true
}

// TestWellFormed reads feedparser's well-formed suite. A file says what is expected
// as a Python expression; what is said of a field that this package keeps applies:
// titles, links, ids, texts, authors, dates, categories, enclosures, language. Texts
// are compared as plain text, which is what is kept of markup here.
func TestWellFormed(t *testing.T) {
	root := vectors(t, "feedparser", "tests", "wellformed")
	type tally struct{ files, apply, good int }
	sums := map[string]*tally{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".xml") || strings.Contains(p, "/cdf/") {
			return err // CDF is no format of ours
		}
		rel, _ := filepath.Rel(root, p)
		folder := strings.Split(filepath.ToSlash(rel), "/")[0]
		if sums[folder] == nil {
			sums[folder] = &tally{}
		}
		sum := sums[folder]
		sum.files++
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		text := string(toUTF8(b, ""))
		header := http.Header{}
		for _, m := range headerLine.FindAllStringSubmatch(text, -1) {
			header.Add(m[1], strings.TrimSpace(m[2]))
		}
		doc, perr := Parse(b, "", baseOf("http://127.0.0.1:8097/tests/wellformed/"+rel, header))
		ok, applies, why := expected(text, doc)
		if !applies {
			return nil
		}
		sum.apply++
		if perr == nil && ok {
			sum.good++
		} else {
			if os.Getenv("SIERPI_MISSES") != "" {
				fmt.Printf("miss %s: %v %s\n", rel, perr, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("| feedparser's well-formed suite | files | of what is kept here | as expected |")
	fmt.Println("|---|---|---|---|")
	var all, plain tally
	folders := make([]string, 0, len(sums))
	for f := range sums {
		folders = append(folders, f)
	}
	slices.Sort(folders)
	for _, f := range folders {
		s := sums[f]
		all.files, all.apply, all.good = all.files+s.files, all.apply+s.apply, all.good+s.good
		if f != "sanitize" {
			plain.files, plain.apply, plain.good = plain.files+s.files, plain.apply+s.apply, plain.good+s.good
		}
		if s.apply > 0 {
			fmt.Printf("| %s | %d | %d | %d |\n", f, s.files, s.apply, s.good)
		}
	}
	share := func(s tally) float64 { return 100 * float64(s.good) / float64(s.apply) }
	fmt.Printf("| all | %d | %d | %d (%.1f %%) |\n", all.files, all.apply, all.good, share(all))
	fmt.Printf("| all but sanitize | %d | %d | %d (%.1f %%) |\n\n", plain.files, plain.apply, plain.good, share(plain))
	if share(all) < 95 || share(plain) < 95 {
		t.Error("the aim is 95 %")
	}
}

var (
	expect     = regexp.MustCompile(`(?s)Expect:\s*(.*?)\s*-->`)
	compare    = regexp.MustCompile(`(?s)^(feed|entries\[(\d)\])(.*?)\s*==\s*(.*)$`)
	headerLine = regexp.MustCompile(`(?m)^Header:\s+([^:]+):(.*)$`)
	joined     = regexp.MustCompile(`' \+ '|" \+ "`)
	keys       = regexp.MustCompile(`^(?:\['(\w+)'\]|\[(\d+)\]|\.(\w+))`)
)

// expected evaluates a file's expectation as far as it concerns what is kept.
func expected(text string, doc *Document) (ok, applies bool, why string) {
	m := expect.FindStringSubmatch(text)
	if m == nil {
		return false, false, ""
	}
	ok = true
	for _, part := range strings.Split(m[1], " and ") {
		part = strings.Trim(strings.TrimSpace(part), "()")
		if part == "not bozo" {
			continue
		}
		if strings.HasSuffix(part, ")") == false && strings.Contains(part, "_parsed") && strings.Contains(part, "== (") || strings.Contains(part, "_parsed'] == ") && !strings.HasSuffix(part, ")") {
			part += ")"
		}
		c := compare.FindStringSubmatch(part)
		if c == nil {
			return false, false, ""
		}
		var pathOf []string
		rest := c[3]
		for rest != "" {
			k := keys.FindStringSubmatch(rest)
			if k == nil {
				return false, false, ""
			}
			pathOf = append(pathOf, k[1]+k[2]+k[3])
			rest = rest[len(k[0]):]
		}
		var got string
		var known bool
		if c[1] == "feed" {
			got, known = feedField(doc, pathOf)
		} else {
			n, _ := strconv.Atoi(c[2])
			got, known = entryField(doc, n, pathOf)
		}
		if !known {
			return false, false, ""
		}
		// A text may be meant literally or as markup; either way it is one line here.
		want, literal := python(c[4], pathOf, plainText)
		plain, _ := python(c[4], pathOf, oneLine)
		if !literal {
			return false, false, ""
		}
		applies = true
		if got != want && got != plain {
			ok = false
			why = fmt.Sprintf("%s: got %q, want %q", part, got, want)
		}
	}
	return ok, applies, why
}

// python is a literal in the form that fields are compared in.
func python(s string, key []string, show func(string, int) string) (string, bool) {
	s = joined.ReplaceAllString(strings.TrimSpace(s), "")
	last := key[len(key)-1]
	if strings.HasSuffix(last, "_parsed") {
		t, ok := timeTuple(strings.Trim(s, "()"))
		return t.Format(time.RFC3339), ok
	}
	s = strings.TrimPrefix(s, "u")
	if len(s) < 2 || s[0] != '\'' && s[0] != '"' || s[len(s)-1] != s[0] {
		return "", false
	}
	quote, body := s[0], s[1:len(s)-1]
	if quote == '\'' {
		body = strings.ReplaceAll(strings.ReplaceAll(body, `\'`, `'`), `"`, `\"`)
		body = strings.ReplaceAll(body, `\\"`, `\"`)
	}
	body = strings.ReplaceAll(body, "\n", `\n`)
	text, err := strconv.Unquote(`"` + body + `"`)
	if err != nil {
		return "", false
	}
	switch last {
	case "link", "href", "id", "guid", "url":
		return strings.TrimSpace(text), true
	case "author", "name":
		return personName(show(text, maxName)), true
	case "title", "term", "category":
		return show(text, maxTitle), true
	default:
		return show(text, maxSummary), true
	}
}

func stamp(t time.Time) string { return t.Truncate(time.Second).Format(time.RFC3339) }

func feedField(d *Document, key []string) (string, bool) {
	if d == nil {
		d = &Document{}
	}
	switch strings.Join(key, ".") {
	case "title", "title_detail.value":
		return d.Title, true
	case "link", "links.0.href":
		return d.Link, true
	case "description", "subtitle", "tagline", "subtitle_detail.value", "tagline_detail.value", "description_detail.value":
		return d.Description, true
	case "language":
		return d.Language, true
	case "updated_parsed", "modified_parsed", "date_parsed":
		return stamp(d.Updated), true
	}
	return "", false
}

func entryField(d *Document, n int, key []string) (string, bool) {
	it := Item{}
	if d != nil && n < len(d.Items) {
		it = d.Items[n]
	}
	index := func(n int) int { i, _ := strconv.Atoi(key[n]); return i }
	switch k := strings.Join(key, "."); {
	case k == "title", k == "title_detail.value":
		return it.Title, true
	case k == "link", k == "links.0.href":
		return it.Link, true
	case k == "id", k == "guid":
		return it.ID, true
	case k == "summary", k == "description", k == "summary_detail.value", k == "description_detail.value", k == "content.0.value":
		return it.Summary, true
	case k == "author", k == "author_detail.name", k == "authors.0.name":
		return it.Author, true
	case k == "published_parsed", k == "issued_parsed":
		return stamp(it.Published), true
	case k == "updated_parsed", k == "modified_parsed":
		if it.Updated.IsZero() {
			return stamp(it.Published), true
		}
		return stamp(it.Updated), true
	case k == "date_parsed":
		return stamp(it.Published), true
	case k == "category":
		if len(it.Categories) > 0 {
			return it.Categories[0], true
		}
		return "", true
	case len(key) == 3 && (key[0] == "tags" || key[0] == "categories") && key[2] == "term":
		if i := index(1); i < len(it.Categories) {
			return it.Categories[i], true
		}
		return "", true
	case len(key) == 3 && key[0] == "enclosures":
		var e Enclosure
		if i := index(1); i < len(it.Enclosures) {
			e = it.Enclosures[i]
		}
		switch key[2] {
		case "href", "url":
			return e.URL, true
		case "type":
			return e.Type, true
		case "length":
			return strconv.FormatInt(e.Length, 10), true
		}
	}
	return "", false
}

// TestBesideGofeed reads one feed with both parsers, in turns.
func TestBesideGofeed(t *testing.T) {
	doc := typicalRSS()
	measure := func(read func() error) (per time.Duration, allocations, bytes float64) {
		const times = 40
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := processorTime()
		for range times {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
		per = (processorTime() - start) / times
		runtime.ReadMemStats(&after)
		return per, float64(after.Mallocs-before.Mallocs) / times, float64(after.TotalAlloc-before.TotalAlloc) / times
	}
	type figures struct {
		per                time.Duration
		allocations, bytes float64
	}
	us, them := figures{per: time.Hour}, figures{per: time.Hour}
	for range 5 { // the least of some runs
		if per, a, b := measure(func() error { _, err := Parse(doc, "", "https://forge.example/"); return err }); per < us.per {
			us = figures{per, a, b}
		}
		if per, a, b := measure(func() error { _, err := gofeed.NewParser().Parse(bytes.NewReader(doc)); return err }); per < them.per {
			them = figures{per, a, b}
		}
	}
	fmt.Printf("| an RSS of %d KB | processor time | allocations | memory allocated |\n|---|---|---|---|\n", len(doc)/1000)
	fmt.Printf("| sierpi | %.1f ms | %.0f | %.0f KB |\n", us.per.Seconds()*1e3, us.allocations, us.bytes/1e3)
	fmt.Printf("| gofeed | %.1f ms | %.0f | %.0f KB |\n", them.per.Seconds()*1e3, them.allocations, them.bytes/1e3)
	fmt.Printf("| ratio | %.2f | %.2f | %.2f |\n\n", float64(us.per)/float64(them.per), us.allocations/them.allocations, us.bytes/them.bytes)
	if us.allocations > them.allocations/2 {
		t.Error("the aim is at most half of gofeed's allocations")
	}
}
