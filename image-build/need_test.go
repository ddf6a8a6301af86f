package imagebuild

import (
	"strings"
	"testing"
)

// TestNeedNamesAllAtOnce: a machine that has nothing is told of everything in one line, the
// emulator included, and is told no more where all is there.
func TestNeedNamesAllAtOnce(t *testing.T) {
	if err := need([]tool{{"sh", "dash"}, {"no-such-name|ls", "coreutils"}}); err != nil {
		t.Error("what is there is missed:", err)
	}
	t.Setenv("PATH", t.TempDir())
	err := need([]tool{{"no-such-b|no-such-c", "pkg-b"}, {"no-such-a", "pkg-a"}}, []tool{{"no-such-d", "pkg-a"}})
	if err == nil || !strings.HasSuffix(err.Error(), "no-such-a, no-such-b, no-such-d; install with: apt-get install pkg-a pkg-b") {
		t.Error(err)
	}
	for arch, want := range map[string]string{"arm64": "qemu-aarch64", "armel": "qemu-arm", "armhf": "qemu-arm"} {
		if got := emulator(arch); len(got) != 1 || !strings.HasPrefix(got[0].program, want+"|") || !isForeign(arch, "amd64") {
			t.Errorf("%s: %v", arch, got)
		}
	}
	if isForeign("armhf", "arm64") || isForeign("amd64", "amd64") {
		t.Error("what runs here by itself is foreign")
	}
}
