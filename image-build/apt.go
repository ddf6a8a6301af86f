package imagebuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mirrors are the addresses of the archives by their names ("debian", "security",
// "raspberrypi", "raspbian"). The Debian ones come from this machine's apt.
type Mirrors map[string]string

// aptWorld is an apt of its own: no state, no package of this machine in it.
type aptWorld struct {
	dir  string
	arch string
	mir  Mirrors
	log  io.Writer
}

// sourcesText is the image's own /etc/apt/sources.list.d/sierpi.sources, and what the
// packages are resolved from. keys says where a keyring is found.
func sourcesText(recipe Recipe, mir Mirrors, keys func(string) string) (string, error) {
	var b strings.Builder
	for i, a := range recipe.archives() {
		uri := mir[a.name]
		if uri == "" {
			return "", fmt.Errorf("no address is known for the archive %q; name it with --archive %s=URL", a.name, a.name)
		}
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n",
			uri, strings.Join(a.suites, " "), strings.Join(a.components, " "), keys(a.keyring))
	}
	return b.String(), nil
}

// newAptWorld prepares the folder.
func newAptWorld(dir string, recipe Recipe, arch string, mir Mirrors, keyringDir string, log io.Writer) (aptWorld, error) {
	w := aptWorld{dir, arch, mir, log}
	for _, sub := range []string{"etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d", "lists/partial", "archives/partial", "cache"} {
		if err := makeDir(filepath.Join(dir, sub)); err != nil {
			return w, err
		}
	}
	var missing string
	text, err := sourcesText(recipe, mir, func(path string) string {
		// On this machine a key may lie elsewhere than on the image.
		for _, dir := range []string{keyringDir, filepath.Dir(path)} {
			for _, ext := range []string{filepath.Ext(path), ".gpg", ".pgp"} {
				p := filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))+ext)
				if _, err := os.Stat(p); dir != "" && err == nil {
					return p
				}
			}
		}
		missing = filepath.Base(path)
		return path
	})
	if err != nil {
		return w, err
	}
	if missing != "" {
		return w, fmt.Errorf("the key %s is not on this machine: install the package that brings it (%s), or name the folder that holds it with --keyrings DIR",
			missing, strings.TrimSuffix(missing, filepath.Ext(missing)))
	}
	if err := writeFile(filepath.Join(dir, "etc/sources.list.d/image.sources"), []byte(text), 0o644); err != nil {
		return w, err
	}
	if err := writeFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return w, err
	}
	q := func(sub string) string { return strconv.Quote(filepath.Join(dir, sub)) }
	conf := strings.Join([]string{
		`Dir::Etc::main "/dev/null";`, `Dir::Etc::parts ` + q("etc/apt.conf.d") + `;`,
		`Dir::Etc::sourcelist "/dev/null";`, `Dir::Etc::sourceparts ` + q("etc/sources.list.d") + `;`,
		`Dir::Etc::preferences "/dev/null";`, `Dir::Etc::preferencesparts ` + q("etc/preferences.d") + `;`,
		`Dir::Etc::trusted "/dev/null";`, `Dir::Etc::trustedparts "/dev/null/";`,
		`Dir::State ` + q("") + `;`, `Dir::State::lists ` + q("lists") + `;`, `Dir::State::status ` + q("status") + `;`,
		`Dir::Cache ` + q("cache") + `;`, `Dir::Cache::archives ` + q("archives") + `;`,
		`APT::Architecture "` + arch + `";`, `APT::Architectures { "` + arch + `"; };`,
		`APT::Install-Recommends "false";`, `APT::Install-Suggests "false";`,
		`Acquire::ForceHash "SHA256";`, `Acquire::Languages "none";`, `Acquire::Retries "3";`, `APT::Sandbox::User "root";`,
		`APT::Update::Error-Mode "any";`, // an archive that cannot be reached must not be passed over
	}, "\n") + "\n"
	// This machine's proxy is part of how it reaches its mirror.
	if out, err := (command{}).run(context.Background(), "apt-config", "dump", "--format", "%f %v%n", "Acquire"); err == nil {
		for line := range strings.Lines(string(out)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.Contains(strings.ToLower(name), "proxy") && value != "" {
				conf += fmt.Sprintf("%s %q;\n", name, value)
			}
		}
	}
	return w, writeFile(filepath.Join(dir, "apt.conf"), []byte(conf), 0o644)
}

func (w aptWorld) run(ctx context.Context, args ...string) ([]byte, error) {
	c := command{env: []string{"APT_CONFIG=" + filepath.Join(w.dir, "apt.conf")}, log: w.log}
	return c.run(ctx, args[0], args[1:]...)
}

// update reads the archives' indexes, checking their signatures. On an error it
// says which archive could not be reached.
func (w aptWorld) update(ctx context.Context) error {
	if _, err := w.run(ctx, "apt-get", "update"); err != nil {
		var names []string
		for name, uri := range w.mir {
			if u, uerr := url.Parse(uri); uerr == nil && u.Host != "" && strings.Contains(err.Error(), u.Host+u.Path) {
				names = append(names, fmt.Sprintf("%s (%s)", name, uri))
			}
		}
		slices.Sort(names)
		if len(names) > 0 {
			return fmt.Errorf("cannot get the package index of %s; without it the image cannot be built here: %w", strings.Join(names, " and "), err)
		}
		return fmt.Errorf("getting the package indexes: %w", err)
	}
	return nil
}

var (
	printURI = regexp.MustCompile(`^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$`)
	debFile  = regexp.MustCompile(`^([a-z0-9][a-z0-9+.-]*)_([^_]+)_([a-z0-9]+)\.deb$`)
)

