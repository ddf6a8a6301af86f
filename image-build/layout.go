package imagebuild

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mib       = 1 << 20
	sector    = 512
	alignment = 8 * mib // erase blocks of SD cards
	fatSize   = 512 * mib
	fatStart  = alignment
	rootStart = fatStart + fatSize
)

// layoutBuild turns a root file system into a disk image: an MBR, a FAT32
// boot partition, an ext4 root. No loop device, no mount.
type layoutBuild struct {
	recipe Recipe
	id     identity
	time   time.Time
	root   string // becomes the root, but for boot/firmware, which becomes the FAT
	work   string
	log    io.Writer
}

func setTime(path string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting the time of %s: %w", path, err)
	}
	return nil
}

func (b layoutBuild) run(ctx context.Context, stdin string, name string, args ...string) error {
	c := command{log: b.log, env: []string{
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.time.Unix()), "E2FSPROGS_FAKE_TIME=" + fmt.Sprint(b.time.Unix()), "MTOOLS_SKIP_CHECK=1",
	}}
	if stdin != "" {
		c.stdin = strings.NewReader(stdin)
	}
	_, err := c.run(ctx, name, args...)
	return err
}

// build writes the image file.
func (b layoutBuild) build(ctx context.Context, image string) error {
	if err := clampTimes(b.root, b.time); err != nil {
		return err
	}
	fat := filepath.Join(b.work, "boot.fat")
	ext4 := filepath.Join(b.work, "root.ext4")
	if err := b.fat(ctx, fat); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	size, err := b.ext4(ctx, ext4)
	if err != nil {
		return fmt.Errorf("root partition: %w", err)
	}
	total := rootStart + size
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(total); err != nil {
		return err
	}
	table := fmt.Sprintf("label: dos\nlabel-id: 0x%08x\nstart=%d, size=%d, type=c, bootable\nstart=%d, size=%d, type=83\n",
		b.id.disk, fatStart/sector, fatSize/sector, rootStart/sector, size/sector)
	if err := b.run(ctx, table, "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image); err != nil {
		return err
	}
	for _, part := range []struct {
		path string
		at   int64
	}{{fat, fatStart}, {ext4, rootStart}} {
		if err := copySparse(f, part.path, part.at); err != nil {
			return err
		}
		if err := os.Remove(part.path); err != nil {
			return err
		}
	}
	if b.recipe.Board == "pc" {
		if err := b.grub(ctx, f); err != nil {
			return fmt.Errorf("GRUB: %w", err)
		}
	}
	return f.Close()
}

// fat makes the boot partition of everything below boot/firmware, in the order of
// names, so that the same files make the same bytes.
func (b layoutBuild) fat(ctx context.Context, path string) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, fatSize); err != nil {
		return err
	}
	if err := b.run(ctx, "", "mkfs.vfat", "--invariant", "-F", "32", "-i", fmt.Sprintf("%08x", b.id.fat), "-n", "SIERPI", path); err != nil {
		return err
	}
	source := filepath.Join(b.root, "boot/firmware")
	return filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == source {
			return err
		}
		rel, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return b.run(ctx, "", "mmd", "-i", path, "::"+rel)
		case d.Type().IsRegular():
			// -m keeps the file's time, which is not later than the lock's.
			return b.run(ctx, "", "mcopy", "-m", "-i", path, file, "::"+rel)
		}
		return fmt.Errorf("%s is neither a file nor a folder; FAT holds nothing else", rel)
	})
}

