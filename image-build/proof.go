package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProofOptions say which image is booted and where its logs go.
type ProofOptions struct {
	Image    string
	Out      string    // logs and pictures
	Patience float64   // every bound times this; 0: 1
	Progress io.Writer // what is waited for
	KVM      bool      // try it
	// Steady: the machine's clock follows the instructions that it runs, one a nanosecond,
	// which is about a 3's core, and not this machine's clock. On a busy machine nothing in it
	// runs into its timeouts, and its times can be compared.
	Steady bool
	// Only leaves out the steps that do not match it: those after the first login, on a kiosk image
	// those after the first picture.
	Only *regexp.Regexp
}

// accel is QEMU's emulation as the options want it.
func (o ProofOptions) accel() []string {
	if o.Steady {
		return []string{"-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on"}
	}
	return []string{"-accel", "tcg,thread=multi"}
}

// proof is a machine under proof. Its steps are shared by the PC and the Pi.
type proof struct {
	o       ProofOptions
	choosy  bool // what follows may be left out
	v       *virtual
	http    string // address of the pages from here
	metrics string
	pages   int // the ports
	scrape  int
	ram     int    // MiB
	disk    string // the working copy
	figures []string
	started time.Time
}

// cardSize is the working copy's: QEMU's SD cards have a power of two, and the first
// boot must find something to grow into.
const cardSize = 4096 * mib

// newProof empties the folder for the logs and makes a working copy of the image in
// it, as large as a card and with an owner's answers on it.
func newProof(ctx context.Context, o ProofOptions, ram int) (*proof, error) {
	var err error
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(o.Out); err != nil {
		return nil, err
	}
	if err := makeDir(o.Out); err != nil {
		return nil, err
	}
	p := &proof{o: o, started: time.Now(), ram: ram, disk: filepath.Join(o.Out, "disk.img")}
	size := int64(cardSize)
	if st, err := os.Stat(o.Image); err == nil && st.Size() > size*3/4 {
		size *= 2
	}
	if err := errors.Join(copyDisk(o.Image, p.disk, size), putSettings(ctx, p.disk)); err != nil {
		p.cleanUp()
		return nil, err
	}
	if p.pages, err = freePort(); err != nil {
		return nil, err
	}
	if p.scrape, err = freePort(); err != nil {
		return nil, err
	}
	p.http, p.metrics = fmt.Sprintf("http://127.0.0.1:%d", p.pages), fmt.Sprintf("http://127.0.0.1:%d", p.scrape)
	return p, nil
}

// cleanUp ends the machine, prints what was measured and removes the working copy;
// the logs stay.
func (p *proof) cleanUp() {
	if p.v != nil {
		p.v.stop()
		p.summary()
	}
	os.Remove(p.disk) // gone with build/ at the latest
}

// The user that the proof makes. It is on a disk that is thrown away.
const (
	proofUser     = "ada"
	proofPassword = "proof of the serial line"
	proofWiFi     = "only for this proof"
)

