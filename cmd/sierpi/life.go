package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/display/life"
	"github.com/sierpi/sierpi/display/life/hash"
)

// maxPatternFile bounds what is read of a pattern file, in bytes.
const maxPatternFile = 64 << 20

// maxPictureSide bounds a picture's side, in pixels.
const maxPictureSide = 16384

func lifeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "life",
		Short:   "Run Life patterns from files or from the catalogue",
		Example: "  sierpi life list\n  sierpi life run acorn --generations 5206",
	}, lifeRunCommand(), lifeListCommand())
}

func lifeListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the patterns that sierpi knows by name",
		Example: "  sierpi life list",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, p := range life.Patterns() {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-28s %5d  %s\n", slug(p.Name), p.Year, p.Discoverer); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func lifeRunCommand() *cobra.Command {
	var generations, engine, rule, picture, rle string
	cmd := &cobra.Command{
		Use:   "run PATTERN",
		Short: "Run a pattern and print its generation and population",
		Long: `Run a pattern for a number of generations and print "generation N population P".

PATTERN is a file (RLE, Life 1.05, Life 1.06 or plaintext), - for standard input, or
the name of a pattern that "sierpi life list" lists. A rule with bounds, such as
B3/S23:T64,64, runs on that torus; any other on an unbounded plane. --engine hash is
HashLife: regular patterns to astronomic generations.`,
		Example: `  sierpi life run gosper-glider-gun --generations 3000
  sierpi life run soup.rle --generations 1000 --png soup.png
  sierpi life run gosper-glider-gun --engine hash --generations 10^100
  sierpi life run glider --rule B3/S23:T64,64 --generations 256`,
		Args: exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, p := range life.Patterns() {
				names = append(names, slug(p.Name))
			}
			return names, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := readPattern(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			if rule != "" {
				if p.Rule, err = life.ParseRule(rule); err != nil {
					return asUsage(err)
				}
			}
			n, err := parseGenerations(generations)
			if err != nil {
				return asUsage(err)
			}
			u, err := newUniverse(p, engine)
			if err != nil {
				return err
			}
			if err := u.run(cmd.Context(), newLifeProgress(cmd.ErrOrStderr(), n), n); err != nil {
				return err
			}
			if picture != "" {
				if err := drawUniverse(u, picture); err != nil {
					return err
				}
			}
			if rle != "" {
				after, err := u.Pattern()
				if err != nil {
					return err
				}
				if err := os.WriteFile(rle, after.RLE(), 0o666); err != nil {
					return err
				}
			}
			generation, population := u.counts()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "generation %d population %d\n", generation, population)
			return err
		},
	}
	cmd.Flags().StringVarP(&generations, "generations", "g", "0", "run this many generations: `N`, 10^N or 2^N")
	cmd.Flags().StringVar(&engine, "engine", "auto", "auto (by the rule's bounds), plane or hash")
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"auto", "plane", "hash"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&rule, "rule", "", "run under this `RULE` instead of the pattern's own, such as B36/S23 or B3/S23:T64,64")
	cmd.Flags().StringVar(&picture, "png", "", "draw the last generation into this `FILE`")
	cmd.Flags().StringVar(&rle, "rle", "", "write the last generation as RLE into this `FILE`")
	return cmd
}

// parseGenerations reads a count of any size: 3000, 10^9.
func parseGenerations(text string) (*big.Int, error) {
	base, exponent, power := strings.Cut(text, "^")
	n, ok := new(big.Int).SetString(base, 10)
	if ok && power {
		e, err := strconv.ParseUint(exponent, 10, 32)
		ok = err == nil && e <= maxExponent
		if ok {
			n.Exp(n, new(big.Int).SetUint64(e), nil)
		}
	}
	if !ok || n.Sign() < 0 || n.BitLen() > 4*maxExponent {
		return nil, fmt.Errorf("--generations %q: write a number such as 3000, 10^9 or 2^64 (exponents to %d)", text, maxExponent)
	}
	return n, nil
}

// maxExponent bounds a count of generations that is written as a power.
const maxExponent = 4096

// universe is what the engines have in common.
type universe interface {
	counts() (generation, population *big.Int)
	Pattern() (*life.Pattern, error)
	run(ctx context.Context, show *lifeProgress, generations *big.Int) error
}

