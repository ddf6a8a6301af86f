// Package web is what every page and API of sierpi shares: the listeners, the
// middleware (host allowlist, cross-site protection, limits), sessions and
// roles, and the look (layout, style, icons). It knows no service.
//
// The wiring, in order:
//
//	look, err := web.NewLook(web.LookOptions{Name: hostname, Version: v, Nav: nav, Log: log})
//	owner, secret, err := web.OpenOwnerDoor(stateDir, log)    // print secret once when not empty
//	kiosk, err := web.OpenKioskDoor(runtimeDir)
//	routes := slices.Concat(look.Routes(), owner.Routes(look), kiosk.Routes(look), ...)
//	handler, err := web.NewRouter(routes, web.RouterOptions{Look: look,
//		Hosts: web.NewHosts(hostname, cfg.Web.Hosts...), Identities: []web.Identity{owner, kiosk}, Log: log})
//	sockets, err := web.InheritedSockets()
//	ls, err := sockets.Listen(ctx, "pages", cfg.Web.Listen)
//	pages := web.NewServer(web.ServerOptions{Name: "pages", Listeners: ls, Handler: handler, Log: log})
//	// tasks: pages.Run(ctx), owner.Run(ctx)
//
// # Components
//
// A page's body is plain, semantic HTML; style.css dresses it in light and dark,
// phone and wall. Reuse these before writing a style of your own:
//
//	<header class="page-head"><h1>…</h1><p>…</p></header>    a page's title and one line about it
//	class="stack" | "row" | "toolbar" | "split"               vertical rhythm; wrapping row; row with ends apart; two columns on wide screens
//	class="cards" > class="card" (h2, p, class="card-foot")   grid of cards; <a class="card"> is one big link
//	class="stats" > class="stat" (<b>4.2 W</b><span>power</span>)   figures
//	class="list" > li (<a>, <p class="meta">)                 headlines, messages
//	<figure class="quote"><blockquote>…<figcaption>…          a quote
//	<div class="table-wrap"><table>…                          a table that scrolls by itself on a phone; td class="num"; table class="rows": a block a row there
//	<dl class="facts"><dt>…<dd>…                              names and values
//	class="badge [ok|warn|bad|info]"                          a word of state, never by colour alone
//	<p class="notice [ok|warn|bad|info]" role="status">       something to say; role="alert" for bad
//	<div class="empty">{{icon "quote"}}<h2>…<p>…              nothing here yet, and what to do
//	<form class="search" role="search"><label class="visually-hidden">…<input type="search">…<button>   a search box
//	<div class="field"><label>…<input|select|textarea>…<p class="hint">…    one field of a form; class="field inline" for check boxes
//	class="button [primary|danger|quiet]"                     buttons, also on <a>; a bare <button> is one
//	{{pagination .URL .Page .Pages}}                          page numbers; the parameter is "page"
//	<progress>, <meter>                                       dressed
//	<details><summary>…                                       what few want to see
//	<div class="drop">                                        a drop zone for files
//	class="meta" | "muted" | "mono" | "num" | "visually-hidden"   small print; quiet; typewriter; figures aligned; for screen readers
//	{{icon "feed"}}                                           see Icons for the names
//
// Scripts come as ES modules by View.Scripts and styles by View.Styles (serve them
// with Assets). The Content-Security-Policy forbids inline script and style, a
// style attribute included: a script sets element.style.x or, better, a class.
package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

//go:embed static templates
var files embed.FS

// View is one page: a template of the service's own, executed inside the layout.
// Parse the template with Funcs (for {{icon}} and {{pagination}}).
type View struct {
	Status  int                // 0 means 200
	Title   string             // of the document
	Section string             // the navigation entry to mark, "/quotes"
	Body    *template.Template // executed with Data inside <main>
	Data    any
	Scripts []string // addresses of ES modules on this host, "/static/quotes.js"
	Styles  []string // addresses of style sheets on this host
}

// LookOptions is what the look needs to know of the machine and its services.
type LookOptions struct {
	Name    string     // what this machine is called, in the header; "sierpi" when empty
	Version string     // for the footer
	Nav     []NavEntry // the enabled services, in order; at most six fit a phone
	Desk    []NavEntry // the owner's own pages, shown to the owner only
	Log     *slog.Logger
}

// NavEntry is one entry of the navigation.
type NavEntry struct {
	Href, Label, Icon string // "/quotes", "Quotes", "quote" (see Icons)
}

