package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// file is the name of the database in the state folder.
const file = "sierpi.db"

// openSQLite opens Dir/sierpi.db.
func openSQLite(ctx context.Context, o Options) (*DB, error) {
	path := filepath.Join(o.Dir, file)
	if err := prepare(o.Dir, path); err != nil {
		return nil, err
	}
	db, err := openFile(ctx, path, "unix")
	if errors.Is(err, ErrFull) {
		// The memory that processes share is a file, made anew by the first who opens. On a full
		// card there is no room for it, even if some is given back: what root's processes
		// took of the file system's own share comes first. Alone it is done without.
		if alone, e := openFile(ctx, path, "unix-excl"); e == nil {
			return alone, nil
		}
	}
	return db, err
}

// openFile opens path by one of the ways that SQLite has to files (sqlite.org/vfs.html).
func openFile(ctx context.Context, path, vfs string) (*DB, error) {
	db := &DB{engine: SQLite, name: path}
	var err error
	// The writer's transactions begin IMMEDIATE: one that began by reading and
	// then wants to write would fail at once, without waiting, if another process
	// wrote in between.
	if db.write, err = sql.Open("sqlite", dsn(path, vfs, "rwc", 1024, url.Values{"_txlock": {"immediate"}})); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.write.SetMaxOpenConns(1)
	db.write.SetConnMaxIdleTime(time.Minute)
	if err := connect(ctx, db.write); err != nil {
		db.write.Close()
		return nil, db.explain(ctx, err)
	}
	if db.read, err = sql.Open("sqlite", dsn(path, vfs, "rw", 512, url.Values{"_pragma": {"query_only(1)"}})); err != nil {
		db.write.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db.read.SetMaxOpenConns(2)
	db.read.SetMaxIdleConns(1)
	db.read.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// patience is how long whoever finds the database held waits for it.
const patience = 10 * time.Second

// connect makes the first connection. Two processes may meet at a new file, and both
// want to give it its log: SQLite refuses the second at once, without patience, since
// neither could go on if both waited. It finds the work done when it tries again.
func connect(ctx context.Context, db *sql.DB) error {
	for start := time.Now(); ; {
		err := db.PingContext(ctx)
		var lite *sqlite.Error
		if !errors.As(err, &lite) || lite.Code()&0xff != sqlite3.SQLITE_BUSY || time.Since(start) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// dsn is the address of a connection with a page cache of cacheKiB.
func dsn(path, vfs, mode string, cacheKiB int, more url.Values) string {
	q := url.Values{"vfs": {vfs}, "mode": {mode}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), // first: the next ones may have to wait
		"journal_mode(WAL)",
		"synchronous(FULL)", // NORMAL would lose acknowledged commits when the plug is pulled
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		"temp_store(MEMORY)",          // sorting must not write to the SD card
		"journal_size_limit(4194304)", // give the space of a large import's log back
		"foreign_keys(1)",             //
		"wal_autocheckpoint(1000)",    // pages; 4 MB between two copies into the file
		"trusted_schema(0)",           // a planted file must not run functions
		"cell_size_check(1)",          // catch damage at the page, not later
	}}
	for k, v := range more {
		q[k] = append(q[k], v...)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// prepare makes sure of the folder and of an empty file for a new database. When
// root runs a command before the daemon's first start, the file must belong to
// whoever owns the folder, or the daemon could not write it. (SQLite itself gives
// its log files to the owner of the database.)
func prepare(dir, path string) error {
	unusable := func(err error) error {
		return &Error{Name: path, What: "cannot be used (" + err.Error() + ")", Err: err,
			Remedy: fmt.Sprintf("make %s a folder that user %d can write and that has space left, or name another with --state", dir, os.Geteuid())}
	}
	if dir == "" {
		return unusable(errors.New("no state folder is named"))
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return unusable(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		// Asked, not tried: to close the file, whoever opened it, would end the locks that
		// SQLite has on it in this process (fcntl(2)).
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK|unix.W_OK, unix.AT_EACCESS); err != nil {
			return unusable(&fs.PathError{Op: "open", Path: path, Err: err})
		}
		return nil
	}
	if err != nil {
		return unusable(err)
	}
	defer f.Close()
	if os.Geteuid() == 0 {
		if st, err := os.Stat(dir); err == nil {
			if owner, ok := st.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
				if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
					return unusable(err)
				}
			}
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return unusable(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return unusable(err)
	}
	return nil
}
