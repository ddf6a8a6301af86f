package web

import (
	"net/http"
	"strings"
	"testing"
)

func nothing(http.ResponseWriter, *http.Request) {}

func TestAuditPassesASoundTable(t *testing.T) {
	var routes []Route
	for _, role := range []Role{Anyone, Visitor, Kiosk, Owner} {
		p := "/" + role.String()
		for _, m := range []string{"GET", "POST", "DELETE"} {
			routes = append(routes, Route{Method: m, Pattern: p + "/thing/{id}", Role: role, Handler: http.HandlerFunc(nothing)})
		}
		routes = append(routes,
			Route{Method: "GET", Pattern: p + "/stream", Role: role, Streams: true, Handler: http.HandlerFunc(nothing)},
			Route{Method: "GET", Pattern: p + "/files/{name...}", Role: role, Handler: http.HandlerFunc(nothing)})
	}
	routes = append(routes, Route{Method: "GET", Pattern: "/{$}", Handler: http.HandlerFunc(nothing)})
	n, problems := Audit(routes, t.TempDir(), false)
	for _, p := range problems {
		t.Error(p)
	}
	if n < 20_000 {
		t.Errorf("only %d requests were made", n)
	}
	t.Logf("%d requests", n)
}

// TestAuditFindsHoles: a test that cannot fail proves nothing.
func TestAuditFindsHoles(t *testing.T) {
	table := []Route{{Method: "POST", Pattern: "/x", Role: Owner, Handler: http.HandlerFunc(nothing)}}
	for name, breakIt := range map[string]func(a *audit){
		"no middleware at all": func(a *audit) { a.handler = a.routes[0].Handler },
		"a role too low":       func(a *audit) { a.routes[0].Role = Owner + 1 },
		"nobody gets in":       func(a *audit) { a.handler = http.NotFoundHandler() },
		"a forged door":        func(a *audit) { a.handler = a.promote() },
		"a way to elsewhere": func(a *audit) {
			next := a.handler
			a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.RequestURI, "//evil.example/") {
					w.Header().Set("Location", r.RequestURI)
					w.WriteHeader(http.StatusTemporaryRedirect)
					return
				}
				next.ServeHTTP(w, r)
			})
		},
	} {
		a := audit{}
		if err := a.build(table, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		breakIt(&a)
		a.attack(0, table[0])
		if len(a.problems) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	if _, problems := Audit([]Route{{Method: "GET", Pattern: "/x", Handler: http.HandlerFunc(nothing)}, {Method: "GET", Pattern: "/x", Handler: http.HandlerFunc(nothing)}}, t.TempDir(), false); len(problems) != 1 || !strings.Contains(problems[0].Error(), "/x") {
		t.Errorf("colliding routes: %v", problems)
	}
}

// promote is a router whose every client is the owner.
func (a *audit) promote() http.Handler {
	next := a.handler
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Cookie", ownerCookie+"="+a.owner)
		next.ServeHTTP(w, r)
	})
}
