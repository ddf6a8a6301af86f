package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// decoder sets one document's values into the configuration and reports each
// that does not fit, with its position.
type decoder struct {
	*loader
	file         string
	keys, values map[string]position
}

func (d *decoder) table(tree map[string]any, into reflect.Value, path string) {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	// In the order of the file, so that the errors read from top to bottom.
	sort.Slice(names, func(i, j int) bool {
		a, b := d.keys[join(path, names[i])], d.keys[join(path, names[j])]
		if a.line != b.line {
			return a.line < b.line
		}
		return a.column < b.column
	})
	for _, name := range names {
		at := join(path, name)
		field, ok := fieldByKey(into.Type(), name)
		if !ok {
			d.report(d.keyAt(at), at, d.unknown(path), suggest(into.Type(), path, name))
			continue
		}
		d.value(tree[name], into.FieldByIndex(field.Index), field, at)
	}
}

func (d *decoder) keyAt(path string) position {
	if at, ok := d.keys[path]; ok {
		return at
	}
	return position{file: d.file}
}

func (d *decoder) unknown(parent string) string {
	if parent == "" {
		return "unknown table"
	}
	return "unknown key"
}

// value sets one value; field says what is allowed, also for a list's elements.
func (d *decoder) value(v any, into reflect.Value, field reflect.StructField, path string) {
	wrong := func(problem string) {
		at, ok := d.values[path]
		if !ok {
			at = d.keyAt(path)
		}
		if problem == "" {
			problem = "found " + found(v, field)
		}
		d.report(at, path, problem, "write "+allowed(into.Type(), field))
	}
	if u, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		s, isString := v.(string)
		if !isString {
			wrong("")
			return
		}
		old := reflect.New(into.Type()).Elem()
		old.Set(into)
		if err := u.UnmarshalText([]byte(s)); err != nil || !within(into, field) {
			into.Set(old)
			wrong("")
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		tree, ok := v.(map[string]any)
		if !ok {
			wrong("")
			return
		}
		d.table(tree, into, path)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			wrong("")
			return
		}
		out := reflect.MakeSlice(into.Type(), len(list), len(list))
		before := len(d.errs)
		for i, e := range list {
			d.value(e, out.Index(i), field, fmt.Sprintf("%s[%d]", path, i))
		}
		if len(d.errs) == before {
			into.Set(out)
		}
	default:
		next := reflect.New(into.Type()).Elem()
		if !set(next, v) || !within(next, field) {
			wrong("")
			return
		}
		into.Set(next)
	}
}

// set stores a scalar, false when its type does not fit.
func set(into reflect.Value, v any) bool {
	switch into.Kind() {
	case reflect.String:
		s, ok := v.(string)
		into.SetString(s)
		return ok
	case reflect.Bool:
		b, ok := v.(bool)
		into.SetBool(b)
		return ok
	case reflect.Int, reflect.Int64:
		n, ok := v.(int64)
		if !ok || into.OverflowInt(n) {
			return false
		}
		into.SetInt(n)
		return true
	case reflect.Float64:
		switch n := v.(type) {
		case float64:
			into.SetFloat(n)
			return !math.IsNaN(n) && !math.IsInf(n, 0)
		case int64:
			into.SetFloat(float64(n))
			return true
		}
	}
	return false
}

// within holds a value against its field's allow tag.
func within(v reflect.Value, field reflect.StructField) bool {
	allow := field.Tag.Get("allow")
	if allow == "" {
		return true
	}
	low, high, isRange := strings.Cut(allow, "..")
	switch {
	case v.Type() == reflect.TypeFor[Duration]() && isRange:
		lo, err1 := time.ParseDuration(low)
		hi, err2 := time.ParseDuration(high)
		d := time.Duration(v.Int())
		return err1 == nil && err2 == nil && lo <= d && d <= hi
	case v.CanInt() && isRange:
		return inRange(float64(v.Int()), low, high)
	case v.CanFloat() && isRange:
		return inRange(v.Float(), low, high)
	case v.Kind() == reflect.String:
		return slices.Contains(strings.Split(allow, "|"), v.String())
	}
	return false
}

func inRange(f float64, low, high string) bool {
	lo, err1 := strconv.ParseFloat(low, 64)
	hi, err2 := strconv.ParseFloat(high, 64)
	return err1 == nil && err2 == nil && lo <= f && f <= hi
}

// allowed says in words what a value of this type may be.
func allowed(t reflect.Type, field reflect.StructField) string {
	allow := field.Tag.Get("allow")
	between := ""
	if low, high, ok := strings.Cut(allow, ".."); ok {
		between = " from " + low + " to " + high
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		return "a duration" + between + " such as \"90s\", \"15m\" or \"1h30m\""
	case t.Kind() == reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "tables, each headed by [[...]]"
		}
		return "a list, each element of it " + allowed(t.Elem(), field)
	case t.Kind() == reflect.Struct:
		return "a table"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String && allow != "":
		return "one of \"" + strings.ReplaceAll(allow, "|", "\", \"") + "\""
	case t.Kind() == reflect.String:
		return "a string in \"quotes\""
	case t.Kind() == reflect.Float64:
		return "a number" + between
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return "a whole number" + between
	}
	return "a value in \"quotes\""
}

// found says what stood in the file, without a secret's text.
func found(v any, field reflect.StructField) string {
	kind, text := "", ""
	switch v := v.(type) {
	case string:
		kind, text = "the string", fmt.Sprintf("%q", v)
		if r := []rune(v); len(r) > 60 {
			text = fmt.Sprintf("%q", string(r[:60])+"…")
		}
	case bool:
		kind, text = "the truth value", fmt.Sprint(v)
	case int64, float64:
		kind, text = "the number", fmt.Sprint(v)
	case map[string]any:
		return "a table"
	case []any:
		return "a list"
	default:
		kind, text = "the date or time", fmt.Sprint(v)
	}
	if field.Tag.Get("secret") != "" {
		return kind + " (hidden)"
	}
	return kind + " " + text
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); key != "" && f.Tag.Get("toml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// suggest says what an unknown key may have meant and what its table has.
func suggest(t reflect.Type, path, name string) string {
	var has []string
	best, distance := "", 1+max(1, len(name)/3)
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("toml")
		has = append(has, key)
		if d := edits(strings.ToLower(name), key); d < distance {
			best, distance = key, d
		}
	}
	if len(has) == 0 {
		has = []string{"no keys"}
	}
	what := "the tables are "
	if path != "" {
		what = "[" + path + "] has "
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q? %s%s", best, what, strings.Join(has, ", "))
	}
	// A key written outside its table, or in another's, is the usual mistake.
	for i := range reflect.TypeFor[Config]().NumField() {
		table := reflect.TypeFor[Config]().Field(i)
		if _, ok := fieldByKey(table.Type, name); ok && table.Type != t {
			return fmt.Sprintf("it belongs below [%s]; %s%s", table.Tag.Get("toml"), what, strings.Join(has, ", "))
		}
	}
	return what + strings.Join(has, ", ")
}

// edits is the Levenshtein distance, bounded: long nonsense is simply far.
func edits(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
