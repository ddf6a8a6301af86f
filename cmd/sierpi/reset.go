package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/gpio"
	"github.com/sierpi/sierpi/system/reset"
)

func resetCommand() *cobra.Command {
	var where places
	var dryRun, asJSON, atBoot bool
	var erase string
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Factory reset: remove everything that sierpi has gathered",
		Long: `Remove quotes, chat, scores, the universe, bans, the owner's secret and the config, so that
the next start begins as a fresh one and the settings of the first boot are asked for
again. The system's own users, passwords, keys and network stay. What goes and what stays is
printed first; then it is asked twice: for the machine's name, and for a yes.

A script says it on purpose by giving the name: --erase NAME.

At the machine: hold the button ([gpio] button) while it starts, for ten seconds, until the
LED stays lit; let go, and press it once more within ten seconds. A start at which nobody
does that resets nothing.`,
		Example: `  sudo sierpi reset --dry-run
  sudo sierpi reset
  sudo sierpi reset --erase "$(hostname)"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if atBoot {
				return resetAtBoot(cmd, where)
			}
			state, err := applianceState(where.state)
			if err != nil {
				return err
			}
			o := where.resetOptions()
			if state != appliancePath {
				o.State = state // a folder of somebody's own: the machine is none of its business
			}
			plan, err := reset.NewPlan(o)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(plan)
			}
			out := cmd.OutOrStdout()
			if _, err := fmt.Fprint(out, plan); err != nil {
				return err
			}
			if plan.Empty() {
				return nil
			}
			if dryRun {
				_, err = fmt.Fprintln(out, "this was a dry run: nothing was changed")
				return err
			}
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("finding the machine's name: %w", err)
			}
			switch {
			case erase == "":
				for _, q := range []struct{ text, answer string }{
					{fmt.Sprintf("This cannot be undone. Type the machine's name, %s, to go on: ", host), host},
					{"Really remove all of it? [yes/NO] ", "yes"},
				} {
					if ok, err := ask(cmd, q.text, q.answer); err != nil || !ok {
						return errors.Join(err, errNotAgreed)
					}
				}
			case erase != host:
				return asUsage(fmt.Errorf("--erase %s: this machine is called %s", erase, host))
			}
			err = withoutDaemon(cmd.Context(), cmd.ErrOrStderr(), state, func() error {
				hold, err := store.Alone(state)
				if errors.Is(err, store.ErrHeld) {
					return &system.Error{Code: system.ExitNotNow, Err: err, Remedy: "stop the daemon first (Ctrl-C where `sierpi serve` runs)"}
				}
				if err != nil {
					return err
				}
				return errors.Join(plan.Apply(), hold.Release())
			})
			if err != nil {
				return err
			}
			if o.State == "" {
				fmt.Fprintln(out, "reset; restart the machine to be asked the settings of the first boot again (sudo systemctl reboot)")
			} else {
				fmt.Fprintln(out, "reset")
			}
			return nil
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	where.addRoot(cmd)
	cmd.Flags().StringVar(&erase, "erase", "", "do not ask: remove all of the machine called `NAME`")
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "print what would go and what would stay, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON and change nothing")
	cmd.Flags().BoolVar(&atBoot, "at-boot", false, "look at the button, and finish a reset that was interrupted")
	_ = cmd.Flags().MarkHidden("at-boot") // for sierpi-reset.service
	return cmd
}

// resetOptions are those of the machine. A config with mistakes is no reason not to reset it.
func (p *places) resetOptions() reset.Options {
	cfg, _ := config.Load(config.Files(p.root, p.config)...)
	o := reset.Options{Root: p.machine(), Backups: cfg.Backup.Dir}
	if cfg.Store.DSN != "" {
		o.Database = "PostgreSQL"
		if name, err := store.Describe(cfg.Store.DSN); err == nil {
			o.Database = name
		}
	}
	return o
}

// resetAtBoot runs before everything that reads what it removes.
func resetAtBoot(cmd *cobra.Command, where places) error {
	root := where.machine()
	if !reset.Pending(root) {
		yes, err := askedByButton(cmd, where, root)
		if err != nil || !yes {
			return err
		}
	}
	plan, err := reset.NewPlan(where.resetOptions())
	if err != nil {
		return err
	}
	if err := plan.Apply(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "sierpi was reset: this start begins as a fresh one")
	return err
}

// askedByButton asks at the button, where the config names one.
func askedByButton(cmd *cobra.Command, where places, root system.Root) (bool, error) {
	cfg, _ := config.Load(config.Files(where.root, where.config)...)
	if cfg.GPIO.Button == 0 {
		return false, nil
	}
	pins, err := gpio.Open(root, cfg.GPIO)
	if errors.Is(err, gpio.ErrAbsent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	light := func(gpio.Light) {}
	if pins.LED != nil {
		led := gpio.NewLED(pins.LED)
		ctx, stop := context.WithCancel(cmd.Context())
		var driving sync.WaitGroup
		driving.Go(func() { _ = led.Run(ctx) }) // an LED that cannot be lit is no reason not to ask
		defer driving.Wait()
		defer stop()
		light = led.Show
	}
	return gpio.Confirm(cmd.Context(), pins.Button, light, func(s string) { fmt.Fprintln(cmd.OutOrStdout(), s) })
}
