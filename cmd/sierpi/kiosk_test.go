package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/system/systemtest"
)

// healing is how long the wall may take to paint again by itself. What it took is
// printed; 15 s is the aim on a machine with nothing else to do.
const healing = 90 * time.Second

// xserver starts an X server and returns its display.
func xserver(t *testing.T, program, debianPackage string, args ...string) (display string) {
	t.Helper()
	path := systemtest.Tool(t, program, debianPackage)
	number, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer number.Close()
	var log bytes.Buffer
	cmd := exec.Command(path, append(args, "-nolisten", "tcp", "-noreset", "-displayfd", "3")...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		select {
		case <-ended:
			t.Errorf("%s ended by itself: %v\n%s", program, cmd.ProcessState, log.String())
		default:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
		}
	})
	_ = number.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(number).ReadString('\n') // it comes in pieces
	if err != nil {
		_ = cmd.Process.Kill()
		<-ended
		t.Fatalf("%s does not start: %v\n%s", program, err, log.String())
	}
	return ":" + strings.TrimSpace(line)
}

// wallSession is LXDE's session with the kiosk in it, as the package sierpi-kiosk
// sets it up, started again whenever it ends, as lightdm does.
type wallSession struct {
	t       *testing.T
	display string
	dir     string
	daemon  *process
	profile string // the browser's
	fbdir   string // of Xvfb: its screen as a file
	end     func()

	noKeeper bool // nothing watches over this screen
}

func startWallSession(t *testing.T, d *process, display, address string, profile ...string) *wallSession {
	t.Helper()
	for program, pkg := range map[string]string{"lxsession": "lxsession", "openbox": "openbox", "dbus-run-session": "dbus-daemon", "xset": "x11-xserver-utils", "unclutter": "unclutter", "chromium": "chromium"} {
		systemtest.Tool(t, program, pkg)
	}
	s := &wallSession{t: t, display: display, dir: t.TempDir(), daemon: d}
	if s.profile = s.dir + "/state/browser"; len(profile) > 0 {
		s.profile = profile[0]
	}
	conf, err := os.ReadFile("../../systemd/kiosk/desktop.conf")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{self, "kiosk", "--state", s.dir + "/state", "--profile", s.profile, "--daemon", address, "--token", filepath.Join(d.state, "run", web.KioskTokenFile)}
	if os.Geteuid() == 0 {
		args = append(args, "--browser-flag=--no-sandbox", "--browser-flag=--test-type")
	}
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("xdg/lxsession/sierpi/desktop.conf", string(conf), 0o600)
	script := write("kiosk.sh", fmt.Sprintf("#!/bin/sh\nexport SIERPI_BE_SIERPI=1\nexec '%s' >>%s/kiosk.log 2>&1\n", strings.Join(args, "' '"), s.dir), 0o700)
	write("xdg/lxsession/sierpi/autostart", "@"+script+"\n", 0o600)
	loop := write("session.sh", "#!/bin/sh\nwhile xset q >/dev/null; do lxsession -s sierpi -e LXDE; done\n", 0o700)
	for _, name := range []string{"home", "run"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}

	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the kiosk's log:\n%s", s.log())
			session, _ := os.ReadFile(s.dir + "/home/cache/lxsession/sierpi/run.log")
			t.Logf("the end of the session's:\n%s", session[max(0, len(session)-2000):])
		}
	})
	s.start(loop)
	return s
}

