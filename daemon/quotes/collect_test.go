package quotes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/cascadia"

	"github.com/sierpi/sierpi/daemon/store"
)

// footer is our own text in the shape of a news site whose footer carries a quote.
const footer = `<!doctype html><html><head><meta charset="iso-8859-1"><title>News</title></head><body>
<div id="main"><blockquote>A reader's comment, not to be collected.</blockquote></div>
<footer id="ft"><div class="grid"><blockquote><p>A caf%s is a
   machine   <em>that turns</em> rain into talk.<br>It never rusts.
   <cite>-- Orla Quist, "Wet Streets"</cite></p></blockquote></div></footer></body></html>`

func TestCollect(t *testing.T) {
	hits := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, footer, "\xe9")
	}))
	defer server.Close()
	dir := t.TempDir()
	start := func() *Service {
		db, err := store.Open(t.Context(), store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		s, err := New(Options{DB: db, Pages: []CollectedPage{{Name: "news", URL: server.URL}}, AllowPrivate: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	if wait := s.collect(t.Context(), s.pages[0]); wait < collectEvery*9/10 || wait > collectEvery*3 {
		t.Errorf("looks again after %v", wait)
	}
	qs, err := s.Latest(t.Context(), Filter{}, 10)
	if err != nil || len(qs) != 1 {
		t.Fatalf("%v, %v", qs, err)
	}
	if q := qs[0]; q.Text != "A café is a machine that turns rain into talk.\nIt never rusts." || q.Author != "Orla Quist" || q.Source != "Wet Streets" {
		t.Errorf("collected %+v", q)
	}
	if state, why := s.Health(); state != "ok" {
		t.Error(state, why)
	}
	// A restart asks nobody anew within the hour.
	again := start()
	again.collect(t.Context(), again.pages[0])
	if hits != 1 {
		t.Errorf("%d requests", hits)
	}
}

func TestCollectTrouble(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer server.Close()
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(Options{DB: db, Pages: []CollectedPage{{URL: server.URL, Selector: "p"}}, AllowPrivate: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	importText(t, s, "rhymes", rhymes)
	s.collect(t.Context(), s.pages[0])
	if state, why := s.Health(); state != "stale" || !strings.Contains(why, "500") {
		t.Error(state, why)
	}
	for _, bad := range []CollectedPage{{URL: "ftp://example.org/"}, {URL: "https://example.org/", Selector: "p["}} {
		if _, err := New(Options{DB: db, Pages: []CollectedPage{bad}}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func FuzzQuotesOn(f *testing.F) {
	f.Add([]byte(footer), "text/html")
	f.Add([]byte(strings.Repeat("<div>", 3000)+"<footer><blockquote>x"), "text/html; charset=utf-16")
	f.Add([]byte("<footer><blockquote><pre>a\n  b</pre><br><br>-- c"), "")
	match, err := cascadia.Compile(FooterSelector)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		items, _ := quotesOn(body, contentType, match)
		for _, it := range items {
			if it, why := it.clean(); why == "" && it.Text == "" {
				t.Fatal("an empty quote")
			}
		}
	})
}
