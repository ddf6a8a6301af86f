package chat

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// BenchmarkWaiters holds 1,000 and 10,000 open polls and posts to all of them:
//
//	go test -run '^$' -bench Waiters -benchtime 5x ./daemon/chat
//
// It prints the server's memory for each waiter, the time from the post to the
// arrival of the answers, and the server's processor time for each post and
// waiter; beside a bare net/http long poll, which is the least a Go program can
// spend, and Debian's nginx with nchan where it is installed. Clients and server
// share the machine, so compare within one run only.
func BenchmarkWaiters(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		for _, peer := range []struct {
			name  string
			start func(*testing.B) waiterServer
		}{{"sierpi", startSierpi}, {"bare", startBare}, {"nchan", startNchan}} {
			b.Run(fmt.Sprintf("%s/waiters=%d", peer.name, n), func(b *testing.B) { benchWaiters(b, peer.start(b), n) })
		}
	}
}

// waiterServer is a server under measurement.
type waiterServer struct {
	addr string
	pid  int
	// poll is the request with which client i waits for what comes after round
	// posts; post sends a message.
	poll func(i, round int) string
	post func(round int)
}

func benchWaiters(b *testing.B, s waiterServer, n int) {
	conns := make([]net.Conn, n)
	readers := make([]*bufio.Reader, n)
	before := rss(b, s.pid)
	for i := range n {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i], readers[i] = c, bufio.NewReaderSize(c, 1024)
	}
	var memory int64
	var took []time.Duration
	cpu := processorTime(b, s.pid)
	rounds := 0
	for b.Loop() {
		for i, c := range conns {
			if _, err := io.WriteString(c, s.poll(i, rounds)); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(time.Duration(n) * 200 * time.Microsecond) // until the last request has been taken in
		memory = max(memory, rss(b, s.pid)-before)
		arrived := make([]time.Duration, n)
		var wg sync.WaitGroup
		var start time.Time
		ready := make(chan struct{})
		for i, r := range readers {
			wg.Go(func() {
				<-ready
				resp, err := http.ReadResponse(r, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode != 200 {
					b.Errorf("waiter %d: %v %v", i, resp, err)
				}
				arrived[i] = time.Since(start)
			})
		}
		start = time.Now()
		close(ready)
		s.post(rounds)
		wg.Wait()
		took = append(took, arrived...)
		rounds++
	}
	slices.Sort(took)
	b.ReportMetric(float64(memory)/float64(n), "B/waiter")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64((processorTime(b, s.pid)-cpu).Microseconds())/float64(rounds*n), "cpu-us/waiter")
}

func rss(b *testing.B, pid int) int64 {
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(f)) {
		if f := strings.Fields(line); f[0] == "Rss:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	b.Fatal("no Rss")
	return 0
}

func processorTime(b *testing.B, pid int) time.Duration {
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(f), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	sys, _ := strconv.Atoi(fields[12])
	return time.Duration(user+sys) * 10 * time.Millisecond
}

func freeAddr(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func awaitServer(b *testing.B, addr string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
	}
	b.Fatalf("%s does not answer", addr)
}

func raw(method, addr, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, addr, len(body), body)
}

// child starts this test binary as a server.
func child(b *testing.B, addr string, env ...string) int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "SIERPI_CHAT_DAEMON="+addr), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitServer(b, addr)
	return cmd.Process.Pid
}

func startSierpi(b *testing.B) waiterServer {
	addr := freeAddr(b)
	pid := child(b, addr, "SIERPI_CHAT_DIR="+b.TempDir(), "SIERPI_CHAT_HOLD=10m")
	var snap Snapshot
	if _, err := try(context.Background(), "GET", "http://"+addr+"/json/chat/room0", "x", nil, &snap); err != nil {
		b.Fatal(err)
	}
	at := []string{snap.Cursor}
	return waiterServer{addr: addr, pid: pid,
		poll: func(i, round int) string {
			body, _ := json.Marshal(Poll{Client: fmt.Sprint("c", i), Cursors: at[round:]})
			return raw("POST", addr, "/json/chat-poll", string(body))
		},
		post: func(round int) {
			var m Message
			if _, err := try(context.Background(), "POST", "http://"+addr+"/json/chat/room0", "x", postBody{fmt.Sprint("k", round), "x", strings.Repeat("x", 100)}, &m); err != nil {
				b.Error(err)
			}
			c, _ := parseCursor(at[round])
			c.version = m.ID
			at = append(at, c.String())
		}}
}

func startBare(b *testing.B) waiterServer {
	addr := freeAddr(b)
	pid := child(b, addr, "SIERPI_CHAT_PLANT=bare")
	return waiterServer{addr: addr, pid: pid,
		poll: func(int, int) string { return raw("GET", addr, "/", "") },
		post: func(int) {
			resp, err := http.Post("http://"+addr+"/", "text/plain", strings.NewReader(strings.Repeat("x", 250)))
			if err != nil {
				b.Error(err)
				return
			}
			resp.Body.Close()
		}}
}

// bareServer is the least that a long poll needs.
func bareServer(addr string) error {
	var mu sync.Mutex
	wake := make(chan struct{})
	var news []byte
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			news = body
			close(wake)
			wake = make(chan struct{})
			mu.Unlock()
			return
		}
		mu.Lock()
		mine := wake
		mu.Unlock()
		hold := time.NewTimer(10 * time.Minute)
		defer hold.Stop()
		select {
		case <-mine:
		case <-hold.C:
		case <-r.Context().Done():
		}
		mu.Lock()
		out := news
		mu.Unlock()
		_, _ = w.Write(out)
	}))
}

func startNchan(b *testing.B) waiterServer {
	const module = "/usr/lib/nginx/modules/ngx_nchan_module.so"
	nginx := systemtest.Tool(b, "nginx", "nginx")
	if _, err := os.Stat(module); err != nil {
		systemtest.Missing(b, "nchan is not installed (apt-get install libnginx-mod-nchan)")
	}
	dir, addr := b.TempDir(), freeAddr(b)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `load_module %s;
daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 30000; }
worker_rlimit_nofile 40000;
http { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
 keepalive_requests 1000000;
 server { listen %s;
  location = /sub { nchan_subscriber longpoll; nchan_channel_id room; nchan_subscriber_first_message newest; nchan_subscriber_timeout 0; }
  location = /pub { nchan_publisher; nchan_channel_id room; nchan_message_buffer_length 0; } } }
`, module, dir, dir, dir, dir, dir, dir, dir, addr), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(nginx, "-c", conf, "-p", dir, "-e", dir+"/error.log")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitServer(b, addr)
	return waiterServer{addr: addr, pid: cmd.Process.Pid,
		poll: func(int, int) string { return raw("GET", addr, "/sub", "") },
		post: func(int) {
			resp, err := http.Post("http://"+addr+"/pub", "text/plain", strings.NewReader(strings.Repeat("x", 250)))
			if err != nil {
				b.Error(err)
				return
			}
			resp.Body.Close()
		}}
}
