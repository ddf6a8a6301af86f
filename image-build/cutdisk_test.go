package imagebuild

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestCutDisk(t *testing.T) {
	entries := []logEntry{
		{at: 0, size: page},                           // a
		{flags: logFlush},                             // b
		{at: page, size: 2 * page},                    // c: in doubt
		{at: 3 * page, size: page, flags: logFUA},     // d: answered
		{at: 0, size: page, flags: logDiscard},        // e
		{flags: logFlush},                             // f
		{at: 4*page + 512, size: page},                // g: two pages, in parts
		{at: 6 * page, size: 512, flags: logMetadata}, // h
	}
	log, err := openWriteLog(bytes.NewReader(testLog(entries...)))
	if err != nil {
		t.Fatal(err)
	}
	if entries, err = log.all(8 * page); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := os.WriteFile(base, bytes.Repeat([]byte{'.'}, 8*page), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := openCutDisk(base, log, entries)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	at := func(n int) ([]byte, cutState) {
		t.Helper()
		path := filepath.Join(dir, "cut")
		s, err := d.at(path, n, rng)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) != 8*page {
			t.Fatal(len(b), err)
		}
		return b, s
	}
	pageIs := func(b []byte, n int, want byte) bool {
		return bytes.Equal(b[n*page:(n+1)*page], bytes.Repeat([]byte{want}, page))
	}
	// Many times the same moment: what was flushed or written through is always there, what
	// was not sometimes, and page by page.
	seen := map[[2]bool]int{}
	for range 200 {
		b, s := at(4)
		if s.settled != 2 || s.doubt != 2 {
			t.Fatalf("%+v", s)
		}
		if !pageIs(b, 0, 'a') || !pageIs(b, 3, 'd') {
			t.Fatal("what was answered for is not there")
		}
		first, second := pageIs(b, 1, 'c'), pageIs(b, 2, 'c')
		if !first && !pageIs(b, 1, '.') || !second && !pageIs(b, 2, '.') {
			t.Fatal("a page is neither old nor new")
		}
		seen[[2]bool{first, second}]++
	}
	if len(seen) != 4 {
		t.Errorf("of a request of two pages these came about: %v; expected all four", seen)
	}
	b, s := at(6)
	if s.settled != 6 || s.doubt != 0 || !pageIs(b, 0, 0) || !pageIs(b, 1, 'c') || !pageIs(b, 2, 'c') {
		t.Errorf("after the second flush: %+v", s)
	}
	for range 50 {
		b, _ = at(8)
		if odd := b[4*page : 4*page+512]; !bytes.Equal(odd, bytes.Repeat([]byte{'.'}, 512)) {
			t.Fatal("before the request something was written")
		}
	}
	if _, err := d.at(filepath.Join(dir, "cut"), 1, rng); err == nil {
		t.Error("a cut before what is settled is no error")
	}
}
