package imagebuild

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Recipe says what an image is made of. Two runs of one recipe with one lock file
// make the same bytes.
type Recipe struct {
	Base    string // "debian", "raspios"
	Arch    string // Debian architecture: "arm64", "armel", "armhf", "amd64"
	Board   string // "pi", "pc"
	Variant string // "headless", "kiosk"

	Settings Settings
	// Config is the owner's sierpi.toml, copied to the boot partition; empty: the reference.
	Config []byte
}

// Settings are the answers that the first boot takes over. They are written to
// the boot partition, never into the root file system.
type Settings struct {
	Hostname string
	User     string
	SSHKeys  []string
	WiFi     struct{ SSID, Password, Country string }
	Locale   string
	Timezone string
}

// archive is one apt source of a recipe.
type archive struct {
	name       string // "debian", "security", "raspberrypi": names the mirror
	suites     []string
	components []string
	keyring    string // as installed in the image
}

// release is the Debian release that every image is made of.
const release = "trixie"

// kernels by base, architecture and board: the metapackages that follow updates.
func (r Recipe) kernels() ([]string, error) {
	switch [3]string{r.Base, r.Arch, r.Board} {
	case [3]string{"debian", "amd64", "pc"}:
		return []string{"linux-image-amd64"}, nil
	case [3]string{"debian", "arm64", "pi"}:
		return []string{"linux-image-arm64"}, nil
	case [3]string{"debian", "armel", "pi"}:
		return []string{"linux-image-rpi"}, nil
	case [3]string{"raspios", "arm64", "pi"}:
		return []string{"linux-image-rpi-v8", "linux-image-rpi-2712"}, nil
	case [3]string{"raspios", "armhf", "pi"}:
		return []string{"linux-image-rpi-v6", "linux-image-rpi-v7", "linux-image-rpi-v8"}, nil
	}
	return nil, fmt.Errorf("no image of base %q, architecture %q and board %q is known; there are debian/arm64/pi, debian/armel/pi, debian/amd64/pc, raspios/arm64/pi and raspios/armhf/pi", r.Base, r.Arch, r.Board)
}

// boards lists what the image claims to boot on, by the name that config.txt's
// conditional filters use.
func (r Recipe) boards() []string {
	switch {
	case r.Board == "pc":
		return []string{"pc"}
	case r.Base == "raspios" && r.Arch == "arm64":
		return []string{"pi02", "pi3", "pi3+", "pi4", "pi400", "cm4", "pi5"}
	case r.Base == "raspios":
		return []string{"pi0", "pi0w", "pi1", "pi2", "pi02", "pi3", "pi3+", "pi4", "pi400", "cm4"}
	case r.Arch == "arm64":
		// Debian's 6.12 has neither USB nor Ethernet on a 5.
		return []string{"pi02", "pi3", "pi3+", "pi4", "pi400", "cm4"}
	}
	return []string{"pi0", "pi0w", "pi1"}
}

func (r Recipe) archives() []archive {
	const debianKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"
	debian := []archive{
		{"debian", []string{release, release + "-updates"}, []string{"main", "non-free-firmware"}, debianKeys},
		{"security", []string{release + "-security"}, []string{"main", "non-free-firmware"}, debianKeys},
	}
	pi := archive{"raspberrypi", []string{release}, []string{"main"}, "/usr/share/keyrings/raspberrypi-archive-keyring.pgp"}
	switch {
	case r.Base == "raspios" && r.Arch == "armhf":
		return []archive{{"raspbian", []string{release}, []string{"main", "contrib", "non-free", "rpi"}, "/usr/share/keyrings/raspbian-archive-keyring.gpg"}, pi}
	case r.Base == "raspios":
		return append(debian, pi)
	}
	return debian
}

