package display

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"time"

	"github.com/sierpi/sierpi/display/wire"
)

// Memory keeps the one universe over a restart. What is not yet in the universe that was
// kept is in the edits that were added since.
type Memory interface {
	// Keep writes the universe, in place of the one before and its edits.
	Keep(context.Context, *Universe) error
	// Add adds edits.
	Add(context.Context, []Edit) error
}

const (
	// keepEvery bounds what a pulled plug takes: so many minutes of the universe's life, but no
	// drawing. The card is written to that often while somebody watches, some KB each time.
	keepEvery = 5 * time.Minute
	// keepGrace is how long the last write may take when the daemon ends.
	keepGrace = 5 * time.Second
)

// unkept is an edit on its way to the memory.
type unkept struct {
	edit Edit
	done func(error) // told when it is durable; may be nil
}

// keeping is what the stage has to tell its memory. The stage's mutex guards it.
type keeping struct {
	pending    []unkept
	waiting    []func(error) // for the whole universe to be written
	epoch      uint64        // of the universe that was kept
	generation uint64
	edits      uint64
	again      bool // the whole universe must be written, however little has changed
	wake       chan struct{}
}

func (k *keeping) hurry() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// noteEdit passes an edit on to the memory. s.mu is held.
func (s *Stage) noteEdit(e Edit, done func(error)) {
	if s.opt.Memory == nil {
		if done != nil {
			done(nil)
		}
		return
	}
	s.keeping.pending = append(s.keeping.pending, unkept{e, done})
	s.keeping.hurry()
}

// noteUniverse passes the whole universe on to the memory. s.mu is held.
func (s *Stage) noteUniverse(done func(error)) {
	if s.opt.Memory == nil {
		done(nil)
		return
	}
	s.keeping.again = true
	s.keeping.waiting = append(s.keeping.waiting, done)
	s.keeping.hurry()
}

// remember writes what must last, until the context ends; then once more.
func (s *Stage) remember(ctx context.Context) {
	ticker := time.NewTicker(s.opt.KeepEvery)
	defer ticker.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepGrace)
			defer cancel()
			s.flush(last, true)
			return
		case <-ticker.C:
			all = true
		case <-s.keeping.wake:
		}
		s.flush(ctx, all)
	}
}

// flush writes what is pending; all: the universe too, if it went on.
func (s *Stage) flush(ctx context.Context, all bool) {
	s.mu.Lock()
	k := &s.keeping
	pending, waiting := k.pending, k.waiting
	k.pending, k.waiting = nil, nil
	var whole *Universe
	var epoch uint64
	if u := s.director.universe; u != nil {
		epoch = u.epoch
		if all && u.torus.Generation() != k.generation || k.again || epoch != k.epoch {
			whole = u.keep() // nil while the old one fades: a new one will follow
		}
	}
	s.mu.Unlock()

	var err error
	switch {
	case whole != nil:
		if err = s.opt.Memory.Keep(ctx, whole); err == nil {
			s.mu.Lock()
			k.again, k.epoch, k.generation, k.edits = false, epoch, whole.Generation, whole.Edits
			s.mu.Unlock()
		}
	case len(pending) > 0:
		edits := make([]Edit, len(pending))
		for i, p := range pending {
			edits[i] = p.edit
		}
		err = s.opt.Memory.Add(ctx, edits)
	}
	if err != nil {
		s.opt.Logger.Error("the universe cannot be kept; a restart will not find what was drawn just now", "error", err)
		s.mu.Lock()
		k.again = true // the next one holds all
		s.mu.Unlock()
	}
	for _, p := range pending {
		if p.done != nil {
			p.done(err)
		}
	}
	for _, done := range waiting {
		done(err)
	}
}

// takeUp goes on with the universe that was kept.
func (s *Stage) takeUp(u *Universe, edits []Edit) {
	if u == nil || s.director.universe == nil {
		return
	}
	if err := s.director.universe.restore(u, edits); err != nil {
		s.opt.Logger.Warn("the universe of before the restart cannot go on; a new one begins", "error", err)
		s.director.universe.seed()
		return
	}
	s.keeping.epoch, s.keeping.generation = s.director.universe.epoch, u.Generation
}

