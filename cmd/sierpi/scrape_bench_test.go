package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nodeCollectors are node_exporter's collectors for what sierpi exports of a
// machine: processor use, memory, same-page merging, temperatures and sensors,
// supplies, the file system. It has none for zram and swap areas.
var nodeCollectors = []string{"cpu", "meminfo", "ksmd", "thermal_zone", "hwmon", "powersupplyclass", "filesystem"}

const (
	scrapes = 1000
	turn    = 100 // so many in a row
)

// BenchmarkScrape has the daemon and Debian's prometheus-node-exporter scraped as
// Prometheus does it (keep-alive, gzip), in turn, 1,000 times each, and prints the
// processor time that a scrape takes their processes. A scrape of theirs has fewer
// things in it and more series: the sizes are printed too.
//
//	go test ./cmd/sierpi -run '^$' -bench Scrape
//
// The exporter is taken from build/peers, where it is unpacked without being
// installed and started, or from the system.
func BenchmarkScrape(b *testing.B) {
	exporter := peerProgram(b, "prometheus-node-exporter", "usr/bin/prometheus-node-exporter")
	sierpi := filepath.Join(b.TempDir(), "sierpi")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", sierpi, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	ours, theirs := freeAddress(b), freeAddress(b)
	args := []string{"--web.listen-address=" + theirs, "--collector.disable-defaults"}
	for _, c := range nodeCollectors {
		args = append(args, "--collector."+c)
	}
	b.Logf("node_exporter %s", strings.Join(args[1:], " "))
	targets := []*scraped{
		{name: "sierpi", url: "http://" + ours + "/metrics", cmd: exec.Command(sierpi, "serve", "--listen", freeAddress(b), "--metrics-listen", ours, "--state", b.TempDir())},
		{name: "node_exporter", url: "http://" + theirs + "/metrics", cmd: exec.Command(exporter, args...)},
	}
	for _, t := range targets {
		t.start(b)
	}
	// Prometheus asks for compression; sierpi declines, so theirs is seen without too.
	targets = append(targets, &scraped{name: "node_exporter-uncompressed", url: targets[1].url, cmd: targets[1].cmd, plain: true})
	for _, t := range targets {
		for range 50 { // caches and pools are warm
			t.scrape(b)
		}
	}
	// In turns, so that both see the same machine.
	for range scrapes / turn {
		for _, t := range targets {
			before := t.cpu(b)
			for range turn {
				t.scrape(b)
			}
			t.used += t.cpu(b) - before
		}
	}
	for _, t := range targets {
		b.Run(t.name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(t.used.Microseconds())/float64(scrapes), "cpu-us/scrape")
			b.ReportMetric(float64(t.used)/float64(targets[0].used), "x-sierpi")
			b.ReportMetric(float64(t.series), "series")
			b.ReportMetric(float64(t.size)/1000, "kB")
			b.ReportMetric(scrapes, "scrapes")
		})
	}
	b.ReportMetric(0, "ns/op")
}

// scraped is a program that is scraped.
type scraped struct {
	name, url string
	cmd       *exec.Cmd
	client    http.Client

	plain bool // no compression is asked for

	scrapes      int
	series, size int // of the last answer
	used         time.Duration
}

// start runs the program until the benchmark ends.
func (s *scraped) start(b *testing.B) {
	b.Helper()
	s.cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR=", "NOTIFY_SOCKET=", "INVOCATION_ID=", "WATCHDOG_USEC=")
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for {
		resp, err := s.client.Get(s.url)
		if err == nil {
			resp.Body.Close()
			return
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			b.Fatalf("%s does not answer: %v", s.name, err)
		}
	}
}

func (s *scraped) scrape(b *testing.B) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1")
	if s.scrapes%100 == 0 || s.plain {
		req.Header.Set("Accept-Encoding", "identity")
	} else {
		req.Header.Set("Accept-Encoding", "gzip") // set by hand, it is not undone here: that is the scraper's cost
	}
	resp, err := s.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
		b.Fatalf("%s: %s %v", s.name, resp.Status, err)
	}
	if s.scrapes%100 == 0 {
		s.series, s.size = 0, len(body)
		for line := range strings.Lines(string(body)) {
			if !strings.HasPrefix(line, "#") {
				s.series++
			}
		}
	}
	s.scrapes++
}

// cpu is the processor time of the program, of all its threads, in nanoseconds:
// its CPU clock, whose number holds the process's (clock_getcpuclockid(3)).
func (s *scraped) cpu(b *testing.B) time.Duration {
	b.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|2), &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// unpacked finds a program that is only compared with.
func peerProgram(b *testing.B, pkg string, paths ...string) string {
	b.Helper()
	for _, prefix := range []string{filepath.Join("..", "..", "build", "peers"), "/"} {
		i := slices.IndexFunc(paths, func(p string) bool { _, err := os.Stat(filepath.Join(prefix, p)); return err == nil })
		if i >= 0 {
			path, err := filepath.Abs(filepath.Join(prefix, paths[i]))
			if err != nil {
				b.Fatal(err)
			}
			return path
		}
	}
	b.Fatalf("%s is missing; unpack it without installing it: .ci/bench peers", pkg)
	return ""
}
