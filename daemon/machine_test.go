package daemon

import (
	"flag"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sierpi/sierpi/daemon/config"
	"github.com/sierpi/sierpi/daemon/metrics"
	"github.com/sierpi/sierpi/system"
	"github.com/sierpi/sierpi/system/systemtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMachineFigures holds what is exported on each board, absent figures included:
// the golden files have them all.
func TestMachineFigures(t *testing.T) {
	trees, err := filepath.Glob(filepath.Join("..", "system", "testdata", "*.txtar"))
	if err != nil || len(trees) < 5 {
		t.Fatalf("%d trees of machines (%v)", len(trees), err)
	}
	for _, tree := range trees {
		name := strings.TrimSuffix(filepath.Base(tree), ".txtar")
		t.Run(name, func(t *testing.T) {
			log := slog.New(slog.DiscardHandler)
			m := newMachine(t.Context(), system.Root(systemtest.Tree(t, tree)), config.Default(), t.TempDir(), log)
			defer m.close()
			rec := httptest.NewRecorder()
			metrics.New(log, "golden", m.figures).Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
			var got strings.Builder
			for line := range strings.Lines(rec.Body.String()) {
				if strings.HasPrefix(line, "sierpi_") && !strings.HasPrefix(line, "sierpi_build_info") {
					got.WriteString(line)
				}
			}
			golden := filepath.Join("testdata", "metrics", name+".golden")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}
