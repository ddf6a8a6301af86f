//go:build long

package chat

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/systemtest"
)

// peers are the servers that hold the same waiters, ours first.
var peers = []struct {
	name  string
	must  bool // hold them all
	start func(t *testing.T, waiters int) waiterServer
}{
	{"sierpi", true, startSierpi},
	{"net/http alone", true, startBare},
	{"nginx, nchan", true, startNchan},
	{"Tornado", false, startTornado},
	{"Django, gunicorn threads", false, startDjango},
}

// TestBenchChat holds 1,000 and 10,000 open polls and posts to all of them:
//
//	go test -count=1 -tags long -timeout 1h ./daemon/chat -run TestBenchChat
//
// It prints the server's memory for each waiter, the time from the post to the
// arrival of the answers (sierpi's post is on the disk before anybody hears of it,
// the others keep none), and the server's processor time for each answer; beside
// a bare net/http long poll, which is the least a Go program can spend, Debian's
// nginx with nchan, Tornado, and Django in gunicorn's threads. Clients and server
// share the machine, so compare within one run only. It needs nginx,
// libnginx-mod-nchan, python3-tornado, python3-django and gunicorn.
func TestBenchChat(t *testing.T) {
	for _, waiters := range []int{1000, 10_000} {
		fmt.Printf("\n%d waiters, %d posts of 250 bytes to all of them.\n\n", waiters, posts)
		fmt.Println("| server | memory a waiter | first answer | fan-out p50 | p99 | processor an answer |")
		fmt.Println("| --- | --- | --- | --- | --- | --- |")
		seen := map[string]figures{}
		for _, peer := range peers {
			t.Run(strings.ReplaceAll(peer.name, "/", "-")+fmt.Sprint(waiters), func(t *testing.T) {
				f, err := measure(t, peer.start(t, waiters), waiters)
				if err != nil {
					if peer.must {
						t.Fatal(err)
					}
					fmt.Printf("| %s | does not hold them: %v | | | | |\n", peer.name, err)
					return
				}
				seen[peer.name] = f
				fmt.Printf("| %s | %.1f kB | %.0f ms | %.0f ms | %.0f ms | %.0f us |\n", peer.name, float64(f.memory)/1000, f.first, f.p50, f.p99, f.processor)
			})
		}
		us, bare, nchan := seen["sierpi"], seen["net/http alone"], seen["nginx, nchan"]
		fmt.Printf("\nMemory is %.2f times net/http's (aim: at most 1.3). ", float64(us.memory)/float64(cmp.Or(bare.memory, 1)))
		if waiters == 1000 {
			fmt.Printf("p99 is %.2f times nchan's (aim: at most 2).\n", us.p99/nchan.p99)
		} else {
			fmt.Printf("p99 is %.0f ms (aim: at most 500).\n", us.p99)
		}
	}
}

// posts is how often all waiters are woken.
const posts = 21

// figures are what was measured of a server.
type figures struct {
	memory    int64   // bytes a waiter
	first     float64 // ms from the post to the arrival of the first answer, the median of all posts
	p50, p99  float64 // and of an answer
	processor float64 // us an answer
}

// waiterServer is a server under measurement.
type waiterServer struct {
	addr string
	pid  int
	// poll is the request with which client i waits for what comes after round
	// posts; post sends a message.
	poll func(i, round int) string
	post func(round int) error
}

