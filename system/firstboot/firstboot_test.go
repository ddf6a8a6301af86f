package firstboot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "write the expected parts of testdata/*.txtar anew")

// A machine as it comes out of the image, below a folder; its tools are recorded,
// not run, for they would change the machine that runs the tests.
func newMachine(t *testing.T, files []txtar.File) (Machine, *[]string) {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nsierpi:x:999:999::/var/lib/sierpi:/usr/sbin/nologin\n")
	write("/etc/shadow", "root:*:20000:0:99999:7:::\n")
	write("/etc/group", "root:x:0:\nsudo:x:27:\nvideo:x:44:\ngpio:x:998:\n")
	write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 sierpi\n")
	write("/etc/hostname", "sierpi\n")
	write("/usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\nde_DE@euro ISO-8859-15\n")
	write("/usr/share/zoneinfo/Europe/Berlin", "TZif")
	// Keys are there already, but in the script that is about them.
	write("/etc/ssh/ssh_host_ed25519_key", "key")
	write("/etc/ssh/ssh_host_ecdsa_key", "key")
	for _, f := range files {
		if path, ok := strings.CutPrefix(f.Name, "boot/"); ok {
			write(bootDir+"/"+path, string(f.Data))
		} else if strings.HasPrefix(f.Name, "root/") {
			write(strings.TrimPrefix(f.Name, "root"), string(f.Data))
		}
	}
	var ran []string
	m := Machine{Root: system.Root(root), Run: func(_ context.Context, stdin, name string, args ...string) error {
		line := strings.ReplaceAll(strings.Join(append([]string{name}, args...), " "), root, "ROOT")
		if stdin != "" {
			line += " <<< " + strings.TrimSpace(stdin)
		}
		ran = append(ran, line)
		if name == "useradd" {
			user := args[len(args)-1]
			for path, text := range map[string]string{"/etc/passwd": user + ":x:1000:1000::/home/" + user + ":/bin/bash\n", "/etc/shadow": user + ":!:20000::::::\n"} {
				f, err := os.OpenFile(filepath.Join(root, path), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				defer f.Close()
				if _, err := f.WriteString(text); err != nil {
					return err
				}
			}
		}
		if name == "ssh-keygen" {
			return os.WriteFile(args[len(args)-1], []byte("key"), 0o600)
		}
		if name == "locale-gen" {
			return errors.New("locale-gen: no space left on device")
		}
		return nil
	}}
	return m, &ran
}

// TestScripts applies what the boot partition of each script holds and compares the
// plan, the tools' command lines, the report and the files that changed.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%v, %d scripts", err, len(scripts))
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			script, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m, ran := newMachine(t, script.Files)
			before := snapshot(t, string(m.Root))
			plan, err := NewPlan(m)
			if err != nil {
				t.Fatal(err)
			}
			if after := snapshot(t, string(m.Root)); !mapsEqual(before, after) {
				t.Error("planning changed something")
			}
			got := []txtar.File{{Name: "want/plan", Data: []byte(plan.String())}}
			rep, err := plan.Apply(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, txtar.File{Name: "want/ran", Data: []byte(strings.Join(*ran, "\n") + "\n")},
				txtar.File{Name: "want/report", Data: []byte(rep.Text())})
			after := snapshot(t, string(m.Root))
			for _, name := range slices.Sorted(keysOf(before, after)) {
				if name == reportPath {
					continue // want/report has it
				}
				switch was, is := before[name], after[name]; {
				case is == "":
					got = append(got, txtar.File{Name: "want/gone" + name})
				case is != was:
					got = append(got, txtar.File{Name: "want" + name, Data: []byte(strings.ReplaceAll(is, "\r\n", "\n"))})
				}
			}
			if *update {
				script.Files = slices.DeleteFunc(script.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
				script.Files = append(script.Files, got...)
				if err := os.WriteFile(path, txtar.Format(script), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := map[string]string{}
			for _, f := range script.Files {
				if strings.HasPrefix(f.Name, "want/") {
					want[f.Name] = string(f.Data)
				}
			}
			for _, f := range got {
				text := string(f.Data)
				if text != "" && !strings.HasSuffix(text, "\n") {
					text += "\n"
				}
				if w, ok := want[f.Name]; !ok || w != text {
					t.Errorf("%s is\n%s\nwant\n%s", f.Name, text, w)
				}
				delete(want, f.Name)
			}
			for name := range want {
				t.Errorf("%s did not come about", name)
			}

			// At the next boot there is nothing to do but what failed, and no secret is left.
			*ran = nil
			again, err := NewPlan(m)
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.Failures()) == 0 && len(again.steps)+len(again.in.take) > 0 {
				t.Errorf("the next boot would do it again:\n%s", again)
			}
			for name, text := range snapshot(t, string(m.Root)) {
				// What failed stays, for its owner to mend.
				if strings.HasPrefix(name, bootDir) && strings.Contains(text, "correct horse") && len(rep.Failures()) == 0 {
					t.Errorf("a secret is left in %s:\n%s", name, text)
				}
			}
		})
	}
}

