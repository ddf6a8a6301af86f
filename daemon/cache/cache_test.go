package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

var quiet = slog.New(slog.DiscardHandler)

// memcached is Debian's server on a free loopback port.
type memcached struct {
	addr string
	cmd  *exec.Cmd
}

func startMemcached(t testing.TB, addr string) *memcached {
	t.Helper()
	path := systemtest.Tool(t, "memcached", "memcached")
	if addr == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr = l.Addr().String()
		_ = l.Close()
	}
	_, port, _ := net.SplitHostPort(addr)
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	m := &memcached{addr: addr, cmd: exec.Command(path, args...)}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	for range 500 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return m
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("memcached did not start")
	return nil
}

func (m *memcached) stop() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

func newPool(t testing.TB, addrs ...string) *Memcached {
	t.Helper()
	m, err := NewMemcached(addrs, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func newDisk(t testing.TB) *Disk {
	t.Helper()
	d, err := NewDisk(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestConformance is what every cache promises.
func TestConformance(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) Cache{
		"memory":    func(t *testing.T) Cache { return NewMemory(4 << 20) },
		"disk":      func(t *testing.T) Cache { return newDisk(t) },
		"memcached": func(t *testing.T) Cache { return newPool(t, startMemcached(t, "").addr) },
		"pool": func(t *testing.T) Cache {
			return newPool(t, startMemcached(t, "").addr, startMemcached(t, "").addr, startMemcached(t, "").addr)
		},
		"memory and memcached, from options": func(t *testing.T) Cache {
			return opened(t, Options{Layers: []string{"memory", "memcached"}, Memcached: []string{startMemcached(t, "").addr}})
		},
		"disk alone, from options": func(t *testing.T) Cache {
			return opened(t, Options{Layers: []string{"disk"}, Dir: t.TempDir(), Disk: 16 << 20})
		},
		"stack": func(t *testing.T) Cache {
			return NewStack(quiet, NewMemory(4<<20), newDisk(t), newPool(t, startMemcached(t, "").addr))
		},
	} {
		t.Run(name, func(t *testing.T) { conformance(t, open(t)) })
	}
}

func opened(t *testing.T, o Options) *Stack {
	t.Helper()
	o.Logger = quiet
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLayers: which caches there are, and in which order, is the owner's to say.
func TestLayers(t *testing.T) {
	dir, servers := t.TempDir(), []string{"127.0.0.1:1"}
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "memory"},
		{Options{Dir: dir}, "memory+disk"},
		{Options{Dir: dir, Memcached: servers}, "memory+disk+memcached"},
		{Options{Dir: dir, Memcached: servers, Layers: []string{"memory", "memcached"}}, "memory+memcached"},
		{Options{Dir: dir, Memcached: servers, Layers: []string{"disk"}}, "disk"},
		{Options{Dir: dir, Memcached: servers, Layers: []string{"memcached", "disk"}}, "memcached+disk"},
	} {
		if got := opened(t, tc.o).String(); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.o, got, tc.want)
		}
	}
	for _, o := range []Options{{Layers: []string{"redis"}}, {Layers: []string{"memcached"}}, {Layers: []string{"memory", "disk"}, Dir: "/proc/nowhere"}} {
		if s, err := Open(o); err == nil {
			t.Errorf("%+v opened %s", o, s)
		}
	}
}

