package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Hints are what a document itself says about how often to ask for it.
type Hints struct {
	TTL       time.Duration `json:"ttl,omitzero"`       // RSS ttl, or syndication's update period
	SkipHours uint32        `json:"skipHours,omitzero"` // bit h: not in the hour from h:00 GMT
	SkipDays  uint8         `json:"skipDays,omitzero"`  // bit d: not on this time.Weekday, GMT
}

// Poll is the state of the polling of one address. It is kept with the copy it
// belongs to; the zero value with a URL is an address never asked.
//
// Waits are durations, not dates: a clock that jumps decades when the network
// brings the time moves no poll.
type Poll struct {
	URL          string        `json:"url"`                   // as the owner wrote it
	Address      string        `json:"address,omitzero"`      // where it moved for good; "" is URL
	MovedTo      string        `json:"movedTo,omitzero"`      // where permanent redirects pointed lately,
	MovedTimes   int           `json:"movedTimes,omitzero"`   // and how many times in a row
	ETag         string        `json:"etag,omitzero"`         // of the copy, independent of
	LastModified string        `json:"lastModified,omitzero"` // this one; either may be absent
	LastTry      time.Time     `json:"lastTry,omitzero"`
	LastOK       time.Time     `json:"lastOK,omitzero"`
	Wait         time.Duration `json:"wait,omitzero"`   // after LastTry
	Reason       string        `json:"reason,omitzero"` // why Wait is as long as it is
	Failures     int           `json:"failures,omitzero"`
	Error        string        `json:"error,omitzero"` // of the last try; "" if it went well
	Gone         bool          `json:"gone,omitzero"`  // 410: never ask again
	Hints        Hints         `json:"hints,omitzero"`
}

// Pace bounds how often an address is asked.
type Pace struct {
	Interval time.Duration // at least this between two polls
	Max      time.Duration // at most this, but where the publisher refuses; 0 means 24 h
}

// Bounds and steps of the waiting.
const (
	defaultMax     = 24 * time.Hour
	maxRetryAfter  = 7 * 24 * time.Hour
	firstLocalWait = 10 * time.Second
	movedAfter     = 3 // permanent redirects in a row, each leading to a good copy
	homeAfter      = 3 // failures at the new address
	clockSlack     = time.Minute
)

func (p Pace) max() time.Duration {
	if p.Max == 0 {
		return max(defaultMax, p.Interval)
	}
	return max(p.Max, p.Interval)
}

// Request is what to ask now. haveCopy tells whether the copy the validators
// belong to is at hand.
func (p *Poll) Request(haveCopy bool) Request {
	r := Request{URL: p.URL}
	if p.Address != "" {
		r.URL = p.Address
	}
	if haveCopy {
		r.ETag, r.LastModified = p.ETag, p.LastModified
	}
	return r
}

// Remaining is how long to wait before the next poll, and why. ok is false when
// there is none.
func (p *Poll) Remaining(now time.Time) (wait time.Duration, reason string, ok bool) {
	if p.Gone {
		return 0, p.Reason, false
	}
	if p.LastTry.IsZero() {
		return 0, "never asked yet", true
	}
	passed := now.Sub(p.LastTry)
	if passed < -clockSlack {
		return 0, "the clock was turned back, so how long ago it was asked is not known", true
	}
	if left := p.Wait - passed; left > 0 {
		return left, p.Reason, true
	}
	return 0, "due", true
}

// Succeeded notes an answer that brought a good copy (200) or confirmed it (304).
// hints are the copy's.
func (p *Poll) Succeeded(r *Response, hints Hints, pace Pace, now time.Time) {
	etag, modified := r.Header.Get("ETag"), r.Header.Get("Last-Modified")
	if r.Status != http.StatusNotModified {
		p.ETag, p.LastModified = "", ""
	}
	if validHeader(etag) {
		p.ETag = etag
	}
	if validHeader(modified) {
		p.LastModified = modified
	}
	p.Hints = hints
	p.LastTry, p.LastOK, p.Failures, p.Error = now, now, 0, ""
	p.noteMove(r.Moved)
	p.Wait, p.Reason = p.pace(r.Header, pace, now)
}

// noteMove follows a permanent redirect only after it was seen repeatedly: a
// captive portal or a slip of the publisher must not lose the address.
func (p *Poll) noteMove(moved string) {
	switch {
	case moved == "":
		p.MovedTo, p.MovedTimes = "", 0
		return
	case moved == p.MovedTo:
		p.MovedTimes++
	default:
		p.MovedTo, p.MovedTimes = moved, 1
	}
	if p.MovedTimes >= movedAfter {
		p.Address, p.MovedTo, p.MovedTimes = moved, "", 0
	}
}

