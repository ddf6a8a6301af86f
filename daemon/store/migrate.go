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

// migrate brings the schema up to date. An up-to-date database is not written to.
func (db *DB) migrate(ctx context.Context) error {
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
		if have > want {
			return &Error{Name: db.name, What: fmt.Sprintf("was written by a newer sierpi (schema %d, this one knows %d)", have, want),
				Remedy: "install that version again, or restore a backup made before it"}
		}
		if have == want {
			return nil
		}
		if _, err = p.Up(ctx); err == nil {
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
