package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMistakes holds every message of the faulty files in testdata: users see them.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		_, errs := Load(File{Path: file, Required: true})
		got := errs.Error() + "\n"
		golden := strings.TrimSuffix(file, ".toml") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%swant:\n%s", file, got, want)
		}
	}
}

// TestPositionsPointAtTheMistake checks lines and columns against the text itself.
func TestPositionsPointAtTheMistake(t *testing.T) {
	for _, c := range []struct{ doc, key, at string }{
		{"[web]\nlisen = 1\n", "web.lisen", "lisen"},
		{"[web]\nlisten = 8080\n", "web.listen", "8080"},
		{"web.listen = 8080\n", "web.listen", "8080"},
		{"web = {listen = 8080, hosts = ['a b']}\n", "web.listen", "8080"},
		{"web = {hosts = ['ok', 'a b']}\n", "web.hosts[1]", "'a b'"},
		{"[web]\nhosts = [\n  'ä', # ü\n  'a b',\n]\n", "web.hosts[1]", "'a b'"},
		{"[display]\nwidth = 99999\n", "display.width", "99999"},
		{"[display]\nscenes = 3\n", "display.scenes", "3"},
		{"[display]\nscenes = ['life', 7]\n", "display.scenes[1]", "7"},
		{"[display]\ndwell = -1\n", "display.dwell", "-1"},
		{"[display]\nfade = true\n", "display.fade", "true"},
		{"[zram]\nenabled = 'yes'\n", "zram.enabled", "'yes'"},
		{"[power]\nsupply-limit = 'x'\n", "power.supply-limit", "'x'"},
		{"[power]\nsupply-limit = nan\n", "power.supply-limit", "nan"},
		{"[power]\nsource = 1979-05-27T07:32:00Z\n", "power.source", "1979"},
		{"[[feed.source]]\nname='a'\nurl='https://a/'\n[[feed.source]]\nname='b'\nurl = 'gopher://b'\n", "feed.source[1].url", "'gopher"},
		{"[feed]\nsource = [{name='a', url='https://a/', colour=1}]\n", "feed.source[0].colour", "colour"},
		{"[firstboot.wifi]\nSSID = 'x'\n", "firstboot.wifi.SSID", "SSID"},
		{"'we.b' = 1\n", `"we.b"`, "'we.b'"},
		{"nonsense = 1\n", "nonsense", "nonsense"},
		{"[cache]\nmemcached = ['a:1', 'b']\n", "cache.memcached[1]", "'b'"},
		{"[cache]\nlayers = ['memory', 'redis']\n", "cache.layers[1]", "'redis'"},
		{"[cache]\nlayers = ['disk', 'disk']\n", "cache.layers[1]", "'disk']"},
		{"[cache]\nlayers = ['memcached']\n", "cache.layers[0]", "'memcached'"},
		{"[cache]\ndisk = 'much'\n", "cache.disk", "'much'"},
		{"[cache]\ntimeout = '1m'\n", "cache.timeout", "'1m'"},
	} {
		_, errs := Parse("f", []byte(c.doc))
		var hit *Error
		for _, e := range errs {
			if e.Key == c.key {
				hit = e
			}
		}
		if hit == nil {
			t.Errorf("%q: no mistake at %s: %v", c.doc, c.key, errs)
			continue
		}
		line := []rune(strings.Split(c.doc, "\n")[hit.Line-1])
		if rest := string(line[hit.Column-1:]); !strings.HasPrefix(rest, c.at) {
			t.Errorf("%q: %s points at %q", c.doc, hit, rest)
		}
		if hit.Allowed == "" {
			t.Errorf("%q: does not say what is allowed: %s", c.doc, hit)
		}
	}
}

