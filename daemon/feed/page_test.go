package feed

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
)

// releases serves a feed of these titles, the newest first.
func releases(titles ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<rss version="2.0"><channel><title>Cards</title>`)
		for i, title := range titles {
			fmt.Fprintf(w, `<item><title>%s</title><link>https://cards.example/%d</link><guid>%s</guid><pubDate>%s</pubDate></item>`,
				escape(title), len(titles)-i, escape(title), time.Date(2026, 11, 20, 12, -i, 0, 0, time.UTC).Format(rfc822))
		}
		_, _ = io.WriteString(w, `</channel></rss>`)
	}
}

// TestEpisodes: one line an episode, with its releases from all feeds.
func TestEpisodes(t *testing.T) {
	a := newUpstream(t, releases("Colour.Bars.S02E03.720p.WEB.h264-CARD", "Other.Show.S01E01.1080p.HDTV.x264-CARD", "Colour.Bars.S02E02.720p.WEB.h264-CARD"))
	b := newUpstream(t, releases("Colour Bars - 2x03 - Magenta [1080p]", "Colour.Bars.S02.1080p.BluRay.x265-CARD", "A note about the weather"))
	_, pages, _ := start(t, Options{Sources: []Source{{Name: "A", URL: a.URL}, {Name: "B", URL: b.URL}}})
	eventually(t, "both feeds are there", func() bool { return len(feedJSON(t, pages).Items) == 5 })
	got := map[string]int{}
	for _, it := range feedJSON(t, pages).Items {
		got[it.Title] = len(it.Sierpi.Releases)
	}
	want := map[string]int{"Colour Bars S02E03": 2, "Other Show S01E01": 1, "Colour Bars S02E02": 1, "Colour Bars Season 2": 1, "A note about the weather": 0}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	for query, n := range map[string]int{
		"q=colour": 3, "q=bars+s02e03": 1, "q=weather": 1, "q=nothing+such": 0, "source=A": 3, "source=B": 3, "resolution=1080p": 3, "kind=releases": 4,
		"kind=other": 1, "q=card&source=B": 1, "q=colour&resolution=720p": 2,
	} {
		_, body := get(t, pages.URL+"/feed.json?"+query)
		var f outFeed
		if err := json.Unmarshal([]byte(body), &f); err != nil || len(f.Items) != n {
			t.Errorf("%s: %d rows, want %d (%v)", query, len(f.Items), n, err)
		}
		if _, page := get(t, pages.URL+"/feed?"+query); strings.Count(page, "<time ") != n {
			t.Errorf("%s: the page does not show %d rows", query, n)
		}
	}
	for _, bad := range []string{"page=0", "page=x", "kind=x", "new=2", "q=" + strings.Repeat("x", 300)} {
		for _, path := range []string{"/feed?", "/feed.json?", "/feed.rss?"} {
			if resp, _ := get(t, pages.URL+path+bad); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s%s: %d, want 400", path, bad, resp.StatusCode)
			}
		}
	}
	if resp, _ := get(t, pages.URL+"/feed?page=999"); resp.StatusCode != http.StatusOK {
		t.Errorf("a page beyond the end: %d", resp.StatusCode)
	}
}

// TestNewSinceLastVisit follows a visitor over two visits.
func TestNewSinceLastVisit(t *testing.T) {
	up := newUpstream(t, releases("Show.S01E01.720p.WEB.h264-X"))
	_, pages, _ := start(t, Options{Sources: []Source{{Name: "A", URL: up.URL}}, Interval: 20 * time.Millisecond})
	feedJSON(t, pages)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	visitor := &http.Client{Jar: jar}
	look := func(query string) string {
		t.Helper()
		resp, err := visitor.Get(pages.URL + "/feed" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	const badge = `<span class="badge info">new</span>`
	if body := look(""); strings.Contains(body, badge) || strings.Contains(body, "since your last visit") {
		t.Error("on the first visit nothing is new")
	}
	up.set(releases("Show.S01E02.720p.WEB.h264-X", "Show.S01E01.720p.WEB.h264-X"))
	eventually(t, "the new item", func() bool { return len(feedJSON(t, pages).Items) == 2 })
	for range 2 { // and it stays new while the visit lasts
		if body := look(""); strings.Count(body, badge) != 1 || !strings.Contains(body, "1 new since your last visit") {
			t.Errorf("the second visit: %s", body)
		}
	}
	if body := look("?new=1"); !strings.Contains(body, "S01E02") || strings.Contains(body, "S01E01") {
		t.Error("the filter for what is new")
	}
	// The visit ends: its cookie goes, the other stays.
	req, _ := http.NewRequest("GET", pages.URL+"/feed", nil)
	req.AddCookie(&http.Cookie{Name: seenCookie, Value: "2"})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); strings.Contains(string(b), badge) || !strings.Contains(string(b), "nothing new since your last visit") {
		t.Error("the third visit has something new")
	}
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/feed" {
			t.Errorf("cookie %+v", c)
		}
	}
}

