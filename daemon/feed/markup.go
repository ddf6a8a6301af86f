package feed

import (
	"bytes"
	"html"
	"strconv"
	"unicode/utf8"
)

// scanner finds the markup in an XML document that need not be well-formed:
// stray "&" and "<", missing end tags, unquoted attributes and documents cut short
// are read as far as they make sense. Feeds in the wild have all of these, and
// encoding/xml gives up at most of them. It allocates nothing, keeps no stack and
// takes time linear in the document whatever stands in it.
type scanner struct {
	doc []byte
	pos int

	kind  markup
	start int    // where the token begins
	name  []byte // of a tag, prefix included
	attrs []byte // between a start tag's name and its end
	empty bool   // <name/>
	text  []byte // of text (escaped) and CDATA (literal)

	noQuote [2]bool // no further ' or " in the document
}

type markup int

const (
	markupEnd markup = iota // of the document
	markupText
	markupCDATA
	markupStart
	markupStop // an end tag
)

// next moves to the next token; comments, processing instructions and document
// types are passed over.
func (s *scanner) next() markup {
	for s.pos < len(s.doc) {
		s.start = s.pos
		rest := s.doc[s.pos:]
		if rest[0] != '<' || !opensMarkup(rest) {
			s.pos += 1 + textEnd(rest[1:])
			s.text = s.doc[s.start:s.pos]
			s.kind = markupText
			return s.kind
		}
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			s.skipPast(4, "-->")
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			s.skipPast(9, "]]>")
			s.text = bytes.TrimSuffix(s.doc[s.start+9:s.pos], []byte("]]>"))
			s.kind = markupCDATA
			return s.kind
		case rest[1] == '?':
			s.skipPast(2, "?>")
		case rest[1] == '!':
			s.skipDoctype()
		default:
			s.tag()
			return s.kind
		}
	}
	s.start = s.pos
	s.kind = markupEnd
	return s.kind
}

// opensMarkup tells "<a", "</a", "<!x" and "<?" from a "<" that stands for itself.
func opensMarkup(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	c := b[1]
	if c == '/' && len(b) > 2 {
		c = b[2]
	}
	return nameStart(c) || b[1] == '!' || b[1] == '?'
}

func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= utf8.RuneSelf
}

func space(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// textEnd is where the text at the front of b ends.
func textEnd(b []byte) int {
	for i := 0; ; i++ {
		j := bytes.IndexByte(b[i:], '<')
		if j < 0 {
			return len(b)
		}
		if i += j; opensMarkup(b[i:]) {
			return i
		}
	}
}

func (s *scanner) skipPast(opening int, end string) {
	from := min(s.pos+opening, len(s.doc))
	if i := bytes.Index(s.doc[from:], []byte(end)); i >= 0 {
		s.pos = from + i + len(end)
		return
	}
	s.pos = len(s.doc)
}

// skipDoctype passes <!DOCTYPE ... [ ... ]>. What it declares is not used: no
// entity of the document's own is ever expanded.
func (s *scanner) skipDoctype() {
	depth := 0
	for s.pos++; s.pos < len(s.doc); s.pos++ {
		switch s.doc[s.pos] {
		case '[':
			depth++
		case ']':
			depth--
		case '>':
			if depth <= 0 {
				s.pos++
				return
			}
		}
	}
}

func (s *scanner) tag() {
	s.kind = markupStart
	i := s.pos + 1
	if s.doc[i] == '/' {
		s.kind = markupStop
		i++
	}
	from := i
	for i < len(s.doc) && !space(s.doc[i]) && s.doc[i] != '>' && s.doc[i] != '/' && s.doc[i] != '<' {
		i++
	}
	s.name = s.doc[from:i]
	from = i
	for i < len(s.doc) {
		switch c := s.doc[i]; c {
		case '>':
			s.attrs = s.doc[from:i]
			s.empty = bytes.HasSuffix(s.attrs, []byte("/"))
			s.pos = i + 1
			return
		case '<': // the tag was never closed
			s.attrs, s.empty, s.pos = s.doc[from:i], false, i
			return
		case '"', '\'':
			// A quote opens a value only behind "=".
			if j := s.quoteEnd(i); j > 0 && opensValue(s.doc[from:i]) {
				i = j
			}
		}
		i++
	}
	s.attrs, s.empty, s.pos = s.doc[from:], false, len(s.doc)
}

func opensValue(before []byte) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if !space(before[i]) {
			return before[i] == '='
		}
	}
	return false
}

