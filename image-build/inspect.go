package imagebuild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sierpi/sierpi/daemon/config"
)

// partition is one entry of an MBR.
type partition struct {
	kind        byte
	start, size int64 // bytes
}

// readMBR reads a disk image's partition table and its disk identifier.
func readMBR(r io.ReaderAt, size int64) (disk uint32, parts []partition, err error) {
	mbr := make([]byte, sector)
	if _, err := r.ReadAt(mbr, 0); err != nil {
		return 0, nil, fmt.Errorf("reading the partition table: %w", err)
	}
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return 0, nil, errors.New("this is no disk image: its first sector does not end as a partition table does")
	}
	for i := range 4 {
		e := mbr[446+16*i:]
		p := partition{e[4], int64(binary.LittleEndian.Uint32(e[8:])) * sector, int64(binary.LittleEndian.Uint32(e[12:])) * sector}
		if p.kind == 0 {
			continue
		}
		if p.start < sector || p.size == 0 || p.start+p.size > size {
			return 0, nil, fmt.Errorf("partition %d lies outside of the image (%d bytes from %d, of %d)", i+1, p.size, p.start, size)
		}
		parts = append(parts, p)
	}
	for i, p := range parts {
		for _, q := range parts[i+1:] {
			if p.start < q.start+q.size && q.start < p.start+p.size {
				return 0, nil, errors.New("two partitions overlap")
			}
		}
	}
	return binary.LittleEndian.Uint32(mbr[440:]), parts, nil
}

// knownSetuid are the setuid and setgid programs of Debian that the images hold.
var knownSetuid = map[string]bool{
	"/usr/bin/chage": true, "/usr/bin/chfn": true, "/usr/bin/chsh": true, "/usr/bin/expiry": true, "/usr/bin/gpasswd": true,
	"/usr/bin/mount": true, "/usr/bin/newgrp": true, "/usr/bin/passwd": true, "/usr/bin/ssh-agent": true, "/usr/bin/su": true,
	"/usr/bin/sudo": true, "/usr/bin/umount": true, "/usr/bin/pkexec": true, "/usr/bin/crontab": true,
	"/usr/lib/dbus-1.0/dbus-daemon-launch-helper": true, "/usr/lib/openssh/ssh-keysign": true,
	"/usr/lib/polkit-1/polkit-agent-helper-1": true, "/usr/sbin/unix_chkpwd": true, "/usr/lib/xorg/Xorg.wrap": true,
	"/usr/lib/chromium/chrome-sandbox": true, "/usr/bin/fusermount3": true,
}

// inspection collects what is found.
type inspection struct {
	root, boot string // unpacked
	personal   bool
	findings   []string
}

// read reads a file of the image. A link that leads out of the image is an error: it must
// not make the inspection read this machine's own file in its place.
func (i *inspection) read(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(strings.TrimPrefix(name, "/"))
}

func (i *inspection) report(format string, args ...any) {
	i.findings = append(i.findings, fmt.Sprintf(format, args...))
}

