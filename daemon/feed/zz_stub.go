package feed

import (
	"context"
	"github.com/sierpi/sierpi/daemon/web"
	"log/slog"
	"time"
)

type Source struct{ Name, URL string }
type Options struct {
	Sources      []Source
	Interval     time.Duration
	AllowPrivate []string
	StateDir     string
	Look         *web.Look
	Logger       *slog.Logger
}
type Headline struct{ Title, Source string }
type Service struct{}

func New(Options) (*Service, error)            { return &Service{}, nil }
func (*Service) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (*Service) Routes() []web.Route           { return nil }
func (*Service) Headlines(int) []Headline      { return nil }
func (*Service) Health() (string, string)      { return "absent", "" }
