package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestRunTasks(t *testing.T) {
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	quiet := slog.New(slog.DiscardHandler)

	t.Run("the first error stops all", func(t *testing.T) {
		stopped := false
		err := runTasks(t.Context(), quiet, func() {},
			named{"waiter", func(ctx context.Context) error { defer func() { stopped = true }(); return wait(ctx) }},
			named{"broken", func(context.Context) error { return errors.New("no paper") }})
		if err == nil || !strings.Contains(err.Error(), "broken: no paper") {
			t.Errorf("err = %v", err)
		}
		if !stopped {
			t.Error("returned before the other task had")
		}
	})
	t.Run("a task that just ends is an error", func(t *testing.T) {
		err := runTasks(t.Context(), quiet, func() {}, named{"short", func(context.Context) error { return nil }})
		if err == nil || !strings.Contains(err.Error(), "short ended unasked") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("an asked end is none", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		if err := runTasks(ctx, quiet, cancel, named{"waiter", wait}); err != nil {
			t.Errorf("err = %v", err)
		}
	})
}
