package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/serial"
	"github.com/sierpi/sierpi/system/zram"
)

const bundleReadme = `What "sierpi doctor --bundle" packed on %s.

README             this
doctor.txt, .json  what the doctor found
version.txt        sierpi's version
config.toml        what sierpi was asked to do, defaults included
power.json, zram.json, serial.json
healthz.json, metrics.txt
                   the daemon's own words, if it runs
journal.txt        the last %d lines of sierpi's units since boot
kernel.txt         the kernel's warnings since boot
machine/           files of this machine as they are

Replaced before packing, by "(hidden)" and the like: passwords, keys, tokens and
secrets, the Wi-Fi's name, the board's serial number, addresses of networks and network cards, mail
addresses, and the name of this machine. It was done by rules, and rules miss things:
look at the files before you send them.

Not here and why:
%s`

const (
	journalLines = 3000
	// maxBundled is what one file may bring: figures and text, no dumps.
	maxBundled = 1 << 20
)

// machineFiles are copied whole: what drivers and firmware say, nothing personal.
// Never below /sys/class/zram-control, where reading makes a device.
var machineFiles = []string{
	"/etc/os-release", "/etc/debian_version", "/proc/version", "/proc/cmdline", "/proc/cpuinfo", "/proc/meminfo", "/proc/swaps",
	"/proc/modules", "/proc/loadavg", "/proc/uptime", "/proc/pressure/*", "/proc/partitions", "/proc/mounts",
	"/proc/device-tree/model", "/proc/device-tree/compatible", "/proc/device-tree/chosen/stdout-path", "/proc/device-tree/aliases/serial*",
	"/boot/firmware/config.txt", "/boot/firmware/cmdline.txt", "/boot/config.txt", "/boot/cmdline.txt", "/boot/firmware/sierpi-firstboot.txt",
	"/etc/default/grub", "/etc/default/raspi-firmware", "/etc/inittab",
	"/sys/class/tty/console/active", "/sys/class/tty/tty[AS]*/type", "/sys/class/tty/tty[AS]*/iomem_base",
	"/sys/class/thermal/thermal_zone*/type", "/sys/class/thermal/thermal_zone*/temp",
	"/sys/class/hwmon/hwmon*/name", "/sys/class/hwmon/hwmon*/*_input", "/sys/class/hwmon/hwmon*/*_alarm",
	"/sys/class/power_supply/*/uevent", "/sys/class/drm/card*-*/status", "/sys/class/drm/card*-*/modes",
	"/sys/block/zram*/*_stat", "/sys/block/zram*/disksize", "/sys/block/zram*/comp_algorithm", "/sys/block/zram*/recomp_algorithm", "/sys/block/zram*/backing_dev",
	"/sys/block/mmcblk*/device/name", "/sys/block/mmcblk*/device/type", "/sys/block/mmcblk*/device/date", "/sys/block/mmcblk*/device/life_time",
	"/sys/kernel/mm/ksm/run", "/sys/kernel/mm/ksm/pages_*", "/sys/module/zswap/parameters/enabled",
	"/proc/sys/vm/swappiness", "/proc/sys/vm/page-cluster", "/proc/sys/vm/watermark_*_factor",
	"/etc/systemd/system/serial-getty@*.service.d/*.conf", "/run/sierpi-system/*.json", "/var/lib/sierpi-system/*.json",
}

// bundler collects files for a bundle.
type bundler struct {
	root    system.Root
	hide    *redactor
	files   map[string][]byte
	missing []string
}

func (b *bundler) add(name string, text []byte) {
	if len(text) > maxBundled {
		text = append(slices.Clone(text[:maxBundled]), "\n(cut here)\n"...)
	}
	b.files[name] = b.hide.text(text)
}

func (b *bundler) lacks(name string, err error) {
	b.missing = append(b.missing, fmt.Sprintf("%-18s %s", name, oneLine(err.Error())))
}

func (b *bundler) addJSON(name string, v any, err error) {
	if err != nil {
		b.lacks(name, err)
		return
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.lacks(name, err)
		return
	}
	b.add(name, append(text, '\n'))
}

// run adds what a program of the machine prints.
func (b *bundler) run(ctx context.Context, name string, args ...string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		b.lacks(name, fmt.Errorf("%s: %w %s", args[0], err, out))
		return
	}
	b.add(name, out)
}

