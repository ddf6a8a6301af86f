package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sierpi/sierpi/system/firstboot"
)

func firstbootCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "firstboot",
		Short: "Take over the settings left on the boot partition",
		Long: `Take over what was left on the boot partition: sierpi.toml, rpi-preseed.toml, or the
classic ssh, userconf.txt and wpa_supplicant.conf. It runs at every boot of the image;
with nothing new it does nothing.`,
		Example: "  sierpi firstboot apply --dry-run\n  sierpi firstboot status",
	}, firstbootApplyCommand(), firstbootStatusCommand(), firstbootLoginCommand())
}

func firstbootApplyCommand() *cobra.Command {
	var where places
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "apply",
		Short:   "Take the settings over, and their secrets off the boot partition",
		Example: "  sierpi firstboot apply --dry-run\n  sudo sierpi firstboot apply",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := firstboot.NewPlan(firstboot.Machine{Root: where.machine()})
			if err != nil {
				return err
			}
			if dryRun || plan.Empty() {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), plan)
				return err
			}
			report, err := plan.Apply(cmd.Context())
			if _, printing := io.WriteString(cmd.OutOrStdout(), report.Text()); err == nil {
				err = printing
			}
			return err
		},
	}
	where.addRoot(cmd)
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print the plan and change nothing")
	return cmd
}

func firstbootStatusCommand() *cobra.Command {
	var where places
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Print what the last boot made of each setting",
		Example: "  sierpi firstboot status",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := firstboot.ReadReport(where.machine())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			text := report.Text()
			if text == "" {
				text = "nothing was taken over on this machine\n"
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	where.addRoot(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// firstbootLoginCommand is started by the getty on the serial line, not by people.
func firstbootLoginCommand() *cobra.Command {
	var where places
	cmd := &cobra.Command{
		Use:     "login [-- NAME]",
		Short:   "On the serial line: offer to make the first user while there is none",
		Example: "  sierpi firstboot login -- ada",
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[len(args)-1]
			}
			stdin := bufio.NewReader(cmd.InOrStdin())
			read := func(prompt string) (string, error) {
				fmt.Fprint(cmd.OutOrStdout(), prompt)
				if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
					line, err := term.ReadPassword(int(f.Fd()))
					fmt.Fprintln(cmd.OutOrStdout())
					return string(line), err
				}
				line, err := stdin.ReadString('\n')
				return strings.TrimRight(line, "\r\n"), err
			}
			return firstboot.FirstUser(context.WithoutCancel(cmd.Context()), firstboot.Machine{Root: where.machine()}, name, cmd.OutOrStdout(), read)
		},
	}
	where.addRoot(cmd)
	return cmd
}
