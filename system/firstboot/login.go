package firstboot

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sierpi/sierpi/daemon/config"
)

// FirstUser lets whoever sits at the serial line make the first user, by the name
// that was typed at the login prompt. When somebody can log in already it does
// nothing. readPassword reads a line without echo.
//
// The caller goes on to login(1) whatever happens here.
func FirstUser(ctx context.Context, m Machine, name string, out io.Writer, readPassword func(prompt string) (string, error)) error {
	if m.firstUser() != "" {
		return nil
	}
	var wrong error
	config.FirstBoot{User: name}.Check(func(_, found, allowed string) { wrong = fmt.Errorf("%s; %s", found, allowed) })
	if name == "" || wrong != nil {
		fmt.Fprintf(out, "This cannot be a user's name: %v\n", wrong)
		return wrong
	}
	for _, u := range m.users() {
		if u.name == name && u.uid < 1000 {
			fmt.Fprintf(out, "%s belongs to the system. Take another name.\n", name)
			return fmt.Errorf("%s is a system user", name)
		}
	}
	fmt.Fprintf(out, "There is no user on this machine yet: %s becomes the first one, who may use sudo.\n", name)
	for range 3 {
		first, err := readPassword("New password: ")
		if err != nil {
			return err
		}
		if len(first) < 8 {
			fmt.Fprintln(out, "At least 8 characters.")
			continue
		}
		again, err := readPassword("Again: ")
		if err != nil {
			return err
		}
		if first != again {
			fmt.Fprintln(out, "The two differ.")
			continue
		}
		if !m.hasUser(name) {
			if err := m.addUser(ctx, name); err != nil {
				fmt.Fprintln(out, err)
				return err
			}
		}
		if err := m.run(ctx, name+":"+first+"\n", "chpasswd"); err != nil {
			fmt.Fprintln(out, err)
			return err
		}
		// The line above the prompt goes, and what the daemon and the doctor say of it.
		if rep, err := ReadReport(m.Root); err == nil {
			rep.NoUser = false
			if err := m.writeReport(rep); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, "Done. Log in with the new password.")
		return nil
	}
	return errors.New("no password after three tries")
}