// step runs one stage: bounded, with a line that says what is waited for, and on a
// failure a picture of the screen beside the logs.
func (p *proof) step(ctx context.Context, what string, bound time.Duration, run func(context.Context) error) error {
	if p.o.Patience > 0 {
		bound = time.Duration(float64(bound) * p.o.Patience)
	}
	if p.leftOut(what) {
		fmt.Fprintf(p.o.Progress, "        left out: %s\n", what)
		return nil
	}
	fmt.Fprintf(p.o.Progress, "%6s  %s (at most %s)\n", human(time.Since(p.started)), what, human(bound))
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("not within %s", human(bound)))
	defer cancel()
	if p.v != nil && !p.ended() { // what is left is about the disk
		watched, stop := p.v.watch(ctx)
		defer stop()
		ctx = watched
	}
	start := time.Now()
	err := run(ctx)
	if err != nil {
		fmt.Fprintf(p.o.Progress, "        FAILED after %s\n", human(time.Since(start)))
		if p.v != nil {
			picture := filepath.Join(p.o.Out, "failed.ppm")
			if perr := p.v.screendump(picture, 0); perr == nil {
				err = fmt.Errorf("%w\nlogs and a picture of the screen (failed.ppm) are in %s", err, p.o.Out)
			} else {
				err = fmt.Errorf("%w\nlogs are in %s", err, p.o.Out)
			}
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// answers waits for the pages: the network may come after everything else, and the daemon, emulated
// and while it starts, may not answer itself in the time that it gives itself.
func (p *proof) answers(ctx context.Context) error {
	for {
		_, err := get(ctx, p.http+"/healthz")
		if err == nil {
			return nil
		}
		if e := rest(ctx); e != nil {
			return errors.Join(e, err)
		}
	}
}

// choose leaves out what Only does not match from here on, on a machine that is up.
func (p *proof) choose(ctx context.Context) error {
	if p.o.Only == nil {
		return nil
	}
	err := p.step(ctx, "our units and pages, before what was chosen", 10*time.Minute, func(ctx context.Context) error {
		if err := p.units(ctx); err != nil {
			return err
		}
		return p.answers(ctx)
	})
	p.choosy = true
	return err
}

// leftOut reports whether Only leaves a step out.
func (p *proof) leftOut(what string) bool {
	return p.choosy && p.o.Only != nil && !p.o.Only.MatchString(what)
}

func (p *proof) figure(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	p.figures = append(p.figures, line)
	fmt.Fprintf(p.o.Progress, "        = %s\n", line)
}

// check runs a shell command on the machine and wants its output to match.
func (p *proof) check(ctx context.Context, command, want string) error {
	out, err := p.v.line.run(ctx, command)
	if err != nil {
		return err
	}
	if !regexp.MustCompile(want).MatchString(out) {
		return fmt.Errorf("%s said %q; expected %s", command, out, want)
	}
	return nil
}

// stepCheck is check as a step.
func (p *proof) stepCheck(ctx context.Context, what string, bound time.Duration, command, want string) error {
	return p.step(ctx, what, bound, func(ctx context.Context) error { return p.check(ctx, command, want) })
}

// settings puts an owner's answers onto the working copy's boot partition, as the
// Imager would: a host name and a Wi-Fi password, but no user.
func putSettings(ctx context.Context, disk string) error {
	const doc = `config_version = "1.1"
[system]
hostname = "proof"
[wlan]
ssid = "nowhere"
password = "` + proofWiFi + `"
country = "DE"
[locale]
timezone = "Europe/Berlin"
keymap = "de"
`
	c := command{stdin: strings.NewReader(doc), env: []string{"MTOOLS_SKIP_CHECK=1"}}
	_, err := c.run(ctx, "mcopy", "-o", "-i", fmt.Sprintf("%s@@%d", disk, fatStart), "-", "::rpi-preseed.toml")
	return err
}

// firstLogin waits for the prompt of the first boot, makes the first user there, and
// logs in.
func (p *proof) firstLogin(ctx context.Context) error {
	line := p.v.line
	// The prompt may be drawn anew when the line's settings are applied.
	if _, text, err := line.expect(ctx, `proof login: ?$`); err != nil {
		return err
	} else if !strings.Contains(text, "There is no user yet") {
		return errors.New("the line above the prompt does not say that there is no user")
	}
	if err := line.send(ctx, proofUser); err != nil {
		return err
	}
	for _, prompt := range []string{`New password: ?$`, `Again: ?$`} {
		if _, _, err := line.expect(ctx, prompt); err != nil {
			return err
		}
		if err := line.send(ctx, proofPassword); err != nil {
			return err
		}
	}
	// login(1) goes on with the name.
	if _, _, err := line.expect(ctx, `(?i)password: ?$`); err != nil {
		return err
	}
	if err := line.send(ctx, proofPassword); err != nil {
		return err
	}
	if _, _, err := line.expect(ctx, proofUser+`@proof[^\n]*\$ ?$`); err != nil {
		return err
	}
	return line.become(ctx, proofPassword)
}

// speedIs holds both ends of the line to one speed: the machine's setting, and what
// its UART told us.
func (p *proof) speedIs(ctx context.Context, device string, want int) error {
	if err := p.check(ctx, "stty -F /dev/"+device+" speed", "^"+strconv.Itoa(want)+"$"); err != nil {
		return err
	}
	// The login's own terminal: sudo gives its shell another.
	if err := p.check(ctx, "loginctl --no-legend list-sessions", " "+device+`( |$)`); err != nil {
		return err
	}
	got, err := p.v.line.speed()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the UART is set to %d baud, expected %d", got, want)
	}
	return nil
}

var ourUnits = []string{"sierpi.socket", "sierpi-metrics.socket", "sierpi.service", "sierpi-zram.service", "sierpi-serial.service", "sierpi-firstboot.service", "sierpi-reset.service", "sierpi-updates.service"}

// units holds that ours are active and nothing has failed.
func (p *proof) units(ctx context.Context) error {
	if _, err := p.v.line.run(ctx, "systemctl is-system-running --wait >/dev/null; true"); err != nil {
		return err
	}
	for _, unit := range ourUnits {
		if err := p.check(ctx, "systemctl is-active "+unit, "^active$"); err != nil {
			return err
		}
	}
	if err := p.check(ctx, "systemctl list-units --failed --no-legend --plain", "^$"); err != nil {
		return err
	}
	// A cycle of orders is broken by leaving a unit out, at each boot another one.
	return p.check(ctx, "journalctl -b -q _PID=1 -o cat --no-pager | grep -i 'ordering cycle' || true", "^$")
}

// socketActivation stops the daemon and asks for a page: the socket starts it again.
func (p *proof) socketActivation(ctx context.Context) error {
	if _, err := p.v.line.run(ctx, "systemctl stop sierpi.service"); err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "systemctl is-active sierpi.socket && ! systemctl is-active sierpi.service"); err != nil {
		return err
	}
	if _, err := get(ctx, p.http+"/healthz"); err != nil {
		return err
	}
	return p.check(ctx, "systemctl is-active sierpi.service", "^active$")
}

