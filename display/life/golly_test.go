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
	"syscall"
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

// A run is what one engine made of a pattern.
type run struct {
	population string
	wall, cpu  time.Duration
}

// golly runs a pattern to a generation. The time is from generation 0 on by
// bgolly's own clock; from its processor time, that of a run which only reads the
// file is taken off.
func golly(b *testing.B, bgolly, file, algorithm string, generation int, args ...string) run {
	b.Helper()
	start := func(args ...string) (string, time.Duration) {
		c := exec.Command(bgolly, append(append([]string{"-a", algorithm}, args...), file)...)
		out, err := c.CombinedOutput()
		if err != nil {
			b.Fatalf("bgolly: %v\n%s", err, out)
		}
		return string(out), c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	_, idle := start("-m", "0")
	out, cpu := start(append([]string{"-b", "-m", strconv.Itoa(generation)}, args...)...)
	population, wall := times(b, out, generation)
	return run{population, wall, max(cpu-idle, time.Microsecond)}
}

// times reads what "bgolly -b" prints: seconds since it started, then a generation
// or "pop" and its population.
func times(b *testing.B, out string, generation int) (population string, took time.Duration) {
	b.Helper()
	var start, end float64
	for line := range strings.Lines(out) {
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
// how many times as fast as Golly we are, by the clock and by the processor time,
// which other load on the machine touches less.
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
	pairs := func(b *testing.B, cores int, ours func() string, theirs func() run) {
		b.Helper()
		if cores > runtime.NumCPU() {
			systemtest.Absent(b, fmt.Sprintf("needs %d cores", cores))
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		var us, them, wall, cpu []float64
		for b.Loop() {
			before, start := processorTime(b), time.Now()
			population := ours()
			took, used := time.Since(start), processorTime(b)-before
			golly := theirs()
			if population != golly.population {
				b.Fatalf("population %s, bgolly has %s", population, golly.population)
			}
			us, them = append(us, took.Seconds()*1e3), append(them, golly.wall.Seconds()*1e3)
			wall = append(wall, golly.wall.Seconds()/took.Seconds())
			cpu = append(cpu, golly.cpu.Seconds()/used.Seconds())
		}
		median := func(v []float64) float64 {
			slices.Sort(v)
			return v[len(v)/2]
		}
		b.ReportMetric(0, "ns/op") // of both together: not shown
		b.ReportMetric(median(us), "ms")
		b.ReportMetric(median(them), "golly-ms")
		b.ReportMetric(median(wall), "x-golly")
		b.ReportMetric(median(cpu), "x-golly-cpu")
	}

	for _, generations := range []int{100, 200, 300, 500, 1000} {
		for _, cores := range []int{1, 2} {
			b.Run(fmt.Sprintf("torus-%dg-%dcore", generations, cores), func(b *testing.B) {
				p := soup(b, 1, 1920, 1080, 0.5, torusRule)
				file := write(b, p)
				g, err := life.NewTorus(1920, 1080, torusRule)
				if err != nil {
					b.Fatal(err)
				}
				g.Place(p, 0, 0)
				pairs(b, cores, func() string {
					g.StepN(uint64(generations))
					return strconv.Itoa(g.Population())
				}, func() run {
					g.Clear()
					g.Place(p, 0, 0)
					return golly(b, bgolly, file, "QuickLife", generations)
				})
			})
		}
	}
	for _, cores := range []int{1, 2} {
		b.Run(fmt.Sprintf("plane-30000g-%dcore", cores), func(b *testing.B) {
			p := soup(b, 1, 1920, 1080, 0.5, life.Conway)
			file := write(b, p)
			var g *life.Plane
			fresh := func() {
				var err error
				if g, err = life.NewPlane(life.Conway); err != nil {
					b.Fatal(err)
				}
				if err := g.Place(p, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
			fresh()
			pairs(b, cores, func() string {
				if err := g.StepN(30000); err != nil {
					b.Fatal(err)
				}
				return strconv.Itoa(g.Population())
			}, func() run {
				fresh()
				return golly(b, bgolly, file, "QuickLife", 30000, "-i", "30000")
			})
		})
	}
	b.Run("hash-gun-1e9", func(b *testing.B) {
		i := slices.IndexFunc(life.Patterns(), func(p life.Pattern) bool { return p.Name == "Gosper glider gun" })
		p := &life.Patterns()[i]
		file := write(b, p)
		pairs(b, 1, func() string { return leap(b, p, 1e9) },
			func() run { return golly(b, bgolly, file, "HashLife", 1e9) })
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
			pairs(b, 1, func() string { return leap(b, p, 1e6) },
				func() run { return golly(b, bgolly, file, "HashLife", 1e6) })
		})
	}
}

// leap is the population that HashLife finds at a generation.
func leap(b *testing.B, p *life.Pattern, generation int64) string {
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
	return u.Population().String()
}

// processorTime is what this process has used up to now, on all cores.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkEngines times the engines alone, on any architecture; under qemu-user
// only their ratios to each other mean something.
func BenchmarkEngines(b *testing.B) {
	const width, height, steps = 1920, 1080, 16
	perCell := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*width*height*steps/float64(b.Elapsed().Nanoseconds()), "Gcell/s")
	}
	for _, name := range []string{"Life", "HighLife"} {
		rule, err := life.ParseRule(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("torus-soup-"+name, func(b *testing.B) {
			g, err := life.NewTorus(width, height, rule)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				g.Randomize(1, 0.5)
				b.StartTimer()
				g.StepN(steps)
			}
			perCell(b)
		})
	}
	b.Run("plane-soup", func(b *testing.B) {
		p := soup(b, 1, width, height, 0.5, life.Conway)
		for b.Loop() {
			b.StopTimer()
			g, err := life.NewPlane(life.Conway)
			if err != nil {
				b.Fatal(err)
			}
			if err := g.Place(p, 0, 0); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if err := g.StepN(steps); err != nil {
				b.Fatal(err)
			}
		}
		perCell(b)
	})
	b.Run("torus-settled", func(b *testing.B) {
		g, err := life.NewTorus(width, height, life.Conway)
		if err != nil {
			b.Fatal(err)
		}
		g.Randomize(1, 0.35)
		g.StepN(5000)
		for b.Loop() {
			g.StepN(steps)
		}
		b.ReportMetric(g.Activity(), "active")
		perCell(b)
	})
	b.Run("hash-gun-1e9", func(b *testing.B) {
		i := slices.IndexFunc(life.Patterns(), func(p life.Pattern) bool { return p.Name == "Gosper glider gun" })
		for b.Loop() {
			leap(b, &life.Patterns()[i], 1e9)
		}
	})
}
