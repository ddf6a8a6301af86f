package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/config"
)

func configCommand() *cobra.Command {
	var where places
	check := &cobra.Command{
		Use:     "check",
		Short:   "Name every mistake with file, line and column, and what is allowed",
		Example: "  sierpi config check\n  sierpi config check --config ./sierpi.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, mistakes := config.Load(config.Files(where.root, where.config)...)
			if err := mistakes.Err(); err != nil {
				return asUsage(err)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "the config is good")
			return err
		},
	}
	where.addConfig(check)
	where.addRoot(check)
	reference := &cobra.Command{
		Use:     "reference",
		Short:   "Print the reference file: every key, commented, with its default",
		Example: "  sierpi config reference >sierpi.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Reference())
			return err
		},
	}
	return group(&cobra.Command{
		Use:     "config",
		Short:   "Check the config, or print the commented reference",
		Example: "  sierpi config check\n  sierpi config reference",
	}, check, reference)
}