func conformance(t *testing.T, c Cache) {
	ctx := context.Background()
	if _, err := c.Get(ctx, "nothing"); !errors.Is(err, ErrMissing) {
		t.Errorf("Get of nothing: %v, want ErrMissing", err)
	}
	if err := c.Delete(ctx, "nothing"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	now := time.Now()
	big := bytes.Repeat([]byte("0123456789abcdef"), MaxValue/16)
	for key, e := range map[string]Entry{
		"plain":                       {Value: []byte("text"), Made: now, Fresh: time.Hour, Stale: 2 * time.Hour, Cost: 3 * time.Second},
		"empty value":                 {Value: []byte{}, Made: now, Fresh: time.Hour},
		"":                            {Value: []byte("an empty key is a key"), Made: now},
		"key with spaces\r\nand more": {Value: []byte("VALUE x 0 1\r\nEND\r\n"), Made: now},
		strings.Repeat("long ", 200):  {Value: []byte{0, 1, 2, 255}, Made: now},
		"large":                       {Value: big, Made: now},
		"stale":                       {Value: []byte("old but good"), Made: now.Add(-time.Hour), Fresh: time.Minute},
		"from the future":             {Value: []byte("the clock was turned back"), Made: now.Add(30 * 365 * 24 * time.Hour), Fresh: time.Hour, Stale: 2 * time.Hour},
		"far end":                     {Value: []byte("x"), Made: now, Stale: 100 * 365 * 24 * time.Hour},
	} {
		if err := c.Set(ctx, key, e); err != nil {
			t.Errorf("Set %.20q: %v", key, err)
			continue
		}
		got, err := c.Get(ctx, key)
		if err != nil {
			t.Errorf("Get %.20q: %v", key, err)
			continue
		}
		if !bytes.Equal(got.Value, e.Value) || !got.Made.Equal(e.Made) || got.Fresh != e.Fresh || got.Stale != e.Stale || got.Cost != e.Cost {
			t.Errorf("Get %.20q differs from what was set: %v %v %v %v", key, got.Made, got.Fresh, got.Stale, got.Cost)
		}
		if got.At(now) != e.At(now) {
			t.Errorf("%.20q: freshness %v, want %v", key, got.At(now), e.At(now))
		}
	}
	if err := c.Set(ctx, "too large", Entry{Value: make([]byte, MaxValue+1), Made: now}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Set of too much: %v, want ErrTooLarge", err)
	}
	if err := c.Set(ctx, "expired", Entry{Value: []byte("x"), Made: now.Add(-time.Hour), Fresh: time.Minute, Stale: 2 * time.Minute}); err != nil {
		t.Errorf("Set of an expired entry: %v", err)
	}
	if _, err := c.Get(ctx, "expired"); !errors.Is(err, ErrMissing) {
		t.Errorf("Get of an expired entry: %v, want ErrMissing", err)
	}
	if err := c.Set(ctx, "plain", Entry{Value: []byte("newer"), Made: now}); err != nil {
		t.Error(err)
	}
	if got, err := c.Get(ctx, "plain"); err != nil || string(got.Value) != "newer" {
		t.Errorf("after replacing: %q, %v", got.Value, err)
	}
	if err := c.Delete(ctx, "plain"); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, "plain"); !errors.Is(err, ErrMissing) {
		t.Errorf("after Delete: %v, want ErrMissing", err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				key := fmt.Sprint("key ", j%5)
				want := fmt.Sprint(key, " value ")
				if err := c.Set(ctx, key, Entry{Value: fmt.Append(nil, want, i), Made: now}); err != nil {
					t.Error(err)
				}
				if e, err := c.Get(ctx, key); err != nil || !strings.HasPrefix(string(e.Value), want) {
					t.Errorf("%s: %q, %v", key, e.Value, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(10_000)
	for i := range 100 {
		_ = m.Set(context.Background(), fmt.Sprint(i), Entry{Value: make([]byte, 1000), Made: time.Now()})
		if _, err := m.Get(context.Background(), "0"); err != nil {
			t.Fatal("the entry in use was thrown out")
		}
	}
	if m.size > 10_000 || m.used.Len() > 10 {
		t.Errorf("%d bytes in %d entries", m.size, m.used.Len())
	}
}

func TestDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	d, err := NewDisk(dir, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key string, e Entry) {
		t.Helper()
		e.Made = time.Now()
		if err := d.Set(ctx, key, e); err != nil {
			t.Fatal(err)
		}
	}
	set("a", Entry{Value: []byte("first")})
	set("a", Entry{Value: []byte("second"), Transient: true})
	if err := os.WriteFile(filepath.Join(dir, ".half.entry.12.new"), []byte("cut by a power failure"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err = NewDisk(dir, 10_000); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Get(ctx, "a"); err != nil || string(e.Value) != "first" {
		t.Errorf("after reopening: %q, %v; a transient entry must not be written", e.Value, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".half.entry.12.new")); err == nil {
		t.Error("the half-written file of a power cut is still there")
	}
	for i := range 20 {
		set(fmt.Sprint("n", i), Entry{Value: make([]byte, 1000)})
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) > 10 {
		t.Errorf("%d files of 1 kB within 10 kB", len(files))
	}
	if _, err := d.Get(ctx, "n19"); err != nil {
		t.Errorf("the newest was thrown out: %v", err)
	}
	path := d.path("n19")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, b[:10], b[:len(b)-1], append(bytes.Clone(b[:50]), bytes.Repeat([]byte{0}, len(b)-50)...)} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Get(ctx, "n19"); !errors.Is(err, ErrMissing) {
			t.Errorf("a damaged file of %d bytes: %v, want ErrMissing", len(damaged), err)
		}
	}
	if err := os.WriteFile(d.path("other"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(ctx, "other"); !errors.Is(err, ErrMissing) {
		t.Error("another key's file was taken for this one's")
	}
}

// TestFullDisk fills a small file system of its own, in a user's namespace or as
// root; memory keeps the copy.
func TestFullDisk(t *testing.T) {
	systemtest.Root(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		systemtest.Absent(t, "cannot mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	d, err := NewDisk(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	s := NewStack(quiet, NewMemory(1<<20), d)
	ctx := context.Background()
	small := Entry{Value: []byte("small"), Made: time.Now()}
	if err := s.Set(ctx, "small", small); err != nil {
		t.Fatal(err)
	}
	err = s.Set(ctx, "small", Entry{Value: make([]byte, 200<<10), Made: time.Now()})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "card is full") {
		t.Errorf("Set on a full disk: %v", err)
	}
	if e, err := s.Get(ctx, "small"); err != nil || len(e.Value) != 200<<10 {
		t.Errorf("the copy that did not fit the disk: %d bytes, %v", len(e.Value), err)
	}
	if e, err := d.Get(ctx, "small"); err != nil || string(e.Value) != "small" {
		t.Errorf("the older copy on the full disk: %q, %v", e.Value, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRendezvous adds a server: only its share of the keys moves, all to it.
func TestRendezvous(t *testing.T) {
	names := []string{"a:1", "b:1", "c:1", "d:1"}
	p := &pool{now: time.Now}
	for _, n := range names {
		p.servers = append(p.servers, &server{addr: n})
	}
	const keys = 10_000
	before := map[string]string{}
	count := map[string]int{}
	for i := range keys {
		k := wireKey("", fmt.Sprint("feed:", i))
		before[k] = p.pick(k).addr
		count[before[k]]++
	}
	for n, c := range count {
		if c < keys/4*9/10 || c > keys/4*11/10 {
			t.Errorf("%s has %d of %d keys", n, c, keys)
		}
	}
	p.servers = append(p.servers, &server{addr: "e:1"})
	moved := 0
	for k, was := range before {
		if now := p.pick(k).addr; now != was {
			moved++
			if now != "e:1" {
				t.Fatalf("a key moved from %s to %s, neither of which is new", was, now)
			}
		}
	}
	if moved < keys/5*9/10 || moved > keys/5*11/10 {
		t.Errorf("%d of %d keys moved, want a fifth", moved, keys)
	}
}

func TestMemcachedAddresses(t *testing.T) {
	for _, bad := range [][]string{nil, {"noport"}, {":11211"}, {"host:0"}, {"host:99999"}, {"a:1", "a:1"}} {
		if _, err := NewMemcached(bad, 0); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestBadServers: a memcached that is dead, slow, endless, or lies about sizes
// and values costs at most the timeout, little memory, and is a miss.
func TestBadServers(t *testing.T) {
	const timeout = 300 * time.Millisecond
	valid, err := encode("other key", Entry{Value: []byte("x"), Made: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	behaviours := map[string]func(c net.Conn){
		"closes":   func(c net.Conn) {},
		"silent":   func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"dripping": func(c net.Conn) { drip(c, "VALUE k 0 1\r\nx\r\n", 100*time.Millisecond) },
		"huge":     func(c net.Conn) { say(c, "VALUE k 0 4294967290\r\n") },
		"negative": func(c net.Conn) { say(c, "VALUE k 0 -5\r\n") },
		"overflow": func(c net.Conn) { say(c, "VALUE k 0 99999999999999999999999\r\n") },
		"endless":  func(c net.Conn) { drip(c, strings.Repeat("x", 1<<16), 0) },
		"lines":    func(c net.Conn) { drip(c, "VALUE k 0 1\r\nx\r\n", 0) },
		"garbage":  func(c net.Conn) { say(c, "\x00\xff\r\n\r\nEND\r\n") },
		"swapped":  func(c net.Conn) { say(c, fmt.Sprintf("VALUE k 0 %d\r\n%s\r\nEND\r\n", len(valid), valid)) },
		"error":    func(c net.Conn) { say(c, "SERVER_ERROR out of memory\r\n") },
	}
	for name, behave := range behaviours {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						buf := make([]byte, 4096)
						if _, err := c.Read(buf); err == nil {
							behave(c)
						}
					}()
				}
			}()
			m, err := NewMemcached([]string{l.Addr().String()}, timeout)
			if err != nil {
				t.Fatal(err)
			}
			s := NewStack(quiet, NewMemory(1<<20), m)
			ctx := context.Background()
			start := time.Now()
			if e, err := s.Get(ctx, "key"); err == nil {
				t.Errorf("an entry came of it: %q", e.Value)
			}
			if took := time.Since(start); took > 5*timeout {
				t.Errorf("Get took %v with a timeout of %v", took, timeout)
			}
			_ = s.Set(ctx, "key", Entry{Value: []byte("good"), Made: time.Now(), Fresh: time.Hour})
			if e, err := s.Get(ctx, "key"); err != nil || string(e.Value) != "good" {
				t.Errorf("with a bad server beside it, memory gives %q, %v", e.Value, err)
			}
		})
	}
}

func say(c net.Conn, s string) {
	_, _ = io.WriteString(c, s)
	_, _ = io.Copy(io.Discard, c)
}

func drip(c net.Conn, s string, every time.Duration) {
	for {
		if _, err := io.WriteString(c, s); err != nil {
			return
		}
		time.Sleep(every)
	}
}

// TestDeadServerCostsOnce: after a failure the server is left alone, so that the
// next calls cost nothing, and is found again when it is back.
func TestDeadServerCostsOnce(t *testing.T) {
	mc := startMemcached(t, "")
	m := newPool(t, mc.addr)
	now := time.Now()
	m.pool.now = func() time.Time { return now }
	ctx := context.Background()
	e := Entry{Value: []byte("x"), Made: time.Now(), Fresh: time.Hour}
	if err := m.Set(ctx, "k", e); err != nil {
		t.Fatal(err)
	}
	mc.stop()
	if _, err := m.Get(ctx, "k"); err == nil {
		t.Fatal("a dead server answered")
	}
	if _, err := m.Get(ctx, "k"); !errors.Is(err, errDown) {
		t.Errorf("the call after the failure: %v, want it refused at once", err)
	}
	startMemcached(t, mc.addr)
	now = now.Add(time.Minute)
	if _, err := m.Get(ctx, "k"); !errors.Is(err, ErrMissing) {
		t.Errorf("after the restart: %v, want ErrMissing", err)
	}
	if err := m.Set(ctx, "k", e); err != nil {
		t.Errorf("Set after the restart: %v", err)
	}
}

func TestLease(t *testing.T) {
	mc := startMemcached(t, "")
	a, b := newPool(t, mc.addr), newPool(t, mc.addr)
	ctx := context.Background()
	release, held, err := a.Lease(ctx, "k", time.Second)
	if err != nil || !held {
		t.Fatalf("first lease: %v, %v", held, err)
	}
	if _, held, err := b.Lease(ctx, "k", time.Minute); err != nil || held {
		t.Fatalf("second lease while the first is held: %v, %v", held, err)
	}
	release()
	releaseB, held, err := b.Lease(ctx, "k", time.Minute)
	if err != nil || !held {
		t.Fatalf("lease after release: %v, %v", held, err)
	}
	release() // late: must not end b's lease
	if _, held, _ := a.Lease(ctx, "k", time.Minute); held {
		t.Error("a late release ended another's lease")
	}
	releaseB()
	if _, held, err := a.Lease(ctx, "k", time.Second); err != nil || !held {
		t.Fatal(held, err)
	}
	// Its holder dies: the lease ends by itself.
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, held, _ := b.Lease(ctx, "k", time.Second); held {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease of a dead holder never ended")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestRefreshOnce: callers of several instances on one memcached get one copy
// made, and what a caller's going away does to the others: nothing.
func TestRefreshOnce(t *testing.T) {
	mc := startMemcached(t, "")
	var made atomic.Int32
	release := make(chan struct{})
	mk := func(ctx context.Context, old *Entry) (Entry, error) {
		made.Add(1)
		<-release
		return Entry{Value: []byte("copy"), Made: time.Now(), Fresh: time.Hour}, ctx.Err()
	}
	var wg sync.WaitGroup
	var waiting atomic.Int32
	for range 5 {
		r := NewRefresher(NewStack(quiet, NewMemory(1<<20), newPool(t, mc.addr)), 10*time.Second)
		defer r.Stop()
		gone, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			if _, err := r.Refresh(gone, "k", time.Time{}, mk); !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that went away got %v", err)
			}
		})
		for range 20 {
			wg.Go(func() {
				waiting.Add(1)
				e, err := r.Refresh(context.Background(), "k", time.Time{}, mk)
				if err != nil || string(e.Value) != "copy" {
					t.Errorf("%q, %v", e.Value, err)
				}
			})
		}
		cancel()
	}
	for waiting.Load() < 100 || made.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times, want exactly once", n)
	}
}

func TestRefreshFailures(t *testing.T) {
	r := NewRefresher(NewStack(quiet, NewMemory(1<<20)), time.Second)
	ctx := context.Background()
	if _, err := r.Refresh(ctx, "k", time.Time{}, func(context.Context, *Entry) (Entry, error) { panic("bug") }); err == nil || !strings.Contains(err.Error(), "panic: bug") {
		t.Errorf("a panicking maker: %v", err)
	}
	if _, err := r.Refresh(ctx, "k", time.Time{}, func(ctx context.Context, _ *Entry) (Entry, error) {
		<-ctx.Done()
		return Entry{}, ctx.Err()
	}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a maker that hangs: %v", err)
	}
	var keep *KeepError
	e, err := r.Refresh(ctx, "k", time.Time{}, func(context.Context, *Entry) (Entry, error) {
		return Entry{Value: make([]byte, MaxValue+1)}, nil
	})
	if !errors.As(err, &keep) || len(e.Value) == 0 {
		t.Errorf("a copy too large to keep: %d bytes, %v; want it all the same", len(e.Value), err)
	}
	r.Stop()
}

// TestRemake: a copy newer than the caller's needs no making.
func TestRemake(t *testing.T) {
	s := NewStack(quiet, NewMemory(1<<20))
	r := NewRefresher(s, time.Second)
	defer r.Stop()
	ctx := context.Background()
	then := time.Now()
	_ = s.Set(ctx, "k", Entry{Value: []byte("another's"), Made: then.Add(time.Second)})
	e, err := r.Refresh(ctx, "k", then, func(context.Context, *Entry) (Entry, error) {
		t.Error("made though another instance had")
		return Entry{}, nil
	})
	if err != nil || string(e.Value) != "another's" {
		t.Errorf("%q, %v", e.Value, err)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := encode("key", Entry{Value: []byte("value"), Made: time.Now(), Fresh: time.Hour})
	f.Add(b)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode("key", b)
		if err != nil {
			return
		}
		again, err := encode("key", e)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("decodes but does not encode to the same: %v", err)
		}
	})
}
