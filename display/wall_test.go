package display_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/display"
)

// asKiosk takes every client for the machine's own screen.
func asKiosk(*http.Request) bool { return true }

// TestHeartbeatJudges is a real page whose canvas goes wrong: the hash of what is on it tells.
func TestHeartbeatJudges(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}, Kiosk: asKiosk})
	base := serve(t, s)
	for _, rung := range []string{"2d", "quarter"} {
		t.Run(rung, func(t *testing.T) {
			ctx := newBrowser(t, 800, 480)
			open(t, ctx, base+"/kiosk?output=HDMI-1&rung="+rung)
			await(t, ctx, "globalThis.sierpi?.screen.painted > 30")
			state := func(want display.State, before string) {
				t.Helper()
				eval[any](t, ctx, "(() => {"+before+"; sierpi.screen.beat(); })()")
				awaitStatus(t, s, func(st display.Status) bool {
					w := st.Wall()
					return len(w) == 1 && w[0].Name == "HDMI-1" && w[0].State == want
				})
			}
			state(display.Painting, "")
			// The quarter's hash is made once a heartbeat asked for it.
			shown := eval[int](t, ctx, "sierpi.screen.painted")
			await(t, ctx, "sierpi.screen.painted > "+jsInt(shown+10))
			const brush = `const c = document.querySelector("canvas"), g = c.getContext("2d"); g.fillStyle = "#fff";`
			state(display.Wrong, brush+"g.fillRect(3, 3, 1, 1)")
			state(display.Blank, brush+"g.fillRect(0, 0, c.width, c.height)")
			if st := s.Status().Screens[0]; st.HashTime <= 0 || st.Rung != rung {
				t.Errorf("the heartbeat tells %+v", st)
			}
			if err := chromedp.Cancel(ctx); err != nil {
				t.Fatal(err)
			}
			awaitStatus(t, s, func(st display.Status) bool { return st.Wall()[0].State == display.Gone })
		})
	}
}

// outputsOf asks as the kiosk session does.
func outputsOf(t *testing.T, base, query string) display.OutputsReply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+display.OutputsPath+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var reply display.OutputsReply
	if err := json.NewDecoder(r.Body).Decode(&reply); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", r.StatusCode, err)
	}
	return reply
}

