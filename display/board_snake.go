package display

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"github.com/sierpi/sierpi/display/snake"
)

// Score is a line of the list of high scores.
type Score struct {
	Name   string // of the player, cleaned: 1 to MaxName characters
	Points int
	At     time.Time
}

// Scores keeps the high scores. When Add returns nil, the score is on the disk.
type Scores interface {
	// Add keeps a score if it is among the best, and reports its rank from 1; 0 if it is not.
	Add(context.Context, Score) (rank int, err error)
}

// MaxName is the length of a player's name in characters.
const MaxName = 16

// player is who plays a serpent, on the wall or on a board of his own.
type player struct {
	serpent *serpent
	scores  Scores
	named   int // the finished game whose score was kept
}

func (p *player) state(where string) any {
	g := p.serpent.game
	return struct {
		Where   string `json:"where"` // "board" or "wall"
		Score   int    `json:"score"`
		Length  int    `json:"length"`
		Best    int    `json:"best"`
		Playing bool   `json:"playing"` // it moves
		Over    bool   `json:"over"`
		How     string `json:"how"`  // it ended
		Kept    bool   `json:"kept"` // the score of the last game has a name
	}{where, g.Score(), g.Len(), p.serpent.best, p.serpent.playing && !p.serpent.over(), p.serpent.over(), g.State().String(), p.named == p.serpent.finished}
}

func (p *player) hear(m request) (any, later, error) {
	switch m.Type {
	case "turn":
		d, err := snake.ParseDirection(m.Direction)
		if err != nil {
			return nil, nil, err
		}
		if !p.serpent.over() {
			p.serpent.playing = true
			p.serpent.Turn(d)
		}
	case "start":
		p.serpent.playing = true
		if p.serpent.over() {
			if err := p.serpent.begin(); err != nil {
				return nil, nil, fmt.Errorf("beginning another game: %w", err)
			}
		}
	case "pause":
		p.serpent.playing = false
	case "name":
		return nil, p.keep(m.Name), nil
	default:
		return nil, nil, fmt.Errorf("type %.20q is not known", m.Type)
	}
	return nil, nil, nil
}

// keep gives the finished game's score a name, once.
func (p *player) keep(name string) later {
	name = cleanName(name)
	points, finished := p.serpent.game.Score(), p.serpent.finished
	refuse := func(what, remedy string) later {
		return func(context.Context) (then, error) { return nil, &userError{what, remedy} }
	}
	switch {
	case p.scores == nil:
		return refuse("Scores are not kept here.", "Play for the pleasure of it.")
	case !p.serpent.over() || points == 0:
		return refuse("There is no score to keep.", "Finish a game first.")
	case p.named == finished:
		return refuse("This score has a name already.", "Play again.")
	case name == "":
		return refuse("A score needs a name.", fmt.Sprintf("Write 1 to %d letters or digits.", MaxName))
	}
	// At once, so that a second request while the disk is busy finds it.
	p.named = finished
	return func(ctx context.Context) (then, error) {
		rank, err := p.scores.Add(ctx, Score{Name: name, Points: points, At: time.Now()})
		if err != nil {
			return func() (any, error) {
				p.named = 0
				return nil, &userError{"The score could not be kept.", "The machine's log says why; try again in a moment."}
			}, nil
		}
		return func() (any, error) {
			return map[string]any{"type": "kept", "name": name, "points": points, "rank": rank}, nil
		}, nil
	}
}

// cleanName leaves what can be read on a wall.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.Join(strings.Fields(name), " ")
	return strings.TrimSpace(cut(name, MaxName))
}

// snakeBoard is a visitor's own game.
type snakeBoard struct {
	*serpent
	player
}

func newSnakeBoard(width, height int, scores Scores) (*snakeBoard, error) {
	sp, err := newSerpent(Setting{Width: width, Height: height, FramesPerSecond: boardFPS, Seed: rand.Uint64()})
	if err != nil {
		return nil, err
	}
	sp.auto, sp.playing = false, false
	return &snakeBoard{sp, player{serpent: sp, scores: scores}}, nil
}

func (s *snakeBoard) size() (int, int) { return s.width(), s.height() }
func (s *snakeBoard) state() any       { return s.player.state("board") }

// moves is true while it plays, and while what is left of the dead snake lives; a
// minute of that is enough.
func (s *snakeBoard) moves() bool {
	if s.after > 0 {
		return s.after < 60*s.fps
	}
	return s.playing
}
