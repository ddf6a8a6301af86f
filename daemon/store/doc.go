// Package store opens the one database the daemon keeps its state in: SQLite by
// default, PostgreSQL when the owner outgrows it, behind the same handful of
// operations. It owns the schema: every service's tables are created by the
// numbered files in migrations/sqlite and migrations/postgres (one pair a
// change, the same number in both), and nowhere else.
//
// Acknowledged means durable: Update returns nil only after the commit has
// reached the disk (SQLite: WAL with synchronous=FULL). SQLite has one writer at
// a time, in this process and across processes; a command may therefore write
// while the daemon runs, each waiting for the other at most 10 seconds.
//
// Memory: about 1 MB of page cache for the writer and 0.5 MB for each of at
// most two readers, which are closed again after a minute of rest.
package store
