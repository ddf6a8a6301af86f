package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/cache"
	"github.com/sierpi/sierpi/daemon/web"
)

// upstream is a publisher: a real HTTP server whose answers a test steers.
type upstream struct {
	*httptest.Server
	hits atomic.Int32
	mu   sync.Mutex
	do   http.HandlerFunc
}

func newUpstream(t *testing.T, do http.HandlerFunc) *upstream {
	u := &upstream{do: do}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.hits.Add(1)
		u.mu.Lock()
		do := u.do
		u.mu.Unlock()
		do(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) set(do http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.do = do
}

// fixture serves a file of testdata with ETag and Last-Modified.
func fixture(t *testing.T, name string) http.HandlerFunc {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	etag := fmt.Sprintf("%q", name)
	modified := time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, name, modified, strings.NewReader(string(body)))
	}
}

func testLook(t testing.TB) *web.Look {
	t.Helper()
	look, err := web.NewLook(web.LookOptions{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func openCache(t testing.TB, dir string) cache.Shared {
	t.Helper()
	c, err := cache.Open(cache.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a service and its pages until the test or stop ends it.
func start(t *testing.T, o Options) (s *Service, pages *httptest.Server, stop func()) {
	t.Helper()
	o.Look = testLook(t)
	o.AllowPrivate = append(o.AllowPrivate, "127.0.0.1")
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	mux := http.NewServeMux()
	for _, r := range s.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	pages = httptest.NewServer(mux)
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		pages.Close()
	})
	t.Cleanup(stop)
	return s, pages, stop
}

// eventually waits for a condition that a poll brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func feedJSON(t *testing.T, pages *httptest.Server) outFeed {
	t.Helper()
	_, body := get(t, pages.URL+"/feed.json")
	var f outFeed
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return f
}

// TestExpired is the question that sierpi's ancestor was asked: what happens when
// 100 requests arrive just after the copy expired and the upstream takes seconds?
// One upstream request is made, and every answer comes from the last good copy
// while it is under way: here the upstream does not answer before all 100 are in.
func TestExpired(t *testing.T) {
	dir := t.TempDir()
	up := newUpstream(t, fixture(t, "rss2.xml"))
	src := []Source{{Name: "Gazette", URL: up.URL}}
	clock := time.Now()
	_, pages, stop := start(t, Options{Sources: src, Cache: openCache(t, dir), Now: func() time.Time { return clock }})
	if n := len(feedJSON(t, pages).Items); n != 2 {
		t.Fatalf("the first request brought %d items, want 2", n)
	}
	stop()

	arrived, answered := make(chan struct{}), make(chan struct{})
	up.hits.Store(0)
	up.set(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answered
		time.Sleep(3 * time.Second) // the case as it was put
		fixture(t, "atom.xml")(w, r)
	})
	later := clock.Add(3 * time.Hour) // the feed's ttl is 90 minutes
	s, pages, _ := start(t, Options{Sources: src, Cache: openCache(t, dir), Now: func() time.Time { return later }})
	<-arrived
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			resp, err := http.Get(pages.URL + "/feed.json")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			var f outFeed
			if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
				t.Error(err)
				return
			}
			if len(f.Items) != 2 || f.Items[0].Title != "The kettle & the robin" || !f.Sierpi.Stale {
				t.Errorf("not the last good copy marked as stale: %+v", f)
			}
			if resp.Header.Get("Age") != "10800" || resp.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("stale answer has Age %q, Cache-Control %q", resp.Header.Get("Age"), resp.Header.Get("Cache-Control"))
			}
		})
	}
	wg.Wait()
	if _, body := get(t, pages.URL+"/feed"); !strings.Contains(body, "Older than it should be, the last good copy is shown: Gazette (3 h ago)") {
		t.Errorf("the page does not say that its copy is stale: %s", body)
	}
	close(answered)
	eventually(t, "the new copy is shown", func() bool { return len(feedJSON(t, pages).Items) == 4 })
	if n := up.hits.Load(); n != 1 {
		t.Errorf("%d upstream requests, want exactly 1", n)
	}
	if state, why := s.Health(); state != "ok" {
		t.Errorf("health is %s: %s", state, why)
	}
}

// TestConditional sees the second poll answered with 304 and the copy kept.
func TestConditional(t *testing.T) {
	var statuses sync.Map
	serve := fixture(t, "atom.xml")
	n := atomic.Int32{}
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		serve(rec, r)
		statuses.Store(n.Add(1), rec.Code)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	s, pages, _ := start(t, Options{Sources: []Source{{URL: up.URL}}, Interval: 20 * time.Millisecond})
	eventually(t, "three polls", func() bool { return n.Load() >= 3 })
	if first, _ := statuses.Load(int32(1)); first != http.StatusOK {
		t.Errorf("first poll: %v", first)
	}
	if second, _ := statuses.Load(int32(2)); second != http.StatusNotModified {
		t.Errorf("second poll: %v, want 304", second)
	}
	f := feedJSON(t, pages)
	if len(f.Items) != 2 || f.Sierpi.Sources[0].Name != "Release notes from anvil" {
		t.Errorf("after a 304: %+v", f)
	}
	if h := s.Headlines(1); len(h) != 1 || h[0].Title != "v2.1.0: quieter hammer" {
		t.Errorf("headlines: %+v", h)
	}
}

