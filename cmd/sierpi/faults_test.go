package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/system/systemtest"
)

// What goes wrong around the daemon while it runs: it goes on, says so on a page that stays
// useful, and is whole again when the fault is over. docs/faults.md lists them all.

// person is somebody with an address of his own, so that the limits count him by himself,
// and the chat's cookie, by which what he repeats is known.
type person struct {
	*http.Client
	token string
}

func from(n int) person {
	ip := net.IPv4(127, 0, 1, byte(n+1))
	return person{&http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: 10 * time.Second}).DialContext}}, fmt.Sprintf("a-person-of-the-test-%d", n)}
}

// say posts to the chat, once: nil when it was acknowledged.
func say(ctx context.Context, c person, pages, key, text string) error {
	body, err := json.Marshal(map[string]string{"key": key, "name": "tester", "text": text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", pages+"/json/chat/lobby", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.AddCookie(&http.Cookie{Name: "sierpi_chat", Value: c.token})
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return err
}

// useful holds that these pages answer in the look, whatever is wrong.
func useful(t *testing.T, d *process, pages ...string) {
	t.Helper()
	for _, path := range pages {
		if !strings.Contains(d.get(path), "<main") {
			t.Errorf("%s is no page of ours", path)
		}
	}
}

// fieldsOf are the fields of a connection string such as "host=/tmp user=postgres".
func fieldsOf(dsn string) map[string]string {
	fields := map[string]string{}
	for field := range strings.FieldsSeq(dsn) {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	return fields
}

// serviceManager hears what a daemon tells systemd, at the socket's path.
func serviceManager(t *testing.T) (path string, manager *net.UnixConn) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	return path, manager
}

// fed holds that the service manager is told so often that the daemon is well. More than its
// queue holds, so that some of it is of now.
func fed(t *testing.T, manager *net.UnixConn, times int) {
	t.Helper()
	_ = manager.SetReadDeadline(time.Now().Add(time.Minute))
	for buf := make([]byte, 4096); times > 0; {
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatalf("the watchdog was not fed: %v", err)
		}
		times -= strings.Count(string(buf[:n]), "WATCHDOG=1")
	}
}

// paints holds that a screen gets frames.
func (w *wallScreen) paints(t *testing.T, when string) {
	t.Helper()
	before := w.frame()
	w.await(t, "frames "+when, func(w *wallScreen) bool { return w.last > before+10 })
}

// TestFaultServers takes PostgreSQL and memcached away from under the daemon, and gives them back.
func TestFaultServers(t *testing.T) {
	server := storetest.Postgres(t)
	values := fieldsOf(server.Database(t))
	memcached := freeAddress(t)
	host, port, err := net.SplitHostPort(memcached)
	if err != nil {
		t.Fatal(err)
	}
	program := systemtest.Tool(t, "memcached", "memcached")
	var running *exec.Cmd
	remember := func() {
		running = exec.Command(program, "-u", "nobody", "-l", host, "-p", port)
		running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
	}
	forget := func() { _ = running.Process.Kill(); _ = running.Wait() }
	remember()
	t.Cleanup(func() { forget() })
	notify, manager := serviceManager(t)
	d := startAs(t, filepath.Join(t.TempDir(), "state"), func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=1000000")
	}, "--config", configFile(t, fmt.Sprintf(`
[store]
dsn = 'postgres:///%s?host=%s&user=%s'
[cache]
layers = ["memory", "memcached"]
memcached = ["%s"]
[feed]
allow-private = ["127.0.0.1"]
[[feed.source]]
name = "Garden"
url = "%s/rss2.xml"
[chat]
interval = "10ms"
`, values["dbname"], url.QueryEscape(values["host"]), values["user"], memcached, publisher(t))))
	screen := watch(t, d)
	c := from(1)
	if err := say(t.Context(), c, d.pages, "a", "before"); err != nil {
		t.Fatal(err)
	}
	awaitPart(t, d, "feed", "ok")
	forget()
	useful(t, d, "/", "/feed", "/quotes", "/chat/lobby", "/health")
	if err := say(t.Context(), c, d.pages, "b", "without memcached"); err != nil {
		t.Error(err)
	}

	server.Stop(t)
	awaitPart(t, d, "store", "failed")
	useful(t, d, "/", "/feed", "/health", "/life", "/cutout", "/remote")
	if page := d.get("/health"); !strings.Contains(page, "the database does not answer") {
		t.Errorf("the page of health does not say so:\n%s", page)
	}
	screen.paints(t, "without a database")
	// A restart would not bring the database back: systemd must not be made to try.
	fed(t, manager, 20)
	if err := say(t.Context(), c, d.pages, "c", "lost?"); err == nil {
		t.Error("a message was acknowledged without a database")
	}
	for _, path := range []string{"/quotes", "/chat/lobby"} {
		resp, err := http.Get(d.pages + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<main") {
			t.Errorf("%s without a database: %s\n%s", path, resp.Status, body)
		}
	}

	server.Start(t)
	remember()
	awaitPart(t, d, "store", "ok")
	awaitPart(t, d, "chat", "ok")
	if err := say(t.Context(), c, d.pages, "d", "after"); err != nil {
		t.Error(err)
	}
	if page := d.get("/chat/lobby"); !strings.Contains(page, "without memcached") || !strings.Contains(page, "after") {
		t.Errorf("the room has not what was acknowledged:\n%s", page)
	}
}

