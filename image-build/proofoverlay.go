package imagebuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// overlay holds that `sierpi overlay` makes the root read-only and back, that what must
// last lasts and nothing else does, and that a new kernel's initramfs has it. It needs a
// root shell, boots the machine four times and leaves it with a state partition and
// without an overlay.
func (p *proof) overlay(ctx context.Context) error {
	m := time.Minute
	return p.inTurn(ctx, "overlay: on and off twice, the second time with that kernel; the state lasted, nothing else did", []bounded{
		{"overlay: a dry run, which changes nothing", 2 * m, p.overlayDryRun},
		{"overlay: on, rebooted", 20 * m, p.overlayOn},
		{"overlay: the root is only read, what is written lies in memory", 3 * m, p.overlayActive},
		{"overlay: our units active, none failed", 5 * m, p.units},
		{"overlay: off, rebooted; the state is there, the rest is gone", 20 * m, p.overlayOff},
		{"overlay: another kernel installed, on again, rebooted into it", 60 * m, func(ctx context.Context) error {
			kernel, err := p.otherKernel(ctx)
			if err != nil {
				return err
			}
			if err := p.check(ctx, "for i in /boot/initrd.img-*; do lsinitramfs $i | grep -c scripts/init-bottom/sierpi-overlay; done | sort -u", "^1$"); err != nil {
				return err
			}
			if err := p.overlayOn(ctx); err != nil {
				return err
			}
			if err := p.check(ctx, "uname -r", "^"+regexp.QuoteMeta(kernel)+"$"); err != nil {
				return err
			}
			p.figure("overlay: on with the kernel %s", kernel)
			return nil
		}},
		{"overlay: the root is only read with that kernel too", 3 * m, p.overlayActive},
		{"overlay: off for good, rebooted", 20 * m, p.overlayOff},
	})
}

// released is a kernel's release, alone.
var released = regexp.MustCompile(`^[0-9]\S*$`)

// otherKernel installs a kernel of another version from the machine's own mirror, makes it the
// one that boots, and returns its release. Where no mirror is reached it runs the hooks of the
// kernel that is there, as an update would, and says so.
func (p *proof) otherKernel(ctx context.Context) (release string, err error) {
	const install = `export DEBIAN_FRONTEND=noninteractive
apt-get -q update || exit 75
arch=$(dpkg --print-architecture)
other=$(apt-cache search --names-only "^linux-image-[0-9][^-]*-$arch\$" | cut -d' ' -f1 | grep -vxF linux-image-$(uname -r) | sort -V | tail -1)
test "$other" || exit 75
apt-get -q install -y $other || exit 1
root=$(findmnt -no UUID /)
sed -i "s/^GRUB_DEFAULT=.*/GRUB_DEFAULT='gnulinux-advanced-$root>gnulinux-${other#linux-image-}-advanced-$root'/" /etc/default/grub
update-grub || exit 1
echo release ${other#linux-image-}
`
	// The machine's own network reaches nobody: a card for this step.
	if err := errors.Join(p.v.command("netdev_add user,id=out,net=10.0.3.0/24"), p.v.command("device_add virtio-net-pci,id=outcard,netdev=out")); err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, p.v.command("device_del outcard"))
		if _, e := p.v.line.run(context.WithoutCancel(ctx), "for i in $(seq 30); do ip -4 route | grep -q ^default || break; sleep 1; done"); e != nil {
			err = errors.Join(err, e)
		}
		err = errors.Join(err, p.v.command("netdev_del out"))
	}()
	if _, err := p.v.line.run(ctx, "for i in $(seq 60); do ip -4 route | grep -q ^default && break; sleep 1; done"); err != nil {
		return "", err
	}
	if err := p.v.line.write(ctx, "/tmp/kernel.sh", install); err != nil {
		return "", err
	}
	out, err := p.v.line.run(ctx, "sh /tmp/kernel.sh >/tmp/kernel.log 2>&1; s=$?; [ $s = 0 ] || tail -n 5 /tmp/kernel.log; sed -n 's/^release //p' /tmp/kernel.log; [ $s = 0 ] || [ $s = 75 ]")
	if err != nil || released.MatchString(out) {
		return out, err
	}
	p.figure("overlay: no other kernel from a mirror (%s); the hooks of the one that is there were run", out)
	if _, err := p.v.line.run(ctx, "dpkg-reconfigure linux-image-$(uname -r) >/tmp/kernel.log 2>&1 || { tail -5 /tmp/kernel.log; false; }"); err != nil {
		return "", err
	}
	return p.v.line.run(ctx, "uname -r")
}

