package quotes

import (
	"bytes"
	"context"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page/*.html page/static
var pageFiles embed.FS

// newAssets are the page's script and style.
func newAssets() (*web.Assets, error) {
	files, err := fs.Sub(pageFiles, "page/static")
	if err != nil {
		return nil, err
	}
	return web.NewAssets("/static/quotes/", files)
}

// fragment is a run of a text, marked where it matched.
type fragment struct {
	Text string
	Mark bool
}

// fragments parts a hit's text, as it is shown, at its marks.
func (h Hit) fragments() []fragment {
	text := shown(h.Text)
	var out []fragment
	pos := 0
	for _, m := range h.Marks {
		if m[0] > pos {
			out = append(out, fragment{text[pos:m[0]], false})
		}
		out = append(out, fragment{text[m[0]:m[1]], true})
		pos = m[1]
	}
	if pos < len(text) {
		out = append(out, fragment{text[pos:], false})
	}
	return out
}

// isSet says whether the lines of a text are laid out: tables, drawings, dialogue
// in columns. Such a text keeps its spaces and stands in typewriter letters, where
// they line up. An indented first line of a paragraph is no layout.
func isSet(text string) bool {
	before := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n ")
		body := strings.TrimLeft(line, " ")
		indented := len(line)-len(body) >= 2
		if indented && before || strings.Contains(body, "   ") {
			return true
		}
		before = indented
	}
	return false
}

// shown is a text with the line breaks of a 72-column file undone, so that a phone
// may break the lines where it must: a long line that a line at the margin
// follows goes on there. Lines of verse are short; positions stay the same.
func shown(text string) string {
	if isSet(text) {
		return text
	}
	b := []byte(text)
	start := 0
	for i, c := range b {
		if c != '\n' {
			continue
		}
		if i-start >= 56 && i+1 < len(b) && b[i+1] != ' ' && b[i+1] != '\n' && b[i+1] != '-' && b[i+1] != '*' {
			b[i] = ' '
		}
		start = i + 1
	}
	return string(b)
}

var templates = template.Must(template.New("").Funcs(web.Funcs()).Funcs(template.FuncMap{
	"fragments": Hit.fragments,
	"join":      strings.Join,
	"set":       isSet,
	"shown":     shown,
	"number":    number,
	"facets":    facetsOfPage,
}).ParseFS(pageFiles, "page/*.html"))

// searchData is what the search page shows.
type searchData struct {
	Words   string
	Filter  Filter
	Page    Page
	Asked   bool   // something was looked for
	Next    string // the address of the next page, "" on the last
	Total   int    // quotes there are
	Authors []counted
	Sources []counted
	Tags    []counted
	Today   *Hit // quote of the day; nil where something was looked for
	Owner   bool
	Hidden  bool // the owner looks at what is hidden
}

// counted is a name and how many quotes it has.
type counted struct {
	Name string
	N    int
}

// facetList is the most frequent names of a kind, as the page lists them.
type facetList struct {
	Title, Param string
	Few          []counted
}

func facetsOfPage(title, param string, all []counted) facetList {
	return facetList{title, param, all[:min(len(all), 10)]}
}

// number writes 14969 as 14,969.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// common returns the names of a kind that have the most quotes.
func (s *Service) common(ctx context.Context, kind byte, limit int) (names []counted, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT name, n FROM quote_facet WHERE kind = ? AND n > 0 ORDER BY n DESC, key LIMIT ?`, string(kind), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c counted
			if err := rows.Scan(&c.Name, &c.N); err != nil {
				return err
			}
			names = append(names, c)
		}
		return rows.Err()
	})
	return names, err
}

// Lengths are the choices of the filter.
func (d searchData) Lengths() []lengthChoice {
	out := []lengthChoice{{Short, "short", false}, {Medium, "medium", false}, {Long, "long", false}}
	for i := range out {
		out[i].Selected = out[i].Value == d.Filter.Length
	}
	return out
}

type lengthChoice struct {
	Value    Length
	Label    string
	Selected bool
}

func (s *Service) searched(r *http.Request) (searchData, error) {
	v := r.URL.Query()
	f, err := filterOf(v)
	if err != nil {
		return searchData{}, err
	}
	d := searchData{Words: v.Get("q"), Filter: f, Asked: strings.TrimSpace(v.Get("q")) != "" || f != Filter{}}
	if d.Page, err = s.Search(r.Context(), Query{Words: d.Words, Filter: f, Cursor: v.Get("cursor")}); err != nil {
		return d, err
	}
	if d.Total, err = s.Count(r.Context()); err != nil {
		return d, err
	}
	d.Owner = web.RoleOf(r) == web.Owner
	if !d.Asked && !v.Has("cursor") {
		q, ok, err := s.OfTheDay(r.Context(), time.Now())
		if err != nil {
			return d, err
		}
		if ok {
			d.Today = &Hit{Quote: q}
		}
	}
	if d.Page.Next != "" {
		next := url.Values{"cursor": {d.Page.Next}}
		for k, val := range map[string]string{"q": d.Words, "author": f.Author, "source": f.Source, "tag": f.Tag, "length": string(f.Length)} {
			if val != "" {
				next.Set(k, val)
			}
		}
		d.Next = "/quotes?" + next.Encode()
	}
	return d, nil
}

// hiddenPage lists what is hidden, for the owner to bring it back.
func (s *Service) hiddenPage(w http.ResponseWriter, r *http.Request) error {
	page, err := s.hidden(r.Context(), r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	d := searchData{Page: page, Owner: true, Hidden: true}
	if page.Next != "" {
		d.Next = "/quotes/hidden?cursor=" + page.Next
	}
	s.render(w, r, "Hidden quotes", "search.html", d)
	return nil
}

// addQuote takes a quote that the owner typed, and shows it, or the one that it is
// another wording of.
func (s *Service) addQuote(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	id, err := s.Add(r.Context(), Item{Text: r.PostForm.Get("text"), Author: r.PostForm.Get("author"),
		Source: r.PostForm.Get("source"), Tags: strings.Split(r.PostForm.Get("tags"), ",")}, "owner")
	if err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/quotes/%d", id), http.StatusSeeOther)
	return nil
}

func (s *Service) searchPage(w http.ResponseWriter, r *http.Request) error {
	d, err := s.searched(r)
	if err != nil {
		return err
	}
	for kind, into := range map[byte]*[]counted{facetAuthor: &d.Authors, facetSource: &d.Sources, facetTag: &d.Tags} {
		if *into, err = s.common(r.Context(), kind, 100); err != nil {
			return err
		}
	}
	s.render(w, r, "Quotes", "search.html", d)
	return nil
}

func (s *Service) render(w http.ResponseWriter, r *http.Request, title, name string, data any) {
	s.look.Render(w, r, web.View{Title: title, Section: "/quotes", Body: templates.Lookup(name), Data: data,
		Scripts: []string{s.assets.URL("quotes.js")}, Styles: []string{s.assets.URL("quotes.css")}})
}

// resultsPage is the list alone, for the script that searches while you type.
func (s *Service) resultsPage(w http.ResponseWriter, r *http.Request) error {
	same, err := s.unchanged(w, r)
	if err != nil || same {
		return err
	}
	d, err := s.searched(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "results.html", d); err != nil {
		return fmt.Errorf("rendering results: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
	return nil
}

// visible is the quote that an address names, if the client may see it.
func (s *Service) visible(r *http.Request) (Full, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Full{}, ErrUnknown
	}
	q, err := s.Get(r.Context(), id)
	if err == nil && q.Hidden && web.RoleOf(r) < web.Owner {
		err = ErrUnknown
	}
	return q, err
}

// quoteData is what the page of one quote shows.
type quoteData struct {
	Full
	Owner bool
	Today bool
}

func (s *Service) quotePage(w http.ResponseWriter, r *http.Request) error {
	q, err := s.visible(r)
	if err != nil {
		return err
	}
	s.render(w, r, fmt.Sprintf("Quote %d", q.ID), "quote.html", quoteData{Full: q, Owner: web.RoleOf(r) == web.Owner})
	return nil
}

func (s *Service) todayPage(w http.ResponseWriter, r *http.Request) error {
	q, ok, err := s.OfTheDay(r.Context(), time.Now())
	if err != nil {
		return err
	}
	if !ok {
		http.Redirect(w, r, "/quotes", http.StatusSeeOther)
		return nil
	}
	full, err := s.Get(r.Context(), q.ID)
	if err != nil {
		return err
	}
	s.render(w, r, "Quote of the day", "quote.html", quoteData{Full: full, Today: true})
	return nil
}

func (s *Service) randomPage(w http.ResponseWriter, r *http.Request) error {
	f, err := filterOf(r.URL.Query())
	if err != nil {
		return err
	}
	qs, at, err := s.next(r.Context(), walkOf(r, f), f, 1)
	if err != nil {
		return err
	}
	setWalk(w, at, f)
	w.Header().Set("Cache-Control", "no-store")
	to := "/quotes"
	if len(qs) > 0 {
		to = fmt.Sprintf("/quotes/%d", qs[0].ID)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// form reads a form of at most 64 KB and the id of the address.
func form(w http.ResponseWriter, r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, ErrUnknown
	}
	return id, readForm(w, r)
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return &BadRequest{"the form could not be read", "a quote has at most 20,000 bytes"}
	}
	return nil
}

func (s *Service) editQuote(w http.ResponseWriter, r *http.Request) error {
	id, err := form(w, r)
	if err != nil {
		return err
	}
	err = s.Edit(r.Context(), id, Item{Text: r.PostForm.Get("text"), Author: r.PostForm.Get("author"),
		Source: r.PostForm.Get("source"), Tags: strings.Split(r.PostForm.Get("tags"), ",")})
	if err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/quotes/%d", id), http.StatusSeeOther)
	return nil
}

func (s *Service) hideQuote(w http.ResponseWriter, r *http.Request) error {
	id, err := form(w, r)
	if err != nil {
		return err
	}
	hidden, err := strconv.ParseBool(r.PostForm.Get("hidden"))
	if err != nil {
		return &BadRequest{"hidden is neither true nor false", "send hidden=true or hidden=false"}
	}
	if err := s.Hide(r.Context(), id, hidden); err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/quotes/%d", id), http.StatusSeeOther)
	return nil
}

type rssItem struct {
	Title       string  `xml:"title"`
	Link        string  `xml:"link"`
	GUID        rssGUID `xml:"guid"`
	Description string  `xml:"description"`
	Date        string  `xml:"pubDate"`
}

type rssGUID struct {
	Permalink bool   `xml:"isPermaLink,attr"`
	ID        string `xml:",chardata"`
}

// rss is the latest 50 quotes as RSS 2.0.
func (s *Service) rss(w http.ResponseWriter, r *http.Request) error {
	same, err := s.unchanged(w, r)
	if err != nil || same {
		return err
	}
	qs, err := s.Latest(r.Context(), Filter{}, 50)
	if err != nil {
		return err
	}
	base := "http://" + r.Host // checked against the allowlist
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	type channel struct {
		Title       string    `xml:"title"`
		Link        string    `xml:"link"`
		Description string    `xml:"description"`
		Items       []rssItem `xml:"item"`
	}
	c := channel{Title: "Quotes", Link: base + "/quotes", Description: "The latest quotes"}
	for _, q := range qs {
		link := fmt.Sprintf("%s/quotes/%d", base, q.ID)
		title, _, _ := strings.Cut(q.Text, "\n")
		if rs := []rune(title); len(rs) > 80 {
			title = string(rs[:79]) + "…"
		}
		body := `<blockquote style="white-space:pre-line">` + template.HTMLEscapeString(q.Text) + "</blockquote>"
		if q.Author != "" {
			body += "<p>" + template.HTMLEscapeString(q.Author) + "</p>"
		}
		c.Items = append(c.Items, rssItem{Title: title, Link: link, Description: body,
			GUID: rssGUID{true, link}, Date: q.Added.Format(time.RFC1123Z)})
	}
	out, err := xml.MarshalIndent(struct {
		XMLName xml.Name `xml:"rss"`
		Version string   `xml:"version,attr"`
		Channel channel  `xml:"channel"`
	}{Version: "2.0", Channel: c}, "", " ")
	if err != nil {
		return errors.Join(errors.New("writing the feed"), err)
	}
	w.Header().Set("Content-Type", "application/rss+xml; charset=utf-8")
	_, _ = w.Write(append([]byte(xml.Header), out...))
	return nil
}
