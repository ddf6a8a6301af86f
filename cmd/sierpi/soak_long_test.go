//go:build long

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/system/systemtest"
)

const (
	soakChatters = 200
	soakPhones   = 4
	soakPosts    = 2 // messages a second, of all together
)

// TestSoakAll runs everything at once for as long as SIERPI_SOAK says (`make soak-all`:
// 60m): a wall in Chromium (SIERPI_SOAK_WALL=wire: a client that only reads and confirms
// frames), 200 chatters who wait for news and post, phones that draw into the universe,
// feeds, scrapes, readers of the pages. It prints a line a minute and holds that nothing
// grows: the last quarter beside the second, when all that fills up once has filled.
func TestSoakAll(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SIERPI_SOAK"))
	if err != nil {
		length = 4 * time.Minute
	}
	// What fills up is small, so that it is full by the second quarter of a short run too.
	d := furnished(t, "[display]\nscenes = [\"life\", \"line\", \"zoom\"]\ndwell = \"20s\"\n[chat]\nkeep = 100\nwaiters = 4000\nburst = 1000\ninterval = \"10ms\"\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	screen := watch(t, d)
	if os.Getenv("SIERPI_SOAK_WALL") != "wire" {
		browser := systemtest.Browser(t, 1920, 1080)
		if err := chromedp.Do(browser, chromedp.EmulateViewport(1920, 1080), chromedp.Navigate(d.kiosk)); err != nil {
			t.Fatal(err)
		}
		awaitJS(t, browser, painted+` > 30`)
	}
	var load soakLoad
	for i := range soakChatters {
		all.Go(func() { load.chat(ctx, d, i) })
	}
	for i := range soakPhones {
		visitor := phone(t)
		before := screen.invitation(t)
		if status, text := join(t, d, visitor, before); status != http.StatusSeeOther {
			t.Fatalf("phone %d: %d %s", i, status, text)
		}
		screen.await(t, "another code", func(w *wallScreen) bool { return w.code != "" && w.code != before })
		r := takeRemote(t, d, visitor)
		all.Go(func() { load.draw(ctx, r, 20+100*i) })
	}
	all.Go(func() {
		load.every(ctx, 200*time.Millisecond, func() error {
			return load.get(ctx, d.pages+[]string{"/", "/feed", "/quotes?q=computer", "/chat/lobby", "/health", "/display/frame.png"}[rand.IntN(6)])
		})
	})
	all.Go(func() { load.every(ctx, time.Second/soakPosts, func() error { return load.say(ctx, d) }) })
	all.Go(func() { load.every(ctx, 5*time.Second, func() error { return load.get(ctx, d.scrapes) }) })

	fmt.Println("| minute | frame | messages | delivered | drawings | requests | p50 ms | p99 ms | RSS MB | heap in use MB | goroutines | fds | errors |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	minutes := max(4, int(length/time.Minute))
	var rows []soakRow
	for minute := 1; minute <= minutes; minute++ {
		frame := screen.frame()
		timer := time.NewTimer(length / time.Duration(minutes))
		<-timer.C
		row := load.row(t, d)
		rows = append(rows, row)
		if screen.frame() <= frame {
			t.Fatalf("minute %d: the wall stands still at frame %d", minute, frame)
		}
		fmt.Printf("| %d | %d | %d | %d | %d | %d | %.1f | %.1f | %.1f | %.1f | %.0f | %.0f | %d |\n", minute, screen.frame(), load.posted.Load(), load.delivered.Load(), load.drawn.Load(),
			row.requests, row.p50, row.p99, row.rss/1e6, row.heap/1e6, row.goroutines, row.fds, load.errors.Load())
	}
	quarter := minutes / 4
	second, last := mean(rows[quarter:2*quarter]), mean(rows[minutes-quarter:])
	fmt.Printf("\nthe last quarter beside the second: RSS %.3f, heap %.3f, goroutines %.3f, fds %.3f, p99 %.2f times\n",
		last.rss/second.rss, last.heap/second.heap, last.goroutines/second.goroutines, last.fds/second.fds, last.p99/second.p99)
	for what, grown := range map[string]float64{"RSS": last.rss / second.rss, "heap": last.heap / second.heap, "goroutines": last.goroutines / second.goroutines, "file descriptors": last.fds / second.fds} {
		if grown > 1.15 {
			t.Errorf("%s grew to %.2f times", what, grown)
		}
	}
	if n := load.errors.Load(); n > 0 {
		t.Errorf("%d requests failed; the first: %v", n, load.first.Load())
	}
	if load.drawn.Load() == 0 || load.delivered.Load() == 0 {
		t.Error("nobody drew, or nothing was delivered")
	}
}

// soakRow is what is measured in a minute.
type soakRow struct {
	requests                   int
	p50, p99                   float64 // ms
	rss, heap, goroutines, fds float64
}

func mean(rows []soakRow) (m soakRow) {
	n := float64(len(rows))
	for _, r := range rows {
		m.p99, m.rss, m.heap, m.goroutines, m.fds = m.p99+r.p99/n, m.rss+r.rss/n, m.heap+r.heap/n, m.goroutines+r.goroutines/n, m.fds+r.fds/n
	}
	return m
}

// soakLoad is all who use the daemon.
type soakLoad struct {
	posted, delivered, drawn, errors atomic.Int64
	first                            atomic.Value // the first error

	mu    sync.Mutex
	times []float64 // ms, of this minute's requests that are answered at once
}

func (l *soakLoad) failed(ctx context.Context, err error) {
	if ctx.Err() == nil && err != nil {
		l.errors.Add(1)
		l.first.CompareAndSwap(nil, err.Error())
	}
}

func (l *soakLoad) took(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, float64(time.Since(began).Microseconds())/1000)
}

// every calls f at intervals until the end.
func (l *soakLoad) every(ctx context.Context, interval time.Duration, f func() error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.failed(ctx, f())
		}
	}
}

