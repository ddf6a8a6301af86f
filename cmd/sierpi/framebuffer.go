package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display/framebuffer"
	"github.com/sierpi/sierpi/display/kiosk"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
)

func framebufferCommand() *cobra.Command {
	var where places
	var wall wallFlags
	var device, geometry string
	var rate float64
	var onlySmall, verbose bool
	cmd := &cobra.Command{
		Use:   "framebuffer",
		Short: "Show the wall on the framebuffer, without X and without a browser",
		Long: `Paint the wall to a framebuffer: the same frames and cards as in the browser, on boards
too small for one (ARMv6, or less than 400 MiB of memory). sierpi-framebuffer.service
runs this on them. A picture needs some 10 MB of memory.

A plain file is a framebuffer too, if --geometry says of what size.`,
		Example: `  sierpi framebuffer                                          on /dev/fb0
  sierpi framebuffer --device ./screen --geometry 1920x1080x32                  into a file`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root := where.machine()
			if onlySmall {
				b, err := board.Read(root)
				if err != nil {
					return err
				}
				if kiosk.TooSmall(b) == "" {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "This board has room for a browser: the package sierpi-kiosk shows the wall on it.")
					return err
				}
			}
			base, token, err := wall.find(root)
			if err != nil {
				return err
			}
			if !(rate > 0 && rate <= 60) {
				return asUsage(fmt.Errorf("--rate %v: write the frames a second, up to 60", rate))
			}
			var as framebuffer.Format
			if geometry != "" {
				if as, err = framebuffer.ParseFormat(geometry); err != nil {
					return asUsage(fmt.Errorf("--geometry: %w", err))
				}
			}
			dev, err := framebuffer.Open(device, as)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return &system.Error{Code: system.ExitImpossible, Err: err, Remedy: "without a screen at boot there is none; connect it and start the board again"}
			case errors.Is(err, fs.ErrPermission):
				return &system.Error{Code: system.ExitFailed, Err: err, Remedy: "run it as root, or as a user of the group video"}
			case err != nil:
				return err
			}
			defer dev.Close()
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := newLogger(cmd.ErrOrStderr(), level)
			if console, err := framebuffer.TakeConsole(os.Stdin); err == nil {
				defer func() {
					if err := console.Release(); err != nil {
						log.Warn("the console stays without text", "err", err)
					}
				}()
			} else if geometry == "" {
				log.Info("the console may write over the picture, which is then painted again", "err", err)
			}
			return framebuffer.Run(cmd.Context(), framebuffer.Options{
				Device: dev, Base: base, TokenFile: token, Header: web.KioskHeader, Rate: rate, Log: log,
			})
		},
	}
	where.addRoot(cmd)
	wall.add(cmd)
	f := cmd.Flags()
	f.StringVar(&device, "device", "/dev/fb0", "paint on this framebuffer `FILE`")
	f.StringVar(&geometry, "geometry", "", "FILE is a plain one of this `SIZE`: width x height x bits a pixel, as 1920x1080x32")
	f.Float64Var(&rate, "rate", 10, "ask for this many frames a second")
	f.BoolVar(&onlySmall, "only-small", false, "end at once on a board that has room for a browser")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	return cmd
}
