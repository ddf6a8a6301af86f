// Package cache keeps the last good copy of what is slow to make: in process, on
// disk, or in a memcached pool. A request never waits for a refresh unless
// nothing has ever been made.
package cache
