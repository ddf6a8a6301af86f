package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // a Monday
	pace = Pace{Interval: time.Hour}
)

func answer(status int, headers ...string) *Response {
	r := &Response{Status: status, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// TestPace: the next poll is after the longest of what anybody asks for, within
// bounds, and says whose wish it was.
func TestPace(t *testing.T) {
	httpDate := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		name    string
		hints   Hints
		headers []string
		want    time.Duration
		reason  string
	}{
		{"nobody asks", Hints{}, nil, time.Hour, "every 1h"},
		{"ttl longer", Hints{TTL: 3 * time.Hour}, nil, 3 * time.Hour, "ttl"},
		{"ttl shorter", Hints{TTL: time.Minute}, nil, time.Hour, "every 1h"},
		{"max-age", Hints{}, []string{"Cache-Control", "public, max-age=7200"}, 2 * time.Hour, "Cache-Control"},
		{"max-age less its age", Hints{}, []string{"Cache-Control", "max-age=9000", "Age", "1800"}, 2 * time.Hour, "Cache-Control"},
		{"max-age in two headers", Hints{}, []string{"Cache-Control", "public", "Cache-Control", `MAX-AGE="7200"`}, 2 * time.Hour, "Cache-Control"},
		{"no-cache", Hints{}, []string{"Cache-Control", "no-cache, max-age=0"}, time.Hour, "every"},
		{"nonsense max-age", Hints{}, []string{"Cache-Control", "max-age=-5, max-age=1e9"}, time.Hour, "every"},
		{"expires", Hints{}, []string{"Expires", httpDate(5 * time.Hour)}, 5 * time.Hour, "Expires"},
		{"expires by the publisher's clock", Hints{}, []string{"Expires", httpDate(5 * time.Hour), "Date", httpDate(2 * time.Hour)}, 3 * time.Hour, "Expires"},
		{"max-age overrides expires", Hints{}, []string{"Expires", httpDate(5 * time.Hour), "Cache-Control", "max-age=7200"}, 2 * time.Hour, "Cache-Control"},
		{"expires 0", Hints{}, []string{"Expires", "0"}, time.Hour, "every"},
		{"the longest", Hints{TTL: 4 * time.Hour}, []string{"Cache-Control", "max-age=7200"}, 4 * time.Hour, "ttl"},
		{"clamped", Hints{TTL: 400 * time.Hour}, nil, 24 * time.Hour, "all the same"},
		{"skipHours", Hints{SkipHours: 1<<13 | 1<<14}, nil, 3 * time.Hour, "skipHours"},
		{"skipHours elsewhere", Hints{SkipHours: 1<<12 | 1<<15}, nil, time.Hour, "every"},
		{"skipDays", Hints{TTL: 13 * time.Hour, SkipDays: 1<<time.Tuesday | 1<<time.Wednesday}, nil, 60 * time.Hour, "skipDays"},
		{"every hour skipped", Hints{SkipHours: 1<<24 - 1}, nil, time.Hour, "every"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Poll{URL: "http://x.example/"}
			p.Succeeded(answer(200, tc.headers...), tc.hints, pace, noon)
			if p.Wait != tc.want || !strings.Contains(p.Reason, tc.reason) {
				t.Errorf("waits %v because %q, want %v because of %q", p.Wait, p.Reason, tc.want, tc.reason)
			}
			wait, reason, ok := p.Remaining(noon.Add(10 * time.Minute))
			if !ok || wait != tc.want-10*time.Minute || reason == "" {
				t.Errorf("ten minutes later: %v, %q, %v", wait, reason, ok)
			}
		})
	}
}

// TestSkipWithoutClock: skipHours needs a clock that is set.
func TestSkipWithoutClock(t *testing.T) {
	p := Poll{}
	p.Succeeded(answer(200), Hints{SkipHours: 1<<24 - 2}, pace, time.Date(1970, 1, 1, 5, 0, 0, 0, time.UTC))
	if p.Wait != time.Hour {
		t.Errorf("waits %v in 1970, want an hour", p.Wait)
	}
}

