package imagebuild

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sierpi/sierpi/systemd"
)

// kioskPackages are what the wall's session is made of. A Pi's X server finds its
// driver by itself; x11-xserver-utils has xset, xrandr and xsetroot.
var kioskPackages = []string{"chromium", "lightdm", "lxde-core", "lxsession", "openbox", "unclutter", "x11-xserver-utils", "xserver-xorg-core", "xserver-xorg-input-libinput", "fonts-dejavu-core", "fonts-dejavu-extra"}

// kioskVariant is the image with a wall on its screen.
const kioskVariant = "kiosk"

// checkVariant reports what no image can be built of.
func (r Recipe) checkVariant() error {
	switch {
	case r.Variant == "headless":
		return nil
	case r.Variant != kioskVariant:
		return fmt.Errorf("no variant %q is known; there are headless and kiosk", r.Variant)
	case r.Arch == "armel" || r.Base == "raspios" && r.Arch == "armhf":
		return fmt.Errorf("no kiosk image can be built for %s: Chromium needs a processor that the 1 and the Zero do not have; on the headless image the framebuffer shows the wall on them", r.Arch)
	}
	return nil
}

// kioskPackages lists what the variant has beyond the headless one. The packages that
// sierpi-kiosk depends on are named, because it is in no archive that could be asked.
func (r Recipe) kioskPackages() []string {
	list := append([]string{"sierpi-kiosk", "libgl1-mesa-dri", "libpam-systemd", "dbus-user-session"}, kioskPackages...)
	if r.Board == "pc" {
		list = append(list, "xserver-xorg-video-vesa", "xserver-xorg-video-fbdev")
	}
	return list
}

// ours reports whether a package is built here and in no archive.
func ours(name string) bool { return name == "sierpi" || name == "sierpi-kiosk" }

// kioskFor puts sierpi-kiosk into the cache and the lock, as packageFor does with
// sierpi.
func kioskFor(ctx context.Context, o Options, cache Cache, lock *Lock, license []byte, given bool) error {
	if o.Recipe.Variant != kioskVariant {
		return nil
	}
	deb := Deb{Version: o.Source.Version, Arch: "all", Time: o.Source.Time}
	path, err := deb.BuildKiosk(ctx, license, o.Out)
	if err != nil {
		return err
	}
	p, err := cache.add("sierpi-kiosk", path, deb)
	if err != nil {
		return err
	}
	if given {
		for _, l := range lock.Packages {
			if l.Archive == "local" && l.Name == p.Name && l.SHA256 != p.SHA256 {
				return fmt.Errorf("sierpi-kiosk %s built from %s is not the one in the lock file: check out the change that was locked", p.Version, o.Source.Dir)
			}
		}
		return nil
	}
	lock.Packages = append(lock.Packages, p)
	lock.sort()
	return nil
}

// kioskControl is debian/control of sierpi-kiosk. It is the same on every architecture that
// has a Chromium.
func (d Deb) kioskControl(installedKiB int64) string {
	return fmt.Sprintf(`Package: sierpi-kiosk
Version: %s
Architecture: all
Maintainer: %s
Installed-Size: %d
Depends: sierpi (>= %s), chromium | chromium-browser, lightdm, lxde-core, lxsession, openbox, unclutter, x11-xserver-utils, xserver-xorg-core | xserver, fonts-dejavu-core, polkitd, systemd (>= 252), init-system-helpers (>= 1.60)
Recommends: fonts-dejavu-extra, xserver-xorg-input-libinput
Section: x11
Priority: optional
Homepage: https://github.com/sierpi/sierpi
Description: living screen of a sierpi appliance, in a browser under LXDE
 The attached screen shows Conway's Life and Sierpinski's triangle: lightdm logs
 the wall's own user in, LXDE's session starts Chromium on the whole screen, and
 a keeper watches that it paints. A wall that does not paint is helped in steps,
 from opening the page anew to restarting the machine at most once an hour.
 .
 On a desktop whose owner is logged in by lightdm's own configuration nothing
 changes but that the wall can be chosen at the login.
`, d.Version, maintainer, installedKiB, d.Version)
}