// resolve asks apt which packages the named ones need, on a machine that has none.
func (w aptWorld) resolve(ctx context.Context, names []string) ([]Locked, error) {
	args := []string{"apt-get", "install", "--yes", "--print-uris", "-qq"}
	out, err := w.run(ctx, append(args, names...)...)
	if err != nil {
		return nil, fmt.Errorf("choosing packages: %w", err)
	}
	return parsePrintURIs(out, w.mir)
}

// parsePrintURIs reads what `apt-get --print-uris` says.
func parsePrintURIs(out []byte, mir Mirrors) ([]Locked, error) {
	var list []Locked
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := printURI.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("apt-get --print-uris said %.200q, in which no address, size and SHA-256 can be found", line)
		}
		f := debFile.FindStringSubmatch(m[2])
		if f == nil {
			return nil, fmt.Errorf("apt-get --print-uris: %q is not a package's file name", m[2])
		}
		p := Locked{Name: f[1], Version: strings.ReplaceAll(f[2], "%3a", ":"), Arch: f[3]}
		var err error
		if p.Size, err = strconv.ParseInt(m[3], 10, 64); err != nil {
			return nil, fmt.Errorf("apt-get --print-uris: size %q: %w", m[3], err)
		}
		sum, err := hex.DecodeString(m[4])
		if err != nil {
			return nil, err
		}
		copy(p.SHA256[:], sum)
		// The longest address that fits: one mirror's may be the start of another's.
		best := ""
		for name, uri := range mir {
			if rest, ok := strings.CutPrefix(m[1], strings.TrimRight(uri, "/")+"/"); ok && len(uri) > len(best) {
				best, p.Archive, p.Path = uri, name, rest
			}
		}
		if best == "" {
			return nil, fmt.Errorf("%s comes from none of the archives asked for", m[1])
		}
		list = append(list, p)
	}
	return list, nil
}

// Cache is a folder of packages, each under its name and its hash.
type Cache struct{ Dir string }

// Path is where a package lies, or will.
func (c Cache) Path(p Locked) string {
	return filepath.Join(c.Dir, fmt.Sprintf("%x", p.SHA256[:8])+"-"+p.File())
}

// Missing lists the packages that are not in the cache, whole and unchanged.
func (c Cache) Missing(list []Locked) ([]Locked, error) {
	var missing []Locked
	for _, p := range list {
		ok, err := c.has(p)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

func (c Cache) has(p Locked) (bool, error) {
	f, err := os.Open(c.Path(p))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	return [32]byte(h.Sum(nil)) == p.SHA256, nil
}

// Add puts a package of our own into the cache and returns its entry.
func (c Cache) Add(path string, deb Deb) (Locked, error) { return c.add("sierpi", path, deb) }

func (c Cache) add(name, path string, deb Deb) (Locked, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Locked{}, err
	}
	p := Locked{Name: name, Version: deb.Version, Arch: deb.Arch, SHA256: sha256.Sum256(data), Size: int64(len(data)), Archive: "local"}
	p.Path = p.File()
	if err := makeDir(c.Dir); err != nil {
		return p, err
	}
	return p, writeFile(c.Path(p), data, 0o644)
}

// fetch brings what the cache lacks, over apt's own transports, and checks hashes.
func (w aptWorld) fetch(ctx context.Context, cache Cache, list []Locked) error {
	missing, err := cache.Missing(list)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := makeDir(cache.Dir); err != nil {
		return err
	}
	args := []string{"/usr/lib/apt/apt-helper", "download-file"}
	for _, p := range missing {
		base := w.mir[p.Archive]
		if base == "" {
			return fmt.Errorf("%s %s is not in the cache (%s), and no address is known for its archive %q", p.Name, p.Version, cache.Dir, p.Archive)
		}
		args = append(args, strings.TrimRight(base, "/")+"/"+p.Path, cache.Path(p), fmt.Sprintf("SHA256:%x", p.SHA256))
	}
	_, err = w.run(ctx, args...)
	if still, merr := cache.Missing(missing); merr != nil {
		return merr
	} else if len(still) > 0 {
		p := still[0]
		return fmt.Errorf("%d packages could not be had, the first is %s %s of the archive %q: %w", len(still), p.Name, p.Version, p.Archive, err)
	}
	return nil
}

// localArchive writes an apt archive that holds exactly the locked packages.
// mmdebstrap installs from it, so that what is installed is what is locked.
func localArchive(ctx context.Context, dir string, cache Cache, lock Lock) error {
	pool := filepath.Join(dir, "pool")
	if err := makeDir(pool); err != nil {
		return err
	}
	var index bytes.Buffer
	for _, p := range lock.Packages {
		path := cache.Path(p)
		fields, err := (command{}).run(ctx, "dpkg-deb", "--field", path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if err := os.Symlink(path, filepath.Join(pool, p.File())); err != nil {
			return err
		}
		fmt.Fprintf(&index, "%s\nFilename: pool/%s\nSize: %d\nSHA256: %x\n\n", bytes.TrimRight(fields, "\n"), p.File(), p.Size, p.SHA256)
	}
	rel := "main/binary-" + lock.Arch + "/Packages"
	dist := filepath.Join(dir, "dists", lock.Release)
	if err := writeFile(filepath.Join(dist, rel), index.Bytes(), 0o644); err != nil {
		return err
	}
	head := fmt.Sprintf("Origin: sierpi\nSuite: %[1]s\nCodename: %[1]s\nArchitectures: %[2]s\nComponents: main\nDate: %[3]s\nSHA256:\n %[4]x %[5]d %[6]s\n",
		lock.Release, lock.Arch, lock.Time.UTC().Format(time.RFC1123), sha256.Sum256(index.Bytes()), index.Len(), rel)
	return writeFile(filepath.Join(dist, "Release"), []byte(head), 0o644)
}
