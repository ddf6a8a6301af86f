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
