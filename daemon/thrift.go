package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system/power"
)

// strain is what the board says of itself, as far as drawing is concerned.
type strain struct {
	underVoltage bool
	throttled    bool     // slowed down or capped for any other reason
	celsius      *float64 // of the processor; nil: not measured
	critical     *float64 // at which the board protects itself; nil: not known
}

// strained is the narrow view of the machine that saving power needs: *machine has it.
type strained interface {
	strain() strain
}

// strain reads what there is to read.
func (m *machine) strain() strain {
	var s strain
	if m.watcher != nil {
		for reason, count := range m.watcher.Counts() {
			switch {
			case !count.Now:
			case reason == power.SoftTempLimit:
				// A 3B+ without a heat sink is there whenever it works, and bears it.
			case reason == power.UnderVoltage:
				s.underVoltage = true
			default:
				s.throttled = true
			}
		}
	}
	if t, ok := power.Processor(power.Temperatures(m.root)); ok {
		s.celsius, s.critical = &t.Celsius, t.Critical
	}
	return s
}

// The hysteresis of saving: down at once for a supply that gives way, down a step
// after a while of heat, and up a step only after minutes of ease.
const (
	thriftEvery = 5 * time.Second // between two looks
	stepDown    = 15 * time.Second
	stepUp      = 2 * time.Minute

	warmCelsius = 78.0 // Raspberry Pis slow down at 80
	easeBelow   = 6.0  // degrees below warm at which it is at ease again
	belowLimit  = 10.0 // a board whose critical mark is lower is warm so far below it
)

// thrift decides how much the stage draws. It knows no clock: time is handed in.
type thrift struct {
	level   int
	strain  time.Duration // for how long the board has been strained
	ease    time.Duration // for how long at ease
	since   time.Duration // of the last look
	started bool
	was     bool // under voltage at the last look
}

// look takes in the state of the board at a moment of the monotonic clock, and returns the
// level: an index of display.Economies.
func (t *thrift) look(now time.Duration, s strain) int {
	passed := now - t.since
	if !t.started {
		passed, t.started = 0, true
	}
	t.since = now
	warm := warmCelsius
	if s.critical != nil {
		warm = min(warm, *s.critical-belowLimit)
	}
	hot := s.celsius != nil && *s.celsius >= warm
	cool := s.celsius == nil || *s.celsius < warm-easeBelow
	most := len(display.Economies) - 1
	switch {
	case s.underVoltage && !t.was:
		// Each fall is answered at once: the next may be a brown-out.
		t.strain, t.ease = 0, 0
		t.level = min(most, t.level+1)
	case s.underVoltage || s.throttled || hot:
		t.ease = 0
		if t.strain += passed; t.strain >= stepDown {
			t.strain = 0
			t.level = min(most, t.level+1)
		}
	case cool:
		t.strain = 0
		if t.ease += passed; t.ease >= stepUp && t.level > 0 {
			t.ease = 0
			t.level--
		}
	default: // neither warm nor cool: as it is
		t.strain, t.ease = 0, 0
	}
	t.was = s.underVoltage
	return t.level
}

// saver makes the stage draw less while the board is strained.
type saver struct {
	machine strained
	stage   interface{ SetEconomy(display.Economy) error }
	every   time.Duration
	log     *slog.Logger
}

// String names the task.
func (s *saver) String() string { return "saving power" }

// Run goes on until the context ends.
func (s *saver) Run(ctx context.Context) error {
	start := time.Now()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	var t thrift
	level := 0
	for {
		state := s.machine.strain()
		if next := t.look(time.Since(start), state); next != level {
			level = next
			e := display.Economies[level]
			if err := s.stage.SetEconomy(e); err != nil {
				s.log.Error("the wall cannot draw less", "err", err)
			}
			s.log.Info("the wall draws as much as the board bears", "level", level, "every", e.Pace, "coarse", e.Coarse,
				"under_voltage", state.underVoltage, "throttled", state.throttled)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sceneEnergy adds up what each scene takes: the mean of two readings, for the time between
// them, on the account of the scene that was on at the second.
type sceneEnergy struct {
	scene func() (name string, watched bool)

	mu      sync.Mutex
	last    time.Time
	watts   float64
	source  power.Source
	joules  map[sceneKey]float64
	seconds map[string]float64
}

type sceneKey struct {
	scene  string
	source power.Source
}

func newSceneEnergy(scene func() (string, bool)) *sceneEnergy {
	return &sceneEnergy{scene: scene, joules: map[sceneKey]float64{}, seconds: map[string]float64{}}
}

// maxEnergyGap is the longest time between two readings that a mean may stand for.
const maxEnergyGap = time.Minute

// add takes a reading in.
func (e *sceneEnergy) add(r power.Reading) {
	if r.Watts == nil {
		return
	}
	name, watched := e.scene()
	e.mu.Lock()
	defer e.mu.Unlock()
	passed := r.Time.Sub(e.last) // monotonic
	if watched && e.source == r.Source && !e.last.IsZero() && passed > 0 && passed < maxEnergyGap {
		e.joules[sceneKey{name, r.Source}] += (e.watts + *r.Watts) / 2 * passed.Seconds()
		e.seconds[name] += passed.Seconds()
	}
	e.last, e.watts, e.source = r.Time, *r.Watts, r.Source
}

// figures emits what was added up.
func (e *sceneEnergy) figures(_ context.Context, emit metrics.Emit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, joules := range e.joules {
		emit(metrics.SceneJoules, joules, key.scene, string(key.source))
	}
	for scene, seconds := range e.seconds {
		emit(metrics.SceneSeconds, seconds, scene)
	}
}
