package quotes

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Format is how quotes stand in a file.
type Format string

// The formats. Auto looks at the name and at the beginning of the file.
const (
	Auto    Format = ""
	Fortune Format = "fortune" // entries between lines of a single %; a rot13 file (-o) is recognised
	JSON    Format = "json"    // an array, an object with an array, or an object a line
	CSV     Format = "csv"     // with a heading line that names the columns; , ; or tab
	Plain   Format = "plain"   // a quote a line or, where blank lines stand between, a quote a paragraph
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	switch f := Format(strings.ToLower(s)); f {
	case Fortune, JSON, CSV, Plain:
		return f, nil
	case Auto, "auto":
		return Auto, nil
	}
	return Auto, fmt.Errorf("there is no format %q; use auto, fortune, json, csv or plain", s)
}

// sniffed is how much of the beginning is looked at.
const sniffed = 64 << 10

// maxEntry bounds what one entry of a file may take in memory before it is
// rejected as no quote at all.
const maxEntry = 1 << 20

// sink receives what a parser finds: item for a quote, skip for what is none.
type sink struct {
	item func(place string, it Item) error
	skip func(place, why string)
}

// parse reads all quotes of r. An error means that the rest could not be read; what came before stands.
func parse(r *bufio.Reader, format Format, name string, s sink) error {
	head, err := r.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if format == Auto {
		format = detect(name, head)
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
		head = head[3:]
	}
	switch format {
	case JSON:
		return parseJSON(r, s)
	case CSV:
		return parseCSV(r, head, s)
	case Plain:
		return parsePlain(r, head, s)
	}
	return parseFortune(r, rotated(name, head), s)
}

// detect names the format of a file.
func detect(name string, head []byte) Format {
	switch strings.ToLower(path.Ext(name)) {
	case ".json", ".jsonl", ".ndjson":
		return JSON
	case ".csv", ".tsv":
		return CSV
	}
	text := bytes.TrimLeft(head, "\ufeff \t\r\n")
	compact := bytes.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, text[:min(len(text), 200)])
	for _, p := range []string{`[{`, `["`, `{"`, `[]`, `{}`} {
		if bytes.HasPrefix(compact, []byte(p)) {
			return JSON
		}
	}
	for line := range bytes.Lines(head) {
		if string(bytes.TrimRight(line, "\r\n ")) == "%" {
			return Fortune
		}
	}
	if strings.EqualFold(path.Ext(name), ".txt") || len(head) > 0 && !strings.HasSuffix(name, "-o") {
		return Plain
	}
	return Fortune
}

// rotated says whether a file is rot13: fortune's offensive files are, by custom
// named -o, but the name may have been lost, and Debian's have none. The commonest
// words of English decide, the name only where they do not.
func rotated(name string, head []byte) bool {
	plain, rot := 0, 0
	for _, w := range bytes.FieldsFunc(head, func(r rune) bool { return r < 'A' || r > 'z' || r > 'Z' && r < 'a' }) {
		switch strings.ToLower(string(w)) {
		case "the", "and", "of", "to", "is", "in", "you", "that":
			plain++
		case "gur", "naq", "bs", "gb", "vf", "va", "lbh", "gung":
			rot++
		}
	}
	if plain == rot {
		return strings.HasSuffix(name, "-o")
	}
	return rot > plain
}

func rot13(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, s)
}

// lines reads lines without their ends. A line longer than maxEntry comes cut off
// with long set.
type lines struct {
	r    *bufio.Reader
	n    int // of the line last read, from 1
	long bool
}

func (l *lines) next() (string, error) {
	l.long = false
	l.n++
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		if len(line)+len(part) > maxEntry {
			l.long = true
			part = part[:max(0, min(len(part), maxEntry-len(line)))]
		}
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = nil
		}
		return text(bytes.TrimRight(line, "\r\n")), err
	}
}

// text takes UTF-8 as it is and anything else for Windows-1252, the superset of
// Latin-1 that old collections are in.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	s, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(s)
}

func parseFortune(r *bufio.Reader, rotated bool, s sink) error {
	in := lines{r: r}
	var entry strings.Builder
	first, long := 1, false
	flush := func() error {
		defer func() {
			entry.Reset()
			first, long = in.n+1, false
		}()
		place := fmt.Sprintf("line %d", first)
		t := entry.String()
		if long {
			s.skip(place, "longer than 20,000 bytes")
			return nil
		}
		if strings.TrimSpace(t) == "" { // files begin and end with a %
			return nil
		}
		if rotated {
			t = rot13(t)
		}
		return s.item(place, attributed(t))
	}
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", in.n, err)
		}
		if strings.TrimRight(line, " ") == "%" {
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		if long = long || in.long || entry.Len()+len(line) > maxEntry; !long {
			entry.WriteString(line)
			entry.WriteByte('\n')
		}
	}
}

var (
	dashes = regexp.MustCompile(`^\s*(?:--|―|—)\s*(\S.*)$`)
	work   = regexp.MustCompile(`^(.*?)[,:]?\s*["“](.+?)[,.]?["”]\s*(.*)$`)
)

