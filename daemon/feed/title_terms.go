package feed

import "strings"

// term is what a technical word in a release's name means.
type term struct {
	kind  termKind
	value string
	sure  uint8 // 0: only beside other terms, for it is an ordinary word too
}

type termKind uint8

const (
	tResolution termKind = iota
	tSource
	tCodec
	tAudio
	tLanguage
	tProper
	tRepack
	tOther // says that technical terms are here, no more
)

// longestTerm is how many words a term has at most.
const longestTerm = 3

// terms by their words in lower case, joined without separators.
var terms = func() map[string]term {
	m := map[string]term{}
	add := func(kind termKind, value string, sure uint8, words string) {
		for _, w := range strings.Fields(words) {
			m[w] = term{kind, value, sure}
		}
	}
	add(tSource, "WEB-DL", 95, "webdl webhd itunes ituneshd amazonhd amazonsd amazonuhd netflixhd netflixuhd maxdomehd hbomaxhd disneyhd webdlmux")
	add(tSource, "WEB-DL", 80, "web")
	add(tSource, "WEBRip", 95, "webrip webmux webcap")
	add(tSource, "Blu-ray", 95, "bluray bdrip brrip bdmux bd25 bd50 bdlight hddvd hddvdrip uhdbluray uhdbd bdiso bdremux uhdbdrip")
	add(tSource, "Blu-ray", 70, "bd bdr")
	add(tSource, "HDTV", 95, "hdtv hdtvrip hddtv ahdtv rawhd")
	add(tSource, "HDTV", 60, "dsr satrip dvb dvbrip dth tvrip sdtv pdtv hdtc")
	add(tSource, "DVD", 95, "dvdrip dvdr dvd5 dvd9 ndvd xvidvd dvdmux")
	add(tSource, "DVD", 85, "dvd")
	add(tSource, "VHS", 90, "vhsrip")
	add(tSource, "CAM", 90, "hdcam camrip telesync dvdscr screener")
	add(tCodec, "H.264", 95, "x264 h264 avc h264avc x264hi10p")
	add(tCodec, "H.265", 95, "x265 h265 hevc")
	add(tCodec, "H.266", 95, "x266 h266 vvc")
	add(tCodec, "AV1", 95, "av1")
	add(tCodec, "VP9", 95, "vp9")
	add(tCodec, "XviD", 95, "xvid divx")
	add(tCodec, "MPEG-2", 95, "mpeg2")
	add(tCodec, "VC-1", 95, "vc1")
	add(tAudio, "DTS-HD MA", 95, "dtshdma dtshd dtsma")
	add(tAudio, "DTS", 95, "dts dtsx dtses dts51")
	add(tAudio, "TrueHD", 95, "truehd truehd51 truehd71")
	add(tAudio, "E-AC-3", 95, "ddp eac3 dd+ ddp51 ddp20 ddp71 ddpa ddpa51 ddp5 ddp2 eac3d ddp10")
	add(tAudio, "AC-3", 95, "ac3 dd51 dd20 dd2 dd5 dd10 ac3d ac351")
	add(tAudio, "AAC", 95, "aac aac20 aac51 aac2 aac5 heaac aac10 aac21")
	add(tAudio, "FLAC", 95, "flac flac20 flac51")
	add(tAudio, "Opus", 90, "opus")
	add(tAudio, "MP3", 95, "mp3")
	add(tAudio, "MP2", 60, "mpa mpa20 mp2")
	add(tProper, "", 95, "proper rerip")
	add(tProper, "", 0, "real")
	add(tRepack, "", 95, "repack repack2 repack3 rerip2")
	add(tOther, "", 90, `10bit 8bit hi10p hi10 hdr hdr10 hdr10+ hdr10plus dolbyvision atmos remux hybridremux ntsc dualaudio softsubs hardsub hardsubs multisubs
		multisub amzn dsnp hmax atvp hulu pmtp stan crav ds4k vostfr subfrench internal upscale upscaled batch webmux truefrench blurayremux multisubtitle
		engsub dsny dsnyp all4 ahdtv`)
	add(tOther, "", 0, `nf cr dv sdr uhd dl dubbed dual ws hr multi uncut extended unrated limited complete subs sub raw hd sd bit audio web-dl hq mkv mp4 cbr
		internal read.nfo subpack extras remastered hybrid dubs subbed esubs pal rip nfo ita atv ip hybrid synced ch fhd 2ch 6ch`)
	for w, l := range languages {
		if _, ok := m[w]; !ok {
			m[w] = term{tLanguage, l, 0}
		}
	}
	return m
}()