// TestOutputs: our own feeds are read by our parser and by gofeed, and keep their
// formats' rules.
func TestOutputs(t *testing.T) {
	up := newUpstream(t, releases("Fish & Chips.S01E01.720p.WEB.h264-X", "Show.2026.11.19.1080p.WEB.h264-X", "Ein Gespräch über Tee, Kekse; und \\ mehr "+strings.Repeat("ü", 80)))
	_, pages, _ := start(t, Options{Sources: []Source{{Name: "A, B; \"C\" <D>", URL: up.URL}}})
	feedJSON(t, pages)
	ids := map[string]bool{}
	for _, path := range []string{"/feed.json", "/feed.rss", "/feed.atom"} {
		resp, body := get(t, pages.URL+path)
		doc, err := Parse([]byte(body), resp.Header.Get("Content-Type"), pages.URL+path)
		if err != nil || len(doc.Items) != 3 || len(doc.Problems) > 0 {
			t.Fatalf("%s: %+v, %v", path, doc, err)
		}
		if doc.Items[0].Title != "Fish & Chips S01E01" && path != "/feed.rss" {
			t.Errorf("%s: title %q", path, doc.Items[0].Title)
		}
		theirs, err := gofeed.NewParser().ParseString(body)
		if err != nil || len(theirs.Items) != 3 {
			t.Fatalf("%s with gofeed: %v", path, err)
		}
		for _, it := range theirs.Items {
			if it.GUID == "" || it.PublishedParsed == nil || it.Link == "" {
				t.Errorf("%s: %+v", path, it)
			}
			ids[it.GUID] = true
		}
		if theirs.FeedLink != pages.URL+path {
			t.Errorf("%s says it is at %q", path, theirs.FeedLink)
		}
		// Conditional requests to ours.
		req, _ := http.NewRequest("GET", pages.URL+path, nil)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
		again, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its ETag: %d, want 304", path, again.StatusCode)
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d identities over three formats, want 3: %v", len(ids), ids)
	}
	_, ics := get(t, pages.URL+"/feed.ics")
	checkCalendar(t, ics)
	if strings.Count(ics, "BEGIN:VEVENT") != 2 || !strings.Contains(ics, "DTSTART;VALUE=DATE:20261119") || !strings.Contains(ics, "SUMMARY:Fish & Chips S01E01") {
		t.Error(ics)
	}
}

// TestMarkupIsText: what a feed says is never markup of ours.
func TestMarkupIsText(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<rss><channel><title>&lt;img src=x onerror=alert(1)&gt;</title><link>javascript:alert(1)</link><item><title>&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;</title><link>javascript:alert(1)</link><description>&lt;svg onload=alert(1)&gt;x</description><author>"&gt;&lt;b&gt;</author></item></channel></rss>`)
	})
	_, pages, _ := start(t, Options{Sources: []Source{{URL: up.URL}}})
	feedJSON(t, pages)
	_, body := get(t, pages.URL+"/feed")
	for _, bad := range []string{"<script>alert", "<img src=x", "<svg onload", `href="javascript`} {
		if strings.Contains(body, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Error("the title is not shown as text")
	}
}

// TestDays: rows stand under the machine's days, and a clock that is not set makes
// no nonsense of them.
func TestDays(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 30, 0, 0, time.Local)
	for when, want := range map[time.Time]string{
		now.Add(-time.Minute):    "Today",
		now.Add(-time.Hour):      "Yesterday",
		now.Add(-25 * time.Hour): "Monday, 23 November",
		now.AddDate(-1, 0, 0):    "Tuesday, 25 November 2025",
		now.Add(24 * time.Hour):  "Thursday, 26 November",
		{}:                       "Without a date",
	} {
		if got := dayName(when, now); got != want {
			t.Errorf("%v: %q, want %q", when, got, want)
		}
	}
	if got := dayName(now, time.Unix(20, 0)); got != "Wednesday, 25 November 2026" {
		t.Errorf("in 1970: %q", got)
	}
	rows := []row{{When: now}, {When: now.Add(-time.Minute)}, {When: now.Add(-time.Hour)}, {}}
	if got := days(rows, now); len(got) != 3 || len(got[0].Rows) != 2 || len(got[2].Rows) != 1 {
		t.Errorf("%+v", got)
	}
}
