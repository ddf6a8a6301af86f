package web

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a TCP connection whose system calls Go's scheduler is not told of. It prepares
// for each that it might block: the thread's work is handed to another one, and taken back
// afterwards, which costs as much as a short call. These never block (MSG_DONTWAIT), and where
// there is nothing to read and no room to write, the goroutine waits as it always does.
type socket struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is one direction of a socket, with what it needs for one call.
type transfer struct {
	mu    sync.Mutex
	parts [2][]byte // what is to be moved yet
	moved int
	err   error
	try   func(fd uintptr) (done bool)

	hdr unix.Msghdr
	iov [2]unix.Iovec
}

// mostAtOnce bounds one call, in bytes: nobody else runs on its thread meanwhile.
const mostAtOnce = 64 << 10

// newSocket returns c itself if it is no TCP connection.
func newSocket(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	s := &socket{TCPConn: tcp, raw: raw}
	s.in.try, s.out.try = s.in.receive, s.out.send
	return s
}

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := s.in.move("read", s.TCPConn, s.raw.Read, b, nil)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) { return s.writeBoth(b, nil) }

// writeBoth writes a, then b, at once if there is room.
func (s *socket) writeBoth(a, b []byte) (int, error) {
	return s.out.move("write", s.TCPConn, s.raw.Write, a, b)
}

// move tries by wait, which is the connection's RawConn.Read or Write, until it is done.
func (t *transfer) move(what string, c *net.TCPConn, wait func(func(uintptr) bool) error, a, b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parts, t.moved, t.err = [2][]byte{a, b}, 0, nil
	err := wait(t.try)
	t.parts, t.iov = [2][]byte{}, [2]unix.Iovec{}
	if err == nil && t.err != nil {
		err = &net.OpError{Op: what, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(what, t.err)}
	}
	return t.moved, err
}

// receive reads once; false if there is nothing yet.
func (t *transfer) receive(fd uintptr) bool { return t.settled(t.call(unix.SYS_RECVMSG, fd)) }

// send writes all there is room for; false if something is left.
func (t *transfer) send(fd uintptr) bool {
	for len(t.parts[0])+len(t.parts[1]) > 0 {
		if errno := t.call(unix.SYS_SENDMSG, fd); errno != 0 {
			return t.settled(errno)
		}
	}
	return true
}

// settled takes in how a call ended; false if it would have had to wait.
func (t *transfer) settled(errno syscall.Errno) bool {
	if errno == unix.EAGAIN {
		return false
	}
	if errno != 0 {
		t.err = errno
	}
	return true
}

// call makes one call, recvmsg(2) or sendmsg(2), for what is to be moved yet.
func (t *transfer) call(trap, fd uintptr) syscall.Errno {
	room, count := mostAtOnce, 0
	for _, p := range t.parts {
		if n := min(len(p), room); n > 0 {
			t.iov[count].Base = unsafe.SliceData(p)
			t.iov[count].SetLen(n)
			room -= n
			count++
		}
	}
	t.hdr.Iov = &t.iov[0]
	t.hdr.SetIovlen(count)
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&t.hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			first := min(int(n), len(t.parts[0]))
			t.parts[0], t.parts[1] = t.parts[0][first:], t.parts[1][int(n)-first:]
			t.moved += int(n)
		}
		return errno
	}
}