// languages as release names write them. Short codes are taken only beside other
// terms: "it" is a word.
var languages = func() map[string]string {
	m := map[string]string{}
	for l, words := range map[string]string{
		"English": "english eng en", "German": "german ger deutsch de", "French": "french fre fra fr vf vff vfq truefrench vostfr",
		"Spanish": "spanish spa esp es castellano latino", "Italian": "italian ita", "Portuguese": "portuguese por pt dublado", "Dutch": "dutch nl flemish nlsubs",
		"Swedish": "swedish swe", "Norwegian": "norwegian nor", "Danish": "danish dan", "Finnish": "finnish fin", "Nordic": "nordic",
		"Polish": "polish pol pl", "Czech": "czech cz cze", "Hungarian": "hungarian hun hu", "Russian": "russian rus ru", "Ukrainian": "ukrainian ukr",
		"Japanese": "japanese jpn jap jp", "Korean": "korean kor", "Chinese": "chinese chs cht mandarin cantonese", "Turkish": "turkish tur",
		"Greek": "greek", "Hebrew": "hebrew heb", "Arabic": "arabic", "Hindi": "hindi", "Romanian": "romanian rom", "Bulgarian": "bulgarian", "Icelandic": "icelandic",
	} {
		for _, w := range strings.Fields(words) {
			m[w] = l
		}
	}
	return m
}()

// termWord tells whether a word by itself is a technical term.
func termWord(w string) bool {
	w = strings.ToLower(w)
	if resolutionIn(w) != "" {
		return true
	}
	t, ok := terms[w]
	return ok && (t.sure > 0 || t.kind == tLanguage && len(w) > 3 || t.kind == tOther && len(w) > 2 || w == "nf")
}

// terms finds the technical words. Ordinary words among them count only behind the
// first sure one.
func (p *titleParser) terms() {
	p.termFrom, p.dateFrom, p.numFrom = -1, -1, -1
	var buf [32]byte
	for i := 0; i < len(p.low); {
		if !p.starts(i) || !alnum(p.low[i]) {
			i++
			continue
		}
		if end, value := p.resolution(i); end > i {
			if p.Resolution == "" || p.Confidence.Resolution < 90 {
				p.Resolution, p.Confidence.Resolution = value, 98
			}
			p.term(i, end)
			i = end
			continue
		}
		// The longest term that begins here.
		n, words, best, bestEnd := 0, 0, term{}, i
		for j := i; j < len(p.low) && words < longestTerm && n < len(buf); {
			end := j
			for end < len(p.low) && (alnum(p.low[end]) || p.low[end] == '+' && end > j) {
				end++
			}
			if n+end-j > len(buf) {
				break
			}
			n += copy(buf[n:], p.low[j:end])
			words++
			if t, ok := terms[string(buf[:n])]; ok {
				best, bestEnd = t, end
			}
			j = end
			if j >= len(p.low) || strings.IndexByte(" .-_", p.low[j]) < 0 {
				break
			}
			j++
			if j >= len(p.low) || !alnum(p.low[j]) {
				break
			}
		}
		if bestEnd == i {
			if end := p.glued(i); end > i {
				i = end
				continue
			}
			for i < len(p.low) && alnum(p.low[i]) {
				i++
			}
			continue
		}
		if best.kind == tAudio {
			bestEnd = p.channelsBehind(bestEnd)
		}
		p.found(best, i, bestEnd)
		i = bestEnd
	}
	// "4K" and the like say less than a number of lines.
	if p.Resolution == "" {
		for _, w := range []struct{ word, value string }{{"2160", "2160p"}, {"4k", "2160p"}, {"uhd", "2160p"}, {"fhd", "1080p"}, {"1080", "1080p"}, {"720", "720p"}} {
			if i := p.find(w.word); i >= 0 && (p.termCount > 0 || w.word == "fhd" || w.word == "4k") && (w.word != "1080" && w.word != "720" || i > 4) {
				p.Resolution, p.Confidence.Resolution = w.value, 70
				p.term(i, i+len(w.word))
				break
			}
		}
	}
	// These only ever hold standard definition.
	if p.Resolution == "" && (p.Codec == "XviD" || p.Source == "DVD") {
		p.Resolution, p.Confidence.Resolution = "480p", 50
	}
}

// channelsBehind passes the " 5.1" or "2.0" behind an audio format.
func (p *titleParser) channelsBehind(i int) int {
	j := p.skip(i, 1)
	if j+2 < len(p.low) && digit(p.low[j]) && (p.low[j+1] == '.' || p.low[j+1] == ' ') && digit(p.low[j+2]) && p.ends(j+3) {
		return j + 3
	}
	return i
}

// find looks for a word.
func (p *titleParser) find(w string) int {
	for from := 0; ; {
		i := strings.Index(p.low[from:], w)
		if i < 0 {
			return -1
		}
		i += from
		if p.starts(i) && p.ends(i+len(w)) {
			return i
		}
		from = i + len(w)
	}
}

func (p *titleParser) term(from, to int) {
	p.techSpans = append(p.techSpans, span{from, to})
	p.termCount++
	if p.termFrom < 0 {
		p.termFrom = from
	}
}

