// Package updates looks after two kinds of them.
//
// The system's security updates are left to Debian's unattended-upgrades: NewPlan writes the
// [updates] table into a file of apt and a drop-in of its timer, and touches nothing else.
//
// An update of sierpi itself is put back when its daemon does not start. Before a newer
// package is unpacked its preinst keeps the files of the one before, as hard links:
//
//	/usr/lib/sierpi/previous/usr/...          the files, version: which one they are of
//	/var/lib/sierpi-system/update-pending     "OLD NEW": not yet shown to start
//
// Watch, run by sierpi-update.service from the program that was kept, waits until the daemon is
// READY and stays so, and removes the mark. When it has failed three times, or is not READY
// within six minutes, the kept files take their places again, the database is put back
// to before its schema was changed, and the daemon is started. A power cut anywhere in between
// is no matter: the mark goes last, and the next boot watches again.
//
// What became of it stands in /var/lib/sierpi-system/update.json, which the daemon reads for
// /healthz and the wall, and cannot write.
package updates
