package backup

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/atomicfile"
)

// Target is the machine that a backup is brought onto.
type Target struct {
	State      string        // the state folder; made if it is not there
	Config     string        // path of the owner's config
	Files      []config.File // all of the machine's, in their order; the last is Config
	TakeConfig bool          // take the backup's config though the machine has one
	Host       string        // the machine's name
	Program    string        // version of sierpi
	Log        *slog.Logger

	// Adopt makes the rows that were brought into the database this machine's: it is called
	// last, within the transaction that brings them.
	Adopt func(ctx context.Context, tx *store.Tx, m Manifest) error
	// Progress is told of rows, of how many; may be nil.
	Progress func(what string, done, total int64)
}

// ConfigPlan is what becomes of the machine's config.
type ConfigPlan string

// The plans.
const (
	ConfigNone  ConfigPlan = "stays as it is: the backup holds none"
	ConfigSame  ConfigPlan = "is the same already"
	ConfigTaken ConfigPlan = "is taken from the backup"
	ConfigKept  ConfigPlan = "stays as it is: this machine has one of its own (--take-config takes the backup's)"
)

// Plan is what Restore will do with a file that was found whole.
type Plan struct {
	Path     string
	Manifest Manifest
	Config   ConfigPlan
	Mistakes string   // in the config that is taken, as this program sees it; "" for none
	Database string   // "SQLite in ..." or "PostgreSQL user@host/database"
	State    []string // the state folder's files that come from the backup

	target Target
	config []byte // to be written
	dsn    string
}

