package firstboot

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/sierpi/sierpi/daemon/config"
)

const (
	bootDir    = "/boot/firmware"
	maxInput   = 256 << 10
	configFile = "sierpi.toml"
	presetFile = "rpi-preseed.toml"
)

// Outcome is what became of a key.
type Outcome string

const (
	Applied Outcome = "applied"
	Ignored Outcome = "ignored"
	Failed  Outcome = "failed"
)

// Key is one key that a file on the boot partition asked for.
type Key struct {
	File    string  `json:"file"`
	Key     string  `json:"key"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"` // never a secret
}

// wanted is one answer and where it stands.
type wanted[T any] struct {
	value T
	file  string
	key   string
	set   bool
}

// inputs is everything that the boot partition asks for.
type inputs struct {
	hostname, user, hash, locale, timezone wanted[string]
	password                               wanted[string] // in plain, from the Imager; hashed when it is set
	keys                                   wanted[[]string]
	ssh                                    wanted[bool]
	noPasswordSudo                         wanted[bool]
	wifi                                   wanted[config.WiFi]
	wifiHidden                             bool
	wpa                                    wanted[[]byte] // a whole wpa_supplicant.conf

	decided []Key    // known before anything is done: ignored, failed
	take    []string // files to be cleared and removed when their answers are in
	secret  bool     // sierpi.toml holds a secret
	// digest is of sierpi.toml's table: unchanged and taken over before, it is not taken
	// over again, for the owner may have changed the machine since.
	digest string
}

// put notes an answer; an earlier file's is outdone.
func put[T any](in *inputs, w *wanted[T], file, key string, value T) {
	if w.set && w.file != file {
		in.decided = append(in.decided, Key{w.file, w.key, Ignored, file + " says it too, and wins"})
	}
	*w = wanted[T]{value, file, key, true}
}

func (in *inputs) fail(file, key, why string) {
	in.decided = append(in.decided, Key{file, key, Failed, why})
}

func (in *inputs) ignore(file, key, why string) {
	in.decided = append(in.decided, Key{file, key, Ignored, why})
}

// readInput returns a file of the boot partition; ok is false when it is not there.
func (m Machine) readInput(in *inputs, name string) (doc []byte, ok bool) {
	doc, err := m.Root.ReadFile(bootDir + "/" + name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case err != nil:
		in.fail(name, "", "cannot be read: "+err.Error())
		return nil, false
	case len(doc) > maxInput:
		in.fail(name, "", fmt.Sprintf("is larger than %d KiB", maxInput>>10))
		return nil, false
	}
	return bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf")), true // Windows editors' mark
}

// readInputs reads all of them. before is the digest taken over last.
func (m Machine) readInputs(before string) *inputs {
	in := &inputs{}
	if doc, ok := m.readInput(in, configFile); ok {
		in.readConfig(doc, before)
	}
	if doc, ok := m.readInput(in, presetFile); ok {
		in.readPreset(doc)
		in.take = append(in.take, presetFile)
	}
	for _, name := range []string{"userconf.txt", "userconf"} {
		if doc, ok := m.readInput(in, name); ok {
			in.readUserconf(name, doc)
			in.take = append(in.take, name)
		}
	}
	for _, name := range []string{"ssh", "ssh.txt"} {
		if _, ok := m.readInput(in, name); ok {
			put(in, &in.ssh, name, "", true)
			in.take = append(in.take, name)
		}
	}
	if doc, ok := m.readInput(in, "wpa_supplicant.conf"); ok {
		in.readWPA("wpa_supplicant.conf", doc)
		in.take = append(in.take, "wpa_supplicant.conf")
	}
	// Files that other systems' first boots read, so that an owner is not left wondering.
	for _, name := range []string{"custom.toml", "user-data", "firstrun.sh"} {
		if _, ok := m.readInput(in, name); ok {
			in.ignore(name, "", "is not read here; write "+configFile+" or "+presetFile+" instead")
		}
	}
	return in
}