// watchdog stops the daemon's process as a hang would: systemd kills and restarts it.
func (p *proof) watchdog(ctx context.Context) error {
	before, err := p.v.line.run(ctx, "systemctl show -P MainPID sierpi.service")
	if err != nil {
		return err
	}
	if _, err := p.v.line.run(ctx, "kill -STOP "+before); err != nil {
		return err
	}
	// On the machine, so that the line is not busy: until another process is ready.
	if _, err := p.v.line.run(ctx, "until [ \"$(systemctl show -P MainPID sierpi.service)\" != "+before+" ] && [ \"$(systemctl show -P MainPID sierpi.service)\" != 0 ] && systemctl -q is-active sierpi.service; do sleep 5; done"); err != nil {
		return err
	}
	if err := p.check(ctx, "systemctl show -P NRestarts sierpi.service", "^[1-9]"); err != nil {
		return err
	}
	_, err = p.v.line.run(ctx, "journalctl -b -u sierpi.service --no-pager | grep -qi 'watchdog timeout'")
	return err
}

// polkit holds that the daemon's user may do what our rules name, and nothing else.
func (p *proof) polkit(ctx context.Context) error {
	can := "runuser -u %s -- busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager %s"
	for _, t := range []struct{ user, method, want string }{
		{"sierpi", "CanReboot", `"yes"`},
		{"sierpi", "CanPowerOff", `"yes"`},
		{"sierpi", "CanSuspend", `"(no|na|challenge)"`},
		{"sierpi", "CanRebootToFirmwareSetup", `"(no|na|challenge)"`},
		{"nobody", "CanReboot", `"(no|challenge)"`},
		{"nobody", "CanPowerOff", `"(no|challenge)"`},
	} {
		if err := p.check(ctx, fmt.Sprintf(can, t.user, t.method), t.want); err != nil {
			return err
		}
	}
	for _, refused := range []string{"systemctl restart avahi-daemon.service", "systemctl stop sierpi.service", "systemctl set-environment x=y", "hostnamectl hostname x"} {
		if _, err := p.v.line.run(ctx, "! runuser -u sierpi -- "+strings.Replace(refused, "systemctl", "systemctl --no-ask-password", 1)+" 2>/dev/null"); err != nil {
			return fmt.Errorf("the daemon's user may: %w", err)
		}
	}
	return nil
}

