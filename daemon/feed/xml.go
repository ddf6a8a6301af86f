package feed

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// vocabulary is the namespace an element belongs to, as far as it matters here.
type vocabulary uint8

const (
	vocUnknown vocabulary = iota
	vocPlain              // none, or RSS's own
	vocAtom
	vocRDF
	vocDC
	vocContent
	vocSyndication
	vocMedia
	vocITunes
	vocTorrent // ezRSS, Nyaa, Torznab, Newznab
	vocXHTML
	vocXML
)

// vocabularies by the front of the name's address, lower case, without scheme:
// publishers vary scheme, case and tail.
var vocabularies = []struct {
	prefix string
	voc    vocabulary
}{
	{"www.w3.org/2005/atom", vocAtom},
	{"purl.org/atom/ns", vocAtom},
	{"www.w3.org/1999/02/22-rdf-syntax-ns", vocRDF},
	{"purl.org/rss/1.0/modules/content", vocContent},
	{"purl.org/rss/1.0/modules/syndication", vocSyndication},
	{"purl.org/rss/1.0/modules", vocUnknown},
	{"purl.org/rss/1.0", vocPlain},
	{"my.netscape.com/rdf/simple/0.9", vocPlain},
	{"channel.netscape.com/rdf/simple/0.9", vocPlain},
	{"my.netscape.com/publish/formats/rss-0.91.dtd", vocPlain},
	{"backend.userland.com", vocPlain},
	{"blogs.law.harvard.edu/tech/rss", vocPlain},
	{"cyber.law.harvard.edu/rss", vocPlain},
	{"purl.org/net/rss1.1", vocPlain},
	{"purl.org/dc/", vocDC},
	{"search.yahoo.com/mrss", vocMedia},
	{"video.search.yahoo.com/mrss", vocMedia},
	{"www.itunes.com/dtd", vocITunes},
	{"xmlns.ezrss.it/0.1", vocTorrent},
	{"nyaa.si/xmlns/nyaa", vocTorrent},
	{"torznab.com/schemas/2015/feed", vocTorrent},
	{"www.newznab.com/dtd/2010/feeds/attributes", vocTorrent},
	{"www.w3.org/1999/xhtml", vocXHTML},
	{"www.w3.org/xml/1998/namespace", vocXML},
}

func vocabularyOf(address string) vocabulary {
	a := strings.ToLower(strings.TrimSpace(address))
	if a == "" {
		return vocPlain
	}
	a = strings.TrimPrefix(strings.TrimPrefix(a, "http://"), "https://")
	for _, v := range vocabularies {
		if strings.HasPrefix(a, v.prefix) {
			return v.voc
		}
	}
	if strings.HasSuffix(a, "/dtds/podcast-1.0.dtd") {
		return vocITunes // on hosts of the publishers' own
	}
	return vocUnknown
}

// conventional prefixes, for documents that forget to declare them.
var conventional = map[string]vocabulary{
	"atom": vocAtom, "a10": vocAtom, "atom10": vocAtom, "rdf": vocRDF, "dc": vocDC, "dcterms": vocDC, "content": vocContent,
	"sy": vocSyndication, "media": vocMedia, "itunes": vocITunes, "torrent": vocTorrent, "nyaa": vocTorrent,
	"torznab": vocTorrent, "newznab": vocTorrent, "xhtml": vocXHTML, "xml": vocXML, "rss": vocPlain,
}

// place is where in a document an element stands, which decides what its
// children mean.
type place uint8

const (
	inIgnored place = iota // and everything below
	inRoot
	inChannel
	inItem
	inPerson
	inSkips // skipHours, skipDays
	inText  // its text is being collected
)

// ending is what the end of an element completes.
type ending uint8

const (
	endsNothing ending = iota
	endsText
	endsItem
	endsPerson
)

// field is where a collected text goes.
type field uint8

const (
	noField field = iota
	fTitle
	fLink
	fID
	fSummary
	fContent
	fPublished
	fUpdated
	fAuthor
	fPersonName
	fPersonMail
	fCategory
	fLanguage
	fTTL
	fHour
	fDay
	fPeriod
	fFrequency
	fHash
	fMagnet
	fSize
	fSeeders
	fLeechers
)

