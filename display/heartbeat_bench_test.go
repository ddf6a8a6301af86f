package display_test

import (
	"fmt"
	"testing"

	"github.com/sierpi/sierpi/display"
)

// BenchmarkHeartbeat is what a heartbeat costs the page: reading the canvas back at cell
// resolution, all of it or a band, hashing that, and looking whether it is of one colour; and, beside it in the same page, a full
// readback of what is on the screen, which a naive watchdog would take. ms is the median of
// 25, worst-ms the longest.
//
//	go test ./display -run '^$' -bench Heartbeat -benchtime 1x
func BenchmarkHeartbeat(b *testing.B) {
	for _, size := range [][2]int{{480, 270}, {960, 540}, {1920, 1080}} {
		for _, rung := range []string{"2d", "quarter"} {
			b.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], rung), func(b *testing.B) {
				s := newStage(b, display.Options{Scenes: []string{"zoom"}, Width: size[0], Height: size[1], FramesPerSecond: 5})
				base := serve(b, s)
				ctx := newBrowser(b, 1920, 1080)
				open(b, ctx, base+"/kiosk?rung="+rung)
				await(b, ctx, "globalThis.sierpi?.screen.painted > 10")
				for range b.N {
					times := eval[[]float64](b, ctx, `(async () => {
						const { hash } = await import("/static/display/wire.js");
						const times = [], full = [];
						const big = new OffscreenCanvas(1920, 1080), g = big.getContext("2d");
						for (let i = 0; i < 25; i++) {
							await new Promise(requestAnimationFrame);
							let began = performance.now();
							const px = sierpi.screen.readBand();
							if (hash(px) === 0 || px.every((p) => p === px[0])) throw new Error("nothing to see");
							times.push(performance.now() - began);
							g.drawImage(document.querySelector(".picture"), 0, 0, 1920, 1080);
							began = performance.now();
							hash(new Uint32Array(g.getImageData(0, 0, 1920, 1080).data.buffer));
							full.push(performance.now() - began);
						}
						times.sort((a, b) => a - b);
						full.sort((a, b) => a - b);
						return [times[12], times[24], full[12]];
					})()`)
					b.ReportMetric(times[0], "ms")
					b.ReportMetric(times[1], "worst-ms")
					b.ReportMetric(times[2]/times[0], "x-full-readback")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}