func (l *soakLoad) get(ctx context.Context, url string) error {
	return l.do(ctx, http.MethodGet, url, nil, nil, true)
}

// do sends a request and reads its answer; timed: it counts among those answered at once.
func (l *soakLoad) do(ctx context.Context, method, url string, in, out any, timed bool) error {
	var body io.Reader
	if in != nil {
		doc, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(doc)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := soakClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if timed {
		l.took(began)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.200s", method, url, resp.Status, answer)
	}
	if out != nil {
		return json.Unmarshal(answer, out)
	}
	return nil
}

// soakClient keeps a connection for each chatter.
var soakClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * soakChatters}}

// say has one of the chatters say something.
func (l *soakLoad) say(ctx context.Context, d *process) error {
	name := "chatter-" + strconv.Itoa(rand.IntN(soakChatters))
	l.posted.Add(1)
	return l.do(ctx, http.MethodPost, d.pages+"/json/chat/lobby", map[string]string{"key": strconv.FormatUint(rand.Uint64(), 36), "name": name, "text": "said by " + name + strings.Repeat(" and again", rand.IntN(10))}, nil, true)
}

// chat waits for news as a page does.
func (l *soakLoad) chat(ctx context.Context, d *process, i int) {
	name := "chatter-" + strconv.Itoa(i)
	var snap chatAnswer
	if err := l.do(ctx, http.MethodGet, d.pages+"/json/chat/lobby", nil, &snap, true); err != nil {
		l.failed(ctx, err)
		return
	}
	cursor := snap.Cursor
	for ctx.Err() == nil {
		var news chatAnswer
		if err := l.do(ctx, http.MethodPost, d.pages+"/json/chat-poll", map[string]any{"client": name, "name": name, "cursors": []string{cursor}}, &news, false); err != nil {
			l.failed(ctx, err)
			return
		}
		for _, r := range news.Rooms {
			cursor = r.Cursor
			l.delivered.Add(int64(len(r.Messages)))
		}
	}
}

// draw is a phone that draws a square now and then. The daemon asks it to wait where it
// draws too much; that is no failure.
func (l *soakLoad) draw(ctx context.Context, r *remote, x int) {
	l.every(ctx, 3*time.Second, func() error {
		began := time.Now()
		if what := r.ask(map[string]any{"type": "draw", "alive": true, "cells": square(x+rand.IntN(40), 20+rand.IntN(200))}); what == "" {
			l.drawn.Add(1)
			l.took(began)
		}
		return nil
	})
}

// row is this minute's figures, the daemon's own from its metrics.
func (l *soakLoad) row(t *testing.T, d *process) soakRow {
	t.Helper()
	l.mu.Lock()
	times := l.times
	l.times = nil
	l.mu.Unlock()
	slices.Sort(times)
	r := soakRow{requests: len(times)}
	if len(times) > 0 {
		r.p50, r.p99 = times[len(times)/2], times[len(times)*99/100]
	}
	for line := range strings.Lines(d.get(d.scrapes)) {
		for name, into := range map[string]*float64{"process_resident_memory_bytes ": &r.rss, "go_memstats_heap_inuse_bytes ": &r.heap, "go_goroutines ": &r.goroutines, "process_open_fds ": &r.fds} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
				if err != nil {
					t.Fatal(err)
				}
				*into = v
			}
		}
	}
	return r
}
