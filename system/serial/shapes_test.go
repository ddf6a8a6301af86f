package serial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system/systemtest"
)

// shape is a file as it is found in the world, and what must become of it.
type shape struct {
	name, source string
	edit         func([]byte) ([]byte, []op, error)
	in, want     string
}

func cmdline(on bool, baud int, names ...string) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) { return editCmdline(b, Console{Names: names, Baud: baud, On: on}) }
}

func configtxt(pi5 bool) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) {
		out, ops := editConfigTxt(b, pi5, func(name string) ([]byte, error) {
			if name == "uart.txt" {
				return []byte("enable_uart=1\n"), nil
			}
			return nil, os.ErrNotExist
		})
		return out, ops, nil
	}
}

func grub2(on bool, baud, unit int) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) {
		out, ops := editGrub2(b, Console{Names: []string{fmt.Sprintf("ttyS%d", unit)}, Baud: baud, On: on}, unit)
		return out, ops, nil
	}
}

func raspiFirmware(on bool, baud int) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) {
		out, ops := editRaspiFirmware(b, Console{Names: []string{"ttyS1"}, Baud: baud, On: on})
		return out, ops, nil
	}
}

func legacy(on bool, baud int) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) {
		out, ops := editGrubLegacy(b, Console{Names: []string{"ttyS0"}, Baud: baud, On: on}, 0)
		return out, ops, nil
	}
}

func inittab(login bool, device string, baud int, term string) func([]byte) ([]byte, []op, error) {
	return func(b []byte) ([]byte, []op, error) {
		out, ops := editInittab(b, device, baud, term, login)
		return out, ops, nil
	}
}

func securetty(b []byte) ([]byte, []op, error) {
	out, ops := editSecuretty(b, "ttyS0")
	return out, ops, nil
}

const (
	pigen      = "RPi-Distro/pi-gen stage1/00-boot-files/files"
	debianGrub = "Debian 13, grub-common's /usr/share/grub/default/grub"
)

