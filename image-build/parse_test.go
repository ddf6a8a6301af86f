package imagebuild

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestLockRoundTrip(t *testing.T) {
	for _, r := range recipes() {
		want := tinyLock(r)
		want.Tools = []Locked{{Name: "dash", Version: "0.5.12-12", Arch: "amd64", SHA256: [32]byte{9}, Size: 100, Archive: "debian", Path: "pool/main/d/dash/dash_0.5.12-12_amd64.deb"}}
		got, err := ParseLock(want.Format())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v came back as %+v", want, got)
		}
		if err := got.fits(r); err != nil {
			t.Error(err)
		}
		other := r
		other.Variant = "kiosk"
		if got.fits(other) == nil {
			t.Error("a lock of one variant fits another")
		}
	}
}

func TestParseLockRefuses(t *testing.T) {
	good := string(tinyLock(tinyRecipe()).Format())
	for name, doc := range map[string]string{
		"empty":            "",
		"another head":     strings.Replace(good, "lock 1", "lock 2", 1),
		"cut off":          good[:strings.Index(good, "deb ")],
		"a path upwards":   strings.Replace(good, "pool/main/b", "pool/../../b", 1),
		"an absolute path": strings.Replace(good, " pool/main/b", " /pool/main/b", 1),
		"a short hash":     strings.Replace(good, "0000 72000", " 72000", 1),
		"a size below 0":   strings.Replace(good, " 72000 ", " -1 ", 1),
		"a name twice":     good + "deb sudo 1 arm64 " + strings.Repeat("00", 32) + " 1 debian x\n",
		"a time of later":  strings.Replace(good, "time ", "time 99", 1),
		"an odd line":      good + "and more\n",
		"an odd version":   strings.Replace(good, "sierpi 0.1.0\n", "sierpi ;rm\n", 1),
	} {
		if l, err := ParseLock([]byte(doc)); err == nil {
			t.Errorf("%s: read as %+v", name, l)
		}
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add(tinyLock(tinyRecipe()).Format())
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := ParseLock(doc)
		if err != nil {
			return
		}
		again, err := ParseLock(l.Format())
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%+v came back as %+v (%v)", l, again, err)
		}
		for _, p := range append(l.Packages, l.Tools...) {
			if strings.ContainsAny(p.File(), "/\x00") || strings.Contains(p.Path, "..") {
				t.Errorf("%+v leaves the folder", p)
			}
		}
	})
}

func TestParseSources(t *testing.T) {
	got := parseSources([]byte("# a comment\nTypes: deb deb-src\nURIs: http://a.example/debian\nSuites: trixie\n trixie-updates\nComponents: main\n\nEnabled: no\nTypes: deb\nURIs: http://b.example\n"))
	if len(got) != 2 || got[0].uris[0] != "http://a.example/debian" || len(got[0].suites) != 2 || !got[1].disabled {
		t.Errorf("read as %+v", got)
	}
}

func FuzzParseSources(f *testing.F) {
	f.Add([]byte("Types: deb\nURIs: http://a.example/debian\nSuites: trixie\n"))
	f.Fuzz(func(t *testing.T, doc []byte) { parseSources(doc) })
}

func FuzzParsePrintURIs(f *testing.F) {
	f.Add([]byte("'http://mirror.example/debian/pool/main/s/sudo/sudo_1.9%7e1_arm64.deb' sudo_1%3a1.9_arm64.deb 100 SHA256:" + strings.Repeat("0a", 32) + "\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parsePrintURIs(out, testMirrors)
		if err == nil {
			for _, p := range list {
				if p.Archive == "" || strings.Contains(p.File(), "/") {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}

func FuzzReadMBR(f *testing.F) {
	f.Add(append(bytes.Repeat([]byte{0}, 510), 0x55, 0xaa), int64(1<<30))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		_, parts, err := readMBR(bytes.NewReader(data), size)
		if err == nil {
			for _, p := range parts {
				if p.start < sector || p.start+p.size > size {
					t.Errorf("partition %+v outside of %d bytes", p, size)
				}
			}
		}
	})
}

func TestParseListing(t *testing.T) {
	const doc = "debugfs: ls -p <2>\n/2/040755/0/0/.//\n/2/040755/0/0/..//\n/11/040700/0/0/lost+found//\n/12/104755/1/0/evil/35664/\n\ndebugfs: ls -p <11>\n/11/040700/0/0/.//\n/0/000000/0/0//0/\n"
	got, err := parseListing([]byte(doc), []inode{{path: "/", number: 2}, {path: "/lost+found", number: 11}})
	if err != nil {
		t.Fatal(err)
	}
	want := []inode{{"/lost+found", 11, 0o040700, 0, 0}, {"/evil", 12, 0o104755, 1, 0}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v, expected %+v", got, want)
	}
	if _, err := parseListing([]byte(doc), []inode{{path: "/", number: 2}}); err == nil {
		t.Error("an answer that was not asked for was taken")
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte("debugfs: ls -p <2>\n/12/104755/1/0/evil/35664/\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parseListing(out, []inode{{path: "/", number: 2}})
		if err == nil {
			for _, n := range list {
				if n.number <= 0 || !strings.HasPrefix(n.path, "/") {
					t.Errorf("%+v", n)
				}
			}
		}
	})
}

func FuzzParseUsedInodes(f *testing.F) {
	f.Add([]byte("Inode count: 16\n  Free inodes: 12-16\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		if len(out) < 1<<12 {
			_, _ = parseUsedInodes(out)
		}
	})
}

func FuzzParseSizes(f *testing.F) {
	f.Add([]byte("Package: sudo\nStatus: install ok installed\nInstalled-Size: 6000\n\nPackage: x\n"))
	f.Fuzz(func(t *testing.T, doc []byte) { parseSizes(doc) })
}

func TestPackageCount(t *testing.T) {
	var out strings.Builder
	c := &packageCount{out: &out, total: 2}
	for _, part := range []string{"Unpack", "ing sudo (1) ...\nSelecting\nUnpacking zstd (1)", " ...\nSetting up sudo (1) ...\n"} {
		if n, err := c.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if c.unpacked != 2 || c.settled != 1 || !strings.Contains(out.String(), "1 of 2 packages unpacked") {
		t.Errorf("%+v, said %q", c, out.String())
	}
}
