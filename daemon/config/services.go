package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
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
		checkAddress(s.URL, "https://example.org/releases.atom", func(found, allowed string) { bad(at+".url", found, allowed) })
	}
	checkPrivate(f.AllowPrivate, bad)
}

// checkAddress minds an address that is fetched.
func checkAddress(address, example string, bad func(found, allowed string)) {
	if address == "" {
		bad("no address", fmt.Sprintf("write the address, such as %q", example))
	} else if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		bad(fmt.Sprintf("found %q", address), fmt.Sprintf("write an http:// or https:// address, such as %q", example))
	} else if u.User != nil {
		// It would stand in logs, pages and errors.
		bad("the address carries a user name or password", "it is fetched without one: leave it away")
	}
}

// checkPrivate minds an allow-private list.
func checkPrivate(hosts []string, bad func(key, found, allowed string)) {
	for i, h := range hosts {
		_, notAddr := netip.ParseAddr(h)
		_, notNet := netip.ParsePrefix(h)
		if notAddr != nil && notNet != nil && !isHostname(h) {
			bad(fmt.Sprintf("allow-private[%d]", i), fmt.Sprintf("found %q", h), "write a name, an address or a network, such as \"nas.lan\", \"192.168.1.5\" or \"192.168.1.0/24\"")
		}
	}
}

// Quotes is the [quotes] table.
type Quotes struct {
	Pages        []QuotesPage `toml:"page"`          // [[quotes.page]]: where quotes are collected, once an hour
	AllowPrivate []string     `toml:"allow-private"` // hosts on private networks that may be collected from
}

// QuotesPage is one [[quotes.page]].
type QuotesPage struct {
	Name     string `toml:"name"`     // kept with its quotes as their source; empty: the host
	URL      string `toml:"url"`      // of the page
	Selector string `toml:"selector"` // CSS, of the elements that hold a quote each; empty: a footer's blockquote
}

func (q Quotes) check(bad func(key, found, allowed string)) {
	for i, p := range q.Pages {
		checkAddress(p.URL, "https://example.org/", func(found, allowed string) { bad(fmt.Sprintf("page[%d].url", i), found, allowed) })
	}
	checkPrivate(q.AllowPrivate, bad)
}

// Chat is the [chat] table.
type Chat struct {
	Rooms    []string `toml:"rooms"`                     // made at the start beside the lobby
	Keep     int      `toml:"keep" allow:"100..100000"`  // messages a room, 1000
	Waiters  int      `toml:"waiters" allow:"10..20000"` // browsers that may wait for news at a time, 2000
	Burst    int      `toml:"burst" allow:"1..1000"`     // messages that one address may send at once, 10
	Interval Duration `toml:"interval" allow:"10ms..1h"` // and then one in each, 2s
}

func defaultChat() Chat {
	return Chat{Keep: 1000, Waiters: 2000, Burst: 10, Interval: Duration(2 * time.Second)}
}

var roomName = newPattern(`^[a-z0-9][a-z0-9-]{0,31}$`)

func (c Chat) check(bad func(key, found, allowed string)) {
	if len(c.Rooms) > 50 {
		bad("rooms", fmt.Sprintf("found %d rooms", len(c.Rooms)), "name at most 50")
	}
	for i, name := range c.Rooms {
		if !roomName.matches(name) {
			bad(fmt.Sprintf("rooms[%d]", i), fmt.Sprintf("found %q", name), "use up to 32 small letters, digits and hyphens, such as \"kitchen\"")
		}
	}
}

// Cutout is the [cutout] table.
type Cutout struct {
	Memory string `toml:"memory"` // that pictures may take together, see ParseSize
}

func defaultCutout() Cutout { return Cutout{Memory: "min(ram/4, 512MiB)"} }

func (c Cutout) check(bad func(key, found, allowed string)) {
	if _, err := ParseSize(c.Memory); err != nil {
		bad("memory", fmt.Sprintf("found the string %q", c.Memory), sizeHelp)
	}
}

// Cache is the [cache] table.
type Cache struct {
	Layers    []string `toml:"layers" allow:"memory|disk|memcached"` // several at once, the quickest first; empty: memory, disk, and memcached where servers are named
	Memory    string   `toml:"memory"`                               // of copies in process at most, see ParseSize
	Disk      string   `toml:"disk"`                                 // of copies on disk at most
	Memcached []string `toml:"memcached"`                            // host:port of each server of the pool
	Timeout   Duration `toml:"timeout" allow:"20ms..10s"`            // of one call to memcached
}

func defaultCache() Cache {
	return Cache{Memory: "8MiB", Disk: "64MiB", Timeout: Duration(time.Second)}
}

func (c Cache) check(bad func(key, found, allowed string)) {
	for i, s := range c.Memcached {
		if !isHostPort(s) {
			bad(fmt.Sprintf("memcached[%d]", i), fmt.Sprintf("found %q", s), "write a server's name and port, such as \"cache.lan:11211\"")
		}
	}
	for i, l := range c.Layers {
		switch {
		case slices.Contains(c.Layers[:i], l):
			bad(fmt.Sprintf("layers[%d]", i), fmt.Sprintf("%q is listed twice", l), "name each cache once")
		case l == "memcached" && len(c.Memcached) == 0:
			bad(fmt.Sprintf("layers[%d]", i), "memcached without a server", "name the pool's servers: memcached = [\"cache.lan:11211\"]")
		}
	}
	for key, size := range map[string]string{"memory": c.Memory, "disk": c.Disk} {
		if _, err := ParseSize(size); err != nil {
			bad(key, fmt.Sprintf("found the string %q", size), sizeHelp)
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