// Look renders views within the layout all pages share.
type Look struct {
	opt    LookOptions
	assets *Assets
	layout *template.Template
	errors *template.Template
	login  *template.Template
	joins  *template.Template
}

// NewLook parses the layout and loads the style.
func NewLook(o LookOptions) (*Look, error) {
	if o.Log == nil {
		return nil, errors.New("the look needs a logger")
	}
	if o.Name == "" {
		o.Name = "sierpi"
	}
	for _, n := range slices.Concat(o.Nav, o.Desk) {
		if iconPath(n.Icon) == "" {
			return nil, fmt.Errorf("navigation entry %q: there is no icon %q", n.Label, n.Icon)
		}
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	l := &Look{opt: o}
	if l.assets, err = NewAssets("/static/look/", static); err != nil {
		return nil, err
	}
	parse := func(name string) *template.Template {
		t, e := template.New(name).Funcs(Funcs()).Funcs(template.FuncMap{"asset": l.assets.URL}).ParseFS(files, "templates/"+name)
		err = errors.Join(err, e)
		return t
	}
	l.layout, l.errors, l.login, l.joins = parse("layout.html"), parse("error.html"), parse("login.html"), parse("join.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	return l, nil
}

// Routes are the look's own files, and the icon under the name by which browsers
// ask for it beside a picture or a page without a layout.
func (l *Look) Routes() []Route {
	icon := l.assets.URL("logo.svg")
	return []Route{
		l.assets.Route(l),
		{Method: "GET", Pattern: "/favicon.ico", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, icon, http.StatusFound)
		})},
	}
}

// Funcs are the template functions that pages may use:
//
//	icon NAME                       one of Icons, inline, hidden from screen readers
//	pagination URL CURRENT LAST     links to the pages of a list; URL is a *url.URL or a string, CURRENT counts from 1
func Funcs() template.FuncMap {
	return template.FuncMap{"icon": icon, "pagination": pagination}
}

type layoutData struct {
	LookOptions
	View    View
	Content template.HTML
	Owner   bool
}

