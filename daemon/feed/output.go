package feed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxOut is how many rows our own feeds have.
const maxOut = 200

// format writes rows as a feed of our own.
type format struct {
	contentType []string // one header value
	write       func(o *out) ([]byte, error)
}

// out is what a format writes.
type out struct {
	base  string // "http://sierpi.local"
	self  string // the feed's own address
	rows  []row
	list  []status
	stale bool
	made  time.Time // when the rows changed last
}

var (
	jsonFeed = &format{[]string{"application/feed+json; charset=utf-8"}, writeJSON}
	rssFeed  = &format{[]string{"application/rss+xml; charset=utf-8"}, writeRSS}
	atomFeed = &format{[]string{"application/atom+xml; charset=utf-8"}, writeAtom}
	calendar = &format{[]string{"text/calendar; charset=utf-8"}, writeCalendar}
)

const (
	ourTitle       = "sierpi feed"
	ourDescription = "What the configured feeds bring, newest first."
)

// uuid is a row's identity for ever: RFC 9562's version 8, of a hash.
func (r *row) uuid() string {
	b := sha256.Sum256([]byte(r.id))
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// text is a row's content: the releases of an episode, or the summary.
func (r *row) text() string {
	if r.Mark == "" {
		return cmp.Or(r.Items[0].Summary, r.Title)
	}
	var b strings.Builder
	for i, it := range r.Items {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(it.Title + " (" + it.Source + ")")
	}
	return b.String()
}

// link is where a row leads: the newest item's page, else ours.
func (o *out) link(r *row) string {
	for _, it := range r.Items {
		if strings.HasPrefix(it.Link, "http") {
			return it.Link
		}
	}
	return o.base + "/feed"
}

// JSON Feed 1.1, https://jsonfeed.org/version/1.1, with what it has no field for
// under _sierpi.
type outFeed struct {
	Version     string    `json:"version"`
	Title       string    `json:"title"`
	HomePage    string    `json:"home_page_url"`
	FeedURL     string    `json:"feed_url"`
	Description string    `json:"description"`
	Sierpi      outState  `json:"_sierpi"`
	Items       []outItem `json:"items"`
}

type outState struct {
	Stale   bool        `json:"stale"`
	Sources []outSource `json:"sources"`
}

type outSource struct {
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Items   int       `json:"items"`
	Fetched time.Time `json:"fetched,omitzero"`
	Next    time.Time `json:"next_poll,omitzero"`
	Reason  string    `json:"reason,omitzero"` // why not sooner
	Stale   string    `json:"stale,omitzero"`  // why the copy is older than it should be
	Error   string    `json:"error,omitzero"`
}

type outItem struct {
	ID            string          `json:"id"`
	URL           string          `json:"url,omitzero"`
	Title         string          `json:"title,omitzero"`
	ContentText   string          `json:"content_text"`
	DatePublished string          `json:"date_published,omitzero"`
	DateModified  string          `json:"date_modified,omitzero"`
	Authors       []outAuthor     `json:"authors,omitempty"`
	Tags          []string        `json:"tags,omitempty"`
	Attachments   []outAttachment `json:"attachments,omitempty"`
	Sierpi        outExtra        `json:"_sierpi"`
}

type outAuthor struct {
	Name string `json:"name"`
}

type outAttachment struct {
	URL  string `json:"url"`
	Type string `json:"mime_type"`
	Size int64  `json:"size_in_bytes,omitzero"`
}

type outExtra struct {
	Seq      uint64       `json:"seq"`
	Source   string       `json:"source"`
	Mark     string       `json:"mark,omitzero"` // "S02E03"
	Releases []outRelease `json:"releases,omitempty"`
}

type outRelease struct {
	Title   string   `json:"title"`
	URL     string   `json:"url,omitzero"`
	Source  string   `json:"source"`
	Release *Release `json:"release"`
	Torrent *Torrent `json:"torrent,omitempty"`
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func writeJSON(o *out) ([]byte, error) {
	f := outFeed{
		Version: "https://jsonfeed.org/version/1.1", Title: ourTitle, HomePage: o.base + "/feed", FeedURL: o.self,
		Description: ourDescription, Sierpi: outState{Stale: o.stale, Sources: []outSource{}}, Items: []outItem{},
	}
	for _, st := range o.list {
		f.Sierpi.Sources = append(f.Sierpi.Sources, outSource{
			Name: st.Name, URL: st.URL, Items: st.Items, Fetched: st.Fetched.UTC().Round(time.Second), Next: st.Asked.UTC().Round(time.Second),
			Reason: st.Reason, Stale: st.Stale, Error: st.Error,
		})
	}
	for i := range o.rows {
		f.Items = append(f.Items, o.rows[i].json())
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(f)
	return b.Bytes(), err
}

func (r *row) json() outItem {
	first := r.Items[0]
	it := outItem{
		ID: r.uuid(), URL: first.Link, Title: r.Title, ContentText: r.text(), Tags: first.Categories,
		DatePublished: rfc3339(r.When), DateModified: rfc3339(first.Updated),
		Sierpi: outExtra{Seq: r.Seq, Source: first.Source, Mark: r.Mark},
	}
	if first.Author != "" {
		it.Authors = []outAuthor{{first.Author}}
	}
	for _, e := range r.Items {
		for _, a := range e.Enclosures {
			it.Attachments = append(it.Attachments, outAttachment{a.URL, cmp.Or(a.Type, "application/octet-stream"), a.Length})
		}
		if e.release != nil {
			it.Sierpi.Releases = append(it.Sierpi.Releases, outRelease{e.Title, e.Link, e.Source, e.release, e.Torrent})
		}
	}
	return it
}

// RSS 2.0.11, https://www.rssboard.org/rss-specification.
type outRSS struct {
	XMLName xml.Name `xml:"rss"`
	Version string   `xml:"version,attr"`
	Atom    string   `xml:"xmlns:atom,attr"`
	Channel struct {
		Title         string       `xml:"title"`
		Link          string       `xml:"link"`
		Description   string       `xml:"description"`
		LastBuildDate string       `xml:"lastBuildDate"`
		TTL           int          `xml:"ttl"` // minutes
		Self          atomLink     `xml:"atom:link"`
		Items         []outRSSItem `xml:"item"`
	} `xml:"channel"`
}

type outRSSItem struct {
	Title       string     `xml:"title"`
	Link        string     `xml:"link"`
	Description string     `xml:"description"`
	GUID        outRSSGUID `xml:"guid"`
	PubDate     string     `xml:"pubDate,omitempty"`
	Categories  []string   `xml:"category"`
}

type outRSSGUID struct {
	PermaLink bool   `xml:"isPermaLink,attr"`
	ID        string `xml:",chardata"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
	Type string `xml:"type,attr,omitempty"`
}

const rfc822 = "Mon, 02 Jan 2006 15:04:05 -0700"

func writeRSS(o *out) ([]byte, error) {
	f := outRSS{Version: "2.0", Atom: "http://www.w3.org/2005/Atom"}
	c := &f.Channel
	c.Title, c.Link, c.Description, c.TTL = ourTitle, o.base+"/feed", ourDescription, 30
	c.LastBuildDate = o.made.UTC().Format(rfc822)
	c.Self = atomLink{"self", o.self, "application/rss+xml"}
	for i := range o.rows {
		r := &o.rows[i]
		it := outRSSItem{
			Title: r.Title, Link: o.link(r), GUID: outRSSGUID{false, r.uuid()}, Categories: r.Items[0].Categories,
			// A description is HTML: plain text is escaped once more.
			Description: strings.ReplaceAll(escape(r.text()), "\n", "<br>\n"),
		}
		if !r.When.IsZero() {
			it.PubDate = r.When.UTC().Format(rfc822)
		}
		c.Items = append(c.Items, it)
	}
	return marshalXML(f)
}

// Atom, RFC 4287.
type outAtom struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Sub     string      `xml:"subtitle"`
	Updated string      `xml:"updated"`
	Links   []atomLink  `xml:"link"`
	Author  outAuthorX  `xml:"author"`
	Entries []atomEntry `xml:"entry"`
}

type outAuthorX struct {
	Name string `xml:"name"`
}

type atomEntry struct {
	ID         string         `xml:"id"`
	Title      string         `xml:"title"`
	Link       atomLink       `xml:"link"`
	Updated    string         `xml:"updated"`
	Published  string         `xml:"published,omitempty"`
	Author     *outAuthorX    `xml:"author"`
	Categories []atomCategory `xml:"category"`
	Content    atomText       `xml:"content"`
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

func writeAtom(o *out) ([]byte, error) {
	f := outAtom{
		ID: o.self, Title: ourTitle, Sub: ourDescription, Updated: rfc3339(o.made), Author: outAuthorX{"sierpi"},
		Links: []atomLink{{"self", o.self, "application/atom+xml"}, {"alternate", o.base + "/feed", "text/html"}},
	}
	for i := range o.rows {
		r := &o.rows[i]
		first := r.Items[0]
		e := atomEntry{
			ID: r.uuid(), Title: r.Title, Link: atomLink{Rel: "alternate", Href: o.link(r)}, Published: rfc3339(r.When),
			Updated: cmp.Or(rfc3339(first.Updated), rfc3339(r.When), rfc3339(o.made)), Content: atomText{"text", r.text()},
		}
		if first.Author != "" {
			e.Author = &outAuthorX{first.Author}
		}
		for _, c := range first.Categories {
			e.Categories = append(e.Categories, atomCategory{c})
		}
		f.Entries = append(f.Entries, e)
	}
	return marshalXML(f)
}

func marshalXML(v any) ([]byte, error) {
	b, err := xml.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// writeCalendar writes what aired as RFC 5545: an all-day event an episode, on the
// day its name gives or its first release came.
func writeCalendar(o *out) ([]byte, error) {
	var b bytes.Buffer
	line := func(s string) { foldLine(&b, s) }
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//sierpi//feed//EN")
	line("CALSCALE:GREGORIAN")
	line("NAME:sierpi: what aired")
	line("X-WR-CALNAME:sierpi: what aired") // for those who do not know RFC 7986
	line("REFRESH-INTERVAL;VALUE=DURATION:PT1H")
	for i := range o.rows {
		r := &o.rows[i]
		if r.Mark == "" {
			continue
		}
		day := r.Items[len(r.Items)-1].When()
		if rel := r.Items[0].release; rel.Date != "" {
			if t, err := time.Parse(time.DateOnly, rel.Date); err == nil {
				day = t
			}
		}
		if day.IsZero() {
			continue // it has no date, and the clock was not set when it came
		}
		line("BEGIN:VEVENT")
		line("UID:" + strings.TrimPrefix(r.uuid(), "urn:uuid:") + "@sierpi")
		line("DTSTAMP:" + o.made.UTC().Format("20060102T150405Z"))
		line("DTSTART;VALUE=DATE:" + day.UTC().Format("20060102"))
		line("SUMMARY:" + calendarText(r.Title))
		line("DESCRIPTION:" + calendarText(r.text()))
		line("URL:" + o.link(r))
		line("TRANSP:TRANSPARENT")
		line("END:VEVENT")
	}
	line("END:VCALENDAR")
	return b.Bytes(), nil
}

func calendarText(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
}

// foldLine writes a line in pieces of at most 75 octets, between characters.
func foldLine(b *bytes.Buffer, s string) {
	limit := 75
	for len(s) > limit {
		cut := limit
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		b.WriteString(s[:cut] + "\r\n ")
		s = s[cut:]
		limit = 74 // the space counts
	}
	b.WriteString(s + "\r\n")
}
