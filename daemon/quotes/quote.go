package quotes

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Quote is one quote as the API shows it.
type Quote struct {
	ID     int64     `json:"id"`
	Text   string    `json:"text"`   // plain text; line breaks are kept
	Author string    `json:"author"` // "" where unknown
	Source string    `json:"source"` // the work it is from, or the collection it came by
	Added  time.Time `json:"added"`  // UTC, to the millisecond; by this machine's clock
}

// Item is a quote on its way in.
type Item struct {
	Text, Author, Source string
	Tags                 []string
	Added                time.Time // zero: now
}

// The limits of a quote, in bytes.
const (
	maxText = 20_000
	maxName = 300
	maxTag  = 60
	maxTags = 20
)

// clean brings an item into the form that is stored and says why it cannot be.
func (it Item) clean() (Item, string) {
	it.Text = outdented(cleanText(it.Text))
	it.Author = cleanLine(it.Author)
	it.Source = cleanLine(it.Source)
	switch {
	case it.Text == "":
		return it, "empty"
	case len(it.Text) > maxText:
		return it, "longer than 20,000 bytes"
	case len(it.Author) > maxName:
		return it, "the author is longer than 300 bytes"
	case len(it.Source) > maxName:
		return it, "the source is longer than 300 bytes"
	}
	it.Tags = cleanTags(it.Tags)
	return it, ""
}

// cleanTags folds tags to lower case, drops empty, overlong and repeated ones and
// keeps the first 20.
func cleanTags(tags []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range tags {
		t = strings.ToLower(strings.TrimPrefix(cleanLine(t), "#"))
		if t == "" || len(t) > maxTag || seen[t] || len(out) == maxTags {
			continue
		}
		seen[t] = true
		out = append(out, t)
	}
	return out
}

// key identifies a text regardless of case, accents, punctuation and spaces.
func key(text string) []byte {
	var b strings.Builder
	for _, t := range tokens(text) {
		b.WriteString(t.word)
	}
	if b.Len() == 0 { // nothing but punctuation: only the very same text is the same
		b.WriteString("=" + text)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return sum[:16]
}

// The kinds of facet that searches can be narrowed to.
const (
	facetAuthor = 'a'
	facetSource = 's'
	facetTag    = 't'
	facetLength = 'l'
)

// facetToken is the word that stands for a facet in the index.
func facetToken(kind byte, folded string) string {
	if kind == facetLength {
		return "l" + folded
	}
	sum := sha256.Sum256([]byte(folded))
	return string(kind) + hex.EncodeToString(sum[:8])
}

// Length is a class of lengths, to filter by.
type Length string

// The classes: a text of at most 100 bytes, of at most 300, and longer.
const (
	Short  Length = "short"
	Medium Length = "medium"
	Long   Length = "long"
)

func lengthOf(text string) Length {
	switch n := len(text); {
	case n <= 100:
		return Short
	case n <= 300:
		return Medium
	}
	return Long
}