// attributed parts an entry's text from its attribution, the last line that
// begins with dashes and at most two more indented lines:
//
//	-- Author, "Work", the rest
func attributed(entry string) Item {
	ls := strings.Split(strings.TrimRight(entry, "\n \t"), "\n")
	for i := len(ls) - 1; i > 0 && i >= len(ls)-3; i-- {
		m := dashes.FindStringSubmatch(ls[i])
		if m == nil {
			if l := ls[i]; strings.TrimSpace(l) == "" || l[0] != ' ' && l[0] != '\t' {
				break // neither the attribution nor a further line of it
			}
			continue
		}
		said := cleanLine(m[1] + " " + strings.Join(ls[i+1:], " "))
		if len(said) > maxName {
			break
		}
		it := Item{Text: strings.Join(ls[:i], "\n")}
		it.Author, it.Source = splitAttribution(said)
		return it
	}
	return Item{Text: entry}
}

var underlined = regexp.MustCompile(`^(?:([^_"]+,(?: from)?)\s+)?_+\s*([^"]*[^_"\s])\s*_+(,[^_"]*)?$`)

// splitAttribution tells the author from the work: `Mark Twain, "The Work", ch. 2`.
// Files of typewriter days underline the work: `Mark Twain, _The Work_`.
func splitAttribution(said string) (author, source string) {
	if m := underlined.FindStringSubmatch(said); m != nil {
		author = strings.TrimSuffix(strings.TrimSuffix(m[1], " from"), ",")
		source = strings.TrimSpace(strings.ReplaceAll(m[2], "_", " ")) + m[3]
		return strings.TrimPrefix(author, "by "), source
	}
	m := work.FindStringSubmatch(said)
	if m == nil {
		return strings.TrimPrefix(said, "by "), ""
	}
	source = m[2]
	if rest := strings.Trim(m[3], " ,.;"); rest != "" {
		if strings.ContainsAny(rest, `"“”`) || strings.HasPrefix(m[3], ")") { // not the shape we know: leave it whole
			return said, ""
		}
		source += ", " + rest
	}
	author = strings.TrimSpace(strings.TrimSuffix(m[1], ","))
	if strings.EqualFold(author, "from") || strings.EqualFold(author, "in") {
		author = ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(author, "by "), " in"), ", in"), source
}

// record is a quote in JSON under the names that collections in the wild use.
type record struct {
	Text    string          `json:"text"`
	Quote   json.RawMessage `json:"quote"`
	Content string          `json:"content"`
	Body    string          `json:"body"`
	Author  json.RawMessage `json:"author"`
	By      string          `json:"by"`
	Source  string          `json:"source"`
	Work    string          `json:"work"`
	Tags    json.RawMessage `json:"tags"`
	Added   string          `json:"added"`
}

func (rec record) item() Item {
	return Item{
		Text:   firstOf(rec.Text, stringOf(rec.Quote), rec.Content, rec.Body),
		Author: firstOf(stringOf(rec.Author), rec.By),
		Source: firstOf(rec.Source, rec.Work),
		Tags:   stringsOf(rec.Tags),
		Added:  parseTime(rec.Added),
	}
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// stringOf reads a string or an object with a name.
func stringOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var o struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(raw, &o) == nil {
		return o.Name
	}
	return ""
}

// stringsOf reads an array of strings or a string of words.
func stringsOf(raw json.RawMessage) []string {
	var ss []string
	if json.Unmarshal(raw, &ss) == nil {
		return ss
	}
	return splitTags(stringOf(raw))
}

func splitTags(s string) []string {
	if strings.ContainsAny(s, ",;") {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' })
	}
	return strings.Fields(s)
}

func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 && t.Year() < 9999 {
			return t
		}
	}
	return time.Time{}
}

// guard ends a read when one entry has taken more than maxEntry: the JSON decoder
// would otherwise hold a value of any size in memory.
type guard struct {
	r    io.Reader
	left int
}

var errLong = errors.New("an entry is longer than 1 MB; this is no list of quotes")

func (g *guard) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errLong
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

func parseJSON(r *bufio.Reader, s sink) error {
	g := &guard{r: r, left: 2 * maxEntry}
	dec := json.NewDecoder(g)
	n := 0
	one := func() error {
		n++
		place := fmt.Sprintf("item %d", n)
		g.left = 2 * maxEntry
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("%s (after byte %d): %w", place, dec.InputOffset(), err)
		}
		var t string
		if json.Unmarshal(raw, &t) == nil {
			return s.item(place, Item{Text: t})
		}
		var rec record
		if err := json.Unmarshal(raw, &rec); err != nil {
			s.skip(place, "not an object with text, author, source, tags")
			return nil
		}
		return s.item(place, rec.item())
	}
	array := func() error {
		for dec.More() {
			if err := one(); err != nil {
				return err
			}
		}
		_, err := dec.Token()
		return err
	}
	for {
		c, err := peekByte(r, dec)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
		}
		switch {
		case c == '[':
			if _, err := dec.Token(); err != nil {
				return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
			}
			err = array()
		case c == '{' && n == 0: // an object that holds the list, or the first of an object a line
			err = objectOrList(dec, &n, s, array)
		default:
			err = one()
		}
		if err != nil {
			return err
		}
		g.left = 2 * maxEntry
	}
}

