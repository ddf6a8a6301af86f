package power

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"periph.io/x/conn/v3/i2c"

	"github.com/sierpi/sierpi/daemon/config"
)

// chip is what differs between the INA monitors. All have 16-bit registers, most
// significant byte first; a channel is a pair of them, shunt then bus voltage.
type chip struct {
	channels             int
	shuntShift, busShift uint    // unused low bits
	shuntVolts, busVolts float64 // of the lowest used bit
	identity             uint16  // register 0xfe; 0: the chip has none
	enableBit            uint    // in register 0, of channel 1; the others are below; 0: always on
}

// The figures are those of the data sheets (Texas Instruments SBOS448, SBOS547,
// SBOS576). The current register is not used: it needs a calibration written to
// the chip, which a power cut erases; the same division done here does not.
var chips = map[string]chip{
	"ina219":  {channels: 1, busShift: 3, shuntVolts: 10e-6, busVolts: 4e-3},
	"ina226":  {channels: 1, shuntVolts: 2.5e-6, busVolts: 1.25e-3, identity: 0x5449},
	"ina3221": {channels: 3, shuntShift: 3, busShift: 3, shuntVolts: 40e-6, busVolts: 8e-3, identity: 0x5449, enableBit: 14},
}

// i2cSource reads the monitors that the config names.
type i2cSource struct {
	sensors []config.PowerSensor
	open    func(bus int) (i2c.Bus, error)

	mu    sync.Mutex
	buses map[int]i2c.Bus
	known map[int]bool // sensors whose identity was checked
}

func newI2C(sensors []config.PowerSensor) *i2cSource {
	return &i2cSource{
		sensors: sensors,
		open:    func(n int) (i2c.Bus, error) { return openBus(n) },
		buses:   map[int]i2c.Bus{},
		known:   map[int]bool{},
	}
}

func (*i2cSource) name() Source { return SourceI2C }

func (s *i2cSource) read(ctx context.Context) (Reading, error) {
	if len(s.sensors) == 0 {
		return Reading{}, errNoSensor
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var r Reading
	for i, sensor := range s.sensors {
		if err := ctx.Err(); err != nil {
			return Reading{}, err
		}
		rails, err := s.sensor(i, sensor)
		if err != nil {
			return Reading{}, fmt.Errorf("%s at address %#x of I2C bus %d: %w", sensor.Chip, sensor.Address, sensor.Bus, err)
		}
		r.Rails = append(r.Rails, rails...)
	}
	r.Watts = sum(r.Rails)
	return r, nil
}

func (s *i2cSource) sensor(i int, cfg config.PowerSensor) ([]Rail, error) {
	c, ok := chips[cfg.Chip]
	if !ok || cfg.Shunt <= 0 {
		return nil, errors.New("the config names no chip that is known, or no shunt")
	}
	bus, ok := s.buses[cfg.Bus]
	if !ok {
		var err error
		if bus, err = s.open(cfg.Bus); err != nil {
			return nil, err
		}
		s.buses[cfg.Bus] = bus
	}
	dev := i2c.Dev{Bus: bus, Addr: uint16(cfg.Address)}
	register := func(n byte) (uint16, error) {
		var b [2]byte
		err := dev.Tx([]byte{n}, b[:])
		return binary.BigEndian.Uint16(b[:]), err
	}
	if c.identity != 0 && !s.known[i] {
		id, err := register(0xfe)
		if err != nil {
			return nil, err
		}
		if id != c.identity {
			return nil, fmt.Errorf("something else answers there (it calls itself %#04x)", id)
		}
		s.known[i] = true
	}
	var enabled uint16
	if c.enableBit > 0 {
		var err error
		if enabled, err = register(0); err != nil {
			return nil, err
		}
	}
	calibration := cfg.Calibration
	if calibration == 0 {
		calibration = 1
	}
	var rails []Rail
	for channel := range c.channels {
		if c.enableBit > 0 && enabled>>(c.enableBit-uint(channel))&1 == 0 {
			continue
		}
		shunt, err := register(byte(1 + 2*channel))
		if err != nil {
			return nil, err
		}
		volts, err := register(byte(2 + 2*channel))
		if err != nil {
			return nil, err
		}
		name := cfg.Rail
		if name == "" {
			name = cfg.Chip
		}
		if c.channels > 1 {
			name = fmt.Sprintf("%s-%d", name, channel+1)
		}
		v := float64(int16(volts)>>c.busShift) * c.busVolts
		if cfg.Chip == "ina219" {
			v = float64(volts>>c.busShift) * c.busVolts // its bus register has no sign
		}
		a := float64(int16(shunt)>>c.shuntShift) * c.shuntVolts / cfg.Shunt * calibration
		rails = append(rails, Rail{Name: name, Chip: cfg.Chip, Volts: new(round(v)), Amperes: new(round(a)), Watts: new(round(v * a))})
	}
	return rails, nil
}

// Close gives the buses back.
func (s *i2cSource) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for n, bus := range s.buses {
		if c, ok := bus.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
		delete(s.buses, n)
	}
	return errors.Join(errs...)
}
