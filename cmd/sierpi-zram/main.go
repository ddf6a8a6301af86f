// Command sierpi-zram is "sierpi zram apply" and "sierpi zram off" for the unit at boot,
// which everything else waits for. The whole program takes five times as long to start and
// has nine times the size to be read from a slow card; this one has nothing that zram does
// not need, and no way to ask for anything: people call sierpi.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/zram"
)

func main() {
	root := flag.String("root", "/", "read /sys, /proc and /boot below this `DIR`")
	file := flag.String("config", "", "read this config `FILE` alone")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Usage: sierpi-zram [--root DIR] [--config FILE] apply|off\n\nFor the unit at boot. See sierpi-zram(1) for `sierpi zram`, which does the same and more.")
		flag.PrintDefaults()
	}
	flag.Parse()
	plan, err := run(system.Root(*root), *file, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "sierpi-zram:", err)
	} else {
		fmt.Print(plan)
	}
	os.Exit(int(system.ExitCodeOf(err)))
}

// run works until it is done: no signal is waited for, since a run that is killed at any
// step is made good by the next one.
func run(root system.Root, file string, args []string) (zram.Plan, error) {
	m := zram.At(root)
	switch {
	case len(args) == 1 && args[0] == "off":
		return m.Off(context.Background())
	case len(args) == 1 && args[0] == "apply":
	default:
		return zram.Plan{}, &system.Error{Code: system.ExitConfig, Err: errors.New("say apply or off, and nothing else")}
	}
	cfg, mistakes := config.Load(config.Files(string(root), file)...)
	if err := mistakes.For("zram"); err != nil {
		return zram.Plan{}, &system.Error{Code: system.ExitConfig, Err: err}
	}
	return m.Apply(context.Background(), cfg.Zram)
}
