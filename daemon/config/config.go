// Package config is the one configuration of sierpi: its types, its strict
// loading and its commented reference file. It imports nothing of ours, so that
// every other package may take its own table from here.
//
// One TOML file over built-in defaults: /etc/sierpi/sierpi.toml over sierpi.toml
// on the boot partition over Default. Unknown keys, wrong types and bad values
// are errors that name file, line, column and what is allowed.
package config

// Config is the whole file, a field a table. One file of this package a table.
type Config struct {
	Web       Web       `toml:"web"`
	Display   Display   `toml:"display"`
	Feed      Feed      `toml:"feed"`
	Quotes    Quotes    `toml:"quotes"`
	Cache     Cache     `toml:"cache"`
	Store     Store     `toml:"store"`
	Zram      Zram      `toml:"zram"`
	Serial    Serial    `toml:"serial"`
	Power     Power     `toml:"power"`
	GPIO      GPIO      `toml:"gpio"`
	FirstBoot FirstBoot `toml:"firstboot"`
}

// Default is the configuration of a machine whose owner wrote none.
func Default() Config {
	return Config{
		Web:     defaultWeb(),
		Display: defaultDisplay(),
		Feed:    defaultFeed(),
		Zram:    defaultZram(),
		Serial:  defaultSerial(),
		Power:   defaultPower(),
	}
}
