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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Audit attacks a table of routes: every route is asked by every method, as every
// role and with forged credentials, from this origin and from foreign ones, under
// this host's name and under others, as a plain request and as a WebSocket
// upgrade, and under other spellings of its path. It returns how many requests were
// made and what was wrong: a handler that was reached and must not be, or that could
// not be reached by who may.
//
// The handlers are replaced by stubs, so the table's own are not run; the rest,
// router, doors and middleware, is the real thing. A new route cannot be
// forgotten, because package daemon's test passes the very table that it serves:
//
//	n, problems := web.Audit(routes, t.TempDir(), true)
//
// dir is an empty folder for the doors' files. whole asks every method as every role
// from every origin under every host, some fifty thousand requests a route; without it
// the hosts but one are tried by the owner alone, a tenth of them.
func Audit(routes []Route, dir string, whole bool) (requests int, problems []error) {
	// Each worker has doors and a router of its own, and takes the next route.
	workers := make([]audit, runtime.GOMAXPROCS(0))
	for i := range workers {
		if err := workers[i].build(routes, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return 0, []error{err}
		}
	}
	var next, found atomic.Int64
	var working sync.WaitGroup
	for i := range workers {
		a := &workers[i]
		a.whole = whole
		working.Go(func() {
			// One hole shows in many cells of the matrix.
			for i := int(next.Add(1)) - 1; i < len(routes) && found.Load() < 50; i = int(next.Add(1)) - 1 {
				before := len(a.problems)
				a.attack(i, a.routes[i])
				found.Add(int64(len(a.problems) - before))
			}
		})
	}
	working.Wait()
	for i := range workers {
		requests += workers[i].requests
		problems = append(problems, workers[i].problems...)
	}
	return requests, problems
}

type audit struct {
	whole    bool
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

// origins tell where a request comes from, whatever host it is made under.
var origins = []disguise{
	{name: "no browser", apply: func(*http.Request) {}, ok: true},
	{name: "this origin", apply: func(r *http.Request) { r.Header.Set("Origin", "http://"+r.Host) }, ok: true},
	{name: "this origin, by Sec-Fetch-Site", apply: header("Sec-Fetch-Site", "same-origin"), ok: true},
	{name: "the address bar", apply: header("Sec-Fetch-Site", "none"), ok: true},
	{name: "another site", apply: header("Origin", "http://evil.example")},
	{name: "another port of this host", apply: header("Origin", "http://wall:9999")},
	{name: "a name that begins like ours", apply: func(r *http.Request) { r.Header.Set("Origin", "http://"+r.Host+".evil.example") }},
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
					for i, h := range auditHosts {
						// Under a wrong name not even the owner, from no browser at all, gets in.
						if a.whole || i == 0 || role.role == Owner && origin.name == origins[0].name && !upgrade {
							a.ask(cell{index, method, path, h.host, h.ok, origin, role, upgrade, false})
						}
					}
				}
			}
		}
		for _, spelling := range spellings(path) {
			for _, role := range roles {
				a.ask(cell{index, method, spelling, auditHosts[0].host, true, origins[0], role, false, true})
			}
		}
	}
}

// spellings are other ways to write a path, and paths that climb out of it. Whatever they
// lead to must ask for its own role, and must not lead away from this host.
func spellings(path string) []string {
	return []string{
		path + "/", "/" + path, "/evil.example/.." + path, "/." + path, path + "/..", path + "/../../../../etc/passwd",
		path + "%2f..%2f..%2fetc%2fpasswd", path + "%00", path + ";a=b", path + "%0d%0aSet-Cookie:%20a=b", strings.ToUpper(path),
		strings.Replace(path, "/", "/%2e%2e/", 1), strings.ReplaceAll(path, "/", "%2f"), strings.ReplaceAll(path, "/", "\\"), "//evil.example" + path,
	}
}

// cell is one request of the matrix.
type cell struct {
	index   int
	method  string
	path    string // as it is written on the wire
	host    string
	hostOK  bool
	origin  disguise
	role    disguise
	upgrade bool
	odd     bool // another spelling: the route need not be reached
}

func (a *audit) ask(c cell) {
	target, err := url.ParseRequestURI(c.path)
	if err != nil {
		return // what net/http itself answers with 400
	}
	r := &http.Request{Method: c.method, URL: target, Host: c.host, RequestURI: c.path, RemoteAddr: "192.0.2.9:5555",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Accept": {"application/json"}}, Body: http.NoBody}
	if c.upgrade {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
	}
	c.origin.apply(r)
	c.role.apply(r)
	w := &statusOnly{}
	a.reached = -1
	a.requests++
	a.handler.ServeHTTP(w, r)

	wrong := func(format string, args ...any) {
		a.problems = append(a.problems, fmt.Errorf("%s %s, host %q, from %s, as %s, upgrade %t: status %d: %s",
			c.method, c.path, c.host, c.origin.name, c.role.name, c.upgrade, w.status, fmt.Sprintf(format, args...)))
	}
	changes := c.upgrade || c.method != "GET" && c.method != "HEAD" && c.method != "OPTIONS"
	switch {
	case !c.hostOK:
		if a.reached >= 0 || w.status != http.StatusMisdirectedRequest {
			wrong("a foreign host must be refused with 421")
		}
	case changes && !c.origin.ok:
		if a.reached >= 0 || w.status != http.StatusForbidden {
			wrong("another site must be refused with 403")
		}
	case a.reached >= 0:
		got := a.routes[a.reached]
		if c.role.role < got.Role {
			wrong("reached the handler of %s %s, which needs the %s", got.Method, got.Pattern, got.Role)
		}
		if got.Method != c.method && !(got.Method == "GET" && c.method == "HEAD") {
			wrong("reached the handler of %s %s", got.Method, got.Pattern)
		}
	case c.odd && w.status >= 300 && w.status < 400:
		if to, err := url.Parse(w.Header().Get("Location")); err != nil || to.Host != "" || to.Scheme != "" || !strings.HasPrefix(to.Path, "/") || strings.HasPrefix(to.Path, "//") || strings.Contains(to.Path, "\\") {
			wrong("it leads away, to %q", w.Header().Get("Location"))
		}
	case !c.odd && c.method == a.routes[c.index].Method && c.role.role >= a.routes[c.index].Role:
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
