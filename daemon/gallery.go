package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"log/slog"
	"strconv"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
)

// universes keeps this machine's universe in the database: a row, and a row for each edit
// since.
type universes struct {
	db   *store.DB
	wall string
}

// Keep implements display.Memory.
func (u universes) Keep(ctx context.Context, un *display.Universe) error {
	about, err := json.Marshal(un)
	if err != nil {
		return fmt.Errorf("writing the universe: %w", err)
	}
	cells, err := display.PackCells(un.Cells)
	if err != nil {
		return fmt.Errorf("writing the universe: %w", err)
	}
	err = u.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO wall_universe (wall, about, cells) VALUES (?, ?, ?)
			ON CONFLICT (wall) DO UPDATE SET about = excluded.about, cells = excluded.cells`, u.wall, string(about), cells); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM wall_edit WHERE wall = ?`, u.wall)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the universe: %w", err)
	}
	return nil
}

// Add implements display.Memory.
func (u universes) Add(ctx context.Context, edits []display.Edit) error {
	err := u.db.Update(ctx, func(tx *store.Tx) error {
		for _, e := range edits {
			data, err := json.Marshal(e)
			if err != nil {
				return err
			}
			// A number is used again by the edits of the next universe, whose first writing failed.
			if _, err := tx.ExecContext(ctx, `INSERT INTO wall_edit (wall, number, edit) VALUES (?, ?, ?)
				ON CONFLICT (wall, number) DO UPDATE SET edit = excluded.edit`, u.wall, int64(e.Number), string(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping what was drawn: %w", err)
	}
	return nil
}

// load reads what was kept: nil where nothing was, or where it cannot be understood, which
// must not blank the wall.
func (u universes) load(ctx context.Context, log *slog.Logger) (un *display.Universe, edits []display.Edit, err error) {
	var about string
	var cells []byte
	var rows []string
	err = u.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT about, cells FROM wall_universe WHERE wall = ?`, u.wall).Scan(&about, &cells)
		if err != nil {
			return err
		}
		found, err := tx.QueryContext(ctx, `SELECT edit FROM wall_edit WHERE wall = ? ORDER BY number`, u.wall)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var row string
			if err := found.Scan(&row); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return found.Err()
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the universe: %w", err)
	}
	un, edits, bad := decodeUniverse(about, cells, rows)
	if bad != nil {
		log.Warn("the universe of before the restart cannot be read; a new one begins", "err", bad)
		return nil, nil, nil
	}
	return un, edits, nil
}

// adoptUniverse makes the universe of the machine named from that of the one named to, in a
// transaction that has brought the first one's rows.
func adoptUniverse(ctx context.Context, tx *store.Tx, from, to string) error {
	if from == to {
		return nil
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM wall_universe WHERE wall = ?`, from).Scan(&n); err != nil {
		return fmt.Errorf("looking for the universe of %s: %w", from, err)
	}
	if n == 0 {
		return nil
	}
	for _, table := range []string{"wall_universe", "wall_edit"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE wall = ?`, to); err != nil {
			return fmt.Errorf("making room for the universe of %s: %w", from, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE `+table+` SET wall = ? WHERE wall = ?`, to, from); err != nil {
			return fmt.Errorf("taking over the universe of %s: %w", from, err)
		}
	}
	return nil
}

func decodeUniverse(about string, cells []byte, rows []string) (*display.Universe, []display.Edit, error) {
	un := new(display.Universe)
	if err := json.Unmarshal([]byte(about), un); err != nil {
		return nil, nil, err
	}
	if un.Width < 1 || un.Height < 1 || un.Width > 1<<13 || un.Height > 1<<13 {
		return nil, nil, fmt.Errorf("a universe of %dx%d cells", un.Width, un.Height)
	}
	var err error
	if un.Cells, err = display.UnpackCells(cells, (un.Width+63)/64*un.Height); err != nil {
		return nil, nil, err
	}
	edits := make([]display.Edit, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row), &edits[i]); err != nil {
			return nil, nil, err
		}
	}
	return un, edits, nil
}

