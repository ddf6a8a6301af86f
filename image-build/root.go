package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// rootBuild makes the root file system of an image as a folder.
type rootBuild struct {
	recipe Recipe
	lock   Lock
	mir    Mirrors
	dir    string // empty or absent
	work   string // scratch
	cache  Cache
	host   string // this machine's architecture
	// emulated: without native stand-ins, as a plain chroot would
	emulated bool
	log      io.Writer
}

// essentialHook runs when the essential packages are in and the others are to come.
// update-initramfs and depmod are what takes most of the time: they are put
// aside, to be run once at the end, depmod by this machine's own.
const essentialHook = `#!/bin/sh
set -eu
root=$1
for program in /usr/sbin/update-initramfs /usr/sbin/depmod; do
    chroot "$root" dpkg-divert --quiet --local --rename --divert "$program.later" --add "$program"
    printf '#!/bin/sh\nexit 0\n' >"$root$program"
    chmod 755 "$root$program"
done
# What the packages' own scripts read while they install.
cp -a "$2/early/." "$root/"
`

// customizeHook runs when all packages are in.
const customizeHook = `#!/bin/sh
set -eu
root=$1
for program in /usr/sbin/update-initramfs /usr/sbin/depmod; do
    rm "$root$program"
    chroot "$root" dpkg-divert --quiet --local --rename --remove "$program"
done
cp -a --remove-destination "$2/late/." "$root/"
for dir in "$root"/usr/lib/modules/*; do
    depmod -b "$root" "${dir##*/}"
done
# The hooks behind it copy kernel, initramfs and device trees to /boot/firmware.
for dir in "$root"/usr/lib/modules/*; do
    SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH chroot "$root" update-initramfs -c -k "${dir##*/}"
done
[ ! -e "$2/native" ] || "$2/stand-out" "$root" "$2/native"
`

// build runs mmdebstrap over the local archive.
func (b rootBuild) build(ctx context.Context) error {
	files, err := b.recipe.rootFiles(b.lock, b.mir)
	if err != nil {
		return err
	}
	for _, f := range files {
		// The firmware's and the initramfs' settings are read while packages install; the rest
		// would collide with files that packages bring.
		stage := "late"
		if strings.HasPrefix(f.Path, "/etc/default/raspi") || strings.HasPrefix(f.Path, "/etc/initramfs-tools/conf.d") {
			stage = "early"
		}
		if err := writeFile(filepath.Join(b.work, stage, f.Path), f.Data, f.Mode); err != nil {
			return err
		}
	}
	if err := makeDir(filepath.Join(b.work, "late")); err != nil {
		return err
	}
	// openssh-server makes keys where there are none, an RSA key under emulation among them,
	// and finish takes them out again: empty ones save the time.
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		if err := writeFile(filepath.Join(b.work, "early/etc/ssh/ssh_host_"+kind+"_key"), nil, 0o600); err != nil {
			return err
		}
	}
	hooks := map[string]string{"essential": essentialHook, "customize": customizeHook, "stand-in": standInHook, "stand-out": standOutHook}
	if b.recipe.Arch != b.host && !b.emulated && len(b.lock.Tools) > 0 {
		if err := b.nativeTree(ctx); err != nil {
			return fmt.Errorf("native stand-ins: %w", err)
		}
	}
	for name, script := range hooks {
		if err := writeFile(filepath.Join(b.work, name), []byte(script), 0o755); err != nil {
			return err
		}
	}
	var native []string
	if _, err := os.Stat(filepath.Join(b.work, "native")); err == nil {
		native = []string{fmt.Sprintf("--extract-hook=%s/stand-in \"$1\" %s/native", b.work, b.work)}
	}
	if err := b.mmdebstrap(ctx, append(native,
		fmt.Sprintf("--essential-hook=%s/essential \"$1\" %s", b.work, b.work),
		fmt.Sprintf("--customize-hook=%s/customize \"$1\" %s", b.work, b.work),
		// A conffile that our settings changed before its package came stays as it is.
		"--dpkgopt=force-confold", "--dpkgopt=force-confdef",
	)...); err != nil {
		return err
	}
	return b.finish(ctx)
}

// plain is the yardstick: the same packages by mmdebstrap alone.
func (b rootBuild) plain(ctx context.Context) error { return b.mmdebstrap(ctx) }

