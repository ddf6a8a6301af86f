package imagebuild

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// nativePackages are of the image's release, but of this machine's architecture.
// While the packages of a foreign root install, their programs stand in for the
// emulated ones of the same version: the shell, Perl, Python and the small tools of
// maintainer scripts, and the unpacking. dpkg itself stays: it has its architecture
// compiled in. At the end each goes back where it was, and nothing of them is left.
var nativePackages = []string{
	"dash", "coreutils", "sed", "grep", "findutils", "mawk", "tar", "gzip", "xz-utils", "zstd", "cpio", "bzip2",
	"perl-base", "dpkg", "debianutils", "diffutils", "python3.13-minimal", "util-linux", "libc-bin",
	"udev", // systemd-hwdb compiles its database for a minute under emulation
}

// notNative stay the image's own, though the native packages have them.
var notNative = []string{
	// They answer with the architecture that they are of, or work on the running system.
	"uname", "arch", "dpkg", "setarch", "ldconfig", "mount", "umount", "su", "udevadm",
	// mkinitramfs copies them into the initramfs.
	"blkid", "fsck",
}

// standInHook lays the native tree's programs over the root's before anything is
// configured. $1 is the root, $2 the tree. Diversions keep dpkg from laying the foreign
// ones back; they are written to its file, for running dpkg-divert a hundred times
// under emulation would take longer than it saves.
const standInHook = `#!/bin/sh
set -eu
root=$1 native=$2
# The dynamic loader and the folders of Perl and systemd lie under paths of their own
# architecture. Libraries go to /usr/lib itself, which the loader also searches: hooks of
# mkinitramfs take every /usr/lib/*-linux-gnu/libkmod and its like.
for path in "$native"/usr/lib/*-linux-gnu*/*; do
    triplet=${path%/*} triplet=${triplet##*/}
    [ ! -d "$path" ] && [ "${path##*/ld-linux}" = "$path" ] || [ -L "$path" ] || {
        mkdir -p "$root/usr/lib/$triplet"
        cp -a "$path" "$root/usr/lib/$triplet/"
        continue
    }
    [ ! -e "$root/usr/lib/${path##*/}" ] || { echo "the root has /usr/lib/${path##*/} already" >&2; exit 1; }
    cp -a "$path" "$root/usr/lib/"
    echo "usr/lib/${path##*/}" >>"$native/added"
done
for lib in "$native"/usr/lib/*-linux-gnu*; do
    [ ! -d "$root/usr/lib/${lib##*/}" ] || echo "usr/lib/${lib##*/}" >>"$native/added"
done
if [ -d "$native/usr/lib64" ] && [ ! -e "$root/lib64" ]; then
    mkdir -p "$root/usr/lib64"
    cp -a "$native"/usr/lib64/. "$root/usr/lib64/"
    ln -s usr/lib64 "$root/lib64"
    printf 'usr/lib64\nlib64\n' >>"$native/added"
fi
while read -r program; do
    if [ -f "$root/$program" ] && [ ! -L "$root/$program" ]; then
        mv "$root/$program" "$root/$program.later"
    elif [ -e "$root/$program" ]; then
        continue
    else
        case "${program##*/}" in
        python3.13 | systemd-hwdb | zstd | cpio) ;; # yet to come
        *) continue ;; # not in the image
        esac
    fi
    cp "$native/$program" "$root/$program"
    printf '/%s\n/%s.later\n:\n' "$program" "$program" >>"$root/var/lib/dpkg/diversions"
    echo "$program" >>"$native/replaced"
done <"$native/programs"
`

// standOutHook takes them out again.
const standOutHook = `#!/bin/sh
set -eu
root=$1 native=$2
while read -r program; do
    if [ -e "$root/$program.later" ]; then
        mv "$root/$program.later" "$root/$program"
    else
        rm "$root/$program" # the image has none
    fi
done <"$native/replaced"
awk 'NR % 3 == 1 { path = $0 } NR % 3 == 2 { to = $0 } NR % 3 == 0 && to != path ".later" { print path; print to; print $0 }' \
    "$root/var/lib/dpkg/diversions" >"$native/diversions"
cat "$native/diversions" >"$root/var/lib/dpkg/diversions"
while read -r added; do
    rm -r "${root:?}/$added"
done <"$native/added"
`

