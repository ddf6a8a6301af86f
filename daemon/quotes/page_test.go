package quotes

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/system/systemtest"
)

// site serves the quotes behind the real router and returns its address and the owner's secret.
func site(t *testing.T) (s *Service, address, secret string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	look, err := web.NewLook(web.LookOptions{Name: "sierpi", Nav: []web.NavEntry{{Href: "/quotes", Label: "Quotes", Icon: "quote"}}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	owner, secret, err := web.OpenOwnerDoor(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	s, err = New(Options{DB: db, Look: look, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.NewRouter(slices.Concat(look.Routes(), owner.Routes(look), s.Routes()),
		web.RouterOptions{Look: look, Hosts: web.NewHosts("sierpi"), Identities: []web.Identity{owner}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return s, server.URL, secret
}

func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func request(t *testing.T, c *http.Client, method, address string, form url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return resp, b.String()
		}
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Number %d is a number.\n\t\t-- Author %d\n%%\n", i, i%3)
	}
	return b.String()
}

func decoded(t *testing.T, body string) []Quote {
	t.Helper()
	var qs []Quote
	if err := json.Unmarshal([]byte(body), &qs); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	return qs
}

// TestMoreThan: the page does not pretend to have counted what it did not look at.
func TestMoreThan(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "numbers", numbers(maxCandidates+1))
	c := client(t)
	for words, want := range map[string]string{"number": "More than 500 quotes fit", "7": "1 quote fits"} {
		if _, body := request(t, c, "GET", at+"/quotes?q="+words+"+", nil); !strings.Contains(body, want) {
			t.Errorf("%s: the page does not say %q:\n%s", words, want, body)
		}
	}
}

// TestVisitorsWalk: random gives one visitor nothing twice before all have come.
func TestVisitorsWalk(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "numbers", numbers(100))
	c := client(t)
	for round := range 2 {
		seen := map[int64]bool{}
		for range 20 {
			_, body := request(t, c, "GET", at+"/json/random?count=5", nil)
			for _, q := range decoded(t, body) {
				if seen[q.ID] {
					t.Fatalf("round %d: quote %d twice", round, q.ID)
				}
				seen[q.ID] = true
			}
		}
		if len(seen) != 100 {
			t.Errorf("round %d: %d quotes", round, len(seen))
		}
	}
	if _, body := request(t, c, "GET", at+"/json/random?count=200", nil); len(decoded(t, body)) != 100 {
		t.Errorf("asked for more than there are: %d", len(decoded(t, body)))
	}
	for _, bad := range []string{"x", "a.b.c.d", "a.99.1.0", "a.7.-1.0", strings.Repeat("a", 50) + ".7.1.0", "..0.0"} {
		resp, body := request(t, &http.Client{}, "GET", at+"/json/random", nil, "Cookie", visitor+"="+bad)
		if resp.StatusCode != 200 || len(decoded(t, body)) != 1 {
			t.Errorf("cookie %q: %d %s", bad, resp.StatusCode, body)
		}
	}
}

// TestCursors follows the Link headers to the end.
func TestCursors(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "numbers", numbers(50))
	for _, path := range []string{"/json/latest?count=7", "/json/latest?count=7&author=Author+1", "/json/random?seed=x&count=7", "/json/random?seed=x&count=7&author=Author+1"} {
		want := 50
		if strings.Contains(path, "author") {
			want = 17
		}
		seen := map[int64]bool{}
		for next := path; next != ""; {
			resp, body := request(t, client(t), "GET", at+next, nil)
			for _, q := range decoded(t, body) {
				if seen[q.ID] {
					t.Fatalf("%s: quote %d twice", path, q.ID)
				}
				seen[q.ID] = true
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
		}
		if len(seen) != want {
			t.Errorf("%s: %d quotes, want %d", path, len(seen), want)
		}
	}
	for _, bad := range []string{"/json/latest?cursor=!", "/json/random?seed=a&cursor=1", "/json/random?cursor=1.1", "/json/random?seed=" + strings.Repeat("a", 101), "/json/latest?length=huge", "/quotes?length=huge", "/quotes?cursor=!"} {
		if resp, _ := request(t, client(t), "GET", at+bad, nil); resp.StatusCode != 400 {
			t.Errorf("%s: %d", bad, resp.StatusCode)
		}
	}
}

func TestETag(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "rhymes", rhymes)
	for _, path := range []string{"/json/latest?count=3", "/json/search?q=river", "/json/random?seed=a", "/quotes.rss", "/quotes/results?q=a"} {
		resp, _ := request(t, client(t), "GET", at+path, nil)
		tag := resp.Header.Get("ETag")
		if resp, body := request(t, client(t), "GET", at+path, nil, "If-None-Match", tag); tag == "" || resp.StatusCode != 304 || body != "" {
			t.Errorf("%s with its own tag %q: %d", path, tag, resp.StatusCode)
		}
		importText(t, s, "more", path+"\n%\n")
		if resp, _ := request(t, client(t), "GET", at+path, nil, "If-None-Match", tag); resp.StatusCode != 200 {
			t.Errorf("%s after a change: %d", path, resp.StatusCode)
		}
	}
}

func TestFeed(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "x", "Less < more & \"so\" on ]]>\n%\n"+rhymes)
	_, body := request(t, client(t), "GET", at+"/quotes.rss", nil)
	var feed struct {
		Items []struct {
			Title string `xml:"title"`
			Link  string `xml:"link"`
			Date  string `xml:"pubDate"`
		} `xml:"channel>item"`
	}
	if err := xml.Unmarshal([]byte(body), &feed); err != nil || len(feed.Items) != 7 {
		t.Fatalf("%v, %d items", err, len(feed.Items))
	}
	last := feed.Items[6]
	if _, err := time.Parse(time.RFC1123Z, last.Date); err != nil || last.Title != `Less < more & "so" on ]]>` || !strings.HasPrefix(last.Link, at+"/quotes/") {
		t.Errorf("%+v %v", last, err)
	}
}

// TestOwner: who is not the owner changes nothing; the owner edits, tags and hides.
func TestOwner(t *testing.T) {
	s, at, secret := site(t)
	importText(t, s, "rhymes", rhymes)
	change := url.Values{"text": {"A viaduct\r\nis a promise."}, "author": {"O. L."}, "tags": {"Steel, bridges"}}
	if resp, _ := request(t, client(t), "POST", at+"/quotes/2", change); resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Fatalf("anyone may edit: %d", resp.StatusCode)
	}
	if resp, _ := request(t, client(t), "POST", at+"/quotes/2/hidden", url.Values{"hidden": {"true"}}); resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Fatalf("anyone may hide: %d", resp.StatusCode)
	}
	owner := client(t)
	if resp, body := request(t, owner, "POST", at+"/owner/login", url.Values{"secret": {secret}}); resp.StatusCode >= 400 {
		t.Fatalf("signing in: %d %s", resp.StatusCode, body)
	}
	if resp, body := request(t, owner, "POST", at+"/quotes/2", change); resp.StatusCode != 303 {
		t.Fatalf("editing: %d %s", resp.StatusCode, body)
	}
	if full, err := s.Get(t.Context(), 2); err != nil || full.Text != "A viaduct\nis a promise." || !slices.Equal(full.Tags, []string{"bridges", "steel"}) {
		t.Errorf("after editing: %+v, %v", full, err)
	}
	if resp, _ := request(t, owner, "POST", at+"/quotes/3", change); resp.StatusCode != 409 {
		t.Errorf("the same text twice: %d", resp.StatusCode)
	}
	if resp, _ := request(t, owner, "POST", at+"/quotes/2/hidden", url.Values{"hidden": {"true"}}); resp.StatusCode != 303 {
		t.Errorf("hiding: %d", resp.StatusCode)
	}
	for _, path := range []string{"/quotes/2", "/json/quotes/2"} {
		if resp, _ := request(t, client(t), "GET", at+path, nil); resp.StatusCode != 404 {
			t.Errorf("%s, hidden: %d", path, resp.StatusCode)
		}
		if resp, _ := request(t, owner, "GET", at+path, nil); resp.StatusCode != 200 {
			t.Errorf("%s, hidden, for the owner: %d", path, resp.StatusCode)
		}
	}
	for path, want := range map[string]int{"/quotes/x": 404, "/quotes/99": 404, "/quotes/1": 200, "/quotes/today": 200, "/quotes/random": 303, "/json/today": 200, "/quotes": 200} {
		if resp, _ := request(t, client(t), "GET", at+path, nil); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestOwnersShelf: the owner adds a quote by hand, and finds again what he hid.
func TestOwnersShelf(t *testing.T) {
	s, at, secret := site(t)
	importText(t, s, "rhymes", rhymes)
	own := url.Values{"text": {"Mind the step, it minds you."}, "author": {"A. Tester"}, "tags": {"stairs"}}
	if resp, _ := request(t, client(t), "POST", at+"/quotes", own); resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Fatalf("anyone may add: %d", resp.StatusCode)
	}
	owner := client(t)
	request(t, owner, "POST", at+"/owner/login", url.Values{"secret": {secret}})
	for _, text := range []string{"Mind the step, it minds you.", "mind the step; it minds YOU!"} { // the second is the same one
		own.Set("text", text)
		if resp, body := request(t, owner, "POST", at+"/quotes", own); resp.StatusCode != 303 || resp.Header.Get("Location") != "/quotes/7" {
			t.Errorf("adding %q: %d %s %s", text, resp.StatusCode, resp.Header.Get("Location"), body)
		}
	}
	own.Set("text", " ")
	if resp, _ := request(t, owner, "POST", at+"/quotes", own); resp.StatusCode != 409 {
		t.Errorf("adding nothing: %d", resp.StatusCode)
	}
	if full, err := s.Get(t.Context(), 7); err != nil || full.Origin != "owner" || !slices.Equal(full.Tags, []string{"stairs"}) || len(full.Also) != 1 {
		t.Errorf("added: %+v, %v", full, err)
	}
	if err := s.Hide(t.Context(), 3, true); err != nil {
		t.Fatal(err)
	}
	if resp, body := request(t, owner, "GET", at+"/quotes/hidden", nil); resp.StatusCode != 200 || !strings.Contains(body, "/quotes/3") || strings.Contains(body, "/quotes/4") {
		t.Errorf("the hidden ones: %d\n%s", resp.StatusCode, body)
	}
	if resp, _ := request(t, client(t), "GET", at+"/quotes/hidden", nil); resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Errorf("anyone sees the hidden ones: %d", resp.StatusCode)
	}
}

