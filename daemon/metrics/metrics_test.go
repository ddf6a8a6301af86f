package metrics

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

// docs/metrics.md is what the code says.
func TestDoc(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	var want bytes.Buffer
	if err := WriteDoc(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/metrics.md is not what the code says; run go test ./daemon/metrics -update")
	}
}

// Names follow Prometheus: our prefix, base units, _total for counters and for
// nothing else, and no name twice.
func TestNames(t *testing.T) {
	var names []string
	for _, f := range All() {
		if !strings.HasPrefix(f.Name, "sierpi_") {
			t.Errorf("%s has not our prefix", f.Name)
		}
		if strings.HasSuffix(f.Name, "_total") != (f.Kind == Counter) {
			t.Errorf("%s is a %s", f.Name, f.Kind)
		}
		if !strings.HasSuffix(f.Help, ".") {
			t.Errorf("the help of %s is no sentence", f.Name)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name stands twice: %v", names)
	}
}

// A sample with the wrong labels is logged and left out; the scrape goes on.
func TestMisfit(t *testing.T) {
	var log bytes.Buffer
	m := New(slog.New(slog.NewTextHandler(&log, nil)), "v1", func(_ context.Context, emit Emit) {
		emit(Temperature, 48.5)
		emit(Temperature, 48.5, "cpu-thermal")
	})
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), `sierpi_temperature_celsius{sensor="cpu-thermal"} 48.5`) {
		t.Errorf("the good sample is missing:\n%s", body)
	}
	if strings.Contains(string(body), "sierpi_temperature_celsius 48.5") || !strings.Contains(log.String(), "sierpi_temperature_celsius") {
		t.Errorf("the misfit was exported or not logged: %s", log.String())
	}
}

// What is said of the process is true of it.
func TestProcess(t *testing.T) {
	m := New(slog.New(slog.DiscardHandler), "v1")
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	value := func(name string) float64 {
		for line := range strings.Lines(rec.Body.String()) {
			if v, ok := strings.CutPrefix(line, name+" "); ok {
				f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
				if err != nil {
					t.Error(err)
				}
				return f
			}
		}
		t.Errorf("no %s", name)
		return 0
	}
	resident, virtual := value("process_resident_memory_bytes"), value("process_virtual_memory_bytes")
	if resident < 1<<20 || virtual < resident {
		t.Errorf("resident %v of %v", resident, virtual)
	}
	if cpu := value("process_cpu_seconds_total"); cpu <= 0 || cpu > 3600 {
		t.Errorf("%v s of processor time", cpu)
	}
	if files := value("process_open_fds"); files < 3 || files > 1000 {
		t.Errorf("%v open files", files)
	}
	age := float64(time.Now().Unix()) - value("process_start_time_seconds")
	if age < -2 || age > 3600 { // btime has whole seconds
		t.Errorf("started %v s ago", age)
	}
}
