package overlay

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/system"
)

const (
	plainMounts   = "25 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
	overlayMounts = "25 1 0:31 / / rw shared:1 - overlay sierpi-overlay rw,lowerdir=/run/sierpi-overlay/lower\n" +
		"26 25 179:2 / /run/sierpi-overlay/lower ro shared:2 - ext4 /dev/mmcblk0p2 ro\n" +
		"27 25 179:3 / /run/sierpi-overlay/state rw,noatime shared:3 - ext4 /dev/mmcblk0p3 rw\n"
)

// card is a machine with a card of 4 GiB and the root in the middle of it.
func card(t *testing.T) (Manager, *[]string) {
	t.Helper()
	root := system.Root(t.TempDir())
	const disk = "/sys/devices/mmc/block/mmcblk0"
	for path, text := range map[string]string{
		"/proc/self/mountinfo":        plainMounts,
		disk + "/size":                "8388608\n",
		disk + "/mmcblk0p1/start":     "16384\n",
		disk + "/mmcblk0p1/size":      "1048576\n",
		disk + "/mmcblk0p1/partition": "1\n",
		disk + "/mmcblk0p2/start":     "1064960\n",
		disk + "/mmcblk0p2/size":      "6799360\n",
		disk + "/mmcblk0p2/partition": "2\n",
		"/usr/sbin/update-initramfs":  "",
		"/run/initramfs/fsck.log":     "",
		"/etc/sierpi/sierpi.toml":     "",
		"/var/lib/sierpi/sierpi.db":   "",
	} {
		put(t, root, path, text)
	}
	if err := os.MkdirAll(root.Path("/sys/dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../devices/mmc/block/mmcblk0/mmcblk0p2", root.Path("/sys/dev/block/179:2")); err != nil {
		t.Fatal(err)
	}
	ran := &[]string{}
	m := Manager{Root: root, Run: func(ctx context.Context, stdin, name string, args ...string) (string, error) {
		*ran = append(*ran, strings.TrimSpace(strings.Join(append([]string{name}, args...), " ")+" <"+strings.TrimSpace(stdin)))
		if name == "blkid" && slices.Contains(args, "PART_ENTRY_UUID") {
			return "c23d403d-03\n", nil
		}
		if name == "blkid" {
			return "", exec.CommandContext(ctx, "sh", "-c", "exit 2").Run() // nothing lies there
		}
		return "", nil
	}}
	return m, ran
}

func put(t *testing.T, root system.Root, path, text string) {
	t.Helper()
	full := root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOnAndOff(t *testing.T) {
	m, ran := card(t)
	p, err := m.PlanOn(t.Context(), "")
	if err != nil || len(*ran) != 0 || !p.Reboot {
		t.Fatalf("%v, ran %q, %+v", err, *ran, p)
	}
	for _, want := range []string{"create   /dev/mmcblk0p3, 256 MiB behind", "format   /dev/mmcblk0p3", "move     /etc/sierpi, /var/lib/sierpi to it", "build ", "mark ", "reboot "} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("the plan lacks %q:\n%s", want, p)
		}
	}
	if _, err := m.On(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sfdisk --quiet --append --force --no-reread --no-tell-kernel /dev/mmcblk0 <start=7864320, type=83",
		"partx --update --nr 3 /dev/mmcblk0 <",
		"blkid -p -o export /dev/mmcblk0p3 <",
		"mke2fs -q -F -t ext4 -L sierpi-state -m 1 /dev/mmcblk0p3 <",
		"mount -t ext4 -o noatime,nodev,nosuid /dev/mmcblk0p3 /run/sierpi-overlay/state <",
		"systemctl stop sierpi.socket sierpi-metrics.socket sierpi.service <",
		"cp --archive --parents /etc/sierpi /run/sierpi-overlay/state <",
		"cp --archive --parents /var/lib/sierpi /run/sierpi-overlay/state <",
		"sync -f /run/sierpi-overlay/state <",
		"blkid -p -o value -s PART_ENTRY_UUID /dev/mmcblk0p3 <",
		"mount --bind /run/sierpi-overlay/state/etc/sierpi /etc/sierpi <",
		"mount --bind /run/sierpi-overlay/state/var/lib/sierpi /var/lib/sierpi <",
		"systemctl start --no-block sierpi.socket sierpi-metrics.socket sierpi.service <",
		"update-initramfs -u -k all <",
	}
	if !slices.Equal(*ran, want) {
		t.Errorf("ran\n%s\nexpected\n%s", strings.Join(*ran, "\n"), strings.Join(want, "\n"))
	}
	for path, want := range map[string]string{stateFile: "PARTUUID=c23d403d-03\n", listFile: "etc/sierpi\nvar/lib/sierpi\n", onFile: ""} {
		if got, err := m.Root.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; expected %q", path, got, err, want)
		}
	}
	if p, err := m.PlanOn(t.Context(), ""); err != nil || !p.Empty() || !p.Reboot {
		t.Errorf("on when it is on already: %+v, %v", p, err)
	}
	// Taken back before the boot, and asked for again: the state stays where it is.
	if p, err := m.Off(t.Context()); err != nil || p.Reboot || m.exists(onFile) {
		t.Errorf("off before the boot: %+v, %v", p, err)
	}
	*ran = nil
	if _, err := m.On(t.Context(), ""); err != nil || !slices.Equal(*ran, []string{"update-initramfs -u -k all <"}) {
		t.Errorf("on again ran %q, %v", *ran, err)
	}

	// Booted: the root is below the overlay, and its marks are there.
	put(t, m.Root, "/proc/self/mountinfo", overlayMounts)
	put(t, m.Root, lowerDir+onFile, "")
	put(t, m.Root, lowerDir+stateFile, "PARTUUID=c23d403d-03\n")
	s, err := m.Status()
	if err != nil || !s.Active || !s.Next || s.Device != "/dev/mmcblk0p3" || s.State != "PARTUUID=c23d403d-03" {
		t.Errorf("status %+v, %v", s, err)
	}
	*ran = nil
	if p, err := m.Off(t.Context()); err != nil || !p.Reboot || m.exists(lowerDir+onFile) {
		t.Errorf("off: %+v, %v", p, err)
	}
	if want := []string{"mount -o remount,rw /run/sierpi-overlay/lower <", "mount -o remount,ro /run/sierpi-overlay/lower <"}; !slices.Equal(*ran, want) {
		t.Errorf("off ran %q", *ran)
	}
	var b strings.Builder
	if s, _ := m.Status(); s.Next {
		t.Errorf("after off: %+v", s)
	} else if _, err := s.WriteTo(&b); err != nil || !strings.Contains(b.String(), "off after the next boot") {
		t.Errorf("%v\n%s", err, b.String())
	}
	if p, err := m.PlanOff(); err != nil || !p.Empty() || !p.Reboot {
		t.Errorf("off when it is off already: %+v, %v", p, err)
	}
}

