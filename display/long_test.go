//go:build long

package display_test

import (
	"cmp"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/daemon/web"
	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/wire"
)

// What is only for people to look at, or takes long: go test -tags long.

// lookedAt is the folder that pictures for people are written to: SIERPI_SHEET, or
// build/looks.
func lookedAt(t *testing.T) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("SIERPI_SHEET"), filepath.Join("..", "build", "looks"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestContactSheet draws every scene by night and by day, at 16:9, 5:3 and upright, into
// contact-sheet.png of a folder, for people to look at: make contact-sheet.
func TestContactSheet(t *testing.T) {
	dir := lookedAt(t)
	// The frame at which a scene shows what it is.
	moments := map[string][2]int{"life": {240, 700}, "line": {1150, 1790}, "snake": {400, 1500}, "zoom": {60, 420}, "chaos": {330, 620},
		"rule90": {600, 1500}, "arrowhead": {1500, 2600}, "carpet": {120, 500}, "fern": {300, 900}}
	type column struct {
		width  int
		day    bool
		moment int
	}
	columns := []column{{480, false, 0}, {480, false, 1}, {480, true, 1}, {450, false, 1}, {450, true, 0}, {152, false, 1}, {152, true, 1}}
	const height, gap = 270, 12
	names := display.SceneNames()
	width := gap
	for _, c := range columns {
		width += c.width + gap
	}
	sheet := image.NewRGBA(image.Rect(0, 0, width, gap+(height+gap)*len(names)))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.RGBA{0x1c, 0x20, 0x24, 255}), image.Point{}, draw.Src)
	for row, name := range names {
		x := gap
		for _, c := range columns {
			frames := 0
			if m, ok := moments[name]; ok {
				frames = m[c.moment]
			} else {
				t.Fatalf("name the moments of the scene %q", name)
			}
			s, err := display.NewScene(name, display.Setting{Width: c.width, Height: height, FramesPerSecond: 30, Seed: 11, Day: c.day})
			if err != nil {
				t.Fatal(err)
			}
			for range frames {
				s.Step()
			}
			f := &wire.Frame{Number: 1, Width: c.width, Height: height, Cells: make([]uint8, c.width*height)}
			s.Draw(f)
			y := gap + row*(height+gap)
			draw.Draw(sheet, image.Rect(x, y, x+c.width, y+height), display.Image(f, 1), image.Point{}, draw.Src)
			x += c.width + gap
		}
	}
	file, err := os.Create(filepath.Join(dir, "contact-sheet.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	if err := enc.Encode(file, sheet); err != nil {
		t.Fatal(err)
	}
}

// TestFilm draws one scene at many moments, to judge it by: SIERPI_FILM=line,90,180,...
func TestFilm(t *testing.T) {
	dir, film := lookedAt(t), strings.Split(cmp.Or(os.Getenv("SIERPI_FILM"), "line,90,400,1150"), ",")
	last, at := 0, map[int]int{}
	for i, n := range film[1:] {
		var err error
		if last, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
		at[last] = i
	}
	cols := min(3, len(at))
	sheet := image.NewRGBA(image.Rect(0, 0, 490*cols, 280*((len(at)+cols-1)/cols)))
	playSize(t, film[0], 480, 270, last+1, func(f *wire.Frame) {
		if i, ok := at[int(f.Number)]; ok {
			x, y := 490*(i%cols), 280*(i/cols)
			draw.Draw(sheet, image.Rect(x, y, x+480, y+270), display.Image(f, 1), image.Point{}, draw.Src)
		}
	})
	file, err := os.Create(filepath.Join(dir, "film-"+film[0]+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, sheet); err != nil {
		t.Fatal(err)
	}
}

// TestShots writes pictures of the page to a folder, for people to look at.
func TestShots(t *testing.T) {
	dir := lookedAt(t)
	at := map[string]string{"life": "700", "line": "560", "zoom": "200"}
	if v := os.Getenv("SIERPI_SHOTS_AT"); v != "" {
		for k := range at {
			at[k] = v
		}
	}
	sizes := []struct {
		name string
		w, h int
	}{{"1080", 1920, 1080}, {"4x3", 1024, 768}, {"480", 800, 480}, {"upright", 1080, 1920}}
	for scene, after := range at {
		for _, colours := range []display.Colours{display.NightColours, display.DayColours} {
			t.Run(scene+"-"+string(colours), func(t *testing.T) {
				s := newStage(t, display.Options{Scenes: []string{scene}, Cards: exampleCards, Kiosk: asKiosk, Hours: display.Timetable{Colours: colours}})
				if err := s.Invite(exampleInvitation()); err != nil {
					t.Fatal(err)
				}
				base := serve(t, s)
				for _, size := range sizes {
					ctx := newBrowser(t, size.w, size.h)
					if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(size.w), int64(size.h)), chromedp.Navigate(base+"/kiosk")); err != nil {
						t.Fatal(err)
					}
					if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("globalThis.sierpi?.screen.painted > "+after)); err != nil {
						t.Fatal(err)
					}
					for range map[string]int{"life": 0, "line": 1, "zoom": 2}[scene] {
						eval[any](t, ctx, "sierpi.cardTable.turn()")
					}
					if err := chromedp.Do(ctx, chromedp.Sleep(1800*time.Millisecond)); err != nil { // the story fades in
						t.Fatal(err)
					}
					shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, scene+"-"+string(colours)+"-"+size.name+".png"), shot, 0o644); err != nil {
						t.Fatal(err)
					}
					if err := chromedp.Cancel(ctx); err != nil {
						t.Log(err)
					}
				}
			})
		}
	}
}

