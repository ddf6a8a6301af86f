package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/overlay"
	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// put writes a file of a machine below a root.
func put(t *testing.T, root, path, text string) {
	t.Helper()
	full := system.Root(root).Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The doctor of each golden machine, as it is printed. Rewrite with -update.
func TestDoctorGolden(t *testing.T) {
	// The 4B's supply is too weak.
	for name, code := range map[string]int{"zerow": 0, "pi3bplus": 0, "pi4b": 1, "pi5": 0, "nopi": 0} {
		root := systemtest.Tree(t, filepath.Join("..", "..", "system", "testdata", name+".txtar"))
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{"doctor", "--root", root}, nil, &out, &errs)
		text, _, _ := strings.Cut(out.String(), "as root it sees more")
		golden := filepath.Join("testdata", "doctor", name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || text != string(want) || status != code {
			t.Errorf("%s: status %d, %v\ngot\n%swant\n%s%s", name, status, err, text, want, errs.String())
		}
	}
}

// What is wrong with a machine shows, with a remedy, and in the exit status.
func TestDoctorFindsTrouble(t *testing.T) {
	for _, c := range []struct {
		name, tree string
		files      map[string]string
		what       string
		state      health
		detail     string
		status     int
	}{
		{"hot", "pi4b", map[string]string{"/sys/class/thermal/thermal_zone0/temp": "83000\n"}, "temperature", trouble, "83.0 °C", 1},
		{"weak supply", "zerow", map[string]string{"/sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "throttling", trouble, "under-voltage now", 1},
		{"too much for the supply", "pi3bplus", map[string]string{"/etc/sierpi/sierpi.toml": "[power]\nsupply-limit = 0.5\n"}, "power", trouble, "2.5 W", 1},
		{"a typo", "pi5", map[string]string{"/etc/sierpi/sierpi.toml": "[zram]\nsise = \"1MiB\"\n"}, "config", trouble, "sise", 1},
		{"zram off", "nopi", map[string]string{"/etc/sierpi/sierpi.toml": "[zram]\nenabled = false\n"}, "zram", absent, "switched off", 0},
		{"zram's device fails", "zerow", map[string]string{"/sys/block/zram0/io_stat": "0 3 0 0\n"}, "zram", trouble, "zram0", 1},
		{"swap on the card", "pi5", map[string]string{"/proc/swaps": "Filename Type Size Used Priority\n/var/swap file 102396 0 -2\n"}, "swap", advice, "/var/swap, 99 MiB", 0},
		{"worn eMMC", "pi5", map[string]string{"/sys/block/mmcblk0/device/name": "A2S64\n", "/sys/block/mmcblk0/device/type": "MMC\n", "/sys/block/mmcblk0/device/life_time": "0x03 0x0b\n"}, "card", trouble, "0x0b", 1},
		{"new card", "pi5", map[string]string{"/sys/block/mmcblk0/device/name": "SD32G\n", "/sys/block/mmcblk0/device/type": "SD\n", "/sys/block/mmcblk0/device/date": "03/2024\n"}, "card", healthy, "mmcblk0: SD SD32G, made 03/2024", 0},
		{"a button and no pins", "nopi", map[string]string{"/etc/sierpi/sierpi.toml": "[gpio]\nbutton = 17\n"}, "GPIO", trouble, "button on 17", 1},
		{"a sensor and no bus", "pi4b", map[string]string{"/etc/sierpi/sierpi.toml": "[[power.sensor]]\nchip = \"ina219\"\nbus = 1\naddress = 0x40\nshunt = 0.1\n"}, "I2C", trouble, "no /dev/i2c-1", 1},
		{"a screen", "pi5", map[string]string{"/sys/class/drm/card1-HDMI-A-1/status": "connected\n", "/sys/class/drm/card1-HDMI-A-1/modes": "1920x1080\n1280x720\n", "/sys/class/drm/card1-HDMI-A-2/status": "disconnected\n"}, "screen", healthy, "HDMI-A-1 1920x1080", 0},
		{"no screen", "pi5", map[string]string{"/sys/class/drm/card1-HDMI-A-1/status": "disconnected\n"}, "screen", absent, "HDMI-A-1", 0},
		{"first boot failed", "pi4b", map[string]string{"/var/lib/sierpi-firstboot/report.json": `{"keys":[{"file":"sierpi.toml","key":"timezone","outcome":"failed","why":"no such zone"}]}`}, "first boot", trouble, "no such zone", 1},
		{"little memory", "zerow", map[string]string{"/proc/meminfo": "MemTotal: 443372 kB\nMemAvailable: 20000 kB\n"}, "memory", advice, "19 MiB", 0},
	} {
		root := systemtest.Tree(t, filepath.Join("..", "..", "system", "testdata", c.tree+".txtar"))
		for path, text := range c.files {
			put(t, root, path, text)
		}
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{"doctor", "--json", "--root", root}, nil, &out, &errs)
		var found findings
		if err := json.Unmarshal(out.Bytes(), &found); err != nil {
			t.Errorf("%s: %v\n%s%s", c.name, err, out.String(), errs.String())
			continue
		}
		i := slices.IndexFunc(found, func(f finding) bool { return f.What == c.what })
		if i < 0 || found[i].State != c.state || !strings.Contains(found[i].Detail, c.detail) || status != c.status {
			t.Errorf("%s: status %d, %+v", c.name, status, found)
			continue
		}
		if found[i].Remedy == "" && (c.state == trouble || c.state == advice) {
			t.Errorf("%s: nothing to do is named: %+v", c.name, found[i])
		}
	}
}

// A config that only root reads is no trouble, and what to do about it is one command.
func TestDoctorAsAnybody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sierpi.toml")
	if err := os.WriteFile(file, []byte("[zram]\nenabled = true\n"), 0); err != nil {
		t.Fatal(err)
	}
	systemtest.AsStranger(t, func() {
		where := places{config: file, root: "/"}
		_, mistakes := config.Load(config.Files(where.root, where.config)...)
		f := (&patient{where: where}).configFiles(mistakes.Err())
		if f.State != advice || f.Remedy != "sudo sierpi doctor" || !strings.Contains(f.Detail, "run it with sudo") {
			t.Errorf("%+v", f)
		}
		if _, err := where.load("serial"); err == nil || !strings.Contains(err.Error(), file+": may not be read by this user; run it with sudo") {
			t.Error(err)
		}
	})
	if _, mistakes := config.Load(config.File{Path: file, Required: true}); os.Geteuid() == 0 && mistakes != nil {
		t.Error("root is not himself again:", mistakes)
	}
}

// unpack reads a bundle; names are without its folder.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(text)
	}
}