// TestScript has the compiler check the page's script.
func TestScript(t *testing.T) {
	tsc := systemtest.Tool(t, "tsc", "node-typescript")
	if out, err := exec.CommandContext(t.Context(), tsc, "--project", "page").CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

// TestEscaping: what a quote holds is text on every page.
func TestEscaping(t *testing.T) {
	s, at, _ := site(t)
	evil := `<script>alert(1)</script> & "quoted" <img src=x onerror=alert(1)>`
	b, _ := json.Marshal([]map[string]string{{"text": evil, "author": evil, "source": evil, "tags": "<b>"}})
	importText(t, s, "evil.json", string(b))
	for _, path := range []string{"/quotes", "/quotes?q=script", "/quotes?q=" + url.QueryEscape(evil), "/quotes/1", "/quotes/results?q=alert", "/quotes.rss", "/quotes/today"} {
		resp, body := request(t, client(t), "GET", at+path, nil)
		if resp.StatusCode != 200 || strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: %d:\n%s", path, resp.StatusCode, body)
		}
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"short line\nof verse": "short line\nof verse",
		"a line of prose that a file of seventy-two columns broke\nhere.":      "a line of prose that a file of seventy-two columns broke here.",
		"a line of prose that a file of seventy-two columns broke\n\nhere":     "a line of prose that a file of seventy-two columns broke\n\nhere",
		"A:      a line of a table that is long enough to be taken for\nprose": "A:      a line of a table that is long enough to be taken for\nprose",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q", in, got)
		}
	}
	if isSet("        A paragraph that is\nindented at its beginning.\n        And another.") || !isSet("  a drawing\n    of lines") {
		t.Error("isSet mistakes prose for a layout or the other way round")
	}
}

