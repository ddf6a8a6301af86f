package feed

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// plainText is the text of an HTML fragment on one line, at most limit bytes:
// markup, scripts and styles gone, white space collapsed. Pages show it escaped, so
// nothing a publisher writes is ever markup on ours.
func plainText(fragment string, limit int) string {
	if !strings.ContainsAny(fragment, "<&") {
		return oneLine(fragment, limit)
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(fragment))
	z.SetMaxBuf(1 << 20)
	hidden := ""
	for b.Len() <= 2*limit {
		switch tt := z.Next(); tt {
		case html.ErrorToken:
			return oneLine(b.String(), limit)
		case html.TextToken:
			if hidden == "" {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "iframe":
				z.NextIsNotRawText() // what it holds is for those who show no frames
			case "script", "style", "template":
				if hidden == "" && tt == html.StartTagToken {
					hidden = string(name)
				}
			}
			if !inline[string(name)] {
				b.WriteByte(' ')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if string(name) == hidden {
				hidden = ""
			}
			if !inline[string(name)] {
				b.WriteByte(' ')
			}
		}
	}
	return oneLine(b.String(), limit)
}

// inline elements do not part words.
var inline = map[string]bool{
	"a": true, "abbr": true, "acronym": true, "b": true, "bdi": true, "bdo": true, "big": true, "cite": true, "code": true,
	"del": true, "dfn": true, "em": true, "font": true, "i": true, "ins": true, "kbd": true, "mark": true, "q": true, "s": true,
	"samp": true, "small": true, "span": true, "strike": true, "strong": true, "sub": true, "sup": true, "tt": true, "u": true,
	"var": true, "wbr": true, "img": true,
}

// oneLine collapses white space and cuts at limit bytes, between characters.
// Control and direction-changing characters go: they could make a line lie.
func oneLine(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	var b strings.Builder
	gap := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || r == '\u00a0':
			gap = b.Len() > 0
			continue
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\ufeff':
			continue
		}
		if b.Len()+utf8.RuneLen(r)+len(" …") > limit {
			b.WriteString("…")
			break
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain tells whether oneLine has nothing to do but cutting.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			return false
		}
	}
	return true
}
