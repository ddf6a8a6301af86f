package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sierpi/sierpi/daemon"
	"github.com/sierpi/sierpi/daemon/backup"
	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system"
)

func backupCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "backup",
		Short: "Put everything into one file, and bring it back",
		Long: `Put quotes, chat, scores, the universe, bans and the config into one file, and bring
it back: on this board or another, on SQLite or PostgreSQL.

The file holds the config as it stands, with the passwords in it, and the hash of the
owner's secret; it is readable by its owner alone where the file system knows owners.
Keep it like a key. Sessions, the wall's token, users and their passwords, Wi-Fi and
SSH keys of the system are not in it.`,
		Example: `  sudo sierpi backup create --to /mnt/backup
  sudo sierpi backup list --from /mnt/backup --verify
  sudo sierpi backup restore /mnt/backup/sierpi-wall-0007-20261125T214600Z.tar.gz`,
	}, backupCreateCommand(), backupListCommand(), backupRestoreCommand(), backupUndoCommand())
}

// backupDir is where backups are: what the command line says, else the config.
func (p *places) backupDir(flag, name string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	cfg, err := p.load("backup")
	if err != nil {
		return "", err
	}
	if cfg.Backup.Dir == "" {
		return "", asUsage(fmt.Errorf("which folder? name one with --%s DIR, or in the config as [backup] dir", name))
	}
	return cfg.Backup.Dir, nil
}

