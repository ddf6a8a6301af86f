package feed

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mmcdole/gofeed"
)

// TestOutputsAreValid holds our own feeds against their specifications, for sources
// of every format, nothing at all, and texts that are hard to carry.
func TestOutputsAreValid(t *testing.T) {
	hard := newUpstream(t, releases(
		"Fish & Chips.S01E01.720p.WEB.h264-X", "Show.2026.11.19.1080p.WEB.h264-X", "[G] Tide Tables - 12 [1080p]", "Show.S01.1080p.WEB.h264-X",
		"Ein Gespräch über Tee, Kekse; und \\ mehr "+strings.Repeat("ü", 80), "]]> <b>&amp;</b> \u0001\ufffe \"quoted\"", "日本語の題名 🦀"))
	var all []Source
	for i, name := range []string{"rss2.xml", "atom.xml", "feed.json", "rss1.rdf", "torrents.xml"} {
		all = append(all, Source{Name: fmt.Sprintf("%d, B; \"C\" <D>", i), URL: newUpstream(t, fixture(t, name)).URL})
	}
	all = append(all, Source{URL: hard.URL})
	for what, sources := range map[string][]Source{"everything": all, "nothing": nil} {
		t.Run(what, func(t *testing.T) {
			s, pages, _ := start(t, Options{Sources: sources})
			eventually(t, "all are there", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, src := range s.sources {
					if src.rec == nil || len(src.rec.Entries) == 0 {
						return false
					}
				}
				return true
			})
			for _, query := range []string{"", "?q=show&kind=releases", "?source=" + url.QueryEscape(`1, B; "C" <D>`)} {
				counts := map[string]int{}
				for path, check := range map[string]func(t *testing.T, body, self string) int{
					"/feed.rss": validRSS, "/feed.atom": validAtom, "/feed.json": validJSONFeed,
				} {
					resp, body := get(t, pages.URL+path+query)
					if resp.StatusCode != 200 || !utf8.ValidString(body) {
						t.Fatalf("%s: %d, UTF-8 %v", path, resp.StatusCode, utf8.ValidString(body))
					}
					counts[path] = check(t, body, pages.URL+path+query)
					theirs, err := gofeed.NewParser().ParseString(body)
					if err != nil || len(theirs.Items) != counts[path] {
						t.Errorf("%s%s with gofeed: %v", path, query, err)
					}
				}
				if counts["/feed.rss"] != counts["/feed.atom"] || counts["/feed.atom"] != counts["/feed.json"] {
					t.Errorf("%q: the formats differ: %v", query, counts)
				}
				if what == "everything" && query == "" && counts["/feed.rss"] < 15 {
					t.Errorf("%d items", counts["/feed.rss"])
				}
				_, ics := get(t, pages.URL+"/feed.ics"+query)
				checkCalendar(t, ics)
			}
		})
	}
}

// node is an XML element.
type node struct {
	name  xml.Name
	attrs map[string]string
	text  string
	kids  []*node
}

func (n *node) all(space, local string) (out []*node) {
	for _, k := range n.kids {
		if k.name.Space == space && k.name.Local == local {
			out = append(out, k)
		}
	}
	return out
}

// one is the text of the only child of that name.
func (n *node) one(t *testing.T, space, local string) string {
	t.Helper()
	found := n.all(space, local)
	if len(found) != 1 {
		t.Errorf("<%s> has %d <%s>, want exactly one", n.name.Local, len(found), local)
		return ""
	}
	return found[0].text
}

func parseTree(t *testing.T, body string) *node {
	t.Helper()
	if !strings.HasPrefix(body, `<?xml version="1.0" encoding="UTF-8"?>`) {
		t.Errorf("no declaration: %.60q", body)
	}
	d := xml.NewDecoder(strings.NewReader(body))
	root := &node{}
	open := []*node{root}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return root.kids[0]
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		top := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			n := &node{name: tok.Name, attrs: map[string]string{}}
			for _, a := range tok.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			top.kids = append(top.kids, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += string(tok)
		}
	}
}

func absolute(t *testing.T, what, address string) {
	t.Helper()
	if u, err := url.Parse(address); err != nil || !u.IsAbs() {
		t.Errorf("%s is no absolute address: %q", what, address)
	}
}

const atomSpace = "http://www.w3.org/2005/Atom"

