package display_test

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
)

// awaitGame waits until the game, the wall's or a board's, is as wished.
func awaitGame(t *testing.T, house *playHouse, wall bool, what string, good func(display.Game) bool) display.Game {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for {
		g, ok := house.boards.LookAtGame(wall, nil)
		if ok && good(g) {
			return g
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("the game never came to %s: %+v, %v", what, g, ok)
		}
	}
}

// auto lets the game play by itself, or no more.
func auto(t *testing.T, house *playHouse, wall, on bool) {
	t.Helper()
	if _, ok := house.boards.LookAtGame(wall, &on); !ok {
		t.Fatal("there is no game")
	}
}

func heads(direction string) func(display.Game) bool {
	return func(g display.Game) bool { return g.Heading == direction && g.Playing }
}

// TestSnakePage plays by keyboard: a turn starts, the space bar holds, the wall ends; the snake
// dissolves into Life, and a score that is kept is on the list after a reload.
func TestSnakePage(t *testing.T) {
	house := newPlayHouse(t, web.Anyone, display.BoardOptions{})
	ctx := newTab(t, 1280, 800)
	open(t, ctx, house.base+"/snake")
	await(t, ctx, "globalThis.sierpi?.canvas.painted > 0 && !!sierpi.state")
	press := func(key string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			t.Fatal(err)
		}
	}
	if eval[bool](t, ctx, "sierpi.state.playing") {
		t.Error("the snake sets out before the player does")
	}
	press(kb.ArrowUp)
	awaitGame(t, house, false, "going up", heads("up"))
	press(" ")
	await(t, ctx, "!sierpi.state.playing")
	press("a") // as left
	awaitGame(t, house, false, "going left", heads("left"))

	// It plays well by itself until it has a few points, and then into the wall.
	auto(t, house, false, true)
	awaitGame(t, house, false, "two points", func(g display.Game) bool { return g.Score >= 2 })
	auto(t, house, false, false)
	await(t, ctx, "sierpi.state.over && !document.getElementById('name-form').hidden")
	points := eval[int](t, ctx, "sierpi.state.score")
	died := awaitGame(t, house, false, "an afterlife", func(g display.Game) bool { return g.Live > 0 })
	awaitGame(t, house, false, "a life of its own", func(g display.Game) bool { return g.Live != died.Live })

	if err := chromedp.Do(ctx, chromedp.SetValue("#name", " Ada \u202e<b>"), chromedp.Focus("#name"), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "sierpi.state.kept && !!document.querySelector('#scores li.mine')")
	list, err := house.scores.best(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "Ada <b>" || list[0].Points != points {
		t.Errorf("kept: %+v (%v), want %d points of Ada", list, err, points)
	}
	open(t, ctx, house.base+"/snake")
	if text := eval[string](t, ctx, "document.getElementById('scores').innerText"); text != "Ada <b>\n"+jsInt(points) {
		t.Errorf("after a reload the list says %q", text)
	}
	// The reload finds the dead snake again; another game begins by the space bar.
	await(t, ctx, "globalThis.sierpi?.state?.over === true")
	press(" ")
	await(t, ctx, "sierpi.state.playing && sierpi.state.score === 0")
}

// touch moves one finger along points, without lifting it in between.
func touch(t *testing.T, ctx context.Context, points ...[2]float64) {
	t.Helper()
	send := func(kind input.DispatchTouchEventType, at ...*input.TouchPoint) {
		t.Helper()
		err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: append([]*input.TouchPoint{}, at...)})
			return err
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range points {
		kind := input.DispatchTouchEventTypeTouchMove
		if i == 0 {
			kind = input.DispatchTouchEventTypeTouchStart
		}
		send(kind, &input.TouchPoint{X: p[0], Y: p[1]})
	}
	send(input.DispatchTouchEventTypeTouchEnd)
}

// tap touches an element until the condition holds, as somebody does whose first tap did nothing:
// on a busy machine the finger may leave so late that the browser takes it for a long press, and
// the page may still move under it.
func tap(t *testing.T, ctx context.Context, selector, condition string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		touch(t, ctx, middle(t, ctx, selector))
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(10*time.Second)))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("tapping %s until %s: %v", selector, condition, err)
		}
	}
}

