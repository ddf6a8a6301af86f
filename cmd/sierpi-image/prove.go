package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	imagebuild "github.com/sierpi/sierpi/image-build"
)

func inspectCommand() *cobra.Command {
	var work string
	var personal bool
	cmd := &cobra.Command{
		Use:   "inspect IMG",
		Short: "Look into an image for what must not be in one",
		Long: `Look into an image, without mounting it, for host keys, a machine-id, passwords,
private keys, unknown setuid programs and unsigned sources, and hold config.txt and
cmdline.txt to what each board needs that the image claims. A finding is a line on
standard output; with any, the exit status is 1.`,
		Example: "  sierpi-image inspect build/image/sierpi-headless-debian-arm64-pi.img\n  sierpi-image inspect --personal mine.img",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			findings, err := imagebuild.Inspect(cmd.Context(), args[0], work, personal)
			if err != nil {
				return err
			}
			for _, f := range findings {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(findings) > 0 {
				return fmt.Errorf("%s: %d finding(s)", args[0], len(findings))
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: nothing found\n", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&work, "work", "", "scratch `DIR`; the image is unpacked there (default: the system's)")
	cmd.Flags().BoolVar(&personal, "personal", false, "the image is its owner's: passwords may lie on its boot partition")
	return cmd
}

// proofCommand boots an image; prove is the machine that it boots on.
func proofCommand(use, short, long, example string, prove func(context.Context, imagebuild.ProofOptions) error) *cobra.Command {
	var o imagebuild.ProofOptions
	var only string
	cmd := &cobra.Command{
		Use: use + " IMG", Short: short, Long: long, Example: example,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Image, o.Progress = args[0], cmd.OutOrStdout()
			if only != "" {
				var err error
				if o.Only, err = regexp.Compile(only); err != nil {
					return fmt.Errorf("--only: %w", err)
				}
			}
			if o.Out == "" {
				o.Out = filepath.Join("build", use, strings.TrimSuffix(filepath.Base(o.Image), ".img"))
			}
			return prove(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Out, "out", "", "empty this `DIR` and keep logs and pictures in it (default: build/"+use+"/IMAGE)")
	f.Float64Var(&o.Patience, "patience", 1, "wait this many `TIMES` as long for each stage, on a slow or busy machine")
	f.StringVar(&only, "only", "", "once somebody is logged in (a kiosk: once it paints), only the steps that match `REGEXP`, for trying one out")
	f.BoolVar(&o.KVM, "kvm", false, "let the PC's processor run it where /dev/kvm works; times are then of this machine")
	f.BoolVar(&o.Steady, "steady", false, "let its clock follow its instructions: on a busy machine, and for times to compare")
	return cmd
}

func vmCommand() *cobra.Command {
	return proofCommand("vm", "Boot a PC's image under QEMU and hold everything that needs a real systemd",
		`Boot a PC's image as an emulated PC and hold, over its serial line: GRUB's menu, the
kernel's messages and the login on ttyS0 at 115200 baud and, reconfigured, at 9600 on a
VT100; units, socket activation, watchdog, polkit, zram under memory pressure, a real
Prometheus and the pages from outside, the journal, clean restarts. Each stage is
bounded and says what it waits for. Nothing of the image file is changed.`,
		"  sierpi-image vm build/image/sierpi-headless-debian-amd64-pc.img\n  sierpi-image vm --only '^(full card|clock): ' IMG\n  sierpi-image vm --patience 4 --out /tmp/vm IMG", imagebuild.ProvePC)
}

func acceptanceCommand() *cobra.Command {
	return proofCommand("acceptance", "Boot a Raspberry Pi's image under QEMU's raspi3b or raspi1ap",
		`Boot a Raspberry Pi's image on the board that QEMU has for it (arm64: raspi3b, armel:
raspi1ap), with kernel, initramfs, device tree, overlays and command line from the
image's own boot partition, log in over the serial line on the board's header, and hold
what vm holds of the daemon and the machine, the Wi-Fi joined again on the kernel's
simulated radios, and the button at boot. No firmware runs under QEMU: what it reads is held by inspect. A kiosk
image boots on -M virt, for the boards' models lack the memory and the screen: there the
wall paints, is switched off and on, heals, and is photographed.`,
		"  sierpi-image acceptance build/image/sierpi-headless-debian-arm64-pi.img\n  sierpi-image acceptance --patience 4 IMG", imagebuild.ProvePi)
}
