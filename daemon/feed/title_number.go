package feed

import "strings"

// number finds the numbering, trying the notations from the plainest to the most
// ambiguous.
func (p *titleParser) number() {
	p.leadingDate()
	notations := []func(i int) bool{p.seasonEpisode, p.cross, p.words, p.episodeMark, p.calendar, p.season, p.episodeOf, p.absolute, p.compact}
	for _, read := range notations {
		for i := p.from; i < len(p.low); i++ {
			if alnum(p.low[i]) && !p.starts(i) || !alnum(p.low[i]) && p.low[i] != '#' {
				continue
			}
			if read(i) {
				if p.Pack && p.LastSeason == 0 {
					p.laterEpisode()
				}
				p.beside(i)
				return
			}
		}
	}
	// Written onto the name: "zoos01e11".
	for i := 1; i+5 < len(p.low); i++ {
		if p.low[i] == 's' && digit(p.low[i+1]) && letter(p.low[i-1]) && p.seasonEpisode(i) && len(p.Episodes) > 0 {
			p.Confidence.Numbering = 75
			return
		}
	}
}

// laterEpisode looks for the episode of a season that was named by itself: "Season 2
// (2026) 720p Episode 13", "Season 2 3of8".
func (p *titleParser) laterEpisode() {
	for i := p.numTo; i < len(p.low); i++ {
		if !alnum(p.low[i]) || !p.starts(i) {
			continue
		}
		if n, j := p.num(i, 3); j > i && strings.HasPrefix(p.low[j:], "of") {
			if total, end := p.ofTotal(j); end > j && p.ends(end) && n <= total {
				p.Pack, p.Episodes, p.Confidence.Numbering = false, []int{n}, min(p.Confidence.Numbering, 75)
				return
			}
		}
		j, ok := p.word(i, episodeWords)
		if !ok || j-i == 1 {
			continue
		}
		at := p.skip(j, 2)
		if n, end := p.num(at, 4); end > at && p.ends(end) {
			p.Pack, p.Episodes, p.Confidence.Numbering = false, []int{n}, min(p.Confidence.Numbering, 75)
			return
		}
	}
}

// beside looks for what stands beside the numbering: a date, a part, extras, an
// absolute number.
func (p *titleParser) beside(numAt int) {
	if p.Date == "" && p.numFrom >= 0 {
		for i := p.from; i < len(p.low); i++ {
			if digit(p.low[i]) && p.starts(i) {
				if from, to, ok := p.dateAt(i); ok && to-from >= 8 {
					p.dateFrom = from
					break
				}
			}
		}
	}
	if p.Pack {
		for _, w := range []string{"extras", "subpack"} {
			if p.find(w) > numAt {
				p.Special = true
			}
		}
	}
}

// leadingDate takes the broadcast date that recordings carry in front: "221208 ".
func (p *titleParser) leadingDate() {
	_, end := p.num(0, 6)
	if end == 6 && p.at(6) == ' ' && p.dayCode(0, false) && len(p.low) > 12 {
		date := p.Date
		p.Date = ""
		p.from = 7
		// It counts only where an episode is named later.
		if !strings.Contains(p.low[7:], "ep") && !strings.Contains(p.low[7:], "#") {
			p.from, p.Date = 0, date
		}
		return
	}
	p.Date = ""
}

func (p *titleParser) done(from, to int, sure uint8) bool {
	p.numFrom, p.numTo, p.Confidence.Numbering = from, to, sure
	return true
}

var episodeMarks = []string{"episode", "ep.", "ep", "e.", "e"}

