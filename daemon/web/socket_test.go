package web

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sockets are the two ends of a connection; the first is a socket of ours.
func sockets(t *testing.T) (*socket, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := newSocket(near).(*socket)
	if !ok {
		t.Fatal("a TCP connection got no socket")
	}
	t.Cleanup(func() { _ = s.Close(); _ = far.Close() })
	return s, far.(*net.TCPConn)
}

// TestSocketMoves: what is more than fits arrives whole and in order, in both directions at
// once, from writers who write at once, in two parts of any lengths.
func TestSocketMoves(t *testing.T) {
	s, far := sockets(t)
	record := func(letter byte) []byte { return bytes.Repeat([]byte{letter}, 3*mostAtOnce+17) }
	cuts := []int{0, 1, 4096, mostAtOnce - 1, mostAtOnce, mostAtOnce + 1, 2*mostAtOnce + 5, len(record('a'))}

	var wg sync.WaitGroup
	for _, letter := range []byte("abc") {
		wg.Go(func() {
			whole := record(letter)
			for _, cut := range cuts {
				if n, err := s.writeBoth(whole[:cut], whole[cut:]); n != len(whole) || err != nil {
					t.Errorf("%c cut at %d: %d, %v", letter, cut, n, err)
				}
			}
		})
	}
	wg.Go(func() {
		got := make([]byte, len(record('a')))
		for range 3 * len(cuts) {
			if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, record(got[0])) {
				t.Errorf("the far end got a mixture (%v)", err)
				return
			}
		}
	})
	back := bytes.Repeat([]byte("0123456789"), 200_000)
	wg.Go(func() {
		if _, err := far.Write(back); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		got := make([]byte, len(back))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, back) {
			t.Errorf("reading: %v, or other bytes", err)
		}
	})
	wg.Wait()
}

// TestSocketEnds: deadlines, ends and errors are those of any connection.
func TestSocketEnds(t *testing.T) {
	s, far := sockets(t)
	b := make([]byte, 10)
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("reading into nothing: %d, %v", n, err)
	}
	if n, err := s.Write(nil); n != 0 || err != nil {
		t.Errorf("writing nothing: %d, %v", n, err)
	}
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if n, err := s.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(s, b); n != 3 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := s.Read(b); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v, want plain EOF", n, err)
	}
	// The far end breaks off: what it did not read is lost, and a writer gets to know.
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := s.Write(make([]byte, 1000)); err != nil {
			var op *net.OpError
			if !errors.As(err, &op) || !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				t.Errorf("to nobody: %#v", err)
			}
			break
		}
	}

	s, _ = sockets(t)
	read := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 1))
		read <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed while reading: %v", err)
	}
}

// TestSocketWaits: a writer with a full connection waits, and its deadline holds.
func TestSocketWaits(t *testing.T) {
	s, far := sockets(t)
	much := make([]byte, 64<<20)
	var n int
	done := make(chan error)
	go func() {
		var err error
		n, err = s.Write(much)
		done <- err
	}()
	// The first bytes are there, however slow the machine is; no connection holds all of them.
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(much) {
		t.Fatalf("%d of %d bytes written, %v", n, len(much), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.Copy(io.Discard, far); got+1 != int64(n) || err != nil {
		t.Errorf("%d bytes are there, %v; %d were said to be written", got, err, n)
	}
}

// TestSocketOfAnotherKind: what is no TCP connection stays what it is.
func TestSocketOfAnotherKind(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if newSocket(a) != a {
		t.Error("a pipe was taken for a TCP connection")
	}
	var c written
	if n, err := writeBoth(&c, []byte("a"), []byte("b")); n != 2 || err != nil || len(c.each) != 2 {
		t.Errorf("%d, %v, %q", n, err, c.each)
	}
}