func (s *wallSession) start(loop string) {
	s.t.Helper()
	cmd := exec.Command("dbus-run-session", loop)
	cmd.Env = append(os.Environ(), "DISPLAY="+s.display, "HOME="+s.dir+"/home", "XDG_RUNTIME_DIR="+s.dir+"/run", "XDG_CACHE_HOME="+s.dir+"/home/cache",
		"XDG_CONFIG_HOME="+s.dir+"/home/config", "XDG_CONFIG_DIRS="+s.dir+"/xdg:/etc/xdg",
		"STATE_DIRECTORY=", "RUNTIME_DIRECTORY=", "INVOCATION_ID=", "JOURNAL_STREAM=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.end = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		for deadline := time.Now().Add(healing); len(s.processes("")) > 0 && time.Now().Before(deadline); {
			for _, pid := range s.processes("") {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	s.t.Cleanup(func() { s.end() })
}

func (s *wallSession) log() string {
	text, _ := os.ReadFile(s.dir + "/kiosk.log")
	return string(text)
}

// processes are the browser's: kind "browser" is the one that the others hang from,
// "renderer" those that paint pages, "" all.
func (s *wallSession) processes(kind string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(raw, []byte(s.profile)) || bytes.Contains(raw, []byte("\x00kiosk\x00")) {
			continue
		}
		_, of, typed := bytes.Cut(raw, []byte("--type="))
		of, _, _ = bytes.Cut(of, []byte{0})
		// The browser's helpers write their arguments as one string.
		of, _, _ = bytes.Cut(of, []byte{' '})
		if kind == "" || kind == "browser" && !typed || typed && string(of) == kind {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *wallSession) signal(sig syscall.Signal, kind string) {
	s.t.Helper()
	pids := s.processes(kind)
	if len(pids) == 0 {
		s.t.Fatalf("there is no %s process", kind)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

// frame is the number of the daemon's frame now.
func (s *wallSession) frame() uint64 {
	s.t.Helper()
	resp, err := http.Get(s.daemon.pages + "/display/frame.png")
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	n, err := strconv.ParseUint(resp.Header.Get("Sierpi-Frame"), 10, 32)
	if err != nil {
		s.t.Fatalf("no frame number: %v", err)
	}
	return n
}

// screen is what the daemon finds on one output.
type screen struct {
	Name, State, Rung string
	Frame             uint64
}

// screens asks the daemon how the outputs are, as the kiosk may.
func (s *wallSession) screens() []screen {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.daemon.state, "run", web.KioskTokenFile))
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.daemon.pages+"/display/outputs", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set(web.KioskHeader, strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // the daemon is being started again
	}
	defer resp.Body.Close()
	var reply struct{ Outputs []screen }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		s.t.Fatalf("/display/outputs: %v", err)
	}
	return reply.Outputs
}

// awaitPaint waits until the daemon finds its own picture on the wall, by the hash of
// a frame after that one, and whatever else must hold.
func (s *wallSession) awaitPaint(what string, after uint64, and ...func() bool) {
	s.t.Helper()
	began := time.Now()
	var last []screen
	for time.Since(began) < healing {
		last = s.screens()
		for _, sc := range last {
			ok := sc.State == "painting" && sc.Frame > after
			for _, f := range and {
				ok = ok && f()
			}
			if ok {
				took := time.Since(began)
				// The keeper must have seen it too before the next thing happens to it.
				s.await("the keeper sees it", func() bool {
					if s.noKeeper {
						return true
					}
					log := s.log()
					return strings.LastIndex(log, "the wall paints") > strings.LastIndex(log, "the browser is started")
				})
				s.t.Logf("%-40s painting again after %4.1f s (frame %d, %s)", what, took.Seconds(), sc.Frame, sc.Rung)
				return
			}
		}
		s.pause()
	}
	s.t.Fatalf("%s: not painting after %v: %+v", what, healing, last)
}

// await waits for something that another process does.
func (s *wallSession) await(what string, is func() bool) {
	s.t.Helper()
	for began := time.Now(); !is(); s.pause() {
		if time.Since(began) > healing {
			s.t.Fatalf("%s: not after %v", what, healing)
		}
	}
}

// pause is between two questions to another process.
func (s *wallSession) pause() {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-s.t.Context().Done():
	}
}

// white reports whether the X server's screen, read from Xvfb's file, is white where
// the picture should be.
func (s *wallSession) white() bool {
	s.t.Helper()
	xwd, err := os.ReadFile(s.fbdir + "/Xvfb_screen0")
	if err != nil {
		s.t.Fatal(err)
	}
	word := func(i int) int { return int(binary.BigEndian.Uint32(xwd[4*i:])) } // XWDFile.h
	header, width, height, stride, colours := word(0), word(4), word(5), word(12), word(19)
	pixels := xwd[header+12*colours:]
	white, all := 0, 0
	for y := height / 3; y < 2*height/3; y += 3 {
		for x := width / 3; x < 2*width/3; x += 3 {
			p := pixels[y*stride+4*x:]
			all++
			if p[0] > 0xf0 && p[1] > 0xf0 && p[2] > 0xf0 {
				white++
			}
		}
	}
	return white > all*9/10
}

// whitener stands between browser and daemon and turns the page white on demand.
func whitener(t *testing.T, daemon string) (address string, whiten func()) {
	t.Helper()
	to, err := url.Parse(daemon)
	if err != nil {
		t.Fatal(err)
	}
	now := make(chan struct{})
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Accept-Encoding")
			r.Out.Header.Del("If-None-Match")
			r.Out.Header.Del("If-Modified-Since")
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.Path, "/screen.js") {
				return nil
			}
			script, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			script = append(script, `
;fetch("/test-white").then(() => {
  document.body.replaceChildren();
  document.body.style.background = document.documentElement.style.background = "#fff";
});`...)
			r.Body = io.NopCloser(bytes.NewReader(script))
			r.ContentLength = int64(len(script))
			r.Header.Set("Content-Length", strconv.Itoa(len(script)))
			r.Header.Set("Cache-Control", "no-store")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/test-white" {
			proxy.ServeHTTP(w, r)
			return
		}
		select {
		case <-now:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	// Only who waits now goes white; who asks later waits for ever.
	return srv.URL + "/", func() { now <- struct{}{} }
}

