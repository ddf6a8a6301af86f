package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sierpi/sierpi/system/serial"
	"github.com/sierpi/sierpi/system/zram"
)

// plan is what a part of the machine would do, or did.
type plan interface {
	fmt.Stringer
	Empty() bool
}

// status is what a part of the machine is.
type status interface {
	WriteTo(w io.Writer) (int64, error)
}

// changer is a part of the machine that sierpi sets up and takes away again.
type changer struct {
	planApply  func(context.Context, places) (plan, error)
	planOff    func(context.Context, places) (plan, error)
	apply, off func(context.Context, places) (plan, error)
	status     func(context.Context, places) (status, error)
}

// changing makes of cmd one that changes the machine, prints the plan of it, and with
// --dry-run only that.
func changing(cmd *cobra.Command, where *places, dry, do func(context.Context, places) (plan, error)) *cobra.Command {
	var dryRun, asJSON bool
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if dryRun {
			do = dry
		}
		p, err := do(cmd.Context(), *where)
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
	}
	where.addRoot(cmd)
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print the plan and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	return cmd
}

// commands are apply, off and status of a changer.
func (c changer) commands(name, what string) []*cobra.Command {
	var where places
	change := func(use, short string, dry, do func(context.Context, places) (plan, error)) *cobra.Command {
		cmd := changing(&cobra.Command{
			Use: use, Short: short,
			Example: fmt.Sprintf("  sierpi %s %s --dry-run\n  sudo sierpi %s %s", name, use, name, use),
		}, &where, dry, do)
		where.addConfig(cmd)
		return cmd
	}
	return []*cobra.Command{
		change("apply", "Bring "+what+" to the config; a second run changes nothing", c.planApply, c.apply),
		change("off", "Take away what apply made, and nothing else", c.planOff, c.off),
		c.statusCommand(name, what, &where),
	}
}

func (c changer) statusCommand(name, what string, where *places) *cobra.Command {
	var asJSON, watch bool
	var every time.Duration
	cmd := &cobra.Command{
		Use: "status", Short: "Show " + what + " as it is",
		Example: fmt.Sprintf("  sierpi %s status\n  sierpi %s status --watch\n  sierpi %s status --json", name, name, name),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := positive(every); err != nil {
				return err
			}
			for first := true; ; first = false {
				s, err := c.status(cmd.Context(), *where)
				if err != nil {
					return err
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(s)
				} else {
					_, err = again(cmd.OutOrStdout(), watch, first, s)
				}
				if err != nil || !watch || pause(cmd.Context(), every) != nil {
					return err
				}
			}
		},
	}
	where.addConfig(cmd)
	where.addRoot(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object each time")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print again until interrupted")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "with --watch, how often")
	return cmd
}

// again prints what is watched: a terminal is drawn anew each time, elsewhere an
// empty line stands between.
func again(w io.Writer, watch, first bool, s io.WriterTo) (int64, error) {
	f, ok := w.(*os.File)
	switch {
	case !watch:
	case ok && term.IsTerminal(int(f.Fd())):
		// Home, and what is below goes: no flicker, and the lines above stay in the
		// terminal's memory.
		if _, err := io.WriteString(w, map[bool]string{true: "\x1b[2J\x1b[H", false: "\x1b[H\x1b[J"}[first]); err != nil {
			return 0, err
		}
	case !first:
		if _, err := io.WriteString(w, "\n"); err != nil {
			return 0, err
		}
	}
	return s.WriteTo(w)
}

// positive refuses an interval that would not wait.
func positive(every time.Duration) error {
	if every < 100*time.Millisecond {
		return asUsage(fmt.Errorf("--every %s is too short; write 100ms or more", every))
	}
	return nil
}

func zramCommand() *cobra.Command {
	manager := func(p places) zram.Manager {
		return zram.At(p.machine())
	}
	c := changer{
		planApply: func(_ context.Context, p places) (plan, error) {
			cfg, err := p.load("zram")
			if err != nil {
				return nil, err
			}
			return manager(p).PlanApply(cfg.Zram)
		},
		apply: func(ctx context.Context, p places) (plan, error) {
			cfg, err := p.load("zram")
			if err != nil {
				return nil, err
			}
			return manager(p).Apply(ctx, cfg.Zram)
		},
		planOff: func(_ context.Context, p places) (plan, error) { return manager(p).PlanOff() },
		off:     func(ctx context.Context, p places) (plan, error) { return manager(p).Off(ctx) },
		status:  func(_ context.Context, p places) (status, error) { return manager(p).Status() },
	}
	return group(&cobra.Command{
		Use:   "zram",
		Short: "Set up compressed swap in RAM, take it away, show what it saves",
		Long: `Set up swap in zram as the [zram] table of the config says, take it away, or show
what it saves. Only devices that sierpi made are touched; the others are named with
their owner.`,
		Example: "  sudo sierpi zram apply\n  sierpi zram status --watch",
	}, append(c.commands("zram", "zram swap"), tidyCommand(manager))...)
}

func tidyCommand(manager func(places) zram.Manager) *cobra.Command {
	var where places
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tidy",
		Short: "Compress again what is idle, and write back what does not compress",
		Long: `Compress a second time what nobody touched since the last call and what did not
compress, and move what still does not to the backing device. The kernel leaves the
moment to its users; a timer does this every hour where the config asks for recompress
or writeback and the kernel has them.`,
		Example: "  sudo sierpi zram tidy",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := manager(where).Tidy(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(t)
			}
			_, err = t.WriteTo(cmd.OutOrStdout())
			return err
		},
	}
	where.addRoot(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func serialCommand() *cobra.Command {
	manager := func(p places) serial.Manager {
		return serial.At(p.machine())
	}
	c := changer{
		planApply: func(_ context.Context, p places) (plan, error) {
			cfg, err := p.load("serial")
			if err != nil {
				return nil, err
			}
			return manager(p).PlanApply(cfg.Serial)
		},
		apply: func(ctx context.Context, p places) (plan, error) {
			cfg, err := p.load("serial")
			if err != nil {
				return nil, err
			}
			return manager(p).Apply(ctx, cfg.Serial)
		},
		planOff: func(_ context.Context, p places) (plan, error) { return manager(p).PlanOff() },
		off:     func(ctx context.Context, p places) (plan, error) { return manager(p).Off(ctx) },
		status: func(ctx context.Context, p places) (status, error) {
			cfg, err := p.load("serial")
			if err != nil {
				return nil, err
			}
			return manager(p).Status(ctx, cfg.Serial.Device)
		},
	}
	return group(&cobra.Command{
		Use:   "serial",
		Short: "Set up the login on the serial line, take it away, show it",
		Long: `Set up the kernel's console and a login on the serial line as the [serial] table of
the config says: cmdline.txt and config.txt of a Raspberry Pi, GRUB on a PC, and the
getty. Every byte that is not sierpi's stays; "off" takes away exactly what "apply"
added.`,
		Example: "  sierpi serial apply --dry-run\n  sudo sierpi serial apply\n  sierpi serial status",
	}, c.commands("serial", "the login on the serial line")...)
}
