// Package backup keeps what a machine of sierpi holds in one file, and brings it back:
// on the same board or another, from SQLite or PostgreSQL onto either.
//
// A backup is a gzipped tar that any computer opens. Its members, in this order:
//
//	manifest.json              format, version, when, where, schema, tables with columns and rows
//	config/sierpi.toml         the owner's config, as it stands
//	config/boot.toml           the one on the boot partition
//	state/owner.json           the hash of the owner's secret; visitors.json: bans; energy.json: the counter
//	tables/NAME/000001.jsonl   rows, a JSON array each, in the manifest's order of columns
//	SHA256SUMS                 of every member before it, as sha256sum(1) writes and checks it
//
// In a row a number with a point is a float, one without a 64-bit integer; {"b": "..."}
// is bytes in base64, {"t": "..."} text that is not UTF-8. What can be made anew is not in
// it: search indexes, caches, sessions, the kiosk's token.
//
// Create writes beside the final name, syncs and renames: a power cut leaves no half
// file under it. Restore builds the whole new state in a folder of the state folder, and only
// then, by a note that the next start finds, moves it into place: after a cut there
// is the old state or the new one. A file is trusted in nothing: members, sizes, sums,
// columns and values are checked before anything of the machine is touched.
//
// Memory: about 3 MiB to create; to restore, the largest member (at most 32 MiB) beside
// the database's page cache.
package backup
