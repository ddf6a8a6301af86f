package zram

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// uuid identifies a swap area.
type uuid [16]byte

func newUUID() uuid {
	var u uuid
	// A label, no secret: at boot nobody waits for the kernel to have gathered randomness.
	if n, err := unix.Getrandom(u[:], unix.GRND_INSECURE); err != nil || n < len(u) {
		binary.NativeEndian.PutUint64(u[:], uint64(time.Now().UnixNano())) // a kernel before 5.6
	}
	u[6] = u[6]&0xf | 0x40 // version 4, random
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (u uuid) String() string {
	h := hex.EncodeToString(u[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// The least number of pages that mkswap accepts for a swap area.
const minSwapPages = 10

// header is the first page of a swap area, version 1: what mkswap writes, byte
// for byte. size is the device's in bytes, page the kernel's page size.
func header(size uint64, page int, id uuid, label string) ([]byte, error) {
	pages := size / uint64(page)
	if pages < minSwapPages || pages > 1<<32-1 {
		return nil, fmt.Errorf("a swap area of %d pages of %d bytes is not possible", pages, page)
	}
	if len(label) > 15 { // the field has 16, and mkswap and blkid keep one for a NUL
		return nil, fmt.Errorf("the label %q has more than 15 bytes", label)
	}
	b := make([]byte, page)
	// The kernel tells the byte order from the version field: it is its own.
	binary.NativeEndian.PutUint32(b[1024:], 1)
	binary.NativeEndian.PutUint32(b[1028:], uint32(pages-1))
	copy(b[1036:1052], id[:])
	copy(b[1052:1068], label)
	copy(b[page-10:], "SWAPSPACE2")
	return b, nil
}
