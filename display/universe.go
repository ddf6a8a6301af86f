package display

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/wire"
)

// soup is Conway's Life on a torus: a random soup or a few famous patterns. When
// nothing new happens any more gliders come in, twice, and then it begins anew. On a
// stage it is one universe, which goes on where it was whenever it is shown, and
// into which visitors draw.
type soup struct {
	setting  Setting
	random   *rand.Rand
	torus    *life.Torus
	cycles   life.CycleDetector
	light    *phosphor
	frame    int // since the last seeding
	every    int // frames a generation
	quiet    int // generations with next to no activity
	rounds   int
	drain    int // frames left of the pause in which the old universe fades
	caption  string
	patterns []life.Pattern
	stars    []life.Pattern // those of them that do something

	origin   string  // what it began with, for people
	seeded   uint64  // what the soup was made from
	density  float64 // 0: of patterns
	visits   int     // how often gliders came in
	restedAt uint64  // generation at which it came to rest first; 0: it has not
	drawn    bool    // visitors drew into it
	epoch    uint64  // counts seedings
	edits    uint64  // counts edits, never backwards
	strokes  []stroke
	trace    []uint16 // as in Settled
	settled  func(Settled)
	onEdit   func(Edit) // an edit that was not a visitor's: gliders that came in
}

// stroke is an edit that may be taken back, and the universe before it.
type stroke struct {
	Edit
	before []uint64
}

// The limits of drawing.
const (
	maxStroke   = 600     // cells an edit
	maxUndo     = 24      // that may be taken back
	strokeBytes = 8 << 20 // of all universes that are kept for it
	undoFor     = 60      // seconds
)

// Settled is a random soup that came to rest: from here on it only repeats itself.
type Settled struct {
	Seed          uint64
	Density       float64 // share of cells alive at the beginning
	Width, Height int
	Generations   uint64
	Population    int
	Cells         []uint64 // rows of (Width+63)/64 words, the leftmost cell in the lowest bit
	Trace         []uint16 // for each cell the generation, up to 65535, at which it was seen alive last; 0: never
}

// Edit is a change of the universe that did not follow from its rule.
type Edit struct {
	Number     uint64  `json:"number"`     // of this universe's edits, counted from 1
	Generation uint64  `json:"generation"` // it was made before the next step
	Alive      bool    `json:"alive"`
	Cells      []int32 `json:"cells"` // x, y, x, y, ...
	Who        string  `json:"who"`   // "": nobody, gliders that came in
}

// Universe is all that must last of the one universe.
type Universe struct {
	Width      int      `json:"width"`
	Height     int      `json:"height"`
	Origin     string   `json:"origin"`
	Seed       uint64   `json:"seed,string"`
	Density    float64  `json:"density"` // 0: of patterns
	Generation uint64   `json:"generation"`
	Edits      uint64   `json:"edits"` // how many are in it
	RestedAt   uint64   `json:"restedAt"`
	Visits     int      `json:"visits"`
	Rounds     int      `json:"rounds"`
	Drawn      bool     `json:"drawn"`
	Cells      []uint64 `json:"-"` // as in Settled
}

// Hash is a checksum of the cells and the generation.
func (u *Universe) Hash() uint64 {
	h := uint64(14695981039346656037)
	for _, w := range append([]uint64{u.Generation, uint64(u.Width), uint64(u.Height)}, u.Cells...) {
		h = (h ^ w) * 1099511628211
		h ^= h >> 29
	}
	return h
}