func measure(t *testing.T, s waiterServer, n int) (figures, error) {
	conns := make([]net.Conn, n)
	readers := make([]*bufio.Reader, n)
	before := rss(t, s.pid)
	for i := range n {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			return figures{}, err
		}
		defer c.Close()
		conns[i], readers[i] = c, bufio.NewReaderSize(c, 1024)
	}
	var memory int64
	var took, firsts []time.Duration
	var wrong error
	cpu := processorTime(t, s.pid)
	for round := range posts {
		for i, c := range conns {
			if _, err := io.WriteString(c, s.poll(i, round)); err != nil {
				return figures{}, err
			}
		}
		if err := settle(t, s.pid); err != nil {
			return figures{}, err
		}
		memory = max(memory, rss(t, s.pid)-before)
		arrived := make([]time.Duration, n)
		failed := make([]error, n)
		var wg sync.WaitGroup
		var start time.Time
		ready := make(chan struct{})
		for i, r := range readers {
			wg.Go(func() {
				<-ready
				_ = conns[i].SetReadDeadline(time.Now().Add(time.Minute))
				failed[i] = readAnswer(r)
				arrived[i] = time.Since(start)
			})
		}
		start = time.Now()
		close(ready)
		if err := s.post(round); err != nil {
			wrong = err
			for _, c := range conns {
				c.Close()
			}
		}
		wg.Wait()
		for i, err := range failed {
			if wrong = cmp.Or(wrong, err); err != nil {
				return figures{}, fmt.Errorf("waiter %d in round %d: %w", i, round, wrong)
			}
		}
		took, firsts = append(took, arrived...), append(firsts, slices.Min(arrived))
	}
	slices.Sort(took)
	slices.Sort(firsts)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return figures{memory / int64(n), ms(firsts[len(firsts)/2]), ms(took[len(took)/2]), ms(took[len(took)*99/100]),
		float64((processorTime(t, s.pid) - cpu).Microseconds()) / float64(posts*n)}, nil
}

// readAnswer reads an answer with status 200 and nothing more. It costs the machine, which
// it shares with the server, less than http.ReadResponse.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("the answer begins with %q", line)
	}
	length, chunked := int64(-1), false
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	switch {
	case chunked:
		if _, err = io.Copy(io.Discard, httputil.NewChunkedReader(r)); err == nil {
			_, err = r.ReadSlice('\n') // the empty line after the last chunk
		}
	case length >= 0:
		_, err = r.Discard(int(length))
	default:
		err = errors.New("the answer has no length")
	}
	return err
}

// settle waits until the server has taken in what was sent: its processor rests, but for
// what some do all the time, at most a tenth of a core.
func settle(t *testing.T, pid int) error {
	t.Helper()
	const look, most = 500 * time.Millisecond, 2 * time.Minute
	for end, last := time.Now().Add(most), processorTime(t, pid); time.Now().Before(end); {
		time.Sleep(look)
		now := processorTime(t, pid)
		if now-last <= look/10 {
			return nil
		}
		last = now
	}
	return fmt.Errorf("it is busy for %v with taking the polls in", most)
}

// family is a process and the children of its main thread; of a server with thousands of
// threads all others would be looked at in vain.
func family(pid int) []int {
	out := []int{pid}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(b)) {
		if n, err := strconv.Atoi(child); err == nil {
			out = append(out, family(n)...)
		}
	}
	return out
}

// rss is the memory of a server and its children, in bytes.
func rss(t *testing.T, pid int) (sum int64) {
	t.Helper()
	for _, pid := range family(pid) {
		f, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(f)) {
			if f := strings.Fields(line); f[0] == "Rss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kb << 10
			}
		}
	}
	return sum
}

// processorTime is what a server and its children have used.
func processorTime(t *testing.T, pid int) (sum time.Duration) {
	t.Helper()
	for _, pid := range family(pid) {
		f, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(f), ") ")
		fields := strings.Fields(rest)
		user, _ := strconv.Atoi(fields[11])
		sys, _ := strconv.Atoi(fields[12])
		sum += time.Duration(user+sys) * 10 * time.Millisecond
	}
	return sum
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func awaitServer(t *testing.T, addr string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("%s does not answer", addr)
}

func raw(method, addr, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, addr, len(body), body)
}

// serve starts a server, which dies with the test.
func serve(t *testing.T, addr string, cmd *exec.Cmd) int {
	t.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		all := family(cmd.Process.Pid)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(5*time.Second, func() { // gunicorn's children do not die with it
			for _, pid := range all {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		_ = cmd.Wait()
		stop.Stop()
	})
	awaitServer(t, addr)
	return cmd.Process.Pid
}

// child starts this test binary as a server.
func child(t *testing.T, addr string, env ...string) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "SIERPI_CHAT_DAEMON="+addr), env...)
	return serve(t, addr, cmd)
}

