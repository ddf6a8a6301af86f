package imagebuild

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/md5"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sierpi/sierpi/systemd"
)

// Contents is what of the package comes from the build of the program rather than
// from this tree's fixed files.
type Contents struct {
	Binary      []byte            // the sierpi program for the architecture
	Zram        []byte            // sierpi-zram, the part of it that everything at boot waits for
	Reference   []byte            // the commented reference configuration
	Man         map[string][]byte // by file name: "sierpi.1"
	Completions map[string][]byte // by shell: bash, zsh, fish
	License     []byte
	Notices     []Notice // of what is linked into the program
}

// Deb is one binary package to be built.
type Deb struct {
	Version string    // Debian version
	Arch    string    // Debian architecture
	Time    time.Time // of the change that is packaged; every file's time
}

// Architectures maps Debian's names to the Go toolchain's. armhf is built for ARMv6
// too: Raspbian calls its ARMv6 port armhf, and code for ARMv7 dies there.
var Architectures = map[string]struct{ GOARCH, GOARM string }{
	"amd64": {"amd64", ""},
	"arm64": {"arm64", ""},
	"armhf": {"arm", "6"},
	"armel": {"arm", "6"},
}

const maintainer = "sierpi authors <sierpi@users.noreply.github.com>"

// lintianOverrides are the findings that stand, each with its reason.
const lintianOverrides = `# Go programs are linked statically: one file runs on every board and every Debian.
sierpi: statically-linked-binary [usr/bin/sierpi]
sierpi: statically-linked-binary [usr/lib/sierpi/sierpi-zram]
# The package is built and published by the project itself; no bug of Debian's asks for it.
sierpi: initial-upload-closes-no-bugs [usr/share/doc/sierpi/changelog.gz:1]
`

// debian/control of the package. systemd is asked for, not suggested: without it
// there are no sockets, no users and no one-shots.
func (d Deb) control(installedKiB int64) string {
	return fmt.Sprintf(`Package: sierpi
Version: %s
Architecture: %s
Maintainer: %s
Installed-Size: %d
Depends: systemd (>= 252), init-system-helpers (>= 1.60)
Recommends: polkitd, avahi-daemon, udev, kmod
Suggests: prometheus
Section: utils
Priority: optional
Homepage: https://github.com/sierpi/sierpi
Description: Raspberry Pi appliance with a living screen
 sierpi turns a Raspberry Pi into an appliance: the attached screen shows
 Conway's Life and Sierpinski's triangle, the web pages serve a cached
 release feed, a quotes database, a long-polling chat and a picture cut-out
 tool, Prometheus scrapes power and zram figures, and a login waits on the
 serial line.
 .
 It brings compressed swap in RAM (zram) and sets up the serial console on the
 board's header or on a PC's COM port.
`, d.Version, d.Arch, maintainer, installedKiB)
}

