//go:build long

package imagebuild

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// TestRoots installs, upgrades, removes and purges the real package in roots of Debian
// 12 and 13, as apt does on an owner's machine:
//
//	sudo go test -count=1 -tags long -timeout 60m -v ./image-build -run TestRoots
func TestRoots(t *testing.T) {
	systemtest.Root(t)
	mmdebstrap := systemtest.Tool(t, "mmdebstrap", "mmdebstrap")
	lintian := systemtest.Tool(t, "lintian", "lintian")
	debian, _, err := hostMirrors("/")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // mmdebstrap's apt reads as another user
		t.Fatal(err)
	}
	var packages [2]string
	for i, version := range []string{"0.1.0", "0.2.0"} {
		source, err := OpenSource(t.Context(), "..", version)
		if err != nil {
			t.Fatal(err)
		}
		built, err := Packages(t.Context(), Options{Source: source, Out: dir}, []string{"amd64"})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(built, func(path string) bool { return strings.HasPrefix(filepath.Base(path), "sierpi_") })
		if at < 0 {
			t.Fatalf("no package sierpi among %q", built)
		}
		packages[i] = built[at]
	}
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "bad-distribution-in-changes-file", packages[0]).CombinedOutput()
	t.Logf("lintian on the real package: %v\n%s", err, out)
	if err != nil {
		t.Error("lintian has findings")
	}
	for _, suite := range []string{"bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			root := filepath.Join(dir, suite)
			cmd := exec.Command(mmdebstrap, "--mode=root", "--variant=apt", "--include=systemd,systemd-sysv,polkitd,procps", "--aptopt=APT::Install-Recommends false",
				suite, root, "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "+debian+" "+suite+" main")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("mmdebstrap: %v\n%s", err, lastLines(string(out), 20))
			}
			inRoot := func(args ...string) string {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cmd := exec.CommandContext(ctx, "chroot", append([]string{root}, args...)...)
				cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
				}
				t.Logf("%s\n%s", strings.Join(args, " "), out)
				return string(out)
			}
			install := func(deb string) string {
				t.Helper()
				data, err := os.ReadFile(deb)
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(root, "tmp/sierpi.deb"), data, 0o644)
				said := inRoot("dpkg", "--install", "/tmp/sierpi.deb")
				os.Remove(filepath.Join(root, "tmp/sierpi.deb"))
				return said
			}
			read := func(path string) string {
				t.Helper()
				data, err := os.ReadFile(filepath.Join(root, path))
				if err != nil {
					t.Error(err)
				}
				return string(data)
			}
			enabled := func(unit string) bool {
				return exec.Command("systemctl", "--root="+root, "--quiet", "is-enabled", unit).Run() == nil
			}
			before := paths(t, root)

			install(packages[0])
			if got := inRoot("sierpi", "version"); !strings.Contains(got, "0.1.0") {
				t.Errorf("installed, it says %q", got)
			}
			for _, unit := range strings.Fields(enabledUnits) {
				if !enabled(unit) {
					t.Errorf("%s is not enabled after the installation", unit)
				}
			}
			if !strings.Contains(read("etc/passwd"), "\nsierpi:") {
				t.Error("there is no user sierpi")
			}
			if out, err := exec.Command("systemd-analyze", "verify", "--root="+root, "--man=no", "--recursive-errors=one", "sierpi.service", "sierpi.socket", "sierpi-zram.service", "sierpi-serial.service", "sierpi-firstboot.service", "sierpi-metrics.socket").CombinedOutput(); err != nil {
				t.Errorf("systemd-analyze verify in the root: %v\n%s", err, out)
			}

			// What is its owner's must outlive an upgrade.
			mine := map[string]string{"etc/sierpi/sierpi.toml": "[zram]\nenabled = false\n", "var/lib/sierpi/quotes.db": "the owner's quotes"}
			for path, text := range mine {
				write(t, filepath.Join(root, path), []byte(text), 0o640)
			}
			inRoot("systemctl", "--quiet", "disable", "sierpi-zram.service")
			install(packages[1])
			if got := inRoot("sierpi", "version"); !strings.Contains(got, "0.2.0") {
				t.Errorf("upgraded, it says %q", got)
			}
			for path, text := range mine {
				if got := read(path); got != text {
					t.Errorf("after the upgrade %s is %q", path, got)
				}
			}
			if enabled("sierpi-zram.service") {
				t.Error("the upgrade enabled again what its owner had disabled")
			}
			if !enabled("sierpi.socket") {
				t.Error("the upgrade disabled the socket")
			}

			inRoot("dpkg", "--remove", "sierpi")
			for path, text := range mine {
				if got := read(path); got != text {
					t.Errorf("after the removal %s is %q", path, got)
				}
			}
			install(packages[1])
			inRoot("dpkg", "--purge", "sierpi")
			for _, path := range paths(t, root) {
				// sysusers keeps a copy of what it changed.
				if !slices.Contains(before, path) && !strings.HasPrefix(path, "/var/log/") && !strings.HasSuffix(path, "-") && !strings.HasPrefix(path, "/var/lib/dpkg/") {
					t.Errorf("left after the purge: %s", path)
				}
			}
		})
	}
}

// paths lists everything below a root.
func paths(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		out = append(out, strings.TrimPrefix(path, root))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