func reportOutputs(t *testing.T, base, body string) (status int) {
	t.Helper()
	r, err := http.Post(base+display.OutputsPath, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

// TestOutputs is the exchange with the kiosk session: the daemon asks, the session does it
// and reads it back; off on purpose is no fault, and nothing is drawn for nobody.
func TestOutputs(t *testing.T) {
	day, night := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local), time.Date(2026, 5, 1, 1, 0, 0, 0, time.Local)
	s := newStage(t, display.Options{
		Scenes: []string{"zoom"}, Kiosk: asKiosk,
		Hours: display.Timetable{Off: display.Hours{From: 23 * 60, To: 6 * 60}},
	})
	s.KeepHours(day)
	base := serve(t, s)
	if status := reportOutputs(t, base, `{"outputs":[{"name":"HDMI-1","on":true},{"name":"HDMI-2","on":true}]}`); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	first := outputsOf(t, base, "")
	if len(first.Outputs) != 2 || !first.Outputs[0].On || first.Outputs[0].Page != "/kiosk?output=HDMI-1" || first.Outputs[1].State != display.Gone {
		t.Fatalf("%+v", first)
	}
	c := dial(t, base, "?output=HDMI-1", nil)
	other := dial(t, base, "?output=HDMI-2", nil)
	for _, screen := range []*client{c, other} {
		if _, _, err := screen.next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// Somebody waits while the hour comes.
	waits := make(chan display.OutputsReply)
	go func() { waits <- outputsOf(t, base, "?after="+strconv.FormatUint(first.Version, 10)) }()
	s.KeepHours(night)
	reply := <-waits
	if reply.Version == first.Version || reply.Outputs[0].On || reply.Outputs[1].On {
		t.Fatalf("at night: %+v", reply)
	}
	reportOutputs(t, base, `{"outputs":[{"name":"HDMI-1","on":false},{"name":"HDMI-2","on":false}]}`)
	st := awaitStatus(t, s, func(st display.Status) bool { return st.Wall()[0].State == display.Off })
	for _, w := range st.Wall() {
		if w.State != display.Off || !w.State.Healthy(true) {
			t.Errorf("at night: %+v", w)
		}
	}
	// Both are dark: the universe stands still.
	var last uint32
	awaitStatus(t, s, func(st display.Status) bool { same := st.Frame == last; last = st.Frame; return same })
	timer := time.NewTimer(200 * time.Millisecond)
	<-timer.C
	if now := s.Status().Frame; now != last {
		t.Errorf("frame %d after %d, with every screen off", now, last)
	}

	// The owner overrules the hour for one of them.
	if err := s.SetPower("HDMI-1", display.AlwaysOn); err != nil {
		t.Fatal(err)
	}
	reply = outputsOf(t, base, "?after="+strconv.FormatUint(reply.Version, 10))
	if !reply.Outputs[0].On || reply.Outputs[1].On {
		t.Errorf("%+v", reply)
	}
	// A page beats again and again: of a frame that was on its way when it became dark nothing follows.
	lit, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		state := s.Status().Wall()[0].State
		if state == display.Painting {
			break
		}
		if state != display.Attached {
			t.Fatalf("lit again it is %s", state)
		}
		f, _, err := c.next(lit)
		if err != nil {
			t.Fatalf("lit again: %v", err)
		}
		if f.Number < last {
			continue
		}
		if err := c.say(lit, map[string]any{"type": "beat", "frame": f.Number, "hash": f.Hash(), "visible": true, "rate": 30}); err != nil {
			t.Fatal(err)
		}
	}
	// It was asked to be lit and is not, as read back: that is a fault, after a while.
	reportOutputs(t, base, `{"outputs":[{"name":"HDMI-1","on":false,"trouble":"xrandr: no such mode"},{"name":"HDMI-2","on":false}]}`)
	if w := s.Status().Wall()[0]; w.State != display.Painting {
		t.Errorf("within the time it may take: %s", w.State)
	}
	s.Age(16 * time.Second)
	if o := s.Outputs()[0]; o.State != display.Blank || o.Trouble != "xrandr: no such mode" || *o.ReadBack {
		t.Errorf("asked to be lit, and dark: %+v", o)
	}
	// A clock that says 1970 switches nothing off.
	s.KeepHours(time.Date(1970, 1, 1, 1, 0, 0, 0, time.Local))
	if !s.Outputs()[1].On {
		t.Error("switched off by a clock that was never set")
	}
	// An output that was unplugged is missed no longer.
	reportOutputs(t, base, `{"outputs":[{"name":"HDMI-2","on":true}]}`)
	if list := s.Outputs(); len(list) != 1 || list[0].Name != "HDMI-2" {
		t.Errorf("%+v", list)
	}
	for _, bad := range []string{"", "{", `{"outputs":[{"name":""}]}`, `{"outputs":[{"name":"a b"}]}`, `{"outputs":[` + strings.Repeat(`{"name":"a"},`, 2000) + `{"name":"b"}]}`} {
		if status := reportOutputs(t, base, bad); status != http.StatusBadRequest {
			t.Errorf("%.40q: status %d", bad, status)
		}
	}
	if err := s.SetPower("HDMI-9", display.AlwaysOn); err == nil {
		t.Error("an output that is not there was switched")
	}
	if err := s.SetPower("HDMI-2", "loud"); err == nil {
		t.Error("an output was switched to loud")
	}
}

// TestPageGoesDark is the page on an output that is off: black, and not painting.
func TestPageGoesDark(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}, Kiosk: asKiosk, Cards: exampleCards,
		Hours: display.Timetable{Off: display.Hours{From: 0, To: 6 * 60}, Night: display.Hours{From: 20 * 60, To: 6 * 60}, Brightness: 0.4}})
	day := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	s.KeepHours(day)
	base := serve(t, s)
	ctx := newBrowser(t, 800, 480)
	open(t, ctx, base+"/kiosk?output=HDMI-1")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 5")
	s.KeepHours(day.Add(9 * time.Hour))
	await(t, ctx, `document.body.style.getPropertyValue("--bright") === "0.400"`)
	s.KeepHours(day.Add(15 * time.Hour))
	await(t, ctx, `document.body.classList.contains("dark") && getComputedStyle(document.querySelector(".picture")).visibility === "hidden"`)
	s.KeepHours(day)
	await(t, ctx, `!document.body.classList.contains("dark")`)
	shown := eval[int](t, ctx, "sierpi.screen.painted")
	await(t, ctx, "sierpi.screen.painted > "+jsInt(shown+5))
	compareCanvas(t, ctx, "0")
}

// TestDims is that night comes slowly, and is dark.
func TestDims(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}, Seed: 4, FramesPerSecond: 10,
		Hours: display.Timetable{Night: display.Hours{From: 22 * 60, To: 6 * 60}, Brightness: 0.5}})
	day := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	s.KeepHours(day)
	c := dial(t, serve(t, s), "", nil)
	s.Forward(100)
	bright := func() float64 { return s.Status().Bright }
	s.KeepHours(day.Add(11 * time.Hour))
	was := bright()
	for bright() > 0.5 {
		if _, _, err := c.next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := bright(); now < was-0.1 {
			t.Fatalf("from %.2f to %.2f within a frame or two", was, now)
		}
		was = bright()
	}
	if bright() != 0.5 {
		t.Errorf("%.3f by night", bright())
	}
	s.KeepHours(day)
	s.Forward(100)
	if bright() != 1 {
		t.Errorf("%.3f by day", bright())
	}
}

