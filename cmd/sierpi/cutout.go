package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/cutout"
	"github.com/sierpi/sierpi/system"
)

// maxPictureFile bounds what is read of a picture from standard input.
const maxPictureFile = 256 << 20

// pictureExtensions are what completion offers.
var pictureExtensions = []string{"jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"}

func cutoutCommand() *cobra.Command {
	var job cutoutJob
	var color, tolerance, memory string
	cmd := &cobra.Command{
		Use:   "cutout FILE...",
		Short: "Cut pictures out of their plain background into transparent PNGs",
		Long: `Cut pictures out of their plain background into transparent PNGs: JPEG, PNG, GIF,
WebP, BMP and TIFF, turned as the camera held them. The background's colour and the
tolerance are taken from the picture's border unless they are given.

Each pixel gets the least opacity with which some colour over the background gives
what the picture shows, and that colour. With --border only what the border reaches is
removed, so that the background's colour stays where the object shows it.

The result lies in --out under the picture's name with .png, or without --out beside the
picture. Nothing is overwritten without --force. The exit code is 1 when a picture
could not be cut; the others are.`,
		Example: `  sierpi cutout --border *.jpg --out cut
  sierpi cutout --color '#fefefe' --tolerance 8 --trim logo.png
  sierpi cutout photo.jpg --output - >photo.png`,
		Args: atLeast(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return pictureExtensions, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if color != "" && color != "auto" {
				c, err := cutout.ParseColor(color)
				if err != nil {
					return asUsage(fmt.Errorf("--color: %w", err))
				}
				job.options.Color = &c
			}
			job.options.Tolerance = cutout.AutoTolerance
			if tolerance != "auto" {
				n, err := strconv.Atoi(tolerance)
				if err != nil || n < 0 || n > cutout.MaxTolerance {
					return asUsage(fmt.Errorf("--tolerance %q: auto, or a number from 0 to %d", tolerance, cutout.MaxTolerance))
				}
				job.options.Tolerance = n
			}
			if err := job.options.Check(); err != nil {
				return asUsage(err)
			}
			size, err := config.ParseSize(memory)
			if err != nil {
				return asUsage(fmt.Errorf("--memory: %w", err))
			}
			machine, err := system.ReadMemory("/")
			if err != nil {
				return err
			}
			job.memory = int64(min(size.Bytes(machine.Total), 1<<62))
			job.stdin, job.stdout, job.stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return job.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&job.out, "out", "", "write the results into this `DIR`, made if it is not there")
	f.StringVarP(&job.output, "output", "o", "", "write the one result to this `FILE`; - is standard output")
	f.StringVar(&color, "color", "auto", "the background's `COLOR`, such as '#ffffff' or white")
	f.StringVar(&tolerance, "tolerance", "auto", "how many `LEVELS` of 255 a colour may be off and still be background; 0 is exact")
	f.BoolVar(&job.options.Border, "border", false, "remove only what the border reaches")
	f.IntVar(&job.options.Feather, "feather", 0, "fade the object in over so many `PIXELS` behind its edge")
	f.BoolVar(&job.options.Trim, "trim", false, "cut the empty margins off")
	f.IntVar(&job.options.Size, "size", 0, "reduce first to at most so many `PIXELS` a side")
	f.BoolVarP(&job.force, "force", "f", false, "overwrite results that are there")
	f.BoolVarP(&job.dryRun, "dry-run", "n", false, "say what would be done and write nothing")
	f.StringVar(&memory, "memory", "50%", "refuse pictures that need more memory than this `SIZE`")
	_ = cmd.MarkFlagDirname("out")
	cmd.MarkFlagsMutuallyExclusive("out", "output")
	return cmd
}

// cutoutJob is one run of the command.
type cutoutJob struct {
	options        cutout.Options
	out, output    string
	force, dryRun  bool
	memory         int64
	stdin          io.Reader
	stdout, stderr io.Writer
	started, said  time.Time
	fail           int
}

// run cuts every picture; it goes on after one that cannot be cut.
func (j *cutoutJob) run(ctx context.Context, names []string) error {
	if j.output != "" && len(names) > 1 {
		return asUsage(fmt.Errorf("--output takes one result and there are %d pictures; use --out DIR", len(names)))
	}
	targets := make([]string, len(names))
	from := map[string]string{}
	for i, name := range names {
		target, err := j.target(name)
		if err != nil {
			return asUsage(err)
		}
		if other, ok := from[target]; ok && target != "-" {
			return asUsage(fmt.Errorf("%s and %s would both become %s; cut them into different folders", other, name, target))
		}
		from[target], targets[i] = name, target
	}
	if j.out != "" && !j.dryRun {
		if err := os.MkdirAll(j.out, 0o777); err != nil {
			return fmt.Errorf("making the folder of the results: %w", err)
		}
	}
	j.started = time.Now()
	j.said = j.started.Add(time.Second)
	for i, name := range names {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after %d of %d pictures; what is written is whole", i, len(names))
		}
		if now := time.Now(); now.Sub(j.said) > time.Second {
			j.said = now
			fmt.Fprintf(j.stderr, "%d of %d: %s\n", i+1, len(names), name)
		}
		if err := j.one(ctx, name, targets[i]); err != nil {
			if ctx.Err() != nil {
				continue
			}
			j.fail++
			fmt.Fprintf(j.stderr, "%s: %v\n", name, err)
		}
		// The collector would let the last picture lie beside the next.
		debug.FreeOSMemory()
	}
	if took := time.Since(j.started); took > 2*time.Second {
		fmt.Fprintf(j.stderr, "%d cut in %.1f s\n", len(names)-j.fail, took.Seconds())
	}
	if j.fail > 0 {
		return fmt.Errorf("%d of %d pictures could not be cut", j.fail, len(names))
	}
	return nil
}