func TestLayers(t *testing.T) {
	dir := t.TempDir()
	boot, etc := filepath.Join(dir, "boot.toml"), filepath.Join(dir, "etc.toml")
	write(t, boot, "\xef\xbb\xbf[web]\r\nlisten = ':81'\r\nhosts = ['a', 'b', 'not this!']\r\n[display]\r\nwidth = 320\r\n")
	write(t, etc, "[web]\nlisten = ':82'\nhosts = ['c']\n")
	cfg, errs := Load(File{Path: boot}, File{Path: etc}, File{Path: filepath.Join(dir, "absent")})
	if len(errs) != 0 {
		// 'not this!' was replaced with its list: no trace of it may be left.
		t.Fatal(errs)
	}
	want := Default()
	want.Web.Listen, want.Web.Hosts, want.Display.Width = ":82", []string{"c"}, 320
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func TestFiles(t *testing.T) {
	if got := Files("", "/x/y.toml"); !reflect.DeepEqual(got, []File{{"/x/y.toml", true}}) {
		t.Errorf("an explicit file is required, and alone: %v", got)
	}
	got := Files("/r", "")
	if len(got) != 2 || got[1].Path != "/r/etc/sierpi/sierpi.toml" || got[0].Required || got[1].Required {
		t.Errorf("got %v", got)
	}
}

func TestUTF16IsSaid(t *testing.T) {
	if _, errs := Parse("f", []byte("\xff\xfe[\x00w\x00")); len(errs) != 1 || !strings.Contains(errs.Error(), "UTF-8") {
		t.Errorf("%v", errs)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.toml")
	write(t, big, strings.Repeat("# filler\n", maxFile/8))
	for _, c := range []struct{ path, says string }{
		{filepath.Join(dir, "absent.toml"), "no such file"},
		{dir, "not a regular file"},
		{big, "larger than 64 KiB"},
	} {
		_, errs := Load(File{Path: c.path, Required: true})
		if len(errs) != 1 || !strings.Contains(errs.Error(), c.says) || !strings.Contains(errs.Error(), c.path) {
			t.Errorf("%s: %v", c.path, errs)
		}
		if errs.For("serial") == nil {
			t.Errorf("%s: an unreadable file concerns every table", c.path)
		}
	}
}

// TestOneTableDoesNotBreakAnother is the design's rule: a typo in the feeds must
// not lock out the serial line.
func TestOneTableDoesNotBreakAnother(t *testing.T) {
	cfg, errs := Parse("f", []byte("[feed]\ninterval = 'often'\n[serial]\nbaud = 9600\n[typo]\nx = 1\n"))
	if err := errs.For("serial"); err != nil || cfg.Serial.Baud != 9600 {
		t.Errorf("serial: %v, baud %d", err, cfg.Serial.Baud)
	}
	if errs.For("feed") == nil || errs.Err() == nil || len(errs) != 2 {
		t.Errorf("the mistakes are lost: %v", errs)
	}
	if cfg.Feed.Interval != Default().Feed.Interval {
		t.Errorf("a wrong value was taken: %v", cfg.Feed.Interval)
	}
	var one *Error
	if !errors.As(errs.Err(), &one) || one.Table != "feed" || one.Line != 2 {
		t.Errorf("errors.As: %+v", one)
	}
}

// keyLine is a commented key of the reference; prose has a blank after its #.
var keyLine = regexp.MustCompile(`(?m)^#([^ \n#])`)

// TestReference holds the reference file, the structs and the defaults together.
func TestReference(t *testing.T) {
	cfg, errs := Parse("reference.toml", Reference())
	if len(errs) != 0 || !reflect.DeepEqual(cfg, Default()) {
		t.Errorf("as installed it must change nothing: %v", errs)
	}
	doc := keyLine.ReplaceAll(Reference(), []byte("$1"))
	cfg, errs = Parse("reference.toml", doc)
	if len(errs) != 0 {
		t.Fatalf("with every key's # deleted:\n%v", errs)
	}
	if got, want := normal(cfg), normal(Default()); !reflect.DeepEqual(got, want) {
		t.Errorf("the reference's values are not the defaults:\n got %+v\nwant %+v", got, want)
	}
	keys, _ := locate("", doc)
	example := regexp.MustCompile(`(?m)^#   `).ReplaceAll(Reference(), nil)
	examples, errs := Parse("reference.toml", example)
	if len(errs) != 0 || len(examples.Feed.Sources) == 0 || len(examples.Power.Sensors) == 0 {
		t.Errorf("the examples are wrong: %v", errs)
	}
	exampleKeys, _ := locate("", example)
	var walk func(t reflect.Type, path string) []string
	walk = func(t reflect.Type, path string) (missing []string) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := join(path, f.Tag.Get("toml"))
			elem := f.Type
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if _, ok := keys[at]; !ok {
				if _, ok := exampleKeys[at]; !ok {
					missing = append(missing, at)
				}
			}
			if elem.Kind() == reflect.Struct {
				if f.Type.Kind() == reflect.Slice {
					at += "[0]"
				}
				missing = append(missing, walk(elem, at)...)
			}
		}
		return missing
	}
	if missing := walk(reflect.TypeFor[Config](), ""); len(missing) > 0 {
		t.Errorf("keys that the reference does not show: %s", strings.Join(missing, ", "))
	}
}

