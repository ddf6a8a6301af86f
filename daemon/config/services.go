package config

import "time"

// Feed is the [feed] table.
type Feed struct {
	Sources      []FeedSource `toml:"source"`        // [[feed.source]]
	Interval     Duration     `toml:"interval"`      // between two polls of a feed that names no other
	AllowPrivate []string     `toml:"allow-private"` // hosts on private networks that may be fetched
}

// FeedSource is one [[feed.source]].
type FeedSource struct {
	Name string `toml:"name"`
	URL  string `toml:"url"`
}

func defaultFeed() Feed { return Feed{Interval: Duration(time.Hour)} }

// Quotes is the [quotes] table.
type Quotes struct{}

// Cache is the [cache] table.
type Cache struct {
	Memcached []string `toml:"memcached"` // host:port of each server of the pool; empty: in process and on disk
}

// Store is the [store] table.
type Store struct {
	DSN string `toml:"dsn"` // "postgres://..."; empty: SQLite in the state folder
}
