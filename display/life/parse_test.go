package life

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseRule(t *testing.T) {
	for in, want := range map[string]string{
		"B3/S23": "B3/S23", "b3s23": "B3/S23", "23/3": "B3/S23", " B36/S23 ": "B36/S23", "HighLife": "B36/S23",
		"life": "B3/S23", "Day & Night": "B3678/S34678", "B2/S": "B2/S", "/2": "B2/S", "/": "B/S", "S23/B3": "B3/S23",
		"B012345678/S012345678": "B012345678/S012345678", "B3/S23:T64,32": "B3/S23:T64,32", "b3/s23:p10": "B3/S23:P10,10",
		"life:T5,6": "B3/S23:T5,6",
	} {
		r, err := ParseRule(in)
		if err != nil || r.String() != want {
			t.Errorf("%q: %v, %v; want %s", in, r, err, want)
		}
		again, err := ParseRule(r.String())
		if err != nil || again != r {
			t.Errorf("%q comes back as %v, %v", r, again, err)
		}
	}
	for in, want := range map[string]string{
		"": "unknown", "nonsense": "unknown", "B3/S239": "'9' is not a number of neighbours", "B2ce/S": "'c'", "23/3/8": "'/'",
		"B3/S23:K10,10": "only :T (torus) and :P (plane)", "B3/S23:T0,10": "not a size", "B3/S23:T10,": "not a size",
		"B3/S23:T10+2,10": "shifted", "B3/S23:T-4,4": "not a size", "B3/S23:T4000000000,4": "not a size", "B3/S23:": "only :T",
		"W110": "unknown", "B3/S23V": "'v'",
	} {
		if _, err := ParseRule(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", in, err, want)
		}
	}
}

const gliderRLE = "#N Glider\n#O Richard Guy, 1969\nx = 3, y = 3, rule = B3/S23\nbo$2bo$3o!\n"

func TestFormats(t *testing.T) {
	glider := []Cell{{1, 0}, {2, 1}, {0, 2}, {1, 2}, {2, 2}}
	for name, text := range map[string]string{
		"RLE":                        gliderRLE,
		"RLE with a byte order mark": "\ufeff" + gliderRLE,
		"RLE with CR":                strings.ReplaceAll(gliderRLE, "\n", "\r\n"),
		"RLE without header":         "bo$2bo$3o!",
		"RLE over many lines":        "x=3,y=3\nb\no\n$\n 2 b\no$3o!this is not read",
		"RLE, count before break":    "x = 3, y = 3\nbo$2bo$3\no!",
		"RLE, dots and letters":      "x = 3, y = 3\n.A$2.A$3A!",
		"RLE, states as in .mc":      "x = 3, y = 3, rule = Life\n.A$..A$AAA!",
		"Life 1.05":                  "#Life 1.05\n#D a glider\n#N\n#P -1 -1\n.*.\n..*\n***\n",
		"Life 1.05 in two blocks":    "#Life 1.05\n#R 23/3\n#P 10 11\n..*\n***\n#P 11 10\n*",
		"Life 1.06":                  "#Life 1.06\n0 -1\n1 0\n-1 1\n0 1\n1 1\n1 1\n",
		"plaintext":                  "!Name: Glider\n!\n.O\n..O\nOOO\n",
		"plaintext, padded":          ".O. \r\n..O\r\nOOO\r\n",
		"plaintext, stars":           ".*.\n..*\n***",
	} {
		p, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(p.Cells, glider) || p.Width != 3 || p.Height != 3 || p.Rule != Conway {
			t.Errorf("%s: %+v", name, p)
		}
	}
	p, err := ParseRLE([]byte(gliderRLE))
	if err != nil || p.Name != "Glider" || p.Discoverer != "Richard Guy" || p.Year != 1969 {
		t.Errorf("%+v, %v", p, err)
	}
	if got := string(p.RLE()); got != gliderRLE {
		t.Errorf("written as %q", got)
	}
	p, err = ParsePlaintext([]byte("!Name: A thing\n!Author: Somebody, Jr., 2001\n..\n.O.\n\n"))
	if err != nil || p.Name != "A thing" || p.Discoverer != "Somebody, Jr." || p.Year != 2001 || p.Width != 3 || p.Height != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = ParseRLE([]byte("x = 10, y = 20, rule = B36/S23:T100,200\n!"))
	if err != nil || p.Width != 10 || p.Height != 20 || p.Rule.String() != "B36/S23:T100,200" || len(p.Cells) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestFormatErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x = 4000000000, y = 3\nbo!":                "line 1, column 4: the header's x = 4000000000 is larger",
		"x = 3, y = 99999999999999999999999999\no!": "line 1, column 11: the header's y",
		"x = 3, y = -3\no!":                         "not a number",
		"x = 3, z = 3\no!":                          `"z" is unknown`,
		"x = 3, y = 3, rule = B3/S2x\no!":           "line 1, column 21",
		"x = 3, y\no!":                              "has no value",
		"x = 3, y = 3\nbo$2bo$3":                    "line 2, column 9: the closing",
		"x = 3, y = 3\nbo$2?o$3o!":                  "line 2, column 5: '?' is not part",
		"x = 3, y = 3\n\n  b0o!":                    "line 3, column 5: a run of 0",
		"x = 3, y = 3\n4000000000o!":                "longer than",
		"x = 3, y = 3\n1000000o1000000o!":           "larger than",
		"x = 3, y = 3\n1000000b1000000b!":           "larger than",
		"x = 3, y = 3\n1000000$1000000$o!":          "larger than",
		strings.Repeat("1000000o$", 5) + "!":        "more than 4194304 live cells",
		"x = 3, y = 3\n3oB!":                        "third state",
		"x = 3, y = 3\n3o3!":                        "run count before",
		"":                                          "cut short",
		"#Life 1.05\n#P 1\n*":                       "line 2, column 3: a block begins",
		"#Life 1.05\n#P 1 x\n*":                     `"x" is not a coordinate`,
		"#Life 1.05\n#P 999999999 0\n*":             "further than",
		"#Life 1.05\n#P 0 0\n.*\n.o\n":              "line 4, column 2: 'o' is not a cell",
		"#Life 1.05\n#R 23/x\n":                     "line 2, column 3",
		"#Life 1.06\n1 2\n3\n":                      "line 3, column 1",
		"#Life 1.06\n1 2\n3 4.5\n":                  "line 3, column 3",
		"#Life 1.06\n-1000000000000 2\n":            "further than",
		"!Name: x\n.O\n.O?\n":                       "line 3, column 3: '?' is not a cell",
		"#r B9/S2\no!":                              "line 1, column 3",
	} {
		p, err := Parse([]byte(text))
		var syntax *SyntaxError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &syntax) {
			t.Errorf("%.60q: %+v, %v; want %q", text, p, err, want)
		}
	}
}

