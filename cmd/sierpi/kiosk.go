package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display/kiosk"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
)

// kioskTokens are where the daemon leaves the wall's token: for the package
// sierpi-kiosk in a folder that its user's group reads, else in the daemon's own.
var kioskTokens = []string{"/run/sierpi-kiosk", "/run/sierpi"}

// wallFlags say where the daemon is, for those who show its wall.
type wallFlags struct {
	daemon, token string
}

func (w *wallFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.daemon, "daemon", "", "show the wall of the daemon at this `URL` (default http://127.0.0.1/ beside the installed daemon, else http://127.0.0.1:8080/)")
	cmd.Flags().StringVar(&w.token, "token", "", "read the wall's token from this `FILE` (default: where the daemon on this machine leaves it)")
	_ = cmd.MarkFlagFilename("token")
}

// find is the daemon's address and the token's file.
func (w wallFlags) find(root system.Root) (*url.URL, string, error) {
	token, base := w.token, "http://127.0.0.1/"
	if token == "" {
		for _, dir := range kioskTokens {
			if path := root.Path(filepath.Join(dir, web.KioskTokenFile)); exists(path) || exists(filepath.Dir(path)) {
				token = path
				break
			}
		}
	}
	if token == "" { // `make run`, and no installed daemon
		state, err := stateDir("")
		if err != nil {
			return nil, "", err
		}
		token, base = filepath.Join(runtimeDir(state), web.KioskTokenFile), "http://127.0.0.1:8080/"
	}
	if w.daemon != "" {
		base = w.daemon
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, "", asUsage(fmt.Errorf("--daemon %q: write an address such as http://127.0.0.1:8080/", base))
	}
	return u, token, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func kioskCommand() *cobra.Command {
	var where places
	var wall wallFlags
	var profile, browser string
	var own []string
	var dryRun, force, verbose bool
	cmd := &cobra.Command{
		Use:   "kiosk",
		Short: "Show the wall in a browser and keep it painting",
		Long: `Start Chromium in this X session on the wall and watch over it. Until the daemon
answers, the browser shows a page of its own. A wall that does not paint is helped in
steps: the page is opened anew, then the browser started anew, the session, and at
last the machine (at most once an hour). The daemon decides whether it paints, by
comparing what is on the page's canvas with its own picture.

The package sierpi-kiosk starts this in its session; on a desktop it can be run by
hand. Boards too small for a browser have "sierpi framebuffer".`,
		Example: `  sierpi kiosk                                             in the session of sierpi-kiosk
  sierpi kiosk --dry-run                                   print the board and the browser's command line
  sierpi kiosk --daemon http://127.0.0.1:8080/             beside "sierpi serve" on a desktop
  sierpi kiosk --browser-flag=--force-device-scale-factor=2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root := where.machine()
			b, err := board.Read(root)
			if err != nil {
				return err
			}
			if why := kiosk.TooSmall(b); why != "" && !force {
				return &system.Error{Code: system.ExitImpossible, Err: fmt.Errorf("no browser on %s: %s", b, why),
					Remedy: "sierpi-framebuffer.service shows the wall on it; --force tries all the same"}
			}
			base, token, err := wall.find(root)
			if err != nil {
				return err
			}
			state, err := stateDir(where.state)
			if err != nil {
				return err
			}
			if profile == "" {
				profile = filepath.Join(state, "browser")
			}
			if profile, err = filepath.Abs(profile); err != nil {
				return err
			}
			flags := kiosk.Flags(root, b, profile, own)
			if dryRun {
				return printKiosk(cmd.OutOrStdout(), b, base, token, browser, flags)
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			said := io.Discard
			if verbose {
				said = cmd.ErrOrStderr()
			}
			return kiosk.Run(cmd.Context(), kiosk.Options{
				Root:    root,
				Daemon:  kiosk.Daemon{Base: base, TokenFile: token, Header: web.KioskHeader, SignIn: web.KioskSignIn},
				Browser: browser, Flags: flags, Profile: profile, State: state,
				Machine: kiosk.Login{}, Output: said, Log: newLogger(cmd.ErrOrStderr(), level),
			})
		},
	}
	where.addRoot(cmd)
	where.addState(cmd)
	wall.add(cmd)
	f := cmd.Flags()
	f.StringVar(&profile, "profile", "", "keep the browser's profile in this `DIR` (default: browser in the state folder)")
	f.StringVar(&browser, "browser", "", "run this `PROGRAM` (default: chromium)")
	f.StringArrayVar(&own, "browser-flag", nil, "give the browser this `FLAG` too; may be repeated")
	f.BoolVarP(&dryRun, "dry-run", "n", false, "print what would be run, and run nothing")
	f.BoolVar(&force, "force", false, "try on a board that is too small")
	f.BoolVarP(&verbose, "verbose", "v", false, "also log what the browser says")
	_ = cmd.MarkFlagDirname("profile")
	return cmd
}

func printKiosk(w io.Writer, b board.Board, base *url.URL, token, browser string, flags []string) error {
	if browser == "" {
		browser = "chromium"
	}
	_, err := fmt.Fprintf(w, "board    %s, %d MiB\ndaemon   %s\ntoken    %s\nbrowser  %s\n         %s\n",
		b, b.Memory>>20, base, token, browser, strings.Join(flags, "\n         "))
	return err
}
