package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/store"
)

func quotesCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "quotes",
		Short:   "Import quotes, search them, export and move them",
		Example: "  sierpi quotes import /usr/share/games/fortunes\n  sierpi quotes search computer",
	}, quotesImportCommand(), quotesSearchCommand(), quotesExportCommand(), quotesMigrateCommand())
}

// withQuotes runs f over the database that the daemon uses too; both may run.
func (p *places) withQuotes(cmd *cobra.Command, f func(context.Context, *quotes.Service) error) (err error) {
	cfg, err := p.load("store")
	if err != nil {
		return err
	}
	dir, err := applianceState(p.state)
	if err != nil {
		return err
	}
	if dir != appliancePath && cfg.Store.DSN == "" && serviceKeeps(p.state) {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: these are the quotes in %s; the service on this machine has its own: sudo sierpi quotes\n", dir)
	}
	log := newLogger(cmd.ErrOrStderr(), slog.LevelWarn)
	db, err := store.Open(cmd.Context(), store.Options{Dir: dir, DSN: cfg.Store.DSN, Log: log})
	if err != nil {
		return err
	}
	defer func() {
		if closing := db.Close(); err == nil {
			err = closing
		}
	}()
	service, err := quotes.New(quotes.Options{DB: db, Log: log})
	if err != nil {
		return err
	}
	return f(cmd.Context(), service)
}

func quotesImportCommand() *cobra.Command {
	var where places
	var format, source string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "import FILE|FOLDER...",
		Short: "Import fortune files, JSON, CSV or plain text",
		Long: `Import quotes from files, from all files of a folder, or from standard input (-).

Fortune files (entries between lines of a single %, rot13 files of fortune -o
recognised), JSON, CSV and plain text are told apart by themselves. A quote that is
there already does not enter twice, so an import that was interrupted is resumed by
running it again. The daemon may run meanwhile.`,
		Example: `  sierpi quotes import /usr/share/games/fortunes
  sierpi quotes import --source "My commonplace book" quotes.json
  curl -s https://example.org/quotes.json | sierpi quotes import -`,
		Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := quotes.ParseFormat(format)
			if err != nil {
				return asUsage(err)
			}
			return where.withQuotes(cmd, func(ctx context.Context, service *quotes.Service) error {
				show := newProgress(cmd.ErrOrStderr())
				var total quotes.Report
				for _, name := range args {
					report, err := importOne(ctx, service, name, cmd.InOrStdin(), quotes.ImportOptions{Format: kind, Source: source}, show)
					total.Add(report, "")
					if err != nil {
						show.end()
						fmt.Fprintln(cmd.OutOrStdout(), total)
						return fmt.Errorf("importing %s: %w; what was imported before is kept, run it again to go on", name, err)
					}
				}
				show.end()
				if verbose {
					for _, skip := range total.Places {
						fmt.Fprintf(cmd.ErrOrStderr(), "skipped %s: %s\n", skip.Place, skip.Why)
					}
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), total)
				return err
			})
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	cmd.Flags().StringVar(&format, "format", "auto", "fortune, json, csv, plain, or auto")
	cmd.Flags().StringVar(&source, "source", "", "keep this `NAME` as where the quotes came by (default: the file's name)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "name the entries that were skipped, and why")
	return cmd
}

func importOne(ctx context.Context, service *quotes.Service, name string, stdin io.Reader, o quotes.ImportOptions, show *progress) (quotes.Report, error) {
	o.Progress = show.update
	if name == "-" {
		show.begin("standard input")
		return service.Import(ctx, bufio.NewReader(stdin), o)
	}
	return service.ImportPath(ctx, name, o, show.begin)
}

// progress says what is being read, once it has taken two seconds, and then at
// most once a second.
type progress struct {
	w       io.Writer
	name    string
	started time.Time
	said    time.Time
}

func newProgress(w io.Writer) *progress {
	now := time.Now()
	return &progress{w: w, started: now, said: now.Add(time.Second)}
}

func (p *progress) begin(name string) { p.name = name }

