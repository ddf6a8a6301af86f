package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/updates"
)

func updatesCommand() *cobra.Command {
	machine := func(p places) updates.Machine { return updates.Machine{Root: p.machine()} }
	made := func(p *updates.Plan, err error) (plan, error) {
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	do := func(ctx context.Context, p *updates.Plan, err error) (plan, error) {
		if err != nil {
			return nil, err
		}
		return p, p.Apply(ctx)
	}
	c := changer{
		planApply: func(_ context.Context, p places) (plan, error) {
			cfg, err := p.load("updates")
			if err != nil {
				return nil, err
			}
			return made(machine(p).PlanApply(cfg.Updates))
		},
		apply: func(ctx context.Context, p places) (plan, error) {
			cfg, err := p.load("updates")
			if err != nil {
				return nil, err
			}
			planned, err := machine(p).PlanApply(cfg.Updates)
			return do(ctx, planned, err)
		},
		planOff: func(_ context.Context, p places) (plan, error) { return made(machine(p).PlanOff()) },
		off: func(ctx context.Context, p places) (plan, error) {
			planned, err := machine(p).PlanOff()
			return do(ctx, planned, err)
		},
		status: func(_ context.Context, p places) (status, error) {
			cfg, err := p.load("updates")
			if err != nil {
				return nil, err
			}
			return machine(p).Status(cfg.Updates)
		},
	}
	return group(&cobra.Command{
		Use:   "updates",
		Short: "Security updates of the system, and the way back from an update of sierpi",
		Long: `Set up the system's security updates as the [updates] table of the config says, by
Debian's unattended-upgrades: a file of apt and a drop-in of its timer, nothing else.

An update of sierpi itself is an "apt install" of a newer package. When its daemon does not
start (three times, or not within six minutes), the version before is put back, with the
database as it was before the new one changed its schema; /healthz, the wall and the
journal say so. "rollback" does the same on your word.`,
		Example: "  sierpi updates status\n  sierpi updates apply --dry-run\n  sudo sierpi updates apply\n  sudo sierpi updates rollback",
	}, append(c.commands("updates", "the system's security updates"), updatesWatchCommand(), updatesRollbackCommand())...)
}

// watched is the machine whose daemon's data is put back too.
func watched(cmd *cobra.Command, where places) updates.Machine {
	root := where.machine()
	return updates.Machine{Root: root, Say: cmd.OutOrStdout(), PutBackData: func(ctx context.Context) error {
		left, err := store.PutBack(ctx, root.Path(appliancePath))
		if left > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "the database is as it was before its schema became %d\n", left)
		}
		return err
	}}
}

func updatesWatchCommand() *cobra.Command {
	var where places
	cmd := &cobra.Command{
		Use: "watch", Short: "Wait for a new version's start, and put the one before back if it fails",
		Example: "  sudo sierpi updates watch",
		Hidden:  true, // for sierpi-update.service
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watched(cmd, where).Watch(cmd.Context())
		},
	}
	where.addRoot(cmd)
	return cmd
}

func updatesRollbackCommand() *cobra.Command {
	var where places
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Put the version of sierpi before this one back",
		Long: `Put the files of the version before back, which the last update kept, and start its
daemon. Where the newer one changed the database's schema and never ran well, the
database is put back too; after it ran well that is no longer possible, and the older
version will say so: restore a backup then. dpkg goes on to name the newer version.`,
		Example: "  sierpi updates rollback --dry-run\n  sudo sierpi updates rollback",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := watched(cmd, where)
			version, err := m.PreviousVersion()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "puts sierpi %s back and starts it\n", version)
			if dryRun {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "this was a dry run: nothing was changed")
				return err
			}
			if !yes {
				if ok, err := ask(cmd, "Do it? [y/N] ", "y", "yes"); err != nil || !ok {
					return errors.Join(err, errNotAgreed)
				}
			}
			if err := m.Rollback(cmd.Context()); err != nil {
				return &system.Error{Code: system.ExitFailed, Err: err, Remedy: "run it as root, and look at journalctl -u sierpi"}
			}
			return nil
		},
	}
	where.addRoot(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print what would be put back and change nothing")
	return cmd
}
