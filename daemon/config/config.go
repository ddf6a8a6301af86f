// Package config is the one configuration of sierpi: its types, its strict
// loading and its commented reference file. It imports nothing of ours, so that
// every other package may take its own table from here.
//
// One TOML file over built-in defaults: /etc/sierpi/sierpi.toml over sierpi.toml
// on the boot partition over Default (see Files). Unknown keys, wrong types and
// bad values are errors that name file, line, column and what is allowed; all of
// them are reported, not the first, and each names its table, so that a mistake
// in [feed] does not lock out the serial line (Errors.For, LastGood).
//
// Limits: a file of more than 64 KiB is refused.
//
// To add a key: add the field to its table's struct with a `toml` tag, its
// default beside the others, what is allowed (an `allow` tag, a type with
// UnmarshalText, or a line in the table's check method) and a commented line in
// reference.toml; the tests hold all four together.
package config

// Config is the whole file, a field a table. One file of this package a table.
//
// Tags: `toml` is the key; `allow` is what a value may be: "a|b|c" for a string
// or each string of a list, "16..3840" for a number, "1m..24h" for a duration;
// `secret:"true"` keeps the value out of errors, logs and Redact.
type Config struct {
	Web       Web       `toml:"web"`
	Display   Display   `toml:"display"`
	Feed      Feed      `toml:"feed"`
	Quotes    Quotes    `toml:"quotes"`
	Chat      Chat      `toml:"chat"`
	Cutout    Cutout    `toml:"cutout"`
	Cache     Cache     `toml:"cache"`
	Store     Store     `toml:"store"`
	Zram      Zram      `toml:"zram"`
	Serial    Serial    `toml:"serial"`
	Power     Power     `toml:"power"`
	GPIO      GPIO      `toml:"gpio"`
	Backup    Backup    `toml:"backup"`
	Updates   Updates   `toml:"updates"`
	FirstBoot FirstBoot `toml:"firstboot"`
}

// Default is the configuration of a machine whose owner wrote none.
func Default() Config {
	return Config{
		Web:     defaultWeb(),
		Display: defaultDisplay(),
		Feed:    defaultFeed(),
		Chat:    defaultChat(),
		Cache:   defaultCache(),
		Cutout:  defaultCutout(),
		Zram:    defaultZram(),
		Serial:  defaultSerial(),
		Power:   defaultPower(),
		Backup:  defaultBackup(),
		Updates: defaultUpdates(),
	}
}
