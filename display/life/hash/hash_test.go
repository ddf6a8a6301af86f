package hash

import (
	"context"
	"math/big"
	"testing"
	"time"

	"github.com/sierpi/sierpi/display/life"
)

func TestGun(t *testing.T) {
	for _, p := range life.Patterns() {
		if p.Name != "Gosper glider gun" {
			continue
		}
		u, err := New(life.Conway, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Place(&p, 0, 0); err != nil {
			t.Fatal(err)
		}
		s := time.Now()
		if err := u.Advance(context.Background(), big.NewInt(1e9)); err != nil {
			t.Fatal(err)
		}
		t.Log(u.Population(), u.Nodes(), time.Since(s))
		t.Log(u.Bounds())
	}
}
