package imagebuild

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// page is what a card writes whole: a request that was under way when the power went
// may have reached it in some of its pages and not in others.
const page = 4096

// cutDisk is a disk as a log of writes left it, at one moment after another.
type cutDisk struct {
	log     writeLog
	entries []logEntry
	f       *os.File // everything up to and with entry settled-1
	settled int
}

// openCutDisk begins with the disk as it was before the first write of the log.
func openCutDisk(path string, log writeLog, entries []logEntry) (*cutDisk, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &cutDisk{log: log, entries: entries, f: f}, nil
}

func (c *cutDisk) Close() error { return c.f.Close() }

// lastFlush is how many of the first n entries a flush has brought onto the disk. The
// machine's disk does one request at a time, so what stands before a flush in the log
// was answered before it.
func lastFlush(entries []logEntry, n int) int {
	for i := n - 1; i >= 0; i-- {
		if entries[i].flags&logFlush != 0 {
			return i + 1
		}
	}
	return 0
}

// cutState is what a cut leaves in doubt.
type cutState struct {
	settled int // entries that a flush has confirmed
	doubt   int // writes after it
	kept    int // those of them that reached the card, whole or in part
}

// at writes into the file named path, a new one, the disk as a cut after the first n
// entries leaves it: all that was flushed, of what was written since a part that rng
// chooses, page by page, and whatever was written with FUA. The moments must come in
// order.
func (c *cutDisk) at(path string, n int, rng *rand.Rand) (cutState, error) {
	s := cutState{settled: lastFlush(c.entries, n)}
	if n > len(c.entries) || s.settled < c.settled {
		return s, fmt.Errorf("a cut after %d of %d entries, when %d are settled", n, len(c.entries), c.settled)
	}
	for ; c.settled < s.settled; c.settled++ {
		if e := c.entries[c.settled]; e.writes() {
			b, err := c.log.read(e)
			if err == nil {
				_, err = c.f.WriteAt(b, e.at)
			}
			if err != nil {
				return s, fmt.Errorf("entry %d: %w", c.settled, err)
			}
		}
	}
	out, err := cloneFile(c.f, path)
	if err != nil {
		return s, err
	}
	defer out.Close()
	// Some caches write nearly all of it before the power is gone, some hardly anything.
	share := rng.Float64()
	for i, e := range c.entries[s.settled:n] {
		if !e.writes() {
			continue
		}
		s.doubt++
		b, err := c.log.read(e)
		if err != nil {
			return s, fmt.Errorf("entry %d: %w", s.settled+i, err)
		}
		whole := e.flags&logFUA != 0 || rng.Float64() < share/2
		kept := false
		for at := int64(0); at < e.size; {
			end := min(e.size, (e.at+at)/page*page+page-e.at)
			if whole || rng.Float64() < share {
				if _, err := out.WriteAt(b[at:end], e.at+at); err != nil {
					return s, err
				}
				kept = true
			}
			at = end
		}
		if kept {
			s.kept++
		}
	}
	return s, out.Close()
}

// cloneFile makes a copy that takes no room where the file system can share blocks,
// and elsewhere leaves the holes.
func cloneFile(from *os.File, path string) (*os.File, error) {
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
		return to, nil
	}
	st, err := from.Stat()
	if err == nil {
		err = to.Truncate(st.Size())
	}
	if err == nil {
		err = copyHoles(to, from, 0, st.Size())
	}
	if err != nil {
		to.Close()
		return nil, fmt.Errorf("copying to %s: %w", path, err)
	}
	return to, nil
}

// copyHoles copies size bytes from a place of a file to the start of another, but for
// its holes.
func copyHoles(to, from *os.File, start, size int64) error {
	for at := start; at < start+size; {
		data, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // a hole up to the end
		} else if err != nil {
			return err
		}
		hole, err := unix.Seek(int(from.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		at = min(hole, start+size)
		if data >= at {
			return nil
		}
		if _, err := to.Seek(data-start, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(to, io.NewSectionReader(from, data, at-data)); err != nil {
			return err
		}
	}
	return nil
}
