package imagebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CutsOptions say what is recorded and how often the power goes.
type CutsOptions struct {
	ProofOptions
	Source Source // the checkout that the upgrade is built from
	Work   string // the disks of the cuts are made here, one at a time; empty: Out
	Cuts   int
	Boots  int
	Seed   uint64
	// Stages are "record", "replay" and "boot"; the later ones use what an earlier run left
	// in Out.
	Stages []string
}

var cutsTools = []tool{{"qemu-system-x86_64", "qemu-system-x86"}, {"mcopy", "mtools"}, {"e2fsck", "e2fsprogs"}, {"debugfs", "e2fsprogs"}, {"fsck.vfat", "dosfstools"}, {"dpkg-deb", "dpkg"}}

// recording is what was done while the disk's writes were logged. Positions are counts of
// entries of the log.
type recording struct {
	Disk     int64     `json:"disk"` // bytes
	Phases   []phase   `json:"phases"`
	Acks     []ack     `json:"acknowledged"`
	Cmdline  []version `json:"cmdline"`
	Programs []string  `json:"programs"` // SHA-256 of /usr/bin/sierpi: before and after the upgrade
	User     uint64    `json:"user"`     // from here on the first user may log in
	Upgraded uint64    `json:"upgraded"` // from here on the new program is there
}