// maxCollected bounds one text, markup included, of which far less is shown.
const maxCollected = 16 << 10

// frame is one open element.
type frame struct {
	place   place
	ends    ending
	unnamed vocabulary // of names without a prefix
	base    *url.URL
	name    []byte // as written, within the document
}

// xmlParser reads RSS of all versions and Atom in one pass, without recursion.
type xmlParser struct {
	scanner
	out     Document
	started bool // the root was seen
	strays  int  // elements before it

	frames   [maxDepth]frame
	depth    int // frames in use
	below    int // how much deeper than the frames the document is
	tooDeep  bool
	prefixes map[string]vocabulary
	local    [24]byte

	// The text being collected.
	field  field
	rank   int    // how good a source it is for the field
	kind   string // what it is: "text", "html", "xhtml", "base64" or "" for RSS's "who knows"
	from   int    // where it begins in the document
	nested bool   // it has markup of its own
	buf    []byte // unescaped

	// The open item, and how good what it has is.
	item    Item
	open    bool
	ranks   [fLeechers + 1]int
	content string // of the body, for want of a summary
	perma   bool   // an RSS guid that is a link
	torrent Torrent
	dropped int
	person  [2]string // name, mail

	// Of the channel.
	chRanks   [fLeechers + 1]int
	period    time.Duration
	frequency int
}

func parseXML(body []byte, base string) (*Document, error) {
	p := &xmlParser{scanner: scanner{doc: body}, frequency: 1}
	from := parseBase(base)
	for {
		switch p.next() {
		case markupEnd:
			return p.end()
		case markupText, markupCDATA:
			p.characters()
		case markupStart:
			if p.started {
				p.startElement()
			} else if err := p.startRoot(from); err != nil {
				return nil, err
			}
		case markupStop:
			p.stopElement()
		}
	}
}

// startRoot looks for the root among what may stand before it: warnings that the
// publisher's program printed, for instance.
func (p *xmlParser) startRoot(base *url.URL) error {
	p.frames[0] = frame{place: inRoot, unnamed: vocPlain, base: base, name: p.name}
	p.declarations(&p.frames[0])
	_, local := p.resolve(&p.frames[0])
	version, _ := p.attribute("version")
	version = oneLine(version, 16)
	switch local {
	case "rss":
		p.out.Format = strings.TrimSpace("RSS " + version)
	case "rdf":
		p.out.Format = "RSS 1.0"
		if bytes.Contains(p.attrs, []byte("/0.9/")) {
			p.out.Format = "RSS 0.90"
		}
	case "feed":
		p.out.Format = "Atom 1.0"
		if version != "" && version != "1.0" {
			p.out.Format = "Atom " + version
		}
		p.frames[0].place = inChannel
	case "channel":
		p.out.Format = "RSS"
		p.frames[0].place = inChannel
	case "html", "head", "body", "frameset":
		return ErrHTML
	default:
		if p.strays++; p.strays > 20 {
			return ErrNotFeed
		}
		return nil
	}
	if p.frames[0].unnamed == vocUnknown {
		// Somebody's own address for the format: the names still mean what they say.
		p.frames[0].unnamed = vocPlain
		if local == "feed" {
			p.frames[0].unnamed = vocAtom
		}
	}
	if lang, ok := p.attribute("xml:lang"); ok {
		p.out.Language = language(lang)
	}
	p.started = true
	p.depth = 1
	return nil
}

// language is a language tag as RFC 5646 writes it: "en_US" is met too.
func language(s string) string {
	return strings.ReplaceAll(oneLine(s, 40), "_", "-")
}

func (p *xmlParser) top() *frame { return &p.frames[p.depth-1] }

// declarations reads the namespaces and the base that a start tag sets. Prefixes
// are not scoped: no publisher gives one prefix two meanings.
func (p *xmlParser) declarations(f *frame) {
	if !bytes.Contains(p.attrs, []byte("xmlns")) && !bytes.Contains(p.attrs, []byte(":base")) {
		return
	}
	p.attributes(func(name, value []byte) bool {
		switch {
		case string(name) == "xmlns":
			f.unnamed = vocabularyOf(string(value))
		case bytes.HasPrefix(name, []byte("xmlns:")) && len(name) < 40 && len(p.prefixes) < 64:
			if p.prefixes == nil {
				p.prefixes = map[string]vocabulary{}
			}
			p.prefixes[string(name[len("xmlns:"):])] = vocabularyOf(string(value))
		case string(name) == "xml:base" && len(value) <= maxAddress:
			if u, err := url.Parse(string(appendUnescaped(nil, value))); err == nil {
				if f.base != nil {
					u = f.base.ResolveReference(u)
				}
				if u.IsAbs() {
					f.base = u
				}
			}
		}
		return true
	})
}

