package quotes

import (
	"bufio"
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
)

// batch is how many quotes are committed at a time: few commits spare the SD
// card, short ones let the daemon write in between.
const batch = 1000

// ImportOptions say what is read.
type ImportOptions struct {
	Format   Format                  // Auto: by name and content
	Name     string                  // of the file, helps to recognise its format; may be empty
	Source   string                  // kept with each quote as where it came by; empty: the name of the file
	Total    int64                   // bytes to read, for Progress; 0: not known
	Progress func(done, total int64) // bytes; called after every commit
}

// Report is what an import did. An import that was broken off is resumed by
// running it again: what is there already is recognised and costs little.
type Report struct {
	Read    int            // entries found
	Added   int            // new quotes
	Merged  int            // other wordings or attributions of quotes that were there; kept with them
	Known   int            // there already, exactly so
	Skipped map[string]int // no quotes, by reason
	Places  []Skip         // the first 100 of them
}

// Skip is an entry that was not taken.
type Skip struct{ Place, Why string }

// SkippedTotal is the number of entries that were not taken.
func (r Report) SkippedTotal() int {
	n := 0
	for _, c := range r.Skipped {
		n += c
	}
	return n
}

// String is the report in one line, and one more for each reason of skipping.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d read: %d added, %d merged into near-duplicates, %d there already, %d skipped", r.Read, r.Added, r.Merged, r.Known, r.SkippedTotal())
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(&b, "\n  skipped %d: %s", r.Skipped[why], why)
		for _, p := range r.Places {
			if p.Why == why {
				fmt.Fprintf(&b, " (first: %s)", p.Place)
				break
			}
		}
	}
	return b.String()
}

func (r *Report) skip(place, why string) {
	if r.Skipped == nil {
		r.Skipped = map[string]int{}
	}
	r.Skipped[why]++
	if len(r.Places) < 100 {
		r.Places = append(r.Places, Skip{place, why})
	}
}

// Add puts another report's counts into this one; the places get a prefix.
func (r *Report) Add(o Report, prefix string) {
	r.Read += o.Read
	r.Added += o.Added
	r.Merged += o.Merged
	r.Known += o.Known
	for why, n := range o.Skipped {
		if r.Skipped == nil {
			r.Skipped = map[string]int{}
		}
		r.Skipped[why] += n
	}
	for _, p := range o.Places {
		if len(r.Places) < 100 {
			r.Places = append(r.Places, Skip{prefix + p.Place, p.Why})
		}
	}
}

// Import reads quotes and stores them, a thousand to a commit. It may run beside
// the daemon, in it or in another process. On an error the report says what was
// done; all of that is kept.
func (s *Service) Import(ctx context.Context, r io.Reader, o ImportOptions) (Report, error) {
	var last int64
	if progress := o.Progress; progress != nil {
		o.Progress = func(done, total int64) {
			last = done
			progress(done, total)
		}
	}
	rep, err := s.take(ctx, r, o)
	if err == nil {
		err = s.settle(ctx, rep, o, last)
	}
	return rep, err
}

// settle puts the index in order after an import that brought a twentieth of the quotes or
// more. done is what was read, for Progress: reading is over, but the import is not.
func (s *Service) settle(ctx context.Context, rep Report, o ImportOptions, done int64) error {
	n, err := s.Count(ctx)
	if err == nil && rep.Added > 0 && rep.Added >= n/20 {
		err = s.index.settle(ctx, s.db, func() {
			if o.Progress != nil {
				o.Progress(done, o.Total)
			}
		})
	}
	if err != nil {
		return fmt.Errorf("all quotes are imported, but searching them is slower than it could be: %w", err)
	}
	return nil
}

// take is Import without settling the index.
func (s *Service) take(ctx context.Context, r io.Reader, o ImportOptions) (Report, error) {
	var rep Report
	origin := cleanLine(o.Source)
	if origin == "" {
		origin = cleanLine(strings.TrimSuffix(filepath.Base(o.Name), filepath.Ext(o.Name)))
	}
	if origin == "" || origin == "." {
		origin = "import"
	}
	if len(origin) > maxName {
		return rep, fmt.Errorf("the source %.40q... is longer than %d bytes", origin, maxName)
	}
	counted := &counter{r: r}
	var items []Item
	flush := func() error {
		if len(items) > 0 {
			outs, err := s.add(ctx, items, origin)
			if err != nil {
				return err
			}
			for _, out := range outs {
				switch out {
				case added:
					rep.Added++
				case merged:
					rep.Merged++
				case known:
					rep.Known++
				}
			}
			items = items[:0]
		}
		if o.Progress != nil {
			o.Progress(counted.n, o.Total)
		}
		return nil
	}
	err := parse(bufio.NewReaderSize(counted, sniffed), o.Format, o.Name, sink{
		item: func(place string, it Item) error {
			rep.Read++
			it, why := it.clean()
			if why != "" {
				rep.skip(place, why)
				return nil
			}
			if items = append(items, it); len(items) < batch {
				return ctx.Err()
			}
			return flush()
		},
		skip: func(place, why string) {
			rep.Read++
			rep.skip(place, why)
		},
	})
	if ctx.Err() == nil {
		err = errors.Join(err, flush())
	}
	s.forget()
	if err != nil {
		return rep, fmt.Errorf("importing %s: %w", origin, err)
	}
	return rep, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ImportPath imports a file or, without descending into hidden ones, every file of
// a folder, the way Debian lays out /usr/share/games/fortunes: links and strfile's
// indexes (.dat) are passed over. Each file's name becomes the source of its quotes
// unless one is given. Before each file, started is called with its path; it may be nil.
func (s *Service) ImportPath(ctx context.Context, path string, o ImportOptions, started func(path string)) (Report, error) {
	var rep Report
	files, total, err := filesUnder(path)
	if err != nil {
		return rep, fmt.Errorf("importing %s: %w", path, err)
	}
	if len(files) == 0 {
		return rep, fmt.Errorf("importing %s: there is no file in it", path)
	}
	progress, before := o.Progress, int64(0)
	for _, f := range files {
		if started != nil {
			started(f.path)
		}
		one := o
		one.Name = filepath.Base(f.path)
		if progress != nil {
			one.Progress = func(done, _ int64) { progress(before+done, total) }
		}
		r, err := s.importFile(ctx, f.path, one)
		prefix := ""
		if len(files) > 1 {
			prefix = f.path + ": "
		}
		rep.Add(r, prefix)
		if err != nil {
			return rep, err
		}
		before += f.size
	}
	o.Total = total
	return rep, s.settle(ctx, rep, o, total)
}

func (s *Service) importFile(ctx context.Context, path string, o ImportOptions) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	return s.take(ctx, f, o)
}

type sized struct {
	path string
	size int64
}

func filesUnder(path string) (files []sized, total int64, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !st.IsDir() {
		return []sized{{path, st.Size()}}, st.Size(), nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular(), filepath.Ext(p) == ".dat":
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, sized{p, info.Size()})
		total += info.Size()
		return nil
	})
	return files, total, err
}
