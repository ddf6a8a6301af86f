package cutout

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
)

// Budget is the memory that pictures may take together.
type Budget struct {
	total int64
	sem   *semaphore.Weighted
}

// NewBudget gives pictures so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{bytes, semaphore.NewWeighted(bytes)} }

// Acquire waits until so much of the budget is free and returns what gives it back.
// What the whole budget cannot hold is a *Refusal at once.
func (b *Budget) Acquire(ctx context.Context, bytes int64) (release func(), err error) {
	if bytes > b.total {
		return nil, &Refusal{fmt.Sprintf("this picture needs %d MB of memory, and %d MB are set aside for pictures", (bytes+999_999)/1e6, b.total/1e6),
			"make it smaller, or save it as a JPEG that is not progressive"}
	}
	if err := b.sem.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { b.sem.Release(bytes) }, nil
}