func (p *titleParser) found(t term, from, to int) {
	if t.sure == 0 {
		// An ordinary word counts behind a sure term, or where it is written as one.
		if p.termFrom < 0 {
			if t.kind == tLanguage && to-from > 4 {
				p.language(t.value, 60)
			}
			return
		}
		if from > 0 && p.low[from-1] == '-' && t.kind != tLanguage {
			return // "-HR" is a group
		}
	}
	set := func(field *string, sure *uint8) {
		if *field == "" || t.sure > *sure {
			*field, *sure = t.value, t.sure
		}
	}
	var ignored uint8
	switch t.kind {
	case tSource:
		if to-from == 3 && p.low[from:to] == "web" && !p.webIsSource(to) {
			return
		}
		if to-from == 2 && p.low[from:to] == "bd" && from > 0 && p.low[from-1] == '-' && p.ends(to) && to == len(p.low) {
			return // a group of that name
		}
		set(&p.Source, &p.Confidence.Source)
	case tCodec:
		set(&p.Codec, &p.Confidence.Codec)
	case tAudio:
		set(&p.Audio, &ignored)
	case tLanguage:
		p.language(t.value, 80)
	case tProper:
		p.Proper = true
	case tRepack:
		p.Repack = true
	}
	if t.sure == 0 {
		p.techSpans = append(p.techSpans, span{from, to})
		return
	}
	p.term(from, to)
}

// webIsSource tells the source from the word in a title: it stands beside other
// terms, in brackets, or at the end.
func (p *titleParser) webIsSource(to int) bool {
	if p.termFrom >= 0 {
		return true
	}
	rest := strings.TrimLeft(p.low[to:], " ._-[](){}")
	if rest == "" || p.at(to) == ']' || p.at(to) == ')' {
		return true
	}
	for n := 1; n <= 5 && n <= len(rest); n++ {
		if n == len(rest) || !alnum(rest[n]) {
			t, ok := terms[rest[:n]]
			return ok && t.kind != tLanguage || resolutionIn(rest[:n]) != ""
		}
	}
	return strings.HasPrefix(rest, "1080p") || strings.HasPrefix(rest, "720p")
}

func (p *titleParser) language(l string, sure uint8) {
	for _, have := range p.Languages {
		if have == l {
			return
		}
	}
	if len(p.Languages) < 8 {
		p.Languages = append(p.Languages, l)
		p.Confidence.Language = max(p.Confidence.Language, sure)
	}
}

// glued takes terms that are written together with a resolution: "bd1080p",
// "bluray720p", "hdtv720p", "webdl1080p", "4kto1080p".
func (p *titleParser) glued(i int) int {
	end := i
	for end < len(p.low) && alnum(p.low[end]) {
		end++
	}
	word := p.low[i:end]
	r := resolutionIn(word)
	if r == "" {
		return i
	}
	p.Resolution, p.Confidence.Resolution = r, 95
	if cut := strings.IndexAny(word, "0123456789"); cut > 0 {
		if t, ok := terms[word[:cut]]; ok && t.kind == tSource {
			p.Source, p.Confidence.Source = t.value, t.sure
		}
	}
	p.term(i, end)
	return end
}

// lines are the picture heights that names give, with what they count as.
var lines = map[string]string{
	"240": "240p", "360": "360p", "404": "480p", "480": "480p", "540": "540p", "544": "540p", "576": "576p", "720": "720p", "960": "720p",
	"1080": "1080p", "1440": "1080p", "2160": "2160p", "4320": "4320p",
}

// resolution reads "1080p", "1080i", "1920x1080", "1280*720" at i.
func (p *titleParser) resolution(i int) (end int, value string) {
	wide, j := p.num(i, 4)
	if j-i < 3 {
		return i, ""
	}
	switch c := p.at(j); {
	case c == 'p' || c == 'i':
		k := j + 1
		for k < len(p.low) && digit(p.low[k]) && k-j <= 3 {
			k++ // "1080p60"
		}
		if v := lines[p.low[i:j]]; v != "" && p.ends(k) {
			if c == 'i' {
				v = v[:len(v)-1] + "i"
			}
			return k, v
		}
	case c == 'x' || c == '*':
		h, k := p.num(j+1, 4)
		if k-j < 4 || !p.ends(k) || wide < h || wide > 3*h {
			return i, "" // no picture's shape: season 2016, episode 231
		}
		switch {
		case h > 1200:
			return k, "2160p"
		case h > 800:
			return k, "1080p"
		case h > 600:
			return k, "720p"
		case h > 400:
			return k, "480p"
		default:
			return k, "360p"
		}
	}
	return i, ""
}

// resolutionIn finds "1080p" at the end or the front of a word.
func resolutionIn(w string) string {
	for i := range len(w) {
		if !digit(w[i]) || i > 0 && digit(w[i-1]) {
			continue
		}
		j := i
		for j < len(w) && digit(w[j]) {
			j++
		}
		if j < len(w) && (w[j] == 'p' || w[j] == 'i') && (j+1 == len(w) || i == 0) {
			if v := lines[w[i:j]]; v != "" {
				return v
			}
		}
	}
	return ""
}
