package life

import (
	"fmt"
	"strconv"
	"strings"
)

// A Rule says when a cell is born and when it survives, by the number of live
// cells among its eight neighbours, and optionally the bounded grid that it is
// meant for. Rules are comparable with ==.
type Rule struct {
	Born     uint16 // bit n: a dead cell with n live neighbours is born, n in 0..8
	Survives uint16 // bit n: a live cell with n live neighbours lives on
	Bounds   Bounds // the zero value: no bounds are named
}

// Bounds is Golly's bounded-grid suffix of a rule, ":T64,32" or ":P64,32".
type Bounds struct {
	Edge   Edge
	Width  int // cells; 0 when no bounds are named
	Height int // cells
}

// Edge says what lies beyond the border of a bounded grid.
type Edge byte

// The edges of a grid.
const (
	NoEdge Edge = 0   // the rule names no bounds
	Wrap   Edge = 'T' // a torus: the opposite border
	Dead   Edge = 'P' // a bounded plane: cells that are always dead
)

// Conway is B3/S23, the Game of Life.
var Conway = Rule{Born: 1 << 3, Survives: 1<<2 | 1<<3}

var ruleNames = map[string]string{
	"life":               "B3/S23",
	"conway":             "B3/S23",
	"conway's life":      "B3/S23",
	"highlife":           "B36/S23",
	"high life":          "B36/S23",
	"seeds":              "B2/S",
	"live free or die":   "B2/S0",
	"life without death": "B3/S012345678",
	"maze":               "B3/S12345",
	"mazectric":          "B3/S1234",
	"2x2":                "B36/S125",
	"day & night":        "B3678/S34678",
	"daynight":           "B3678/S34678",
	"move":               "B368/S245",
	"morley":             "B368/S245",
	"replicator":         "B1357/S1357",
	"diamoeba":           "B35678/S5678",
	"34 life":            "B34/S34",
	"anneal":             "B4678/S35678",
	"coral":              "B3/S45678",
	"dotlife":            "B3/S023",
	"flock":              "B3/S12",
	"long life":          "B345/S5",
	"serviettes":         "B234/S",
	"gnarl":              "B1/S1",
	"walled cities":      "B45678/S2345",
	"stains":             "B3678/S235678",
	"coagulations":       "B378/S235678",
	"assimilation":       "B345/S4567",
	"pseudo life":        "B357/S238",
	"vote":               "B5678/S45678",
	"eightlife":          "B3/S238",
	"lowlife":            "B3/S13",
	"pedestrian life":    "B38/S23",
	"drylife":            "B37/S23",
}

// ParseRule reads "B3/S23", the older "23/3" (survival first), a name such as
// "HighLife", each in any case, and Golly's bounds ":T64,64" (torus) and
// ":P64,64" (bounded plane) after it.
func ParseRule(s string) (Rule, error) {
	text, bounds, bounded := strings.Cut(strings.TrimSpace(s), ":")
	text = strings.ToLower(strings.TrimSpace(text))
	if full, ok := ruleNames[text]; ok {
		text = strings.ToLower(full)
	}
	var r Rule
	var err error
	born, survives, isBS := "", "", false
	if rest, ok := strings.CutPrefix(text, "b"); ok {
		if i := strings.IndexByte(rest, 's'); i >= 0 {
			born, survives, isBS = strings.TrimRight(rest[:i], "/_"), rest[i+1:], true
		}
	} else if rest, ok := strings.CutPrefix(text, "s"); ok {
		if i := strings.IndexByte(rest, 'b'); i >= 0 {
			survives, born, isBS = strings.TrimRight(rest[:i], "/_"), rest[i+1:], true
		}
	}
	if !isBS {
		var ok bool
		if survives, born, ok = strings.Cut(text, "/"); !ok {
			return Rule{}, fmt.Errorf("rule %.60q: unknown; write it as B3/S23 or 23/3, or use a name such as HighLife", s)
		}
	}
	if r.Born, err = neighbourCounts(born); err != nil {
		return Rule{}, fmt.Errorf("rule %.60q: births: %w", s, err)
	}
	if r.Survives, err = neighbourCounts(survives); err != nil {
		return Rule{}, fmt.Errorf("rule %.60q: survival: %w", s, err)
	}
	if bounded {
		if r.Bounds, err = parseBounds(bounds); err != nil {
			return Rule{}, fmt.Errorf("rule %.60q: %w", s, err)
		}
	}
	return r, nil
}

func neighbourCounts(digits string) (uint16, error) {
	var mask uint16
	for _, d := range digits {
		if d < '0' || d > '8' {
			return 0, fmt.Errorf("%q is not a number of neighbours; only the digits 0 to 8 are supported (outer-totalistic rules of two states)", d)
		}
		mask |= 1 << (d - '0')
	}
	return mask, nil
}

func parseBounds(s string) (Bounds, error) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "" || s[0] != byte(Wrap) && s[0] != byte(Dead) {
		return Bounds{}, fmt.Errorf("bounds %.40q: only :T (torus) and :P (plane) are supported, as in B3/S23:T64,32", s)
	}
	b := Bounds{Edge: Edge(s[0])}
	w, h, both := strings.Cut(s[1:], ",")
	if !both {
		h = w // Golly's ":T64" is a square
	}
	for _, side := range []struct {
		text string
		into *int
	}{{w, &b.Width}, {h, &b.Height}} {
		n, err := strconv.ParseUint(side.text, 10, 31)
		if err != nil || n < 1 {
			return Bounds{}, fmt.Errorf("bounds %.40q: %.20q is not a size of 1 or more cells (infinite, shifted and twisted sides are not supported)", s, side.text)
		}
		*side.into = int(n)
	}
	return b, nil
}

// String writes the rule as B3/S23, with its bounds if it names any.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteByte('B')
	counts := func(mask uint16) {
		for n := range 9 {
			if mask>>n&1 != 0 {
				b.WriteByte('0' + byte(n))
			}
		}
	}
	counts(r.Born)
	b.WriteString("/S")
	counts(r.Survives)
	if r.Bounds.Edge != NoEdge {
		fmt.Fprintf(&b, ":%c%d,%d", r.Bounds.Edge, r.Bounds.Width, r.Bounds.Height)
	}
	return b.String()
}

// Unbounded is the rule without its bounds.
func (r Rule) Unbounded() Rule {
	r.Bounds = Bounds{}
	return r
}