// The shapes, each with where it was seen ("posted", "shipped") or what it was
// derived from.
var shapes = []shape{
	{"pi-gen", "shipped: " + pigen + "/cmdline.txt", cmdline(true, 115200, "serial0", "ttyS0"),
		"console=serial0,115200 console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n", ""},
	{"pi-gen, other speed", "derived: the same", cmdline(true, 9600, "serial0", "ttyS0"),
		"console=serial0,115200 console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n",
		"console=serial0,9600 console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n"},
	{"pi-gen, kernel silent", "derived: the same", cmdline(false, 115200, "serial0", "ttyS0"),
		"console=serial0,115200 console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n",
		"console=tty1 root=ROOTDEV rootfstype=ext4 fsck.repair=yes rootwait resize\n"},
	{"raspi-config had removed it", "posted: raspi-config's output as guides for serial devices show it", cmdline(true, 115200, "serial0", "ttyS0"),
		"console=tty1 root=PARTUUID=058e2867-02 rootfstype=ext4 elevator=deadline fsck.repair=yes rootwait\n",
		"console=serial0,115200 console=tty1 root=PARTUUID=058e2867-02 rootfstype=ext4 elevator=deadline fsck.repair=yes rootwait\n"},
	{"no console at all", "posted: a Pi prepared for a serial sensor, file find 316470739", cmdline(true, 115200, "serial0", "ttyS0"),
		"root=PARTUUID=058e2867-02 rootfstype=ext4 elevator=deadline fsck.repair=yes rootwait\n",
		"console=serial0,115200 console=tty1 root=PARTUUID=058e2867-02 rootfstype=ext4 elevator=deadline fsck.repair=yes rootwait\n"},
	{"Raspbian wheezy", "posted: the default of 2012 to 2015 in many guides", cmdline(true, 115200, "ttyAMA0"),
		"dwc_otg.lpm_enable=0 console=ttyAMA0,115200 kgdboc=ttyAMA0,115200 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 elevator=deadline rootwait\n", ""},
	{"Raspbian wheezy, kernel silent", "derived: the same; kgdboc is not ours", cmdline(false, 115200, "ttyAMA0"),
		"dwc_otg.lpm_enable=0 console=ttyAMA0,115200 kgdboc=ttyAMA0,115200 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 elevator=deadline rootwait\n",
		"dwc_otg.lpm_enable=0 kgdboc=ttyAMA0,115200 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 elevator=deadline rootwait\n"},
	{"Hypriot, console last", "posted: hypriot SSD guide; a token that raspi-config's sed misses", cmdline(false, 115200, "ttyAMA0"),
		"+dwc_otg.lpm_enable=0 console=tty1 root=/dev/sda2 rootfstype=ext4 cgroup_enable=memory swapaccount=1 elevator=deadline fsck.repair=yes rootwait console=ttyAMA0,115200\n",
		"+dwc_otg.lpm_enable=0 console=tty1 root=/dev/sda2 rootfstype=ext4 cgroup_enable=memory swapaccount=1 elevator=deadline fsck.repair=yes rootwait\n"},
	{"9600n8", "derived: raspi-config's known gap, parity and bits after the baud", cmdline(true, 115200, "ttyS0"),
		"console=ttyS0,9600n8 console=tty1 rootwait\n", "console=ttyS0,115200n8 console=tty1 rootwait\n"},
	{"flow control", "derived: kernel's serial-console.rst, console=ttyS1,9600n8r", cmdline(true, 9600, "ttyS1"),
		"console=ttyS1,9600n8r root=/dev/sda1\n", ""},
	{"no baud", "derived: serial-console.rst, the default is 9600n8", cmdline(true, 9600, "ttyS0"),
		"console=ttyS0 console=tty1 rootwait", ""},
	{"no baud, other wanted", "derived: the same", cmdline(true, 115200, "ttyS0"),
		"console=ttyS0 console=tty1 rootwait", "console=ttyS0,115200 console=tty1 rootwait"},
	{"no line end", "posted: written by `echo -n` in a cluster script, file find 3580245229", cmdline(true, 115200, "serial0"),
		"dwc_otg.lpm_enable=0 console=serial0,57600 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 rootwait g_cdc.host_addr=00:22:82:ff:fe:11 console=ttyGS0 modules-load=dwc2,g_cdc",
		"dwc_otg.lpm_enable=0 console=serial0,115200 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 rootwait g_cdc.host_addr=00:22:82:ff:fe:11 console=ttyGS0 modules-load=dwc2,g_cdc"},
	{"Ubuntu", "posted: Ubuntu for Raspberry Pi with k3s, file find 19071303664", cmdline(true, 115200, "serial0", "ttyS0"),
		"net.ifnames=0 dwc_otg.lpm_enable=0 console=serial0,115200 console=tty1 root=LABEL=writable rootfstype=ext4 elevator=deadline rootwait fixrtc cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory\n", ""},
	{"Pi 5 bookworm with plymouth", "posted: a Pi 5's boot log, file find 66462948049", cmdline(true, 115200, "ttyAMA0"),
		"console=serial0,115200 console=tty1 root=PARTUUID=74e1369a-02 rootfstype=ext4 fsck.repair=yes rootwait quiet splash plymouth.ignore-serial-consoles cfg80211.ieee80211_regdom=US\n",
		"console=ttyAMA0,115200 console=serial0,115200 console=tty1 root=PARTUUID=74e1369a-02 rootfstype=ext4 fsck.repair=yes rootwait quiet splash plymouth.ignore-serial-consoles cfg80211.ieee80211_regdom=US\n"},
	{"NFS root", "posted: a network-booted cluster, file find 56754234679", cmdline(true, 115200, "serial0", "ttyS0"),
		"console=serial0,115200 console=tty1 root=/dev/nfs nfsroot=10.10.10.1:/nfs/clients/pi3-01,vers=3 rw ip=dhcp rootwait\n", ""},
	{"quotes and blanks", "derived: kernel-parameters.rst, a value in double quotes keeps its blanks", cmdline(true, 115200, "ttyS1"),
		"  root=LABEL=RASPIROOT  dyndbg=\"file drivers/usb/* +p console=ttyS1\"\trw\n",
		"  console=ttyS1,115200 console=tty1 root=LABEL=RASPIROOT  dyndbg=\"file drivers/usb/* +p console=ttyS1\"\trw\n"},
	{"Debian's raspi image", "shipped: Debian raspi-firmware writes it so", cmdline(true, 115200, "ttyS1"),
		"console=tty0 console=ttyS1,115200 root=LABEL=RASPIROOT rw fsck.repair=yes net.ifnames=0  rootwait \n", ""},

	{"config.txt of a product", "posted: a CM4 product's fork of pi-gen, " + pigen + "/config.txt", configtxt(false),
		"[cm4]\n# Enable serial console\n#enable_uart=1\n\ngpu_mem=16\n\n[pi4]\nmax_framebuffers=2\n\n[all]\ndtparam=i2c_arm=on\narm_64bit=1\n",
		"[cm4]\n# Enable serial console\n#enable_uart=1\n\ngpu_mem=16\n\n[pi4]\nmax_framebuffers=2\n\n[all]\ndtparam=i2c_arm=on\narm_64bit=1\n" + marker + "\n[all]\nenable_uart=1\n"},
	{"config.txt, already on", "derived: raspi-config's do_serial appends it below [all]", configtxt(false), "[pi4]\narm_boost=1\n[all]\nenable_uart=1\n", ""},
	{"config.txt, on for one model only", "derived: a filter does not end at a blank line", configtxt(false),
		"[pi3]\n\nenable_uart=1", "[pi3]\n\nenable_uart=1\n" + marker + "\n[all]\nenable_uart=1\n"},
	{"config.txt, switched off below", "derived: the last word counts", configtxt(false),
		"enable_uart=1\ndtoverlay=vc4-kms-v3d\nenable_uart=0\n", "enable_uart=1\ndtoverlay=vc4-kms-v3d\nenable_uart=0\n" + marker + "\n[all]\nenable_uart=1\n"},
	{"config.txt, in an included file", "derived: documentation of include", configtxt(false), "arm_64bit=1\ninclude uart.txt\n", ""},
	{"config.txt, included for one model", "derived: the same below a filter", configtxt(false),
		"[pi4]\ninclude uart.txt\ninclude gone.txt\n", "[pi4]\ninclude uart.txt\ninclude gone.txt\n" + marker + "\n[all]\nenable_uart=1\n"},
	{"config.txt from Windows", "derived: edited with Notepad", configtxt(false), "gpu_mem=16\r\n", "gpu_mem=16\r\n" + marker + "\r\n[all]\r\nenable_uart=1\r\n"},
	{"config.txt of a Pi 5", "derived: the header's UART of the RP1", configtxt(true), "enable_uart=1\n[all]\ndtparam=audio=on\n",
		"enable_uart=1\n[all]\ndtparam=audio=on\n" + marker + "\n[all]\ndtoverlay=\ndtparam=uart0=on\n"},
	{"config.txt of a Pi 5, already on", "derived: the same in short", configtxt(true), "enable_uart=1\ndtparam=audio=on,uart0\n", ""},

	{"raspi-firmware, untouched", "shipped: Debian raspi-firmware's /etc/default/raspi-firmware, all commented", raspiFirmware(true, 115200),
		"#KERNEL=\"auto\"\n#CONSOLES=\"auto\"\n", "#KERNEL=\"auto\"\n#CONSOLES=\"auto\"\n" + marker + "\nCONSOLES=\"ttyS1,115200 tty0\"\n"},
	{"raspi-firmware, by an image", "derived: this project's own image", raspiFirmware(true, 9600),
		"CMA=0\nCONSOLES=\"tty0 ttyS1,115200\"\n", "CMA=0\nCONSOLES=\"tty0 ttyS1,9600\"\n"},
	{"raspi-firmware, kernel silent", "derived: the same", raspiFirmware(false, 115200),
		"CONSOLES=\"tty0 ttyS1,115200\"\n", "CONSOLES=\"tty0\"\n"},
	{"raspi-firmware, other consoles", "derived: the same", raspiFirmware(true, 115200),
		"CONSOLES=tty0", "CONSOLES=tty0\n" + marker + "\nCONSOLES=\"ttyS1,115200 $CONSOLES\"\n"},

	{"Debian GRUB", "shipped: " + debianGrub, grub2(true, 115200, 0),
		"GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n#GRUB_TERMINAL=console\n",
		"GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n#GRUB_TERMINAL=console\n" + marker +
			"\nGRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200 --word=8 --parity=no --stop=1\"\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX console=tty0 console=ttyS0,115200\"\n"},
	{"CentOS 7, second port", "posted: a diff of /etc/default/grub, file find 45275636649", grub2(true, 19200, 1),
		"GRUB_TERMINAL=\"serial console\"\nGRUB_SERIAL_COMMAND=\"serial --unit=1 --speed=19200\"\nGRUB_CMDLINE_LINUX=\"crashkernel=auto rd.lvm.lv=centos/root rd.lvm.lv=centos/swap console=ttyS1,19200\"\n", ""},
	{"two entries for one port", "posted: FEMU's guide, file find 6205083024; the kernel keeps the first one's options", grub2(true, 9600, 0),
		"GRUB_CMDLINE_LINUX=\"ip=dhcp console=ttyS0,115200 console=tty console=ttyS0\"\nGRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=9600 --word=8 --parity=no --stop=1\"\n",
		"GRUB_CMDLINE_LINUX=\"ip=dhcp console=ttyS0,9600 console=tty console=ttyS0\"\nGRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=9600 --word=8 --parity=no --stop=1\"\n"},
	{"Azure", "posted: Azure's guide for Linux images, file find 38074456299", grub2(false, 115200, 0),
		"GRUB_CMDLINE_LINUX=\"rootdelay=300 console=tty1 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 net.ifnames=0\"\n",
		"GRUB_CMDLINE_LINUX=\"rootdelay=300 console=tty1 earlyprintk=ttyS0,115200 net.ifnames=0\"\n"},
	{"single quotes", "derived: what a shell also takes", grub2(true, 115200, 0),
		"GRUB_CMDLINE_LINUX='console=ttyS0,9600n8'\nGRUB_TERMINAL='serial'\nGRUB_SERIAL_COMMAND='serial --unit=0 --speed=115200'",
		"GRUB_CMDLINE_LINUX='console=ttyS0,115200n8'\nGRUB_TERMINAL='serial'\nGRUB_SERIAL_COMMAND='serial --unit=0 --speed=115200'"},

	{"CentOS 6 grub.conf", "posted: anaconda's file with a CentOS kernel line, file find 27467610325", legacy(true, 19200),
		"default=0\ntimeout=5\n#hiddenmenu\ntitle CentOS (2.6.32-71.el6.i686)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32-71.el6.i686 ro root=/dev/mapper/VolGroup-lv_root rd_NO_LUKS LANG=en_US.UTF-8 rhgb quiet\n\tinitrd /initramfs-2.6.32-71.el6.i686.img\n",
		"default=0\ntimeout=5\n#hiddenmenu\n" + marker + "\nserial --unit=0 --speed=19200\nterminal --timeout=8 console serial\ntitle CentOS (2.6.32-71.el6.i686)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32-71.el6.i686 ro root=/dev/mapper/VolGroup-lv_root rd_NO_LUKS LANG=en_US.UTF-8 rhgb quiet console=tty0 console=ttyS0,19200\n\tinitrd /initramfs-2.6.32-71.el6.i686.img\n"},
	{"Oracle Linux with serial", "posted: file find 39655994245", legacy(true, 115200),
		"default=0\nserial --unit=0 --speed=115200  --word=8 --parity=no --stop=1\nterminal --timeout=5 serial console\ntitle Oracle Linux Server\n        kernel /vmlinuz ro root=LABEL=rootfs console=tty console=ttyS0,115200n8 selinux=0\n", ""},
	{"SUSE menu.lst", "posted: a bare-metal cloud's guide, file find 12802910606", legacy(false, 115200),
		"gfxmenu (hd0,1)/boot/message\nserial --unit=0 --speed=115200\nterminal --timeout=5 serial console\ntitle SLES\n    kernel /boot/vmlinuz root=/dev/sda2 consoleblank=600 console=tty0 console=ttyS0,115200n8\n",
		"gfxmenu (hd0,1)/boot/message\nserial --unit=0 --speed=115200\nterminal --timeout=5 serial console\ntitle SLES\n    kernel /boot/vmlinuz root=/dev/sda2 consoleblank=600 console=tty0\n"},

	{"Debian inittab", "posted: sysvinit's example lines, file find 57075612841", inittab(true, "ttyS0", 9600, "vt100"),
		"id:2:initdefault:\n6:23:respawn:/sbin/getty 38400 tty6\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n#T3:23:respawn:/sbin/mgetty -x0 -s 57600 ttyS3\n",
		"id:2:initdefault:\n6:23:respawn:/sbin/getty 38400 tty6\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n#T3:23:respawn:/sbin/mgetty -x0 -s 57600 ttyS3\nT0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"},
	{"Raspbian inittab", "posted: Raspbian wheezy's last line", inittab(true, "ttyAMA0", 115200, "vt100"),
		"6:23:respawn:/sbin/getty 38400 tty6\n\n#Spawn a getty on Raspberry Pi serial line\nT0:23:respawn:/sbin/getty -L ttyAMA0 115200 vt100\n", ""},
	{"Raspbian inittab, other terminal", "derived: the same", inittab(true, "ttyAMA0", 115200, "vt220"),
		"T0:23:respawn:/sbin/getty -L ttyAMA0 115200 vt100\n", "T0:23:respawn:/sbin/getty -L ttyAMA0 115200 vt220\n"},
	{"Raspbian inittab, no login", "derived: the same", inittab(false, "ttyAMA0", 115200, "vt100"),
		"6:23:respawn:/sbin/getty 38400 tty6\nT0:23:respawn:/sbin/getty -L ttyAMA0 115200 vt100\n", "6:23:respawn:/sbin/getty 38400 tty6\n"},
	{"id taken", "derived: a terminal server", inittab(true, "ttyS0", 9600, "vt100"),
		"T0:23:respawn:/sbin/getty -L ttyUSB0 9600 vt100\n", "T0:23:respawn:/sbin/getty -L ttyUSB0 9600 vt100\ns0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"},

	{"CentOS 6 securetty", "derived: setup's /etc/securetty, shortened", securetty, "console\nvc/1\ntty1\ntty11\n", "console\nvc/1\ntty1\ntty11\nttyS0\n"},
	{"securetty has it", "derived: Debian wheezy's /etc/securetty, shortened", securetty, "console\n# UART\nttyS0\nttyS1\n", ""},
	{"securetty empty", "derived: an empty file forbids root everywhere", securetty, "", "ttyS0\n"},
}

