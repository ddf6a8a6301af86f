package display_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/display"
)

// open opens an address in a tab.
func open(t testing.TB, ctx context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
}

// await waits until a JavaScript condition holds.
func await(t testing.TB, ctx context.Context, condition string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(2*time.Minute))); err != nil {
		t.Fatalf("waiting for %s: %v", condition, err)
	}
}

// eval evaluates JavaScript.
func eval[T any](t testing.TB, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// TestReconnects is a daemon that goes and comes back: the page keeps the last picture and
// goes on by itself.
func TestReconnects(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	start := func(l net.Listener, seed uint64) (stop func()) {
		s, err := display.New(display.Options{Scenes: []string{"zoom"}, Seed: seed, Logger: quiet, Cards: exampleCards})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		srv := &http.Server{Handler: mux(s)}
		done := make(chan struct{})
		go func() { _ = s.Run(ctx); close(done) }()
		go func() { _ = srv.Serve(l) }()
		return func() { cancel(); <-done; srv.Close() }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	stop := start(l, 1)
	ctx := newBrowser(t, 800, 480)
	open(t, ctx, "http://"+address+"/kiosk")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 40")
	stop()
	await(t, ctx, "document.body.classList.contains('offline')")
	if colours := eval[int](t, ctx, "new Set(sierpi.screen.read()).size"); colours < 3 {
		t.Errorf("the last picture is gone: %d colours are left", colours)
	}
	before := eval[int](t, ctx, "sierpi.screen.painted")
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	stop = start(l, 2)
	defer stop()
	// The new daemon counts from 1 again.
	await(t, ctx, "!document.body.classList.contains('offline') && sierpi.screen.painted > 5 && sierpi.screen.painted < "+jsInt(before))
	compareCanvas(t, ctx, "5")
}

func jsInt(n int) string { b, _ := json.Marshal(n); return string(b) }

// TestRungs is each rung of the ladder, by force; SwiftShader does for a GPU here.
func TestRungs(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	t.Run("webgl", func(t *testing.T) {
		ctx := newBrowser(t, 800, 480, chromedp.Flag("disable-gpu", false), chromedp.Flag("enable-unsafe-swiftshader", true))
		open(t, ctx, base+"/kiosk?rung=webgl")
		await(t, ctx, "globalThis.sierpi?.screen.painted > 0")
		if rung := eval[string](t, ctx, "sierpi.screen.rung"); rung != "webgl" {
			t.Fatalf("the page paints with %q", rung)
		}
		compareCanvas(t, ctx, "sierpi.screen.painted + 5")
		// The same browser must not take a program for a GPU by itself.
		open(t, ctx, base+"/kiosk")
		await(t, ctx, "globalThis.sierpi?.screen.painted > 0")
		if rung := eval[string](t, ctx, "sierpi.screen.rung"); rung != "2d" {
			t.Errorf("without force the page paints with %q", rung)
		}
	})
	t.Run("quarter", func(t *testing.T) {
		ctx := newBrowser(t, 800, 480)
		open(t, ctx, base+"/kiosk?rung=quarter")
		await(t, ctx, "globalThis.sierpi?.screen.painted > 0")
		if n := eval[int](t, ctx, "sierpi.screen.read().length"); n != 240*135 {
			t.Errorf("the canvas has %d cells", n)
		}
		eval[any](t, ctx, "sierpi.screen.beat()")
		awaitStatus(t, s, func(st display.Status) bool {
			return st.Screens[0].Rung == "quarter" && st.Screens[0].State == display.Painting
		})
	})
	t.Run("png", func(t *testing.T) {
		ctx := newBrowser(t, 800, 480)
		open(t, ctx, base+"/kiosk?rung=png")
		await(t, ctx, "globalThis.sierpi?.screen.painted > 0")
		first := eval[int](t, ctx, "sierpi.screen.painted")
		await(t, ctx, "sierpi.screen.painted > "+jsInt(first))
		if w := eval[int](t, ctx, "document.querySelector('img.picture').naturalWidth"); w != 480 {
			t.Errorf("the picture is %d wide", w)
		}
		eval[any](t, ctx, "sierpi.screen.beat()")
		awaitStatus(t, s, func(st display.Status) bool {
			return st.Screens[0].Rung == "png" && st.Screens[0].State == display.Painting
		})
	})
}

// TestRecovers is a screen that was slow for a while, so that the stage sends it one frame at a
// time: it is sent everything again soon. (The acknowledgement that came too early
// used to get lost, and the picture stood until the next heartbeat, again and again.)
func TestRecovers(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"life"}})
	base := serve(t, s)
	ctx := newBrowser(t, 800, 480)
	open(t, ctx, base+"/kiosk")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 30")
	from := s.Status().Frame
	for range 6 {
		s.Throttle()
		total := eval[int](t, ctx, "sierpi.screen.total")
		await(t, ctx, "sierpi.screen.total > "+jsInt(total+20))
	}
	if n := s.Status().Frame - from; n > 500 {
		t.Errorf("the page painted 120 of %d frames", n)
	} else {
		t.Logf("120 of %d frames", n)
	}
}

