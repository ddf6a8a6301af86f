package sierpinski

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

func frame(s Scene, w, h int) []uint8 {
	b := make([]uint8, w*h)
	s.Draw(b, w)
	return b
}

func make1(t testing.TB, w, h int, s Settings) Scene {
	t.Helper()
	scene, err := New(w, h, s)
	if err != nil {
		t.Fatal(err)
	}
	return scene
}

// moments are ticks at which a scene has something to show.
var moments = map[string][]int{
	"zoom":      {200},
	"chaos":     {190, 1300},
	"rule90":    {600},
	"arrowhead": {1990},
	"carpet":    {700},
	"fern":      {1300},
}

// TestRuleRowsCountPopcounts runs the automaton: row k of one drop has
// 2^popcount(k) cells, until the bank is reached.
func TestRuleRowsCountPopcounts(t *testing.T) {
	r, err := NewRule90(480, 270, Settings{Level: 1})
	if err != nil {
		t.Fatal(err)
	}
	for r.row != 1 || r.drops != "one drop" {
		r.flow()
	}
	for k := range 256 {
		n := 0
		for _, v := range r.now {
			if v {
				n++
			}
		}
		if want := 1 << bits.OnesCount(uint(k)); n != want {
			t.Fatalf("row %d has %d living cells, want %d", k, n, want)
		}
		r.flow()
	}
	for i, v := range r.now {
		if v {
			t.Fatalf("cell %d still lives after the drop has run off", i)
		}
	}
}

// TestRuleNeverRunsDry lets every kind of fall come and go.
func TestRuleNeverRunsDry(t *testing.T) {
	for _, w := range []int{16, 17, 100, 480} {
		r, err := NewRule90(w, 16, Settings{Seed: uint32(w)})
		if err != nil {
			t.Fatal(err)
		}
		falls := map[string]int{}
		for range 6000 {
			if r.flow(); r.row == 1 {
				falls[r.drops]++
			}
			if r.dry > rulePause || r.row > 2*len(r.now)+2 {
				t.Fatalf("width %d: dry for %d rows, %d rows of %s", w, r.dry, r.row, r.drops)
			}
			for i, v := range r.now {
				if v && i&1 != r.row&1 {
					t.Fatalf("width %d, row %d: cell %d lives off the lattice", w, r.row, i)
				}
			}
		}
		if len(falls) != 4 {
			t.Errorf("width %d: only %v fell", w, falls)
		}
	}
}

// TestChaosGameCovers counts throws until the cells of depth 10 are covered.
func TestChaosGameCovers(t *testing.T) {
	const depth, cells = 10, 59049
	games := 3
	if testing.Short() {
		games = 1
	}
	var all, ninety float64
	for seed := range games {
		g := game{rng: newRand(uint32(seed))}
		seen := make([]bool, 1<<(2*depth))
		n, covered := 0, 0
		for ; covered < cells; n++ {
			g.throw()
			x, y := g.x>>(32-depth), g.y>>(32-depth)
			if x&y != 0 {
				t.Fatalf("throw %d fell into a hole: %#x, %#x", n, x, y)
			}
			if p := &seen[y<<depth|x]; !*p {
				*p = true
				if covered++; covered == cells*9/10 {
					ninety += float64(n) / float64(games)
				}
			}
		}
		all += float64(n) / float64(games)
	}
	t.Logf("90 %% after %.0f throws, all after %.0f", ninety, all)
	// A collector's problem: n ln 10, and n (ln n + 0.577) with a deviation of
	// 1.28 n for one game.
	if math.Abs(ninety-cells*math.Log(10)) > 2500 {
		t.Errorf("90 %% of the cells took %.0f throws, want about 136,000", ninety)
	}
	if all < 550e3 || all > 830e3 {
		t.Errorf("all cells took %.0f throws, want about 680,000", all)
	}
}

