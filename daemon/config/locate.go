package config

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// locate says where each key and each value of a document stands, by its path
// ("feed.source[2].url"). The document must have been accepted by toml.Unmarshal.
func locate(file string, doc []byte) (keys, values map[string]position) {
	l := locator{file: file, doc: doc, lines: []int{0}, keys: map[string]position{}, values: map[string]position{}}
	for i, c := range doc {
		if c == '\n' {
			l.lines = append(l.lines, i+1)
		}
	}
	l.parser.Reset(doc)
	arrays := map[string]int{} // how many elements each [[array of tables]] has so far
	prefix := ""
	for l.parser.NextExpression() {
		switch e := l.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			prefix = ""
			var at position
			for it := e.Key(); it.Next(); {
				path := join(prefix, string(it.Node().Data))
				at = l.at(it.Node())
				l.mark(l.keys, path, at)
				l.mark(l.values, path, at)
				last := it.IsLast()
				if last && e.Kind == unstable.ArrayTable {
					arrays[path]++
				}
				if n := arrays[path]; n > 0 {
					path = fmt.Sprintf("%s[%d]", path, n-1)
					l.mark(l.values, path, at)
				}
				prefix = path
			}
		case unstable.KeyValue:
			l.keyValue(e, prefix)
		}
	}
	return l.keys, l.values
}

type locator struct {
	file         string
	doc          []byte
	lines        []int // where each line begins
	parser       unstable.Parser
	keys, values map[string]position
}

func (l *locator) mark(m map[string]position, path string, at position) {
	if _, ok := m[path]; !ok {
		m[path] = at
	}
}

func (l *locator) keyValue(e *unstable.Node, prefix string) {
	path := prefix
	var at position
	for it := e.Key(); it.Next(); {
		path = join(path, string(it.Node().Data))
		at = l.at(it.Node())
		l.mark(l.keys, path, at)
		if !it.IsLast() {
			l.mark(l.values, path, at)
		}
	}
	l.value(e.Value(), path, at)
}

// value notes a value and what it holds; a node that carries no range of its own
// stands where its key stands.
func (l *locator) value(n *unstable.Node, path string, key position) {
	at := key
	if n.Raw.Length > 0 {
		at = l.at(n)
	}
	l.mark(l.values, path, at)
	switch n.Kind {
	case unstable.Array:
		i := 0
		for it := n.Children(); it.Next(); i++ {
			l.value(it.Node(), fmt.Sprintf("%s[%d]", path, i), at)
		}
	case unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			l.keyValue(it.Node(), path)
		}
	}
}

func (l *locator) at(n *unstable.Node) position {
	offset := int(n.Raw.Offset)
	line := sort.SearchInts(l.lines, offset+1) // the last line that begins at or before it
	return position{file: l.file, line: line, column: utf8.RuneCount(l.doc[l.lines[line-1]:offset]) + 1}
}

// maxPath bounds a path; the longest real one has some 30 characters, and a key of
// a hundred thousand dots must not cost minutes.
const maxPath = 200

// join appends a key to a path, quoted when it would read as something else.
func join(prefix, key string) string {
	if len(prefix) > maxPath {
		return prefix
	}
	if len(key) > maxPath {
		key = key[:maxPath] + "…"
	}
	if key == "" || strings.ContainsAny(key, ".[]\" \t\n\r") {
		key = fmt.Sprintf("%q", key)
	}
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
