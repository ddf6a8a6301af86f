package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/atomicfile"
)

// Source is what is backed up.
type Source struct {
	DB      *store.DB
	State   string // the state folder
	Config  string // path of the owner's config; absent: none
	Boot    string // path of the one on the boot partition; absent or "": none
	Host    string // the machine's name
	Program string // version of sierpi

	// Progress is told of rows that were written, of how many; may be nil.
	Progress func(done, total int64)
}

// stateFiles are the files of the state folder that are kept. Not the owner's
// sessions: whoever has the backup would be signed in.
var stateFiles = []string{"owner.json", "visitors.json", "energy.json"}

// partSize is when a table goes on in the next member.
const partSize = 1 << 20

// Write writes a backup. The database is seen as it is at one moment, whatever the
// daemon does meanwhile.
func Write(ctx context.Context, w io.Writer, s Source) (m Manifest, err error) {
	m = Manifest{Format: formatName, Version: formatVersion, Made: time.Now().UTC().Truncate(time.Second), Host: s.Host, Program: s.Program, Engine: s.DB.Engine().String()}
	packed := gzip.NewWriter(w)
	out := &writer{tar: tar.NewWriter(packed), made: m.Made}
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		tables, err := tx.Tables(ctx)
		if err != nil {
			return err
		}
		if m.Numbers, err = tx.Numbers(ctx); err != nil {
			return err
		}
		if m.Schema, err = tx.SchemaVersion(ctx); err != nil {
			return err
		}
		var total, done int64
		for _, t := range tables {
			n, err := tx.Count(ctx, t)
			if err != nil {
				return err
			}
			m.Tables = append(m.Tables, Table{t.Name, t.Columns, n})
			total += n
		}
		doc, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		if err := out.add(manifestMember, append(doc, '\n')); err != nil {
			return err
		}
		if err := s.files(out); err != nil {
			return err
		}
		for _, t := range tables {
			part, buf := 0, make([]byte, 0, partSize+partSize/8)
			flush := func() error {
				part++
				err := out.add(fmt.Sprintf("tables/%s/%06d.jsonl", t.Name, part), buf)
				buf = buf[:0]
				return err
			}
			err := tx.Rows(ctx, t, func(row []any) error {
				if buf, err = appendRow(buf, row); err != nil {
					return fmt.Errorf("a row of %s: %w", t.Name, err)
				}
				if done++; s.Progress != nil {
					s.Progress(done, total)
				}
				if len(buf) >= partSize {
					return flush()
				}
				return nil
			})
			if err == nil && len(buf) > 0 {
				err = flush()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	return m, errors.Join(out.finish(), packed.Close())
}

// files adds the config and the state folder's files. Each is replaced as a whole by its
// writer, so that each is seen whole.
func (s Source) files(out *writer) error {
	add := func(member, path string, most int64) error {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) || path == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what belongs into the backup: %w; run it as root or as the daemon's user", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, most+1))
		if err != nil {
			return fmt.Errorf("reading what belongs into the backup: %w", err)
		}
		if int64(len(data)) > most {
			return fmt.Errorf("%s is larger than %d KiB; it is none of sierpi's", path, most>>10)
		}
		return out.add(member, data)
	}
	errs := []error{add("config/sierpi.toml", s.Config, maxConfig), add("config/boot.toml", s.Boot, maxConfig)}
	for _, name := range stateFiles {
		errs = append(errs, add("state/"+name, filepath.Join(s.State, name), maxStateFile))
	}
	return errors.Join(errs...)
}

const (
	maxConfig    = 64 << 10 // as the loader has it
	maxStateFile = 1 << 20
)

// writer writes members and remembers their sums.
type writer struct {
	tar  *tar.Writer
	made time.Time
	sums strings.Builder
}

func (w *writer) add(name string, data []byte) error {
	if len(data) > maxMember {
		return fmt.Errorf("%s would have %d bytes; no more than %d can be restored", name, len(data), maxMember)
	}
	err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: w.made, Format: tar.FormatUSTAR})
	if err == nil {
		_, err = w.tar.Write(data)
	}
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	fmt.Fprintf(&w.sums, "%x  %s\n", sha256.Sum256(data), name)
	return nil
}

func (w *writer) finish() error {
	if err := w.add(sumsMember, []byte(w.sums.String())); err != nil {
		return err
	}
	return w.tar.Close()
}

// Create writes a backup into a folder under a name of its own, and then removes the
// oldest of this machine's but keep; 0 keeps all. When it returns the file is on
// the disk.
func Create(ctx context.Context, dir string, s Source, keep int) (Entry, error) {
	var e Entry
	name := hostPart(s.Host)
	if err := sweep(dir, name); err != nil {
		return e, err
	}
	f, err := os.CreateTemp(dir, "."+prefix+name+"-*"+partial) // 0600
	if err != nil {
		return e, fmt.Errorf("writing a backup: %w; name a folder that this user can write with --to DIR, or [backup] dir", err)
	}
	done := false
	defer func() {
		f.Close()
		if !done {
			_ = os.Remove(f.Name())
		}
	}()
	if err := lock(f); err != nil {
		return e, fmt.Errorf("writing a backup: %w", err)
	}
	m, err := Write(ctx, f, s)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return e, fmt.Errorf("writing a backup into %s: %w", dir, roomFor(err))
	}
	st, err := f.Stat()
	if err != nil {
		return e, fmt.Errorf("writing a backup: %w", err)
	}
	mine, err := ours(dir, name)
	if err != nil {
		return e, err
	}
	number := 1
	if len(mine) > 0 {
		number = mine[0].Number + 1
	}
	path := filepath.Join(dir, fileName(name, number, m.Made))
	if err := atomicfile.Rename(f, path); err != nil {
		return e, fmt.Errorf("writing a backup: %w", err)
	}
	done = true
	e = Entry{Path: path, Size: st.Size(), Number: number, Manifest: m}
	if keep > 0 && len(mine) >= keep {
		for _, old := range mine[keep-1:] {
			if err := os.Remove(old.Path); err != nil {
				return e, fmt.Errorf("removing an old backup: %w", err)
			}
		}
	}
	return e, nil
}
