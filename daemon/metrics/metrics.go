// Package metrics is the only package that knows Prometheus. The table in
// figures.go names every figure sierpi exports (sierpi_<part>_<what>_<unit>, base
// units, help with its source); parts hand over samples of those figures when a
// scrape asks, and nothing is read in between. A figure that this machine does
// not have is absent from the output, never 0.
package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeTimeout bounds what the sources may take for one scrape; Prometheus
// itself gives up after 10 s by default.
const scrapeTimeout = 5 * time.Second

// Emit takes one sample of a figure, with a value for each of its labels.
type Emit func(f *Figure, value float64, labels ...string)

// Source emits what one part has to say at the moment of a scrape.
type Source func(ctx context.Context, emit Emit)

// Metrics is a private registry over the sources.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
}

// New builds the registry. version goes into sierpi_build_info.
func New(log *slog.Logger, version string, sources ...Source) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
		&collector{log: log, sources: append([]Source{buildInfo(version)}, sources...)},
	)
	return &Metrics{registry: registry, log: log}
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	})
}

func buildInfo(version string) Source {
	return func(_ context.Context, emit Emit) {
		emit(BuildInfo, 1, version, runtime.Version(), runtime.GOARCH)
	}
}

// collector asks every source at each scrape. It is unchecked on purpose: which
// figures there are depends on the machine.
type collector struct {
	log     *slog.Logger
	sources []Source
}

func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	emit := func(f *Figure, value float64, labels ...string) {
		desc := prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
		kind := prometheus.GaugeValue
		if f.Kind == Counter {
			kind = prometheus.CounterValue
		}
		metric, err := prometheus.NewConstMetric(desc, kind, value, labels...)
		if err != nil {
			c.log.Error("a figure does not fit its table", "figure", f.Name, "err", err)
			return
		}
		out <- metric
	}
	for _, source := range c.sources {
		source(ctx, emit)
	}
}

// WriteDoc writes the table of all figures as Markdown: docs/metrics.md.
func WriteDoc(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Metrics\n\nGenerated from the code by `go test ./daemon/metrics -update`; the same test holds it.\n\nA figure that a machine does not have is absent, never 0.\n\n| name | type | labels | what, and where it comes from |\n| --- | --- | --- | --- |\n")
	for _, f := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, strings.Join(f.Labels, ", "), f.Help)
	}
	b.WriteString("\nBeside these, the usual `go_*` and `process_*` of the daemon itself.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
