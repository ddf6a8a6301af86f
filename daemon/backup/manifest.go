package backup

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
)

const (
	formatName    = "sierpi-backup"
	formatVersion = 1
)

// Manifest is the first member: what is in the file.
type Manifest struct {
	Format  string           `json:"format"`
	Version int              `json:"version"` // of the format
	Made    time.Time        `json:"made"`    // by the clock of the machine, which may have been wrong
	Host    string           `json:"host"`    // the machine's name
	Program string           `json:"program"` // version of sierpi
	Schema  int64            `json:"schema"`  // of the database
	Engine  string           `json:"engine"`  // "SQLite" or "PostgreSQL"
	Tables  []Table          `json:"tables"`
	Numbers map[string]int64 `json:"numbers,omitempty"` // the highest given by tables that never give one twice
}

// Table is a table of the database.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
}

// Rows is the number of rows of a table, 0 where there is none.
func (m Manifest) Rows(table string) int64 {
	for _, t := range m.Tables {
		if t.Name == table {
			return t.Rows
		}
	}
	return 0
}

var (
	validName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	memberName  = regexp.MustCompile(`^(config/(sierpi|boot)\.toml|state/(owner|visitors|energy)\.json|tables/([a-z][a-z0-9_]{0,62})/([0-9]{6})\.jsonl)$`)
	printableID = regexp.MustCompile(`^[ -~]{0,128}$`)
)

const (
	maxTables  = 200
	maxColumns = 100
)

// readManifest takes a manifest that Restore can rely on.
func readManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	if m.Format != formatName {
		return m, fmt.Errorf("it is no backup of sierpi: its manifest says %.40q", m.Format)
	}
	if m.Version != formatVersion {
		return m, fmt.Errorf("its format is version %d and this program reads version %d; restore it with the sierpi that made it (%.40q), or a newer one", m.Version, formatVersion, m.Program)
	}
	if newest := store.Schema(); m.Schema > newest {
		return m, fmt.Errorf("it was made by a newer sierpi (%.40q, schema %d; this one knows %d); install that version, then try again", m.Program, m.Schema, newest)
	}
	if m.Schema < 1 || len(m.Tables) > maxTables || !printableID.MatchString(m.Host) || !printableID.MatchString(m.Program) || m.Engine != store.SQLite.String() && m.Engine != store.PostgreSQL.String() {
		return m, fmt.Errorf("its manifest makes no sense")
	}
	seen := map[string]bool{}
	for _, t := range m.Tables {
		if !validName.MatchString(t.Name) || seen[t.Name] || t.Rows < 0 || len(t.Columns) == 0 || len(t.Columns) > maxColumns {
			return m, fmt.Errorf("its manifest makes no sense at the table %.70q", t.Name)
		}
		seen[t.Name] = true
		columns := map[string]bool{}
		for _, c := range t.Columns {
			if !validName.MatchString(c) || columns[c] {
				return m, fmt.Errorf("its manifest makes no sense at the column %.70q of %s", c, t.Name)
			}
			columns[c] = true
		}
	}
	for name, n := range m.Numbers {
		if !validName.MatchString(name) || n < 0 {
			return m, fmt.Errorf("its manifest makes no sense at the numbers of %.70q", name)
		}
	}
	return m, nil
}