// TestValidators: ETag and Last-Modified are kept independently, updated on 304 as
// well, and sent only when the copy is at hand.
func TestValidators(t *testing.T) {
	p := Poll{URL: "http://x.example/"}
	check := func(etag, modified string) {
		t.Helper()
		if r := p.Request(true); r.ETag != etag || r.LastModified != modified {
			t.Errorf("sends %q and %q, want %q and %q", r.ETag, r.LastModified, etag, modified)
		}
	}
	p.Succeeded(answer(200, "ETag", `"1"`, "Last-Modified", "yesterday"), Hints{}, pace, noon)
	check(`"1"`, "yesterday")
	p.Succeeded(answer(304), Hints{}, pace, noon)
	check(`"1"`, "yesterday")
	p.Succeeded(answer(304, "ETag", `"2"`), Hints{}, pace, noon)
	check(`"2"`, "yesterday")
	p.Succeeded(answer(304, "Last-Modified", "today"), Hints{}, pace, noon)
	check(`"2"`, "today")
	p.Succeeded(answer(200, "ETag", `"3"`), Hints{}, pace, noon)
	check(`"3"`, "")
	p.Succeeded(answer(200, "ETag", strings.Repeat("x", 5000), "Last-Modified", "a\x00b"), Hints{}, pace, noon)
	check("", "")
	p.Succeeded(answer(200, "ETag", `"4"`), Hints{}, pace, noon)
	p.Failed(answer(500), errors.New("500"), pace, noon)
	check(`"4"`, "")
	if r := p.Request(false); r.ETag != "" || r.LastModified != "" {
		t.Error("validators are sent without a copy to confirm")
	}
}

func TestRetryAfter(t *testing.T) {
	for _, status := range []int{429, 503} {
		for value, want := range map[string]time.Duration{
			"7200": 2 * time.Hour,
			noon.Add(3 * time.Hour).Format(http.TimeFormat): 3 * time.Hour,
			"5":                             time.Hour, // no sooner than always
			"999999999":                     7 * 24 * time.Hour,
			"Fri, 31 Dec 9999 23:59:59 GMT": 7 * 24 * time.Hour,
			"soon":                          time.Hour, // the usual back-off
		} {
			p := Poll{}
			p.Failed(answer(status, "Retry-After", value), errors.New("busy"), pace, noon)
			if p.Wait != want {
				t.Errorf("%d with Retry-After %q: waits %v, want %v (%s)", status, value, p.Wait, want, p.Reason)
			}
		}
	}
	p := Poll{}
	p.Failed(answer(500, "Retry-After", "7200"), errors.New("x"), pace, noon)
	if p.Wait != time.Hour {
		t.Errorf("500 is no reason for Retry-After: %v", p.Wait)
	}
}

// TestBackoff doubles up to the limit and never goes dead.
func TestBackoff(t *testing.T) {
	p := Poll{}
	var waits []string
	for range 8 {
		p.Failed(answer(404), errors.New("404"), pace, noon)
		waits = append(waits, short(p.Wait))
	}
	if got := strings.Join(waits, " "); got != "1h 2h 4h 8h 16h 24h 24h 24h" {
		t.Error(got)
	}
	for range 100_000 {
		p.Failed(answer(404), errors.New("404"), pace, noon)
	}
	if _, _, ok := p.Remaining(noon.Add(24 * time.Hour)); p.Wait != 24*time.Hour || !ok {
		t.Errorf("after 100,000 failures: %v", p.Wait)
	}
	p.Succeeded(answer(200), Hints{}, pace, noon)
	if p.Wait != time.Hour || p.Failures != 0 {
		t.Errorf("after a success: %v, %d failures", p.Wait, p.Failures)
	}
}

