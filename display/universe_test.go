package display

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func testSoup(t *testing.T, width, height int, seed uint64) *soup {
	t.Helper()
	s, err := newSoup(Setting{Width: width, Height: height, FramesPerSecond: 30, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var drawing = Edit{Alive: true, Cells: []int32{10, 10, 11, 10, 12, 10, 12, 9, 11, 8, 30, 30, 31, 30, 32, 30}}

func by(who string, shift int32) Edit {
	e := Edit{Alive: true, Who: who}
	for _, c := range drawing.Cells {
		e.Cells = append(e.Cells, c+shift)
	}
	return e
}

// TestUndo is that a drawing which was taken back is as if it had never been, with the
// drawings of others that came after it.
func TestUndo(t *testing.T) {
	with, without := testSoup(t, 200, 130, 3), testSoup(t, 200, 130, 3)
	for _, s := range []*soup{with, without} {
		s.runTo(50)
	}
	with.edit(by("A", 40))
	with.runTo(70)
	without.runTo(70)
	with.edit(by("B", 60))
	without.edit(by("B", 60))
	with.runTo(100)
	without.runTo(100)
	if with.torus.Hash() == without.torus.Hash() {
		t.Fatal("the drawing made no difference: the test is worth nothing")
	}
	if with.undoable("C") || with.undo("C") == nil {
		t.Error("somebody took back what was not his")
	}
	if err := with.undo("A"); err != nil {
		t.Fatal(err)
	}
	if with.torus.Hash() != without.torus.Hash() || with.torus.Generation() != 100 {
		t.Errorf("at generation %d something of it is left", with.torus.Generation())
	}
	// B's is still his to take back, and nobody else has any.
	if with.undoable("A") || !with.undoable("B") || !with.undoable("*") {
		t.Error("the wrong drawings can be taken back")
	}
	if err := with.undo("B"); err != nil {
		t.Fatal(err)
	}
	plain := testSoup(t, 200, 130, 3)
	plain.runTo(100)
	if with.torus.Hash() != plain.torus.Hash() {
		t.Error("something of the second drawing is left")
	}
	// After a minute it is history.
	with.edit(by("A", 5))
	with.runTo(with.torus.Generation() + undoFor*15 + 1)
	if err := with.undo("A"); !errors.Is(err, errNothingToUndo) {
		t.Errorf("after more than a minute: %v", err)
	}
}

// TestRestore is the way over a restart: the universe as it was kept, and the edits since.
func TestRestore(t *testing.T) {
	s := testSoup(t, 200, 130, 9)
	var since []Edit
	s.onEdit = func(e Edit) { since = append(since, e) }
	s.runTo(40)
	s.edit(by("A", 3))
	s.runTo(60)
	kept := s.keep()
	first := s.edit(by("A", 70))
	s.runTo(64)
	erased := by("B", 72)
	erased.Alive = false
	second := s.edit(erased)
	s.edit(Edit{Alive: true, Cells: s.gliders()})
	if len(since) != 1 {
		t.Fatalf("%d edits of nobody", len(since))
	}
	about, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := PackCells(kept.Cells)
	if err != nil {
		t.Fatal(err)
	}
	var u Universe
	if err := json.Unmarshal(about, &u); err != nil {
		t.Fatal(err)
	}
	if u.Cells, err = UnpackCells(packed, len(kept.Cells)); err != nil {
		t.Fatal(err)
	}
	again := testSoup(t, 200, 130, 1234)
	// The first is in the list twice over: an edit that is in the universe already is not made again.
	old := by("A", 3)
	old.Number, old.Generation = 1, 40
	if err := again.restore(&u, []Edit{old, first, second, since[0]}); err != nil {
		t.Fatal(err)
	}
	if again.torus.Hash() != s.torus.Hash() || again.torus.Generation() != s.torus.Generation() {
		t.Errorf("generation %d goes on as %d, and not with the same cells", s.torus.Generation(), again.torus.Generation())
	}
	if again.caption != s.caption && !strings.HasSuffix(again.caption, "generation 64") {
		t.Errorf("%q became %q", s.caption, again.caption)
	}
	if a, b := s.edit(by("C", 9)), again.edit(by("C", 9)); a.Number != b.Number {
		t.Errorf("the next edit is number %d, not %d", b.Number, a.Number)
	}
	// What does not fit is an error, and no other universe.
	if err := testSoup(t, 100, 130, 1).restore(&u, nil); err == nil {
		t.Error("a universe of another size was taken up")
	}
	late := first
	late.Generation += maxReplay * 2
	early := first
	early.Generation = 3
	for _, e := range []Edit{late, early} {
		if err := testSoup(t, 200, 130, 1).restore(&u, []Edit{e}); err == nil {
			t.Errorf("an edit of generation %d was made", e.Generation)
		}
	}
}

// TestComesToRest follows a universe to its end: what is settled is told once, gliders come in, twice,
// and then it begins anew.
func TestComesToRest(t *testing.T) {
	s := testSoup(t, 96, 96, 6)
	var told []Settled
	s.settled = func(st Settled) { told = append(told, st) }
	s.sow(77, 0.3)
	epoch := s.epoch
	visits, names := 0, map[string]bool{}
	for range 2_000_000 {
		s.Step()
		visits = max(visits, s.visits)
		names[s.caption[:strings.Index(s.caption, ", generation")]] = true
		if s.epoch != epoch {
			break
		}
	}
	if s.epoch == epoch {
		t.Fatal("it never began anew")
	}
	if visits != maxVisits || !names["Random soup"] || !names["Random soup, with gliders let in"] {
		t.Errorf("gliders came %d times; it was called %v", visits, names)
	}
	if len(told) != 1 || told[0].Seed != 77 || told[0].Generations < 10 || told[0].Population == 0 {
		t.Fatalf("told %d times: %+v", len(told), told)
	}
	// The oracle: run on its own, the soup is at that generation what it is 60 generations (a
	// multiple of the usual periods) later, unless a glider still flies.
	plain := testSoup(t, 96, 96, 1)
	plain.sow(77, 0.3)
	plain.runTo(told[0].Generations + 60)
	hash := plain.torus.Hash()
	plain.runTo(told[0].Generations + 120)
	if plain.torus.Hash() != hash {
		t.Errorf("at generation %d it had not come to rest", told[0].Generations)
	}
	img := told[0].Strata(48)
	if b := img.Bounds(); b.Dx() != 48 || b.Dy() != 48 {
		t.Errorf("the picture is %v", b)
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	colours := map[any]bool{}
	for y := range 48 {
		for x := range 48 {
			colours[img.At(x, y)] = true
		}
	}
	if len(colours) < 8 {
		t.Errorf("the picture has %d colours", len(colours))
	}
}

// TestDirectorHours is the programme of the day, and that Life goes on where it was.
func TestDirectorHours(t *testing.T) {
	// A new stage begins with what the hour has in which it is made: that is noon here.
	made := time.Now()
	hours := func(from, until int) Hours {
		noon := 60*made.Hour() + made.Minute() + 24*60
		return Hours{(noon + 60*(from-12)) % (24 * 60), (noon + 60*(until-12)) % (24 * 60)}
	}
	s, err := New(Options{Scenes: []string{"life", "zoom"}, Width: 64, Height: 64, FramesPerSecond: 10, Dwell: 4 * time.Second, Fade: time.Second, Seed: 5, Logger: slog.New(slog.DiscardHandler),
		Hours: Timetable{Programmes: []Programme{{Hours: hours(18, 22), Scenes: []string{"fern", "carpet"}, Dwell: 6 * time.Second}, {Hours: hours(22, 26), Scenes: []string{"zoom"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	seen := func(seconds int) []string {
		var names []string
		for range seconds * 10 {
			s.advance()
			if n := s.whole.current.Scene; len(names) == 0 || names[len(names)-1] != n {
				names = append(names, n)
			}
		}
		return names
	}
	at := func(hour int) { s.keepHours(made.Add(time.Duration(hour-12)*time.Hour + 30*time.Minute)) }
	at(12)
	if got := seen(13); !slices.Equal(got, []string{"life", "zoom", "life", "zoom"}) {
		t.Errorf("by day: %v", got)
	}
	u := s.director.universe
	if u.torus.Generation() < 70 {
		t.Errorf("after eight seconds of Life it is at generation %d: it began anew", u.torus.Generation())
	}
	at(18)
	if got := seen(13); !slices.Equal(got, []string{"fern", "carpet", "fern"}) {
		t.Errorf("in the evening: %v", got)
	}
	at(23)
	if got := seen(13); !slices.Equal(got, []string{"zoom"}) {
		t.Errorf("at night: %v", got)
	}
	at(12) // zoom is in it: it stays its time
	if got := seen(5); !slices.Equal(got, []string{"zoom", "life"}) {
		t.Errorf("the next day: %v", got)
	}
	if s.director.universe != u {
		t.Error("another universe")
	}
	// Held, a scene stays; and not for ever.
	if err := s.Steer("hold", "", true); err != nil {
		t.Fatal(err)
	}
	if got := seen(15); !slices.Equal(got, []string{"life"}) || !s.Held() {
		t.Errorf("held: %v", got)
	}
	s.director.held = min(s.director.held, 20) // of ten minutes, which the test does not wait for
	if got := seen(10); s.Held() || !slices.Contains(got, "zoom") {
		t.Errorf("held for ever: %v", got)
	}
}

func TestTimetable(t *testing.T) {
	table := Timetable{Night: Hours{22*60 + 30, 6 * 60}, Off: Hours{0, 5 * 60}, Programmes: []Programme{{Hours: Hours{8 * 60, 9 * 60}}}}
	for at, want := range map[string]struct {
		programme  int
		night, off bool
	}{
		"2026-01-01 22:29": {-1, false, false}, "2026-01-01 22:30": {-1, true, false}, "2026-01-01 00:00": {-1, true, true},
		"2026-01-01 04:59": {-1, true, true}, "2026-01-01 05:00": {-1, true, false}, "2026-01-01 06:00": {-1, false, false},
		"2026-01-01 08:00": {0, false, false}, "2026-01-01 09:00": {-1, false, false},
		"1970-01-01 00:00": {-1, false, false}, "1970-01-01 08:30": {-1, false, false},
	} {
		when, err := time.ParseInLocation("2006-01-02 15:04", at, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		if p, n, o := table.now(when); p != want.programme || n != want.night || o != want.off {
			t.Errorf("%s: %d, %t, %t", at, p, n, o)
		}
	}
}

// memory is a Memory that counts, and may be broken.
type memory struct {
	mu     sync.Mutex
	kept   *Universe
	edits  []Edit
	writes int
	broken error
}

func (m *memory) Keep(_ context.Context, u *Universe) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.broken == nil {
		m.kept, m.edits = u, nil
	}
	return m.broken
}

func (m *memory) Add(_ context.Context, e []Edit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.broken == nil {
		m.edits = append(m.edits, e...)
	}
	return m.broken
}

func (m *memory) state() (writes, edits int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes, len(m.edits)
}

// TestKeepsSparingly is how often a wall writes: once at the beginning, every few minutes while somebody
// watches, for each drawing before it is acknowledged, and at the end; with nobody watching never.
func TestKeepsSparingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s, err := New(Options{Scenes: []string{"life"}, Width: 96, Height: 96, FramesPerSecond: 5, Seed: 5, Memory: m, KeepEvery: 20 * time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = s.Run(ctx); close(ended) }()
		time.Sleep(time.Hour) // the bubble's: nobody watches
		if writes, _ := m.state(); writes > 1 {
			t.Errorf("%d writes in an hour of nobody watching", writes)
		}
		sc := &screen{since: time.Now(), wake: make(chan struct{}, 1), accepted: true}
		if err := s.attach(sc); err != nil {
			t.Fatal(err)
		}
		before, _ := m.state()
		universes := s.director.universe.epoch
		time.Sleep(4*time.Minute + time.Second)
		// Every twenty seconds, here; and each universe once, and its gliders.
		universes = s.director.universe.epoch - universes
		if writes, _ := m.state(); writes-before < 12 || writes-before > 13+3*int(universes+1) {
			t.Errorf("%d writes in four minutes of somebody watching, in which %d universes began", writes-before, universes)
		}
		acknowledged := make(chan error, 1)
		done := func(err error) { acknowledged <- err }
		if err := s.draw("A", []int32{5, 5, 6, 5, 7, 5}, true, done); err != nil {
			t.Fatal(err)
		}
		if err := <-acknowledged; err != nil {
			t.Fatal(err)
		}
		if _, edits := m.state(); edits != 1 {
			t.Errorf("acknowledged, and %d edits are kept", edits)
		}
		if err := s.undo("A", done); err != nil {
			t.Fatal(err)
		}
		if err := <-acknowledged; err != nil {
			t.Fatal(err)
		}
		if _, edits := m.state(); edits != 0 {
			t.Errorf("taken back, and %d edits are kept", edits)
		}
		// A broken disk is told to who drew, and does not make the wall write again and again.
		m.mu.Lock()
		m.broken = errors.New("the card is full")
		m.mu.Unlock()
		if err := s.draw("A", []int32{5, 5, 6, 5, 7, 5}, true, done); err != nil {
			t.Fatal(err)
		}
		if err := <-acknowledged; err == nil {
			t.Error("acknowledged, and not kept")
		}
		before, _ = m.state()
		time.Sleep(time.Minute)
		if writes, _ := m.state(); writes-before > 3 {
			t.Errorf("%d writes to a broken disk within three times of keeping", writes-before)
		}
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		s.detach(sc)
		cancel()
		<-ended
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.kept == nil || m.kept.Hash() != s.Universe().Hash() {
			t.Error("what was kept at the end is not the universe")
		}
	})
}

func FuzzUnpackCells(f *testing.F) {
	packed, err := PackCells([]uint64{1, 2, 3, 1 << 63})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, 4)
	f.Add(packed[:3], 4)
	f.Add([]byte{}, -1)
	f.Fuzz(func(t *testing.T, data []byte, words int) {
		cells, err := UnpackCells(data, words)
		if err != nil {
			return
		}
		if len(cells) != words {
			t.Errorf("%d words, not %d", len(cells), words)
		}
		again, err := PackCells(cells)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := UnpackCells(again, words); err != nil || !slices.Equal(back, cells) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzParseViewport(f *testing.F) {
	for _, s := range []string{"", "0,0,1,1", "240,0,240,270", "1,2,3", "-1,0,1,1", "a,b,c,d", "0,0,99999,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseViewport(s)
		if err != nil {
			return
		}
		if again, err := ParseViewport(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, which is written %q: %+v, %v", s, p, p.String(), again, err)
		}
	})
}

// FuzzRemote is whatever a phone may say.
func FuzzRemote(f *testing.F) {
	for _, s := range []string{
		`{"type":"ghost","cells":[1,2]}`, `{"type":"draw","n":1,"cells":[1,2,3,4],"alive":true}`, `{"type":"undo","n":2}`,
		`{"type":"scene","n":3,"name":"zoom"}`, `{"type":"next"}`, `{"type":"hold","on":true}`, `{"type":"draw","cells":[-1,5]}`, `{"type":"draw","cells":[1]}`, `{"type":"x"}`,
	} {
		f.Add([]byte(s))
	}
	s, err := New(Options{Scenes: []string{"life", "zoom"}, Width: 64, Height: 64, Seed: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &remote{handheld: newHandheld(nil, "remote"), stage: s, name: "A", visitor: newVisitor()}
		var m remoteRequest
		if json.Unmarshal(data, &m) != nil {
			return
		}
		p.take(m)
		s.mu.Lock()
		s.advance()
		s.mu.Unlock()
		if m.Type != "ghost" && len(p.out) != 1 {
			t.Errorf("%d answers", len(p.out))
		}
	})
}
