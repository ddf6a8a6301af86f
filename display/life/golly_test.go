package life_test

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/life/hash"
	"github.com/sierpi/sierpi/system/systemtest"
)

// soup is a random pattern that fills its box.
func soup(t testing.TB, seed uint64, width, height int, density float64, rule life.Rule) *life.Pattern {
	t.Helper()
	g, err := life.NewTorus(width, height, rule.Unbounded())
	if err != nil {
		t.Fatal(err)
	}
	g.Randomize(seed, density)
	p, err := g.Pattern()
	if err != nil {
		t.Fatal(err)
	}
	p.Rule = rule
	return p
}

// trimmed is the cells with the smallest box around them at 0,0: bgolly writes no
// more of a pattern's place.
func trimmed(p *life.Pattern) []life.Cell {
	if len(p.Cells) == 0 {
		return nil
	}
	minX, minY := p.Cells[0].X, p.Cells[0].Y
	for _, c := range p.Cells {
		minX, minY = min(minX, c.X), min(minY, c.Y)
	}
	out := slices.Clone(p.Cells)
	for i := range out {
		out[i].X -= minX
		out[i].Y -= minY
	}
	return out
}

// TestAgainstGolly gives random patterns, rules, sizes and bounds to bgolly and
// to each engine that takes the rule.
func TestAgainstGolly(t *testing.T) {
	bgolly := systemtest.Tool(t, "bgolly", "golly")
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 2026))
	cases := 60
	if testing.Short() {
		cases = 20
	}
	for n := range cases {
		rule := life.Conway
		if rng.IntN(2) == 0 {
			rule = life.Rule{Born: uint16(rng.IntN(512)) &^ 1, Survives: uint16(rng.IntN(512))}
		}
		width, height := 1+rng.IntN(150), 1+rng.IntN(150)
		generations := 1 + rng.IntN(60)
		switch rng.IntN(3) {
		case 0:
			rule.Bounds = life.Bounds{Edge: life.Wrap, Width: width, Height: height}
		case 1:
			rule.Bounds = life.Bounds{Edge: life.Dead, Width: width, Height: height}
		}
		if rule.Bounds.Edge == life.Wrap && rule != life.Conway && n%2 == 0 {
			// Under B0, Golly shows every other generation only.
			rule.Born |= 1
			rule.Survives &^= 1 << 8
			generations += generations % 2
		}
		p := soup(t, rng.Uint64(), width, height, 0.2+0.5*rng.Float64(), rule)
		algorithm := []string{"QuickLife", "HashLife"}[n%2]
		name := fmt.Sprintf("%d x %d cells of %s for %d generations against %s", width, height, rule, generations, algorithm)
		in, out := filepath.Join(dir, "in.rle"), filepath.Join(dir, "out.rle")
		if err := os.WriteFile(in, p.RLE(), 0o644); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command(bgolly, "-q", "-q", "-a", algorithm, "-m", strconv.Itoa(generations), "-i", "1", "-o", out, in).CombinedOutput(); err != nil {
			t.Fatalf("%s: bgolly: %v\n%s", name, err, text)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		golly, err := life.Parse(data)
		if err != nil {
			t.Fatalf("%s: what bgolly wrote: %v", name, err)
		}
		check := func(engine string, got *life.Pattern, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %s: %v", name, engine, err)
			}
			if !slices.Equal(trimmed(got), trimmed(golly)) {
				t.Errorf("%s: %s has another pattern, of %d cells; bgolly has %d", name, engine, len(got.Cells), len(golly.Cells))
			}
		}
		if rule.Bounds.Edge != life.NoEdge {
			g, err := life.NewTorus(width, height, rule)
			if err != nil {
				t.Fatal(err)
			}
			g.Place(p, 0, 0)
			g.StepN(uint64(generations))
			got, err := g.Pattern()
			check("the torus", got, err)
			continue
		}
		plane, err := life.NewPlane(rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := plane.Place(p, -30, 17); err != nil {
			t.Fatal(err)
		}
		if err := plane.StepN(uint64(generations)); err != nil {
			t.Fatal(err)
		}
		got, err := plane.Pattern()
		check("the plane", got, err)
		u, err := hash.New(rule, hash.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Place(p, -30, 17); err != nil {
			t.Fatal(err)
		}
		if err := u.Advance(context.Background(), big.NewInt(int64(generations))); err != nil {
			t.Fatal(err)
		}
		got, err = u.Pattern(0)
		check("HashLife", got, err)
	}
}

// golly runs a pattern to a generation and returns the population there, and how
// long it took from generation 0 by bgolly's own clock, reading the file and
// starting up left out.
func golly(b *testing.B, bgolly, file, algorithm string, generation int, args ...string) (population string, took time.Duration) {
	b.Helper()
	args = append([]string{"-b", "-a", algorithm, "-m", strconv.Itoa(generation)}, args...)
	out, err := exec.Command(bgolly, append(args, file)...).CombinedOutput()
	if err != nil {
		b.Fatalf("bgolly: %v\n%s", err, out)
	}
	var start, end float64
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(strings.ReplaceAll(line, ",", ""))
		if len(f) < 2 {
			continue
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			continue
		}
		switch {
		case f[1] == "pop" && start == 0:
			start = at
		case f[1] == "pop":
			population = f[2]
		case f[1] == strconv.Itoa(generation):
			end = at
		}
	}
	if start == 0 || end < start {
		b.Fatalf("bgolly's times are not understood:\n%s", out)
	}
	return population, time.Duration((end - start) * float64(time.Second))
}

