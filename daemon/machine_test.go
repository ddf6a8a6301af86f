package daemon

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
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
			golden(t, filepath.Join("testdata", "metrics", name+".golden"), got.String())

			// The same machine as /healthz and the wall's card say it.
			var said strings.Builder
			for _, part := range []struct {
				name string
				look func(context.Context) (State, string)
			}{
				{"board", m.boardHealth}, {"load", m.loadHealth}, {"power", m.powerHealth},
				{"temperature", m.temperatureHealth}, {"zram", m.zramHealth},
			} {
				state, why := part.look(t.Context())
				fmt.Fprintf(&said, "%s: %s, %s\n", part.name, state, why)
			}
			card, err := json.Marshal(m.card(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&said, "card: %s\n", card)
			golden(t, filepath.Join("testdata", "health", name+".golden"), said.String())
		})
	}
}

// golden holds got to the file at path, which -update writes.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
