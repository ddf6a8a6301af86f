package life

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads a pattern in whichever format it is written in: RLE, Life 1.05,
// Life 1.06 or plaintext.
func Parse(data []byte) (*Pattern, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors' byte order mark
	switch {
	case bytes.HasPrefix(data, []byte("#Life 1.06")):
		return ParseLife106(data)
	case bytes.HasPrefix(data, []byte("#Life 1.05")):
		return ParseLife105(data)
	}
	for text := range bytes.Lines(data) {
		text = bytes.TrimSpace(text)
		switch {
		case len(text) == 0:
			continue
		case text[0] == '!' && len(text) > 1, text[0] == '.', text[0] == 'O', text[0] == '*':
			// A plaintext row or comment; RLE may begin with a dot too, but then
			// it goes on with what plaintext cannot hold.
			if bytes.ContainsAny(text, "$b") && text[0] != '!' {
				return ParseRLE(data)
			}
			return ParsePlaintext(data)
		case bytes.HasPrefix(text, []byte("#P")), bytes.HasPrefix(text, []byte("#D")), bytes.HasPrefix(text, []byte("#R")):
			return ParseLife105(data)
		}
		return ParseRLE(data)
	}
	return ParseRLE(data)
}

// lines walks over a text; cr is stripped.
type lines struct {
	format string
	rest   []byte
	text   []byte
	number int
}

func (l *lines) next() bool {
	if len(l.rest) == 0 {
		return false
	}
	l.text, l.rest, _ = bytes.Cut(l.rest, []byte("\n"))
	l.text = bytes.TrimSuffix(l.text, []byte("\r"))
	l.number++
	return true
}

func (l *lines) fail(column int, format string, args ...any) error {
	return &SyntaxError{Format: l.format, Line: max(l.number, 1), Column: column + 1, Reason: fmt.Sprintf(format, args...)}
}

// run adds n live cells from x,y rightwards.
func (l *lines) run(p *Pattern, column int, x, y, n int64) error {
	if y >= MaxPatternSide || x+n > MaxPatternSide {
		return l.fail(column, "the pattern is larger than %d cells along one side", MaxPatternSide)
	}
	if int64(len(p.Cells))+n > MaxPatternCells {
		return l.fail(column, "the pattern has more than %d live cells", MaxPatternCells)
	}
	for i := range n {
		p.Cells = append(p.Cells, Cell{int32(x + i), int32(y)})
	}
	return nil
}

// ParseRLE reads a run length encoded pattern: "#" comments (#N name, #O
// discoverer, #r rule), a header "x = 3, y = 3, rule = B3/S23" and runs up to "!".
// The header may be missing; cells beyond its box enlarge the box.
func ParseRLE(data []byte) (*Pattern, error) {
	l := &lines{format: "RLE", rest: data}
	p := &Pattern{Rule: Conway}
	var x, y, count int64
	var begun, counted bool
	for l.next() {
		text := l.text
		if len(text) > 0 && text[0] == '#' && !counted {
			if err := p.rleComment(l); err != nil {
				return nil, err
			}
			continue
		}
		if trimmed := bytes.TrimLeft(text, " \t"); !begun && len(trimmed) > 0 && (trimmed[0] == 'x' || trimmed[0] == 'X') {
			if err := p.rleHeader(l); err != nil {
				return nil, err
			}
			begun = true
			continue
		}
		for i, c := range text {
			if c == ' ' || c == '\t' {
				continue
			}
			begun = true
			if c >= '0' && c <= '9' {
				count = count*10 + int64(c-'0')
				if count > MaxPatternSide {
					return nil, l.fail(i, "a run is longer than %d cells", MaxPatternSide)
				}
				counted = true
				continue
			}
			if counted && count == 0 {
				return nil, l.fail(i, "a run of 0 cells")
			}
			n := max(count, 1)
			switch {
			case c == 'b' || c == '.':
				if x += n; x > MaxPatternSide {
					return nil, l.fail(i, "the pattern is larger than %d cells along one side", MaxPatternSide)
				}
			case c == 'o' || c == 'A':
				if err := l.run(p, i, x, y, n); err != nil {
					return nil, err
				}
				x += n
			case c == '$':
				x = 0
				if y += n; y > MaxPatternSide {
					return nil, l.fail(i, "the pattern is larger than %d cells along one side", MaxPatternSide)
				}
			case c == '!':
				if counted {
					return nil, l.fail(i, "a run count before the closing \"!\"")
				}
				p.normalise(false)
				return p, nil
			case c >= 'B' && c <= 'X' || c >= 'p' && c <= 'y':
				return nil, l.fail(i, "%q is a cell of a third state; only two states are supported", c)
			default:
				return nil, l.fail(i, "%q is not part of a pattern; b, o, $, ! and run counts are", c)
			}
			count, counted = 0, false
		}
	}
	return nil, l.fail(len(l.text), "the closing \"!\" is missing: is the file cut short?")
}

