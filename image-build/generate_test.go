package imagebuild

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/systemd"
)

// recipes are all that can be built.
func recipes() []Recipe {
	var out []Recipe
	for _, k := range [][3]string{{"debian", "arm64", "pi"}, {"debian", "armel", "pi"}, {"debian", "amd64", "pc"}, {"raspios", "arm64", "pi"}, {"raspios", "armhf", "pi"}} {
		r := Recipe{Base: k[0], Arch: k[1], Board: k[2], Variant: "headless"}
		r.Settings.Hostname = "sierpi"
		out = append(out, r)
	}
	return out
}

// TestGenerated holds everything that a recipe generates to a file that people have
// read. The Raspberry Pi OS recipes are held by this alone.
func TestGenerated(t *testing.T) {
	for _, r := range recipes() {
		t.Run(r.Name(), func(t *testing.T) {
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			lock := tinyLock(r)
			packages, err := r.packages()
			if err != nil {
				t.Fatal(err)
			}
			files, err := r.rootFiles(lock, testMirrors)
			if err != nil {
				t.Fatal(err)
			}
			if r.Base == "raspios" {
				files = append(files, r.raspiosFiles(r.identity(lock))...)
			}
			r.Settings.User, r.Settings.SSHKeys, r.Settings.Locale, r.Settings.Timezone = "ada", []string{"ssh-ed25519 AAAA ada"}, "de_DE.UTF-8", "Europe/Berlin"
			r.Settings.WiFi.SSID, r.Settings.WiFi.Password, r.Settings.WiFi.Country = `a "quoted" net`, "secret words", "DE"
			for _, f := range r.bootFiles([]byte("# the reference\n")) {
				f.Path = "/boot/firmware" + f.Path
				files = append(files, f)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "packages: %s\nboards: %s\n", strings.Join(packages, " "), strings.Join(r.boards(), " "))
			slices.SortStableFunc(files, func(a, b systemd.File) int { return strings.Compare(a.Path, b.Path) })
			for _, f := range files {
				fmt.Fprintf(&b, "\n-- %s %o --\n%s", f.Path, f.Mode, f.Data)
			}
			golden(t, "generated/"+r.Name()+".txt", []byte(b.String()))
		})
	}
}

// TestNoMirrorInCode: the archives' addresses come from the building machine or its user.
func TestNoMirrorInCode(t *testing.T) {
	host := regexp.MustCompile(`https?://[a-z0-9.-]*(debian|raspbian|raspberrypi)\.(org|com|net)/(debian|raspbian)`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if m := host.Find(doc); m != nil {
			t.Errorf("%s names the mirror %s", f, m)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		spoil func(*Recipe)
		want  string
	}{
		{func(r *Recipe) { r.Arch = "riscv64" }, "no image of base"},
		{func(r *Recipe) { r.Variant = "desktop" }, "no variant"},
		{func(r *Recipe) { r.Settings.Hostname = "a_b" }, "--hostname"},
		{func(r *Recipe) { r.Settings.Hostname = "" }, "--hostname"},
		{func(r *Recipe) { r.Settings.User = "root" }, "--user root"},
		{func(r *Recipe) { r.Settings.User = "Ada Lovelace" }, "--user"},
		{func(r *Recipe) { r.Settings.SSHKeys = []string{"ssh-ed25519 AAAA"} }, "whose key"},
		{func(r *Recipe) { r.Settings.User, r.Settings.SSHKeys = "ada", []string{"AAAA"} }, "not a public key"},
		{func(r *Recipe) { r.Settings.User, r.Settings.SSHKeys = "ada", []string{"ssh-rsa AAAA\nssh-rsa BBBB"} }, "not a public key"},
		{func(r *Recipe) { r.Settings.WiFi.SSID, r.Settings.WiFi.Password = "home", "long enough" }, "country"},
		{func(r *Recipe) { r.Settings.WiFi.SSID, r.Settings.WiFi.Password = "home", "short" }, "password"},
		{func(r *Recipe) { r.Settings.WiFi.SSID = strings.Repeat("x", 33) }, "33 bytes"},
		{func(r *Recipe) { r.Settings.Locale = "german; rm" }, "--locale"},
		{func(r *Recipe) { r.Settings.Timezone = "../etc/shadow" }, "--timezone"},
	} {
		r := tinyRecipe()
		tt.spoil(&r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, expected %q", r, err, tt.want)
		}
	}
}