// ext4 makes the root partition and returns its size.
func (b layoutBuild) ext4(ctx context.Context, path string) (int64, error) {
	// The mount point stays, its contents are on the other partition.
	boot, err := os.ReadDir(filepath.Join(b.root, "boot/firmware"))
	if err != nil {
		return 0, err
	}
	hold := filepath.Join(b.work, "firmware")
	if err := makeDir(hold); err != nil {
		return 0, err
	}
	for _, e := range boot {
		if err := os.Rename(filepath.Join(b.root, "boot/firmware", e.Name()), filepath.Join(hold, e.Name())); err != nil {
			return 0, err
		}
	}
	used, inodes, err := diskUsage(b.root)
	if err != nil {
		return 0, err
	}
	// Room for the first boot before the root has grown: logs, keys, a locale.
	size := used + used/8 + 160*mib
	size = (size + alignment - 1) / alignment * alignment
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return 0, err
	}
	if err := os.Truncate(path, size); err != nil {
		return 0, err
	}
	// The mount point has just changed.
	if err := clampTimes(b.root, b.time); err != nil {
		return 0, err
	}
	seed := b.id.rootID
	if err := b.run(ctx, "", "mke2fs", "-q", "-F", "-t", "ext4", "-L", "sierpi-root", "-U", b.id.rootID,
		// orphan_file and metadata_csum_seed are not known to Debian 12's e2fsck and GRUB.
		"-O", "^orphan_file,^metadata_csum_seed", "-E", "hash_seed="+seed+",lazy_itable_init=0,lazy_journal_init=0,nodiscard",
		// Room for a card of 512 GiB: growing online needs reserved descriptors, and enough inodes.
		"-N", fmt.Sprint(max(inodes*2, size/16384)), "-m", "1", "-d", b.root, path); err != nil {
		return 0, err
	}
	if err := b.settleTimes(ctx, path); err != nil {
		return 0, err
	}
	if err := b.run(ctx, "", "e2fsck", "-f", "-n", path); err != nil {
		return 0, err
	}
	return size, nil
}

// settleTimes sets what mke2fs 1.47.0 takes from the building machine's clock:
// every inode's change, access and creation time.
func (b layoutBuild) settleTimes(ctx context.Context, path string) error {
	inodes, err := usedInodes(ctx, path)
	if err != nil {
		return err
	}
	commands := filepath.Join(b.work, "times.debugfs")
	f, err := os.Create(commands)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, ino := range inodes {
		for _, field := range []string{"ctime", "atime", "crtime"} {
			fmt.Fprintf(w, "set_inode_field <%d> %s @%d\n", ino, field, b.time.Unix())
		}
		for _, field := range []string{"ctime_extra", "atime_extra", "crtime_extra"} {
			fmt.Fprintf(w, "set_inode_field <%d> %s 0\n", ino, field)
		}
	}
	// The lost+found folder and the root have the clock's time of modification too.
	for _, ino := range []int{2, 7, 8, 11} {
		fmt.Fprintf(w, "set_inode_field <%d> mtime @%d\nset_inode_field <%d> mtime_extra 0\n", ino, b.time.Unix(), ino)
	}
	for _, field := range []string{"mtime", "wtime", "mkfs_time", "lastcheck"} {
		fmt.Fprintf(w, "set_super_value %s @%d\n", field, b.time.Unix())
	}
	fmt.Fprintf(w, "set_super_value kbytes_written 0\n")
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	quiet := b
	quiet.log = nil
	return quiet.run(ctx, "", "debugfs", "-w", "-f", commands, path)
}

// usedInodes lists the numbers of a file system's inodes that are in use, from
// dumpe2fs's lists of free ones.
func usedInodes(ctx context.Context, path string) ([]int, error) {
	out, err := (command{}).run(ctx, "dumpe2fs", path)
	if err != nil {
		return nil, err
	}
	return parseUsedInodes(out)
}

func parseUsedInodes(out []byte) ([]int, error) {
	var total int
	free := map[int]bool{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "Inode count:"); ok {
			if _, err := fmt.Sscan(rest, &total); err != nil {
				return nil, fmt.Errorf("dumpe2fs: inode count %q: %w", rest, err)
			}
		}
		if rest, ok := strings.CutPrefix(line, "Free inodes:"); ok {
			for r := range strings.SplitSeq(rest, ",") {
				r = strings.TrimSpace(r)
				if r == "" {
					continue
				}
				var from, to int
				if n, _ := fmt.Sscanf(r, "%d-%d", &from, &to); n == 1 {
					to = from
				} else if n != 2 {
					return nil, fmt.Errorf("dumpe2fs: free inodes %q cannot be read", r)
				}
				for i := from; i <= to; i++ {
					free[i] = true
				}
			}
		}
	}
	if total == 0 {
		return nil, fmt.Errorf("dumpe2fs said no inode count")
	}
	var used []int
	for i := 2; i <= total; i++ {
		// 1 to 10 are the file system's own; of those the root, resize and journal inodes have times.
		if !free[i] && (i > 10 || i == 2 || i == 7 || i == 8) {
			used = append(used, i)
		}
	}
	return used, nil
}

