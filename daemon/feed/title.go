package feed

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Release is what a release's name says. Names are free text that follows habits,
// so each part comes with a confidence.
type Release struct {
	Show       string   `json:"show,omitzero"` // the series' name, "" where the name has none
	Year       int      `json:"year,omitzero"` // behind the show's name
	Season     int      `json:"season,omitzero"`
	LastSeason int      `json:"lastSeason,omitzero"` // of a pack of several
	Episodes   []int    `json:"episodes,omitempty"`  // of the season
	Absolute   int      `json:"absolute,omitzero"`   // counted over all seasons, as anime do
	Date       string   `json:"date,omitzero"`       // 2006-01-02: of a daily show
	Part       int      `json:"part,omitzero"`
	Pack       bool     `json:"pack,omitzero"`       // whole seasons
	Special    bool     `json:"special,omitzero"`    // extras, OVA
	Resolution string   `json:"resolution,omitzero"` // "1080p", "1080i"
	Source     string   `json:"source,omitzero"`     // "WEB-DL", "Blu-ray", ...
	Codec      string   `json:"codec,omitzero"`      // "H.264", ...
	Audio      string   `json:"audio,omitzero"`
	Group      string   `json:"group,omitzero"`
	Languages  []string `json:"languages,omitempty"` // English names
	Proper     bool     `json:"proper,omitzero"`
	Repack     bool     `json:"repack,omitzero"`
	Version    int      `json:"version,omitzero"` // 2 for "v2"

	Confidence Confidence `json:"confidence"`
}

// Confidence is how sure each part is, in percent; 0 where there is none. Above 90
// the notation has one meaning; at 60 it is more likely right than wrong.
type Confidence struct {
	Show       uint8 `json:"show"`
	Numbering  uint8 `json:"numbering"` // of season, episodes, date and absolute number
	Resolution uint8 `json:"resolution,omitzero"`
	Source     uint8 `json:"source,omitzero"`
	Codec      uint8 `json:"codec,omitzero"`
	Group      uint8 `json:"group,omitzero"`
	Language   uint8 `json:"language,omitzero"`
}

const maxReleaseName = 400 // bytes; what is longer is no name

// ParseTitle reads a release's name. ok is false where nothing in it is a release's
// habit: then it is the title of something else.
func ParseTitle(name string) (r Release, ok bool) {
	if len(name) > maxReleaseName || !utf8.ValidString(name) {
		return Release{}, false
	}
	p := titleParser{s: strings.TrimSpace(name)}
	p.trim()
	p.low = lowerASCII(p.s)
	// "Имя (S2E1) / Name (S2E1)": the second is the name the world uses.
	if i := strings.Index(p.s, " / "); i > 0 && !latin(strings.TrimRight(p.s[:i], "0123456789SExse)( -")) && strings.Contains(p.s[i+3:], "/") || i > 0 && strings.Count(p.low, " (s") > 1 {
		p.from = i + 3
	}
	p.terms()
	p.number()
	p.show()
	p.group()
	r = p.Release
	evidence := r.Confidence.Numbering >= 60 || p.termCount >= 2 || p.termCount == 1 && r.Confidence.Numbering > 0
	return r, evidence
}

// titleParser holds a name with what was found in it. low is s with ASCII letters
// in lower case, so that offsets fit both.
type titleParser struct {
	Release
	s, low string

	leadGroup string // of a leading "[group]"
	from      int    // where the show's name begins
	numFrom   int    // where the numbering begins, -1 if there is none
	numTo     int
	termFrom  int // where the first sure technical term begins, -1 if there is none
	termCount int
	dateFrom  int // of a date beside the numbering, -1 if there is none

	techSpans []span
}

type span struct{ from, to int }

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return alnum(c) && !digit(c) }

// starts tells whether a word starts at i.
func (p *titleParser) starts(i int) bool {
	return i == 0 || !alnum(p.low[i-1])
}

