package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/system/systemtest"
)

// fill puts rows into every table that a backup holds; n makes them others.
func fill(t testing.TB, db *store.DB, n int) {
	t.Helper()
	cells := make([]byte, 3000)
	for i := range cells {
		cells[i] = byte(i * n)
	}
	ctx := t.Context()
	err := db.Update(ctx, func(tx *store.Tx) error {
		do := func(query string, args ...any) {
			if _, err := tx.ExecContext(ctx, query, args...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		for i := 1; i <= 100*n; i++ {
			do(`INSERT INTO quote (id, key, hidden, words, added, author, source, origin, text) VALUES (?, ?, ?, 2, ?, ?, '', 'test', ?)`,
				i, []byte(fmt.Sprintf("%016d", i)), i%2, -i, "Ünïcode \u2028 <b>", fmt.Sprintf("quote %d\nof \x01 %d", i, n))
		}
		do(`DELETE FROM quote WHERE id = ?`, 100*n) // its number must not come again
		do(`INSERT INTO quote_also (quote, hash, author, source, origin, text, added) VALUES (1, ?, '', '', '', '', 0)`, []byte{0, 255, 1})
		do(`INSERT INTO quote_tag (tag, quote) VALUES ('a "tag"', 1)`)
		do(`INSERT INTO quote_collector (url, poll) VALUES ('https://example.org/', '{}')`)
		for _, room := range []string{"lobby", fmt.Sprintf("room-%d", n)} {
			do(`INSERT INTO chat_room (name, epoch, last, floor) VALUES (?, 'epoch', 3, 0)`, room)
			for id := 1; id <= 3; id++ {
				do(`INSERT INTO chat_message (room, id, version, key, author, name, text, sent, state) VALUES (?, ?, ?, ?, 'x', 'Ada', ?, 1, 0)`, room, id, id, fmt.Sprint(id), strings.Repeat("hello ", n))
			}
		}
		do(`INSERT INTO chat_silence (author, name, address, since) VALUES ('y', 'Eve', '', 0)`)
		do(`INSERT INTO snake_score (name, points, added) VALUES ('Ada', ?, 0)`, n)
		do(`INSERT INTO scene_setting (scene, settings) VALUES ('fern', '{}')`)
		do(`INSERT INTO wall_universe (wall, about, cells) VALUES ('wall', '{}', ?)`, cells)
		do(`INSERT INTO wall_edit (wall, number, edit) VALUES ('wall', ?, '{}')`, n)
		do(`INSERT INTO wall_soup (seed, density, width, height, generations, population, picture, added) VALUES ('18446744073709551615', 0.25, 1, 2, 3, 4, ?, 5)`, cells)
		do(`INSERT INTO wall_soup (seed, density, width, height, generations, population, picture, added) VALUES ('1', 1, 1, 2, 3, 4, ?, 5)`, []byte{})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// states are the folders of newState as they are made once, by n.
var states sync.Map

// newState makes a state folder with a database of n and files.
func newState(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	if made, ok := states.Load(n); ok {
		if err := os.CopyFS(dir, made.(fs.FS)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, n)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range stateFiles {
		put(t, filepath.Join(dir, name), fmt.Sprintf(`{"of": %d}`, n))
	}
	put(t, filepath.Join(dir, sessions), "{}")
	kept := fstest.MapFS{}
	for _, name := range names(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept[name] = &fstest.MapFile{Data: data, Mode: 0o600}
	}
	states.Store(n, fs.FS(kept))
	return dir
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// backupOf writes a backup of a state folder, or of PostgreSQL beside one.
func backupOf(t testing.TB, state, dsn, to string) Entry {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: state, DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e, err := Create(t.Context(), to, Source{DB: db, State: state, Host: "wall", Program: "test"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// members reads the members of a backup, but the manifest and the sums.
func members(t testing.TB, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if _, err := scanFile(t.Context(), path, func(_ Manifest, m member) error {
		out[m.name] = string(m.data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func restore(t testing.TB, path, state, dsn string) {
	t.Helper()
	p, err := NewPlan(t.Context(), path, target(t, state, dsn))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// target is a machine with a config that says where its database is.
func target(t testing.TB, state, dsn string) Target {
	t.Helper()
	tg := Target{State: state, Host: "wall", Program: "test"}
	if dsn != "" {
		path := filepath.Join(t.TempDir(), "sierpi.toml")
		put(t, path, fmt.Sprintf("[store]\ndsn = %q\n", dsn))
		tg.Files = []config.File{{Path: path}}
	}
	return tg
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %s differs:\n%.300q\nwant\n%.300q", what, name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d members, want %d", what, len(got), len(want))
	}
}

// address is a storetest address as the config wants it.
func address(dsn string) string {
	f := map[string]string{}
	for part := range strings.FieldsSeq(dsn) {
		k, v, _ := strings.Cut(part, "=")
		f[k] = v
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s", f["user"], f["dbname"], f["host"])
}

// TestEverywhere brings a backup onto another board, onto PostgreSQL, and back: each time
// the same bytes come out again, and numbers that were given are not given again.
func TestEverywhere(t *testing.T) {
	server := storetest.Postgres(t)
	from := newState(t, 3)
	first := backupOf(t, from, "", t.TempDir())
	want := members(t, first.Path)
	for _, table := range []string{"chat_message", "chat_room", "chat_silence", "quote", "quote_also", "quote_collector", "quote_tag", "scene_setting", "snake_score", "wall_edit", "wall_soup", "wall_universe"} {
		if want["tables/"+table+"/000001.jsonl"] == "" {
			t.Errorf("the backup holds nothing of %s", table)
		}
	}
	board := newState(t, 1)
	restore(t, first.Path, board, "")
	second := backupOf(t, board, "", t.TempDir())
	same(t, "another board", members(t, second.Path), want)

	dsn := address(server.Database(t))
	beside := newState(t, 2)
	{ // there is something in it, which another board put there
		db, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, db, 2)
		db.Close()
	}
	restore(t, second.Path, beside, dsn)
	third := backupOf(t, beside, dsn, t.TempDir())
	same(t, "PostgreSQL", members(t, third.Path), want)
	if third.Manifest.Engine != "PostgreSQL" {
		t.Errorf("it came from %s", third.Manifest.Engine)
	}
	aside := filepath.Join(beside, asideDir, undoAside)
	if m, err := Verify(t.Context(), aside); err != nil || m.Rows("quote") != 199 {
		t.Errorf("of what was in PostgreSQL before %d quotes are kept: %v", m.Rows("quote"), err)
	}

	back := newState(t, 1)
	restore(t, third.Path, back, "")
	same(t, "back on SQLite", members(t, backupOf(t, back, "", t.TempDir()).Path), want)

	for name, o := range map[string]store.Options{"SQLite": {Dir: back}, "PostgreSQL": {DSN: dsn}} {
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var id int64
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRowContext(t.Context(), `INSERT INTO quote (key, hidden, words, added, author, source, origin, text) VALUES (?, 0, 1, 0, '', '', '', 'new') RETURNING id`, []byte("new")).Scan(&id)
		}); err != nil {
			t.Fatal(err)
		}
		if id != 301 {
			t.Errorf("%s gives the next quote the number %d, want 301", name, id)
		}
	}

	// And what was in PostgreSQL comes back by the backup that was kept.
	restore(t, aside, beside, dsn)
	if got := backupOf(t, beside, dsn, t.TempDir()); got.Manifest.Rows("quote") != 199 {
		t.Errorf("restored from what was kept, there are %d quotes", got.Manifest.Rows("quote"))
	}
}

// TestOlderSchema loads a backup of an older sierpi and brings it up.
func TestOlderSchema(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Dir: dir, Schema: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO chat_room (name, epoch, last, floor) VALUES ('lobby', 'e', 0, 0)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	e, err := Create(t.Context(), t.TempDir(), Source{DB: db, State: dir, Host: "wall"}, 0)
	db.Close()
	if err != nil || e.Manifest.Schema != 3 {
		t.Fatalf("schema %d: %v", e.Manifest.Schema, err)
	}
	state := newState(t, 1)
	restore(t, e.Path, state, "")
	got := backupOf(t, state, "", t.TempDir()).Manifest
	if got.Schema != store.Schema() || got.Rows("chat_room") != 1 || got.Rows("wall_soup") != 0 {
		t.Errorf("restored: %+v", got)
	}
	if _, err := os.Stat(filepath.Join(state, "owner.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the owner's secret of before is still there though the backup has none: %v", err)
	}
}

// TestUndo brings back the old state, and Settled lets go of it.
func TestUndo(t *testing.T) {
	from, to := newState(t, 2), newState(t, 1)
	before := members(t, backupOf(t, to, "", t.TempDir()).Path)
	e := backupOf(t, from, "", t.TempDir())
	restore(t, e.Path, to, "")
	if _, err := os.Stat(filepath.Join(to, sessions)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the owner's sessions outlived the restore: %v", err)
	}
	if err := Undo(to); err != nil {
		t.Fatal(err)
	}
	same(t, "undone", members(t, backupOf(t, to, "", t.TempDir()).Path), before)
	if err := Undo(to); err != nil {
		t.Fatal(err)
	}
	same(t, "undone twice", members(t, backupOf(t, to, "", t.TempDir()).Path), members(t, e.Path))
	if err := Settled(to); err != nil {
		t.Fatal(err)
	}
	if err := Undo(to); err == nil || CanUndo(to) == nil {
		t.Error("the old state is brought back after the daemon was ready")
	}
	if _, err := os.Lstat(filepath.Join(to, asideDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old state is still there after the daemon was ready: %v", err)
	}
}

// TestBusy: nothing is replaced under a daemon that runs.
func TestBusy(t *testing.T) {
	state := newState(t, 1)
	e := backupOf(t, state, "", t.TempDir())
	db, err := store.Open(t.Context(), store.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := NewPlan(t.Context(), e.Path, target(t, state, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(t.Context()); !errors.Is(err, store.ErrHeld) || !strings.Contains(err.Error(), "stop") {
		t.Errorf("got %v, want one that says what to stop", err)
	}
	if err := Undo(state); !errors.Is(err, store.ErrHeld) {
		t.Errorf("undo: %v", err)
	}
}

// TestConfig: whose config counts afterwards.
func TestConfig(t *testing.T) {
	state := newState(t, 1)
	etc, boot := filepath.Join(t.TempDir(), "sierpi.toml"), filepath.Join(t.TempDir(), "boot.toml")
	put(t, etc, "# mine\n[chat]\nkeep = 500\n")
	db, err := store.Open(t.Context(), store.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	write := func(boot string) string {
		e, err := Create(t.Context(), t.TempDir(), Source{DB: db, State: state, Config: etc, Boot: boot, Host: "wall"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return e.Path
	}
	alone := write("")
	put(t, boot, "[firstboot]\nhostname = \"other\"\n[display]\nwidth = 640\nheight = 360\n")
	both := write(boot)
	db.Close()
	for name, c := range map[string]struct {
		file, here string
		take       bool
		plan       ConfigPlan
		want       []string // in the config afterwards
		not        string
	}{
		"a new board":          {alone, "", false, ConfigTaken, []string{"# mine\n[chat]\nkeep = 500\n"}, "From a backup"},
		"only comments":        {alone, "# nothing\n", false, ConfigTaken, []string{"# mine"}, ""},
		"one of its own":       {alone, "[chat]\nkeep = 700\n", false, ConfigKept, []string{"keep = 700"}, "500"},
		"taken all the same":   {alone, "[chat]\nkeep = 700\n", true, ConfigTaken, []string{"keep = 500"}, "700"},
		"the same":             {alone, "[chat]\nkeep = 500\n", false, ConfigSame, []string{"keep = 500"}, "# mine"},
		"with the boot's file": {both, "", false, ConfigTaken, []string{"keep = 500", "width = 640"}, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t, newState(t, 2), "")
			tg.Config, tg.TakeConfig = filepath.Join(t.TempDir(), "etc", "sierpi.toml"), c.take
			tg.Files = []config.File{{Path: tg.Config}}
			if c.here != "" {
				put(t, tg.Config, c.here)
			}
			p, err := NewPlan(t.Context(), c.file, tg)
			if err != nil {
				t.Fatal(err)
			}
			if p.Config != c.plan {
				t.Errorf("the config %s", p.Config)
			}
			if err := p.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(tg.Config)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.want {
				if !strings.Contains(string(got), w) {
					t.Errorf("%q has no %q", got, w)
				}
			}
			if c.not != "" && strings.Contains(string(got), c.not) {
				t.Errorf("%q has %q", got, c.not)
			}
		})
	}
}

// archive packs members as they are given; a sum is added unless the last is one.
func archive(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := &writer{tar: tar.NewWriter(z)}
	for _, h := range members {
		if h.Typeflag == tar.TypeReg {
			if err := w.add(h.Name, []byte(h.Linkname)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := w.tar.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.finish(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is a member; a header's Linkname holds its text.
func file(name, text string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: text}
}

const goodManifest = `{"format": "sierpi-backup", "version": 1, "schema": 10, "engine": "SQLite", "tables": [{"name": "chat_room", "columns": ["name", "epoch", "last", "floor", "wall"], "rows": 1}]}`

// TestHostile: files that somebody made to harm are refused, by name, before anything
// is touched.
func TestHostile(t *testing.T) {
	manifest := file(manifestMember, goodManifest)
	rooms := file("tables/chat_room/000001.jsonl", `["lobby","e",0,0,0]`+"\n")
	if _, err := scan(t.Context(), bytes.NewReader(archive(t, manifest, rooms)), 1000, func(Manifest, member) error { return nil }); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	mani := func(old, new string) tar.Header {
		return file(manifestMember, strings.Replace(goodManifest, old, new, 1))
	}
	zeroes := strings.Repeat("\x00", maxMember)
	bomb := archive(t, manifest, file("config/boot.toml", zeroes), file("config/sierpi.toml", zeroes), file("state/owner.json", zeroes))
	if _, err := scan(t.Context(), bytes.NewReader(bomb), 1000, func(Manifest, member) error { return nil }); err == nil || !strings.Contains(err.Error(), "unpacks to more") {
		t.Errorf("%d bytes that unpack to %d: %v", len(bomb), 3*maxMember, err)
	}
	for name, c := range map[string]struct {
		doc  []byte
		want string
	}{
		"empty":               {nil, "no backup of sierpi"},
		"a picture":           {[]byte("\x89PNG\r\n\x1a\n"), "no backup of sierpi"},
		"no manifest":         {archive(t, rooms), "begins with"},
		"path upwards":        {archive(t, manifest, file("../../etc/passwd", "x")), "does not belong"},
		"absolute path":       {archive(t, manifest, file("/etc/passwd", "x")), "does not belong"},
		"another state file":  {archive(t, manifest, file("state/owner-sessions.json", "{}")), "does not belong"},
		"symbolic link":       {archive(t, manifest, tar.Header{Typeflag: tar.TypeSymlink, Name: "state/owner.json", Linkname: "/etc/shadow"}), "not a plain file"},
		"hard link":           {archive(t, manifest, tar.Header{Typeflag: tar.TypeLink, Name: "state/owner.json", Linkname: "/etc/shadow"}), "not a plain file"},
		"device":              {archive(t, manifest, tar.Header{Typeflag: tar.TypeChar, Name: "state/owner.json"}), "not a plain file"},
		"twice":               {archive(t, manifest, rooms, rooms), "does not belong"},
		"part missing":        {archive(t, manifest, file("tables/chat_room/000002.jsonl", "[]\n")), "part 1"},
		"rows missing":        {archive(t, manifest), "has 0 rows"},
		"unnamed table":       {archive(t, manifest, rooms, file("tables/quote/000001.jsonl", "[1]\n")), "does not name"},
		"half a row":          {archive(t, manifest, file("tables/chat_room/000001.jsonl", `["lobby"`)), "line 1"},
		"too few values":      {archive(t, manifest, file("tables/chat_room/000001.jsonl", "[1]\n")), "1 values, not 5"},
		"a nested value":      {archive(t, manifest, file("tables/chat_room/000001.jsonl", "[[],1,1,1,1]\n")), "value 1"},
		"another format":      {archive(t, mani("sierpi-backup", "other"), rooms), "no backup of sierpi"},
		"a later format":      {archive(t, mani(`"version": 1`, `"version": 2`), rooms), "newer one"},
		"a later schema":      {archive(t, mani(`"schema": 10`, `"schema": 99999`), rooms), "newer sierpi"},
		"table injection":     {archive(t, mani("chat_room", `x; DROP TABLE quote`), rooms), "makes no sense"},
		"column injection":    {archive(t, mani(`"epoch"`, `"e\") --"`), rooms), "makes no sense"},
		"terminal in host":    {archive(t, mani(`"version": 1`, `"version": 1, "host": "\u001b[2J"`), rooms), "makes no sense"},
		"a large config":      {archive(t, manifest, file("config/boot.toml", strings.Repeat("\x00", maxConfig+1))), "too large"},
		"something follows":   {append(archive(t, manifest, rooms), archive(t, manifest, rooms)...), "follows"},
		"sums of other bytes": {archiveWithSums(t, manifest, rooms), "not what it was"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.tar.gz")
			if err := os.WriteFile(path, c.doc, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := NewPlan(t.Context(), path, Target{State: filepath.Join(t.TempDir(), "state")})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	// What only the schema knows is refused when it is loaded, with nothing touched.
	for name, doc := range map[string][]byte{
		"unknown column":        archive(t, mani(`"epoch"`, `"epochal"`), rooms),
		"unknown table":         archive(t, mani("chat_room", "sqlite_master"), file("tables/sqlite_master/000001.jsonl", `["lobby","e",0,0,0]`+"\n")),
		"a null":                archive(t, manifest, file("tables/chat_room/000001.jsonl", `["lobby",null,0,0,0]`+"\n")),
		"a child without room":  archive(t, mani(`"tables": [`, `"tables": [{"name": "quote_tag", "columns": ["tag", "quote"], "rows": 1},`), rooms, file("tables/quote_tag/000001.jsonl", "[\"t\",7]\n")),
		"the schema's versions": archive(t, mani("chat_room", "goose_db_version"), file("tables/goose_db_version/000001.jsonl", `["lobby","e",0,0,0]`+"\n")),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.tar.gz")
			if err := os.WriteFile(path, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			state := newState(t, 1)
			before := members(t, backupOf(t, state, "", t.TempDir()).Path)
			p, err := NewPlan(t.Context(), path, Target{State: state})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Restore(t.Context()); err == nil {
				t.Error("it was restored")
			}
			same(t, "after the refusal", members(t, backupOf(t, state, "", t.TempDir()).Path), before)
			if _, err := os.Stat(filepath.Join(state, workDir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it left something behind: %v", err)
			}
		})
	}
}

// archiveWithSums changes a member after its sum was taken.
func archiveWithSums(t *testing.T, members ...tar.Header) []byte {
	doc := archive(t, members...)
	z, err := gzip.NewReader(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(plain.Bytes(), []byte(`["lobby"`), []byte(`["hobby"`), 1)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(changed); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

// TestDamaged cuts a backup off at many lengths and changes bytes in it: none passes.
func TestDamaged(t *testing.T) {
	good, err := os.ReadFile(backupOf(t, newState(t, 1), "", t.TempDir()).Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	want := members(t, path)
	refused := func(what string, doc []byte) {
		t.Helper()
		if err := os.WriteFile(path, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(t.Context(), path); err == nil && fmt.Sprint(members(t, path)) != fmt.Sprint(want) {
			t.Errorf("%s passes", what) // the bits that fill up the last byte of the compression mean nothing
		}
	}
	for n := 0; n < len(good); n += 1 + len(good)/97 {
		refused(fmt.Sprintf("cut off at %d of %d bytes", n, len(good)), good[:n])
	}
	refused("a byte less", good[:len(good)-1])
	r := rand.New(rand.NewPCG(1, 2))
	// The header's time, system and flags (bytes 4 to 9) say nothing of the contents.
	for range 300 {
		at := 10 + r.IntN(len(good)-10)
		doc := bytes.Clone(good)
		doc[at] ^= 1 << r.IntN(8)
		refused(fmt.Sprintf("changed at %d", at), doc)
	}
}

// TestKeep: names, numbers and retention, whatever the clock says.
func TestKeep(t *testing.T) {
	state, dir := newState(t, 1), t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Another machine's, a stranger's, and what a cut left.
	others := []string{"sierpi-other-0001-20200101T000000Z.tar.gz", "holiday.tar.gz", "sierpi-wall-x.tar.gz"}
	for _, o := range others {
		put(t, filepath.Join(dir, o), "x")
	}
	put(t, filepath.Join(dir, ".sierpi-my-wall-1234.partial"), "half of one")
	// A clock that was wrong made one of the future, and the numbers go on after it.
	put(t, filepath.Join(dir, "sierpi-my-wall-0041-21060101T000000Z.tar.gz"), "x")
	writing, err := os.Create(filepath.Join(dir, ".sierpi-my-wall-5678.partial"))
	if err != nil {
		t.Fatal(err)
	}
	defer writing.Close()
	if err := lock(writing); err != nil {
		t.Fatal(err)
	}
	var made []string
	for range 4 {
		e, err := Create(t.Context(), dir, Source{DB: db, State: state, Host: "My Wall"}, 3)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, filepath.Base(e.Path))
	}
	if !strings.HasPrefix(made[0], "sierpi-my-wall-0042-") || !strings.HasPrefix(made[3], "sierpi-my-wall-0045-") {
		t.Errorf("made %v", made)
	}
	want := slices.Concat(others, made[1:], []string{filepath.Base(writing.Name())})
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	found, err := List(dir)
	if err != nil || len(found) != 4 || found[0].Number != 45 || found[3].Err == nil {
		t.Errorf("listed %+v: %v", found, err)
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestDue holds when a backup is made.
func TestDue(t *testing.T) {
	start := time.Now()
	day := 24 * time.Hour
	entry := func(ago time.Duration) *Entry { return &Entry{Manifest: Manifest{Made: start.Add(-ago).Round(0)}} }
	for name, c := range map[string]struct {
		up     time.Duration
		last   time.Duration // since which moment of the run; 0: none
		newest *Entry
		want   bool
	}{
		"none yet":                         {3 * time.Minute, 0, nil, true},
		"yesterday's":                      {3 * time.Minute, 0, entry(25 * time.Hour), true},
		"an hour old":                      {3 * time.Minute, 0, entry(time.Hour), false},
		"becomes due":                      {23*time.Hour + time.Minute, 0, entry(time.Hour), true},
		"of the future, just started":      {time.Hour, 0, entry(-40 * 365 * day), false},
		"of the future, after a day":       {25 * time.Hour, 0, entry(-40 * 365 * day), true},
		"made in this run":                 {30 * time.Hour, 10 * time.Hour, entry(40 * day), false},
		"made in this run, a day ago":      {35 * time.Hour, 10 * time.Hour, entry(40 * day), true},
		"made in this run, the stick gone": {35 * time.Hour, 20 * time.Hour, nil, false},
	} {
		var last time.Time
		if c.last > 0 {
			last = start.Add(c.last)
		}
		if got := due(start.Add(c.up), start, last, c.newest, day); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSchedule: the stick is not there, comes, is full, and comes back; health says each.
func TestSchedule(t *testing.T) {
	state := newState(t, 1)
	db, err := store.Open(t.Context(), store.Options{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := &Schedule{
		Dir: filepath.Join(t.TempDir(), "stick"), Every: 24 * time.Hour, Keep: 2, start: time.Now(),
		Log: slog.New(slog.DiscardHandler), Source: Source{DB: db, State: state, Host: "wall"},
	}
	is := func(when, state, why string) {
		t.Helper()
		if got, text := s.Health(); got != state || !strings.Contains(text, why) || strings.Contains(text, s.Dir) {
			t.Errorf("%s: %s, %s", when, got, text)
		}
	}
	s.turn(t.Context())
	is("no stick", "absent", "is not there")
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.turn(t.Context())
	is("the stick is there", "ok", "1 kept")
	s.turn(t.Context())
	is("nothing is due", "ok", "1 kept")

	// A day later the stick is something else.
	s.last = s.last.Add(-25 * time.Hour)
	away := s.Dir + ".away"
	if err := os.Rename(s.Dir, away); err != nil {
		t.Fatal(err)
	}
	s.turn(t.Context())
	is("pulled out", "absent", "is not there")
	put(t, s.Dir, "a file of that name")
	s.turn(t.Context())
	is("not a folder", "failed", "cannot be used")
	if err := errors.Join(os.Remove(s.Dir), os.Rename(away, s.Dir)); err != nil {
		t.Fatal(err)
	}
	broken := &Schedule{Dir: s.Dir, Every: s.Every, Keep: 1, Log: s.Log, Source: Source{DB: db, State: state, Host: "other", Config: s.Dir}}
	broken.turn(t.Context())
	if got, why := broken.Health(); got != "failed" || !strings.Contains(why, "could not be made") {
		t.Errorf("one that cannot be made: %s, %s", got, why)
	}
	broken.turn(t.Context()) // not tried again at once
	if got, _ := broken.Health(); got != "failed" {
		t.Errorf("and then: %s", got)
	}
	s.turn(t.Context())
	is("it is back", "ok", "2 kept")
}

// TestPlace: a mount point without its stick is not written to.
func TestPlace(t *testing.T) {
	base := t.TempDir()
	stick := filepath.Join(base, "stick")
	if err := os.Mkdir(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(base, "file"), "")
	if err := place(stick, base, []string{base}); !errors.Is(err, ErrNoPlace) || !strings.Contains(err.Error(), "nothing is mounted") {
		t.Errorf("nothing mounted: %v", err)
	}
	if err := place(stick, base, []string{"/elsewhere"}); err != nil {
		t.Errorf("a plain folder: %v", err)
	}
	if err := place(filepath.Join(base, "none"), base, nil); !errors.Is(err, ErrNoPlace) {
		t.Errorf("not there: %v", err)
	}
	if err := place(filepath.Join(base, "file"), base, nil); err == nil || errors.Is(err, ErrNoPlace) {
		t.Errorf("a file: %v", err)
	}
	mount(t, stick, "size=1m")
	if err := place(stick, base, []string{base}); err != nil {
		t.Errorf("mounted: %v", err)
	}
}

// TestRefused: what opening an automount says whose disk is not there is no fault of the folder.
func TestRefused(t *testing.T) {
	for err, want := range map[error]bool{
		&fs.PathError{Op: "open", Path: "/mnt/backup", Err: unix.ENODEV}: true, &fs.PathError{Op: "open", Path: "/mnt/backup", Err: unix.EHOSTDOWN}: true,
		&fs.PathError{Op: "open", Path: "/mnt/backup", Err: unix.EACCES}: false, fs.ErrNotExist: false, nil: false,
	} {
		if refused(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}

// mount mounts a file system of its own at a folder, until the test ends.
func mount(t *testing.T, at, options string) {
	t.Helper()
	systemtest.Root(t)
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, options); err != nil {
		systemtest.Absent(t, "mounting is not possible here: "+err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// TestFullCard: neither a backup nor a restore that finds no room leaves anything, and the
// state is what it was.
func TestFullCard(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=1m")
	big := newState(t, 20)
	state := filepath.Join(dir, "state")
	small := newState(t, 1)
	if err := os.CopyFS(state, os.DirFS(small)); err != nil {
		t.Fatal(err)
	}
	before := members(t, backupOf(t, state, "", t.TempDir()).Path)
	e := backupOf(t, big, "", t.TempDir())
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for { // to the last page but some
		if _, err := filler.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	if st, err := filler.Stat(); err != nil || filler.Truncate(st.Size()-16<<10) != nil {
		t.Fatal(err)
	}
	filler.Close()

	db, err := store.Open(t.Context(), store.Options{Dir: big})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = Create(t.Context(), dir, Source{DB: db, State: big, Host: "wall"}, 1)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("a backup: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"filler", "state"}) {
		t.Errorf("it left %v", got)
	}
	p, err := NewPlan(t.Context(), e.Path, target(t, state, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a restore: %v", err)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(state, workDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the restore left something: %v", err)
	}
	same(t, "after it", members(t, backupOf(t, state, "", t.TempDir()).Path), before)
}

// TestMain lets the test binary be a command that is killed.
func TestMain(m *testing.M) {
	if what := os.Getenv("SIERPI_BACKUP_DO"); what != "" {
		if err := victim(what, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim does one thing over and over, so that a kill hits it anywhere.
func victim(what, a, b string) error {
	ctx := context.Background()
	fmt.Println("begun")
	if what == "restore" {
		for i := 0; ; i++ {
			p, err := NewPlan(ctx, []string{a, b}[i%2], Target{State: os.Getenv("SIERPI_BACKUP_STATE"), Host: "wall"})
			if err != nil {
				return err
			}
			if err := p.Restore(ctx); err != nil {
				return err
			}
		}
	}
	db, err := store.Open(ctx, store.Options{Dir: a})
	if err != nil {
		return err
	}
	for {
		if _, err := Create(ctx, b, Source{DB: db, State: a, Host: "wall"}, 3); err != nil {
			return err
		}
	}
}

// killed runs a victim and kills it some time after it has begun.
func killed(t *testing.T, after time.Duration, what, state string, args ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SIERPI_BACKUP_DO="+what, "SIERPI_BACKUP_STATE="+state)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
	if cmd.ProcessState.Exited() {
		t.Fatalf("it ended by itself: %s", said.String())
	}
}

// TestKilledCreate: whatever a kill hits, every file under a backup's name is whole.
func TestKilledCreate(t *testing.T) {
	state, dir := newState(t, 20), t.TempDir()
	began := time.Now()
	backupOf(t, state, "", dir)
	one := time.Since(began)
	whole := 0
	const kills = 10
	for i := range kills {
		killed(t, one*2*time.Duration(i)/kills, "create", state, state, dir)
		found, err := List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if _, err := Verify(t.Context(), e.Path); err != nil {
				t.Errorf("kill %d: %v", i, err)
			}
			whole++
		}
	}
	t.Logf("%d files looked at, all whole", whole)
	backupOf(t, state, "", dir)
	for _, name := range names(t, dir) {
		if strings.HasSuffix(name, partial) {
			t.Errorf("%s was left behind by a kill and by the next backup", name)
		}
	}
}

// TestKilledRestore: whatever a kill hits, the next start finds the old state or the new
// one, whole.
func TestKilledRestore(t *testing.T) {
	files := map[string]map[string]string{}
	var paths []string
	for n := 1; n <= 2; n++ {
		e := backupOf(t, newState(t, n), "", t.TempDir())
		paths = append(paths, e.Path)
		files[e.Path] = members(t, e.Path)
	}
	state := newState(t, 1)
	began := time.Now()
	restore(t, paths[1], state, "")
	one := time.Since(began)
	seen := map[string]int{}
	const kills = 14
	for i := range kills {
		// Over two restores.
		killed(t, one*2*time.Duration(i)/kills, "restore", state, paths...)
		if err := Recover(state); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		got := members(t, backupOf(t, state, "", t.TempDir()).Path)
		found := ""
		for path, want := range files {
			if fmt.Sprint(got) == fmt.Sprint(want) {
				found = path
			}
		}
		if found == "" {
			t.Fatalf("kill %d: neither state: %.500v", i, got)
		}
		seen[found]++
	}
	if len(seen) < 2 {
		t.Errorf("only one of the two states was ever found: %v", seen)
	}
}

// TestFinishAnywhere stops the moving of files after each step, as a cut does, and lets
// the next start go on.
func TestFinishAnywhere(t *testing.T) {
	for stop := range 12 {
		from, to := newState(t, 2), newState(t, 1)
		want := members(t, backupOf(t, from, "", t.TempDir()).Path)
		fresh := filepath.Join(to, workDir, newDir)
		if err := os.MkdirAll(fresh, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range append([]string{database}, stateFiles...) {
			data, err := os.ReadFile(filepath.Join(from, name))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(fresh, name), string(data))
		}
		put(t, filepath.Join(to, workDir, noteName), `{"replace": ["sierpi.db", "owner.json", "visitors.json", "energy.json"], "remove": ["sierpi.db-wal", "sierpi.db-shm", "owner-sessions.json"]}`)
		if err := os.MkdirAll(filepath.Join(to, asideDir), 0o755); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, name := range replaced {
			for _, step := range [][2]string{{filepath.Join(to, name), filepath.Join(to, asideDir, name)}, {filepath.Join(fresh, name), filepath.Join(to, name)}} {
				if n++; n > stop {
					break
				}
				_ = os.Rename(step[0], step[1]) // the log is not there
			}
		}
		if err := Recover(to); err != nil {
			t.Fatalf("stopped after %d: %v", stop, err)
		}
		same(t, fmt.Sprintf("stopped after %d", stop), members(t, backupOf(t, to, "", t.TempDir()).Path), want)
	}
}

func FuzzScan(f *testing.F) {
	f.Add(archive(f, file(manifestMember, goodManifest), file("tables/chat_room/000001.jsonl", `["lobby","e",0,0,0]`+"\n")))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, doc []byte) {
		visit := func(m Manifest, mem member) error {
			if !memberName.MatchString(mem.name) {
				t.Errorf("visited %q", mem.name)
			}
			return eachRow(m, mem, func(Table, []any) error { return nil })
		}
		_, _ = scan(t.Context(), bytes.NewReader(doc), int64(len(doc)), visit)
		// The same unpacked: the fuzzer does not have to guess the compression.
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(doc)
		z.Close()
		_, _ = scan(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), visit)
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(goodManifest))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := readManifest(doc)
		if err != nil {
			return
		}
		for _, table := range m.Tables {
			if strings.ContainsAny(table.Name+strings.Join(table.Columns, ""), "\"'; \n") {
				t.Errorf("accepted %+v", table)
			}
		}
	})
}

// FuzzRow: what can be written is read again as it was.
func FuzzRow(f *testing.F) {
	f.Add("text", []byte{0, 1}, int64(-5), 0.25)
	f.Add("\xff\u2028<>&", []byte{}, int64(1<<62), 1e300)
	f.Fuzz(func(t *testing.T, s string, b []byte, n int64, x float64) {
		if b == nil {
			b = []byte{}
		}
		row := []any{s, b, n, x, nil}
		line, err := appendRow(nil, row)
		if err != nil {
			if x == x && x-x == 0 {
				t.Fatal(err)
			}
			return
		}
		got, err := readRow(line, len(row))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got[0] != s || !bytes.Equal(got[1].([]byte), b) || got[2] != n || got[3] != x || got[4] != nil {
			t.Errorf("%q was read as %#v", line, got)
		}
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%q is not one line", line)
		}
		_, _ = readRow([]byte(s), 5)
	})
}