// phone makes the tab one with a touch screen.
func phone(t *testing.T, ctx context.Context) {
	t.Helper()
	if _, err := chromedp.Call(ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
}

// middle is where an element is, in CSS pixels.
func middle(t *testing.T, ctx context.Context, selector string) [2]float64 {
	t.Helper()
	return [2]float64(eval[[]float64](t, ctx, `(() => { const e = document.querySelector(`+"`"+selector+"`"+`); e.scrollIntoView({ block: "center", behavior: "instant" }); const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()`))
}

// TestSnakeSwipe plays on a phone: a tap starts, swipes steer without lifting the finger, the keys
// on the glass too, and the page does not scroll away under the finger.
func TestSnakeSwipe(t *testing.T) {
	house := newPlayHouse(t, web.Anyone, display.BoardOptions{})
	ctx := newTab(t, 390, 844)
	phone(t, ctx)
	open(t, ctx, house.base+"/snake")
	await(t, ctx, "globalThis.sierpi?.canvas.painted > 0 && !!sierpi.state")
	m := middle(t, ctx, "#board")
	before := eval[float64](t, ctx, "scrollY")
	touch(t, ctx, m)
	awaitGame(t, house, false, "starting", heads("right"))
	touch(t, ctx, m, [2]float64{m[0], m[1] - 40})
	awaitGame(t, house, false, "going up", heads("up"))
	touch(t, ctx, m, [2]float64{m[0] - 40, m[1]}, [2]float64{m[0] - 40, m[1] + 40})
	awaitGame(t, house, false, "going down", heads("down"))
	if y := eval[float64](t, ctx, "scrollY"); y != before {
		t.Errorf("the page scrolled by %v", y-before)
	}
	touch(t, ctx, middle(t, ctx, "#keys [data-turn=left]"))
	awaitGame(t, house, false, "going left", heads("left"))
	if over := eval[bool](t, ctx, "document.documentElement.scrollWidth > innerWidth"); over {
		t.Error("the page is wider than the phone")
	}
}

// TestSnakeOnTheWall is a phone that steers the wall's snake: the wall shows the game, one player at a time, a
// connection that is lost for a moment loses nothing, and afterwards the scenes go on.
func TestSnakeOnTheWall(t *testing.T) {
	house := newPlayHouse(t, web.Visitor, display.BoardOptions{WallLinger: 5 * time.Second})
	wall := newTab(t, 1280, 720)
	open(t, wall, house.base+"/kiosk")
	await(t, wall, "globalThis.sierpi?.screen.painted > 0")

	ctx := newTab(t, 390, 844)
	phone(t, ctx)
	open(t, ctx, house.base+"/snake")
	await(t, ctx, "!!globalThis.sierpi?.state")
	tap(t, ctx, "#to-wall", "sierpi.state?.where === 'wall' && !document.getElementById('remote').hidden")
	touch(t, ctx, middle(t, ctx, "#keys [data-turn=up]"))
	awaitGame(t, house, true, "going up", heads("up"))
	m := middle(t, ctx, "#board")
	touch(t, ctx, m, [2]float64{m[0] - 60, m[1]})
	awaitGame(t, house, true, "going left", heads("left"))
	await(t, wall, "document.querySelector('#cards').innerText.includes('Snake')")
	if st := house.stage.Status(); st.Scene != "snake" {
		t.Errorf("the wall shows %q", st.Scene)
	}

	// Somebody else is told to wait.
	second := newTab(t, 390, 844)
	open(t, second, house.base+"/snake#wall")
	await(t, second, "document.getElementById('away-text').innerText.includes('Somebody else plays on the wall')")
	if err := chromedp.Cancel(second); err != nil {
		t.Log(err)
	}

	// The phone's page is reloaded in the middle of the game: it is held, and goes on.
	auto(t, house, true, true)
	awaitGame(t, house, true, "a point", func(g display.Game) bool { return g.Score >= 1 })
	auto(t, house, true, false)
	open(t, ctx, house.base+"/snake?again#wall")
	await(t, ctx, "globalThis.sierpi?.state?.where === 'wall' && sierpi.state.score >= 1")

	awaitOver := func() {
		t.Helper()
		if !eval[bool](t, ctx, "sierpi.state.over") {
			eval[any](t, ctx, "document.getElementById('start').click()")
		}
		await(t, ctx, "sierpi.state.over && !document.getElementById('name-form').hidden")
	}
	awaitOver()
	awaitGame(t, house, true, "an afterlife", func(g display.Game) bool { return g.Live > 0 })
	if err := chromedp.Do(ctx, chromedp.SetValue("#name", "Grace"), chromedp.Focus("#name"), chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "sierpi.state.kept")

	eval[any](t, ctx, "document.getElementById('from-wall').click()")
	awaitStatus(t, house.stage, func(st display.Status) bool { return st.Scene != "snake" })
	await(t, ctx, "sierpi.state?.where === 'board' && document.getElementById('remote').hidden")
}

// TestWallIsNotHeldForEver is a player whose phone is gone: the wall waits a moment.
func TestWallIsNotHeldForEver(t *testing.T) {
	house := newPlayHouse(t, web.Visitor, display.BoardOptions{WallLinger: 200 * time.Millisecond})
	wall := newTab(t, 640, 360)
	open(t, wall, house.base+"/kiosk")
	ctx := newTab(t, 390, 844)
	open(t, ctx, house.base+"/snake#wall")
	await(t, ctx, "globalThis.sierpi?.state?.where === 'wall'")
	awaitStatus(t, house.stage, func(st display.Status) bool { return st.Scene == "snake" })
	if err := chromedp.Cancel(ctx); err != nil {
		t.Log(err)
	}
	awaitStatus(t, house.stage, func(st display.Status) bool { return st.Scene != "snake" })
}
