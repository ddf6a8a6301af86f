package quotes

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed page
var pageFiles embed.FS

// fragment is a run of a text, marked where it matched.
type fragment struct {
	Text string
	Mark bool
}

// fragments parts a hit's text at its marks.
func (h Hit) fragments() []fragment {
	var out []fragment
	pos := 0
	for _, m := range h.Marks {
		if m[0] > pos {
			out = append(out, fragment{h.Text[pos:m[0]], false})
		}
		out = append(out, fragment{h.Text[m[0]:m[1]], true})
		pos = m[1]
	}
	if pos < len(h.Text) {
		out = append(out, fragment{h.Text[pos:], false})
	}
	return out
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"fragments": Hit.fragments,
}).ParseFS(pageFiles, "page/*.html"))

// searchData is what the search page shows.
type searchData struct {
	Words  string
	Filter Filter
	Page   Page
	Asked  bool   // something was looked for
	Next   string // the address of the next page, "" on the last
	Total  int    // quotes there are
}

func (s *Service) searchPage(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	f, err := filterOf(v)
	if err != nil {
		return err
	}
	page, err := s.Search(r.Context(), Query{Words: v.Get("q"), Filter: f, Cursor: v.Get("cursor")})
	if err != nil {
		return err
	}
	d := searchData{Words: v.Get("q"), Filter: f, Page: page, Asked: v.Get("q") != "" || f != Filter{}}
	if d.Total, err = s.Count(r.Context()); err != nil {
		return err
	}
	if page.Next != "" {
		v.Set("cursor", page.Next)
		d.Next = "/quotes?" + v.Encode()
	}
	s.look.Render(w, r, web.View{Title: "Quotes", Section: "/quotes", Body: templates.Lookup("search.html"), Data: d})
	return nil
}

func (s *Service) quotePage(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return ErrUnknown
	}
	q, err := s.Get(r.Context(), id)
	if err != nil {
		return err
	}
	if q.Hidden && web.RoleOf(r) < web.Owner {
		return ErrUnknown
	}
	s.look.Render(w, r, web.View{Title: fmt.Sprintf("Quote %d", id), Section: "/quotes", Body: templates.Lookup("quote.html"), Data: q})
	return nil
}
