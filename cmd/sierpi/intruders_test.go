package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net"
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

	"github.com/coder/websocket"
	"golang.org/x/net/html"

	"github.com/sierpi/sierpi/daemon/store/storetest"
)

// What people on the same network may try, on the real daemon over real connections.
// docs/SECURITY.md lists these tests by name.

// nasty is a text that breaks out of what it is put into, where nobody took care.
const nasty = "<script id=injected>alert(1)</script><img src=x onerror=alert(1)>\"'><b id=injected>&amp;{{.}}${1}]]>--></textarea></style>" +
	"\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnp.exe\r\nSet-Cookie: injected=1\r\n\x00%s%n time=1970-01-01T00:00:00Z level=ERROR msg=forged"

// client is one that stays on its page.
var stays = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// TestInjection puts markup, terminal escapes, line breaks and templates into everything that
// takes a text, and reads every page, feed and log line that comes of it.
func TestInjection(t *testing.T) {
	feed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var text bytes.Buffer
		_ = xml.EscapeText(&text, []byte(nasty))
		fmt.Fprintf(w, `<rss version="2.0"><channel><title>%[1]s</title><link>javascript:alert(1)</link><item><title>%[1]s</title><link>javascript:alert(1)//%[1]s</link><description>%[1]s</description><author>%[1]s</author><guid>%[1]s</guid><category>%[1]s</category></item></channel></rss>`, text.String())
	}))
	t.Cleanup(feed.Close)
	state := filepath.Join(t.TempDir(), "state")
	file := filepath.Join(t.TempDir(), "quotes.json")
	quote, err := json.Marshal([]map[string]any{{"text": "needle " + nasty, "author": nasty, "source": nasty, "tags": []string{nasty}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, quote, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "quotes", "import", "--state", state, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := command(t, "quotes", "search", "--state", state, "needle").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("needle")) {
		t.Errorf("%v\n%s", err, out)
	} else {
		harmless(t, "sierpi quotes search", out)
	}
	d := start(t, state, "--verbose", "--config", configFile(t, fmt.Sprintf("[feed]\nallow-private = [\"127.0.0.1\"]\n[[feed.source]]\nname = %q\nurl = %q\n[chat]\ninterval = \"10ms\"\n", "Feed <b id=injected>", feed.URL)))
	d.get("/feed") // waits for the first copy

	for _, m := range []map[string]string{{"key": "1", "name": "ann" + nasty[:20], "text": nasty}, {"key": "2", "name": "\x1b[31mbob\r\n\u202e", "text": "javascript:alert(1) http://x.example/\"onmouseover=\"alert(1) " + nasty}} {
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(d.pages+"/json/chat/lobby", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("posting: %s", resp.Status)
		}
	}

	// Everything that takes a text from the address or a form, then every page that is linked.
	x := url.QueryEscape(nasty)
	todo := []string{"/", "/feed?q=" + x, "/feed?page=" + x, "/feed.json", "/feed.rss", "/feed.atom", "/feed.ics", "/quotes?q=needle", "/quotes?q=" + x, "/quotes?author=" + x, "/quotes?tag=" + x, "/quotes?page=" + x,
		"/quotes/results?q=needle", "/quotes/results?q=" + x, "/quotes.rss", "/quotes/random", "/quotes/today", "/quotes/1", "/quotes/" + url.PathEscape(nasty), "/json/random?count=" + x, "/json/latest?count=10", "/json/search?q=" + x, "/json/today",
		"/chat/lobby", "/chat/" + url.PathEscape(nasty), "/json/chat/lobby", "/json/chat/lobby/search?q=" + x, "/json/chat/" + url.PathEscape(nasty), "/owner/login?next=" + x, "/J/" + url.PathEscape(nasty),
		"/kiosk/sign-in?token=" + x + "&output=" + x, "/kiosk?output=" + x + "&view=" + x, "/wall?view=" + x, "/display/frame.png?width=" + x, "/display/cells?x=" + x, "/display/board?kind=" + x, "/gallery/" + url.PathEscape(nasty) + "/picture.png",
		"/" + url.PathEscape(nasty), "/static/look/" + url.PathEscape(nasty), "/remote", "/life?pattern=" + x, "/snake", "/scenes?scene=" + x, "/cutout", "/health", "/healthz", "/gallery"}
	posts := map[string]url.Values{
		"/owner/login": {"secret": {nasty}, "next": {nasty}}, "/join": {"code": {nasty}}, "/chat/lobby": {"name": {nasty}, "text": {nasty}},
		"/cutout": {"color": {nasty}}, "/leave": {nasty: {nasty}},
	}
	seen := map[string]bool{}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		for _, accept := range []string{"text/html", "application/json"} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", d.pages+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", accept)
			req.Header.Set("User-Agent", "\x1b"[:0]+strings.ReplaceAll(nasty[:60], "\n", ""))
			todo = append(todo, examineAnswer(t, req)...)
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d addresses were read", len(seen))
	}
	for path, form := range posts {
		for range 2 {
			req, err := http.NewRequestWithContext(t.Context(), "POST", d.pages+path, strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Accept", "text/html")
			examineAnswer(t, req)
		}
	}
	t.Logf("%d addresses", len(seen))

	if status, _ := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
	log := d.logged()
	harmless(t, "the log", []byte(log))
	for line := range strings.Lines(log) {
		if !regexp.MustCompile(`^time=20\S+ level=(DEBUG|INFO|WARN|ERROR) msg=`).MatchString(line) {
			t.Errorf("a line of the log that nobody wrote: %q", line)
		}
	}
	if !strings.Contains(log, "injected") {
		t.Error("the log has no trace of it all: nothing was tested")
	}
}