type phase struct {
	Name string `json:"name"`
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// ack is a message or a quote that the daemon has confirmed.
type ack struct {
	Kind string `json:"kind"` // "chat", "quote"
	ID   int64  `json:"id"`
	Text string `json:"text"`
	At   uint64 `json:"at"` // the log's length when the confirmation had come
}

// version is a text that a file of the boot partition had.
type version struct {
	Text string `json:"text"`
	From uint64 `json:"from"` // when its writing was begun
	Done uint64 `json:"done"` // when it was confirmed
}

func (o CutsOptions) path(name string) string { return filepath.Join(o.Out, name) }

// ProveCuts records what a PC's image writes to its disk, and holds for many moments of
// that time that pulling the plug then would have lost nothing that was confirmed.
func ProveCuts(ctx context.Context, o CutsOptions) error {
	if err := need(cutsTools); err != nil {
		return err
	}
	var err error
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return err
	}
	if o.Work == "" {
		o.Work = o.Out
	}
	for _, stage := range o.Stages {
		run, ok := map[string]func(context.Context) error{"record": o.record, "replay": o.replay, "boot": o.boot}[stage]
		if !ok {
			return fmt.Errorf("there is no stage %q; there are record, replay and boot", stage)
		}
		if err := run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recorder posts to the machine and knows how far the log is.
type recorder struct {
	*proof
	log *os.File

	mu  sync.Mutex
	rec recording
}

// now is the log's length, as of the machine's last flush.
func (r *recorder) now() (uint64, error) {
	l, err := openWriteLog(r.log)
	return l.entries, err
}

// record boots the image with its disk's writes logged, and writes to it.
func (o CutsOptions) record(ctx context.Context) error {
	mark, err := ReadMark(ctx, o.Image)
	if err != nil {
		return err
	}
	if mark.Board != "pc" {
		return fmt.Errorf("%s is an image for a %s; power cuts are recorded on a PC's (build --arch amd64 --board pc --no-compress)", o.Image, mark.Board)
	}
	p, err := newProof(ctx, o.ProofOptions, 1024)
	if err != nil {
		return err
	}
	defer p.cleanUp()
	r := &recorder{proof: p, rec: recording{Disk: cardSize}}
	fmt.Fprintf(o.Progress, "%s under -M pc, every write to its disk recorded; serial line in %s\n", o.Image, o.path("pc.serial0.log"))
	if err := p.step(ctx, "a newer package, and a Pi's files on the boot partition", 5*time.Minute, func(ctx context.Context) error {
		return errors.Join(o.newer(ctx, mark, r), putFirmware(ctx, p.disk))
	}); err != nil {
		return err
	}
	// The disk as it was before the first write, for the replay.
	disk, err := os.Open(p.disk)
	if err != nil {
		return err
	}
	base, err := cloneFile(disk, o.path("base.img"))
	disk.Close()
	if err != nil {
		return err
	}
	base.Close()
	if r.log, err = os.Create(o.path("disk.log")); err != nil {
		return err
	}
	defer r.log.Close()
	if err := r.start(); err != nil {
		return err
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	// The plug: nothing is flushed, and what came after the last flush is lost from the log.
	r.v.stop()
	doc, err := json.MarshalIndent(r.rec, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.path("recording.json"), append(doc, '\n'), 0o644)
}

// newer builds the package of the upgrade and leaves it on the boot partition.
func (o CutsOptions) newer(ctx context.Context, mark Mark, r *recorder) error {
	source := o.Source
	source.Version = mark.Version + "+cuts"
	contents, err := source.Contents(ctx, mark.Arch)
	if err != nil {
		return err
	}
	path, err := (Deb{Version: source.Version, Arch: mark.Arch, Time: source.Time}).Build(ctx, contents, o.Out)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	old, err := rootFile(ctx, r.disk, "/usr/bin/sierpi", o.Out)
	if err != nil {
		return err
	}
	for _, program := range [][]byte{old, contents.Binary} {
		sum := sha256.Sum256(program)
		r.rec.Programs = append(r.rec.Programs, hex.EncodeToString(sum[:]))
	}
	if r.rec.Programs[0] == r.rec.Programs[1] {
		return errors.New("the newer package holds the same program as the image")
	}
	_, err = command{env: mtoolsEnv}.run(ctx, "mcopy", "-i", fatOf(r.disk), path, "::newer.deb")
	return err
}

var mtoolsEnv = []string{"MTOOLS_SKIP_CHECK=1"}

func fatOf(disk string) string { return fmt.Sprintf("%s@@%d", disk, fatStart) }

// A Pi's boot files, as Debian's raspi-firmware writes them.
const (
	cutsCmdline = "console=tty0 console=ttyS0,115200 root=PARTUUID=00000000-02 rw fsck.repair=yes net.ifnames=0  rootwait panic=10\n"
	cutsConfig  = "# Written by a test.\narm_64bit=1\ngpu_mem=16\n"
	cutsTOML    = "# What an owner left, with a password that is to go.\n[firstboot.wifi]\nssid = \"nowhere\"\npassword = \"" + proofWiFi + "\"\ncountry = \"DE\"\n\n[display]\ndwell = \"2m\"\n"
)

// putFirmware lays a Pi's boot files and an owner's sierpi.toml on the boot partition.
func putFirmware(ctx context.Context, disk string) error {
	for name, text := range map[string]string{"cmdline.txt": cutsCmdline, "config.txt": cutsConfig, "sierpi.toml": cutsTOML} {
		c := command{stdin: strings.NewReader(text), env: mtoolsEnv}
		if _, err := c.run(ctx, "mcopy", "-o", "-i", fatOf(disk), "-", "::"+name); err != nil {
			return err
		}
	}
	return nil
}

// start boots the machine. An IDE disk does one request at a time: the order of the log
// is the order of the answers.
func (r *recorder) start() (err error) {
	r.v, err = startVirtual(virtualOptions{program: lookPath("qemu-system-x86_64"), dir: r.o.Out, name: "pc", args: append(r.o.accel(),
		"-M", "pc", "-m", fmt.Sprint(r.ram), "-smp", fmt.Sprint(min(2, runtime.NumCPU())),
		// No flush need reach this machine's own disk: the log has it.
		"-blockdev", "driver=raw,node-name=disk,cache.no-flush=on,file.driver=file,file.cache.no-flush=on,file.filename="+r.disk,
		"-blockdev", "driver=file,node-name=log,cache.no-flush=on,filename="+r.log.Name(),
		"-blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512",
		"-device", "ide-hd,drive=logged,bootindex=0",
		"-nic", fmt.Sprintf("user,model=e1000,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%d-:9101", r.pages, r.scrape),
	)})
	return err
}

// phase runs a part of the recording and notes from where to where it went.
func (r *recorder) phase(ctx context.Context, name string, bound time.Duration, run func(context.Context) error) error {
	return r.step(ctx, name, bound, func(ctx context.Context) error {
		from, err := r.now()
		if name == phaseFirstBoot {
			from, err = 0, nil // there is no log yet
		}
		if err != nil {
			return err
		}
		if err := run(ctx); err != nil {
			return err
		}
		to, err := r.now()
		r.rec.Phases = append(r.rec.Phases, phase{name, from, to})
		r.figure("%s: %d entries of the log", name, to-from)
		return err
	})
}

const (
	phaseFirstBoot = "first boot"
	phaseWriting   = "chat and quotes"
	phaseFAT       = "boot partition"
	phaseUpgrade   = "package upgrade"
)

func (r *recorder) run(ctx context.Context) error {
	m := time.Minute
	if err := r.phase(ctx, phaseFirstBoot, 20*m, func(ctx context.Context) error {
		if err := r.firstLogin(ctx); err != nil {
			return err
		}
		var err error
		if r.rec.User, err = r.now(); err != nil {
			return err
		}
		if _, err := r.v.line.run(ctx, "systemctl is-system-running --wait >/dev/null; true"); err != nil {
			return err
		}
		r.rec.Cmdline = []version{{Text: cutsCmdline}}
		return r.cmdline(ctx, 0)
	}); err != nil {
		return err
	}
	var client *http.Client
	if err := r.step(ctx, "a chat without limits, and the owner's session", 5*m, func(ctx context.Context) (err error) {
		if err = r.restartWith(ctx, "[chat]\nburst = 1000\ninterval = \"10ms\"\nkeep = 10000\n"); err != nil {
			return err
		}
		secret, err := r.v.line.run(ctx, "sierpi owner reset-secret --state /var/lib/sierpi")
		if err != nil {
			return err
		}
		client, err = r.signIn(ctx, secret)
		return err
	}); err != nil {
		return err
	}
	if err := r.phase(ctx, phaseWriting, 15*m, func(ctx context.Context) error {
		return r.write(ctx, client, 120, 60, 0)
	}); err != nil {
		return err
	}
	if err := r.phase(ctx, phaseFAT, 10*m, r.editFAT); err != nil {
		return err
	}
	return r.phase(ctx, phaseUpgrade, 15*m, func(ctx context.Context) error {
		// Somebody goes on writing while the daemon is replaced; not all the time, for each
		// message flushes what dpkg has written too.
		writing, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- r.write(writing, client, 1<<20, 0, 2*time.Second) }()
		_, err := r.v.line.run(ctx, "dpkg -i /boot/firmware/newer.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; false; }")
		stop()
		if werr := <-done; writing.Err() == nil || !errors.Is(werr, context.Canceled) && werr != nil {
			err = errors.Join(err, werr)
		}
		if err != nil {
			return err
		}
		if _, err := r.v.line.run(ctx, "sync; systemctl is-active sierpi.service"); err != nil {
			return err
		}
		if r.rec.Upgraded, err = r.now(); err != nil {
			return err
		}
		return r.write(ctx, client, 10, 5, 0)
	})
}

// cmdline notes the text that cmdline.txt has now.
func (r *recorder) cmdline(ctx context.Context, from uint64) error {
	text, err := r.v.line.run(ctx, "cat /boot/firmware/cmdline.txt")
	if err != nil {
		return err
	}
	at, err := r.now()
	r.rec.Cmdline = append(r.rec.Cmdline, version{Text: text, From: from, Done: at})
	return err
}

// editFAT has the boot partition edited as a Pi's serial line is set up, changed and
// taken back: by the program itself, on the machine's own FAT driver, with the rest of a
// Pi made of files.
func (r *recorder) editFAT(ctx context.Context) error {
	const pi = "/tmp/pi"
	for _, c := range []string{
		"mkdir -p " + pi + "/boot/firmware " + pi + "/proc/device-tree " + pi + "/sys/class/tty/ttyS0 " + pi + "/etc",
		"printf 'raspberrypi,3-model-b\\0brcm,bcm2837\\0' >" + pi + "/proc/device-tree/compatible; echo 4 >" + pi + "/sys/class/tty/ttyS0/type",
		"mount --bind /boot/firmware " + pi + "/boot/firmware",
	} {
		if _, err := r.v.line.run(ctx, c); err != nil {
			return err
		}
	}
	for _, baud := range []int{9600, 115200, 19200, 0, 9600, 57600, 0} {
		from, err := r.now()
		if err != nil {
			return err
		}
		c := "sierpi serial off --root " + pi
		if baud > 0 {
			c = fmt.Sprintf("printf '[serial]\\nbaud = %d\\n' >/tmp/serial.toml && sierpi serial apply --root %s --config /tmp/serial.toml", baud, pi)
		}
		if _, err := r.v.line.run(ctx, c); err != nil {
			return err
		}
		if err := r.cmdline(ctx, from); err != nil {
			return err
		}
	}
	_, err := r.v.line.run(ctx, "umount "+pi+"/boot/firmware")
	return err
}

// write posts messages from two sides and quotes from a third, each as soon as the one
// before it is confirmed and a pause is over.
func (r *recorder) write(ctx context.Context, client *http.Client, messages, quotes int, pause time.Duration) error {
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range 2 {
		all.Go(func() {
			for n := 0; n < messages/2 && errs[i] == nil; n++ {
				if errs[i] = r.message(ctx, client); pause > 0 {
					select {
					case <-ctx.Done():
					case <-time.After(pause):
					}
				}
			}
		})
	}
	all.Go(func() {
		for n := 0; n < quotes && errs[2] == nil; n++ {
			errs[2] = r.quote(ctx, client)
		}
	})
	all.Wait()
	return errors.Join(errs...)
}

// confirmed notes what the daemon has answered for.
func (r *recorder) confirmed(kind string, id int64, text string) error {
	at, err := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rec.Acks = append(r.rec.Acks, ack{kind, id, text, at})
	return err
}

func (r *recorder) message(ctx context.Context, client *http.Client) error {
	key := strconv.FormatUint(rand.Uint64(), 36)
	text := "pulled plug " + key + strings.Repeat(" x", rand.IntN(200))
	doc, err := json.Marshal(map[string]string{"key": key, "name": "proof", "text": text})
	if err != nil {
		return err
	}
	// In doubt again under the same key, as the page does it: a daemon that is being replaced
	// ends connections.
	for {
		res, err := r.post(ctx, client, "/json/chat/lobby", "application/json", string(doc))
		if err == nil && res.StatusCode == http.StatusOK {
			var m struct {
				ID   int64  `json:"id"`
				Text string `json:"text"`
			}
			if err := json.NewDecoder(res.Body).Decode(&m); err != nil || m.Text != text || m.ID == 0 {
				return errors.Join(fmt.Errorf("the message %q came back as %+v", text, m), err)
			}
			return r.confirmed("chat", m.ID, text)
		}
		if ctx.Err() != nil {
			return context.Canceled
		}
		if err == nil && res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
			body, _ := io.ReadAll(res.Body)
			return fmt.Errorf("a message was refused: %s: %.300s", res.Status, body)
		}
		select {
		case <-ctx.Done():
			return context.Canceled
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (r *recorder) quote(ctx context.Context, client *http.Client) error {
	text := fmt.Sprintf("No plug is pulled twice in the same way, said the %x to the %x.", rand.Uint32(), rand.Uint32())
	form := url.Values{"text": {text}, "author": {"A. Proof"}, "tags": {"power,cut"}}
	res, err := r.post(ctx, client, "/quotes", "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return err
	}
	place := res.Header.Get("Location")
	id, err := strconv.ParseInt(strings.TrimPrefix(place, "/quotes/"), 10, 64)
	if err != nil || res.StatusCode != http.StatusSeeOther {
		body, _ := io.ReadAll(res.Body)
		return fmt.Errorf("a quote was refused: %s, to %q: %.300s", res.Status, place, body)
	}
	return r.confirmed("quote", id, text)
}

// rootFile reads one file of a disk's root file system.
func rootFile(ctx context.Context, disk, name, work string) ([]byte, error) {
	dir, err := os.MkdirTemp(work, "file-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "file")
	if err := rootFiles(ctx, fmt.Sprintf("%s?offset=%d", disk, rootStart), map[string]string{name: out}); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// rootFiles copies files out of an ext4. One that is not there is not
// copied: debugfs tells it on standard error and goes on.
func rootFiles(ctx context.Context, fs string, files map[string]string) error {
	var ask strings.Builder
	for from, to := range files {
		fmt.Fprintf(&ask, "dump \"%s\" \"%s\"\n", from, to)
	}
	_, err := command{stdin: strings.NewReader(ask.String())}.run(ctx, "debugfs", "-f", "-", fs)
	for _, to := range files {
		// For a name that is not there debugfs leaves an empty file.
		if st, serr := os.Stat(to); serr == nil && st.Size() == 0 {
			err = errors.Join(err, os.Remove(to))
		}
	}
	return err
}
