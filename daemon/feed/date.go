package feed

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// parseDate reads a date as people write them in feeds: RFC 822 and 3339 and ISO
// 8601 in their variants, C's asctime, and dates with month names in the languages
// feeds are written in. A date without a zone is UTC, or Korea's where Korean is
// written. What cannot be a date (a 32nd, a 25th hour, text it does not know, a
// zone of 99 hours) is refused: a wrong date sorts an item wrongly for ever, a
// missing one is replaced by when the item was first seen.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 100 {
		return time.Time{}, false
	}
	p := dateParser{rest: strings.TrimSpace(s)}
	if !p.tokens() {
		return time.Time{}, false
	}
	return p.date()
}

// dateParser collects what the tokens said.
type dateParser struct {
	rest string

	list [40]dateToken
	n    int

	year, month, day     int
	hour, minute, second int
	nanos                int
	zone                 int // seconds east
	haveZone, haveTime   bool
	pm, am               bool
	korean               bool
}

type dateToken struct {
	kind   byte   // 'n' number, 'w' word, or the sign itself
	text   string // of a number or word
	value  int
	spaced bool // white space before it
}

// tokens splits the text into numbers, words and signs.
func (p *dateParser) tokens() bool {
	spaced := false
	for len(p.rest) > 0 {
		r, size := utf8.DecodeRuneInString(p.rest)
		if unicode.IsSpace(r) {
			spaced = true
			p.rest = p.rest[size:]
			continue
		}
		if p.n == len(p.list) {
			return false
		}
		t := &p.list[p.n]
		p.n++
		t.spaced = spaced
		spaced = false
		end := size
		switch {
		case r >= '0' && r <= '9':
			t.kind = 'n'
			for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
				end++
			}
			if end > 14 {
				return false
			}
			for _, c := range p.rest[:min(end, 9)] {
				t.value = t.value*10 + int(c-'0')
			}
		case unicode.IsLetter(r):
			t.kind = 'w'
			for end < len(p.rest) {
				r, size := utf8.DecodeRuneInString(p.rest[end:])
				if !unicode.IsLetter(r) {
					break
				}
				end += size
			}
		case r == '−' || r == '–': // a minus as typesetters write it
			t.kind = '-'
		case r < utf8.RuneSelf:
			t.kind = byte(r)
		default:
			return false
		}
		t.text = p.rest[:end]
		p.rest = p.rest[end:]
	}
	return p.n > 0
}

// at is a token, a zero one beyond the end.
func (p *dateParser) at(i int) dateToken {
	if i < 0 || i >= p.n {
		return dateToken{}
	}
	return p.list[i]
}

// is tells whether the tokens from i on are of these kinds.
func (p *dateParser) is(i int, kinds string) bool {
	for j := range len(kinds) {
		if p.at(i+j).kind != kinds[j] {
			return false
		}
	}
	return true
}

func (p *dateParser) date() (time.Time, bool) {
	i, ok := p.numeric()
	if ok {
		if i, ok = p.clock(i); !ok {
			return time.Time{}, false
		}
	} else if i, ok = p.written(); !ok {
		return time.Time{}, false
	}
	if i != p.n {
		return time.Time{}, false
	}
	return p.time()
}

