package feed

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page.html static
var files embed.FS

// Routes are the page and the feeds of our own.
func (s *Service) Routes() []web.Route {
	route := func(pattern string, h http.HandlerFunc) web.Route {
		return web.Route{Method: "GET", Pattern: pattern, Handler: h}
	}
	encodes := func(pattern string, f *format) web.Route {
		return web.Route{Method: "GET", Pattern: pattern, Handler: s.output(f), Encodes: true}
	}
	return []web.Route{
		route("/feed", s.page),
		encodes("/feed.json", jsonFeed),
		encodes("/feed.rss", rssFeed),
		encodes("/feed.atom", atomFeed),
		encodes("/feed.ics", calendar),
		s.assets.Route(s.look),
	}
}

// firstWait bounds how long a request waits when nothing was ever fetched.
const firstWait = 5 * time.Second

// ready waits for the very first copy, if there is none.
func (s *Service) ready(ctx context.Context) {
	select {
	case <-s.tried:
		return
	default:
	}
	t := time.NewTimer(firstWait)
	defer t.Stop()
	select {
	case <-s.tried:
	case <-t.C:
	case <-ctx.Done():
	}
}

// age is how old the oldest copy is, how long none is polled, and whether any is
// older than it should be.
func age(list []status) (age, next time.Duration, stale bool) {
	next = time.Minute
	for _, st := range list {
		age = max(age, st.Age)
		stale = stale || st.Stale != "" || st.Never
		if !st.Stopped {
			next = min(next, st.Next)
		}
	}
	return age, next, stale
}

const rowsPerPage = 50

var pageTemplate = template.Must(template.New("page.html").Funcs(web.Funcs()).Funcs(template.FuncMap{
	"ago": ago,
	// Links were checked when they were parsed; html/template knows no magnet links.
	"href": func(s string) template.URL { return template.URL(s) },
	"short": func(d time.Duration) string {
		if d > time.Minute {
			return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
		}
		return d.Round(time.Second).String()
	},
	// The visitors are where the machine is.
	"clock": func(t time.Time) string { return t.Local().Format("15:04") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"size":  size,
	"sentence": func(s string) string {
		r, n := utf8.DecodeRuneInString(s)
		return string(unicode.ToUpper(r)) + s[n:]
	},
}).ParseFS(files, "page.html"))

// pageData is what the template shows.
type pageData struct {
	Rows        []row
	Days        []day // the same rows
	Total       int   // rows that fit the filter
	Items       int   // of all sources
	Fresh       int   // rows new since the last visit, of all
	Seen        uint64
	Visited     bool // there was a last visit
	Filter      filter
	Filtered    bool
	Sources     []status
	Resolutions []string
	Stale       bool
	Trouble     string // which copies are older than they should be, or missing; "" for none
	URL         *url.URL
	Page, Pages int
	Feeds       string // the query of the feeds that follow the same filter
}

// day is the rows of one.
type day struct {
	Name string
	Rows []row
}

// days parts rows, which are in order, by the machine's days.
func days(rows []row, now time.Time) []day {
	var out []day
	for _, r := range rows {
		name := dayName(r.When, now)
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, day{Name: name})
		}
		last := &out[len(out)-1]
		last.Rows = append(last.Rows, r)
	}
	return out
}

func dayName(t, now time.Time) string {
	if t.IsZero() {
		return "Without a date"
	}
	t, now = t.Local(), now.Local()
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	switch midnight(now).Sub(midnight(t)) {
	case 0:
		return "Today"
	case 24 * time.Hour:
		return "Yesterday"
	}
	if t.Year() == now.Year() {
		return t.Format("Monday, 2 January")
	}
	return t.Format("Monday, 2 January 2006")
}

