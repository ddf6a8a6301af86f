package display_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/page"
	"github.com/sierpi/sierpi/display/wire"
	"github.com/sierpi/sierpi/system/systemtest"
)

// newBrowser starts Debian's Chromium and returns a context for its first tab.
func newBrowser(t testing.TB, width, height int, extra ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(systemtest.Tool(t, "chromium", "chromium")),
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(width, height),
	)
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	opts = append(opts, extra...)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, timeout := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(timeout)
	return ctx
}

// newStage makes a stage and runs it until the test ends.
func newStage(t testing.TB, o display.Options) *display.Stage {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if o.Seed == 0 {
		o.Seed = 20
	}
	s, err := display.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the stage ended with %v", err)
		}
	})
	return s
}

// policy is what the daemon sends with its pages: nothing inline, no other host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:"

func mux(s *display.Stage) http.Handler {
	m := http.NewServeMux()
	secure := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", policy)
			h.ServeHTTP(w, r)
		})
	}
	m.Handle("GET /kiosk", secure(page.Kiosk()))
	m.Handle("GET /wall", secure(page.Wall()))
	m.Handle("GET "+page.StaticPrefix, page.Static())
	m.HandleFunc("GET "+page.ScreenPath, s.ServeScreen)
	m.HandleFunc("GET "+page.PicturePath, s.ServePicture)
	m.HandleFunc("GET /display/cells", s.ServeCells)
	m.HandleFunc(display.OutputsPath, s.ServeOutputs)
	return m
}

// serve serves the stage on a free loopback port until the test ends.
func serve(t testing.TB, s *display.Stage) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: mux(s)}}
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// painted is what the page read from its canvas, and the daemon's frame of that
// number as a key frame.
type painted struct {
	Number int    `json:"number"`
	Pixels string `json:"pixels"` // base64 of R, G, B, A
	Rung   string `json:"rung"`
	Status int    `json:"status"`
	Cells  string `json:"cells"` // base64
}

// readCanvas waits for the frame number to pass `after`, reads the canvas and, in the same
// breath, asks the daemon for that frame: it keeps the last few only.
const readCanvas = `(async (after, view) => {
	const s = () => globalThis.sierpi && sierpi.screen;
	while (!s() || s().painted <= after || !s().read()) await new Promise((r) => setTimeout(r, 20));
	const base64 = (bytes) => { let t = ""; for (let i = 0; i < bytes.length; i += 8192) t += String.fromCharCode(...bytes.subarray(i, i + 8192)); return btoa(t); };
	const number = s().painted, px = s().read(), rung = s().rung;
	const answer = await fetch("/display/cells?n=" + number + view);
	return { number, rung, pixels: base64(new Uint8Array(px.buffer)), status: answer.status, cells: base64(new Uint8Array(await answer.arrayBuffer())) };
})`

// compareCanvas reads the canvas once and fails unless every cell is the daemon's.
func compareCanvas(t *testing.T, ctx context.Context, after string) painted {
	t.Helper()
	return compareCanvasOf(t, ctx, after, "")
}

