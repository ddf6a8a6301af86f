package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/web"
)

func ownerCommand() *cobra.Command {
	var where places
	reset := &cobra.Command{
		Use:   "reset-secret",
		Short: "Make a new owner's secret, print it, and end all sessions",
		Long: `Make a new owner's secret and print it, once. The old one and every session end at
once, in a running daemon too.`,
		Example: "  sierpi owner reset-secret\n  sudo sierpi owner reset-secret        the appliance's",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := applianceState(where.state)
			if err != nil {
				return err
			}
			secret, err := web.ResetOwnerSecret(dir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		},
	}
	where.addServiceState(reset)
	return group(&cobra.Command{
		Use:     "owner",
		Short:   "The owner's secret",
		Example: "  sierpi owner reset-secret",
	}, reset)
}
