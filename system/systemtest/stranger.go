package systemtest

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// AsStranger calls f as a user who owns no file: root's test is nobody for that time, as far
// as files go, everybody else stays who he is. What f starts in other goroutines is not in it.
func AsStranger(t testing.TB, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	// The kernel keeps who opens files for each thread alone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
