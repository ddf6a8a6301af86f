package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// MaxValue is the longest value any cache takes, in bytes. It stays below
// memcached's default item limit of 1 MiB, header included.
const MaxValue = 1<<20 - 4096

// ErrMissing says that the cache has no usable copy under the key.
var ErrMissing = errors.New("nothing cached under this key")

// ErrTooLarge says that a value is longer than MaxValue.
var ErrTooLarge = errors.New("the value is longer than a cache takes")

// Entry is one made thing with its times. Value is shared, never written to.
type Entry struct {
	Value []byte
	Made  time.Time     // keeps its monotonic reading inside a process
	Fresh time.Duration // after Made: needs no refresh
	Stale time.Duration // after Made: still served; 0 means without end
	Cost  time.Duration // what making it took
	// Transient entries are not worth a write to an SD card: a cache that
	// survives a power cut skips them and keeps what it has.
	Transient bool
}

// Freshness is what an entry's age allows.
type Freshness int

// The three ages of an entry.
const (
	Fresh   Freshness = iota // serve it
	Stale                    // serve it, marked, and see that it is refreshed
	Expired                  // do not serve it
)

// clockSlack is how far in the future an entry's making may lie before the
// clock is considered to have been turned back.
const clockSlack = time.Minute

// At is the entry's freshness at a time. Boards without a clock boot into 1970:
// an entry from the future is of unknown age, so it is stale, not fresh for
// decades, and not expired either.
func (e Entry) At(now time.Time) Freshness {
	age := now.Sub(e.Made)
	switch {
	case age < -clockSlack:
		return Stale
	case age < e.Fresh:
		return Fresh
	case e.Stale == 0 || age < e.Stale:
		return Stale
	default:
		return Expired
	}
}

// Cache is a place for entries. All methods may be called concurrently.
type Cache interface {
	// Get returns the entry, fresh or stale, or ErrMissing.
	Get(ctx context.Context, key string) (Entry, error)
	// Set replaces the entry.
	Set(ctx context.Context, key string, e Entry) error
	// Delete forgets the entry; that there was none is no error.
	Delete(ctx context.Context, key string) error
	String() string
}

// Leaser is a cache that instances share, and through which they agree on who
// makes the next copy.
type Leaser interface {
	// Lease tries to become the only maker for key. held is false while another
	// has it. It ends by release, or by itself after ttl (at least a second).
	Lease(ctx context.Context, key string, ttl time.Duration) (release func(), held bool, err error)
}

// An encoded entry, as disk and memcached keep it, big-endian:
//
//	"SPC1" | made, Unix ns | fresh ns | stale ns | cost ns | key length (2) | key | value | CRC-32C of all before
//
// The key inside and the checksum turn a lying server, a mixed-up file or a torn
// write into a miss.
const (
	magic      = "SPC1"
	headerSize = 4 + 4*8 + 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(key string, e Entry) ([]byte, error) {
	if len(e.Value) > MaxValue {
		return nil, ErrTooLarge
	}
	b := make([]byte, 0, headerSize+len(key)+len(e.Value)+4)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Made.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Fresh))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Stale))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Cost))
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = append(b, e.Value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// decode is the reverse of encode. It returns ErrMissing for anything that is not
// an entry of this key.
func decode(key string, b []byte) (Entry, error) {
	if len(b) < headerSize+4 || string(b[:4]) != magic {
		return Entry{}, ErrMissing
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return Entry{}, ErrMissing
	}
	n := int(binary.BigEndian.Uint16(body[36:]))
	if len(body) < headerSize+n || string(body[headerSize:headerSize+n]) != key {
		return Entry{}, ErrMissing
	}
	e := Entry{
		Made:  time.Unix(0, int64(binary.BigEndian.Uint64(body[4:]))),
		Fresh: time.Duration(binary.BigEndian.Uint64(body[12:])),
		Stale: time.Duration(binary.BigEndian.Uint64(body[20:])),
		Cost:  time.Duration(binary.BigEndian.Uint64(body[28:])),
		Value: body[headerSize+n:],
	}
	if e.Fresh < 0 || e.Stale < 0 || e.Cost < 0 {
		return Entry{}, ErrMissing
	}
	return e, nil
}