// TestVideoWall is two screens side by side, and one across the seam: together they
// are one torus, cell for cell.
func TestVideoWall(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, FramesPerSecond: 10, Kiosk: asKiosk,
		Outputs: []display.Output{{Name: "HDMI-2", View: display.Viewport{X: 240, Width: 240, Height: 270}}}})
	base := serve(t, s)
	parts := map[string]display.Viewport{
		"?view=0,0,240,270":     {Width: 240, Height: 270},
		"?output=HDMI-2":        {X: 240, Width: 240, Height: 270},
		"?view=400,200,160,140": {X: 400, Y: 200, Width: 160, Height: 140}, // over both seams
	}
	for query, p := range parts {
		c := dial(t, base, query, nil)
		for compared := 0; compared < 25; {
			f, _, err := c.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.Width != p.Width || f.Height != p.Height {
				t.Fatalf("%s: a frame of %dx%d", query, f.Width, f.Height)
			}
			whole := fetchFrame(t, base, f.Number)
			if whole == nil {
				continue // on a slow machine it is gone by now
			}
			compared++
			for y := range f.Height {
				for x := range f.Width {
					if want := whole.Cells[(p.Y+y)%whole.Height*whole.Width+(p.X+x)%whole.Width]; f.Cells[y*f.Width+x] != want {
						t.Fatalf("%s, frame %d: cell %d,%d is %d, in the universe it is %d", query, f.Number, x, y, f.Cells[y*f.Width+x], want)
					}
				}
			}
		}
	}
	for _, bad := range []string{"1", "0,0,481,10", "480,0,10,10", "0,0,0,10", "-1,0,10,10", "a,0,10,10"} {
		r, err := http.Get(base + "/display/screen?view=" + bad)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("view=%s: status %d", bad, r.StatusCode)
		}
	}
	// A part is dropped with its last screen, and there are only so many.
	awaitStatus(t, s, func(st display.Status) bool { return len(st.Screens) == 3 })
	full := false
	for i := range 20 {
		r, err := http.Get(base + "/display/screen?view=0,0," + strconv.Itoa(100+i) + ",100")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		full = full || r.StatusCode == http.StatusServiceUnavailable
	}
	if full {
		t.Error("parts that nobody shows any more are kept")
	}
}

// TestVideoWallInBrowsers is the same in two pages of a real browser.
func TestVideoWallInBrowsers(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, FramesPerSecond: 10, Kiosk: asKiosk,
		Outputs: []display.Output{
			{Name: "HDMI-1", View: display.Viewport{Width: 240, Height: 270}},
			{Name: "HDMI-2", View: display.Viewport{X: 240, Width: 240, Height: 270}},
		}})
	base := serve(t, s)
	var tabs []context.Context
	for _, name := range []string{"HDMI-1", "HDMI-2"} {
		ctx := newBrowser(t, 960, 1080)
		open(t, ctx, base+"/kiosk?output="+name)
		await(t, ctx, "globalThis.sierpi?.screen.painted > 10")
		tabs = append(tabs, ctx)
	}
	var numbers []int
	for i, ctx := range tabs {
		p := compareCanvasOf(t, ctx, "sierpi.screen.painted + 3", "&view="+s.Outputs()[i].View)
		numbers = append(numbers, p.Number)
		eval[any](t, ctx, "sierpi.screen.beat()")
	}
	awaitStatus(t, s, func(st display.Status) bool {
		return !slices.ContainsFunc(st.Wall(), func(w display.WallScreen) bool { return w.State != display.Painting })
	})
	t.Logf("frames %v", numbers)
}

// TestEconomy is a machine that saves power: fewer and coarser pictures of the same
// universe, and back.
func TestEconomy(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, FramesPerSecond: 30})
	base := serve(t, s)
	c := dial(t, base, "", nil)
	for _, e := range append(slices.Clone(display.Economies), display.Economies[0]) {
		if err := s.SetEconomy(e); err != nil {
			t.Fatal(err)
		}
		from := s.Status().Frame // what is older was on its way already
		var last uint32
		for good := 0; good < 4; {
			f, _, err := c.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.Number <= from {
				last = f.Number
				continue
			}
			if last < from {
				last = from
			}
			if f.Width != 480/e.Coarse || f.Height != (270+e.Coarse-1)/e.Coarse {
				t.Fatalf("%+v: a frame of %dx%d", e, f.Width, f.Height)
			}
			if (f.Number-last)%uint32(e.Pace) != 0 || f.Number == last {
				t.Errorf("%+v: frame %d after %d", e, f.Number, last)
			}
			last = f.Number
			own := fetchFrame(t, base, f.Number)
			if own == nil {
				continue // on a slow machine it is gone by now
			}
			good++
			if !bytes.Equal(own.Cells, f.Cells) || own.Hash() != f.Hash() {
				t.Errorf("%+v: frame %d is another than the daemon's", e, f.Number)
			}
		}
	}
	for _, e := range []display.Economy{{}, {Pace: 1, Coarse: 3}, {Pace: 31, Coarse: 1}} {
		if s.SetEconomy(e) == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}
