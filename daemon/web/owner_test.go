package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sierpi/sierpi/system/systemtest"
)

// browser keeps cookies as a browser on wall.local does.
type browser struct {
	t       *testing.T
	h       http.Handler
	cookies map[string]string
	addr    string
}

func (b *browser) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(method, "http://wall.local"+path, strings.NewReader(form.Encode()))
	if b.addr != "" {
		r.RemoteAddr = b.addr
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://wall.local")
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies == nil {
			b.cookies = map[string]string{}
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
			b.t.Errorf("a cookie that scripts or other sites can use: %s", c)
		}
		b.cookies[c.Name] = c.Value
	}
	return w
}

func ownersPage() Route {
	return Route{Method: "GET", Pattern: "/mine", Role: Owner, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("for the " + RoleOf(r).String()))
	})}
}

func TestOwnerSignsInAndOut(t *testing.T) {
	h, _, secret := newSite(t, ownersPage())
	b := &browser{t: t, h: h}
	if w := b.do("GET", "/mine", nil); w.Code != 401 {
		t.Fatalf("without a session: %d", w.Code)
	}
	if w := b.do("POST", "/owner/login", url.Values{"secret": {"0000-0000-0000-0000-0000"}}); w.Code != 401 || len(b.cookies) != 0 {
		t.Fatalf("a wrong secret: %d", w.Code)
	}
	// As people type it: capitals, blanks, an o for a nought.
	typed := strings.ReplaceAll(strings.ToUpper(strings.ReplaceAll(secret, "-", " ")), "0", "o")
	if w := b.do("POST", "/owner/login", url.Values{"secret": {typed}, "next": {"/mine?x=1"}}); w.Code != 303 || w.Header().Get("Location") != "/mine?x=1" {
		t.Fatalf("the secret: %d %s", w.Code, w.Body)
	}
	if w := b.do("GET", "/mine", nil); w.Code != 200 || w.Body.String() != "for the owner" {
		t.Fatalf("with a session: %d", w.Code)
	}
	thief := &browser{t: t, h: h, cookies: map[string]string{ownerCookie: b.cookies[ownerCookie]}}
	if w := b.do("POST", "/owner/logout", nil); w.Code != 303 || b.cookies[ownerCookie] != "" {
		t.Fatalf("signing out: %d", w.Code)
	}
	if w := thief.do("GET", "/mine", nil); w.Code != 401 {
		t.Errorf("the session outlives the sign-out: %d", w.Code)
	}
}

func TestNextStaysOnThisHost(t *testing.T) {
	for next, want := range map[string]string{"/chat?x=1": "/chat?x=1", "": "/", "//evil.example": "/", "/\\evil.example": "/",
		"https://evil.example": "/", "javascript:alert(1)": "/", "/a\r\nSet-Cookie: x=y": "/", "/\t/evil.example": "/", "/" + strings.Repeat("a", 2000): "/"} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q", next, got)
		}
	}
}

func TestGuessesAreLimited(t *testing.T) {
	h, _, secret := newSite(t, ownersPage())
	guess := func(addr, s string) *httptest.ResponseRecorder {
		b := &browser{t: t, h: h, addr: addr}
		return b.do("POST", "/owner/login", url.Values{"secret": {s}})
	}
	for i := range 5 {
		if w := guess("[2001:db8::1]:1", "guess"); w.Code != 401 {
			t.Fatalf("guess %d: %d", i, w.Code)
		}
	}
	// The right secret does not help either: the limit must not tell.
	if w := guess("[2001:db8::ffff]:1", secret); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("another address of the same /64: %d", w.Code)
	}
	if w := guess("192.0.2.1:1", secret); w.Code != 303 {
		t.Errorf("the owner elsewhere is locked out: %d", w.Code)
	}
}

