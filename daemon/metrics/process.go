package metrics

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// process says what the daemon itself takes, under the names that all Prometheus
// clients use. The library's own collector also reads and parses the network
// statistics of the whole machine, which costs more than all of sierpi's figures.
type process struct {
	cpu, resident, virtual, files, started *prometheus.Desc
	startedAt                              float64  // seconds since 1970
	statm                                  *os.File // kept open: one call a scrape; nil: there is none
}

func newProcess() *process {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc("process_"+name, help, nil, nil) }
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		statm = nil
	}
	return &process{
		cpu:      desc("cpu_seconds_total", "Total user and system CPU time spent in seconds."),
		resident: desc("resident_memory_bytes", "Resident memory size in bytes."),
		virtual:  desc("virtual_memory_bytes", "Virtual memory size in bytes."),
		files:    desc("open_fds", "Number of open file descriptors."),
		started:  desc("start_time_seconds", "Start time of the process since unix epoch in seconds."),

		startedAt: startTime(),
		statm:     statm,
	}
}

// Describe names what Collect sends.
func (p *process) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.cpu, p.resident, p.virtual, p.files, p.started} {
		out <- d
	}
}

// Collect asks the kernel; what it does not say is left out.
func (p *process) Collect(out chan<- prometheus.Metric) {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) == nil {
		seconds := time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
		out <- prometheus.MustNewConstMetric(p.cpu, prometheus.CounterValue, seconds)
	}
	if p.statm != nil {
		buf := make([]byte, 128)
		n, _ := p.statm.ReadAt(buf, 0) // shorter than asked for: io.EOF
		fields := strings.Fields(string(buf[:n]))
		for i, desc := range []*prometheus.Desc{p.virtual, p.resident} {
			if i >= len(fields) {
				break
			}
			if pages, err := strconv.ParseUint(fields[i], 10, 52); err == nil {
				out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(pages)*float64(os.Getpagesize()))
			}
		}
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		out <- prometheus.MustNewConstMetric(p.files, prometheus.GaugeValue, float64(len(files)-1)) // less the one that reads
	}
	if p.startedAt > 0 {
		out <- prometheus.MustNewConstMetric(p.started, prometheus.GaugeValue, p.startedAt)
	}
}

// startTime is when this process began: boot time and column 22 of
// /proc/self/stat, in ticks of 1/100 s. 0: the kernel does not say.
func startTime() float64 {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return 0
	}
	ticks, err := strconv.ParseFloat(fields[19], 64)
	if err != nil {
		return 0
	}
	machine, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(machine)) {
		if boot, ok := strings.CutPrefix(line, "btime "); ok {
			if seconds, err := strconv.ParseFloat(strings.TrimSpace(boot), 64); err == nil {
				return seconds + ticks/100
			}
		}
	}
	return 0
}
