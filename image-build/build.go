package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options are the circumstances of a build: none of them changes the image's bytes
// but Lock and the source.
type Options struct {
	Recipe         Recipe
	Source         Source
	Lock           []byte  // an earlier build's lock file; empty: choose current packages
	Mirrors        Mirrors // over those that this machine's apt uses
	Keyrings       string  // folder with the archives' keys, beside this machine's
	Cache          string  // folder for packages
	Out            string  // folder for the results
	Work           string  // scratch; empty: the system's, removed at the end
	Compress       bool    // also write the .xz and what belongs to it
	Emulated       bool    // run every program of a foreign architecture under emulation
	ComparePlain   bool    // also time mmdebstrap alone with the same packages
	Keep           bool    // leave the scratch folder, to see what became of a failed build
	Progress       io.Writer
	ReleaseAddress string // where the results will be published; for the Imager's list
}

// Result is what a build made.
type Result struct {
	Image string // the uncompressed image
	Lock  Lock
	Files []string // all results
}

// estimates for the stages, measured on two cores with everything in the cache.
func estimates(recipe Recipe, host string) []Stage {
	root := 75 * time.Second
	if recipe.Arch != host {
		root = 7 * time.Minute
	}
	return []Stage{
		{Name: "choose packages", Took: 5 * time.Second}, {Name: "build sierpi", Took: 30 * time.Second}, {Name: "fetch packages", Took: 20 * time.Second},
		{Name: "root file system", Took: root}, {Name: "plain mmdebstrap", Took: 2 * root}, {Name: "lay out the image", Took: 15 * time.Second},
		{Name: "inspect", Took: 10 * time.Second}, {Name: "compress and describe", Took: 60 * time.Second},
	}
}

