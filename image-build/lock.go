package imagebuild

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lock is everything that an image is made of beside the recipe and this program:
// from it the same image is built again, byte for byte, without asking an archive
// what is current.
type Lock struct {
	Base, Release, Arch, Board, Variant string
	Version                             string    // of sierpi
	Time                                time.Time // every file's latest time
	Packages                            []Locked  // sorted by name
	// Tools run while the image is built, on a machine of another architecture, in place of
	// emulated ones; nothing of them is in the image.
	Tools []Locked // sorted by name
}

// Locked is one package of a lock.
type Locked struct {
	Name, Version, Arch string
	SHA256              [32]byte
	Size                int64
	Archive             string // name of the archive, "local" for our own package
	Path                string // below the archive's address: "pool/main/..."
}

// File is the package's name in the cache.
func (p Locked) File() string {
	return fmt.Sprintf("%s_%s_%s.deb", p.Name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Arch)
}

const lockHeader = "# sierpi-image lock 1"

// Format writes the lock as ParseLock reads it.
func (l Lock) Format() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nimage %s %s %s %s %s\nsierpi %s\ntime %d\n", lockHeader, l.Base, l.Release, l.Arch, l.Board, l.Variant, l.Version, l.Time.Unix())
	formatPackages(&b, "deb", l.Packages)
	formatPackages(&b, "tool", l.Tools)
	return b.Bytes()
}

func formatPackages(b *bytes.Buffer, kind string, list []Locked) {
	for _, p := range list {
		fmt.Fprintf(b, "%s %s %s %s %x %d %s %s\n", kind, p.Name, p.Version, p.Arch, p.SHA256, p.Size, p.Archive, p.Path)
	}
}

var (
	lockName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	lockVersion = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]*$`)
	lockWord    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	lockPath    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+%:~/-]*$`)
)

// ParseLock reads a lock file. Its paths are safe to join to a folder.
func ParseLock(doc []byte) (Lock, error) {
	var l Lock
	scan := bufio.NewScanner(bytes.NewReader(doc))
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		bad := func(format string, args ...any) (Lock, error) {
			return Lock{}, fmt.Errorf("lock file, line %d: %s", n, fmt.Sprintf(format, args...))
		}
		f := strings.Split(line, " ")
		switch {
		case n == 1:
			if line != lockHeader {
				return bad("%.40q is not the head of a lock file of this program (%q)", line, lockHeader)
			}
		case f[0] == "image" && len(f) == 6:
			for _, w := range f[1:] {
				if !lockWord.MatchString(w) {
					return bad("%q is not a name", w)
				}
			}
			l.Base, l.Release, l.Arch, l.Board, l.Variant = f[1], f[2], f[3], f[4], f[5]
		case f[0] == "sierpi" && len(f) == 2:
			if !validVersion.MatchString(f[1]) {
				return bad("%q is not a version", f[1])
			}
			l.Version = f[1]
		case f[0] == "time" && len(f) == 2:
			s, err := strconv.ParseInt(f[1], 10, 64)
			// Within what ext4 and dpkg hold, so that later steps need not check.
			if err != nil || s < 0 || s > 1<<33 {
				return bad("%q is not a time in seconds since 1970", f[1])
			}
			l.Time = time.Unix(s, 0).UTC()
		case (f[0] == "deb" || f[0] == "tool") && len(f) == 8:
			list := &l.Packages
			if f[0] == "tool" {
				list = &l.Tools
			}
			p := Locked{Name: f[1], Version: f[2], Arch: f[3], Archive: f[6], Path: f[7]}
			sum, err := hex.DecodeString(f[4])
			if err != nil || len(sum) != sha256.Size {
				return bad("%q is not a SHA-256", f[4])
			}
			copy(p.SHA256[:], sum)
			if p.Size, err = strconv.ParseInt(f[5], 10, 64); err != nil || p.Size <= 0 || p.Size > 1<<32 {
				return bad("%q is not a size", f[5])
			}
			switch {
			case !lockName.MatchString(p.Name):
				return bad("%q is not a package's name", p.Name)
			case !lockVersion.MatchString(p.Version):
				return bad("%q is not a version", p.Version)
			case !lockWord.MatchString(p.Arch) || !lockWord.MatchString(p.Archive):
				return bad("%q or %q is not a name", p.Arch, p.Archive)
			case !lockPath.MatchString(p.Path) || path.Clean(p.Path) != p.Path || strings.Contains(p.Path, ".."):
				return bad("%q is not a path below an archive", p.Path)
			}
			if k := len(*list); k > 0 && (*list)[k-1].Name >= p.Name {
				return bad("%s stands after %s; packages are sorted, each once", p.Name, (*list)[k-1].Name)
			}
			*list = append(*list, p)
		default:
			return bad("%.60q is neither image, sierpi, time deb nor tool with its fields", line)
		}
	}
	if err := scan.Err(); err != nil {
		return Lock{}, fmt.Errorf("lock file: %w", err)
	}
	if l.Base == "" || l.Version == "" || l.Time.IsZero() || len(l.Packages) == 0 {
		return Lock{}, fmt.Errorf("lock file: the lines image, sierpi and time and at least one deb must be there; is it cut off?")
	}
	return l, nil
}

func (l *Lock) sort() {
	for _, list := range [][]Locked{l.Packages, l.Tools} {
		slices.SortFunc(list, func(a, b Locked) int { return cmp.Compare(a.Name, b.Name) })
	}
}

// id is what the image's own identifiers come from, so that two different images
// never have the same, and one image always has.
func (l Lock) id(recipe Recipe, purpose string) [32]byte {
	l.Tools = nil // of the machine that built it
	h := sha256.New()
	h.Write(l.Format())
	fmt.Fprintf(h, "%q %q", recipe, purpose)
	return [32]byte(h.Sum(nil))
}
