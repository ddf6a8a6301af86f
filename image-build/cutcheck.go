package imagebuild

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
)

// load reads a recording and its log.
func (o CutsOptions) load() (recording, writeLog, []logEntry, *os.File, error) {
	var rec recording
	doc, err := os.ReadFile(o.path("recording.json"))
	if err == nil {
		err = json.Unmarshal(doc, &rec)
	}
	if err != nil {
		return rec, writeLog{}, nil, nil, fmt.Errorf("no recording in %s: %w; make one with --stages record", o.Out, err)
	}
	f, err := os.Open(o.path("disk.log"))
	if err != nil {
		return rec, writeLog{}, nil, nil, err
	}
	l, err := openWriteLog(f)
	if err != nil {
		f.Close()
		return rec, l, nil, nil, err
	}
	entries, err := l.all(rec.Disk)
	if err != nil {
		f.Close()
	}
	return rec, l, entries, f, err
}

// cut is a moment at which the power goes.
type cut struct {
	n     int // entries that the disk was sent
	phase string
	boot  bool // and it is booted afterwards
}

// moments chooses when the power goes, as often in each phase: a third of the times just
// when something was confirmed, for that is when a promise is young, and a third just
// before a flush that would have confirmed more than one write.
func moments(rec recording, entries []logEntry, count, boots int, rng *rand.Rand) []cut {
	var promises []uint64
	for _, a := range rec.Acks {
		promises = append(promises, a.At)
	}
	for _, v := range rec.Cmdline {
		promises = append(promises, v.Done)
	}
	promises = append(promises, rec.User, rec.Upgraded)
	var cuts []cut
	for i, p := range rec.Phases {
		to := min(p.To, uint64(len(entries)))
		if to <= p.From {
			continue
		}
		var young, doubtful []uint64
		last := 0
		for at := p.From; at < to; at++ {
			if entries[at].flags&logFlush == 0 {
				continue
			}
			if int(at)-last > 1 {
				doubtful = append(doubtful, at)
			}
			last = int(at) + 1
		}
		for _, at := range promises {
			if at > p.From && at <= to {
				young = append(young, at)
			}
		}
		share := (count - len(cuts)) / (len(rec.Phases) - i)
		for j := range share {
			n := p.From + 1 + rng.Uint64N(to-p.From)
			switch {
			case j%3 == 1 && len(young) > 0:
				n = min(young[rng.IntN(len(young))]+rng.Uint64N(6), to)
			case j%3 == 2 && len(doubtful) > 0:
				n = doubtful[rng.IntN(len(doubtful))]
			}
			cuts = append(cuts, cut{n: int(n), phase: p.Name})
		}
	}
	// Booted: of each phase the one with the longest way behind it, the boot partition's last.
	for _, name := range []string{phaseFirstBoot, phaseUpgrade, phaseWriting, phaseFAT} {
		var mine []int
		for i, c := range cuts {
			if c.phase == name {
				mine = append(mine, i)
			}
		}
		if boots > 0 && len(mine) > 0 {
			cuts[mine[rng.IntN(len(mine))]].boot = true
			boots--
		}
	}
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Compare(a.n, b.n) })
	return cuts
}

// tally is a line of the table.
type tally struct {
	cuts, doubt, kept        int
	journals, orphans, dirty int
	repaired                 int // FAT: more than its mark of an unclean shutdown
	messages, quotes         int
	cmdlines, programs       int
	failed                   int
}

