package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Table is one table that holds what cannot be made anew from others.
type Table struct {
	Name    string
	Columns []string
}

// derived are the tables that are not copied: what they hold follows from others
// (quotes.Reindex makes it anew), or lives no longer than a daemon. A new table is
// copied unless it is named here.
var derived = []string{"quote_word", "quote_facet", "quote_state", "chat_presence", "goose_db_version"}

// derivedColumns are of PostgreSQL only.
var derivedColumns = map[string][]string{"quote": {"tokens"}}

// Tables lists the tables to be copied, those that others point to first.
func (t *Tx) Tables(ctx context.Context) ([]Table, error) {
	query := `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`
	if t.db.engine == SQLite {
		// Virtual tables and their shadows are indexes over others.
		query = `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`
	}
	names, err := oneColumn(t.QueryContext(ctx, query))
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	slices.Sort(names)
	var out []Table
	for _, name := range names {
		if slices.Contains(derived, name) {
			continue
		}
		rows, err := t.QueryContext(ctx, `SELECT * FROM `+quoteName(name)+` LIMIT 0`)
		if err != nil {
			return nil, fmt.Errorf("reading the columns of %s: %w", name, err)
		}
		columns, err := rows.Columns()
		rows.Close()
		if err != nil {
			return nil, fmt.Errorf("reading the columns of %s: %w", name, err)
		}
		columns = slices.DeleteFunc(columns, func(c string) bool { return slices.Contains(derivedColumns[name], c) })
		out = append(out, Table{name, columns})
	}
	parents, err := t.parents(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Table) int {
		return depth(a.Name, parents, 0) - depth(b.Name, parents, 0)
	})
	return out, nil
}

// parents are the tables that each table's foreign keys point to.
func (t *Tx) parents(ctx context.Context) (map[string][]string, error) {
	query := `SELECT c.conrelid::regclass::text || ' ' || c.confrelid::regclass::text FROM pg_constraint c
		JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.contype = 'f' AND n.nspname = current_schema()`
	if t.db.engine == SQLite {
		query = `SELECT m.name || ' ' || f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`
	}
	pairs, err := oneColumn(t.QueryContext(ctx, query))
	if err != nil {
		return nil, fmt.Errorf("reading the foreign keys: %w", err)
	}
	out := map[string][]string{}
	for _, p := range pairs {
		child, parent, _ := strings.Cut(p, " ")
		out[child] = append(out[child], parent)
	}
	return out, nil
}

func depth(name string, parents map[string][]string, n int) int {
	if n > 20 {
		return n // a circle: nothing of ours has one
	}
	d := 0
	for _, p := range parents[name] {
		d = max(d, 1+depth(p, parents, n+1))
	}
	return d
}

// Count is the number of a table's rows.
func (t *Tx) Count(ctx context.Context, table Table) (n int64, err error) {
	if err := t.QueryRowContext(ctx, `SELECT count(*) FROM `+quoteName(table.Name)).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting %s: %w", table.Name, err)
	}
	return n, nil
}

// Rows calls f with each row of a table, in the order of its key. Values are nil,
// int64, float64, string or []byte, and f's until it returns.
func (t *Tx) Rows(ctx context.Context, table Table, f func(row []any) error) error {
	order := "1"
	if len(table.Columns) > 1 {
		order = "1, 2"
	}
	rows, err := t.QueryContext(ctx, `SELECT `+names(table.Columns)+` FROM `+quoteName(table.Name)+` ORDER BY `+order)
	if err != nil {
		return fmt.Errorf("reading %s: %w", table.Name, err)
	}
	defer rows.Close()
	row := make([]any, len(table.Columns))
	into := make([]any, len(row))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("reading %s: %w", table.Name, err)
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				row[i] = []byte{} // no bytes are not no value
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", table.Name, err)
	}
	return nil
}

// Inserter prepares the storing of rows of a table.
func (t *Tx) Inserter(ctx context.Context, table Table) (*sql.Stmt, error) {
	stmt, err := t.PrepareContext(ctx, `INSERT INTO `+quoteName(table.Name)+` (`+names(table.Columns)+`) VALUES (?`+strings.Repeat(", ?", len(table.Columns)-1)+`)`)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", table.Name, err)
	}
	return stmt, nil
}