// peekByte is the first byte of the next value.
func peekByte(r *bufio.Reader, dec *json.Decoder) (byte, error) {
	if buffered, err := io.ReadAll(dec.Buffered()); err == nil {
		if t := bytes.TrimLeft(buffered, " \t\r\n"); len(t) > 0 {
			return t[0], nil
		}
	}
	for {
		b, err := r.Peek(1)
		if err != nil {
			return 0, err
		}
		if !bytes.ContainsAny(b, " \t\r\n") {
			return b[0], nil
		}
		_, _ = r.Discard(1)
	}
}

// objectOrList reads the first object of a file: {"quotes": [...]}, under
// whatever name, or a quote.
func objectOrList(dec *json.Decoder, n *int, s sink, array func() error) error {
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
		}
		field, _ := name.(string)
		switch strings.ToLower(field) {
		case "quotes", "results", "items", "data", "list":
			if _, err := dec.Token(); err != nil {
				return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
			}
			if err := array(); err != nil {
				return err
			}
			continue
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
		}
		if len(fields) < 32 {
			fields[field] = raw
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("after byte %d: %w", dec.InputOffset(), err)
	}
	if *n > 0 { // there was a list; the other fields were about it
		return nil
	}
	*n++
	whole, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	var rec record
	if err := json.Unmarshal(whole, &rec); err != nil {
		s.skip("item 1", "not an object with text, author, source, tags")
		return nil
	}
	return s.item("item 1", rec.item())
}

func parseCSV(r *bufio.Reader, head []byte, s sink) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes, c.ReuseRecord = -1, true, true
	first, _, _ := bytes.Cut(head, []byte("\n"))
	for _, sep := range []byte{';', '\t'} {
		if bytes.Count(first, []byte{sep}) > bytes.Count(first, []byte{byte(c.Comma)}) {
			c.Comma = rune(sep)
		}
	}
	columns := map[string]int{}
	for n := 0; ; n++ {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			s.skip(fmt.Sprintf("line %d", bad.Line), "not CSV: "+bad.Err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			for i, name := range row {
				name = strings.ToLower(strings.TrimSpace(name))
				switch name {
				case "quote", "content", "body":
					name = "text"
				case "by", "name":
					name = "author"
				case "work", "book", "title":
					name = "source"
				case "category", "categories", "tag":
					name = "tags"
				}
				if _, ok := columns[name]; !ok {
					columns[name] = i
				}
			}
			if _, ok := columns["text"]; !ok {
				return errors.New(`line 1: no column is named "text" or "quote"; the first line must name the columns: text,author,source,tags`)
			}
			continue
		}
		get := func(name string) string {
			if i, ok := columns[name]; ok && i < len(row) {
				return text([]byte(row[i]))
			}
			return ""
		}
		line, _ := c.FieldPos(0)
		it := Item{Text: get("text"), Author: get("author"), Source: get("source"), Tags: splitTags(get("tags")), Added: parseTime(get("added"))}
		if err := s.item(fmt.Sprintf("line %d", line), it); err != nil {
			return err
		}
	}
}

func parsePlain(r *bufio.Reader, head []byte, s sink) error {
	paragraphs := bytes.Contains(bytes.ReplaceAll(bytes.TrimSpace(head), []byte("\r"), nil), []byte("\n\n"))
	in := lines{r: r}
	var entry strings.Builder
	first, long := 1, false
	flush := func() error {
		defer func() {
			entry.Reset()
			first, long = in.n+1, false
		}()
		place := fmt.Sprintf("line %d", first)
		switch {
		case long:
			s.skip(place, "longer than 20,000 bytes")
			return nil
		case strings.TrimSpace(entry.String()) == "":
			return nil
		case paragraphs:
			return s.item(place, attributed(entry.String()))
		}
		return s.item(place, inline(entry.String()))
	}
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", in.n, err)
		}
		blank := strings.TrimSpace(line) == ""
		if long = long || in.long || entry.Len()+len(line) > maxEntry; !long && !blank {
			entry.WriteString(line)
			entry.WriteByte('\n')
		}
		if blank || !paragraphs {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

var trailing = regexp.MustCompile(`^(.*\S)\s+(?:--|—|―)\s*(\S[^"]{0,80})$`)

// inline parts a line of the shape: "A text." -- Author
func inline(line string) Item {
	line = strings.TrimSpace(line)
	m := trailing.FindStringSubmatch(line)
	if m == nil {
		return Item{Text: line}
	}
	it := Item{Text: m[1]}
	it.Author, it.Source = splitAttribution(strings.TrimSpace(m[2]))
	return it
}