// replay makes the disk of each cut and holds it to what was confirmed before.
func (o CutsOptions) replay(ctx context.Context) error {
	rec, log, entries, f, err := o.load()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := makeDir(o.Work); err != nil {
		return err
	}
	work, err := os.MkdirTemp(o.Work, "sierpi-cuts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	base, err := os.Open(o.path("base.img"))
	if err != nil {
		return err
	}
	settled, err := cloneFile(base, filepath.Join(work, "settled.img"))
	base.Close()
	if err != nil {
		return err
	}
	settled.Close()
	d, err := openCutDisk(settled.Name(), log, entries)
	if err != nil {
		return err
	}
	defer d.Close()
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	cuts := moments(rec, entries, o.Cuts, o.Boots, rng)
	fmt.Fprintf(o.Progress, "%d entries in the log, %d messages and quotes confirmed; %d cuts with seed %d\n", len(entries), len(rec.Acks), len(cuts), o.Seed)
	sums := map[string]*tally{}
	var failures []error
	var booted []bootCase
	told := time.Now()
	for i, c := range cuts {
		t := sums[c.phase]
		if t == nil {
			t = &tally{}
			sums[c.phase] = t
		}
		img := filepath.Join(work, "cut.img")
		state, err := d.at(img, c.n, rng)
		if err != nil {
			return err
		}
		t.cuts++
		t.doubt += state.doubt
		t.kept += state.kept
		if c.boot {
			name := fmt.Sprintf("boot-%d.img", len(booted))
			cutFile, err := os.Open(img)
			if err != nil {
				return err
			}
			kept, err := cloneFile(cutFile, o.path(name))
			cutFile.Close()
			if err != nil {
				return err
			}
			kept.Close()
			booted = append(booted, bootCase{Image: name, Cut: c.n, Phase: c.phase})
		}
		if err := rec.hold(ctx, img, c.n, work, t); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			t.failed++
			err = fmt.Errorf("cut after entry %d (%s; %d settled, %d of %d in doubt kept): %w", c.n, c.phase, state.settled, state.kept, state.doubt, err)
			failures = append(failures, err)
			fmt.Fprintf(o.Progress, "  FAILED: %v\n", err)
		}
		if now := time.Now(); now.Sub(told) > 15*time.Second {
			told = now
			fmt.Fprintf(o.Progress, "  %d of %d cuts, %d failed\n", i+1, len(cuts), len(failures))
		}
	}
	doc, err := json.MarshalIndent(booted, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.path("boots.json"), append(doc, '\n'), 0o644); err != nil {
		return err
	}
	table := cutsTable(rec.Phases, sums)
	fmt.Fprint(o.Progress, "\n", table, "\n")
	if err := os.WriteFile(o.path("table.md"), []byte(table), 0o644); err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d cuts lost or broke something (--seed %d finds them again)", len(failures), len(cuts), o.Seed)
	}
	return nil
}

func cutsTable(phases []phase, sums map[string]*tally) string {
	var b strings.Builder
	b.WriteString("| during | cuts | writes in doubt | of them kept | ext4 journal replayed | orphans cleared | FAT marked unclean | FAT repaired | messages there | quotes there | cmdline.txt whole | program whole | failed |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var all tally
	row := func(name string, t tally) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, t.cuts, t.doubt, t.kept, t.journals, t.orphans, t.dirty, t.repaired, t.messages, t.quotes, t.cmdlines, t.programs, t.failed)
	}
	for _, p := range phases {
		t := sums[p.Name]
		if t == nil {
			continue
		}
		row(p.Name, *t)
		for _, f := range []struct {
			sum *int
			n   int
		}{{&all.cuts, t.cuts}, {&all.doubt, t.doubt}, {&all.kept, t.kept}, {&all.journals, t.journals}, {&all.orphans, t.orphans}, {&all.dirty, t.dirty}, {&all.repaired, t.repaired}, {&all.messages, t.messages}, {&all.quotes, t.quotes}, {&all.cmdlines, t.cmdlines}, {&all.programs, t.programs}, {&all.failed, t.failed}} {
			*f.sum += f.n
		}
	}
	row("all", all)
	return b.String()
}

// hold looks at the disk of a cut as a boot would, and then for what was confirmed.
func (rec recording) hold(ctx context.Context, img string, n int, work string, t *tally) error {
	return errors.Join(rec.holdRoot(ctx, img, n, work, t), rec.holdFAT(ctx, img, n, work, t))
}

