package daemon

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/power"
)

// TestThrift walks a board through heat and a weak supply, and back.
func TestThrift(t *testing.T) {
	at := func(c float64) strain { return strain{celsius: &c} }
	critical := func(c, crit float64) strain { return strain{celsius: &c, critical: &crit} }
	weak := strain{underVoltage: true}
	most := len(display.Economies) - 1
	for name, steps := range map[string][]struct {
		passes time.Duration
		state  strain
		want   int
	}{
		"cool":                {{0, at(50), 0}, {time.Hour, at(77.9), 0}},
		"a peak of heat":      {{0, at(50), 0}, {5 * time.Second, at(82), 0}, {5 * time.Second, at(82), 0}, {5 * time.Second, at(70), 0}, {5 * time.Second, at(82), 0}, {5 * time.Second, at(82), 0}},
		"heat":                {{0, at(82), 0}, {15 * time.Second, at(82), 1}, {15 * time.Second, at(81), 2}, {15 * time.Second, at(79), 3}, {time.Hour, at(79), most}},
		"hysteresis":          {{0, at(82), 0}, {15 * time.Second, at(82), 1}, {time.Hour, at(75), 1}, {time.Hour, at(73), 1}, {time.Minute, at(71), 1}, {time.Minute, at(71), 0}},
		"up one at a time":    {{0, at(82), 0}, {15 * time.Second, at(82), 1}, {15 * time.Second, at(82), 2}, {2 * time.Minute, at(60), 1}, {time.Minute, at(60), 1}, {time.Minute, at(60), 0}, {time.Hour, at(60), 0}},
		"no sensor":           {{0, strain{}, 0}, {15 * time.Second, strain{throttled: true}, 1}, {2 * time.Minute, strain{}, 0}},
		"under voltage":       {{0, strain{}, 0}, {5 * time.Second, weak, 1}, {5 * time.Second, weak, 1}, {5 * time.Second, strain{}, 1}, {5 * time.Second, weak, 2}, {15 * time.Second, weak, 3}, {2 * time.Minute, strain{}, 2}},
		"from the beginning":  {{0, weak, 1}},
		"a lower mark":        {{0, critical(72, 80), 0}, {15 * time.Second, critical(72, 80), 1}},
		"the clock stands":    {{0, at(82), 0}, {0, at(82), 0}, {0, at(82), 0}, {0, at(82), 0}},
		"a mark that is none": {{0, critical(60, 125), 0}, {time.Minute, critical(77, 125), 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var th thrift
			now := time.Duration(0)
			for i, s := range steps {
				now += s.passes
				if got := th.look(now, s.state); got != s.want {
					t.Errorf("step %d, after %v: level %d, want %d", i, now, got, s.want)
				}
			}
		})
	}
}

// economist notes what is asked of a stage.
type economist struct {
	mu    sync.Mutex
	asked chan display.Economy
}

func (e *economist) SetEconomy(x display.Economy) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked <- x
	return nil
}

// TestSaverReadsTheBoard is the whole way from a file of sysfs to the stage: the hwmon driver's
// alarm, as a Pi 4 has it.
func TestSaverReadsTheBoard(t *testing.T) {
	root := system.Root(t.TempDir())
	put := func(name, text string) {
		t.Helper()
		file := root.Path(name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
	put("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
	put("/sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
	put("/sys/class/thermal/thermal_zone0/temp", "61000\n")
	log := slog.New(slog.DiscardHandler)
	m := newMachine(t.Context(), root, config.Default(), t.TempDir(), log)
	defer m.close()
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	tasks.Go(func() { _ = m.watcher.Run(ctx, m.event) })
	stage := &economist{asked: make(chan display.Economy, 10)}
	s := &saver{m, stage, 20 * time.Millisecond, log}
	tasks.Go(func() { _ = s.Run(ctx) })
	if got := <-stage.asked; got != display.Economies[1] {
		t.Errorf("under voltage: %+v", got)
	}
	if st := m.strain(); !st.underVoltage || st.celsius == nil || *st.celsius != 61 {
		t.Errorf("%+v", st)
	}
}

// TestSceneEnergy adds up joules on the account of the scene that is on, of a screen that paints.
func TestSceneEnergy(t *testing.T) {
	scene, watched := "life", true
	e := newSceneEnergy(func() (string, bool) { return scene, watched })
	start := time.Now()
	read := func(after time.Duration, watts float64) {
		e.add(power.Reading{Watts: &watts, Source: power.SourceHwmon, Time: start.Add(after)})
	}
	read(0, 2)
	read(10*time.Second, 4) // 30 J of life
	scene = "zoom"
	read(20*time.Second, 6) // 50 J of zoom
	watched = false
	read(30*time.Second, 6)
	watched = true
	read(2*time.Hour, 6) // nobody knows what flowed
	e.add(power.Reading{Source: power.SourceHwmon, Time: start})
	rec := httptest.NewRecorder()
	metrics.New(slog.New(slog.DiscardHandler), "x", e.figures).Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`sierpi_display_scene_joules_total{scene="life",source="hwmon"} 30`,
		`sierpi_display_scene_joules_total{scene="zoom",source="hwmon"} 50`,
		`sierpi_display_scene_seconds_total{scene="zoom"} 10`,
	} {
		if !strings.Contains(rec.Body.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, rec.Body)
		}
	}
}