func newSoup(s Setting) (*soup, error) {
	torus, err := life.NewTorus(s.Width, s.Height, life.Conway)
	if err != nil {
		return nil, fmt.Errorf("scene life: %w", err)
	}
	sc := &soup{
		setting: s, torus: torus, random: rand.New(rand.NewPCG(s.Seed, 1)),
		light: newPhosphor(s.Width, s.Height, s.FramesPerSecond, 30, embers(), 75),
		every: max(1, s.FramesPerSecond/15),
	}
	for _, p := range life.Patterns() {
		if p.Rule.Unbounded() == life.Conway && p.Width <= s.Width/2 && p.Height <= s.Height/2 {
			sc.patterns = append(sc.patterns, p)
			lively, err := isLively(p)
			if err != nil {
				return nil, fmt.Errorf("scene life: %w", err)
			}
			if lively {
				sc.stars = append(sc.stars, p)
			}
		}
	}
	if s.Seed%3 == 1 {
		sc.rounds = 1
	}
	sc.seed()
	return sc, nil
}

// isLively reports whether the pattern is more than a still life or a blinker after a
// while.
func isLively(p life.Pattern) (bool, error) {
	torus, err := life.NewTorus(p.Width+64, p.Height+64, life.Conway)
	if err != nil {
		return false, err
	}
	torus.PlaceCentred(&p)
	torus.StepN(40)
	return torus.Activity() > 0, nil
}

// seed starts over: a soup and a round of patterns in turn.
func (s *soup) seed() {
	if s.rounds%2 == 0 || len(s.stars) == 0 {
		density := 0.12 + 0.22*s.random.Float64()
		s.sow(s.random.Uint64(), density)
	} else {
		s.reset()
		s.plant()
	}
	s.rounds++
	s.title()
}

// reset makes an empty universe.
func (s *soup) reset() {
	s.frame, s.quiet, s.drain, s.cycles = 0, 0, 0, life.CycleDetector{}
	s.visits, s.restedAt, s.drawn, s.strokes, s.edits = 0, 0, false, nil, 0
	s.seeded, s.density = 0, 0
	s.epoch++
	if s.settled != nil {
		clear(s.trace)
	}
	s.torus.Clear()
}

// sow fills the universe with the soup of that seed and density.
func (s *soup) sow(seed uint64, density float64) {
	s.reset()
	s.seeded, s.density = seed, density
	s.torus.Randomize(seed, density)
	s.origin = "Random soup"
	s.title()
}

// plant sets a famous pattern into the middle, which gives the caption its name, and
// others around it.
func (s *soup) plant() {
	star := s.stars[s.random.IntN(len(s.stars))]
	s.torus.PlaceCentred(&star)
	for range 10 {
		p := s.patterns[s.random.IntN(len(s.patterns))]
		// Beside the middle, which belongs to the star.
		x := s.random.IntN(s.setting.Width)
		y := s.random.IntN(s.setting.Height)
		dx, dy := x+p.Width/2-s.setting.Width/2, y+p.Height/2-s.setting.Height/2
		if math.Hypot(float64(dx), float64(dy)) < float64(star.Width+p.Width)/2+40 {
			continue
		}
		s.torus.Place(&p, x, y)
	}
	s.origin = star.Name
	if star.Year != 0 {
		s.origin += fmt.Sprintf(", %d", star.Year)
	}
}

// title writes the caption anew. It is asked for once a second: a generation is over
// before anybody has read its number.
func (s *soup) title() {
	with := ""
	switch {
	case s.visits > 0 && s.drawn:
		with = ", with gliders and drawings let in"
	case s.visits > 0:
		with = ", with gliders let in"
	case s.drawn:
		with = ", with what visitors drew"
	}
	s.caption = fmt.Sprintf("%s%s, generation %d", s.origin, with, s.torus.Generation())
}

func (s *soup) Step() {
	s.light.age()
	s.frame++
	if s.drain > 0 {
		if s.drain--; s.drain == 0 {
			s.seed()
			s.expose()
		}
		return
	}
	if s.frame%s.setting.FramesPerSecond == 0 {
		s.title()
	}
	if s.frame == 1 {
		s.expose()
		return
	}
	if s.frame%s.every != 0 {
		return
	}
	s.generation()
	s.expose()
	// A blinker's twin comes back after two generations, so the hash alone sees
	// only what stands still as a whole; the activity sees the rest, and the
	// gliders that circle for ever.
	if s.quiet > 150 || s.cycles.Observe(s.torus.Hash()) > 0 && s.quiet > 45 {
		s.rest()
	}
}