// holdRoot: the boot replays ext4's journal; after that a full check must find nothing.
func (rec recording) holdRoot(ctx context.Context, img string, n int, work string, t *tally) error {
	// A file of its own: e2fsck forgets an offset when it opens the file system again after
	// the journal.
	fs := filepath.Join(work, "root.img")
	if err := cutOut(img, fs, rootStart, rec.Disk-rootStart); err != nil {
		return err
	}
	said, status, err := fsck(ctx, "e2fsck", "-p", fs)
	if err != nil {
		return err
	}
	if status > 1 {
		return fmt.Errorf("e2fsck -p, as at boot, ends with %d: %s", status, said)
	}
	if strings.Contains(said, "recovering journal") {
		t.journals++
	}
	if strings.Contains(said, "orphan") {
		t.orphans++
	}
	if said, status, err := fsck(ctx, "e2fsck", "-fn", fs); err != nil || status != 0 {
		return errors.Join(fmt.Errorf("the root file system is not clean after its journal was replayed: %s", said), err)
	}
	dir, err := os.MkdirTemp(work, "files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := rootFiles(ctx, fs, map[string]string{
		"/var/lib/sierpi/sierpi.db": in("sierpi.db"), "/var/lib/sierpi/sierpi.db-wal": in("sierpi.db-wal"),
		"/usr/bin/sierpi": in("program"), "/etc/shadow": in("shadow"), "/var/lib/dpkg/status": in("status"),
	}); err != nil {
		return err
	}
	var errs []error
	messages, quotes, err := rec.holdDatabase(ctx, in("sierpi.db"), n)
	t.messages += messages
	t.quotes += quotes
	errs = append(errs, err)

	program, err := os.ReadFile(in("program"))
	sum := sha256.Sum256(program)
	switch which := slices.Index(rec.Programs, hex.EncodeToString(sum[:])); {
	case err != nil:
		errs = append(errs, fmt.Errorf("/usr/bin/sierpi is gone: %w", err))
	case which < 0:
		errs = append(errs, fmt.Errorf("/usr/bin/sierpi is neither the old program nor the new one; it has %d bytes", len(program)))
	case which == 0 && rec.Upgraded > 0 && uint64(n) >= rec.Upgraded:
		errs = append(errs, errors.New("/usr/bin/sierpi is the old program after the upgrade was through"))
	default:
		t.programs++
	}
	if shadow, err := os.ReadFile(in("shadow")); err != nil || !bytes.HasSuffix(shadow, []byte("\n")) {
		errs = append(errs, errors.New("/etc/shadow is not whole"), err)
	} else if uint64(n) >= rec.User && !bytes.Contains(shadow, []byte("\n"+proofUser+":$")) {
		errs = append(errs, errors.New("the first user, who could log in, is gone"))
	}
	if status, err := os.ReadFile(in("status")); err != nil || !bytes.Contains(status, []byte("\nPackage: sierpi\n")) || !bytes.HasSuffix(status, []byte("\n\n")) {
		errs = append(errs, fmt.Errorf("dpkg's status is not whole (%d bytes)", len(status)), err)
	}
	return errors.Join(errs...)
}

// holdDatabase lets SQLite replay its log, checks the whole file and looks for all that
// was confirmed. It returns how much was.
func (rec recording) holdDatabase(ctx context.Context, path string, n int) (messages, quotes int, err error) {
	due := 0
	for _, a := range rec.Acks {
		if a.At <= uint64(n) {
			due++
		}
	}
	if _, err := os.Stat(path); err != nil {
		if due == 0 {
			return 0, 0, nil // the daemon has not run yet
		}
		return 0, 0, fmt.Errorf("the database is gone: %w", err)
	}
	db, err := openDatabase(path)
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	if err := db.check(ctx); err != nil {
		return 0, 0, err
	}
	if due == 0 {
		return 0, 0, nil // its tables may be yet to come
	}
	for _, a := range rec.Acks {
		if a.At > uint64(n) {
			continue
		}
		text, terr := db.text(ctx, a.Kind, a.ID)
		switch {
		case terr != nil:
			err = errors.Join(err, fmt.Errorf("the %s %d, confirmed at entry %d, is gone: %w", a.Kind, a.ID, a.At, terr))
		case text != a.Text:
			err = errors.Join(err, fmt.Errorf("the %s %d is %q and was confirmed as %q", a.Kind, a.ID, text, a.Text))
		case a.Kind == "chat":
			messages++
		default:
			quotes++
		}
	}
	return messages, quotes, err
}