// zram holds the planned size, then fills the memory: pages must go to swap, compressed,
// and come back as they were.
func (p *proof) zram(ctx context.Context) error {
	out, err := p.v.line.run(ctx, "awk '/MemTotal/ {print $2}' /proc/meminfo; awk '/zram/ {print $3, $5}' /proc/swaps")
	if err != nil {
		return err
	}
	f := strings.Fields(out)
	if len(f) != 3 {
		return fmt.Errorf("no zram swap: %q", out)
	}
	total, err1 := strconv.Atoi(f[0])
	size, err2 := strconv.Atoi(f[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	// By the path that everybody else knows too, systemd at shutdown among them.
	if err := p.check(ctx, "awk '/zram/ {print $1}' /proc/swaps", "^/dev/zram0$"); err != nil {
		return err
	}
	if off := float64(size)/float64(total) - 0.5; off < -0.01 || off > 0.01 || f[2] != "100" {
		return fmt.Errorf("zram swap has %d KiB of %d KiB of memory at priority %s; planned is half at 100", size, total, f[2])
	}
	p.figure("zram swap of %d MiB on %d MiB of memory", size>>10, total>>10)
	// As much as is available, and a fifth more; each page holds its number among letters.
	script := `import os,sys
avail=[int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith("MemAvailable")][0]
pages=int(avail*1.15)//4
m=[]
for i in range(pages):
    m.append(bytearray((b"%016d the quick brown fox " % i)*102)[:4096])
bad=sum(1 for i in range(0,pages,7) if not m[i].startswith(b"%016d" % i))
used=[l.split()[3] for l in open("/proc/swaps") if "zram" in l][0]
print("pages",pages,"bad",bad,"used",used)
`
	if err := p.v.line.write(ctx, "/tmp/fill.py", script); err != nil {
		return err
	}
	out, err = p.v.line.run(ctx, "python3 /tmp/fill.py")
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`pages (\d+) bad 0 used ([1-9]\d*)`).FindStringSubmatch(out)
	if m == nil {
		return fmt.Errorf("under memory pressure: %q", out)
	}
	stat, err := p.v.line.run(ctx, "cat /sys/block/zram0/mm_stat")
	if err != nil {
		return err
	}
	used, err := strconv.Atoi(m[2])
	if err != nil {
		return err
	}
	p.figure("under memory pressure %d MiB went to zram and came back unchanged (mm_stat since: %s)", used>>10, strings.Join(strings.Fields(stat), " "))
	return p.check(ctx, "systemctl is-active sierpi.service", "^active$")
}

// prometheus scrapes the machine with the real thing, once.
func (p *proof) prometheus(ctx context.Context) error { return p.scraped(ctx, 0) }

// scraped has a real Prometheus scrape the machine, and for so long without a miss.
func (p *proof) scraped(ctx context.Context, length time.Duration) error {
	program := lookPath("prometheus")
	if program == "" {
		return errors.New("prometheus is not installed; apt-get install prometheus")
	}
	dir, err := os.MkdirTemp("", "sierpi-prometheus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	port, err := freePort()
	if err != nil {
		return err
	}
	conf := fmt.Sprintf("scrape_configs: [{job_name: sierpi, scrape_interval: 20s, scrape_timeout: 20s, static_configs: [{targets: ['127.0.0.1:%d']}]}]\n", p.scrape)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := &tail{limit: 2000}
	cmd := exec.CommandContext(ctx, program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	cmd.Stderr, cmd.Stdout = said, said
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cancel()
	url := fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=", port)
	query := func(q string) (string, error) {
		for {
			body, err := get(ctx, url+q)
			if err == nil {
				if m := regexp.MustCompile(`"value":\[[^,]+,"([^"]+)"\]`).FindStringSubmatch(body); m != nil {
					return m[1], nil
				}
			}
			select {
			case <-ctx.Done():
				return "", fmt.Errorf("%w: Prometheus has no %s: %s %v %s", context.Cause(ctx), q, body, err, said)
			case <-time.After(time.Second):
			}
		}
	}
	if _, err := query("up%3D%3D1"); err != nil {
		return err
	}
	series, err := query("scrape_samples_scraped%3E0")
	if err != nil {
		return err
	}
	took, err := query("scrape_duration_seconds")
	if err != nil {
		return err
	}
	p.figure("Prometheus scrapes %s series in %s s", series, took)
	if length == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(length):
	}
	share, err := query(fmt.Sprintf("avg_over_time(up%%5B%ds%%5D)", int(length.Seconds())))
	if err != nil {
		return err
	}
	if share != "1" {
		return fmt.Errorf("of the scrapes of %s only %s of all succeeded", human(length), share)
	}
	p.figure("and so for %s without a miss", human(length))
	return nil
}

// journal holds that nothing of ours is at the level of an error.
func (p *proof) journal(ctx context.Context) error {
	// The watchdog's own words are systemd's, about a hang that we made.
	return p.check(ctx, "journalctl -b -q -p err --no-pager -o cat -t sierpi -t sierpi-zram _SYSTEMD_UNIT=sierpi.service + _SYSTEMD_UNIT=sierpi-zram.service + _SYSTEMD_UNIT=sierpi-serial.service + _SYSTEMD_UNIT=sierpi-firstboot.service | head -5", "^$")
}

// bootTimes are seconds from the kernel's start, as systemd noted them.
type bootTimes struct{ userspace, ready, multiUser float64 }

func (p *proof) times(ctx context.Context) (bootTimes, error) {
	out, err := p.v.line.run(ctx, "systemctl is-system-running --wait >/dev/null; systemctl show -P UserspaceTimestampMonotonic; systemctl show -P ActiveEnterTimestampMonotonic sierpi.service; systemctl show -P ActiveEnterTimestampMonotonic multi-user.target")
	if err != nil {
		return bootTimes{}, err
	}
	f := strings.Fields(out)
	if len(f) != 3 {
		return bootTimes{}, fmt.Errorf("odd times: %q", out)
	}
	var s [3]float64
	for i := range s {
		us, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return bootTimes{}, err
		}
		s[i] = float64(us) / 1e6
	}
	return bootTimes{s[0], s[1], s[2]}, nil
}

// bootTime notes the first boot's.
func (p *proof) bootTime(ctx context.Context) error {
	t, err := p.times(ctx)
	if err == nil {
		p.figure("first boot: kernel to READY %.1f s (userspace from %.1f s, multi-user at %.1f s)", t.ready, t.userspace, t.multiUser)
	}
	return err
}

// again restarts the machine over the line, cleanly, and logs in as root. Of the units only those of mayFail may fail.
func (p *proof) again(ctx context.Context, mayFail ...string) error {
	text, err := p.reboot(ctx, `proof login: ?$`, mayFail...)
	if err != nil {
		return err
	}
	if strings.Contains(text, "There is no user yet") {
		return errors.New("the line above the prompt still says that there is no user")
	}
	if err := p.v.line.login(ctx, proofUser, proofPassword); err != nil {
		return err
	}
	return p.v.line.become(ctx, proofPassword)
}

// twoBoots restarts the machine twice over the serial line: once as it is, once with
// our units masked, which is the same base without sierpi.
func (p *proof) twoBoots(ctx context.Context, bound time.Duration) error {
	var with, without bootTimes
	if err := p.step(ctx, "clean reboot over the line", bound, func(ctx context.Context) (err error) {
		if err = p.again(ctx); err == nil {
			err = p.units(ctx)
		}
		if err == nil {
			with, err = p.times(ctx)
		}
		if err == nil {
			p.figure("second boot: kernel to READY %.1f s (userspace from %.1f s, multi-user at %.1f s)", with.ready, with.userspace, with.multiUser)
		}
		return err
	}); err != nil {
		return err
	}
	units := strings.Join(ourUnits, " ")
	return p.step(ctx, "the same base without sierpi: its units masked, rebooted", bound, func(ctx context.Context) (err error) {
		if _, err = p.v.line.run(ctx, "systemctl --quiet mask "+units+" 2>/dev/null"); err != nil {
			return err
		}
		if err = p.again(ctx); err != nil {
			return err
		}
		if without, err = p.times(ctx); err != nil {
			return err
		}
		if without.multiUser == 0 || with.ready == 0 {
			return fmt.Errorf("systemd noted no times: %+v, %+v", with, without)
		}
		p.figure("without sierpi: multi-user at %.1f s (userspace from %.1f s); READY with it after %.2f times that", without.multiUser, without.userspace, with.ready/without.multiUser)
		_, err = p.v.line.run(ctx, "systemctl --quiet unmask "+units)
		return err
	})
}

// grown holds that the root fills the card.
func (p *proof) grown(ctx context.Context, mibs int) error {
	out, err := p.v.line.run(ctx, "df --output=size -BM / | tail -1")
	if err != nil {
		return err
	}
	got, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(out), "M"))
	if err != nil {
		return err
	}
	if got < mibs {
		return fmt.Errorf("the root has %d MiB, expected %d and more", got, mibs)
	}
	p.figure("root grown to %d MiB", got)
	return nil
}

