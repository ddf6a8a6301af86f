package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/system/overlay"
)

func overlayCommand() *cobra.Command {
	var where places
	manager := func(p places) overlay.Manager { return overlay.Manager{Root: p.machine()} }
	change := func(use, short, long string, plan, apply func(context.Context, string) (overlay.Plan, error)) *cobra.Command {
		var dryRun, asJSON bool
		var device string
		cmd := &cobra.Command{
			Use: use, Short: short, Long: long,
			Example: fmt.Sprintf("  sierpi overlay %s --dry-run\n  sudo sierpi overlay %s && sudo reboot", use, use),
			Args:    noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				do := apply
				if dryRun {
					do = plan
				}
				p, err := do(cmd.Context(), device)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(p)
				}
				if _, err := fmt.Fprint(cmd.OutOrStdout(), p); err != nil {
					return err
				}
				if dryRun && !p.Empty() {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), "this was a dry run: nothing was changed")
				}
				return err
			},
		}
		where.addRoot(cmd)
		cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print the plan and change nothing")
		cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
		if use == "on" {
			cmd.Flags().StringVar(&device, "device", "", "keep the state on this empty `PARTITION` (default: one made in the room behind the root)")
		}
		return cmd
	}
	on := change("on", "Only read the root from the next boot on",
		`Give what must last (the daemon's state, the config, the journal where it is kept) a
partition of its own, and from the next boot on lay a file system in memory over the
root: the card's root is then never written, whenever the plug is pulled. What else is
changed, as by apt or passwd, is gone after a boot: switch it off first. The package
brings the script for the initramfs, so that a new kernel keeps it.

Should it not boot: the word sierpi.overlay=off on the kernel's command line
(cmdline.txt on a Pi, the menu of GRUB on a PC) leaves it out.`,
		func(ctx context.Context, device string) (overlay.Plan, error) {
			return manager(where).PlanOn(ctx, device)
		},
		func(ctx context.Context, device string) (overlay.Plan, error) { return manager(where).On(ctx, device) })
	off := change("off", "Write to the root again from the next boot on",
		`Write to the root again from the next boot on. The state stays on its partition.`,
		func(context.Context, string) (overlay.Plan, error) { return manager(where).PlanOff() },
		func(ctx context.Context, _ string) (overlay.Plan, error) { return manager(where).Off(ctx) })
	status := changer{status: func(_ context.Context, p places) (status, error) { return manager(p).Status() }}
	return group(&cobra.Command{
		Use:   "overlay",
		Short: "Read the root only, and keep what must last on its own partition",
		Long: `Switch the read-only root on or off, or show it: memory lies over the card's root,
which is never written, and what must last is on a partition of its own.`,
		Example: "  sierpi overlay status\n  sierpi overlay on --dry-run\n  sudo sierpi overlay on && sudo reboot",
	}, on, off, status.statusCommand("overlay", "the read-only root", &where))
}
