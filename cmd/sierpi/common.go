package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
)

// places are the flags that say where a command finds things.
type places struct {
	config string
	state  string
	root   string
}

func (p *places) addConfig(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.config, "config", "", "read this config `FILE` alone (default /boot/firmware/sierpi.toml, then /etc/sierpi/sierpi.toml)")
}

func (p *places) addState(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.state, "state", "", "keep state in this `DIR` (default $STATE_DIRECTORY, else ~/.local/state/sierpi)")
	_ = cmd.MarkFlagDirname("state")
}

// addServiceState is addState for commands about what the service of the appliance keeps.
func (p *places) addServiceState(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.state, "state", "", "keep state in this `DIR` (default $STATE_DIRECTORY, else for root the service's, "+appliancePath+", else ~/.local/state/sierpi)")
	_ = cmd.MarkFlagDirname("state")
}

func (p *places) addRoot(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.root, "root", "/", "read /sys, /proc and /boot below this `DIR`")
	_ = cmd.MarkFlagDirname("root")
}

// machine is the root, absolute: paths of the machine are joined to it.
func (p *places) machine() system.Root {
	root, err := filepath.Abs(p.root)
	if err != nil {
		root = p.root // the working folder is gone: what is relative will say so
	}
	return system.Root(root)
}

// load reads the config and minds only the mistakes in these tables.
func (p *places) load(tables ...string) (config.Config, error) {
	cfg, mistakes := config.Load(config.Files(p.root, p.config)...)
	if err := mistakes.For(tables...); err != nil {
		return cfg, &system.Error{Code: system.ExitConfig, Err: err}
	}
	return cfg, nil
}

// noArgs and its kin refuse a command line as usage errors.
func noArgs(cmd *cobra.Command, args []string) error { return asUsage(cobra.NoArgs(cmd, args)) }

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return asUsage(cobra.ExactArgs(n)(cmd, args)) }
}

func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return asUsage(cobra.MinimumNArgs(n)(cmd, args)) }
}

// asUsage makes a command line that makes no sense the error that it is.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return &system.Error{Code: system.ExitConfig, Err: err}
}

// group is a command that only holds others: alone it prints its help.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}
