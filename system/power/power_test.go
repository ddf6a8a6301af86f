package power

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/board"
	"github.com/sierpi/sierpi/system/systemtest"
)

func tree(t *testing.T, name string) system.Root {
	t.Helper()
	return system.Root(systemtest.Tree(t, "../testdata/"+name+".txtar"))
}

func put(t *testing.T, root system.Root, path, text string) {
	t.Helper()
	full := root.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func auto() config.Power { return config.Default().Power }

func near(a *float64, b float64) bool { return a != nil && math.Abs(*a-b) < 1e-3 }

// answers stands for the firmware: it says what vcgencmd printed for people.
type answers struct {
	mu   sync.Mutex
	text map[string]string
}

func (a *answers) Command(_ context.Context, command string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok := a.text[command]
	if !ok {
		return "", errors.New("the firmware answered error 1")
	}
	return text, nil
}

func (a *answers) set(command, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.text[command] = text
}

func TestReadOnTrees(t *testing.T) {
	for name, want := range map[string]struct {
		source Source
		watts  float64
		limit  float64
	}{
		// Utilisation since boot of these trees: 63972 of 980305 ticks.
		"zerow":    {SourceModel, .920 + .473*63972/980305, 0},
		"pi3bplus": {SourceHwmon, 3.16, 0},
		"pi4b":     {SourceModel, 2.286 + 4.534*63972/980305, 0},
		"pi5":      {SourceModel, 4.403 + 3.458*63972/980305, 25},
		"nopi":     {"", 0, 0},
	} {
		root := tree(t, name)
		b, err := board.Read(root)
		if err != nil {
			t.Fatal(err)
		}
		m := New(root, auto(), b)
		r, err := m.Read(context.Background())
		if want.source == "" {
			if !errors.Is(err, ErrAbsent) {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			continue
		}
		if err != nil || r.Source != want.source || !near(r.Watts, want.watts) || r.Estimate != (want.source == SourceModel) {
			t.Errorf("%s: %+v, %v; want %+v", name, r, err, want)
			continue
		}
		if (want.limit > 0) != (r.Limit != nil) || want.limit > 0 && !near(r.Headroom, want.limit-want.watts) {
			t.Errorf("%s: limit %v headroom %v", name, r.Limit, r.Headroom)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The original article's board: at most 700 mA at 5 V.
func TestHeadroom(t *testing.T) {
	root := tree(t, "pi3bplus")
	cfg := auto()
	cfg.SupplyLimit = .7
	r, err := New(root, cfg, board.Board{}).Read(context.Background())
	if err != nil || !near(r.Limit, 3.5) || !near(r.Headroom, .34) {
		t.Errorf("%+v %v", r, err)
	}
	for _, source := range []string{"off", "model", "pmic", "i2c", "power_supply"} {
		cfg.Source = source
		if r, err := New(root, cfg, board.Board{}).Read(context.Background()); !errors.Is(err, ErrAbsent) {
			t.Errorf("source %s: %+v, %v", source, r, err)
		}
	}
}

// A sensor that is there and fails is no absence, and no secret either.
func TestTrouble(t *testing.T) {
	broken := newI2C([]config.PowerSensor{{Chip: "ina219", Bus: 9, Address: 0x40, Shunt: .1}})
	broken.open = func(int) (i2c.Bus, error) { return nil, errors.New("remote I/O error") }
	m := &Meter{sources: []source{broken}}
	if _, err := m.Read(context.Background()); err == nil || errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "remote I/O") {
		t.Errorf("alone: %v", err)
	}
	m.sources = append(m.sources, &modelSource{model: models[board.Model3B], cpu: system.NewCPUMeter(tree(t, "pi3bplus"))})
	if r, err := m.Read(context.Background()); err != nil || r.Source != SourceModel || !strings.Contains(r.Trouble, "remote I/O") {
		t.Errorf("beside a model: %+v %v", r, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEveryModelIsPlausible(t *testing.T) {
	measured := 0
	for _, model := range []board.Model{board.ModelA, board.ModelB, board.ModelBPlus, board.Model2B, board.ModelZero, board.ModelZeroW, board.Model3B, board.Model3BPlus, board.Model4B, board.Model400, board.Model5, board.Model500, board.ModelCM4, ""} {
		for _, pcb := range []string{"1.0", "1.1", "1.2", "1.5"} {
			for _, kernel := range []string{"armv7l", "aarch64"} {
				m, ok := modelFor(board.Board{Model: model, PCB: pcb, Kernel: kernel})
				if !ok {
					continue
				}
				measured++
				if idle, full := m.watts(0), m.watts(1); idle < .5 || idle > 5 || full <= idle || full > 9 {
					t.Errorf("%s %s %s: %v to %v W", model, pcb, kernel, idle, full)
				}
			}
		}
	}
	if measured != 9*4*2 {
		t.Errorf("%d combinations have a model", measured)
	}
	if m, _ := modelFor(board.Board{Model: board.Model4B, PCB: "1.1", Kernel: "armv7l"}); m.idle != 2.206 {
		t.Errorf("a first 4B on 32 bits: %+v", m)
	}
}

func TestHwmonINA3221(t *testing.T) {
	root := system.Root(t.TempDir())
	// As Linux Documentation/hwmon/ina3221.rst names them; the third channel is off.
	for path, text := range map[string]string{
		"name": "ina3221\n", "in1_input": "5072\n", "in1_label": "5V\n", "curr1_input": "1200\n", "in4_input": "120\n",
		"in2_input": "3304\n", "curr2_input": "250\n",
	} {
		put(t, root, "/sys/class/hwmon/hwmon2/"+path, text)
	}
	put(t, root, "/sys/class/hwmon/hwmon1/name", "nvme\n")
	put(t, root, "/sys/class/hwmon/hwmon1/in1_input", "9999\n")
	r, err := (&hwmon{root}).read(context.Background())
	if err != nil || len(r.Rails) != 2 || r.Rails[0].Name != "5V" || r.Rails[1].Name != "hwmon2-2" || !near(r.Watts, 5.072*1.2+3.304*.25) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPMIC(t *testing.T) {
	text, err := os.ReadFile("testdata/pmic-pi5.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := &pmicSource{open: func() (Firmware, error) { return &answers{text: map[string]string{"pmic_read_adc": string(text)}}, nil }}
	r, err := s.read(context.Background())
	if err != nil || len(r.Rails) != 14 || !r.Estimate {
		t.Fatalf("%+v %v", r, err)
	}
	// 10.87674 A at 0.8974594 V and the eleven others are 10.9 W in the rails.
	if core := r.Rails[7]; core.Name != "VDD_CORE" || !near(core.Watts, 9.7614) {
		t.Errorf("%+v", core)
	}
	if !near(r.Watts, 1.1451*10.8008+.5879) && (r.Watts == nil || *r.Watts < 12 || *r.Watts > 14) {
		t.Errorf("%v W", *r.Watts)
	}
	if ext := r.Rails[12]; ext.Name != "EXT5V" || ext.Amperes != nil || ext.Watts != nil || !near(ext.Volts, 5.06788) {
		t.Errorf("%+v", ext)
	}
	for _, bad := range []string{"", "VDD_CORE_A current(7)=1.42V\n", "Command not registered", "X_A current(1)=..A"} {
		if rails, err := parsePMIC(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, rails)
		}
	}
}

func TestPowerSupply(t *testing.T) {
	root := system.Root(t.TempDir())
	// A PoE hat, as drivers/power/supply/rpi_poe_power.c: a current, no voltage.
	put(t, root, "/sys/class/power_supply/rpi-poe/type", "Mains\n")
	put(t, root, "/sys/class/power_supply/rpi-poe/online", "1\n")
	put(t, root, "/sys/class/power_supply/rpi-poe/current_now", "612000\n")
	put(t, root, "/sys/class/power_supply/mouse/type", "Battery\n")
	put(t, root, "/sys/class/power_supply/mouse/status", "Discharging\n")
	put(t, root, "/sys/class/power_supply/mouse/scope", "Device\n")
	put(t, root, "/sys/class/power_supply/mouse/voltage_now", "1200000\n")
	r, err := (&powerSupply{root}).read(context.Background())
	if err != nil || len(r.Rails) != 1 || !near(r.Rails[0].Amperes, .612) || r.Watts != nil {
		t.Errorf("%+v %v: half a figure must not become watts", r, err)
	}
	put(t, root, "/sys/class/power_supply/rpi-poe/online", "0\n")
	put(t, root, "/sys/class/power_supply/ups/type", "Battery\n")
	put(t, root, "/sys/class/power_supply/ups/status", "Discharging\n")
	put(t, root, "/sys/class/power_supply/ups/voltage_now", "3700000\n")
	put(t, root, "/sys/class/power_supply/ups/current_now", "-1000000\n")
	if r, err := (&powerSupply{root}).read(context.Background()); err != nil || !near(r.Watts, 3.7) {
		t.Errorf("%+v %v", r, err)
	}
	put(t, root, "/sys/class/power_supply/ups/status", "Charging\n")
	if r, err := (&powerSupply{root}).read(context.Background()); err == nil {
		t.Errorf("%+v: a battery that charges", r)
	}
}

// The register traffic of each chip, byte for byte, with values from the data
// sheets' examples.
func TestI2C(t *testing.T) {
	reg := func(addr uint16, n byte, v uint16) i2ctest.IO {
		return i2ctest.IO{Addr: addr, W: []byte{n}, R: binary.BigEndian.AppendUint16(nil, v)}
	}
	for _, c := range []struct {
		sensor config.PowerSensor
		ops    []i2ctest.IO
		volts  []float64
		amps   []float64
	}{
		// SBOS448: 0x0fa0 is 40 mV over the shunt; 0x1f40<<... is 32 V: here 5.1 V = 1275 of 4 mV.
		{config.PowerSensor{Chip: "ina219", Bus: 1, Address: 0x40, Shunt: .1, Rail: "input"},
			[]i2ctest.IO{reg(0x40, 1, 0x0fa0), reg(0x40, 2, 1275<<3|2)}, []float64{5.1}, []float64{.4}},
		// A current that flows back: two's complement. The bus is above 16 V: no sign.
		{config.PowerSensor{Chip: "ina219", Bus: 1, Address: 0x41, Shunt: .1, Calibration: 1.02},
			[]i2ctest.IO{reg(0x41, 1, 0xf830), reg(0x41, 2, 5000<<3)}, []float64{20}, []float64{-.2 * 1.02}},
		// SBOS547: 12 V is 0x2570 (11.98 V); 20 mV over 2 milliohms are 10 A.
		{config.PowerSensor{Chip: "ina226", Bus: 1, Address: 0x44, Shunt: .002},
			[]i2ctest.IO{reg(0x44, 0xfe, 0x5449), reg(0x44, 1, 8000), reg(0x44, 2, 0x2570)}, []float64{11.98}, []float64{10}},
		// SBOS576: channels 1 and 3 on; 40 uV and 8 mV a step, three low bits unused.
		{config.PowerSensor{Chip: "ina3221", Bus: 1, Address: 0x42, Shunt: .1},
			[]i2ctest.IO{reg(0x42, 0xfe, 0x5449), reg(0x42, 0, 0x5127), reg(0x42, 1, 1000<<3), reg(0x42, 2, 625<<3), reg(0x42, 5, 250<<3), reg(0x42, 6, 412<<3)},
			[]float64{5, 3.296}, []float64{.4, .1}},
	} {
		bus := &i2ctest.Playback{Ops: c.ops, DontPanic: true}
		s := newI2C([]config.PowerSensor{c.sensor})
		s.open = func(n int) (i2c.Bus, error) { return bus, nil }
		r, err := s.read(context.Background())
		if err != nil || len(r.Rails) != len(c.volts) {
			t.Errorf("%s: %+v %v", c.sensor.Chip, r, err)
			continue
		}
		total := 0.0
		for i, rail := range r.Rails {
			if !near(rail.Volts, c.volts[i]) || !near(rail.Amperes, c.amps[i]) || rail.Chip != c.sensor.Chip {
				t.Errorf("%s %d: %v V %v A", c.sensor.Chip, i, *rail.Volts, *rail.Amperes)
			}
			total += c.volts[i] * c.amps[i]
		}
		if !near(r.Watts, total) {
			t.Errorf("%s: %v W, want %v", c.sensor.Chip, *r.Watts, total)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", c.sensor.Chip, err) // Playback: not all was asked
		}
	}
	// Something else at the address.
	bus := &i2ctest.Playback{Ops: []i2ctest.IO{reg(0x44, 0xfe, 0x1234)}, DontPanic: true}
	s := newI2C([]config.PowerSensor{{Chip: "ina226", Bus: 1, Address: 0x44, Shunt: .1}})
	s.open = func(n int) (i2c.Bus, error) { return bus, nil }
	if _, err := s.read(context.Background()); err == nil || !strings.Contains(err.Error(), "0x1234") || !strings.Contains(err.Error(), "bus 1") {
		t.Errorf("a wrong chip: %v", err)
	}
}

func TestTemperatures(t *testing.T) {
	for name, want := range map[string]string{"zerow": "cpu-thermal 41.16 85", "pi4b": "cpu-thermal 67.191 110", "nopi": ""} {
		root := tree(t, name)
		put(t, root, "/sys/class/hwmon/hwmon7/name", "nvme\n")
		put(t, root, "/sys/class/hwmon/hwmon7/temp1_input", "38850\n")
		put(t, root, "/sys/class/hwmon/hwmon7/temp1_label", "Composite\n")
		put(t, root, "/sys/class/hwmon/hwmon7/temp2_input", "999999999\n") // a sensor that is not there
		all := Temperatures(root)
		got := ""
		if p, ok := Processor(all); ok {
			got = fmt.Sprint(p.Sensor, " ", p.Celsius, " ", *p.Critical)
		}
		if got != want {
			t.Errorf("%s: %q of %+v, want %q", name, got, all, want)
		}
		last := all[len(all)-1]
		if last.Sensor != "nvme Composite" || last.Celsius != 38.85 || last.Critical != nil {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

func TestMailboxMessage(t *testing.T) {
	msg, err := encodeCommand("get_throttled")
	if err != nil {
		t.Fatal(err)
	}
	if int(msg[0]) != 4*len(msg) || msg[1] != 0 || msg[2] != 0x30080 || msg[3] != 4096 || msg[len(msg)-1] != 0 {
		t.Errorf("header %x", msg[:6])
	}
	if _, err := decodeCommand(msg); err == nil {
		t.Error("a request passes for an answer")
	}
	msg[1] = 0x80000000
	if text, err := decodeCommand(msg); err != nil || text != "get_throttled" {
		t.Errorf("%q %v", text, err)
	}
	msg[5] = 0xffffffff
	if _, err := decodeCommand(msg); err == nil || !strings.Contains(err.Error(), "-1") {
		t.Errorf("the firmware's error: %v", err)
	}
	for _, bad := range []string{"", "a\x00b", strings.Repeat("x", 300)} {
		if _, err := encodeCommand(bad); err == nil {
			t.Errorf("%q is a command", bad)
		}
	}
	if _, err := OpenFirmware(tree(t, "pi5"), true); !errors.Is(err, ErrAbsent) {
		t.Errorf("a tree has firmware: %v", err)
	}
}

func TestReadFirmware(t *testing.T) {
	fw := &answers{text: map[string]string{
		// posted: geerlingguy's Pi 5 page and vcgencmd's documentation
		"get_throttled": "throttled=0x50005", "measure_temp": "temp=39.5'C", "measure_volts core": "volt=0.7200V",
		"measure_clock arm": "frequency(48)=1800457088", "measure_clock v3d": "nonsense",
	}}
	r, err := ReadFirmware(context.Background(), fw)
	if err != nil || *r.Temperature != 39.5 || r.Volts["core"] != .72 || r.Hertz["arm"] != 1800457088 || len(r.Hertz) != 1 || len(r.Volts) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	th := *r.Throttled
	if !th.Now(UnderVoltage) || !th.Now(ThrottledNow) || th.Now(FrequencyCapped) || !th.SinceBoot(UnderVoltage) || th.SinceBoot(SoftTempLimit) {
		t.Errorf("%s", th)
	}
	for v, want := range map[Throttled]string{0: "fine", 0x50000: "fine now; since boot under voltage, throttled", 0x50005: "under voltage, throttled", 0x80001: "under voltage; since boot also soft temperature"} {
		if v.String() != want {
			t.Errorf("%#x is %q, want %q", uint32(v), v, want)
		}
	}
	for _, bad := range []string{"", "throttled=", "throttled=5", "throttled=0xzz", "error=1 error_msg=\"Command not registered\""} {
		if v, err := parseThrottled(bad); err == nil {
			t.Errorf("%q was read as %v", bad, v)
		}
	}
}

// Under-voltage that the kernel reports and throttling that the firmware reports
// arrive as events and are counted by their edges.
func TestWatcher(t *testing.T) {
	root := tree(t, "pi4b") // under-voltage holds from the beginning
	fw := &answers{text: map[string]string{"get_throttled": "throttled=0x50000"}}
	w, err := NewWatcher(root, fw)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := make(chan Event, 10)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func(e Event) { events <- e }) }()
	next := func(reason Reason, now bool) {
		t.Helper()
		select {
		case e := <-events:
			if e.Reason != reason || e.Now != now {
				t.Errorf("event %+v, want %s %v", e, reason, now)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event for %s", reason)
		}
	}
	next(UnderVoltage, true)
	put(t, root, "/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
	next(UnderVoltage, false)
	fw.set("get_throttled", "throttled=0x50004")
	next(ThrottledNow, true)
	put(t, root, "/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
	next(UnderVoltage, true)
	c := w.Counts()
	if c[UnderVoltage] != (Count{true, 2}) || c[ThrottledNow] != (Count{true, 1}) || c[SoftTempLimit] != (Count{}) || len(c) != 4 {
		t.Errorf("%+v", c)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	// What a machine cannot report is not counted as nothing.
	if w, err := NewWatcher(root, nil); err != nil || len(w.Counts()) != 1 {
		t.Errorf("without firmware: %v", err)
	}
	if _, err := NewWatcher(tree(t, "nopi"), nil); !errors.Is(err, ErrAbsent) {
		t.Errorf("no Pi: %v", err)
	}
}

func TestEnergy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "energy.json")
	synctest.Test(t, func(t *testing.T) {
		e, err := OpenEnergy(path)
		if err != nil {
			t.Fatal(err)
		}
		add := func(watts float64, after time.Duration) {
			time.Sleep(after) // the bubble's clock: no time passes
			if err := e.Add(Reading{Time: time.Now(), Source: SourceHwmon, Watts: &watts, Rails: []Rail{{Name: "input", Watts: &watts}, {Name: "unknown"}}}); err != nil {
				t.Fatal(err)
			}
		}
		add(2, 0)
		add(4, 10*time.Second)  // 30 J
		add(4, 5*time.Second)   // 20 J
		add(4, time.Hour)       // nobody knows
		add(-1, 10*time.Second) // 15 J
		add(-3, 10*time.Second) // flows back: nothing
		got := e.Joules()
		if len(got) != 2 || got[EnergyKey{SourceHwmon, ""}] != 65 || got[EnergyKey{SourceHwmon, "input"}] != 65 {
			t.Errorf("%v", got)
		}
		before, _ := os.ReadFile(path) // written after the hour
		for range 600 {
			add(1, time.Second)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) || len(before) == 0 {
			t.Errorf("ten minutes of readings wrote the card: %q, %q", before, after)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
	e, err := OpenEnergy(path)
	if err != nil || e.Joules()[EnergyKey{SourceHwmon, "input"}] < 660 {
		t.Errorf("%v %v", e.Joules(), err)
	}
	if err := os.WriteFile(path, []byte(`[{"source":"hwmon","jou`), 0o644); err != nil {
		t.Fatal(err)
	}
	if e, err := OpenEnergy(path); err == nil || e == nil || len(e.Joules()) != 0 {
		t.Errorf("a torn file: %v", err)
	}
	if e, err := OpenEnergy(path); err != nil || e == nil {
		t.Errorf("and again: %v", err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 1 || !strings.HasSuffix(names[0], ".broken") {
		t.Errorf("files %v", names)
	}
}

func FuzzParsePMIC(f *testing.F) {
	text, err := os.ReadFile("testdata/pmic-pi5.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("A_A current(0)=1A\nA_V volt(1)=5V\n")
	f.Fuzz(func(t *testing.T, text string) {
		rails, err := parsePMIC(text)
		if (err == nil) != (len(rails) > 0) {
			t.Errorf("%v %v", rails, err)
		}
	})
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add([]byte("\x1c\x00\x00\x00\x00\x00\x00\x80throttled=0x0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var words []uint32
		for chunk := range slices.Chunk(b, 4) {
			if len(chunk) == 4 {
				words = append(words, binary.NativeEndian.Uint32(chunk))
			}
		}
		if text, err := decodeCommand(words); err == nil {
			_, _ = parseValue(text)
			_, _ = parseThrottled(text)
		}
	})
}

func TestReport(t *testing.T) {
	root := tree(t, "pi3bplus")
	b, err := board.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	cfg := auto()
	cfg.SupplyLimit = .7
	reading, err := New(root, cfg, b).Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	throttled := Throttled(0x50000)
	report := Report{Board: b.String(), Reading: &reading, Temperatures: Temperatures(root), Firmware: &FirmwareReport{Throttled: &throttled, Hertz: map[string]float64{"arm": 1.4e9}}}
	if _, err := report.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	const want = `board        Raspberry Pi 3 Model B Plus Rev 1.3 (BCM2837, a020d3)
power           3.16 W    hwmon
supply          3.50 W    [##################..]  at most, 0.34 W left
  hwmon1         5.10 V    0.620 A     3.16 W  ina219
temperature     51.0 °C   [#############.......]  cpu-thermal, critical at 80 °C
throttling   fine now; since boot under voltage, throttled
clocks          1400 MHz  arm
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if _, err := (Report{Board: "a PC", Absent: "no sensor"}).WriteTo(&out); err != nil || !strings.Contains(out.String(), "power              -      no sensor\n") {
		t.Errorf("%q %v", out.String(), err)
	}
}

// A bus that speaks SMBus only says what it cannot do.
func TestSMBusRefuses(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	b := &smbus{file: f}
	if err := b.Tx(0x40, []byte{1, 2, 3}, nil); err == nil || !strings.Contains(err.Error(), "SMBus only") {
		t.Errorf("%v", err)
	}
	if err := b.Tx(0x40, []byte{1}, make([]byte, 2)); err == nil {
		t.Error("/dev/null passed for a bus")
	}
	if b.SetSpeed(0) == nil || b.Close() != nil {
		t.Error("SetSpeed, Close")
	}
	if _, err := openBus(4711); system.ExitCodeOf(err) != system.ExitImpossible {
		t.Errorf("%v", err)
	}
}
