package main

import (
	"github.com/spf13/cobra"

	imagebuild "github.com/sierpi/sierpi/image-build"
)

func wallCommand() *cobra.Command {
	var o imagebuild.ProofOptions
	cmd := &cobra.Command{
		Use:   "wall IMAGE",
		Short: "Boot a kiosk image for the PC under QEMU and hold that its wall paints",
		Long: `Boot a kiosk image for the PC under QEMU: the first user is made over the serial
line, the wall paints (by the daemon's word), Chromium is killed and heals, the
framebuffer shows the same wall without X; pictures of the screen are kept. Under
emulation this takes many minutes.`,
		Example: `  sudo sierpi-image build --variant kiosk --arch amd64 --board pc --no-compress
  sierpi-image wall build/image/sierpi-kiosk-debian-amd64-pc.img`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Image, o.Progress = args[0], cmd.ErrOrStderr()
			return imagebuild.ProveKiosk(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Out, "out", "build/wall", "write logs and pictures into this `DIR`")
	f.Float64Var(&o.Patience, "patience", 1, "wait this many `TIMES` as long everywhere")
	f.BoolVar(&o.KVM, "kvm", false, "try KVM")
	return cmd
}
