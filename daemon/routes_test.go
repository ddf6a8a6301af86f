package daemon

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/sierpi/sierpi/daemon/chat"
	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/cutout"
	"github.com/sierpi/sierpi/daemon/feed"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

// The very table that the daemon serves is attacked in every method, role, origin
// and host: a new route cannot be forgotten.
func TestRoutesAudit(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Log: log})
	must(err)
	defer db.Close()
	look, err := web.NewLook(web.LookOptions{Nav: navigation(), Desk: desk(), Log: log})
	must(err)
	owner, _, err := web.OpenOwnerDoor(t.TempDir(), log)
	must(err)
	kiosk, err := web.OpenKioskDoor(t.TempDir())
	must(err)
	news, err := feed.New(feed.Options{Look: look, Logger: log})
	must(err)
	sayings, err := quotes.New(quotes.Options{DB: db, Look: look, Log: log})
	must(err)
	talk, err := chat.New(chat.Options{DB: db, Look: look, Log: log})
	must(err)
	cutting, err := cutout.New(cutout.ServiceOptions{Look: look, Log: log})
	must(err)
	stage, err := display.New(display.Options{Logger: log})
	must(err)
	maker, err := newPageMaker()
	must(err)
	glance := cards{newMachine(t.Context(), system.Root(t.TempDir()), config.Config{}, t.TempDir(), log), sayings, news, talk, "", t.TempDir(), func() string { return "" }}

	play, err := playRoutes(look, stage, db, log)
	must(err)
	visitors, err := web.OpenVisitorDoor(t.TempDir(), log)
	must(err)
	wall, err := wallRoutes(look, stage, visitors, newGallery(db, log))
	must(err)

	var ready atomic.Bool
	table := routes(parts{maker, look, owner, kiosk, news, sayings, talk, cutting, stage, glance, visitors, play, wall, NewHealth(), &ready})
	// The race detector makes the whole matrix last minutes; .ci/test runs it without.
	whole := !systemtest.Hurried()
	n, problems := web.Audit(table, t.TempDir(), whole)
	for _, p := range problems {
		t.Error(p)
	}
	if n < 3000*len(table) || whole && n < 50_000*len(table) {
		t.Errorf("only %d requests for %d routes", n, len(table))
	}
	t.Logf("%d requests against %d routes", n, len(table))
}
