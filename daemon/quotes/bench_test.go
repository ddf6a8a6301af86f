package quotes

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/system/systemtest"
)

// The benchmarks run on demand: go test -run '^$' -bench . ./daemon/quotes
//
// The sizes are Debian's fortunes and, with SIERPI_BENCH_MILLION=FOLDER, one
// million quotes generated from the fortunes' word frequencies (seed 1). The
// folder keeps the database between runs: making it takes minutes and 1 GB.
// With SIERPI_BENCH_DSN="..." (an empty database) they run on PostgreSQL.

const fortunesDir = "/usr/share/games/fortunes"

// corpus is the fortunes as parsed.
func corpus(t testing.TB) []Item {
	t.Helper()
	files, _, err := filesUnder(fortunesDir)
	if err != nil || len(files) == 0 {
		systemtest.Missing(t, "Debian's fortunes are not installed (apt-get install fortunes)")
	}
	var out []Item
	for _, f := range files {
		b, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		items, _, err := parsed(t, Auto, filepath.Base(f.path), string(b))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, items...)
	}
	return out
}

// generate writes n quotes as JSON lines: the number of words and the author of
// one fortune, each word drawn from all words of all fortunes.
func generate(w io.Writer, items []Item, n int) error {
	var words []string
	for _, it := range items {
		words = append(words, strings.Fields(it.Text)...)
	}
	r := rand.New(rand.NewPCG(1, 1))
	enc := json.NewEncoder(w)
	for range n {
		like := items[r.IntN(len(items))]
		text := make([]string, max(3, len(strings.Fields(like.Text))))
		for i := range text {
			text[i] = words[r.IntN(len(words))]
		}
		if err := enc.Encode(map[string]string{"text": strings.Join(text, " "), "author": like.Author, "source": like.Source}); err != nil {
			return err
		}
	}
	return nil
}

// filled returns the service over n quotes.
func filled(b *testing.B, n int) *Service {
	o := store.Options{Dir: b.TempDir(), DSN: os.Getenv("SIERPI_BENCH_DSN")}
	if n > 0 {
		if o.Dir = os.Getenv("SIERPI_BENCH_MILLION"); o.Dir == "" {
			b.Skip("SKIPPED: on demand, with SIERPI_BENCH_MILLION=FOLDER")
		}
	}
	s := service(b, o)
	if have, err := s.Count(b.Context()); err != nil || have >= max(n*99/100, 1) {
		return s
	}
	start := time.Now()
	if n == 0 {
		if _, err := s.ImportPath(b.Context(), fortunesDir, ImportOptions{}, nil); err != nil {
			b.Fatal(err)
		}
	} else {
		items := corpus(b)
		r, w := io.Pipe()
		go func() {
			buf := bufio.NewWriter(w)
			err := generate(buf, items, n)
			if err == nil {
				err = buf.Flush()
			}
			w.CloseWithError(err)
		}()
		rep, err := s.Import(b.Context(), r, ImportOptions{Format: JSON, Source: "generated"})
		if err != nil {
			b.Fatal(err)
		}
		b.Log(rep)
	}
	have, _ := s.Count(b.Context())
	b.Logf("imported %d quotes in %v", have, time.Since(start))
	return s
}

// queryMix is the published mix: 100 queries of each class, drawn with seed 2.
func queryMix(b *testing.B) map[string][]string {
	count := map[string]int{}
	for _, it := range corpus(b) {
		for _, t := range tokens(it.Text) {
			count[t.word]++
		}
	}
	words := sorted(count)
	slices.SortStableFunc(words, func(x, y string) int { return count[y] - count[x] })
	common := words[:100]
	rare := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return count[w] > 5 || len(w) < 5 })
	medium := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return count[w] < 20 || len(w) < 5 })
	r := rand.New(rand.NewPCG(2, 2))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	mix := map[string][]string{}
	for range 100 {
		add := func(class, q string) { mix[class] = append(mix[class], q) }
		add("rare-word", pick(rare)+" ")
		add("common-word", pick(common)+" ")
		add("two-words", pick(common)+" "+pick(medium)+" ")
		add("prefix-2", pick(medium)[:2])
		add("prefix-4", pick(medium)[:4])
		w := pick(medium)
		add("substring", w[1:len(w)-1])
		w = pick(medium)
		i := 1 + r.IntN(len(w)-2)
		add("typo", w[:i]+w[i+1:i+2]+w[i:i+1]+w[min(i+2, len(w)):])
	}
	return mix
}

func BenchmarkSearch(b *testing.B) {
	for _, size := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("quotes=%d", cmp.Or(size, 16_000)), func(b *testing.B) {
			s := filled(b, size)
			mix := queryMix(b)
			for _, class := range []string{"rare-word", "common-word", "two-words", "prefix-2", "prefix-4", "substring", "typo"} {
				b.Run(class, func(b *testing.B) {
					var took []time.Duration
					var worst time.Duration
					var slow string
					for i := 0; b.Loop(); i++ {
						start := time.Now()
						if _, err := s.Search(b.Context(), Query{Words: mix[class][i%100]}); err != nil {
							b.Fatal(err)
						}
						took = append(took, time.Since(start))
						if d := took[len(took)-1]; d > worst {
							worst, slow = d, mix[class][i%100]
						}
					}
					slices.Sort(took)
					b.Logf("slowest: %q, %v", slow, worst)
					b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
					b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
				})
			}
			for _, n := range []int{1, 200} {
				b.Run(fmt.Sprintf("random-%d", n), func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						if _, _, err := s.Random(b.Context(), Walk{Seed: fmt.Sprint(i)}, Filter{}, n); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("latest-200", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Latest(b.Context(), Filter{}, 200); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
