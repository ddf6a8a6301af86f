package imagebuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Source is a checkout of sierpi to be packaged.
type Source struct {
	Dir     string    // where go.mod is
	Version string    // Debian version
	Time    time.Time // of the last change
}

// OpenSource finds version and time of a checkout. version overrides what git says.
func OpenSource(ctx context.Context, dir, version string) (Source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Source{}, err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module github.com/sierpi/sierpi\n") {
		return Source{}, fmt.Errorf("%s is not a checkout of sierpi; name one with --source DIR", dir)
	}
	s := Source{Dir: dir, Version: version}
	git := command{dir: dir}
	// Somebody else's checkout is read by root here; nothing in it is run by git.
	safe := []string{"-c", "safe.directory=*"}
	out, err := git.run(ctx, "git", append(safe, "log", "-1", "--format=%ct %h")...)
	if err != nil {
		return s, fmt.Errorf("asking git for the time of the last change: %w", err)
	}
	stamp, hash, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return s, fmt.Errorf("git log says %q: %w", out, err)
	}
	s.Time = time.Unix(seconds, 0).UTC()
	if s.Version == "" {
		// Between releases: later than the last tag, earlier than the next, ordered by time.
		tag := "0.0.0"
		if out, err := git.run(ctx, "git", append(safe, "describe", "--tags", "--abbrev=0")...); err == nil {
			tag = strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
		}
		s.Version = tag + "+git" + s.Time.Format("20060102150405") + "." + hash
		if out, err := git.run(ctx, "git", append(safe, "describe", "--tags", "--exact-match")...); err == nil && strings.TrimSpace(string(out)) == "v"+tag {
			s.Version = tag
		}
	}
	return s, nil
}

type goBuildOptions struct {
	dir, arch, pkg, version string
}

// goBuild builds one program for a Debian architecture and returns its bytes, the
// same from any folder on any machine with the same toolchain.
func goBuild(ctx context.Context, o goBuildOptions) ([]byte, error) {
	target, ok := Architectures[o.arch]
	if !ok {
		return nil, fmt.Errorf("no Go toolchain target for architecture %q", o.arch)
	}
	dir, err := os.MkdirTemp("", "sierpi-go-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+o.version, "-o", out, o.pkg)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+target.GOARCH, "GOARM="+target.GOARM, "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s for %s: %w: %s", o.pkg, o.arch, err, lastLines(string(said), 20))
	}
	return os.ReadFile(out)
}

// Contents builds the program for arch and takes from the program itself, built for
// this machine, what only it knows: its manual pages and its completions.
func (s Source) Contents(ctx context.Context, arch string) (Contents, error) {
	c := Contents{Man: map[string][]byte{}, Completions: map[string][]byte{}}
	var err error
	if c.License, err = os.ReadFile(filepath.Join(s.Dir, "LICENSE")); err != nil {
		return c, err
	}
	if c.Binary, err = goBuild(ctx, goBuildOptions{dir: s.Dir, arch: arch, pkg: "./cmd/sierpi", version: s.Version}); err != nil {
		return c, err
	}
	if c.Zram, err = goBuild(ctx, goBuildOptions{dir: s.Dir, arch: arch, pkg: "./cmd/sierpi-zram", version: s.Version}); err != nil {
		return c, err
	}
	if c.Notices, err = s.Notices(ctx, arch, "./cmd/sierpi"); err != nil {
		return c, err
	}
	dir, err := os.MkdirTemp("", "sierpi-docs-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	native, err := goBuild(ctx, goBuildOptions{dir: s.Dir, arch: runtime.GOARCH, pkg: "./cmd/sierpi", version: s.Version})
	if err != nil {
		return c, err
	}
	program := filepath.Join(dir, "sierpi")
	if err := os.WriteFile(program, native, 0o755); err != nil {
		return c, err
	}
	run := command{dir: dir, env: []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", s.Time.Unix())}}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if c.Completions[shell], err = run.run(ctx, program, "completion", shell); err != nil {
			return c, fmt.Errorf("completions for %s: %w", shell, err)
		}
	}
	man := filepath.Join(dir, "man")
	if err := os.Mkdir(man, 0o755); err != nil {
		return c, err
	}
	if _, err := run.run(ctx, program, "man", man); err != nil {
		return c, fmt.Errorf("manual pages: %w", err)
	}
	pages, err := os.ReadDir(man)
	if err != nil {
		return c, err
	}
	for _, page := range pages {
		if c.Man[page.Name()], err = os.ReadFile(filepath.Join(man, page.Name())); err != nil {
			return c, err
		}
	}
	if c.Reference, err = run.run(ctx, program, "config", "reference"); err != nil {
		return c, fmt.Errorf("reference configuration: %w", err)
	}
	return c, nil
}

// Packages builds the package for each architecture and returns the paths.
func Packages(ctx context.Context, o Options, arches []string) ([]string, error) {
	if err := need(packageTools); err != nil {
		return nil, err
	}
	var paths []string
	license, err := os.ReadFile(filepath.Join(o.Source.Dir, "LICENSE"))
	if err != nil {
		return nil, err
	}
	kiosk, err := (Deb{Version: o.Source.Version, Arch: "all", Time: o.Source.Time}).BuildKiosk(ctx, license, o.Out)
	if err != nil {
		return nil, err
	}
	paths = append(paths, kiosk)
	for _, arch := range arches {
		contents, err := o.Source.Contents(ctx, arch)
		if err != nil {
			return paths, err
		}
		path, err := (Deb{Version: o.Source.Version, Arch: arch, Time: o.Source.Time}).Build(ctx, contents, o.Out)
		if err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