// target is where a picture's result goes.
func (j *cutoutJob) target(name string) (string, error) {
	if j.output != "" {
		return filepath.Clean(j.output), nil
	}
	if name == "-" {
		if j.out != "" {
			return "", errors.New("a picture from standard input has no name: use --output FILE")
		}
		return "-", nil
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if j.out != "" {
		return filepath.Join(j.out, base+".png"), nil
	}
	if strings.EqualFold(filepath.Ext(name), ".png") {
		base += "-cut"
	}
	return filepath.Join(filepath.Dir(name), base+".png"), nil
}

// one cuts one picture.
func (j *cutoutJob) one(ctx context.Context, name, target string) error {
	if target != "-" {
		if err := j.mayWrite(name, target); err != nil {
			return err
		}
	}
	in, err := j.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := cutout.Probe(in)
	if err != nil {
		return err
	}
	if info.Memory > j.memory {
		return fmt.Errorf("this picture needs %d MB of memory and may have %d; raise --memory, or make it smaller", (info.Memory+999_999)/1e6, j.memory/1e6)
	}
	picture, err := cutout.Decode(in, info)
	if err != nil {
		return err
	}
	plan, err := picture.Plan(ctx, j.options)
	if err != nil {
		return err
	}
	if j.options.Color == nil && plan.Background.Share < .5 {
		fmt.Fprintf(j.stderr, "%s: only %.0f %% of its border are of about one colour (%s); if that is not the background, name it with --color\n", name, 100*plan.Background.Share, plan.Background.Color)
	}
	out := fmt.Sprintf("%s -> %s  %d x %d, background %s, tolerance %d", name, target, plan.Bounds.Dx(), plan.Bounds.Dy(), plan.Background.Color, plan.Tolerance)
	if j.dryRun {
		_, err := fmt.Fprintf(j.stdout, "%s, %d MB of memory\n", out, (info.Memory+999_999)/1e6)
		return err
	}
	if target == "-" {
		return plan.WritePNG(ctx, j.stdout)
	}
	if err := j.write(ctx, plan, target); err != nil {
		return err
	}
	_, err = fmt.Fprintln(j.stdout, out)
	return err
}

// mayWrite refuses to lay a result over a file.
func (j *cutoutJob) mayWrite(name, target string) error {
	there, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.IsDir() {
		return fmt.Errorf("%s is a folder; use --out for it", target)
	}
	if source, err := os.Stat(name); err == nil && os.SameFile(there, source) {
		return fmt.Errorf("the result would replace the picture itself; name another folder with --out")
	}
	if !j.force {
		return fmt.Errorf("%s is there already; --force overwrites it", target)
	}
	return nil
}

type pictureFile interface {
	io.ReadSeeker
	io.ReaderAt
	io.Closer
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

func (j *cutoutJob) open(name string) (pictureFile, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, errors.Unwrap(err) // the name stands before it
		}
		if st, err := f.Stat(); err != nil || st.IsDir() {
			f.Close()
			if err == nil {
				err = errors.New("this is a folder; name the pictures in it")
			}
			return nil, err
		}
		return f, nil
	}
	data, err := io.ReadAll(io.LimitReader(j.stdin, maxPictureFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	if len(data) > maxPictureFile {
		return nil, fmt.Errorf("the picture has more than %d MiB", maxPictureFile>>20)
	}
	return memoryFile{bytes.NewReader(data)}, nil
}

// write puts the result in its place whole or not at all, whenever the power goes.
func (j *cutoutJob) write(ctx context.Context, plan *cutout.Plan, target string) (err error) {
	dir := filepath.Dir(target)
	f, err := os.CreateTemp(dir, ".sierpi-cutout-*")
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := plan.WritePNG(ctx, f); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if !j.force {
		// Somebody may have made the file meanwhile: a link does not replace it. File
		// systems without links leave the look at it above.
		if err := os.Link(f.Name(), target); err == nil || errors.Is(err, fs.ErrExist) {
			_ = os.Remove(f.Name())
			if err != nil {
				return fmt.Errorf("%s is there already; --force overwrites it", target)
			}
			return syncDir(dir)
		}
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("making the result last: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("making the result last: %w", err)
	}
	return nil
}
