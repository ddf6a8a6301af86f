package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
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