// Render writes a page. A template that fails is logged and becomes a plain 500.
func (l *Look) Render(w http.ResponseWriter, r *http.Request, v View) {
	var body, page bytes.Buffer
	err := v.Body.Execute(&body, v.Data)
	if err == nil {
		// The body is the output of html/template: escaped already.
		err = l.layout.Execute(&page, layoutData{l.opt, v, template.HTML(body.String()), RoleOf(r) == Owner})
	}
	h := w.Header()
	if err != nil {
		l.opt.Log.Error("a page could not be rendered", "title", v.Title, "path", r.URL.Path, "err", err)
		http.Error(w, "This page could not be made. The machine's log says why.", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		// The header differs for the owner, and pages live.
		h.Set("Cache-Control", "private, no-cache")
	}
	status := v.Status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	_, _ = w.Write(quiet(page.Bytes()))
}

// quiet replaces what a text should not do to who reads it, and what html/template leaves in:
// control characters, which steer a terminal (curl), and overrides of the writing's
// direction, which show a name in another order. It stands here so that no page can
// forget it; text without any, nearly all, is not copied.
func quiet(page []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i < len(page); i++ {
		bad := 0 // its length
		switch c := page[i]; {
		case c >= ' ' && c < 0x7f, c == '\n', c == '\t', c == '\r':
			continue
		case c < ' ', c == 0x7f:
			bad = 1
		case c == 0xc2 && i+1 < len(page) && page[i+1] < 0xa0: // U+0080 to U+009F
			bad = 2
		case c == 0xe2 && i+2 < len(page) && (page[i+1] == 0x80 && page[i+2] >= 0xaa && page[i+2] <= 0xae || page[i+1] == 0x81 && page[i+2] >= 0xa6 && page[i+2] <= 0xa9):
			bad = 3 // U+202A to U+202E, U+2066 to U+2069
		default:
			continue
		}
		out = append(append(out, page[from:i]...), "\ufffd"...)
		from = i + bad
		i = from - 1
	}
	if from == 0 {
		return page
	}
	return append(out, page[from:]...)
}

// Error answers with a status, what went wrong and what to do about it, as a page
// or, where the client asked for JSON, as {"error","remedy"}.
func (l *Look) Error(w http.ResponseWriter, r *http.Request, status int, what, remedy string) {
	w.Header().Set("Cache-Control", "no-store")
	if wantsJSON(r) {
		JSON(w, status, struct {
			Error  string `json:"error"`
			Remedy string `json:"remedy"`
		}{what, remedy})
		return
	}
	l.Render(w, r, View{Status: status, Title: what, Body: l.errors, Data: map[string]any{
		"Status": status, "What": what, "Remedy": remedy}})
}

// refuse answers a request whose role does not suffice: the owner's sign-in page
// where that helps.
func (l *Look) refuse(w http.ResponseWriter, r *http.Request, has, needs Role) {
	status := http.StatusForbidden
	if has == Anyone {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Sierpi realm="`+needs.String()+`"`)
	}
	switch {
	case needs == Owner && !wantsJSON(r) && r.Method == http.MethodGet:
		l.signIn(w, r, status, localPath(r.URL.RequestURI()), "")
	case needs == Owner:
		l.Error(w, r, status, "Only the owner may do this.", "Sign in at /owner/login first.")
	case needs == Kiosk:
		l.Error(w, r, status, "Only this machine's own screen may do this.", "The kiosk starts at "+KioskSignIn+" with the token from its runtime file.")
	default:
		l.Error(w, r, status, "Only visitors who scanned the wall's code may do this.", "Scan the code that the wall shows; while its owner has frozen the wall there is none.")
	}
}

// signIn shows the owner's sign-in page.
func (l *Look) signIn(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	w.Header().Set("Cache-Control", "no-store")
	if wantsJSON(r) && problem != "" {
		l.Error(w, r, status, problem, "")
		return
	}
	l.Render(w, r, View{Status: status, Title: "Owner", Section: "/owner/login", Body: l.login, Data: map[string]any{
		"Next": next, "Problem": problem, "Owner": RoleOf(r) == Owner, "Name": l.opt.Name, "Desk": l.opt.Desk}})
}

// join shows the page that the wall's code leads to.
func (l *Look) join(w http.ResponseWriter, r *http.Request, code string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the code
	l.Render(w, r, View{Title: "Remote", Section: "/remote", Body: l.joins, Data: code, Scripts: []string{l.assets.URL("join.js")}})
}

// wantsJSON reports whether an error should be JSON: the client says so, sends
// JSON, or asks at an address that never gives anything else.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "text/html") {
		return false
	}
	return strings.Contains(accept, "json") ||
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") ||
		strings.HasPrefix(r.URL.Path, "/json/") || strings.HasSuffix(r.URL.Path, ".json")
}

// JSON answers with v as JSON. What cannot be encoded becomes a 500.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"The answer could not be encoded.","remedy":""}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}

// pagination links the pages of a list: first, last and the neighbours.
func pagination(at any, current, last int) (template.HTML, error) {
	var u url.URL
	switch at := at.(type) {
	case *url.URL:
		u = *at
	case string:
		p, err := url.Parse(at)
		if err != nil {
			return "", fmt.Errorf("pagination: %w", err)
		}
		u = *p
	default:
		return "", fmt.Errorf("pagination: %T is no URL", at)
	}
	if last <= 1 {
		return "", nil
	}
	current = max(1, min(current, last))
	href := func(n int) string {
		q := u.Query()
		q.Set("page", strconv.Itoa(n))
		if n == 1 {
			q.Del("page")
		}
		target := url.URL{Path: u.Path, RawQuery: q.Encode()}
		return template.HTMLEscapeString(target.String())
	}
	var b strings.Builder
	b.WriteString(`<nav class="pagination" aria-label="Pages"><ul>`)
	arrow := func(n int, rel, name, label string) {
		if n < 1 || n > last {
			fmt.Fprintf(&b, `<li><span aria-hidden="true">%s</span></li>`, icon(name))
			return
		}
		fmt.Fprintf(&b, `<li><a rel="%s" href="%s">%s<span class="visually-hidden">%s</span></a></li>`, rel, href(n), icon(name), label)
	}
	arrow(current-1, "prev", "left", "Previous page")
	before := 0
	for n := 1; n <= last; n++ {
		if n != 1 && n != last && (n < current-1 || n > current+1) {
			continue
		}
		if n > before+1 {
			b.WriteString(`<li><span class="gap" aria-hidden="true">…</span></li>`)
		}
		before = n
		if n == current {
			fmt.Fprintf(&b, `<li><a href="%s" aria-current="page"><span class="visually-hidden">Page </span>%d</a></li>`, href(n), n)
		} else {
			fmt.Fprintf(&b, `<li><a href="%s"><span class="visually-hidden">Page </span>%d</a></li>`, href(n), n)
		}
	}
	arrow(current+1, "next", "right", "Next page")
	b.WriteString(`</ul></nav>`)
	return template.HTML(b.String()), nil
}
