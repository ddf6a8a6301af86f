package imagebuild

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// plugScreen connects a monitor to an output of QEMU's virtual graphics card and returns
// what takes it off again. QEMU lights only the first output by itself; the others when
// somebody looks at them, which here is a VNC client (RFC 6143) that asks for nothing but
// a size (the ExtendedDesktopSize extension).
func plugScreen(ctx context.Context, socket string, width, height uint16) (_ io.Closer, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("plugging a screen in: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("plugging a screen in: %w", errors.Join(err, conn.Close()))
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	read := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(conn, b)
		}
		return b
	}
	write := func(fields ...any) {
		for _, f := range fields {
			if err == nil {
				err = binary.Write(conn, binary.BigEndian, f)
			}
		}
	}
	read(12) // its version
	write([]byte("RFB 003.008\n"))
	read(int(read(1)[0])) // the kinds of security that it offers
	const none, shared = 1, 1
	write(uint8(none))
	if result := binary.BigEndian.Uint32(read(4)); err == nil && result != 0 {
		return nil, fmt.Errorf("QEMU refuses with %d", result)
	}
	write(uint8(shared))
	read(20) // size and pixel format
	read(int(binary.BigEndian.Uint32(read(4))))
	const setEncodings, extendedDesktopSize, setDesktopSize = 2, -308, 251
	write(uint8(setEncodings), uint8(0), uint16(1), int32(extendedDesktopSize))
	write(uint8(setDesktopSize), uint8(0), width, height, uint8(1), uint8(0)) // one screen:
	write(uint32(0), uint16(0), uint16(0), width, height, uint32(0))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}
