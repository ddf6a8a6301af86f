package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

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
			show := func(ctx context.Context) error {
				return showPower(ctx, cmd.OutOrStdout(), meter, power.Temperatures(root), b, asJSON)
			}
			// A model needs processor time over an interval.
			_, _ = meter.Read(cmd.Context())
			if err := pause(cmd.Context(), 200*time.Millisecond); err != nil {
				return nil
			}
			for {
				if err := show(cmd.Context()); err != nil {
					return err
				}
				if !watch || pause(cmd.Context(), every) != nil {
					return nil
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

func showPower(ctx context.Context, w io.Writer, meter *power.Meter, temperatures []power.Temperature, b board.Board, asJSON bool) error {
	reading, err := meter.Read(ctx)
	if asJSON {
		out := struct {
			Board string `json:"board"`
			*power.Reading
			Temperatures []power.Temperature `json:"temperatures,omitempty"`
		}{Board: b.String(), Temperatures: temperatures}
		if err == nil {
			out.Reading = &reading
		}
		return json.NewEncoder(w).Encode(out)
	}
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tab, "board\t%s\n", b)
	if err != nil {
		fmt.Fprintf(tab, "power\tabsent: %v\n", err)
	} else {
		if reading.Watts != nil {
			word := ""
			if reading.Estimate {
				word = ", an estimate"
			}
			fmt.Fprintf(tab, "power\t%.2f W\t(%s%s)\n", *reading.Watts, reading.Source, word)
		}
		for _, rail := range reading.Rails {
			fmt.Fprintf(tab, "  %s\t%s\n", rail.Name, electric(rail))
		}
		if reading.Headroom != nil {
			fmt.Fprintf(tab, "supply\t%.2f W\t(%.2f W left)\n", *reading.Limit, *reading.Headroom)
		}
	}
	for _, t := range temperatures {
		fmt.Fprintf(tab, "temperature\t%.1f °C\t(%s)\n", t.Celsius, t.Sensor)
	}
	if len(temperatures) == 0 {
		fmt.Fprintf(tab, "temperature\tabsent: no sensor on this machine\n")
	}
	return tab.Flush()
}

func electric(r power.Rail) string {
	s := ""
	add := func(v *float64, unit string) {
		if v != nil {
			s += fmt.Sprintf("%.3f %s  ", *v, unit)
		}
	}
	add(r.Volts, "V")
	add(r.Amperes, "A")
	add(r.Watts, "W")
	return s
}