func (p *proof) overlayDryRun(ctx context.Context) error {
	before, err := p.v.line.run(ctx, "cat /proc/partitions | wc -l")
	if err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi overlay on --dry-run", `(?s)create +/dev/.*format.*move.*build.*mark.*nothing was changed`); err != nil {
		return err
	}
	if err := p.check(ctx, "cat /proc/partitions | wc -l; ls /var/lib/sierpi-overlay 2>&1 || true", "^"+before+`\s.*No such file`); err != nil {
		return err
	}
	return p.check(ctx, "sierpi overlay off", "nothing to change")
}

// overlayState is what `sierpi overlay status --json` says of interest.
type overlayState struct {
	Active, Next  bool
	State, Device string
}

func (p *proof) overlayStatus(ctx context.Context) (overlayState, error) {
	out, err := p.v.line.run(ctx, "sierpi overlay status --json")
	if err != nil {
		return overlayState{}, err
	}
	var s overlayState
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("overlay status --json: %w: %.300q", err, out)
	}
	return s, nil
}

func (p *proof) overlayOn(ctx context.Context) error {
	// Of before, on the root and in the state.
	if _, err := p.v.line.run(ctx, "echo before >/root/before; echo before >/var/lib/sierpi/before"); err != nil {
		return err
	}
	if err := p.check(ctx, "sierpi overlay on", "reboot +needed"); err != nil {
		return err
	}
	if err := p.check(ctx, "systemctl is-active sierpi.socket; systemctl start sierpi.service 2>/dev/null && systemctl is-active sierpi.service", `^active\s+active$`); err != nil {
		return err
	}
	// What is written until the reboot is not lost.
	if _, err := p.v.line.run(ctx, "echo between >/var/lib/sierpi/between"); err != nil {
		return err
	}
	if s, err := p.overlayStatus(ctx); err != nil || s.Active || !s.Next || s.Device == "" {
		return errors.Join(fmt.Errorf("before the reboot the status is %+v", s), err)
	}
	return p.again(ctx)
}

func (p *proof) overlayActive(ctx context.Context) error {
	if s, err := p.overlayStatus(ctx); err != nil || !s.Active || !s.Next || s.Device == "" {
		return errors.Join(fmt.Errorf("the status is %+v", s), err)
	}
	for _, c := range []struct{ command, want string }{
		{"findmnt -no FSTYPE /", "^overlay$"},
		{"findmnt -no OPTIONS /run/sierpi-overlay/lower", `^ro\b`},
		{"findmnt -no OPTIONS /boot/firmware", `^ro\b`},
		{"cat /root/before /var/lib/sierpi/before /var/lib/sierpi/between", `^before\s+before\s+between$`},
		{"findmnt -no FSROOT -T /var/lib/sierpi; findmnt -no FSROOT -T /etc/sierpi", `^/var/lib/sierpi\s+/etc/sierpi$`},
		{"stat -c '%U %a' /var/lib/sierpi", "^sierpi 750$"},
		{"echo x >/usr/lib/lost; echo x >/root/lost; rm /root/before; echo during >/var/lib/sierpi/during; ls /usr/lib/lost /root/lost /var/lib/sierpi/during", `lost\s.*lost\s.*during`},
		{"sierpi overlay on", "nothing to change"},
		// Unattended updates wait: they would be gone after the next boot.
		{"systemctl start apt-daily-upgrade.service; systemctl show -P ConditionResult apt-daily-upgrade.service", "^no$"},
	} {
		if err := p.check(ctx, c.command, c.want); err != nil {
			return err
		}
	}
	_, err := get(ctx, p.http+"/healthz")
	return err
}

func (p *proof) overlayOff(ctx context.Context) error {
	if err := p.check(ctx, "sierpi overlay off", "reboot +needed"); err != nil {
		return err
	}
	if err := p.check(ctx, "findmnt -no OPTIONS /run/sierpi-overlay/lower", `^ro\b`); err != nil {
		return err
	}
	if err := p.again(ctx); err != nil {
		return err
	}
	if s, err := p.overlayStatus(ctx); err != nil || s.Active || s.Next || s.Device == "" {
		return errors.Join(fmt.Errorf("after it the status is %+v", s), err)
	}
	if err := p.check(ctx, "findmnt -no FSTYPE /; ls /usr/lib/lost /root/lost 2>&1 | grep -c 'No such'; cat /root/before /var/lib/sierpi/during", `^ext4\s+2\s+before\s+during$`); err != nil {
		return err
	}
	_, err := p.v.line.run(ctx, "rm /root/before /var/lib/sierpi/before /var/lib/sierpi/between /var/lib/sierpi/during")
	return err
}