// offline looks at the disk when the machine is off: clean file systems, and no
// secret of the first boot's anywhere on the boot partition, free clusters included.
func offline(ctx context.Context, disk string) error {
	c := command{}
	if _, err := c.run(ctx, "e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", disk, rootStart)); err != nil {
		return fmt.Errorf("the root file system is not clean: %w", err)
	}
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	fat := make([]byte, fatSize)
	if _, err := f.ReadAt(fat, fatStart); err != nil {
		return err
	}
	if bytes.Contains(fat, []byte(proofWiFi)) {
		return errors.New("the Wi-Fi password is still on the boot partition")
	}
	out, err := command{env: []string{"MTOOLS_SKIP_CHECK=1"}}.run(ctx, "mtype", "-i", fmt.Sprintf("%s@@%d", disk, fatStart), "::sierpi-firstboot.txt")
	if err != nil {
		return fmt.Errorf("the first boot's report: %w", err)
	}
	for _, want := range []string{"applied  rpi-preseed.toml system.hostname", "applied  rpi-preseed.toml wlan.ssid", "ignored  rpi-preseed.toml locale.keymap"} {
		if !strings.Contains(string(out), want) {
			return fmt.Errorf("the first boot's report lacks %q:\n%s", want, out)
		}
	}
	return nil
}