func TestPatternsRoundTrip(t *testing.T) {
	for _, p := range Patterns() {
		q, err := Parse(p.RLE())
		p.Kind = "" // no format has a place for it
		if err != nil || !reflect.DeepEqual(&p, q) {
			t.Errorf("%s comes back as %+v, %v", p.Name, q, err)
		}
		for line := range strings.Lines(string(p.RLE())) {
			if len(line) > 71 && line[0] != '#' {
				t.Errorf("%s: a line of %d characters", p.Name, len(line))
			}
		}
	}
}

// checkPattern holds what every parser promises, and that RLE brings it back.
func checkPattern(t *testing.T, p *Pattern, err error) {
	if err != nil {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Column < 1 || p != nil {
			t.Fatalf("%+v, %v", p, err)
		}
		return
	}
	if p.Width > MaxPatternSide || p.Height > MaxPatternSide || len(p.Cells) > MaxPatternCells {
		t.Fatalf("%d x %d with %d cells", p.Width, p.Height, len(p.Cells))
	}
	for i, c := range p.Cells {
		if c.X < 0 || c.Y < 0 || int(c.X) >= p.Width || int(c.Y) >= p.Height || i > 0 && byRows(p.Cells[i-1], c) >= 0 {
			t.Fatalf("cell %d of %d x %d: %v", i, p.Width, p.Height, c)
		}
	}
	q, err := ParseRLE(p.RLE())
	if err != nil {
		t.Fatalf("%q: %v", p.RLE(), err)
	}
	if len(p.Cells) == 0 {
		p.Cells, q.Cells = nil, nil
	}
	if p.Discoverer == "" {
		p.Year = 0
	}
	if !reflect.DeepEqual(p, q) {
		t.Fatalf("%+v comes back as %+v by %q", p, q, p.RLE())
	}
}

func seeds(f *testing.F) {
	for _, s := range []string{
		gliderRLE, "x = 4000000000, y = 4000000000\nbo!", "3o$!", "#r 23/3\n#N\u2028\no!", "x=2,y=2,rule=B3/S23:T4,4\n2o$2o!",
		"#Life 1.05\n#D text\n#N\n#R 23/3\n#P -1 -1\n.*.\n..*\n***\n", "#Life 1.06\n0 -1\n1 0\n-1 1\n",
		"!Name: Glider\n!Author: A, 1999\n.O\n..O\nOOO\n", "999999b!", "12$3o!", "", "#", "!", "#O , 5\no!",
	} {
		f.Add([]byte(s))
	}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		checkPattern(t, p, err)
	})
}

func FuzzParseRLE(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseRLE(data)
		checkPattern(t, p, err)
	})
}

func FuzzParseLife105(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseLife105(data)
		checkPattern(t, p, err)
	})
}

func FuzzParseLife106(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseLife106(data)
		checkPattern(t, p, err)
	})
}

func FuzzParsePlaintext(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePlaintext(data)
		checkPattern(t, p, err)
	})
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"B3/S23", "23/3", "HighLife", "b3s23:T4,5", "/", "B/S:P1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		if again, err := ParseRule(r.String()); err != nil || again != r {
			t.Fatalf("%q: %v comes back as %v, %v", s, r, again, err)
		}
	})
}
