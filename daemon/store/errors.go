package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrFull is in the chain of an error that came about because the disk is full.
// Reading goes on.
var ErrFull = errors.New("no space left")

// Error is a failure of the database itself, as opposed to one of what was asked
// of it: what is wrong with which database, and what to do about it.
type Error struct {
	Name   string // the path, or the address without its password
	What   string // "is full", a predicate of Name
	Remedy string
	Err    error // may be nil

	full bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("database %s %s; %s", e.Name, e.What, e.Remedy)
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes a full disk known by ErrFull.
func (e *Error) Is(target error) bool { return target == ErrFull && e.full }

func remedyDamaged(name string) string {
	return fmt.Sprintf("move it away (mv %s %s.damaged) and restore a backup, or start without it and import again", name, name)
}

// explain turns an engine's error codes into words with a remedy. Errors that
// are not about the state of the database pass unchanged.
func (db *DB) explain(ctx context.Context, err error) error {
	var told *Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	if ctx.Err() != nil { // the engines report an interrupted statement in words of their own
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	what, remedy, full := "", "", errors.Is(err, syscall.ENOSPC)
	var lite *sqlite.Error
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	dir := filepath.Dir(db.name)
	switch {
	case errors.As(err, &lite):
		code := lite.Code() & 0xff
		if lite.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the file beside the log found no room
			code = sqlite3.SQLITE_FULL
		}
		switch code {
		case sqlite3.SQLITE_FULL:
			full = true
			what, remedy = "cannot grow: no space left in "+dir, "free some (du -xh "+dir+" | sort -h), then try again; nothing that was acknowledged is lost"
		case sqlite3.SQLITE_CORRUPT:
			what, remedy = "is damaged", remedyDamaged(db.name)
		case sqlite3.SQLITE_NOTADB:
			what, remedy = "is not a SQLite database", remedyDamaged(db.name)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
			what, remedy = "cannot be written", "let the daemon's user own "+dir+" and the files in it, or name another folder with --state"
		case sqlite3.SQLITE_CANTOPEN:
			what, remedy = "cannot be opened", "let the daemon's user own "+dir+" and the files in it, and look whether it has space left, or name another folder with --state"
		case sqlite3.SQLITE_IOERR:
			what, remedy = "cannot be read or written: the disk reports an error", "look at dmesg; a worn SD card is copied to a new one before anything else"
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			what, remedy = "is held by another process", "wait until a running import or backup is through, then try again"
		}
	case errors.As(err, &connect):
		what, remedy = "does not answer", "start the server, or correct [store] dsn"
	case errors.As(err, &pg):
		switch pg.Code[:2] {
		case "53":
			full = pg.Code == "53100"
			what, remedy = "is out of resources ("+pg.Message+")", "free disk, memory or connections on the server"
		case "28", "3D":
			what, remedy = "refuses ("+pg.Message+")", "correct [store] dsn, or create the user and the database"
		case "57":
			what, remedy = "is shutting down ("+pg.Message+")", "wait until the server is back"
		}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		what, remedy = "does not answer", "start the server, or correct [store] dsn"
	}
	if what == "" {
		return err
	}
	return &Error{Name: db.name, What: what + " (" + err.Error() + ")", Remedy: remedy, Err: err, full: full}
}