// common are the steps that hold on every machine, from a root shell on.
func (p *proof) common(ctx context.Context, device string) error {
	m := time.Minute
	steps := []bounded{
		{"both ends of " + device + " at 115200 baud", m, func(ctx context.Context) error { return p.speedIs(ctx, device, 115200) }},
		{"our units active, none failed", 5 * m, p.units},
		{"times of the boot", m, p.bootTime},
		{"first boot: the root fills the card", m, func(ctx context.Context) error { return p.grown(ctx, 3000) }},
		{"first boot: time zone, host keys, no file left", m, func(ctx context.Context) error {
			return p.check(ctx, "readlink /etc/localtime; ls /etc/ssh/*_key; ls /boot/firmware/rpi-preseed.toml 2>&1; stat -c %a /etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
				`(?s)Europe/Berlin.*ssh_host_ecdsa_key.*ssh_host_ed25519_key.*No such file.*600`)
		}},
		{"SSH is off", m, func(ctx context.Context) error {
			return p.check(ctx, "systemctl is-enabled ssh.service; ss -Hltn 'sport = 22' | wc -l", `(?s)disabled.*\b0$`)
		}},
		{"pages through the forwarded port", 2 * m, func(ctx context.Context) error {
			body, err := get(ctx, p.http+"/")
			if err == nil && !strings.Contains(body, "<html") {
				err = fmt.Errorf("no page: %.200q", body)
			}
			return err
		}},
		{"/metrics scraped by Prometheus from outside", 3 * m, p.prometheus},
		{"socket activation", 3 * m, p.socketActivation},
		{"the watchdog kills and restarts a stopped daemon", 5 * m, p.watchdog},
		{"polkit: the daemon's user may power off and restart, nothing else", 4 * m, p.polkit},
		{"zram swap of the planned size, under memory pressure", 15 * m, p.zram},
	}
	errs := []error{p.steps(ctx, steps), p.machine(ctx, device)}
	if !p.ended() {
		errs = append(errs, p.steps(ctx, []bounded{{"the journal has no error of ours", 2 * m, p.journal}}))
	}
	return errors.Join(errs...)
}

