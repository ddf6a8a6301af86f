package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	imagebuild "github.com/sierpi/sierpi/image-build"
)

func cutsCommand() *cobra.Command {
	var o imagebuild.CutsOptions
	var source string
	cmd := &cobra.Command{
		Use:   "cuts IMG",
		Short: "Pull the plug of a PC's image hundreds of times",
		Long: `Boot a PC's image under QEMU with every write to its disk recorded: the first boot,
chat messages and quotes, edits of the boot partition, the upgrade to a newer package.
Then make the disk as it would be had the power gone at one of many moments: all that
was flushed, and a part by chance, page by page, of what was not. Each must be clean
after what a boot checks, its database whole, with every message and quote that was
confirmed before the cut, cmdline.txt and the programs whole. Some are booted.

The recording stays in --out (about 2 GiB): "--stages replay" looks at it again, with
another --seed at other moments.`,
		Example: `  sierpi-image cuts build/image/sierpi-headless-debian-amd64-pc.img
  sierpi-image cuts --stages replay --cuts 1000 --seed 7 IMG
  sierpi-image cuts --work /dev/shm IMG                          the disks in memory: quicker, and no writes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Image, o.Progress = args[0], cmd.OutOrStdout()
			if o.Out == "" {
				o.Out = filepath.Join("build", "cuts", strings.TrimSuffix(filepath.Base(o.Image), ".img"))
			}
			if o.Source, err = imagebuild.OpenSource(cmd.Context(), source, ""); err != nil {
				return err
			}
			return imagebuild.ProveCuts(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Out, "out", "", "keep recording, logs and table in this `DIR`; a new recording empties it (default: build/cuts/IMAGE)")
	f.StringVar(&o.Work, "work", "", "make the disks in this `DIR`, one at a time; needs about 3 GiB (default: --out)")
	f.StringVar(&source, "source", ".", "build the newer package from the checkout in this `DIR`")
	f.IntVar(&o.Cuts, "cuts", 240, "cut this many `TIMES`")
	f.IntVar(&o.Boots, "boots", 3, "boot this `MANY` of the disks")
	f.Uint64Var(&o.Seed, "seed", 1, "choose moments and writes by this `NUMBER`")
	f.StringSliceVar(&o.Stages, "stages", []string{"record", "replay", "boot"}, "run these `STAGES` only")
	f.BoolVar(&o.Steady, "steady", false, "let its clock follow its instructions, on a busy machine")
	f.Float64Var(&o.Patience, "patience", 1, "wait this many `TIMES` as long for each stage, on a slow or busy machine")
	return cmd
}