// TestFaultDatabaseLater boots the appliance before its PostgreSQL is there: the pages say so,
// systemd is content, and when the database comes everything is there. On a terminal the
// same is an error.
func TestFaultDatabaseLater(t *testing.T) {
	server := storetest.Postgres(t)
	values := fieldsOf(server.Database(t))
	server.Stop(t)
	config := configFile(t, fmt.Sprintf("[store]\ndsn = 'postgres:///%s?host=%s&user=%s'\n", values["dbname"], url.QueryEscape(values["host"]), values["user"]))
	if out, err := command(t, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state", t.TempDir(), "--config", config).CombinedOutput(); err == nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("on a terminal: %v\n%s", err, out)
	}

	notify, manager := serviceManager(t)
	listen := freeAddress(t)
	cmd := command(t, "serve", "--listen", listen, "--metrics-listen", "127.0.0.1:0", "--state", t.TempDir(), "--config", config)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=10000000", "INVOCATION_ID=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	d := &process{t: t, cmd: cmd, pages: "http://" + listen}
	d.await("/", http.StatusServiceUnavailable)
	fed(t, manager, 1)
	for path, says := range map[string]string{"/": "<main", "/chat/lobby": "The database does not answer", "/healthz": "The database does not answer"} {
		resp, err := http.Get(d.pages + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), says) || strings.Contains(string(body), values["host"]) {
			t.Errorf("%s: %s\n%s", path, resp.Status, body)
		}
	}
	server.Start(t)
	d.await("/readyz", http.StatusOK)
	useful(t, d, "/", "/chat/lobby", "/quotes")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// TestFaultNetwork boots without a network and gets one later: the page says what is wrong
// meanwhile, and has the feed without anybody's help.
func TestFaultNetwork(t *testing.T) {
	address := freeAddress(t)
	d := start(t, filepath.Join(t.TempDir(), "state"), "--config", configFile(t, fmt.Sprintf("[feed]\nallow-private = [\"127.0.0.1\"]\n[[feed.source]]\nname = \"Garden\"\nurl = \"http://%s/feed\"\n[[feed.source]]\nname = \"Nowhere\"\nurl = \"http://no-such-host.invalid/feed\"\n", address)))
	screen := watch(t, d)
	page := d.get("/feed")
	if !strings.Contains(page, "Nothing was fetched yet") || !strings.Contains(page, "connection refused") {
		t.Errorf("the page does not say what is wrong:\n%s", page)
	}
	screen.paints(t, "without a network")
	useful(t, d, "/", "/health", "/chat/lobby")
	awaitPart(t, d, "feed", "failed")

	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("..", "..", "daemon", "feed", "testdata", "rss2.xml"))
	}))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	awaitPart(t, d, "feed", "stale") // the other host still has no address
	if page := d.get("/feed"); !strings.Contains(page, "kettle") || !strings.Contains(page, "no-such-host") {
		t.Errorf("the network is back:\n%s", page)
	}
}

