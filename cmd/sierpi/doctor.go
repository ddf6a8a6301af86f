package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/system"
)

// health is how one thing is.
type health string

const (
	healthy health = "ok"
	absent  health = "absent"  // this machine has none, or it is switched off
	advice  health = "advice"  // it works; something could be better
	trouble health = "trouble" // somebody must do something
)

// finding is one line of the doctor.
type finding struct {
	What   string `json:"what"`
	State  health `json:"state"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"` // what to do; of advice and trouble always
}

// findings are all of them, in the order in which they are shown.
type findings []finding

// count is how many are in a state.
func (f findings) count(state health) int {
	n := 0
	for _, x := range f {
		if x.State == state {
			n++
		}
	}
	return n
}

func doctorCommand() *cobra.Command {
	var where places
	var asJSON bool
	var bundle bool
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has, what sierpi does with it, and what is missing",
		Long: `Say what this machine has, what sierpi does with it, what is missing and what to do
about it. As root it sees more. The exit status is 1 when there is trouble, not when
something is absent or could be better.

With --bundle it also packs what a bug report needs into a .tar.gz: this report, the
config, figures, the daemon's journal. Passwords, keys, tokens, serial numbers and
addresses are replaced; its README says what is in it. Look at it before you send it.`,
		Example: `  sierpi doctor
  sudo sierpi doctor --bundle
  sudo sierpi doctor --bundle --output /tmp/report.tar.gz
  sierpi doctor --json | jq '.[] | select(.state == "trouble")'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "" && !bundle {
				return asUsage(errors.New("--output is where --bundle packs to; give both"))
			}
			found := examine(cmd.Context(), where)
			out := cmd.OutOrStdout()
			if asJSON {
				if err := json.NewEncoder(out).Encode(found); err != nil {
					return err
				}
			} else if _, err := found.WriteTo(out); err != nil {
				return err
			}
			if bundle {
				path, err := writeBundle(cmd.Context(), where, found, output)
				if err != nil {
					return err
				}
				// stdout may be JSON.
				fmt.Fprintf(cmd.ErrOrStderr(), "packed %s; look at it before you send it\n", path)
			}
			switch n := found.count(trouble); {
			case n == 1:
				return errors.New("one thing needs attention")
			case n > 1:
				return fmt.Errorf("%d things need attention", n)
			}
			return nil
		},
	}
	where.addConfig(cmd)
	where.addRoot(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&bundle, "bundle", false, "also pack what a bug report needs, without secrets")
	cmd.Flags().StringVarP(&output, "output", "o", "", "with --bundle, pack into this `FILE` (default sierpi-doctor-DATE-TIME.tar.gz here)")
	return cmd
}

// WriteTo prints the findings for people.
func (f findings) WriteTo(w io.Writer) (int64, error) {
	ink := system.InkFor(w)
	var b strings.Builder
	wide := 0
	for _, x := range f {
		wide = max(wide, utf8.RuneCountInString(x.What))
	}
	indent := strings.Repeat(" ", wide+11)
	for _, x := range f {
		paint := map[health]func(string) string{healthy: ink.Good, absent: ink.Dim, advice: ink.Warn, trouble: ink.Bad}[x.State]
		lines := strings.Split(x.Detail, "\n")
		fmt.Fprintf(&b, "%s  %s  %s\n", paint(fmt.Sprintf("%-7s", x.State)), ink.Bold(fmt.Sprintf("%-*s", wide, x.What)), lines[0])
		for _, more := range lines[1:] {
			b.WriteString(indent + more + "\n")
		}
		if x.Remedy != "" {
			b.WriteString(indent + "-> " + x.Remedy + "\n")
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %d absent, %d could be better, %d in trouble\n", f.count(healthy), f.count(absent), f.count(advice), f.count(trouble))
	if os.Geteuid() != 0 {
		b.WriteString("as root it sees more: sudo sierpi doctor\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
