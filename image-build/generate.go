package imagebuild

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sierpi/sierpi/systemd"
)

// identity is what tells one image from another; it comes from the lock.
type identity struct {
	disk   uint32 // of the MBR; names the partitions (PARTUUID)
	fat    uint32
	rootID string // UUID of the root file system
}

func (r Recipe) identity(lock Lock) identity {
	sum := lock.id(r, "disk")
	le := func(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24 }
	u := sum[8:24]
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // as a random UUID
	return identity{le(sum[0:]), le(sum[4:]), fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])}
}

// partUUID is the kernel's name of a partition of an MBR disk.
func (id identity) partUUID(n int) string { return fmt.Sprintf("%08x-%02x", id.disk, n) }

// overlayName is the device-tree overlay that makes the mini UART on the header
// ttyS0 under Debian's own kernel, as it is under Raspberry Pi's.
const overlayName = "sierpi-ttys0"

// overlaySource swaps the serial aliases, from which the kernel numbers UARTs. Paths
// instead of labels: Debian's device trees for the 3 carry no symbols.
const overlaySource = `/dts-v1/;
/plugin/;
/ {
	compatible = "brcm,bcm2835";
	fragment@0 {
		target-path = "/aliases";
		__overlay__ {
			serial0 = "/soc/serial@7e215040";
			serial1 = "/soc/serial@7e201000";
		};
	};
	fragment@1 {
		target-path = "/chosen";
		__overlay__ {
			stdout-path = "serial0:115200n8";
		};
	};
};
`

// rootModules is what an SD card, a USB disk or a virtual machine needs to reach its
// root file system: with MODULES=list the initramfs is made of these in a fraction of
// the time and size of MODULES=most, on the board too, at every kernel update.
var rootModules = []string{
	"bcm2835", "sdhci-iproc", "sdhci-pltfm", "mmc_block",
	"ext4", "vfat", "nls_ascii", "nls_cp437", "nls_iso8859-1",
	"regulator-fixed", "regulator-gpio", "raspberrypi-cpufreq",
	"reset-raspberrypi", "xhci-pci", "xhci-plat-hcd", "dwc2", "usb-storage", "uas", "sd_mod", "nvme",
	"virtio_blk", "virtio_pci", "virtio_mmio", "virtio_net",
	"bcm2835_wdt",
}

func text(path, content string) systemd.File {
	return systemd.File{Path: path, Mode: 0o644, Data: []byte(content)}
}