// settings puts the answers of one file, but those that cannot be taken over.
func (in *inputs) settings(file, prefix string, f config.FirstBoot) {
	bad := map[string]bool{}
	f.Check(func(key, found, allowed string) {
		in.fail(file, prefix+key, found+"; "+allowed)
		bad[key] = true
		if table, _, ok := strings.Cut(key, "."); ok {
			bad[table] = true // half a Wi-Fi is none
		}
		if list, _, ok := strings.Cut(key, "["); ok {
			bad[list] = true
		}
	})
	set := func(w *wanted[string], key, value string) {
		if value != "" && !bad[key] {
			put(in, w, file, prefix+key, value)
		}
	}
	set(&in.hostname, "hostname", f.Hostname)
	set(&in.user, "user", f.User)
	set(&in.hash, "password-hash", f.PasswordHash)
	set(&in.locale, "locale", f.Locale)
	set(&in.timezone, "timezone", f.Timezone)
	if len(f.SSHKeys) > 0 && !bad["ssh-keys"] {
		put(in, &in.keys, file, prefix+"ssh-keys", f.SSHKeys)
	}
	if f.SSH {
		put(in, &in.ssh, file, prefix+"ssh", true)
	}
	if f.WiFi.SSID != "" && !bad["wifi"] {
		put(in, &in.wifi, file, prefix+"wifi", f.WiFi)
	}
}

func (in *inputs) readConfig(doc []byte, before string) {
	cfg, errs := config.Parse(configFile, doc)
	if err := errs.For("firstboot"); err != nil {
		for _, e := range errs {
			// Of our table the values are checked again below, with the same words.
			if e.Table == "" || e.Table == "firstboot" && strings.Contains(e.Problem, "unknown") {
				in.fail(configFile, e.Key, fmt.Sprintf("line %d: %s; %s", e.Line, e.Problem, e.Allowed))
			}
		}
		if len(doc) > 0 && len(in.decided) > 0 && errs[0].Table == "" {
			return // it cannot be parsed at all
		}
	}
	public := cfg.FirstBoot
	public.PasswordHash, public.WiFi.Password = "", ""
	canon, err := json.Marshal(public)
	if err != nil {
		in.fail(configFile, "firstboot", err.Error())
		return
	}
	in.digest = fmt.Sprintf("%x", sha256.Sum256(canon))
	in.secret = cfg.FirstBoot.PasswordHash != "" || cfg.FirstBoot.WiFi.Password != ""
	if !in.secret && in.digest == before {
		return
	}
	in.settings(configFile, "firstboot.", cfg.FirstBoot)
}

// preset is what Raspberry Pi Imager writes (raspberrypi/rpi-preseed), as far as it
// concerns this machine.
type preset struct {
	ConfigVersion any `toml:"config_version"`
	System        struct {
		Hostname string `toml:"hostname"`
	} `toml:"system"`
	User struct {
		Name             string   `toml:"name"`
		Password         string   `toml:"password"`
		Encrypted        bool     `toml:"password_encrypted"`
		PasswordlessSudo bool     `toml:"passwordless_sudo"`
		Groups           []string `toml:"groups"`
	} `toml:"user"`
	SSH struct {
		Enabled        bool     `toml:"enabled"`
		Password       bool     `toml:"password_authentication"`
		AuthorizedKeys []string `toml:"authorized_keys"`
	} `toml:"ssh"`
	WLAN struct {
		SSID      string `toml:"ssid"`
		Password  string `toml:"password"`
		Encrypted bool   `toml:"password_encrypted"`
		Hidden    bool   `toml:"hidden"`
		Country   string `toml:"country"`
		KeyMgmt   string `toml:"key_mgmt"`
	} `toml:"wlan"`
	Locale struct {
		Timezone string   `toml:"timezone"`
		Lang     string   `toml:"lang"`
		Locales  []string `toml:"locales"`
	} `toml:"locale"`
}

