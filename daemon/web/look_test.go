package web

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// sampler shows every component; it is also what the browser test looks at.
const sampler = `<header class="page-head"><h1>{{.Title}}</h1><p>Every component once.</p></header>
<form class="search" role="search"><label class="visually-hidden" for="q">Search</label><input id="q" name="q" type="search"><button class="primary">{{icon "search"}}Search</button></form>
<p class="notice info" role="status">{{icon "info"}}<span>Said calmly.</span></p><p class="notice bad" role="alert">{{icon "bad"}}<span>Said clearly.</span></p>
<ul class="stats"><li class="stat"><b>4.2 W</b><span>power</span></li></ul>
<div class="cards"><article class="card"><h2>{{icon "feed"}}Card</h2><p>Text with a <a href="/">link</a>.</p><p class="card-foot">foot</p></article></div>
<h2>States</h2><div class="row"><span class="badge">absent</span><span class="badge ok">ok</span><span class="badge warn">stale</span><span class="badge bad">failed</span></div>
<div class="table-wrap"><table class="rows"><thead><tr><th>Part</th><th class="num">Since</th></tr></thead><tbody><tr><td>averyveryveryverylongwordthatmustnotwidenthepage</td><td class="num">averyveryveryverylongwordthatmustnotwidenthepage</td></tr></tbody></table></div>
<div class="row"><button>Plain</button><button class="danger">Danger</button><button class="quiet">Quiet</button></div>
<pre><code>a line of code that is far too long for a phone and must scroll inside its own box and not with the page</code></pre>
<p><progress value="0.5" aria-label="Progress"></progress></p>
{{pagination "/?q=x" 5 40}}`

func samplerRoute(t *testing.T, look *Look, data any) Route {
	body := template.Must(template.New("sampler").Funcs(Funcs()).Parse(sampler))
	return Route{Method: "GET", Pattern: "/{$}", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		look.Render(w, r, View{Title: "Sampler", Section: "/quotes", Body: body, Data: data})
	})}
}