// TestCalm is less motion for people who ask for it: at most 2.5 frames a second, faded
// into one another, and right ones.
func TestCalm(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	ctx := newBrowser(t, 800, 480)
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}},
	}); err != nil {
		t.Fatal(err)
	}
	open(t, ctx, base+"/kiosk")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 12")
	compareCanvas(t, ctx, "sierpi.screen.painted")
	if n := eval[int](t, ctx, "document.querySelectorAll('canvas.picture').length"); n != 2 {
		t.Errorf("%d canvases: two are faded into one another", n)
	}
	// Frames are a twelfth of the daemon's.
	sent := s.Status().Screens[0].Sent
	from := s.Status().Frame
	st := awaitStatus(t, s, func(st display.Status) bool { return st.Frame > from+90 })
	if n := st.Screens[0].Sent - sent; n > 9 {
		t.Errorf("%d frames within three seconds of the daemon's time", n)
	}
}

// TestPause is that a press stops the motion, and another brings it back.
func TestPause(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	ctx := newBrowser(t, 390, 844)
	open(t, ctx, base+"/wall")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 0")
	if err := chromedp.Do(ctx, chromedp.Click("#pause")); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].State == display.Paused })
	sent := s.Status().Screens[0].Sent
	from := s.Status().Frame
	st := awaitStatus(t, s, func(st display.Status) bool { return st.Frame > from+30 })
	if st.Screens[0].Sent != sent {
		t.Error("frames are sent to a page that is paused")
	}
	painted := eval[int](t, ctx, "sierpi.screen.painted")
	if err := chromedp.Do(ctx, chromedp.Click("#pause")); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "sierpi.screen.painted > "+jsInt(painted))
	compareCanvas(t, ctx, "0")
}

// TestCardsLeaveTheMiddle holds the cards, every story of them, few words and many, at every shape
// of screen, within the screen, off one another, out of the middle, and large enough.
func TestCardsLeaveTheMiddle(t *testing.T) {
	for name, cards := range map[string]func(context.Context) display.Cards{"example": exampleCards, "wordy": wordyCards} {
		t.Run(name, func(t *testing.T) { cardsLeaveTheMiddle(t, cards) })
	}
}

func cardsLeaveTheMiddle(t *testing.T, cards func(context.Context) display.Cards) {
	s := newStage(t, display.Options{Scenes: []string{"life"}, Cards: cards, Kiosk: asKiosk})
	if err := s.Invite(exampleInvitation()); err != nil {
		t.Fatal(err)
	}
	base := serve(t, s)
	ctx := newBrowser(t, 1920, 1080)
	for _, size := range [][2]int64{{1920, 1080}, {1280, 720}, {1024, 768}, {800, 600}, {800, 480}, {1080, 1920}, {480, 800}, {600, 1024}} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1])); err != nil {
			t.Fatal(err)
		}
		open(t, ctx, base+"/kiosk")
		await(t, ctx, "globalThis.sierpi?.screen.painted > 0 && document.querySelectorAll('.card:not([hidden])').length >= 5 && document.querySelector('.invitation canvas') !== null")
		// The longest caption there may be, and visitors at work.
		eval[any](t, ctx, `(sierpi.screen.pause(true), sierpi.cardTable.setGuests(["Emerald Pentadecathlon", "Saffron Weekender"]),
			sierpi.cardTable.setCaption("Ten-cell infinite growth, 1997 with gliders let in with what visitors drew, generation 1234567"))`)
		for story := range 4 {
			cardsAreWell(t, ctx, size, story)
			eval[any](t, ctx, "sierpi.cardTable.turn()")
		}
	}
}

func cardsAreWell(t *testing.T, ctx context.Context, size [2]int64, story int) {
	t.Helper()
	if dir := os.Getenv("SIERPI_SHOTS"); dir != "" {
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(t.Name(), "/", "-") + fmt.Sprintf("-%dx%d-%d.png", size[0], size[1], story)
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wrong := eval[[]string](t, ctx, `(() => {
			const wrong = [], w = innerWidth, h = innerHeight;
			const p = document.querySelector(".picture").getBoundingClientRect();
			// But for the three pixels that it wanders against burn-in, and rounding.
			if (Math.abs(p.left + p.right - w) > 7.01 || Math.abs(p.top + p.bottom - h) > 7.01) wrong.push("the picture is not in the middle");
			if (w > h && (p.left > 3.5 || p.top > 3.5)) wrong.push("the picture does not fill the screen");
			const cards = [...document.querySelectorAll(".card:not([hidden])")];
			const boxes = cards.map((c) => c.getBoundingClientRect());
			const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
			// The middle is half the width and 40 % of the height.
			const middle = { left: w * 0.25, right: w * 0.75, top: h * 0.3, bottom: h * 0.7 };
			boxes.forEach((b, i) => {
				const name = cards[i].className;
				if (b.left < 0 || b.top < 0 || b.right > w + 0.5 || b.bottom > h + 0.5) wrong.push(name + " leaves the screen");
				if (meet(b, middle)) wrong.push(name + " is over the middle");
				for (const e of cards[i].children) if (e.getBoundingClientRect().right > b.right + 1) wrong.push(name + " is cut off");
				if (cards[i].matches(".invitation") && (b.width < Math.min(w, h) * 0.17 || b.height < Math.min(w, h) * 0.17)) wrong.push("the code is too small to scan");
				for (let k = 0; k < i; k++) if (meet(b, boxes[k])) wrong.push(name + " is over " + cards[k].className);
				for (const e of cards[i].querySelectorAll("*")) {
					// Four metres from a screen of 60 cm height, 2.6 % of it are 16 mm of type.
					if (e.textContent && parseFloat(getComputedStyle(e).fontSize) < Math.min(w, h) * 0.026) wrong.push(e.className + " is too small to read");
				}
			});
			return wrong;
		})()`)
	for _, what := range wrong {
		t.Errorf("%dx%d, story %d: %s", size[0], size[1], story, what)
	}
}
