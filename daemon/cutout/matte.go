package cutout

// The arithmetic of one pixel P of source alpha s over the background B, all of 0
// to 255; page/static/cut.js repeats it.
//
// In 255ths of a level, n = s*|P-B| is how far the picture, composed over B, is
// from B in a channel, and room is how far it could be: 255-B above, B below.
// Alpha a explains the channel when a*room >= n. With an allowed error of e the
// smallest is
//
//	a = max over channels of ceil((n - e) / room)
//
// and the colour is F = B + sign(P-B) * round(n/a), cut to 0..255. Where it is not
// cut, a*(F-B) differs from n by less than half a level: rounding gives P back.
// Where it is cut, it is off by at most e.
//
// The allowed error is the tolerance t for what differs by at most t, falls from
// there and is 0 from 2t on: the background's noise goes, the object stays whole.

// matte is the arithmetic for one background and tolerance.
type matte struct {
	bg   [3]int
	tol  int
	need [3][256]uint8 // alpha that an opaque channel needs at no tolerance
	inv  [256]uint64   // ceil(2^32/a), to divide by a
}

func newMatte(bg Color, tolerance int) *matte {
	m := &matte{bg: [3]int{int(bg.R), int(bg.G), int(bg.B)}, tol: tolerance}
	for c, b := range m.bg {
		for v := range 256 {
			if n := v - b; n > 0 {
				m.need[c][v] = uint8((255*n + 254 - b) / (255 - b))
			} else if n < 0 {
				m.need[c][v] = uint8((255*-n + b - 1) / b)
			}
		}
	}
	for a := 1; a < 256; a++ {
		m.inv[a] = (1<<32 + uint64(a) - 1) / uint64(a)
	}
	return m
}

// alpha is the smallest alpha that explains the pixel.
func (m *matte) alpha(p []byte) uint8 {
	_ = p[3]
	if p[3] == 255 {
		// The common cases need no division.
		worst := max(abs(int(p[0])-m.bg[0]), abs(int(p[1])-m.bg[1]), abs(int(p[2])-m.bg[2]))
		if worst <= m.tol {
			return 0
		}
		if worst >= 2*m.tol {
			return max(m.need[0][p[0]], m.need[1][p[1]], m.need[2][p[2]])
		}
	}
	s := int(p[3])
	var n, room [3]int
	worst := 0
	for c, b := range m.bg {
		d := int(p[c]) - b
		room[c] = 255 - b
		if d < 0 {
			d, room[c] = -d, b
		}
		n[c] = s * d
		worst = max(worst, n[c])
	}
	t := 255 * m.tol
	if worst <= t {
		return 0
	}
	e := max(0, 2*t-worst)
	a := 0
	for c := range n {
		if n[c] > e {
			a = max(a, (n[c]-e+room[c]-1)/room[c])
		}
	}
	return uint8(a)
}

// background says whether the pixel is within the tolerance of the background.
func (m *matte) background(p []byte) bool {
	_ = p[3]
	t := 255 * m.tol
	s := int(p[3])
	return s*abs(int(p[0])-m.bg[0]) <= t && s*abs(int(p[1])-m.bg[1]) <= t && s*abs(int(p[2])-m.bg[2]) <= t
}

// unmix replaces the pixel by the colour that with alpha a over the background
// gives it.
func (m *matte) unmix(p []byte, a uint8) {
	_ = p[3]
	s := p[3]
	p[3] = a
	if a == s {
		return // the division would give the colour that is there
	}
	if a == 0 {
		p[0], p[1], p[2] = 0, 0, 0
		return
	}
	inv, half, alpha := m.inv[a], uint64(a)/2, uint64(s)
	for c, b := range m.bg {
		d := int(p[c]) - b
		if d >= 0 {
			// The product is below 2^17 * 2^32, and exact: see TestDivision.
			p[c] = uint8(min(255, b+int((alpha*uint64(d)+half)*inv>>32)))
		} else {
			p[c] = uint8(max(0, b-int((alpha*uint64(-d)+half)*inv>>32)))
		}
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