// A bundle has what a bug report needs, and none of the secrets that stand in the
// files it is made from.
// Under an overlay the room on / is memory's: the doctor says so and looks at what counts.
func TestDoctorSeesTheOverlay(t *testing.T) {
	const gib, mib = 1 << 30, 1 << 20
	full := overlay.Status{RootSize: 4 * gib, RootFree: 10 * mib}
	on := overlay.Status{Active: true, Next: true, State: "PARTUUID=1-03", Device: "/dev/sda3",
		RootSize: 4 * gib, RootFree: 10 * mib, MemorySize: 400 * mib, MemoryUsed: 20 * mib, StateSize: 240 * mib, StateFree: 200 * mib}
	change := func(s overlay.Status, by func(*overlay.Status)) overlay.Status { by(&s); return s }
	for name, c := range map[string]struct {
		status overlay.Status
		states []health
		detail string
	}{
		"a full root":            {full, []health{trouble}, "0.0 GB free"},
		"a root with room":       {overlay.Status{RootSize: 4 * gib, RootFree: 2 * gib}, []health{healthy}, "2.1 GB free"},
		"read-only by itself":    {overlay.Status{RootSize: 4 * gib, RootFree: 2 * gib, ReadOnly: true}, []health{advice}, "root has"},
		"on, over a full root":   {on, []health{healthy, healthy}, "on: what was written since the boot takes 20 of 400 MiB of memory; the state is on /dev/sda3, 200 of 240 MiB free"},
		"on, to be off":          {change(on, func(s *overlay.Status) { s.Next = false }), []health{healthy, healthy}, "off after the next boot"},
		"the state gone":         {change(on, func(s *overlay.Status) { s.Device = "" }), []health{healthy, trouble}, "PARTUUID=1-03 was not there at boot"},
		"the state full":         {change(on, func(s *overlay.Status) { s.StateFree = 3 * mib }), []health{healthy, trouble}, "3 of 240 MiB free"},
		"the memory full":        {change(on, func(s *overlay.Status) { s.MemoryUsed = 390 * mib }), []health{healthy, trouble}, "390 of 400 MiB"},
		"off, the state remains": {change(on, func(s *overlay.Status) { s.Active, s.Next, s.RootFree = false, false, 2*gib }), []health{healthy, healthy}, "off; the state is on /dev/sda3"},
	} {
		var states []health
		var said strings.Builder
		for _, f := range storage(c.status) {
			states = append(states, f.State)
			said.WriteString(f.Detail + "\n")
			if (f.Remedy == "") != (f.State == healthy) {
				t.Errorf("%s: %s is %s, with the remedy %q", name, f.What, f.State, f.Remedy)
			}
		}
		if !slices.Equal(states, c.states) || !strings.Contains(said.String(), c.detail) {
			t.Errorf("%s: %v, want %v, and %q in\n%s", name, states, c.states, c.detail, said.String())
		}
	}
}