// Universe is a copy of the one universe as it is now; nil where the wall shows no Life, or
// an old one fades.
func (s *Stage) Universe() *Universe {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.director.universe == nil {
		return nil
	}
	return s.director.universe.keep()
}

// PackCells deflates cells, a bit each.
func PackCells(cells []uint64) ([]byte, error) {
	raw := make([]byte, 0, 8*len(cells))
	for _, w := range cells {
		raw = binary.LittleEndian.AppendUint64(raw, w)
	}
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(raw); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// UnpackCells inflates what PackCells wrote, of so many words.
func UnpackCells(packed []byte, words int) ([]uint64, error) {
	if words < 0 || words > maxUniverseWords {
		return nil, fmt.Errorf("a universe of %d words: at most %d are possible", words, maxUniverseWords)
	}
	raw := make([]byte, 8*words)
	z := flate.NewReader(bytes.NewReader(packed))
	if _, err := io.ReadFull(z, raw); err != nil {
		return nil, fmt.Errorf("the cells of the universe are damaged: %w", err)
	}
	if n, _ := z.Read(make([]byte, 1)); n != 0 {
		return nil, errors.New("the cells of the universe are damaged: there are too many")
	}
	cells := make([]uint64, words)
	for i := range cells {
		cells[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	return cells, nil
}

// maxUniverseWords is wire.MaxCells, at a row of 64 more.
const maxUniverseWords = 1 << 18

// Strata draws the life of a soup: what was alive last when, from dark to light,
// and in the brightest what it left behind. At most width pixels across.
func (st *Settled) Strata(width int) image.Image {
	step := max(1, (st.Width+width-1)/width)
	w, h := (st.Width+step-1)/step, (st.Height+step-1)/step
	palette := make(color.Palette, 0, 256)
	for _, c := range ramp(255, stop{0, night}, stop{0.04, wire.RGB{0x10, 0x18, 0x3a}}, stop{0.30, wire.RGB{0x14, 0x4a, 0x72}}, stop{0.55, wire.RGB{0x1f, 0x9c, 0x94}},
		stop{0.80, wire.RGB{0xd8, 0xc0, 0x74}}, stop{1, wire.RGB{0xe8, 0x8e, 0x4a}}) {
		palette = append(palette, color.RGBA{c[0], c[1], c[2], 255})
	}
	palette = append(palette, color.RGBA{0xff, 0xf1, 0xd6, 255})
	img := image.NewPaletted(image.Rect(0, 0, w, h), palette)
	stride := (st.Width + 63) / 64
	for y := range h {
		for x := range w {
			latest, ash := uint16(0), false
			for dy := range min(step, st.Height-y*step) {
				for dx := range min(step, st.Width-x*step) {
					px, py := x*step+dx, y*step+dy
					latest = max(latest, st.Trace[py*st.Width+px])
					ash = ash || st.Cells[py*stride+px/64]>>(px%64)&1 != 0
				}
			}
			v := uint8(0)
			switch {
			case ash:
				v = 255
			case latest > 0:
				v = uint8(10 + 244*min(1, float64(latest)/float64(max(1, min(st.Generations, 0xffff)))))
			}
			img.Pix[y*img.Stride+x] = v
		}
	}
	return img
}

// Sow begins the universe anew with that soup, and shows it.
func (s *Stage) Sow(seed uint64, density float64) error {
	if !(density > 0 && density < 1) {
		return fmt.Errorf("a soup of %v: write a density between 0 and 1", density)
	}
	return s.begin(func(u *soup) { u.sow(seed, density) })
}

// Renew begins the universe anew: what was drawn is gone.
func (s *Stage) Renew() error {
	return s.begin(func(u *soup) { u.seed() })
}

func (s *Stage) begin(how func(*soup)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.director.guest != "" && !s.director.leaves {
		return errPlaying
	}
	if s.director.name() != "life" {
		if err := s.director.show("life"); err != nil {
			return err
		}
	}
	u := s.director.universe
	how(u)
	u.expose()
	s.keeping.hurry()
	return nil
}

var errPlaying = errors.New("somebody plays on the wall; wait until the game is over")