// quoteEnd is where the quotation that opens at i ends, 0 if nowhere. That there
// is no further quote is remembered, or a document of opening quotes would take
// quadratic time.
func (s *scanner) quoteEnd(i int) int {
	which := 0
	if s.doc[i] == '"' {
		which = 1
	}
	if s.noQuote[which] {
		return 0
	}
	j := bytes.IndexByte(s.doc[i+1:], s.doc[i])
	if j < 0 {
		s.noQuote[which] = true
		return 0
	}
	return i + 1 + j
}

// attributes calls f with each name and escaped value of the current start tag
// until f says false.
func (s *scanner) attributes(f func(name, value []byte) bool) {
	b := s.attrs
	for {
		for len(b) > 0 && (space(b[0]) || b[0] == '/') {
			b = b[1:]
		}
		if len(b) == 0 {
			return
		}
		n := 0
		for n < len(b) && b[n] != '=' && !space(b[n]) {
			n++
		}
		name := b[:n]
		b = b[n:]
		for len(b) > 0 && space(b[0]) {
			b = b[1:]
		}
		var value []byte
		if len(b) > 0 && b[0] == '=' {
			b = b[1:]
			for len(b) > 0 && space(b[0]) {
				b = b[1:]
			}
			value, b = attributeValue(b)
		}
		if !f(name, value) {
			return
		}
	}
}

func attributeValue(b []byte) (value, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	if q := b[0]; q == '"' || q == '\'' {
		if i := bytes.IndexByte(b[1:], q); i >= 0 {
			return b[1 : 1+i], b[2+i:]
		}
		b = b[1:]
	}
	n := 0
	for n < len(b) && !space(b[n]) {
		n++
	}
	return b[:n], b[n:]
}

// attribute is the unescaped value of one attribute of the current start tag.
func (s *scanner) attribute(name string) (string, bool) {
	var out string
	found := false
	s.attributes(func(n, v []byte) bool {
		if string(n) == name {
			out, found = string(appendUnescaped(nil, v)), true
		}
		return !found
	})
	return out, found
}

// appendUnescaped appends text with its character references replaced once.
func appendUnescaped(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		b = b[i:]
		end := bytes.IndexByte(b[:min(len(b), 33)], ';')
		if end < 2 {
			dst, b = append(dst, '&'), b[1:]
			continue
		}
		ref := b[1:end]
		if r, ok := reference(ref); ok {
			dst, b = utf8.AppendRune(dst, r), b[end+1:]
			continue
		}
		// HTML's names are used in feeds whose XML does not have them.
		whole := string(b[:end+1])
		if plain := html.UnescapeString(whole); plain != whole && ref[0] != '#' {
			dst, b = append(dst, plain...), b[end+1:]
			continue
		}
		dst, b = append(dst, '&'), b[1:]
	}
}

func reference(ref []byte) (rune, bool) {
	switch string(ref) {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if ref[0] != '#' || len(ref) < 2 {
		return 0, false
	}
	digits, base := ref[1:], 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || n == 0 || n > utf8.MaxRune || n >= 0xd800 && n < 0xe000 {
		return utf8.RuneError, err == nil
	}
	// Windows' punctuation written as if it were Latin-1, as HTML reads it.
	if n >= 0x80 && n < 0xa0 {
		r, _ := utf8.DecodeRuneInString(html.UnescapeString("&#" + strconv.FormatUint(n, 10) + ";"))
		return r, true
	}
	if n < ' ' && n != '\n' && n != '\t' && n != '\r' {
		return ' ', true
	}
	return rune(n), true
}