// TestPlayShots writes pictures of the pages to a folder, for people to look at.
func TestPlayShots(t *testing.T) {
	dir := lookedAt(t)
	house := newPlayHouse(t, web.Owner, display.BoardOptions{})
	house.scores.list = []page.Score{{Name: "Ada", Points: 41, At: time.Now()}, {Name: "Grace", Points: 37, At: time.Now()}, {Name: "a rather long n…", Points: 8, At: time.Now()}}
	for _, size := range []struct {
		name string
		w, h int64
	}{{"wide", 1920, 1080}, {"phone", 390, 844}} {
		ctx := newTab(t, size.w, size.h)
		for _, scheme := range []string{"light", "dark"} {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"life", "snake", "scenes"} {
				open(t, ctx, house.base+"/"+name)
				await(t, ctx, "globalThis.sierpi?.canvas.painted > 0")
				if name == "snake" {
					on, off := true, false
					house.boards.LookAtGame(false, &on)
					await(t, ctx, "sierpi.state.score >= 3")
					if scheme == "light" {
						house.boards.LookAtGame(false, &off)
						await(t, ctx, "sierpi.state.over")
						eval[any](t, ctx, "new Promise((r) => setTimeout(r, 2500))")
					}
				} else {
					eval[any](t, ctx, "new Promise((r) => setTimeout(r, 4000))")
				}
				for _, full := range []string{"", "-full"} {
					take := chromedp.CaptureScreenshot()
					if full != "" {
						take = chromedp.FullScreenshot(90)
					}
					shot, err := chromedp.Run(ctx, take)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, name+"-"+size.name+"-"+scheme+full+".png"), shot, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if os.Getenv("SIERPI_SHOTS_FIRST") == name {
					break
				}
			}
		}
		if size.name == "phone" {
			phone(t, ctx)
			open(t, ctx, house.base+"/snake?remote#wall")
			await(t, ctx, "globalThis.sierpi?.state?.where === 'wall'")
			shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "snake-remote.png"), shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSoak holds the page's and the daemon's memory flat: SIERPI_SOAK=20m.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SIERPI_SOAK"))
	if err != nil {
		length = time.Minute
	}
	s := newStage(t, display.Options{Cards: exampleCards, Dwell: 30 * time.Second})
	base := serve(t, s)
	ctx := newBrowser(t, 1920, 1080)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), length+2*time.Minute)
	defer cancel()
	open(t, ctx, base+"/kiosk")
	await(t, ctx, "globalThis.sierpi?.screen.painted > 300")
	heaps := func() (page, daemon float64) {
		if _, err := chromedp.Call(ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return eval[float64](t, ctx, "performance.memory.usedJSHeapSize") / 1e6, float64(m.HeapAlloc) / 1e6
	}
	page0, daemon0 := heaps()
	began := time.Now()
	for step := 0; time.Since(began) < length; step++ {
		eval[any](t, ctx, "new Promise((r) => setTimeout(r, 30000))")
		page, daemon := heaps()
		st := s.Status()
		t.Logf("%4.0f s: page %.1f MB, daemon %.1f MB, frame %d, %.1f frames/s, %s, %.0f KB/s", time.Since(began).Seconds(), page, daemon,
			st.Screens[0].Frame, st.Screens[0].Rate, st.Screens[0].State, float64(st.Screens[0].Bytes)/time.Since(st.Screens[0].Since).Seconds()/1e3)
		if page > page0+5 || daemon > daemon0+5 {
			t.Fatalf("memory grows: the page from %.1f to %.1f MB, the daemon from %.1f to %.1f MB", page0, page, daemon0, daemon)
		}
		if st.Screens[0].State != display.Painting {
			t.Fatalf("the screen is %s", st.Screens[0].State)
		}
	}
}
