package feed

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestReleaseTable reads the table of release names.
func TestReleaseTable(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "releases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := 0
	for in := bufio.NewScanner(f); in.Scan(); {
		if strings.HasPrefix(in.Text(), "#") {
			continue
		}
		rows++
		c := strings.Split(in.Text(), "\t")
		r, ok := ParseTitle(c[0])
		if !ok {
			t.Errorf("%s: not taken for a release", c[0])
		}
		var eps []string
		for _, e := range r.Episodes {
			eps = append(eps, strconv.Itoa(e))
		}
		num := func(n int) string {
			if n == 0 {
				return ""
			}
			return strconv.Itoa(n)
		}
		pack := ""
		if r.Pack {
			pack = "pack"
		}
		for i, got := range []string{r.Show, num(r.Season), strings.Join(eps, ","), r.Date, num(r.Absolute), pack, r.Resolution, r.Source, r.Codec, r.Group} {
			if got != c[i+1] {
				t.Errorf("%s: %s is %q, want %q", c[0], strings.Fields("show season episodes date absolute pack resolution source codec group")[i], got, c[i+1])
			}
		}
		if r.Confidence.Numbering == 0 || r.Group != "" && r.Confidence.Group == 0 || r.Resolution != "" && r.Confidence.Resolution == 0 {
			t.Errorf("%s: a part without its confidence: %+v", c[0], r.Confidence)
		}
	}
	if rows < 300 {
		t.Errorf("the table has %d rows", rows)
	}
}

// TestNoRelease: titles of other things are not taken for releases.
func TestNoRelease(t *testing.T) {
	for _, s := range []string{
		"", " ", "The kettle & the robin", "v2.1.0: quieter hammer", "Spring tide on Monday", "10 things we learned in 2026",
		"How to web scrape with Go 1.26", "A quiet Sunday.", "Release notes from anvil", "Linux 6.18 released", "Show HN: a feed reader",
		"Budget 2026: what it means for you", "Is this the real reason?", strings.Repeat("x", 5000), "\xff\xfe", "C++ 26 is done",
	} {
		if r, ok := ParseTitle(s); ok {
			t.Errorf("%q was taken for a release: %+v", s, r)
		}
	}
}

func FuzzParseTitle(f *testing.F) {
	for _, s := range []string{
		"Harbour.Lights.S01E02.1080p.WEB-DL.H.264-KiTE", "[G] Show - 12v2 [720p][0A1B2C3D].mkv", "Show 2x03-2x05", "Show.2026.11.23.HDTV", "Show - Temporada 2 [Cap.201_204]",
		"Show S01 - S04", "[", "-", "S1E", "1x", "[]-()", "E.5of", "221208 Show ep3", "Имя / Name / S1E1-8 of 8", "S01E01-E99999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, _ := ParseTitle(s)
		if len(r.Show) > len(s)+8 || len(r.Group) > len(s) || len(r.Episodes) > maxEpisodes+2 || len(r.Languages) > 8 {
			t.Errorf("%q: %+v", s, r)
		}
		if r.Date != "" && len(r.Date) != 10 {
			t.Errorf("%q: date %q", s, r.Date)
		}
	})
}
