package firstboot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// groups that the first user joins, where they exist: what a console user of
// Debian and of Raspberry Pi OS is in, and the group that reads sierpi's config, so that
// `sierpi power` and its like need no sudo.
var groups = []string{"adm", "sudo", "dialout", "audio", "video", "plugdev", "users", "input", "render", "netdev", "gpio", "i2c", "spi", "sierpi"}

// passwdEntry is one line of /etc/passwd.
type passwdEntry struct {
	name, home, shell string
	uid, gid          int
}

func parsePasswd(doc string) []passwdEntry {
	var out []passwdEntry
	for line := range strings.Lines(doc) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 7 {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			continue
		}
		out = append(out, passwdEntry{f[0], f[5], f[6], uid, gid})
	}
	return out
}

func (m Machine) users() []passwdEntry {
	doc, err := m.Root.ReadString("/etc/passwd")
	if err != nil {
		return nil
	}
	return parsePasswd(doc)
}

func (m Machine) hasUser(name string) bool {
	for _, u := range m.users() {
		if u.name == name {
			return true
		}
	}
	return false
}

// firstUser is the first person who can log in: with a password or with a key.
func (m Machine) firstUser() string {
	shadow, _ := m.Root.ReadString("/etc/shadow") // unreadable: no passwords are known
	for _, u := range m.users() {
		if u.uid < 1000 || u.uid >= 60000 || strings.HasSuffix(u.shell, "/nologin") || strings.HasSuffix(u.shell, "/false") {
			continue
		}
		if strings.Contains("\n"+shadow, "\n"+u.name+":$") || m.authorized(u.name) {
			return u.name
		}
	}
	return ""
}

func (m Machine) authorized(user string) bool {
	for _, u := range m.users() {
		if u.name == user {
			st, err := os.Stat(m.Root.Path(u.home + "/.ssh/authorized_keys"))
			return err == nil && st.Size() > 0
		}
	}
	return false
}

func (m Machine) addUser(ctx context.Context, name string) error {
	doc, err := m.Root.ReadString("/etc/group")
	if err != nil {
		return err
	}
	var mine []string
	for _, g := range groups {
		if strings.Contains("\n"+doc, "\n"+g+":") {
			mine = append(mine, g)
		}
	}
	args := []string{"--create-home", "--shell", "/bin/bash", "--groups", strings.Join(mine, ",")}
	if !m.Root.Real() {
		args = append(args, "--prefix", m.Root.Path("/"))
	}
	return m.run(ctx, "", "useradd", append(args, name)...)
}

// authorize adds keys to the user's own, each once.
func (m Machine) authorize(user string, keys []string) error {
	for _, u := range m.users() {
		if u.name != user {
			continue
		}
		path := u.home + "/.ssh/authorized_keys"
		full := m.Root.Path(path)
		// Below a home its owner may have laid links; at first boot there are none.
		for _, p := range []string{filepath.Dir(full), full} {
			if st, err := os.Lstat(p); err == nil && st.Mode()&os.ModeSymlink != 0 {
				return fmt.Errorf("%s is a link; write the keys yourself", p)
			}
		}
		old, err := m.Root.ReadString(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		text := old
		for _, k := range keys {
			if !strings.Contains("\n"+text+"\n", "\n"+k+"\n") {
				text = strings.TrimLeft(text+"\n"+k, "\n")
			}
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return err
		}
		if err := m.writeFile(path, []byte(text+"\n"), 0o600); err != nil {
			return err
		}
		if os.Geteuid() != 0 {
			return nil // a test's tree
		}
		for _, p := range []string{filepath.Dir(full), full} {
			if err := os.Lchown(p, u.uid, u.gid); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("there is no user %s", user)
}
