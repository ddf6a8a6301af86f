package display

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/wire"
)

// slug is the pattern's name as it stands in links.
func slug(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
		} else {
			dash = true
		}
	}
	return b.String()
}

// PagePatterns are the patterns of package life as the page shows them.
func PagePatterns() []page.Pattern {
	var out []page.Pattern
	for _, p := range life.Patterns() {
		var path strings.Builder
		// Cells are sorted by rows: a run of them is one rectangle.
		for i := 0; i < len(p.Cells); {
			c, n := p.Cells[i], int32(1)
			for i+int(n) < len(p.Cells) && p.Cells[i+int(n)] == (life.Cell{X: c.X + n, Y: c.Y}) {
				n++
			}
			fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", c.X, c.Y, n, n)
			i += int(n)
		}
		out = append(out, page.Pattern{
			Slug: slug(p.Name), Name: p.Name, Kind: p.Kind, Discoverer: p.Discoverer, Year: p.Year, Rule: p.Rule.String(),
			Width: p.Width, Height: p.Height, Population: len(p.Cells), Path: path.String(),
		})
	}
	return out
}

// MaxShare is the longest pattern file that a link may hold, in bytes: what mail
// programs and chats leave in one piece.
const MaxShare = 4000

const (
	maxSpeed   = 30 // generations a second
	maxStrokes = 4096
	// While it stands still, a board cools quickly, so that it is seen what lives.
	restAgeing = 3
)

// lifeBoard is a visitor's own universe.
type lifeBoard struct {
	reading *sync.Mutex
	torus   *life.Torus
	light   *phosphor
	playing bool
	speed   int // generations a second
	credit  int // of generations, in 1/boardFPS
	glow    int // frames until the light has settled
	name    string
	// A change by hand while it runs is a change of the game's own generation count,
	// not of its clock: the generation goes on.
	cycles life.CycleDetector
	period int // 0: something new still happens
}

func newLifeBoard(width, height int, reading *sync.Mutex) (*lifeBoard, error) {
	l := &lifeBoard{reading: reading, speed: 10}
	if err := l.resize(width, height, life.Conway); err != nil {
		return nil, err
	}
	return l, nil
}

// resize begins an empty universe.
func (l *lifeBoard) resize(width, height int, rule life.Rule) error {
	if err := checkBoardSize(width, height); err != nil {
		return err
	}
	torus, err := life.NewTorus(width, height, rule)
	if err != nil {
		return &userError{"This universe is not possible: " + err.Error() + ".", "Choose another rule or size."}
	}
	l.torus = torus
	l.light = newPhosphor(width, height, boardFPS, 30, embers(), 75)
	l.changed()
	return nil
}

// changed is after a change by hand.
func (l *lifeBoard) changed() {
	l.cycles.Reset()
	l.period = 0
	l.expose()
}

func (l *lifeBoard) expose() {
	words, stride := l.torus.Words()
	l.light.expose(words, stride, 0, 0)
	l.glow = 5 * boardFPS
}

func (l *lifeBoard) size() (int, int) { return l.torus.Width(), l.torus.Height() }
func (l *lifeBoard) moves() bool      { return l.playing || l.glow > 0 }
func (l *lifeBoard) Caption() string  { return l.name }

func (l *lifeBoard) Step() {
	l.glow = max(0, l.glow-1)
	if !l.playing {
		for range restAgeing {
			l.light.age()
		}
		return
	}
	l.light.age()
	l.credit += l.speed
	if l.credit < boardFPS {
		return
	}
	for ; l.credit >= boardFPS; l.credit -= boardFPS {
		l.generation()
	}
	l.expose()
}

func (l *lifeBoard) generation() {
	l.torus.Step()
	if l.period == 0 {
		l.period = l.cycles.Observe(l.torus.Hash())
	}
}

func (l *lifeBoard) Draw(f *wire.Frame) { l.light.draw(f) }

