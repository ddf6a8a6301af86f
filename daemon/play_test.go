package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/sierpinski"
)

// TestPlayIsKept holds the high scores and the scenes' settings to the disk, on both stores: the ten
// best stay, of two equal scores the first is the better, and all is there when the store is opened anew.
func TestPlayIsKept(t *testing.T) {
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	for name, options := range map[string]func(t *testing.T) store.Options{
		"sqlite": func(t *testing.T) store.Options { return store.Options{Dir: t.TempDir(), Log: log} },
		"postgres": func(t *testing.T) store.Options {
			return store.Options{DSN: storetest.Postgres(t).Database(t), Log: log}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			ctx := t.Context()
			db, err := store.Open(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			scores := highScores{db, log}
			for i, want := range []int{1, 1, 3, 3, 5, 1, 3, 7, 8, 7, 0, 2} {
				points := []int{5, 9, 3, 5, 1, 12, 9, 2, 2, 3, 1, 10}[i]
				rank, err := scores.Add(ctx, display.Score{Name: fmt.Sprintf("p%d", i), Points: points, At: time.UnixMilli(int64(i))})
				if err != nil {
					t.Fatal(err)
				}
				if rank != want {
					t.Errorf("%d points as number %d: rank %d, want %d", points, i, rank, want)
				}
			}
			figure := sierpinski.Settings{Scene: "fern", Level: 3, Colours: "ember", Day: true}
			for _, s := range []sierpinski.Settings{{Scene: "fern"}, figure} {
				if err := keepFigure(ctx, db, s); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}

			if db, err = store.Open(ctx, o); err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			list, err := highScores{db, log}.best(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range list {
				got = append(got, fmt.Sprintf("%s:%d", s.Name, s.Points))
			}
			if text, want := strings.Join(got, " "), "p5:12 p11:10 p1:9 p6:9 p0:5 p3:5 p2:3 p9:3 p7:2 p8:2"; text != want {
				t.Errorf("kept: %s\nwant: %s", text, want)
			}
			figures, err := wallFigures(ctx, db, log)
			if err != nil || len(figures) != 1 || figures["fern"] != figure {
				t.Errorf("the scenes are set to %+v (%v)", figures, err)
			}
		})
	}
}