// harmless holds that a text steers no terminal and shows nothing in another order.
func harmless(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, bad := range []string{"\x1b", "\x07", "\x00", "\u009b", "\u202e"} {
		if i := bytes.Index(text, []byte(bad)); i >= 0 {
			t.Errorf("%s holds %q: %q", where, bad, text[max(0, i-60):min(len(text), i+20)])
		}
	}
}

// examineAnswer holds what is answered to what it may be, and returns the links of a page to others here.
func examineAnswer(t *testing.T, req *http.Request) (links []string) {
	t.Helper()
	where := fmt.Sprintf("%s %.80s (%s)", req.Method, req.URL.RequestURI(), req.Header.Get("Accept"))
	resp, err := (&http.Client{CheckRedirect: stays, Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s: %s", where, resp.Status)
	}
	for _, c := range resp.Cookies() {
		if strings.Contains(c.Name+c.Value, "injected") {
			t.Errorf("%s: it set the cookie %v", where, c)
		}
	}
	if to := resp.Header.Get("Location"); to != "" {
		if u, err := url.Parse(to); err != nil || u.Host != "" && u.Host != req.URL.Host || strings.ContainsAny(to, "<\"\r\n") {
			t.Errorf("%s: it leads to %q", where, to)
		}
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: without nosniff", where)
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch kind {
	case "image/png", "image/x-icon", "application/octet-stream", "application/vnd.sierpi.frame", "":
		return nil
	case "application/json", "application/feed+json":
		if !json.Valid(body) {
			t.Errorf("%s: not JSON", where)
		}
	case "application/rss+xml", "application/atom+xml", "image/svg+xml":
		dec := xml.NewDecoder(bytes.NewReader(body))
		for {
			if token, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: not XML: %v", where, err)
				break
			} else if start, ok := token.(xml.StartElement); ok && start.Name.Local == "script" {
				t.Errorf("%s: a script", where)
			}
		}
	case "text/html":
		tree, err := html.Parse(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for node := range tree.Descendants() {
			if node.Type != html.ElementNode {
				continue
			}
			source := false
			for _, a := range node.Attr {
				value := strings.ToLower(strings.TrimSpace(a.Val))
				switch {
				case a.Key == "id" && a.Val == "injected", strings.HasPrefix(a.Key, "on"), a.Key == "style", strings.HasPrefix(value, "javascript:"):
					t.Errorf("%s: <%s %s=%q>", where, node.Data, a.Key, a.Val)
				case a.Key == "src":
					source = true
				case a.Key == "href" && node.Data == "a" && strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//"):
					links = append(links, a.Val)
				}
			}
			if node.Data == "script" && !source {
				t.Errorf("%s: a script within the page", where)
			}
		}
	}
	if !strings.HasPrefix(kind, "text/javascript") && !strings.HasPrefix(kind, "text/css") {
		harmless(t, where, body)
	}
	return links
}

// TestPathTricks asks for files beside what is served, in raw bytes that no client would
// send, and for requests that two readers would understand differently.
func TestPathTricks(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"))
	addr := strings.TrimPrefix(d.pages, "http://")
	host := "\r\nHost: " + addr + "\r\n"
	secret, err := os.ReadFile(filepath.Join(d.state, "owner.json"))
	if err != nil {
		t.Fatal(err)
	}
	var raw []string
	for _, prefix := range []string{"/", "/static/look/", "/static/", "/static/home/", "/static/quotes/", "/static/chat/", "/static/feed/", "/static/cutout/", "/display/static/", "/display/page/", "/quotes/", "/chat/", "/gallery/"} {
		for _, climb := range []string{"../../../../../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", `..\..\..\etc\passwd`, "..%5c..%5cetc%5cpasswd", "//etc/passwd", "%252e%252e%252fetc%252fpasswd",
			"..;/..;/etc/passwd", "%c0%ae%c0%ae/etc/passwd", ".%00/etc/passwd", "owner.json", "../owner.json", "sierpi.db", "%ff", strings.Repeat("../", 2000), strings.Repeat("a/", 3000)} {
			raw = append(raw, "GET "+prefix+climb+" HTTP/1.1"+host+"Connection: close\r\n\r\n")
		}
	}
	raw = append(raw,
		"GET http://evil.example/ HTTP/1.1"+host+"Connection: close\r\n\r\n",
		"GET //evil.example/ HTTP/1.1"+host+"Connection: close\r\n\r\n",
		"CONNECT evil.example:80 HTTP/1.1"+host+"Connection: close\r\n\r\n",
		"GET / HTTP/1.1"+host+"Host: evil.example\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/9.9"+host+"\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST /join HTTP/1.1"+host+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /owner/wall HTTP/1.1"+host+"\r\n",
		"POST /join HTTP/1.1"+host+"Content-Length: 4\r\nContent-Length: 5\r\nConnection: close\r\n\r\naaaaa",
		"POST /join HTTP/1.1"+host+"Content-Length: -1\r\nConnection: close\r\n\r\n",
		"POST /join HTTP/1.1"+host+"Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\n",
		"POST /join HTTP/1.1"+host+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nfffffffffffffffff\r\n",
		"POST /join HTTP/1.1"+host+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1;"+strings.Repeat("x", 100_000)+"\r\na\r\n0\r\n\r\n",
		"GET / HTTP/1.1"+host+strings.Repeat("X-Many: a\r\n", 5000)+"Connection: close\r\n\r\n",
		"GET / HTTP/1.1"+host+"X-Long: "+strings.Repeat("a", 1<<20)+"\r\nConnection: close\r\n\r\n",
		"GET /"+strings.Repeat("a", 1<<20)+" HTTP/1.1"+host+"Connection: close\r\n\r\n",
		"GET / HTTP/1.1"+host+"X-Folded: a\r\n b\r\nX\x00: c\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1"+host+"Cookie: "+strings.Repeat("sierpi-owner=a; ", 900)+"\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1"+host+"Range: bytes="+strings.Repeat("0-,", 3000)+"0-\r\nConnection: close\r\n\r\n",
		"GET /display/screen HTTP/1.1"+host+"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.1"+host+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"GET / HTTP/1.1"+host+"Expect: 999-nonsense\r\nConnection: close\r\n\r\n",
	)
	for _, request := range raw {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		name := strings.ReplaceAll(request[:min(len(request), 90)], "\r\n", " | ")
		if _, err := io.WriteString(c, request); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%q: %v", name, err)
		}
		_ = c.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(c)
		_ = c.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: no end", name)
		}
		for _, leak := range []string{"root:", "SQLite format", string(secret[:40]), "daemon/web", "goroutine "} {
			if strings.Contains(string(answer), leak) {
				t.Errorf("%q: %q in the answer:\n%.300s", name, leak, answer)
			}
		}
		if n := strings.Count(string(answer), "HTTP/1."); n > 1 {
			t.Errorf("%q: %d answers to one request", name, n)
		}
		if status, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(string(answer), "HTTP/1.1 "), "HTTP/1.0 "), " "); ok && status >= "500" && status != "501" && status != "505" {
			t.Errorf("%q: %.100s", name, answer)
		}
	}
	t.Logf("%d requests", len(raw))
	d.get("/healthz")
}