func (l *lifeBoard) state() any {
	return struct {
		Generation uint64 `json:"generation"`
		Population int    `json:"population"`
		Playing    bool   `json:"playing"`
		Speed      int    `json:"speed"`
		Rule       string `json:"rule"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		Name       string `json:"name"`
		Period     int    `json:"period"` // the universe repeats itself; 0: it does not
	}{l.torus.Generation(), l.torus.Population(), l.playing, l.speed, l.torus.Rule().Unbounded().String(), l.torus.Width(), l.torus.Height(), l.name, l.period}
}

func (l *lifeBoard) hear(m request) (any, later, error) {
	switch m.Type {
	case "play":
		l.playing = true
	case "pause":
		l.playing = false
		l.glow = 5 * boardFPS
	case "step":
		l.playing = false
		l.generation()
		l.expose()
	case "speed":
		if m.Speed < 1 || m.Speed > maxSpeed {
			return nil, nil, &userError{fmt.Sprintf("%d generations a second is not possible.", m.Speed), fmt.Sprintf("Choose 1 to %d.", maxSpeed)}
		}
		l.speed = m.Speed
	case "draw":
		return nil, nil, l.draw(m.Cells, m.Alive)
	case "clear":
		l.torus.Clear()
		l.playing, l.name = false, ""
		l.changed()
	case "random":
		// As the original's button: a soup of the whole board.
		l.torus.Clear()
		l.torus.Randomize(rand.Uint64(), 0.12+0.22*rand.Float64())
		l.name = "A random soup"
		l.changed()
	case "rule":
		return nil, nil, l.setRule(m.Rule)
	case "size":
		return nil, nil, l.setSize(m.Width, m.Height)
	case "place":
		for _, p := range life.Patterns() {
			if slug(p.Name) == m.Name {
				return nil, nil, l.put(&p)
			}
		}
		return nil, nil, &userError{fmt.Sprintf("There is no pattern %.40q.", m.Name), "Choose one of the list."}
	case "load":
		return nil, func(context.Context) (then, error) { return l.load(m.Text) }, nil
	case "save":
		rle, err := l.save()
		if err != nil {
			return nil, nil, err
		}
		return map[string]any{"type": "pattern", "rle": rle, "name": fileName(l.name), "share": len(rle) <= MaxShare}, nil, nil
	default:
		return nil, nil, fmt.Errorf("type %.20q is not known", m.Type)
	}
	return nil, nil, nil
}

// fileName is what a saved pattern is called.
func fileName(name string) string {
	if s := slug(name); s != "" {
		return s
	}
	return "life"
}

// draw sets cells by hand; the light follows at once.
func (l *lifeBoard) draw(cells []int, lives bool) error {
	if len(cells)%2 != 0 || len(cells) > 2*maxStrokes {
		return fmt.Errorf("draw: %d numbers are no list of at most %d cells", len(cells), maxStrokes)
	}
	w, h := l.size()
	for i := 0; i < len(cells); i += 2 {
		if x, y := cells[i], cells[i+1]; x < 0 || y < 0 || x >= w || y >= h {
			return fmt.Errorf("draw: cell %d, %d is not on the board", x, y)
		}
	}
	for i := 0; i < len(cells); i += 2 {
		x, y := cells[i], cells[i+1]
		l.torus.Set(x, y, lives)
		l.light.cells[y*w+x] = 0
		if lives {
			l.light.cells[y*w+x] = alive | freshHeat
		}
	}
	l.changed()
	return nil
}

func (l *lifeBoard) setRule(text string) error {
	rule, err := life.ParseRule(strings.TrimSpace(text))
	if err != nil {
		return &userError{"This rule cannot be read: " + err.Error() + ".", "Write one as B3/S23, or a name such as HighLife."}
	}
	return l.rebuild(l.torus.Width(), l.torus.Height(), rule.Unbounded())
}

func (l *lifeBoard) setSize(width, height int) error {
	return l.rebuild(width, height, l.torus.Rule().Unbounded())
}

// rebuild keeps the cells, in the middle, under another rule or size.
func (l *lifeBoard) rebuild(width, height int, rule life.Rule) error {
	p, err := l.torus.Pattern()
	if err != nil {
		return fmt.Errorf("taking the board's cells: %w", err)
	}
	if err := l.resize(width, height, rule); err != nil {
		return err
	}
	dx, dy := (width-p.Width)/2, (height-p.Height)/2
	for _, c := range p.Cells {
		if x, y := int(c.X)+dx, int(c.Y)+dy; x >= 0 && y >= 0 && x < width && y < height {
			l.torus.Set(x, y, true)
		}
	}
	l.changed()
	return nil
}

// put clears the board and sets a pattern in the middle; the board grows where
// it must.
func (l *lifeBoard) put(p *life.Pattern) error {
	w, h := l.size()
	if b := p.Rule.Bounds; b.Edge != life.NoEdge && b.Width > 0 && b.Height > 0 {
		// The file names its own universe, whose size matters for what happens in it.
		w, h = b.Width, b.Height
	} else if p.Width > w || p.Height > h {
		w, h = max(w, p.Width+p.Width/8), max(h, p.Height+p.Height/8)
		for _, least := range [][2]int{{w, h}, {p.Width, h}, {w, p.Height}, {p.Width, p.Height}} {
			if w, h = max(MinBoardSide, least[0]), max(MinBoardSide, least[1]); checkBoardSize(w, h) == nil {
				break
			}
		}
	}
	if checkBoardSize(w, h) != nil {
		return &userError{fmt.Sprintf("The pattern needs %d by %d cells, which is too large for this page.", w, h),
			fmt.Sprintf("A side has %d to %d cells, and the board %d at most; “sierpi life run” takes larger ones.", MinBoardSide, MaxBoardSide, MaxBoardCells)}
	}
	rule := p.Rule
	if rule.Bounds.Width != w || rule.Bounds.Height != h {
		rule = rule.Unbounded()
	}
	if err := l.resize(w, h, rule); err != nil {
		return err
	}
	l.torus.PlaceCentred(p)
	l.name = cut(p.Name, 80)
	l.changed()
	return nil
}

// cut shortens a text to so many characters.
func cut(s string, n int) string {
	if r := []rune(strings.ToValidUTF8(s, "")); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// load reads a pattern file of any of the formats of package life. It does not
// touch the board yet.
func (l *lifeBoard) load(text string) (then, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	p, err := life.Parse([]byte(text))
	if err != nil {
		remedy := "RLE, Life 1.05, Life 1.06 and plaintext files can be read."
		var syntax *life.SyntaxError
		if errors.As(err, &syntax) {
			return nil, &userError{fmt.Sprintf("Line %d, column %d: %s (read as %s).", syntax.Line, syntax.Column, syntax.Reason, syntax.Format), remedy}
		}
		return nil, &userError{"The file cannot be read: " + err.Error() + ".", remedy}
	}
	if len(p.Cells) > MaxBoardCells {
		return nil, &userError{fmt.Sprintf("The pattern has %d cells, which is too large for this page.", len(p.Cells)),
			fmt.Sprintf("A board has %d cells; “sierpi life run” takes larger patterns.", MaxBoardCells)}
	}
	return func() (any, error) {
		l.playing = false
		if err := l.put(p); err != nil {
			return nil, err
		}
		return map[string]any{"type": "loaded", "name": l.name, "cells": len(p.Cells)}, nil
	}, nil
}

// save writes what lives as RLE, without the empty space around it.
func (l *lifeBoard) save() (string, error) {
	p, err := l.torus.Pattern()
	if err != nil {
		return "", fmt.Errorf("taking the board's cells: %w", err)
	}
	p.Name, p.Rule = l.name, p.Rule.Unbounded()
	p.Width, p.Height = 0, 0
	if len(p.Cells) > 0 {
		byX := func(a, b life.Cell) int { return int(a.X) - int(b.X) }
		left, right := slices.MinFunc(p.Cells, byX).X, slices.MaxFunc(p.Cells, byX).X
		top, bottom := p.Cells[0].Y, p.Cells[len(p.Cells)-1].Y
		for i := range p.Cells {
			p.Cells[i].X -= left
			p.Cells[i].Y -= top
		}
		p.Width, p.Height = int(right-left)+1, int(bottom-top)+1
	}
	return string(p.RLE()), nil
}
