package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var acceptanceTools = []tool{
	{"qemu-system-aarch64", "qemu-system-arm"}, {"mcopy", "mtools"}, {"e2fsck", "e2fsprogs"},
	{"fdtoverlay", "device-tree-compiler"}, {"prometheus", "prometheus"},
}

// piMachine is a board that QEMU knows.
type piMachine struct {
	arch    string // of the image that is booted on it
	board   string // as config.txt's filters call it
	program string
	args    []string
	device  string // the login's line
	serial  int    // that line's place among QEMU's: 0 the PL011, 1 the mini UART
	ram     int    // MiB
	usb     bool   // has a network adapter on USB that Debian's kernel drives
	cores   string // QEMU's property that leaves all cores but one switched off
}

var piMachines = []piMachine{
	{"arm64", "pi3", "qemu-system-aarch64", []string{"-M", "raspi3b"}, "ttyS0", 1, 1024, true, "bcm2837.enabled-cpus=1"},
	{"armel", "pi1", "qemu-system-arm", []string{"-M", "raspi1ap"}, "ttyAMA0", 0, 512, true, ""},
}

// bootFilesOf is what a board's firmware would load, all of it from the image's own
// boot partition: QEMU runs no firmware, so its part is done here by config.txt.
type bootFilesOf struct {
	kernel, initrd, tree string // paths on this machine
	cmdline              string
	loaded               []string // what it was made of, for people
}

// chooseBoot does for one board what its firmware does: which kernel, initramfs,
// device tree and command line, by config.txt. Paths are below the boot partition.
func chooseBoot(b bootPartition, board string) (kernel, initrd, tree string, overlay []string, err error) {
	facts, ok := boardTable[board]
	if !ok {
		return "", "", "", nil, fmt.Errorf("no board %q is known", board)
	}
	lines, mistakes := parseConfigTxt(b.config)
	if len(mistakes) > 0 {
		return "", "", "", nil, fmt.Errorf("config.txt: %s", strings.Join(mistakes, "; "))
	}
	here := forBoard(lines, board)
	if kernel = last(here, "kernel"); kernel == "" {
		return "", "", "", nil, errors.New("config.txt names no kernel")
	}
	if f := strings.Fields(last(here, "initramfs")); len(f) > 0 {
		initrd = f[0]
	}
	for _, t := range facts.trees {
		if b.has(t) {
			tree = t
			break
		}
	}
	if tree == "" {
		return "", "", "", nil, fmt.Errorf("there is no device tree for %s (%s)", board, strings.Join(facts.trees, " or "))
	}
	return kernel, initrd, tree, overlays(here), nil
}

// bootFromFAT takes everything out of an image's boot partition into dir, and applies the
// overlays that config.txt names.
func bootFromFAT(ctx context.Context, image, board, dir string) (bootFilesOf, error) {
	var out bootFilesOf
	d, err := openDisk(image)
	if err != nil {
		return out, err
	}
	fat := filepath.Join(dir, "fat")
	if err := makeDir(fat); err != nil {
		return out, err
	}
	c := command{env: []string{"MTOOLS_SKIP_CHECK=1"}}
	if _, err := c.run(ctx, "mcopy", "-s", "-n", "-m", "-i", fmt.Sprintf("%s@@%d", image, d.boot.start), "::", fat+"/"); err != nil {
		return out, fmt.Errorf("reading the boot partition: %w", err)
	}
	b, err := readBootPartition(fat)
	if err != nil {
		return out, err
	}
	kernel, initrd, tree, over, err := chooseBoot(b, board)
	if err != nil {
		return out, fmt.Errorf("%s: %w", image, err)
	}
	out.kernel, out.tree, out.cmdline = filepath.Join(fat, kernel), filepath.Join(fat, tree), strings.TrimSpace(b.cmdline)
	out.loaded = append(out.loaded, kernel)
	if initrd != "" {
		out.initrd = filepath.Join(fat, initrd)
		out.loaded = append(out.loaded, initrd)
	}
	out.loaded = append(out.loaded, tree)
	if len(over) > 0 {
		merged := filepath.Join(dir, "merged.dtb")
		args := []string{"-i", out.tree, "-o", merged}
		for _, o := range over {
			args = append(args, filepath.Join(fat, "overlays", o+".dtbo"))
			out.loaded = append(out.loaded, "overlays/"+o+".dtbo")
		}
		if _, err := (command{}).run(ctx, "fdtoverlay", args...); err != nil {
			return out, fmt.Errorf("applying the overlays of config.txt: %w", err)
		}
		out.tree = merged
	}
	return out, nil
}

