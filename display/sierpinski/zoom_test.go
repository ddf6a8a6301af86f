package sierpinski

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestHoleCountsAreThoseOfPascalsTriangle checks the bit trick against the
// well-known one: on an n-bit grid x&y == 0 gives 3^n cells.
func TestHoleCountsAreThoseOfPascalsTriangle(t *testing.T) {
	const n = 9
	count := 0
	for x := range uint32(1 << n) {
		for y := range uint32(1<<n) - x {
			z := uint32(1<<n) - 1 - x - y
			// All lower bits in x, so that x+y+z is all ones.
			level, _ := hole(x<<(32-n)|(1<<(32-n)-1), z<<(32-n))
			if in := level >= n; in != (x&y == 0) {
				t.Fatalf("(%d, %d): in the triangle by hole: %v, by x&y: %v", x, y, in, !in)
			} else if in {
				count++
			}
		}
	}
	if want := int(math.Pow(3, n)); count != want {
		t.Errorf("%d cells of depth %d, want %d", count, n, want)
	}
}

// TestHoleDistanceIsGeometric compares with triangles cut up in floating point.
func TestHoleDistanceIsGeometric(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		x := rng.Uint32()
		z := uint32(uint64(rng.Uint32()) * uint64(^x) >> 32) // x+z does not overflow
		level, d := hole(x, z)
		p := [3]float64{float64(x) / unit, float64(^(x + z)) / unit, float64(z) / unit}
		n, size := 0, 1.0
		for ; n < 20; n++ {
			size /= 2
			k := 0
			for k < 3 && p[k] < size {
				k++
			}
			if k == 3 {
				break
			}
			p[k] -= size
		}
		if n == 20 {
			continue
		}
		want := size - max(p[0], p[1], p[2])
		if n != level || math.Abs(float64(d)/unit-want) > 4.0/unit {
			t.Fatalf("(%#x, %#x): level %d, distance %v; by geometry %d, %v", x, z, level, float64(d)/unit, n, want)
		}
	}
}

func seek(t *testing.T, scene string, depth uint64, steps int) []uint8 {
	t.Helper()
	s, err := New(160, 90, Settings{Scene: scene})
	if err != nil {
		t.Fatal(err)
	}
	s.(interface{ Seek(uint64) }).Seek(depth)
	for range steps {
		s.Step()
	}
	return frame(s, 160, 90)
}

// TestDeepZoomEqualsItsReducedTwin is the promise that no precision is lost.
func TestDeepZoomEqualsItsReducedTwin(t *testing.T) {
	for _, scene := range []string{"zoom", "carpet"} {
		for _, steps := range []int{0, 2, 333, 1001} {
			if !bytes.Equal(seek(t, scene, 1_000_000, steps), seek(t, scene, 0, steps)) {
				t.Errorf("%s: %d steps after depth 10^6 is not what it is after depth 0", scene, steps)
			}
		}
	}
}

