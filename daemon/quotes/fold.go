package quotes

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// token is a word of a text: folded for comparing, and where it stands.
type token struct {
	word       string
	start, end int // bytes of the text
}

// maxWord cuts absurdly long words, in bytes after folding.
const maxWord = 64

// tokens splits a text into folded words: lower case without accents; apostrophes
// within a word vanish ("don't" is "dont"); each Chinese or Japanese character is
// a word of its own, as those scripts have no spaces.
func tokens(text string) []token {
	var out []token
	var word []byte
	start, end := -1, 0
	flush := func() {
		if len(word) > 0 {
			if len(word) > maxWord {
				word = word[:maxWord]
				for !utf8.Valid(word) {
					word = word[:len(word)-1]
				}
			}
			out = append(out, token{string(word), start, end})
		}
		word, start = word[:0], -1
	}
	for i, r := range text {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(text[i:])
		}
		switch {
		case r < utf8.RuneSelf:
			switch {
			case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
				word = append(word, byte(r))
			case 'A' <= r && r <= 'Z':
				word = append(word, byte(r)+'a'-'A')
			case r == '\'' && start >= 0:
				continue
			default:
				flush()
				continue
			}
		case (r == '’' || r == 'ʼ' || r == '‘') && start >= 0, r == '\u00ad', r == '\u200d':
			continue
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			flush()
			start, end = i, i+size
			word = appendFolded(word, r)
			flush()
			continue
		case unicode.IsLetter(r), unicode.IsNumber(r):
			before := len(word)
			word = appendFolded(word, r)
			if len(word) == before {
				continue
			}
		case unicode.IsMark(r): // a combining accent of the letter before it
			continue
		default:
			flush()
			continue
		}
		if start < 0 {
			start = i
		}
		end = i + size
	}
	flush()
	return out
}

// letters that do not decompose into a base letter and accents.
var plain = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o", 'ł': "l", 'Ł': "l",
	'đ': "d", 'Đ': "d", 'ð': "d", 'Ð': "d", 'þ': "th", 'Þ': "th", 'ı': "i",
}

func appendFolded(word []byte, r rune) []byte {
	if s, ok := plain[r]; ok {
		return append(word, s...)
	}
	if unicode.Is(unicode.Hangul, r) { // decomposing would tear syllables apart
		return utf8.AppendRune(word, r)
	}
	for _, d := range norm.NFKD.String(string(r)) {
		// Compatibility forms bring signs with them ("½" is "1⁄2"): only letters and
		// digits may get into a word, or the database would split it differently.
		if unicode.IsLetter(d) || unicode.IsDigit(d) {
			word = utf8.AppendRune(word, unicode.ToLower(d))
		}
	}
	return word
}

// fold is a name in the form in which names are compared.
func fold(name string) string {
	ts := tokens(name)
	words := make([]string, len(ts))
	for i, t := range ts {
		words[i] = t.word
	}
	return strings.Join(words, " ")
}

// cleanText keeps what a plain text may hold: no control characters but line
// breaks, tabs set as spaces, no trailing space, no blank lines around it.
func cleanText(s string) string {
	if !needsCleaning(s) {
		return strings.TrimRight(trimBlankLines(s), " ")
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s))
	column := 0
	var line []rune
	end := func() {
		b.WriteString(strings.TrimRight(string(line), " \u00a0"))
		line, column = line[:0], 0
	}
	for _, r := range s {
		switch {
		case r == '\n', r == '\r', r == '\u2028', r == '\u2029':
			end()
			b.WriteByte('\n')
		case r == '\t':
			for {
				line = append(line, ' ')
				if column++; column%8 == 0 {
					break
				}
			}
		case r == '\b': // overstriking, as in "_\bword" for underlining
			if n := len(line); n > 0 {
				line = line[:n-1]
				column--
			}
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\uFEFF':
			// Bidirectional controls could make the page show something else.
		default:
			line = append(line, r)
			column++
		}
	}
	end()
	return strings.TrimRight(trimBlankLines(b.String()), " ")
}

func needsCleaning(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return true
		}
	}
	return false
}

func trimBlankLines(s string) string {
	for {
		line, rest, more := strings.Cut(s, "\n")
		if strings.TrimSpace(line) != "" {
			break
		}
		if !more {
			return ""
		}
		s = rest
	}
	return strings.TrimRight(s, "\n ")
}

// cleanLine is cleanText on one line with single spaces.
func cleanLine(s string) string { return strings.Join(strings.Fields(cleanText(s)), " ") }

// outdented takes away the indentation that all lines share, as of a dialogue in a
// fortune file: no layout is lost by it.
func outdented(s string) string {
	common := -1
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		if n := len(line) - len(strings.TrimLeft(line, " ")); common < 0 || n < common {
			common = n
		}
	}
	if common <= 0 {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(line[min(common, len(line)-len(strings.TrimLeft(line, " "))):])
	}
	return b.String()
}