// generation makes one step.
func (s *soup) generation() {
	s.torus.Step()
	if s.torus.Activity() < 0.0004 {
		s.quiet++
	} else {
		s.quiet = 0
	}
	if s.settled != nil && s.restedAt == 0 && s.torus.Generation()%traceEvery == 0 {
		s.leaveTrace()
	}
}

// traceEvery is how often a trace is left: a picture of a whole life needs no more.
const traceEvery = 3

func (s *soup) leaveTrace() {
	if s.trace == nil {
		s.trace = make([]uint16, s.setting.Width*s.setting.Height)
	}
	now := uint16(min(s.torus.Generation(), 0xffff))
	words, stride := s.torus.Words()
	for i, w := range words {
		at := i/stride*s.setting.Width + i%stride*64
		for ; w != 0; w &= w - 1 {
			s.trace[at+bits.TrailingZeros64(w)] = now
		}
	}
}

// maxVisits is how often gliders are let in before the universe begins anew.
const maxVisits = 2

// rest is what follows when nothing new happens any more.
func (s *soup) rest() {
	if s.restedAt == 0 {
		s.restedAt = s.torus.Generation() - uint64(s.quiet)
		if s.settled != nil && s.density > 0 && !s.drawn && s.trace != nil {
			words, _ := s.torus.Words()
			s.settled(Settled{s.seeded, s.density, s.setting.Width, s.setting.Height, s.restedAt, s.torus.Population(), slices.Clone(words), slices.Clone(s.trace)})
		}
	}
	if s.visits < maxVisits && s.torus.Population() > 0 {
		s.visits++
		s.quiet, s.cycles = 0, life.CycleDetector{}
		s.edit(Edit{Alive: true, Cells: s.gliders()})
		s.title()
		return
	}
	s.torus.Clear()
	s.expose()
	s.drain = 2 * s.setting.FramesPerSecond
}

// gliders are a few that fly in from the edges, towards the middle.
func (s *soup) gliders() []int32 {
	var cells []int32
	shape := [5][2]int32{{1, 0}, {2, 1}, {0, 2}, {1, 2}, {2, 2}} // flies down and to the right
	w, h := int32(s.setting.Width), int32(s.setting.Height)
	for range 5 {
		left, top := s.random.IntN(2) == 0, s.random.IntN(2) == 0
		// Along the upper or lower edge, in the half from which the flight crosses the middle.
		x0, y0 := int32(s.random.IntN(int(w)/2)), int32(4)
		for _, c := range shape {
			x, y := x0+c[0], y0+c[1]
			if !left {
				x = w - 1 - x
			}
			if !top {
				y = h - 1 - y
			}
			cells = append(cells, x, y)
		}
	}
	return cells
}

// edit sets cells, and remembers what it needs to take that back.
func (s *soup) edit(e Edit) Edit {
	words, _ := s.torus.Words()
	s.edits++
	e.Number, e.Generation = s.edits, s.torus.Generation()
	s.strokes = append(s.strokes, stroke{e, slices.Clone(words)})
	if n := max(2, min(maxUndo, strokeBytes/(8*len(words)))); len(s.strokes) > n {
		s.strokes = slices.Delete(s.strokes, 0, len(s.strokes)-n)
	}
	s.apply(e)
	s.expose()
	s.title()
	if e.Who == "" && s.onEdit != nil {
		s.onEdit(e)
	}
	return e
}

func (s *soup) apply(e Edit) {
	for i := 0; i+1 < len(e.Cells); i += 2 {
		s.torus.Set(int(e.Cells[i]), int(e.Cells[i+1]), e.Alive)
	}
	s.drawn = s.drawn || e.Who != ""
	s.quiet, s.cycles = 0, life.CycleDetector{}
}

// undoable reports whether that visitor has an edit that may be taken back.
func (s *soup) undoable(who string) bool { return s.lastOf(who) >= 0 }

