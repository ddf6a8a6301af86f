package daemon

import (
	"bytes"
	"image/png"
	"log/slog"
	"reflect"
	"testing"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/display"
)

// eachStore runs a test on both engines.
func eachStore(t *testing.T, test func(t *testing.T, db *store.DB)) {
	open := func(t *testing.T, o store.Options) *store.DB {
		t.Helper()
		o.Log = slog.New(slog.DiscardHandler)
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	t.Run("SQLite", func(t *testing.T) { test(t, open(t, store.Options{Dir: t.TempDir()})) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, open(t, store.Options{DSN: storetest.Postgres(t).Database(t)})) })
}

// TestUniverseIsKept is the way of a universe through the database and back.
func TestUniverseIsKept(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.DB) {
		log := slog.New(slog.DiscardHandler)
		mine, other := universes{db, "mine"}, universes{db, "other"}
		if u, edits, err := mine.load(t.Context(), log); u != nil || edits != nil || err != nil {
			t.Fatalf("from an empty database: %v, %v, %v", u, edits, err)
		}
		u := &display.Universe{Width: 100, Height: 3, Origin: "Random soup", Seed: 1<<64 - 1, Density: 0.25, Generation: 812, Edits: 4, Visits: 1, Rounds: 9, Cells: []uint64{1, 2, 3, 4, 1 << 63, 6}}
		if err := mine.Keep(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		edits := []display.Edit{{Number: 5, Generation: 820, Alive: true, Cells: []int32{1, 1, 2, 2}, Who: "Amber Glider"}, {Number: 6, Generation: 830, Cells: []int32{1, 1}}}
		if err := mine.Add(t.Context(), edits[:1]); err != nil {
			t.Fatal(err)
		}
		if err := mine.Add(t.Context(), edits[1:]); err != nil {
			t.Fatal(err)
		}
		got, gotEdits, err := mine.load(t.Context(), log)
		if err != nil || !reflect.DeepEqual(got, u) || !reflect.DeepEqual(gotEdits, edits) {
			t.Errorf("%+v, %+v, %v", got, gotEdits, err)
		}
		if got, _, err := other.load(t.Context(), log); got != nil || err != nil {
			t.Errorf("another machine's wall: %+v, %v", got, err)
		}
		// The next one takes the place of it and its edits.
		u.Generation, u.Edits = 900, 6
		if err := mine.Keep(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if got, gotEdits, err := mine.load(t.Context(), log); err != nil || got.Generation != 900 || len(gotEdits) != 0 {
			t.Errorf("%+v, %+v, %v", got, gotEdits, err)
		}
		// What is damaged does not keep the daemon from starting.
		for _, damage := range []string{`UPDATE wall_universe SET about = '{'`, `UPDATE wall_universe SET about = '{"width":9999999,"height":1}'`} {
			if err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(), damage)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if got, _, err := mine.load(t.Context(), log); got != nil || err != nil {
				t.Errorf("after %s: %+v, %v", damage, got, err)
			}
		}
	})
}

// TestGallery keeps the longest lives, and those alone.
func TestGallery(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.DB) {
		log := slog.New(slog.DiscardHandler)
		g := newGallery(db, log)
		soup := func(seed, generations uint64) display.Settled {
			return display.Settled{Seed: seed, Density: 0.3, Width: 64, Height: 2, Generations: generations, Population: 9, Cells: []uint64{5, 0}, Trace: make([]uint16, 128)}
		}
		const big = 1<<64 - 5 // a seed beyond what a database counts to
		for i := range uint64(keptSoups + 10) {
			if err := g.add(t.Context(), soup(big-i, 100+i*7%31)); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.add(t.Context(), soup(big-1, 107)); err != nil { // shown again
			t.Fatal(err)
		}
		list, err := g.list(t.Context())
		if err != nil || len(list) != keptSoups {
			t.Fatalf("%d soups, %v", len(list), err)
		}
		seeds := map[string]bool{}
		for i, s := range list {
			if i > 0 && s.Generations > list[i-1].Generations {
				t.Errorf("the order is wrong at %d", i)
			}
			seeds[s.Seed] = true
		}
		if len(seeds) != keptSoups {
			t.Errorf("%d different soups", len(seeds))
		}
		data, err := g.picture(t.Context(), list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(data)); err != nil || img.Bounds().Dx() != 64 {
			t.Errorf("the picture: %v", err)
		}
		if data, err := g.picture(t.Context(), 12345); data != nil || err != nil {
			t.Errorf("a picture of nothing: %v", err)
		}
		stage, err := display.New(display.Options{Scenes: []string{"zoom"}, Width: 64, Height: 64, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := g.show(t.Context(), stage, list[0].ID); !found || err != nil {
			t.Errorf("%t, %v", found, err)
		}
		if u := stage.Universe(); u == nil || u.Density != 0.3 || u.Seed < 1<<63 {
			t.Errorf("it shows %+v", u)
		}
		if found, err := g.show(t.Context(), stage, 12345); found || err != nil {
			t.Errorf("a soup that is not there: %t, %v", found, err)
		}
	})
}

// FuzzUniverse is whatever stands in the database.
func FuzzUniverse(f *testing.F) {
	packed, err := display.PackCells([]uint64{1, 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"width":64,"height":2,"generation":3}`, packed, `{"number":1,"generation":5,"cells":[1,1],"alive":true}`)
	f.Add(`{`, []byte{}, ``)
	f.Add(`{"width":-1,"height":2}`, packed, `{"cells":[1]}`)
	f.Fuzz(func(t *testing.T, about string, cells []byte, edit string) {
		u, edits, err := decodeUniverse(about, cells, []string{edit})
		if err != nil || u.Width > 256 || u.Height > 256 {
			return
		}
		if u.Width < 64 || u.Height < 64 {
			return
		}
		// The stage takes it up, or begins anew; it does not fall over.
		if _, err := display.New(display.Options{Scenes: []string{"life"}, Width: u.Width, Height: u.Height, Universe: u, Edits: edits, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Error(err)
		}
	})
}

// TestAdoptUniverse: a backup of another machine is found under this one's name.
func TestAdoptUniverse(t *testing.T) {
	ctx := t.Context()
	db, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *store.Tx) error {
		for _, wall := range []string{"old", "new", "third"} {
			if _, err := tx.ExecContext(ctx, `INSERT INTO wall_universe (wall, about, cells) VALUES (?, ?, ?)`, wall, "of "+wall, []byte{1}); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO wall_edit (wall, number, edit) VALUES (?, 1, ?)`, wall, "by "+wall); err != nil {
				return err
			}
		}
		for _, pair := range [][2]string{{"old", "new"}, {"third", "third"}, {"nobody", "new"}} {
			if err := adoptUniverse(ctx, tx, pair[0], pair[1]); err != nil {
				return err
			}
		}
		var got string
		err := tx.QueryRowContext(ctx, `SELECT group_concat(wall || ' ' || about, ', ') || '; ' || (SELECT group_concat(wall || ' ' || edit, ', ') FROM (SELECT * FROM wall_edit ORDER BY wall))
			FROM (SELECT * FROM wall_universe ORDER BY wall)`).Scan(&got)
		if want := "new of old, third of third; new by old, third by third"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