func (p *Pattern) rleComment(l *lines) error {
	if len(l.text) < 2 {
		return nil
	}
	value := string(bytes.TrimSpace(l.text[2:]))
	switch l.text[1] {
	case 'N':
		p.Name = printable(value)
	case 'O':
		p.setDiscoverer(value)
	case 'r':
		rule, err := ParseRule(value)
		if err != nil {
			return l.fail(2, "%v", err)
		}
		p.Rule = rule
	}
	return nil
}

// setDiscoverer takes "Bill Gosper, 1970" apart.
func (p *Pattern) setDiscoverer(text string) {
	p.Discoverer, p.Year = printable(text), 0
	if i := strings.LastIndex(p.Discoverer, ", "); i >= 0 {
		if y, err := strconv.Atoi(p.Discoverer[i+2:]); err == nil && y > 0 && y < 10000 && strconv.Itoa(y) == p.Discoverer[i+2:] {
			p.Discoverer, p.Year = strings.TrimSpace(p.Discoverer[:i]), y
		}
	}
}

// printable makes a text from outside fit for one line.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return strings.TrimSpace(s)
}

func (p *Pattern) rleHeader(l *lines) error {
	rest := string(l.text)
	for rest != "" {
		column := len(l.text) - len(rest)
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			if strings.TrimSpace(rest) == "" {
				break
			}
			return l.fail(column, "%.20q in the header has no value; it reads \"x = 3, y = 3, rule = B3/S23\"", strings.TrimSpace(rest))
		}
		column = len(l.text) - len(after)
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "x", "y":
			var value string
			value, rest, _ = strings.Cut(after, ",")
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
			if err != nil {
				return l.fail(column, "the header's %s = %.20q is not a number of cells", key, strings.TrimSpace(value))
			}
			if n > MaxPatternSide {
				return l.fail(column, "the header's %s = %d is larger than %d cells along one side", key, n, MaxPatternSide)
			}
			if key == "x" {
				p.Width = int(n)
			} else {
				p.Height = int(n)
			}
		case "rule":
			// The rule comes last, for its bounds hold a comma of their own.
			rule, err := ParseRule(after)
			if err != nil {
				return l.fail(column, "%v", err)
			}
			p.Rule, rest = rule, ""
		default:
			return l.fail(column, "the header's %.20q is unknown; it reads \"x = 3, y = 3, rule = B3/S23\"", key)
		}
	}
	return nil
}

// ParseLife105 reads "#Life 1.05": blocks "#P x y" of rows of "." and "*", with
// "#R 23/3" for the rule (survival first) and "#N" for Conway's.
func ParseLife105(data []byte) (*Pattern, error) {
	l := &lines{format: "Life 1.05", rest: data}
	p := &Pattern{Rule: Conway}
	var x, y int64
	for l.next() {
		text := l.text
		if len(text) > 0 && text[0] == '#' {
			switch {
			case len(text) < 2:
			case text[1] == 'P':
				at := strings.Fields(string(text[2:]))
				if len(at) != 2 {
					return nil, l.fail(2, "a block begins with \"#P x y\"")
				}
				var err error
				if x, err = l.coordinate(2, at[0]); err != nil {
					return nil, err
				}
				if y, err = l.coordinate(2, at[1]); err != nil {
					return nil, err
				}
			case text[1] == 'R':
				rule, err := ParseRule(string(text[2:]))
				if err != nil {
					return nil, l.fail(2, "%v", err)
				}
				p.Rule = rule
			case text[1] == 'N':
				p.Rule = Conway
			}
			continue
		}
		if err := l.row(p, x, y, "*"); err != nil {
			return nil, err
		}
		y++
	}
	return l.placed(p)
}

// The signed formats may lie anywhere; half the side either way keeps the box
// within MaxPatternSide.
func (l *lines) coordinate(column int, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, l.fail(column, "%.20q is not a coordinate", s)
	}
	if n < -MaxPatternSide/2 || n >= MaxPatternSide/2 {
		return 0, l.fail(column, "the coordinate %d is further than %d from 0", n, MaxPatternSide/2)
	}
	return n, nil
}