// diskUsage is what a tree takes in blocks of 4 KiB, and how many inodes.
func diskUsage(root string) (size, inodes int64, err error) {
	seen := map[[2]uint64]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if st.Nlink > 1 && !d.IsDir() {
			key := [2]uint64{uint64(st.Dev), st.Ino}
			if seen[key] {
				return nil
			}
			seen[key] = true
		}
		inodes++
		size += (st.Size + 4095) / 4096 * 4096
		return nil
	})
	return size, inodes, err
}

// copySparse copies a file into another at an offset, leaving holes where it is zero.
func copySparse(to *os.File, from string, at int64) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, mib)
	zero := make([]byte, 4096)
	for {
		n, err := io.ReadFull(f, buf)
		for i := 0; i < n; i += len(zero) {
			block := buf[i:min(i+len(zero), n)]
			if bytes.Equal(block, zero[:len(block)]) {
				continue
			}
			if _, err := to.WriteAt(block, at+int64(i)); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// grub writes GRUB's first stage into the MBR and its core into the gap before the
// first partition, with this machine's grub-mkimage and the image's own modules.
// grub-install and grub-bios-setup want a block device; a plain file is patched
// with four numbers instead.
func (b layoutBuild) grub(ctx context.Context, image *os.File) error {
	modules := filepath.Join(b.root, "usr/lib/grub/i386-pc")
	core := filepath.Join(b.work, "core.img")
	if err := b.run(ctx, "", "grub-mkimage", "--directory="+modules, "--format=i386-pc", "--output="+core,
		"--prefix=(hd0,msdos2)/boot/grub", "biosdisk", "part_msdos", "ext2"); err != nil {
		return err
	}
	first, err := os.ReadFile(filepath.Join(modules, "boot.img"))
	if err != nil {
		return err
	}
	rest, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	mbr := make([]byte, sector)
	if _, err := image.ReadAt(mbr, 0); err != nil {
		return err
	}
	if err := embedGRUB(mbr, first, rest); err != nil {
		return err
	}
	if _, err := image.WriteAt(mbr, 0); err != nil {
		return err
	}
	_, err = image.WriteAt(rest, sector)
	return err
}

// embedGRUB puts boot.img's code into an MBR, keeping its partition table, and makes
// core's first sector load the rest from where it follows, sector 2.
func embedGRUB(mbr, boot, core []byte) error {
	const (
		code         = 440  // then the disk's id and the partition table
		bpbStart     = 0x03 // the BIOS parameter block's place stays as it was
		bpbEnd       = 0x5a
		kernelSector = 0x5c // boot.S GRUB_BOOT_MACHINE_KERNEL_SECTOR, 8 bytes
		driveCheck   = 0x66 // boot.S GRUB_BOOT_MACHINE_DRIVE_CHECK, 2 bytes
		blocklist    = 0x1f4
	)
	if len(boot) != sector || len(mbr) != sector || len(core) < sector {
		return fmt.Errorf("boot.img has %d bytes, core.img %d; expected %d and more", len(boot), len(core), sector)
	}
	if len(core) > fatStart-sector {
		return fmt.Errorf("core.img has %d bytes and does not fit before the first partition", len(core))
	}
	out := append([]byte(nil), boot[:code]...)
	copy(out[bpbStart:bpbEnd], mbr[bpbStart:bpbEnd])
	binary.LittleEndian.PutUint64(out[kernelSector:], 1)
	out[driveCheck], out[driveCheck+1] = 0x90, 0x90 // as grub-install does for hard disks
	copy(mbr, out)
	binary.LittleEndian.PutUint64(core[blocklist:], 2)
	binary.LittleEndian.PutUint16(core[blocklist+8:], uint16((len(core)+sector-1)/sector-1))
	return nil
}