// NewPlan reads the whole backup, holds it to its sums and limits, and says what would be
// done. It changes nothing.
func NewPlan(ctx context.Context, path string, t Target) (*Plan, error) {
	p := &Plan{Path: path, target: t}
	docs := map[string][]byte{}
	m, err := scanFile(ctx, path, func(m Manifest, mem member) error {
		switch name := filepath.Base(mem.name); {
		case strings.HasPrefix(mem.name, "config/"):
			if len(mem.data) > maxConfig {
				return errors.New("it is too large for a config")
			}
			docs[name] = bytes.Clone(mem.data)
		case strings.HasPrefix(mem.name, "state/"):
			if len(mem.data) > maxStateFile || !isOurs(name) {
				return errors.New("it is too large for a file of the state")
			}
			p.State = append(p.State, name)
		}
		return eachRow(m, mem, func(Table, []any) error { return nil })
	})
	if err != nil {
		return nil, err
	}
	p.Manifest = m
	here, mistakes := config.Load(t.Files...)
	if err := mistakes.For("store"); err != nil {
		return nil, fmt.Errorf("this machine's config does not say which database is used: %w", err)
	}
	p.dsn = here.Store.DSN
	if err := p.planConfig(docs, here); err != nil {
		return nil, err
	}
	p.Database = "SQLite in " + t.State
	if p.dsn != "" {
		if p.Database, err = store.Describe(p.dsn); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// planConfig decides about the config. The owner's file is kept as he wrote it, comments
// and all, unless the boot partition's had a say too: then what both meant together is written.
func (p *Plan) planConfig(docs map[string][]byte, here config.Config) error {
	owners, boot := docs["sierpi.toml"], docs["boot.toml"]
	if owners == nil && boot == nil {
		p.Config = ConfigNone
		return nil
	}
	alone, _ := config.Parse("sierpi.toml", owners)
	both, _ := config.ParseAll([]config.Doc{{Name: "boot.toml", Text: boot}, {Name: "sierpi.toml", Text: owners}})
	// The settings of a first boot are another board's: its name, its users.
	alone.FirstBoot, both.FirstBoot = config.FirstBoot{}, config.FirstBoot{}
	p.config = owners
	if !config.Same(alone, both) || owners == nil {
		doc, err := config.Encode(both)
		if err != nil {
			return fmt.Errorf("writing the config of the backup: %w", err)
		}
		p.config = append([]byte("# From a backup: what /etc/sierpi/sierpi.toml and the boot partition's file said together.\n\n"), doc...)
	}
	mine := here
	mine.FirstBoot = config.FirstBoot{}
	switch {
	case config.Same(mine, both):
		p.Config, p.config = ConfigSame, nil
		return nil
	case p.target.Config == "":
		p.Config, p.config = ConfigKept, nil
		return nil
	case !p.target.TakeConfig && !config.Same(mine, config.Default()):
		p.Config, p.config = ConfigKept, nil
		return nil
	}
	p.Config, p.dsn = ConfigTaken, both.Store.DSN
	if _, mistakes := config.Parse("sierpi.toml", p.config); len(mistakes) > 0 {
		p.Mistakes = mistakes.Error()
	}
	return nil
}

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	m := p.Manifest
	fmt.Fprintf(&b, "%s\n  made %s on %s by sierpi %s, from %s\n", p.Path, m.Made.UTC().Format("2006-01-02 15:04 UTC"), m.Host, m.Program, m.Engine)
	fmt.Fprintf(&b, "replaces in %s:\n  %d quotes, %d messages in %d chat rooms, %d scores, %d universes, %d soups\n", p.Database,
		m.Rows("quote"), m.Rows("chat_message"), m.Rows("chat_room"), m.Rows("snake_score"), m.Rows("wall_universe"), m.Rows("wall_soup"))
	if len(p.State) > 0 {
		fmt.Fprintf(&b, "replaces in %s:\n", p.target.State)
	}
	for _, name := range []string{"owner.json", "visitors.json", "energy.json"} {
		what := map[string]string{"owner.json": "the owner's secret; whoever is signed in as owner must sign in again", "visitors.json": "bans and the wall's freeze", "energy.json": "the energy counter"}[name]
		if slices.Contains(p.State, name) {
			fmt.Fprintf(&b, "  %s\n", what)
		}
	}
	fmt.Fprintf(&b, "the config %s\n", p.Config)
	if p.Mistakes != "" {
		fmt.Fprintf(&b, "  this sierpi finds mistakes in it, and the tables they stand in will have their defaults:\n    %s\n", strings.ReplaceAll(p.Mistakes, "\n", "\n    "))
	}
	if p.dsn == "" {
		fmt.Fprintf(&b, "what is there now is kept in %s until the daemon has started with what was restored;\nuntil then `sierpi backup undo` brings it back\n", filepath.Join(p.target.State, asideDir))
	} else {
		fmt.Fprintf(&b, "what is in the database now is written to %s first\n", filepath.Join(p.target.State, asideDir, undoAside))
	}
	return b.String()
}

// Restore does it. Broken off at any point it leaves the old state or the new one; on
// PostgreSQL the rows change in one transaction, and the files of the state folder after it.
func (p *Plan) Restore(ctx context.Context) (err error) {
	t := p.target
	if err := os.MkdirAll(t.State, 0o750); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	if err := Recover(t.State); err != nil {
		return err
	}
	hold, err := store.Alone(t.State)
	if err != nil {
		return busy(err)
	}
	defer func() { err = errors.Join(err, hold.Release()) }()
	if err := clean(t.State); err != nil {
		return err
	}
	committed := false
	defer func() {
		if err != nil && !committed {
			err = errors.Join(roomFor(err), clean(t.State))
		}
	}()
	fresh := filepath.Join(t.State, workDir, newDir)
	if err := os.MkdirAll(fresh, 0o750); err != nil {
		return fmt.Errorf("making room for the new state: %w", err)
	}
	if err := p.load(ctx, fresh); err != nil {
		return err
	}
	var keep []string
	if p.dsn == "" {
		// What the restore before this one kept has had its time. (The backup itself may lie
		// there; it has been read.)
		if err := os.RemoveAll(filepath.Join(t.State, asideDir)); err != nil {
			return fmt.Errorf("making room for the old state: %w", err)
		}
	} else {
		if err := p.bringPostgres(ctx, fresh); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(fresh, database)); err != nil {
			return fmt.Errorf("removing what was worked with: %w", err)
		}
		// An SQLite database from before PostgreSQL is none of this.
		keep = []string{database, database + "-wal", database + "-shm"}
	}
	if p.config != nil {
		if err := replaceConfig(t.Config, p.config, t.State); err != nil {
			return err
		}
	}
	committed = true
	return commit(t.State, keep...)
}

