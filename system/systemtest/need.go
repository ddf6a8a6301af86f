// Package systemtest is for tests only: it says what a test needs of the machine
// (a tool, a server, root, a kernel facility) and what happens when it is not
// there. What Debian's packages can bring is skipped loudly on a developer's
// machine and is a failure in CI; what only hardware or a kernel can bring is
// skipped loudly everywhere. The closing summary of `make test` counts both.
package systemtest

import (
	"os"
	"os/exec"
	"testing"
)

// Tool returns the path of a program that Debian's package brings.
func Tool(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/games", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin"} {
			if p, err := exec.LookPath(dir + "/" + program); err == nil {
				return p
			}
		}
		Missing(t, program+" is not installed (apt-get install "+debianPackage+")")
	}
	return path
}

// Missing ends a test for want of something that can be installed: a loud skip,
// and in CI (CI=true) a failure.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("MISSING: %s; in CI what can be installed must be there", why)
	}
	t.Skipf("SKIPPED: %s", why)
}

// Absent ends a test for want of something that no package can bring: root, a
// kernel facility, hardware. It is a loud skip everywhere.
func Absent(t testing.TB, why string) {
	t.Helper()
	t.Skipf("SKIPPED: %s", why)
}

// Root skips unless the test runs as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Absent(t, "needs root")
	}
}
