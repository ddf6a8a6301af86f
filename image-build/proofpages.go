package imagebuild

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// get asks the pages from outside.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, res.Status, body)
	}
	return string(body), err
}

// signIn opens the owner's session.
func (p *proof) signIn(ctx context.Context, secret string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	// What a redirect leads to is of no interest.
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := p.post(ctx, client, "/owner/login", "application/x-www-form-urlencoded", url.Values{"secret": {secret}}.Encode())
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSeeOther && res.StatusCode != http.StatusFound {
		return nil, fmt.Errorf("the owner's secret was refused: %s", res.Status)
	}
	return client, nil
}

// post sends and reads the whole answer; the body is then in memory.
func (p *proof) post(ctx context.Context, client *http.Client, path, kind, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.http+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	res.Body = io.NopCloser(bytes.NewReader(data))
	return res, err
}

// chat writes into the lobby from outside.
func (p *proof) chat(ctx context.Context, text string) error {
	status, said, err := p.say(ctx, text)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("writing into the chat: status %d: %.300s", status, said)
	}
	return err
}

// lobby holds whether the chat's room has a message.
func (p *proof) lobby(ctx context.Context, message string, has bool) error {
	page, err := get(ctx, p.http+"/chat/lobby")
	if err == nil && strings.Contains(page, message) != has {
		err = fmt.Errorf("the chat has %q: %v: %.300s", message, !has, page)
	}
	return err
}

// say writes into the lobby, at the pace that the chat allows, and returns what came of it.
func (p *proof) say(ctx context.Context, text string) (status int, said string, err error) {
	form := url.Values{"key": {rand.Text()}, "name": {"proof"}, "text": {text}}
	for {
		res, err := p.post(ctx, http.DefaultClient, "/chat/lobby", "application/x-www-form-urlencoded", form.Encode())
		if err != nil {
			return 0, "", err
		}
		if res.StatusCode != http.StatusTooManyRequests {
			body, err := io.ReadAll(res.Body)
			return res.StatusCode, string(body), err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, "", context.Cause(ctx)
		}
	}
}

// screen is a client that takes every frame of the wall.
type screen struct {
	conn   *websocket.Conn
	frames chan struct{} // one for each frame that came; closed with err set
	err    error
}

// newScreen opens one at the pages; it lasts until the context ends.
func (p *proof) newScreen(ctx context.Context) (*screen, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.http, "http")+"/display/screen", nil)
	if err != nil {
		return nil, fmt.Errorf("opening a screen: %w", err)
	}
	conn.SetReadLimit(16 << 20)
	s := &screen{conn: conn, frames: make(chan struct{})}
	go func() {
		defer close(s.frames)
		defer conn.CloseNow()
		for {
			if _, _, s.err = conn.Read(ctx); s.err != nil {
				return
			}
			select {
			case s.frames <- struct{}{}:
			default: // nobody counts now
			}
		}
	}()
	return s, nil
}

// paints waits for so many new frames.
func (s *screen) paints(ctx context.Context, n int) error {
	for i := range n {
		select {
		case _, ok := <-s.frames:
			if !ok {
				return fmt.Errorf("the screen was closed: %w", s.err)
			}
		case <-ctx.Done():
			return fmt.Errorf("the wall stands still after %d frames: %w", i, context.Cause(ctx))
		}
	}
	return nil
}

// part is what /healthz says of one part; a report comes with 503 too.
func (p *proof) part(ctx context.Context, name string) (state, why string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.http+"/healthz", nil)
	if err != nil {
		return "", "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	var report struct {
		Parts []struct{ Name, State, Why string }
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&report); err != nil {
		return "", "", fmt.Errorf("/healthz: %s: %w", res.Status, err)
	}
	for _, part := range report.Parts {
		if part.Name == name {
			return part.State, part.Why, nil
		}
	}
	return "", "", fmt.Errorf("/healthz has no part %s", name)
}

// polled writes into the lobby while a poll waits there, which must bring it.
func (p *proof) polled(ctx context.Context, text string) error {
	doc, err := get(ctx, p.http+"/json/chat/lobby")
	if err != nil {
		return err
	}
	var now struct{ Cursor string }
	if err := json.Unmarshal([]byte(doc), &now); err != nil || now.Cursor == "" {
		return fmt.Errorf("the room has no cursor: %w: %.200s", err, doc)
	}
	poll, err := json.Marshal(map[string]any{"client": "proof", "cursors": []string{now.Cursor}})
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	go func() {
		res, err := p.post(ctx, http.DefaultClient, "/json/chat-poll", "application/json", string(poll))
		if err != nil {
			answer <- fmt.Errorf("a poll: %w", err)
			return
		}
		body, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(body), text)) {
			err = fmt.Errorf("a poll brought %s: %.300s", res.Status, body)
		}
		answer <- err
	}()
	if err := p.chat(ctx, text); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
