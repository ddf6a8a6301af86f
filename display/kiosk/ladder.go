package kiosk

import "time"

// Step is what is done for a wall that does not paint.
type Step int

// The steps, each stronger than the one before.
const (
	None Step = iota
	Reload
	RestartBrowser
	RestartSession
	Reboot
)

// String is the step as the log and the daemon's pages call it.
func (s Step) String() string {
	switch s {
	case None:
		return "nothing"
	case Reload:
		return "open the page anew"
	case RestartBrowser:
		return "start the browser anew"
	case RestartSession:
		return "start the session anew"
	case Reboot:
		return "reboot"
	}
	return "unknown step"
}

// sight is what is known of the wall at one moment.
type sight struct {
	fine    bool          // it paints, and the picture is on view
	excused bool          // it cannot paint, and nothing here would change that
	answers bool          // the page answers the browser's own question
	asked   time.Duration // when the look began; 0: now
	beat    time.Duration // when the daemon heard the page last; 0: never
	why     string        // what is wrong, for the log
}

const (
	// beforeFirstPaint is how long a start may take at the worst.
	beforeFirstPaint = 5 * time.Minute
	leastPatience    = 5 * time.Second
	mostPatience     = 2 * time.Minute
	// A wall that painted this long, and that many patiences, is well again.
	wellAfter     = time.Minute
	wellPatiences = 6
)

// ladder decides on the next step. It is told everything, the time included, and
// does nothing itself. Times are since the boot, never the clock's.
type ladder struct {
	level   Step          // the last step taken that has not helped for good
	aimed   time.Duration // when the browser was started, or the daemon came
	started time.Duration // when the browser was started last
	answer  time.Duration // from there until the page answered; 0: not yet
	painted bool          // since then
	start   time.Duration // how long starts take here, from start to first paint; 0: not known
	bad     time.Duration // since when it does not paint
	isBad   bool
	well    time.Duration // since when it paints
	isWell  bool
}

// browserStarted notes a start. A browser that ended by itself before it painted
// gets no new five minutes: otherwise one that dies at once would be waited for
// for ever.
func (l *ladder) browserStarted(now time.Duration, byStep bool) {
	if byStep || l.painted || l.aimed == 0 {
		l.aimed, l.isBad = now, false
	}
	l.started, l.answer = now, 0
	l.painted, l.isWell = false, false
}

// patience is how long the wall may be bad before a step.
func (l *ladder) patience() time.Duration {
	if l.start == 0 {
		return mostPatience
	}
	return min(max(l.start/2, leastPatience), mostPatience)
}

// look takes in what is seen and returns the step that is due. Whoever takes it
// says so with taken.
func (l *ladder) look(now time.Duration, s sight) Step {
	if s.answers && l.answer == 0 {
		l.answer = max(now-l.started, 1)
	}
	switch {
	case s.fine:
		if !l.painted {
			l.painted = true
			l.learn(l.answer + now - max(l.aimed, l.started+l.answer))
		}
		l.isBad = false
		if !l.isWell {
			l.isWell, l.well = true, now
		}
		if now-l.well >= max(wellAfter, wellPatiences*l.patience()) {
			l.level = None
		}
		return None
	case s.excused:
		l.isBad, l.isWell = false, false
		if !l.painted {
			l.aimed = now
		}
		return None
	}
	l.isWell = false
	if !l.isBad {
		l.isBad, l.bad = true, now
		if s.asked != 0 {
			l.bad = s.asked // it was bad before the question ran out
		}
	}
	if !s.answers && s.beat > l.bad {
		// It is only slow to answer: a page that hangs sends no heartbeat either.
		l.bad = s.beat
	}
	if !l.painted && now-l.aimed < beforeFirstPaint {
		return None
	}
	next := min(l.level+1, Reboot)
	need := l.patience()
	if l.level == Reload {
		need *= 2
	}
	if now-l.bad < need {
		return None
	}
	if next == Reload && !s.answers {
		// What does not answer does not load anything either.
		next = RestartBrowser
	}
	return next
}

// learn takes a start time in. Quick ones are believed slowly: the page cache was warm.
func (l *ladder) learn(took time.Duration) {
	l.start = max(took, l.start*3/4)
}

// taken notes that a step was taken; the browser's start is noted by browserStarted.
func (l *ladder) taken(now time.Duration, s Step) {
	l.level = s
	l.isBad, l.bad = true, now
}
