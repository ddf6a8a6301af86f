package imagebuild

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/
// log-writes.rst), which QEMU's blklogwrites writes too: a sector with the superblock,
// then for each request a sector with its entry, and the data that it wrote. All
// numbers are little-endian.
const (
	writeLogMagic   = 0x6a736677736872
	writeLogVersion = 1

	logFlush    = 1 << 0 // all before it is on the disk
	logFUA      = 1 << 1 // this one is on the disk when it is answered
	logDiscard  = 1 << 2 // no data follows
	logMark     = 1 << 3 // the data is a name; nothing was written
	logMetadata = 1 << 4 // as a filesystem told; of no consequence here

	maxLogData = 64 * mib // QEMU's requests are at most 32 MiB
)

// logEntry is one request to the disk.
type logEntry struct {
	at    int64 // on the disk, bytes
	size  int64 // bytes; of a discard what was given up
	flags uint64
	data  int64 // where in the log what was written begins; 0 where there is none
}

// writes reports whether it changes the disk.
func (e logEntry) writes() bool { return e.size > 0 && e.flags&logMark == 0 }

// writeLog is a log that is being or has been written.
type writeLog struct {
	r       io.ReaderAt
	sector  int64  // bytes
	entries uint64 // that the superblock counts
}

// openWriteLog reads the superblock. While QEMU runs it is renewed with every flush of
// the guest's.
func openWriteLog(r io.ReaderAt) (writeLog, error) {
	var b [28]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return writeLog{}, fmt.Errorf("reading the superblock of the log of writes: %w", err)
	}
	l := writeLog{r: r, sector: int64(binary.LittleEndian.Uint32(b[24:])), entries: binary.LittleEndian.Uint64(b[16:])}
	if magic := binary.LittleEndian.Uint64(b[:]); magic != writeLogMagic {
		return writeLog{}, fmt.Errorf("this is no log of writes: it begins with %#x, expected %#x", magic, uint64(writeLogMagic))
	}
	if v := binary.LittleEndian.Uint64(b[8:]); v != writeLogVersion {
		return writeLog{}, fmt.Errorf("the log of writes has version %d, only %d is known", v, writeLogVersion)
	}
	if l.sector < 512 || l.sector > 4096 || l.sector&(l.sector-1) != 0 {
		return writeLog{}, fmt.Errorf("the log of writes has sectors of %d bytes; expected 512 to 4096", l.sector)
	}
	return l, nil
}

// all reads every entry that the superblock counts. disk is the size of the disk that
// was written to, in bytes.
func (l writeLog) all(disk int64) ([]logEntry, error) {
	var entries []logEntry
	at := l.sector
	for n := range l.entries {
		e, next, err := l.entry(at, disk)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the log of writes, at byte %d: %w", n, at, err)
		}
		entries = append(entries, e)
		at = next
	}
	return entries, nil
}

// entry reads the one at a place of the log and says where the next one is.
func (l writeLog) entry(at, disk int64) (e logEntry, next int64, err error) {
	var b [32]byte
	if _, err := l.r.ReadAt(b[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the superblock counts it
		}
		return e, 0, err
	}
	sector, count := binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])
	data := binary.LittleEndian.Uint64(b[24:])
	e.flags = binary.LittleEndian.Uint64(b[16:])
	switch {
	case e.flags&^(logFlush|logFUA|logDiscard|logMark|logMetadata) != 0:
		return e, 0, fmt.Errorf("its flags %#x are not known", e.flags)
	case sector > uint64(disk/l.sector) || count > uint64(disk/l.sector)-sector:
		return e, 0, fmt.Errorf("%d sectors at %d lie outside of the disk of %d", count, sector, disk/l.sector)
	case data > maxLogData:
		return e, 0, fmt.Errorf("it holds %d bytes of data; %d are possible", data, maxLogData)
	}
	e.at, e.size = int64(sector)*l.sector, int64(count)*l.sector
	next = at + l.sector
	switch {
	case e.flags&logMark != 0:
		// The name stands in the entry's own sector.
		e.size = 0
	case e.flags&logDiscard == 0 && count > 0:
		if int64(data) != 0 && int64(data) != e.size {
			return e, 0, fmt.Errorf("it wrote %d bytes and holds %d", e.size, data)
		}
		if e.size > maxLogData {
			return e, 0, fmt.Errorf("it wrote %d bytes at once; %d are possible", e.size, maxLogData)
		}
		e.data = next
		next += e.size
	}
	return e, next, nil
}

// read returns what an entry wrote; of a discard zeros, which is one of the things that
// a card may answer afterwards.
func (l writeLog) read(e logEntry) ([]byte, error) {
	b := make([]byte, e.size)
	if e.data == 0 {
		return b, nil
	}
	_, err := l.r.ReadAt(b, e.data)
	return b, err
}