func TestArrowheadIsTheCurve(t *testing.T) {
	for order := range 9 {
		tu := turtle{step: 2}
		tu.mark()
		if order%2 == 1 {
			tu.turn(1)
		}
		tu.curve(order, -1)
		want := 1
		for range order {
			want *= 3
		}
		if len(tu.path) != want+1 || tu.x != 1<<order || tu.y != 0 {
			t.Errorf("order %d: %d pieces to (%d, %d), want %d to (%d, 0)", order, len(tu.path)-1, tu.x, tu.y, want, 1<<order)
		}
		seen := map[[2]int32]bool{}
		for _, p := range tu.path {
			if p[1] > 0 {
				t.Fatalf("order %d goes below its base, to %v", order, p)
			}
			if seen[p] {
				t.Fatalf("order %d comes to %v twice", order, p)
			}
			seen[p] = true
		}
	}
}

// TestFernLiesInItsBounds holds the attractor's well-known bounds.
func TestFernLiesInItsBounds(t *testing.T) {
	f, err := NewFern(64, 64, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	f.ticks = fernGrowing
	p := plant{share: 16}
	lo, hi := [2]float64{9, 9}, [2]float64{-9, -9}
	for range 30000 {
		f.grow(&p)
		for i, v := range []int64{p.x, p.y} {
			lo[i], hi[i] = min(lo[i], float64(v)/65536), max(hi[i], float64(v)/65536)
		}
	}
	for i, want := range [][2]float64{{-2.182, 2.6558}, {0, 9.9983}} {
		if math.Abs(lo[i]-want[0]) > 0.08 || math.Abs(hi[i]-want[1]) > 0.08 {
			t.Errorf("axis %d runs from %.3f to %.3f, want %.3f to %.3f", i, lo[i], hi[i], want[0], want[1])
		}
	}
}

// TestScenesKeepTheirWord holds what Scene promises, through several turns of
// every scene and variant.
func TestScenesKeepTheirWord(t *testing.T) {
	for _, info := range Scenes() {
		for _, variant := range info.Variants {
			t.Run(info.Name+"/"+variant, func(t *testing.T) {
				set := Settings{Scene: info.Name, Variant: variant, Speed: MaxSpeed, Seed: 5}
				const w, h, stride = 64, 40, 70
				a, b := make1(t, w, h, set), make1(t, w, h, set)
				pa, pb := make([]uint8, stride*h), make([]uint8, stride*h)
				for i := range pa {
					pa[i], pb[i] = 255, 255
				}
				changed := 0
				last := bytes.Clone(pa)
				ticks := 2500
				if testing.Short() {
					ticks = 1200
				}
				for tick := range ticks {
					a.Step()
					b.Step()
					if tick%10 > 0 {
						continue
					}
					a.Draw(pa, stride)
					a.Draw(pa, stride) // drawing changes nothing
					b.Draw(pb, stride)
					if !bytes.Equal(pa, pb) {
						t.Fatalf("tick %d: equal settings, different pictures", tick)
					}
					colours := a.Palette()
					if len(colours) > 1<<a.Bits() || a.Bits() < 1 || a.Bits() > 8 {
						t.Fatalf("%d colours in %d bits", len(colours), a.Bits())
					}
					for i, v := range pa {
						if i%stride >= w {
							if v != 255 {
								t.Fatalf("tick %d wrote outside its rows at %d", tick, i)
							}
						} else if int(v) >= len(colours) {
							t.Fatalf("tick %d: index %d of %d colours at %d", tick, v, len(colours), i)
						}
					}
					for i, c := range colours {
						if c.A != 255 {
							t.Fatalf("colour %d is %v", i, c)
						}
					}
					if a.Caption() == "" {
						t.Fatal("no caption")
					}
					if !bytes.Equal(pa, last) {
						changed++
						copy(last, pa)
					}
				}
				if changed < 20 {
					t.Errorf("the picture changed %d times in %d", changed, ticks/10)
				}
			})
		}
	}
}

func TestEverySizeAndLevel(t *testing.T) {
	sizes := [][2]int{{16, 16}, {17, 300}, {400, 16}, {101, 67}}
	if !testing.Short() {
		sizes = append(sizes, [2]int{1920, 1080})
	}
	for _, info := range Scenes() {
		for _, size := range sizes {
			for level := info.MinLevel; level <= info.MaxLevel; level++ {
				if size[0] == 1920 && level != info.Default {
					continue
				}
				s := make1(t, size[0], size[1], Settings{Scene: info.Name, Level: level, Speed: MaxSpeed})
				for range 3 {
					s.Step()
				}
				frame(s, size[0], size[1])
			}
		}
	}
	// The largest that may be asked for: a coordinate's range must hold.
	z := make1(t, MaxSide, 1000, Settings{Scene: "zoom"})
	frame(z, MaxSide, 1000)
}

func TestNothingAllocates(t *testing.T) {
	for _, info := range Scenes() {
		s := make1(t, 160, 90, Settings{Scene: info.Name})
		buf := make([]uint8, 160*90)
		if n := testing.AllocsPerRun(100, func() { s.Step(); s.Draw(buf, 160); s.Palette() }); n != 0 {
			t.Errorf("%s: %v allocations a step", info.Name, n)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		set  Settings
		want []string
	}{
		{Settings{Scene: "life"}, []string{`no scene "life"`, "zoom, chaos"}},
		{Settings{Scene: "zoom", Level: 10, Colours: "mud", Speed: 1000, Variant: "up"}, []string{
			"level: 10 is out of range", "choose 1 to 9", `colours: no colours "mud"`, "ember, forest", "speed: 1000 %", "25 to 200", `variant: "zoom" has no variant "up"; there are in, out`,
		}},
		{Settings{Scene: "arrowhead", Level: 1}, []string{"choose 2 to 8"}},
		{Settings{Scene: "fern", Speed: -1}, []string{"speed: -1 %"}},
	} {
		err := c.set.Validate()
		_, made := New(480, 270, c.set)
		if err == nil || made == nil {
			t.Errorf("%+v: taken", c.set)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) || !strings.Contains(made.Error(), w) {
				t.Errorf("%+v: %q or %q lacks %q", c.set, err, made, w)
			}
		}
	}
	for _, size := range [][2]int{{15, 100}, {100, 8193}, {-1, 100}, {8192, 8192}} {
		if _, err := New(size[0], size[1], Settings{Scene: "zoom"}); err == nil || !strings.Contains(err.Error(), "choose") {
			t.Errorf("%v: %v", size, err)
		}
	}
	if _, err := NewZoom(100, 100, Settings{Scene: "fern"}); err == nil {
		t.Error("a zoom was made from a fern's settings")
	}
	for _, info := range Scenes() {
		if err := (Settings{Scene: info.Name}).Validate(); err != nil {
			t.Errorf("the defaults of %s: %v", info.Name, err)
		}
	}
}

// FuzzSettings holds that settings from a page make a scene or an error, and
// that Validate and New agree.
func FuzzSettings(f *testing.F) {
	f.Add(`{"scene":"zoom","level":3,"colours":"ember","speed":50,"variant":"out","day":true}`)
	f.Add(`{"scene":"arrowhead","level":8,"seed":4294967295}`)
	f.Add(`{"scene":"chaos","speed":-9223372036854775808}`)
	f.Fuzz(func(t *testing.T, text string) {
		var set Settings
		if json.Unmarshal([]byte(text), &set) != nil {
			return
		}
		s, err := New(48, 27, set)
		if (err == nil) != (set.Validate() == nil) {
			t.Fatalf("New: %v; Validate: %v", err, set.Validate())
		}
		if err != nil {
			return
		}
		for range 5 {
			s.Step()
		}
		frame(s, 48, 27)
		s.Palette()
	})
}

// streamRate streams a scene at 30 frames a second as differences, deflated at
// level 1, for a second in every four, and returns the mean and the worst in KB/s.
func streamRate(t *testing.T, s Scene, w, h, seconds int) (mean, worst float64) {
	last := frame(s, w, h)
	next := make([]uint8, w*h)
	packed := make([]uint8, 0, w*h)
	var out bytes.Buffer
	fw, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for second := range seconds {
		if second%4 > 0 {
			for range 30 {
				s.Step()
			}
			s.Draw(last, w)
			continue
		}
		n := 0
		for range 30 {
			s.Step()
			s.Draw(next, w)
			packed = packed[:0]
			for i, v := range next {
				packed = append(packed, v^last[i])
			}
			next, last = last, next
			out.Reset()
			fw.Reset(&out)
			fw.Write(packed) // a bytes.Buffer does not fail
			fw.Close()
			n += out.Len() + 3*len(s.Palette())/30 // a palette a second
		}
		mean += float64(n) / 1000 / float64((seconds+3)/4)
		worst = max(worst, float64(n)/1000)
	}
	return mean, worst
}

// TestStreamsStayInBudget holds the design's 500 KB/s at 480x270, at every speed
// and level.
func TestStreamsStayInBudget(t *testing.T) {
	check := func(set Settings, seconds int) {
		mean, worst := streamRate(t, make1(t, 480, 270, set), 480, 270, seconds)
		t.Logf("%-10s level %d, speed %3d: %4.0f KB/s, worst second %4.0f", set.Scene, set.Level, set.Speed, mean, worst)
		if worst > 500 {
			t.Errorf("%+v: %.0f KB in one second, the budget is 500", set, worst)
		}
	}
	for _, info := range Scenes() {
		if systemtest.Hurried() {
			check(Settings{Scene: info.Name}, 1)
			continue
		}
		check(Settings{Scene: info.Name}, 50) // more than a period of the endless ones
		check(Settings{Scene: info.Name, Level: info.MinLevel, Speed: MaxSpeed}, 6)
		check(Settings{Scene: info.Name, Level: info.MaxLevel, Speed: MaxSpeed}, 6)
	}
}

// luminance is WCAG's relative luminance.
func luminance(c color.RGBA) float64 {
	l := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*l(c.R) + 0.7152*l(c.G) + 0.0722*l(c.B)
}

// flashing returns the greatest part of the picture whose cells flash more than
// three times in any second of a run, by night and by day: a flash is a pair of
// opposing changes of luminance of a tenth or more, the darker below 0.8 (WCAG
// 2.3.1).
func flashing(s Scene, w, h, ticks int) (worst [2]float64) {
	type cell struct {
		edge    float64 // the last extreme
		up      bool
		changes [8]int // ticks of the last changes
		n       int
	}
	var cells [2][]cell
	var lum [2][256]float64
	buf := make([]uint8, w*h)
	for tick := range ticks {
		s.Step()
		s.Draw(buf, w)
		for mode := range cells {
			if tick == 0 {
				cells[mode] = make([]cell, w*h)
			}
			s.SetDay(mode == 1)
			for i, c := range s.Palette() {
				lum[mode][i] = luminance(c)
			}
			now := 0
			for i, v := range buf {
				c, l := &cells[mode][i], lum[mode][v]
				if tick == 0 {
					c.edge = l
					continue
				}
				if (l > c.edge) == c.up { // further the same way
					c.edge = l
				} else if math.Abs(l-c.edge) >= 0.1 && min(l, c.edge) < 0.8 {
					c.changes[c.n%8] = tick
					c.n++
					c.edge, c.up = l, !c.up
				}
				// The eighth change back within a second: four flashes.
				if c.n >= 8 && tick-c.changes[c.n%8] < 30 {
					now++
				}
			}
			worst[mode] = max(worst[mode], float64(now)/float64(w*h))
		}
	}
	return worst
}

// TestNothingFlashes holds that no scene comes near the quarter of the field of
// view that WCAG 2.3.1 speaks of.
func TestNothingFlashes(t *testing.T) {
	for _, info := range Scenes() {
		w, h, ticks := 320, 180, 500
		if systemtest.Hurried() {
			w, h, ticks = 160, 90, 80
		}
		for _, speed := range []int{100, MaxSpeed} {
			part := flashing(make1(t, w, h, Settings{Scene: info.Name, Speed: speed}), w, h, ticks*100/speed)
			t.Logf("%-10s speed %d: night %.2f %%, day %.2f %%", info.Name, speed, 100*part[0], 100*part[1])
			if max(part[0], part[1]) > 0.02 {
				t.Errorf("%s, speed %d: more than 2 %% of the picture flashes more than three times a second", info.Name, speed)
			}
		}
	}
}

func paletted(s Scene, w, h int) *image.Paletted {
	im := &image.Paletted{Pix: frame(s, w, h), Stride: w, Rect: image.Rect(0, 0, w, h)}
	for _, c := range s.Palette() {
		im.Palette = append(im.Palette, c)
	}
	return im
}

func writePNG(t *testing.T, name string, im image.Image) {
	t.Helper()
	var buf bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	if err := enc.Encode(&buf, im); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenPictures compares every cell, and every colour within one step of
// each channel: the cells are computed alike everywhere, the colours nearly.
func TestGoldenPictures(t *testing.T) {
	for _, info := range Scenes() {
		for i, ticks := range moments[info.Name] {
			for _, size := range []struct {
				name string
				w, h int
				day  bool
			}{{"16x9-night", 480, 270, false}, {"5x3-day", 400, 240, true}} {
				s := make1(t, size.w, size.h, Settings{Scene: info.Name, Day: size.day})
				for range ticks {
					s.Step()
				}
				got := paletted(s, size.w, size.h)
				name := filepath.Join("testdata", fmt.Sprintf("%s-%d-%s.png", info.Name, i+1, size.name))
				if *update {
					writePNG(t, name, got)
					continue
				}
				f, err := os.Open(name)
				if err != nil {
					t.Fatalf("%v; write it with -update", err)
				}
				im, err := png.Decode(f)
				f.Close()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want, ok := im.(*image.Paletted)
				if !ok || !bytes.Equal(want.Pix, got.Pix) {
					t.Errorf("%s: the cells differ; if that is meant, write it anew with -update", name)
					continue
				}
				for k, c := range got.Palette {
					a, b := c.(color.RGBA), color.RGBAModel.Convert(want.Palette[k]).(color.RGBA)
					if near := func(x, y uint8) bool { return max(x, y)-min(x, y) <= 1 }; !near(a.R, b.R) || !near(a.G, b.G) || !near(a.B, b.B) {
						t.Errorf("%s: colour %d is %v, want %v", name, k, a, b)
					}
				}
			}
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, info := range Scenes() {
		b.Run(info.Name, func(b *testing.B) {
			s := make1(b, 480, 270, Settings{Scene: info.Name})
			buf := make([]uint8, 480*270)
			b.ReportAllocs()
			for b.Loop() {
				s.Step()
				s.Draw(buf, 480)
			}
		})
	}
}

// BenchmarkPlainZoom is what the zoom is measured beside: eleven levels in float64
// with four samples a cell.
func BenchmarkPlainZoom(b *testing.B) {
	z, err := NewZoom(480, 270, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]uint8, 480*270)
	for b.Loop() {
		z.Step()
		alt := z.altitude()
		for row := range 270 {
			for col := range 480 {
				light := 0
				for k := range 4 {
					right := float64(col) - 239.5 + float64(k&1)/2 - 0.25
					up := 134.5 - float64(row) + float64(k>>1)/2 - 0.25
					p := [3]float64{2.0/7 + (right*math.Sqrt(3)/2-up/2)/alt, 1.0/7 - (right*math.Sqrt(3)/2+up/2)/alt, 4.0/7 + up/alt}
					size := 1.0
					n := 0
					for ; n < 11; n++ {
						size /= 2
						if p[0] >= size {
							p[0] -= size
						} else if p[1] >= size {
							p[1] -= size
						} else if p[2] >= size {
							p[2] -= size
						} else {
							break
						}
					}
					light += n
				}
				buf[row*480+col] = uint8(light)
			}
		}
	}
}
