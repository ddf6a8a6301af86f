package imagebuild

import (
	"strings"
)

// enabled lists the units that an installation enables, started those that it also
// starts. The first boot is not started: on a machine where the package was
// installed by hand it has nothing to do, and on an image the boot starts it.
var (
	enabledUnits = "sierpi.socket sierpi-metrics.socket sierpi.service sierpi-zram.service sierpi-serial.service sierpi-firstboot.service sierpi-framebuffer.service"
	startedUnits = "sierpi.socket sierpi-metrics.socket sierpi-zram.service sierpi-serial.service"
)

// maintainerScripts are the package's scripts. They follow debhelper's own
// (deb-systemd-helper keeps what an owner disabled disabled over upgrades), written
// out because the package is built without debhelper, on machines that have none.
func maintainerScripts() map[string]string {
	fill := strings.NewReplacer("@ENABLED@", enabledUnits, "@STARTED@", startedUnits).Replace
	return map[string]string{
		"postinst": fill(`#!/bin/sh
set -e

case "$1" in
    configure|abort-upgrade|abort-deconfigure|abort-remove) ;;
    *) exit 0 ;;
esac

systemd-sysusers ${DPKG_ROOT:+--root="$DPKG_ROOT"} sierpi.conf
# The reference configuration is laid into /etc/sierpi only where there is none.
systemd-tmpfiles ${DPKG_ROOT:+--root="$DPKG_ROOT"} --create sierpi.conf || true

for unit in @ENABLED@; do
    deb-systemd-helper unmask "$unit" >/dev/null || true
    # What the owner disabled stays disabled.
    if deb-systemd-helper --quiet was-enabled "$unit"; then
        deb-systemd-helper enable "$unit" >/dev/null || true
    else
        deb-systemd-helper update-state "$unit" >/dev/null || true
    fi
done

if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    if command -v udevadm >/dev/null; then
        udevadm control --reload >/dev/null 2>&1 || true
        udevadm trigger --subsystem-match=gpio --subsystem-match=i2c-dev >/dev/null 2>&1 || true
    fi
    # Sockets stay open over an upgrade, so a visitor waits for a second and is not refused;
    # swap is not torn down either.
    deb-systemd-invoke start @STARTED@ >/dev/null || true
    if [ -n "$2" ]; then
        deb-systemd-invoke restart sierpi.service >/dev/null || true
    else
        deb-systemd-invoke start sierpi.service >/dev/null || true
    fi
fi
`),
		"prerm": fill(`#!/bin/sh
set -e

# On an upgrade everything keeps running until the new program is there.
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop sierpi.service @STARTED@ >/dev/null || true
fi
`),
		"postrm": fill(`#!/bin/sh
set -e

if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi

if [ "$1" = purge ]; then
    if command -v deb-systemd-helper >/dev/null; then
        # One purge a unit: deb-systemd-helper counts its own state files.
        for unit in @ENABLED@; do
            deb-systemd-helper purge "$unit" >/dev/null || true
            deb-systemd-helper unmask "$unit" >/dev/null || true
        done
    fi
    # The quotes and the chat go with the purge, as the owner asked; the user and the groups
    # stay, for files elsewhere may be theirs.
    rm -rf "$DPKG_ROOT/var/lib/sierpi" "$DPKG_ROOT/var/lib/sierpi-system" "$DPKG_ROOT/var/lib/sierpi-firstboot" "$DPKG_ROOT/var/cache/sierpi" "$DPKG_ROOT/etc/sierpi"
fi
`),
	}
}