// TestLocalFailures are retried soon: nothing reached the publisher.
func TestLocalFailures(t *testing.T) {
	refused := func() error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		c := New(Options{AllowPrivate: []string{"127.0.0.1"}})
		_, err = c.Get(context.Background(), Request{URL: "http://" + l.Addr().String()})
		return err
	}()
	for name, err := range map[string]error{
		"no network": refused,
		"no DNS":     fmt.Errorf("reading: %w", &net.DNSError{Err: "no such host", IsNotFound: true}),
		"clock":      x509.CertificateInvalidError{Reason: x509.Expired},
	} {
		p := Poll{}
		p.Failed(nil, err, pace, noon)
		if p.Wait != 10*time.Second {
			t.Errorf("%s (%v): waits %v, want 10s", name, err, p.Wait)
		}
		for range 20 {
			p.Failed(nil, err, pace, noon)
		}
		if p.Wait != time.Hour {
			t.Errorf("%s, still: waits %v, want the interval", name, p.Wait)
		}
	}
	for name, err := range map[string]error{"denied": fmt.Errorf("x: %w", ErrDenied), "timeout": context.DeadlineExceeded, "unknown authority": x509.UnknownAuthorityError{}} {
		p := Poll{}
		p.Failed(nil, err, pace, noon)
		if p.Wait != time.Hour {
			t.Errorf("%s: waits %v, want the interval", name, p.Wait)
		}
	}
}

// TestCertificateIn1970 meets a real TLS server with the clock of a board that has
// none: that is the clock's fault, and is tried again soon.
func TestCertificateIn1970(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 2, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	now := time.Unix(30, 0)
	c := New(Options{AllowPrivate: []string{"127.0.0.1"}, RootCAs: roots, Now: func() time.Time { return now }})
	defer c.Close()
	_, err = c.Get(context.Background(), Request{URL: srv.URL})
	if err == nil || !local(err) {
		t.Errorf("in 1970: %v", err)
	}
	now = noon
	if _, err := c.Get(context.Background(), Request{URL: srv.URL}); err != nil {
		t.Errorf("when the clock is set: %v", err)
	}
}

func TestGone(t *testing.T) {
	p := Poll{}
	p.Failed(answer(410), errors.New("410"), pace, noon)
	if _, reason, ok := p.Remaining(noon.Add(1000 * time.Hour)); ok || !strings.Contains(reason, "410") {
		t.Errorf("after 410: %q, %v; want never again", reason, ok)
	}
}

// TestMoved follows a permanent redirect after three in a row, and goes home when
// the new address is no good.
func TestMoved(t *testing.T) {
	p := Poll{URL: "http://old.example/"}
	move := func(to string) {
		r := answer(200)
		r.Moved = to
		p.Succeeded(r, Hints{}, pace, noon)
	}
	at := func(want string) {
		t.Helper()
		if got := p.Request(false).URL; got != want {
			t.Errorf("asks %s, want %s", got, want)
		}
	}
	move("http://new.example/")
	move("http://new.example/")
	at("http://old.example/")
	move("") // answered itself in between
	move("http://new.example/")
	move("http://new.example/")
	move("http://other.example/")
	at("http://old.example/")
	move("http://new.example/")
	move("http://new.example/")
	move("http://new.example/")
	at("http://new.example/")
	p.Failed(answer(404), errors.New("404"), pace, noon)
	p.Failed(answer(404), errors.New("404"), pace, noon)
	at("http://new.example/")
	p.Failed(answer(404), errors.New("404"), pace, noon)
	at("http://old.example/")
}

// TestMovedChain: only a chain of permanent redirects moves an address.
func TestMovedChain(t *testing.T) {
	c, url := local127(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/301":
			http.Redirect(w, r, "/308", http.StatusMovedPermanently)
		case "/308":
			http.Redirect(w, r, "/end", http.StatusPermanentRedirect)
		case "/302":
			http.Redirect(w, r, "/308", http.StatusFound)
		}
	}, Options{})
	for path, want := range map[string]string{"/301": "/end", "/308": "/end", "/302": "", "/end": ""} {
		r, err := c.Get(context.Background(), Request{URL: url + path})
		if err != nil {
			t.Fatal(err)
		}
		if want != "" {
			want = url + want
		}
		if r.Moved != want {
			t.Errorf("%s: moved to %q, want %q", path, r.Moved, want)
		}
	}
}

