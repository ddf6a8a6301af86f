package display_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/display"
)

// TestStepsDown is a browser that is too slow for its rung: it takes the next by itself, down to the
// daemon's own pictures, and the daemon knows.
func TestStepsDown(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	ctx := newBrowser(t, 800, 480)
	open(t, ctx, base+"/kiosk")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 10 && sierpi.screen.rung === '2d'")
	// Each picture takes a tenth of a second of the processor, as on the smallest boards.
	eval[any](t, ctx, `(() => {
		const put = CanvasRenderingContext2D.prototype.putImageData;
		CanvasRenderingContext2D.prototype.putImageData = function (...rest) {
			if (globalThis.quick) return put.apply(this, rest);
			const end = performance.now() + 100 / (this.canvas.height / 16);
			while (performance.now() < end);
			return put.apply(this, rest);
		};
	})()`)
	for _, rung := range []string{"quarter", "png"} {
		// The page looks at itself with each heartbeat, every five seconds, and steps down after three.
		await(t, ctx, "sierpi.screen.rung === '"+rung+"'")
		eval[any](t, ctx, "sierpi.screen.beat()")
		awaitStatus(t, s, func(st display.Status) bool { return st.Screens[0].Rung == rung })
		t.Logf("on rung %s", rung)
	}
	first := eval[int](t, ctx, "sierpi.screen.painted")
	await(t, ctx, "sierpi.screen.painted > "+jsInt(first)+" && document.querySelector('img.picture')?.naturalWidth === 480")

	// It is fast again: after as many easy heartbeats as it asks for, more at each fall, it is back.
	eval[any](t, ctx, "globalThis.quick = true")
	for _, rung := range []string{"quarter", "2d"} {
		beats := eval[int](t, ctx, "(() => { let n = 0; while (sierpi.screen.rung !== '"+rung+"' && n < 200) { sierpi.screen.beat(); n++ } return n })()")
		if beats < 40 || beats == 200 {
			t.Errorf("on rung %s after %d heartbeats", rung, beats)
		}
		first := eval[int](t, ctx, "sierpi.screen.painted")
		await(t, ctx, "sierpi.screen.painted > "+jsInt(first)+" && sierpi.screen.rung === '"+rung+"'")
	}
	compareCanvas(t, ctx, "sierpi.screen.painted + 3")
}

// TestLosesItsGPU is a GPU that goes away while it paints: the canvas takes over, with right
// pictures.
func TestLosesItsGPU(t *testing.T) {
	s := newStage(t, display.Options{Scenes: []string{"zoom"}})
	base := serve(t, s)
	ctx := newBrowser(t, 800, 480, chromedp.Flag("disable-gpu", false), chromedp.Flag("enable-unsafe-swiftshader", true))
	open(t, ctx, base+"/kiosk?rung=webgl")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 5 && sierpi.screen.rung === 'webgl'")
	eval[any](t, ctx, "document.querySelector('canvas.picture').getContext('webgl').getExtension('WEBGL_lose_context').loseContext()")
	await(t, ctx, "sierpi.screen.rung === '2d'")
	compareCanvas(t, ctx, "sierpi.screen.painted + 3")
	eval[any](t, ctx, "sierpi.screen.beat()")
	awaitStatus(t, s, func(st display.Status) bool {
		return st.Screens[0].Rung == "2d" && st.Screens[0].State == display.Painting
	})
}
