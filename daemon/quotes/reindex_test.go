package quotes

import (
	"fmt"
	"testing"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
)

// TestReindex: made anew, the index finds and counts what it did before.
func TestReindex(t *testing.T) {
	for name, o := range map[string]store.Options{"SQLite": {Dir: t.TempDir()}, "PostgreSQL": {DSN: storetest.Postgres(t).Database(t)}} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			db, err := store.Open(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s, err := New(Options{DB: db})
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch + 50 {
				if i%2 == 0 || i > batch {
					if _, err := s.Add(ctx, Item{Text: fmt.Sprintf("the universe number %d is bigger", i), Author: "Ada", Tags: []string{"space"}}, "test"); err != nil {
						t.Fatal(err)
					}
				}
			}
			id, err := s.Add(ctx, Item{Text: "hidden universe of nobody"}, "test")
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Update(ctx, func(tx *store.Tx) error { // as a backup holds a hidden one
				_, err := tx.ExecContext(ctx, `UPDATE quote SET hidden = 1 WHERE id = ?`, id)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			look := func() string {
				t.Helper()
				out := ""
				for _, words := range []string{"universe", "univers", `"number 4"`, "unvierse", "hidden"} {
					page, err := s.Search(ctx, Query{Words: words, Limit: 5})
					if err != nil {
						t.Fatal(err)
					}
					out += fmt.Sprintln(words, page.Total, page.More)
					for _, h := range page.Hits {
						out += fmt.Sprintln("  ", h.ID)
					}
				}
				return out
			}
			reindex := func() {
				t.Helper()
				var told int64
				if err := db.Update(ctx, func(tx *store.Tx) error {
					return Reindex(ctx, tx, func(done int64) { told = done })
				}); err != nil {
					t.Fatal(err)
				}
				if told == 0 {
					t.Error("no progress was told")
				}
				s.forget()
			}
			revision, _, err := s.state(ctx)
			if err != nil {
				t.Fatal(err)
			}
			reindex()
			first := look()
			again, visible, err := s.state(ctx)
			if err != nil || again == revision || visible != (batch+50)/2+25 {
				t.Errorf("the revision went from %d to %d, %d are visible: %v", revision, again, visible, err)
			}
			reindex()
			if second := look(); second != first {
				t.Errorf("a second time\n%s\nwant\n%s", second, first)
			}
			// It goes on from there as if it had been filled quote by quote.
			if _, err := s.Add(ctx, Item{Text: "one more universe"}, "test"); err != nil {
				t.Fatal(err)
			}
			if page, err := s.Search(ctx, Query{Words: `"more universe"`, Limit: 5}); err != nil || len(page.Hits) != 1 {
				t.Errorf("a quote added after it: %+v %v", page, err)
			}
		})
	}
}