// TestFaultProcessor gives every processor to others: the wall moves, the pages answer, the
// watchdog is fed.
func TestFaultProcessor(t *testing.T) {
	notify, manager := serviceManager(t)
	d := startAs(t, filepath.Join(t.TempDir(), "state"), func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=2000000")
	})
	screen := watch(t, d)
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, d.cmd.Process.Pid, 10); err != nil {
		t.Fatal(err)
	}
	for range 2 * runtime.NumCPU() {
		hog := exec.Command("sh", "-c", "while :; do :; done")
		hog.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = hog.Process.Kill(); _ = hog.Wait() }()
	}
	for i := range 3 {
		screen.paints(t, "while the processors are taken")
		useful(t, d, "/", "/feed", "/quotes", "/chat/lobby", "/health")
		if err := say(t.Context(), from(i), d.pages, fmt.Sprint(i), "busy"); err != nil {
			t.Error(err)
		}
	}
	fed(t, manager, 20)
	var report struct{ Status string }
	if err := json.Unmarshal([]byte(d.get("/healthz")), &report); err != nil || report.Status != "ok" {
		t.Errorf("%+v, %v", report, err)
	}
}

// memoryGroup makes a control group of that many bytes, and returns the folder.
func memoryGroup(t *testing.T, bytes int64) string {
	t.Helper()
	systemtest.Root(t)
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		systemtest.Absent(t, "control groups: "+err.Error())
	}
	base, limit := "", ""
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && strings.Contains(","+fields[1]+",", ",memory,") {
			base, limit = filepath.Join("/sys/fs/cgroup/memory", fields[2]), "memory.limit_in_bytes"
		} else if len(fields) == 3 && fields[1] == "" && base == "" {
			base, limit = "/sys/fs/cgroup", "memory.max" // the root one: the others hold processes, and may not have children with limits
		}
	}
	dir := filepath.Join(base, "sierpi-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		systemtest.Absent(t, "a memory control group of its own: "+err.Error())
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, limit), []byte(strconv.FormatInt(bytes, 10)), 0o644); err != nil {
		systemtest.Absent(t, "a limit of memory: "+err.Error())
	}
	return dir
}

