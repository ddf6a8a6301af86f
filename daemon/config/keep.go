package config

import (
	"fmt"
	"path/filepath"
	"time"
)

// Backup is the [backup] table.
type Backup struct {
	Dir   string   `toml:"dir"`                     // absolute; empty: none are made by themselves
	Every Duration `toml:"every" allow:"1h..8760h"` // between two of them
	Keep  int      `toml:"keep" allow:"1..1000"`    // of this machine's in the folder
}

func defaultBackup() Backup { return Backup{Every: Duration(24 * time.Hour), Keep: 7} }

func (b Backup) check(bad func(key, found, allowed string)) {
	if b.Dir != "" && (!filepath.IsAbs(b.Dir) || filepath.Clean(b.Dir) == "/") {
		bad("dir", fmt.Sprintf("found the string %q", b.Dir), "write the whole path of a folder, such as \"/mnt/backup\", or \"\" for none")
	}
}

// Updates is the [updates] table.
type Updates struct {
	Security bool   `toml:"security"` // install Debian's security updates by themselves
	Time     string `toml:"time"`     // of the day, "04:00"
	Reboot   string `toml:"reboot"`   // when a restart may follow that an update asks for; empty: never by itself
}

func defaultUpdates() Updates { return Updates{Security: true, Time: "04:00"} }

var timeOfDay = newPattern(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

func (u Updates) check(bad func(key, found, allowed string)) {
	if !timeOfDay.matches(u.Time) {
		bad("time", fmt.Sprintf("found the string %q", u.Time), "write a time of the day from \"00:00\" to \"23:59\"")
	}
	if u.Reboot != "" && !timeOfDay.matches(u.Reboot) {
		bad("reboot", fmt.Sprintf("found the string %q", u.Reboot), "write a time of the day from \"00:00\" to \"23:59\", or \"\" for no restart by itself")
	}
}