func TestSecretIsNowhereOnTheCard(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	d, secret, err := OpenOwnerDoor(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4}-){4}[0-9a-hjkmnp-tv-z]{4}$`).MatchString(secret) {
		t.Errorf("secret %q", secret)
	}
	id, err := d.open()
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if s := string(data); strings.Contains(s, secret) || strings.Contains(s, strings.ReplaceAll(secret, "-", "")) || strings.Contains(s, id) {
			t.Errorf("%s holds what opens the door: %s", e.Name(), s)
		}
		if st, err := e.Info(); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", e.Name(), st.Mode())
		}
	}
	if _, again, err := OpenOwnerDoor(dir, log); err != nil || again != "" {
		t.Errorf("the second start shows %q, %v", again, err)
	}
}

// with is a request that carries this session.
func with(id string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: ownerCookie, Value: id})
	return r
}

// TestSessionsSurviveRestartsAndClocks: only the daemon's own running time counts;
// what the calendar says before and after a restart is not even looked at.
func TestSessionsSurviveRestartsAndClocks(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	d, _, err := OpenOwnerDoor(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	var up time.Duration
	d.uptime = func() time.Duration { return up }
	id, err := d.open()
	if err != nil {
		t.Fatal(err)
	}
	up = 20 * 24 * time.Hour
	if d.Identify(with(id)) != Owner {
		t.Fatal("ended after 20 days")
	}
	ended, stop := context.WithCancel(context.Background())
	stop()
	if err := d.Run(ended); err != nil { // the daemon stops: what is left is noted
		t.Fatal(err)
	}
	d2, _, err := OpenOwnerDoor(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	base := d2.uptime()
	d2.uptime = func() time.Duration { return base + up }
	up = 9 * 24 * time.Hour
	if d2.Identify(with(id)) != Owner {
		t.Error("lost by the restart")
	}
	up = 11 * 24 * time.Hour
	if d2.Identify(with(id)) != Anyone {
		t.Error("the restart prolonged it")
	}
	for _, name := range []string{"", "x", hashID(id), strings.Repeat("0", 64)} {
		if d.Identify(with(name)) != Anyone {
			t.Errorf("%q opens the door", name)
		}
	}
}

func TestResetEndsSessionsInARunningDaemon(t *testing.T) {
	dir := t.TempDir()
	d, old, err := OpenOwnerDoor(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.open()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := ResetOwnerSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d.Identify(with(id)) != Anyone || d.opens(old) || !d.opens(fresh) {
		t.Errorf("session %v, old secret %t, new secret %t", d.Identify(with(id)), d.opens(old), d.opens(fresh))
	}
	// Nor do they come back by a restart.
	d, _, err = OpenOwnerDoor(dir, slog.New(slog.DiscardHandler))
	if err != nil || d.Identify(with(id)) != Anyone {
		t.Errorf("after a restart: %v, %v", d.Identify(with(id)), err)
	}
}

func TestDamagedFilesLockTheDoorOnly(t *testing.T) {
	for _, damage := range []string{"", "{", "null", `{"salt":"x","hash":""}`, strings.Repeat("\x00", 4096)} {
		dir := t.TempDir()
		for _, name := range []string{ownerFile, sessionsFile} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(damage), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, fresh, err := OpenOwnerDoor(dir, slog.New(slog.DiscardHandler))
		if err != nil || fresh != "" {
			t.Fatalf("%q: %v, %q", damage, err, fresh)
		}
		if d.opens("") || d.opens("x") || d.Identify(with("x")) != Anyone {
			t.Errorf("%q opens the door", damage)
		}
		if fresh, err = ResetOwnerSecret(dir); err != nil || !d.opens(fresh) {
			t.Errorf("%q: the reset does not help: %v", damage, err)
		}
	}
	if os.Geteuid() != 0 {
		dir := t.TempDir()
		_ = os.Chmod(dir, 0o500)
		if _, _, err := OpenOwnerDoor(dir, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("an unwritable state folder is not said")
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	d, _, err := OpenOwnerDoor(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var up time.Duration
	d.uptime = func() time.Duration { return up }
	first, _ := d.open()
	for range maxSessions {
		up += time.Second
		if _, err := d.open(); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.sessions) != maxSessions || d.Identify(with(first)) != Anyone {
		t.Errorf("%d sessions", len(d.sessions))
	}
}

func TestKioskDoor(t *testing.T) {
	dir := t.TempDir()
	k, err := OpenKioskDoor(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, KioskTokenFile)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if again, err := OpenKioskDoor(dir); err != nil || again.token != k.token {
		t.Errorf("a restart locks the running wall out: %v", err)
	}
	// A token that others could have read or written is worth nothing.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := OpenKioskDoor(dir); err != nil || again.token == k.token {
		t.Errorf("a token that everybody could read was kept: %v", err)
	}
	look, _ := NewLook(LookOptions{Log: slog.New(slog.DiscardHandler)})
	h, err := NewRouter(append(k.Routes(look), Route{Method: "GET", Pattern: "/kiosk", Role: Kiosk, Handler: http.HandlerFunc(nothing)}),
		RouterOptions{Look: look, Hosts: NewHosts("wall"), Identities: []Identity{k}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, h: h}
	for _, wrong := range []string{"", "x", k.token + "0", strings.ToUpper(k.token) + " "} {
		if w := b.do("GET", KioskSignIn+"?token="+url.QueryEscape(wrong), nil); w.Code != 401 || len(b.cookies) > 0 {
			t.Errorf("%q: %d", wrong, w.Code)
		}
	}
	if w := b.do("GET", KioskSignIn+"?token="+k.token, nil); w.Code != 303 || w.Header().Get("Location") != "/kiosk" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := b.do("GET", "/kiosk", nil); w.Code != 200 {
		t.Errorf("with the cookie: %d", w.Code)
	}
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{"/a", "//b", "/\\b", "/%2f%2fb", "/a?b#c", "/\u2028/x", "/./", "/..//b"} {
		f.Add(s)
	}
	base, _ := url.Parse("http://wall.local/owner/login")
	f.Fuzz(func(t *testing.T, next string) {
		got := localPath(next)
		// As http.Redirect sends it, and as a browser reads it.
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest("POST", "http://wall.local/owner/login", nil), got, http.StatusSeeOther)
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			return // a browser keeps to the host on what is no URL
		}
		if at := base.ResolveReference(to); at.Host != "wall.local" || at.Scheme != "http" || strings.HasPrefix(w.Header().Get("Location"), "//") {
			t.Errorf("%q leads to %s", next, at)
		}
	})
}

// FuzzDoorFiles: whatever the card made of the files, nobody comes in by it.
func FuzzDoorFiles(f *testing.F) {
	f.Add([]byte(`{"salt":"x","hash":"`+strings.Repeat("0", 64)+`"}`), []byte(`{"secret":"`+strings.Repeat("0", 64)+`","sessions":[{"id":"`+strings.Repeat("1", 64)+`","left_seconds":-9223372036854775808}]}`))
	f.Add([]byte(`{}`), []byte(`{"sessions":[{}]}`))
	f.Fuzz(func(t *testing.T, owner, sessions []byte) {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, ownerFile), owner, 0o600), os.WriteFile(filepath.Join(dir, sessionsFile), sessions, 0o600)); err != nil {
			t.Fatal(err)
		}
		d, _, err := OpenOwnerDoor(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if d.opens("") || d.Identify(with("")) != Anyone || d.Identify(with(strings.Repeat("1", 64))) != Anyone {
			t.Errorf("%q, %q open the door", owner, sessions)
		}
		for _, until := range d.sessions {
			if left := until - d.uptime(); left > sessionLife {
				t.Errorf("a session has %v left", left)
			}
		}
	})
}

// TestResetAsRootLeavesTheFileToTheDaemon: the command runs as root, the daemon
// that must read the file does not.
func TestResetAsRootLeavesTheFileToTheDaemon(t *testing.T) {
	systemtest.Root(t)
	const nobody = 65534
	dir := t.TempDir()
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if _, err := ResetOwnerSecret(dir); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, ownerFile))
	if err != nil {
		t.Fatal(err)
	}
	if owner := st.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody || st.Mode().Perm() != 0o600 {
		t.Errorf("owner %d:%d, mode %v", owner.Uid, owner.Gid, st.Mode())
	}
}