// rootFiles is what the recipe puts into the root file system beside packages.
func (r Recipe) rootFiles(lock Lock, mir Mirrors) ([]systemd.File, error) {
	id := r.identity(lock)
	sources, err := sourcesText(r, mir, func(key string) string { return key })
	if err != nil {
		return nil, err
	}
	mark, err := json.MarshalIndent(Mark{
		Base: r.Base, Release: lock.Release, Arch: r.Arch, Board: r.Board, Boards: r.boards(),
		Variant: r.Variant, Version: lock.Version, Built: lock.Time.UTC().Format("2006-01-02T15:04:05Z"),
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	fstab := fmt.Sprintf("PARTUUID=%s / ext4 defaults,noatime,errors=remount-ro,x-systemd.growfs 0 1\n", id.partUUID(2))
	// nofail: a broken boot partition must not keep the machine from its login.
	fstab += fmt.Sprintf("PARTUUID=%s /boot/firmware vfat defaults,noatime,nofail,flush,umask=0022 0 2\n", id.partUUID(1))

	files := []systemd.File{
		text(markPath, string(mark)+"\n"),
		text("/etc/apt/sources.list.d/sierpi-image.sources", sources),
		text("/etc/fstab", fstab),
		// Empty, not absent: systemd makes one at first boot and keeps it.
		{Path: "/etc/machine-id", Mode: 0o444},
		text("/etc/hostname", r.Settings.Hostname+"\n"),
		text("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 "+r.Settings.Hostname+"\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"),
		text("/etc/default/locale", "LANG=C.UTF-8\n"),
		text("/etc/systemd/network/20-wired.network", "# Every cable asks by DHCP; the machine is up without one.\n[Match]\nType=ether\nKind=!*\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\nMulticastDNS=no\n\n[DHCPv4]\nRouteMetric=100\n\n[IPv6AcceptRA]\nRouteMetric=100\n"),
		text("/etc/systemd/network/30-wireless.network", "[Match]\nType=wlan\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\nMulticastDNS=no\n\n[DHCPv4]\nRouteMetric=600\n\n[IPv6AcceptRA]\nRouteMetric=600\n"),
		// avahi is the one that answers for sierpi.local; two responders on one port disagree.
		text("/etc/systemd/resolved.conf.d/sierpi.conf", "[Resolve]\nMulticastDNS=no\nLLMNR=no\n"),
		// The card outlives the log: what matters is in the state folder.
		text("/etc/systemd/journald.conf.d/sierpi.conf", "[Journal]\nStorage=volatile\nRuntimeMaxUse=24M\n"),
		// 15 s is all that the BCM2835's watchdog counts to.
		text("/etc/systemd/system.conf.d/sierpi.conf", "[Manager]\nRuntimeWatchdogSec=15\nRebootWatchdogSec=2min\n"),
		text("/etc/ssh/sshd_config.d/sierpi.conf", "# Keys only. sshd itself is off until it is asked for.\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n"),
		text("/etc/apt/apt.conf.d/20sierpi", "// Security updates by themselves; the small hours' reboot is the owner's decision.\nAPT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\nAPT::Periodic::AutocleanInterval \"7\";\n// The card keeps no copy of what is installed.\nAPT::Keep-Downloaded-Packages \"false\";\nAPT::Install-Recommends \"false\";\n"),
	}
	if r.Board == "pc" {
		return append(files, r.grubFiles(id)...), nil
	}
	files = append(files,
		text("/usr/lib/sierpi/"+overlayName+".dts", overlaySource),
		text("/etc/initramfs-tools/conf.d/sierpi", "MODULES=list\nCOMPRESS=zstd\n"),
		text("/etc/initramfs-tools/modules", strings.Join(rootModules, "\n")+"\n"),
	)
	if r.Base == "debian" {
		files = append(files,
			// Read by Debian's hook, which writes config.txt and cmdline.txt at every kernel update.
			text("/etc/default/raspi-firmware", fmt.Sprintf("# Written for the image of sierpi.\n# No CMA pool by hand: a 4 does not boot with one, and nothing here needs it.\nCMA=0\nROOTPART=\"PARTUUID=%s\"\nCONSOLES=%q\n", id.partUUID(2), r.consoles())),
			text("/etc/default/raspi-extra-cmdline", "panic=10\n"),
			text("/etc/default/raspi-firmware-custom", r.customConfig()),
		)
	}
	return files, nil
}

// consoles lists the kernel's consoles; the last is /dev/console.
func (r Recipe) consoles() string {
	switch {
	case r.Base == "raspios":
		return "tty1 serial0,115200"
	case r.Arch == "armel":
		// PL011 on the 1 and Zero, mini UART on the Zero W; each board has only one of the two names.
		return "tty0 ttyAMA0,115200 ttyS0,115200"
	}
	return "tty0 ttyS0,115200"
}

// customConfig is our part of config.txt.
func (r Recipe) customConfig() string {
	var b strings.Builder
	b.WriteString("# 16 MiB are enough for a machine without a desktop.\ngpu_mem=16\n")
	if r.Variant != "headless" {
		b.Reset()
	}
	switch {
	case r.Base == "raspios":
		b.WriteString("enable_uart=1\ndtparam=watchdog=on\n")
		if r.Arch == "arm64" {
			b.WriteString("arm_64bit=1\n[pi5]\n# The header, beside the debug connector.\ndtparam=uart0=on\n[all]\n")
		}
	case r.Arch == "armel":
		b.WriteString("[pi0w]\n# The mini UART on the header is ttyS0.\ndtoverlay=" + overlayName + "\n[all]\n")
	default:
		b.WriteString("# The mini UART on the header is ttyS0.\ndtoverlay=" + overlayName + "\n")
	}
	return b.String()
}

// raspiosFiles are config.txt and cmdline.txt of a Raspberry Pi OS image: its hook
// copies kernels but, unlike Debian's, leaves these two to the image.
func (r Recipe) raspiosFiles(id identity) []systemd.File {
	var consoles string
	for c := range strings.FieldsSeq(r.consoles()) {
		consoles += "console=" + c + " "
	}
	return []systemd.File{
		text("/boot/firmware/cmdline.txt", consoles+"root=PARTUUID="+id.partUUID(2)+" rootfstype=ext4 fsck.repair=yes rootwait panic=10\n"),
		text("/boot/firmware/config.txt", "# https://www.raspberrypi.com/documentation/computers/config_txt.html\nauto_initramfs=1\n"+r.customConfig()),
	}
}

// grubFiles set up GRUB on a PC: menu and kernel messages on the screen and on ttyS0.
func (r Recipe) grubFiles(id identity) []systemd.File {
	const kernelLine = "console=tty0 console=ttyS0,115200 net.ifnames=0 panic=10"
	return []systemd.File{
		text("/etc/default/grub", "# `sierpi serial apply` changes the serial lines here; then it runs update-grub.\n"+
			"GRUB_DEFAULT=0\nGRUB_TIMEOUT=3\nGRUB_DISTRIBUTOR=sierpi\nGRUB_DISABLE_OS_PROBER=true\nGRUB_DISABLE_RECOVERY=true\n"+
			"GRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX=\""+kernelLine+"\"\n"+
			"GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n"),
		// The first boot's; update-grub, which needs a real disk to look at, writes it anew on the machine.
		text("/boot/grub/grub.cfg", "serial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\nset timeout=3\n"+
			"menuentry 'sierpi' {\n\tsearch --no-floppy --fs-uuid --set=root "+id.rootID+"\n\tlinux /vmlinuz root=PARTUUID="+id.partUUID(2)+" ro "+kernelLine+"\n\tinitrd /initrd.img\n}\n"),
	}
}

// bootFiles is what the recipe puts on the boot partition for the first boot.
func (r Recipe) bootFiles(reference []byte) []systemd.File {
	config := r.Config
	if len(config) == 0 {
		config = reference
	}
	config = append([]byte(nil), config...)
	if s := r.Settings.firstBoot(); s != "" {
		config = append(append(config, '\n'), s...)
	}
	return []systemd.File{{Path: "/sierpi.toml", Mode: fs.FileMode(0o644), Data: config}}
}

// firstBoot writes the settings as the table that the first boot reads; "" when
// there is nothing to say.
func (s Settings) firstBoot() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, tomlString(value))
		}
	}
	line("user", s.User)
	if len(s.SSHKeys) > 0 {
		var keys []string
		for _, k := range s.SSHKeys {
			keys = append(keys, tomlString(k))
		}
		fmt.Fprintf(&b, "ssh = true\nssh-keys = [%s]\n", strings.Join(keys, ", "))
	}
	line("locale", s.Locale)
	line("timezone", s.Timezone)
	if s.WiFi.SSID != "" {
		b.WriteString("\n[firstboot.wifi]\n")
		line("ssid", s.WiFi.SSID)
		line("password", s.WiFi.Password)
		line("country", s.WiFi.Country)
	}
	if b.Len() == 0 {
		return ""
	}
	return "[firstboot]\n" + b.String()
}

// tomlString quotes as TOML's basic strings are quoted: JSON's escapes are among them.
func tomlString(s string) string {
	q, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(q)
}
