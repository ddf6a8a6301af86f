package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// plugStick plugs a USB stick in, whose file is path, where startPC has a port for it.
func (p *proof) plugStick(path string) error {
	if err := p.v.command("drive_add 0 if=none,id=stick,format=raw,file=" + path); err != nil {
		return err
	}
	return p.v.command("device_add usb-storage,id=stick,drive=stick,bus=usb.0,removable=on")
}

// stick follows docs/backup.md with a stick on a USB port: the lines that it gives, a backup by
// itself, pulled out without a word, plugged in again, and restored from. It needs a root
// shell and leaves one.
func (p *proof) stick(ctx context.Context) error {
	m := time.Minute
	path := filepath.Join(p.o.Out, "stick.img")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(64<<20), f.Close()); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, lookPath("mkfs.vfat"), "-n", "BACKUP", path).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting the stick: %w: %s", err, out)
	}
	const kept, late = "before the backup", "after the backup"
	var file string
	if err := p.inTurn(ctx, "a backup by itself to a USB stick, pulled out and plugged in again, and restored from", []bounded{
		{"stick: configured as docs/backup.md says, and not there", 6 * m, func(ctx context.Context) error {
			for _, c := range []string{
				`printf '%s\n' 'LABEL=BACKUP /mnt/backup auto nofail,x-systemd.automount,x-systemd.device-timeout=5s,x-systemd.idle-timeout=60s,uid=sierpi,gid=sierpi,umask=0077 0 2' >>/etc/fstab`,
				`printf '\n[backup]\ndir = "/mnt/backup"\nevery = "24h"\nkeep = 7\n' >>/etc/sierpi/sierpi.toml; sierpi config check`,
				"systemctl daemon-reload && systemctl start mnt-backup.automount && systemctl restart sierpi",
			} {
				if _, err := p.v.line.run(ctx, c); err != nil {
					return err
				}
			}
			if err := p.chat(ctx, kept); err != nil {
				return err
			}
			return p.awaitBackups(ctx, "absent", "is not there")
		}},
		{"stick: plugged in, and a backup is made by itself", 15 * m, func(ctx context.Context) error {
			if err := p.plugStick(path); err != nil {
				return err
			}
			if err := p.awaitBackups(ctx, "ok", "^1 kept"); err != nil {
				return err
			}
			out, err := p.v.line.run(ctx, "sierpi backup list --from /mnt/backup --verify && ls /mnt/backup/*.tar.gz")
			if file = regexp.MustCompile(`(?m)^/mnt/backup/\S+\.tar\.gz$`).FindString(out); file == "" && err == nil {
				err = fmt.Errorf("no backup in %q", out)
			}
			return err
		}},
		{"stick: pulled out without a word, and plugged in again", 10 * m, func(ctx context.Context) error {
			if err := p.v.command("device_del stick"); err != nil {
				return err
			}
			if _, err := p.v.line.run(ctx, "for i in $(seq 60); do test -e /dev/disk/by-label/BACKUP || break; sleep 1; done; ! test -e /dev/disk/by-label/BACKUP"); err != nil {
				return err
			}
			if err := p.chat(ctx, late); err != nil {
				return err
			}
			if err := p.plugStick(path); err != nil {
				return err
			}
			_, err := p.v.line.run(ctx, "for i in $(seq 60); do sierpi backup list --from /mnt/backup --verify 2>/dev/null && break; sleep 1; done; sierpi backup list --from /mnt/backup --verify")
			return err
		}},
		{"stick: restored from it", 10 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, "sierpi backup restore --dry-run "+file+" && sierpi backup restore --yes "+file); err != nil {
				return err
			}
			return errors.Join(p.lobby(ctx, kept, true), p.lobby(ctx, late, false))
		}},
		{"stick: taken out of the config, our units active", 6 * m, func(ctx context.Context) error {
			if _, err := p.v.line.run(ctx, "sed -i /BACKUP/d /etc/fstab; sed -i '/^\\[backup\\]/,/^keep/d' /etc/sierpi/sierpi.toml; systemctl daemon-reload; systemctl stop mnt-backup.automount mnt-backup.mount; systemctl restart sierpi"); err != nil {
				return err
			}
			if err := p.v.command("device_del stick"); err != nil {
				return err
			}
			return p.units(ctx)
		}},
	}); err != nil {
		_, e := p.v.line.run(context.WithoutCancel(ctx), "journalctl -b -u sierpi -n 20 --no-pager; systemctl status --no-pager mnt-backup.automount mnt-backup.mount; true")
		return errors.Join(err, e)
	}
	return nil
}

// awaitBackups waits until /healthz says so of the backups.
func (p *proof) awaitBackups(ctx context.Context, state, why string) error {
	want := regexp.MustCompile(why)
	for {
		s, w, err := p.part(ctx, "backup")
		if err == nil && s == state && want.MatchString(w) {
			return nil
		}
		if e := rest(ctx); e != nil {
			return fmt.Errorf("%w: /healthz says of the backups %q: %q, want %q: %s (%v)", e, s, w, state, why, err)
		}
	}
}
