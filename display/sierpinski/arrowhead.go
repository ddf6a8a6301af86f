package sierpinski

import (
	"fmt"
	"image/color"
	"math"
)

// Arrowhead draws Sierpinski's arrowhead curve: one line that becomes the
// triangle. It draws itself from end to end, order after order, each over the
// pale trace of the one before; light runs along it, by the palette alone.
type Arrowhead struct {
	tones
	pacer
	width, height int
	top           int // the last order
	order         int
	path          [][2]int32 // of this order, in 1/256 cell
	radius        float64    // of the pen, in cells
	drawn         int        // of the path
	ticks         int        // of this order
	flow          int
	line, trace   []uint8
	smooth        bool
}

const (
	arrowBands   = 16 // of the light along the line
	arrowTones   = 12 // of a cell's coverage
	arrowTrace   = 8  // of the trace's coverage
	arrowDrawing = 14 * 30
	arrowResting = 4 * 30
	arrowSmooth  = 6 // pieces of a rounded corner
)

func arrowheadInfo() Info {
	return Info{
		Name: "arrowhead", Title: "Arrowhead curve", Level: "the last order of the curve",
		MinLevel: 2, MaxLevel: 8, Default: 6, Colours: "lagoon", Variants: []string{"round", "sharp"},
	}
}

// NewArrowhead makes an arrowhead curve of width by height cells.
func NewArrowhead(width, height int, s Settings) (*Arrowhead, error) {
	s, err := prepare(width, height, s, arrowheadInfo())
	if err != nil {
		return nil, err
	}
	a := &Arrowhead{
		tones: newTones(s, arrowBands*arrowTones+arrowTrace+1), pacer: pacer{speed: s.Speed},
		width: width, height: height, top: s.Level,
		line: make([]uint8, width*height), trace: make([]uint8, width*height),
	}
	a.smooth = s.Variant == "round"
	a.begin(2)
	return a, nil
}

// begin lays out the path of an order.
func (a *Arrowhead) begin(order int) {
	a.order, a.drawn, a.ticks = order, 0, 0
	side := math.Min(0.93*float64(a.width), 0.9*float64(a.height)*2/math.Sqrt(3))
	step := side / float64(int(1)<<order)
	t := turtle{
		step:  step,
		left:  (float64(a.width) - side) / 2,
		floor: (float64(a.height) + float64(side*math.Sqrt(3)/2)) / 2,
		path:  a.path[:0],
	}
	t.mark()
	if order%2 == 1 {
		t.turn(1)
	}
	t.curve(order, -1)
	a.path = t.path
	if a.smooth {
		a.path = rounded(a.path)
	}
	a.radius = max(0.55, min(step*0.16, float64(a.height)/110))
}

// turtle walks a lattice of triangles; all that is not whole is left to mark.
type turtle struct {
	x, y, heading     int // heading in sixths of a turn
	step, left, floor float64
	path              [][2]int32
}

func (t *turtle) turn(sixths int) { t.heading = (t.heading + sixths + 6) % 6 }

func (t *turtle) mark() {
	x := t.left + float64((float64(t.x)+float64(t.y)/2)*t.step)
	y := t.floor - float64(float64(t.y)*(math.Sqrt(3)/2)*t.step)
	t.path = append(t.path, [2]int32{int32(math.Round(x * 256)), int32(math.Round(y * 256))})
}

func (t *turtle) curve(order, turn int) {
	if order == 0 {
		way := [6][2]int{{1, 0}, {0, 1}, {-1, 1}, {-1, 0}, {0, -1}, {1, -1}}[t.heading]
		t.x += way[0]
		t.y += way[1]
		t.mark()
		return
	}
	t.curve(order-1, -turn)
	t.turn(turn)
	t.curve(order-1, turn)
	t.turn(turn)
	t.curve(order-1, -turn)
}

// rounded replaces every corner by a parabola between the middles of its sides.
func rounded(p [][2]int32) [][2]int32 {
	n := len(p)
	if n < 3 {
		return p
	}
	out := make([][2]int32, 0, (n-2)*arrowSmooth+3)
	out = append(out, p[0])
	for i := 1; i < n-1; i++ {
		for k := range arrowSmooth {
			var q [2]int32
			for c := range q {
				from, to := int64(p[i-1][c]+p[i][c]), int64(p[i][c]+p[i+1][c]) // doubled
				j, m := int64(k), int64(arrowSmooth-k)
				q[c] = int32((m*m*from + 4*j*m*int64(p[i][c]) + j*j*to) / (2 * arrowSmooth * arrowSmooth))
			}
			out = append(out, q)
		}
	}
	last := p[n-2]
	out = append(out, [2]int32{(last[0] + p[n-1][0]) / 2, (last[1] + p[n-1][1]) / 2}, p[n-1])
	return out
}

