// Package store opens the one database the daemon keeps its state in: SQLite by
// default, PostgreSQL when the owner outgrows it, behind the same handful of
// operations. It owns the schema migrations.
package store
