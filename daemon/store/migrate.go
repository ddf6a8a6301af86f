package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// Schema is the newest version of the schema that this program knows.
func Schema() int64 {
	var newest int64
	files, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return 0 // cannot happen: the pattern is well-formed
	}
	for _, f := range files {
		if v, err := goose.NumericComponent(f); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
}

// Migrate brings a database that was opened with Options.Schema to the newest schema.
func (db *DB) Migrate(ctx context.Context) error { return db.migrate(ctx, 0) }

// migrate brings the schema up to a version, 0: the newest. A database that is there
// already is not written to.
func (db *DB) migrate(ctx context.Context, upTo int64) error {
	if err := db.readable(ctx); err != nil {
		return err
	}
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	opts := []goose.ProviderOption{goose.WithSlog(slog.New(slog.DiscardHandler))}
	if db.engine == PostgreSQL {
		dialect, folder = goose.DialectPostgres, "migrations/postgres"
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("preparing the schema: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return fmt.Errorf("preparing the schema: %w", err)
	}
	p, err := goose.NewProvider(dialect, db.write, files, opts...)
	if err != nil {
		return fmt.Errorf("preparing the schema: %w", err)
	}
	// Two processes may meet at a new SQLite file; the one that comes second fails
	// on the first's tables and finds the work done when it looks again.
	for attempt := 0; ; attempt++ {
		var have int64
		if have, err = p.GetDBVersion(ctx); err != nil {
			return db.explain(ctx, fmt.Errorf("reading the schema's version: %w", err))
		}
		sources := p.ListSources()
		want := sources[len(sources)-1].Version
		if upTo > 0 {
			want = upTo
		}
		if have > want {
			return &Error{Name: db.name, What: fmt.Sprintf("was written by a newer sierpi (schema %d, this one knows %d)", have, want),
				Remedy: "install that version again, or restore a backup made before it"}
		}
		if have == want {
			return nil
		}
		if have > 0 {
			if err := db.keepBefore(ctx, have); err != nil {
				return fmt.Errorf("keeping the database as it is before its schema is brought from %d to %d: %w", have, want, err)
			}
		}
		if _, err = p.UpTo(ctx, want); err == nil {
			db.log.Info("schema brought up to date", "database", db.name, "from", have, "to", want)
			return nil
		}
		if attempt == 5 || ctx.Err() != nil {
			return db.explain(ctx, fmt.Errorf("bringing the schema from %d to %d: %w", have, want, err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond << attempt):
		}
	}
}

// readable reads a little of an SQLite file, so that damage is called by its
// name: the migrations take a table they cannot read for one that is not there.
func (db *DB) readable(ctx context.Context) error {
	if db.engine != SQLite {
		return nil
	}
	var tables int
	err := db.write.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&tables)
	if err == nil && tables > 0 {
		err = db.write.QueryRowContext(ctx, `SELECT count(*) FROM goose_db_version`).Scan(&tables)
	}
	return db.explain(ctx, err)
}
