package kiosk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Daemon is how the keeper reaches the daemon.
type Daemon struct {
	Base      *url.URL // "http://127.0.0.1/"
	TokenFile string   // the daemon writes it at each boot
	Header    string   // that carries the token
	SignIn    string   // path that turns ?token= into a cookie
}

// report is one output as the system shows it now.
type report struct {
	Name    string `json:"name"`
	On      bool   `json:"on"` // read back, not remembered
	Trouble string `json:"trouble,omitempty"`
}

// wish is what the daemon asks of an output, and what it knows of the page there.
type wish struct {
	Name  string `json:"name"`
	Page  string `json:"page"` // path and query on the daemon's host
	On    bool   `json:"on"`
	State string `json:"state"` // "painting", "frozen", "wrong", "blank", "off", ...
	Frame uint32 `json:"frame"`
	Rung  string `json:"rung"`
	// Seconds since the daemon heard the page's heart; null: not yet.
	BeatAge *float64 `json:"beatAge"`
}

const (
	readyPath   = "/readyz"
	outputsPath = "/display/outputs"

	// The daemon answers in milliseconds; this is for a board that swaps.
	daemonTimeout = 10 * time.Second
	mostReply     = 64 << 10
)

// client asks the daemon. Being on the same machine grants nothing: it carries the token.
type client struct {
	Daemon
	http http.Client
}

func newClient(d Daemon) *client {
	return &client{d, http.Client{
		Timeout: daemonTimeout,
		// The cookie is on the redirection itself.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// Never by a proxy: the token is for this machine.
		Transport: &http.Transport{MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: daemonTimeout},
	}}
}

func (c *client) address(pathAndQuery string) (string, error) {
	ref, err := url.Parse(pathAndQuery)
	if err != nil || ref.Host != "" || ref.Scheme != "" || !strings.HasPrefix(ref.Path, "/") {
		return "", fmt.Errorf("%q is no page of the daemon's", pathAndQuery)
	}
	return c.Base.ResolveReference(ref).String(), nil
}

// token is read each time: a daemon that was stopped has another one afterwards.
func (c *client) token() (string, error) {
	b, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the kiosk's token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || len(token) > 1000 {
		return "", fmt.Errorf("%s does not hold the kiosk's token", c.TokenFile)
	}
	return token, nil
}

// ready reports whether every part of the daemon runs.
func (c *client) ready(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, readyPath, nil, http.StatusOK)
	return err
}

// exchange tells the daemon of the outputs and returns what it wishes.
func (c *client) exchange(ctx context.Context, outputs []report) ([]wish, error) {
	body, err := json.Marshal(map[string]any{"outputs": outputs})
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodPost, outputsPath, body, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return parseWishes(resp.body)
}

func parseWishes(doc []byte) ([]wish, error) {
	var reply struct {
		Outputs []wish `json:"outputs"`
	}
	if err := json.Unmarshal(doc, &reply); err != nil {
		return nil, fmt.Errorf("the daemon's wishes are not understood: %w", err)
	}
	return reply.Outputs, nil
}

// signIn gets what makes a browser the kiosk's.
func (c *client) signIn(ctx context.Context) ([]*http.Cookie, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodGet, c.SignIn+"?token="+url.QueryEscape(token), nil, http.StatusSeeOther)
	if err != nil {
		return nil, err
	}
	if len(resp.cookies) == 0 {
		return nil, errors.New("the daemon gave no cookie for the kiosk's token")
	}
	return resp.cookies, nil
}

type response struct {
	body    []byte
	cookies []*http.Cookie
}

func (c *client) do(ctx context.Context, method, path string, body []byte, want int) (response, error) {
	address, err := c.address(path)
	if err != nil {
		return response{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	if path != readyPath {
		token, err := c.token()
		if err != nil {
			return response{}, err
		}
		req.Header.Set(c.Header, token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// The address may hold the token: errors go to the log without it.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return response{}, fmt.Errorf("asking the daemon at %s: %w", c.Base.Host, err)
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, mostReply))
	if err != nil {
		return response{}, fmt.Errorf("reading the daemon's answer: %w", err)
	}
	if resp.StatusCode != want {
		return response{}, &statusError{resp.StatusCode, strings.SplitN(path, "?", 2)[0]}
	}
	return response{doc, resp.Cookies()}, nil
}

// statusError is an answer, but not the one that was asked for.
type statusError struct {
	code int
	path string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the daemon answers %s with %d %s", e.path, e.code, http.StatusText(e.code))
}
