// Package systemd embeds the units, drop-ins, sysusers, tmpfiles, polkit and udev
// files that the packages install and the tests verify. Nothing here is generated:
// a file's bytes are what the machine gets.
package systemd

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed units sierpi.sysusers sierpi.tmpfiles sierpi.rules 70-sierpi.rules sierpi.modprobe serial-getty.conf login overlay
var files embed.FS

// File is one file of the machine.
type File struct {
	Path string // absolute
	Mode fs.FileMode
	Data []byte
}

// Files lists everything that the packages install from here, sorted by path.
func Files() []File {
	var out []File
	add := func(name, path string, mode fs.FileMode) {
		data, err := files.ReadFile(name)
		if err != nil {
			panic("systemd: embedded file missing: " + err.Error()) // cannot happen: go:embed names it
		}
		out = append(out, File{path, mode, data})
	}
	add("sierpi.modprobe", "/usr/lib/modprobe.d/sierpi.conf", 0o644)
	for _, timed := range []string{"apt-daily-upgrade", "apt-daily"} {
		add("overlay/apt.conf", "/usr/lib/systemd/system/"+timed+".service.d/sierpi-overlay.conf", 0o644)
	}
	add("overlay/hook", "/usr/share/initramfs-tools/hooks/sierpi-overlay", 0o755)
	add("overlay/script", "/usr/share/initramfs-tools/scripts/init-bottom/sierpi-overlay", 0o755)
	add("login", "/usr/lib/sierpi/login", 0o755)
	add("serial-getty.conf", "/usr/lib/systemd/system/serial-getty@.service.d/10-sierpi.conf", 0o644)
	for _, unit := range Units() {
		add("units/"+unit, "/usr/lib/systemd/system/"+unit, 0o644)
	}
	add("sierpi.sysusers", "/usr/lib/sysusers.d/sierpi.conf", 0o644)
	add("sierpi.tmpfiles", "/usr/lib/tmpfiles.d/sierpi.conf", 0o644)
	add("70-sierpi.rules", "/usr/lib/udev/rules.d/70-sierpi.rules", 0o644)
	add("sierpi.rules", "/usr/share/polkit-1/rules.d/50-sierpi.rules", 0o644)
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Units names the units, sockets before the services that use them.
func Units() []string {
	return []string{
		"sierpi-firstboot.service",
		"sierpi-framebuffer.service",
		"sierpi-metrics.socket",
		"sierpi-reset.service",
		"sierpi-serial.service",
		"sierpi-update.service",
		"sierpi-updates.service",
		"sierpi-zram-tidy.service",
		"sierpi-zram-tidy.timer",
		"sierpi-zram.service",
		"sierpi.service",
		"sierpi.socket",
	}
}
