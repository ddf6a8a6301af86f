package zram

import (
	"strings"

	"github.com/sierpi/sierpi/system"
)

// provider is another program that sets up zram swap, how it is recognised, and
// how its owner can switch it off.
type provider struct {
	name, remedy string
	// active are paths, or links whose target is here, that exist only while it is
	// in force on this boot; %s is the device's name.
	active []string
}

var providers = []provider{
	{
		"rpi-swap",
		"to let sierpi do it, write Mechanism=none below [Main] into /etc/rpi/swap.conf.d/90-sierpi.conf and reboot; to keep it, set enabled = false below [zram]",
		[]string{"/run/systemd/zram-generator.conf.d/20-rpi-swap-zram0-ctrl.conf"},
	},
	{
		"zram-generator",
		"to let sierpi do it, make /etc/systemd/zram-generator.conf an empty file and reboot; to keep it, set enabled = false below [zram]",
		[]string{"/run/systemd/generator/dev-%s.swap", "/run/systemd/generator/systemd-zram-setup@%s.service", "/run/systemd/generator/swap.target.wants/dev-%s.swap"},
	},
	{
		"zram-tools",
		"to let sierpi do it, run `systemctl disable --now zramswap`; to keep it, set enabled = false below [zram]",
		[]string{"/etc/systemd/system/multi-user.target.wants/zramswap.service", "/etc/rc2.d/S01zramswap"},
	},
	{
		"zram-config",
		"to let sierpi do it, run `systemctl disable --now zram-config`; to keep it, set enabled = false below [zram]",
		[]string{"/etc/systemd/system/multi-user.target.wants/zram-config.service"},
	},
}

// providerOf finds who sets a zram device up on this boot; "zram*" stands for any.
func providerOf(root system.Root, device string) *provider {
	for i, p := range providers {
		for _, path := range p.active {
			if len(root.Glob(strings.ReplaceAll(path, "%s", device))) > 0 {
				return &providers[i]
			}
		}
	}
	return nil
}

// use says what a device that is not ours is used for; empty if for nothing.
func use(root system.Root, d Device) string {
	if d.Swap != nil {
		return "swap"
	}
	if holders, _ := root.ReadDir("/sys/block/" + d.Name + "/holders"); len(holders) > 0 {
		return "part of " + holders[0].Name()
	}
	if dev, err := root.ReadString("/sys/block/" + d.Name + "/dev"); err == nil {
		if mounts, err := root.ReadFile("/proc/self/mountinfo"); err == nil {
			for line := range strings.Lines(string(mounts)) {
				// 36 35 98:0 /mnt1 /mnt2 ...: the third is the device, the fifth where.
				if words := strings.Fields(line); len(words) > 4 && words[2] == dev {
					return "mounted on " + unescape(words[4])
				}
			}
		}
	}
	if d.Size > 0 {
		return "set up, not in use"
	}
	return ""
}
