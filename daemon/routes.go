package daemon

import (
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/sierpi/sierpi/daemon/chat"
	"github.com/sierpi/sierpi/daemon/cutout"
	"github.com/sierpi/sierpi/daemon/feed"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
)

// parts are what the routes lead to.
type parts struct {
	pages    *pageMaker
	look     *web.Look
	owner    *web.OwnerDoor
	kiosk    *web.KioskDoor
	news     *feed.Service
	quotes   *quotes.Service
	chat     *chat.Service
	cutout   *cutout.Service
	stage    *display.Stage
	cards    cards
	visitors *web.VisitorDoor
	play     []web.Route
	wall     []web.Route
	health   *Health
	ready    *atomic.Bool
}

// navigation is the menu of the pages.
func navigation() []web.NavEntry {
	return []web.NavEntry{
		{Href: "/", Label: "Wall", Icon: "wall"},
		{Href: "/life", Label: "Play", Icon: "grid"},
		{Href: "/feed", Label: "Feed", Icon: "feed"},
		{Href: "/quotes", Label: "Quotes", Icon: "quote"},
		{Href: "/chat", Label: "Chat", Icon: "chat"},
		{Href: "/cutout", Label: "Cut-out", Icon: "cut"},
		{Href: "/health", Label: "Health", Icon: "health"},
	}
}

// desk is what the owner's menu has beside it.
func desk() []web.NavEntry {
	return []web.NavEntry{{Href: "/owner/wall", Label: "Screens and visitors", Icon: "wall"}}
}

// routes is every address that the daemon answers, who may use it, and what
// answers. The adversarial test walks it.
func routes(p parts) []web.Route {
	return slices.Concat(
		[]web.Route{
			{Method: "GET", Pattern: "/{$}", Role: web.Anyone, Handler: p.pages.homePage(p)},
			{Method: "GET", Pattern: "/health", Role: web.Anyone, Handler: p.pages.healthPage(p)},
			{Method: "GET", Pattern: "/healthz", Role: web.Anyone, Handler: p.health},
			{Method: "GET", Pattern: "/readyz", Role: web.Anyone, Handler: readiness(p.ready)},

			{Method: "GET", Pattern: "/kiosk", Role: web.Anyone, Handler: page.Kiosk()},
			{Method: "GET", Pattern: "/wall", Role: web.Anyone, Handler: page.Wall()},
			{Method: "GET", Pattern: page.StaticPrefix, Role: web.Anyone, Handler: page.Static()},
			p.pages.assets.Route(p.look),
			{Method: "GET", Pattern: "/display/screen", Role: web.Anyone, Streams: true, Handler: http.HandlerFunc(p.stage.ServeScreen)},
			{Method: "GET", Pattern: "/display/frame.png", Role: web.Anyone, Handler: http.HandlerFunc(p.stage.ServePicture)},
			{Method: "GET", Pattern: display.OutputsPath, Role: web.Kiosk, Streams: true, Handler: http.HandlerFunc(p.stage.ServeOutputs)},
			{Method: "POST", Pattern: display.OutputsPath, Role: web.Kiosk, MaxBody: 16 << 10, Handler: http.HandlerFunc(p.stage.ServeOutputs)},
			{Method: "GET", Pattern: "/display/cells", Role: web.Anyone, Handler: http.HandlerFunc(p.stage.ServeCells)},
		},
		p.look.Routes(),
		p.owner.Routes(p.look),
		p.kiosk.Routes(p.look),
		p.visitors.Routes(p.look),
		p.news.Routes(),
		p.quotes.Routes(),
		p.chat.Routes(),
		p.cutout.Routes(),
		p.play,
		p.wall,
	)
}

// frameRate is how many frames a second a client may have: the machine's own
// screen and the owner all of them, everybody else what a phone can use.
func frameRate(r *http.Request) int {
	if web.RoleOf(r) >= web.Kiosk {
		return 60
	}
	return 10
}

// readiness answers /readyz: 200 once every part runs.
func readiness(ready *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !ready.Load() {
			w.Header().Set("Retry-After", "1")
			web.JSON(w, http.StatusServiceUnavailable, map[string]string{"status": "starting"})
			return
		}
		web.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}