// holdFAT: after the boot's own check, which may repair only what belongs to nobody, the
// boot partition must be clean, and the firmware's files whole.
func (rec recording) holdFAT(ctx context.Context, img string, n int, work string, t *tally) error {
	fat := filepath.Join(work, "fat.img")
	if err := cutOut(img, fat, fatStart, fatSize); err != nil {
		return err
	}
	said, status, err := fsck(ctx, "fsck.vfat", "-a", "-w", fat)
	if err != nil {
		return err
	}
	if status > 1 {
		return fmt.Errorf("fsck.vfat -a, as at boot, ends with %d: %s", status, said)
	}
	if strings.Contains(said, "Dirty bit") {
		t.dirty++
	}
	repaired, err := fatRepair(said)
	if err != nil {
		return err
	}
	if repaired {
		t.repaired++
	}
	if said, status, err := fsck(ctx, "fsck.vfat", "-n", fat); err != nil || status != 0 {
		return errors.Join(fmt.Errorf("the boot partition is not clean after its check: %s", said), err)
	}
	read := func(name string) (string, error) {
		out, err := command{env: mtoolsEnv}.run(ctx, "mtype", "-i", fat, "::"+name)
		return string(out), err
	}
	var errs []error
	if text, err := read("cmdline.txt"); err != nil {
		errs = append(errs, err)
	} else if err := rec.holdCmdline(text, n); err != nil {
		errs = append(errs, err)
	} else {
		t.cmdlines++
	}
	// Zeros at its end are those of cmdline.txt's.
	if text, err := read("config.txt"); err != nil || !strings.HasPrefix(text, cutsConfig) || strings.ContainsRune(strings.TrimRight(text, "\x00"), 0) {
		errs = append(errs, fmt.Errorf("config.txt is not whole: %q", text), err)
	}
	if text, err := read("sierpi.toml"); err != nil {
		errs = append(errs, err)
	} else if cfg, mistakes := config.Parse("sierpi.toml", []byte(text)); mistakes.Err() != nil || time.Duration(cfg.Display.Dwell) != 2*time.Minute {
		errs = append(errs, fmt.Errorf("sierpi.toml is not whole: %q", text), mistakes.Err())
	}
	return errors.Join(errs...)
}

// fatRepair reads what fsck.vfat -a said: whether it did more than clear the mark of an
// unclean shutdown. What it may repair belongs to nobody: clusters of no file, counts, the
// second copy of the table, and files that were just being written or removed. Anything
// else is an error.
func fatRepair(said string) (repaired bool, err error) {
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, " clusters") {
			continue // its last line: the image's name and how full it is
		}
		if name, ok := strings.CutPrefix(line, "/"); ok && !slices.ContainsFunc(fatPassing, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return true, fmt.Errorf("fsck.vfat had to repair /%s: %s", name, said)
		}
		for _, sign := range []string{"Reclaimed", "Free cluster summary", "FATs differ", "Contains a free cluster", "File size is"} {
			repaired = repaired || strings.HasPrefix(line, sign)
		}
	}
	return repaired, nil
}

// fatPassing begin the names on the boot partition that come and go: what is written
// beside a file before it takes its place, the copy of what cmdline.txt was, the first
// boot's report, the answers that it takes away.
var fatPassing = []string{".", "cmdline.txt.sierpi-backup", "config.txt.sierpi-backup", "sierpi-firstboot.txt", "rpi-preseed.toml", "newer.deb"}

// holdCmdline: the line is one of those that it had, and no older than what was
// confirmed. What follows it at its end does not count: line ends, by which the file grows
// before the text does, and zeros, where the new length reached the card before those.
func (rec recording) holdCmdline(text string, n int) error {
	oldest := 0
	for i, v := range rec.Cmdline {
		if v.Done <= uint64(n) {
			oldest = i
		}
	}
	for _, v := range rec.Cmdline[oldest:] {
		if v.From <= uint64(n) && strings.TrimRight(text, "\n\x00") == strings.TrimRight(v.Text, "\n") {
			return nil
		}
	}
	return fmt.Errorf("cmdline.txt is %q, which it never was, or was before a change that was confirmed", text)
}