func backupCreateCommand() *cobra.Command {
	var where places
	var to string
	var keep int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Write a backup",
		Long: `Write a backup into a folder; the daemon may run meanwhile. The file is on the disk when
the command ends, and a power cut leaves no half one. Below /media, /mnt and /run/media
something must be mounted; elsewhere the folder is made if it is not there.

By itself nothing is removed; --keep N removes this machine's oldest ones.`,
		Example: `  sudo sierpi backup create --to /mnt/backup
  sudo sierpi backup create --to /mnt/backup --keep 7
  sierpi backup create --state ~/.local/state/sierpi --to /tmp`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep < 0 {
				return asUsage(fmt.Errorf("--keep %d: from 0 (all) is allowed", keep))
			}
			dir, err := where.backupDir(to, "to")
			if err != nil {
				return err
			}
			if !backup.Removable(dir) {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					return fmt.Errorf("making the folder for backups: %w", err)
				}
			}
			if err := backup.Place(dir); err != nil {
				return notThere(err)
			}
			e, err := where.createBackup(cmd, dir, keep)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(describe(e, ""))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", e.Path, contents(e))
			return err
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	cmd.Flags().StringVar(&to, "to", "", "write it into this `DIR` (default [backup] dir of the config)")
	_ = cmd.MarkFlagDirname("to")
	cmd.Flags().IntVar(&keep, "keep", 0, "then keep the newest `N` of this machine; 0 keeps all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// notThere makes an absent stick something that may be there later.
func notThere(err error) error {
	if errors.Is(err, backup.ErrNoPlace) {
		return &system.Error{Code: system.ExitNotNow, Err: err, Remedy: "plug the stick in and mount it, for example: sudo mount LABEL=BACKUP /mnt/backup"}
	}
	return err
}

// createBackup writes a backup of the state that the flags lead to.
func (p *places) createBackup(cmd *cobra.Command, dir string, keep int) (e backup.Entry, err error) {
	cfg, err := p.load("store")
	if err != nil {
		return e, err
	}
	state, err := applianceState(p.state)
	if err != nil {
		return e, err
	}
	if _, err := os.Stat(state); err != nil {
		return e, fmt.Errorf("reading the state folder: %w; name the daemon's with --state DIR, or run it as root", err)
	}
	if err := backup.Recover(state); err != nil {
		return e, err
	}
	log := newLogger(cmd.ErrOrStderr(), slog.LevelWarn)
	db, err := store.Open(cmd.Context(), store.Options{Dir: state, DSN: cfg.Store.DSN, Log: log})
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	host, err := os.Hostname()
	if err != nil {
		return e, fmt.Errorf("finding the machine's name: %w", err)
	}
	s := daemon.BackupSource(db, state, host, version, config.Files(p.root, p.config))
	show := newProgress(cmd.ErrOrStderr())
	show.begin("writing the backup")
	s.Progress = show.update
	if e, err = backup.Create(cmd.Context(), dir, s, keep); err != nil {
		return e, err
	}
	show.end()
	return e, nil
}

// entry is a backup as JSON.
type entry struct {
	File     string           `json:"file"`
	Bytes    int64            `json:"bytes"`
	Manifest *backup.Manifest `json:"manifest,omitempty"`
	State    string           `json:"state"` // "whole", "damaged", "readable" (not verified)
	Why      string           `json:"why,omitempty"`
}

func describe(e backup.Entry, verified string) entry {
	out := entry{File: e.Path, Bytes: e.Size, State: "readable"}
	if verified != "" {
		out.State = verified
	}
	if e.Err != nil {
		out.State, out.Why = "damaged", e.Err.Error()
		return out
	}
	out.Manifest = &e.Manifest
	return out
}

// contents says in a line what a backup holds.
func contents(e backup.Entry) string {
	m := e.Manifest
	return fmt.Sprintf("%s, %s on %s, sierpi %s, %s: %d quotes, %d messages, %d scores, %d soups",
		bytesText(e.Size), m.Made.Local().Format("2006-01-02 15:04"), m.Host, m.Program, m.Engine,
		m.Rows("quote"), m.Rows("chat_message"), m.Rows("snake_score"), m.Rows("wall_soup"))
}

func bytesText(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func backupListCommand() *cobra.Command {
	var where places
	var from string
	var asJSON, verify bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the backups in a folder",
		Long: `Show the backups in a folder, each machine's newest first. With --verify each is read to
its end and every sum in it is checked; the exit status is 1 when one is damaged.`,
		Example: `  sierpi backup list --from /mnt/backup
  sierpi backup list --from /mnt/backup --verify
  sierpi backup list --from /mnt/backup --json | jq -r .file`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := where.backupDir(from, "from")
			if err != nil {
				return err
			}
			if err := backup.Place(dir); err != nil {
				return notThere(err)
			}
			found, err := backup.List(dir)
			if err != nil {
				return err
			}
			damaged := 0
			out := cmd.OutOrStdout()
			show := newProgress(cmd.ErrOrStderr())
			for i, e := range found {
				verified := ""
				if verify && e.Err == nil {
					show.begin("verifying")
					show.update(int64(i), int64(len(found)))
					if _, err := backup.Verify(cmd.Context(), e.Path); err != nil {
						e.Err = err
					}
					verified = "whole"
				}
				if e.Err != nil {
					damaged++
				}
				if asJSON {
					err = json.NewEncoder(out).Encode(describe(e, verified))
				} else if e.Err != nil {
					_, err = fmt.Fprintf(out, "%s\n  DAMAGED: %v\n", e.Path, e.Err)
				} else {
					_, err = fmt.Fprintf(out, "%s\n  %s%s\n", e.Path, contents(e), map[string]string{"whole": "; whole"}[verified])
				}
				if err != nil {
					return err
				}
			}
			show.end()
			if len(found) == 0 && !asJSON {
				fmt.Fprintf(out, "no backups in %s\n", dir)
			}
			if damaged > 0 {
				return fmt.Errorf("%d of %d backups cannot be used; write a new one, and keep it on another stick", damaged, len(found))
			}
			return nil
		},
	}
	where.addConfig(cmd)
	cmd.Flags().StringVar(&from, "from", "", "look into this `DIR` (default [backup] dir of the config)")
	_ = cmd.MarkFlagDirname("from")
	cmd.Flags().BoolVar(&verify, "verify", false, "read each to its end and check every sum")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a backup")
	return cmd
}

