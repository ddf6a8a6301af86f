package feed

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page.html
var files embed.FS

// snapshot is what requests are answered from; it is made anew when a source
// changed and never written to.
type snapshot struct {
	rows []row // newest first
	made time.Time
}

type row struct {
	*entry
	Source string
}

// rebuild makes the snapshot from the sources' records.
func (s *Service) rebuild() {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := &snapshot{made: s.now()}
	for _, src := range s.sources {
		if src.rec == nil {
			continue
		}
		for i := range src.rec.Entries {
			snap.rows = append(snap.rows, row{&src.rec.Entries[i], name(src)})
		}
	}
	slices.SortStableFunc(snap.rows, func(a, b row) int {
		return cmp.Or(b.When().Compare(a.When()), cmp.Compare(b.Seq, a.Seq))
	})
	s.shown.Store(snap)
}

// Routes are the pages and the feeds of our own.
func (s *Service) Routes() []web.Route {
	return []web.Route{
		{Method: "GET", Pattern: "/feed", Handler: http.HandlerFunc(s.page)},
		{Method: "GET", Pattern: "/feed.json", Handler: http.HandlerFunc(s.json)},
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

// mark says in the headers how old the answer is, by its oldest source.
func (s *Service) mark(w http.ResponseWriter, list []status) (stale bool) {
	var age, next time.Duration = 0, time.Minute
	for _, st := range list {
		age = max(age, st.Age)
		if st.Stale != "" || st.Never {
			stale = true
		}
		if !st.Stopped {
			next = min(next, st.Next)
		}
	}
	h := w.Header()
	h.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	if stale || next < time.Second {
		h.Set("Cache-Control", "no-cache")
	} else {
		// Age counts against max-age, so it is added.
		h.Set("Cache-Control", "max-age="+strconv.FormatInt(int64((age+next)/time.Second), 10))
	}
	return stale
}

// maxShown bounds one answer.
const maxShown = 200

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
	"date": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(files, "page.html"))

func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	s.ready(r.Context())
	list := s.status(s.now())
	stale := s.mark(w, list)
	// The layout differs for the owner, so the look decides on caching.
	w.Header().Del("Cache-Control")
	snap := s.shown.Load()
	s.look.Render(w, r, web.View{
		Title: "Feed", Section: "/feed", Body: pageTemplate,
		Data: struct {
			Rows    []row
			Sources []status
			Stale   bool
		}{snap.rows[:min(maxShown, len(snap.rows))], list, stale},
	})
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

// JSON Feed 1.1, https://jsonfeed.org/version/1.1, with what it has no field for
// under _sierpi.
type outFeed struct {
	Version     string    `json:"version"`
	Title       string    `json:"title"`
	HomePage    string    `json:"home_page_url"`
	FeedURL     string    `json:"feed_url"`
	Description string    `json:"description"`
	Sierpi      outState  `json:"_sierpi"`
	Items       []outItem `json:"items"`
}

type outState struct {
	Stale   bool        `json:"stale"`
	Sources []outSource `json:"sources"`
}

type outSource struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Items  int    `json:"items"`
	Age    int64  `json:"age_seconds"`
	Stale  string `json:"stale,omitzero"`
	Error  string `json:"error,omitzero"`
	Next   int64  `json:"next_poll_seconds"`
	Reason string `json:"reason,omitzero"`
}

type outItem struct {
	ID            string          `json:"id"`
	URL           string          `json:"url,omitzero"`
	Title         string          `json:"title,omitzero"`
	ContentText   string          `json:"content_text"`
	DatePublished string          `json:"date_published,omitzero"`
	DateModified  string          `json:"date_modified,omitzero"`
	Authors       []outAuthor     `json:"authors,omitempty"`
	Tags          []string        `json:"tags,omitempty"`
	Attachments   []outAttachment `json:"attachments,omitempty"`
	Sierpi        outExtra        `json:"_sierpi"`
}

type outAuthor struct {
	Name string `json:"name"`
}

type outAttachment struct {
	URL  string `json:"url"`
	Type string `json:"mime_type"`
	Size int64  `json:"size_in_bytes,omitzero"`
}

type outExtra struct {
	Source  string   `json:"source"`
	Seq     uint64   `json:"seq"`
	Torrent *Torrent `json:"torrent,omitempty"`
}

func (s *Service) json(w http.ResponseWriter, r *http.Request) {
	s.ready(r.Context())
	list := s.status(s.now())
	stale := s.mark(w, list)
	snap := s.shown.Load()
	here := "http://" + r.Host
	out := outFeed{
		Version: "https://jsonfeed.org/version/1.1", Title: "sierpi feed", HomePage: here + "/feed", FeedURL: here + "/feed.json",
		Description: "What the configured feeds bring, newest first.",
		Sierpi:      outState{Stale: stale}, Items: []outItem{},
	}
	for _, st := range list {
		out.Sierpi.Sources = append(out.Sierpi.Sources, outSource{
			Name: st.Name, URL: st.URL, Items: st.Items, Age: int64(st.Age / time.Second), Stale: st.Stale, Error: st.Error,
			Next: int64(st.Next / time.Second), Reason: st.Reason,
		})
	}
	for _, e := range snap.rows[:min(maxShown, len(snap.rows))] {
		out.Items = append(out.Items, jsonOut(e))
	}
	w.Header().Set("Content-Type", "application/feed+json; charset=utf-8")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(out)
}

func jsonOut(e row) outItem {
	it := outItem{
		ID: e.ID, URL: e.Link, Title: e.Title, ContentText: cmp.Or(e.Summary, e.Title), Tags: e.Categories,
		Sierpi: outExtra{Source: e.Source, Seq: e.Seq, Torrent: e.Torrent},
	}
	if t := e.When(); !t.IsZero() {
		it.DatePublished = t.UTC().Format(time.RFC3339)
	}
	if !e.Updated.IsZero() {
		it.DateModified = e.Updated.UTC().Format(time.RFC3339)
	}
	if e.Author != "" {
		it.Authors = []outAuthor{{e.Author}}
	}
	for _, a := range e.Enclosures {
		it.Attachments = append(it.Attachments, outAttachment{a.URL, cmp.Or(a.Type, "application/octet-stream"), a.Length})
	}
	return it
}
