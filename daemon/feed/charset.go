package feed

import (
	"bytes"
	"io"
	"mime"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/transform"
)

// toUTF8 is a document in UTF-8 without a byte order mark. Publishers mislabel:
// what is not plain ASCII and valid UTF-8 is UTF-8 whatever the label says.
func toUTF8(b []byte, contentType string) []byte {
	if enc, skip := byteOrder(b); enc != nil {
		return decode(enc, b[skip:])
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	valid := utf8.Valid(b)
	if valid && !bytes.ContainsRune(b, 0x1b) && !bytes.Contains(b, []byte("~{")) && !ascii(b) {
		return b
	}
	labels := []string{declared(b)}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		labels = append(labels, params["charset"])
	}
	for _, label := range labels {
		if label == "" {
			continue
		}
		enc, name := charset.Lookup(label)
		if enc == nil || name == "utf-8" || name == "replacement" || name == "utf-16le" || name == "utf-16be" {
			continue
		}
		return decode(enc, b)
	}
	if valid {
		return b
	}
	// Mostly UTF-8 with a broken character here and there, or Windows' Latin?
	if mostlyUTF8(b) {
		return decode(unicode.UTF8, b)
	}
	enc, _ := charset.Lookup("windows-1252")
	return decode(enc, b)
}

// decode is a document in UTF-8, what is no text in it replaced. What comes out is
// as bounded as what goes in, though a byte may become three: the rest is cut off.
func decode(enc encoding.Encoding, b []byte) []byte {
	var out bytes.Buffer
	out.Grow(min(len(b)+len(b)/4, maxBody) + bytes.MinRead)
	// Decoders replace what they cannot read; they fail at nothing.
	_, _ = out.ReadFrom(io.LimitReader(transform.NewReader(bytes.NewReader(b), enc.NewDecoder()), maxBody))
	return out.Bytes()
}

// byteOrder recognises UTF-16 and UTF-32, by their mark or by how "<" looks in them.
func byteOrder(b []byte) (enc encoding.Encoding, skip int) {
	u16 := func(order unicode.Endianness) encoding.Encoding { return unicode.UTF16(order, unicode.IgnoreBOM) }
	u32 := func(order utf32.Endianness) encoding.Encoding { return utf32.UTF32(order, utf32.IgnoreBOM) }
	for _, mark := range []struct {
		prefix string
		enc    encoding.Encoding
		skip   int
	}{
		{"\x00\x00\xfe\xff", u32(utf32.BigEndian), 4},
		{"\xff\xfe\x00\x00", u32(utf32.LittleEndian), 4},
		{"\xfe\xff", u16(unicode.BigEndian), 2},
		{"\xff\xfe", u16(unicode.LittleEndian), 2},
		{"\x00\x00\x00<", u32(utf32.BigEndian), 0},
		{"<\x00\x00\x00", u32(utf32.LittleEndian), 0},
		{"\x00<\x00", u16(unicode.BigEndian), 0},
		{"<\x00", u16(unicode.LittleEndian), 0},
	} {
		if bytes.HasPrefix(b, []byte(mark.prefix)) {
			return mark.enc, mark.skip
		}
	}
	return nil, 0
}

// declared is the encoding that the XML declaration names.
func declared(b []byte) string {
	b = bytes.TrimLeft(b[:min(len(b), 1024)], " \t\r\n")
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return ""
	}
	end := bytes.Index(b, []byte("?>"))
	if end < 0 {
		return ""
	}
	s := scanner{attrs: b[len("<?xml"):end]}
	label, _ := s.attribute("encoding")
	return label
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// mostlyUTF8 tells whether the well-formed sequences outnumber the broken ones ten
// to one.
func mostlyUTF8(b []byte) bool {
	good, bad := 0, 0
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		b = b[n:]
	}
	return good > 10*bad
}