// compareCanvasOf does so with a page that shows a part: view is the query that names it.
func compareCanvasOf(t *testing.T, ctx context.Context, after, view string) painted {
	t.Helper()
	p, err := chromedp.Run(ctx, chromedp.Evaluate[painted](readCanvas+"("+after+","+strconv.Quote(view)+")", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != http.StatusOK {
		t.Fatalf("frame %d: the daemon answers %d", p.Number, p.Status)
	}
	msg, err := base64.StdEncoding.DecodeString(p.Cells)
	if err != nil {
		t.Fatal(err)
	}
	px, err := base64.StdEncoding.DecodeString(p.Pixels)
	if err != nil {
		t.Fatal(err)
	}
	var dec wire.Decoder
	f, err := dec.Decode(msg)
	if err != nil {
		t.Fatal(err)
	}
	if int(f.Number) != p.Number || len(px) != 4*len(f.Cells) {
		t.Fatalf("canvas: frame %d, %d bytes; daemon: frame %d, %d cells", p.Number, len(px), f.Number, len(f.Cells))
	}
	colours := f.Colours()
	different, used := 0, map[wire.RGB]int{}
	for i, v := range f.Cells {
		used[colours[v]]++
		if wire.RGB(px[4*i:4*i+3]) != colours[v] {
			if different == 0 {
				t.Errorf("frame %d, cell %d,%d: the canvas shows %v, the daemon means %v", p.Number, i%f.Width, i/f.Width, px[4*i:4*i+3], colours[v])
			}
			different++
		}
	}
	if different > 0 {
		t.Errorf("frame %d of %q: %d of %d cells differ", p.Number, f.Scene, different, len(f.Cells))
	}
	if len(used) < 3 {
		t.Errorf("frame %d of %q has %d colours: nothing to see", p.Number, f.Scene, len(used))
	}
	return p
}

// TestCanvas is the proof that a screen shows the daemon's universe: in Chromium,
// cell for cell, for each scene.
func TestCanvas(t *testing.T) {
	for _, scene := range []string{"life", "line", "zoom"} {
		t.Run(scene, func(t *testing.T) {
			s := newStage(t, display.Options{Scenes: []string{scene}, Cards: exampleCards})
			base := serve(t, s)
			ctx := newBrowser(t, 1280, 720)
			if err := chromedp.Do(ctx, chromedp.Navigate(base+"/kiosk?token=abc")); err != nil {
				t.Fatal(err)
			}
			p := compareCanvas(t, ctx, "60")
			p = compareCanvas(t, ctx, "sierpi.screen.painted + 10")
			if p.Rung != "2d" {
				t.Errorf("the page paints with %q; without a GPU it should be 2d", p.Rung)
			}
			// The heartbeat comes every five seconds; ask for it now.
			eval[any](t, ctx, "sierpi.screen.beat()")
			awaitStatus(t, s, func(st display.Status) bool {
				return len(st.Screens) == 1 && st.Screens[0].State == display.Painting && st.Screens[0].Rung == "2d"
			})
		})
	}
}

// awaitStatus waits until the status is as wished.
func awaitStatus(t testing.TB, s *display.Stage, good func(display.Status) bool) display.Status {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		st := s.Status()
		if good(st) {
			return st
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("the status never came to what was expected: %+v", st)
		}
	}
}

func exampleCards(context.Context) display.Cards {
	watts, celsius, used, total := 3.4, 51.2, 211e6, 455e6
	return display.Cards{
		Time:  true,
		Quote: &display.Quote{Text: "The most exciting phrase to hear in science is not “Eureka!” but “That’s funny …”", Author: "Isaac Asimov"},
		Headlines: []display.Headline{
			{Title: "A small computer learns to draw with light on the kitchen wall", Source: "Example News"},
			{Title: "Gliders seen over the harbour", Source: "Town Crier"},
			{Title: "Kernel 7.2 brings quieter swap for little boards with half a gigabyte", Source: "Releases"},
		},
		Chat: []display.ChatLine{
			{Author: "Ada", Text: "Has anybody seen where the glider went?"},
			{Author: "Ole", Text: "Over the top edge, and back in from below. It ran into the block a minute ago."},
			{Author: "Ada", Text: "Poor glider."},
		},
		Machine: &display.Machine{Watts: &watts, Estimated: true, Celsius: &celsius, MemoryUsed: &used, MemoryTotal: &total, Address: "192.168.178.104"},
	}
}

// wordyCards is as much as the services may ever say.
func wordyCards(context.Context) display.Cards {
	c := exampleCards(context.Background())
	c.Quote = &display.Quote{Text: strings.Repeat("It has long been an axiom of mine that the little things are infinitely the most important. ", 5), Author: "Sir Arthur Conan Doyle, The Adventures of Sherlock Holmes, A Case of Identity"}
	long := display.Headline{Title: strings.Repeat("A small computer learns to draw with light ", 4), Source: "The Society for Small Computers"}
	c.Headlines = []display.Headline{long, long, long, long, long}
	said := display.ChatLine{Author: "Maximiliane Wolkenstein", Text: strings.Repeat("Gliders! ", 60) + strings.Repeat("x", 300)}
	c.Chat = []display.ChatLine{said, said, said}
	watts := 112.4
	c.Machine.Watts, c.Machine.Address = &watts, "[2001:db8:1234:5678:9abc:def0:1234:5678]:8080"
	return c
}

// exampleInvitation is a code of the size that the daemon's are.
func exampleInvitation() *display.Invitation {
	inv := &display.Invitation{URL: "http://192.168.178.104/J/0123456789ABCDEF", Side: 29, Modules: make([]byte, (29*29+7)/8)}
	for i := range inv.Modules {
		inv.Modules[i] = byte(i*i*37 + i*11)
	}
	return inv
}