// resolve is what the current tag's name means: its vocabulary and its local part
// in lower case, which is "" if too long to mean anything.
func (p *xmlParser) resolve(f *frame) (vocabulary, string) {
	voc, local := f.unnamed, p.name
	if i := bytes.IndexByte(p.name, ':'); i >= 0 {
		prefix := p.name[:i]
		local = p.name[i+1:]
		var ok bool
		if voc, ok = p.prefixes[string(prefix)]; !ok {
			voc = conventional[strings.ToLower(string(prefix))]
		}
	}
	if len(local) > len(p.local) {
		return voc, ""
	}
	for i, c := range local {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		p.local[i] = c
	}
	return voc, names[string(p.local[:len(local)])]
}

// names holds the names that mean something, so that a name costs no allocation.
var names = func() map[string]string {
	m := map[string]string{}
	for _, n := range strings.Fields(`rss rdf feed channel html head body frameset item entry title link description subtitle
		tagline language pubdate lastbuilddate published issued created updated modified date ttl skiphours hour skipdays day
		updateperiod updatefrequency author creator contributor managingeditor name email guid id summary content encoded
		category subject enclosure comments source div infohash magneturi contentlength size seeds seeders peers leechers
		torrent attr group image textinput fullitem`) {
		m[n] = n
	}
	return m
}()

func (p *xmlParser) startElement() {
	if p.depth == maxDepth {
		if !p.empty {
			p.below++
		}
		p.tooDeep = true
		return
	}
	parent := p.top()
	p.depth++
	f := p.top()
	*f = frame{place: inIgnored, unnamed: parent.unnamed, base: parent.base, name: p.name}
	if p.field != noField {
		p.nested = true
		f.place = inText
	} else if parent.place != inIgnored || bytes.Contains(p.attrs, []byte("xmlns")) {
		p.declarations(f)
		voc, local := p.resolve(f)
		p.enter(parent.place, f, voc, local)
	}
	if p.empty {
		p.leave()
	}
}

// stopElement closes the nearest element of that name and what was left open in
// it; an end tag without a start is ignored.
func (p *xmlParser) stopElement() {
	if p.below > 0 {
		p.below--
		return
	}
	for i := p.depth - 1; i >= 0; i-- {
		if bytes.Equal(p.frames[i].name, p.name) {
			for p.depth > i {
				p.leave()
			}
			return
		}
	}
}

// enter decides what a new element is.
func (p *xmlParser) enter(parent place, f *frame, voc vocabulary, local string) {
	switch parent {
	case inRoot:
		switch local {
		case "channel":
			f.place = inChannel
		case "item":
			p.enterItem(f)
		}
	case inChannel:
		p.enterInChannel(f, voc, local)
	case inItem:
		p.enterInItem(f, voc, local)
	case inPerson:
		switch local {
		case "name":
			p.collect(f, fPersonName, 1)
		case "email":
			p.collect(f, fPersonMail, 1)
		}
	case inSkips:
		switch local {
		case "hour":
			p.collect(f, fHour, 1)
		case "day":
			p.collect(f, fDay, 1)
		}
	}
}

func (p *xmlParser) enterItem(f *frame) {
	if len(p.out.Items) >= maxItems {
		p.dropped++
		return
	}
	p.finishItem() // one whose end tag is missing
	p.open = true
	p.item = Item{}
	p.ranks = [fLeechers + 1]int{}
	p.content, p.perma, p.torrent = "", false, Torrent{}
	if about, ok := p.attribute("rdf:about"); ok {
		p.item.ID = oneLine(about, maxIDLength)
		if link := against(f.base, about, maxAddress); link != "" {
			p.item.Link = link
		}
	}
	f.place, f.ends = inItem, endsItem
}