func backupRestoreCommand() *cobra.Command {
	var where places
	var yes, dryRun, takeConfig bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace everything by what a backup holds",
		Long: `Replace quotes, chat, scores, the universe, bans and the owner's secret by what a backup
holds. First the whole file is read and checked, and what would be done is printed; then
the command asks, or does it at once with --yes. A backup of an older sierpi is
brought up to this one's schema. Restore only files that you trust: whoever made one
knows the owner's secret in it.

The database is the one of the config that counts afterwards: with a [store] dsn there it is
PostgreSQL, wherever the backup came from. A machine whose config says nothing takes the
backup's config; one that has a config of its own keeps it, unless --take-config is
given. The boot partition is not written.

The daemon must not run: as root on the appliance it is stopped for that time and
started again; elsewhere stop it first. A power cut leaves the old state or the new one.`,
		Example: `  sudo sierpi backup restore --dry-run /mnt/backup/sierpi-wall-0007-20261125T214600Z.tar.gz
  sudo sierpi backup restore /mnt/backup/sierpi-wall-0007-20261125T214600Z.tar.gz
  sudo sierpi backup restore --yes --take-config /mnt/backup/sierpi-wall-0007-20261125T214600Z.tar.gz`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			state, err := applianceState(where.state)
			if err != nil {
				return err
			}
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("finding the machine's name: %w", err)
			}
			show := newProgress(cmd.ErrOrStderr())
			progress := func(what string, done, total int64) {
				show.begin(what)
				show.update(done, total)
			}
			files := config.Files(where.root, where.config)
			plan, err := backup.NewPlan(ctx, args[0], backup.Target{
				State: state, Config: files[len(files)-1].Path, Files: files, TakeConfig: takeConfig, Host: host, Program: version,
				Log: newLogger(cmd.ErrOrStderr(), slog.LevelWarn), Adopt: daemon.AdoptBackup(host, progress), Progress: progress,
			})
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if _, err := fmt.Fprint(out, plan); err != nil {
				return err
			}
			if dryRun {
				_, err = fmt.Fprintln(out, "this was a dry run: nothing was changed")
				return err
			}
			if !yes {
				if ok, err := ask(cmd, "Restore it? [y/N] ", "y", "yes"); err != nil || !ok {
					return errors.Join(err, errNotAgreed)
				}
			}
			if err := withoutDaemon(ctx, cmd.ErrOrStderr(), state, func() error { return plan.Restore(ctx) }); err != nil {
				return err
			}
			show.end()
			_, err = fmt.Fprintln(out, "restored")
			return err
		},
	}
	where.addConfig(cmd)
	where.addServiceState(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "check the file, print what would be done and change nothing")
	cmd.Flags().BoolVar(&takeConfig, "take-config", false, "take the backup's config though this machine has one")
	return cmd
}

func backupUndoCommand() *cobra.Command {
	var where places
	cmd := &cobra.Command{
		Use:   "undo",
		Short: "Bring back what the last restore replaced",
		Long: `Bring back what the last restore replaced. It is kept until the daemon has started with
what was restored; when that start fails, this is the way back.`,
		Example: "  sudo sierpi backup undo",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := applianceState(where.state)
			if err != nil {
				return err
			}
			if err := backup.CanUndo(state); err != nil {
				return err // with the daemon still running
			}
			if err := withoutDaemon(cmd.Context(), cmd.ErrOrStderr(), state, func() error { return backup.Undo(state) }); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the state before the restore is back")
			return err
		},
	}
	where.addServiceState(cmd)
	return cmd
}

// errNotAgreed ends a command that asked and was told no.
var errNotAgreed = &system.Error{Code: system.ExitNotNow, Err: errors.New("nothing was changed"), Remedy: "answer yes, or give the option that says so on the command line"}

// ask reads one line and reports whether it is one of the answers. Without anybody to answer
// it is no.
func ask(cmd *cobra.Command, question string, answers ...string) (bool, error) {
	fmt.Fprint(cmd.OutOrStdout(), question)
	line, err := bufio.NewReader(io.LimitReader(oneByte{cmd.InOrStdin()}, 1000)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if errors.Is(err, io.EOF) {
		fmt.Fprintln(cmd.OutOrStdout())
	}
	line = strings.TrimSpace(line)
	for _, a := range answers {
		if strings.EqualFold(line, a) {
			return true, nil
		}
	}
	return false, nil
}

// oneByte leaves what follows the line for the next question.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// withoutDaemon runs do while the service does not run on this state folder: it is stopped
// where this is the appliance's and systemd runs it, and started again.
func withoutDaemon(ctx context.Context, say io.Writer, state string, do func() error) error {
	const unit = "sierpi.service"
	if state != appliancePath || os.Geteuid() != 0 {
		return do()
	}
	// One that fails and is started again and again is "activating".
	is, _ := exec.CommandContext(ctx, "systemctl", "is-active", unit).Output() // fails for every other state, and without systemd
	if s := strings.TrimSpace(string(is)); s != "active" && s != "activating" && s != "reloading" {
		return do()
	}
	fmt.Fprintln(say, "stopping the daemon")
	if out, err := exec.CommandContext(ctx, "systemctl", "stop", unit).CombinedOutput(); err != nil {
		return fmt.Errorf("stopping the daemon: %w: %s", err, strings.TrimSpace(string(out)))
	}
	err := do()
	fmt.Fprintln(say, "starting the daemon")
	// Though the command was interrupted: the wall comes back.
	if out, serr := exec.CommandContext(context.WithoutCancel(ctx), "systemctl", "start", unit).CombinedOutput(); serr != nil {
		err = errors.Join(err, fmt.Errorf("starting the daemon: %w: %s; journalctl -u sierpi says why, `sierpi backup undo` brings back what was there", serr, strings.TrimSpace(string(out))))
	}
	return err
}