func TestBundleHasNoSecrets(t *testing.T) {
	root := systemtest.Tree(t, filepath.Join("..", "..", "system", "testdata", "pi3bplus.txtar"))
	secrets := map[string]string{ // by what it is: where it lies must not matter
		"Wi-Fi password": "correct horse battery", "password hash": "$6$rounds=5000$saltsalt$Q9bJqGx0Jv5ZbHkzqD7W1/", "database password": "hunter2hunter2",
		"serial number": "00000000deadbeef", "SSH key": "AAAAC3NzaC1lZDI1NTE5AAAAIJx0Zk9G", "host name": "grandmas-kitchen", "address": "192.168.178.23",
		"IPv6 address": "2003:e5:1f2a:8a00:ba27:ebff:fe12:3456", "network card": "b8:27:eb:12:34:56", "mail address": "ada.lovelace@example.org",
		"boot password": "s3cretboot", "proxy password": "proxypw99",
	}
	put(t, root, "/etc/hostname", secrets["host name"]+"\n")
	put(t, root, "/proc/device-tree/serial-number", secrets["serial number"]+"\x00")
	put(t, root, "/proc/cpuinfo", "processor\t: 0\nHardware\t: BCM2835\nRevision\t: a020d3\nSerial\t\t: "+secrets["serial number"]+"\n")
	put(t, root, "/boot/firmware/cmdline.txt", "console=serial0,115200 root=PARTUUID=1-02 smsc95xx.macaddr="+secrets["network card"]+" ip="+secrets["address"]+" nfs_password="+secrets["boot password"]+" systemd.hostname="+secrets["host name"]+"\n")
	put(t, root, "/boot/firmware/config.txt", "enable_uart=1\n# ask "+secrets["mail address"]+", ssh-ed25519 "+secrets["SSH key"]+" me@here\n# http_proxy=http://me:"+secrets["proxy password"]+"@proxy:3128/\n")
	put(t, root, "/boot/firmware/sierpi-firstboot.txt", "failed   sierpi.toml password-hash: "+secrets["password hash"]+"\n")
	put(t, root, "/proc/mounts", "//"+secrets["address"]+"/x /mnt cifs rw,username=ada,password="+secrets["boot password"]+",addr="+secrets["IPv6 address"]+" 0 0\n")
	put(t, root, "/etc/sierpi/sierpi.toml", "[store]\ndsn = \"postgres://sierpi:"+secrets["database password"]+"@db/sierpi\"\n[firstboot]\npassword-hash = \""+secrets["password hash"]+"\"\nssh-keys = [\"ssh-ed25519 "+secrets["SSH key"]+" ada\"]\n[firstboot.wifi]\nssid = \"home\"\ncountry = \"DE\"\npassword = \""+secrets["Wi-Fi password"]+"\"\n")
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"doctor", "--root", root, "--bundle", "--output", path}, nil, &out, &errs); status != 0 {
		t.Fatalf("status %d\n%s%s", status, out.String(), errs.String())
	}
	files := unpack(t, path)
	for name, text := range files {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the %s:\n%s", name, what, text)
			}
		}
	}
	for name, want := range map[string]string{
		"README": "look at the files before you send them", "doctor.txt": "3.16 W (hwmon)", "doctor.json": `"state": "ok"`, "version.txt": "sierpi ", "config.toml": "[firstboot.wifi]",
		"power.json": `"watts": 3.16`, "zram.json": `"devices"`, "serial.json": `"ttyS0"`, "machine/proc/cpuinfo": "a020d3", "machine/boot/firmware/cmdline.txt": "console=serial0,115200 root=PARTUUID=1-02",
		"machine/boot/firmware/config.txt": "enable_uart=1", "machine/proc/meminfo": "MemTotal",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s does not say %q:\n%s", name, want, files[name])
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	// A second one does not replace the first.
	if status := run(t.Context(), []string{"doctor", "--root", root, "--bundle", "--output", path}, nil, &out, &errs); status != 1 {
		t.Errorf("the first bundle was overwritten: %s", errs.String())
	}
	if status := run(t.Context(), []string{"doctor", "--output", path}, nil, &out, &errs); status != 2 {
		t.Errorf("--output alone: %d", status)
	}
}

