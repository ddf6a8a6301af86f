package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Feed is the [feed] table.
type Feed struct {
	Sources      []FeedSource `toml:"source"`                    // [[feed.source]]
	Interval     Duration     `toml:"interval" allow:"1m..168h"` // between two polls of a feed that names no other
	AllowPrivate []string     `toml:"allow-private"`             // hosts on private networks that may be fetched
}

// FeedSource is one [[feed.source]].
type FeedSource struct {
	Name string `toml:"name"`
	URL  string `toml:"url"`
}

func defaultFeed() Feed { return Feed{Interval: Duration(time.Hour)} }

func (f Feed) check(bad func(key, found, allowed string)) {
	seen := map[string]int{}
	for i, s := range f.Sources {
		at := fmt.Sprintf("source[%d]", i)
		if strings.TrimSpace(s.Name) == "" {
			bad(at+".name", "no name", "give the source a name, under which its headlines are shown")
		} else if first, ok := seen[s.Name]; ok {
			bad(at+".name", fmt.Sprintf("%q is the name of source[%d] already", s.Name, first), "give each source its own name")
		} else {
			seen[s.Name] = i
		}
		if s.URL == "" {
			bad(at+".url", "no address", "write the feed's address, such as \"https://example.org/releases.atom\"")
		} else if u, err := url.Parse(s.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			bad(at+".url", fmt.Sprintf("found %q", s.URL), "write an http:// or https:// address, such as \"https://example.org/releases.atom\"")
		} else if u.User != nil {
			// It would stand in logs, pages and errors.
			bad(at+".url", "the address carries a user name or password", "feeds are fetched without one: leave it away")
		}
	}
	for i, h := range f.AllowPrivate {
		_, notAddr := netip.ParseAddr(h)
		_, notNet := netip.ParsePrefix(h)
		if notAddr != nil && notNet != nil && !isHostname(h) {
			bad(fmt.Sprintf("allow-private[%d]", i), fmt.Sprintf("found %q", h), "write a name, an address or a network, such as \"nas.lan\", \"192.168.1.5\" or \"192.168.1.0/24\"")
		}
	}
}

// Quotes is the [quotes] table.
type Quotes struct{}

// Cache is the [cache] table.
type Cache struct {
	Memcached []string `toml:"memcached"` // host:port of each server of the pool; empty: in process and on disk
}

func (c Cache) check(bad func(key, found, allowed string)) {
	for i, s := range c.Memcached {
		if !isHostPort(s) {
			bad(fmt.Sprintf("memcached[%d]", i), fmt.Sprintf("found %q", s), "write a server's name and port, such as \"cache.lan:11211\"")
		}
	}
}

// Store is the [store] table.
type Store struct {
	DSN string `toml:"dsn" secret:"true"` // "postgres://..."; empty: SQLite in the state folder
}

func (s Store) check(bad func(key, found, allowed string)) {
	if s.DSN == "" {
		return
	}
	if u, err := url.Parse(s.DSN); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		bad("dsn", "found something else than an address of PostgreSQL (not shown, for it may hold a password)", "write \"postgres://user:password@host/database\", or \"\" for SQLite in the state folder")
	}
}
