package page

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

// Soup is a line of the gallery of the soups that lived longest.
type Soup struct {
	ID            int64
	Seed          string
	Density       float64 // share of cells alive at the beginning
	Width, Height int
	Generations   int64 // until it only repeated itself
	Population    int   // that it left behind
	Added         time.Time
}

// Choice is something to choose by name.
type Choice struct{ Name, Title string }

// OwnerOutput is a screen of the machine on the owner's page.
type OwnerOutput struct {
	Name, View, State, Trouble string
	Power                      string // "auto", "on" or "off"
	Asked                      bool   // to be lit
	ReadBack                   string // "lit", "dark" or ""
	Rate                       float64
	Bad                        bool
}

// OwnerVisitor is who holds a remote now, or a ban.
type OwnerVisitor struct{ Name, Client, Since string }

// OwnerView is what the owner's page of the wall shows.
type OwnerView struct {
	Caption, Scene  string
	Bright          int    // percent
	Colours         string // "night", "day" or "auto"
	Day             bool   // ink on paper now
	Nights          bool   // there are hours of night
	Hold, Frozen    bool
	Saving          string // how the machine saves power now; "" if it does not
	Outputs         []OwnerOutput
	Visitors, Bans  []OwnerVisitor
	VisitingScreens int
}

// WallOptions are what the pages about the one universe stand on.
type WallOptions struct {
	Look   *web.Look
	Scenes []Choice

	// Visitor is the name of the visitor that a request is from, "" for nobody; Frozen, whether the
	// owner lets nobody steer. Remote is the WebSocket: ServeRemote of package display.
	Visitor func(*http.Request) string
	Frozen  func() bool
	Remote  http.HandlerFunc

	// The gallery. Picture is a PNG, nil if there is no such soup; Show begins the soup again
	// on the wall, false if there is none.
	Soups   func(context.Context) ([]Soup, error)
	Picture func(ctx context.Context, id int64) ([]byte, error)
	Show    func(ctx context.Context, id int64) (bool, error)

	// Owner is the state of the wall; Act does what a form of the owner's page asks for. An
	// error that is an InputError is his.
	Owner func(context.Context) OwnerView
	Act   func(ctx context.Context, form url.Values) error
}

// WallRoutes are the visitors' remote, the gallery and the owner's page of the wall.
func WallRoutes(o WallOptions) ([]web.Route, error) {
	p := &wallPages{WallOptions: o}
	for name, t := range map[string]**template.Template{"remote.html": &p.remote, "gallery.html": &p.gallery, "ownerwall.html": &p.owner} {
		var err error
		if *t, err = template.New(name).Funcs(web.Funcs()).Funcs(template.FuncMap{"percent": func(v float64) float64 { return 100 * v }}).ParseFS(templates, "templates/"+name); err != nil {
			return nil, fmt.Errorf("parsing the page %s: %w", name, err)
		}
	}
	return []web.Route{
		{Method: "GET", Pattern: "/remote", Role: web.Anyone, Handler: http.HandlerFunc(p.serveRemote)},
		{Method: "GET", Pattern: "/remote/state.json", Role: web.Anyone, Handler: http.HandlerFunc(p.serveState)},
		{Method: "GET", Pattern: "/display/remote", Role: web.Visitor, Streams: true, Handler: o.Remote},
		{Method: "GET", Pattern: "/gallery", Role: web.Anyone, Handler: http.HandlerFunc(p.serveGallery)},
		{Method: "GET", Pattern: "/gallery/{id}/picture.png", Role: web.Anyone, Handler: http.HandlerFunc(p.servePicture)},
		{Method: "POST", Pattern: "/gallery/{id}/show", Role: web.Visitor, MaxBody: 1 << 10, Handler: http.HandlerFunc(p.show)},
		{Method: "GET", Pattern: "/owner/wall", Role: web.Owner, Handler: http.HandlerFunc(p.serveOwner)},
		{Method: "POST", Pattern: "/owner/wall", Role: web.Owner, MaxBody: 4 << 10, Handler: http.HandlerFunc(p.act)},
	}, nil
}

