package life

import (
	"cmp"
	"fmt"
	"slices"
)

// What a pattern may hold. A file that asks for more is refused with an error
// while reading: its header or a run count costs no memory.
const (
	MaxPatternSide  = 1 << 20 // cells along one side of its box
	MaxPatternCells = 1 << 22 // live cells: 32 MB
)

// A Cell is a place on a grid: x grows to the right, y downwards.
type Cell struct{ X, Y int32 }

// A Pattern is a finite set of live cells.
type Pattern struct {
	Name       string
	Kind       string // of those in Patterns: what it is known as, "oscillator of period 3"
	Discoverer string // "" when not known
	Year       int    // of discovery; 0 when not known
	Rule       Rule   // the rule it is meant for
	Width      int    // its box in cells, at least as large as the cells need
	Height     int
	Cells      []Cell // live cells within the box, by rows, each once
}

// A SyntaxError says what is wrong with a pattern file and where.
type SyntaxError struct {
	Format string // "RLE", "Life 1.05", "Life 1.06" or "plaintext"
	Line   int    // from 1
	Column int    // from 1, in bytes
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s pattern, line %d, column %d: %s", e.Format, e.Line, e.Column, e.Reason)
}

func byRows(a, b Cell) int {
	return cmp.Or(cmp.Compare(a.Y, b.Y), cmp.Compare(a.X, b.X))
}

// normalise brings cells into rows without doubles. With move, the box becomes
// the cells' own, at 0,0.
func (p *Pattern) normalise(move bool) {
	if !slices.IsSortedFunc(p.Cells, byRows) {
		slices.SortFunc(p.Cells, byRows)
	}
	p.Cells = slices.Compact(p.Cells)
	if len(p.Cells) == 0 {
		return
	}
	minX, maxX := p.Cells[0].X, p.Cells[0].X
	for _, c := range p.Cells {
		minX, maxX = min(minX, c.X), max(maxX, c.X)
	}
	minY, maxY := p.Cells[0].Y, p.Cells[len(p.Cells)-1].Y
	if move {
		for i := range p.Cells {
			p.Cells[i].X -= minX
			p.Cells[i].Y -= minY
		}
		p.Width, p.Height = int(maxX-minX)+1, int(maxY-minY)+1
		return
	}
	p.Width, p.Height = max(p.Width, int(maxX)+1), max(p.Height, int(maxY)+1)
}