// A run that was cut off after it had made the partition is gone on with.
func TestCutOff(t *testing.T) {
	m, ran := card(t)
	const disk = "/sys/devices/mmc/block/mmcblk0"
	put(t, m.Root, disk+"/mmcblk0p3/start", "7864320\n")
	put(t, m.Root, disk+"/mmcblk0p3/size", "524288\n")
	put(t, m.Root, disk+"/mmcblk0p3/partition", "3\n")
	if _, err := m.On(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(*ran, func(c string) bool { return strings.HasPrefix(c, "sfdisk") }) || !slices.Contains(*ran, "mke2fs -q -F -t ext4 -L sierpi-state -m 1 /dev/mmcblk0p3 <") {
		t.Errorf("ran %q", *ran)
	}
}

func TestRefusals(t *testing.T) {
	m, _ := card(t)
	put(t, m.Root, "/dev/sda1", "")
	for name, c := range map[string]struct {
		change func()
		device string
		code   system.ExitCode
		says   string
	}{
		"no such device": {func() {}, "/dev/sdz1", system.ExitConfig, "lsblk"},
		"somebody's files": {func() {
			m.Run = func(context.Context, string, string, ...string) (string, error) {
				return "TYPE=vfat\nLABEL=HOLIDAY\n", nil
			}
		}, "/dev/sda1", system.ExitOwned, "wipefs"},
		"no room":      {func() { put(t, m.Root, "/sys/devices/mmc/block/mmcblk0/mmcblk0p2/size", "7323648\n") }, "", system.ExitImpossible, "--device"},
		"no initramfs": {func() { _ = os.RemoveAll(m.Root.Path("/run/initramfs")) }, "", system.ExitImpossible, "initramfs-tools"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ = card(t)
			put(t, m.Root, "/dev/sda1", "")
			c.change()
			_, err := m.PlanOn(t.Context(), c.device)
			if system.ExitCodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v (code %d)", err, system.ExitCodeOf(err))
			}
		})
	}
}

func TestPartitionName(t *testing.T) {
	for want, c := range map[string]string{"mmcblk0p3": "mmcblk0", "sda3": "sda", "nvme0n1p3": "nvme0n1", "vda3": "vda"} {
		if got := partitionName(c, 3); got != want {
			t.Errorf("%s: %s", c, got)
		}
	}
}