func (p *xmlParser) enterInChannel(f *frame, voc vocabulary, local string) {
	plainOrAtom := voc == vocPlain || voc == vocAtom
	switch local {
	case "item", "entry":
		p.enterItem(f)
	case "title":
		if plainOrAtom || voc == vocDC {
			p.collect(f, fTitle, 1+b2i(plainOrAtom))
		}
	case "link":
		if href, ok := p.attribute("href"); ok {
			p.atomLink(f, href)
		} else if plainOrAtom {
			p.collect(f, fLink, 2)
		}
	case "description", "subtitle", "tagline", "summary":
		if voc != vocMedia {
			p.collect(f, fSummary, 1+b2i(plainOrAtom))
		}
	case "language":
		p.collect(f, fLanguage, 1)
	case "pubdate", "lastbuilddate", "updated", "modified", "date":
		p.collect(f, fUpdated, 1+b2i(local != "pubdate" && local != "date"))
	case "ttl":
		p.collect(f, fTTL, 1)
	case "skiphours", "skipdays":
		f.place = inSkips
	case "updateperiod":
		p.collect(f, fPeriod, 1)
	case "updatefrequency":
		p.collect(f, fFrequency, 1)
	}
}

// rank is how good a source an element is by its vocabulary, 0 for no source.
func rank(voc vocabulary, plain, atom, dc, itunes int) int {
	switch voc {
	case vocPlain:
		return plain
	case vocAtom:
		return atom
	case vocDC:
		return dc
	case vocITunes:
		return itunes
	}
	return 0
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *xmlParser) enterInItem(f *frame, voc vocabulary, local string) {
	switch voc {
	case vocTorrent:
		p.enterTorrent(f, local)
		return
	case vocMedia:
		switch local {
		case "group":
			f.place = inItem
		case "content":
			p.enclosure(f, "url", "fileSize")
			f.place = inItem // it may carry a title of its own
		case "title":
			p.collect(f, fTitle, 1)
		case "description":
			p.collect(f, fSummary, 1)
		case "category":
			p.collect(f, fCategory, 1)
		}
		return
	case vocXHTML:
		if local == "body" || local == "div" {
			p.collect(f, fContent, 1)
			p.kind = "xhtml"
		}
		return
	}
	own := voc == vocPlain || voc == vocAtom
	switch local {
	case "item", "entry":
		if own {
			p.enterItem(f) // the one before was not ended
		}
	case "title":
		p.collect(f, fTitle, rank(voc, 4, 4, 3, 2))
	case "link":
		if href, ok := p.attribute("href"); ok {
			p.atomLink(f, href)
		} else if own {
			p.collect(f, fLink, 4)
		}
	case "guid", "id":
		if own {
			perma, _ := p.attribute("isPermaLink")
			p.perma = local == "guid" && !strings.EqualFold(perma, "false")
			p.collect(f, fID, 1)
		}
	case "description", "summary":
		p.collect(f, fSummary, rank(voc, 4, 5, 3, 2))
	case "subtitle":
		p.collect(f, fSummary, 1)
	case "content":
		p.collect(f, fContent, 2)
	case "encoded", "body", "fullitem":
		p.collect(f, fContent, 2)
		p.kind = "html"
	case "pubdate", "published":
		p.collect(f, fPublished, 4)
	case "issued":
		p.collect(f, fPublished, 3)
	case "date", "created":
		p.collect(f, fPublished, 2)
	case "updated", "modified":
		p.collect(f, fUpdated, 2)
	case "author":
		if voc == vocAtom {
			p.person = [2]string{}
			f.place, f.ends = inPerson, endsPerson
		} else {
			p.collect(f, fAuthor, rank(voc, 2, 0, 2, 1))
		}
	case "creator":
		p.collect(f, fAuthor, 3)
	case "category":
		if term, ok := p.attribute("term"); ok {
			if label, ok := p.attribute("label"); ok && label != "" {
				term = label
			}
			p.category(term)
		} else if text, ok := p.attribute("text"); ok {
			p.category(text)
			f.place = inItem // iTunes puts the narrower ones inside
		} else {
			p.collect(f, fCategory, 1)
		}
	case "subject":
		p.collect(f, fCategory, 1)
	case "enclosure":
		p.enclosure(f, "url", "length")
		f.place = inItem // some never close it
	case "infohash", "magneturi", "contentlength", "seeds", "peers", "torrent":
		p.enterTorrent(f, local) // some leave the namespace out
	}
}

