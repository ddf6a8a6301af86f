package config

import (
	"bytes"
	"strings"
	"testing"
)

func TestTakeSecrets(t *testing.T) {
	for _, tt := range []struct{ doc, want string }{
		{"[firstboot]\nuser = 'ada'\npassword-hash = '$6$x$abcdefgh' \n", "[firstboot]\nuser = 'ada'\npassword-hash = \"\"  # taken over at first boot \n"},
		{"firstboot.wifi = { ssid = 'home', password = \"secret words\", country = 'DE' }\n", "firstboot.wifi = { ssid = 'home', password = \"\", country = 'DE' }\n"},
		{"[firstboot.wifi]\npassword = '''multi\nline''' # mine\n[store]\ndsn = 'postgres://x:y@z'\n", "[firstboot.wifi]\npassword = \"\" # mine\n[store]\ndsn = 'postgres://x:y@z'\n"},
		{"[firstboot]\r\nwifi.password = \"é geheim é\"\r\n", "[firstboot]\r\nwifi.password = \"\"  # taken over at first boot\r\n"},
		{"[firstboot]\nuser = 'password-hash'\npassword-hash = ''\n", ""},
		{"[wifi]\npassword = 'not ours'\n", ""},
	} {
		got, ok, err := TakeSecrets([]byte(tt.doc), SecretKeys()...)
		if err != nil || ok != (tt.want != "") || ok && string(got) != tt.want || !ok && string(got) != tt.doc {
			t.Errorf("TakeSecrets(%q) = %q, %v, %v; want %q", tt.doc, got, ok, err, tt.want)
		}
	}
	if _, _, err := TakeSecrets([]byte("[firstboot\n"), SecretKeys()...); err == nil {
		t.Error("a broken document was taken")
	}
}

// FuzzTakeSecrets: what comes out holds no secret any more and means the same otherwise.
func FuzzTakeSecrets(f *testing.F) {
	f.Add([]byte("[firstboot]\npassword-hash = '$6$x$abcdefgh'\nwifi = {password = \"\"\"a\nb\"\"\"}\n"))
	f.Add([]byte("firstboot.wifi.password='x'#\n[[feed.source]]\nurl=''"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, ok, err := TakeSecrets(doc, SecretKeys()...)
		if err != nil || !ok {
			if !bytes.Equal(out, doc) {
				t.Fatalf("changed without need: %q", out)
			}
			return
		}
		before, _ := Parse("f", doc)
		after, _ := Parse("f", out)
		if after.FirstBoot.PasswordHash != "" || after.FirstBoot.WiFi.Password != "" {
			t.Fatalf("a secret is left: %q", out)
		}
		if _, again, err := TakeSecrets(out, SecretKeys()...); again || err != nil {
			t.Fatalf("taking twice finds more, or breaks: %v: %q", err, out)
		}
		if before.FirstBoot.User != after.FirstBoot.User || before.FirstBoot.WiFi.SSID != after.FirstBoot.WiFi.SSID {
			t.Fatalf("another value changed: %q", out)
		}
	})
}

func TestFirstBootCheck(t *testing.T) {
	_, errs := Parse("f", []byte(`[firstboot]
hostname = "-x"
user = "root"
password-hash = "hunter2:0:0"
ssh-keys = ["ssh-ed25519 AAAA\nroot ALL"]
locale = "deutsch"
timezone = "../../etc/shadow"
[firstboot.wifi]
ssid = "home"
password = "short"
`))
	for _, key := range []string{"hostname", "user", "password-hash", "ssh-keys[0]", "locale", "timezone", "wifi.password", "wifi.country"} {
		if !strings.Contains(errs.Error(), "firstboot."+key+":") {
			t.Errorf("no word about %s:\n%v", key, errs)
		}
	}
	if strings.Contains(errs.Error(), "hunter2") || strings.Contains(errs.Error(), "short\"") {
		t.Errorf("a secret is shown:\n%v", errs)
	}
}
