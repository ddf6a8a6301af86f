package display_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/wire"
)

// client is a screen written in Go.
type client struct {
	conn *websocket.Conn
	dec  wire.Decoder
}

func dial(t testing.TB, base, query string, hc *http.Client) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"/display/screen"+query, &websocket.DialOptions{HTTPClient: hc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(4 << 20)
	return &client{conn: conn}
}

// next reads to the next frame and acknowledges it.
func (c *client) next(ctx context.Context) (*wire.Frame, int, error) {
	for {
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			return nil, 0, err
		}
		if kind != websocket.MessageBinary {
			continue
		}
		f, err := c.dec.Decode(data)
		if err != nil {
			return nil, 0, err
		}
		if err := c.say(ctx, map[string]any{"type": "ack", "frame": f.Number}); err != nil {
			return nil, 0, err
		}
		return f, len(data), nil
	}
}

func (c *client) say(ctx context.Context, m any) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.conn.Write(ctx, websocket.MessageText, data)
}

// fetchFrame asks the daemon for its own copy of a frame; nil: it keeps only the
// last few, and this one came so late, on a busy machine, that it is gone there.
func fetchFrame(t testing.TB, base string, number uint32) *wire.Frame {
	t.Helper()
	r, err := http.Get(fmt.Sprintf("%s/display/cells?n=%d", base, number))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode == http.StatusNotFound {
		return nil
	}
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("frame %d: %v, status %d: %s", number, err, r.StatusCode, body)
	}
	var d wire.Decoder
	f, err := d.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRates holds screens of different rates to the same universe, across a change
// of scene.
func TestRates(t *testing.T) {
	s := newStage(t, display.Options{Dwell: 4 * time.Second, Fade: time.Second, FramesPerSecond: 20})
	base := serve(t, s)
	var group sync.WaitGroup
	for _, rate := range []string{"20", "10", "5"} {
		c := dial(t, base, "?rate="+rate, nil)
		group.Go(func() {
			scenes := map[string]bool{}
			for len(scenes) < 2 {
				f, _, err := c.next(t.Context())
				if err != nil {
					t.Errorf("at %s frames/s: %v", rate, err)
					return
				}
				own := fetchFrame(t, base, f.Number)
				if own == nil {
					continue
				}
				if !bytes.Equal(own.Cells, f.Cells) || own.Hash() != f.Hash() {
					t.Errorf("at %s frames/s: frame %d is another than the daemon's", rate, f.Number)
					return
				}
				scenes[f.Scene] = true // seen, and the same
			}
		})
	}
	group.Wait()
}

// TestIdle is that nothing moves while nobody watches.
// TestAlike: Life moves in every second frame; the others are not sent, are not taken for dropped
// ones, and count as what was on view.
func TestAlike(t *testing.T) {
	s := newStage(t, display.Options{Width: 160, Height: 90, Scenes: []string{"life"}, Seed: 3})
	s.Forward(600) // what the scene begins with is faded in, frame by frame
	base := serve(t, s)
	c := dial(t, base, "", nil)
	last, _, err := c.next(t.Context()) // the decoder's own
	if err != nil {
		t.Fatal(err)
	}
	first, hash := last.Number, last.BandHash()
	if err := c.say(t.Context(), map[string]any{"type": "beat", "frame": first, "hash": hash, "rate": 0, "visible": true}); err != nil {
		t.Fatal(err)
	}
	received := 0
	for last.Number < first+60 {
		was := slices.Clone(last.Cells)
		if last, _, err = c.next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(was, last.Cells) {
			t.Errorf("frame %d is sent, and is like the one before it", last.Number)
		}
		received++
	}
	hash = last.BandHash()
	if err := c.say(t.Context(), map[string]any{"type": "beat", "frame": last.Number, "hash": hash, "rate": 15, "visible": true}); err != nil {
		t.Fatal(err)
	}
	sc := awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].Frame == last.Number }).Screens[0]
	// On a busy machine some are skipped; together they are every second one.
	if frames := int(last.Number - first); received+int(sc.Skipped) > frames*6/10 {
		t.Errorf("of %d frames %d were sent and %d skipped; every second one is like the one before it", frames, received, sc.Skipped)
	}
	if sc.Rate <= 15 || sc.State != display.Painting {
		t.Errorf("%s at %.1f frames/s, want painting at more than the 15 that were sent", sc.State, sc.Rate)
	}
}