// send posts a message of 250 bytes, as the peers take it.
func send(address string) error {
	resp, err := http.Post(address, "text/plain", strings.NewReader(strings.Repeat("x", 250)))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func startSierpi(t *testing.T, _ int) waiterServer {
	addr, dir := freeAddr(t), t.TempDir()
	// As after the first start ever: making the tables takes memory once.
	db, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	pid := child(t, addr, "SIERPI_CHAT_DIR="+dir, "SIERPI_CHAT_HOLD=10m")
	var snap Snapshot
	if _, err := try(context.Background(), "GET", "http://"+addr+"/json/chat/room0", "x", nil, &snap); err != nil {
		t.Fatal(err)
	}
	at := []string{snap.Cursor}
	return waiterServer{addr: addr, pid: pid,
		poll: func(i, round int) string {
			body, _ := json.Marshal(Poll{Client: fmt.Sprint("c", i), Cursors: at[round:]})
			return raw("POST", addr, "/json/chat-poll", string(body))
		},
		post: func(round int) error {
			var m Message
			if _, err := try(context.Background(), "POST", "http://"+addr+"/json/chat/room0", "x", postBody{fmt.Sprint("k", round), "x", strings.Repeat("x", 100)}, &m); err != nil {
				return err
			}
			c, err := parseCursor(at[round])
			if err != nil {
				return err
			}
			c.version = m.ID
			at = append(at, c.String())
			return nil
		}}
}

func startBare(t *testing.T, _ int) waiterServer {
	addr := freeAddr(t)
	pid := child(t, addr, "SIERPI_CHAT_PLANT=bare")
	return waiterServer{addr: addr, pid: pid,
		poll: func(int, int) string { return raw("GET", addr, "/", "") },
		post: func(int) error { return send("http://" + addr + "/") }}
}

func startNchan(t *testing.T, _ int) waiterServer {
	const module = "/usr/lib/nginx/modules/ngx_nchan_module.so"
	nginx := systemtest.Tool(t, "nginx", "nginx")
	if _, err := os.Stat(module); err != nil {
		systemtest.Missing(t, "nchan is not installed (apt-get install libnginx-mod-nchan)")
	}
	dir, addr := t.TempDir(), freeAddr(t)
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
		t.Fatal(err)
	}
	pid := serve(t, addr, exec.Command(nginx, "-c", conf, "-p", dir, "-e", dir+"/error.log"))
	return waiterServer{addr: addr, pid: pid,
		poll: func(int, int) string { return raw("GET", addr, "/sub", "") },
		post: func(int) error { return send("http://" + addr + "/pub") }}
}

// python makes sure that Debian's Python has a module.
func python(t *testing.T, module, debianPackage string) {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import "+module).CombinedOutput(); err != nil {
		t.Fatalf("the peer is not installed (apt-get install %s): %v\n%s", debianPackage, err, out)
	}
}

func startTornado(t *testing.T, _ int) waiterServer {
	python(t, "tornado", "python3-tornado")
	addr := freeAddr(t)
	pid := serve(t, addr, exec.Command("/usr/bin/python3", "testdata/tornado_peer.py", addr))
	return waiterServer{addr: addr, pid: pid,
		poll: func(int, int) string { return raw("GET", addr, "/", "") },
		post: func(int) error { return send("http://" + addr + "/") }}
}

func startDjango(t *testing.T, waiters int) waiterServer {
	python(t, "django, gunicorn", "python3-django gunicorn")
	addr := freeAddr(t)
	more := fmt.Sprint(waiters + 50)
	cmd := exec.Command(systemtest.Tool(t, "gunicorn", "gunicorn"), "--worker-class", "gthread", "--workers", "1", "--threads", more,
		"--worker-connections", fmt.Sprint(2*waiters+100), "--backlog", "4096", "--timeout", "0", "--keep-alive", "3600", "--log-level", "error", "-b", addr, "django_peer:application")
	cmd.Dir = "testdata"
	pid := serve(t, addr, cmd)
	return waiterServer{addr: addr, pid: pid,
		poll: func(int, int) string { return raw("GET", addr, "/", "") },
		post: func(int) error { return send("http://" + addr + "/") }}
}