// Inspect looks into an image, without mounting it, for what must not be in one, and
// lints its boot partition for every board that it claims. The findings are empty
// for a good image. personal allows its owner's own passwords on the boot partition.
func Inspect(ctx context.Context, image, work string, personal bool) ([]string, error) {
	if err := need(layoutTools); err != nil {
		return nil, err
	}
	d, err := openDisk(image)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(work, "sierpi-inspect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	in := &inspection{root: filepath.Join(dir, "root"), boot: filepath.Join(dir, "boot"), personal: personal}
	for _, d := range []string{in.root, in.boot} {
		if err := makeDir(d); err != nil {
			return nil, err
		}
	}
	if err := in.unpack(ctx, image, d); err != nil {
		return nil, err
	}
	names, err := listExt4(ctx, fmt.Sprintf("%s?offset=%d", image, d.root.start), dir)
	if err != nil {
		return nil, err
	}
	return in.all(names, fmt.Sprintf("%08x-02", d.id))
}

// all looks at everything. names are the root file system's, rootPart its partition.
func (i *inspection) all(names []inode, rootPart string) ([]string, error) {
	i.modes(names)
	if err := i.walkRoot(); err != nil {
		return nil, err
	}
	i.accounts()
	i.sources()
	i.bootSecrets()
	if err := i.lint(rootPart); err != nil {
		return nil, err
	}
	slices.Sort(i.findings)
	return i.findings, nil
}

// modes holds that no program lends its owner's rights but those that are known, and that
// nothing outside of /tmp and its like is writable by everyone.
func (i *inspection) modes(names []inode) {
	for _, n := range names {
		switch {
		case n.mode&modeType == modeFile && n.mode&(modeSetuid|modeSetgid) != 0 && !knownSetuid[n.path]:
			i.report("%s: unknown setuid or setgid program (mode %o, owner %d:%d)", n.path, n.mode&0o7777, n.uid, n.gid)
		case n.mode&modeType == modeFile && n.mode&0o002 != 0:
			i.report("%s: everyone may write it (mode %o)", n.path, n.mode&0o7777)
		}
	}
}

func (i *inspection) unpack(ctx context.Context, image string, d disk) error {
	c := command{env: []string{"MTOOLS_SKIP_CHECK=1"}}
	if _, err := c.run(ctx, "mcopy", "-s", "-n", "-m", "-i", fmt.Sprintf("%s@@%d", image, d.boot.start), "::", i.boot+"/"); err != nil {
		return fmt.Errorf("reading the boot partition: %w", err)
	}
	fs := fmt.Sprintf("%s?offset=%d", image, d.root.start)
	if _, err := c.run(ctx, "e2fsck", "-fn", fs); err != nil {
		return fmt.Errorf("the root file system is damaged: %w", err)
	}
	if _, err := c.run(ctx, "debugfs", "-R", "rdump / "+i.root, fs); err != nil {
		return fmt.Errorf("reading the root file system: %w", err)
	}
	return nil
}

var privateKey = regexp.MustCompile(`(?m)^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----`)

func (i *inspection) walkRoot() error {
	return filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, i.root)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		switch {
		case strings.HasPrefix(name, "/etc/ssh/ssh_host_"):
			i.report("%s: an SSH host key, the same on every card", name)
			return nil
		case (name == "/etc/machine-id" || name == "/var/lib/dbus/machine-id") && info.Size() > 0:
			i.report("%s: a machine-id, the same on every card", name)
		case strings.HasSuffix(name, "/authorized_keys") && info.Size() > 0:
			i.report("%s: a key that is let in on every card", name)
		case strings.HasSuffix(name, "/random-seed"):
			i.report("%s: a random seed, the same on every card", name)
		}
		// Keys are small; programs and documentation hold examples of the marker.
		if info.Size() > 64<<10 || strings.HasPrefix(name, "/usr/share/doc/") || strings.HasPrefix(name, "/usr/bin/") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if privateKey.Match(data) {
			i.report("%s: a private key", name)
		}
		if strings.Contains(name, "wpa_supplicant") && bytes.Contains(data, []byte("psk=")) && !strings.HasPrefix(name, "/usr/") {
			i.report("%s: a Wi-Fi password", name)
		}
		return nil
	})
}

func (i *inspection) accounts() {
	for _, name := range []string{"/etc/shadow", "/etc/shadow-", "/etc/gshadow"} {
		data, err := i.read(i.root, name)
		if err != nil {
			continue // absent
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Split(line, ":")
			if len(f) > 1 && (strings.HasPrefix(strings.TrimLeft(f[1], "!"), "$") || f[1] == "") && !(name == "/etc/gshadow" && f[1] == "") {
				i.report("%s: %s has a password, or none is asked for", name, f[0])
			}
		}
	}
}

