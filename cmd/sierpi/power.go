package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/power"
)

func powerCommand() *cobra.Command {
	var where places
	var watch, asJSON bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "power",
		Short: "Print watts, volts, amperes and temperature, and where each figure comes from",
		Long: `Print the power this machine takes from the best source it has (a sensor chip, the
Pi 5's own, a UPS, else a linear model of the board), and its temperatures.
What this machine does not have is not printed.`,
		Example: `  sierpi power
  sierpi power --watch
  sierpi power --json | jq .watts`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := positive(every); err != nil {
				return err
			}
			cfg, err := where.load("power")
			if err != nil {
				return err
			}
			root := where.machine()
			b, err := board.Read(root)
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "what this machine is cannot be read in full:", err)
			}
			meter := power.New(root, cfg.Power, b)
			defer meter.Close()
			var firmware power.Firmware
			if door, err := power.OpenFirmware(root, os.Geteuid() == 0); err == nil {
				defer door.Close()
				firmware = door
			}
			// A model needs processor time over an interval.
			_, _ = meter.Read(cmd.Context())
			if pause(cmd.Context(), 200*time.Millisecond) != nil {
				return nil
			}
			var history []float64
			for first := true; ; first = false {
				r := powerReport(cmd.Context(), root, b, meter, firmware)
				if r.Reading != nil && r.Reading.Watts != nil {
					history = append(history[max(0, len(history)-99):], *r.Reading.Watts)
					r.History = history
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(r)
				} else {
					_, err = again(cmd.OutOrStdout(), watch, first, r)
				}
				if err != nil || !watch || pause(cmd.Context(), every) != nil {
					return err
				}
			}
		},
	}
	where.addConfig(cmd)
	where.addRoot(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print again until interrupted")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "with --watch, how often")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a reading")
	return cmd
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// powerReport measures once. What is absent stays out of the report.
func powerReport(ctx context.Context, root system.Root, b board.Board, meter *power.Meter, firmware power.Firmware) power.Report {
	r := power.Report{Board: b.String(), Temperatures: power.Temperatures(root)}
	if reading, err := meter.Read(ctx); err == nil {
		r.Reading = &reading
	} else {
		r.Absent = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if firmware != nil {
		if report, err := power.ReadFirmware(ctx, firmware); err == nil {
			r.Firmware = &report
		}
	}
	return r
}