// TestUploadNames: no name of an uploaded file leads out of the folder that its result is
// unpacked into, or into a header.
func TestUploadNames(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"))
	var picture bytes.Buffer
	square := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range square.Pix {
		square.Pix[i] = 255
	}
	square.Pix[8*16+8] = 0
	if err := png.Encode(&picture, square); err != nil {
		t.Fatal(err)
	}
	names := []string{"../../../etc/cron.d/x.png", `..\..\windows\x.png`, "/etc/passwd", "C:\\x.png", "..", ".", "", "a\r\nSet-Cookie: injected=1.png", strings.Repeat("n", 5000) + ".png", "\u202egnp.exe", "a/../../b.png", ".bashrc", "~/.ssh/authorized_keys", "x.png", "x.png", "\xff\xfe.png", "con.png"}
	send := func(names ...string) *http.Response {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for _, name := range names {
			part, err := w.CreateFormFile("picture", name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write(picture.Bytes())
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(d.pages+"/cutout", w.FormDataContentType(), &form)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	bad := regexp.MustCompile(`[/\\:]|^\.|[\x00-\x1f\x7f]|\x{202e}`)
	for _, name := range names {
		resp := send(name)
		if got := resp.Header.Get("Content-Disposition"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, "attachment; filename") || strings.ContainsAny(got, "/\\\r\n") {
			t.Errorf("%q: %s, %q", name, resp.Status, got)
		}
		if len(resp.Cookies()) > 0 {
			t.Errorf("%q sets a cookie", name)
		}
	}
	// What is no header at all is not guessed at.
	if resp := send("\x1b[2J.png"); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an escape in the form's header: %s", resp.Status)
	}
	resp := send(names...)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %.200s", resp.Status, err, body)
	}
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		if bad.MatchString(f.Name) || seen[f.Name] || len(f.Name) > 255 || f.Mode()&os.ModeType != 0 {
			t.Errorf("an entry is called %q, mode %v", f.Name, f.Mode())
		}
		seen[f.Name] = true
	}
	if len(z.File) < len(names)-2 {
		t.Errorf("%d entries of %d files", len(z.File), len(names))
	}
}