// Step advances by one tick.
func (a *Arrowhead) Step() {
	a.drift()
	if a.flow++; a.flow == arrowBands*arrowFlow {
		a.flow = 0
	}
	for range a.tick() {
		a.move()
	}
}

func (a *Arrowhead) move() {
	a.ticks++
	pieces := len(a.path) - 1
	if a.drawn < pieces {
		// Start and end gently.
		t := min(1, float64(a.ticks)/arrowDrawing)
		for goal := int(math.Round(float64(pieces) * float64(t*t*float64(3-2*t)))); a.drawn < goal; a.drawn++ {
			a.stroke(a.drawn)
		}
		return
	}
	if a.ticks < arrowDrawing+arrowResting {
		return
	}
	for i, v := range a.line {
		a.trace[i] = 0
		if v > 0 {
			a.trace[i] = uint8((int(v-1)%arrowTones + 1) * arrowTrace / arrowTones)
		}
		a.line[i] = 0
	}
	next := a.order + 1
	if next > a.top {
		next = 2
	}
	a.begin(next)
}

// stroke draws one piece of the path with a round pen.
func (a *Arrowhead) stroke(i int) {
	p, q := a.path[i], a.path[i+1]
	r := int32(math.Ceil(a.radius+1)) * 256
	x0, x1 := (min(p[0], q[0])-r)>>8, (max(p[0], q[0])+r)>>8
	y0, y1 := (min(p[1], q[1])-r)>>8, (max(p[1], q[1])+r)>>8
	dx, dy := int64(q[0]-p[0]), int64(q[1]-p[1])
	length := dx*dx + dy*dy
	band := uint8(i * arrowBands * 2 / (len(a.path) - 1) % arrowBands)
	for y := max(0, y0); y <= min(int32(a.height)-1, y1); y++ {
		for x := max(0, x0); x <= min(int32(a.width)-1, x1); x++ {
			// The distance from the cell's middle to the piece.
			cx, cy := int64(x*256+128-p[0]), int64(y*256+128-p[1])
			if along := min(max(cx*dx+cy*dy, 0), length); length > 0 {
				cx -= dx * along / length
				cy -= dy * along / length
			}
			d := math.Sqrt(float64(cx*cx+cy*cy)) / 256
			cover := int(math.Round(min(1, a.radius+0.5-d) * arrowTones))
			if cover <= 0 {
				continue
			}
			k := &a.line[int(y)*a.width+int(x)]
			if *k == 0 || int(*k-1)%arrowTones < cover {
				*k = 1 + band*arrowTones + uint8(cover-1)
			}
		}
	}
}

// Draw writes the picture of this moment.
func (a *Arrowhead) Draw(dst []uint8, stride int) {
	for y := range a.height {
		row := dst[y*stride:][:a.width]
		line, trace := a.line[y*a.width:][:a.width], a.trace[y*a.width:][:a.width]
		for i, v := range line {
			if t := trace[i]; v == 0 || t > 4 && (v-1)%arrowTones < 3 {
				v = 0
				if t > 0 {
					v = arrowBands*arrowTones + t
				}
			}
			row[i] = v
		}
	}
}

// Bits is 8: twelve tones in each of sixteen bands of light, and eight of the trace.
func (a *Arrowhead) Bits() int { return 8 }

// arrowFlow is how many ticks the light takes from a band to the next.
const arrowFlow = 20

// Palette returns the colours of this moment.
func (a *Arrowhead) Palette() []color.RGBA {
	ground := a.at(0, 0)
	a.buf[0] = ground.rgba()
	for band := range arrowBands {
		phase := 2 * math.Pi * (float64(band)/arrowBands - float64(a.flow)/(arrowBands*arrowFlow))
		light := a.at(0.72+0.24*math.Cos(phase), 25*math.Sin(phase))
		for t := range arrowTones {
			a.buf[1+band*arrowTones+t] = over(light, ground, float64(t+1)/arrowTones)
		}
	}
	pale := a.at(0.24, 0)
	for t := range arrowTrace {
		a.buf[arrowBands*arrowTones+1+t] = over(pale, ground, float64(t+1)/arrowTrace)
	}
	return a.buf
}

// Caption says what is shown.
func (a *Arrowhead) Caption() string { return fmt.Sprintf("Arrowhead curve of order %d", a.order) }