type wallPages struct {
	WallOptions
	remote, gallery, owner *template.Template
}

func (p *wallPages) render(w http.ResponseWriter, r *http.Request, title, script string, body *template.Template, data any) {
	v := web.View{Title: title, Section: "/", Body: body, Data: data, Styles: []string{StaticPrefix + "remote.css"}}
	if script != "" {
		v.Scripts = []string{StaticPrefix + script}
	}
	p.Look.Render(w, r, v)
}

func (p *wallPages) serveRemote(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, "Remote", "remote.js", p.remote, struct {
		Name   string
		Frozen bool
		Owner  bool
		Scenes []Choice
	}{p.Visitor(r), p.Frozen(), web.RoleOf(r) >= web.Owner, p.Scenes})
}

func (p *wallPages) serveState(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, map[string]any{"visitor": p.Visitor(r), "frozen": p.Frozen()})
}

func (p *wallPages) serveGallery(w http.ResponseWriter, r *http.Request) {
	soups, err := p.Soups(r.Context())
	if err != nil {
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The gallery cannot be read.", "The machine's log says why; try again in a moment.")
		return
	}
	p.render(w, r, "Gallery", "", p.gallery, struct {
		Soups []Soup
		May   bool // have one shown
	}{soups, p.Visitor(r) != ""})
}

// soupID is the soup that the address names; false where it names none, which was answered.
func (p *wallPages) soupID(w http.ResponseWriter, r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		p.noSoup(w, r)
		return 0, false
	}
	return id, true
}

func (p *wallPages) noSoup(w http.ResponseWriter, r *http.Request) {
	p.Look.Error(w, r, http.StatusNotFound, "There is no such soup in the gallery.", "Longer lives may have pushed it out; see /gallery.")
}

func (p *wallPages) servePicture(w http.ResponseWriter, r *http.Request) {
	id, ok := p.soupID(w, r)
	if !ok {
		return
	}
	data, err := p.Picture(r.Context(), id)
	switch {
	case err != nil:
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The picture cannot be read.", "The machine's log says why; try again in a moment.")
	case data == nil:
		p.noSoup(w, r)
	default:
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Cache-Control", "public, max-age=86400") // a soup's number is never another's
		_, _ = w.Write(data)
	}
}

func (p *wallPages) show(w http.ResponseWriter, r *http.Request) {
	id, ok := p.soupID(w, r)
	if !ok {
		return
	}
	if p.Visitor(r) == "" {
		p.Look.Error(w, r, http.StatusForbidden, "Only visitors who scanned the wall's code may do this.", "Scan the code that the wall shows.")
		return
	}
	found, err := p.Show(r.Context(), id)
	switch {
	case err != nil:
		p.Look.Error(w, r, http.StatusConflict, "The wall cannot show this soup now.", err.Error())
	case !found:
		p.noSoup(w, r)
	default:
		http.Redirect(w, r, "/remote", http.StatusSeeOther)
	}
}

func (p *wallPages) serveOwner(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	p.render(w, r, "The wall", "ownerwall.js", p.owner, struct {
		OwnerView
		Scenes []Choice
	}{p.Owner(r.Context()), p.Scenes})
}

func (p *wallPages) act(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.Look.Error(w, r, http.StatusBadRequest, "The form cannot be read.", "Load the page again.")
		return
	}
	err := p.Act(r.Context(), r.PostForm)
	var input *InputError
	switch {
	case err == nil:
		http.Redirect(w, r, "/owner/wall", http.StatusSeeOther)
	case errors.As(err, &input):
		p.Look.Error(w, r, http.StatusBadRequest, "That is not possible.", input.Error()+".")
	default:
		p.Look.Error(w, r, http.StatusServiceUnavailable, "It was done, but could not be kept.", "The machine's log says why: "+err.Error()+".")
	}
}