func newLook(t *testing.T) *Look {
	t.Helper()
	look, err := NewLook(LookOptions{Name: `Ada's <wall>`, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Nav: []NavEntry{{"/", "Wall", "wall"}, {"/quotes", "Quotes", "quote"}}})
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func TestQuiet(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain\ttext\r\n": "plain\ttext\r\n", "\u05d0\u200f é – 😀 \u00a0\u2065": "\u05d0\u200f é – 😀 \u00a0\u2065",
		"\x1b[2J": "\ufffd[2J", "a\x00b\x7f": "a\ufffdb\ufffd", "\u009b\u202e\u2066x\u2069": "\ufffd\ufffd\ufffdx\ufffd", "\xc2": "\xc2", "\xe2\x80": "\xe2\x80",
	} {
		if got := string(quiet([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestLayout(t *testing.T) {
	look := newLook(t)
	w := httptest.NewRecorder()
	samplerRoute(t, look, map[string]string{"Title": `<script>alert(1)</script>`}).Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	page := w.Body.String()
	for _, want := range []string{"<!doctype html>", `lang="en"`, `href="#main"`, `<main id="main"`, `<a href="/quotes" aria-current="page">`, "Ada&#39;s &lt;wall&gt;",
		"&lt;script&gt;alert(1)", "<title>Sampler · ", "sierpi 1.2.3", `name="viewport"`, `href="/owner/login"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// What the Content-Security-Policy forbids must not be there, and nothing of
	// another host.
	for _, never := range []string{`<script>`, `<style`, ` style="`, ` onclick=`, "http://", "https://", `src="//`} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestRenderFailureIsAPlain500(t *testing.T) {
	var log strings.Builder
	look, err := NewLook(LookOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	look.Render(w, httptest.NewRequest("GET", "/", nil), View{Title: "x", Body: template.Must(template.New("x").Parse(`half {{.Missing.Field}}`)), Data: struct{}{}})
	if w.Code != 500 || strings.Contains(w.Body.String(), "half") || !strings.Contains(log.String(), "Missing") {
		t.Errorf("%d %q\n%s", w.Code, w.Body, log.String())
	}
}

func TestIcons(t *testing.T) {
	for _, name := range Icons() {
		if iconPath(name) == "" {
			t.Errorf("icon %q has no strokes", name)
		}
	}
	if _, err := NewLook(LookOptions{Nav: []NavEntry{{"/", "x", "nonsense"}}, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a navigation entry with an unknown icon is accepted")
	}
	// Those that the templates of this package use.
	for _, tmpl := range []string{"layout.html", "error.html", "login.html"} {
		data, err := files.ReadFile("templates/" + tmpl)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\{\{icon "([^"]*)"`).FindAllSubmatch(data, -1) {
			if iconPath(string(m[1])) == "" {
				t.Errorf("%s uses the unknown icon %q", tmpl, m[1])
			}
		}
	}
}

func TestPagination(t *testing.T) {
	numbers := regexp.MustCompile(`page">|</span>(\d+)|(…)|aria-current`)
	for _, c := range []struct {
		current, last int
		want          string
	}{
		{1, 1, ""}, {1, 2, "[1] 2"}, {2, 3, "1 [2] 3"}, {5, 9, "1 … 4 [5] 6 … 9"}, {9, 9, "1 … 8 [9]"}, {99, 4, "1 … 3 [4]"}, {-1, 4, "[1] 2 … 4"},
	} {
		html, err := pagination("/q?a=1&page=7", c.current, c.last)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		current := false
		for _, m := range numbers.FindAllStringSubmatch(string(html), -1) {
			switch {
			case m[0] == "aria-current":
				current = true
			case m[1] != "" && current:
				got, current = append(got, "["+m[1]+"]"), false
			case m[1] != "":
				got = append(got, m[1])
			case m[2] != "":
				got = append(got, m[2])
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%d of %d: %s, want %s", c.current, c.last, s, c.want)
		}
	}
	u, _ := url.Parse(`http://evil/"><script>?q="><script>`)
	html, _ := pagination(u, 2, 3)
	if s := string(html); strings.Contains(s, "<script") || strings.Contains(s, "evil") {
		t.Errorf("%s", s)
	}
	if _, err := pagination(3, 1, 2); err == nil {
		t.Error("a number is no URL")
	}
}

func TestJSON(t *testing.T) {
	w := httptest.NewRecorder()
	JSON(w, 201, map[string]string{"a": "</script>"})
	if w.Code != 201 || w.Body.String() != "{\"a\":\"\\u003c/script\\u003e\"}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	JSON(w, 200, math.Inf(1))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"error"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAssets(t *testing.T) {
	look := newLook(t)
	big := strings.Repeat("const calm = true;\n", 200)
	a, err := NewAssets("/static/x/", fstest.MapFS{"a.js": {Data: []byte(big)}, "sub/b.svg": {Data: []byte("<svg/>")}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewRouter([]Route{a.Route(look)}, RouterOptions{Look: look, Hosts: NewHosts("wall"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	get := func(path string, headers ...string) (*http.Response, string) {
		r, _ := http.NewRequest("GET", s.URL+path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	res, body := get(a.URL("a.js"))
	if body != big || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", res.Header)
	}
	res, body = get("/static/x/a.js")
	if body != big || res.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("without its hash: %v", res.Header)
	}
	if res, body = get("/static/x/a.js?v=old"); body != big || res.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("with an old hash: %v", res.Header)
	}
	zipped, body := get("/static/x/a.js", "Accept-Encoding", "br, gzip;q=0.8")
	if zipped.Header.Get("Content-Encoding") != "gzip" || len(body) >= len(big) || zipped.Header.Get("ETag") == res.Header.Get("ETag") {
		t.Errorf("compressed: %v, %d bytes", zipped.Header, len(body))
	}
	if res, _ := get("/static/x/a.js", "Accept-Encoding", "gzip;q=0"); res.Header.Get("Content-Encoding") != "" {
		t.Error("compressed against the client's word")
	}
	if res, body := get("/static/x/a.js", "If-None-Match", `"z", W/`+res.Header.Get("ETag")); res.StatusCode != 304 || body != "" {
		t.Errorf("revalidation: %d", res.StatusCode)
	}
	if res, body := get("/static/x/sub/b.svg"); body != "<svg/>" || res.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("%v", res.Header)
	}
	for _, path := range []string{"/static/x/", "/static/x/nope.js", "/static/x/%2e%2e/look.go", "/static/x/sub"} {
		if res, _ := get(path); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if _, err := NewAssets("x", fstest.MapFS{}); err == nil {
		t.Error("a prefix without slashes")
	}
}

// TestContrast computes WCAG's contrast of the colours that the components put on
// one another, in light and dark: 4.5:1 for text, 3:1 for the borders of controls.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "*, *::before")
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	colours := map[string]string{}
	for _, scheme := range []struct{ name, css string }{{"light", light}, {"dark", dark}} {
		for _, m := range variable.FindAllStringSubmatch(scheme.css, -1) {
			colours[m[1]] = m[2]
		}
		if len(colours) < 19 {
			t.Fatalf("only %d colours", len(colours))
		}
		for _, pair := range []struct {
			fore, back string
			least      float64
		}{
			{"text", "bg", 7}, {"text", "surface", 7}, {"text", "sunken", 7},
			{"muted", "bg", 4.5}, {"muted", "surface", 4.5}, {"muted", "sunken", 4.5},
			{"accent", "bg", 4.5}, {"accent", "surface", 4.5}, {"accent-strong", "accent-soft", 4.5}, {"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
			{"text", "accent-soft", 4.5}, {"line-strong", "bg", 3}, {"line-strong", "surface", 3}, {"line-strong", "sunken", 3},
			{"ok", "ok-soft", 4.5}, {"warn", "warn-soft", 4.5}, {"bad", "bad-soft", 4.5}, {"info", "info-soft", 4.5}, {"bad", "surface", 4.5}, {"bad", "bg", 4.5},
			{"text", "ok-soft", 4.5}, {"text", "warn-soft", 4.5}, {"text", "bad-soft", 4.5}, {"text", "info-soft", 4.5},
		} {
			ratio, err := contrast(colours[pair.fore], colours[pair.back])
			if err != nil || ratio < pair.least {
				t.Errorf("%s: %s on %s is %.2f:1, needs %v:1 (%v)", scheme.name, pair.fore, pair.back, ratio, pair.least, err)
			}
		}
	}
}

// contrast is the ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
func contrast(a, b string) (float64, error) {
	luminance := func(hex string) (float64, error) {
		n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
		if err != nil {
			return 0, fmt.Errorf("colour %q: %w", hex, err)
		}
		linear := func(c uint64) float64 {
			f := float64(c&255) / 255
			if f <= 0.04045 {
				return f / 12.92
			}
			return math.Pow((f+0.055)/1.055, 2.4)
		}
		return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n), nil
	}
	la, err1 := luminance(a)
	lb, err2 := luminance(b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05), errors.Join(err1, err2)
}

// serveLook serves the sampler and a page of the owner's on a real port.
func serveLook(t *testing.T, look *Look, dir string) (addr, secret string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	owner, secret, err := OpenOwnerDoor(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	mine := template.Must(template.New("mine").Parse(`<h1 id="mine">Mine</h1>`))
	routes := append(look.Routes(), samplerRoute(t, look, map[string]string{"Title": "Sampler"}),
		Route{Method: "GET", Pattern: "/mine", Role: Owner, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			look.Render(w, r, View{Title: "Mine", Body: mine})
		})})
	h, err := NewRouter(append(routes, owner.Routes(look)...), RouterOptions{Look: look, Hosts: NewHosts("wall"), Identities: []Identity{owner}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), secret
}
