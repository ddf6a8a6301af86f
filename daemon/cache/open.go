package cache

import (
	"fmt"
	"log/slog"
	"time"
)

// Options say which caches Open stacks.
type Options struct {
	// Layers are "memory", "disk" and "memcached", the quickest first. None means
	// memory, disk where Dir is set, and memcached where it has servers.
	Layers    []string
	Memory    int           // bytes at most; 0 means 8 MiB
	Dir       string        // of the copies that survive a reboot
	Disk      int64         // bytes at most; 0 means 64 MiB
	Memcached []string      // "host:port" of each server of the pool
	Timeout   time.Duration // of one call to memcached; 0 means a second
	Logger    *slog.Logger
}

// Sizes of the bounded caches: the memory of a small Pi, a corner of its card.
const (
	memoryBytes = 8 << 20
	diskBytes   = 64 << 20
)

// Open returns the stack of the caches that the options name.
func Open(o Options) (*Stack, error) {
	if o.Memory == 0 {
		o.Memory = memoryBytes
	}
	if o.Disk == 0 {
		o.Disk = diskBytes
	}
	if len(o.Layers) == 0 {
		o.Layers = []string{"memory"}
		if o.Dir != "" {
			o.Layers = append(o.Layers, "disk")
		}
		if len(o.Memcached) > 0 {
			o.Layers = append(o.Layers, "memcached")
		}
	}
	var layers []Cache
	for _, name := range o.Layers {
		var layer Cache
		var err error
		switch name {
		case "memory":
			layer = NewMemory(o.Memory)
		case "disk":
			layer, err = NewDisk(o.Dir, o.Disk)
		case "memcached":
			layer, err = NewMemcached(o.Memcached, o.Timeout)
		default:
			err = fmt.Errorf("there is no cache %q: there are memory, disk and memcached", name)
		}
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return NewStack(o.Logger, layers...), nil
}
