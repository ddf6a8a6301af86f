package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Task is one part of the daemon that runs until its context ends.
type Task interface {
	// Run returns nil when ctx ends, or the reason it could not go on.
	Run(ctx context.Context) error
	// String names the task in errors and in the log.
	String() string
}

// named gives a part's Run method the name that Task asks for.
type named struct {
	name string
	run  func(context.Context) error
}

func (n named) Run(ctx context.Context) error { return n.run(ctx) }
func (n named) String() string                { return n.name }

// runTasks runs every task, stops all at the first that fails or when ctx ends,
// and returns only when all have returned. Tasks are set up by their
// constructors (listeners bound, database open), so ready is called as soon as
// all are running.
func runTasks(ctx context.Context, log *slog.Logger, ready func(), tasks ...Task) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for _, t := range tasks {
		running.Go(func() {
			err := t.Run(ctx)
			switch {
			case err == nil && ctx.Err() == nil:
				stop(fmt.Errorf("%s ended unasked", t))
			case err != nil && !errors.Is(err, context.Canceled):
				log.Error("task failed", "task", t.String(), "err", err)
				stop(fmt.Errorf("%s: %w", t, err))
			}
		})
	}
	ready()
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