// load builds the new state in a folder: the files, and an SQLite database, in the schema
// of the backup first.
func (p *Plan) load(ctx context.Context, fresh string) (err error) {
	m, t := p.Manifest, p.target
	db, err := store.Open(ctx, store.Options{Dir: fresh, Schema: m.Schema, Log: t.Log})
	if err != nil {
		return fmt.Errorf("making a database with the backup's schema %d: %w", m.Schema, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Deferred(ctx); err != nil {
			return err
		}
		tables, err := tx.Tables(ctx)
		if err != nil {
			return err
		}
		// What migrations put in comes from the backup too.
		if err := tx.Empty(ctx, tables); err != nil {
			return err
		}
		var total, done int64
		for _, table := range m.Tables {
			if err := fits(table, tables); err != nil {
				return err
			}
			total += table.Rows
		}
		var stmt *sql.Stmt
		defer func() {
			if stmt != nil {
				stmt.Close()
			}
		}()
		current := ""
		again, err := scanFile(ctx, p.Path, func(m Manifest, mem member) error {
			if name, ok := strings.CutPrefix(mem.name, "state/"); ok && isOurs(name) {
				return writeSynced(filepath.Join(fresh, name), mem.data)
			}
			return eachRow(m, mem, func(table Table, row []any) error {
				if table.Name != current {
					if stmt != nil {
						stmt.Close()
					}
					if stmt, err = tx.Inserter(ctx, store.Table{Name: table.Name, Columns: table.Columns}); err != nil {
						return err
					}
					current = table.Name
				}
				if done++; t.Progress != nil {
					t.Progress("reading", done, total)
				}
				_, err := stmt.ExecContext(ctx, row...)
				return err
			})
		})
		if err != nil {
			return err
		}
		if !again.Made.Equal(m.Made) || again.Schema != m.Schema || len(again.Tables) != len(m.Tables) {
			return fmt.Errorf("%s was changed while it was read", p.Path)
		}
		return tx.GiveAfter(ctx, tables, m.Numbers)
	})
	if err != nil {
		return fmt.Errorf("loading the backup: %w", err)
	}
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	if err := store.ForgetBefore(fresh); err != nil {
		return fmt.Errorf("loading the backup: %w", err)
	}
	if p.dsn == "" && t.Adopt != nil {
		if err := db.Update(ctx, func(tx *store.Tx) error { return t.Adopt(ctx, tx, m) }); err != nil {
			return fmt.Errorf("making the backup this machine's: %w", err)
		}
	}
	return db.Integrity(ctx)
}

// fits holds a table of the manifest against the schema.
func fits(table Table, have []store.Table) error {
	at := slices.IndexFunc(have, func(h store.Table) bool { return h.Name == table.Name })
	if at < 0 {
		return fmt.Errorf("the schema of the backup has no table %s", table.Name)
	}
	for _, c := range table.Columns {
		if !slices.Contains(have[at].Columns, c) {
			return fmt.Errorf("the table %s has no column %s", table.Name, c)
		}
	}
	return nil
}

