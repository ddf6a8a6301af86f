package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/sierpi/sierpi/system/firstboot"
)

func firstbootCommand() *cobra.Command {
	var where places
	var dryRun bool
	apply := &cobra.Command{
		Use:   "apply",
		Short: "Take over the settings that lie on the boot partition",
		Long: `Take over host name, user, keys, Wi-Fi, locale and time zone from sierpi.toml,
rpi-preseed.toml or the classic files on the boot partition, grow the root file
system and make SSH host keys. Each key is reported; secrets leave the partition.`,
		Example: "  sierpi firstboot apply --dry-run\n  sudo sierpi firstboot apply",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := firstboot.NewPlan(firstboot.Machine{Root: where.machine()})
			if err != nil {
				return err
			}
			if dryRun {
				_, err = fmt.Fprint(cmd.OutOrStdout(), plan)
				return err
			}
			rep, err := plan.Apply(cmd.Context())
			fmt.Fprint(cmd.OutOrStdout(), rep.Text())
			return err
		},
	}
	where.addRoot(apply)
	apply.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print the plan and change nothing")

	status := &cobra.Command{
		Use:     "status",
		Short:   "Show what became of the settings on the boot partition",
		Example: "  sierpi firstboot status",
		Args:    noArgs,
	}
	var asJSON bool
	status.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	where.addRoot(status)
	status.RunE = func(cmd *cobra.Command, _ []string) error {
		rep, err := firstboot.ReadReport(where.machine())
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(rep)
		}
		text := rep.Text()
		if text == "" {
			text = "nothing was taken over: this machine was not started from one of sierpi's images\n"
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}

	login := &cobra.Command{
		Use:     "login NAME",
		Short:   "Offer to make the first user, on the serial line",
		Example: "  sierpi firstboot login ada",
		Hidden:  true, // for agetty, by /usr/lib/sierpi/login
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Before the first prompt, and until the end: on a slow line what is typed at once
			// would else be seen before the terminal is told.
			restore, err := echoOff(int(os.Stdin.Fd()))
			if err != nil {
				return err
			}
			defer restore()
			read := func(prompt string) (string, error) {
				fmt.Fprint(cmd.OutOrStdout(), prompt)
				line, err := term.ReadPassword(int(os.Stdin.Fd()))
				fmt.Fprintln(cmd.OutOrStdout())
				return string(line), err
			}
			return firstboot.FirstUser(cmd.Context(), firstboot.Machine{}, args[0], cmd.OutOrStdout(), read)
		},
	}
	return group(&cobra.Command{
		Use:     "firstboot",
		Short:   "Take over what its owner left on the boot partition",
		Long:    "Make a freshly flashed card its owner's machine.",
		Example: "  sierpi firstboot status\n  sudo sierpi firstboot apply --dry-run",
	}, apply, status, login)
}

// echoOff stops a terminal from showing what is typed, until restore. What is no terminal
// stays as it is.
func echoOff(fd int) (restore func(), err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if errors.Is(err, unix.ENOTTY) {
		return func() {}, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking the terminal how it is set: %w", err)
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("switching the terminal's echo off: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}
