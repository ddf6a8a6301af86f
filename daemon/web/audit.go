package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Audit attacks a table of routes: every route is asked by every method, as every
// role and with forged credentials, from this origin and from foreign ones, under
// this host's name and under others, as a plain request and as a WebSocket
// upgrade. It returns how many requests were made and what was wrong: a handler
// that was reached and must not be, or that could not be reached by who may.
//
// The handlers are replaced by stubs, so the table's own are not run; the rest,
// router, doors and middleware, is the real thing. A new route cannot be
// forgotten, because package daemon's test passes the very table that it serves:
//
//	n, problems := web.Audit(routes, t.TempDir())
//
// dir is an empty folder for the doors' files.
func Audit(routes []Route, dir string) (requests int, problems []error) {
	a := audit{}
	if err := a.build(routes, dir); err != nil {
		return 0, []error{err}
	}
	for i, route := range a.routes {
		a.attack(i, route)
		if len(a.problems) > 50 {
			break // one hole shows in many cells of the matrix
		}
	}
	return a.requests, a.problems
}

type audit struct {
	routes   []Route
	handler  http.Handler
	reached  int // index of the route whose handler ran, -1 for none
	requests int
	problems []error

	owner, kiosk, visitor, banned string // what opens the doors, and what did
}

func (a *audit) build(routes []Route, dir string) error {
	log := slog.New(slog.DiscardHandler)
	look, err := NewLook(LookOptions{Log: log})
	if err != nil {
		return err
	}
	ownerDir, kioskDir := filepath.Join(dir, "owner"), filepath.Join(dir, "kiosk")
	if err := errors.Join(os.MkdirAll(ownerDir, 0o700), os.MkdirAll(kioskDir, 0o700)); err != nil {
		return fmt.Errorf("making folders for the audit: %w", err)
	}
	owner, _, err := OpenOwnerDoor(ownerDir, log)
	if err != nil {
		return err
	}
	if a.owner, err = owner.open(); err != nil {
		return err
	}
	kiosk, err := OpenKioskDoor(kioskDir)
	if err != nil {
		return err
	}
	a.kiosk = kiosk.token
	visitors, err := OpenVisitorDoor(ownerDir, log)
	if err != nil {
		return err
	}
	for _, id := range []*string{&a.banned, &a.visitor} {
		code, _, _ := visitors.Code()
		scan := &http.Request{RemoteAddr: "192.0.2.9:5555", Header: http.Header{}}
		if id == &a.banned {
			scan.RemoteAddr = "192.0.2.66:5555"
		}
		var refused *joinError
		if *id, refused = visitors.open(scan, code); refused != nil {
			return errors.New(refused.what)
		}
	}
	for _, v := range visitors.Visitors() {
		if v.Client == "192.0.2.66" {
			if err := visitors.Ban(v.Name); err != nil {
				return err
			}
		}
	}
	a.routes = slices.Clone(routes)
	for i := range a.routes {
		a.routes[i].Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.reached = i
			w.WriteHeader(http.StatusNoContent)
		})
	}
	a.handler, err = NewRouter(a.routes, RouterOptions{Look: look, Hosts: NewHosts("wall"),
		Identities: []Identity{owner, kiosk, visitors}, Log: log})
	return err
}

// disguise is one way to ask: what it is, how it changes the request, and what it
// is worth.
type disguise struct {
	name  string
	apply func(*http.Request)
	role  Role
	ok    bool
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func (a *audit) roles() []disguise {
	cookie := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
	}
	return []disguise{
		{name: "nobody in particular", apply: func(*http.Request) {}},
		{name: "a program on the machine", apply: func(r *http.Request) { r.RemoteAddr = "127.0.0.1:4321" }},
		{name: "who claims to be forwarded", apply: header("X-Forwarded-For", "127.0.0.1")},
		{name: "who forges an owner's session", apply: cookie(ownerCookie, strings.Repeat("0", 64))},
		{name: "who sends an empty session", apply: cookie(ownerCookie, "")},
		{name: "who sends the session's hash", apply: cookie(ownerCookie, hashID(a.owner))},
		{name: "who sends the session as the kiosk's", apply: cookie(kioskCookie, a.owner)},
		{name: "who forges the kiosk's token", apply: header(KioskHeader, strings.Repeat("0", 64))},
		{name: "who sends the token as a session", apply: cookie(ownerCookie, a.kiosk)},
		{name: "who sends the visit's hash", apply: cookie(visitorCookie, hashID(a.visitor))},
		{name: "who sends an empty visit", apply: cookie(visitorCookie, "")},
		{name: "who sends the visit as the owner's session", apply: cookie(ownerCookie, a.visitor)},
		{name: "a visitor who was banned", apply: cookie(visitorCookie, a.banned)},
		{name: "a visitor", apply: cookie(visitorCookie, a.visitor), role: Visitor},
		{name: "the kiosk by cookie", apply: cookie(kioskCookie, a.kiosk), role: Kiosk},
		{name: "the kiosk by header", apply: header(KioskHeader, a.kiosk), role: Kiosk},
		{name: "the owner", apply: cookie(ownerCookie, a.owner), role: Owner},
	}
}