// seasonEpisode reads S02E03 in its variants: S02.E03, S02 - E03, S2E3, S02Ep03,
// s02e03e04, S02E03-E05, S02E03-05.
func (p *titleParser) seasonEpisode(i int) bool {
	if p.low[i] != 's' {
		return false
	}
	season, j := p.num(i+1, 4)
	if j == i+1 {
		return false
	}
	from := p.skip(j, 3)
	if p.at(from) == 'x' && (digit(p.at(from+1)) || p.at(from+1) == 'e' && digit(p.at(from+2))) {
		from++ // S02xE03, S02-x03
	}
	k, ok := p.word(from, episodeMarks)
	if !ok && from > j && p.low[from-1] == 'x' {
		k, ok = from, true
	}
	if !ok {
		return false
	}
	if k < len(p.low) && (p.low[k] == ' ' || p.low[k] == '.') && p.low[k-1] != '.' {
		k++
	}
	if p.at(k) == 'o' && digit(p.at(k+1)) {
		k++ // a letter for the zero
	}
	ep, end := p.num(k, 5)
	if end == k || !p.episodeEnds(end) {
		return false
	}
	p.Season = season
	end = p.chain(season, ep, k, end)
	// "S1E1-8 of 8" is the whole season.
	if n, to := p.ofTotal(end); n > 0 && len(p.Episodes) == n && p.Episodes[0] == 1 && n > 1 {
		p.Pack, p.Episodes = true, nil
		end = to
	}
	return p.done(i, end, 99)
}

// episodeEnds tells whether an episode's number can end at i: not within a word,
// but "E01v2", "E01b" and "E01e02" may go on.
func (p *titleParser) episodeEnds(i int) bool {
	if p.ends(i) {
		return true
	}
	switch c := p.low[i]; c {
	case 'e', 'x':
		return digit(p.at(i+1)) || p.at(i+1) == 'p'
	case 'a', 'b', 'c':
		return p.ends(i + 1)
	case 'v':
		v, end := p.num(i+1, 1)
		if end > i+1 && p.ends(end) {
			p.Version = v
			return true
		}
	case 's':
		return digit(p.at(i + 1))
	}
	return false
}

// ofTotal reads " of 8" at i.
func (p *titleParser) ofTotal(i int) (n, end int) {
	j := p.skip(i, 1)
	if !strings.HasPrefix(p.low[j:], "of") {
		return 0, i
	}
	n, end = p.num(p.skip(j+2, 1), 3)
	return n, end
}

// maxEpisodes bounds one release's episodes.
const maxEpisodes = 100

// chain reads the further episodes behind the first, whose digits are
// low[from:end], and fills Episodes. What is listed is a run: "E01-E03" has three.
func (p *titleParser) chain(season, first, from, end int) int {
	last := first
	width := end - from
	for {
		next, at, to, ok := p.nextEpisode(season, last, width, end)
		if !ok || next-first >= maxEpisodes {
			break
		}
		last, width, end = next, to-at, to
	}
	p.Episodes = make([]int, 0, last-first+1)
	for e := first; e <= last; e++ {
		p.Episodes = append(p.Episodes, e)
	}
	return end
}

// ands join two episodes that are both written out.
var ands = []string{" & ", ".&.", "_&_", "&", " and ", ".and.", "_and_"}

// nextEpisode reads one further episode behind i.
func (p *titleParser) nextEpisode(season, last, width, i int) (ep, at, end int, ok bool) {
	j := i
	joined := false // by a hyphen and nothing else
	and, isAnd := p.word(i, ands)
	switch {
	case isAnd:
		j = and
	case p.at(j) == '-' || p.at(j) == '~' || p.at(j) == '_' || p.at(j) == '+':
		joined = p.at(j) != '_' || width == 2
		j++
	case strings.HasPrefix(p.low[j:], " - "):
		j += 3
	case p.at(j) == ' ' || p.at(j) == '.':
		j++
	}
	gap := j > i
	mark := false
	if p.at(j) == 's' {
		if s, k := p.num(j+1, 4); k > j+1 && s == season && p.at(k) == 'e' {
			j = k
		} else {
			return 0, 0, 0, false
		}
	} else if s, k := p.num(j, 4); k > j && s == season && p.at(k) == 'x' && gap {
		j = k
	}
	if p.at(j) == 'e' || p.at(j) == 'x' {
		j++
		if p.at(j) == 'p' {
			j++
		}
		mark = true
	}
	if !mark && (!joined || !gap) {
		return 0, 0, 0, false
	}
	ep, end = p.num(j, 5)
	switch {
	case end == j || !p.episodeEnds(end) || ep <= last:
		return 0, 0, 0, false
	case !mark && (end-j > max(width, 2) && ep != last+1 || ep-last > 60 || lines[p.low[j:end]] != "" && width < 3):
		return 0, 0, 0, false
	}
	return ep, j, end, true
}

