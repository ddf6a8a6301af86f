package display

import "github.com/sierpi/sierpi/display/wire"

// flashGuard holds every frame that leaves the daemon to three flashes a second
// (WCAG 2.3.1), whatever the scene draws. The scenes keep to it by themselves; the
// guard measures that they do, and is there for the one that does not.
//
// A flash is a pair of opposing changes of relative luminance by a tenth or more.
// It counts where more than a quarter of a ninth of the picture (WCAG's 341x256 of
// 1024x768 pixels) flashes together. Measured are the means of blocks of 8x8
// cells: what is balanced within a block is a fine pattern, which WCAG leaves out.
//
// When a part of the picture has made the changes of two flashes and a half within a second, the
// guard takes the contrast away, to less than a tenth, and gives it back
// slowly. That last change is the sixth: three flashes.
type flashGuard struct {
	fps        int
	cols, rows int
	sums       []uint32
	blocks     []flashBlock
	hot        []uint8
	frame      uint32
	average    [3]float64 // linear light, over about a second
	share      float64    // of the worst window in the last frame
	damp       float64    // contrast taken away, 0 to 1
	calmAt     uint32     // frame from which contrast comes back
	palette    []wire.RGB // that light belongs to
	light      [256]uint32
}

// flashBlock follows one block's luminance.
type flashBlock struct {
	extreme float32 // the last turning point, or what it has come to since
	falling bool
	turns   [maxTurns]uint32 // frames of the last changes, a ring
	next    uint8
}

const (
	flashCells = 8 // a block's side
	flashStep  = 0.1
	flashShare = 0.25
	maxTurns   = 5
	dampTo     = 0.93 // leaves a seventieth of white between black and white
	lightOne   = 1 << 16
)

func newFlashGuard(width, height, fps int) *flashGuard {
	g := &flashGuard{fps: fps, cols: (width + flashCells - 1) / flashCells, rows: (height + flashCells - 1) / flashCells}
	g.sums = make([]uint32, g.cols)
	g.blocks = make([]flashBlock, g.cols*g.rows)
	g.hot = make([]uint8, g.cols*g.rows)
	return g
}

// check dims the frame if it must, and measures it as it will be seen.
func (g *flashGuard) check(f *wire.Frame) {
	g.frame++
	if g.damp > 0 {
		if g.frame >= g.calmAt {
			// Back within four seconds.
			g.damp = max(0, g.damp-dampTo/float64(4*g.fps))
		}
		grey := wire.RGB{toSRGB(g.average[0]), toSRGB(g.average[1]), toSRGB(g.average[2])}
		for i, c := range f.Palette {
			f.Palette[i] = mix(c, grey, g.damp)
		}
	}
	g.measure(f)
	if g.share > flashShare {
		g.damp = dampTo
		g.calmAt = g.frame + uint32(2*g.fps)
	}
}

func (g *flashGuard) measure(f *wire.Frame) {
	g.learn(f.Palette)
	var counts [256]uint32
	for by := range g.rows {
		clear(g.sums)
		y1 := min(f.Height, (by+1)*flashCells)
		for y := by * flashCells; y < y1; y++ {
			row := f.Cells[y*f.Width : (y+1)*f.Width]
			for b := range g.sums {
				part := row[b*flashCells : min(f.Width, (b+1)*flashCells)]
				var sum uint32
				for _, v := range part {
					sum += g.light[v]
				}
				g.sums[b] += sum
			}
		}
		for b, sum := range g.sums {
			cells := (y1 - by*flashCells) * (min(f.Width, (b+1)*flashCells) - b*flashCells)
			g.hot[by*g.cols+b] = g.blocks[by*g.cols+b].take(float32(sum)/float32(lightOne*cells), g.frame, uint32(g.fps))
		}
	}
	// The average is for the damping only: every seventh cell will do.
	n := 0
	for i := 0; i < len(f.Cells); i += 7 {
		counts[f.Cells[i]]++
		n++
	}
	var mean [3]float64
	for v, c := range f.Palette {
		if counts[v] > 0 {
			for k := range mean {
				mean[k] += toLinear(c[k]) * float64(counts[v]) / float64(n)
			}
		}
	}
	for k := range mean {
		g.average[k] += (mean[k] - g.average[k]) / float64(g.fps)
	}
	g.share = g.worst()
}

// learn tabulates the palette's luminance.
func (g *flashGuard) learn(palette []wire.RGB) {
	if len(palette) == len(g.palette) {
		same := true
		for i, c := range palette {
			if c != g.palette[i] {
				same = false
				break
			}
		}
		if same {
			return
		}
	}
	g.palette = append(g.palette[:0], palette...)
	clear(g.light[:])
	for i, c := range palette {
		g.light[i] = uint32(luminance(c) * lightOne)
	}
}

// take follows the block's luminance v; 1 if it changed too often within a second.
func (b *flashBlock) take(v float32, frame, second uint32) uint8 {
	switch {
	case b.falling && v < b.extreme, !b.falling && v > b.extreme:
		b.extreme = v
	case b.falling && v-b.extreme >= flashStep, !b.falling && b.extreme-v >= flashStep:
		b.falling = !b.falling
		b.extreme = v
		b.turns[b.next] = frame
		b.next = (b.next + 1) % maxTurns
	}
	if oldest := b.turns[b.next]; oldest != 0 && frame-oldest < second {
		return 1
	}
	return 0
}

// worst is the greatest share of hot blocks in any window of a third of the
// width by a third of the height.
func (g *flashGuard) worst() float64 {
	total := 0
	for _, h := range g.hot {
		total += int(h)
	}
	w, h := max(1, g.cols/3), max(1, g.rows/3)
	if total == 0 || float64(total) <= flashShare*float64(w*h) {
		return float64(total) / float64(w*h)
	}
	worst := 0
	for y := 0; y+h <= g.rows; y++ {
		for x := 0; x+w <= g.cols; x++ {
			sum := 0
			for by := y; by < y+h; by++ {
				for _, v := range g.hot[by*g.cols+x : by*g.cols+x+w] {
					sum += int(v)
				}
			}
			worst = max(worst, sum)
		}
	}
	return float64(worst) / float64(w*h)
}
