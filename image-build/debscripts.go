package imagebuild

import (
	"strings"
)

// enabled lists the units that an installation enables, started those that it also
// starts. The first boot is not started: on a machine where the package was
// installed by hand it has nothing to do, and on an image the boot starts it.
var (
	enabledUnits = "sierpi.socket sierpi-metrics.socket sierpi.service sierpi-zram.service sierpi-serial.service sierpi-firstboot.service sierpi-framebuffer.service sierpi-update.service sierpi-updates.service sierpi-reset.service"
	startedUnits = "sierpi.socket sierpi-metrics.socket sierpi-zram.service sierpi-serial.service"
)

// maintainerScripts are the package's scripts. They follow debhelper's own
// (deb-systemd-helper keeps what an owner disabled disabled over upgrades), written
// out because the package is built without debhelper, on machines that have none.
func maintainerScripts() map[string]string {
	fill := strings.NewReplacer("@ENABLED@", enabledUnits, "@STARTED@", startedUnits).Replace
	return map[string]string{
		"preinst": `#!/bin/sh
set -e

# Before a newer version is unpacked the files of this one are kept, as links that cost no
# room until they are replaced: sierpi-update.service puts them back when the new
# daemon does not start. That they cannot be kept is no reason not to update.
kept="$DPKG_ROOT/usr/lib/sierpi/previous"
state="$DPKG_ROOT/var/lib/sierpi-system"

keep() {
    rm -rf "$kept" "$kept.new" || return 1
    list=$(dpkg-query --listfiles sierpi) || return 1
    while read -r path; do
        case "$path" in
            /usr/*) ;;
            *) continue ;;
        esac
        if [ -f "$DPKG_ROOT$path" ] && [ ! -h "$DPKG_ROOT$path" ]; then
            mkdir -p "$kept.new${path%/*}" || return 1
            ln "$DPKG_ROOT$path" "$kept.new$path" 2>/dev/null || cp -p "$DPKG_ROOT$path" "$kept.new$path" || return 1
        fi
    done <<LIST || return 1
$list
LIST
    # After a version was put back, dpkg does not know whose files these are.
    if [ -s "$state/put-back" ]; then
        cat "$state/put-back" >"$kept.new/version" || return 1
    else
        echo "$1" >"$kept.new/version" || return 1
    fi
    mv "$kept.new" "$kept" || return 1
}

if [ "$1" = upgrade ]; then
    # One that was not shown to start is not worth keeping: what is kept is older, and ran.
    if [ -e "$state/update-pending" ] && [ -s "$kept/version" ] || keep "$2"; then
        if mkdir -p "$state" && echo "$(cat "$kept/version") ${3:-new}" >"$state/update-pending.new"; then
            sync "$state/update-pending.new" "$kept/version" || true
            mv "$state/update-pending.new" "$state/update-pending" || true
        fi
    else
        rm -rf "$kept.new"
        echo "sierpi: the version before cannot be kept; the update goes on without a way back" >&2
    fi
fi
`,
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
        # It looks from outside at the start that follows, and puts the version before back.
        deb-systemd-invoke start sierpi-update.service >/dev/null || true
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
if [ "$1" = remove ]; then
    rm -rf "$DPKG_ROOT/usr/lib/sierpi/previous" "$DPKG_ROOT/usr/lib/sierpi/previous.new"
    rm -f "$DPKG_ROOT/var/lib/sierpi-system/update-pending" "$DPKG_ROOT/var/lib/sierpi-system/put-back"
fi
`),
		"postrm": fill(`#!/bin/sh
set -e

if [ "$1" = abort-upgrade ]; then
    rm -f "$DPKG_ROOT/var/lib/sierpi-system/update-pending"
fi

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