// cross reads 2x03 and its chains: 2x03x04, 2x03-2x04, 02x03-04, 8x01_02.
func (p *titleParser) cross(i int) bool {
	season, j := p.num(i, 4)
	if j == i || p.at(j) != 'x' || p.termAt(i) {
		return false
	}
	ep, end := p.num(j+1, 4)
	if end == j+1 || !p.episodeEnds(end) {
		return false
	}
	if j-i >= 3 && end-j > 3 && season < 1900 || season >= 100 && season < 1900 || ep > 480 && j-i > 2 && season < 1900 {
		return false // 1920x1080
	}
	p.Season = season
	end = p.chain(season, ep, j+1, end)
	return p.done(i, end, 94)
}

var (
	seasonWords  = []string{"seasons", "season", "saison", "staffel", "temporada", "stagione", "seizoen", "sezon", "series", "säsong", "se."}
	episodeWords = []string{"episodes", "episode", "episodio", "épisode", "folge", "aflevering", "afl.", "afl", "puntata", "avsnitt", "capitulo", "ep.", "ep", "e"}
)

// words reads "Season 2 Episode 3", "Staffel 2 Folge 3", "Se.3 afl.3 en 4" and the
// Spanish "Cap.203".
func (p *titleParser) words(i int) bool {
	if strings.HasPrefix(p.low[i:], "cap.") || strings.HasPrefix(p.low[i:], "cap ") {
		return p.chapter(i)
	}
	j, ok := p.word(i, seasonWords)
	if !ok {
		return false
	}
	season, k := p.num(p.skip(j, 2), 4)
	if k == p.skip(j, 2) || !p.ends(k) {
		return false
	}
	l, ok := p.word(p.skip(k, 3), episodeWords)
	if !ok {
		return false
	}
	at := p.skip(l, 2)
	ep, end := p.num(at, 4)
	if end == at || !p.episodeEnds(end) {
		return false
	}
	p.Season = season
	end = p.chain(season, ep, at, end)
	for _, and := range []string{" en ", " & ", " and ", " und ", " et "} {
		if strings.HasPrefix(p.low[end:], and) {
			if next, to := p.num(end+len(and), 4); to > end+len(and) && next == p.Episodes[len(p.Episodes)-1]+1 && p.ends(to) {
				p.Episodes = append(p.Episodes, next)
				end = to
			}
		}
	}
	return p.done(i, end, 92)
}

// chapter reads Cap.203 and Cap.111_120: season and episode in one number.
func (p *titleParser) chapter(i int) bool {
	at := p.skip(i+3, 2)
	v, end := p.num(at, 4)
	if end-at < 3 {
		return false
	}
	p.Season = v / 100
	first, last := v%100, v%100
	if c := p.at(end); c == '_' || c == '-' {
		if w, to := p.num(end+1, 4); to-end-1 >= 3 && w/100 == v/100 && w > v {
			last, end = w%100, to
		}
	}
	p.Episodes = nil
	for e := first; e <= last; e++ {
		p.Episodes = append(p.Episodes, e)
	}
	from := i
	// "Temporada 2" before it says the same.
	for _, w := range []string{"temporada", "season"} {
		if j := strings.Index(p.low[:i], w); j > 0 {
			from = j
		}
	}
	return p.done(from, end, 88)
}

