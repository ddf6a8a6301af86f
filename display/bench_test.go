package display_test

import (
	"testing"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/wire"
)

// BenchmarkFrame is what a frame costs the daemon: step, draw, hash, encode, for one
// screen at 480x270.
func BenchmarkFrame(b *testing.B) {
	for _, name := range display.SceneNames() {
		b.Run(name, func(b *testing.B) {
			s, err := display.NewScene(name, display.Setting{Width: 480, Height: 270, FramesPerSecond: 30, Seed: 11})
			if err != nil {
				b.Fatal(err)
			}
			frame := func() *wire.Frame { return &wire.Frame{Width: 480, Height: 270, Cells: make([]uint8, 480*270)} }
			was, is := frame(), frame()
			was.Number = 1
			s.Draw(was)
			var enc wire.Encoder
			var hash uint32
			for n := uint32(2); b.Loop(); n++ {
				s.Step()
				is.Number = n
				s.Draw(is)
				hash += is.Hash()
				if _, err := enc.Encode(was, is); err != nil {
					b.Fatal(err)
				}
				was, is = is, was
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)*30/1e4, "%core@30fps")
		})
	}
}
