package firstboot

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// Machine is what the first boot works on.
type Machine struct {
	Root system.Root
	// Run runs one of Debian's tools; nil: Exec. A password comes on its standard input only.
	Run func(ctx context.Context, stdin, name string, args ...string) error
}

// Exec runs a program of this machine; an error holds what it said.
func Exec(ctx context.Context, stdin, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(bytes.TrimSpace(out[max(0, len(out)-400):]))))
	}
	return nil
}

func (m Machine) run(ctx context.Context, stdin, name string, args ...string) error {
	if m.Run != nil {
		return m.Run(ctx, stdin, name, args...)
	}
	return Exec(ctx, stdin, name, args...)
}

// step is one thing to be done for some keys.
type step struct {
	what string // for people; no secret in it
	keys []Key  // asked for by these; none: for the machine itself
	do   func(context.Context) error
}

// Plan is what Apply will do.
type Plan struct {
	m     Machine
	in    *inputs
	last  Report
	steps []step
	user  string // whose home gets keys
}

// NewPlan reads the boot partition and the machine. It changes nothing.
func NewPlan(m Machine) (*Plan, error) {
	last, err := ReadReport(m.Root)
	if err != nil {
		last = Report{} // damaged: it is written anew
	}
	p := &Plan{m: m, last: last, in: m.readInputs(last.Digest)}
	p.grow()
	p.hostname()
	p.hostKeys()
	p.account()
	p.wireless()
	p.ssh()
	p.locale()
	p.timezone()
	return p, nil
}