func newUniverse(p *life.Pattern, engine string) (universe, error) {
	bounded := p.Rule.Bounds.Edge != life.NoEdge
	switch {
	case engine != "auto" && engine != "plane" && engine != "hash":
		return nil, asUsage(fmt.Errorf("--engine %q: auto, plane or hash is allowed", engine))
	case engine != "auto" && bounded:
		return nil, asUsage(fmt.Errorf("--engine %s is unbounded; the rule %s is not", engine, p.Rule))
	case engine == "hash":
		u, err := hash.New(p.Rule, hash.Options{})
		if err != nil {
			return nil, err
		}
		return hashed{u}, u.Place(p, 0, 0)
	case bounded:
		b := p.Rule.Bounds
		t, err := life.NewTorus(b.Width, b.Height, p.Rule)
		if err != nil {
			return nil, err
		}
		t.PlaceCentred(p)
		return stepped{t, func(n uint64) error { t.StepN(n); return nil }}, nil
	}
	u, err := life.NewPlane(p.Rule)
	if err != nil {
		return nil, err
	}
	return stepped{u, u.StepN}, u.Place(p, 0, 0)
}

// grid is a torus or a plane.
type grid interface {
	Generation() uint64
	Population() int
	Pattern() (*life.Pattern, error)
}

// stepped is an engine that goes generation by generation.
type stepped struct {
	grid
	stepN func(n uint64) error
}

func (u stepped) counts() (generation, population *big.Int) {
	return new(big.Int).SetUint64(u.Generation()), big.NewInt(int64(u.Population()))
}

// run goes in strides, so that it can be interrupted.
func (u stepped) run(ctx context.Context, show *lifeProgress, generations *big.Int) error {
	if !generations.IsUint64() {
		return asUsage(fmt.Errorf("%d generations need --engine hash", generations))
	}
	for stride, end := uint64(1), generations.Uint64(); u.Generation() < end; {
		began := time.Now()
		if err := u.stepN(min(stride, end-u.Generation())); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted at generation %d", u.Generation())
		}
		if time.Since(began) < 100*time.Millisecond {
			stride *= 2
		}
		show.update(u)
	}
	return nil
}

// hashed is HashLife, which leaps.
type hashed struct{ *hash.Universe }

func (u hashed) counts() (generation, population *big.Int) { return u.Generation(), u.Population() }

func (u hashed) Pattern() (*life.Pattern, error) { return u.Universe.Pattern(0) }

func (u hashed) run(ctx context.Context, _ *lifeProgress, generations *big.Int) error {
	return u.Advance(ctx, generations)
}

// lifeProgress says how far a long run is, once a second after the first two.
type lifeProgress struct {
	w    io.Writer
	end  *big.Int
	said time.Time
}

func newLifeProgress(w io.Writer, end *big.Int) *lifeProgress {
	return &lifeProgress{w: w, end: end, said: time.Now().Add(time.Second)}
}

func (p *lifeProgress) update(u universe) {
	if now := time.Now(); now.Sub(p.said) > time.Second {
		p.said = now
		generation, population := u.counts()
		fmt.Fprintf(p.w, "generation %d of %d, population %d\n", generation, p.end, population)
	}
}

// readPattern finds a pattern by name, or reads it from a file.
func readPattern(name string, stdin io.Reader) (*life.Pattern, error) {
	known := life.Patterns()
	if i := slices.IndexFunc(known, func(p life.Pattern) bool { return slug(p.Name) == slug(name) }); i >= 0 {
		return &known[i], nil
	}
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, "./") {
			return nil, fmt.Errorf("%q is neither a file nor a pattern of %q", name, "sierpi life list")
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPatternFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > maxPatternFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxPatternFile>>20)
	}
	p, err := life.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// slug is a name as one types it: "Gosper glider gun" is gosper-glider-gun.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// drawUniverse draws the live cells with a border, a few pixels a cell where there is room.
func drawUniverse(u universe, path string) error {
	p, err := u.Pattern()
	if err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	side := max(p.Width, p.Height) + 2
	if side > maxPictureSide {
		return fmt.Errorf("drawing: the pattern is %d by %d cells; a picture has at most %d on a side", p.Width, p.Height, maxPictureSide)
	}
	scale := min(max(1024/side, 1), 16)
	img := image.NewPaletted(image.Rect(0, 0, (p.Width+2)*scale, (p.Height+2)*scale), color.Palette{
		color.RGBA{8, 12, 16, 255}, color.RGBA{120, 220, 180, 255},
	})
	gap := 0
	if scale >= 4 {
		gap = 1
	}
	for _, c := range p.Cells {
		x, y := (int(c.X)+1)*scale, (int(c.Y)+1)*scale
		for dy := range scale - gap {
			row := img.Pix[(y+dy)*img.Stride+x:]
			for dx := range scale - gap {
				row[dx] = 1
			}
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sierpi-*.png")
	if err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if err := errors.Join(png.Encode(f, img), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