const kioskOverrides = `# The package is built and published by the project itself; no bug of Debian's asks for it.
sierpi-kiosk: initial-upload-closes-no-bugs [usr/share/doc/sierpi-kiosk/changelog.gz:1]
`

// kioskFiles lists what sierpi-kiosk installs, sorted by path.
func (d Deb) kioskFiles(license []byte) []systemd.File {
	files := systemd.KioskFiles()
	add := func(path string, mode fs.FileMode, data []byte) {
		files = append(files, systemd.File{Path: path, Mode: mode, Data: data})
	}
	doc := "/usr/share/doc/sierpi-kiosk/"
	add(doc+"copyright", 0o644, []byte("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"+
		"Upstream-Name: sierpi\nSource: https://github.com/sierpi/sierpi\n\n"+
		"Files: *\nCopyright: 2026 the sierpi authors\nLicense: BSD-3-Clause\n"+indentLicense(license)))
	name := "changelog.gz" // a native package's
	if strings.Contains(d.Version, "-") {
		name = "changelog.Debian.gz"
	}
	add(doc+name, 0o644, gzipped([]byte(fmt.Sprintf("sierpi-kiosk (%s) unstable; urgency=medium\n\n  * Built from the project's tree; see its CHANGELOG.md.\n\n -- %s  %s\n",
		d.Version, maintainer, d.Time.UTC().Format(time.RFC1123Z)))))
	add("/usr/share/lintian/overrides/sierpi-kiosk", 0o644, []byte(kioskOverrides))
	slices.SortFunc(files, func(a, b systemd.File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}

// kioskScripts are sierpi-kiosk's maintainer scripts.
func kioskScripts() map[string]string {
	return map[string]string{
		"postinst": `#!/bin/sh
set -e

case "$1" in
    configure|abort-upgrade|abort-deconfigure|abort-remove) ;;
    *) exit 0 ;;
esac

systemd-sysusers ${DPKG_ROOT:+--root="$DPKG_ROOT"} sierpi.conf sierpi-kiosk.conf
systemd-tmpfiles ${DPKG_ROOT:+--root="$DPKG_ROOT"} --create sierpi-kiosk.conf || true

if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    # The daemon writes the wall's token where the wall's user reads it. A session that somebody
    # sits at is not restarted under his hands: the wall comes with the next boot.
    deb-systemd-invoke try-restart sierpi.service >/dev/null || true
    if grep -qs '^ *autologin-user *=' /etc/lightdm/lightdm.conf /etc/lightdm/lightdm.conf.d/*.conf; then
        echo "sierpi-kiosk: /etc/lightdm logs another user in; the wall is the session \"sierpi wall\" at the login."
        echo "sierpi-kiosk: To have it come up by itself, remove autologin-user and autologin-session there."
    else
        echo "sierpi-kiosk: the wall comes up at the next boot, or now by: systemctl restart lightdm"
    fi
fi
`,
		"postrm": `#!/bin/sh
set -e

if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    deb-systemd-invoke try-restart sierpi.service >/dev/null || true
fi

if [ "$1" = purge ]; then
    # The browser's profile and the record of restarts; the user stays, as Debian's do.
    rm -rf "$DPKG_ROOT/var/lib/sierpi-kiosk"
fi
`,
	}
}

// BuildKiosk writes the package sierpi-kiosk into dir and returns its path.
func (d Deb) BuildKiosk(ctx context.Context, license []byte, dir string) (string, error) {
	if !validVersion.MatchString(d.Version) {
		return "", fmt.Errorf("version %q is not one that dpkg takes: it starts with a digit and holds letters, digits and .+~-", d.Version)
	}
	files := d.kioskFiles(license)
	var conffiles []string
	for _, f := range files {
		if strings.HasPrefix(f.Path, "/etc/") {
			conffiles = append(conffiles, f.Path)
		}
	}
	return d.pack(ctx, dir, "sierpi-kiosk", "all", files, kioskScripts(), conffiles, d.kioskControl)
}