func (p *xmlParser) enterTorrent(f *frame, local string) {
	switch local {
	case "torrent":
		f.place = inItem
	case "infohash":
		p.collect(f, fHash, 1)
	case "magneturi":
		p.collect(f, fMagnet, 1)
	case "contentlength", "size":
		p.collect(f, fSize, 1)
	case "seeds", "seeders":
		p.collect(f, fSeeders, 1)
	case "peers", "leechers":
		p.collect(f, fLeechers, 1)
	case "attr": // Torznab's <attr name= value=>
		name, _ := p.attribute("name")
		value, _ := p.attribute("value")
		if to, ok := torznab[strings.ToLower(name)]; ok {
			p.setTorrent(to, value)
		}
	}
}

var torznab = map[string]field{
	"infohash": fHash, "magneturl": fMagnet, "size": fSize, "seeders": fSeeders, "peers": fLeechers, "leechers": fLeechers,
}

// collect begins to collect an element's text for a field, unless a better source
// of the field was seen.
func (p *xmlParser) collect(f *frame, to field, rank int) {
	ranks := &p.chRanks
	if p.open {
		ranks = &p.ranks
	}
	if rank == 0 || rank < ranks[to] {
		f.place = inText
		return
	}
	p.field, p.rank, p.kind, p.nested = to, rank, "", false
	p.buf, p.from = p.buf[:0], p.pos
	f.place, f.ends = inText, endsText
	if f.unnamed == vocAtom || to == fContent {
		p.atomType()
	}
}

// atomType reads what an Atom text construct says it is.
func (p *xmlParser) atomType() {
	t, ok := p.attribute("type")
	mode, _ := p.attribute("mode")
	t = strings.ToLower(t)
	switch {
	case mode == "base64":
		p.kind = "base64"
	case t == "xhtml", t == "application/xhtml+xml", mode == "xml" && strings.Contains(t, "html"):
		p.kind = "xhtml"
	case strings.Contains(t, "html"):
		p.kind = "html"
	case t == "text", t == "text/plain", !ok && mode == "":
		p.kind = "text"
	case strings.Contains(t, "/") && !strings.HasPrefix(t, "text/") && !strings.Contains(t, "xml"):
		p.kind = "base64"
	}
}

func (p *xmlParser) characters() {
	if p.field == noField || len(p.buf) >= maxCollected {
		return
	}
	text := p.text[:min(len(p.text), maxCollected)]
	if p.scanner.kind == markupCDATA {
		p.buf = append(p.buf, text...)
	} else {
		p.buf = appendUnescaped(p.buf, text)
	}
}

// leave ends the innermost element.
func (p *xmlParser) leave() {
	f := p.top()
	p.depth--
	switch f.ends {
	case endsText:
		p.finishText(f)
	case endsItem:
		p.finishItem()
	case endsPerson:
		name := p.person[0]
		if name == "" {
			name = p.person[1]
		}
		if p.open && p.ranks[fAuthor] < 4 && name != "" {
			p.item.Author, p.ranks[fAuthor] = name, 4
		}
	}
}

// value is the collected text as a fragment of HTML or as plain text.
func (p *xmlParser) value() (s string, isHTML bool) {
	if p.nested {
		end := min(max(p.start, p.from), p.from+maxCollected)
		return string(p.scanner.doc[p.from:end]), true
	}
	s = string(p.buf)
	switch p.kind {
	case "text":
		return s, false
	case "base64":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		if err != nil {
			return "", false
		}
		return string(b), true
	case "xhtml":
		// It has no markup, so only its references were to be resolved.
		return s, false
	}
	return s, true
}

func (p *xmlParser) shown(limit int) string {
	if s, isHTML := p.value(); isHTML {
		return plainText(s, limit)
	} else {
		return oneLine(s, limit)
	}
}

func (p *xmlParser) finishText(f *frame) {
	to := p.field
	p.field = noField
	if p.open {
		if p.itemText(to, f) {
			p.ranks[to] = p.rank
		}
	} else if p.channelText(to, f) {
		p.chRanks[to] = p.rank
	}
}

