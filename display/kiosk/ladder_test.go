package kiosk

import (
	"testing"
	"time"
)

var (
	fine   = sight{fine: true, answers: true}
	white  = sight{answers: true, why: "white"}
	silent = sight{why: "silent"}
	away   = sight{answers: true, excused: true}
)

// run looks once a second until a step is due, and returns when.
func (l *ladder) run(t *testing.T, from time.Duration, s sight, bound time.Duration) (time.Duration, Step) {
	t.Helper()
	for now := from; now <= from+bound; now += time.Second {
		if step := l.look(now, s); step != None {
			return now - from, step
		}
	}
	return bound, None
}

func started(at, took time.Duration) *ladder {
	l := &ladder{}
	l.browserStarted(at, false)
	l.look(at+took, fine)
	return l
}

func TestLadderClimbs(t *testing.T) {
	l := started(10*time.Second, 8*time.Second)
	now := 100 * time.Second
	after, step := l.run(t, now, white, time.Hour)
	if step != Reload || after != 5*time.Second {
		t.Fatalf("%v after %v", step, after)
	}
	now += after
	l.taken(now, step)
	after, step = l.run(t, now, white, time.Hour)
	if step != RestartBrowser || after != 10*time.Second {
		t.Fatalf("%v after %v", step, after)
	}
	for _, want := range []Step{RestartSession, Reboot, Reboot} {
		now += after
		l.taken(now, step)
		l.browserStarted(now, true)
		after, step = l.run(t, now, white, time.Hour)
		// Nothing was painted since the start: the five minutes, whatever was learned.
		if step != want || after != beforeFirstPaint {
			t.Fatalf("%v after %v, want %v", step, after, want)
		}
	}
}

func TestLadderWaitsForTheFirstPaint(t *testing.T) {
	for name, s := range map[string]sight{"white": white, "silent": silent} {
		l := &ladder{}
		l.browserStarted(time.Second, false)
		if after, step := l.run(t, time.Second, s, time.Hour); step == None || after != beforeFirstPaint {
			t.Errorf("%s: %v after %v", name, step, after)
		}
	}
}

// A browser that ends again and again is started again and again, and yet the
// ladder goes on after five minutes.
func TestLadderCountsFromTheFirstOfManyStarts(t *testing.T) {
	l := &ladder{}
	for now := time.Second; now < time.Hour; now += 20 * time.Second {
		l.browserStarted(now, false)
		for i := range time.Duration(20) {
			if step := l.look(now+i*time.Second, silent); step != None {
				if at := now + i*time.Second; at < beforeFirstPaint {
					t.Fatalf("%v at %v", step, at)
				}
				return
			}
		}
		if now > 10*time.Minute {
			t.Fatal("no step in ten minutes")
		}
	}
}

// The patience is half of the start that was measured, within bounds.
func TestLadderPatience(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		time.Second: 5 * time.Second, 30 * time.Second: 15 * time.Second, 200 * time.Second: 100 * time.Second, 290 * time.Second: 2 * time.Minute,
	} {
		l := started(time.Second, took)
		if after, step := l.run(t, 1000*time.Second, white, time.Hour); step != Reload || after < want || after > want+time.Second {
			t.Errorf("started in %v: %v after %v, want %v", took, step, after, want)
		}
	}
	// Waiting for the daemon is no part of it.
	l := &ladder{}
	l.browserStarted(0, false)
	for now := time.Duration(0); now < 3*time.Minute; now += time.Second {
		l.look(now, away)
	}
	l.look(3*time.Minute+4*time.Second, fine)
	if l.start > 10*time.Second {
		t.Errorf("a start of %v was learned", l.start)
	}
}

func TestLadderExcuses(t *testing.T) {
	l := started(time.Second, 8*time.Second)
	if after, step := l.run(t, time.Minute, away, 24*time.Hour); step != None {
		t.Errorf("%v after %v", step, after)
	}
}

func TestLadderHung(t *testing.T) {
	l := started(time.Second, 8*time.Second)
	if after, step := l.run(t, time.Minute, silent, time.Hour); step != RestartBrowser || after != 5*time.Second {
		t.Errorf("silent: %v after %v", step, after)
	}
}

// A page that is too busy for our question and yet sends heartbeats is let alone; from
// its last one on it has as long as any other.
func TestLadderHears(t *testing.T) {
	l := started(time.Second, 8*time.Second)
	now := time.Minute
	for ; now < 10*time.Minute; now += time.Second {
		if step := l.look(now, sight{beat: now.Truncate(4 * time.Second)}); step != None {
			t.Fatalf("%v at %v, with a heartbeat every four seconds", step, now)
		}
	}
	last := (now - 1).Truncate(4 * time.Second)
	if after, step := l.run(t, now, sight{beat: last}, time.Hour); step != RestartBrowser || now+after != last+5*time.Second {
		t.Errorf("%v %v after the last heartbeat", step, now+after-last)
	}
	// A heartbeat from before says nothing: the page may have stopped since.
	l = started(time.Second, 8*time.Second)
	if after, step := l.run(t, time.Minute, sight{beat: time.Minute - time.Second}, time.Hour); step != RestartBrowser || after != 5*time.Second {
		t.Errorf("with an old heartbeat: %v after %v", step, after)
	}
	// And none counts for a page that answers, and shows something else.
	l = started(time.Second, 8*time.Second)
	if after, step := l.run(t, time.Minute, sight{answers: true, beat: time.Hour}, time.Hour); step != Reload || after != 5*time.Second {
		t.Errorf("of another page: %v after %v", step, after)
	}
}

// What helps for good starts from the bottom again; what helps for a moment does not.
func TestLadderForgets(t *testing.T) {
	for _, test := range []struct {
		fine time.Duration
		want Step
	}{{30 * time.Second, RestartBrowser}, {2 * time.Minute, Reload}} {
		l := started(time.Second, 8*time.Second)
		after, step := l.run(t, time.Minute, white, time.Hour)
		now := time.Minute + after
		l.taken(now, step)
		l.run(t, now, fine, test.fine)
		if _, step := l.run(t, now+test.fine+time.Second, white, time.Hour); step != test.want {
			t.Errorf("after %v of painting: %v, want %v", test.fine, step, test.want)
		}
	}
}