// bounded is one of the steps that do not need each other.
type bounded struct {
	what  string
	bound time.Duration
	run   func(context.Context) error
}

// inTurn runs steps of which each needs the one before it. What they show together, "" for
// nothing, is a figure when none was left out.
func (p *proof) inTurn(ctx context.Context, shown string, steps []bounded) error {
	for _, s := range steps {
		if err := p.step(ctx, s.what, s.bound, s.run); err != nil {
			return err
		}
		if p.leftOut(s.what) {
			shown = ""
		}
	}
	if shown != "" {
		p.figure("%s", shown)
	}
	return nil
}

// steps runs them all, also when one fails, as long as there is a machine.
func (p *proof) steps(ctx context.Context, steps []bounded) error {
	var errs []error
	for _, s := range steps {
		if err := p.step(ctx, s.what, s.bound, s.run); err != nil {
			errs = append(errs, err)
			fmt.Fprintf(p.o.Progress, "        %v\n", err)
			if ctx.Err() != nil || p.ended() {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (p *proof) ended() bool {
	select {
	case <-p.v.done:
		return true
	default:
		return false
	}
}

// reboot restarts the machine over the serial line and waits for its login.
func (p *proof) reboot(ctx context.Context, prompt string, mayFail ...string) (string, error) {
	if err := p.v.line.send(ctx, "reboot"); err != nil {
		return "", err
	}
	_, text, err := p.v.line.expect(ctx, prompt)
	for _, failed := range regexp.MustCompile(`(?m)^.*FAILED.*$`).FindAllString(text, -1) {
		if !slices.ContainsFunc(mayFail, func(unit string) bool { return strings.Contains(failed, unit) }) {
			err = errors.Join(err, fmt.Errorf("on the way down or up: %s", strings.TrimSpace(failed)))
		}
	}
	return text, err
}

// poweroff ends it cleanly.
func (p *proof) poweroff(ctx context.Context) error {
	if err := p.v.line.send(ctx, "systemctl poweroff"); err != nil {
		return err
	}
	select {
	case <-p.v.done:
		return nil
	case <-ctx.Done():
		if p.ended() {
			return nil
		}
		return context.Cause(ctx)
	}
}

func (p *proof) summary() {
	fmt.Fprintf(p.o.Progress, "\n%s in all\n", human(time.Since(p.started)))
	for _, f := range p.figures {
		fmt.Fprintf(p.o.Progress, "  %s\n", f)
	}
}