// numeric reads a date of numbers only at the front: 2026-11-23, 20261123,
// 2026-327, 2026/11/23, 26-11-23, 23.11.2026, 11/23/2026, 2026-11, 2026. It
// returns the token behind it.
func (p *dateParser) numeric() (int, bool) {
	i := 0
	century := false // "-0312": the century is left out
	if p.is(0, "-n") {
		i, century = 1, true
	}
	// A weekday may stand before it.
	if p.is(0, "w") && weekday(p.at(0).text) {
		i = 1
		for p.is(i, ",") || p.is(i, ".") {
			i++
		}
	}
	a := p.at(i)
	if a.kind != 'n' {
		return 0, false
	}
	if century {
		switch {
		case len(a.text) == 4: // -YYMM
			p.year, p.month, p.day = twoDigits(a.value/100), a.value%100, 1
			return i + 1, true
		case len(a.text) == 2 && p.is(i, "n-n") && len(p.at(i+2).text) == 2: // -YY-MM
			p.year, p.month, p.day = twoDigits(a.value), p.at(i+2).value, 1
			return i + 3, true
		}
		return 0, false
	}
	sep := p.at(i + 1).kind
	b, c := p.at(i+2), p.at(i+4)
	three := (sep == '-' || sep == '/' || sep == '.') && b.kind == 'n' && p.at(i+3).kind == sep && c.kind == 'n'
	switch {
	case three && len(a.text) == 4 && len(b.text) <= 3 && len(c.text) <= 2:
		// Three digits in the middle: a publisher's month with a zero too many.
		p.year, p.month, p.day = a.value, b.value, c.value
		return i + 5, true
	case three && len(c.text) == 4 && len(a.text) <= 2 && len(b.text) <= 2:
		p.year, p.month, p.day = c.value, b.value, a.value
		// With slashes Americans write the month first; with others nobody does.
		if sep == '/' && a.value <= 12 {
			p.month, p.day = a.value, b.value
		}
		return i + 5, true
	case three && len(a.text) == 2 && len(b.text) == 2 && len(c.text) == 2:
		switch sep {
		case '-':
			p.year, p.month, p.day = twoDigits(a.value), b.value, c.value
		case '/':
			p.year, p.month, p.day = twoDigits(c.value), a.value, b.value
		default:
			p.year, p.month, p.day = twoDigits(c.value), b.value, a.value
		}
		return i + 5, true
	case sep == '-' && len(a.text) == 4 && b.kind == 'n' && len(b.text) == 3: // YYYY-DDD
		return i + 3, p.ordinal(a.value, b.value)
	case sep == '-' && len(a.text) == 4 && b.kind == 'n' && len(b.text) == 2:
		p.year, p.month, p.day = a.value, b.value, 1
		return i + 3, true
	case p.is(i+1, "w"):
		switch p.at(i + 1).text {
		case "년", "年":
			return p.eastAsian(i, a.value)
		}
	}
	if i > 0 {
		return 0, false
	}
	switch len(a.text) {
	case 4:
		p.year, p.month, p.day = a.value, 1, 1
		return 1, p.n == 1
	case 6: // YYMMDD
		p.year, p.month, p.day = twoDigits(a.value/10000), a.value/100%100, a.value%100
		return 1, true
	case 7: // YYYYDDD
		return 1, p.ordinal(a.value/1000, a.value%1000)
	case 8:
		p.year, p.month, p.day = a.value/10000, a.value/100%100, a.value%100
		return 1, true
	case 10: // Unix time
		if p.n > 1 {
			return 0, false
		}
		t := time.Unix(number(a.text), 0).UTC()
		p.year, p.month, p.day = t.Year(), int(t.Month()), t.Day()
		p.hour, p.minute, p.second, p.haveTime = t.Hour(), t.Minute(), t.Second(), true
		return 1, true
	case 12, 14: // YYYYMMDDhhmm[ss]
		n := number(a.text)
		if len(a.text) == 14 {
			p.second = int(n % 100)
			n /= 100
		}
		p.minute, p.hour = int(n%100), int(n/100%100)
		n /= 10000
		p.year, p.month, p.day, p.haveTime = int(n/10000), int(n/100%100), int(n%100), true
		return 1, true
	}
	return 0, false
}

// eastAsian reads 2004년 05월 28일 and 2004年5月28日.
func (p *dateParser) eastAsian(i, year int) (int, bool) {
	p.korean = p.at(i+1).text == "년"
	if !p.is(i, "nwnwnw") {
		return 0, false
	}
	if m := p.at(i + 3).text; m != "월" && m != "月" {
		return 0, false
	}
	if d := p.at(i + 5).text; d != "일" && d != "日" {
		return 0, false
	}
	p.year, p.month, p.day = year, p.at(i+2).value, p.at(i+4).value
	return i + 6, true
}

