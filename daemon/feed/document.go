package feed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sierpi/sierpi/daemon/fetch"
)

// Limits of one document; what is beyond is left out and noted in Problems.
const (
	maxBody     = 4 << 20
	maxItems    = 500
	maxDepth    = 64
	maxTitle    = 500  // bytes, as all below
	maxSummary  = 600  // shown under a title
	maxName     = 200  // an author, a category
	maxAddress  = 2048 // a link
	maxMagnet   = 4096 // a magnet link lists its trackers
	maxLists    = 16   // categories, enclosures
	maxIDLength = 512
)

// Document is what one address served, whatever its format.
type Document struct {
	Format      string // "RSS 2.0", "Atom 1.0", "JSON Feed 1.1"
	Title       string
	Link        string // the page the feed belongs to
	Description string
	Language    string
	Updated     time.Time
	Hints       fetch.Hints
	Items       []Item
	Problems    []string // what was left out or guessed, for the owner
}

// Item is one entry of a document. All texts are plain text on one line.
type Item struct {
	ID         string      `json:"id"`
	Title      string      `json:"title"`
	Link       string      `json:"link,omitzero"`
	Summary    string      `json:"summary,omitzero"`
	Author     string      `json:"author,omitzero"`
	Categories []string    `json:"categories,omitempty"`
	Published  time.Time   `json:"published,omitzero"`
	Updated    time.Time   `json:"updated,omitzero"`
	Enclosures []Enclosure `json:"enclosures,omitempty"`
	Torrent    *Torrent    `json:"torrent,omitempty"`
}

// Enclosure is a file that belongs to an item.
type Enclosure struct {
	URL    string `json:"url"`
	Type   string `json:"type,omitzero"`
	Length int64  `json:"length,omitzero"` // bytes, as the publisher says
}

// Torrent is what the feed tells of a torrent.
type Torrent struct {
	Magnet   string `json:"magnet,omitzero"`
	InfoHash string `json:"infoHash,omitzero"` // lower-case hex
	Size     int64  `json:"size,omitzero"`     // bytes
	Seeders  int    `json:"seeders,omitzero"`
	Leechers int    `json:"leechers,omitzero"`
}

// ErrNotFeed says that a document is none of the formats.
var ErrNotFeed = errors.New("this is no RSS, Atom or JSON Feed")

// ErrHTML says that a web page came where a feed was expected: a wrong address, or
// a network that wants one to log in first.
var ErrHTML = errors.New("a web page came instead of a feed: check the address, or log in to the network if it asks for it")

// Parse reads a document. base is the address it came from, against which
// relative links are resolved.
func Parse(body []byte, contentType, base string) (*Document, error) {
	if len(body) > maxBody {
		return nil, fetch.ErrTooLarge
	}
	body = toUTF8(body, contentType)
	front := bytes.TrimLeft(body, " \t\r\n\x00")
	if len(front) == 0 {
		return nil, errors.New("the document is empty")
	}
	if front[0] == '{' {
		return parseJSON(front, base)
	}
	return parseXML(front, base)
}

// finish brings an item into the form that is kept. It reports whether the item
// says anything at all.
func (it *Item) finish() bool {
	if it.Title == "" {
		it.Title = oneLine(it.Summary, 120)
	}
	if it.Title == "" && it.Link != "" {
		it.Title = it.Link
	}
	if it.Title == "" {
		if len(it.Enclosures) == 0 && it.ID == "" && it.Published.IsZero() && it.Author == "" && len(it.Categories) == 0 {
			return false
		}
		it.Title = "Untitled"
	}
	if it.ID == "" {
		it.ID = it.Link
	}
	if it.ID == "" || len(it.ID) > maxIDLength {
		sum := sha256.Sum256([]byte(it.ID + "\x00" + it.Title + "\x00" + it.Published.Format(time.RFC3339)))
		it.ID = hex.EncodeToString(sum[:12])
	}
	it.findTorrent()
	return true
}

// findTorrent finds the magnet link wherever publishers put it.
func (it *Item) findTorrent() {
	t := it.Torrent
	if t == nil {
		t = &Torrent{}
	}
	if t.Magnet == "" && strings.HasPrefix(it.Link, "magnet:") {
		t.Magnet = it.Link
	}
	for _, e := range it.Enclosures {
		if t.Magnet == "" && strings.HasPrefix(e.URL, "magnet:") {
			t.Magnet = e.URL
		}
		if t.Size == 0 && e.Type == "application/x-bittorrent" && e.Length > 1<<20 {
			t.Size = e.Length // many give the content's size, not the torrent file's
		}
	}
	if t.InfoHash == "" && t.Magnet != "" {
		t.InfoHash = magnetHash(t.Magnet)
	}
	if *t != (Torrent{}) {
		it.Torrent = t
	}
}

// magnetHash is the BitTorrent hash of a magnet link in hex, "" if it has none.
func magnetHash(magnet string) string {
	u, err := url.Parse(magnet)
	if err != nil {
		return ""
	}
	for _, xt := range u.Query()["xt"] {
		if h, ok := strings.CutPrefix(xt, "urn:btih:"); ok {
			return infoHash(h)
		}
	}
	return ""
}

// infoHash normalises a hash in hex or base 32; what is neither is "".
func infoHash(h string) string {
	h = strings.TrimSpace(h)
	if len(h) == 32 {
		h = fromBase32(h)
	}
	if b, err := hex.DecodeString(h); err != nil || len(b) != 20 {
		return ""
	}
	return strings.ToLower(h)
}

// baseOf is what a document's relative links are resolved against: the address it
// came from, or the one it says it is (RFC 9110 section 8.7).
func baseOf(address string, h http.Header) string {
	return cmp.Or(against(parseBase(address), h.Get("Content-Location"), maxAddress), address)
}

// parseBase is the address a document came from, nil if it is none.
func parseBase(base string) *url.URL {
	u, err := url.Parse(base)
	if err != nil || !u.IsAbs() {
		return nil
	}
	return u
}

// against is an address resolved against base, "" unless it can be followed
// safely: anything but http, https and magnet is dropped, javascript: above all.
func against(base *url.URL, ref string, limit int) string {
	ref = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, strings.TrimSpace(ref))
	if ref == "" || len(ref) > limit {
		return ""
	}
	if strings.HasPrefix(ref, "magnet:?") {
		return ref
	}
	u, err := url.Parse(ref)
	if err != nil {
		// A stray "%" or a space: what comes first still tells what it is.
		if strings.HasPrefix(ref, "http://") || strings.HasPrefix(ref, "https://") {
			return strings.ReplaceAll(strings.ReplaceAll(ref, " ", "%20"), "\"", "%22")
		}
		return ""
	}
	if !u.IsAbs() {
		if base == nil {
			return ""
		}
		u = base.ResolveReference(u)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}