// calendar reads the date of a daily show.
func (p *titleParser) calendar(i int) bool {
	if !digit(p.low[i]) {
		return false
	}
	from, to, ok := p.dateAt(i)
	if !ok {
		return false
	}
	// "Part 2" right behind it.
	if j, ok := p.word(p.skip(to, 1), []string{"part.", "part "}); ok {
		p.Part, _ = p.num(j, 2)
	} else if j, ok := p.word(p.skip(to, 1), []string{"part"}); ok {
		p.Part, _ = p.num(j, 2)
	}
	return p.done(from, to, 90)
}

var monthsShort = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// dateAt reads a date at i: 2026.11.23, 23-11-2026, 11.23.2026, 20261123, 261123,
// 2026.1123, 23rd Nov 2026.
func (p *titleParser) dateAt(i int) (from, to int, ok bool) {
	a, j := p.num(i, 8)
	sep := p.at(j)
	switch {
	case j-i == 8 && p.ends(j):
		return i, j, p.setDate(a/10000, a/100%100, a%100)
	case j-i == 6 && p.ends(j) && i > p.from:
		return i, j, p.dayCode(i, true)
	case j-i <= 2 && letter(sep) || j-i <= 2 && sep == ' ' && letter(p.at(j+1)):
		return p.spokenDate(i, a, j)
	case strings.IndexByte(" .-_", sep) < 0 || sep == 0:
		return 0, 0, false
	}
	b, k := p.num(j+1, 4)
	if k == j+1 {
		return 0, 0, false
	}
	if j-i == 4 && k-j-1 == 4 && a >= 1990 && a < 2100 && p.ends(k) { // 2026.1123
		return 0, 0, false
	}
	if p.at(k) != sep {
		return 0, 0, false
	}
	c, l := p.num(k+1, 4)
	if l == k+1 || !p.ends(l) {
		return 0, 0, false
	}
	switch {
	case j-i == 4 && k-j == 3 && l-k == 3:
		// The day and the month are swapped at times.
		return i, l, p.setDate(a, b, c) || p.setDate(a, c, b)
	case l-k == 5 && k-j == 3 && j-i == 2:
		if b > 12 { // American
			return i, l, p.setDate(c, a, b)
		}
		return i, l, p.setDate(c, b, a)
	}
	return 0, 0, false
}

// spokenDate reads "23rd Nov 2026" behind its day.
func (p *titleParser) spokenDate(i, day, j int) (from, to int, ok bool) {
	k, _ := p.word(j, []string{"st", "nd", "rd", "th"})
	k = p.skip(k, 1)
	for m, name := range monthsShort {
		if !strings.HasPrefix(p.low[k:], name) {
			continue
		}
		l := k + len(name)
		for l < len(p.low) && letter(p.low[l]) {
			l++
		}
		at := p.skip(l, 2)
		if y, end := p.num(at, 4); end-at == 4 && p.ends(end) {
			return i, end, p.setDate(y, m+1, day)
		}
	}
	return 0, 0, false
}

// dayCode reads yymmdd. behind: only where a technical term or the end follows,
// for six digits can be anything.
func (p *titleParser) dayCode(i int, behind bool) bool {
	v, end := p.num(i, 6)
	if behind {
		next := p.skip(end, 3)
		if next < len(p.low) && !p.termAt(next) {
			return false
		}
	}
	y := v / 10000
	if y > 60 {
		return false
	}
	return p.setDate(2000+y, v/100%100, v%100)
}

// termAt tells whether a technical term begins at i.
func (p *titleParser) termAt(i int) bool {
	for _, t := range p.techSpans {
		if t.from == i {
			return true
		}
	}
	return false
}

