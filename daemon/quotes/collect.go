package quotes

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"github.com/sierpi/sierpi/daemon/fetch"
	"github.com/sierpi/sierpi/daemon/store"
)

// CollectedPage is a page on which quotes appear, to be looked at every hour.
type CollectedPage struct {
	Name     string // kept with its quotes as where they came by; "" means the host
	URL      string
	Selector string // CSS, of the elements that hold a quote each; "" means FooterSelector
}

// FooterSelector finds the quote that sites in the manner of Slashdot carry in the
// footer of each page: a blockquote with, perhaps, a cite or a last line in dashes.
const FooterSelector = `footer blockquote, #footer blockquote, .footer blockquote, #ft blockquote`

// collectEvery is the time between two looks at a page, unless it asks for more.
const collectEvery = time.Hour

// maxCollected is how many quotes one look at a page may bring.
const maxCollected = 200

// keptCollected is how many quotes of one page stay; the oldest go first. It is some
// months of a page that has another one every hour, and bounds what one with another
// purpose can do to the card.
const keptCollected = 5000

// collected is a configured page, checked.
type collected struct {
	CollectedPage
	match goquery.Matcher
}

func collectedPages(pages []CollectedPage) ([]collected, error) {
	var out []collected
	for i, p := range pages {
		if err := fetch.CheckURL(p.URL); err != nil {
			return nil, fmt.Errorf("page %d of the quotes to collect: %w", i+1, err)
		}
		if p.Selector == "" {
			p.Selector = FooterSelector
		}
		m, err := cascadia.Compile(p.Selector)
		if err != nil {
			return nil, fmt.Errorf("page %d of the quotes to collect: the selector %q is no CSS: %w", i+1, p.Selector, err)
		}
		if p.Name == "" {
			if req, err := http.NewRequest(http.MethodGet, p.URL, nil); err == nil {
				p.Name = req.URL.Hostname()
			}
		}
		out = append(out, collected{p, m})
	}
	return out, nil
}

// String names the task.
func (s *Service) String() string { return "quotes collector" }

// Run looks at the configured pages every hour until ctx ends. Without pages it
// only waits.
func (s *Service) Run(ctx context.Context) error {
	if len(s.pages) == 0 {
		<-ctx.Done()
		return nil
	}
	defer s.client.Close()
	for {
		wait := collectEvery
		for _, p := range s.pages {
			wait = min(wait, s.collect(ctx, p))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(wait, time.Second)):
		}
	}
}

// collect looks at a page if it is due and returns how long to wait before the next time.
func (s *Service) collect(ctx context.Context, p collected) time.Duration {
	poll, err := s.loadPoll(ctx, p.URL)
	if err != nil {
		s.log.Error("collecting quotes", "page", fetch.Redact(p.URL), "error", err)
		return time.Minute
	}
	if wait, _, ok := poll.Remaining(time.Now()); !ok || wait > 0 {
		s.collectorNote(p.URL, poll)
		if !ok {
			return collectEvery
		}
		return wait
	}
	pace := fetch.Pace{Interval: collectEvery}
	resp, err := s.client.Get(ctx, poll.Request(true))
	if ctx.Err() != nil {
		return time.Minute
	}
	switch {
	case err != nil:
	case resp.Status == http.StatusNotModified:
	case resp.Status != http.StatusOK:
		err = fmt.Errorf("the page answers %d %s", resp.Status, http.StatusText(resp.Status))
	default:
		var items []Item
		if items, err = quotesOn(resp.Body, resp.Header.Get("Content-Type"), p.match); err == nil {
			err = s.keep(ctx, p, items)
		}
	}
	if err != nil {
		poll.Failed(resp, err, pace, time.Now())
		s.log.Warn("no quotes collected", "page", fetch.Redact(p.URL), "error", err, "next", poll.Reason)
	} else {
		poll.Succeeded(resp, fetch.Hints{}, pace, time.Now())
	}
	s.collectorNote(p.URL, poll)
	if err := s.savePoll(ctx, p.URL, poll); err != nil {
		s.log.Error("collecting quotes", "page", fetch.Redact(p.URL), "error", err)
	}
	wait, _, ok := poll.Remaining(time.Now())
	if !ok {
		return collectEvery
	}
	return wait
}