// trouble says in a sentence which copies are old or missing.
func trouble(list []status) string {
	var old, missing []string
	for _, st := range list {
		switch {
		case st.Never:
			missing = append(missing, st.Name)
		case st.Stale != "":
			old = append(old, st.Name+" ("+ago(st.Age)+")")
		}
	}
	var parts []string
	if len(old) > 0 {
		parts = append(parts, "Older than it should be, the last good copy is shown: "+strings.Join(old, ", ")+".")
	}
	if len(missing) > 0 {
		parts = append(parts, "Not read yet: "+strings.Join(missing, ", ")+".")
	}
	return strings.Join(parts, " ")
}

// IsNew tells whether an item came since the last visit.
func (d pageData) IsNew(seq uint64) bool { return d.Visited && seq > d.Seen }

func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		s.look.Error(w, r, http.StatusBadRequest, "That is no filter of this page: "+err.Error()+".", "Start again at /feed.")
		return
	}
	s.ready(r.Context())
	st := s.standing()
	snap := st.snap
	seen, visited := visit(w, r, snap.lastSeq)
	rows := f.pick(snap.rows, seen)
	d := pageData{
		Total: len(rows), Items: snap.items, Seen: seen, Visited: visited, Filter: f, Filtered: !f.none(), Sources: st.list,
		Resolutions: resolutions(snap.rows), Stale: st.stale, URL: r.URL, Page: f.Page, Pages: (len(rows) + rowsPerPage - 1) / rowsPerPage,
	}
	for _, row := range snap.rows {
		if d.IsNew(row.Seq) {
			d.Fresh++
		}
	}
	from := min((f.Page-1)*rowsPerPage, len(rows))
	d.Rows = rows[from:min(from+rowsPerPage, len(rows))]
	d.Days = days(d.Rows, s.now())
	d.Trouble = trouble(st.list)
	q := r.URL.Query()
	q.Del("page")
	q.Del("new")
	if d.Feeds = q.Encode(); d.Feeds != "" {
		d.Feeds = "?" + d.Feeds
	}
	w.Header()["Age"] = st.age
	s.look.Render(w, r, web.View{Title: "Feed", Section: "/feed", Body: pageTemplate, Data: d, Styles: []string{s.assets.URL("feed.css")}})
}

// The two cookies of a visitor: how far the items went when this visit began, kept
// while the visit lasts, and how far they went at the last page.
const (
	visitCookie = "feed_visit"
	seenCookie  = "feed_seen"
	visitLasts  = 30 * time.Minute
	seenLasts   = 365 * 24 * time.Hour
)

// visit returns what the last visit had seen, and notes this one. Numbers, not
// dates, are compared: the appliance's clock may have been decades off.
func visit(w http.ResponseWriter, r *http.Request, last uint64) (seen uint64, visited bool) {
	read := func(name string) (uint64, bool) {
		c, err := r.Cookie(name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseUint(c.Value, 10, 63)
		// A number from before the state was lost says nothing.
		return n, err == nil && n <= last
	}
	if seen, visited = read(visitCookie); !visited {
		seen, visited = read(seenCookie)
	}
	set := func(name string, n uint64, lasts time.Duration) {
		http.SetCookie(w, &http.Cookie{
			Name: name, Value: strconv.FormatUint(n, 10), Path: "/feed", MaxAge: int(lasts / time.Second),
			HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	if visited {
		set(visitCookie, seen, visitLasts)
	}
	set(seenCookie, last, seenLasts)
	return seen, visited
}

// resolutions are those there are, for the filter, the sharpest first.
func resolutions(rows []row) []string {
	var out []string
	for _, r := range rows {
		for _, it := range r.Items {
			if it.release != nil && it.release.Resolution != "" && !slices.Contains(out, it.release.Resolution) {
				out = append(out, it.release.Resolution)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		lines := func(s string) int { n, _ := strconv.Atoi(strings.TrimRight(s, "pi")); return n }
		return lines(b) - lines(a)
	})
	return out
}

func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h ago"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + " days ago"
	}
}

func size(n int64) string {
	switch {
	case n >= 1000<<20:
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB"
	case n >= 1<<20:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	default:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
}