// ends tells whether a word ends before i.
func (p *titleParser) ends(i int) bool {
	return i >= len(p.low) || !alnum(p.low[i])
}

// num reads up to max digits at i.
func (p *titleParser) num(i, max int) (v, end int) {
	end = i
	for end < len(p.low) && digit(p.low[end]) {
		if end-i == max {
			return 0, i // longer: no number of this kind
		}
		v = v*10 + int(p.low[end]-'0')
		end++
	}
	return v, end
}

// skip passes at most n separators.
func (p *titleParser) skip(i, n int) int {
	for n > 0 && i < len(p.low) && strings.IndexByte(" ._-[](){}", p.low[i]) >= 0 {
		i++
		n--
	}
	return i
}

func (p *titleParser) at(i int) byte {
	if i < 0 || i >= len(p.low) {
		return 0
	}
	return p.low[i]
}

// word reads one of the words at i, the longest first, and returns where it ends.
func (p *titleParser) word(i int, words []string) (end int, ok bool) {
	for _, w := range words {
		if strings.HasPrefix(p.low[i:], w) {
			return i + len(w), true
		}
	}
	return i, false
}

// containers are file name extensions.
var containers = set("mkv", "avi", "mp4", "m4v", "ts", "m2ts", "wmv", "mpg", "mpeg", "mov", "flv", "webm", "ogm", "divx", "iso", "img", "nzb", "torrent", "rar", "zip", "srt", "xvid")

// sites append their names to what they index.
var sites = set("eztv", "ettv", "rartv", "rarbg", "publichd", "ethd", "tgx", "vtv", "glotorrents", "ztv")

// trim cuts off what surrounds the name proper: the container, the indexer's
// marks, a leading group.
func (p *titleParser) trim() {
	s := p.s
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 8 && containers[strings.ToLower(s[i+1:])] {
		s = s[:i]
	}
	// Newznab posts are followed by a part's name in quotes.
	if i := strings.Index(s, " - \""); i > 0 && strings.Contains(s[i:], ".") {
		s = s[:i]
	}
	for cut := true; cut; {
		s = strings.TrimRight(s, " ._-'")
		cut = false
		if strings.HasSuffix(s, "]") {
			if i := strings.LastIndexByte(s, '['); i > 0 {
				in := strings.ToLower(strings.Trim(s[i+1:len(s)-1], " ."))
				if sites[in] || site(in) || hexName(in) || counter(in) {
					s, cut = s[:i], true
				}
			}
		}
	}
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i > 0 && i < len(s)-1 {
			in := strings.Trim(s[1:i], " .")
			if !site(strings.ToLower(in)) && !strings.HasSuffix(strings.ToLower(in), "torrents.pl") {
				p.leadGroup = in
			}
			s = strings.TrimLeft(s[i+1:], " ._-")
			// A second mark of a joint release.
			if strings.HasPrefix(s, "[") {
				if j := strings.IndexByte(s, ']'); j > 0 && j < len(s)-1 && j < 12 && !digit(s[1]) {
					s = strings.TrimLeft(s[j+1:], " ._-")
				}
			}
		}
	}
	p.s = s
}

// site tells a domain's name: letters with a top-level domain.
func site(s string) bool {
	s = strings.TrimSpace(s)
	i := strings.LastIndexByte(s, '.')
	if i <= 0 || strings.ContainsAny(s, " ") && !strings.HasPrefix(s, "www") {
		return false
	}
	switch s[i+1:] {
	case "com", "org", "net", "to", "pl", "ru", "tv", "me", "cc", "io", "info", "hu", "eu", "se", "ag", "nu":
		return !digit(s[i-1]) || strings.HasPrefix(s, "www")
	}
	return strings.HasPrefix(s, "www.")
}

