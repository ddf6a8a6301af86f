package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options configure a Client. The zero value is usable.
type Options struct {
	// AllowPrivate lists what may be read on private networks: hosts, as "host" or
	// "host:port", addresses, and networks as "192.168.1.0/24". They may be named by
	// the owner only: another host's redirect does not lead there.
	AllowPrivate []string
	UserAgent    string        // "" means sierpi's own
	Timeout      time.Duration // for one Get with its redirects; 0 means 30 s
	MaxBytes     int64         // of a decompressed body; 0 means 4 MiB
	Resolver     *net.Resolver // nil means the system's
	RootCAs      *x509.CertPool
	Now          func() time.Time // what certificates are checked against; nil means time.Now
}

// Limits that no publisher has a reason to exceed.
const (
	maxRedirects   = 5
	maxHeaderBytes = 64 << 10
	defaultAgent   = "sierpi (+https://github.com/sierpi/sierpi)"
	accept         = "application/feed+json, application/atom+xml, application/rss+xml, application/rdf+xml;q=0.9, application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)

// What a Get can fail with, beside errors of net and net/http.
var (
	ErrDenied    = errors.New("the address is on a private network")
	ErrTooLarge  = errors.New("the answer is too long")
	ErrScheme    = errors.New("only http and https addresses can be read")
	ErrRedirects = errors.New("too many redirects")
	ErrBusy      = errors.New("other polls of this host took all the time")
)

// Request is what to ask for.
type Request struct {
	URL          string
	ETag         string // of the copy at hand, sent as If-None-Match
	LastModified string // of the copy at hand, sent back as it came
}

// Response is a publisher's answer, whatever its status.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // decompressed; empty unless the status is 200
	URL    string // where it came from, after redirects
	Moved  string // where a chain of permanent redirects only leads; "" otherwise
}

// Client reads addresses. It may be used concurrently.
type Client struct {
	timeout  time.Duration
	maxBytes int64
	agent    string
	allowed  map[string]bool
	networks []netip.Prefix  // listed
	public   *http.Transport // refuses private addresses
	private  *http.Transport // for listed hosts only
	network  *http.Transport // refuses private addresses outside the listed networks
	hosts    hostLimit
	large    chan struct{} // the token to read a large body
}

// New returns a client.
func New(o Options) *Client {
	c := &Client{timeout: o.Timeout, maxBytes: o.MaxBytes, agent: o.UserAgent, allowed: map[string]bool{}, large: make(chan struct{}, 1)}
	if c.timeout == 0 {
		c.timeout = 30 * time.Second
	}
	if c.maxBytes == 0 {
		c.maxBytes = 4 << 20
	}
	if c.agent == "" {
		c.agent = defaultAgent
	}
	for _, h := range o.AllowPrivate {
		c.allowed[strings.ToLower(strings.TrimSuffix(strings.Trim(h, "[]"), "."))] = true
		if p, err := netip.ParsePrefix(h); err == nil {
			c.networks = append(c.networks, p.Masked())
		} else if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
			c.networks = append(c.networks, netip.PrefixFrom(a.WithZone(""), a.BitLen()))
		}
	}
	c.public = transport(o, refusePrivate)
	c.private = transport(o, nil)
	c.network = transport(o, c.refuseUnlisted)
	return c
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.public.CloseIdleConnections()
	c.private.CloseIdleConnections()
	c.network.CloseIdleConnections()
}

func transport(o Options, control controlFunc) *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second, Resolver: o.Resolver, Control: control}
	return &http.Transport{
		// No proxy: a proxy would look up names itself, past the check of addresses.
		Proxy:                  nil,
		DialContext:            d.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, Time: o.Now},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           8,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        30 * time.Second, // polls are far apart
	}
}

// listed tells whether the owner allows a URL's host on a private network.
func (c *Client) listed(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return c.allowed[host] || c.allowed[host+":"+port] || c.allowed[net.JoinHostPort(host, port)]
}

// hop sends each hop of a chain through the transport that fits it.
type hop struct {
	client *Client
	// mayPrivate: the chain began at a listed host, so it may go to listed hosts.
	mayPrivate bool
	// begun: the first hop, whose address the owner wrote, is done. inside: it led
	// into a listed network, so the further ones may stay there.
	begun, inside bool
}

func (h *hop) RoundTrip(r *http.Request) (*http.Response, error) {
	first := !h.begun
	h.begun = true
	switch {
	case h.mayPrivate && h.client.listed(r.URL):
		return h.client.private.RoundTrip(r)
	case first && len(h.client.networks) > 0:
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if ap, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil {
				h.inside = h.client.inListed(ap.Addr())
			}
		}}
		return h.client.network.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	case h.inside:
		return h.client.network.RoundTrip(r)
	}
	return h.client.public.RoundTrip(r)
}

