package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
)

// Source names where a figure comes from.
type Source string

// The sources, best first.
const (
	SourceHwmon       Source = "hwmon"        // an INA219, INA226, INA3221 or kin that the kernel drives
	SourceI2C         Source = "i2c"          // the same chips, driven by us
	SourcePMIC        Source = "pmic"         // the Pi 5's power controller; its total is an estimate
	SourcePowerSupply Source = "power_supply" // a UPS, a PoE hat
	SourceModel       Source = "model"        // idle watts + slope * processor utilisation; an estimate
)

// ErrAbsent says that this machine has no such sensor, and no model either.
// It is a state, not a failure.
var ErrAbsent = errors.New("no source of power figures on this machine")

// Rail is one measured line. What a source does not measure is nil: never 0.
type Rail struct {
	Name    string   `json:"name"`
	Chip    string   `json:"chip,omitempty"` // "ina219"; empty if the source says enough
	Volts   *float64 `json:"volts,omitempty"`
	Amperes *float64 `json:"amperes,omitempty"`
	Watts   *float64 `json:"watts,omitempty"`
}

// Reading is what the machine takes now.
type Reading struct {
	Time     time.Time `json:"time"`
	Source   Source    `json:"source"`
	Estimate bool      `json:"estimate"` // computed from something else than volts and amperes of the whole board
	Watts    *float64  `json:"watts,omitempty"`
	Rails    []Rail    `json:"rails,omitempty"`

	// Trouble is what a better source said that is here but failed; empty mostly.
	Trouble string `json:"trouble,omitempty"`

	// Limit is what the supply can give, in watts, and Headroom the rest of it;
	// nil if nobody says: neither the config nor the Pi 5's negotiation.
	Limit    *float64 `json:"limit_watts,omitempty"`
	Headroom *float64 `json:"headroom_watts,omitempty"`
}

// source is one way to measure.
type source interface {
	name() Source
	read(ctx context.Context) (Reading, error)
}

// Meter reads power from the best source that answers. Safe for concurrent use.
type Meter struct {
	sources []source
	limit   *float64 // watts

	mu sync.Mutex
}

// New prepares a meter; it opens nothing yet. cfg.Source picks one source, "auto"
// tries all, "off" none.
func New(root system.Root, cfg config.Power, b board.Board) *Meter {
	m := &Meter{limit: supplyLimit(root, cfg)}
	all := []source{&hwmon{root: root}}
	if root.Real() {
		all = append(all, newI2C(cfg.Sensors))
	}
	if b.Family == board.Family5 {
		all = append(all, &pmicSource{open: func() (Firmware, error) { return OpenFirmware(root, false) }})
	}
	all = append(all, &powerSupply{root})
	if model, ok := modelFor(b); ok {
		all = append(all, &modelSource{model: model, cpu: system.NewCPUMeter(root)})
	}
	for _, s := range all {
		if cfg.Source == "" || cfg.Source == "auto" || cfg.Source == string(s.name()) {
			m.sources = append(m.sources, s)
		}
	}
	return m
}

// Close gives buses and devices back; Read opens them anew.
func (m *Meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, s := range m.sources {
		if c, ok := s.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Read measures now. Where no source has anything to read it returns ErrAbsent;
// where one has and failed, that error, unless a lesser source answers: then the
// reading carries it as Trouble.
func (m *Meter) Read(ctx context.Context) (Reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var trouble []string
	for _, s := range m.sources {
		r, err := s.read(ctx)
		if ctx.Err() != nil {
			return Reading{}, ctx.Err()
		}
		if err != nil {
			if !errors.Is(err, errNoSensor) && !errors.Is(err, ErrAbsent) {
				trouble = append(trouble, fmt.Sprintf("%s: %v", s.name(), err))
			}
			continue
		}
		r.Source, r.Time, r.Trouble = s.name(), time.Now(), strings.Join(trouble, "; ")
		if m.limit != nil {
			r.Limit = m.limit
			if r.Watts != nil {
				r.Headroom = new(*m.limit - *r.Watts)
			}
		}
		return r, nil
	}
	if len(trouble) > 0 {
		return Reading{}, fmt.Errorf("measuring power: %s", strings.Join(trouble, "; "))
	}
	return Reading{}, ErrAbsent
}

// supplyLimit is what the supply can give, in watts at 5 V: the config's amperes,
// else what a Pi 5 negotiated with it.
func supplyLimit(root system.Root, cfg config.Power) *float64 {
	const volts = 5
	if cfg.SupplyLimit > 0 {
		return new(cfg.SupplyLimit * volts)
	}
	// Big-endian milliamperes; 0 where the supply did not say.
	if raw, err := root.ReadFile("/proc/device-tree/chosen/power/max_current"); err == nil && len(raw) == 4 {
		if mA := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3]); mA > 0 {
			return new(float64(mA) / 1000 * volts)
		}
	}
	return nil
}

// modelSource is the estimate from processor utilisation.
type modelSource struct {
	model linearModel
	cpu   *system.CPUMeter
}

func (*modelSource) name() Source { return SourceModel }

func (s *modelSource) read(context.Context) (Reading, error) {
	u, err := s.cpu.Utilisation()
	if err != nil {
		return Reading{}, err
	}
	return Reading{Estimate: true, Watts: new(round(s.model.watts(u)))}, nil
}

// round cuts what no sensor here resolves: a tenth of a milliwatt.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
