package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

var vmTools = []tool{{"qemu-system-x86_64", "qemu-system-x86"}, {"mcopy", "mtools"}, {"e2fsck", "e2fsprogs"}, {"prometheus", "prometheus"}, {"mkfs.vfat", "dosfstools"}}

// ProvePC boots the PC image in QEMU and holds everything that needs a real systemd:
// GRUB, kernel and login on ttyS0 at 115200 and, reconfigured, at 9600.
func ProvePC(ctx context.Context, o ProofOptions) (err error) {
	if err := need(vmTools); err != nil {
		return err
	}
	mark, err := ReadMark(ctx, o.Image)
	if err != nil {
		return err
	}
	if mark.Board != "pc" {
		return fmt.Errorf("%s is an image for a %s; a Raspberry Pi's is booted by `sierpi-image acceptance`", o.Image, mark.Board)
	}
	if mark.Variant == kioskVariant {
		return proveKiosk(ctx, o, mark)
	}
	p, err := newProof(ctx, o, 1024)
	if err != nil {
		return err
	}
	defer p.cleanUp()
	accel := o.accel()
	if o.KVM && usableKVM(ctx, lookPath("qemu-system-x86_64")) {
		accel = []string{"-accel", "kvm"}
	}
	fmt.Fprintf(o.Progress, "%s under -M pc, %s; serial line in %s\n", o.Image, strings.Join(accel[1:], " "), filepath.Join(p.o.Out, "pc.serial0.log"))
	if err := errors.Join(p.patientBoot(ctx), p.startPC("pc", accel)); err != nil {
		return err
	}
	m := time.Minute
	if err := p.step(ctx, "GRUB's menu on ttyS0", 2*m, func(ctx context.Context) error {
		_, _, err := p.v.line.expect(ctx, `GNU GRUB`)
		return err
	}); err != nil {
		return err
	}
	if err := p.step(ctx, "the kernel's messages on ttyS0", 3*m, func(ctx context.Context) error {
		_, _, err := p.v.line.expect(ctx, `Linux version `)
		return err
	}); err != nil {
		return err
	}
	if err := p.step(ctx, "the first user made and logged in over ttyS0", 15*m, p.firstLogin); err != nil {
		return err
	}
	if err := p.choose(ctx); err != nil {
		return err
	}
	errs := []error{p.common(ctx, "ttyS0"), p.stick(ctx), p.steps(ctx, p.updateSteps()), p.twoBoots(ctx, 15*m)}
	if p.ended() {
		return errors.Join(errs...)
	}

	// The case of the original article: 9600 baud, a VT100, GRUB's menu and the kernel on
	// the line as well.
	if err := p.step(ctx, "reconfigured: 9600 baud, vt100", 5*m, func(ctx context.Context) error {
		for _, c := range []string{
			`printf '[serial]\nbaud = 9600\nterm = "vt100"\n' >/etc/sierpi/sierpi.toml`,
			"sierpi config check",
			"sierpi serial apply",
			"grep -E '9600' /etc/default/grub",
		} {
			if _, err := p.v.line.run(ctx, c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return errors.Join(append(errs, err)...)
	}
	if err := p.step(ctx, "reboot over the line: GRUB, kernel and login at 9600 baud", 15*m, func(ctx context.Context) error {
		if _, err := p.reboot(ctx, `GNU GRUB`); err != nil {
			return err
		}
		if got, err := p.v.line.speed(); err != nil || got != 9600 {
			return fmt.Errorf("GRUB's menu came at %d baud (%w)", got, err)
		}
		if _, _, err := p.v.line.expect(ctx, `Linux version `); err != nil {
			return err
		}
		if _, text, err := p.v.line.expect(ctx, `proof login: ?$`); err != nil {
			return err
		} else if strings.Contains(text, "There is no user yet") {
			return errors.New("the line above the prompt still says that there is no user")
		}
		if err := p.v.line.login(ctx, proofUser, proofPassword); err != nil {
			return err
		}
		if err := p.check(ctx, "echo $TERM", "^vt100$"); err != nil {
			return err
		}
		if err := p.v.line.become(ctx, proofPassword); err != nil {
			return err
		}
		return p.speedIs(ctx, "ttyS0", 9600)
	}); err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs,
		p.step(ctx, "after the reboot: units active, nothing taken over twice", 5*m, p.units),
		p.stepCheck(ctx, "after the reboot: the file system was clean", m, "dmesg | grep -ciE 'recovering journal|recovery complete' || true", "^0$"),
		p.fullCard(ctx),
		p.overlay(ctx),
		p.step(ctx, "power off", 6*m, p.off),
		p.step(ctx, "the disk: clean, and no secret on the boot partition", 3*m, func(ctx context.Context) error { return offline(ctx, p.disk) }),
		p.clock(ctx, accel),
	)
	return errors.Join(errs...)
}

// patientBoot has the working copy's kernels told to wait as much longer for a disk's
// partitions as this proof waits for everything: on a busy machine the boot partition was
// not there within systemd's 90 s, and the first boot went by without it. (The clock that
// follows the instructions is no way here: GRUB reads its files by single ports.)
func (p *proof) patientBoot(ctx context.Context) error {
	if p.o.Patience <= 1 {
		return nil
	}
	const name = "/boot/grub/grub.cfg"
	text, err := rootFile(ctx, p.disk, name, p.o.Out)
	if err != nil {
		return err
	}
	lines := regexp.MustCompile(`(?m)^\s*linux\s.*$`)
	text = lines.ReplaceAllFunc(text, func(line []byte) []byte {
		return fmt.Appendf(slices.Clip(line), " systemd.default_device_timeout_sec=%d", int(90*p.o.Patience))
	})
	changed := filepath.Join(p.o.Out, "grub.cfg")
	if err := os.WriteFile(changed, text, 0o644); err != nil {
		return err
	}
	ask := fmt.Sprintf("rm %s\nwrite \"%s\" %s\n", name, changed, name)
	if _, err := (command{stdin: strings.NewReader(ask)}).run(ctx, "debugfs", "-w", "-f", "-", fmt.Sprintf("%s?offset=%d", p.disk, rootStart)); err != nil {
		return err
	}
	if now, err := rootFile(ctx, p.disk, name, p.o.Out); err != nil || !bytes.Equal(now, text) {
		return errors.Join(fmt.Errorf("%s could not be changed on the working copy", name), err)
	}
	return nil
}

// startPC starts the machine on its disk, with more of QEMU's arguments.
func (p *proof) startPC(name string, accel []string, more ...string) (err error) {
	args := append(slices.Clone(accel),
		"-M", "pc", "-m", fmt.Sprint(p.ram), "-smp", fmt.Sprint(min(2, runtime.NumCPU())),
		// Of the disks that the BIOS and the initramfs know the cheapest to emulate.
		"-drive", "file="+p.disk+",format=raw,if=virtio,cache=unsafe",
		// The network ends here: what a proof sees must not hang on who answers outside.
		"-nic", fmt.Sprintf("user,model=e1000,restrict=on,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:9101", p.pages, p.scrape),
		"-device", "qemu-xhci,id=usb",
		"-watchdog-action", "none",
	)
	p.v, err = startVirtual(virtualOptions{program: lookPath("qemu-system-x86_64"), dir: p.o.Out, name: name, args: append(args, more...)})
	return err
}
