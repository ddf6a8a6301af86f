package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// newSite is a router with both doors and these routes.
func newSite(t *testing.T, routes ...Route) (http.Handler, *OwnerDoor, string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	look, err := NewLook(LookOptions{Name: "wall", Version: "test", Nav: []NavEntry{{"/", "Wall", "wall"}}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	owner, secret, err := OpenOwnerDoor(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	kiosk, err := OpenKioskDoor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	routes = append(append(append(routes, look.Routes()...), owner.Routes(look)...), kiosk.Routes(look)...)
	h, err := NewRouter(routes, RouterOptions{Look: look, Hosts: NewHosts("wall"), Identities: []Identity{owner, kiosk}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return h, owner, secret
}

func TestNotFoundIsAPage(t *testing.T) {
	h, _, _ := newSite(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://wall.local/nothing", nil)
	h.ServeHTTP(w, r)
	if w.Code != 404 || !strings.Contains(w.Body.String(), "<main") {
		t.Errorf("got %d:\n%s", w.Code, w.Body)
	}
}
