package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the man pages that the packages ship; users have no need of it.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages into a folder",
		Example: "  sierpi man ./man1",
		Hidden:  true,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			date := time.Unix(0, 0) // the same pages from the same source
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: "sierpi", Manual: "sierpi", Date: &date}, args[0])
		},
	}
}
