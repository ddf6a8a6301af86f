package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a configuration file.
type Error struct {
	File         string
	Line, Column int    // from 1, the column in characters; 0 when the file itself is the trouble
	Table        string // "feed"; empty when the file cannot be read or parsed, which concerns every table; "?" for a table that does not exist
	Key          string // the key in full, "feed.source[2].url"
	Problem      string // what was found
	Allowed      string // what is allowed, or what to do
	cause        error  // why the file cannot be read; nil where it can
}

// Unwrap lets errors.Is tell a file that may not be read from one with mistakes.
func (e *Error) Unwrap() error { return e.cause }

// Error is one line: FILE:LINE:COLUMN: KEY: what was found; what is allowed.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	if e.Allowed != "" {
		b.WriteString("; " + e.Allowed)
	}
	return b.String()
}

// Errors is every mistake that Load found, in the order of the files.
type Errors []*Error

// Error is a line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As the single mistakes.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// For is the mistakes that concern these tables, nil when there is none: a file
// that cannot be parsed concerns every table. It lets a command read its own
// table and work while another table is broken:
//
//	cfg, errs := config.Load(files...)
//	if err := errs.For("serial"); err != nil { ... }
func (e Errors) For(tables ...string) error {
	var mine Errors
	for _, one := range e {
		if one.Table == "" || slices.Contains(tables, one.Table) {
			mine = append(mine, one)
		}
	}
	return mine.Err()
}

// Err is all of them as one error, nil when there is none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
