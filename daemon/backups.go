package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/sierpi/sierpi/daemon/backup"
	"github.com/sierpi/sierpi/daemon/chat"
	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/quotes"
	"github.com/sierpi/sierpi/daemon/store"
)

// BackupSource is what a backup of a machine is made of. The config files are those that
// root and an explicit one lead to.
func BackupSource(db *store.DB, state, host, version string, files []config.File) backup.Source {
	s := backup.Source{DB: db, State: state, Host: host, Program: version}
	if len(files) > 0 {
		s.Config = files[len(files)-1].Path
	}
	if len(files) > 1 {
		s.Boot = files[0].Path
	}
	return s
}

// AdoptBackup makes a backup's rows those of the machine named host, in the transaction
// that brings them: what is derived from them is made anew, browsers begin anew, and the
// universe gets the machine's name.
func AdoptBackup(host string, progress func(what string, done, total int64)) func(context.Context, *store.Tx, backup.Manifest) error {
	return func(ctx context.Context, tx *store.Tx, m backup.Manifest) error {
		err := quotes.Reindex(ctx, tx, func(done int64) {
			if progress != nil {
				progress("indexing quotes", done, m.Rows("quote"))
			}
		})
		return errors.Join(err, chat.Renew(ctx, tx), adoptUniverse(ctx, tx, m.Host, host))
	}
}

// scheduledBackups are the backups that the config asks for.
func scheduledBackups(o Options, db *store.DB, host string) *backup.Schedule {
	b := o.Config.Backup
	dir := b.Dir
	if dir != "" {
		dir = filepath.Clean(dir)
	}
	return &backup.Schedule{
		Dir: dir, Every: time.Duration(b.Every), Keep: b.Keep, Log: o.Log,
		Source: BackupSource(db, o.State, host, o.Version, o.ConfigFiles),
	}
}
