package imagebuild

import (
	"context"
	"database/sql"
	"fmt"

	_ "modernc.org/sqlite" // the engine that the daemon has
)

// database is the daemon's, taken out of a disk.
type database struct{ *sql.DB }

// openDatabase opens a database file and the log beside it, as the daemon's next start
// would find them.
func openDatabase(path string) (database, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(1000)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return database{db}, err
}

// check replays the log and looks at every page and every key.
func (db database) check(ctx context.Context) error {
	for _, pragma := range []string{"integrity_check", "foreign_key_check"} {
		rows, err := db.QueryContext(ctx, "PRAGMA "+pragma)
		if err != nil {
			return fmt.Errorf("PRAGMA %s: %w", pragma, err)
		}
		defer rows.Close()
		for rows.Next() {
			var said any
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			into := make([]any, len(columns))
			for i := range into {
				into[i] = new(any)
			}
			into[0] = &said
			if err := rows.Scan(into...); err != nil {
				return fmt.Errorf("PRAGMA %s: %w", pragma, err)
			}
			if said != "ok" {
				return fmt.Errorf("PRAGMA %s says %v", pragma, said)
			}
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("PRAGMA %s: %w", pragma, err)
		}
	}
	return nil
}

// text is a message's of the lobby, or a quote's.
func (db database) text(ctx context.Context, kind string, id int64) (text string, err error) {
	query := "SELECT text FROM chat_message WHERE room = 'lobby' AND id = ?"
	if kind == "quote" {
		query = "SELECT text FROM quote WHERE id = ?"
	}
	err = db.QueryRowContext(ctx, query, id).Scan(&text)
	return text, err
}
