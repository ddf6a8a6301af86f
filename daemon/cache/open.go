package cache

import (
	"log/slog"
	"time"
)

// Options say which caches Open stacks.
type Options struct {
	Dir       string        // of the copies that survive a reboot; "" for none
	Memcached []string      // "host:port" of each server of the pool; none for no pool
	Timeout   time.Duration // of one call to memcached; 0 means a second
	Logger    *slog.Logger
}

// Sizes of the bounded caches: the memory of a small Pi, a corner of its card.
const (
	memoryBytes = 8 << 20
	diskBytes   = 64 << 20
)

// Open returns the usual stack: memory over disk over memcached.
func Open(o Options) (*Stack, error) {
	layers := []Cache{NewMemory(memoryBytes)}
	if o.Dir != "" {
		d, err := NewDisk(o.Dir, diskBytes)
		if err != nil {
			return nil, err
		}
		layers = append(layers, d)
	}
	if len(o.Memcached) > 0 {
		m, err := NewMemcached(o.Memcached, o.Timeout)
		if err != nil {
			return nil, err
		}
		layers = append(layers, m)
	}
	return NewStack(o.Logger, layers...), nil
}