// String is the plan for people.
func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.steps {
		b.WriteString(s.what)
		for i, k := range s.keys {
			b.WriteString([]string{"  (", ", "}[min(i, 1)] + strings.TrimSpace(k.File+" "+k.Key))
		}
		if len(s.keys) > 0 {
			b.WriteString(")")
		}
		b.WriteString("\n")
	}
	for _, k := range p.in.decided {
		fmt.Fprintf(&b, "%s %s: %s: %s\n", k.File, k.Key, k.Outcome, printable(k.Why))
	}
	if p.in.secret {
		b.WriteString("take the secrets out of " + configFile + "\n")
	}
	for _, f := range p.in.take {
		b.WriteString("clear and remove " + f + "\n")
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

// Empty reports whether there is nothing to do and nothing to say.
func (p *Plan) Empty() bool {
	return len(p.steps) == 0 && len(p.in.decided) == 0 && !p.in.secret && len(p.in.take) == 0
}

func key[T any](w wanted[T]) []Key { return []Key{{File: w.file, Key: w.key}} }

func (p *Plan) add(what string, keys []Key, do func(context.Context) error) {
	p.steps = append(p.steps, step{what, keys, do})
}

// grow makes the root partition and its file system fill the card. systemd-repart
// works on GPT only, and a Pi's firmware wants an MBR.
func (p *Plan) grow() {
	d, size, err := system.ReadRootDisk(p.m.Root)
	if err != nil || d.Number != strconv.Itoa(d.Last) {
		return // not a partition of a disk, or another one follows: nobody asked for it
	}
	room := system.StateRoom(size)
	if d.Free < room+16<<20 {
		return // nothing to win
	}
	more := d.Free - room
	p.add(fmt.Sprintf("grow the root partition %s by %d MiB", d.Partition, more>>20), nil, func(ctx context.Context) error {
		disk, part := "/dev/"+d.Disk, "/dev/"+d.Partition
		want := ", +\n"
		if room > 0 {
			want = fmt.Sprintf(", %dMiB\n", (d.Size+more)>>20)
		}
		if err := p.m.run(ctx, want, "sfdisk", "--quiet", "--force", "--no-reread", "--no-tell-kernel", "-N", d.Number, disk); err != nil {
			return err
		}
		if err := p.m.run(ctx, "", "partx", "--update", "--nr", d.Number, disk); err != nil {
			return err
		}
		return p.m.run(ctx, "", "resize2fs", part)
	})
	// When a cut came between the two, x-systemd.growfs in fstab grows the file system.
}

func (p *Plan) hostname() {
	w := p.in.hostname
	if !w.set {
		return
	}
	p.add("host name "+w.value, key(w), func(context.Context) error {
		hosts, err := p.m.Root.ReadFile("/etc/hosts")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := p.m.writeFile("/etc/hosts", withHost(hosts, w.value), 0o644); err != nil {
			return err
		}
		if err := p.m.writeFile("/etc/hostname", []byte(w.value+"\n"), 0o644); err != nil {
			return err
		}
		if !p.m.Root.Real() {
			return nil
		}
		return unix.Sethostname([]byte(w.value))
	})
}

// withHost sets the name that 127.0.1.1 stands for, as Debian has it.
func withHost(hosts []byte, name string) []byte {
	var b bytes.Buffer
	done := false
	for line := range strings.Lines(string(hosts)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == "127.0.1.1" {
			if !done {
				b.WriteString("127.0.1.1 " + name + "\n")
			}
			done = true
			continue
		}
		b.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
	if !done {
		b.WriteString("127.0.1.1 " + name + "\n")
	}
	return b.Bytes()
}

// hostKeys: of the two kinds that every current client takes; RSA would keep an ARMv6
// busy for minutes.
func (p *Plan) hostKeys() {
	if _, err := os.Stat(p.m.Root.Path("/etc/ssh")); err != nil {
		return // no SSH server here
	}
	for _, kind := range []string{"ed25519", "ecdsa"} {
		path := "/etc/ssh/ssh_host_" + kind + "_key"
		if st, err := os.Stat(p.m.Root.Path(path)); err == nil && st.Size() > 0 {
			continue
		}
		p.add("SSH host key "+kind, nil, func(ctx context.Context) error {
			full := p.m.Root.Path(path)
			// A cut while it was made left half of it.
			for _, f := range []string{full, full + ".pub"} {
				if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			return p.m.run(ctx, "", "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", full)
		})
	}
}

// account makes the user, or gives the one there is keys and a password.
func (p *Plan) account() {
	in := p.in
	user := in.user.value
	if !in.user.set {
		user = p.m.firstUser()
		for _, w := range []wanted[string]{in.hash, in.password} {
			if w.set && user == "" {
				in.fail(w.file, w.key, "whose? name a user too")
			}
		}
		if in.keys.set && user == "" {
			in.fail(in.keys.file, in.keys.key, "whose? name a user too")
		}
		if user == "" {
			return
		}
	}
	p.user = user
	if in.user.set && !p.m.hasUser(user) {
		p.add("user "+user, key(in.user), func(ctx context.Context) error { return p.m.addUser(ctx, user) })
	} else if in.user.set {
		p.add("user "+user+" (is there)", key(in.user), func(context.Context) error { return nil })
	}
	if in.hash.set {
		p.add("password of "+user, key(in.hash), func(ctx context.Context) error {
			return p.m.run(ctx, user+":"+in.hash.value+"\n", "chpasswd", "--encrypted")
		})
	} else if in.password.set {
		p.add("password of "+user, key(in.password), func(ctx context.Context) error {
			return p.m.run(ctx, user+":"+in.password.value+"\n", "chpasswd")
		})
	}
	if in.keys.set {
		p.add(fmt.Sprintf("%d SSH keys of %s", len(in.keys.value), user), key(in.keys), func(context.Context) error {
			return p.m.authorize(user, in.keys.value)
		})
	}
	// Who has no password cannot be asked for one.
	keyOnly := in.user.set && in.keys.set && !in.hash.set && !in.password.set
	if keyOnly || in.noPasswordSudo.set {
		var keys []Key
		if in.noPasswordSudo.set {
			keys = key(in.noPasswordSudo)
		}
		p.add("sudo without a password for "+user, keys, func(context.Context) error {
			return p.m.writeFile("/etc/sudoers.d/010-sierpi-"+user, []byte(user+" ALL=(ALL:ALL) NOPASSWD: ALL\n"), 0o440)
		})
	}
}

// wireless joins a network by wpa_supplicant and systemd-networkd.
func (p *Plan) wireless() {
	in := p.in
	const path = "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf"
	var what string
	var keys []Key
	var conf []byte
	switch {
	case in.wpa.set:
		if in.wifi.set {
			in.ignore(in.wifi.file, in.wifi.key, in.wpa.file+" says it too, and wins")
		}
		what, keys, conf = "Wi-Fi as "+in.wpa.file+" says", key(in.wpa), in.wpa.value
	case in.wifi.set:
		w := in.wifi.value
		if w.Password == "" {
			// The password was taken off the boot partition at an earlier boot.
			if old, err := p.m.Root.ReadFile(path); err == nil && bytes.Contains(old, []byte(fmt.Sprintf("ssid=%x\n", w.SSID))) {
				p.add("Wi-Fi "+strconv.Quote(w.SSID)+" (as it is)", key(in.wifi), func(context.Context) error { return nil })
				return
			}
		}
		var err error
		if conf, err = wpaConfig(w, in.wifiHidden); err != nil {
			in.fail(in.wifi.file, in.wifi.key, err.Error())
			return
		}
		what, keys = fmt.Sprintf("Wi-Fi %q, country %s", w.SSID, w.Country), key(in.wifi)
	default:
		return
	}
	p.add(what, keys, func(ctx context.Context) error {
		if err := p.m.writeFile(path, conf, 0o600); err != nil {
			return err
		}
		// Wanted by the radio, not by the system: a board without one has no failed unit, and
		// a radio that is plugged in later joins.
		// systemctl add-wants refuses a device that is not there.
		if err := p.m.link("/usr/lib/systemd/system/wpa_supplicant@.service", "/etc/systemd/system/sys-subsystem-net-devices-wlan0.device.wants/wpa_supplicant@wlan0.service"); err != nil {
			return err
		}
		if err := p.m.run(ctx, "", "systemctl", "daemon-reload"); err != nil {
			return err
		}
		if _, err := p.m.Root.ReadFile("/sys/class/net/wlan0/address"); err != nil {
			return nil // it starts when the radio appears
		}
		// Without waiting: it comes after this unit.
		return p.m.run(ctx, "", "systemctl", "restart", "--no-block", "wpa_supplicant@wlan0.service")
	})
}

// wpaConfig writes a network of wpa_supplicant.conf. Name and key are hexadecimal, so
// that no character of theirs means anything.
func wpaConfig(w config.WiFi, hidden bool) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by sierpi at first boot.\nctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev\nupdate_config=1\n")
	if w.Country != "" {
		fmt.Fprintf(&b, "country=%s\n", w.Country)
	}
	fmt.Fprintf(&b, "network={\n\tssid=%x\n", w.SSID)
	if hidden {
		b.WriteString("\tscan_ssid=1\n")
	}
	switch len(w.Password) {
	case 0:
		b.WriteString("\tkey_mgmt=NONE\n")
	case 64:
		fmt.Fprintf(&b, "\tpsk=%s\n", strings.ToLower(w.Password))
	default:
		// IEEE 802.11i: PBKDF2 with the name as salt.
		psk, err := pbkdf2.Key(sha1.New, w.Password, []byte(w.SSID), 4096, 32)
		if err != nil {
			return nil, fmt.Errorf("deriving the key from the password: %w", err)
		}
		fmt.Fprintf(&b, "\tpsk=%x\n", psk)
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func (p *Plan) ssh() {
	w := p.in.ssh
	if !w.set {
		return
	}
	what := "SSH on, by key only"
	if !p.in.keys.set && !p.m.authorized(p.user) {
		what += "; nobody has a key yet"
	}
	p.add(what, key(w), func(ctx context.Context) error {
		if err := p.m.run(ctx, "", "systemctl", "enable", "ssh.service"); err != nil {
			return err
		}
		return p.m.run(ctx, "", "systemctl", "start", "--no-block", "ssh.service")
	})
}

func (p *Plan) locale() {
	w := p.in.locale
	if !w.set {
		return
	}
	name, charset, _ := strings.Cut(w.value, ".")
	charset, modifier, _ := strings.Cut(charset, "@")
	if modifier != "" {
		name += "@" + modifier
	}
	name += ".UTF-8"
	if at := strings.Index(name, "@"); at >= 0 { // de_DE@euro.UTF-8 is written de_DE.UTF-8@euro
		name = name[:at] + ".UTF-8" + strings.TrimSuffix(name[at:], ".UTF-8")
	}
	_ = charset
	p.add("locale "+name, key(w), func(ctx context.Context) error {
		if name != "C.UTF-8" {
			supported, err := p.m.Root.ReadString("/usr/share/i18n/SUPPORTED")
			if err != nil {
				return fmt.Errorf("no list of locales (%w); apt-get install locales", err)
			}
			if !slices.Contains(strings.Split(supported, "\n"), name+" UTF-8") {
				return fmt.Errorf("there is no locale %s; /usr/share/i18n/SUPPORTED lists them", name)
			}
			if err := p.m.writeFile("/etc/locale.gen", []byte(name+" UTF-8\n"), 0o644); err != nil {
				return err
			}
			if err := p.m.run(ctx, "", "locale-gen"); err != nil {
				return err
			}
		}
		return p.m.writeFile("/etc/default/locale", []byte("LANG="+name+"\n"), 0o644)
	})
}

func (p *Plan) timezone() {
	w := p.in.timezone
	if !w.set {
		return
	}
	p.add("time zone "+w.value, key(w), func(context.Context) error {
		zone := "/usr/share/zoneinfo/" + w.value
		if st, err := os.Stat(p.m.Root.Path(zone)); err != nil || !st.Mode().IsRegular() {
			return fmt.Errorf("there is no time zone %s; timedatectl list-timezones lists them", w.value)
		}
		if err := p.m.link(zone, "/etc/localtime"); err != nil {
			return err
		}
		return p.m.writeFile("/etc/timezone", []byte(w.value+"\n"), 0o644)
	})
}

// Apply does what the plan says: what fails is reported and stops nothing else. The
// error is about the report and the boot partition; what became of each key is in
// the Report.
func (p *Plan) Apply(ctx context.Context) (Report, error) {
	rep := Report{Keys: slices.Clone(p.in.decided), Digest: p.in.digest}
	for _, s := range p.steps {
		err := s.do(ctx)
		for _, k := range s.keys {
			k.Outcome = Applied
			if err != nil {
				k.Outcome, k.Why = Failed, err.Error()
			}
			rep.Keys = append(rep.Keys, k)
		}
		if err != nil && len(s.keys) == 0 {
			rep.Keys = append(rep.Keys, Key{File: "machine", Key: s.what, Outcome: Failed, Why: err.Error()})
		}
		if ctx.Err() != nil {
			return rep, ctx.Err()
		}
	}
	failedConfig := false
	for _, k := range rep.Keys {
		failedConfig = failedConfig || k.Outcome == Failed && k.File == configFile
	}
	if failedConfig {
		rep.Digest = "" // the next boot tries again
	}
	rep.NoUser = p.m.firstUser() == ""
	quiet := len(rep.Keys) == 0
	if quiet {
		// Nothing new: what was said last still holds.
		rep.Keys = p.last.Keys
	}
	errs := []error{p.m.writeReport(rep)}
	// From here on a cut loses nothing: what the files asked for is on disk.
	if p.m.Root.Real() {
		unix.Sync()
	}
	errs = append(errs, p.takeSecrets(rep))
	for _, name := range p.in.take {
		if rep.secretFailed(name) {
			continue // for its owner to mend; the report says what
		}
		path := p.m.Root.Path(bootDir + "/" + name)
		err := overwrite(path, nil)
		if err == nil {
			err = os.Remove(path)
		}
		errs = append(errs, err)
	}
	if !quiet {
		text := "What became of the settings on this partition:\n\n" + rep.Text()
		errs = append(errs, overwrite(p.m.Root.Path(fatReport), []byte(strings.ReplaceAll(text, "\n", "\r\n"))))
	}
	return rep, errors.Join(errs...)
}

// takeSecrets blanks those secrets of sierpi.toml that are where they belong now. What
// could not be taken over stays, for its owner to mend.
func (p *Plan) takeSecrets(rep Report) error {
	if !p.in.secret {
		return nil
	}
	var taken []string
	for _, k := range config.SecretKeys() {
		asked := strings.TrimSuffix(k, ".password") // a Wi-Fi is asked for as a whole
		for _, done := range rep.Keys {
			if done.File == configFile && done.Key == asked && done.Outcome != Failed {
				taken = append(taken, k)
			}
		}
	}
	doc, err := p.m.Root.ReadFile(bootDir + "/" + configFile)
	if err != nil {
		return err
	}
	without, ok, err := config.TakeSecrets(doc, taken...)
	if err != nil || !ok {
		return err
	}
	return overwrite(p.m.Root.Path(bootDir+"/"+configFile), without)
}

// overwrite replaces a file's contents in place, so that on FAT the old bytes
// are gone and do not lie in free clusters.
func overwrite(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	padded := append(bytes.Clone(data), bytes.Repeat([]byte("\n"), max(0, int(st.Size())-len(data)))...)
	if _, err := f.WriteAt(padded, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.Sync()
}