// season reads a pack: S02, Season 2, Saison2, S01-S07, Season 1-7. An episode in
// anime's notation may follow: "S2 - 07".
func (p *titleParser) season(i int) bool {
	j := i
	sure := uint8(90)
	if p.low[i] == 's' && (digit(p.at(i+1)) || p.at(i+1) == ' ' && digit(p.at(i+2)) && digit(p.at(i+3)) && p.ends(i+4)) {
		j = i + 1
		if p.low[j] == ' ' {
			j++
			sure = 65
		}
	} else {
		var ok bool
		if j, ok = p.word(i, seasonWords); !ok {
			return p.ordinalSeason(i)
		}
		if strings.HasPrefix(p.low[i:], "series") {
			sure = 70
		}
		j = p.skip(j, 2)
	}
	season, end := p.num(j, 4)
	if end == j && j-i > 2 && sure != 70 {
		season, end = p.roman(j)
	}
	if p.low[i] == 's' && p.at(end) == 'd' && digit(p.at(end+1)) {
		_, end = p.num(end+1, 2) // a disc of it: S02D1
	}
	if end == j || !p.ends(end) || end-j == 3 && season > 100 {
		return false
	}
	if sure == 70 && (i == p.from || season == 0 || season > 60) {
		return false
	}
	p.Season = season
	// "s06.01": the episode without its letter, where the season has one.
	if p.low[i] == 's' && p.at(end) == '.' && end-j == 2 {
		if ep, k := p.num(end+1, 2); k-end == 3 && (p.at(k) == '.' || k == len(p.low)) && !p.channels(end+1) {
			p.Episodes = []int{ep}
			return p.done(i, k, 70)
		}
	}
	p.Pack = true
	// "[05]" or " - 07" right behind is an episode.
	if ep, to, ok := p.loose(end); ok {
		p.Pack, p.Episodes = false, []int{ep}
		return p.done(i, to, 80)
	}
	// A range of seasons.
	k := end
	for k < len(p.low) && strings.IndexByte(" -~", p.low[k]) >= 0 && k-end < 3 {
		k++
	}
	if k > end {
		l := k
		if w, ok := p.word(k, []string{"season ", "s"}); ok {
			l = w
		}
		if last, to := p.num(l, 2); to-l == 2 && p.ends(to) && last > season && (p.low[k] == 's' || !p.termAt(k)) {
			p.LastSeason = last
			end = to
		}
	}
	// A part of the season.
	if l, ok := p.word(p.skip(end, 2), []string{"part", "vol", "p"}); ok {
		at := p.skip(l, 1)
		if n, to := p.num(at, 2); to > at && p.ends(to) {
			p.Part, p.Pack = n, false
			end = to
		}
	}
	return p.done(i, end, sure)
}

// roman reads a number up to 39 as the Romans wrote it.
func (p *titleParser) roman(i int) (v, end int) {
	last := 0
	for end = i; end < len(p.low) && end-i < 6; end++ {
		n := strings.IndexByte("ivx", p.low[end])
		if n < 0 {
			break
		}
		n = []int{1, 5, 10}[n]
		if v += n; n > last && last > 0 {
			v -= 2 * last
		}
		last = n
	}
	if !p.ends(end) {
		return 0, i
	}
	return v, end
}

// ordinalSeason reads "2nd Season".
func (p *titleParser) ordinalSeason(i int) bool {
	n, j := p.num(i, 2)
	if j == i {
		return false
	}
	k, ok := p.word(j, []string{"st season", "nd season", "rd season", "th season"})
	if !ok || !p.ends(k) {
		return false
	}
	p.Season, p.Pack = n, true
	if ep, to, ok := p.loose(k); ok {
		p.Pack, p.Episodes = false, []int{ep}
		return p.done(i, to, 75)
	}
	return p.done(i, k, 75)
}

// channels tells "5.1" and "2.0" from an episode.
func (p *titleParser) channels(i int) bool {
	return p.low[i] != '0' && p.at(i+1) == '.'
}

// loose reads an episode behind a season in anime's notation: " - 07", " [07]",
// ") - 33".
func (p *titleParser) loose(i int) (ep, end int, ok bool) {
	j := i
	for j < len(p.low) && (p.low[j] == ')' || p.low[j] == ' ' || p.low[j] == '_') && j-i < 3 {
		j++
	}
	switch {
	case p.at(j) == '-' && (p.at(j+1) == ' ' || p.at(j+1) == '_') && j > i:
		j++
		for j < len(p.low) && (p.low[j] == ' ' || p.low[j] == '_') {
			j++
		}
	case p.at(j) == '[' && j > i:
		j++
	default:
		return 0, i, false
	}
	ep, end = p.num(j, 4)
	if end-j < 2 || !p.episodeEnds(end) || p.termAt(j) {
		return 0, i, false
	}
	return ep, end, true
}