// hexName tells a checksum, as anime groups append it.
func hexName(s string) bool {
	if len(s) != 8 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !digit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// counter tells "01/54" of a post in parts.
func counter(s string) bool {
	a, b, ok := strings.Cut(s, "/")
	return ok && a != "" && b != "" && strings.Trim(a+b, "0123456789") == ""
}

// show takes the show's name from what stands before the numbering, or before the
// technical terms where there is no numbering.
func (p *titleParser) show() {
	to, sure := len(p.s), uint8(40)
	switch {
	case p.numFrom >= 0:
		to, sure = p.numFrom, min(p.Confidence.Numbering, 95)
	case p.termFrom >= 0:
		to, sure = p.termFrom, 60
	}
	if p.dateFrom >= 0 && p.dateFrom < to {
		to = p.dateFrom
	}
	if p.numFrom > p.termFrom && p.termFrom > p.from {
		// Terms before the number: "Show [720p][Cap.201]".
		to = min(to, p.termFrom)
	}
	if p.from > to {
		p.from = 0
	}
	name := p.s[p.from:to]
	name = strings.NewReplacer("_", " ", "<", "", ">", "", "\"", "").Replace(name)
	name = dots(name)
	name = strings.Join(strings.Fields(name), " ")
	// One of several names, the last that has Latin letters.
	for _, sep := range []string{" / ", " | "} {
		if parts := strings.Split(name, sep); len(parts) > 1 {
			for i := len(parts) - 1; i >= 0; i-- {
				if t := strings.Trim(parts[i], " /|([{-"); latin(t) {
					name = t
					break
				}
			}
		}
	}
	name = closeBrackets(strings.TrimSpace(name))
	name = strings.TrimRight(strings.TrimLeft(name, " -_.,:;/|#])}({["), " -_.,;/|#({[~+")
	for _, tail := range []string{" complete series", " season", " (miniserie)", " - complete", " complete", " temporada", " the complete"} {
		if n := len(name) - len(tail); n > 0 && strings.EqualFold(name[n:], tail) {
			name = strings.TrimRight(name[:n], " -(")
		}
	}
	// "Miniserie" in brackets before a year.
	name = strings.Replace(name, " (Miniserie)", "", 1)
	p.Show = dropForeign(name)
	p.Confidence.Show = sure
	if p.Show == "" {
		p.Confidence.Show = 0
		return
	}
	if n := len(p.Show); n > 5 {
		y := strings.Trim(p.Show[n-6:], " ()[]")
		if len(y) == 4 && (y[:2] == "19" || y[:2] == "20") && digit(y[2]) && digit(y[3]) {
			p.Year = int(y[0]-'0')*1000 + int(y[1]-'0')*100 + int(y[2]-'0')*10 + int(y[3]-'0')
		}
	}
}

// dots replaces the dots that stand for spaces; a name that has spaces keeps its
// dots.
func dots(s string) string {
	if strings.Contains(strings.Trim(s, " -"), " ") && !strings.Contains(s, "..") && strings.Count(s, " ") >= strings.Count(s, ".") {
		return s
	}
	return strings.ReplaceAll(s, ".", " ")
}

// closeBrackets drops an opening bracket at the end that is never closed, and what
// follows it.
func closeBrackets(s string) string {
	for _, pair := range []string{"()", "[]", "{}"} {
		open := strings.LastIndexByte(s, pair[0])
		if open > 0 && strings.IndexByte(s[open:], pair[1]) < 0 {
			rest := strings.TrimSpace(s[open+1:])
			s = strings.TrimSpace(s[:open])
			// "Show (2024/S01..": the year belongs to the name.
			if y := strings.TrimRight(rest, " /"); len(y) == 4 && strings.Trim(y, "0123456789") == "" {
				s += " (" + y + ")"
			}
		}
	}
	return s
}

func latin(s string) bool {
	for _, r := range s {
		if unicode.Is(unicode.Latin, r) {
			return true
		}
	}
	return false
}

// dropForeign drops leading words of a script without Latin letters where Latin
// words follow: the second is the name the world uses.
func dropForeign(s string) string {
	words := strings.Fields(s)
	i := 0
	for i < len(words) && !latin(words[i]) && foreign(words[i]) {
		i++
	}
	if i == 0 || i == len(words) {
		return s
	}
	for _, w := range words[i:] {
		if foreign(w) {
			return s
		}
	}
	return strings.Join(words[i:], " ")
}

// foreign tells whether a word has letters of a script other than Latin.
func foreign(w string) bool {
	for _, r := range w {
		if unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) {
			return true
		}
	}
	return false
}

