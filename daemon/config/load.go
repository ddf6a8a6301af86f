package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds what is read: a real file is a few KiB, the TOML library takes
// quadratic time on some nonsense, and a picture copied under the wrong name must
// not hold up the boot.
const maxFile = 64 << 10

// File is one file of the configuration.
type File struct {
	Path     string
	Required bool // absent is an error; otherwise it is as if it were empty
}

// Files lists the configuration files, the strongest last: the one that the
// owner named by --config alone, or, when explicit is empty, the file on the boot
// partition and over it /etc/sierpi/sierpi.toml, both below root ("" is "/").
func Files(root, explicit string) []File {
	if explicit != "" {
		return []File{{Path: explicit, Required: true}}
	}
	if root == "" {
		root = "/"
	}
	return []File{
		{Path: filepath.Join(root, "/boot/firmware/sierpi.toml")},
		{Path: filepath.Join(root, "/etc/sierpi/sierpi.toml")},
	}
}

// Load lays the files over Default, the last one strongest, key by key; a list
// replaces a list. It always returns a usable Config: a key with a mistake keeps
// the value it had below. On a terminal any mistake should end the program
// (Errors.Err); on the appliance see LastGood.
func Load(files ...File) (Config, Errors) {
	l := loader{cfg: Default(), where: map[string]position{}, count: map[string]int{}}
	for _, f := range files {
		doc, err := readFile(f)
		if err != nil {
			mistake := &Error{File: f.Path, Problem: err.Error(), cause: err}
			if errors.Is(err, fs.ErrPermission) {
				// It may hold passwords, so that only root and the daemon read it.
				mistake.Problem, mistake.Allowed = "may not be read by this user", "run it with sudo"
			}
			l.errs = append(l.errs, mistake)
			continue
		}
		l.decode(f.Path, doc)
	}
	return l.finish()
}

// Parse is Load for one document already in memory; name stands for its path.
func Parse(name string, doc []byte) (Config, Errors) {
	return ParseAll([]Doc{{name, doc}})
}

// Doc is a document already in memory; Name stands for its path.
type Doc struct {
	Name string
	Text []byte
}

// ParseAll is Load for documents, the last one strongest.
func ParseAll(docs []Doc) (Config, Errors) {
	l := loader{cfg: Default(), where: map[string]position{}, count: map[string]int{}}
	for _, d := range docs {
		l.decode(d.Name, d.Text)
	}
	return l.finish()
}

// Same reports whether two configurations mean the same.
func Same(a, b Config) bool { return reflect.DeepEqual(a, b) }

func (l *loader) finish() (Config, Errors) {
	l.check()
	// From top to bottom, file by file, whichever pass found it.
	order := map[string]int{}
	for i, e := range l.errs {
		if _, ok := order[e.File]; !ok {
			order[e.File] = i
		}
	}
	slices.SortStableFunc(l.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l.cfg, l.errs
}

func readFile(f File) ([]byte, error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) && !f.Required {
		return nil, nil
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no such file; name an existing one with --config, or leave the option away")
	} else if err != nil {
		return nil, fmt.Errorf("cannot be opened: %w", errors.Unwrap(err))
	}
	defer file.Close()
	if st, err := file.Stat(); err == nil && !st.Mode().IsRegular() {
		// A FIFO or a folder would block or fail with a riddle.
		return nil, fmt.Errorf("is not a regular file (%s)", st.Mode().Type())
	}
	doc, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(doc) > maxFile {
		return nil, fmt.Errorf("is larger than %d KiB; this is not a configuration of sierpi", maxFile>>10)
	}
	return doc, nil
}

// position is where a key or a value stands.
type position struct {
	file         string
	line, column int
}

type loader struct {
	cfg   Config
	errs  Errors
	where map[string]position // by path of the value, over all files
	count map[string]int      // mistakes by table
}

// maxErrors bounds the report on one table: whoever loads a file that is no configuration
// learns no more from the thousandth line.
const maxErrors = 100

func (l *loader) report(at position, path, problem, allowed string) {
	table, _, _ := strings.Cut(path, ".")
	table, _, _ = strings.Cut(table, "[")
	if _, ok := fieldByKey(reflect.TypeFor[Config](), table); !ok {
		// An unknown table concerns nobody's table, so it must not stop any
		// command; it is still in Errors.Err.
		table = "?"
	}
	if l.count[table]++; l.count[table] > maxErrors {
		return
	}
	l.errs = append(l.errs, &Error{File: at.file, Line: at.line, Column: at.column,
		Table: table, Key: path, Problem: problem, Allowed: allowed})
}

// decode lays one document over the configuration.
func (l *loader) decode(file string, doc []byte) {
	// Windows editors, which owners use on the boot partition, prefix a mark.
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(doc, []byte("\xff\xfe")) || bytes.HasPrefix(doc, []byte("\xfe\xff")) {
		l.errs = append(l.errs, &Error{File: file, Line: 1, Column: 1, Problem: "the file is written in UTF-16", Allowed: "save it as UTF-8 (in Notepad: Save as, Encoding)"})
		return
	}
	// The library settles what is TOML (syntax, duplicate keys); the values are
	// then set by us, because its decoder stops at the first wrong one and knows
	// no ranges.
	var tree map[string]any
	if err := toml.Unmarshal(doc, &tree); err != nil {
		e := &Error{File: file, Problem: "not valid TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, column := de.Position()
			e.Line, e.Column = line, characters(doc, line, column)
			e.Key = strings.Join(de.Key(), ".")
			e.Allowed = "every line is a [table], a key = value, or a # comment; strings stand in \"quotes\""
		}
		l.errs = append(l.errs, e)
		return
	}
	keys, values := locate(file, doc)
	for old := range l.where {
		// A list replaces the list below it: forget where its elements stood.
		if list, _, ok := strings.Cut(old, "["); ok {
			if _, again := values[list]; again {
				delete(l.where, old)
			}
		}
	}
	maps.Copy(l.where, values)
	d := decoder{loader: l, file: file, keys: keys, values: values}
	d.table(tree, reflect.ValueOf(&l.cfg).Elem(), "")
}

// characters turns the library's column, in bytes, into one in characters.
func characters(doc []byte, line, column int) int {
	lines := bytes.Split(doc, []byte("\n"))
	if line < 1 || line > len(lines) {
		return column
	}
	text := lines[line-1]
	return len([]rune(string(text[:max(0, min(column-1, len(text)))]))) + 1
}

// checker is implemented by tables whose values need more than a tag says.
type checker interface {
	// check calls bad for each wrong value: its key within the table
	// ("source[2].url"), what was found, what is allowed.
	check(bad func(key, found, allowed string))
}

// check runs the tables' own checks over the finished configuration.
func (l *loader) check() {
	v := reflect.ValueOf(l.cfg)
	for i := range v.NumField() {
		table := v.Type().Field(i).Tag.Get("toml")
		c, ok := v.Field(i).Interface().(checker)
		if !ok {
			continue
		}
		c.check(func(key, found, allowed string) {
			path := table + "." + key
			at, ok := l.where[path]
			if !ok { // the key is missing: point at what should hold it
				for p := path; !ok && p != ""; {
					p = p[:max(0, strings.LastIndexAny(p, ".["))]
					at, ok = l.where[p]
				}
			}
			if !ok {
				at.file = "built-in defaults"
			}
			l.report(at, path, found, allowed)
		})
	}
}