func TestIdle(t *testing.T) {
	asked := atomic.Int32{}
	s := newStage(t, display.Options{Cards: func(context.Context) display.Cards { asked.Add(1); return display.Cards{} }})
	base := serve(t, s)
	if asked.Load() != 0 {
		t.Error("the cards were asked for with nobody watching")
	}
	c := dial(t, base, "", nil)
	for range 5 {
		if _, _, err := c.next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.conn.CloseNow()
	awaitStatus(t, s, func(st display.Status) bool { return len(st.Screens) == 0 })
	// One more tick may be under way; after it the number stands still.
	var last uint32
	awaitStatus(t, s, func(st display.Status) bool { same := st.Frame == last; last = st.Frame; return same })
	timer := time.NewTimer(300 * time.Millisecond) // nine frames, were there any
	<-timer.C
	if st := s.Status(); st.Frame != last {
		t.Errorf("frame %d came after %d with nobody watching", st.Frame, last)
	}
	// The picture is there all the same, and a returning screen goes on from it.
	r, err := http.Get(base + "/display/frame.png")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := r.Header.Get(display.FrameHeader); got != strconv.Itoa(int(last)) {
		t.Errorf("the picture is of frame %s, not %d", got, last)
	}
	c = dial(t, base, "", nil)
	if f, _, err := c.next(t.Context()); err != nil || f.Number < last || f.Number > last+3 {
		t.Errorf("the screen that came back got %v, %v; the last frame was %d", f, err, last)
	}
}

// slowConn reads so many bytes a second and has a small window.
type slowConn struct {
	net.Conn
	perSecond int
}

func (c *slowConn) Read(p []byte) (int, error) {
	n := min(len(p), max(1, c.perSecond/50))
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	return c.Conn.Read(p[:n])
}

// TestSlowScreen is that a throttled screen skips frames, still shows right ones,
// and delays nobody.
func TestSlowScreen(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}}) // the scene with the largest frames
	base := serve(t, s)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			return nil, err
		}
		return &slowConn{conn, 60e3}, nil
	}}
	defer transport.CloseIdleConnections()
	slow := dial(t, base, "?id=slow", &http.Client{Transport: transport})
	fast := dial(t, base, "?id=fast", nil)

	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	var slowFrames atomic.Int32
	group.Go(func() {
		for {
			f, _, err := slow.next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the slow screen: %v", err)
				}
				return
			}
			if len(f.Cells) > 0 {
				slowFrames.Add(1)
			}
		}
	})
	// Six seconds of the fast screen: every frame, in turn.
	var last, gaps, count uint32
	began := time.Now()
	for time.Since(began) < 6*time.Second {
		f, _, err := fast.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if last != 0 {
			gaps += f.Number - last - 1
		}
		last = f.Number
		count++
	}
	st := s.Status()
	var slowStatus display.ScreenStatus
	for _, sc := range st.Screens {
		if sc.ID == "slow" {
			slowStatus = sc
		}
	}
	t.Logf("in six seconds: fast %d frames, %d missing; slow %d sent, %d arrived, %d skipped", count, gaps, slowStatus.Sent, slowFrames.Load(), slowStatus.Skipped)
	// Were one tied to the other, both would get as many. How many frames a busy machine
	// makes at all, and how many a client takes in time, is not asked here.
	if uint64(count) < 3*uint64(slowStatus.Sent) {
		t.Errorf("the fast screen got %d frames while the slow one was sent %d", count, slowStatus.Sent)
	}
	if slowStatus.Skipped == 0 {
		t.Errorf("the slow screen skipped nothing: %+v", slowStatus)
	}
	if slowFrames.Load() == 0 {
		t.Error("the slow screen got no frame at all")
	}
	// What lies in buffers on the way to it is bounded: old frames are of no use.
	if behind := int64(slowStatus.Sent) - int64(slowFrames.Load()); behind > 35 {
		t.Errorf("%d frames are under way to the slow screen", behind)
	}
}

// TestFiftyScreens is one daemon with fifty screens, all of which see all of it.
func TestFiftyScreens(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, FramesPerSecond: 15})
	base := serve(t, s)
	var group sync.WaitGroup
	var frames atomic.Int64
	for i := range 50 {
		c := dial(t, base, fmt.Sprintf("?id=s%d&rate=%d", i, []int{15, 5}[i%2]), nil)
		group.Go(func() {
			for range 20 {
				if _, _, err := c.next(t.Context()); err != nil {
					t.Errorf("screen %d: %v", i, err)
					return
				}
				frames.Add(1)
			}
		})
	}
	if n := len(s.Status().Screens); n != 50 {
		t.Errorf("%d screens are attached", n)
	}
	group.Wait()
	if frames.Load() != 50*20 {
		t.Errorf("%d frames arrived", frames.Load())
	}
}