// reposts are what those append who post a release again; they are no group.
var reposts = set("rp", "1", "nzbgeek", "obfuscated", "obfuscation", "scrambled", "sample", "postbot", "xpost", "pre", "whiterev", "buymore",
	"asrequested", "alternativetorequested", "gerov", "z0ids3n", "chamele0n", "4p", "4planet", "altezachen", "repackpost", "repost", "reup", "proper",
	"newz", "nzb", "original", "private", "fake")

func repost(w string) bool {
	w = strings.ToLower(w)
	return reposts[w] || strings.HasPrefix(w, "rakuv")
}

// group finds who released it: behind the last hyphen, in brackets at the end, at
// the end of a bracket of technical terms, or in brackets at the front.
func (p *titleParser) group() {
	s := p.s
	behind := max(p.numTo, 0)
	set := func(g string, sure uint8) { p.Group, p.Confidence.Group = strings.Trim(g, " .-"), sure }
	if strings.HasSuffix(s, "]") {
		if i := strings.LastIndexByte(s, '['); i >= behind {
			in := s[i+1 : len(s)-1]
			if p.groupName(in) && !strings.Contains(in, " ") {
				set(in, 85)
				return
			}
			if g, ok := p.lastInBracket(i+1, in); ok && p.leadGroup == "" && strings.Contains(in, " ") {
				set(g, 60)
				return
			}
			s = s[:i]
		}
	}
	// A note in brackets behind the group: "-GROUP (Blue Lock, Multi-Subs)".
	trimmed := strings.TrimRight(s, " )")
	if strings.HasSuffix(s, ")") {
		if i := strings.LastIndexByte(s, '('); i > behind {
			inside := s[i+1 : len(s)-1]
			if g, ok := p.lastInBracket(i+1, inside); ok {
				set(g, 70)
				return
			}
			if j := strings.LastIndexByte(s[:i], '-'); j > behind && (!p.tech(i+1, len(s)-1) || p.techEnds(j)) {
				s = strings.TrimRight(s[:i], " ")
				trimmed = s
			}
		}
	}
	s = strings.TrimRight(trimmed, " .-")
	for {
		i := strings.LastIndexByte(s, '-')
		if i < 0 {
			break
		}
		w := s[i+1:]
		if bracket := strings.IndexAny(w, "[("); bracket >= 0 {
			w = w[:bracket]
		}
		if !repost(strings.TrimSpace(w)) || i <= behind {
			break
		}
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '-'); i > 0 && i >= p.numTo {
		w := s[i+1:]
		// The language behind it is no part of it.
		if j := strings.IndexAny(w, " _."); j > 0 && languages[strings.ToLower(w[j+1:])] != "" {
			w = w[:j]
		}
		before := strings.TrimRight(s[:i], " ")
		spaced := i+1 < len(s) && s[i+1] == ' '
		known := p.techEnds(len(before)) || (strings.HasSuffix(before, ")") || strings.HasSuffix(before, "]")) && p.tech(strings.LastIndexAny(before, "(["), len(before))
		if !p.inTech(i) && p.groupName(w) && (known || p.termFrom >= 0 && i > p.termFrom && !spaced || p.termFrom < 0 && p.numFrom >= 0 && !strings.Contains(w, " ") && !spaced && !strings.Contains(s[p.numTo:i], " ")) {
			g := strings.TrimSpace(w)
			// A group with a hyphen in its name.
			if j := strings.LastIndexByte(before, '-'); !known && j > 0 && j >= p.termFrom {
				if first := before[j+1:]; p.groupName(first) && !strings.ContainsAny(first, " .") && p.techEnds(j) {
					g = first + "-" + g
				}
			}
			if len(g) > 0 && (known || len(strings.Fields(g)) == 1) {
				set(g, 90)
				return
			}
		}
	}
	if p.leadGroup != "" && !termWord(p.leadGroup) {
		set(p.leadGroup, 90)
		return
	}
	// Names with dots end with it at times: "H.264.KCRT".
	if i := strings.LastIndexByte(s, '.'); i > 0 && !strings.Contains(s, " ") && p.techEnds(i) && p.groupName(s[i+1:]) && len(s)-i > 3 && upper(s[i+1:]) {
		set(s[i+1:], 60)
	}
}