// raw is the collected text as it is.
func (p *xmlParser) raw() string { return strings.TrimSpace(string(p.buf)) }

// itemText puts a text where it belongs; it reports whether it said anything.
func (p *xmlParser) itemText(to field, f *frame) bool {
	it := &p.item
	switch to {
	case fTitle:
		if s := p.shown(maxTitle); s != "" {
			it.Title = s
			return true
		}
	case fLink:
		if s := against(f.base, p.raw(), maxMagnet); s != "" {
			it.Link = s
			return true
		}
	case fID:
		s := p.raw()
		if s == "" {
			return false
		}
		it.ID = oneLine(s, maxMagnet)
		if p.perma && p.ranks[fLink] == 0 {
			if link := against(nil, s, maxAddress); link != "" {
				it.Link = link
			}
		}
		return true
	case fSummary:
		if s := p.shown(maxSummary); s != "" {
			it.Summary = s
			return true
		}
	case fContent:
		if s := p.shown(maxSummary); s != "" {
			p.content = s
			return true
		}
	case fPublished:
		if t, ok := parseDate(p.raw()); ok {
			it.Published = t
			return true
		}
	case fUpdated:
		if t, ok := parseDate(p.raw()); ok {
			it.Updated = t
			return true
		}
	case fAuthor:
		if s := p.shown(maxName); s != "" {
			it.Author = personName(s)
			return true
		}
	case fPersonName:
		p.person[0] = p.shown(maxName)
	case fPersonMail:
		p.person[1] = p.shown(maxName)
	case fCategory:
		p.category(p.shown(maxName))
	case fHash, fMagnet, fSize, fSeeders, fLeechers:
		p.setTorrent(to, p.raw())
	}
	return false
}

func (p *xmlParser) channelText(to field, f *frame) bool {
	d := &p.out
	switch to {
	case fTitle:
		d.Title = p.shown(maxTitle)
		return d.Title != ""
	case fLink:
		if s := against(f.base, p.raw(), maxAddress); s != "" {
			d.Link = s
			return true
		}
	case fSummary:
		d.Description = p.shown(maxSummary)
		return d.Description != ""
	case fLanguage:
		d.Language = language(p.raw())
	case fUpdated:
		if t, ok := parseDate(p.raw()); ok {
			d.Updated = t
			return true
		}
	case fTTL:
		if n, err := strconv.ParseUint(p.raw(), 10, 31); err == nil {
			d.Hints.TTL = min(time.Duration(n)*time.Minute, 365*24*time.Hour)
		}
	case fHour:
		if n, err := strconv.ParseUint(p.raw(), 10, 8); err == nil && n <= 24 {
			d.Hints.SkipHours |= 1 << (n % 24) // some number the hours 1 to 24
		}
	case fDay:
		for day := time.Sunday; day <= time.Saturday; day++ {
			if strings.EqualFold(p.raw(), day.String()) {
				d.Hints.SkipDays |= 1 << day
			}
		}
	case fPeriod:
		p.period = map[string]time.Duration{
			"hourly": time.Hour, "daily": 24 * time.Hour, "weekly": 7 * 24 * time.Hour,
			"monthly": 30 * 24 * time.Hour, "yearly": 365 * 24 * time.Hour,
		}[strings.ToLower(p.raw())]
	case fFrequency:
		if n, err := strconv.ParseUint(p.raw(), 10, 16); err == nil && n > 0 {
			p.frequency = int(n)
		}
	}
	return false
}

// personName is the name in RSS's "mail (name)" and in "name <mail>".
func personName(s string) string {
	if before, in, ok := strings.Cut(s, "("); ok && strings.Contains(before, "@") {
		if name := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(in), ")")); name != "" {
			return name
		}
	}
	if name, in, ok := strings.Cut(s, "("); ok && strings.Contains(in, "@") && strings.TrimSpace(name) != "" {
		return strings.TrimSpace(name)
	}
	if name, in, ok := strings.Cut(s, "<"); ok && strings.Contains(in, "@") && strings.TrimSpace(name) != "" {
		return strings.TrimSpace(name)
	}
	return s
}