// validRSS holds the RSS 2.0 specification and the Best Practices Profile of the
// RSS Advisory Board, and returns how many items there are.
func validRSS(t *testing.T, body, self string) int {
	t.Helper()
	rss := parseTree(t, body)
	if rss.name.Local != "rss" || rss.attrs["version"] != "2.0" || len(rss.all("", "channel")) != 1 {
		t.Fatalf("root %+v", rss)
	}
	c := rss.all("", "channel")[0]
	for _, name := range []string{"title", "link", "description", "lastBuildDate", "ttl"} {
		if c.one(t, "", name) == "" {
			t.Errorf("the channel's %s is empty", name)
		}
	}
	absolute(t, "the channel's link", c.one(t, "", "link"))
	rfc822Date(t, c.one(t, "", "lastBuildDate"))
	link := c.all(atomSpace, "link")
	if len(link) != 1 || link[0].attrs["rel"] != "self" || link[0].attrs["href"] != self || link[0].attrs["type"] != "application/rss+xml" {
		t.Errorf("atom:link %+v, want self %s", link, self)
	}
	seen := map[string]bool{}
	for _, it := range c.all("", "item") {
		if it.one(t, "", "title") == "" || strings.ContainsAny(it.one(t, "", "title"), "\n") {
			t.Errorf("an item's title: %q", it.one(t, "", "title"))
		}
		absolute(t, "an item's link", it.one(t, "", "link"))
		it.one(t, "", "description")
		guid := it.all("", "guid")
		if len(guid) != 1 || guid[0].attrs["isPermaLink"] != "false" || guid[0].text == "" || seen[guid[0].text] {
			t.Errorf("guid %+v", guid)
			continue
		}
		seen[guid[0].text] = true
		for _, d := range it.all("", "pubDate") {
			rfc822Date(t, d.text)
		}
	}
	return len(c.all("", "item"))
}

func rfc822Date(t *testing.T, s string) {
	t.Helper()
	d, err := time.Parse("Mon, 02 Jan 2006 15:04:05 -0700", s)
	if err != nil || d.Format("Mon, 02 Jan 2006 15:04:05 -0700") != s {
		t.Errorf("no RFC 822 date: %q", s)
	}
}

// validAtom holds RFC 4287.
func validAtom(t *testing.T, body, self string) int {
	t.Helper()
	f := parseTree(t, body)
	if f.name != (xml.Name{Space: atomSpace, Local: "feed"}) {
		t.Fatalf("root %+v", f.name)
	}
	stampedAndNamed := func(n *node) {
		id := n.one(t, atomSpace, "id")
		absolute(t, "an id", id)
		if n.one(t, atomSpace, "title") == "" {
			t.Errorf("%s has no title", id)
		}
		if _, err := time.Parse(time.RFC3339, n.one(t, atomSpace, "updated")); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		kinds := map[string]bool{}
		for _, l := range n.all(atomSpace, "link") {
			absolute(t, "a link", l.attrs["href"])
			// 4.1.1: no two alternate links of one type and language.
			if k := l.attrs["rel"] + " " + l.attrs["type"]; kinds[k] {
				t.Errorf("%s has two links %s", id, k)
			} else {
				kinds[k] = true
			}
			if l.attrs["rel"] == "self" && l.attrs["href"] != self {
				t.Errorf("self is %q, want %q", l.attrs["href"], self)
			}
		}
		for _, c := range n.all(atomSpace, "category") {
			if c.attrs["term"] == "" {
				t.Errorf("%s has a category without term", id)
			}
		}
	}
	stampedAndNamed(f)
	if a := f.all(atomSpace, "author"); len(a) != 1 || a[0].one(t, atomSpace, "name") == "" {
		t.Errorf("the feed's author: %+v", a)
	}
	seen := map[string]bool{}
	entries := f.all(atomSpace, "entry")
	for _, e := range entries {
		stampedAndNamed(e)
		id := e.one(t, atomSpace, "id")
		if seen[id] {
			t.Errorf("two entries are %s", id)
		}
		seen[id] = true
		for _, p := range e.all(atomSpace, "published") {
			if _, err := time.Parse(time.RFC3339, p.text); err != nil {
				t.Error(err)
			}
		}
		if c := e.all(atomSpace, "content"); len(c) != 1 || c[0].attrs["type"] != "text" || len(c[0].kids) > 0 {
			t.Errorf("content %+v", c)
		}
	}
	return len(entries)
}