// row reads one line of dots and live marks.
func (l *lines) row(p *Pattern, x, y int64, live string) error {
	text := bytes.TrimRight(l.text, " \t")
	for i, c := range text {
		switch {
		case c == '.':
		case strings.IndexByte(live, c) >= 0:
			if err := l.run(p, i, x+int64(i), y, 1); err != nil {
				return err
			}
		default:
			return l.fail(i, "%q is not a cell; \".\" (dead) and %q (alive) are", c, live[:1])
		}
	}
	return nil
}

// placed moves the box of a pattern that lay anywhere to 0,0.
func (l *lines) placed(p *Pattern) (*Pattern, error) {
	p.normalise(true)
	if max(p.Width, p.Height) > MaxPatternSide {
		return nil, l.fail(0, "the pattern is larger than %d cells along one side", MaxPatternSide)
	}
	return p, nil
}

// ParseLife106 reads "#Life 1.06" and then "x y" of one live cell a line.
func ParseLife106(data []byte) (*Pattern, error) {
	l := &lines{format: "Life 1.06", rest: data}
	p := &Pattern{Rule: Conway}
	for l.next() {
		text := bytes.TrimSpace(l.text)
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		at := strings.Fields(string(text))
		if len(at) != 2 {
			return nil, l.fail(0, "a live cell is written as \"x y\"")
		}
		x, err := l.coordinate(0, at[0])
		if err != nil {
			return nil, err
		}
		y, err := l.coordinate(bytes.LastIndex(l.text, []byte(at[1])), at[1])
		if err != nil {
			return nil, err
		}
		if err := l.run(p, 0, x, y, 1); err != nil {
			return nil, err
		}
	}
	return l.placed(p)
}

// ParsePlaintext reads the .cells format: "!Name: ..." and other comments, then
// rows of "." and "O" (or "*").
func ParsePlaintext(data []byte) (*Pattern, error) {
	l := &lines{format: "plaintext", rest: data}
	p := &Pattern{Rule: Conway}
	var y int64
	for l.next() {
		if text, comment := bytes.CutPrefix(l.text, []byte("!")); comment {
			key, value, ok := strings.Cut(string(text), ":")
			if !ok {
				continue
			}
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "name":
				p.Name = printable(strings.TrimSpace(value))
			case "author":
				p.setDiscoverer(strings.TrimSpace(value))
			}
			continue
		}
		width := len(bytes.TrimRight(l.text, " \t"))
		if width > MaxPatternSide || y >= MaxPatternSide {
			return nil, l.fail(0, "the pattern is larger than %d cells along one side", MaxPatternSide)
		}
		if err := l.row(p, 0, y, "O*"); err != nil {
			return nil, err
		}
		y++
		p.Width = max(p.Width, width)
		if width > 0 {
			p.Height = int(y)
		}
	}
	p.normalise(false)
	return p, nil
}

// RLE is the pattern as a run length encoded file, in lines of at most 70 cells'
// text, ending in a line break. ParseRLE reads it back to an equal pattern.
func (p *Pattern) RLE() []byte {
	var b bytes.Buffer
	if p.Name != "" {
		fmt.Fprintf(&b, "#N %s\n", printable(p.Name))
	}
	if p.Discoverer != "" {
		b.WriteString("#O " + printable(p.Discoverer))
		if p.Year != 0 {
			fmt.Fprintf(&b, ", %d", p.Year)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "x = %d, y = %d, rule = %s\n", p.Width, p.Height, p.Rule)
	start := b.Len()
	tag := func(n int32, c byte) {
		text := string(c)
		if n > 1 {
			text = strconv.Itoa(int(n)) + text
		}
		if b.Len()+len(text)-start > 70 {
			b.WriteByte('\n')
			start = b.Len()
		}
		b.WriteString(text)
	}
	var x, y int32
	for i := 0; i < len(p.Cells); {
		c := p.Cells[i]
		if c.Y > y {
			tag(c.Y-y, '$')
			x, y = 0, c.Y
		}
		if c.X > x {
			tag(c.X-x, 'b')
		}
		n := 1
		for i+n < len(p.Cells) && p.Cells[i+n].Y == y && p.Cells[i+n].X == c.X+int32(n) && n < math.MaxInt32 {
			n++
		}
		tag(int32(n), 'o')
		x, i = c.X+int32(n), i+n
	}
	tag(1, '!')
	b.WriteByte('\n')
	return b.Bytes()
}