func (p *xmlParser) category(s string) {
	s = oneLine(s, maxName)
	if !p.open || s == "" || len(p.item.Categories) >= maxLists {
		return
	}
	for _, c := range p.item.Categories {
		if c == s {
			return
		}
	}
	p.item.Categories = append(p.item.Categories, s)
}

// atomLink is a <link rel= href=>, in Atom or as a guest in RSS.
func (p *xmlParser) atomLink(f *frame, href string) {
	rel, _ := p.attribute("rel")
	typ, _ := p.attribute("type")
	if rel == "enclosure" && p.open {
		p.enclosure(f, "href", "length")
		return
	}
	if rel != "" && rel != "alternate" {
		return
	}
	rank := 2
	if typ == "" || strings.Contains(typ, "html") {
		rank = 3
	}
	link := against(f.base, href, maxMagnet)
	if link == "" {
		return
	}
	if p.open {
		if rank > p.ranks[fLink] {
			p.item.Link, p.ranks[fLink] = link, rank
		}
	} else if rank > p.chRanks[fLink] {
		p.out.Link, p.chRanks[fLink] = link, rank
	}
}

func (p *xmlParser) enclosure(f *frame, address, length string) {
	ref, _ := p.attribute(address)
	link := against(f.base, ref, maxMagnet)
	if link == "" || !p.open || len(p.item.Enclosures) >= maxLists {
		return
	}
	for _, e := range p.item.Enclosures {
		if e.URL == link {
			return
		}
	}
	typ, _ := p.attribute("type")
	size, _ := p.attribute(length)
	n, err := strconv.ParseInt(strings.TrimSpace(size), 10, 64)
	if err != nil || n < 0 {
		n = 0
	}
	p.item.Enclosures = append(p.item.Enclosures, Enclosure{URL: link, Type: oneLine(typ, 100), Length: n})
}

func (p *xmlParser) setTorrent(to field, s string) {
	t := &p.torrent
	switch to {
	case fHash:
		if h := infoHash(s); h != "" {
			t.InfoHash = h
		}
	case fMagnet:
		if strings.HasPrefix(s, "magnet:?") && len(s) <= maxMagnet {
			t.Magnet = s
		}
	case fSize:
		if n, ok := parseSize(s); ok {
			t.Size = n
		}
	case fSeeders, fLeechers:
		n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 24)
		if err != nil {
			return
		}
		if to == fSeeders {
			t.Seeders = int(n)
		} else {
			t.Leechers = int(n)
		}
	}
}

// parseSize reads a number of bytes, or a number with a unit: "1.4 GiB".
func parseSize(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	n, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		return 0, false
	}
	unit, ok := map[string]float64{
		"": 1, "b": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(strings.TrimSpace(s[i:]))]
	if n *= unit; !ok || n > 1<<50 {
		return 0, false
	}
	return int64(n), true
}

func (p *xmlParser) finishItem() {
	if !p.open {
		return
	}
	p.open = false
	it := p.item
	if it.Summary == "" || it.Summary == it.Title {
		it.Summary = p.content
	}
	if it.Published.IsZero() {
		it.Published = it.Updated
	}
	if p.torrent != (Torrent{}) {
		t := p.torrent
		it.Torrent = &t
	}
	if it.finish() {
		p.out.Items = append(p.out.Items, it)
	} else {
		p.dropped++
	}
}

// end closes what a document cut short left open.
func (p *xmlParser) end() (*Document, error) {
	if !p.started {
		return nil, ErrNotFeed
	}
	cut := p.depth > 0
	for p.depth > 0 {
		p.leave()
	}
	d := &p.out
	if p.period > 0 {
		d.Hints.TTL = max(d.Hints.TTL, p.period/time.Duration(p.frequency))
	}
	if cut {
		d.Problems = append(d.Problems, "the document is cut short")
	}
	if p.tooDeep {
		d.Problems = append(d.Problems, "elements nested more than "+strconv.Itoa(maxDepth)+" deep were left out")
	}
	if p.dropped > 0 {
		d.Problems = append(d.Problems, strconv.Itoa(p.dropped)+" items were left out, empty or beyond "+strconv.Itoa(maxItems))
	}
	return d, nil
}

// fromBase32 turns the base 32 form of a hash into hex.
func fromBase32(s string) string {
	b, err := base32.StdEncoding.DecodeString(strings.ToUpper(s))
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b)
}