// validJSONFeed holds version 1.1 of https://jsonfeed.org/version/1.1.
func validJSONFeed(t *testing.T, body, self string) int {
	t.Helper()
	var f map[string]any
	d := json.NewDecoder(strings.NewReader(body))
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Error("more than one value")
	}
	text := func(m map[string]any, key string) string {
		s, _ := m[key].(string)
		return s
	}
	if f["version"] != "https://jsonfeed.org/version/1.1" || text(f, "title") == "" || f["feed_url"] != self {
		t.Errorf("version %v, title %v, feed_url %v", f["version"], f["title"], f["feed_url"])
	}
	absolute(t, "home_page_url", text(f, "home_page_url"))
	items, ok := f["items"].([]any)
	if !ok {
		t.Fatalf("items: %T", f["items"])
	}
	known := map[string]bool{"id": true, "url": true, "title": true, "content_text": true, "date_published": true, "date_modified": true, "authors": true, "tags": true, "attachments": true, "_sierpi": true}
	seen := map[string]bool{}
	for _, one := range items {
		it, _ := one.(map[string]any)
		id := text(it, "id")
		if id == "" || seen[id] || text(it, "content_text") == "" {
			t.Errorf("an item without id or content: %v", it)
		}
		seen[id] = true
		for key := range it {
			if !known[key] {
				t.Errorf("%q is no key of an item", key)
			}
		}
		if u := text(it, "url"); u != "" {
			absolute(t, "an item's url", u)
		}
		for _, key := range []string{"date_published", "date_modified"} {
			if s := text(it, key); s != "" {
				if _, err := time.Parse(time.RFC3339, s); err != nil {
					t.Error(err)
				}
			}
		}
		attachments, _ := it["attachments"].([]any)
		for _, a := range attachments {
			m, _ := a.(map[string]any)
			absolute(t, "an attachment", text(m, "url"))
			if text(m, "mime_type") == "" {
				t.Errorf("an attachment without type: %v", m)
			}
			if n, ok := m["size_in_bytes"].(float64); ok && n < 0 {
				t.Errorf("a size of %v", n)
			}
		}
		authors, _ := it["authors"].([]any)
		for _, a := range authors {
			if m, _ := a.(map[string]any); text(m, "name") == "" {
				t.Errorf("an author without name: %v", a)
			}
		}
	}
	return len(items)
}

var (
	icsLine  = regexp.MustCompile(`^[A-Z-]+(;[A-Z-]+=[^;:",]+)*:`)
	icsStamp = regexp.MustCompile(`^\d{8}T\d{6}Z$`)
)

// checkCalendar holds RFC 5545: lines, folding, components, the properties each
// must have, and the escapes of texts.
func checkCalendar(t *testing.T, ics string) {
	t.Helper()
	if strings.Contains(strings.ReplaceAll(ics, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(ics, "\r\n", ""), "\r") {
		t.Error("a line does not end with CR LF")
	}
	for _, l := range strings.Split(ics, "\r\n") {
		if len(l) > 75 || !utf8.ValidString(l) {
			t.Errorf("a line of %d octets: %q", len(l), l)
		}
	}
	var open []string
	seen := map[string]int{}
	uids := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSuffix(strings.ReplaceAll(ics, "\r\n ", ""), "\r\n"), "\r\n") {
		head := icsLine.FindString(l)
		if head == "" {
			t.Errorf("no property: %q", l)
			continue
		}
		name, value := strings.TrimSuffix(head, ":"), l[len(head):]
		bare, _, _ := strings.Cut(name, ";")
		switch bare {
		case "BEGIN":
			if value == "VEVENT" {
				if len(open) != 1 || seen["VERSION"] != 1 || seen["PRODID"] != 1 {
					t.Errorf("an event before the calendar's properties: %v", seen)
				}
				seen = map[string]int{}
			}
			open = append(open, value)
			continue
		case "END":
			if len(open) == 0 || open[len(open)-1] != value {
				t.Fatalf("END:%s closes %v", value, open)
			}
			if value == "VEVENT" {
				if seen["UID"] != 1 || seen["DTSTAMP"] != 1 || seen["DTSTART"] != 1 || seen["SUMMARY"] != 1 {
					t.Errorf("an event with %v", seen)
				}
				seen = map[string]int{"VERSION": 1, "PRODID": 1}
			}
			open = open[:len(open)-1]
			continue
		case "UID":
			if uids[value] {
				t.Errorf("two events are %s", value)
			}
			uids[value] = true
		case "DTSTAMP":
			if !icsStamp.MatchString(value) {
				t.Errorf("DTSTAMP:%s", value)
			}
		case "DTSTART":
			if _, err := time.Parse("20060102", value); err != nil || name != "DTSTART;VALUE=DATE" {
				t.Errorf("%s:%s", name, value)
			}
		case "URL":
			absolute(t, "URL", value)
		case "SUMMARY", "DESCRIPTION", "NAME":
			for i := 0; i < len(value); i++ {
				switch c := value[i]; {
				case c == '\\':
					if i++; i == len(value) || !strings.ContainsRune(`\;,nN`, rune(value[i])) {
						t.Errorf("%s: a stray backslash in %q", bare, value)
					}
				case c == ',' || c == ';' || c < ' ':
					t.Errorf("%s: %q stands unescaped in %q", bare, c, value)
				}
			}
		case "METHOD":
			t.Error("METHOD asks for an ORGANIZER (RFC 5546 section 3.2.1), and nobody is invited")
		}
		if seen[bare]++; seen[bare] > 1 {
			t.Errorf("%s twice", bare)
		}
	}
	if len(open) > 0 {
		t.Errorf("never ended: %v", open)
	}
}

func TestFoldLine(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 75), strings.Repeat("x", 76), strings.Repeat("ü", 200), strings.Repeat("日", 100)} {
		var b bytes.Buffer
		foldLine(&b, s)
		if got := strings.ReplaceAll(strings.TrimSuffix(b.String(), "\r\n"), "\r\n ", ""); got != s {
			t.Errorf("%q folds to %q", s, b.String())
		}
	}
}
