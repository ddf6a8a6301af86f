package feed

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func mustFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-23T12:30:45Z":                     "2026-11-23T12:30:45Z",
		"2026-11-23T12:30:45+02:00":                "2026-11-23T10:30:45Z",
		"2026-11-23T12:30:45.25-0530":              "2026-11-23T18:00:45.25Z",
		"2026-11-23 12:30":                         "2026-11-23T12:30:00Z",
		"2026-11-23":                               "2026-11-23T00:00:00Z",
		"2026-11":                                  "2026-11-01T00:00:00Z",
		"2026":                                     "2026-01-01T00:00:00Z",
		"20261123":                                 "2026-11-23T00:00:00Z",
		"20261123T123045Z":                         "2026-11-23T12:30:45Z",
		"20261123123045":                           "2026-11-23T12:30:45Z",
		"2026-327":                                 "2026-11-23T00:00:00Z",
		"2026327":                                  "2026-11-23T00:00:00Z",
		"2026-11-23T24:00:00Z":                     "2026-11-24T00:00:00Z",
		"Mon, 23 Nov 2026 12:30:45 GMT":            "2026-11-23T12:30:45Z",
		"Mon, 23 Nov 2026 12:30:45 +0100":          "2026-11-23T11:30:45Z",
		"Mon, 23 Nov 26 12:30 EST":                 "2026-11-23T17:30:00Z",
		"23 Nov 2026":                              "2026-11-23T00:00:00Z",
		"Monday, November 23, 2026 at 12:30 PM":    "2026-11-23T12:30:00Z",
		"November 23rd, 2026":                      "2026-11-23T00:00:00Z",
		"Nov 23, 2026 1:05am":                      "2026-11-23T01:05:00Z",
		"Mon Nov 23 12:30:45 2026":                 "2026-11-23T12:30:45Z",
		"Mon Nov 23 12:30:45 +0100 2026":           "2026-11-23T11:30:45Z",
		"Mon Nov 23 12:30:45 CET 2026":             "2026-11-23T11:30:45Z",
		"Mon, 23 Nov 2026 12:30:45 +0100 (CET)":    "2026-11-23T11:30:45Z",
		"Mon, 23 Nov 2026 12:30:45 GMT+0200":       "2026-11-23T10:30:45Z",
		"23.11.2026 12:30":                         "2026-11-23T12:30:00Z",
		"11/23/2026 12:30:45 PM":                   "2026-11-23T12:30:45Z",
		"2026/11/23 12:30:45":                      "2026-11-23T12:30:45Z",
		"23. November 2026":                        "2026-11-23T00:00:00Z",
		"Mo, 23 Dez 2026 12:30:45 +0100":           "2026-12-23T11:30:45Z",
		"23 février 2026":                          "2026-02-23T00:00:00Z",
		"lun., 23 nov. 2026 12:30:45":              "2026-11-23T12:30:45Z",
		"23 de noviembre de 2026":                  "2026-11-23T00:00:00Z",
		"23 ноября 2026":                           "2026-11-23T00:00:00Z",
		"2026年11月23日 12:30":                        "2026-11-23T12:30:00Z",
		"2026-11-23 오후 1:30":                       "2026-11-23T04:30:00Z",
		"1795437045":                               "2026-11-23T12:30:45Z",
		"Thu, 31 Dec 1998 23:59:60 GMT":            "1998-12-31T23:59:59Z",
		"  Mon,  23 Nov 2026   12:30:45  GMT\n":    "2026-11-23T12:30:45Z",
		"Mon, 23 Nov 2026 12:30:45 Europe/Nowhere": "",
		"2026-02-30":                               "",
		"2026-13-01":                               "",
		"Mon, 32 Nov 2026 12:30:45 GMT":            "",
		"Mon, 23 Nov 2026 25:30:45 GMT":            "",
		"Mon, 23 Nov 2026 12:60:45 GMT":            "",
		"Mon, 23 Nov 2026 12:30:45 +9900":          "",
		"yesterday":                                "",
		"":                                         "",
		"12:30":                                    "",
		"November":                                 "",
		"2026-11-23-1":                             "",
		"2026-11-23T12:30:45Z and more":            "",
		"0000-00-00 00:00:00":                      "",
		"-":                                        "",
	} {
		got, ok := parseDate(in)
		switch {
		case want == "" && ok:
			t.Errorf("%q was taken for %v", in, got)
		case want != "" && (!ok || got.Format(time.RFC3339Nano) != want):
			t.Errorf("%q: got %v, %v; want %s", in, got.Format(time.RFC3339Nano), ok, want)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"Mon, 23 Nov 2026 12:30:45 +0100", "2026-11-23T12:30:45.25Z", "23. November 2026", "2026年11月23日", "-0312", "오후 1:30", "1/2/26"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := parseDate(s)
		if !ok {
			return
		}
		// What is read can be written and read again.
		again, ok := parseDate(d.Format(time.RFC3339Nano))
		if !ok || !again.Equal(d) {
			t.Errorf("%q is %v, which reads as %v, %v", s, d, again, ok)
		}
	})
}

func BenchmarkParseDate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseDate("Mon, 23 Nov 2026 12:30:45 +0100")
	}
}
