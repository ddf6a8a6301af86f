// Package cache keeps the last good copy of what is slow to make: in process, on
// disk, in a memcached pool, or in several of them at once (Stack). A request
// never waits for a refresh unless nothing has ever been made.
//
// An Entry carries its own times. Past its fresh time it is stale: still served,
// marked, while one maker in one instance makes the next copy (Refresher). The
// caches themselves never make anything and never wait for more than their
// bounded timeout; a cache that is dead, slow or lying is a miss.
//
// Limits: Memory is bounded in bytes, least recently used first out; Disk is
// bounded in bytes, oldest first out; one value is at most MaxValue.
package cache