// keptSoups is how many soups the gallery has.
const keptSoups = 24

// soupPicture is how wide a soup's picture may be.
const soupPicture = 320

// gallery keeps the soups that lived longest. A soup that is not among them costs no
// write.
type gallery struct {
	db   *store.DB
	log  *slog.Logger
	came chan display.Settled
}

func newGallery(db *store.DB, log *slog.Logger) *gallery {
	return &gallery{db: db, log: log, came: make(chan display.Settled, 4)}
}

// settled takes a soup that came to rest; it never waits.
func (g *gallery) settled(s display.Settled) {
	select {
	case g.came <- s:
	default:
		g.log.Warn("a soup is not considered for the gallery: the database is too slow")
	}
}

// String names the task.
func (g *gallery) String() string { return "gallery" }

// Run takes soups in until the context ends.
func (g *gallery) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-g.came:
			if err := g.add(ctx, s); err != nil && ctx.Err() == nil {
				g.log.Error("a soup cannot be kept", "err", err)
			}
		}
	}
}

func (g *gallery) add(ctx context.Context, s display.Settled) error {
	better := func(tx *store.Tx) (n int, err error) {
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM wall_soup WHERE generations >= ?`, int64(s.Generations)).Scan(&n)
		return n, err
	}
	rank := 0
	if err := g.db.View(ctx, func(tx *store.Tx) (err error) {
		rank, err = better(tx)
		return err
	}); err != nil {
		return fmt.Errorf("looking for the soup's place: %w", err)
	}
	if rank >= keptSoups {
		return nil
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, s.Strata(soupPicture)); err != nil {
		return fmt.Errorf("drawing the soup: %w", err)
	}
	err := g.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, "wall_soup"); err != nil {
			return err
		}
		// The same soup, shown again, has lived as long.
		if _, err := tx.ExecContext(ctx, `INSERT INTO wall_soup (seed, density, width, height, generations, population, picture, added)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seed, density, width, height) DO NOTHING`,
			strconv.FormatUint(s.Seed, 10), s.Density, s.Width, s.Height, int64(s.Generations), s.Population, picture.Bytes(), time.Now().UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM wall_soup WHERE id NOT IN (SELECT id FROM wall_soup ORDER BY generations DESC, id LIMIT ?)`, keptSoups)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the soup: %w", err)
	}
	g.log.Info("a soup came into the gallery", "seed", s.Seed, "generations", s.Generations, "rank", rank+1)
	return nil
}

// list is the gallery, the longest life first.
func (g *gallery) list(ctx context.Context) ([]page.Soup, error) {
	var out []page.Soup
	err := g.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT id, seed, density, width, height, generations, population, added FROM wall_soup ORDER BY generations DESC, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s page.Soup
			var added int64
			if err := rows.Scan(&s.ID, &s.Seed, &s.Density, &s.Width, &s.Height, &s.Generations, &s.Population, &added); err != nil {
				return err
			}
			s.Added = time.UnixMilli(added)
			out = append(out, s)
		}
		return rows.Err()
	})
	if err != nil {
		g.log.Error("the gallery cannot be read", "err", err)
		return nil, fmt.Errorf("reading the gallery: %w", err)
	}
	return out, nil
}

// picture is a soup's PNG; nil if there is no such soup.
func (g *gallery) picture(ctx context.Context, id int64) (data []byte, err error) {
	err = g.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT picture FROM wall_soup WHERE id = ?`, id).Scan(&data)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, err
}

// show begins the soup again on the wall; false if there is no such soup.
func (g *gallery) show(ctx context.Context, stage *display.Stage, id int64) (bool, error) {
	var seed string
	var density float64
	err := g.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT seed, density FROM wall_soup WHERE id = ?`, id).Scan(&seed, &density)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the soup: %w", err)
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return false, fmt.Errorf("reading the soup: %w", err)
	}
	return true, stage.Sow(n, density)
}