func TestTooManyScreens(t *testing.T) {
	s := newStage(t, display.Options{MaxScreens: 1})
	base := serve(t, s)
	dial(t, base, "", nil)
	r, err := http.Get(base + "/display/screen")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
	}
}

// TestStates tells painting, wrong, blank, frozen, paused, hidden and gone apart.
func TestStates(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	c := dial(t, base, "?id=kitchen", nil)
	var f *wire.Frame
	next := func() {
		for range 20 {
			var err error
			if f, _, err = c.next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, step := range map[string]struct {
		beat func() map[string]any
		age  time.Duration // since the heartbeat
		want display.State
	}{
		"painting":            {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": true} }, want: display.Painting},
		"another picture":     {beat: func() map[string]any { return map[string]any{"hash": f.Hash() + 1, "visible": true} }, want: display.Wrong},
		"a single colour":     {beat: func() map[string]any { return map[string]any{"hash": f.Hash() + 1, "visible": true, "blank": true} }, want: display.Blank},
		"never sent":          {beat: func() map[string]any { return map[string]any{"frame": f.Number + 100000, "visible": true} }, want: display.Wrong},
		"paused":              {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": true, "paused": true} }, want: display.Paused},
		"hidden":              {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": false} }, want: display.Hidden},
		"by pictures":         {beat: func() map[string]any { return map[string]any{"visible": true, "rung": "png"} }, want: display.Painting},
		"a late beat":         {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": true} }, age: 9 * time.Second, want: display.Painting},
		"silent":              {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": true} }, age: 16 * time.Second, want: display.Frozen},
		"a phone in a pocket": {beat: func() map[string]any { return map[string]any{"hash": f.Hash(), "visible": false} }, age: 90 * time.Second, want: display.Hidden},
	} {
		next()
		beat := step.beat()
		beat["type"] = "beat"
		if beat["frame"] == nil {
			beat["frame"] = f.Number
		}
		was := s.Status().Screens[0].LastBeat
		if err := c.say(t.Context(), beat); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].LastBeat.After(was) })
		s.Age(step.age)
		if got := s.Status().Screens[0].State; got != step.want {
			t.Errorf("%s: %s, want %s", name, got, step.want)
		}
		s.Age(-step.age)
	}
	// The frame number stands still although heartbeats come.
	next()
	stands := map[string]any{"type": "beat", "frame": f.Number, "hash": f.Hash(), "visible": true}
	for _, age := range []time.Duration{0, 11 * time.Second} {
		s.Age(age)
		was := s.Status().Screens[0].LastBeat
		if err := c.say(t.Context(), stands); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].LastBeat.After(was) })
	}
	if got := s.Status().Screens[0].State; got != display.Frozen {
		t.Errorf("the same frame for eleven seconds: %s", got)
	}
	c.conn.CloseNow()
	st := awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].State == display.Gone })
	if st.Screens[0].ID != "kitchen" || st.Screens[0].Left.IsZero() {
		t.Errorf("gone, but not remembered: %+v", st.Screens[0])
	}
}

