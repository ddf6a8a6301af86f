package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// openPostgres prepares a pool; nothing is dialled before it is used.
func openPostgres(o Options) (*DB, error) {
	cfg, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return nil, fmt.Errorf("reading [store] dsn: %w; it looks like postgres://user:password@host:5432/database", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	cfg.RuntimeParams["application_name"] = "sierpi"
	db := &DB{engine: PostgreSQL, dsn: o.DSN, name: fmt.Sprintf("%s@%s:%d/%s", cfg.User, cfg.Host, cfg.Port, cfg.Database)}
	db.write = stdlib.OpenDB(*cfg)
	db.write.SetMaxOpenConns(8)
	db.write.SetMaxIdleConns(2)
	db.write.SetConnMaxIdleTime(time.Minute)
	db.read = db.write
	return db, nil
}

// Describe names the database of an address for people, without its password.
func Describe(dsn string) (string, error) {
	db, err := openPostgres(Options{DSN: dsn})
	if err != nil {
		return "", err
	}
	return db.String(), db.Close()
}

// rebind turns ? into $1, $2, ... where the engine wants them. A ? inside a
// quoted string stays.
func (db *DB) rebind(query string) string {
	if db.engine == SQLite || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n, quoted := 0, false
	for _, c := range []byte(query) {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == '?' && !quoted:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Notify wakes every process that listens on a channel, once the transaction
// commits. The payload must be short (PostgreSQL: below 8,000 bytes) and is a
// hint only: a listener must poll as well. On SQLite it does nothing: there is
// one daemon, which knows what it wrote.
func (t *Tx) Notify(ctx context.Context, channel, payload string) error {
	if t.db.engine == SQLite {
		return nil
	}
	_, err := t.tx.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, payload)
	return err
}

// Listen calls f with each payload notified on a channel until ctx ends or the
// connection breaks; the caller calls again, and polls in the meantime. On
// SQLite it only waits for ctx.
func (db *DB) Listen(ctx context.Context, channel string, f func(payload string)) error {
	if db.engine == SQLite {
		<-ctx.Done()
		return ctx.Err()
	}
	conn, err := pgx.Connect(ctx, db.dsn)
	if err != nil {
		return db.explain(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return db.explain(ctx, err)
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return db.explain(ctx, err)
		}
		if n == nil {
			return errors.New("the connection ended")
		}
		f(n.Payload)
	}
}