func (p *dateParser) ordinal(year, day int) bool {
	t := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, day-1)
	p.year, p.month, p.day = year, int(t.Month()), t.Day()
	return day > 0 && t.Year() == year
}

// written reads a date with a month's name, in any order: the clock and the zone
// may stand between day and year.
func (p *dateParser) written() (int, bool) {
	p.year, p.month, p.day = 0, 0, 0 // what numeric tried
	var numbers [3]dateToken
	count := 0
	monthAt := -1 // how many numbers came before the month
	seenZone := false
	for i := 0; i < p.n; i++ {
		t := p.at(i)
		switch {
		case t.kind == 'n' && p.at(i+1).kind == ':':
			if p.haveTime {
				return 0, false
			}
			next, ok := p.hms(i)
			if !ok {
				return 0, false
			}
			i = next - 1
		case t.kind == 'n' && p.is(i+1, "w") && halfDay(p.at(i+1).text) != 0 && !p.haveTime && t.value <= 12:
			p.hour, p.haveTime = t.value, true
		case t.kind == 'n':
			if count == len(numbers) {
				return 0, false
			}
			numbers[count] = t
			count++
		case t.kind == '+' || t.kind == '-' && p.haveTime && p.is(i+1, "n") && !seenZone:
			next, ok := p.offset(i)
			if !ok {
				return 0, false
			}
			seenZone = true
			i = next - 1
		case t.kind == 'w':
			if m := monthNumber(t.text); m > 0 && p.month == 0 {
				p.month, monthAt = m, count
				continue
			}
			// "AT" behind a time is a zone, though "at" is a word.
			if _, isZone := zones[t.text]; isZone && p.haveTime && !seenZone && len(t.text) == 2 {
				next, ok := p.zoneName(i)
				if !ok {
					return 0, false
				}
				seenZone = true
				i = next - 1
				continue
			}
			if weekday(t.text) || filler[strings.ToLower(t.text)] {
				continue
			}
			if h := halfDay(t.text); h != 0 {
				p.am, p.pm = h < 0, h > 0
				continue
			}
			// "+0200 EST" and the like: the number counts, the name is decoration.
			if seenZone {
				if _, ok := zones[strings.ToUpper(t.text)]; !ok {
					return 0, false
				}
				continue
			}
			next, ok := p.zoneName(i)
			if !ok {
				return 0, false
			}
			seenZone = true
			i = next - 1
		case t.kind == ',' || t.kind == '.' || t.kind == '-' || t.kind == '/' || t.kind == '(' || t.kind == ')' || t.kind == '\'':
		default:
			return 0, false
		}
	}
	if p.month == 0 || count < 1 || count > 2 {
		return 0, false
	}
	day, year := numbers[0], numbers[1]
	if count == 1 {
		// "January 2026": a month only.
		if len(day.text) != 4 {
			return 0, false
		}
		p.year, p.day = day.value, 1
		return p.n, true
	}
	if len(day.text) > 2 || monthAt == 1 && len(day.text) == 4 {
		day, year = year, day // 2026 November 23
	}
	if len(day.text) > 2 || len(year.text) != 2 && len(year.text) != 4 {
		return 0, false
	}
	p.day, p.year = day.value, year.value
	if len(year.text) == 2 {
		p.year = twoDigits(year.value)
	}
	return p.n, true
}