// Build makes an image.
func Build(ctx context.Context, o Options) (Result, error) {
	var res Result
	if err := o.Recipe.Check(); err != nil {
		return res, err
	}
	host := hostArch()
	if err := o.check(host); err != nil {
		return res, err
	}
	work, err := os.MkdirTemp(o.Work, "sierpi-image-")
	if err != nil {
		return res, err
	}
	if o.Keep {
		defer fmt.Fprintf(o.Progress, "the scratch folder %s is kept\n", work)
	} else {
		defer os.RemoveAll(work)
	}
	for _, dir := range []*string{&o.Cache, &o.Out} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return res, err
		}
		if err := makeDir(*dir); err != nil {
			return res, err
		}
	}
	name := filepath.Join(o.Out, o.Recipe.Name())
	logFile, err := os.Create(name + ".log")
	if err != nil {
		return res, err
	}
	defer logFile.Close()

	p := &progress{out: o.Progress}
	for _, s := range estimates(o.Recipe, host) {
		if s.Name == "plain mmdebstrap" && !o.ComparePlain || s.Name == "compress and describe" && !o.Compress {
			continue
		}
		p.plan = append(p.plan, s)
	}
	fmt.Fprintf(o.Progress, "%s, about %s; details in %s.log\n", o.Recipe.Name(), human(p.total()), name)

	var lock Lock
	if len(o.Lock) > 0 {
		if lock, err = ParseLock(o.Lock); err != nil {
			return res, err
		}
		if err := lock.fits(o.Recipe); err != nil {
			return res, err
		}
	}
	mirrors, err := o.mirrors()
	if err != nil {
		return res, err
	}
	cache := Cache{o.Cache}
	world, err := newAptWorld(filepath.Join(work, "apt"), o.Recipe, o.Recipe.Arch, mirrors, o.Keyrings, logFile)
	if err != nil {
		return res, err
	}
	if len(o.Lock) == 0 {
		if err := p.stage("choose packages", func() error {
			if lock, err = choosePackages(ctx, world, o); err != nil || o.Recipe.Arch == host || o.Emulated {
				return err
			}
			tools, err := newAptWorld(filepath.Join(work, "apt-tools"), Recipe{Base: "debian"}, host, mirrors, o.Keyrings, logFile)
			if err != nil {
				return err
			}
			if err := tools.update(ctx); err != nil {
				return err
			}
			lock.Tools, err = tools.resolve(ctx, nativePackages)
			lock.sort()
			return err
		}); err != nil {
			return res, err
		}
	}
	if err := p.stage("build sierpi", func() error { return packageFor(ctx, o, cache, &lock, len(o.Lock) > 0) }); err != nil {
		return res, err
	}
	if err := p.stage("fetch packages", func() error { return world.fetch(ctx, cache, slices.Concat(lock.Packages, lock.Tools)) }); err != nil {
		return res, err
	}
	if err := writeFile(name+".lock", lock.Format(), 0o644); err != nil {
		return res, err
	}
	root := filepath.Join(work, "root")
	rb := rootBuild{recipe: o.Recipe, lock: lock, mir: mirrors, dir: root, work: filepath.Join(work, "rootbuild"), cache: cache, emulated: o.Emulated, host: host,
		log: io.MultiWriter(logFile, &packageCount{out: o.Progress, total: len(lock.Packages)})}
	if err := p.stage("root file system", func() error { return rb.build(ctx) }); err != nil {
		return res, err
	}
	if o.ComparePlain {
		plain := rb
		plain.dir, plain.work = filepath.Join(work, "plain"), filepath.Join(work, "plainbuild")
		if err := p.stage("plain mmdebstrap", func() error { return plain.plain(ctx) }); err != nil {
			return res, err
		}
		if err := os.RemoveAll(plain.dir); err != nil {
			return res, err
		}
	}
	sizes, err := installedSizes(root)
	if err != nil {
		return res, err
	}
	res.Image = name + ".img"
	lb := layoutBuild{recipe: o.Recipe, id: o.Recipe.identity(lock), time: lock.Time, root: root, work: work, log: logFile}
	if err := p.stage("lay out the image", func() error { return lb.build(ctx, res.Image) }); err != nil {
		return res, err
	}
	res.Lock = lock
	res.Files = []string{res.Image, name + ".lock"}
	// What a builder must never let out of the house stops the build, not a reader's eye.
	if err := p.stage("inspect", func() error {
		findings, err := Inspect(ctx, res.Image, work, o.Recipe.personal())
		if err == nil && len(findings) > 0 {
			err = fmt.Errorf("%s must not be used:\n  %s", res.Image, strings.Join(findings, "\n  "))
		}
		return err
	}); err != nil {
		return res, err
	}
	if o.Compress {
		if err := p.stage("compress and describe", func() error {
			more, err := describe(ctx, o, lock, res.Image)
			res.Files = append(res.Files, more...)
			return err
		}); err != nil {
			return res, err
		}
	}
	p.table()
	p.compare()
	return res, summarize(o.Progress, res, sizes)
}

// check is that all that a build needs is here; what is missing is named at once.
func (o Options) check(host string) error {
	tools := [][]tool{packageTools, rootTools, layoutTools, piTools}
	if o.Recipe.Board == "pc" {
		tools[3] = pcTools
	}
	if o.Compress {
		tools = append(tools, describeTools)
	}
	foreign := isForeign(o.Recipe.Arch, host)
	if foreign {
		tools = append(tools, foreignTools, emulator(o.Recipe.Arch))
	}
	if err := errors.Join(need(tools...), needRoot()); err != nil || !foreign {
		return err
	}
	return needForeign(o.Recipe.Arch)
}

func (o Options) mirrors() (Mirrors, error) {
	m := Mirrors{}
	if o.Mirrors["debian"] == "" || o.Mirrors["security"] == "" {
		debian, security, err := hostMirrors("/")
		if err != nil && o.Mirrors["debian"] == "" && o.Recipe.Base == "debian" {
			return nil, err
		}
		if given := o.Mirrors["debian"]; given != "" && err != nil {
			security = given + "-security"
		}
		m["debian"], m["security"] = debian, security
	}
	maps.Copy(m, o.Mirrors)
	return m, nil
}