// qemuCmdline is what QEMU's boards need beside cmdline.txt: their model of the
// power block takes the arming of the watchdog for the restart that it leads to. With a
// steady clock the cores take turns, and one that waits for another's turn holds up RCU
// until its stall detector wakes it, 21 s later: one core then. (The others are left
// switched off by a property of QEMU's: parked in a loop they would eat the clock of a
// machine that rests.) iomem=relaxed lets the finger of this proof at the GPIO's registers.
func (o ProofOptions) qemuCmdline() string {
	const always = "systemd.watchdog_sec=off iomem=relaxed"
	if o.Steady {
		return always + " maxcpus=1"
	}
	return always
}

// ProvePi boots a Raspberry Pi image on the board that QEMU has for it, with kernel,
// initramfs, device tree, overlays and command line from the image's own boot
// partition, and holds what a user of the board would see.
func ProvePi(ctx context.Context, o ProofOptions) (err error) {
	if err := need(acceptanceTools); err != nil {
		return err
	}
	mark, err := ReadMark(ctx, o.Image)
	if err != nil {
		return err
	}
	if mark.Variant == kioskVariant {
		return proveKiosk(ctx, o, mark)
	}
	var m *piMachine
	for i := range piMachines {
		if piMachines[i].arch == mark.Arch && mark.Board == "pi" {
			m = &piMachines[i]
		}
	}
	if m == nil {
		return fmt.Errorf("QEMU has no Raspberry Pi for an image of %s for a %s; a PC's image is booted by `sierpi-image vm`", mark.Arch, mark.Board)
	}
	if mark.Base != "debian" {
		return fmt.Errorf("an image of %s cannot be booted here: Raspberry Pi's own kernels do not start on QEMU's boards; the Debian base is the one that is", mark.Base)
	}
	p, err := newProof(ctx, o, m.ram)
	if err != nil {
		return err
	}
	defer p.cleanUp()
	work, err := os.MkdirTemp(p.o.Out, "boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	boot, err := bootFromFAT(ctx, p.disk, m.board, work)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "%s as a %s: %s\n", o.Image, m.board, strings.Join(m.args[:2], " "))
	fmt.Fprintf(o.Progress, "from its boot partition: %s\ncommand line: %s (and %s)\n", strings.Join(boot.loaded, ", "), boot.cmdline, o.qemuCmdline())
	args := append(slices.Clone(m.args), o.accel()...)
	if o.Steady && m.cores != "" {
		args = append(args, "-global", m.cores)
	}
	args = append(args, "-m", fmt.Sprint(m.ram), "-kernel", boot.kernel, "-dtb", boot.tree,
		"-append", boot.cmdline+" "+o.qemuCmdline(), "-drive", "if=sd,format=raw,cache=unsafe,file="+p.disk)
	if boot.initrd != "" {
		args = append(args, "-initrd", boot.initrd)
	}
	if m.usb {
		args = append(args, "-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:9101", p.pages, p.scrape),
			"-device", "usb-net,netdev=net")
	}
	p.v, err = startVirtual(virtualOptions{program: lookPath(m.program), dir: p.o.Out, name: m.board, serial: m.serial, args: args})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "serial line in %s\n", filepath.Join(p.o.Out, fmt.Sprintf("%s.serial%d.log", m.board, m.serial)))
	min := time.Minute
	if err := p.step(ctx, "the kernel's messages on "+m.device, 5*min, func(ctx context.Context) error {
		_, _, err := p.v.line.expect(ctx, `Linux version |Machine model: `)
		return err
	}); err != nil {
		return err
	}
	if err := p.step(ctx, "the first user made and logged in over "+m.device, 20*min, p.firstLogin); err != nil {
		return err
	}
	if err := p.choose(ctx); err != nil {
		return err
	}
	errs := []error{p.common(ctx, m.device), p.radio(ctx), p.button(ctx)}
	errs = append(errs, p.twoBoots(ctx, 20*min))
	if p.ended() {
		return errors.Join(errs...)
	}
	errs = append(errs,
		p.stepCheck(ctx, "after the reboots: the file system was clean", min, "dmesg | grep -ciE 'recovering journal|recovery complete' || true", "^0$"),
		p.step(ctx, "power off", 6*min, p.off),
		p.step(ctx, "the card: clean, and no secret on the boot partition", 5*min, func(ctx context.Context) error { return offline(ctx, p.disk) }),
	)
	return errors.Join(errs...)
}