var numberWords = []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

// episodeMark reads an episode without a season, which is then the first: Episode
// 5, Ep05, E05, E07-E08, 5. Bölüm.
func (p *titleParser) episodeMark(i int) bool {
	if j, ok := p.word(i, episodeWords); ok {
		at := j
		single := j-i == 1
		if !single {
			at = p.skip(j, 2)
		}
		ep, end := p.num(at, 5)
		if end-at >= 1 && p.episodeEnds(end) && (!single || end-at >= 2) {
			p.Season = 1
			end = p.chain(1, ep, at, end)
			sure := uint8(85)
			if single {
				sure = 75
			}
			if season, from := p.earlierSeason(i); from < i && !single {
				p.Season = season
				return p.done(from, end, 75)
			}
			return p.done(i, end, sure)
		}
	}
	if ep, j := p.num(i, 4); j > i {
		for _, w := range []string{"blm", "bölüm", "bolum"} {
			if k := p.skip(j, 2); k > j && strings.HasPrefix(p.low[k:], w) && p.ends(k+len(w)) {
				return p.first(ep, i, k+len(w), 85)
			}
		}
	}
	return false
}

// earlierSeason finds a season named by itself before an episode at i: "Season 6
// (2026) 720p Episode 13". Without one from is i.
func (p *titleParser) earlierSeason(i int) (season, from int) {
	for from = p.from; from < i; from++ {
		if !p.starts(from) || !letter(p.low[from]) {
			continue
		}
		if j, ok := p.word(from, seasonWords); ok {
			at := p.skip(j, 2)
			if n, end := p.num(at, 4); end > at && p.ends(end) && end <= i {
				return n, from
			}
		}
	}
	return 0, i
}

// first notes an episode of the only season.
func (p *titleParser) first(ep, from, end int, sure uint8) bool {
	p.Season, p.Episodes = 1, []int{ep}
	return p.done(from, end, sure)
}

// episodeOf reads #5, 5of9, Part 2 and Part Two.
func (p *titleParser) episodeOf(i int) bool {
	if p.low[i] == '#' {
		ep, end := p.num(i+1, 4)
		return end > i+1 && p.ends(end) && i > p.from && p.first(ep, i, end, 65)
	}
	if j, ok := p.word(i, []string{"part", "pt"}); ok && i > p.from {
		at := p.skip(j, 1)
		if ep, end := p.num(at, 2); end > at && p.ends(end) {
			p.Part = ep
			return p.first(ep, i, end, 65)
		}
		for n, w := range numberWords {
			if at > j && strings.HasPrefix(p.low[at:], w) && p.ends(at+len(w)) {
				p.Part = n + 1
				return p.first(n+1, i, at+len(w), 65)
			}
		}
	}
	if ep, j := p.num(i, 4); j > i {
		if n, end := p.ofTotal(j); end > j && p.ends(end) && ep <= n {
			switch {
			case strings.HasPrefix(p.low[j:], "of"):
				return p.first(ep, i, end, 80)
			case p.termFrom >= 0 && i > p.from && n > 1 && ep > 0: // "3 of 7" is said of other things too
				return p.first(ep, i, end, 65)
			}
		}
	}
	return false
}