// clock reads what may follow a numeric date.
func (p *dateParser) clock(i int) (int, bool) {
	if p.is(i, "w") && (p.at(i).text == "T" || p.at(i).text == "t") && p.is(i+1, "n") {
		i++
	} else if p.is(i, ",") {
		i++
	}
	if p.is(i, "w") {
		if h := halfDay(p.at(i).text); h != 0 { // Korean puts it first
			p.am, p.pm, p.korean = h < 0, h > 0, true
			i++
		}
	}
	if t := p.at(i); t.kind == 'n' && !p.haveTime {
		switch {
		case p.is(i+1, ":"):
			next, ok := p.hms(i)
			if !ok {
				return 0, false
			}
			i = next
		case len(t.text) == 4 || len(t.text) == 6: // T1014, T101455
			v := t.value
			if len(t.text) == 6 {
				p.second = v % 100
				v /= 100
			}
			p.hour, p.minute, p.haveTime = v/100, v%100, true
			i = p.fraction(i + 1)
		case len(t.text) == 2 && p.at(i-1).kind == 'w': // T10
			p.hour, p.haveTime = t.value, true
			i++
		default:
			return 0, false
		}
	}
	if p.is(i, "w") {
		if h := halfDay(p.at(i).text); h != 0 && !p.am && !p.pm {
			p.am, p.pm = h < 0, h > 0
			i++
		}
	}
	if i == p.n || !p.haveTime {
		return i, i == p.n || p.onlyZone(&i)
	}
	if p.is(i, "(") {
		i++
	}
	var ok bool
	if k := p.at(i).kind; k == '+' || k == '-' {
		i, ok = p.offset(i)
	} else {
		i, ok = p.zoneName(i)
	}
	if p.is(i, ")") {
		i++
	}
	// A name in brackets behind the offset only repeats it.
	if ok && p.is(i, "(w)") {
		i += 3
	}
	return i, ok
}

// onlyZone reads a zone behind a date without a time: 2026-11-23Z.
func (p *dateParser) onlyZone(i *int) bool {
	next, ok := p.zoneName(*i)
	*i = next
	return ok
}

// hms reads 9:15, 09:15:30, 09:15:30.25.
func (p *dateParser) hms(i int) (int, bool) {
	if !p.is(i, "n:n") || len(p.at(i).text) > 2 || len(p.at(i+2).text) > 2 {
		return 0, false
	}
	p.hour, p.minute, p.haveTime = p.at(i).value, p.at(i+2).value, true
	i += 3
	if p.is(i, ":n") {
		if len(p.at(i+1).text) > 2 {
			return 0, false
		}
		p.second = p.at(i + 1).value
		i += 2
	}
	if p.is(i, ":") {
		return 0, false
	}
	return p.fraction(i), true
}

func (p *dateParser) fraction(i int) int {
	if !p.is(i, ".n") && !p.is(i, ",n") || p.at(i+1).spaced {
		return i
	}
	unit := 100_000_000
	for _, c := range p.at(i + 1).text {
		p.nanos += int(c-'0') * unit
		unit /= 10
	}
	return i + 2
}

// offset reads +02:00, +0200, +02, -5.
func (p *dateParser) offset(i int) (int, bool) {
	sign := 1
	if p.at(i).kind == '-' {
		sign = -1
	}
	t := p.at(i + 1)
	if t.kind != 'n' || len(t.text) > 4 || len(t.text) == 3 {
		return 0, false
	}
	hours, minutes := t.value, 0
	i += 2
	if len(t.text) == 4 {
		hours, minutes = t.value/100, t.value%100
	} else if p.is(i, ":") {
		if m := p.at(i + 1); m.kind != 'n' || len(m.text) != 2 {
			return 0, false
		}
		minutes = p.at(i + 1).value
		i += 2
	}
	if hours > 15 || minutes > 59 {
		return 0, false
	}
	p.zone, p.haveZone = sign*(hours*3600+minutes*60), true
	return i, true
}

// zoneName reads Z, EST, Etc/GMT, GMT+01:00.
func (p *dateParser) zoneName(i int) (int, bool) {
	name := strings.ToUpper(p.at(i).text)
	if name == "ETC" && p.is(i+1, "/w") {
		i += 2
		name = strings.ToUpper(p.at(i).text)
	}
	east, ok := zones[name]
	if p.at(i).kind != 'w' || !ok {
		return 0, false
	}
	p.zone, p.haveZone = east, true
	i++
	if k := p.at(i).kind; (k == '+' || k == '-') && east == 0 && p.is(i+1, "n") {
		return p.offset(i)
	}
	return i, true
}

