package imagebuild

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// debianBoot is the boot partition of a real Debian arm64 image; ROOT stands for the
// image's own PARTUUID.
func debianBoot(t testing.TB) bootPartition {
	t.Helper()
	b := bootPartition{files: map[string]bool{"overlays/" + overlayName + ".dtbo": true}}
	for _, f := range debianBootFiles {
		b.files[strings.ToLower(f)] = true
	}
	for name, into := range map[string]*string{"config.txt": &b.config, "cmdline.txt": &b.cmdline} {
		doc, err := os.ReadFile("testdata/boot-debian-arm64/" + name)
		if err != nil {
			t.Fatal(err)
		}
		*into = string(doc)
	}
	return b
}

func TestLintBoot(t *testing.T) {
	r := tinyRecipe()
	for _, tt := range []struct {
		name  string
		spoil func(*bootPartition)
		want  string // "": nothing
	}{
		{"as it is built", func(*bootPartition) {}, ""},
		{"kernel missing", func(b *bootPartition) { delete(b.files, "vmlinuz-6.12.118+deb13-arm64") }, "names the kernel"},
		{"initramfs missing", func(b *bootPartition) { delete(b.files, "initrd.img-6.12.118+deb13-arm64") }, "names the initramfs"},
		{"device tree missing", func(b *bootPartition) { delete(b.files, "bcm2837-rpi-zero-2-w.dtb") }, "pi02: its device tree"},
		{"overlay missing", func(b *bootPartition) { delete(b.files, "overlays/"+overlayName+".dtbo") }, "loads the overlay"},
		{"firmware missing", func(b *bootPartition) { delete(b.files, "start4.elf") }, "pi4: its firmware start4.elf"},
		{"cut-down firmware missing", func(b *bootPartition) { delete(b.files, "start_cd.elf") }, "start_cd.elf"},
		{"32 bits", func(b *bootPartition) { b.config = strings.ReplaceAll(b.config, "arm_64bit=1", "") }, "lacks arm_64bit=1"},
		{"no UART", func(b *bootPartition) { b.config = strings.ReplaceAll(b.config, "enable_uart=1", "") }, "lacks enable_uart=1"},
		{"UART for others only", func(b *bootPartition) { b.config += "\n[pi4]\nenable_uart=0\n" }, "pi4: config.txt lacks enable_uart=1"},
		{"CMA", func(b *bootPartition) { b.cmdline = strings.TrimSpace(b.cmdline) + " cma=64M\n" }, "pi4: does not boot with cma="},
		{"two lines", func(b *bootPartition) { b.cmdline += "quiet\n" }, "more than one line"},
		{"too long", func(b *bootPartition) {
			b.cmdline = strings.TrimSpace(b.cmdline) + " " + strings.Repeat("x", 512) + "\n"
		}, "more than one sector"},
		{"empty", func(b *bootPartition) { b.cmdline = "" }, "cmdline.txt is empty"},
		{"another root", func(b *bootPartition) { b.cmdline = strings.ReplaceAll(b.cmdline, "ROOT", "12345678-02") }, "is not this image's root"},
		{"a hook of an old Imager", func(b *bootPartition) {
			b.cmdline = strings.TrimSpace(b.cmdline) + " systemd.run=/boot/firstrun.sh\n"
		}, "starts something else"},
		{"the overlay is not loaded", func(b *bootPartition) { b.config = strings.ReplaceAll(b.config, "dtoverlay="+overlayName, "") }, "the UART on its header is ttyS1"},
		{"Bluetooth off", func(b *bootPartition) {
			b.config += "\ndtoverlay=disable-bt\n"
			b.files["overlays/disable-bt.dtbo"] = true
		}, "the UART on its header is ttyAMA0"},
		{"an unknown filter", func(b *bootPartition) { b.config += "\n[pi9]\nx=1\n" }, "no filter that firmware knows"},
		{"no assignment", func(b *bootPartition) { b.config += "\nenable_uart 1\n" }, "is not KEY=VALUE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := debianBoot(t)
			tt.spoil(&b)
			found := lintBoot(b, r.Base, r.Arch, r.boards(), "ROOT")
			switch {
			case tt.want == "" && len(found) > 0:
				t.Errorf("found %q", found)
			case tt.want != "" && !strings.Contains(strings.Join(found, "\n"), tt.want):
				t.Errorf("found %q, expected one with %q", found, tt.want)
			}
		})
	}
	if found := lintBoot(debianBoot(t), "debian", "arm64", []string{"pi1", "pi9"}, "ROOT"); !strings.Contains(strings.Join(found, "\n"), "pi1: has no 64-bit CPU") || !strings.Contains(strings.Join(found, "\n"), "pi9: no such board") {
		t.Errorf("boards that cannot be: %q", found)
	}
}

// TestRaspiosLints holds what the Raspberry Pi OS recipes generate to the linter, with
// the files that Raspberry Pi's own packages lay down.
func TestRaspiosLints(t *testing.T) {
	for _, r := range recipes() {
		if r.Base != "raspios" {
			continue
		}
		b := bootPartition{files: map[string]bool{}}
		for _, name := range r.boards() {
			f := boardTable[name]
			for _, file := range slices.Concat(f.firmware, f.cut, f.trees[len(f.trees)-1:]) {
				b.files[file] = true
			}
		}
		for _, f := range r.raspiosFiles(r.identity(tinyLock(r))) {
			switch f.Path {
			case "/boot/firmware/config.txt":
				b.config = string(f.Data)
			case "/boot/firmware/cmdline.txt":
				b.cmdline = string(f.Data)
			}
		}
		if found := lintBoot(b, r.Base, r.Arch, r.boards(), r.identity(tinyLock(r)).partUUID(2)); len(found) > 0 {
			t.Errorf("%s: %q", r.Name(), found)
		}
	}
}

func TestChooseBoot(t *testing.T) {
	b := debianBoot(t)
	kernel, initrd, tree, over, err := chooseBoot(b, "pi3")
	if err != nil {
		t.Fatal(err)
	}
	if kernel != "vmlinuz-6.12.118+deb13-arm64" || initrd != "initrd.img-6.12.118+deb13-arm64" || tree != "bcm2837-rpi-3-b.dtb" || !slices.Equal(over, []string{overlayName}) {
		t.Errorf("a 3 would load %s, %s, %s and the overlays %q", kernel, initrd, tree, over)
	}
	if _, _, _, _, err := chooseBoot(b, "pi2"); err == nil {
		t.Error("a 2 would boot, without its device tree")
	}
}

func FuzzParseConfigTxt(f *testing.F) {
	f.Add("[pi4]\narm_64bit=1\n[all]\nkernel=vmlinuz\ninitramfs initrd.img followkernel\ndtoverlay=x,y=z\n", "console=tty0 root=PARTUUID=1-02 rootwait\n")
	f.Add("[", "")
	f.Add("=\n[]\n", "root= root=")
	f.Fuzz(func(t *testing.T, config, cmdline string) {
		b := bootPartition{files: map[string]bool{}, config: config, cmdline: cmdline}
		for _, r := range recipes() {
			lintBoot(b, r.Base, r.Arch, r.boards(), "1-02")
		}
		_, _, _, _, _ = chooseBoot(b, "pi3")
	})
}
