// Package metrics is the only package that knows Prometheus. The table in
// figures.go names every figure sierpi exports (sierpi_<part>_<what>_<unit>, base
// units, help with its source); parts hand over samples of those figures when a
// scrape asks, and nothing is read in between. A figure that this machine does
// not have is absent from the output, never 0.
package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
		newProcess(),
		collectors.NewGoCollector(),
		&collector{log: log, descs: descs(), sources: append([]Source{buildInfo(version)}, sources...)},
	)
	return &Metrics{registry: registry, log: log}
}

// Handler serves /metrics, uncompressed: packing some 15 kB costs a small board
// more than sending them over its own network does.
func (m *Metrics) Handler() http.Handler {
	return whole(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		DisableCompression:  true,
	}))
}

// whole sends an answer in one piece with its length: the library writes line by
// line, which would become a dozen chunks and as many system calls.
func whole(h http.Handler) http.Handler {
	var pool sync.Pool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := pool.Get().(*buffer)
		if b == nil {
			b = new(buffer)
		}
		defer pool.Put(b)
		b.Reset()
		b.header, b.status = w.Header(), http.StatusOK
		h.ServeHTTP(b, r)
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		w.WriteHeader(b.status)
		_, _ = w.Write(b.Bytes()) // the scraper is gone: nobody to tell
		b.header = nil
	})
}

// buffer is a response that is kept until it is whole.
type buffer struct {
	bytes.Buffer
	header http.Header
	status int
}

func (b *buffer) Header() http.Header    { return b.header }
func (b *buffer) WriteHeader(status int) { b.status = status }

func buildInfo(version string) Source {
	return func(_ context.Context, emit Emit) {
		emit(BuildInfo, 1, version, runtime.Version(), runtime.GOARCH)
	}
}

// collector asks every source at each scrape. It is unchecked on purpose: which
// figures there are depends on the machine.
type collector struct {
	log     *slog.Logger
	descs   map[*Figure]*prometheus.Desc
	sources []Source
}

// descs are the figures in the library's words, made once: it checks and hashes
// each.
func descs() map[*Figure]*prometheus.Desc {
	out := map[*Figure]*prometheus.Desc{}
	for _, f := range All() {
		out[f] = prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
	}
	return out
}

func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	emit := func(f *Figure, value float64, labels ...string) {
		desc := c.descs[f]
		if desc == nil {
			c.log.Error("a figure is not in the table", "figure", f.Name)
			return
		}
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