func (s *Service) keep(ctx context.Context, p collected, items []Item) error {
	var clean []Item
	for _, it := range items {
		if it, why := it.clean(); why == "" && len(clean) < maxCollected {
			clean = append(clean, it)
		}
	}
	if len(clean) == 0 {
		return fmt.Errorf("nothing on the page fits the selector %q", p.Selector)
	}
	outs, err := s.add(ctx, clean, p.Name)
	if err != nil {
		return err
	}
	n := 0
	for _, o := range outs {
		if o == added {
			n++
		}
	}
	if n > 0 {
		gone, err := s.prune(ctx, p.Name, keptCollected)
		if err != nil {
			return err
		}
		s.forget()
		s.log.Info("quotes collected", "page", fetch.Redact(p.URL), "new", n, "oldest removed", gone)
	}
	return nil
}

// quotesOn takes the quotes off a page of any encoding.
func quotesOn(body []byte, contentType string, match goquery.Matcher) ([]Item, error) {
	r, err := charset.NewReader(bytes.NewReader(body), contentType)
	if err != nil {
		return nil, fmt.Errorf("reading the page: %w", err)
	}
	doc, err := goquery.NewDocumentFromReader(r) // refuses more than 512 levels
	if err != nil {
		return nil, fmt.Errorf("reading the page: %w", err)
	}
	var items []Item
	doc.FindMatcher(match).EachWithBreak(func(_ int, el *goquery.Selection) bool {
		el = el.Clone()
		said := cleanLine(strings.TrimLeft(cleanLine(el.Find("cite, footer").First().Text()), "-—– "))
		el.Find("cite, footer, script, style").Remove()
		it := attributed(textOf(el.Nodes))
		if said != "" {
			it.Author, it.Source = splitAttribution(said)
			it.Text = strings.TrimRight(it.Text, " \n-—–")
		} else if it.Author == "" && it.Source == "" {
			it = inline(it.Text)
		}
		items = append(items, it)
		return len(items) < maxCollected
	})
	return items, nil
}

// textOf is the text of elements as it is read: spaces as one, a line for a br
// and for each block.
func textOf(nodes []*html.Node) string {
	var b strings.Builder
	var walk func(n *html.Node, pre bool)
	walk = func(n *html.Node, pre bool) {
		switch n.Type {
		case html.TextNode:
			if pre {
				b.WriteString(n.Data)
				return
			}
			words := strings.Join(strings.Fields(n.Data), " ")
			if words == "" {
				words = " "
			} else {
				if strings.TrimLeft(n.Data, " \t\r\n") != n.Data {
					words = " " + words
				}
				if strings.TrimRight(n.Data, " \t\r\n") != n.Data {
					words += " "
				}
			}
			if s := b.String(); s == "" || s[len(s)-1] == '\n' || s[len(s)-1] == ' ' {
				words = strings.TrimLeft(words, " ")
			}
			b.WriteString(words)
		case html.ElementNode:
			block := n.DataAtom == atom.P || n.DataAtom == atom.Div || n.DataAtom == atom.Li || n.DataAtom == atom.Pre
			if n.DataAtom == atom.Br || block && b.Len() > 0 {
				b.WriteByte('\n')
			}
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				walk(c, pre || n.DataAtom == atom.Pre)
			}
			if block {
				b.WriteByte('\n')
			}
		}
	}
	for _, n := range nodes {
		walk(n, false)
	}
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func (s *Service) loadPoll(ctx context.Context, url string) (*fetch.Poll, error) {
	poll := &fetch.Poll{URL: url}
	err := s.db.View(ctx, func(tx *store.Tx) error {
		var kept string
		err := tx.QueryRowContext(ctx, `SELECT poll FROM quote_collector WHERE url = ?`, url).Scan(&kept)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if json.Unmarshal([]byte(kept), poll) != nil || poll.URL != url {
			*poll = fetch.Poll{URL: url} // of another version: begin anew
		}
		return nil
	})
	return poll, err
}

func (s *Service) savePoll(ctx context.Context, url string, poll *fetch.Poll) error {
	kept, err := json.Marshal(poll)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO quote_collector (url, poll) VALUES (?, ?) ON CONFLICT (url) DO UPDATE SET poll = excluded.poll`, url, string(kept))
		return err
	})
}

// collectorNote remembers for Health how a page fares.
func (s *Service) collectorNote(url string, poll *fetch.Poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubles == nil {
		s.troubles = map[string]string{}
	}
	delete(s.troubles, url)
	if poll.Error != "" {
		s.troubles[url] = fetch.Redact(url) + ": " + poll.Error
	}
}