// TestFaultMemory runs the program in as little memory as a board of 512 MB leaves it, with
// pictures to cut that together need far more, people who chat, and the wall: it is not
// killed, refuses pictures it has no room for, and the wall moves.
func TestFaultMemory(t *testing.T) {
	const limit = 160 << 20
	group := memoryGroup(t, limit)
	// Not this test binary: the race detector takes ten times the memory.
	binary := filepath.Join(t.TempDir(), "sierpi")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := startAs(t, filepath.Join(t.TempDir(), "state"), func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, binary}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	})
	screen := watch(t, d)
	photo := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for i := range photo.Y {
		photo.Y[i] = byte(200 + i%7)
	}
	for y := 1000; y < 2000; y++ {
		for x := 1000; x < 3000; x++ {
			photo.Y[photo.YOffset(x, y)] = 30
		}
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, photo, nil); err != nil {
		t.Fatal(err)
	}
	var cut, refused, said atomic.Int64
	var crowd sync.WaitGroup
	for i := range 8 {
		crowd.Go(func() {
			c := from(i)
			for range 3 {
				resp, err := c.Post(d.pages+"/cutout", "image/jpeg", bytes.NewReader(picture.Bytes()))
				if err != nil {
					t.Errorf("a picture was not answered: %v", err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				switch {
				case err != nil:
					t.Errorf("an answer broke off: %v", err)
				case resp.StatusCode == http.StatusOK:
					cut.Add(1)
				case resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusRequestEntityTooLarge || resp.StatusCode == http.StatusUnprocessableEntity || resp.StatusCode == http.StatusTooManyRequests:
					refused.Add(1)
				default:
					t.Errorf("a picture was answered with %s", resp.Status)
				}
				if say(t.Context(), c, d.pages, fmt.Sprint(i, "-", rand.Uint64()), "still here") == nil {
					said.Add(1)
				}
			}
		})
	}
	screen.paints(t, "while memory is short")
	crowd.Wait()
	screen.paints(t, "after it")
	useful(t, d, "/", "/cutout", "/chat/lobby", "/health")
	if said.Load() == 0 || cut.Load()+refused.Load() != 24 || cut.Load() == 0 {
		t.Errorf("%d cut, %d refused, %d said", cut.Load(), refused.Load(), said.Load())
	}
	t.Logf("in %d MiB: %d pictures of 12 megapixels cut, %d refused, %d messages", limit>>20, cut.Load(), refused.Load(), said.Load())
	if status, _ := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestFaultKilled pulls the daemon's plug every second or so while people chat; the long
// test does it for ten minutes. Each message that was acknowledged is there, once.
func TestFaultKilled(t *testing.T) { killUnderLoad(t, 8*time.Second) }

func killUnderLoad(t *testing.T, length time.Duration) {
	state := filepath.Join(t.TempDir(), "state")
	address := freeAddress(t)
	args := []string{"--listen", address, "--config", configFile(t, "[chat]\nkeep = 100000\ninterval = \"10ms\"\nburst = 100\n")}
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var acknowledged sync.Map
	var count atomic.Int64
	var people sync.WaitGroup
	for who := range 6 {
		people.Go(func() {
			c := from(who)
			pause := time.NewTicker(15 * time.Millisecond) // as fast as the limit allows
			defer pause.Stop()
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d-%d", who, n)
				for { // the page repeats a message, under its key, until it is acknowledged
					if say(ctx, c, "http://"+address, key, "message "+key) == nil {
						acknowledged.Store("message "+key, nil)
						count.Add(1)
						break
					}
					select {
					case <-ctx.Done():
						return
					case <-pause.C:
					}
				}
				select {
				case <-ctx.Done():
					return
				case <-pause.C:
				}
			}
		})
	}
	kills := 0
	for ctx.Err() == nil {
		d := start(t, state, args...)
		if page := d.get("/"); !strings.Contains(page, "<main") {
			t.Errorf("after %d kills the first page is\n%s", kills, page)
		}
		select {
		case <-time.After(time.Duration(100+rand.IntN(2000)) * time.Millisecond): // the plug is pulled at any moment
		case <-ctx.Done():
		}
		_, _ = d.end(syscall.SIGKILL)
		kills++
	}
	people.Wait()
	db, err := store.Open(t.Context(), store.Options{Dir: state, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found := map[string]int{}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), "SELECT text FROM chat_message")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			found[text]++
		}
		var verdict string
		return errors.Join(rows.Err(), tx.QueryRowContext(t.Context(), "PRAGMA quick_check").Scan(&verdict), whole(&verdict))
	})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged.Range(func(text, _ any) bool {
		if found[text.(string)] != 1 {
			t.Errorf("%q was acknowledged and is there %d times", text, found[text.(string)])
		}
		return true
	})
	for text, n := range found {
		if n > 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
	if kills < 2 || count.Load() < 20 {
		t.Errorf("%d kills, %d messages: nothing was tried", kills, count.Load())
	}
	t.Logf("killed %d times; %d messages acknowledged, all there", kills, count.Load())
}

func whole(verdict *string) error {
	if *verdict != "ok" {
		return fmt.Errorf("the database is damaged: %s", *verdict)
	}
	return nil
}
