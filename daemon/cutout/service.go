package cutout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

// ServiceOptions are what the service needs.
type ServiceOptions struct {
	Look   *web.Look
	Memory int64 // bytes that pictures may take together, uploads included; 0: 128 MiB
	Log    *slog.Logger
}

// Service answers the cut-out page and POST /cutout. Nothing of a picture is kept
// beyond its answer.
type Service struct {
	look   *web.Look
	assets *web.Assets
	log    *slog.Logger

	uploads *Budget // what files take while they arrive and are read
	work    *Budget // what decoding and cutting take
	limits  *web.Limiter
	running atomic.Int64
}

// minMemory is the least with which 12 megapixels of baseline JPEG can be cut.
const minMemory = 64 << 20

// patience is how long a picture waits for the memory of others.
const patience = 25 * time.Second

// New returns the service.
func New(o ServiceOptions) (*Service, error) {
	if o.Look == nil {
		return nil, errors.New("cutout: no look")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Memory <= 0 {
		o.Memory = 128 << 20
	}
	if o.Memory < minMemory {
		o.Log.Warn("little memory is set aside for the cut-out: large pictures will be refused", "megabytes", o.Memory>>20)
	}
	s := &Service{look: o.Look, log: o.Log, limits: web.NewLimiter(time.Second, 60, 1000)}
	uploads := min(o.Memory/4, 64<<20)
	s.uploads, s.work = NewBudget(uploads), NewBudget(o.Memory-uploads)
	var err error
	if s.assets, err = newAssets(); err != nil {
		return nil, fmt.Errorf("cutout: %w", err)
	}
	return s, nil
}

// errBusy says that others' pictures took the memory for too long.
var errBusy = errors.New("other pictures take all the memory that is set aside")

// hold waits for memory, for a while.
func hold(ctx context.Context, b *Budget, bytes int64) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errBusy)
	defer cancel()
	release, err = b.Acquire(ctx, bytes)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return release, err
}

// begin counts a picture under work; the last one to end gives the memory that the
// collector would keep for a while back to the machine, which is small.
func (s *Service) begin() (end func()) {
	s.running.Add(1)
	return func() {
		if s.running.Add(-1) == 0 {
			debug.FreeOSMemory()
		}
	}
}
