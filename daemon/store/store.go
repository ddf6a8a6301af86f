package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Engine is which database is behind a DB.
type Engine int

// The engines.
const (
	SQLite Engine = iota
	PostgreSQL
)

func (e Engine) String() string {
	if e == PostgreSQL {
		return "PostgreSQL"
	}
	return "SQLite"
}

// Options say where the database is.
type Options struct {
	Dir string // the state folder; SQLite's file is Dir/sierpi.db
	DSN string // "postgres://user@host/database"; empty: SQLite in Dir
	Log *slog.Logger

	// Schema is the version to which a new database is brought; 0: the newest. A
	// backup is loaded into the schema that it was made of, and brought up after that.
	Schema int64
}

// DB is the open database. It is safe for concurrent use.
type DB struct {
	engine Engine
	name   string  // where it is, for messages: a path, or the DSN without its password
	write  *sql.DB // SQLite: exactly one connection, whose transactions begin IMMEDIATE
	read   *sql.DB // SQLite: at most two connections that cannot write; PostgreSQL: the same as write
	log    *slog.Logger
	dsn    string
	held   *Hold // shares Dir with other openers; nil without a Dir
}

// Open opens the database, creates it where there is none, and brings its schema
// up to date. The error of a folder that cannot be used says what to do.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	held, err := share(o.Dir)
	if err != nil {
		return nil, err
	}
	var db *DB
	if o.DSN != "" {
		db, err = openPostgres(o)
	} else {
		db, err = openSQLite(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, held.Release())
	}
	db.log, db.held = o.Log, held
	if err := db.migrate(ctx, o.Schema); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Engine is which database this is.
func (db *DB) Engine() Engine { return db.engine }

// String names the database for people: the path, or the address without its password.
func (db *DB) String() string { return db.engine.String() + " " + db.name }

// Close ends all connections. SQLite folds its log back into the one file.
func (db *DB) Close() error {
	err := db.read.Close()
	if db.write != db.read {
		err = errors.Join(db.write.Close(), err)
	}
	return errors.Join(err, db.held.Release())
}

// View runs f in a transaction that only reads and sees one state of the
// database throughout.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	return db.in(ctx, db.read, &sql.TxOptions{ReadOnly: true, Isolation: db.snapshot()}, f)
}

// snapshot is the isolation under which a transaction keeps seeing one state.
func (db *DB) snapshot() sql.IsolationLevel {
	if db.engine == PostgreSQL {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

// Update runs f in a transaction and commits it. When it returns nil, what f
// wrote is on the disk. An error of f rolls everything back.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	return db.in(ctx, db.write, nil, f)
}

func (db *DB) in(ctx context.Context, pool *sql.DB, o *sql.TxOptions, f func(*Tx) error) error {
	tx, err := pool.BeginTx(ctx, o)
	if err != nil {
		return db.explain(ctx, err)
	}
	defer tx.Rollback() // a no-op after Commit
	if err := f(&Tx{tx: tx, db: db}); err != nil {
		return db.explain(ctx, err)
	}
	if err := tx.Commit(); err != nil {
		return db.explain(ctx, err)
	}
	return nil
}

// Tx is a transaction. Its statements use ? for arguments on either engine.
type Tx struct {
	tx *sql.Tx
	db *DB
}

// Engine is which database this is, for the few statements that must differ.
func (t *Tx) Engine() Engine { return t.db.engine }

// ExecContext runs a statement.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, t.db.rebind(query), args...)
}

// QueryContext runs a query.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.db.rebind(query), args...)
}

// QueryRowContext runs a query of at most one row.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, t.db.rebind(query), args...)
}

// PrepareContext prepares a statement for the rest of the transaction.
func (t *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.tx.PrepareContext(ctx, t.db.rebind(query))
}

// Lock makes the transactions of every process that lock the same name take
// turns until they end. On SQLite a writing transaction excludes all others anyway.
func (t *Tx) Lock(ctx context.Context, name string) error {
	if t.db.engine == SQLite {
		return nil
	}
	_, err := t.tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "sierpi:"+name)
	if err != nil {
		return fmt.Errorf("waiting for the lock %q: %w", name, err)
	}
	return nil
}

// Integrity checks the whole file and returns what is wrong with it. It reads
// everything: 0.1 s for 16,000 quotes on a laptop, minutes for a million on an SD card.
func (db *DB) Integrity(ctx context.Context) error {
	if db.engine == PostgreSQL {
		var one int
		return db.explain(ctx, db.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one))
	}
	rows, err := db.read.QueryContext(ctx, `PRAGMA quick_check(5)`)
	if err != nil {
		return db.explain(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return db.explain(ctx, err)
		}
		if line != "ok" {
			return &Error{Name: db.name, What: "is damaged: " + line, Remedy: remedyDamaged(db.name)}
		}
	}
	return db.explain(ctx, rows.Err())
}
