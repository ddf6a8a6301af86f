package system

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestInk(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for _, p := range pairs {
				if v, ok := strings.CutPrefix(p, name+"="); ok {
					return v
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		env  func(string) string
		want Ink
	}{
		{env("TERM=xterm-256color", "LANG=de_DE.UTF-8"), Ink{true, true}},
		{env("TERM=vt220", "LANG=C"), Ink{true, false}},
		{env("TERM=linux", "LANG=C", "LC_ALL=C.utf8"), Ink{true, true}},
		{env("TERM=xterm", "NO_COLOR=1", "LC_CTYPE=C.UTF-8"), Ink{false, true}},
		{env("TERM=dumb", "LANG=C.UTF-8"), Ink{}},
		{env(), Ink{}},
	} {
		if got := inkOf(c.env); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	// A buffer, a file and a pipe are no terminals.
	file, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if (InkFor(&bytes.Buffer{}) != Ink{} || InkFor(file) != Ink{} || InkFor(pipe) != Ink{}) {
		t.Error("ink for no terminal")
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		part, whole float64
		want        string
	}{
		{0, 100, "[..........]"}, {.1, 100, "[#.........]"}, {50, 100, "[#####.....]"}, {99.9, 100, "[#########.]"},
		{100, 100, "[##########]"}, {200, 100, "[##########]"}, {-1, 100, "[..........]"}, {1, 0, "[..........]"},
	} {
		if got := (Ink{}).Bar(c.part, c.whole, 10); got != c.want {
			t.Errorf("%v of %v: %s", c.part, c.whole, got)
		}
	}
	// In colour and in block letters it is as wide.
	colours := regexp.MustCompile("\x1b\\[[0-9]+m")
	for share, code := range map[float64]string{10: "32", 80: "33", 95: "31"} {
		got := Ink{true, true}.Bar(share, 100, 20)
		if plain := colours.ReplaceAllString(got, ""); utf8.RuneCountInString(plain) != 22 || !strings.Contains(got, "\x1b["+code+"m█") {
			t.Errorf("%v: %q", share, got)
		}
	}
}

func TestSpark(t *testing.T) {
	k := Ink{blocks: true}
	for _, c := range []struct {
		values []float64
		want   string
	}{{nil, ""}, {[]float64{3}, "▁"}, {[]float64{1, 1, 1}, "▁▁▁"}, {[]float64{9, 1, 2, 3, 8}, "▁▂▃█"}, {[]float64{-1, 1}, "▁█"}} {
		if got := k.Spark(c.values, 4); got != c.want {
			t.Errorf("%v: %s, want %s", c.values, got, c.want)
		}
	}
	if (Ink{}).Spark([]float64{1, 2}, 4) != "" {
		t.Error("blocks without a terminal")
	}
}
