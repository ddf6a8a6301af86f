package framebuffer

import (
	"encoding/json"
	"fmt"
	"image"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Cards are what the daemon has laid over the picture; what is absent gets no card.
// It is the JSON of the daemon's message to its screens.
type Cards struct {
	Time  bool `json:"time"`
	Quote *struct {
		Text   string `json:"text"`
		Author string `json:"author"`
	} `json:"quote"`
	Headlines []struct {
		Title  string `json:"title"`
		Source string `json:"source"`
	} `json:"headlines"`
	Machine *struct {
		Watts       *float64 `json:"watts"`
		Estimated   bool     `json:"estimated"`
		Celsius     *float64 `json:"celsius"`
		MemoryUsed  *float64 `json:"memoryUsed"`
		MemoryTotal *float64 `json:"memoryTotal"`
	} `json:"machine"`
	Notice string `json:"notice"`
}

const (
	storyTime = 20 * time.Second // a quote, or some headlines
	headlines = 3                // at once
	mostText  = 600              // bytes of one text that are set
)

// table is the cards on one screen: it draws those that changed, and keeps the others.
type table struct {
	letters *typesetter
	screen  image.Point
	drawn   map[string]*plate // by what is on them and where

	code     *plate // the last invitation's
	codeKey  string
	codeRoom image.Point // what it takes of the corner
}

// laid is what lies over the picture.
type laid struct {
	lamp    lamp
	cards   Cards
	invited *invitation // nil: nobody is
	caption string      // of the picture
	sign    string      // what the screen itself has to say
}

func newTable(width, height int) (*table, error) {
	t, err := newTypesetter()
	if err != nil {
		return nil, err
	}
	return &table{letters: t, screen: image.Pt(width, height), drawn: map[string]*plate{}}, nil
}

// plates are the cards at that time.
func (t *table) plates(l laid, now time.Time) ([]*plate, error) {
	c, caption, sign, st := l.cards, l.caption, l.sign, l.lamp.style()
	unit := float64(min(t.screen.X, t.screen.Y)) / 100
	edge := 4.2 * unit
	// All of them wander a little, a step a minute, so that nothing burns in.
	minutes := float64(now.Unix() / 60)
	shift := image.Pt(int(0.9*unit*math.Sin(2*math.Pi*minutes/31)), int(0.9*unit*math.Sin(2*math.Pi*minutes/23)))

	room := t.screen.X - 2*int(edge)
	upright := t.screen.X < t.screen.Y
	half := room * 6 / 10
	if upright {
		half = room
	}
	// The others make room for the code. One that is not on the screen was too big for it.
	var code *plate
	var taken image.Point
	if l.invited.valid() {
		key := fmt.Sprint("code", *l.invited, shift, l.lamp)
		if t.codeKey != key {
			var err error
			if t.code, t.codeRoom, err = t.letters.code(l.invited, l.lamp, t.screen, unit, edge, shift); err != nil {
				return nil, err
			}
			t.codeKey = key
		}
		if code = t.code; code != nil {
			taken = t.codeRoom.Add(image.Pt(int(3*unit), int(3*unit)))
		}
	}
	var sets []set
	if c.Time {
		sets = append(sets, set{width: half, lines: []line{
			{runs: []run{{now.Format("15:04"), 12.5 * unit, st.text, false}}},
			{runs: []run{{now.Format("Monday, 2 January"), 3.3 * unit, st.quiet, false}}, space: 0.5 * unit},
		}})
	}
	if m := machineLines(c, st, unit); len(m) > 0 {
		at := anchor{right: true}
		sets = append(sets, set{width: half, at: at, lines: m})
	}
	story := t.story(c, st, unit, now)
	if len(story) > 0 {
		at := set{width: half, at: anchor{bottom: true}, lines: story, most: 5}
		if upright {
			at.lift = taken.Y
		}
		sets = append(sets, at)
	}
	// An upright screen has the width of one of them.
	if caption != "" && !(upright && len(story) > 0) {
		width := room * 35 / 100
		if upright {
			width = room
		}
		sets = append(sets, set{width: width - taken.X, inset: taken.X, at: anchor{right: true, bottom: true}, most: 3, lines: []line{
			{runs: []run{{clip(caption), 3.3 * unit, st.quiet, false}}},
		}})
	}
	if c.Notice != "" {
		sets = append(sets, set{width: room * 8 / 10, centre: true, most: 4, lines: []line{{runs: []run{{clip(c.Notice), 3.3 * unit, st.accent, false}}}}})
	}
	if sign != "" {
		sets = append(sets, set{width: room, centre: true, most: 2, lines: []line{{runs: []run{{clip(sign), 3.3 * unit, st.accent, false}}}}})
	}

	kept := map[string]*plate{}
	var list []*plate
	for _, s := range sets {
		key := fmt.Sprint(s, shift, l.lamp)
		pl, ok := t.drawn[key]
		if !ok {
			var err error
			if pl, err = t.letters.draw(s, l.lamp, t.screen, unit, edge, shift); err != nil {
				return nil, err
			}
		}
		if pl != nil {
			kept[key] = pl
			list = append(list, pl)
		}
	}
	t.drawn = kept
	if code != nil {
		list = append(list, code) // above the others' shades
	}
	return list, nil
}

func machineLines(c Cards, st style, unit float64) []line {
	m := c.Machine
	if m == nil {
		return nil
	}
	var out []line
	add := func(value, unitName, name string) {
		out = append(out, line{runs: []run{
			{value + " ", 6.2 * unit, st.text, false}, {unitName + "  ", 3.3 * unit, st.quiet, false}, {name, 3.3 * unit, st.quiet, false},
		}})
	}
	if m.Watts != nil {
		about := ""
		if m.Estimated {
			about = "≈ "
		}
		add(fmt.Sprintf("%s%.1f", about, *m.Watts), "W", "power")
	}
	if m.Celsius != nil {
		add(fmt.Sprintf("%.0f", *m.Celsius), "°C", "temperature")
	}
	if m.MemoryUsed != nil && m.MemoryTotal != nil && *m.MemoryTotal > 0 {
		add(fmt.Sprintf("%.0f", 100**m.MemoryUsed / *m.MemoryTotal), "%", "memory")
	}
	return out
}

// story is the quote or some of the headlines, in turns.
func (t *table) story(c Cards, st style, unit float64, now time.Time) []line {
	var stories [][]line
	if q := c.Quote; q != nil && q.Text != "" {
		size := 4 * unit
		if len(q.Text) > 140 {
			size = 3.3 * unit
		}
		var lines []line
		for text := range strings.Lines(clip(q.Text)) {
			if text = strings.TrimSpace(text); text != "" {
				lines = append(lines, line{runs: []run{{text, size, st.text, true}}})
			}
		}
		if q.Author != "" {
			lines = append(lines, line{runs: []run{{"— " + clip(q.Author), 3.3 * unit, st.accent, false}}, space: unit})
		}
		stories = append(stories, lines)
	}
	for i := 0; i < len(c.Headlines); i += headlines {
		var lines []line
		for _, h := range c.Headlines[i:min(i+headlines, len(c.Headlines))] {
			lines = append(lines, line{runs: []run{{clip(h.Title), 3.3 * unit, st.text, false}, {"  " + clip(h.Source), 2.6 * unit, st.accent, false}}, space: 0.8 * unit})
		}
		stories = append(stories, lines)
	}
	if len(stories) == 0 {
		return nil
	}
	return stories[int(now.Unix()/int64(storyTime/time.Second))%len(stories)]
}

// clip bounds what is set, at a character, and leaves out what is no text.
func clip(s string) string {
	if len(s) > mostText {
		s = s[:mostText]
		for len(s) > 0 && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

// message is what the daemon tells its screens as text.
type message struct {
	Type   string  `json:"type"`
	Cards  Cards   `json:"cards"`
	On     bool    `json:"on"`
	Bright float64 `json:"bright"`
	Day    bool    `json:"day"`

	Invitation *invitation `json:"invitation"`
	Ghosts     []ghost     `json:"ghosts"`
}

func parseMessage(doc []byte) (message, error) {
	var m message
	if err := json.Unmarshal(doc, &m); err != nil {
		return m, fmt.Errorf("a message of the daemon is not understood: %w", err)
	}
	return m, nil
}
