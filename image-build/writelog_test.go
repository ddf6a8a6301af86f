package imagebuild

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// testLog writes a log as QEMU 7.2's blklogwrites does.
func testLog(entries ...logEntry) []byte {
	var b bytes.Buffer
	put := func(v ...uint64) {
		for _, x := range v {
			_ = binary.Write(&b, binary.LittleEndian, x)
		}
	}
	pad := func() { b.Write(make([]byte, (512-b.Len()%512)%512)) }
	put(writeLogMagic, writeLogVersion, uint64(len(entries)))
	_ = binary.Write(&b, binary.LittleEndian, uint32(512))
	pad()
	for i, e := range entries {
		put(uint64(e.at/512), uint64(e.size/512), e.flags, 0)
		pad()
		if e.flags&(logDiscard|logMark) == 0 {
			b.Write(bytes.Repeat([]byte{byte('a' + i)}, int(e.size)))
		}
	}
	return b.Bytes()
}

func TestWriteLog(t *testing.T) {
	doc := testLog(logEntry{at: 512, size: 1024}, logEntry{flags: logFlush}, logEntry{at: 4096, size: 512, flags: logDiscard}, logEntry{at: 1024, size: 512, flags: logFUA})
	l, err := openWriteLog(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.all(8192)
	if err != nil || len(got) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	if b, err := l.read(got[0]); err != nil || string(b) != strings.Repeat("a", 1024) {
		t.Errorf("the first entry reads %.20q, %v", b, err)
	}
	if b, err := l.read(got[3]); err != nil || string(b) != strings.Repeat("d", 512) {
		t.Errorf("the last entry reads %.20q, %v", b, err)
	}
	if b, err := l.read(got[2]); err != nil || string(b) != strings.Repeat("\x00", 512) {
		t.Errorf("the discard reads %.20q, %v", b, err)
	}
	if got[1].writes() || !got[0].writes() || got[1].flags != logFlush {
		t.Errorf("odd entries: %+v", got)
	}
}

func TestWriteLogRefuses(t *testing.T) {
	good := testLog(logEntry{at: 512, size: 1024})
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	for name, c := range map[string]struct {
		doc  []byte
		want string
	}{
		"nothing":               {nil, "superblock"},
		"another file":          {change(0, 'x'), "no log of writes"},
		"a later version":       {change(8, 2), "version 2"},
		"odd sectors":           {change(24, 1, 1), "sectors of"},
		"outside of the disk":   {change(512, 0xff, 0xff), "outside"},
		"a flag nobody knows":   {change(512+16, 0x80), "flags"},
		"cut off in the data":   {good[:1200], ""},
		"cut off in an entry":   {good[:520], "unexpected EOF"},
		"a length that differs": {change(512+24, 1), "holds 1"},
	} {
		l, err := openWriteLog(bytes.NewReader(c.doc))
		if err == nil {
			var entries []logEntry
			if entries, err = l.all(8192); err == nil {
				_, err = l.read(entries[0])
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, expected one with %q", name, err, c.want)
		}
	}
}

// FuzzWriteLog holds that no log makes the parser panic, lead outside of the disk, or
// ask for more memory than a request may have.
func FuzzWriteLog(f *testing.F) {
	f.Add(testLog(logEntry{at: 512, size: 1024}, logEntry{flags: logFlush}, logEntry{flags: logMark}))
	f.Add(testLog(logEntry{at: 4096, size: 512, flags: logDiscard}))
	f.Fuzz(func(t *testing.T, doc []byte) {
		const disk = 1 << 20
		l, err := openWriteLog(bytes.NewReader(doc))
		if err != nil {
			return
		}
		entries, err := l.all(disk)
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.at < 0 || e.size < 0 || e.at+e.size > disk || e.size > maxLogData {
				t.Fatalf("entry %+v on a disk of %d", e, disk)
			}
			if _, err := l.read(e); err == nil && e.data+e.size > int64(len(doc)) {
				t.Fatalf("entry %+v reads past the end", e)
			}
		}
	})
}