// absolute reads an episode counted over all seasons, as anime groups write it:
// "Show - 12 [720p]", "Show [12]", "[Group] Show 214".
func (p *titleParser) absolute(i int) bool {
	if i == p.from || !digit(p.low[i]) || p.termAt(i) {
		return false
	}
	ep, end := p.num(i, 4)
	if end-i < 2 || !p.episodeEnds(end) {
		return false
	}
	before := strings.TrimRight(p.low[p.from:i], " _")
	dash := strings.HasSuffix(before, "-") && len(before) < i-p.from && (strings.HasSuffix(before, " -") || strings.HasSuffix(before, "_-") || strings.HasSuffix(before, ".-"))
	bracket := p.low[i-1] == '[' && p.at(end) == ']'
	year := end-i == 4 && (p.low[i:i+2] == "19" || p.low[i:i+2] == "20")
	if year && !dash {
		return false
	}
	after := strings.TrimLeft(p.low[end:], " _.")
	closed := after == "" || strings.IndexByte("[(-v", after[0]) >= 0 || p.termAt(len(p.low)-len(after))
	switch {
	case dash && closed:
		p.Absolute = ep
		if p.leadGroup != "" {
			return p.done(i, end, 88)
		}
		return p.done(i, end, 70)
	case bracket && p.leadGroup != "":
		p.Absolute = ep
		return p.done(i, end, 75)
	case p.leadGroup != "" && closed && p.lastNumber(end):
		p.Absolute = ep
		return p.done(i, end, 75)
	case p.low[i] == '0' && (p.leadGroup != "" || p.low[i-1] == '{' && p.at(end) == '}'):
		p.Absolute = ep
		return p.done(i, end, 60)
	case bracket && p.low[i] == '0' && p.termFrom > i:
		p.Absolute = ep
		return p.done(i, end, 60)
	case closed && end-i == 2 && p.low[i] == '0' && p.termFrom > i:
		p.Absolute = ep
		return p.done(i, end, 55)
	}
	return false
}

// lastNumber tells whether no further loose number follows before the technical
// terms.
func (p *titleParser) lastNumber(i int) bool {
	to := len(p.low)
	if p.termFrom > i {
		to = p.termFrom
	}
	if b := strings.IndexAny(p.low[i:to], "[("); b >= 0 {
		to = i + b
	}
	for j := i; j < to; j++ {
		if digit(p.low[j]) && p.starts(j) {
			if _, k := p.num(j, 4); k-j >= 2 && p.ends(k) {
				return false
			}
		}
	}
	return true
}

// compact reads season and episode in one number, where a term or the end follows:
// 103, 1013, 103.104, 10708.
func (p *titleParser) compact(i int) bool {
	if i == p.from && i == 0 || !digit(p.low[i]) || p.termAt(i) {
		return false
	}
	v, end := p.num(i, 6)
	if !p.ends(end) || p.low[i] == '0' && end-i < 6 {
		// "2015.0308": month and day of a show that numbers so.
		if end-i == 4 && p.ends(end) && p.low[i] == '0' {
			return p.compactPair(i, v, end, 50)
		}
		return false
	}
	next := p.skip(end, 1)
	followed := next >= len(p.low) || p.termAt(next) || p.at(next) == '-'
	switch end - i {
	case 3, 4:
		if v >= 1900 && v < 2100 || lines[p.low[i:end]] != "" && !followed || v%100 == 0 {
			return false
		}
		if w, to := p.num(next, 4); to-next >= 3 && w == v+1 && p.ends(to) {
			p.Season, p.Episodes = v/100, []int{v % 100, w % 100}
			return p.done(i, to, 65)
		}
		if !followed && p.at(end) != '_' && p.at(end) != '.' && p.at(end) != ' ' {
			return false
		}
		if !followed && p.termFrom >= 0 && !strings.Contains(p.low[p.from:i], "_") {
			return false
		}
		return p.compactPair(i, v, end, 55)
	case 5, 6:
		season, a, b := v/10000, v/100%100, v%100
		if followed && b == a+1 && season > 0 && season < 40 {
			p.Season, p.Episodes = season, []int{a, b}
			return p.done(i, end, 50)
		}
	}
	return false
}

func (p *titleParser) compactPair(i, v, end int, sure uint8) bool {
	if v/100 == 0 || v%100 == 0 {
		return false
	}
	p.Season, p.Episodes = v/100, []int{v % 100}
	return p.done(i, end, sure)
}
