package imagebuild

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tool is a program, by any of its names ("qemu-arm|qemu-arm-static"), and the Debian package
// that brings it.
type tool struct{ program, pkg string }

var (
	packageTools  = []tool{{"dpkg-deb", "dpkg"}, {"gzip", "gzip"}, {"xz", "xz-utils"}}
	rootTools     = []tool{{"mmdebstrap", "mmdebstrap"}, {"apt-get", "apt"}, {"depmod", "kmod"}, {"systemctl", "systemd"}, {"zstd", "zstd"}}
	layoutTools   = []tool{{"mke2fs", "e2fsprogs"}, {"debugfs", "e2fsprogs"}, {"e2fsck", "e2fsprogs"}, {"mkfs.vfat", "dosfstools"}, {"mcopy", "mtools"}, {"sfdisk", "fdisk"}, {"xz", "xz-utils"}}
	describeTools = []tool{{"xz", "xz-utils"}, {"bmaptool", "bmap-tools"}}
	piTools       = []tool{{"dtc", "device-tree-compiler"}}
	pcTools       = []tool{{"grub-mkimage", "grub-common"}}
	foreignTools  = []tool{{"arch-test", "arch-test"}, {"update-binfmts", "binfmt-support"}}
)

// need reports everything that is missing at once, with the line that installs it.
func need(tools ...[]tool) error {
	var missing, pkgs []string
	for _, t := range slices.Concat(tools...) {
		names := strings.Split(t.program, "|")
		if !slices.ContainsFunc(names, func(name string) bool { return lookPath(name) != "" }) {
			missing = append(missing, names[0])
			pkgs = append(pkgs, t.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(pkgs)
	slices.Sort(missing)
	return fmt.Errorf("missing here: %s; install with: apt-get install %s",
		strings.Join(slices.Compact(missing), ", "), strings.Join(slices.Compact(pkgs), " "))
}

// lookPath finds a program also where only root's PATH leads.
func lookPath(program string) string {
	if p, err := exec.LookPath(program); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if p, err := exec.LookPath(dir + "/" + program); err == nil {
			return p
		}
	}
	return ""
}

// needRoot: the root file system holds files of many owners.
func needRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("building an image writes files of many owners and runs maintainer scripts in a chroot: run it as root (sudo)")
	}
	return nil
}

// isForeign is whether programs of arch run on host only by an emulator.
func isForeign(arch, host string) bool {
	return arch != host && !(arch == "armhf" && host == "arm64")
}

// runsHere is whether programs of arch were seen to run here.
func runsHere(arch string) bool {
	test := lookPath("arch-test")
	return test != "" && exec.Command(test, arch).Run() == nil
}

// emulator is what runs programs of a foreign arch. Where they run already, as in a container
// whose host brings it, it is not asked for.
func emulator(arch string) []tool {
	if runsHere(arch) {
		return nil
	}
	name := map[string]string{"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[arch]
	if name == "" {
		name = "qemu-arm"
	}
	return []tool{{name + "|" + name + "-static", "qemu-user-static"}}
}

// needForeign checks that programs of arch run here: registered with binfmt_misc.
func needForeign(arch string) error {
	if runsHere(arch) {
		return nil
	}
	mount := ""
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/register"); err != nil {
		mount = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && "
	}
	return fmt.Errorf("programs of %s cannot run here; run: %supdate-binfmts --import && update-binfmts --enable", arch, mount)
}