func keysOf(ms ...map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range ms {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}

func mapsEqual(a, b map[string]string) bool {
	for k := range keysOf(a, b) {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}

// snapshot reads a tree: "MODE text" by path.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, root)
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			out[name] = "-> " + target + "\n"
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		out[name] = fmt.Sprintf("%o\n%s", st.Mode().Perm(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPowerCut cuts Apply off after each tool in turn: whatever was not done is
// still asked for at the next boot.
func TestPowerCut(t *testing.T) {
	files := []txtar.File{{Name: "boot/sierpi.toml", Data: []byte("[firstboot]\nuser = 'ada'\nhostname = 'kitchen'\npassword-hash = '$6$salt$abcdefghijk'\nssh = true\n[firstboot.wifi]\nssid = 'home'\npassword = 'correct horse'\ncountry = 'DE'\n")}}
	for cut := range 8 {
		m, ran := newMachine(t, files)
		run := m.Run
		ctx, cancel := context.WithCancelCause(t.Context())
		m.Run = func(ctx context.Context, stdin, name string, args ...string) error {
			if len(*ran) == cut {
				cancel(errors.New("cut"))
				return errors.New("cut")
			}
			return run(ctx, stdin, name, args...)
		}
		plan, err := NewPlan(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = plan.Apply(ctx)
		cancel(nil)
		doc, rerr := m.Root.ReadFile(bootDir + "/sierpi.toml")
		if rerr != nil {
			t.Fatal(rerr)
		}
		if kept := strings.Contains(string(doc), "correct horse"); kept != (err != nil) {
			t.Errorf("cut after %d tools: %v, and the boot partition has the password: %v", cut, err, kept)
		}
		m.Run = run
		if plan, err = NewPlan(m); err != nil {
			t.Fatal(err)
		}
		rep, err := plan.Apply(t.Context())
		if err != nil || len(rep.Failures()) > 0 {
			t.Errorf("cut after %d tools, then: %v\n%s", cut, err, rep.Text())
		}
		_, wanted := os.Lstat(m.Root.Path("/etc/systemd/system/sys-subsystem-net-devices-wlan0.device.wants/wpa_supplicant@wlan0.service"))
		if got := strings.Join(*ran, "\n"); !strings.Contains(got, "chpasswd") || wanted != nil {
			t.Errorf("cut after %d tools: something was never done:\n%s", cut, got)
		}
	}
}

// TestTools runs Debian's own useradd and ssh-keygen on a tree.
func TestTools(t *testing.T) {
	systemtest.Root(t)
	systemtest.Tool(t, "useradd", "passwd")
	keygen := systemtest.Tool(t, "ssh-keygen", "openssh-client")
	m, _ := newMachine(t, []txtar.File{
		{Name: "boot/sierpi.toml", Data: []byte("[firstboot]\nuser = 'ada'\nssh-keys = ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmZ8y0p3bq1xv6n2Qm4l8m2l9wQ9k1h3j5k7m9p1r3t ada']\n")},
		{Name: "root/etc/ssh/ssh_host_ed25519_key", Data: []byte("")}, // a cut while it was written
		{Name: "root/etc/gshadow", Data: []byte("sudo:*::\nvideo:*::\ngpio:!::\n")},
		{Name: "root/etc/login.defs", Data: []byte("UID_MIN 1000\nGID_MIN 1000\nUSERGROUPS_ENAB yes\n")},
	})
	m.Run = nil
	plan, err := NewPlan(m)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := plan.Apply(t.Context())
	if err != nil || len(rep.Failures()) > 0 || rep.NoUser {
		t.Fatalf("%v, no user: %v\n%s", err, rep.NoUser, rep.Text())
	}
	if u := m.firstUser(); u != "ada" {
		t.Errorf("the first user is %q", u)
	}
	if st, err := os.Stat(m.Root.Path("/home/ada/.ssh/authorized_keys")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("authorized_keys: %v %v", st, err)
	}
	group, err := m.Root.ReadString("/etc/group")
	if err != nil || !strings.Contains(group, "sudo:x:27:ada") || !strings.Contains(group, "gpio:x:998:ada") {
		t.Errorf("groups: %v\n%s", err, group)
	}
	if out, err := exec.Command(keygen, "-lf", m.Root.Path("/etc/ssh/ssh_host_ed25519_key")).CombinedOutput(); err != nil {
		t.Errorf("the host key is none: %v %s", err, out)
	}
}

func TestFirstUser(t *testing.T) {
	for _, tt := range []struct {
		name    string
		typed   string
		answers []string
		want    string // in what is said
		ran     string
	}{
		{"makes it", "ada", []string{"correct horse", "correct horse"}, "Done", "chpasswd <<< ada:correct horse"},
		{"differs, short, then right", "ada", []string{"correct horse", "wrong horse", "short", "longenough", "longenough"}, "The two differ", "chpasswd <<< ada:longenough"},
		{"no such name", "Ada Lovelace", nil, "cannot be a user's name", ""},
		{"root", "root", nil, "cannot be a user's name", ""},
		{"the daemon's", "sierpi", nil, "belongs to the system", ""},
		{"line hung up", "ada", nil, "becomes the first one", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, ran := newMachine(t, nil)
			if err := m.writeReport(Report{NoUser: true}); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := FirstUser(t.Context(), m, tt.typed, &out, func(string) (string, error) {
				if len(tt.answers) == 0 {
					return "", errors.New("hung up")
				}
				a := tt.answers[0]
				tt.answers = tt.answers[1:]
				return a, nil
			})
			if (err == nil) != (tt.ran != "") || !strings.Contains(out.String(), tt.want) {
				t.Errorf("%v: %s", err, out.String())
			}
			if rep, rerr := ReadReport(m.Root); rerr != nil || rep.NoUser != (err != nil) {
				t.Errorf("%v, and the report says that there is no user: %v (%v)", err, rep.NoUser, rerr)
			}
			if tt.ran != "" && !slices.Contains(*ran, tt.ran) || tt.ran == "" && len(*ran) > 0 {
				t.Errorf("ran %q", *ran)
			}
		})
	}
	// Somebody can log in: nothing is offered.
	m, ran := newMachine(t, []txtar.File{
		{Name: "root/etc/passwd", Data: []byte("ada:x:1000:1000::/home/ada:/bin/bash\n")},
		{Name: "root/etc/shadow", Data: []byte("ada:$y$j9T$abc$def:20000::::::\n")},
	})
	var out strings.Builder
	if err := FirstUser(t.Context(), m, "eve", &out, nil); err != nil || out.Len() > 0 || len(*ran) > 0 {
		t.Errorf("%v %q %q", err, out.String(), *ran)
	}
}

// The root grows into the card, but for the room that `sierpi overlay on` needs.
func TestGrow(t *testing.T) {
	m, _ := newMachine(t, []txtar.File{
		{Name: "root/proc/self/mountinfo", Data: []byte("25 1 8:2 / / rw,noatime shared:1 - ext4 /dev/sda2 rw\n")},
		{Name: "root/sys/devices/pci/block/sda/size", Data: []byte("8388608\n")},
		{Name: "root/sys/devices/pci/block/sda/sda2/start", Data: []byte("1064960\n")},
		{Name: "root/sys/devices/pci/block/sda/sda2/size", Data: []byte("2048000\n")},
		{Name: "root/sys/devices/pci/block/sda/sda2/partition", Data: []byte("2\n")},
	})
	if err := os.MkdirAll(m.Root.Path("/sys/dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../devices/pci/block/sda/sda2", m.Root.Path("/sys/dev/block/8:2")); err != nil {
		t.Fatal(err)
	}
	var asked []string
	m.Run = func(_ context.Context, stdin, name string, args ...string) error {
		asked = append(asked, strings.Join(append([]string{name}, args...), " ")+" < "+stdin)
		return nil
	}
	plan, err := NewPlan(m)
	if err != nil || !strings.Contains(plan.String(), "grow the root partition sda2 by 2320 MiB") {
		t.Fatalf("%v\n%s", err, plan)
	}
	if _, err := plan.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "sfdisk --quiet --force --no-reread --no-tell-kernel -N 2 /dev/sda < , 3320MiB\n"; len(asked) < 3 || asked[0] != want || !strings.HasPrefix(asked[2], "resize2fs /dev/sda2") {
		t.Errorf("ran %q, expected %q first", asked, want)
	}
	// Grown: nothing is left to do.
	if err := os.WriteFile(m.Root.Path("/sys/devices/pci/block/sda/sda2/size"), []byte("6799360\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if plan, err := NewPlan(m); err != nil || strings.Contains(plan.String(), "grow") {
		t.Errorf("%v\n%s", err, plan)
	}
}

// FuzzInputs: whatever lies on the boot partition, planning ends without a panic, and
// no secret of it is in the plan.
func FuzzInputs(f *testing.F) {
	f.Add([]byte("[firstboot]\nuser='ada'\n"), []byte("[user]\nname='ada'\npassword='xxSECRETxx'\n"), []byte("ada:$6$x$yyyyyyyyy\n"), []byte("network={\nssid=\"x\"\n}\n"))
	f.Add([]byte("\xef\xbb\xbf[firstboot]\r\nwifi={ssid='a',password='xxSECRETxx'}"), []byte("x=1"), []byte(":"), []byte(""))
	f.Fuzz(func(t *testing.T, conf, preset, userconf, wpa []byte) {
		var files []txtar.File
		for name, data := range map[string][]byte{"sierpi.toml": conf, "rpi-preseed.toml": preset, "userconf.txt": userconf, "wpa_supplicant.conf": wpa} {
			if len(data) > 0 {
				files = append(files, txtar.File{Name: "boot/" + name, Data: data})
			}
		}
		m, _ := newMachine(t, files)
		plan, err := NewPlan(m)
		if err != nil {
			t.Fatal(err)
		}
		_ = plan.String()
	})
}