// TestZoomIsExactAtAnyDepth computes cells of the picture without any wrapping,
// in integers as long as the depth asks for, and compares. Floating point,
// which must fail, proves that the comparison can.
func TestZoomIsExactAtAnyDepth(t *testing.T) {
	const w, h = 160, 90
	z, err := NewZoom(w, h, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for _, depth := range []uint{1, 20, 1000, 1_000_000} {
		z.Seek(uint64(depth))
		for range rng.IntN(1000) {
			z.Step()
		}
		picture := frame(z, w, h)
		alt := z.altitude()
		length := 3*depth + 32
		one := new(big.Int).Lsh(big.NewInt(1), length)
		centre := func(n int64) *big.Int { // n/7 of the whole
			c := new(big.Int).Mul(one, big.NewInt(n))
			return c.Div(c, big.NewInt(7))
		}
		cx, cz := centre(2), centre(4)
		cells := 60
		if depth > 1000 {
			cells = 12
		}
		wrong := 0
		for range cells {
			col, row := rng.IntN(w), rng.IntN(h)
			right, up := float64(col)-(w-1)/2.0, (h-1)/2.0-float64(row)
			dx := int64(math.Round((right*math.Sqrt(3)/2 - up/2) / alt * unit))
			dz := int64(math.Round(up / alt * unit))
			x := new(big.Int).Add(cx, big.NewInt(dx))
			zz := new(big.Int).Add(cz, big.NewInt(dz))
			y := new(big.Int).Sub(one, big.NewInt(1))
			y.Sub(y, x).Sub(y, zz)
			// The first bit that none of the three has.
			or := new(big.Int).Or(x, y)
			or.Or(or, zz)
			all := new(big.Int).Sub(one, big.NewInt(1))
			level := int(length) - or.Xor(or, all).BitLen()
			if level == int(length) { // a point of the triangle itself
				if got := picture[row*w+col]; got%zoomTones < zoomTones-1 {
					t.Errorf("depth %d, cell (%d, %d): tone %d on the triangle", depth, col, row, got)
				}
				continue
			}
			below := uint(int(length) - 1 - level)
			half := new(big.Int).Lsh(big.NewInt(1), below)
			mask := new(big.Int).Sub(half, big.NewInt(1))
			best := new(big.Int)
			for _, c := range []*big.Int{x, y, zz} {
				if v := new(big.Int).And(c, mask); v.Cmp(best) > 0 {
					best = v
				}
			}
			if level < int(3*depth) {
				t.Fatalf("depth %d, cell (%d, %d): outside the surrounding triangle", depth, col, row)
			}
			d := uint32(half.Sub(half, best).Uint64())
			want := z.table[min(level-int(3*depth), 31)][logIndex(d, bits.Len32(d))]
			// Rounding may move a cell by a hundredth, and so a tone by one; where
			// all holes are too small to be seen, their tints do not count.
			got := picture[row*w+col]
			gt, wt := int(got%zoomTones), int(want%zoomTones)
			if max(gt-wt, wt-gt) > 1 || got/zoomTones != want/zoomTones && gt < zoomTones-5 {
				t.Errorf("depth %d, cell (%d, %d): index %d, exactly computed %d", depth, col, row, got, want)
			}
			// The same in float64, as a plain zoom would.
			fx := 2.0/7 + float64(dx)/unit*math.Pow(8, -float64(depth))
			if new(big.Float).SetInt(x).Cmp(new(big.Float).Mul(big.NewFloat(fx), new(big.Float).SetInt(one))) != 0 {
				wrong++
			}
		}
		if depth >= 20 && wrong < cells/2 {
			t.Errorf("depth %d: float64 was wrong in %d of %d cells only; the comparison proves nothing", depth, wrong, cells)
		}
	}
}

// TestZoomHasNoSeam holds that the step over the wrap changes about as many cells
// as any other.
func TestZoomHasNoSeam(t *testing.T) {
	for _, set := range []Settings{{Scene: "zoom"}, {Scene: "zoom", Variant: "out"}, {Scene: "carpet"}, {Scene: "carpet", Variant: "in"}} {
		s, err := New(160, 90, set)
		if err != nil {
			t.Fatal(err)
		}
		var j *journey
		switch s := s.(type) {
		case *Zoom:
			j = &s.journey
		case *Carpet:
			j = &s.journey
		}
		j.pos, j.hold = j.period-500, 0
		last := frame(s, 160, 90)
		var changes []int
		for range 10 {
			s.Step()
			s.Step()
			next := frame(s, 160, 90)
			n := 0
			for i := range next {
				if d := int(next[i]) - int(last[i]); max(d, -d) > 3 {
					n++
				}
			}
			changes, last = append(changes, n), next
		}
		if j.depth != 1 {
			t.Fatalf("%+v: did not wrap", set)
		}
		most := max(changes[0], changes[1], changes[2], changes[8], changes[9])
		for i, n := range changes {
			if n > most*3/2+50 {
				t.Errorf("%+v: picture %d about the wrap changes %d cells, others at most %d: %v", set, i, n, most, changes)
			}
		}
	}
}

// TestCarpetIsExact compares the carpet with digits of exact fractions, unwrapped.
func TestCarpetIsExact(t *testing.T) {
	const w, h, depth = 160, 90, 300
	c, err := NewCarpet(w, h, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for range 777 {
		c.Step()
	}
	picture := frame(c, w, h)
	side := float64(2*w) * 1.01 * exp(c.phase()*2*math.Log(3))
	whole := new(big.Int).Exp(big.NewInt(3), big.NewInt(2*depth+20), nil)
	digits := func(quarters int64, i, n int) string {
		v := new(big.Int).Mul(whole, big.NewInt(quarters))
		v.Div(v, big.NewInt(4))
		v.Add(v, big.NewInt(int64(math.Round((float64(i)-float64(n-1)/2)/side*carpetUnit))))
		s := v.Text(3)
		for len(s) < 2*depth+20 {
			s = "0" + s
		}
		return s
	}
	checked := 0
	for row := range h {
		y := digits(3, row, h)
		for col := row % 7; col < w; col += 7 {
			x := digits(1, col, w)
			level := 0
			for level < len(x) && !(x[level] == '1' && y[level] == '1') {
				level++
			}
			n := level - 2*depth
			if n < 0 {
				t.Fatalf("(%d, %d): outside the surrounding square", col, row)
			}
			// Cells well inside a hole that can be seen are lit in its tint, and
			// cells in none are not.
			third := side / math.Pow(3, float64(n+1))
			if third > 12 {
				tint := picture[row*w+col] / zoomTones
				if int(tint) != n%carpetGroups {
					t.Fatalf("(%d, %d): tint %d in a hole of level %d", col, row, tint, n)
				}
				checked++
			} else if third < 0.5 && picture[row*w+col]%zoomTones > 8 {
				t.Fatalf("(%d, %d): tone %d in no hole that can be seen", col, row, picture[row*w+col])
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d cells lie in large holes", checked)
	}
}
