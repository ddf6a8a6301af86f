package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/system/overlay"
)

func overlayCommand() *cobra.Command {
	var where places
	manager := func(p places) overlay.Manager { return overlay.Manager{Root: p.machine()} }
	var device string
	change := func(use, short, long string, dry, do func(context.Context, places) (plan, error)) *cobra.Command {
		return changing(&cobra.Command{
			Use: use, Short: short, Long: long,
			Example: fmt.Sprintf("  sierpi overlay %s --dry-run\n  sudo sierpi overlay %s && sudo reboot", use, use),
		}, &where, dry, do)
	}
	on := change("on", "Only read the root from the next boot on",
		`Give what must last (the daemon's state, the config, the journal where it is kept) a
partition of its own, and from the next boot on lay a file system in memory over the
root: the card's root is then never written, whenever the plug is pulled. What else is
changed, as by apt or passwd, is gone after a boot: switch it off first. The package
brings the script for the initramfs, so that a new kernel keeps it.

Should it not boot: the word sierpi.overlay=off on the kernel's command line
(cmdline.txt on a Pi, the menu of GRUB on a PC) leaves it out.`,
		func(ctx context.Context, p places) (plan, error) { return manager(p).PlanOn(ctx, device) },
		func(ctx context.Context, p places) (plan, error) { return manager(p).On(ctx, device) })
	on.Flags().StringVar(&device, "device", "", "keep the state on this empty `PARTITION` (default: one made in the room behind the root)")
	off := change("off", "Write to the root again from the next boot on",
		`Write to the root again from the next boot on. The state stays on its partition.`,
		func(_ context.Context, p places) (plan, error) { return manager(p).PlanOff() },
		func(ctx context.Context, p places) (plan, error) { return manager(p).Off(ctx) })
	status := changer{status: func(_ context.Context, p places) (status, error) { return manager(p).Status() }}
	return group(&cobra.Command{
		Use:   "overlay",
		Short: "Read the root only, and keep what must last on its own partition",
		Long: `Switch the read-only root on or off, or show it: memory lies over the card's root,
which is never written, and what must last is on a partition of its own.`,
		Example: "  sierpi overlay status\n  sierpi overlay on --dry-run\n  sudo sierpi overlay on && sudo reboot",
	}, on, off, status.statusCommand("overlay", "the read-only root", &where))
}