// TestTags finds fields without a key and allow tags that nothing can satisfy.
func TestTags(t *testing.T) {
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key := f.Tag.Get("toml")
			if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(key) {
				t.Errorf("%s.%s has no proper toml tag: %q", v.Type(), f.Name, key)
			}
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(v.Field(i), path+"."+key)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(reflect.New(f.Type.Elem()).Elem(), path+"."+key)
			case f.Tag.Get("allow") != "" && f.Type.Kind() == reflect.Slice:
				for j := range v.Field(i).Len() {
					if !within(v.Field(i).Index(j), f) {
						t.Errorf("%s.%s: the default is not allowed", path, key)
					}
				}
			case v.CanAddr(): // an element of a list has no default
			case f.Tag.Get("allow") != "" && !within(v.Field(i), f):
				t.Errorf("%s.%s: the default %v is not within %q", path, key, v.Field(i), f.Tag.Get("allow"))
			}
		}
	}
	walk(reflect.ValueOf(Default()), "")
}

func TestSecretsAreNotShown(t *testing.T) {
	const secret = "hunter2hunter2"
	cfg, errs := Parse("f", []byte(fmt.Sprintf("[store]\ndsn = 'mysql://u:%[1]s@h'\n[firstboot]\npassword-hash = '%[1]s'\n[firstboot.wifi]\npassword = '%[1]s'\n", secret)))
	if strings.Contains(errs.Error(), secret) || len(errs) != 2 {
		t.Errorf("%v", errs)
	}
	if s := fmt.Sprintf("%+v", Redact(cfg)); strings.Contains(s, secret) {
		t.Errorf("Redact leaves a secret: %s", s)
	}
	if !strings.Contains(fmt.Sprintf("%+v", cfg), secret) {
		t.Error("Redact changed the original")
	}
}

