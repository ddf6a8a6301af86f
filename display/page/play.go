package page

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

//go:embed templates
var templates embed.FS

// Pattern is a pattern of Life as the page lists it.
type Pattern struct {
	Slug          string // its name in links
	Name          string
	Kind          string // what it is known as
	Discoverer    string // "" when not known
	Year          int    // 0 when not known
	Rule          string
	Width, Height int // of its box in cells
	Population    int
	Path          string // of an SVG, a unit a cell
}

// SceneInfo is a scene as the settings page offers it.
type SceneInfo struct {
	Name, Title        string
	Level              string // what the level counts
	MinLevel, MaxLevel int
	Default            int    // level
	Colours            string // the default scheme
	Variants           []string
}

// Score is a line of the list of high scores.
type Score struct {
	Name   string    `json:"name"`
	Points int       `json:"points"`
	At     time.Time `json:"at"` // of a clock that may be wrong: not the order
}

// PlayOptions are what the visitors' own pages stand on.
type PlayOptions struct {
	Look     *web.Look
	Patterns []Pattern
	Scenes   []SceneInfo
	Colours  []string
	MinSpeed int // percent
	MaxSpeed int // percent

	// Board and Control are the WebSockets of a visitor's board and of who plays
	// on the wall: ServeBoard and ServeControl of package display.
	Board, Control http.HandlerFunc

	// Scores are the best first; Settings are what the wall's scenes are set to, by name.
	Scores   func(context.Context) ([]Score, error)
	Settings func(context.Context) (map[string]json.RawMessage, error)
	// Day reports whether the wall is ink on paper now.
	Day func() bool
	// Apply sets one of the wall's scenes, durably, and shows it if show is set. An
	// error that is an InputError is the visitor's.
	Apply func(ctx context.Context, settings json.RawMessage, show bool) error
}

// InputError is an error in what was asked for: it says what is possible.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// PlayRoutes are the pages on which visitors play: Life, Snake and the settings of
// the scenes, and what these pages ask for.
func PlayRoutes(o PlayOptions) ([]web.Route, error) {
	p := &play{PlayOptions: o}
	for name, t := range map[string]**template.Template{"life.html": &p.life, "snake.html": &p.snake, "scenes.html": &p.scenes} {
		var err error
		if *t, err = template.New(name).Funcs(web.Funcs()).Funcs(template.FuncMap{"pad": func(n int) int { return n + 4 }}).ParseFS(templates, "templates/"+name, "templates/play-nav.html"); err != nil {
			return nil, fmt.Errorf("parsing the page %s: %w", name, err)
		}
	}
	return []web.Route{
		{Method: "GET", Pattern: "/life", Role: web.Anyone, Handler: http.HandlerFunc(p.serveLife)},
		{Method: "GET", Pattern: "/snake", Role: web.Anyone, Handler: http.HandlerFunc(p.serveSnake)},
		{Method: "GET", Pattern: "/snake/scores.json", Role: web.Anyone, Handler: http.HandlerFunc(p.serveScores)},
		{Method: "GET", Pattern: "/scenes", Role: web.Anyone, Handler: http.HandlerFunc(p.serveScenes)},
		{Method: "POST", Pattern: "/scenes", Role: web.Owner, MaxBody: 4 << 10, Handler: http.HandlerFunc(p.applyScene)},
		{Method: "GET", Pattern: "/display/board", Role: web.Anyone, Streams: true, Handler: o.Board},
		{Method: "GET", Pattern: "/display/control", Role: web.Visitor, Streams: true, Handler: o.Control},
	}, nil
}

type play struct {
	PlayOptions
	life, snake, scenes *template.Template
}

// render fills a page in; Section is the navigation's entry for all three.
func (p *play) render(w http.ResponseWriter, r *http.Request, title, script string, body *template.Template, data any) {
	p.Look.Render(w, r, web.View{
		Title: title, Section: "/life", Body: body,
		Data: struct {
			Here    string
			Visitor bool // may play on the wall
			Owner   bool
			Page    any
		}{r.URL.Path, web.RoleOf(r) >= web.Visitor, web.RoleOf(r) >= web.Owner, data},
		Styles:  []string{StaticPrefix + "play.css"},
		Scripts: []string{StaticPrefix + script},
	})
}

func (p *play) serveLife(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, "Life", "life.js", p.life, p.Patterns)
}

func (p *play) serveSnake(w http.ResponseWriter, r *http.Request) {
	scores, err := p.Scores(r.Context())
	if err != nil {
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The list of high scores cannot be read.", "The machine's log says why; try again in a moment.")
		return
	}
	p.render(w, r, "Snake", "snake.js", p.snake, scores)
}

func (p *play) serveScores(w http.ResponseWriter, r *http.Request) {
	scores, err := p.Scores(r.Context())
	if err != nil {
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The list of high scores cannot be read.", "The machine's log says why; try again in a moment.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, append([]Score{}, scores...))
}

func (p *play) serveScenes(w http.ResponseWriter, r *http.Request) {
	settings, err := p.Settings(r.Context())
	if err != nil {
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The scenes' settings cannot be read.", "The machine's log says why; try again in a moment.")
		return
	}
	data, err := json.Marshal(settings)
	if err != nil {
		p.Look.Error(w, r, http.StatusInternalServerError, "The scenes' settings cannot be read.", "Apply them anew.")
		return
	}
	p.render(w, r, "Scenes", "scenes.js", p.scenes, struct {
		Scenes             []SceneInfo
		Colours            []string
		MinSpeed, MaxSpeed int
		Settings           string // JSON
		Day                bool
	}{p.Scenes, p.Colours, p.MinSpeed, p.MaxSpeed, string(data), p.Day()})
}

func (p *play) applyScene(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Settings json.RawMessage `json:"settings"`
		Show     bool            `json:"show"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		p.Look.Error(w, r, http.StatusBadRequest, "The settings cannot be read: "+err.Error()+".", `Send {"settings":{"scene":"zoom"},"show":true}.`)
		return
	}
	err := p.Apply(r.Context(), m.Settings, m.Show)
	var input *InputError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &input):
		p.Look.Error(w, r, http.StatusBadRequest, "These settings are not possible.", input.Error())
	default:
		p.Look.Error(w, r, http.StatusServiceUnavailable, "The settings could not be kept.", "The machine's log says why; try again in a moment.")
	}
}