// TestReboot shows the last good copy after a restart without network.
func TestReboot(t *testing.T) {
	dir := t.TempDir()
	up := newUpstream(t, fixture(t, "rss2.xml"))
	src := []Source{{Name: "Gazette", URL: up.URL}}
	_, pages, stop := start(t, Options{Sources: src, Cache: openCache(t, dir)})
	feedJSON(t, pages)
	stop()
	up.Close()
	// The clock of a board without one starts in 1970.
	boot := time.Date(1970, 1, 1, 0, 0, 20, 0, time.UTC)
	s, pages, _ := start(t, Options{Sources: src, Cache: openCache(t, dir), Now: func() time.Time { return boot }})
	f := feedJSON(t, pages)
	if len(f.Items) != 2 || !f.Sierpi.Stale {
		t.Errorf("after the reboot: %d items, stale %v", len(f.Items), f.Sierpi.Stale)
	}
	eventually(t, "the failed poll shows", func() bool {
		state, why := s.Health()
		return state == "stale" && strings.Contains(why, "connection refused")
	})
	if f := feedJSON(t, pages); len(f.Items) != 2 || f.Sierpi.Sources[0].Reason == "" {
		t.Errorf("after the failed poll: %+v", f)
	}
	says(t, pages, "The kettle &amp; the robin", "the last good copy is shown: Gazette", "Nothing answers at", "The network or the clock is not ready")
}

// says holds that the page is there and has all of these in it.
func says(t *testing.T, pages *httptest.Server, all ...string) {
	t.Helper()
	resp, body := get(t, pages.URL+"/feed")
	for _, s := range all {
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, s) {
			t.Errorf("%s, and the page does not say %q:\n%s", resp.Status, s, body)
		}
	}
}

// TestNothingYet is a first boot without network: the page says so at once.
func TestNothingYet(t *testing.T) {
	up := newUpstream(t, nil)
	up.Close()
	s, pages, _ := start(t, Options{Sources: []Source{{Name: "Gazette", URL: up.URL}}})
	resp, body := get(t, pages.URL+"/feed")
	if resp.StatusCode != 200 || !strings.Contains(body, "Nothing was fetched yet") || !strings.Contains(body, "connection refused") {
		t.Errorf("%d: %s", resp.StatusCode, body)
	}
	if state, _ := s.Health(); state != "failed" {
		t.Errorf("health is %s, want failed", state)
	}
	s, pages, _ = start(t, Options{})
	if _, body := get(t, pages.URL+"/feed"); !strings.Contains(body, "No feed is configured") {
		t.Error(body)
	}
	if state, _ := s.Health(); state != "absent" {
		t.Errorf("health is %s, want absent", state)
	}
}

// TestCaptivePortal keeps the last good copy when a login page comes instead.
func TestCaptivePortal(t *testing.T) {
	up := newUpstream(t, fixture(t, "atom.xml"))
	s, pages, _ := start(t, Options{Sources: []Source{{Name: "Gazette", URL: up.URL}}, Interval: 20 * time.Millisecond})
	feedJSON(t, pages)
	up.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Welcome to the hotel</title></head></html>")
	})
	// The portal answers like the fixture's validators would: nothing of it is kept.
	eventually(t, "the portal is noticed", func() bool {
		state, why := s.Health()
		return state == "stale" && strings.Contains(why, "log in to the network")
	})
	if f := feedJSON(t, pages); len(f.Items) != 2 {
		t.Errorf("%d items behind the portal, want the last good 2", len(f.Items))
	}
	says(t, pages, "v2.1.0: quieter hammer", "the last good copy is shown: Gazette", "log in to the network")
}

// TestFullCard keeps the copy in memory and says that it would not survive.
func TestFullCard(t *testing.T) {
	up := newUpstream(t, fixture(t, "rss2.xml"))
	full := &fullCache{openCache(t, t.TempDir())}
	s, pages, _ := start(t, Options{Sources: []Source{{Name: "Gazette", URL: up.URL}}, Cache: full})
	if f := feedJSON(t, pages); len(f.Items) != 2 {
		t.Errorf("%d items with a full card, want 2", len(f.Items))
	}
	if state, why := s.Health(); state != "stale" || !strings.Contains(why, "no space left") {
		t.Errorf("health: %s, %s", state, why)
	}
	says(t, pages, "The kettle &amp; the robin", "no space left")
}

// fullCache fails to set as a full disk does; package cache tests the real disk.
type fullCache struct{ cache.Shared }

func (c *fullCache) Set(context.Context, string, cache.Entry) error {
	return fmt.Errorf("disk cache: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
}

func TestOptions(t *testing.T) {
	for _, src := range [][]Source{{{Name: "a", URL: "ftp://x.example/"}}, {{URL: "http://x.example/"}, {URL: "http://x.example/"}}, {{URL: "nonsense"}}} {
		if _, err := New(Options{Sources: src}); err == nil || !strings.Contains(err.Error(), "feed source") {
			t.Errorf("%v: %v", src, err)
		}
	}
}