func TestLastGood(t *testing.T) {
	last := LastGood{filepath.Join(t.TempDir(), "last-good.toml")}
	broken := []byte("[web]\nlisten = 'x'\n[feed]\ninterval = '7m'\n")
	cfg, errs := Parse("f", broken)
	if got := last.Mend(cfg, errs); got.Web.Listen != Default().Web.Listen || got.Feed.Interval != Duration(7*time.Minute) {
		t.Errorf("without a last good file: %+v", got.Web)
	}
	good, errs := Parse("f", []byte("[web]\nlisten = ':8081'\nhosts=['h']\n[zram]\nenabled=false\n[store]\ndsn='postgres://u:p@h/d'\n[[feed.source]]\nname='a'\nurl='http://a/'\n[display]\nscenes=['zoom']\n[power]\nsupply-limit=2.5\n"))
	if len(errs) != 0 {
		t.Fatal(errs)
	}
	if err := last.Save(good); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(last.Path)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("%v, mode %v", err, before.Mode())
	}
	if err := last.Save(good); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(last.Path); err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged configuration was written again: %v", err)
	}
	// A file that cannot be parsed at all gives everything back.
	cfg, errs = Parse("f", []byte("[web\n"))
	if got := last.Mend(cfg, errs); !reflect.DeepEqual(got, good) {
		t.Errorf("got  %+v\nwant %+v", got, good)
	}
	// A mistake in one table takes that one alone.
	cfg, errs = Parse("f", broken)
	if got := last.Mend(cfg, errs); got.Web.Listen != ":8081" || got.Zram.Enabled != true || got.Feed.Interval != Duration(7*time.Minute) {
		t.Errorf("got %+v", got)
	}
	// A damaged last good file is as good as none.
	write(t, last.Path, "[web\x00")
	if got := last.Mend(cfg, errs); got.Web.Listen != Default().Web.Listen {
		t.Errorf("got %+v", got.Web)
	}
	if err := (LastGood{"/nonexistent/x"}).Save(good); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Reference())
	f.Add(keyLine.ReplaceAll(Reference(), []byte("$1")))
	f.Add(regexp.MustCompile(`(?m)^#   `).ReplaceAll(Reference(), nil))
	files, _ := filepath.Glob("testdata/*.toml")
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	for _, s := range []string{"[[feed.source]]\n[feed.source.x]\n", "a.b.c=1\n[a]\n", "[[web]]\n[[web]]", "web=[{}]", "[web]\nhosts=[[['x']]]", "\"\"=1", "''.''=2", "[web]\nlisten.x=1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		cfg, errs := Parse("f", doc)
		lines := bytes.Count(doc, []byte("\n")) + 1
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Errorf("no such place: %s", e)
			}
		}
		if len(errs) > 0 {
			return
		}
		// What was accepted survives being saved.
		out, err := Encode(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again, errs := Parse("again", out)
		if len(errs) != 0 || !reflect.DeepEqual(normal(again), normal(cfg)) {
			t.Errorf("%v\n%s\n%+v\n%+v", errs, out, cfg, again)
		}
	})
}

// normal makes an empty list nil: TOML tells them apart, no reader of ours does.
func normal(cfg Config) Config {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			if v.Len() == 0 {
				v.SetZero()
			}
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(&cfg).Elem())
	return cfg
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHours(t *testing.T) {
	for text, want := range map[string][2]int{"": {0, 0}, "22:30-06:30": {1350, 390}, "0:00-23:59": {0, 1439}, "6:05-06:06": {365, 366}} {
		if from, to, err := ParseHours(text); err != nil || from != want[0] || to != want[1] {
			t.Errorf("%q: %d to %d, %v", text, from, to, err)
		}
	}
	for _, text := range []string{"22:30", "22:30-", "-6:00", "24:00-6:00", "22:60-6:00", "22-6", "22:30 - 6:00", "22:3-6:00", "a:00-b:00", "122:30-6:00"} {
		if _, _, err := ParseHours(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestDisplayTables(t *testing.T) {
	doc := `[display]
night = "10pm-6am"
[[display.programme]]
hours = "18:00-22:00"
scenes = ["fern"]
[[display.programme]]
hours = ""
scenes = []
dwell = "10s"
[[display.output]]
name = "HDMI-1"
view = "0,0,240,270"
[[display.output]]
name = "HDMI-1"
view = "0,0,481,270"
`
	_, errs := Parse("f", []byte(doc))
	var keys []string
	for _, e := range errs {
		keys = append(keys, fmt.Sprintf("%d %s", e.Line, e.Key))
	}
	for _, want := range []string{"2 display.night", "7 display.programme[1].hours", "8 display.programme[1].scenes", "14 display.output[1].name", "15 display.output[1].view"} {
		if !slices.Contains(keys, want) {
			t.Errorf("%s is not reported; %q are:\n%v", want, keys, errs)
		}
	}
}
