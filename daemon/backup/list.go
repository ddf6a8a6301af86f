package backup

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	prefix  = "sierpi-"
	ending  = ".tar.gz"
	partial = ".partial"
	stamp   = "20060102T150405Z"
)

// Entry is one backup in a folder.
type Entry struct {
	Path     string
	Size     int64 // bytes
	Number   int   // counts a machine's backups in a folder: clocks jump
	Manifest Manifest
	Err      error // why the manifest cannot be read; nil
}

var backupName = regexp.MustCompile(`^sierpi-([a-z0-9-]{1,63})-([0-9]{4,9})-([0-9]{8}T[0-9]{6}Z)\.tar\.gz$`)

func fileName(host string, number int, made time.Time) string {
	return fmt.Sprintf("%s%s-%04d-%s%s", prefix, host, number, made.UTC().Format(stamp), ending)
}

// hostPart is a machine's name as it stands in a file's name.
func hostPart(host string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, host)
	return cmp.Or(strings.Trim(name[:min(len(name), 63)], "-"), "sierpi")
}

// List lists the backups in a folder, each machine's newest first. Their manifests
// are read; whether they are whole only Verify says.
func List(dir string) ([]Entry, error) {
	found, err := ours(dir, "")
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Manifest, found[i].Err = peek(found[i].Path)
	}
	return found, nil
}

// ours lists the backups of one machine, or of all, by their names alone.
func ours(dir, host string) ([]Entry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the backups: %w", err)
	}
	var out []Entry
	hosts := map[string]string{}
	for _, e := range entries {
		f := backupName.FindStringSubmatch(e.Name())
		if f == nil || host != "" && f[1] != host || !e.Type().IsRegular() {
			continue
		}
		number, err := strconv.Atoi(f[2])
		info, ierr := e.Info()
		if err != nil || ierr != nil {
			continue // gone meanwhile
		}
		path := filepath.Join(dir, e.Name())
		hosts[path] = f[1]
		out = append(out, Entry{Path: path, Size: info.Size(), Number: number})
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(hosts[a.Path], hosts[b.Path]), cmp.Compare(b.Number, a.Number), cmp.Compare(b.Path, a.Path))
	})
	return out, nil
}

// peek reads the manifest alone.
func peek(path string) (Manifest, error) {
	f, _, err := openBackup(path)
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return Manifest{}, fmt.Errorf("it is no backup of sierpi: %w", err)
	}
	archive := tar.NewReader(io.LimitReader(unpacked, 4<<20))
	h, err := archive.Next()
	if err != nil {
		return Manifest{}, damaged(err)
	}
	if h.Name != manifestMember || h.Typeflag != tar.TypeReg {
		return Manifest{}, fmt.Errorf("it is no backup of sierpi: it begins with %.100q", h.Name)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		return Manifest{}, damaged(err)
	}
	return readManifest(data)
}

// sweep removes what a power cut left of backups of this machine that were not
// finished. One that is being written is locked.
func sweep(dir, host string) error {
	names, err := filepath.Glob(filepath.Join(escape(dir), "."+prefix+host+"-*"+partial))
	if err != nil {
		return fmt.Errorf("looking for unfinished backups: %w", err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue // gone, or another's
		}
		if lock(f) == nil {
			_ = os.Remove(name) // it comes again at the next one
		}
		f.Close()
	}
	return nil
}

// escape keeps a folder's name from being a pattern.
func escape(dir string) string {
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(dir, `\$0`)
}

// lock marks a file as being written; the mark ends with the process.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// roomFor says what to do about a full disk.
func roomFor(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w; free some space there, or keep fewer backups ([backup] keep); nothing half-written is left", err)
	}
	return err
}
