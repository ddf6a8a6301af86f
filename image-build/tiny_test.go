package imagebuild

import (
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// layoutNeeds says what Debian's tools the layout and the inspection run.
func layoutNeeds(t testing.TB) {
	for _, tools := range [][]tool{packageTools, layoutTools, piTools} {
		for _, tool := range tools {
			systemtest.Tool(t, tool.program, tool.pkg)
		}
	}
}

func tinyRecipe() Recipe {
	r := Recipe{Base: "debian", Arch: "arm64", Board: "pi", Variant: "headless"}
	r.Settings.Hostname = "sierpi"
	return r
}

func tinyLock(r Recipe) Lock {
	return Lock{Base: r.Base, Release: release, Arch: r.Arch, Board: r.Board, Variant: r.Variant, Version: "0.1.0", Time: testTime, Packages: []Locked{
		{Name: "base-files", Version: "13.8+deb13u1", Arch: r.Arch, SHA256: [32]byte{1}, Size: 72000, Archive: "debian", Path: "pool/main/b/base-files/base-files_13.8+deb13u1_arm64.deb"},
		{Name: "sierpi", Version: "0.1.0", Arch: r.Arch, SHA256: [32]byte{2}, Size: 9000000, Archive: "local", Path: "sierpi_0.1.0_arm64.deb"},
		{Name: "sudo", Version: "1.9.16p2-3", Arch: r.Arch, SHA256: [32]byte{3}, Size: 2000000, Archive: "security", Path: "pool/main/s/sudo/sudo_1.9.16p2-3_arm64.deb"},
	}}
}

var testMirrors = Mirrors{"debian": "http://mirror.example/debian", "security": "http://mirror.example/debian-security",
	"raspberrypi": "http://pi.example/debian", "raspbian": "http://raspbian.example/raspbian"}

// tinyTree is a root file system of the least that an image has: our own package as it
// is built, what the recipe adds, and stand-ins for kernel and firmware.
func tinyTree(t *testing.T, r Recipe, lock Lock) string {
	t.Helper()
	root := t.TempDir()
	deb, err := (Deb{Version: lock.Version, Arch: r.Arch, Time: lock.Time}).Build(t.Context(), testContents(t, r.Arch), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (command{}).run(t.Context(), "dpkg-deb", "--extract", deb, root); err != nil {
		t.Fatal(err)
	}
	files, err := r.rootFiles(lock, testMirrors)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		write(t, filepath.Join(root, f.Path), f.Data, f.Mode)
	}
	for _, f := range r.bootFiles([]byte("# every key, commented\n")) {
		write(t, filepath.Join(root, "boot/firmware", f.Path), f.Data, f.Mode)
	}
	// What Debian's hook makes of our settings, on a real image.
	for _, name := range []string{"config.txt", "cmdline.txt"} {
		doc, err := os.ReadFile("testdata/boot-debian-arm64/" + name)
		if err != nil {
			t.Fatal(err)
		}
		doc = []byte(strings.ReplaceAll(string(doc), "PARTUUID=ROOT", "PARTUUID="+r.identity(lock).partUUID(2)))
		write(t, filepath.Join(root, "boot/firmware", name), doc, 0o644)
	}
	for _, name := range debianBootFiles {
		write(t, filepath.Join(root, "boot/firmware", name), []byte("stand-in for "+name), 0o644)
	}
	if _, err := (command{}).run(t.Context(), "dtc", "-q", "-I", "dts", "-O", "dtb", "-o", filepath.Join(root, "boot/firmware/overlays/"+overlayName+".dtbo"),
		filepath.Join(root, "usr/lib/sierpi", overlayName+".dts")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "etc/shadow"), []byte("root:*:20000:0:99999:7:::\nsierpi:!:20000::::::\n"), 0o640)
	write(t, filepath.Join(root, "usr/bin/sudo"), program(t, r.Arch), 0o755)
	if err := os.Chmod(filepath.Join(root, "usr/bin/sudo"), os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// debianBootFiles are what the Debian arm64 image has on its boot partition beside the
// files that our recipe writes.
var debianBootFiles = []string{
	"bootcode.bin", "start.elf", "fixup.dat", "start_cd.elf", "fixup_cd.dat", "start4.elf", "fixup4.dat", "start4cd.elf", "fixup4cd.dat",
	"bcm2837-rpi-3-b.dtb", "bcm2837-rpi-3-b-plus.dtb", "bcm2837-rpi-zero-2-w.dtb", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4-io.dtb",
	"vmlinuz-6.12.118+deb13-arm64", "initrd.img-6.12.118+deb13-arm64", "overlays/.keep",
}

func write(t testing.TB, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := writeFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
}

// TestTinyImage goes the builder's whole way but for Debian's own packages: recipe,
// package, layout, inspection, linter.
func TestTinyImage(t *testing.T) {
	layoutNeeds(t)
	r := tinyRecipe()
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	lock := tinyLock(r)
	var sums [2][32]byte
	var image string
	for i := range sums {
		root := tinyTree(t, r, lock)
		if err := onlyMachine(root, r.Arch); err != nil {
			t.Error(err)
		}
		dir := t.TempDir()
		image = filepath.Join(dir, r.Name()+".img")
		b := layoutBuild{recipe: r, id: r.identity(lock), time: lock.Time, root: root, work: dir}
		if err := b.build(t.Context(), image); err != nil {
			t.Fatal(err)
		}
		d, err := digestFile(image)
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = d.sum
	}
	if sums[0] != sums[1] {
		t.Errorf("two layouts of the same root differ: %x and %x", sums[0], sums[1])
	}
	findings, err := Inspect(t.Context(), image, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) > 0 {
		t.Errorf("the good image has findings:\n%s", strings.Join(findings, "\n"))
	}
	mark, err := ReadMark(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	if mark.Arch != "arm64" || mark.Board != "pi" || mark.Version != "0.1.0" || !slices.Equal(mark.Boards, r.boards()) {
		t.Errorf("the mark is %+v", mark)
	}
	boot, err := bootFromFAT(t.Context(), image, "pi3", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "fdtoverlay") {
		// The tree is a stand-in, which fdtoverlay must refuse: it was given it and the overlay.
		t.Errorf("the boot partition was read as %+v (%v)", boot, err)
	}

	// Somebody leaves a shell of root behind: its mode is in the file system only.
	d, err := openDisk(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (command{}).run(t.Context(), "debugfs", "-w", "-R", "set_inode_field /usr/bin/sierpi mode 0104755", fmt.Sprintf("%s?offset=%d", image, d.root.start)); err != nil {
		t.Fatal(err)
	}
	findings, err = Inspect(t.Context(), image, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 1 || !strings.HasPrefix(findings[0], "/usr/bin/sierpi: unknown setuid") {
		t.Errorf("a setuid program more: findings %q", findings)
	}
}

// TestInspectFinds spoils a good tree in one way at a time.
func TestInspectFinds(t *testing.T) {
	layoutNeeds(t)
	r := tinyRecipe()
	lock := tinyLock(r)
	good := tinyTree(t, r, lock)
	part := r.identity(lock).partUUID(2)
	const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n"
	for _, tt := range []struct {
		file, text string // appended; below the root
		want       string
	}{
		{"etc/ssh/ssh_host_ed25519_key", key, "an SSH host key"},
		{"etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAA", "an SSH host key"},
		{"etc/machine-id", "0123456789abcdef0123456789abcdef\n", "a machine-id"},
		{"root/.ssh/id_ed25519", key, "a private key"},
		{"root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n", "let in on every card"},
		{"etc/shadow", "ada:$y$j9T$salt$hash:20000:0:99999:7:::\n", "ada has a password"},
		{"etc/shadow", "ada::20000:0:99999:7:::\n", "ada has a password, or none is asked for"},
		{"var/lib/systemd/random-seed", "x", "a random seed"},
		{"etc/apt/sources.list.d/x.list", "deb http://x.example/debian trixie main\n", "names no key"},
		{"etc/apt/sources.list.d/x.list", "deb [trusted=yes] http://x.example/debian trixie main\n", "names no key"},
		{"etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: http://x.example\nSuites: x\n", "names no key"},
		{"etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: http://x.example\nTrusted: yes\nSigned-By: /x.gpg\n", "an unsigned source"},
		{"etc/apt/apt.conf.d/99x", "Acquire::AllowInsecureRepositories \"true\";\n", "lets unsigned packages in"},
		{"etc/wpa_supplicant/wpa_supplicant-wlan0.conf", "network={\n psk=\"secret words\"\n}\n", "a Wi-Fi password"},
		{"boot/firmware/sierpi.toml", "[firstboot.wifi]\npassword = \"secret words\"\n", "holds a password"},
		{"boot/firmware/sierpi.toml", "[firstboot]\npasword = \"secret words\"\n", "pasword"},
		{"boot/firmware/userconf.txt", "ada:$6$x", "the answers of one owner"},
		{"boot/firmware/config.txt", "[all]\nenable_uart=0\n", "lacks enable_uart=1"},
		{"boot/firmware/cmdline.txt", "quiet\n", "more than one line"},
		{"usr/lib/sierpi/image.json", "}", "invalid character"},
		{"etc/fstab", "", ""},
	} {
		name := strings.ReplaceAll(tt.file, "/", "_") + " " + tt.want
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.CopyFS(root, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(root, tt.file)
			old, _ := os.ReadFile(path) // absent: made
			os.Remove(path)
			write(t, path, append(old, tt.text...), 0o644)
			boot := filepath.Join(t.TempDir(), "boot")
			if err := os.Rename(filepath.Join(root, "boot/firmware"), boot); err != nil {
				t.Fatal(err)
			}
			findings, err := (&inspection{root: root, boot: boot}).all(nil, part)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(findings) > 0 {
					t.Errorf("unspoilt: %q", findings)
				}
			} else if len(findings) == 0 || !strings.Contains(strings.Join(findings, "\n"), tt.want) {
				t.Errorf("findings %q, expected one with %q", findings, tt.want)
			}
		})
	}
}

// TestStandInLeft: a program of the building machine left in the root must stop the build.
func TestStandInLeft(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/bin/dash"), program(t, "amd64"), 0o755)
	if err := onlyMachine(root, "arm64"); err == nil || !strings.Contains(err.Error(), elf.EM_X86_64.String()) {
		t.Errorf("an amd64 shell in an arm64 root: %v", err)
	}
	if err := onlyMachine(root, "amd64"); err != nil {
		t.Error(err)
	}
}

// cpio is an archive of one file, as an initramfs holds it.
func cpio(name, data string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", (4-len(s)%4)%4) }
	entry := func(name, data string) string {
		return pad(pad("070701"+strings.Repeat("00000000", 6)+fmt.Sprintf("%08x", len(data))+strings.Repeat("00000000", 4)+fmt.Sprintf("%08x", len(name)+1)+"00000000"+name+"\x00") + data)
	}
	return pad(entry(name, data) + entry("TRAILER!!!", ""))
}

// TestInitramfsMachine: Debian 13's has an uncompressed archive before the compressed one.
func TestInitramfsMachine(t *testing.T) {
	zstd := systemtest.Tool(t, "zstd", "zstd")
	cmd := exec.Command(zstd, "-cq")
	cmd.Stdin = strings.NewReader(cpio("usr/bin/busybox", string(program(t, "arm64"))))
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	early := cpio("usr/lib/modules/x.ko.xz", "\xfd7zXZ compressed already")
	for name, doc := range map[string]string{"with": early + strings.Repeat("\x00", 512) + string(packed), "without": string(packed)} {
		path := filepath.Join(t.TempDir(), "initrd.img")
		write(t, path, []byte(doc), 0o644)
		if err := initramfsMachine(path, elf.EM_AARCH64); err != nil {
			t.Errorf("%s an early archive: %v", name, err)
		}
		if err := initramfsMachine(path, elf.EM_ARM); err == nil {
			t.Errorf("%s an early archive: a program of arm64 passes for one of arm", name)
		}
	}
	for name, doc := range map[string]string{"early only": early, "cut off": early[:150], "empty": ""} {
		path := filepath.Join(t.TempDir(), "initrd.img")
		write(t, path, []byte(doc), 0o644)
		if err := initramfsMachine(path, elf.EM_AARCH64); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

func FuzzSkipCPIO(f *testing.F) {
	f.Add([]byte(cpio("a", "b")))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = skipCPIO(data) })
}

func TestIdentityFollowsTheLock(t *testing.T) {
	r := tinyRecipe()
	a := r.identity(tinyLock(r))
	if b := r.identity(tinyLock(r)); a != b {
		t.Errorf("one lock, two identities: %+v, %+v", a, b)
	}
	other := tinyLock(r)
	other.Packages[0].SHA256 = sha256.Sum256([]byte("another"))
	if b := r.identity(other); a == b {
		t.Error("two locks, one identity")
	}
	later := tinyLock(r)
	later.Time = later.Time.Add(time.Second)
	if b := r.identity(later); a == b {
		t.Error("two times, one identity")
	}
}