// lastOf is the index of the visitor's last stroke; who "*" is any visitor.
func (s *soup) lastOf(who string) int {
	oldest := uint64(undoFor * s.setting.FramesPerSecond / s.every)
	for i := len(s.strokes) - 1; i >= 0; i-- {
		st := s.strokes[i]
		if s.torus.Generation()-st.Generation > oldest {
			break
		}
		if st.Who == who || who == "*" && st.Who != "" {
			return i
		}
	}
	return -1
}

// undo takes the visitor's last edit back, as if it had never been: the universe runs again from
// before it, with all the others.
func (s *soup) undo(who string) error {
	at := s.lastOf(who)
	if at < 0 || s.drain > 0 {
		return errNothingToUndo
	}
	now := s.torus.Generation()
	later := slices.Clone(s.strokes[at+1:])
	if err := s.torus.Load(s.strokes[at].before, s.strokes[at].Generation); err != nil {
		return fmt.Errorf("going back in time: %w", err)
	}
	s.strokes = s.strokes[:at]
	for _, e := range later {
		s.runTo(e.Generation)
		words, _ := s.torus.Words()
		s.strokes = append(s.strokes, stroke{e.Edit, slices.Clone(words)})
		s.apply(e.Edit)
	}
	s.runTo(now)
	s.quiet, s.cycles = 0, life.CycleDetector{}
	s.expose()
	s.title()
	return nil
}

var errNothingToUndo = errors.New("there is nothing of yours to take back: only the last minute can be undone")

func (s *soup) runTo(generation uint64) {
	for s.torus.Generation() < generation {
		s.generation()
	}
}

// keep is the universe as it must last; nil while the old one fades.
func (s *soup) keep() *Universe {
	if s.drain > 0 {
		return nil
	}
	words, _ := s.torus.Words()
	return &Universe{
		Width: s.setting.Width, Height: s.setting.Height, Origin: s.origin, Seed: s.seeded, Density: s.density,
		Generation: s.torus.Generation(), Edits: s.edits, RestedAt: s.restedAt, Visits: s.visits, Rounds: s.rounds, Drawn: s.drawn,
		Cells: slices.Clone(words),
	}
}

// restore goes on with a universe that was kept, and the edits after it.
func (s *soup) restore(u *Universe, edits []Edit) error {
	if u.Width != s.setting.Width || u.Height != s.setting.Height {
		return fmt.Errorf("the universe that was kept has %dx%d cells, the wall %dx%d now: a new one begins", u.Width, u.Height, s.setting.Width, s.setting.Height)
	}
	s.reset()
	if err := s.torus.Load(u.Cells, u.Generation); err != nil {
		return err
	}
	s.origin, s.seeded, s.density = u.Origin, u.Seed, u.Density
	s.edits, s.restedAt, s.visits, s.rounds, s.drawn = u.Edits, u.RestedAt, u.Visits, u.Rounds, u.Drawn
	for _, e := range edits {
		// Some may be in the universe already: they were written before it was.
		if e.Number <= s.edits {
			continue
		}
		if e.Generation < s.torus.Generation() || e.Generation-s.torus.Generation() > maxReplay {
			return fmt.Errorf("edit %d belongs to generation %d, the universe that was kept is at %d", e.Number, e.Generation, s.torus.Generation())
		}
		s.runTo(e.Generation)
		s.edits = e.Number
		if e.Who == "" {
			s.visits++
		}
		s.apply(e)
	}
	s.expose()
	s.title()
	return nil
}

// maxReplay is how many generations a start may run through: some hours of the wall.
const maxReplay = 200_000

func (s *soup) expose() {
	words, stride := s.torus.Words()
	s.light.expose(words, stride, 0, 0)
}

func (s *soup) Draw(f *wire.Frame) {
	if s.setting.Sharp {
		s.light.drawSharp(f)
		return
	}
	s.light.draw(f)
}

func (s *soup) Caption() string { return s.caption }
