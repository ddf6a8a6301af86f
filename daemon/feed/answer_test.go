package feed

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sierpi/sierpi/daemon/web"
)

// hotRouter is the pages' whole handler with a feed that is there.
func hotRouter(b testing.TB) http.Handler {
	b.Helper()
	up := httptest.NewServer(releases("Show.S01E02.720p.WEB.h264-X", "Show.S01E01.720p.WEB.h264-X"))
	b.Cleanup(up.Close)
	log := slog.New(slog.DiscardHandler)
	look := testLook(b)
	s, err := New(Options{Sources: []Source{{Name: "A", URL: up.URL}}, AllowPrivate: []string{"127.0.0.1"}, Look: look, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	ctx := b.Context()
	go func() { done <- s.Run(ctx) }()
	b.Cleanup(func() { <-done })
	<-s.tried
	router, err := web.NewRouter(s.Routes(), web.RouterOptions{Look: look, Hosts: web.NewHosts("sierpi"), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	return router
}

// sink takes an answer and keeps nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkHotAnswer is what a cached answer costs behind the server: the
// middleware, the table of routes, and the look-up.
func BenchmarkHotAnswer(b *testing.B) {
	router := hotRouter(b)
	for _, coding := range []string{"", "gzip"} {
		b.Run("Accept-Encoding="+coding, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/feed.rss", nil)
			r.Host = "localhost"
			if coding != "" {
				r.Header.Set("Accept-Encoding", coding)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := sink{header: http.Header{}}
				router.ServeHTTP(&w, r)
				if w.status != 0 && w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}