// sources holds that every apt source is signed by a named key.
func (i *inspection) sources() {
	list, _ := filepath.Glob(filepath.Join(i.root, "etc/apt/sources.list.d/*"))
	for _, path := range append(list, filepath.Join(i.root, "etc/apt/sources.list")) {
		name := strings.TrimPrefix(path, i.root)
		data, err := i.read(i.root, name)
		if err != nil {
			continue
		}
		if strings.HasSuffix(name, ".sources") {
			for _, paragraph := range strings.Split(string(data), "\n\n") {
				if strings.Contains(paragraph, "URIs:") && !strings.Contains(paragraph, "\nSigned-By: /") {
					i.report("%s: a source that names no key (Signed-By)", name)
				}
				if strings.Contains(strings.ToLower(paragraph), "\ntrusted: yes") || strings.Contains(strings.ToLower(paragraph), "allow-insecure: yes") {
					i.report("%s: an unsigned source", name)
				}
			}
			continue
		}
		scan := bufio.NewScanner(bytes.NewReader(data))
		for scan.Scan() {
			line := strings.TrimSpace(scan.Text())
			if strings.HasPrefix(line, "deb") && (!strings.Contains(line, "signed-by=/") || strings.Contains(line, "trusted=yes")) {
				i.report("%s: %q names no key (signed-by)", name, line)
			}
		}
	}
	confs, _ := filepath.Glob(filepath.Join(i.root, "etc/apt/apt.conf.d/*"))
	for _, path := range confs {
		if data, err := i.read(i.root, strings.TrimPrefix(path, i.root)); err == nil && regexp.MustCompile(`(?i)(AllowUnauthenticated|AllowInsecureRepositories|AllowWeakRepositories)[^;\n]*"?(true|1|yes)`).Match(data) {
			i.report("%s: lets unsigned packages in", strings.TrimPrefix(path, i.root))
		}
	}
}

// bootSecrets looks at the answers for the first boot.
func (i *inspection) bootSecrets() {
	if i.personal {
		return
	}
	if data, err := i.read(i.boot, "sierpi.toml"); err == nil {
		if _, secret, err := config.TakeSecrets(data, config.SecretKeys()...); err != nil {
			i.report("boot partition: sierpi.toml: %v", err)
		} else if secret {
			i.report("boot partition: sierpi.toml holds a password; an image with its owner's own is inspected with --personal")
		}
		cfg, mistakes := config.Parse("sierpi.toml", data)
		if err := mistakes.Err(); err != nil {
			i.report("boot partition: %v", err) // also a password under a name that nobody takes away
		}
		if cfg.Store.DSN != "" {
			i.report("boot partition: sierpi.toml holds the database's address, maybe with its password")
		}
	}
	for _, name := range []string{"userconf.txt", "userconf", "wpa_supplicant.conf", "rpi-preseed.toml", "custom.toml", "user-data", "firstrun.sh"} {
		if _, err := os.Stat(filepath.Join(i.boot, name)); err == nil {
			i.report("boot partition: %s, the answers of one owner", name)
		}
	}
}

// lint checks the boot partition for the boards that the image itself claims.
func (i *inspection) lint(rootPart string) error {
	data, err := i.read(i.root, markPath)
	if errors.Is(err, fs.ErrNotExist) {
		i.report("%s is missing: this is not an image of sierpi, and its first boot would take nothing over", markPath)
		return nil
	} else if err != nil {
		return err
	}
	var mark Mark
	if err := json.Unmarshal(data, &mark); err != nil {
		i.report("%s: %v", markPath, err)
		return nil
	}
	fstab, err := i.read(i.root, "etc/fstab")
	if err != nil || !strings.Contains(string(fstab), "PARTUUID="+rootPart+" / ") {
		i.report("/etc/fstab does not mount this image's root, PARTUUID=%s", rootPart)
	}
	if mark.Board == "pc" {
		grub, err := i.read(i.root, "boot/grub/grub.cfg")
		if err != nil || !strings.Contains(string(grub), "root=PARTUUID="+rootPart) {
			i.report("/boot/grub/grub.cfg does not start this image's root, PARTUUID=%s", rootPart)
		}
		return nil
	}
	b, err := readBootPartition(i.boot)
	if err != nil {
		return err
	}
	for _, finding := range lintBoot(b, mark.Base, mark.Arch, mark.Boards, rootPart) {
		i.report("%s", finding)
	}
	return nil
}

func readBootPartition(dir string) (bootPartition, error) {
	b := bootPartition{files: map[string]bool{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b.files[strings.ToLower(strings.TrimPrefix(path, dir+"/"))] = true
		}
		return err
	})
	if err != nil {
		return b, err
	}
	for name, into := range map[string]*string{"config.txt": &b.config, "cmdline.txt": &b.cmdline} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
		*into = string(data)
	}
	return b, nil
}
