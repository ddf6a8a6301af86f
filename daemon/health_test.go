package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthStates(t *testing.T) {
	state := OK
	h := NewHealth(
		Check{Name: "store", Required: true, Look: func(context.Context) (State, string) { return state, "why" }},
		Check{Name: "sensor", Look: func(context.Context) (State, string) { return Failed, "unplugged" }},
	)
	get := func() (int, Report) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/healthz", nil))
		var r Report
		if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return rec.Code, r
	}
	if code, r := get(); code != http.StatusOK || r.Status != OK || r.Parts[1].State != Failed {
		t.Errorf("a failed part that is not required: %d %+v", code, r)
	}
	state = Failed
	if code, r := get(); code != http.StatusServiceUnavailable || r.Status != Failed {
		t.Errorf("a failed required part: %d %+v", code, r)
	}
}

func TestHealthSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := OK
		h := NewHealth(Check{Name: "x", Look: func(context.Context) (State, string) { return state, "" }})
		start := time.Now()
		h.Report(t.Context())
		time.Sleep(time.Hour)
		if got := h.Report(t.Context()).Parts[0].Since; !got.Equal(start) {
			t.Errorf("since = %v after an hour in one state, want %v", got, start)
		}
		state = Stale
		if got := h.Report(t.Context()).Parts[0].Since; !got.Equal(start.Add(time.Hour)) {
			t.Errorf("since = %v after a change, want an hour later", got)
		}
	})
}

// A part that hangs is failed, does not hold up the others, and is not asked
// again while it hangs.
func TestHealthHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		release := make(chan struct{})
		h := NewHealth(
			Check{Name: "stuck", Required: true, Look: func(context.Context) (State, string) { asked.Add(1); <-release; return OK, "" }},
			Check{Name: "fine", Look: func(context.Context) (State, string) { return OK, "" }},
		)
		for range 3 {
			r := h.Report(t.Context())
			if r.Status != Failed || r.Parts[0].State != Failed || r.Parts[1].State != OK {
				t.Errorf("report = %+v", r)
			}
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times, want once", asked.Load())
		}
		close(release)
		synctest.Wait()
		if r := h.Report(t.Context()); r.Status != OK {
			t.Errorf("after it answered: %+v", r)
		}
	})
}