// TestImportFollowsNoLinks: a folder of quotes may come from a stick. What it links to is
// not read, a pipe in it does not stop the import, and a link to itself does not go round.
func TestImportFollowsNoLinks(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.txt")
	for path, text := range map[string]string{outside: "the secret of the machine\n", filepath.Join(dir, "good.txt"): "a good quote\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link.txt")), os.Symlink(filepath.Dir(outside), filepath.Join(dir, "folder")), os.Symlink(dir, filepath.Join(dir, "round")),
		os.Symlink("/dev/zero", filepath.Join(dir, "endless.txt")), syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o600)); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	cmd := command(t, "quotes", "import", "--state", state, dir)
	ended := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer ended.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := command(t, "quotes", "export", "--state", state, "--format", "plain").Output()
	if err != nil || !strings.Contains(string(out), "good quote") || strings.Contains(string(out), "secret") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLeaksNothing: what anybody may read holds no secret, no path, no address of another
// visitor, no user or host of a database, in good days and with the database gone.
func TestLeaksNothing(t *testing.T) {
	server := storetest.Postgres(t)
	values := fieldsOf(server.Database(t))
	dead := occupied(t) // takes connections and says nothing
	state := filepath.Join(t.TempDir(), "statefolder")
	d := start(t, state, "--config", configFile(t, fmt.Sprintf(`
[store]
dsn = 'postgres:///%s?host=%s&user=%s&password=dsnpassword'
[cache]
layers = ["memory", "memcached"]
memcached = ["%s"]
[feed]
allow-private = ["127.0.0.1"]
[[feed.source]]
name = "Private"
url = "http://127.0.0.1:1/feed?key=feedkey"
[quotes]
allow-private = ["127.0.0.1"]
[[quotes.page]]
name = "Page"
url = "http://127.0.0.1:1/?key=pagekey"
selector = "p"
`, values["dbname"], url.QueryEscape(values["host"]), values["user"], dead)))
	screen := watch(t, d)
	visitor := phone(t)
	visitor.Transport = &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.77")}}).DialContext}
	code := screen.invitation(t)
	if status, text := join(t, d, visitor, code); status != http.StatusSeeOther {
		t.Fatalf("joining: %d\n%s", status, text)
	}
	resp, err := visitor.Post(d.pages+"/json/chat/lobby", "application/json", strings.NewReader(`{"key":"1","name":"ann","text":"hello"}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	kiosk, err := url.Parse(d.kiosk)
	if err != nil {
		t.Fatal(err)
	}
	here, err := url.Parse(d.pages)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{d.said("owner"), ownerSecret(t, d), kiosk.Query().Get("token"), "feedkey", "pagekey", "dsnpassword", values["dbname"], values["host"], "statefolder", "127.0.0.77", dead}
	for _, c := range visitor.Jar.Cookies(here) {
		secrets = append(secrets, c.Value)
	}
	read := func(when string) {
		t.Helper()
		for _, path := range []string{d.scrapes, "/healthz", "/health", "/readyz", "/", "/feed", "/feed.json", "/quotes", "/chat", "/json/chat/lobby", "/remote", "/remote/state.json", "/kiosk", "/wall", "/nowhere"} {
			if strings.HasPrefix(path, "/") {
				path = d.pages + path
			}
			resp, err := http.Get(path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets {
				if s != "" && strings.Contains(string(body), s) {
					i := strings.Index(string(body), s)
					t.Errorf("%s, %s: it holds %q:\n%.300s", when, path, s, body[max(0, i-100):])
				}
			}
		}
	}
	read("in good days")
	server.Stop(t)
	for end := time.Now().Add(time.Minute); ; {
		resp, err := http.Get(d.pages + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		} else if time.Now().After(end) {
			t.Fatal("the daemon does not notice that its database is gone")
		}
	}
	read("without its database")
	for _, s := range []string{"feedkey", "pagekey", "dsnpassword", kiosk.Query().Get("token")} {
		if strings.Contains(d.logged(), s) {
			t.Errorf("the log holds %q", s)
		}
	}
	server.Start(t)
	d.await("/healthz", http.StatusOK)
}

// TestMetricsRebound: /metrics answers under this machine's names alone.
func TestMetricsRebound(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"))
	for host, want := range map[string]int{"": http.StatusOK, "localhost": http.StatusOK, "evil.example": http.StatusMisdirectedRequest, "127.0.0.1.evil.example:9101": http.StatusMisdirectedRequest} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.scrapes, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want || want != http.StatusOK && strings.Contains(string(body), "sierpi_") {
			t.Errorf("host %q: %s", host, resp.Status)
		}
	}
}

// TestHostileSockets sends every WebSocket of the daemon what it must not choke on, and opens
// more of each than it takes. It goes on painting.
func TestHostileSockets(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "state"))
	screen := watch(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	base := "ws" + strings.TrimPrefix(d.pages, "http")
	texts := map[string]string{
		"no JSON": "\x00\x01", "an array": "[]", "null": "null", "deep": strings.Repeat(`{"cells":[`, 2000), "deep arrays": strings.Repeat("[", 60_000)[:15_000],
		"wrong types": `{"type":7,"cells":"x","n":{}}`, "huge numbers": `{"type":"draw","n":1e999,"cells":[1e99]}`, "far cells": `{"type":"draw","n":1,"cells":[2147483647,-2147483648],"alive":true}`,
		"no such type": `{"type":"rm -rf"}`, "a bad frame": `{"type":"ack","frame":18446744073709551615}`, "a bad figure": `{"type":"set","width":-1,"height":99999999,"scene":"` + strings.Repeat("x", 5000) + `"}`,
		"many": strings.Repeat(`{"type":"key"}`, 1000), "a large one": `{"type":"name","name":"` + strings.Repeat("a", 2<<20) + `"}`,
	}
	for _, path := range []string{"/display/screen", "/display/board?kind=life&width=64&height=64", "/display/board?kind=snake", "/display/board?kind=figure", "/display/remote", "/display/control"} {
		visitor := phone(t)
		if strings.HasPrefix(path, "/display/remote") || strings.HasPrefix(path, "/display/control") {
			var last string
			screen.await(t, "another invitation", func(w *wallScreen) bool { last = w.code; return last != "" })
			if status, text := join(t, d, visitor, last); status != http.StatusSeeOther {
				t.Fatalf("joining for %s: %d\n%s", path, status, text)
			}
		}
		dial := func() (*websocket.Conn, error) {
			c, _, err := websocket.Dial(ctx, base+path, &websocket.DialOptions{HTTPClient: visitor})
			if err == nil {
				c.SetReadLimit(16 << 20)
			}
			return c, err
		}
		drain := func(c *websocket.Conn) { // until the daemon hangs up, or has nothing against it
			quiet, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			defer stop()
			for {
				if _, _, err := c.Read(quiet); err != nil {
					_ = c.CloseNow()
					return
				}
			}
		}
		for name, text := range texts {
			for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
				if kind == websocket.MessageBinary && name != "no JSON" && name != "many" {
					continue
				}
				c, err := dial()
				if err != nil {
					continue // this address has as many as it may, until the others are seen to be gone
				}
				if err := c.Write(ctx, kind, []byte(text)); err != nil && ctx.Err() != nil {
					t.Fatalf("%s, %s: %v", path, name, err)
				}
				drain(c)
			}
		}
		// A flood of what is allowed is the end of it.
		if c, err := dial(); err == nil {
			for ctx.Err() == nil {
				if c.Write(ctx, websocket.MessageText, []byte(`{"type":"hidden","hidden":false}`)) != nil {
					break
				}
			}
			if ctx.Err() != nil {
				t.Errorf("%s: a flood goes on for ever", path)
			}
			_ = c.CloseNow()
		}
	}
	// As many as there may be, and no more; who has a screen keeps it.
	var open []*websocket.Conn
	refused := 0
	for range 400 {
		c, resp, err := websocket.Dial(ctx, base+"/display/board?kind=life&width=64&height=64", nil)
		if err == nil {
			open = append(open, c)
		} else if refused++; resp == nil || resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("board %d: %v", len(open)+refused, err)
		}
	}
	if refused == 0 {
		t.Errorf("%d boards for one address", len(open))
	}
	before := screen.frame()
	screen.await(t, "more frames", func(w *wallScreen) bool { return w.last > before+20 })
	for _, c := range open {
		_ = c.CloseNow()
	}
	d.get("/healthz")
	for line := range strings.Lines(d.logged()) {
		if strings.Contains(line, "panic") {
			t.Error(line)
		}
	}
	t.Logf("%d boards for one address, %d refused", len(open), refused)
}