// nativeTree unpacks the tools and lists the programs that can stand in.
func (b rootBuild) nativeTree(ctx context.Context) error {
	tree := filepath.Join(b.work, "native")
	if err := makeDir(tree); err != nil {
		return err
	}
	for _, p := range b.lock.Tools {
		if p.Arch != b.host && p.Arch != "all" {
			return fmt.Errorf("the lock file's tools are of %s, this machine is %s; build with --emulated", p.Arch, b.host)
		}
		if _, err := (command{}).run(ctx, "dpkg-deb", "--extract", b.cache.Path(p), tree); err != nil {
			return err
		}
	}
	var programs strings.Builder
	for _, dir := range []string{"usr/bin", "usr/sbin"} {
		entries, err := os.ReadDir(filepath.Join(tree, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			switch {
			case !e.Type().IsRegular():
				continue
			case slices.Contains(notNative, name):
				continue
			}
			if is, err := isELF(filepath.Join(tree, dir, name)); err != nil {
				return err
			} else if is {
				programs.WriteString(dir + "/" + name + "\n")
			}
		}
	}
	return os.WriteFile(filepath.Join(tree, "programs"), []byte(programs.String()), 0o644)
}

func isELF(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil {
		return false, nil // shorter than that
	}
	return string(magic) == elf.ELFMAG, nil
}

// machines of the architectures.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "armhf": elf.EM_ARM, "armel": elf.EM_ARM}

// onlyMachine checks that every program of the root, and of its initramfs, is of its
// architecture: a stand-in left behind would be a machine that does not start.
func onlyMachine(root, arch string) error {
	want := machines[arch]
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		// Data for other machines, by design.
		rel := strings.TrimPrefix(path, root)
		if strings.HasPrefix(rel, "/usr/lib/grub/") || strings.HasPrefix(rel, "/boot/") && !strings.HasPrefix(filepath.Base(rel), "initrd") || strings.HasPrefix(rel, "/usr/lib/firmware/") || strings.HasPrefix(rel, "/usr/lib/raspi-firmware/") {
			return nil
		}
		if strings.HasPrefix(rel, "/boot/initrd") {
			return initramfsMachine(path, want)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		head := make([]byte, 20)
		if _, err := io.ReadFull(f, head); err != nil || string(head[:4]) != elf.ELFMAG {
			return nil
		}
		if got := elf.Machine(binary.LittleEndian.Uint16(head[18:])); got != want {
			return fmt.Errorf("%s is a program for %s in a root of %s", rel, got, arch)
		}
		return nil
	})
}

// skipCPIO returns what follows the uncompressed archives at the start of an initramfs:
// Debian 13 puts there what is compressed already, modules and firmware.
func skipCPIO(data []byte) ([]byte, error) {
	const header = 110 // "070701" and thirteen numbers of eight hexadecimal digits
	align := func(n int) int { return (n + 3) &^ 3 }
	rest := data
	for {
		rest = bytes.TrimLeft(rest, "\x00")
		if !bytes.HasPrefix(rest, []byte("070701")) {
			return rest, nil
		}
		if len(rest) < header {
			return nil, errors.New("an archive's header is cut off")
		}
		size, err1 := strconv.ParseUint(string(rest[54:62]), 16, 32)
		name, err2 := strconv.ParseUint(string(rest[94:102]), 16, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("an archive's header cannot be read: %w", err)
		}
		end := align(align(header+int(name)) + int(size))
		if end > len(rest) {
			return nil, errors.New("an archive's file is cut off")
		}
		rest = rest[end:]
	}
}

// initramfsMachine looks at every ELF header of an initramfs.
func initramfsMachine(path string, want elf.Machine) error {
	whole, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	packed, err := skipCPIO(whole)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	cmd := exec.Command("zstd", "-dcq")
	cmd.Stdin = bytes.NewReader(packed)
	data, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s is not compressed by zstd: %w", path, err)
	}
	found := 0
	for i := 0; ; {
		// 64-bit or 32-bit, little-endian, version 1.
		n := bytes.Index(data[i:], []byte(elf.ELFMAG))
		if n < 0 {
			break
		}
		i += n
		if h := data[i:]; len(h) > 20 && (h[4] == 1 || h[4] == 2) && h[5] == 1 && h[6] == 1 {
			if kind := binary.LittleEndian.Uint16(h[16:]); kind >= 1 && kind <= 3 {
				if got := elf.Machine(binary.LittleEndian.Uint16(h[18:])); got != want {
					return fmt.Errorf("%s holds a program for %s; its root is for %s", path, got, want)
				}
				found++
			}
		}
		i += 4
	}
	if found == 0 {
		return fmt.Errorf("no program was found in %s", path)
	}
	return nil
}
