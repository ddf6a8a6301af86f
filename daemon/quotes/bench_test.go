//go:build long

package quotes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/store/storetest"
	"github.com/sierpi/sierpi/system/systemtest"
)

// The sizes: Debian's fortunes, and a million generated from them.
const million = 1_000_000

// corpus is the fortunes as parsed.
func corpus(t testing.TB) []Item {
	t.Helper()
	files, _, err := filesUnder(fortunesDir)
	if err != nil || len(files) < 10 {
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
// one fortune, each word drawn from all words of all fortunes; seed 1.
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

// filled returns the service over n quotes on SQLite; 0 means the fortunes.
func filled(t *testing.T, items []Item, n int) *Service {
	dir := t.TempDir()
	if kept := os.Getenv("SIERPI_BENCH_DIR"); kept != "" && n > 0 {
		dir = kept
	}
	s := service(t, store.Options{Dir: dir})
	if have, err := s.Count(t.Context()); err != nil || have >= max(n*99/100, 1) {
		return s
	}
	if n == 0 {
		if _, err := s.ImportPath(t.Context(), fortunesDir, ImportOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	r, w := io.Pipe()
	go func() {
		buf := bufio.NewWriter(w)
		err := generate(buf, items, n)
		if err == nil {
			err = buf.Flush()
		}
		w.CloseWithError(err)
	}()
	said := time.Now()
	if _, err := s.Import(t.Context(), r, ImportOptions{Format: JSON, Source: "generated", Progress: func(done, _ int64) {
		if time.Since(said) > time.Minute {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "generating: %d MB imported\n", done>>20)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// classes of the query mix, in the order of the table.
var queryClasses = []string{"rare word", "common word", "two words", "two letters", "four letters", "substring", "typo"}

// queryMix is the published mix: 100 queries of each class, drawn with seed 2.
func queryMix(items []Item) map[string][]string {
	count := map[string]int{}
	for _, it := range items {
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
		add("rare word", pick(rare)+" ")
		add("common word", pick(common)+" ")
		add("two words", pick(common)+" "+pick(medium)+" ")
		add("two letters", pick(medium)[:2])
		add("four letters", pick(medium)[:4])
		w := pick(medium)
		add("substring", w[1:len(w)-1])
		w = pick(medium)
		i := 1 + r.IntN(len(w)-2)
		add("typo", w[:i]+w[i+1:i+2]+w[i:i+1]+w[min(i+2, len(w)):])
	}
	return mix
}

// runs is how often each query is asked; the least of its times counts, so that
// the percentiles tell queries apart and not what else the machine was doing.
const runs = 3

// spread is the median and the 99th percentile of times in ms.
type spread struct{ p50, p99 float64 }

func spreadOf(times []float64) spread {
	slices.Sort(times)
	return spread{times[len(times)/2], times[len(times)*99/100]}
}

func (s spread) String() string {
	switch {
	case s == spread{}:
		return "-"
	case s.p99 >= 100:
		return fmt.Sprintf("%.0f / %.0f", s.p50, s.p99)
	}
	return fmt.Sprintf("%.2f / %.2f", s.p50, s.p99)
}

// timed runs f for 0 ... n-1 and returns the spread of clock and processor time: this
// process's, and that of the processes of a PostgreSQL server on this machine.
func timed(t *testing.T, n int, server []int, f func(i int) error) (clock, processor spread) {
	t.Helper()
	var walls, cpus []float64
	for i := range n {
		var wall, cpu float64
		for run := range runs {
			began, spent := time.Now(), processorTime(t, server)
			if err := f(i); err != nil {
				t.Fatal(err)
			}
			w, c := ms(time.Since(began)), ms(processorTime(t, server)-spent)
			if run == 0 {
				wall, cpu = w, c
			}
			wall, cpu = min(wall, w), min(cpu, c)
		}
		walls, cpus = append(walls, wall), append(cpus, cpu)
	}
	return spreadOf(walls), spreadOf(cpus)
}

// processorTime is not getrusage's, which counts what runs just now by the tick only.
func processorTime(t *testing.T, others []int) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	all := now.Nano()
	for _, pid := range others {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)) // time on the processor in ns first
		if err != nil {
			continue // the connection was closed
		}
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all += ns
	}
	return time.Duration(all)
}

// serverProcesses are those that answer a service's queries, none on SQLite.
func serverProcesses(t *testing.T, s *Service) (pids []int) {
	t.Helper()
	if s.db.Engine() == store.PostgreSQL {
		if err := s.db.View(t.Context(), func(tx *store.Tx) (err error) {
			pids, err = scanAll[int](tx.QueryContext(t.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sierpi'`))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return pids
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// TestBenchQuotes prints the query mix beside the peers, at both sizes:
//
//	go test -count=1 -tags long -timeout 3h ./daemon/quotes -run TestBenchQuotes
//
// It needs postgresql, fortunes, fortune-mod, python3-django and python3-psycopg2.
// The million takes many minutes to make, on each engine, and 3 GB:
// SIERPI_BENCH_DIR=FOLDER keeps the one on SQLite between runs, and
// SIERPI_BENCH_POSTGRES=DSN the one on PostgreSQL, in an empty database of yours.
func TestBenchQuotes(t *testing.T) {
	for program, pkg := range map[string]string{"fortune": "fortune-mod", "strfile": "fortune-mod", "/usr/bin/python3": "python3"} {
		systemtest.Tool(t, program, pkg)
	}
	if out, err := exec.Command("/usr/bin/python3", "-c", "import django, psycopg2").CombinedOutput(); err != nil {
		t.Fatalf("the peer is not installed (apt-get install python3-django python3-psycopg2): %v\n%s", err, out)
	}
	items := corpus(t)
	mix := queryMix(items)
	server := storetest.Postgres(t)
	t.Run("fortunes", func(t *testing.T) { benchSize(t, server.Database(t), filled(t, items, 0), mix, 10, 100) })
	t.Run("million", func(t *testing.T) {
		dsn := os.Getenv("SIERPI_BENCH_POSTGRES")
		if dsn == "" {
			dsn = server.Database(t)
		}
		// The peers read all the texts for each query: they get few.
		benchSize(t, dsn, filled(t, items, million), mix, 50, 5)
	})
}

// benchSize prints one table: dsn is a database on PostgreSQL to copy to, aim the p99 in ms
// that is wanted, few the number of queries of each class that the peers get.
func benchSize(t *testing.T, dsn string, lite *Service, mix map[string][]string, aim float64, few int) {
	n, err := lite.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s quotes; p50 / p99 in ms over 100 queries of each class, each the least of %d.", number(n), runs)
	pg := service(t, store.Options{DSN: dsn})
	began, said := time.Now(), time.Now()
	copied, err := lite.MigrateTo(t.Context(), pg, func(done, total int64) {
		if time.Since(said) > time.Minute {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "copying to PostgreSQL: %s of %s quotes\n", number(int(done)), number(int(total)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if copied > 0 {
		fmt.Printf(" `migrate-to` copied them to PostgreSQL in %.0f s.", time.Since(began).Seconds())
	}
	services := []*Service{lite, pg}
	times := min(few, 20)
	queries := map[string][]string{"random 1": make([]string, times), "random 200": make([]string, times), "latest 200": make([]string, times)}
	for _, class := range []string{"rare word", "common word", "two words", "substring"} {
		queries[class] = mix[class][:few]
	}
	django := askDjango(t, dsn, queries)
	files := fortunesDir
	if few < 100 {
		files = fortuneFile(t, lite)
	}
	fmt.Print("\n\n| query | SQLite | of it processor | PostgreSQL | of it processor | Django on PostgreSQL | `fortune -i -m` |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	var within, free [2]int // of each service
	row := func(name string, queries int, fortune spread, f func(s *Service, i int) error) (clocks, processor [2]spread) {
		for k, s := range services {
			clocks[k], processor[k] = timed(t, queries, serverProcesses(t, s), func(i int) error { return f(s, i) })
		}
		fmt.Printf("| %s | %v | %v | %v | %v | %v | %v |\n", name, clocks[0], processor[0], clocks[1], processor[1], django[name], fortune)
		return clocks, processor
	}
	for _, class := range queryClasses {
		var fortune spread
		if class == "rare word" || class == "substring" {
			fortune = fortunes(t, files, mix[class][:min(few, 20)])
		}
		clocks, processor := row(class, len(mix[class]), fortune, func(s *Service, i int) error {
			_, err := s.Search(t.Context(), Query{Words: mix[class][i]})
			return err
		})
		for k := range services {
			if clocks[k].p99 <= aim {
				within[k]++
			}
			if processor[k].p99 <= aim {
				free[k]++
			}
		}
	}
	for _, count := range []int{1, 200} {
		row(fmt.Sprintf("random %d", count), 100, spread{}, func(s *Service, i int) error {
			_, _, err := s.Random(t.Context(), Walk{Seed: fmt.Sprint(i)}, Filter{}, count)
			return err
		})
	}
	row("latest 200", 100, spread{}, func(s *Service, _ int) error {
		_, err := s.Latest(t.Context(), Filter{}, 200)
		return err
	})
	fmt.Printf("\nAim: p99 at most %.0f ms. By the clock %d of %d classes of queries are within it on SQLite and %d on PostgreSQL, by processor time %d and %d.\n",
		aim, within[0], len(queryClasses), within[1], free[0], free[1])
}

// askDjango has the peer answer queries on the same database.
func askDjango(t *testing.T, dsn string, queries map[string][]string) map[string]spread {
	t.Helper()
	ask := map[string]any{"runs": runs, "queries": queries}
	for field := range strings.FieldsSeq(dsn) {
		name, value, _ := strings.Cut(field, "=")
		ask[map[string]string{"host": "host", "user": "user", "dbname": "name"}[name]] = value
	}
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/django_peer.py")
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var times map[string][]float64
	if err := json.Unmarshal(out, &times); err != nil {
		t.Fatal(err)
	}
	all := map[string]spread{}
	for class, ts := range times {
		all[class] = spreadOf(ts)
	}
	return all
}

// fortuneFile writes all quotes as a fortune file with its index.
func fortuneFile(t *testing.T, s *Service) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	if _, err := s.Export(t.Context(), out, Fortune, nil); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(systemtest.Tool(t, "strfile", "fortune-mod"), "-s", path).CombinedOutput(); err != nil {
		t.Fatalf("strfile: %v\n%s", err, out)
	}
	return path
}

func fortunes(t *testing.T, path string, words []string) spread {
	t.Helper()
	program := systemtest.Tool(t, "fortune", "fortune-mod")
	clock, _ := timed(t, len(words), nil, func(i int) error {
		err := exec.CommandContext(t.Context(), program, "-i", "-m", strings.TrimSpace(words[i]), path).Run()
		if _, none := err.(*exec.ExitError); none { // it found nothing
			return nil
		}
		return err
	})
	return clock
}
