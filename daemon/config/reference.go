package config

import _ "embed"

//go:embed reference.toml
var reference string

// Reference is the commented reference file: every key, with its default, as it
// is installed in /etc/sierpi/sierpi.toml. Deleting the # before a key's line
// changes nothing but lets it be edited.
func Reference() []byte { return []byte(reference) }