// Empty removes all rows of the tables.
func (t *Tx) Empty(ctx context.Context, tables []Table) error {
	for _, table := range slices.Backward(tables) {
		if _, err := t.ExecContext(ctx, `DELETE FROM `+quoteName(table.Name)); err != nil {
			return fmt.Errorf("emptying %s: %w", table.Name, err)
		}
	}
	return nil
}

// Deferred lets rows of a transaction on SQLite come in any order: foreign keys are
// looked at when it commits.
func (t *Tx) Deferred(ctx context.Context) error {
	if t.db.engine != SQLite {
		return nil
	}
	_, err := t.ExecContext(ctx, `PRAGMA defer_foreign_keys = ON`)
	return err
}

// Numbers are the highest numbers given so far in tables whose numbers are never given
// twice, though the row may be gone.
func (t *Tx) Numbers(ctx context.Context) (map[string]int64, error) {
	query := `SELECT t.relname || ' ' || COALESCE(s.last_value, 0) FROM pg_sequences s
		JOIN pg_class q ON q.relname = s.sequencename AND q.relkind = 'S'
		JOIN pg_depend d ON d.objid = q.oid AND d.deptype IN ('a', 'i') JOIN pg_class t ON t.oid = d.refobjid
		WHERE s.schemaname = current_schema() AND q.relnamespace = current_schema()::regnamespace`
	if t.db.engine == SQLite {
		query = `SELECT name || ' ' || seq FROM sqlite_sequence`
	}
	pairs, err := oneColumn(t.QueryContext(ctx, query))
	if err != nil {
		return nil, fmt.Errorf("reading the numbers given so far: %w", err)
	}
	out := map[string]int64{}
	for _, p := range pairs {
		var table string
		var n int64
		if _, err := fmt.Sscan(p, &table, &n); err != nil {
			return nil, fmt.Errorf("reading the numbers given so far: %q: %w", p, err)
		}
		if !slices.Contains(derived, table) {
			out[table] = n
		}
	}
	return out, nil
}

// GiveAfter makes the next row of each table get a number after those that are there
// and after given.
func (t *Tx) GiveAfter(ctx context.Context, tables []Table, given map[string]int64) error {
	for _, table := range tables {
		if t.db.engine == SQLite {
			if n := given[table.Name]; n > 0 {
				if _, err := t.ExecContext(ctx, `UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?`, n, table.Name); err != nil {
					return fmt.Errorf("numbering %s: %w", table.Name, err)
				}
				if _, err := t.ExecContext(ctx, `INSERT INTO sqlite_sequence (name, seq) SELECT ?, ?
					WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)
					AND EXISTS (SELECT 1 FROM sqlite_master WHERE name = ? AND sql LIKE '%AUTOINCREMENT%')`, table.Name, n, table.Name, table.Name); err != nil {
					return fmt.Errorf("numbering %s: %w", table.Name, err)
				}
			}
			continue
		}
		if !slices.Contains(table.Columns, "id") {
			continue
		}
		var sequence sql.NullString
		// A key that is not an identity (chat_message's) has none.
		if err := t.QueryRowContext(ctx, `SELECT pg_get_serial_sequence(?, 'id')`, table.Name).Scan(&sequence); err != nil {
			return fmt.Errorf("numbering %s: %w", table.Name, err)
		}
		if !sequence.Valid {
			continue
		}
		if _, err := t.ExecContext(ctx, `SELECT setval(?::text::regclass, GREATEST((SELECT COALESCE(MAX(id), 1) FROM `+quoteName(table.Name)+`), ?::bigint, 1))`, sequence.String, given[table.Name]); err != nil {
			return fmt.Errorf("numbering %s: %w", table.Name, err)
		}
	}
	return nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quoteName(c)
	}
	return strings.Join(quoted, ", ")
}

// oneColumn collects the one column of a query.
func oneColumn(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
