package imagebuild

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tool is a program and the Debian package that brings it.
type tool struct{ program, pkg string }

var (
	packageTools  = []tool{{"dpkg-deb", "dpkg"}, {"gzip", "gzip"}, {"xz", "xz-utils"}}
	rootTools     = []tool{{"mmdebstrap", "mmdebstrap"}, {"apt-get", "apt"}, {"depmod", "kmod"}, {"zstd", "zstd"}}
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
		if lookPath(t.program) == "" {
			missing = append(missing, t.program)
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

// needForeign checks that programs of arch run here: registered with binfmt_misc.
func needForeign(arch, host string) error {
	if arch == host || arch == "armhf" && host == "arm64" {
		return nil
	}
	if err := need(foreignTools); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/register"); err != nil {
		return fmt.Errorf("programs of %s cannot run here: binfmt_misc is not mounted; run: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && update-binfmts --import && update-binfmts --enable", arch)
	}
	if err := exec.Command(lookPath("arch-test"), arch).Run(); err != nil {
		return fmt.Errorf("programs of %s cannot run here; run: apt-get install qemu-user-static && update-binfmts --import && update-binfmts --enable", arch)
	}
	return nil
}
