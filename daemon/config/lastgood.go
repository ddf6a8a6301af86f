package config

import (
	"bytes"
	"encoding"
	"fmt"
	"os"
	"reflect"

	"github.com/pelletier/go-toml/v2"

	"github.com/sierpi/sierpi/system/atomicfile"
)

// LastGood is the file that keeps the configuration that last loaded without a
// mistake, so that a typo does not blank the wall. Who runs as root must keep its
// own in a folder that only root writes: what the daemon's user can write must
// not steer a root command.
//
//	cfg, errs := config.Load(files...)
//	if len(errs) == 0 {
//		err = last.Save(cfg)
//	} else {
//		show(errs)                  // screen, serial console, boot partition
//		cfg = last.Mend(cfg, errs)  // never fails
//	}
type LastGood struct{ Path string }

// Save keeps cfg, atomically and durably; when the file says so already nothing
// is written. Only what differs from Default is kept, so that an update's better
// defaults still reach the machine. The file holds secrets: its mode is 0600.
func (l LastGood) Save(cfg Config) error {
	doc, err := Encode(cfg)
	if err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	if old, err := os.ReadFile(l.Path); err == nil && bytes.Equal(old, doc) {
		return nil
	}
	return atomicfile.Write(l.Path, doc, 0o600)
}

// Mend replaces the tables of cfg that have mistakes by the last good ones, or
// by the defaults where there are none. A last good file that is itself damaged
// counts as none for the tables concerned.
func (l LastGood) Mend(cfg Config, errs Errors) Config {
	good, goodErrs := Load(File{Path: l.Path})
	defaults := Default()
	into := reflect.ValueOf(&cfg).Elem()
	for i := range into.NumField() {
		table := into.Type().Field(i).Tag.Get("toml")
		if errs.For(table) == nil {
			continue
		}
		from := good
		if goodErrs.For(table) != nil {
			from = defaults
		}
		into.Field(i).Set(reflect.ValueOf(from).Field(i))
	}
	return cfg
}

// Encode writes what differs from Default as TOML, secrets included.
func Encode(cfg Config) ([]byte, error) {
	return toml.Marshal(difference(reflect.ValueOf(cfg), reflect.ValueOf(Default())))
}

func difference(v, base reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		if reflect.DeepEqual(v.Field(i).Interface(), base.Field(i).Interface()) {
			continue
		}
		out[v.Type().Field(i).Tag.Get("toml")] = plain(v.Field(i), base.Field(i))
	}
	return out
}

func plain(v, base reflect.Value) any {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		return m
	}
	switch v.Kind() {
	case reflect.Struct:
		return difference(v, base)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i), reflect.Zero(v.Type().Elem()))
		}
		return list
	}
	return v.Interface()
}

// Redact is cfg with every secret that is set replaced, to be shown or logged.
func Redact(cfg Config) Config {
	redact(reflect.ValueOf(&cfg).Elem())
	return cfg
}

func redact(v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i)
		switch {
		case field.Tag.Get("secret") != "" && f.Kind() == reflect.String && f.String() != "":
			f.SetString("(hidden)")
		case f.Kind() == reflect.Struct:
			redact(f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			// The elements are shared with the caller's Config: copy before changing.
			c := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
			reflect.Copy(c, f)
			f.Set(c)
			for j := range f.Len() {
				redact(f.Index(j))
			}
		}
	}
}