func upper(s string) bool { return strings.ToUpper(s) == s }

// groupName tells whether words can be a group's name: not technical terms.
func (p *titleParser) groupName(w string) bool {
	w = strings.TrimSpace(w)
	if w == "" || len(w) > 30 || strings.ContainsAny(w, "[](){}+,&!'/") || hexName(strings.ToLower(w)) {
		return false
	}
	hasLetter, ordinary := false, true
	for _, f := range strings.FieldsFunc(w, func(r rune) bool { return r == ' ' || r == '.' || r == '_' || r == '-' }) {
		low := strings.ToLower(f)
		weak := terms[low].kind == tOther && terms[low].sure == 0
		if termWord(f) && !weak || languages[low] != "" || sites[low] || low == "tv" || versionWord(f) {
			return false
		}
		ordinary = ordinary && weak && termWord(f)
		for _, r := range f {
			hasLetter = hasLetter || unicode.IsLetter(r)
		}
	}
	if ordinary || strings.Count(w, " ") > 2 {
		return false
	}
	return hasLetter || len(w) == 3 && upper(w)
}

func versionWord(f string) bool {
	return len(f) >= 2 && len(f) <= 3 && (f[0] == 'v' || f[0] == 'V') && strings.Trim(f[1:], "0123456789") == ""
}

// lastInBracket is the group at the end of a bracket of technical terms:
// "(1080p BluRay x265 Kappa)", "(... 5 1 - WEM)".
func (p *titleParser) lastInBracket(from int, inside string) (string, bool) {
	if !p.tech(from, from+len(inside)) {
		return "", false
	}
	if i := strings.LastIndex(inside, "- "); i > 0 {
		inside = strings.TrimSpace(inside[i+2:])
	}
	fields := strings.Fields(inside)
	if len(fields) == 0 {
		return "", false
	}
	last := fields[len(fields)-1]
	if i := strings.LastIndexByte(last, '-'); i >= 0 {
		last = last[i+1:]
	}
	if len(fields) > 4 && len(last) < 3 {
		return "", false
	}
	return last, p.groupName(last) && !strings.Contains(last, ".")
}

// tech tells whether a technical term lies in the span.
func (p *titleParser) tech(from, to int) bool {
	for _, t := range p.techSpans {
		if t.from >= from && t.to <= to {
			return true
		}
	}
	return false
}

// inTech tells whether i lies within a technical term, as the hyphen of "WEB-DL".
func (p *titleParser) inTech(i int) bool {
	for _, t := range p.techSpans {
		if i >= t.from && i < t.to {
			return true
		}
	}
	return false
}

// techEnds tells whether a technical term ends at i.
func (p *titleParser) techEnds(i int) bool {
	for _, t := range p.techSpans {
		if t.to == i {
			return true
		}
	}
	return false
}

// setDate notes a date if it is one that a show can have aired on.
func (p *titleParser) setDate(y, m, d int) bool {
	if y < 1930 || y > 2100 || m < 1 || m > 12 || d < 1 {
		return false
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d {
		return false
	}
	p.Date = t.Format(time.DateOnly)
	return true
}