// TestClockJumps: a jump moves no poll by more than it must.
func TestClockJumps(t *testing.T) {
	p := Poll{}
	if wait, reason, ok := p.Remaining(noon); wait != 0 || reason == "" || !ok {
		t.Error("an address never asked is due")
	}
	p.Succeeded(answer(200), Hints{}, pace, noon)
	if wait, _, ok := p.Remaining(time.Unix(60, 0)); wait != 0 || !ok {
		t.Errorf("after a reboot into 1970: %v, want at once", wait)
	}
	p.Succeeded(answer(200), Hints{}, pace, time.Unix(60, 0))
	if wait, _, _ := p.Remaining(time.Unix(120, 0)); wait != 59*time.Minute {
		t.Errorf("polled in 1970, a minute later: %v", wait)
	}
}

// TestPollSurvives: the state comes back from JSON as it was.
func TestPollSurvives(t *testing.T) {
	p := Poll{URL: "http://x.example/"}
	p.Succeeded(answer(200, "ETag", `"1"`, "Cache-Control", "max-age=7200"), Hints{SkipHours: 5, SkipDays: 3, TTL: time.Hour}, pace, noon)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var q Poll
	if err := json.Unmarshal(b, &q); err != nil || q != p {
		t.Errorf("%+v, want %+v (%v)", q, p, err)
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("max-age=60", "Mon, 23 Nov 2026 12:00:00 GMT", "120", "1", 60)
	f.Add("max-age=99999999999999999999", "0", "-1", "x", 0)
	f.Fuzz(func(t *testing.T, cc, expires, retry, age string, ttl int) {
		p := Poll{}
		p.Succeeded(answer(200, "Cache-Control", cc, "Expires", expires, "Age", age, "ETag", retry), Hints{TTL: time.Duration(ttl) * time.Minute, SkipHours: uint32(ttl), SkipDays: uint8(ttl)}, pace, noon)
		if p.Wait < time.Hour || p.Wait > (24+8*24)*time.Hour {
			t.Errorf("waits %v", p.Wait)
		}
		p.Failed(answer(503, "Retry-After", retry, "Date", expires), errors.New("x"), pace, noon)
		if p.Wait < time.Hour || p.Wait > maxRetryAfter {
			t.Errorf("after 503 waits %v", p.Wait)
		}
	})
}

// TestExplain: what people read on the page names what is missing, and nothing of Go.
func TestExplain(t *testing.T) {
	now := time.Date(1970, 1, 1, 0, 0, 20, 0, time.UTC)
	dial := func(errno syscall.Errno) error {
		return fmt.Errorf("reading http://a.example/: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, Err: os.NewSyscallError("connect", errno)})
	}
	for want, err := range map[string]error{
		"no machine named a.example":        fmt.Errorf("reading: %w", &net.DNSError{Name: "a.example", IsNotFound: true}),
		"name server does not answer":       &net.DNSError{Name: "a.example", IsTimeout: true},
		"nothing answers at 192.0.2.1:80":   dial(syscall.ECONNREFUSED),
		"no way to 192.0.2.1:80":            dial(syscall.ENETUNREACH),
		"not valid on 1 January 1970":       fmt.Errorf("x: %w", x509.CertificateInvalidError{Reason: x509.Expired}),
		"not to be trusted":                 x509.UnknownAuthorityError{},
		"did not answer in time":            fmt.Errorf("x: %w", context.DeadlineExceeded),
		"hung up":                           syscall.ECONNRESET,
		"list its host under allow-private": fmt.Errorf("%w: list its host under allow-private", ErrDenied),
		"something else":                    errors.New("something else"),
	} {
		if got := Explain(err, now); !strings.Contains(got, want) || strings.Contains(got, "dial tcp") {
			t.Errorf("%v: %q, want %q in it", err, got, want)
		}
	}
}