// TestKiosk is that a visitor cannot pass for the wall.
func TestKiosk(t *testing.T) {
	s := newStage(t, display.Options{
		Kiosk: func(r *http.Request) bool { return r.URL.Query().Get("token") == "secret" },
		RateLimit: func(r *http.Request) int {
			return map[bool]int{true: 30, false: 10}[r.URL.Query().Get("token") == "secret"]
		},
	})
	base := serve(t, s)
	wall, phone := dial(t, base, "?id=wall&token=secret", nil), dial(t, base, "?id=wall", nil)
	for _, c := range []*client{wall, phone} {
		if _, _, err := c.next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wall.conn.CloseNow()
	st := awaitStatus(t, s, func(st display.Status) bool { return st.Screens[1].State == display.Gone })
	if !st.Screens[1].Kiosk || st.Screens[0].Kiosk {
		t.Errorf("the kiosk is %+v, the phone %+v", st.Screens[1], st.Screens[0])
	}
	// The phone asked for all it can get, and is given ten a second.
	first, _, err := phone.next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	number := first.Number
	for range 5 {
		f, _, err := phone.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Number < number+3 {
			t.Errorf("frame %d follows %d", f.Number, number)
		}
		number = f.Number
	}
	phone.conn.CloseNow()
	awaitStatus(t, s, func(st display.Status) bool { return len(st.Screens) == 2 && st.Screens[0].State == display.Gone })
}

// TestBadScreens is what a screen must not do.
func TestBadScreens(t *testing.T) {
	s := newStage(t, display.Options{})
	base := serve(t, s)
	for _, query := range []string{"?rate=x", "?rate=-1", "?rate=NaN", "?id=" + strings.Repeat("x", 65), "?id=%00"} {
		r, err := http.Get(base + "/display/screen" + query)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", query, r.StatusCode)
		}
	}
	for name, say := range map[string]func(*client) error{
		"no JSON":      func(c *client) error { return c.conn.Write(t.Context(), websocket.MessageText, []byte("{")) },
		"unknown type": func(c *client) error { return c.say(t.Context(), map[string]any{"type": "x"}) },
		"binary":       func(c *client) error { return c.conn.Write(t.Context(), websocket.MessageBinary, []byte{1}) },
		"too long":     func(c *client) error { return c.conn.Write(t.Context(), websocket.MessageText, make([]byte, 5000)) },
		"too many": func(c *client) error {
			for range 500 {
				if err := c.say(t.Context(), map[string]any{"type": "ack", "frame": 0}); err != nil {
					return nil // closed already
				}
			}
			return nil
		},
	} {
		c := dial(t, base, "", nil)
		if err := say(c); err != nil {
			t.Fatal(err)
		}
		for {
			if _, _, err := c.conn.Read(t.Context()); err != nil {
				if websocket.CloseStatus(err) == -1 && name != "too many" {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
		}
	}
	awaitStatus(t, s, func(st display.Status) bool { return len(st.Screens) == 0 })
}

// TestKeyOnRequest is a screen that lost its way.
func TestKeyOnRequest(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}})
	c := dial(t, serve(t, s), "", nil)
	if _, _, err := c.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.dec = wire.Decoder{}
	if err := c.say(t.Context(), map[string]any{"type": "key"}); err != nil {
		t.Fatal(err)
	}
	for {
		_, data, err := c.conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.dec.Decode(data); err == nil {
			return
		}
	}
}

func TestPictureIsTheFrame(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	c := dial(t, base, "", nil)
	var f *wire.Frame
	var r *http.Response
	for r == nil || r.StatusCode == http.StatusNotFound { // of a frame that came late the daemon has no picture any more
		var err error
		if f, _, err = c.next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r, err = http.Get(fmt.Sprintf("%s/display/frame.png?n=%d&scale=2", base, f.Number)); err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
	}
	img, err := png.Decode(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds().Dx() != 2*f.Width || img.Bounds().Dy() != 2*f.Height {
		t.Fatalf("the picture is %v", img.Bounds())
	}
	if r.Header.Get(display.HashHeader) != strconv.FormatUint(uint64(f.Hash()), 10) {
		t.Errorf("hash %s for %d", r.Header.Get(display.HashHeader), f.Hash())
	}
	colours := f.Colours()
	for i, v := range f.Cells {
		r, g, b, _ := img.At(2*(i%f.Width)+1, 2*(i/f.Width)+1).RGBA()
		if got := (wire.RGB{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}); got != colours[v] {
			t.Fatalf("cell %d is %v in the picture, %v in the frame", i, got, colours[v])
		}
	}
	for _, query := range []string{"?n=0", "?n=x", "?scale=0", "?scale=1000", "?n=4000000000"} {
		r, err := http.Get(base + "/display/frame.png" + query)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode/100 != 4 {
			t.Errorf("%s: status %d", query, r.StatusCode)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]display.Options{
		"scene": {Scenes: []string{"life", "nothing"}},
		"size":  {Width: 10, Height: 10},
		"large": {Width: 8192, Height: 8192},
		"rate":  {FramesPerSecond: 61},
		"fade":  {Fade: time.Millisecond},
		"dwell": {Dwell: time.Second},
	} {
		if _, err := display.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestStopsAtOnce is that open screens do not hold the daemon up.
func TestStopsAtOnce(t *testing.T) {
	s, err := display.New(display.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	base := serve(t, s)
	c := dial(t, base, "", nil)
	if _, _, err := c.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for {
		if _, _, err := c.conn.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("the screen was told %v", err)
			}
			break
		}
	}
}