// BenchmarkGolly is the comparison with Golly. Each iteration is a pair: our
// engine, then bgolly on the same pattern to the same generation, with equal
// populations. Printed are the medians of both times, and of the pairs' ratio:
// how many times as fast as Golly we are.
func BenchmarkGolly(b *testing.B) {
	bgolly := systemtest.Tool(b, "bgolly", "golly")
	torusRule := life.Conway
	torusRule.Bounds = life.Bounds{Edge: life.Wrap, Width: 1920, Height: 1080}
	write := func(b *testing.B, p *life.Pattern) string {
		file := filepath.Join(b.TempDir(), "pattern.rle")
		if err := os.WriteFile(file, p.RLE(), 0o644); err != nil {
			b.Fatal(err)
		}
		return file
	}
	pairs := func(b *testing.B, cores int, ours func() (string, time.Duration), theirs func() (string, time.Duration)) {
		b.Helper()
		if cores > runtime.NumCPU() {
			systemtest.Absent(b, fmt.Sprintf("needs %d cores", cores))
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		var us, them, ratios []float64
		for b.Loop() {
			population, took := ours()
			want, peer := theirs()
			if population != want {
				b.Fatalf("population %s, bgolly has %s", population, want)
			}
			us, them = append(us, took.Seconds()*1e3), append(them, peer.Seconds()*1e3)
			ratios = append(ratios, peer.Seconds()/took.Seconds())
		}
		median := func(v []float64) float64 {
			slices.Sort(v)
			return v[len(v)/2]
		}
		b.ReportMetric(0, "ns/op") // of both together: not shown
		b.ReportMetric(median(us), "ms")
		b.ReportMetric(median(them), "golly-ms")
		b.ReportMetric(median(ratios), "x-golly")
	}

	for _, generations := range []int{100, 200, 1000} {
		for _, cores := range []int{1, 2} {
			b.Run(fmt.Sprintf("torus-%dg-%dcore", generations, cores), func(b *testing.B) {
				p := soup(b, 1, 1920, 1080, 0.5, torusRule)
				file := write(b, p)
				pairs(b, cores, func() (string, time.Duration) {
					g, err := life.NewTorus(1920, 1080, torusRule)
					if err != nil {
						b.Fatal(err)
					}
					g.Place(p, 0, 0)
					start := time.Now()
					g.StepN(uint64(generations))
					return strconv.Itoa(g.Population()), time.Since(start)
				}, func() (string, time.Duration) {
					return golly(b, bgolly, file, "QuickLife", generations)
				})
			})
		}
	}
	for _, cores := range []int{1, 2} {
		b.Run(fmt.Sprintf("plane-30000g-%dcore", cores), func(b *testing.B) {
			p := soup(b, 1, 1920, 1080, 0.5, life.Conway)
			file := write(b, p)
			pairs(b, cores, func() (string, time.Duration) {
				g, err := life.NewPlane(life.Conway)
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Place(p, 0, 0); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := g.StepN(30000); err != nil {
					b.Fatal(err)
				}
				return strconv.Itoa(g.Population()), time.Since(start)
			}, func() (string, time.Duration) {
				return golly(b, bgolly, file, "QuickLife", 30000, "-i", "30000")
			})
		})
	}
	leap := func(b *testing.B, p *life.Pattern, generation int64) (string, time.Duration) {
		start := time.Now()
		u, err := hash.New(p.Rule, hash.Options{Memory: 512 << 20})
		if err != nil {
			b.Fatal(err)
		}
		if err := u.Place(p, 0, 0); err != nil {
			b.Fatal(err)
		}
		if err := u.Advance(context.Background(), big.NewInt(generation)); err != nil {
			b.Fatal(err)
		}
		return u.Population().String(), time.Since(start)
	}
	b.Run("hash-gun-1e9", func(b *testing.B) {
		i := slices.IndexFunc(life.Patterns(), func(p life.Pattern) bool { return p.Name == "Gosper glider gun" })
		p := &life.Patterns()[i]
		file := write(b, p)
		pairs(b, 1, func() (string, time.Duration) { return leap(b, p, 1e9) },
			func() (string, time.Duration) { return golly(b, bgolly, file, "HashLife", 1e9) })
	})
	for _, name := range []string{"breeder.lif", "slide-breeder.rle", "LWSS-breeder.rle"} {
		b.Run("hash-1e6-"+strings.Split(name, ".")[0], func(b *testing.B) {
			file := filepath.Join("/usr/share/golly/Patterns/Life/Breeders", name)
			data, err := os.ReadFile(file)
			if err != nil {
				systemtest.Missing(b, "Golly's own patterns are not installed (apt-get install golly): "+err.Error())
			}
			p, err := life.Parse(bytes.TrimSpace(data))
			if err != nil {
				b.Fatal(err)
			}
			pairs(b, 1, func() (string, time.Duration) { return leap(b, p, 1e6) },
				func() (string, time.Duration) { return golly(b, bgolly, file, "HashLife", 1e6) })
		})
	}
}