// TestSearchWhileTyping types into the page in Chromium.
func TestSearchWhileTyping(t *testing.T) {
	s, at, _ := site(t)
	importText(t, s, "rhymes", rhymes)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(systemtest.Tool(t, "chromium", "chromium")),
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	defer stop()
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	ctx, timeout := context.WithTimeout(ctx, time.Minute)
	defer timeout()
	void := func(what string, a chromedp.Action[chromedp.Void]) {
		t.Helper()
		if _, err := chromedp.Run(ctx, a); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	eval := func(js string) string {
		t.Helper()
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string](js))
		if err != nil {
			t.Fatalf("%s: %v", js, err)
		}
		return v
	}
	void("opening the page", chromedp.Navigate(at+"/quotes"))
	void("the list", chromedp.WaitVisible(".quotes > li:nth-child(6)"))
	void("the key /", chromedp.KeyEvent("/"))
	// The protocol sends the letter by itself, after the key that the page has taken.
	if at := eval(`(document.activeElement.value = "", document.activeElement.id)`); at != "q" {
		t.Errorf("the key / led to %q", at)
	}
	void("typing", chromedp.KeyEvent("kett"))
	void("a shorter list", chromedp.WaitNotPresent(".quotes > li:nth-child(2)"))
	void("the found word", chromedp.WaitVisible(".quotes mark"))
	marked, where := eval(`document.querySelector("mark").textContent`), eval(`location.href`)
	void("the key down", chromedp.KeyEvent(kb.ArrowDown))
	focused := eval(`document.activeElement.className`)
	void("the key enter", chromedp.KeyEvent(kb.Enter))
	void("the quote's page", chromedp.WaitVisible(".quote.large"))
	if marked != "kettle" || where != at+"/quotes?q=kett" || focused != "permalink" {
		t.Errorf("marked %q at %s, focus on %q", marked, where, focused)
	}
}
