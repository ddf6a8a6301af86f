package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/power"
	"github.com/sierpi/sierpi/system/serial"
	"github.com/sierpi/sierpi/system/zram"
)

// finding is one line of the doctor.
type finding struct {
	What   string `json:"what"`
	State  string `json:"state"` // "ok", "absent": this machine has none, "trouble": see Remedy
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

func doctorCommand() *cobra.Command {
	var where places
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has, what sierpi does with it, and what is missing",
		Long: `Say what this machine has, what sierpi does with it, what is missing and what to do
about it. The exit status is 1 when there is trouble, not when something is absent.`,
		Example: "  sierpi doctor\n  sierpi doctor --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := examine(cmd.Context(), where)
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(findings); err != nil {
					return err
				}
			} else {
				tab := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				for _, f := range findings {
					fmt.Fprintf(tab, "%s\t%s\t%s\n", f.What, f.State, f.Detail)
					if f.Remedy != "" {
						fmt.Fprintf(tab, "\t\t-> %s\n", f.Remedy)
					}
				}
				if err := tab.Flush(); err != nil {
					return err
				}
			}
			trouble := 0
			for _, f := range findings {
				if f.State == "trouble" {
					trouble++
				}
			}
			if trouble > 0 {
				return fmt.Errorf("%d thing(s) need attention", trouble)
			}
			return nil
		},
	}
	where.addConfig(cmd)
	where.addRoot(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// examine looks at everything once; nothing is changed.
func examine(ctx context.Context, where places) []finding {
	root := where.machine()
	cfg, mistakes := config.Load(config.Files(where.root, where.config)...)
	out := []finding{{What: "config", State: "ok"}}
	if err := mistakes.Err(); err != nil {
		out[0] = finding{"config", "trouble", err.Error(), "mend the config; until then the last good one is used"}
	}

	b, err := board.Read(root)
	switch {
	case err != nil:
		out = append(out, finding{What: "board", State: "trouble", Detail: err.Error()})
	case b.Pi:
		out = append(out, finding{What: "board", State: "ok", Detail: b.String()})
	default:
		out = append(out, finding{What: "board", State: "absent", Detail: b.String()})
	}
	if m, err := system.ReadMemory(root); err == nil {
		out = append(out, finding{What: "memory", State: "ok", Detail: fmt.Sprintf("%d MiB, %d MiB of it available", m.Total>>20, m.Available>>20)})
	}
	if t, ok := power.Processor(power.Temperatures(root)); ok {
		out = append(out, finding{What: "temperature", State: "ok", Detail: fmt.Sprintf("%.1f °C (%s)", t.Celsius, t.Sensor)})
	} else {
		out = append(out, finding{What: "temperature", State: "absent", Detail: "no sensor"})
	}
	out = append(out, examinePower(ctx, root, cfg, b), examineZram(root), examineSerial(ctx, root, cfg), examineDaemon(ctx, cfg))
	return out
}

func examinePower(ctx context.Context, root system.Root, cfg config.Config, b board.Board) finding {
	meter := power.New(root, cfg.Power, b)
	_, _ = meter.Read(ctx) // the model needs two readings
	_ = pause(ctx, 200*time.Millisecond)
	r, err := meter.Read(ctx)
	if err != nil {
		return finding{What: "power", State: "absent", Detail: "no source of figures", Remedy: "an INA219 on the I2C bus measures it; see the [power] table"}
	}
	f := finding{What: "power", State: "ok", Detail: string(r.Source)}
	if r.Watts != nil {
		f.Detail = fmt.Sprintf("%.2f W (%s)", *r.Watts, r.Source)
	}
	if r.Headroom != nil && *r.Headroom < 0 {
		f.State, f.Remedy = "trouble", "the supply cannot give what the machine takes: use a stronger one"
	}
	return f
}

func examineZram(root system.Root) finding {
	s, err := zram.Manager{Root: root, RunDir: systemRun}.Status()
	if err != nil {
		return finding{What: "zram", State: "absent", Detail: err.Error()}
	}
	ours, others := 0, ""
	for _, d := range s.Devices {
		if d.Ours {
			ours++
		} else if d.Swap != nil {
			others += " " + d.Name + " (" + d.Owner + ")"
		}
	}
	switch {
	case ours > 0:
		return finding{What: "zram", State: "ok", Detail: fmt.Sprintf("%d device(s) of ours", ours)}
	case others != "":
		return finding{What: "zram", State: "ok", Detail: "swap of somebody else, left alone:" + others}
	}
	return finding{What: "zram", State: "absent", Detail: "no zram swap is on", Remedy: "sudo sierpi zram apply"}
}

func examineSerial(ctx context.Context, root system.Root, cfg config.Config) finding {
	s, err := serial.Manager{Root: root, StateDir: systemState}.Status(ctx, cfg.Serial.Device)
	switch {
	case err != nil:
		return finding{What: "serial login", State: "absent", Detail: err.Error()}
	case !s.Found:
		return finding{What: "serial login", State: "absent", Detail: s.Problem}
	case s.Getty == "active" || s.Getty == "":
		return finding{What: "serial login", State: "ok", Detail: s.Line.Device}
	case !cfg.Serial.Enabled || !cfg.Serial.Login:
		return finding{What: "serial login", State: "absent", Detail: "switched off in the config"}
	}
	return finding{What: "serial login", State: "trouble", Detail: s.Line.Device + ": the login is " + s.Getty, Remedy: "sudo sierpi serial apply"}
}

// examineDaemon asks the daemon where the config has it, and on the appliance's port.
func examineDaemon(ctx context.Context, cfg config.Config) finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var tried error
	for _, address := range []string{"localhost:80", cfg.Web.Listen} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
		if err != nil {
			tried = errors.Join(tried, err)
			continue
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			tried = errors.Join(tried, err)
			continue
		}
		defer resp.Body.Close()
		var report struct {
			Status string
			Parts  []struct{ Name, State, Why string }
		}
		if json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<20)).Decode(&report) != nil || report.Status == "" {
			continue // somebody else's server
		}
		bad := ""
		for _, p := range report.Parts {
			if p.State == "failed" || p.State == "stale" {
				bad += fmt.Sprintf(" %s is %s (%s);", p.Name, p.State, p.Why)
			}
		}
		if bad != "" {
			return finding{"daemon", "trouble", address + ":" + bad, "see /health on its pages, and journalctl -u sierpi"}
		}
		return finding{What: "daemon", State: "ok", Detail: "answers at " + address}
	}
	return finding{"daemon", "trouble", "it does not answer", "systemctl status sierpi, or start it here: sierpi serve"}
}
