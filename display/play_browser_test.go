package display_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/sierpinski"
	"github.com/sierpi/sierpi/system/systemtest"
)

// memoryScores keeps high scores for a test.
type memoryScores struct {
	mu   sync.Mutex
	list []page.Score
}

func (m *memoryScores) Add(_ context.Context, s display.Score) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rank := 0
	for rank < len(m.list) && m.list[rank].Points >= s.Points {
		rank++
	}
	m.list = slices.Insert(m.list, rank, page.Score{Name: s.Name, Points: s.Points, At: s.At})
	return rank + 1, nil
}

func (m *memoryScores) best(context.Context) ([]page.Score, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]page.Score(nil), m.list...), nil
}

// everybody is a door that lets everybody in as that role.
type everybody web.Role

func (e everybody) Identify(*http.Request) web.Role { return web.Role(e) }

// playHouse is the pages on which visitors play, behind the daemon's own router.
type playHouse struct {
	base   string
	boards *display.Boards
	stage  *display.Stage
	scores *memoryScores
}

func newPlayHouse(t testing.TB, role web.Role, o display.BoardOptions) *playHouse {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	house := &playHouse{scores: &memoryScores{}, stage: newStage(t, display.Options{Logger: log})}
	o.Logger, o.Scores, o.Stage = log, house.scores, house.stage
	house.boards = display.NewBoards(o)
	look, err := web.NewLook(web.LookOptions{Name: "sierpi", Log: log, Nav: []web.NavEntry{
		{Href: "/", Label: "Wall", Icon: "wall"}, {Href: "/life", Label: "Play", Icon: "grid"}, {Href: "/feed", Label: "Feed", Icon: "feed"},
		{Href: "/quotes", Label: "Quotes", Icon: "quote"}, {Href: "/health", Label: "Health", Icon: "health"}}})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := page.PlayRoutes(page.PlayOptions{
		Day:  func() bool { return false },
		Look: look, Patterns: display.PagePatterns(), Scenes: display.PageScenes(), Colours: sierpinski.Colours(),
		MinSpeed: sierpinski.MinSpeed, MaxSpeed: sierpinski.MaxSpeed,
		Board: house.boards.ServeBoard, Control: house.boards.ServeControl, Scores: house.scores.best,
		Settings: func(context.Context) (map[string]json.RawMessage, error) {
			out := map[string]json.RawMessage{}
			for name, f := range house.stage.Figures() {
				out[name], _ = json.Marshal(f)
			}
			return out, nil
		},
		Apply: func(_ context.Context, data json.RawMessage, show bool) error {
			s, err := display.ParseSettings(data)
			if err != nil {
				return &page.InputError{Err: err}
			}
			return house.stage.SetFigure(s, show)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	routes = append(append(routes, look.Routes()...),
		web.Route{Method: "GET", Pattern: "/kiosk", Handler: page.Kiosk()},
		web.Route{Method: "GET", Pattern: page.StaticPrefix, Handler: page.Static()},
		web.Route{Method: "GET", Pattern: page.ScreenPath, Streams: true, Handler: http.HandlerFunc(house.stage.ServeScreen)})
	handler, err := web.NewRouter(routes, web.RouterOptions{Look: look, Hosts: web.NewHosts("wall"), Identities: []web.Identity{everybody(role)}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	house.base = srv.URL
	return house
}

// newTab opens a browser whose exceptions fail the test.
func newTab(t testing.TB, width, height int64) context.Context {
	t.Helper()
	ctx := systemtest.Browser(t, int(width), int(height))
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page throws: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ctx
}