func (in *inputs) readPreset(doc []byte) {
	var p preset
	dec := toml.NewDecoder(bytes.NewReader(doc)).DisallowUnknownFields()
	var strict *toml.StrictMissingError
	if err := dec.Decode(&p); errors.As(err, &strict) {
		for _, e := range strict.Errors {
			in.ignore(presetFile, strings.Join(e.Key(), "."), "sierpi does not set this")
		}
		// The library decodes the rest all the same.
	} else if err != nil {
		in.fail(presetFile, "", "not valid: "+strings.TrimPrefix(err.Error(), "toml: "))
		return
	}
	f := config.FirstBoot{Hostname: strings.ToLower(p.System.Hostname), User: p.User.Name, SSHKeys: p.SSH.AuthorizedKeys,
		SSH: p.SSH.Enabled, Timezone: p.Locale.Timezone, Locale: p.Locale.Lang}
	if f.Locale == "" && len(p.Locale.Locales) > 0 {
		f.Locale = p.Locale.Locales[0]
	}
	if p.User.Encrypted {
		f.PasswordHash = p.User.Password
	}
	f.WiFi = config.WiFi{SSID: p.WLAN.SSID, Password: p.WLAN.Password, Country: p.WLAN.Country}
	if p.WLAN.KeyMgmt != "" && p.WLAN.KeyMgmt != "wpa-psk" && p.WLAN.KeyMgmt != "none" {
		in.fail(presetFile, "wlan.key_mgmt", fmt.Sprintf("%q: only wpa-psk and none are supported", p.WLAN.KeyMgmt))
		f.WiFi = config.WiFi{}
	}
	in.settings(presetFile, "", f)
	// The keys as they are called there.
	rename := func(file, key *string) {
		if *file == presetFile {
			*key = map[string]string{"hostname": "system.hostname", "user": "user.name", "password-hash": "user.password", "ssh-keys": "ssh.authorized_keys",
				"ssh": "ssh.enabled", "timezone": "locale.timezone", "locale": "locale.lang", "wifi": "wlan.ssid"}[*key]
		}
	}
	rename(&in.hostname.file, &in.hostname.key)
	rename(&in.user.file, &in.user.key)
	rename(&in.hash.file, &in.hash.key)
	rename(&in.keys.file, &in.keys.key)
	rename(&in.ssh.file, &in.ssh.key)
	rename(&in.timezone.file, &in.timezone.key)
	rename(&in.locale.file, &in.locale.key)
	rename(&in.wifi.file, &in.wifi.key)
	in.wifiHidden = p.WLAN.Hidden
	if p.User.Password != "" && !p.User.Encrypted {
		if strings.ContainsAny(p.User.Password, "\n\r\x00") {
			in.fail(presetFile, "user.password", "holds a line break")
		} else {
			put(in, &in.password, presetFile, "user.password", p.User.Password)
		}
	}
	if p.User.PasswordlessSudo {
		put(in, &in.noPasswordSudo, presetFile, "user.passwordless_sudo", true)
	}
	if p.SSH.Password {
		in.ignore(presetFile, "ssh.password_authentication", "SSH lets in by key only; put one into ssh.authorized_keys, or log in over the serial line and add it")
	}
}

// readUserconf reads "name:hash".
func (in *inputs) readUserconf(file string, doc []byte) {
	line, _, _ := strings.Cut(string(doc), "\n")
	name, hash, ok := strings.Cut(strings.TrimSpace(line), ":")
	if !ok {
		in.fail(file, "", "its first line is not NAME:HASH")
		return
	}
	in.settings(file, "", config.FirstBoot{User: name, PasswordHash: hash})
}

// readWPA takes a whole wpa_supplicant.conf: its language is its own.
func (in *inputs) readWPA(file string, doc []byte) {
	text := strings.ReplaceAll(string(doc), "\r\n", "\n")
	switch {
	case !strings.Contains(text, "network={"):
		in.fail(file, "", "names no network={...}")
	case strings.ContainsRune(text, 0):
		in.fail(file, "", "is no text")
	default:
		if !strings.Contains(text, "country=") {
			in.ignore(file, "country", "is missing; a radio that does not know the country may not send on every channel")
		}
		put(in, &in.wpa, file, "network", []byte(text))
	}
}
