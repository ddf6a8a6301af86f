package display

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Hours are a part of the day, in minutes since midnight. Where From is later than
// To it goes over midnight; where they are equal it is empty.
type Hours struct{ From, To int }

// contain reports whether that minute of the day is within.
func (h Hours) contain(minute int) bool {
	if h.From <= h.To {
		return minute >= h.From && minute < h.To
	}
	return minute >= h.From || minute < h.To
}

// Programme is what is shown in a part of the day.
type Programme struct {
	Hours  Hours
	Scenes []string      // in the order of rotation
	Dwell  time.Duration // 0: as always
}

// Timetable is what changes with the time of day.
type Timetable struct {
	Night      Hours   // dimmed
	Brightness float64 // by night, 0.1 to 1; 0 is 1
	Colours    Colours // "" is NightColours
	Off        Hours   // the machine's screens are switched off
	Programmes []Programme
}

// now is the timetable at a moment: the programme's index, or -1; and whether it is
// night, or the time to be off. A clock that was never set (boards without one wake up in 1970) tells
// nothing: then it is day.
func (t Timetable) now(at time.Time) (programme int, night, off bool) {
	if at.Year() < firstTrustedYear {
		return -1, false, false
	}
	minute := at.Hour()*60 + at.Minute()
	programme = -1
	for i, p := range t.Programmes {
		if p.Hours.contain(minute) {
			programme = i
			break
		}
	}
	return programme, t.Night.contain(minute), t.Off.contain(minute)
}

// isDay reports whether the wall is ink on paper at a moment. While nobody knows the time it is
// not: a wall that glares in the night is worse than one that is dark by day.
func (t Timetable) isDay(at time.Time) bool {
	switch t.Colours {
	case DayColours:
		return true
	case AutoColours:
		return at.Year() >= firstTrustedYear && !t.Night.contain(at.Hour()*60+at.Minute())
	}
	return false
}

// SetColours changes the colours until the stage ends; the wall turns within a few seconds.
func (s *Stage) SetColours(c Colours) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.opt.Hours
	t.Colours = cmp.Or(c, "none")
	if err := t.checkColours(); err != nil {
		return err
	}
	s.opt.Hours = t
	s.keepHours(s.clock())
	return nil
}

func (t Timetable) checkColours() error {
	switch t.Colours {
	case "", NightColours, DayColours:
	case AutoColours:
		if t.Night.From == t.Night.To {
			return errors.New("the colours go by the hours of night, and there are none: name them, or choose day or night")
		}
	default:
		return fmt.Errorf("there are no colours %q; there are %q, %q and %q", t.Colours, NightColours, DayColours, AutoColours)
	}
	return nil
}

// firstTrustedYear is before this program was written, and long after 1970.
const firstTrustedYear = 2024

// hoursEvery is how often the clock is looked at: it may jump.
const hoursEvery = 5 * time.Second

func (s *Stage) followClock(ctx context.Context) {
	ticker := time.NewTicker(hoursEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.mu.Lock()
			s.keepHours(s.clock())
			s.fadeGhosts(time.Now())
			s.mu.Unlock()
		}
	}
}

// keepHours brings the wall to what the timetable says. s.mu is held.
func (s *Stage) keepHours(at time.Time) {
	programme, night, off := s.opt.Hours.now(at)
	bright := 1.0
	if b := s.opt.Hours.Brightness; night && b > 0 {
		bright = min(1, b)
	}
	s.director.setBrightness(bright)
	s.director.setDay(s.opt.Hours.isDay(at))
	s.director.setProgramme(programme)
	s.setDark(off)
}