// packages lists what is asked for by name; everything else comes by dependency.
func (r Recipe) packages() ([]string, error) {
	kernels, err := r.kernels()
	if err != nil {
		return nil, err
	}
	list := []string{
		"sierpi",
		// The system.
		"systemd", "systemd-sysv", "udev", "dbus", "kmod", "login", "e2fsprogs", "fdisk", "dosfstools", "procps", "less", "sudo", "util-linux-extra",
		// zstd for the initramfs; initramfs-tools itself comes with the kernel.
		"zstd", "initramfs-tools",
		// The network: networkd and resolved are in systemd's source and start fast.
		"iproute2", "iputils-ping", "systemd-resolved", "systemd-timesyncd", "avahi-daemon", "libnss-mdns", "openssh-server", "ca-certificates",
		// What the owner may ask of logind over the pages; what keeps an unattended box patched.
		"polkitd", "unattended-upgrades",
		// What apt, dpkg and the upgrades note in /var/log ends somewhere.
		"logrotate",
		// First boot: locales and time zones.
		"locales", "tzdata",
	}
	if r.Board == "pc" {
		list = append(list, "grub-pc")
	} else {
		list = append(list, "raspi-firmware", "wpasupplicant", "iw", "wireless-regdb", "rfkill")
		if r.Base == "raspios" {
			list = append(list, "firmware-brcm80211", "raspberrypi-archive-keyring")
			if r.Arch == "armhf" {
				list = append(list, "raspbian-archive-keyring")
			}
		} else {
			list = append(list, "firmware-brcm80211")
		}
	}
	list = append(list, kernels...)
	if r.Variant == kioskVariant {
		list = append(list, r.kioskPackages()...)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

var (
	validHostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	validUser     = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	validCountry  = regexp.MustCompile(`^[A-Z]{2}$`)
	validLocale   = regexp.MustCompile(`^[A-Za-z]{1,8}(_[A-Z]{2})?(\.[A-Za-z0-9-]+)?(@[a-z]+)?$`)
	validTimezone = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$`)
)

// Check reports the first thing about the recipe that cannot be built, and what
// could be.
func (r Recipe) Check() error {
	if _, err := r.kernels(); err != nil {
		return err
	}
	if err := r.checkVariant(); err != nil {
		return err
	}
	s := r.Settings
	switch {
	case !validHostname.MatchString(s.Hostname):
		return fmt.Errorf("--hostname %q: write up to 63 of a-z, 0-9 and -, neither first nor last a -", s.Hostname)
	case s.User != "" && !validUser.MatchString(s.User):
		return fmt.Errorf("--user %q: write up to 32 of a-z, 0-9, _ and -, starting with a letter", s.User)
	case s.User == "root":
		return fmt.Errorf("--user root: root has no login on the image; name another user, who gets sudo")
	case s.User == "" && len(s.SSHKeys) > 0:
		return fmt.Errorf("--ssh-key without --user: whose key is it?")
	case s.WiFi.SSID != "" && len(s.WiFi.SSID) > 32:
		return fmt.Errorf("--wifi: the network's name has %d bytes, at most 32 are possible", len(s.WiFi.SSID))
	case s.WiFi.SSID != "" && s.WiFi.Password != "" && (len(s.WiFi.Password) < 8 || len(s.WiFi.Password) > 64):
		return fmt.Errorf("--wifi: a password has 8 to 63 characters, or is the key as 64 hexadecimal digits")
	case s.WiFi.SSID != "" && !validCountry.MatchString(s.WiFi.Country):
		return fmt.Errorf("--wifi: the country %q is not two capital letters, as DE; without it the radio may not send", s.WiFi.Country)
	case s.Locale != "" && !validLocale.MatchString(s.Locale):
		return fmt.Errorf("--locale %q: write it as de_DE.UTF-8", s.Locale)
	case s.Timezone != "" && !validTimezone.MatchString(s.Timezone):
		return fmt.Errorf("--timezone %q: write it as Europe/Berlin", s.Timezone)
	}
	for _, key := range s.SSHKeys {
		if f := strings.Fields(key); len(f) < 2 || !strings.HasPrefix(f[0], "ssh-") && !strings.HasPrefix(f[0], "ecdsa-") && !strings.HasPrefix(f[0], "sk-") || strings.ContainsAny(key, "\n\r") {
			return fmt.Errorf("--ssh-key: %.40q is not a public key; it looks like \"ssh-ed25519 AAAA... name\"", key)
		}
	}
	return nil
}

// personal reports whether the image is its owner's alone: his passwords may lie on the
// boot partition until the first boot has taken them.
func (r Recipe) personal() bool {
	return r.Settings.WiFi.Password != "" || len(r.Config) > 0
}

// Name is the image's file name without an ending.
func (r Recipe) Name() string {
	return strings.Join([]string{"sierpi", r.Variant, r.Base, r.Arch, r.Board}, "-")
}