// time checks every part and puts them together.
func (p *dateParser) time() (time.Time, bool) {
	if p.am || p.pm {
		if p.hour > 12 || p.hour == 0 && p.am {
			p.am, p.pm = false, false // "14:20 PM": the hour says it already
		}
		switch {
		case p.pm && p.hour < 12:
			p.hour += 12
		case p.am && p.hour == 12:
			p.hour = 0
		}
	}
	if p.year < 1 || p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31 ||
		p.hour > 24 || p.minute > 59 || p.second > 60 ||
		p.hour == 24 && (p.minute > 0 || p.second > 0) {
		return time.Time{}, false
	}
	if p.korean && !p.haveZone {
		p.zone = 9 * 3600
	}
	day := time.Date(p.year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC)
	if day.Day() != p.day {
		return time.Time{}, false // the 30th of February
	}
	t := day.Add(time.Duration(p.hour)*time.Hour + time.Duration(p.minute)*time.Minute +
		time.Duration(min(p.second, 59))*time.Second + time.Duration(p.nanos) - time.Duration(p.zone)*time.Second)
	return t, t.Year() >= 1 && t.Year() <= 9999
}

func number(s string) int64 {
	var n int64
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

// twoDigits is RFC 2822's reading of a year of two digits, with POSIX's pivot.
func twoDigits(y int) int {
	if y < 69 {
		return 2000 + y
	}
	return 1900 + y
}

// monthNumber is the month a word names, 0 for none.
func monthNumber(w string) int {
	w = strings.ToLower(w)
	if m := months[w]; m > 0 {
		return m
	}
	return 0
}

func weekday(w string) bool { return weekdays[strings.ToLower(w)] }

// halfDay is -1 for the morning's word, 1 for the afternoon's, 0 for any other.
func halfDay(w string) int {
	switch strings.ToLower(w) {
	case "am", "오전", "午前", "上午":
		return -1
	case "pm", "오후", "午後", "下午":
		return 1
	}
	return 0
}

// filler words stand in written dates and say nothing.
var filler = set("at", "on", "the", "of", "st", "nd", "rd", "th", "um", "uhr", "de", "del", "à", "le", "el", "den", "h", "t")

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// months in the languages of the feeds, full and abbreviated. Sources: Unicode CLDR.
var months = monthNames(
	// English, German, Dutch, French, Spanish, Italian, Portuguese, Swedish and
	// Danish, Polish (genitive), Czech (genitive), Russian (genitive), Greek, Hungarian.
	[]string{"jan", "january", "januar", "jänner", "januari", "janvier", "janv", "ene", "enero", "gen", "gennaio", "janeiro", "sty", "stycznia", "ledna", "янв", "января", "ιαν", "ιανουαρίου", "január"},
	[]string{"feb", "february", "februar", "februari", "février", "févr", "fév", "febrero", "febbraio", "fev", "fevereiro", "lut", "lutego", "února", "фев", "февраля", "φεβ", "φεβρουαρίου", "február"},
	[]string{"mar", "march", "märz", "mär", "mrz", "maart", "mrt", "mars", "marzo", "março", "marts", "marca", "března", "мар", "марта", "μάρ", "μαρ", "μαρτίου", "március"},
	[]string{"apr", "april", "avril", "avr", "abr", "abril", "aprile", "kwi", "kwietnia", "dubna", "апр", "апреля", "απρ", "απριλίου", "április"},
	[]string{"may", "mai", "mei", "mayo", "mag", "maggio", "maio", "maj", "maja", "května", "мая", "май", "μάι", "μαϊ", "μαι", "μαΐου", "május"},
	[]string{"jun", "june", "juni", "juin", "junio", "giu", "giugno", "junho", "cze", "czerwca", "června", "июн", "июня", "ιούν", "ιον", "ιουν", "ιουνίου", "június"},
	[]string{"jul", "july", "juli", "juillet", "juil", "julio", "lug", "luglio", "julho", "július", "lip", "lipca", "července", "июл", "июля", "ιούλ", "ιολ", "ιουλ", "ιουλίου", "július"},
	[]string{"aug", "august", "augustus", "août", "ago", "agosto", "augusti", "sie", "sierpnia", "srpna", "авг", "августа", "αύγ", "αυγ", "αυγούστου", "augusztus"},
	[]string{"sep", "sept", "september", "septembre", "septiembre", "set", "settembre", "setembro", "wrz", "września", "září", "сен", "сентября", "σεπ", "σεπτ", "σεπτεμβρίου", "szeptember"},
	[]string{"oct", "october", "okt", "oktober", "octobre", "octubre", "ott", "ottobre", "out", "outubro", "paź", "października", "října", "окт", "октября", "οκτ", "οκτωβρίου", "október"},
	[]string{"nov", "november", "novembre", "noviembre", "novembro", "lis", "listopada", "listopadu", "ноя", "ноября", "νοέ", "νοε", "νοεμβρίου"},
	[]string{"dec", "december", "dez", "dezember", "décembre", "déc", "dic", "diciembre", "dicembre", "dezembro", "gru", "grudnia", "prosince", "дек", "декабря", "δεκ", "δεκεμβρίου"},
)

func monthNames(lists ...[]string) map[string]int {
	m := map[string]int{}
	for i, l := range lists {
		for _, w := range l {
			m[w] = i + 1
		}
	}
	return m
}

var weekdays = set(
	"mon", "monday", "tue", "tues", "tuesday", "wed", "weds", "wednesday", "thu", "thur", "thurs", "thursday", "fri", "friday", "sat", "saturday", "sun", "sunday",
	"mo", "montag", "di", "dienstag", "mi", "mittwoch", "do", "donnerstag", "fr", "freitag", "sa", "samstag", "so", "sonntag",
	"lun", "lundi", "mardi", "mer", "mercredi", "jeu", "jeudi", "ven", "vendredi", "sam", "samedi", "dim", "dimanche",
	"lunes", "martes", "mié", "miércoles", "jue", "jueves", "vie", "viernes", "sáb", "sábado", "dom", "domingo",
	"lunedì", "martedì", "mercoledì", "gio", "giovedì", "venerdì", "sabato", "domenica",
	"ma", "maandag", "dinsdag", "wo", "woensdag", "donderdag", "vr", "vrijdag", "za", "zaterdag", "zo", "zondag",
	"пн", "вт", "ср", "чт", "пт", "сб", "вс",
	"δευ", "τρι", "τετ", "πεμ", "παρ", "σαβ", "σάβ", "κυρ",
	"pon", "wt", "śr", "czw", "pt", "sob", "niedz",
)

// zones are the names that RFC 822 defines and those that feeds use though they
// are ambiguous, in the reading that feeds mean. The US names without S or D mean
// standard time.
var zones = func() map[string]int {
	m := map[string]int{}
	for hours, names := range map[float64]string{
		0:    "Z UT UTC GMT WET",
		1:    "CET MET MEZ BST WEST WAT",
		2:    "CEST MEST MESZ EET SAST CAT",
		3:    "EEST MSK EAT",
		5.5:  "IST",
		7:    "WIB ICT",
		8:    "SGT HKT AWST PHT",
		9:    "KST JST",
		9.5:  "ACST",
		10:   "AEST",
		10.5: "ACDT",
		11:   "AEDT",
		12:   "NZST",
		13:   "NZDT",
		-2.5: "NDT",
		-3:   "BRT ART ADT",
		-3.5: "NST",
		-4:   "AST AT EDT CLT",
		-5:   "EST ET CDT COT PET",
		-6:   "CST CT MDT",
		-7:   "MST MT PDT",
		-8:   "PST PT AKDT",
		-9:   "AKST",
		-10:  "HST",
	} {
		for _, n := range strings.Fields(names) {
			m[n] = int(hours * 3600)
		}
	}
	return m
}()