// pace is the longest wait that anyone asks for, within bounds.
func (p *Poll) pace(h http.Header, pace Pace, now time.Time) (time.Duration, string) {
	wait, reason := pace.Interval, "asked every "+short(pace.Interval)
	longer := func(d time.Duration, why string) {
		if d > wait {
			wait, reason = d, "the publisher asks for "+short(d)+" between two polls ("+why+")"
		}
	}
	longer(p.Hints.TTL, "ttl")
	if age, ok := maxAge(h); ok {
		longer(age, "Cache-Control")
	} else if d, ok := until(h, h.Get("Expires"), now); ok {
		longer(d, "Expires") // which Cache-Control overrides, RFC 9111 5.3
	}
	if limit := pace.max(); wait > limit {
		wait, reason = limit, reason+fmt.Sprintf("; asked every %s all the same", short(limit))
	}
	if later := p.Hints.skip(now.Add(wait)); later > 0 {
		wait += later
		reason = "the publisher asks not to be polled at that hour or day (skipHours, skipDays)"
	}
	return wait, reason
}

// skip is how long after t the first hour begins that is not skipped. A clock that
// is plainly wrong skips nothing, nor does a document that skips every hour.
func (h Hints) skip(t time.Time) time.Duration {
	if t.Year() < 2020 || h.SkipHours == 0 && h.SkipDays == 0 {
		return 0
	}
	for n, at := 0, t.UTC(); n <= 8*24; n++ {
		if h.SkipHours&(1<<at.Hour()) == 0 && h.SkipDays&(1<<at.Weekday()) == 0 {
			return max(0, at.Sub(t))
		}
		at = at.Truncate(time.Hour).Add(time.Hour)
	}
	return 0
}

// Failed notes a poll that brought no good copy: r is the answer if there was one,
// err what was wrong with it.
func (p *Poll) Failed(r *Response, err error, pace Pace, now time.Time) {
	p.LastTry, p.Error = now, Explain(err, now)
	p.Failures++
	if p.Address != "" && p.Failures >= homeAfter {
		p.Address = "" // the new address is no good: back to the owner's
	}
	if r == nil && local(err) {
		// Nothing reached the publisher, so asking again soon burdens nobody, and
		// the network or the clock may come up any moment.
		p.Wait = min(pace.Interval, backoff(firstLocalWait, p.Failures, pace.max()))
		p.Reason = "the network or the clock is not ready; trying again after " + short(p.Wait)
		return
	}
	p.Wait = backoff(pace.Interval, p.Failures, pace.max())
	p.Reason = fmt.Sprintf("failed %d times in a row; trying again after %s", p.Failures, short(p.Wait))
	if p.Failures == 1 {
		p.Reason = "failed; trying again after " + short(p.Wait)
	}
	if r == nil {
		return
	}
	switch r.Status {
	case http.StatusGone:
		p.Gone, p.Reason = true, "the publisher says it is gone for good (410)"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if d, ok := retryAfter(r.Header, now); ok {
			p.Wait = max(pace.Interval, min(d, maxRetryAfter))
			p.Reason = "the publisher asks to be left alone for " + short(p.Wait) + " (Retry-After)"
		}
	}
}

// backoff doubles from base with each failure up to limit, and stays there: it
// never goes dead.
func backoff(base time.Duration, failures int, limit time.Duration) time.Duration {
	d := base
	for range failures - 1 {
		if d >= limit/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}

// local tells that a request failed before the publisher saw it.
func local(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	var cert x509.CertificateInvalidError
	switch {
	case errors.Is(err, ErrDenied):
		return false
	case errors.As(err, &dns):
		return true
	case errors.As(err, &op):
		return op.Op == "dial"
	case errors.As(err, &cert):
		// A clock in 1970 finds every certificate not valid yet.
		return cert.Reason == x509.Expired
	case errors.Is(err, ErrBusy), errors.Is(err, context.Canceled):
		return true
	}
	return false
}

// maxAge is Cache-Control's max-age less the Age it already had.
func maxAge(h http.Header) (time.Duration, bool) {
	for _, line := range h.Values("Cache-Control") {
		for _, d := range strings.Split(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
			if strings.EqualFold(name, "max-age") {
				if age, ok := seconds(strings.Trim(value, `"`)); ok {
					had, _ := seconds(h.Get("Age"))
					return max(0, age-had), true
				}
			}
		}
	}
	return 0, false
}

func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := h.Get("Retry-After")
	if d, ok := seconds(v); ok {
		return d, true
	}
	return until(h, v, now)
}

// until is how far a date lies ahead by the publisher's own clock, ours being
// worth less.
func until(h http.Header, date string, now time.Time) (time.Duration, bool) {
	t, err := http.ParseTime(date)
	if err != nil {
		return 0, false
	}
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	return max(0, t.Sub(now)), true
}

func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

// validHeader tells whether a validator is worth keeping and sending back.
func validHeader(v string) bool {
	if v == "" || len(v) > 1024 {
		return false
	}
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
			return false
		}
	}
	return true
}

// short is a duration without its zero parts: "1h", not "1h0m0s".
func short(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
