// Command sierpi is the appliance program: the daemon (serve) and the commands
// that set up the machine around it and look at it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=...).
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit status.
//
//	0  done
//	1  it could not be done
//	2  it was asked for in a way that makes no sense, or the config is broken
//	3  this machine cannot do it
//	4  somebody else owns what would have to be changed
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "sierpi:", err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (usageError) ExitCode() int { return 2 }

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
	}, serveCommand(), quotesCommand(), lifeCommand(), powerCommand(), configCommand(), manCommand(), versionCommand())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	return root
}
