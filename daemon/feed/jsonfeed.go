package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// jsonItem is an item of JSON Feed 1.0 and 1.1 (jsonfeed.org). Fields that
// publishers get wrong are loose.
type jsonItem struct {
	ID            looseString   `json:"id"`
	URL           looseString   `json:"url"`
	ExternalURL   looseString   `json:"external_url"`
	Title         looseString   `json:"title"`
	ContentHTML   looseString   `json:"content_html"`
	ContentText   looseString   `json:"content_text"`
	Summary       looseString   `json:"summary"`
	DatePublished looseString   `json:"date_published"`
	DateModified  looseString   `json:"date_modified"`
	Author        jsonPerson    `json:"author"`
	Authors       []jsonPerson  `json:"authors"`
	Tags          []looseString `json:"tags"`
	Attachments   []struct {
		URL  looseString `json:"url"`
		Type looseString `json:"mime_type"`
		Size float64     `json:"size_in_bytes"`
	} `json:"attachments"`
}

type jsonPerson struct {
	Name looseString `json:"name"`
}

// looseString is a string or a number; anything else is nothing.
type looseString string

// UnmarshalJSON implements json.Unmarshaler. It never fails: one wrong field does
// not lose an item.
func (s *looseString) UnmarshalJSON(b []byte) error {
	var v string
	if json.Unmarshal(b, &v) == nil {
		*s = looseString(v)
	} else if len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9') {
		*s = looseString(b)
	}
	return nil
}

// parseJSON reads a document key by key and item by item, so that neither a bad
// item nor a million of them matters.
func parseJSON(body []byte, base string) (*Document, error) {
	d := &Document{}
	dec := json.NewDecoder(bytes.NewReader(body))
	from := parseBase(base)
	dropped := 0
	fail := func(err error) (*Document, error) {
		// What was read of a feed before the fault is kept.
		if d.Format != "" && len(d.Items) > 0 {
			what := "the document is cut short or broken: "
			if errors.Is(err, errEnough) {
				what = ""
			}
			d.Problems = append(d.Problems, what+err.Error())
			return d, nil
		}
		return nil, fmt.Errorf("%w: %w", ErrNotFeed, err)
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	for keys := 0; dec.More(); keys++ {
		key, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		if keys == maxJSONKeys {
			return fail(errors.New("it has too many keys"))
		}
		if key == "items" {
			if n, err := jsonItems(dec, d, from); err != nil {
				return fail(err)
			} else {
				dropped += n
			}
			continue
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fail(err)
		}
		var s looseString
		_ = s.UnmarshalJSON(raw)
		switch key {
		case "version":
			if _, v, ok := strings.Cut(string(s), "jsonfeed.org/version/"); ok {
				d.Format = "JSON Feed " + oneLine(v, 16)
			}
		case "title":
			d.Title = oneLine(string(s), maxTitle)
		case "home_page_url":
			d.Link = against(from, string(s), maxAddress)
		case "description":
			d.Description = oneLine(string(s), maxSummary)
		case "language":
			d.Language = language(string(s))
		}
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	if d.Format == "" {
		return nil, fmt.Errorf("%w: it has no version", ErrNotFeed)
	}
	if dropped > 0 {
		d.Problems = append(d.Problems, strconv.Itoa(dropped)+" items were left out, empty, wrong or beyond "+strconv.Itoa(maxItems))
	}
	return d, nil
}

// maxJSONItem bounds one item, bytes: a list within it costs ten times its text.
const maxJSONItem = 512 << 10

// Bounds on the time that a list of nothing takes.
const (
	maxJSONDropped = 5000
	maxJSONKeys    = 1000
)

var errEnough = errors.New("there are more items than are kept")

func jsonItems(dec *json.Decoder, d *Document, base *url.URL) (dropped int, err error) {
	open, err := dec.Token()
	if err != nil {
		return 0, err
	}
	if open != json.Delim('[') {
		return 0, errors.New("items is no list")
	}
	var raw json.RawMessage
	for dec.More() {
		raw = raw[:0]
		if err := dec.Decode(&raw); err != nil {
			return dropped, err
		}
		if len(d.Items) >= maxItems && d.Format != "" || dropped > maxJSONDropped {
			return dropped, errEnough
		}
		if len(d.Items) >= maxItems || len(raw) > maxJSONItem {
			dropped++
			continue
		}
		var j jsonItem
		if json.Unmarshal(raw, &j) != nil && j.ID == "" && j.Title == "" {
			dropped++
			continue
		}
		if it := j.item(base); it.finish() {
			d.Items = append(d.Items, it)
		} else {
			dropped++
		}
	}
	_, err = dec.Token()
	return dropped, err
}

func (j *jsonItem) item(base *url.URL) Item {
	it := Item{
		ID:      oneLine(string(j.ID), maxMagnet),
		Title:   plainText(string(j.Title), maxTitle),
		Link:    against(base, string(j.URL), maxMagnet),
		Summary: oneLine(string(j.Summary), maxSummary),
		Author:  oneLine(string(j.Author.Name), maxName),
	}
	if it.Link == "" {
		it.Link = against(base, string(j.ExternalURL), maxMagnet)
	}
	if it.Summary == "" {
		it.Summary = oneLine(string(j.ContentText), maxSummary)
	}
	if it.Summary == "" {
		it.Summary = plainText(string(j.ContentHTML), maxSummary)
	}
	for _, a := range j.Authors {
		if it.Author == "" {
			it.Author = oneLine(string(a.Name), maxName)
		}
	}
	it.Published, _ = parseDate(string(j.DatePublished))
	it.Updated, _ = parseDate(string(j.DateModified))
	if it.Published.IsZero() {
		it.Published = it.Updated
	}
	for _, t := range j.Tags {
		if s := oneLine(string(t), maxName); s != "" && len(it.Categories) < maxLists {
			it.Categories = append(it.Categories, s)
		}
	}
	for _, a := range j.Attachments {
		if link := against(base, string(a.URL), maxMagnet); link != "" && len(it.Enclosures) < maxLists {
			it.Enclosures = append(it.Enclosures, Enclosure{URL: link, Type: oneLine(string(a.Type), 100), Length: int64(min(max(a.Size, 0), 1<<50))})
		}
	}
	return it
}
