package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	manifestMember = "manifest.json"
	sumsMember     = "SHA256SUMS"

	// maxMember bounds a member, and so the memory that reading takes. The largest real one
	// is a universe of 8192x8192 cells, 11 MiB in base64.
	maxMember = 32 << 20
	// A file may unpack to so much, and so many times its own size beyond: text packs ten
	// to one, the emptiest of universes a hundred to one, a bomb a thousand to one.
	maxUnpacked = 64 << 20
	maxRatio    = 200
)

// member is one file of the archive, whole.
type member struct {
	name string
	data []byte // the visitor's until it returns
}

// table is the name of the table whose rows it holds, and which part of them; "" for others.
func (m member) table() (name string, part int) {
	f := memberName.FindStringSubmatch(m.name)
	if f == nil || f[4] == "" {
		return "", 0
	}
	part, _ = strconv.Atoi(f[5]) // six digits
	return f[4], part
}

// scan reads an archive of size bytes from beginning to end, calls visit with each member
// between the manifest and the sums, and returns the manifest once everything was there and
// held: until then nothing that visit saw may take effect.
func scan(ctx context.Context, r io.Reader, size int64, visit func(Manifest, member) error) (Manifest, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return Manifest{}, fmt.Errorf("it is no backup of sierpi: %w", err)
	}
	defer unpacked.Close()
	limit := &limited{r: unpacked, left: maxUnpacked + maxRatio*size}
	archive := tar.NewReader(limit)
	var m Manifest
	sums := map[string][sha256.Size]byte{}
	parts := map[string]int{}
	rows := map[string]int64{}
	var buf bytes.Buffer
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		h, err := archive.Next()
		if err == io.EOF {
			return m, errors.New("it ends early: " + sumsMember + " is missing")
		}
		if err != nil {
			return m, damaged(err)
		}
		if h.Typeflag != tar.TypeReg {
			return m, fmt.Errorf("%.100q in it is not a plain file", h.Name)
		}
		if h.Size > maxMember {
			return m, fmt.Errorf("%.100q in it has %d bytes; at most %d are read", h.Name, h.Size, maxMember)
		}
		buf.Reset()
		if _, err := buf.ReadFrom(archive); err != nil {
			return m, damaged(err)
		}
		data := buf.Bytes()
		if n == 0 {
			if h.Name != manifestMember {
				return m, fmt.Errorf("it is no backup of sierpi: it begins with %.100q", h.Name)
			}
			if m, err = readManifest(data); err != nil {
				return m, err
			}
			sums[h.Name] = sha256.Sum256(data)
			continue
		}
		if h.Name == sumsMember {
			if err := checkSums(data, sums); err != nil {
				return m, err
			}
			break
		}
		if _, again := sums[h.Name]; again || !memberName.MatchString(h.Name) {
			return m, fmt.Errorf("%.100q in it does not belong there", h.Name)
		}
		sums[h.Name] = sha256.Sum256(data)
		mem := member{h.Name, data}
		if table, part := mem.table(); table != "" {
			if part != parts[table]+1 {
				return m, fmt.Errorf("part %d of the table %s is missing", parts[table]+1, table)
			}
			parts[table] = part
			rows[table] += int64(bytes.Count(data, []byte("\n")))
		}
		if err := visit(m, mem); err != nil {
			return m, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if _, err := archive.Next(); err != io.EOF {
		return m, errors.New("something follows " + sumsMember)
	}
	// To the end, where the compression has a sum of its own; tar pads with zeros.
	if _, err := io.Copy(zeros{}, limit); err != nil {
		return m, damaged(err)
	}
	for _, t := range m.Tables {
		if rows[t.Name] != t.Rows {
			return m, fmt.Errorf("the table %s has %d rows; its manifest says %d", t.Name, rows[t.Name], t.Rows)
		}
		delete(rows, t.Name)
	}
	for name := range rows {
		return m, fmt.Errorf("the manifest does not name the table %s", name)
	}
	return m, nil
}

func damaged(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends early: it was not copied whole")
	}
	return fmt.Errorf("it is damaged: %w", err)
}

// checkSums holds a SHA256SUMS against what was read.
func checkSums(text []byte, sums map[string][sha256.Size]byte) error {
	left := maps.Clone(sums)
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		got, known := left[name]
		if !ok || !known {
			return fmt.Errorf("%s names %.100q, which is not there", sumsMember, name)
		}
		if fmt.Sprintf("%x", got) != sum {
			return fmt.Errorf("it is damaged: %s is not what it was when it was written", name)
		}
		delete(left, name)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return fmt.Errorf("%s does not name %s", sumsMember, name)
	}
	return nil
}

// zeros takes nothing but them.
type zeros struct{}

func (zeros) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != 0 {
			return 0, errors.New("something follows " + sumsMember)
		}
	}
	return len(p), nil
}

// limited is a reader that refuses to give more than it may.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("it unpacks to more than any backup of its size does")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// Verify reads a backup to its end and holds every sum, every row and every limit.
func Verify(ctx context.Context, path string) (Manifest, error) {
	return scanFile(ctx, path, func(m Manifest, mem member) error {
		return eachRow(m, mem, func(Table, []any) error { return nil })
	})
}

// scanFile is scan of a file.
func scanFile(ctx context.Context, path string, visit func(Manifest, member) error) (Manifest, error) {
	f, size, err := openBackup(path)
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	m, err := scan(ctx, f, size, visit)
	if err != nil {
		return m, fmt.Errorf("the backup %s cannot be used: %w", path, err)
	}
	return m, nil
}

func openBackup(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the backup: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file but a %s; name a backup, `sierpi backup list` shows them", path, st.Mode().Type())
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// eachRow calls f with the rows of a member that holds some.
func eachRow(m Manifest, mem member, f func(Table, []any) error) error {
	name, _ := mem.table()
	if name == "" {
		return nil
	}
	at := slices.IndexFunc(m.Tables, func(t Table) bool { return t.Name == name })
	if at < 0 {
		return errors.New("the manifest does not name this table")
	}
	table := m.Tables[at]
	n := 0
	for line := range bytes.Lines(mem.data) {
		n++
		row, err := readRow(line, len(table.Columns))
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := f(table, row); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(mem.data) > 0 && mem.data[len(mem.data)-1] != '\n' {
		return fmt.Errorf("line %d is not whole", n)
	}
	return nil
}