func (l Lock) fits(r Recipe) error {
	want := Lock{Base: r.Base, Release: release, Arch: r.Arch, Board: r.Board, Variant: r.Variant}
	if l.Base != want.Base || l.Release != want.Release || l.Arch != want.Arch || l.Board != want.Board || l.Variant != want.Variant {
		return fmt.Errorf("the lock file is of a %s %s %s %s %s image, asked for is %s %s %s %s %s", l.Base, l.Release, l.Arch, l.Board, l.Variant, want.Base, want.Release, want.Arch, want.Board, want.Variant)
	}
	return nil
}

// choosePackages makes a lock of what the archives have today.
func choosePackages(ctx context.Context, world aptWorld, o Options) (Lock, error) {
	lock := Lock{Base: o.Recipe.Base, Release: release, Arch: o.Recipe.Arch, Board: o.Recipe.Board, Variant: o.Recipe.Variant,
		Version: o.Source.Version, Time: o.Source.Time}
	names, err := o.Recipe.packages()
	if err != nil {
		return lock, err
	}
	if err := world.update(ctx); err != nil {
		return lock, err
	}
	var foreign []string
	for _, n := range names {
		if !ours(n) { // in no archive
			foreign = append(foreign, n)
		}
	}
	// With what mmdebstrap calls the variant "apt": everything essential, and apt itself.
	if lock.Packages, err = world.resolve(ctx, append(foreign, "apt", "?essential")); err != nil {
		return lock, err
	}
	lock.sort()
	return lock, nil
}

// packageFor puts our own package into the cache and the lock. With a lock given
// the package must come out as it says.
func packageFor(ctx context.Context, o Options, cache Cache, lock *Lock, given bool) error {
	if given {
		there := true
		for _, p := range lock.Packages {
			if p.Archive == "local" {
				ok, err := cache.has(p)
				if err != nil {
					return err
				}
				there = there && ok
			}
		}
		if there {
			return nil
		}
		o.Source.Version, o.Source.Time = lock.Version, lock.Time
	}
	contents, err := o.Source.Contents(ctx, o.Recipe.Arch)
	if err != nil {
		return err
	}
	deb := Deb{Version: o.Source.Version, Arch: o.Recipe.Arch, Time: o.Source.Time}
	path, err := deb.Build(ctx, contents, o.Out)
	if err != nil {
		return err
	}
	p, err := cache.Add(path, deb)
	if err != nil {
		return err
	}
	if given {
		for _, l := range lock.Packages {
			if l.Archive == "local" && l.Name == p.Name && l.SHA256 != p.SHA256 {
				return fmt.Errorf("sierpi %s built from %s is not the one in the lock file (%x, locked %x): check out the change that was locked, with the same Go release", p.Version, o.Source.Dir, p.SHA256[:6], l.SHA256[:6])
			}
		}
	} else {
		lock.Packages = append(lock.Packages, p)
		lock.sort()
	}
	return kioskFor(ctx, o, cache, lock, contents.License, given)
}

// compare prints our root build beside plain mmdebstrap's.
func (p *progress) compare() {
	var ours, plain Stage
	for _, s := range p.stages {
		switch s.Name {
		case "root file system":
			ours = s
		case "plain mmdebstrap":
			plain = s
		}
	}
	if plain.Took > 0 && plain.CPU > 0 {
		fmt.Fprintf(p.out, "\n  root file system: %.0f%% of plain mmdebstrap's time with the same packages (%s, %s), %.0f%% of its processor time (%s, %s)\n",
			100*ours.Took.Seconds()/plain.Took.Seconds(), human(ours.Took), human(plain.Took), 100*ours.CPU.Seconds()/plain.CPU.Seconds(), human(ours.CPU), human(plain.CPU))
	}
}

func summarize(out io.Writer, res Result, sizes []usage) error {
	fmt.Fprintln(out, "\n  largest packages")
	for _, u := range sizes[:min(10, len(sizes))] {
		fmt.Fprintf(out, "  %-36s %6.1f MiB\n", u.name, float64(u.kib)/1024)
	}
	fmt.Fprintln(out)
	for _, f := range res.Files {
		st, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %9.1f MiB  %s\n", float64(st.Size())/mib, f)
	}
	return nil
}

func hostArch() string {
	out, err := (command{}).run(context.Background(), "dpkg", "--print-architecture")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(out))
}
