package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// Disk is a cache in a folder, one file an entry. What Set acknowledged is there
// after a power cut: files are written whole beside their place, synced and
// renamed.
type Disk struct {
	dir string
	max int64
	now func() time.Time
	mu  sync.Mutex // one writer at a time; readers need no lock
}

const entrySuffix = ".entry"

// NewDisk returns the cache in folder dir, which it makes, of at most max bytes.
func NewDisk(dir string, max int64) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache folder %s: %w", dir, err)
	}
	atomicfile.Sweep(dir)
	return &Disk{dir: dir, max: max, now: time.Now}, nil
}

func (d *Disk) String() string { return "disk" }

func (d *Disk) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(d.dir, hex.EncodeToString(sum[:16])+entrySuffix)
}

// Get implements Cache. A damaged file is a miss.
func (d *Disk) Get(_ context.Context, key string) (Entry, error) {
	f, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, ErrMissing
	} else if err != nil {
		return Entry{}, fmt.Errorf("reading the cached copy: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, headerSize+1<<16+MaxValue+4))
	if err != nil {
		return Entry{}, fmt.Errorf("reading the cached copy: %w", err)
	}
	e, err := decode(key, b)
	if err != nil {
		return Entry{}, err
	}
	if e.At(d.now()) == Expired {
		return Entry{}, ErrMissing
	}
	return e, nil
}

// Set implements Cache. It skips transient entries.
func (d *Disk) Set(_ context.Context, key string, e Entry) error {
	if e.Transient {
		return nil
	}
	b, err := encode(key, e)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	path := d.path(key)
	if err := atomicfile.Write(path, b, 0o600); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return fmt.Errorf("the card is full: the cached copy is kept in memory only until there is room in %s: %w", d.dir, err)
		}
		return fmt.Errorf("writing the cached copy: %w", err)
	}
	return d.trim(path)
}

// Delete implements Cache.
func (d *Disk) Delete(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the cached copy: %w", err)
	}
	return nil
}

// trim removes the oldest files until the folder is within its bound. keep was
// just written and stays.
func (d *Disk) trim(keep string) error {
	files, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("reading the cache folder: %w", err)
	}
	var infos []fs.FileInfo
	var size int64
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), entrySuffix) {
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // removed meanwhile
		}
		size += info.Size()
		infos = append(infos, info)
	}
	if size <= d.max {
		return nil
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range infos {
		if size <= d.max {
			break
		}
		if info.Name() == filepath.Base(keep) {
			continue
		}
		if err := os.Remove(filepath.Join(d.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old cached copy: %w", err)
		}
		size -= info.Size()
	}
	return nil
}
