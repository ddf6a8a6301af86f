package display_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/display/life"
)

// cpuOf is the CPU time that this process's descendants of the given name have used
// so far: the browser with its renderers and GPU process.
func cpuOf(t testing.TB, name string) time.Duration {
	t.Helper()
	type process struct {
		parent int
		name   string
		ticks  int64
	}
	all := map[int]process{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		open, end := strings.IndexByte(string(data), '('), strings.LastIndexByte(string(data), ')')
		pid, _ := strconv.Atoi(strings.TrimSpace(string(data[:open])))
		f := strings.Fields(string(data[end+1:]))
		parent, _ := strconv.Atoi(f[1])
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		all[pid] = process{parent, string(data[open+1 : end]), user + system}
	}
	var ticks int64
	for pid, p := range all {
		if !strings.HasPrefix(p.name, name) {
			continue
		}
		for up := pid; up > 1; up = all[up].parent {
			if up == os.Getpid() {
				ticks += p.ticks
				break
			}
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ is 100 on every Linux of ours
}

// BenchmarkBrowser is what a frame costs the browser, over all its processes, on a
// screen of 1920x1080 without a GPU; beside it the plain per-cell page, and, where
// SIERPI_COPY_LIFE names a checkout of github.com/copy/life, that page. Each is a row of a
// table; the last column is the cost as a share of the per-cell page's.
//
//	SIERPI_COPY_LIFE=/tmp/life go test ./display -run '^$' -bench Browser -benchtime 1x -timeout 30m
func BenchmarkBrowser(b *testing.B) {
	if testing.Short() {
		b.Skip("SKIPPED: a quarter of an hour")
	}
	const seconds = 10
	type cost struct{ perFrame, rate float64 }
	var last cost
	measure := func(b *testing.B, url, begin, count string, warm int) {
		ctx := newBrowser(b, 1920, 1080)
		for b.Loop() {
			open(b, ctx, url)
			if begin != "" {
				await(b, ctx, "document.readyState === 'complete'")
				eval[any](b, ctx, begin)
			}
			await(b, ctx, fmt.Sprintf("%s > %d", count, warm))
			frames, cpu, began := eval[int](b, ctx, count), cpuOf(b, "chromium"), time.Now()
			eval[any](b, ctx, fmt.Sprintf("new Promise((r) => setTimeout(r, %d))", seconds*1000))
			n, took := float64(max(1, eval[int](b, ctx, count)-frames)), time.Since(began)
			last = cost{float64((cpuOf(b, "chromium") - cpu).Microseconds()) / 1000 / n, n / took.Seconds()}
			b.ReportMetric(last.perFrame, "cpu-ms/frame")
			b.ReportMetric(last.rate, "frames/s")
			b.ReportMetric(0, "ns/op")
		}
	}
	for _, size := range []struct{ w, h, scale int }{{480, 270, 4}, {1920, 1080, 1}} {
		for _, generation := range []int{100, 10000} {
			name := fmt.Sprintf("%dx%d/generation=%d", size.w, size.h, generation)
			soup := func(b *testing.B) *life.Torus {
				torus, err := life.NewTorus(size.w, size.h, life.Conway)
				if err != nil {
					b.Fatal(err)
				}
				torus.Randomize(20, 0.25)
				torus.StepN(uint64(generation))
				return torus
			}
			var plain cost
			b.Run(name+"/percell", func(b *testing.B) {
				torus := soup(b)
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/peer/cells" {
						http.ServeFile(w, r, "testdata/peer/percell.html")
						return
					}
					cells := make([]byte, size.w*size.h)
					for i := range cells {
						if torus.Get(i%size.w, i/size.w) {
							cells[i] = 1
						}
					}
					_, _ = w.Write(cells)
				}))
				defer srv.Close()
				measure(b, fmt.Sprintf("%s/?w=%d&h=%d&scale=%d", srv.URL, size.w, size.h, size.scale), "", "(globalThis.frames_ ?? 0)", 5)
				plain = last
			})
			for _, sharp := range []bool{false, true} {
				b.Run(name+"/sierpi/fade="+map[bool]string{false: "on", true: "off"}[sharp], func(b *testing.B) {
					s := newStage(b, display.Options{Width: size.w, Height: size.h, Scenes: []string{"life"}, Seed: 20, Sharp: sharp, AllowFlashes: sharp})
					s.Forward(2 * generation)
					measure(b, serve(b, s)+"/kiosk", "", "(globalThis.sierpi?.screen.painted ?? 0)", 30)
					if plain.perFrame > 0 {
						b.ReportMetric(last.perFrame/plain.perFrame, "of-percell")
					}
				})
			}
			if peer := os.Getenv("SIERPI_COPY_LIFE"); peer != "" {
				b.Run(name+"/copy.sh-life", func(b *testing.B) {
					p, err := soup(b).Pattern()
					if err != nil {
						b.Fatal(err)
					}
					p.Rule = life.Conway
					srv := httptest.NewServer(copyLife(b, peer, p.RLE()))
					defer srv.Close()
					// Its HashLife makes a generation a frame; a dense one takes it long.
					measure(b, srv.URL+"/?pattern=soup&fps=15", "new Promise((r) => { const t = setInterval(() => { const run = document.getElementById('run_button'); if (frames_ > 0) { clearInterval(t); if (run.textContent.trim() !== 'Stop') run.click(); r(); } }, 200); })", "(globalThis.frames_ ?? 0)", 3)
					if plain.perFrame > 0 {
						b.ReportMetric(last.perFrame/plain.perFrame, "of-percell")
					}
				})
			}
		}
	}
}

// copyLife serves a checkout of copy.sh/life with one pattern, and counts the pictures that it
// draws.
func copyLife(b *testing.B, dir string, soup []byte) http.Handler {
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		b.Fatalf("SIERPI_COPY_LIFE must name a checkout of github.com/copy/life: %v", err)
	}
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(strings.Replace(string(index), "<script", "<script src=\"count.js\"></script><script", 1)))
		case "/count.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(`globalThis.frames_ = 0; const put = CanvasRenderingContext2D.prototype.putImageData; CanvasRenderingContext2D.prototype.putImageData = function (...a) { globalThis.frames_++; return put.apply(this, a); };`))
		case "/examples/soup.rle":
			_, _ = w.Write(soup)
		default:
			files.ServeHTTP(w, r)
		}
	})
}
