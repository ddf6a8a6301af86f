package main

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon"
	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/system"
)

func serveCommand() *cobra.Command {
	var where places
	var listen, metricsListen string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: the wall, the pages, the metrics",
		Long: `Run the daemon until it is interrupted. Without a config it runs on its defaults
and listens on this machine only; under systemd it takes the sockets it is given.

The first start prints the owner's secret, once.`,
		Example: `  sierpi serve
  sierpi serve --listen 0.0.0.0:8080 --state /var/tmp/sierpi
  sierpi serve --config ./sierpi.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := newLogger(cmd.ErrOrStderr(), level)
			limitMemory(where.machine())
			floor := make([]byte, heapFloor)
			defer runtime.KeepAlive(floor)
			state, err := stateDir(where.state)
			if err != nil {
				return err
			}
			cfg, notice, err := serveConfig(where, state, log)
			if err != nil {
				return err
			}
			if listen != "" {
				cfg.Web.Listen = listen
			}
			if metricsListen != "" {
				cfg.Web.MetricsListen = metricsListen
			}
			sockets, err := web.InheritedSockets()
			if err != nil {
				return err
			}
			return daemon.Run(cmd.Context(), daemon.Options{
				Config: cfg, Notice: notice, ConfigFiles: config.Files(where.root, where.config), State: state, Runtime: runtimeDir(state), Kiosk: os.Getenv("SIERPI_KIOSK_DIRECTORY"), Root: where.machine(),
				Sockets: sockets, Version: version, Log: log, Out: cmd.OutOrStdout(),
				Terminal: os.Getenv("INVOCATION_ID") == "",
			})
		},
	}
	where.addConfig(cmd)
	where.addState(cmd)
	where.addRoot(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "serve the pages on this `ADDR` (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&metricsListen, "metrics-listen", "", "serve /metrics on this `ADDR` (default 127.0.0.1:9101)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log every request")
	return cmd
}

// heapFloor, in bytes, counts as heap, and is never touched, so it takes no memory. The
// collector runs when the heap has doubled; a daemon at rest has 2 MB of it, and a busy one
// would be collected every thousand requests or so, which is a tenth of what they cost. With
// the floor about 8 MB more may gather in between.
const heapFloor = 8 << 20

// limitMemory has the garbage collector work harder before the kernel must: at nine tenths
// of what the unit's MemoryHigh, or the machine, leaves the daemon. $GOMEMLIMIT, if it is
// set, says it better.
func limitMemory(root system.Root) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if bytes, _, err := system.MemoryLimit(root); err == nil {
		debug.SetMemoryLimit(int64(min(bytes/10*9, math.MaxInt64)))
	}
}

// serveConfig reads the config. On a terminal a mistake is an error. On the
// appliance nobody sits there to read it, so the last good config runs and the
// notice goes where the owner looks: the wall and the journal.
func serveConfig(where places, state string, log *slog.Logger) (cfg config.Config, notice string, err error) {
	cfg, mistakes := config.Load(config.Files(where.root, where.config)...)
	if os.Getenv("INVOCATION_ID") == "" || where.config != "" {
		if err := mistakes.Err(); err != nil {
			return cfg, "", asUsage(err)
		}
		return cfg, "", nil
	}
	last := config.LastGood{Path: filepath.Join(state, "config-last-good.toml")}
	if len(mistakes) == 0 {
		if err := last.Save(cfg); err != nil {
			log.Warn("the last good config cannot be kept", "err", err)
		}
		return cfg, "", nil
	}
	for _, m := range mistakes {
		log.Error("the config has a mistake", "err", m)
	}
	return last.Mend(cfg, mistakes), mistakes.Error(), nil
}
