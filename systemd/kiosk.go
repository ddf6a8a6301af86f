package systemd

import (
	"embed"
	"io/fs"
)

//go:embed kiosk
var kioskFiles embed.FS

// KioskFiles lists everything that the package sierpi-kiosk installs from here,
// sorted by path.
func KioskFiles() []File {
	var out []File
	for _, f := range []struct {
		name, path string
		mode       fs.FileMode
	}{
		{"autostart", "/etc/xdg/lxsession/sierpi/autostart", 0o644},
		{"desktop.conf", "/etc/xdg/lxsession/sierpi/desktop.conf", 0o644},
		{"kiosk", "/usr/lib/sierpi/kiosk", 0o755},
		{"session", "/usr/lib/sierpi/kiosk-session", 0o755},
		{"10-sierpi-kiosk.conf", "/usr/lib/systemd/system/sierpi.service.d/10-sierpi-kiosk.conf", 0o644},
		{"sierpi-kiosk.sysusers", "/usr/lib/sysusers.d/sierpi-kiosk.conf", 0o644},
		{"sierpi-kiosk.tmpfiles", "/usr/lib/tmpfiles.d/sierpi-kiosk.conf", 0o644},
		{"lightdm.conf", "/usr/share/lightdm/lightdm.conf.d/50-sierpi-kiosk.conf", 0o644},
		{"sierpi-kiosk.rules", "/usr/share/polkit-1/rules.d/51-sierpi-kiosk.rules", 0o644},
		{"sierpi-kiosk.desktop", "/usr/share/xsessions/sierpi-kiosk.desktop", 0o644},
	} {
		data, err := kioskFiles.ReadFile("kiosk/" + f.name)
		if err != nil {
			panic("systemd: embedded file missing: " + err.Error()) // cannot happen: a test reads them all
		}
		out = append(out, File{f.path, f.mode, data})
	}
	return out
}