func TestRedactor(t *testing.T) {
	r := newRedactor(system.Root(t.TempDir()), config.Default())
	r.known = []string{"hunter2"}
	for in, want := range map[string]string{
		"owner    k3v9-p2xq-77aa-bcde-mn45   (shown this once":                              "owner    (hidden)   (shown this once",
		"wall     http://localhost/kiosk/sign-in?token=abcdef0123":                          "wall     http://localhost/kiosk/sign-in?token=(hidden)",
		"Authorization: Bearer abcdefgh.ijkl":                                               "Authorization: (hidden) abcdefgh.ijkl",
		"the DSN was hunter2":                                                               "the DSN was (hidden)",
		`{"psk": "my words here", "ssid": "x"}`:                                             `{"psk": (hidden), "ssid": (hidden)}`,
		"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nrest": "(private key hidden)\nrest",
		// What must stay, or nobody can read it.
		"[   12.345678] sierpi[412]: listening on 127.0.0.1:9101": "[   12.345678] sierpi[412]: listening on 127.0.0.1:9101",
		"2026-11-25 18:45:10 serial-getty@ttyS0.service":          "2026-11-25 18:45:10 serial-getty@ttyS0.service",
		"0000:00:1f.2 version 1.2.3 console=ttyS0,115200":         "0000:00:1f.2 version 1.2.3 console=ttyS0,115200",
		"zram0 ratio 2.82 Linux 6.12.48+deb13-arm64":              "zram0 ratio 2.82 Linux 6.12.48+deb13-arm64",
	} {
		if got := string(r.text([]byte(in))); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

// The daemon is found where it listens, beside a server of somebody else's.
func TestAskDaemon(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>It works!") }))
	defer other.Close()
	ours := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable) // with a report all the same
		io.WriteString(w, `{"status":"failed","parts":[{"name":"store","state":"failed","why":"no disk"}]}`)
	}))
	defer ours.Close()
	address := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	cfg := config.Default()
	cfg.Web.Listen = address(ours)
	p := patient{cfg: cfg}
	got := p.daemon(t.Context())
	if len(got) != 1 || got[0].State != trouble || !strings.Contains(got[0].Detail, "store is failed: no disk") {
		t.Errorf("%+v", got)
	}
	cfg.Web.Listen = address(other)
	if _, where, err := askDaemon(t.Context(), cfg, "/healthz"); err == nil && where == address(other) || err != nil && !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("%v %v", where, err)
	}
}
