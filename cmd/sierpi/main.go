// Command sierpi is the appliance program: the daemon (serve) and the commands
// that set up the machine around it and look at it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/system"
)

// version is set by the linker (-X main.version=...).
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit status, one of system's exit codes.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "sierpi:", err)
	}
	return int(system.ExitCodeOf(err))
}

// newRoot builds the tree of commands.
func newRoot() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "sierpi",
		Short: "A Raspberry Pi as an appliance with a living screen",
		Long: `sierpi turns a Raspberry Pi into an appliance with a living screen: Conway's Life
and Sierpinski's triangle on the wall, a release feed, quotes and figures for
Prometheus beside it, zram swap and a login on the serial line underneath.`,
		Example: `  sierpi serve                         start everything on this machine
  sierpi quotes import /usr/share/games/fortunes
  sierpi life run gosper-glider-gun --generations 3000
  sierpi power --watch`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}, serveCommand(), quotesCommand(), lifeCommand(), cutoutCommand(), powerCommand(), zramCommand(), serialCommand(), overlayCommand(), firstbootCommand(), backupCommand(), updatesCommand(), resetCommand(), kioskCommand(), framebufferCommand(), doctorCommand(), ownerCommand(), configCommand(), manCommand(), versionCommand())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return asUsage(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
	})
	return root
}
