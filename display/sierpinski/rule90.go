package sierpinski

import (
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
)

// Rule90 is a waterfall of Wolfram's rule 90: each cell is the sum modulo 2 of
// its two neighbours in the row before. One drop makes Sierpinski's triangle.
//
// The bed is 2^k-1 cells wide with dry banks, so that whatever fell in has run
// off after 2^k rows; then other drops fall. Neighbouring cells alternate from row
// to row, which would strobe: so a cell shows how far from a living one it is, on
// a logarithmic scale, and fine lace is one calm light.
type Rule90 struct {
	tones
	width, height int
	cell          int // cells of the picture a side
	rise          bool
	speed, rest   int

	now, next []bool
	since     []int // rows since the column lived
	row, dry  int   // rows of this fall; rows since all has run off
	count     uint64
	rng       *rand.Rand
	group     int
	drops     string

	lines [][]uint8 // a ring
	head  int
	tone  []uint8
}

const (
	ruleGroups = 3
	ruleTones  = 20
	ruleTicks  = 4  // ticks a row at 100 %: seven or eight rows a second
	rulePause  = 16 // empty rows between two falls
)

func rule90Info() Info {
	return Info{
		Name: "rule90", Title: "Rule 90", Level: "the size of a cell",
		MinLevel: 1, MaxLevel: 6, Default: 2, Colours: "lagoon", Variants: []string{"fall", "rise"},
	}
}

// NewRule90 makes a waterfall of width by height cells, half full.
func NewRule90(width, height int, s Settings) (*Rule90, error) {
	s, err := prepare(width, height, s, rule90Info())
	if err != nil {
		return nil, err
	}
	r := &Rule90{
		tones: newTones(s, ruleGroups*ruleTones),
		width: width, height: height, cell: s.Level, rise: s.Variant == "rise", speed: s.Speed,
		rng: newRand(s.Seed),
	}
	cols := (width + r.cell - 1) / r.cell
	bed := 1
	for bed-1 < cols {
		bed *= 2
	}
	r.now, r.next, r.since = make([]bool, bed-1), make([]bool, bed-1), make([]int, bed-1)
	for i := range r.since {
		r.since[i] = bed
	}
	r.tone = make([]uint8, bed+1)
	for d := range r.tone {
		r.tone[d] = uint8(ruleTones - 1 - math.Round((ruleTones-1)*ramp(float64(d), 0.8, float64(bed)/5)))
	}
	r.lines = make([][]uint8, (height+r.cell-1)/r.cell)
	for i := range r.lines {
		r.lines[i] = make([]uint8, cols)
	}
	for range len(r.lines) {
		r.flow()
	}
	return r, nil
}

// Step advances by one tick.
func (r *Rule90) Step() {
	r.drift()
	for r.rest += r.speed; r.rest >= 100*ruleTicks; r.rest -= 100 * ruleTicks {
		r.flow()
	}
}

// flow makes the next row.
func (r *Rule90) flow() {
	n := len(r.now)
	if r.row == 0 {
		r.fall()
	} else {
		for i := range r.next {
			r.next[i] = (i > 0 && r.now[i-1]) != (i+1 < n && r.now[i+1])
		}
		r.now, r.next = r.next, r.now
	}
	r.count++
	r.head = (r.head + len(r.lines) - 1) % len(r.lines)
	r.paint(r.lines[r.head])
	if r.row++; slices.Contains(r.now, true) {
		r.dry = 0
	} else if r.dry++; r.dry == rulePause {
		r.dry, r.row = 0, 0
	}
}

// fall lets new drops in, at places that keep the lace regular.
func (r *Rule90) fall() {
	clear(r.now)
	half := (len(r.now) + 1) / 2
	r.group = (r.group + 1) % ruleGroups
	var at []int
	switch r.rng.IntN(8) {
	default:
		r.drops, at = "one drop", []int{half}
	case 0:
		r.drops, at = "two drops", []int{half - half/2, half + half/2}
	case 1:
		r.drops, at = "three drops", []int{half - half/2, half, half + half/2}
	case 2:
		r.drops = "a row of drops"
		step := max(2, half/4)
		for i := step; i <= len(r.now); i += step {
			at = append(at, i)
		}
	}
	for _, i := range at {
		r.now[i-1] = true
	}
}

// paint writes the row's tones: by the distance to a living cell in the row or
// above it. Living cells stand on every second place, the other second in the
// next row; each is drawn two places wide, as bricks in a wall.
func (r *Rule90) paint(line []uint8) {
	n := len(r.now)
	first := ^r.row & 1 // the parity of the places that may live: drops fall on odd ones
	d := n
	for i := range r.now {
		if d++; r.now[i] {
			d = 0
		}
		r.since[i] = min(r.since[i]+1, d, n)
	}
	d = n
	for i := n - 1; i >= 0; i-- {
		if d++; r.now[i] {
			d = 0
		}
		r.since[i] = min(r.since[i], d)
	}
	off := (n - len(line)) / 2
	for j := range line {
		i := j + off
		if i&1 != first && i > 0 {
			i--
		}
		line[j] = uint8(r.group*ruleTones) + r.tone[r.since[i]]
	}
}

// Draw writes the picture of this moment.
func (r *Rule90) Draw(dst []uint8, stride int) {
	for y := range r.height {
		line := dst[y*stride:][:r.width]
		if y%r.cell != 0 {
			copy(line, dst[(y-1)*stride:])
			continue
		}
		k := y / r.cell
		if r.rise {
			k = len(r.lines) - 1 - k
		}
		src := r.lines[(r.head+k)%len(r.lines)]
		if r.cell == 1 {
			copy(line, src)
			continue
		}
		for i, v := range src {
			for x := i * r.cell; x < min((i+1)*r.cell, len(line)); x++ {
				line[x] = v
			}
		}
	}
}

// Bits is 8: twenty tones in each of three tints.
func (r *Rule90) Bits() int { return 8 }

// Palette returns the colours of this moment.
func (r *Rule90) Palette() []color.RGBA { return r.tinted(ruleGroups, 40) }

// Caption says what is shown.
func (r *Rule90) Caption() string {
	return fmt.Sprintf("Rule 90, %s, row %d", r.drops, r.count)
}