var validVersion = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~-]*$`)

// Files lists what the package installs, sorted by path.
func (d Deb) Files(c Contents) ([]systemd.File, error) {
	files := systemd.Files()
	add := func(path string, mode fs.FileMode, data []byte) {
		files = append(files, systemd.File{Path: path, Mode: mode, Data: data})
	}
	add("/usr/bin/sierpi", 0o755, c.Binary)
	add("/usr/lib/sierpi/sierpi-zram", 0o755, c.Zram)
	add("/usr/share/sierpi/sierpi.toml", 0o644, c.Reference)
	for name, page := range c.Man {
		section := strings.TrimPrefix(filepath.Ext(name), ".")
		if len(section) != 1 {
			return nil, fmt.Errorf("manual page %q: its name must end in a section, as sierpi.1", name)
		}
		add("/usr/share/man/man"+section+"/"+name+".gz", 0o644, gzipped(page))
	}
	for shell, script := range c.Completions {
		path, ok := map[string]string{
			"bash": "/usr/share/bash-completion/completions/sierpi",
			"zsh":  "/usr/share/zsh/vendor-completions/_sierpi",
			"fish": "/usr/share/fish/vendor_completions.d/sierpi.fish",
		}[shell]
		if !ok {
			return nil, fmt.Errorf("completions for %q: no place is known for that shell", shell)
		}
		add(path, 0o644, script)
	}
	doc := "/usr/share/doc/sierpi/"
	add(doc+"copyright", 0o644, []byte("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"+
		"Upstream-Name: sierpi\nSource: https://github.com/sierpi/sierpi\n"+
		"Comment: The works of others that are linked into the program, and their licences,\n"+
		" are in third-party.gz beside this file.\n\n"+
		"Files: *\nCopyright: 2026 the sierpi authors\nLicense: BSD-3-Clause\n"+indentLicense(c.License)))
	add(doc+"third-party.gz", 0o644, gzipped(thirdParty(c.Notices)))
	changelog := fmt.Sprintf("sierpi (%s) unstable; urgency=medium\n\n  * Built from the project's tree; see its CHANGELOG.md.\n\n -- %s  %s\n",
		d.Version, maintainer, d.Time.UTC().Format(time.RFC1123Z))
	name := "changelog.gz" // a native package's
	if strings.Contains(d.Version, "-") {
		name = "changelog.Debian.gz"
	}
	add(doc+name, 0o644, gzipped([]byte(changelog)))
	add("/usr/share/lintian/overrides/sierpi", 0o644, []byte(lintianOverrides))
	slices.SortFunc(files, func(a, b systemd.File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

func indentLicense(text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" {
			b.WriteString(" .\n")
		} else {
			b.WriteString(" " + strings.TrimRight(line, "\n") + "\n")
		}
	}
	return b.String()
}

// gzipped compresses without a name and a time, which would differ from run to run.
func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	w.Write(data) // into memory: cannot fail
	w.Close()
	return b.Bytes()
}

// Build writes the package into dir and returns its path. Two builds of the same
// contents are the same bytes.
func (d Deb) Build(ctx context.Context, c Contents, dir string) (string, error) {
	if _, ok := Architectures[d.Arch]; !ok {
		return "", fmt.Errorf("no package can be built for architecture %q; there are amd64, arm64, armhf and armel", d.Arch)
	}
	if !validVersion.MatchString(d.Version) {
		return "", fmt.Errorf("version %q is not one that dpkg takes: it starts with a digit and holds letters, digits and .+~-", d.Version)
	}
	files, err := d.Files(c)
	if err != nil {
		return "", err
	}
	return d.pack(ctx, dir, "sierpi", d.Arch, files, maintainerScripts(), nil, d.control)
}

// pack writes one binary package into dir and returns its path.
func (d Deb) pack(ctx context.Context, dir, name, arch string, files []systemd.File, scripts map[string]string, conffiles []string, control func(installedKiB int64) string) (string, error) {
	tree, err := os.MkdirTemp("", "sierpi-deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	// The temporary folder's own mode becomes the mode of / in the package.
	if err := os.Chmod(tree, 0o755); err != nil {
		return "", err
	}
	var sums strings.Builder
	var size int64
	for _, f := range files {
		if err := writeFile(filepath.Join(tree, f.Path), f.Data, f.Mode); err != nil {
			return "", err
		}
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.Data), strings.TrimPrefix(f.Path, "/"))
		size += int64(len(f.Data)+1023)/1024 + 1
	}
	for name, script := range scripts {
		if err := writeFile(filepath.Join(tree, "DEBIAN", name), []byte(script), 0o755); err != nil {
			return "", err
		}
	}
	if err := writeFile(filepath.Join(tree, "DEBIAN/md5sums"), []byte(sums.String()), 0o644); err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(tree, "DEBIAN/control"), []byte(control(size)), 0o644); err != nil {
		return "", err
	}
	if len(conffiles) > 0 {
		if err := writeFile(filepath.Join(tree, "DEBIAN/conffiles"), []byte(strings.Join(conffiles, "\n")+"\n"), 0o644); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// The time of every folder too: dpkg-deb only lowers times that are later.
	err = filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, d.Time, d.Time)
	})
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, fmt.Sprintf("%s_%s_%s.deb", name, d.Version, arch))
	run := command{env: []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", d.Time.Unix())}}
	// One thread: the number of blocks, and so the bytes, would follow the machine's CPUs.
	if _, err := run.run(ctx, "dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", tree, out); err != nil {
		return "", fmt.Errorf("building the package %s for %s: %w", name, arch, err)
	}
	return out, nil
}

// writeFile writes one file of a tree that is being built, whatever the umask.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// makeDir is os.MkdirAll with mode 0755, whatever the umask.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