// writeBundle packs what a bug report needs and returns the path.
func writeBundle(ctx context.Context, where places, found findings, path string) (string, error) {
	now := time.Now()
	dir := "sierpi-doctor-" + now.Format("20060102-150405")
	if path == "" {
		path = dir + ".tar.gz"
	}
	cfg, _ := config.Load(config.Files(where.root, where.config)...)
	b := &bundler{root: where.machine(), hide: newRedactor(where.machine(), cfg), files: map[string][]byte{}}

	var text bytes.Buffer
	_, _ = found.WriteTo(&text)
	b.add("doctor.txt", text.Bytes())
	b.addJSON("doctor.json", found, nil)
	b.add("version.txt", fmt.Appendf(nil, "sierpi %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version()))
	if doc, err := toml.Marshal(config.Redact(cfg)); err != nil {
		b.lacks("config.toml", err)
	} else {
		b.add("config.toml", doc)
	}

	p := patient{where: where, root: b.root, cfg: cfg}
	p.power(ctx)
	b.addJSON("power.json", p.report, nil)
	zs, err := zram.At(b.root).Status()
	b.addJSON("zram.json", zs, err)
	ss, err := serial.At(b.root).Status(ctx, cfg.Serial.Device)
	b.addJSON("serial.json", ss, err)

	if b.root.Real() {
		for _, ask := range []struct{ name, path string }{{"healthz.json", "/healthz"}, {"metrics.txt", "/metrics"}} {
			if body, _, err := askDaemon(ctx, cfg, ask.path); err != nil {
				b.lacks(ask.name, err)
			} else {
				b.add(ask.name, body)
			}
		}
		b.run(ctx, "journal.txt", "journalctl", "-b", "-q", "--no-pager", "-o", "short-monotonic", "--no-hostname", "-n", fmt.Sprint(journalLines), "-u", "sierpi*")
		b.run(ctx, "kernel.txt", "journalctl", "-b", "-q", "--no-pager", "-o", "short-monotonic", "--no-hostname", "-n", "500", "-k", "-p", "warning")
	}
	for _, pattern := range machineFiles {
		for _, file := range b.root.Glob(pattern) {
			text, err := b.root.ReadFile(file)
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					b.lacks("machine"+file, err)
				}
				continue
			}
			b.add("machine"+file, text)
		}
	}
	b.add("README", fmt.Appendf(nil, bundleReadme, now.UTC().Format("2006-01-02 15:04 UTC"), journalLines, strings.Join(append(b.missing, ""), "\n")))
	if err := b.pack(path, dir, now); err != nil {
		return "", fmt.Errorf("packing %s: %w", path, err)
	}
	return path, nil
}

// pack writes the archive, readable by its owner alone; an existing file stays.
func (b *bundler) pack(path, dir string, now time.Time) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
		}
	}()
	zip := gzip.NewWriter(f)
	out := tar.NewWriter(zip)
	names := make([]string, 0, len(b.files))
	for name := range b.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		h := &tar.Header{Name: filepath.ToSlash(filepath.Join(dir, name)), Mode: 0o644, Size: int64(len(b.files[name])), ModTime: now}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(b.files[name]); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close(), f.Sync())
}

// redactor replaces what is nobody's business.
type redactor struct {
	known            []string // values that are secret or personal, longest first
	rules            []rule
	mail, ipv4, ipv6 *regexp.Regexp
}