// Get reads an address, following redirects. An answer of any status is no error.
func (c *Client) Get(ctx context.Context, req Request) (*Response, error) {
	u, err := url.Parse(req.URL)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", Redact(req.URL), errors.Unwrap(err))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	leave, err := c.hosts.enter(ctx, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w: %w", Redact(req.URL), ErrBusy, err)
	}
	defer leave()
	resp, err := c.get(ctx, u, req)
	if err != nil {
		// url.Error repeats the address, with its password.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("reading %s: %w", Redact(req.URL), err)
	}
	return resp, nil
}

func (c *Client) get(ctx context.Context, u *url.URL, req Request) (*Response, error) {
	if err := checkURL(u); err != nil {
		return nil, err
	}
	moved := true // every redirect so far was a permanent one
	last := u
	hc := &http.Client{
		Transport: &hop{client: c, mayPrivate: c.listed(u)},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return ErrRedirects
			}
			if err := checkURL(next.URL); err != nil {
				return err
			}
			if s := next.Response.StatusCode; s != http.StatusMovedPermanently && s != http.StatusPermanentRedirect {
				moved = false
			}
			last = next.URL
			return nil
		},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Accept", accept)
	// Instance manipulations (RFC 3229) are not asked for: they would give a part.
	if req.ETag != "" {
		r.Header.Set("If-None-Match", req.ETag)
	}
	if req.LastModified != "" {
		r.Header.Set("If-Modified-Since", req.LastModified)
	}
	resp, err := hc.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := &Response{Status: resp.StatusCode, Header: resp.Header, URL: last.String()}
	if moved && last != u {
		out.Moved = last.String()
	}
	if resp.StatusCode != http.StatusOK {
		return out, nil
	}
	if out.Body, err = c.body(resp); err != nil {
		return nil, err
	}
	return out, nil
}

// body reads a body, decompressing it where the server did not say that it is
// compressed, within the limit.
func (c *Client) body(resp *http.Response) ([]byte, error) {
	ctx := resp.Request.Context()
	leave := func() {}
	defer func() { leave() }()
	// Whatever many hosts send at once, only one body may take megabytes.
	enlarge := func() error {
		select {
		case c.large <- struct{}{}:
			leave = func() { <-c.large }
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting to read a large body: %w", ErrBusy, ctx.Err())
		}
	}
	b, err := c.readAll(resp.Body, &enlarge)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		return c.readAll(z, &enlarge)
	}
	return b, nil
}

// largeBody is what a body may take without waiting for its turn, in bytes.
const largeBody = 512 << 10

// readAll reads within the limit. Its buffer doubles up to exactly the limit, where
// io.ReadAll would leave several times the body behind as garbage.
// It calls enlarge once before the body becomes large, and sets it to nil.
func (c *Client) readAll(r io.Reader, enlarge *func() error) ([]byte, error) {
	b := make([]byte, 0, min(c.maxBytes+1, 32<<10))
	for {
		if int64(len(b)) > c.maxBytes {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.maxBytes)
		}
		if len(b) == cap(b) {
			if *enlarge != nil && 2*cap(b) > largeBody {
				if err := (*enlarge)(); err != nil {
					return nil, err
				}
				*enlarge = nil
			}
			grown := make([]byte, len(b), min(2*int64(cap(b)), c.maxBytes+1))
			copy(grown, b)
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF && int64(len(b)) <= c.maxBytes:
			return b, nil
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("reading the body: %w", err)
		}
	}
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ErrScheme
	}
	return nil
}

// CheckURL says what is wrong with an address that is to be read.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: %w", Redact(address), errors.Unwrap(err))
	}
	if err := checkURL(u); err != nil {
		return fmt.Errorf("%s: %w", Redact(address), err)
	}
	return nil
}

// Redact is an address without its user and password and without its query,
// which often is a key.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be parsed"
	}
	u.User = nil
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.String()
}

// hostLimit lets one request a host through at a time.
type hostLimit struct {
	mu    sync.Mutex
	hosts map[string]*turn
}

type turn struct {
	token chan struct{}
	users int
}

func (l *hostLimit) enter(ctx context.Context, host string) (leave func(), err error) {
	host = strings.ToLower(host)
	l.mu.Lock()
	if l.hosts == nil {
		l.hosts = map[string]*turn{}
	}
	t, ok := l.hosts[host]
	if !ok {
		t = &turn{token: make(chan struct{}, 1)}
		l.hosts[host] = t
	}
	t.users++
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		if t.users--; t.users == 0 {
			delete(l.hosts, host)
		}
		l.mu.Unlock()
	}
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
