package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// What an SQLite database was before a newer program changed its schema is kept beside
// it, until that program has shown that it starts: the program before it cannot read
// the new schema, and must find its own when it is put back.

// before is the name of the copy with a schema.
func before(schema int64) string { return fmt.Sprintf("sierpi-schema-%d.db", schema) }

var beforeName = regexp.MustCompile(`^sierpi-schema-([0-9]{1,9})\.db$`)

// partName is such a copy that a power cut left unfinished.
var partName = regexp.MustCompile(`^sierpi-schema-[0-9]{1,9}\.db(\.[0-9]+)?\.part$`)

// keepBefore copies the database, whole and durably. On PostgreSQL, which other machines
// may share, it does nothing.
func (db *DB) keepBefore(ctx context.Context, schema int64) error {
	if db.engine != SQLite {
		return nil
	}
	dir := filepath.Dir(db.name)
	to := filepath.Join(dir, before(schema))
	// Of its own: two programs may open a database that neither knows at the same time.
	f, err := os.CreateTemp(dir, filepath.Base(to)+".*.part")
	if err != nil {
		return err
	}
	part := f.Name()
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := db.write.ExecContext(ctx, `VACUUM INTO ?`, part); err != nil {
		_ = os.Remove(part)
		return db.explain(ctx, err)
	}
	if err := settle(part, to); err != nil {
		_ = os.Remove(part)
		return err
	}
	return nil
}

// settle gives a new file its folder's owner and its name, durably.
func settle(part, to string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o640); err != nil {
		return err
	}
	if st, err := os.Stat(filepath.Dir(to)); err == nil && os.Geteuid() == 0 {
		if owner, ok := st.Sys().(*syscall.Stat_t); ok {
			if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(to))
}

// ForgetBefore removes the copies of before a change of the schema; to be called once
// the program is ready.
func ForgetBefore(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if beforeName.MatchString(name) || partName.MatchString(name) {
			errs = append(errs, os.Remove(filepath.Join(dir, name)))
		}
	}
	return errors.Join(errs...)
}

// PutBack puts the database in dir back to before a newer program changed its schema,
// where that happened, and reports the schema that was left, 0 when there was nothing to do.
// Nobody may have it open.
func PutBack(ctx context.Context, dir string) (left int64, err error) {
	h, err := Alone(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.Release()) }()
	path := filepath.Join(dir, file)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	have, err := schemaOf(ctx, path)
	if err != nil {
		return 0, err
	}
	knows := Schema()
	if have <= knows {
		return 0, nil
	}
	old := filepath.Join(dir, before(knows))
	if _, err := os.Stat(old); err != nil {
		return 0, fmt.Errorf("the database has schema %d, this program knows %d, and what it was before is not there: %w; restore a backup", have, knows, err)
	}
	// Its log belongs to the database that goes: without it first, a cut leaves the new
	// database whole.
	for _, ext := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	return have, settle(old, path)
}

// schemaOf reads the version of a database without changing it, and folds its log in.
func schemaOf(ctx context.Context, path string) (version int64, err error) {
	db, err := openSQLite(ctx, Options{Dir: filepath.Dir(path)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.SchemaVersion(ctx)
}

// SchemaVersion is the version of the open database's schema.
func (db *DB) SchemaVersion(ctx context.Context) (v int64, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		v, err = tx.SchemaVersion(ctx)
		return err
	})
	return v, err
}

// SchemaVersion is the version of the schema that the transaction sees.
func (t *Tx) SchemaVersion(ctx context.Context) (v int64, err error) {
	// A version that was taken back has a later row that says so.
	err = t.QueryRowContext(ctx, `SELECT version_id FROM goose_db_version g
		WHERE id = (SELECT max(id) FROM goose_db_version WHERE version_id = g.version_id) AND is_applied
		ORDER BY version_id DESC LIMIT 1`).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("reading the schema's version: %w", err)
	}
	return v, nil
}