func (p *progress) update(done, total int64) {
	if now := time.Now(); now.Sub(p.said) > time.Second {
		p.said = now
		if total > 0 {
			fmt.Fprintf(p.w, "%s: %d%%\n", p.name, 100*done/total)
		} else {
			fmt.Fprintf(p.w, "%s: %d KiB\n", p.name, done>>10)
		}
	}
}

func (p *progress) end() {
	if took := time.Since(p.started); took > 2*time.Second {
		fmt.Fprintf(p.w, "done in %.1f s\n", took.Seconds())
	}
}

func quotesSearchCommand() *cobra.Command {
	var where places
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "search WORDS...",
		Short: "Find quotes",
		Example: `  sierpi quotes search computer virus
  sierpi quotes search --json --limit 5 '"the universe"'`,
		Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 200 {
				return asUsage(fmt.Errorf("--limit %d: from 1 to 200 is allowed", limit))
			}
			return where.withQuotes(cmd, func(ctx context.Context, service *quotes.Service) error {
				page, err := service.Search(ctx, quotes.Query{Words: strings.Join(args, " "), Limit: limit})
				if err != nil {
					return err
				}
				return showHits(cmd.OutOrStdout(), page, asJSON)
			})
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many at most")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a quote")
	return cmd
}

func showHits(w io.Writer, page quotes.Page, asJSON bool) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	for i, hit := range page.Hits {
		if asJSON {
			if err := encoder.Encode(hit.Quote); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, hit.Text)
		if by := strings.Trim(hit.Author+", "+hit.Source, ", "); by != "" {
			fmt.Fprintf(out, "        (%s)\n", by)
		}
	}
	if !asJSON {
		more := ""
		if page.More {
			more = "more than "
		}
		fmt.Fprintf(out, "\n%d of %s%d found\n", len(page.Hits), more, page.Total)
	}
	return out.Flush()
}

func quotesExportCommand() *cobra.Command {
	var where places
	var format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all visible quotes to standard output",
		Long: `Write all visible quotes to standard output, the oldest first. Fortune and plain
files cannot hold tags and dates; JSON and CSV can.`,
		Example: "  sierpi quotes export >quotes.json\n  sierpi quotes export --format fortune >quotes",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kind, err := quotes.ParseFormat(format)
			if err != nil {
				return asUsage(err)
			}
			return where.withQuotes(cmd, func(ctx context.Context, service *quotes.Service) error {
				show := newProgress(cmd.ErrOrStderr())
				show.begin("quotes")
				out := bufio.NewWriter(cmd.OutOrStdout())
				if _, err := service.Export(ctx, out, kind, show.update); err != nil {
					return err
				}
				show.end()
				return out.Flush()
			})
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	cmd.Flags().StringVar(&format, "format", "json", "json, csv, fortune or plain")
	return cmd
}

func quotesMigrateCommand() *cobra.Command {
	var where places
	cmd := &cobra.Command{
		Use:   "migrate-to DSN",
		Short: "Copy all quotes into a PostgreSQL database",
		Long: `Copy all quotes, hidden ones, tags and provenance too, into another database under
the same numbers. Interrupted, it goes on where it stopped when it is run again. Stop
the daemon first; afterwards name the database in the [store] table of the config.`,
		Example: "  sierpi quotes migrate-to postgres://sierpi@db.lan/sierpi",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return where.withQuotes(cmd, func(ctx context.Context, from *quotes.Service) (err error) {
				log := newLogger(cmd.ErrOrStderr(), slog.LevelWarn)
				db, err := store.Open(ctx, store.Options{DSN: args[0], Log: log})
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, db.Close()) }()
				to, err := quotes.New(quotes.Options{DB: db, Log: log})
				if err != nil {
					return err
				}
				show := newProgress(cmd.ErrOrStderr())
				show.begin("quotes")
				n, err := from.MigrateTo(ctx, to, show.update)
				if err != nil {
					return fmt.Errorf("after %d quotes: %w; run it again to go on", n, err)
				}
				show.end()
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d quotes copied\n", n)
				return err
			})
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	return cmd
}
