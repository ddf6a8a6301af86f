package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/sierpinski"
)

// playRoutes are the pages on which visitors play, over boards of their own.
func playRoutes(look *web.Look, stage *display.Stage, db *store.DB, log *slog.Logger) ([]web.Route, error) {
	scores := highScores{db, log}
	boards := display.NewBoards(display.BoardOptions{Logger: log, Scores: scores, Stage: stage})
	return page.PlayRoutes(page.PlayOptions{
		Look: look, Patterns: display.PagePatterns(), Scenes: display.PageScenes(), Colours: sierpinski.Colours(),
		MinSpeed: sierpinski.MinSpeed, MaxSpeed: sierpinski.MaxSpeed,
		Board: boards.ServeBoard, Control: boards.ServeControl,
		Scores: scores.best,
		Day:    func() bool { return stage.Status().Day },
		Settings: func(context.Context) (map[string]json.RawMessage, error) {
			out := make(map[string]json.RawMessage)
			for name, f := range stage.Figures() {
				data, err := json.Marshal(f)
				if err != nil {
					return nil, fmt.Errorf("writing the settings of the scene %q: %w", name, err)
				}
				out[name] = data
			}
			return out, nil
		},
		Apply: func(ctx context.Context, data json.RawMessage, show bool) error {
			settings, err := display.ParseSettings(data)
			if err != nil {
				return &page.InputError{Err: err}
			}
			// First on the disk: what the wall shows must still be so tomorrow.
			if err := keepFigure(ctx, db, settings); err != nil {
				log.Error("the settings of a scene cannot be kept", "scene", settings.Scene, "err", err)
				return err
			}
			return stage.SetFigure(settings, show)
		},
	})
}

// keptScores is how many high scores are kept.
const keptScores = 10

// highScores keeps the best games of snake.
type highScores struct {
	db  *store.DB
	log *slog.Logger
}

// Add implements display.Scores. A score that is not among the best costs no write.
func (h highScores) Add(ctx context.Context, s display.Score) (rank int, err error) {
	before := func(tx *store.Tx) (n int, err error) {
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM snake_score WHERE points >= ?`, s.Points).Scan(&n)
		return n, err
	}
	err = h.db.View(ctx, func(tx *store.Tx) error {
		n, err := before(tx)
		rank = n + 1
		return err
	})
	if err == nil && rank > keptScores {
		return 0, nil
	}
	if err == nil {
		err = h.db.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Lock(ctx, "snake_score"); err != nil {
				return err
			}
			n, err := before(tx)
			if err != nil {
				return err
			}
			if rank = n + 1; rank > keptScores {
				rank = 0
				return nil
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO snake_score (name, points, added) VALUES (?, ?, ?)`, s.Name, s.Points, s.At.UnixMilli()); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM snake_score WHERE id NOT IN (SELECT id FROM snake_score ORDER BY points DESC, id LIMIT ?)`, keptScores)
			return err
		})
	}
	if err != nil {
		h.log.Error("a high score cannot be kept", "err", err)
		return 0, fmt.Errorf("keeping a high score: %w", err)
	}
	return rank, nil
}

// best lists the high scores, the best first.
func (h highScores) best(ctx context.Context) ([]page.Score, error) {
	var out []page.Score
	err := h.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT name, points, added FROM snake_score ORDER BY points DESC, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s page.Score
			var added int64
			if err := rows.Scan(&s.Name, &s.Points, &added); err != nil {
				return err
			}
			s.At = time.UnixMilli(added)
			out = append(out, s)
		}
		return rows.Err()
	})
	if err != nil {
		h.log.Error("the high scores cannot be read", "err", err)
		return nil, fmt.Errorf("reading the high scores: %w", err)
	}
	return out, nil
}

// keepFigure writes what a scene is set to.
func keepFigure(ctx context.Context, db *store.DB, s sierpinski.Settings) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing the settings of the scene %q: %w", s.Scene, err)
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO scene_setting (scene, settings) VALUES (?, ?) ON CONFLICT (scene) DO UPDATE SET settings = excluded.settings`, s.Scene, string(data))
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the settings of the scene %q: %w", s.Scene, err)
	}
	return nil
}

// wallFigures reads what the owner set the scenes to. What another version wrote and this one
// does not understand is left out: a setting must not blank the wall.
func wallFigures(ctx context.Context, db *store.DB, log *slog.Logger) (map[string]sierpinski.Settings, error) {
	out := make(map[string]sierpinski.Settings)
	err := db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT scene, settings FROM scene_setting`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var scene, data string
			if err := rows.Scan(&scene, &data); err != nil {
				return err
			}
			s, err := display.ParseSettings([]byte(data))
			if err != nil {
				log.Warn("the settings of a scene are not understood; it is shown as it comes", "scene", scene, "err", err)
				continue
			}
			out[s.Scene] = s
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the settings of the scenes: %w", err)
	}
	return out, nil
}
