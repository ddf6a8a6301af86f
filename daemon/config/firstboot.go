package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// FirstBoot is the [firstboot] table, read once from the boot partition.
type FirstBoot struct {
	Hostname     string   `toml:"hostname"`
	User         string   `toml:"user"`
	PasswordHash string   `toml:"password-hash" secret:"true"` // crypt(3)
	SSHKeys      []string `toml:"ssh-keys"`
	WiFi         WiFi     `toml:"wifi"`
	Locale       string   `toml:"locale"`
	Timezone     string   `toml:"timezone"`
	SSH          bool     `toml:"ssh"`
}

// WiFi is the [firstboot.wifi] table.
type WiFi struct {
	SSID     string `toml:"ssid"`
	Password string `toml:"password" secret:"true"`
	Country  string `toml:"country"`
}

var (
	validHostname = newPattern(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	validUsername = newPattern(`^[a-z_][a-z0-9_-]{0,31}$`)
	// The methods that Debian's crypt(3) still takes, in the characters that crypt(5) allows:
	// a colon or a newline would write a line of its own into /etc/shadow.
	cryptHash     = newPattern(`^\$(1|5|6|y|gy|7|2[abxy])\$[./A-Za-z0-9$=,]{8,256}$`)
	sshKey        = newPattern(`^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]{32,}( [^\r\n]*)?$`)
	validCountry  = newPattern(`^[A-Z]{2}$`)
	validLocale   = newPattern(`^([A-Za-z]{2,3}_[A-Z]{2}(@[a-z]+)?|C)\.(UTF-8|utf8)(@[a-z]+)?$`)
	validTimezone = newPattern(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$`)
	hexKey        = newPattern(`^[0-9a-fA-F]{64}$`)
)

// Check calls bad for each value that cannot be taken over: its key within the
// table ("wifi.country"), what was found (never a secret), what is allowed. Empty
// values are not asked for.
func (f FirstBoot) Check(bad func(key, found, allowed string)) {
	match := func(key, value string, allow pattern, allowed string) {
		if value != "" && !allow.matches(value) {
			bad(key, fmt.Sprintf("found %q", value), allowed)
		}
	}
	match("hostname", f.Hostname, validHostname, "write up to 63 of a-z, 0-9 and -, with neither end a -")
	match("user", f.User, validUsername, "write up to 32 of a-z, 0-9, _ and -, starting with a letter")
	if f.User == "root" {
		bad("user", "found \"root\"", "root does not log in here; name another user, who gets sudo")
	}
	if f.PasswordHash != "" && !cryptHash.matches(f.PasswordHash) {
		bad("password-hash", "found something else than a crypt(3) hash (not shown)", "make one with: openssl passwd -6")
	}
	for i, key := range f.SSHKeys {
		if !sshKey.matches(key) {
			bad(fmt.Sprintf("ssh-keys[%d]", i), fmt.Sprintf("found %.40q", key), "write a public key in one line, such as \"ssh-ed25519 AAAA... name\"")
		}
	}
	match("locale", f.Locale, validLocale, "write one such as \"de_DE.UTF-8\"")
	match("timezone", f.Timezone, validTimezone, "write one such as \"Europe/Berlin\"")
	w := f.WiFi
	if len(w.SSID) > 32 || strings.ContainsRune(w.SSID, 0) {
		bad("wifi.ssid", fmt.Sprintf("found %d bytes", len(w.SSID)), "a network's name has at most 32")
	}
	if n := len(w.Password); n != 0 && (n < 8 || n > 63) && !hexKey.matches(w.Password) {
		bad("wifi.password", fmt.Sprintf("found %d characters", n), "write 8 to 63, or the key as 64 hexadecimal digits")
	}
	match("wifi.country", w.Country, validCountry, "write two capital letters, such as \"DE\"")
	if w.SSID != "" && w.Country == "" {
		bad("wifi.country", "is missing", "write the country's two letters; without them the radio may not send")
	}
}

func (f FirstBoot) check(bad func(key, found, allowed string)) { f.Check(bad) }

// SecretKeys are the keys of the [firstboot] table whose values do not stay on the
// boot partition.
func SecretKeys() []string { return []string{"firstboot.password-hash", "firstboot.wifi.password"} }

// TakeSecrets returns doc with the values of these keys (of SecretKeys) blanked and a
// comment left where a line has room for one; ok is false when there was none. The
// rest of the document stays as it is, byte for byte.
func TakeSecrets(doc []byte, keys ...string) (out []byte, ok bool, err error) {
	var tree map[string]any
	if err := toml.Unmarshal(doc, &tree); err != nil {
		return doc, false, fmt.Errorf("not valid TOML: %w", err)
	}
	type span struct{ from, to int }
	var spans []span
	var walk func(n *unstable.Node, path string)
	walk = func(n *unstable.Node, path string) {
		for it := n.Key(); it.Next(); {
			path = join(path, string(it.Node().Data))
		}
		v := n.Value()
		switch {
		case v.Kind == unstable.InlineTable:
			for it := v.Children(); it.Next(); {
				walk(it.Node(), path)
			}
		case v.Kind == unstable.String && len(v.Data) > 0 && slices.Contains(keys, path):
			spans = append(spans, span{int(v.Raw.Offset), int(v.Raw.Offset + v.Raw.Length)})
		}
	}
	var p unstable.Parser
	p.Reset(doc)
	prefix := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			prefix = ""
			for it := e.Key(); it.Next(); {
				prefix = join(prefix, string(it.Node().Data))
			}
		case unstable.KeyValue:
			walk(e, prefix)
		}
	}
	at := 0
	for _, s := range spans {
		out = append(append(out, doc[at:s.from]...), `""`...)
		at = s.to
		line, _, _ := bytes.Cut(doc[at:], []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			out = append(out, "  # taken over at first boot"...)
		}
	}
	return append(out, doc[at:]...), len(spans) > 0, nil
}
