package feed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/cache"
	"github.com/sierpi/sierpi/system/systemtest"
)

// TestMain runs, where the environment asks for it, one instance of the service as
// a process of its own.
func TestMain(m *testing.M) {
	if up := os.Getenv("FEED_TEST_INSTANCE"); up != "" {
		runInstance(up, os.Getenv("FEED_TEST_MEMCACHED"))
		return
	}
	os.Exit(m.Run())
}

// leaseTime is the instances' time for one poll, after which the lease of a dead
// one ends: longer than the slowest upstream here, on a busy machine.
const leaseTime = 8 * time.Second

func runInstance(up, memcached string) {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := cache.Open(cache.Options{Memcached: []string{memcached}, Logger: log})
	if err != nil {
		panic(err)
	}
	s, err := New(Options{Sources: []Source{{Name: "A", URL: up}}, AllowPrivate: []string{"127.0.0.1"}, Cache: c, Logger: log, Timeout: leaseTime})
	if err != nil {
		panic(err)
	}
	go func() { _ = s.Run(context.Background()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("LISTENING", l.Addr())
	mux := http.NewServeMux()
	for _, r := range s.Routes()[1:5] { // those without a look
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	panic(http.Serve(l, mux))
}

// instance is a daemon in a process of its own.
type instance struct {
	cmd     *exec.Cmd
	url     string
	polling chan struct{} // closed when it asks the publisher
}

func startInstance(t *testing.T, up, memcached string) *instance {
	t.Helper()
	i := &instance{cmd: exec.Command(os.Args[0]), polling: make(chan struct{})}
	i.cmd.Env = append(os.Environ(), "FEED_TEST_INSTANCE="+up, "FEED_TEST_MEMCACHED="+memcached)
	i.cmd.Stderr = os.Stderr
	stdout, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); errors.Is(err, syscall.ENOEXEC) {
		systemtest.Absent(t, "this program cannot start itself: it runs under emulation")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.cmd.Process.Kill(); _ = i.cmd.Wait() })
	listening := make(chan string, 1)
	go func() {
		once := sync.OnceFunc(func() { close(i.polling) })
		for in := bufio.NewScanner(stdout); in.Scan(); {
			if addr, ok := strings.CutPrefix(in.Text(), "LISTENING "); ok {
				listening <- addr
			}
			if strings.Contains(in.Text(), "polling a feed\"") {
				once()
			}
		}
		close(listening)
	}()
	addr, ok := <-listening
	if !ok {
		t.Fatal("an instance ended before it listened")
	}
	i.url = "http://" + addr
	return i
}

func startMemcached(t *testing.T) string {
	t.Helper()
	path := systemtest.Tool(t, "memcached", "memcached")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "memcached listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

// expired fills memcached with a copy that was polled three hours ago.
func expired(t *testing.T, up *upstream, memcached string) {
	t.Helper()
	c, err := cache.Open(cache.Options{Memcached: []string{memcached}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-3 * time.Hour)
	_, pages, stop := start(t, Options{Sources: []Source{{Name: "A", URL: up.URL}}, Cache: c, Now: func() time.Time { return ago }})
	if n := len(feedJSON(t, pages).Items); n != 1 {
		t.Fatalf("%d items", n)
	}
	stop()
	up.hits.Store(0)
}

// crowd asks all instances at once and holds that every answer is the last good
// copy.
func crowd(t *testing.T, instances []*instance, clients int, want string) {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 200}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for i := range clients {
		wg.Go(func() {
			resp, err := client.Get(instances[i%len(instances)].url + "/feed.json")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			var f outFeed
			if err != nil || json.Unmarshal(b, &f) != nil || len(f.Items) == 0 || f.Items[0].Title != want {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d answers were not the last good copy", n, clients)
	}
}

func everywhere(t *testing.T, instances []*instance, want string) {
	t.Helper()
	for _, i := range instances {
		eventually(t, "every instance shows the new copy", func() bool {
			return feedJSON(t, &httptest.Server{URL: i.url}).Items[0].Title == want
		})
	}
}

// TestStampede: over 1, 2 and 5 processes on one memcached, 100 and 1,000 clients
// onto an expired entry whose upstream takes 3 seconds, and longer than it takes to
// answer them all, make exactly one upstream request: every answer comes while it is
// under way.
func TestStampede(t *testing.T) {
	for _, tc := range []struct{ instances, clients int }{{1, 100}, {2, 100}, {5, 100}, {1, 1000}, {2, 1000}, {5, 1000}} {
		if testing.Short() && tc.clients*tc.instances > 100 {
			continue // the same with more of each
		}
		t.Run(fmt.Sprintf("%d processes, %d clients", tc.instances, tc.clients), func(t *testing.T) {
			memcached := startMemcached(t)
			up := newUpstream(t, releases("Old.Show.S01E01.720p.WEB.h264-X"))
			expired(t, up, memcached)
			answered := make(chan struct{})
			arrived := make(chan struct{}, 10)
			up.set(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				slow := time.After(3 * time.Second) // the case as it was put
				<-answered
				<-slow
				releases("New.Show.S01E02.720p.WEB.h264-X", "Old.Show.S01E01.720p.WEB.h264-X")(w, r)
			})
			var all []*instance
			for range tc.instances {
				all = append(all, startInstance(t, up.URL, memcached))
			}
			<-arrived
			crowd(t, all, tc.clients, "Old Show S01E01")
			close(answered)
			everywhere(t, all, "New Show S01E02")
			if n := up.hits.Load(); n != 1 {
				t.Errorf("%d upstream requests, want exactly 1", n)
			}
		})
	}
}

// TestHolderKilled: when the process that polls is killed, exactly one other takes
// over, and the rest answer all the while.
func TestHolderKilled(t *testing.T) {
	for _, tc := range []struct{ instances, clients int }{{2, 100}, {5, 1000}} {
		if testing.Short() && tc.instances > 2 {
			continue
		}
		t.Run(fmt.Sprintf("%d processes, %d clients", tc.instances, tc.clients), func(t *testing.T) {
			memcached := startMemcached(t)
			up := newUpstream(t, releases("Old.Show.S01E01.720p.WEB.h264-X"))
			expired(t, up, memcached)
			arrived := make(chan struct{}, 10)
			var first atomic.Bool
			up.set(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				if first.CompareAndSwap(false, true) {
					<-r.Context().Done() // its process dies
					return
				}
				<-time.After(3 * time.Second) // the case as it was put
				releases("New.Show.S01E02.720p.WEB.h264-X")(w, r)
			})
			var all, rest []*instance
			for range tc.instances {
				all = append(all, startInstance(t, up.URL, memcached))
			}
			<-arrived
			eventually(t, "one process says that it polls", func() bool {
				rest = nil
				for _, i := range all {
					select {
					case <-i.polling:
					default:
						rest = append(rest, i)
					}
				}
				return len(rest) == len(all)-1
			})
			for _, i := range all {
				if !slices.Contains(rest, i) { // it holds the lease
					if err := i.cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			crowd(t, rest, tc.clients, "Old Show S01E01")
			everywhere(t, rest, "New Show S01E02")
			if n := up.hits.Load(); n != 2 {
				t.Errorf("%d upstream requests, want exactly 2", n)
			}
		})
	}
}
