// Package chat is a long-poll chat that loses nothing.
//
// Each room is a log: posting, editing and deleting give a message the room's next
// version, and a cursor is a version. Asking with a cursor acknowledges what came
// before it and brings what is newer, so an answer that was lost on the way is
// delivered again. A cursor from which that cannot be told any more, because
// retention or a restored backup overtook it, gets a fresh snapshot (reset), not
// an error. A message is acknowledged once it is on the disk, and a client that is
// in doubt posts it again under the same key without doubling it.
//
// Nothing is kept for a client between two requests but the poll it has open: a
// restart of the daemon costs clients one reconnect.
//
// Several daemons on one PostgreSQL are one chat. Versions are given under the
// room's row lock, so they become visible in their order; NOTIFY wakes the other
// daemons, and a look every 2 seconds catches what a lost NOTIFY did not bring.
//
// The owner deletes messages, removes rooms and silences authors, by their cookie and
// the network they wrote from last. From where somebody wrote is stored of nobody else.
//
// Who waits is here; on PostgreSQL the daemons tell each other every 2 seconds.
//
// Limits: 100 rooms, 1,000 messages a room (Options.Keep), 2,000 bytes a message, 40
// bytes a name, 8 rooms a poll, 2,000 open polls and streams (then 503), a tenth of
// them of one address (then 429), and for each IPv4 address or IPv6 /64 a burst of 10
// messages and then one every 2 seconds. Messages are kept by number and not by age: a
// clock that jumps would throw all of them away.
package chat