// Whatever happens to the browser, the wall paints again by itself: real X server,
// session, window manager and Chromium; that it paints is the daemon's word.
func TestKioskHeals(t *testing.T) {
	fbdir := t.TempDir()
	display := xserver(t, "Xvfb", "xvfb", "-screen", "0", "1280x720x24", "-fbdir", fbdir)
	d := start(t, t.TempDir(), "--listen", freeAddress(t))
	address, whiten := whitener(t, d.pages)
	s := startWallSession(t, d, display, address)
	s.fbdir = fbdir
	s.awaitPaint("the session starts", 0)

	s.signal(syscall.SIGKILL, "browser")
	at := s.frame()
	s.awaitPaint("kill -9 of the browser", at)

	s.signal(syscall.SIGKILL, "renderer")
	at = s.frame()
	s.awaitPaint(`kill -9 of the renderer ("Aw, Snap")`, at)

	s.signal(syscall.SIGSTOP, "renderer")
	at = s.frame()
	s.awaitPaint("SIGSTOP of the renderer", at)

	// The plug is pulled: everything of the session dies, a lock stays, and the
	// profile says that the browser crashed.
	s.end()
	preferences := filepath.Join(s.dir, "state", "browser", "Default", "Preferences")
	markCrashed(t, preferences)
	_ = os.Remove(filepath.Join(s.dir, "state", "browser", "SingletonLock"))
	if err := os.Symlink("another-host-4711", filepath.Join(s.dir, "state", "browser", "SingletonLock")); err != nil {
		t.Fatal(err)
	}
	at = s.frame()
	s.start(filepath.Join(s.dir, "session.sh"))
	s.awaitPaint("a profile marked crashed", at)

	began := time.Now()
	whiten()
	// The page that is white goes on reporting the right hash of a canvas that nobody sees.
	s.await("the keeper notices", func() bool { return strings.Contains(s.log(), "the picture is not on view") })
	t.Logf("%-40s noticed after %.1f s", "a page gone white", time.Since(began).Seconds())
	at = s.frame()
	s.awaitPaint("a page gone white", at, func() bool { return !s.white() })

	_, _ = d.end(syscall.SIGKILL)
	s.daemon = start(t, d.state, "--listen", strings.TrimPrefix(d.pages, "http://"))
	s.awaitPaint("a daemon restart", 0)

	if strings.Contains(s.log(), "could not") {
		t.Errorf("a step failed:\n%s", s.log())
	}
}

func markCrashed(t *testing.T, path string) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(doc, &tree); err != nil {
		t.Fatal(err)
	}
	profile, ok := tree["profile"].(map[string]any)
	if !ok {
		t.Fatalf("no profile in %s", path)
	}
	profile["exit_type"], profile["exited_cleanly"] = "Crashed", false
	if doc, err = json.Marshal(tree); err == nil {
		err = os.WriteFile(path, doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A screen that is switched off by somebody is switched on again, and the wall is
// on it. Xvfb's screen cannot be switched off; that of Xorg's dummy driver can.
func TestKioskOutput(t *testing.T) {
	systemtest.Root(t)
	if _, err := os.Stat("/usr/lib/xorg/modules/drivers/dummy_drv.so"); err != nil {
		systemtest.Missing(t, "Xorg's dummy driver is not installed (apt-get install xserver-xorg-video-dummy)")
	}
	conf := filepath.Join(t.TempDir(), "xorg.conf")
	if err := os.WriteFile(conf, []byte(`
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoEnableDevices" "false"
EndSection
Section "Device"
  Identifier "dummy"
  Driver "dummy"
EndSection
Section "Monitor"
  Identifier "monitor"
  HorizSync 5-1000
  VertRefresh 5-200
EndSection
Section "Screen"
  Identifier "screen"
  Device "dummy"
  Monitor "monitor"
  DefaultDepth 24
  SubSection "Display"
    Depth 24
    Modes "1280x720"
  EndSubSection
EndSection
`), 0o600); err != nil {
		t.Fatal(err)
	}
	// A seat of its own: it needs no console, and takes none away.
	display := xserver(t, "Xorg", "xserver-xorg-core", "-config", conf, "-logfile", conf+".log", "-seat", "seat-sierpi", "-novtswitch", "-sharevts")
	d := start(t, t.TempDir(), "--listen", freeAddress(t))
	s := startWallSession(t, d, display, d.pages+"/")
	s.awaitPaint("the session starts", 0)

	lit := func() bool {
		cmd := exec.Command("xrandr", "--current")
		cmd.Env = append(os.Environ(), "DISPLAY="+display)
		out, err := cmd.Output()
		return err == nil && strings.Contains(string(out), "DUMMY0 connected primary 1280x720+0+0")
	}
	if !lit() {
		t.Fatal("the screen is not on to begin with")
	}
	cmd := exec.Command("xrandr", "--output", "DUMMY0", "--off")
	cmd.Env = append(os.Environ(), "DISPLAY="+display)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xrandr: %v\n%s", err, out)
	}
	at := s.frame()
	s.awaitPaint("a screen switched off", at, lit)
}