func (b rootBuild) mmdebstrap(ctx context.Context, more ...string) error {
	packages, err := b.recipe.packages()
	if err != nil {
		return err
	}
	archive := filepath.Join(b.work, "archive")
	if err := os.RemoveAll(archive); err != nil {
		return err
	}
	if err := localArchive(ctx, archive, b.cache, b.lock); err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--format=directory", "--variant=apt", "--verbose",
		"--architectures=" + b.recipe.Arch,
		"--include=" + strings.Join(packages, ","),
		"--aptopt=APT::Install-Recommends false",
		// The card's fsyncs are no concern of a folder that is thrown away on an error.
		"--dpkgopt=force-unsafe-io",
	}
	args = append(args, more...)
	// The hashes of the packages were checked against the lock, and the lock's come from
	// signed indexes; this archive is a list of them.
	args = append(args, b.lock.Release, b.dir, fmt.Sprintf("deb [trusted=yes] copy://%s %s main", archive, b.lock.Release))
	c := command{env: []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.lock.Time.Unix())}, log: b.log}
	_, err = c.run(ctx, "mmdebstrap", args...)
	return err
}

// finish takes out of the root what belongs to one machine or to the build, and
// sets every time that is later than the lock's.
func (b rootBuild) finish(ctx context.Context) error {
	for _, pattern := range []string{
		"etc/ssh/ssh_host_*",                                        // each machine makes its own
		"etc/apt/sources.list", "etc/apt/sources.list.d/0000*.list", // of the build
		"etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
		"var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret",
		"var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/cache/debconf/*-old", "var/lib/dpkg/*-old",
		"var/cache/ldconfig/aux-cache", "var/log/*.log", "var/log/apt/*", "var/log/journal",
		"boot/*.dpkg-bak", "boot/*.old-dkms", "etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
		"usr/lib/python3*/__pycache__/*.tmp", "run/*", "tmp/*",
	} {
		paths, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	// SSH is off until it is asked for; waiting for a network would hold a machine without one.
	for _, args := range [][]string{
		{"disable", "ssh.service", "ssh.socket", "systemd-networkd-wait-online.service"},
		{"enable", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service"},
	} {
		if _, err := (command{log: b.log}).run(ctx, "systemctl", append([]string{"--root=" + b.dir}, args...)...); err != nil {
			return fmt.Errorf("units of the image: %w", err)
		}
	}
	if err := replaceLink(filepath.Join(b.dir, "etc/resolv.conf"), "../run/systemd/resolve/stub-resolv.conf"); err != nil {
		return err
	}
	if b.recipe.Board == "pi" {
		overlays := filepath.Join(b.dir, "boot/firmware/overlays")
		if err := makeDir(overlays); err != nil {
			return err
		}
		if _, err := (command{log: b.log}).run(ctx, "dtc", "-q", "-I", "dts", "-O", "dtb", "-o", filepath.Join(overlays, overlayName+".dtbo"),
			filepath.Join(b.dir, "usr/lib/sierpi", overlayName+".dts")); err != nil {
			return fmt.Errorf("compiling the overlay: %w", err)
		}
		if b.recipe.Base == "raspios" {
			for _, f := range b.recipe.raspiosFiles(b.recipe.identity(b.lock)) {
				if err := writeFile(filepath.Join(b.dir, f.Path), f.Data, f.Mode); err != nil {
					return err
				}
			}
		}
	}
	if b.recipe.Board == "pc" {
		// What grub-install would copy; the core finds them by its prefix.
		from, to := filepath.Join(b.dir, "usr/lib/grub/i386-pc"), filepath.Join(b.dir, "boot/grub/i386-pc")
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return err
		}
	}
	reference, err := os.ReadFile(filepath.Join(b.dir, "usr/share/sierpi/sierpi.toml"))
	if err != nil {
		return err
	}
	for _, f := range b.recipe.bootFiles(reference) {
		if err := writeFile(filepath.Join(b.dir, "boot/firmware", f.Path), f.Data, f.Mode); err != nil {
			return err
		}
	}
	if err := onlyMachine(b.dir, b.recipe.Arch); err != nil {
		return err
	}
	return clampTimes(b.dir, b.lock.Time)
}

func replaceLink(path, target string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, path)
}

// clampTimes lowers every time below root that is later than latest: those are of
// the build, not of the packages.
func clampTimes(root string, latest time.Time) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.ModTime().After(latest) {
			return nil
		}
		return setTime(path, latest)
	})
}

// usage is one package's share of an image.
type usage struct {
	name string
	kib  int64
}

// installedSizes reads the root's package database, largest first.
func installedSizes(root string) ([]usage, error) {
	doc, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return nil, err
	}
	return parseSizes(doc), nil
}