// bringPostgres copies the loaded database into PostgreSQL, in one transaction, after a
// backup of what is there.
func (p *Plan) bringPostgres(ctx context.Context, fresh string) (err error) {
	t := p.target
	to, err := store.Open(ctx, store.Options{DSN: p.dsn, Log: t.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := p.keepPostgres(ctx, to); err != nil {
		return err
	}
	from, err := store.Open(ctx, store.Options{Dir: fresh, Log: t.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	var total, done int64
	for _, table := range p.Manifest.Tables {
		total += table.Rows
	}
	err = from.View(ctx, func(source *store.Tx) error {
		return to.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Lock(ctx, "restore"); err != nil {
				return err
			}
			tables, err := tx.Tables(ctx)
			if err != nil {
				return err
			}
			if err := tx.Empty(ctx, tables); err != nil {
				return err
			}
			numbers, err := source.Numbers(ctx)
			if err != nil {
				return err
			}
			for _, table := range tables {
				stmt, err := tx.Inserter(ctx, table)
				if err != nil {
					return err
				}
				err = source.Rows(ctx, table, func(row []any) error {
					if done++; t.Progress != nil {
						t.Progress("writing to PostgreSQL", done, max(total, done))
					}
					_, err := stmt.ExecContext(ctx, row...)
					return err
				})
				stmt.Close()
				if err != nil {
					return fmt.Errorf("filling %s: %w", table.Name, err)
				}
			}
			if err := tx.GiveAfter(ctx, tables, numbers); err != nil {
				return err
			}
			if t.Adopt == nil {
				return nil
			}
			return t.Adopt(ctx, tx, p.Manifest)
		})
	})
	if err != nil {
		return fmt.Errorf("bringing the backup into %s: %w", to, err)
	}
	aside := filepath.Join(t.State, asideDir)
	if err := errors.Join(os.Rename(filepath.Join(aside, undoAside+partial), filepath.Join(aside, undoAside)), atomicfile.SyncDir(aside)); err != nil {
		return fmt.Errorf("keeping what was in %s: %w", to, err)
	}
	return nil
}

// keepPostgres writes what is in the database into the folder for the old state.
func (p *Plan) keepPostgres(ctx context.Context, db *store.DB) error {
	t := p.target
	aside := filepath.Join(t.State, asideDir)
	if err := os.MkdirAll(aside, 0o750); err != nil {
		return fmt.Errorf("making room for the old state: %w", err)
	}
	// Under another name until the rows are there: it may be the old one that is being restored.
	f, err := os.OpenFile(filepath.Join(aside, undoAside+partial), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making room for the old state: %w", err)
	}
	defer f.Close()
	if _, err := Write(ctx, f, Source{DB: db, State: t.State, Config: t.Config, Host: t.Host, Program: t.Program}); err != nil {
		return fmt.Errorf("keeping what is in %s: %w", db, err)
	}
	return errors.Join(f.Sync(), own(t.State, aside), atomicfile.SyncDir(aside))
}

// replaceConfig replaces the owner's config whole and durably, keeps its owner and mode, and
// leaves the old one beside it. A new one is readable by whom the state folder belongs to.
func replaceConfig(path string, doc []byte, state string) error {
	fail := func(err error) error {
		return fmt.Errorf("writing the config %s: %w; run it as root, or keep this machine's config", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	mode, uid, gid := fs.FileMode(0o640), -1, -1
	if st, err := os.Stat(state); err == nil {
		if owner, ok := st.Sys().(*syscall.Stat_t); ok {
			uid, gid = 0, int(owner.Gid)
		}
	}
	old, err := os.ReadFile(path)
	if err == nil {
		if st, err := os.Stat(path); err == nil {
			mode = st.Mode().Perm()
			if owner, ok := st.Sys().(*syscall.Stat_t); ok {
				uid, gid = int(owner.Uid), int(owner.Gid)
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	write := func(path string, doc []byte) error {
		return atomicfile.Write(path, doc, mode, func(f *os.File) error {
			if uid < 0 || os.Geteuid() != 0 {
				return nil
			}
			return f.Chown(uid, gid)
		})
	}
	if old != nil {
		if err := write(path+".before-restore", old); err != nil {
			return fail(err)
		}
	}
	if err := write(path, doc); err != nil {
		return fail(err)
	}
	return nil
}