// newRedactor knows the secrets of the config and this machine's name.
func newRedactor(root system.Root, cfg config.Config) *redactor {
	r := &redactor{
		rules: rules(),
		mail:  regexp.MustCompile(`\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.([A-Za-z]{2,})\b`),
		ipv4:  regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b`),
		ipv6:  regexp.MustCompile(`(?i)\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\b|(?i)\b(?:fe80|f[cd][0-9a-f]{2}|2[0-9a-f]{3})::?[0-9a-f:]*`),
	}
	// What Redact changes are the secrets.
	shown, whole := flat(config.Redact(cfg)), flat(cfg)
	for key, v := range whole {
		if shown[key] != v {
			r.known = append(r.known, v)
		}
	}
	if name, err := root.ReadString("/etc/hostname"); err == nil {
		r.known = append(r.known, name)
	}
	for _, file := range []string{"/sys/firmware/devicetree/base/serial-number", "/proc/device-tree/serial-number", "/sys/class/dmi/id/product_serial", "/sys/class/dmi/id/product_uuid"} {
		if s, err := root.ReadString(file); err == nil {
			r.known = append(r.known, s)
		}
	}
	// Short and common words would only make the text unreadable.
	r.known = slices.DeleteFunc(r.known, func(s string) bool {
		return len(s) < 4 || slices.Contains([]string{"sierpi", "localhost", "raspberrypi", "debian", "none", "default"}, strings.ToLower(s))
	})
	slices.SortFunc(r.known, func(a, b string) int { return len(b) - len(a) })
	return r
}

// flat is a config's strings by their path.
func flat(cfg config.Config) map[string]string {
	out := map[string]string{}
	doc, err := json.Marshal(cfg)
	if err != nil {
		return out
	}
	var tree any
	if json.Unmarshal(doc, &tree) != nil {
		return out
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(path+"."+k, x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), x)
			}
		case string:
			out[path] = v
		}
	}
	walk("", tree)
	return out
}

// rule hides what matches.
type rule struct {
	what *regexp.Regexp
	with string
}

// rules are what is hidden wherever it stands; $1 stays.
func rules() []rule {
	return []rule{
		// Keys in PEM and OpenSSH's form, over several lines.
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`), "(private key hidden)"},
		{regexp.MustCompile(`\b(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+|sk-[a-z0-9@.-]+) AAAA[0-9A-Za-z+/=]+[^\n"']*`), "${1} (key hidden)"},
		// crypt(3) hashes.
		{regexp.MustCompile(`\$(?:[0-9a-z]{1,3}|2[abxy]|gy|yescrypt)\$[./0-9A-Za-z$,=]{8,}`), "(hash hidden)"},
		// name=value and name: value of what is called a secret.
		{regexp.MustCompile(`(?i)\b([a-z0-9_.-]*(?:passw(?:or)?d|passphrase|psk|ssid|secret|token|api[_-]?key|private[_-]?key|auth|cookie|credential|dsn)[a-z0-9_.-]*["']?\s*[:=]\s*)("[^"\n]*"|'[^'\n]*'|[^\s,;&"']+)`), "${1}(hidden)"},
		{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}`), "${1} (hidden)"},
		// What the daemon greets its owner with, once, and the journal keeps.
		{regexp.MustCompile(`(?m)(\bowner\s{2,})\S+`), "${1}(hidden)"},
		// User and password in an address.
		{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@"']+@`), "${1}(hidden)@"},
		// /proc/cpuinfo and the kernel's command line.
		{regexp.MustCompile(`(?mi)^(Serial\s*:\s*)[0-9a-f]+`), "${1}(hidden)"},
		{regexp.MustCompile(`(?i)\b((?:board|boot)?_?serial(?:no|number)?=)\S+`), "${1}(hidden)"},
		// Network cards.
		{regexp.MustCompile(`\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b`), "(network card hidden)"},
	}
}

// text hides what is in it.
func (r *redactor) text(in []byte) []byte {
	out := string(in)
	for _, secret := range r.known {
		out = strings.ReplaceAll(out, secret, "(hidden)")
	}
	for _, rule := range r.rules {
		out = rule.what.ReplaceAllString(out, rule.with)
	}
	out = r.mail.ReplaceAllStringFunc(out, func(s string) string {
		// serial-getty@ttyS0.service is no address.
		switch s[strings.LastIndexByte(s, '.')+1:] {
		case "service", "socket", "timer", "device", "target", "slice", "scope", "mount", "swap", "path":
			return s
		}
		return "(mail address hidden)"
	})
	out = r.ipv4.ReplaceAllStringFunc(out, func(s string) string {
		if strings.HasPrefix(s, "127.") || s == "0.0.0.0" || s == "255.255.255.255" {
			return s
		}
		return "(address hidden)"
	})
	out = r.ipv6.ReplaceAllStringFunc(out, func(s string) string {
		// Times of day (12:34:56) and the like have no letters and two colons.
		if strings.Count(s, ":") < 3 && !strings.Contains(s, "::") {
			return s
		}
		return "(address hidden)"
	})
	return []byte(out)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
