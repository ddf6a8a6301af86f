package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
)

func exec1(t *testing.T, db *store.DB, query string, args ...any) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func rooms(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM chat_room`).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKeptBeforeMigration: what an older program can read is kept until the newer one runs.
func TestKeptBeforeMigration(t *testing.T) {
	dir := t.TempDir()
	old, err := store.Open(t.Context(), store.Options{Dir: dir, Schema: 4})
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, old, `INSERT INTO chat_room (name, epoch, last, floor) VALUES ('lobby', 'e', 0, 0)`)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "sierpi-schema-4.db")
	if _, err := os.Stat(kept); err == nil {
		t.Error("a new database was copied")
	}
	open(t, dir)
	other := t.TempDir()
	if err := os.Rename(kept, filepath.Join(other, "sierpi.db")); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(t.Context(), store.Options{Dir: other, Schema: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if v, err := again.SchemaVersion(t.Context()); err != nil || v != 4 || rooms(t, again) != 1 {
		t.Errorf("the copy has schema %d and %d rooms: %v", v, rooms(t, again), err)
	}
	for _, name := range []string{"sierpi-schema-4.db", "sierpi-schema-9.db.part", "sierpi-schema-9.db.123456.part", "sierpi-schema-x.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.ForgetBefore(dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "sierpi-schema-*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "x.db") {
		t.Errorf("left: %v %v", left, err)
	}
}

// TestPutBack: the program before finds its own schema again, with what was in it.
func TestPutBack(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	exec1(t, db, `INSERT INTO chat_room (name, epoch, last, floor) VALUES ('lobby', 'e', 0, 0)`)
	if left, err := store.PutBack(t.Context(), dir); !errors.Is(err, store.ErrHeld) {
		t.Errorf("while it is open: %d %v", left, err)
	}
	kept := filepath.Join(dir, fmt.Sprintf("sierpi-schema-%d.db", store.Schema()))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := store.PutBack(t.Context(), dir); left != 0 || err != nil {
		t.Errorf("with nothing to do: %d %v", left, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "sierpi.db"))
	if err != nil {
		t.Fatal(err)
	}
	// What a newer program would do.
	db = open(t, dir)
	exec1(t, db, `DELETE FROM chat_room`)
	exec1(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBack(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("with nothing kept: %v", err)
	}
	if err := os.WriteFile(kept, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), store.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "newer sierpi") {
		t.Errorf("before: %v", err)
	}
	if left, err := store.PutBack(t.Context(), dir); left != 9999 || err != nil {
		t.Errorf("put back from %d: %v", left, err)
	}
	if n := rooms(t, open(t, dir)); n != 1 {
		t.Errorf("%d rooms are there", n)
	}
}

// TestAlone: who replaces the state has it alone, and who comes meanwhile is told.
func TestAlone(t *testing.T) {
	dir := t.TempDir()
	h, err := store.Alone(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Options{Dir: dir})
	checkError(t, err, "restore or a reset")
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	open(t, dir) // others share it
	if _, err := store.Alone(dir); !errors.Is(err, store.ErrHeld) {
		t.Errorf("got %v", err)
	}
}

// TestTablesOfBothEngines: what is copied from one fits into the other, and no table of either
// is forgotten.
func TestTablesOfBothEngines(t *testing.T) {
	list := func(db *store.DB) (out []store.Table) {
		t.Helper()
		if err := db.View(t.Context(), func(tx *store.Tx) (err error) {
			out, err = tx.Tables(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	pg, err := store.Open(t.Context(), store.Options{DSN: storetest.Postgres(t).Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Close() })
	lite := list(open(t, t.TempDir()))
	if a, b := fmt.Sprint(lite), fmt.Sprint(list(pg)); a != b {
		t.Errorf("SQLite    %s\nPostgreSQL %s", a, b)
	}
	at := map[string]int{}
	for i, table := range lite {
		at[table.Name] = i
	}
	if at["chat_message"] < at["chat_room"] || at["quote_tag"] < at["quote"] || at["quote_also"] < at["quote"] {
		t.Errorf("a table stands before the one that it points to: %v", lite)
	}
}