// origins tell where a request comes from; the host is "wall:8080".
var origins = []disguise{
	{name: "no browser", apply: func(*http.Request) {}, ok: true},
	{name: "this origin", apply: header("Origin", "http://wall:8080"), ok: true},
	{name: "this origin, by Sec-Fetch-Site", apply: header("Sec-Fetch-Site", "same-origin"), ok: true},
	{name: "the address bar", apply: header("Sec-Fetch-Site", "none"), ok: true},
	{name: "another site", apply: header("Origin", "http://evil.example")},
	{name: "another port of this host", apply: header("Origin", "http://wall:9999")},
	{name: "a name that begins like ours", apply: header("Origin", "http://wall:8080.evil.example")},
	{name: "a sandboxed frame or a file", apply: header("Origin", "null")},
	{name: "another site, by Sec-Fetch-Site", apply: header("Sec-Fetch-Site", "cross-site")},
	{name: "a sister site", apply: header("Sec-Fetch-Site", "same-site")},
}

// hosts are the names a request may be made under.
var auditHosts = []struct {
	host string
	ok   bool
}{
	{"wall:8080", true}, {"wall.local", true}, {"localhost:8080", true}, {"127.0.0.1:8080", true}, {"[::1]:8080", true}, {"WALL.LOCAL.", true}, {"wall-2.local", true},
	{"evil.example", false}, {"wall.evil.example", false}, {"127.0.0.1.evil.example", false}, {"localhost.evil.example", false},
	{"evil.example:8080", false}, {"", false}, {"192.0.2.7", false}, {"wall:80@evil.example", false}, {"wall-2.local.evil.example", false}, {"0x7f.1", false}, {"2130706433", false},
}

var auditMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}

func (a *audit) attack(index int, route Route) {
	methods := auditMethods
	if !slices.Contains(methods, route.Method) {
		methods = append(slices.Clone(methods), route.Method)
	}
	path := samplePath(route.Pattern)
	roles := a.roles()
	for _, method := range methods {
		for _, upgrade := range []bool{false, true} {
			for _, origin := range origins {
				for _, role := range roles {
					a.ask(index, method, path, "wall:8080", true, origin, role, upgrade)
				}
			}
		}
		// Under a wrong name not even the owner, from no browser at all, gets in.
		for _, h := range auditHosts {
			a.ask(index, method, path, h.host, h.ok, origins[0], roles[len(roles)-1], false)
		}
	}
}

func (a *audit) ask(index int, method, path, host string, hostOK bool, origin, role disguise, upgrade bool) {
	r := &http.Request{Method: method, URL: &url.URL{Path: path}, Host: host, RequestURI: path, RemoteAddr: "192.0.2.9:5555",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Accept": {"application/json"}}, Body: http.NoBody}
	if upgrade {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
	}
	origin.apply(r)
	role.apply(r)
	w := &statusOnly{}
	a.reached = -1
	a.requests++
	a.handler.ServeHTTP(w, r)

	wrong := func(format string, args ...any) {
		a.problems = append(a.problems, fmt.Errorf("%s %s, host %q, from %s, as %s, upgrade %t: status %d: %s",
			method, path, host, origin.name, role.name, upgrade, w.status, fmt.Sprintf(format, args...)))
	}
	changes := upgrade || method != "GET" && method != "HEAD" && method != "OPTIONS"
	switch {
	case !hostOK:
		if a.reached >= 0 || w.status != http.StatusMisdirectedRequest {
			wrong("a foreign host must be refused with 421")
		}
	case changes && !origin.ok:
		if a.reached >= 0 || w.status != http.StatusForbidden {
			wrong("another site must be refused with 403")
		}
	case a.reached >= 0:
		got := a.routes[a.reached]
		if role.role < got.Role {
			wrong("reached the handler of %s %s, which needs the %s", got.Method, got.Pattern, got.Role)
		}
		if got.Method != method && !(got.Method == "GET" && method == "HEAD") {
			wrong("reached the handler of %s %s", got.Method, got.Pattern)
		}
	case method == a.routes[index].Method && role.role >= a.routes[index].Role:
		wrong("the handler must be reached")
	case w.status != http.StatusUnauthorized && w.status != http.StatusForbidden && w.status != http.StatusMethodNotAllowed && w.status != http.StatusNotFound:
		wrong("a refusal must be 401, 403, 404 or 405")
	}
	if h := w.Header(); h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
		wrong("the security headers are missing")
	}
	if a.reached < 0 && len(w.Header()["Set-Cookie"]) > 0 {
		wrong("a refusal must not set a cookie")
	}
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// samplePath is a path that the pattern matches.
func samplePath(pattern string) string {
	return wildcard.ReplaceAllStringFunc(pattern, func(w string) string {
		switch {
		case w == "{$}":
			return ""
		case strings.HasSuffix(w, "...}"):
			return "a/b"
		}
		return "a"
	})
}