// fsck runs a check and returns what it said and its status; err is for one that could
// not be run.
func fsck(ctx context.Context, name string, args ...string) (said string, status int, err error) {
	log := &tail{limit: 4000}
	_, err = command{log: log}.run(ctx, name, args...)
	said = strings.TrimPrefix(log.String(), "+ "+name+" "+strings.Join(args, " ")+"\n")
	if ctx.Err() != nil {
		return "", 0, err
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return said, exit.ExitCode(), nil
	}
	return said, 0, err
}

// bootCase is the disk of a cut that is booted.
type bootCase struct {
	Image string `json:"image"`
	Cut   int    `json:"cut"`
	Phase string `json:"phase"`
}

// boot starts the kept disks as they are, with no check before, up to a login.
func (o CutsOptions) boot(ctx context.Context) error {
	rec, _, _, f, err := o.load()
	if err != nil {
		return err
	}
	f.Close()
	var cases []bootCase
	doc, err := os.ReadFile(o.path("boots.json"))
	if err == nil {
		err = json.Unmarshal(doc, &cases)
	}
	if err != nil {
		return fmt.Errorf("no disks to boot in %s: %w; make them with --stages replay", o.Out, err)
	}
	var errs []error
	for _, c := range cases {
		errs = append(errs, o.bootOne(ctx, rec, c))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (o CutsOptions) bootOne(ctx context.Context, rec recording, c bootCase) (err error) {
	p := &proof{o: o.ProofOptions, started: time.Now(), ram: 1024, disk: o.path(c.Image)}
	p.o.Out = o.Out
	if p.pages, err = freePort(); err != nil {
		return err
	}
	p.http = fmt.Sprintf("http://127.0.0.1:%d", p.pages)
	p.v, err = startVirtual(virtualOptions{program: lookPath("qemu-system-x86_64"), dir: o.Out, name: strings.TrimSuffix(c.Image, ".img"), args: append(o.accel(),
		"-M", "pc", "-m", fmt.Sprint(p.ram), "-smp", fmt.Sprint(min(2, runtime.NumCPU())), "-snapshot",
		"-drive", "file="+p.disk+",format=raw,if=ide,cache=unsafe",
		"-nic", fmt.Sprintf("user,model=e1000,hostfwd=tcp:127.0.0.1:%d-:80", p.pages),
	)})
	if err != nil {
		return err
	}
	defer p.v.stop()
	if err := p.step(ctx, fmt.Sprintf("booting the disk of a cut during the %s (entry %d) to a login", c.Phase, c.Cut), 20*time.Minute, func(ctx context.Context) error {
		_, _, err := p.v.line.expect(ctx, `(proof|sierpi) login: ?$`)
		return err
	}); err != nil {
		return err
	}
	return p.step(ctx, "its pages, with what was confirmed before the cut", 5*time.Minute, func(ctx context.Context) error {
		if err := p.answers(ctx); err != nil {
			return err
		}
		due, last := 0, ack{}
		for _, a := range rec.Acks {
			if a.At > uint64(c.Cut) {
				continue
			}
			due++
			if a.Kind == "quote" {
				if body, err := get(ctx, fmt.Sprintf("%s/json/quotes/%d", p.http, a.ID)); err != nil || !strings.Contains(body, a.Text) {
					return errors.Join(fmt.Errorf("the quote %d: %.200q", a.ID, body), err)
				}
			} else if a.ID > last.ID {
				last = a
			}
		}
		if last.ID > 0 {
			// The page shows the newest; a message that was never confirmed may be among them.
			if body, err := get(ctx, p.http+"/json/chat/lobby"); err != nil || !strings.Contains(body, last.Text) {
				return errors.Join(fmt.Errorf("the last message, %d, is not in the room", last.ID), err)
			}
		}
		p.figure("a cut during the %s, booted: a login, the pages, %d confirmed messages and quotes", c.Phase, due)
		return nil
	})
}

// cutOut copies a part of a disk into a file, without its holes.
func cutOut(disk, part string, start, size int64) error {
	from, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(part)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.Truncate(size); err != nil {
		return err
	}
	if err := copyHoles(to, from, start, size); err != nil {
		return fmt.Errorf("copying a part of %s: %w", disk, err)
	}
	return to.Close()
}