func TestShapes(t *testing.T) {
	if len(shapes) < 25 {
		t.Errorf("only %d shapes", len(shapes))
	}
	for _, s := range shapes {
		if kind, from, _ := strings.Cut(s.source, ": "); !slices.Contains([]string{"posted", "shipped", "derived"}, kind) || from == "" {
			t.Errorf("%s: %q says not where the shape comes from", s.name, s.source)
		}
		want := s.want
		if want == "" {
			want = s.in
		}
		out, ops, err := s.edit([]byte(s.in))
		if err != nil || string(out) != want {
			t.Errorf("%s: %v\n got %q\nwant %q", s.name, err, out, want)
			continue
		}
		if (len(ops) == 0) != (want == s.in) {
			t.Errorf("%s: changes %v", s.name, ops)
		}
		again, ops, err := s.edit(out)
		if err != nil || string(again) != want || len(ops) != 0 {
			t.Errorf("%s: twice is not once: %v %v\n%q", s.name, err, ops, again)
		}
	}
}

// A shell reads what we write to /etc/default/grub, and must understand it so.
func TestShellReadsGrub(t *testing.T) {
	sh := systemtest.Tool(t, "sh", "dash")
	for _, s := range shapes {
		if !strings.Contains(s.in, "GRUB_CMDLINE_LINUX") {
			continue
		}
		out, _, err := grub2(true, 115200, 0)([]byte(s.in))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "grub")
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command(sh, "-c", `. "$0"; echo "$GRUB_CMDLINE_LINUX"; echo "$GRUB_TERMINAL"; echo "$GRUB_SERIAL_COMMAND"`, file).Output()
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		lines := strings.Split(string(got), "\n")
		words := strings.Fields(lines[0])
		at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "console=ttyS0,115200") })
		if at < 0 || !strings.Contains(lines[1], "serial") || !strings.Contains(lines[2], "--speed=115200") || !strings.Contains(lines[2], "--unit=0") {
			t.Errorf("%s: the shell reads %q", s.name, got)
		}
		// What stood there before still does.
		before, _ := exec.Command(sh, "-c", `. "$0"; echo "$GRUB_CMDLINE_LINUX"`, write(t, s.in)).Output()
		for _, w := range strings.Fields(string(before)) {
			if !strings.HasPrefix(w, "console=ttyS0") && !slices.Contains(words, w) {
				t.Errorf("%s: %s is lost in %q", s.name, w, lines[0])
			}
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTooLong(t *testing.T) {
	long := "root=/dev/mmcblk0p2 " + strings.Repeat("x", 480) + "\n"
	if _, err := EditCmdline([]byte(long), Console{Names: []string{"ttyS0"}, Baud: 115200, On: true}); err == nil || !strings.Contains(err.Error(), "512") {
		t.Errorf("beyond a sector: %v", err)
	}
	if _, err := EditCmdline([]byte("a\x00b"), Console{Names: []string{"ttyS0"}, Baud: 115200, On: true}); err == nil {
		t.Error("NUL bytes")
	}
}

// foreign are the tokens that are not a console on our line.
func foreign(text []byte, names []string) []string {
	var out []string
	for _, s := range tokens(text) {
		token := string(text[s.from:s.to])
		if t, ok := parseConsole(token); !ok || !slices.Contains(names, t.device) {
			out = append(out, token)
		}
	}
	return out
}

func FuzzCmdline(f *testing.F) {
	for _, s := range shapes {
		if strings.Contains(s.in, "root") && !strings.Contains(s.in, "\n\t") {
			f.Add([]byte(s.in), true, 115200, []byte("quiet "))
			f.Add([]byte(s.in), false, 9600, []byte(""))
		}
	}
	f.Add([]byte("\"console=ttyS0,\"0 0"), true, 115200, []byte(""))
	f.Add([]byte("\"console=ttyS0,9600\" a\"b c\"d console=ttyS0"), true, 115200, []byte("x"))
	f.Fuzz(func(t *testing.T, text []byte, on bool, baud int, added []byte) {
		c := Console{Names: []string{"serial0", "ttyS0"}, Baud: max(baud, 1), On: on}
		out, ops, err := editCmdline(text, c)
		if err != nil {
			return
		}
		was, is := foreign(text, c.Names), foreign(out, c.Names)
		if on && len(is) == len(was)+1 {
			i := slices.Index(is, "console=tty1")
			if i < 0 {
				t.Fatalf("%q became %q", text, out)
			}
			is = slices.Delete(is, i, i+1)
		}
		if !slices.Equal(was, is) {
			t.Fatalf("tokens changed: %q became %q", text, out)
		}
		again, ops2, err := editCmdline(out, c)
		if err == nil && (string(again) != string(out) || len(ops2) > 0) {
			t.Fatalf("twice is not once: %q, %q, %q", text, out, again)
		}
		// Off after apply restores the bytes.
		r := record{Kind: kindTokens, Before: new(string(text)), After: string(out), Ops: ops}
		if back := r.undone(out); string(back) != string(text) {
			t.Fatalf("off after apply: %q, %q, %q", text, out, back)
		}
		// And after somebody's edit in between, no token of theirs is lost.
		if len(tokens(added)) == 1 && !strings.Contains(string(added), `"`) && !strings.Contains(string(out), `"`) && !strings.Contains(string(added), "console=") {
			edited := append(append(slices.Clone(out), ' '), added...)
			back := r.undone(edited)
			if want, got := foreign(append(append(slices.Clone(text), ' '), added...), c.Names), foreign(back, c.Names); !slices.Equal(want, got) {
				t.Fatalf("off after an edit: %q, %q, %q", text, edited, back)
			}
		}
	})
}

func FuzzLineFiles(f *testing.F) {
	for i, s := range shapes {
		f.Add([]byte(s.in), uint8(i))
	}
	edits := []func([]byte) ([]byte, []op, error){
		configtxt(false), configtxt(true), grub2(true, 115200, 0), grub2(false, 115200, 0), legacy(true, 9600), legacy(false, 9600),
		inittab(true, "ttyS0", 9600, "vt100"), inittab(false, "ttyS0", 9600, "vt100"), securetty,
		raspiFirmware(true, 9600), raspiFirmware(false, 9600),
	}
	f.Fuzz(func(t *testing.T, text []byte, which uint8) {
		edit := edits[int(which)%len(edits)]
		out, ops, err := edit(text)
		if err != nil {
			return
		}
		if (len(ops) == 0) != (string(out) == string(text)) {
			t.Fatalf("%d: changes %v: %q, %q", which, ops, text, out)
		}
		// Every line that names no console of ours is still there, in order.
		have := strings.SplitAfter(string(out), "\n")
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "ttyS") {
				continue
			}
			i := slices.IndexFunc(have, func(h string) bool {
				return strings.TrimRight(h, "\r\n") == strings.TrimRight(line, "\r\n") ||
					strings.Contains(line, "kernel") && strings.HasPrefix(h, strings.TrimRight(line, " \t\r\n"))
			})
			if i < 0 {
				t.Fatalf("%d: %q is lost: %q, %q", which, line, text, out)
			}
			have = have[i+1:]
		}
		if again, ops2, err := edit(out); err == nil && (string(again) != string(out) || len(ops2) > 0) {
			t.Fatalf("%d: twice is not once: %q, %q, %q", which, text, out, again)
		}
		r := record{Kind: kindLines, Before: new(string(text)), After: string(out), Ops: ops}
		if back := r.undone(out); string(back) != string(text) {
			t.Fatalf("%d: off after apply: %q, %q, %q", which, text, out, back)
		}
		// Lines that somebody adds at the end stay, ours go.
		if len(text) > 0 && text[len(text)-1] == '\n' && !strings.Contains(string(text), "\r") {
			back := r.undone(append(slices.Clone(out), "their=line\n"...))
			if !strings.HasSuffix(string(back), "their=line\n") && !strings.Contains(string(back), "their=line\n") {
				t.Fatalf("%d: somebody's line is lost: %q", which, back)
			}
		}
	})
}
