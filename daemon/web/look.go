// Package web is what every page and API of sierpi shares: the listeners, the
// middleware (host allowlist, cross-site protection, limits), sessions and
// roles, and the look (layout, style, icons). It knows no service.
package web

import (
	"encoding/json"
	"html/template"
	"net/http"
)

// View is one page: a template of the service's own, executed inside the layout.
type View struct {
	Status  int                // 0 means 200
	Title   string             // of the document
	Section string             // the navigation entry to mark, "/quotes"
	Body    *template.Template // executed with Data inside <main>
	Data    any
	Scripts []string // addresses of ES modules on this host, "/static/quotes.js"
	Styles  []string // addresses of style sheets on this host
}

// Look renders views within the layout all pages share.
type Look struct{}

// Render writes a page. A template that fails is logged and becomes a plain 500.
func (l *Look) Render(w http.ResponseWriter, r *http.Request, v View) {}

// Error answers with a status, what went wrong and what to do about it, as a page
// or, where the client asked for JSON, as {"error","remedy"}.
func (l *Look) Error(w http.ResponseWriter, r *http.Request, status int, what, remedy string) {}

// JSON answers with v as JSON.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
