package quotes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sierpi/sierpi/daemon/store"
	"github.com/sierpi/sierpi/daemon/web"
)

// maxCount is the most quotes that one request is given.
const maxCount = 200

// Routes are the addresses of the service.
func (s *Service) Routes() []web.Route {
	route := func(method, pattern string, role web.Role, h func(http.ResponseWriter, *http.Request) error) web.Route {
		return web.Route{Method: method, Pattern: pattern, Role: role, Handler: s.handler(h)}
	}
	routes := []web.Route{
		route("GET", "/quotes", web.Anyone, s.searchPage),
		route("POST", "/quotes", web.Owner, s.addQuote),
		route("GET", "/quotes/hidden", web.Owner, s.hiddenPage),
		route("GET", "/quotes/results", web.Anyone, s.resultsPage),
		route("GET", "/quotes/random", web.Anyone, s.randomPage),
		route("GET", "/quotes/today", web.Anyone, s.todayPage),
		route("GET", "/quotes/{id}", web.Anyone, s.quotePage),
		route("POST", "/quotes/{id}", web.Owner, s.editQuote),
		route("POST", "/quotes/{id}/hidden", web.Owner, s.hideQuote),
		route("GET", "/quotes.rss", web.Anyone, s.rss),
		route("GET", "/json/random", web.Anyone, s.jsonRandom),
		route("GET", "/json/latest", web.Anyone, s.jsonLatest),
		route("GET", "/json/today", web.Anyone, s.jsonToday),
		route("GET", "/json/search", web.Anyone, s.jsonSearch),
		route("GET", "/json/quotes/{id}", web.Anyone, s.jsonQuote),
	}
	if s.assets != nil {
		routes = append(routes, s.assets.Route(s.look))
	}
	return routes
}

// handler answers with the error a handler returns.
func (s *Service) handler(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		status, what, remedy := http.StatusInternalServerError, "the quotes cannot be read just now", "try again in a moment; the owner finds the reason in the log"
		var bad *BadRequest
		var refused *Refused
		switch {
		case errors.As(err, &bad):
			status, what, remedy = http.StatusBadRequest, bad.What, bad.Remedy
		case errors.As(err, &refused):
			status, what, remedy = http.StatusConflict, refused.Why, "change it and try again"
		case errors.Is(err, ErrUnknown):
			status, what, remedy = http.StatusNotFound, "there is no such quote", "search for it at /quotes"
		case errors.Is(err, store.ErrFull):
			status, what, remedy = http.StatusInsufficientStorage, "the card is full: the quote was not kept", "free some space on it; /health says how"
		case r.Context().Err() != nil: // nobody is listening any more
			return
		default:
			s.log.Error("request failed", "path", r.URL.Path, "error", err)
		}
		if isAPI(r) {
			web.JSON(w, status, map[string]string{"error": what, "remedy": remedy})
			return
		}
		s.look.Error(w, r, status, what, remedy)
	})
}

// isAPI says whether an address belongs to the JSON interface, which answers in
// JSON whatever the client says it accepts.
func isAPI(r *http.Request) bool { return len(r.URL.Path) > 6 && r.URL.Path[:6] == "/json/" }

// countOf reads ?count=.
func countOf(q url.Values) (int, error) {
	if !q.Has("count") {
		return 1, nil
	}
	v := q.Get("count")
	n, err := strconv.ParseUint(v, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		return maxCount, nil
	}
	if err != nil || n == 0 {
		return 0, &BadRequest{fmt.Sprintf("count=%.40q is not a number of quotes", v), fmt.Sprintf("use a whole number from 1 to %d; more than that is taken as %d", maxCount, maxCount)}
	}
	return int(min(n, maxCount)), nil
}

// filterOf reads ?author=&source=&tag=&length=.
func filterOf(q url.Values) (Filter, error) {
	f := Filter{Author: q.Get("author"), Source: q.Get("source"), Tag: q.Get("tag"), Length: Length(q.Get("length"))}
	switch f.Length {
	case "", Short, Medium, Long:
	default:
		return f, &BadRequest{fmt.Sprintf("length=%.40q is unknown", f.Length), "use short, medium or long"}
	}
	return f, nil
}

// visitor is the cookie in which a visitor's walk stands, so that random gives
// nobody a quote twice before all have come: seed.bits.position.filter
const visitor = "sierpi_walk"

// filterMark tells walks under different filters apart.
func filterMark(f Filter) string {
	if f == (Filter{}) {
		return "0"
	}
	sum := sha256.Sum256([]byte(strings.Join(f.facets(), " ")))
	return hex.EncodeToString(sum[:4])
}

func walkOf(r *http.Request, f Filter) Walk {
	fresh := Walk{Seed: freshSeed()}
	c, err := r.Cookie(visitor)
	if err != nil {
		return fresh
	}
	part := strings.Split(c.Value, ".")
	if len(part) != 4 || len(part[0]) > 32 || part[3] != filterMark(f) {
		return fresh
	}
	bits, err1 := strconv.ParseUint(part[1], 10, 6)
	pos, err2 := strconv.ParseUint(part[2], 10, 63)
	if err1 != nil || err2 != nil {
		return fresh
	}
	return Walk{Seed: part[0], Bits: uint(bits), Pos: pos}
}

func setWalk(w http.ResponseWriter, wk Walk, f Filter) {
	http.SetCookie(w, &http.Cookie{Name: visitor, Value: fmt.Sprintf("%s.%d.%d.%s", wk.Seed, wk.Bits, wk.Pos, filterMark(f)),
		Path: "/", MaxAge: 30 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// next takes count quotes off a visitor's walk. Where it ends, a new one begins:
// its quotes fill up the answer as long as they are not in it already.
func (s *Service) next(ctx context.Context, w Walk, f Filter, count int) ([]Quote, Walk, error) {
	out, w, err := s.Random(ctx, w, f, count)
	if err != nil || len(out) == count {
		return out, w, err
	}
	have := map[int64]bool{}
	for _, q := range out {
		have[q.ID] = true
	}
	again, w, err := s.Random(ctx, Walk{Seed: freshSeed()}, f, count)
	if err != nil {
		return nil, w, err
	}
	for _, q := range again {
		if len(out) < count && !have[q.ID] {
			out = append(out, q)
		}
	}
	return out, w, nil
}

func (s *Service) jsonRandom(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	count, err := countOf(v)
	if err != nil {
		return err
	}
	f, err := filterOf(v)
	if err != nil {
		return err
	}
	var qs []Quote
	if seed := v.Get("seed"); seed != "" {
		var at Walk
		if at, err = seededWalk(seed, v.Get("cursor")); err != nil {
			return err
		}
		return s.answer(w, r, func() ([]Quote, error) {
			qs, at, err = s.Random(r.Context(), at, f, count)
			if len(qs) == count {
				link(w, r, "cursor", fmt.Sprintf("%d.%d", at.Bits, at.Pos))
			}
			return qs, err
		})
	}
	if v.Has("cursor") {
		return &BadRequest{"a cursor needs the seed it belongs to", "give seed= as well"}
	}
	qs, at, err := s.next(r.Context(), walkOf(r, f), f, count)
	if err != nil {
		return err
	}
	setWalk(w, at, f)
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, array(qs))
	return nil
}

// seededWalk is a walk that the client named: the same seed, the same quotes.
func seededWalk(seed, cursor string) (Walk, error) {
	if len(seed) > 100 {
		return Walk{}, &BadRequest{"the seed is longer than 100 bytes", "use a shorter one"}
	}
	w := Walk{Seed: "seed " + seed}
	if cursor != "" {
		b, p, _ := strings.Cut(cursor, ".")
		bits, err1 := strconv.ParseUint(b, 10, 6)
		pos, err2 := strconv.ParseUint(p, 10, 63)
		if err1 != nil || err2 != nil || bits == 0 {
			return w, badCursor
		}
		w.Bits, w.Pos = uint(bits), pos
	}
	return w, nil
}

// link names the next page in a Link header, the answer itself being a bare array.
func link(w http.ResponseWriter, r *http.Request, name, value string) {
	v := r.URL.Query()
	v.Set(name, value)
	w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", r.URL.Path, v.Encode()))
}

// answer sends an array under an ETag of the revision: as long as nothing has
// changed, asking again costs one row.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, quotes func() ([]Quote, error)) error {
	same, err := s.unchanged(w, r)
	if err != nil || same {
		return err
	}
	qs, err := quotes()
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, array(qs))
	return nil
}

// unchanged sets the ETag and answers 304 where the client has that already. The
// revision is read before the quotes: an answer may be newer than its tag, never older.
func (s *Service) unchanged(w http.ResponseWriter, r *http.Request) (bool, error) {
	revision, _, err := s.state(r.Context())
	if err != nil {
		return false, err
	}
	// The day changes the quote of the day without a revision.
	sum := sha256.Sum256([]byte(r.URL.RequestURI() + " " + time.Now().UTC().Format(time.DateOnly)))
	tag := fmt.Sprintf(`"%d-%s"`, revision, hex.EncodeToString(sum[:4]))
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	for _, have := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == tag || have == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true, nil
		}
	}
	return false, nil
}

func (s *Service) jsonLatest(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	count, err := countOf(v)
	if err != nil {
		return err
	}
	f, err := filterOf(v)
	if err != nil {
		return err
	}
	return s.answer(w, r, func() ([]Quote, error) {
		page, err := s.Search(r.Context(), Query{Filter: f, Limit: count, Cursor: v.Get("cursor")})
		if page.Next != "" {
			link(w, r, "cursor", page.Next)
		}
		return page.quotes(), err
	})
}

func (s *Service) jsonToday(w http.ResponseWriter, r *http.Request) error {
	return s.answer(w, r, func() ([]Quote, error) {
		q, ok, err := s.OfTheDay(r.Context(), time.Now())
		if !ok || err != nil {
			return nil, err
		}
		return []Quote{q}, nil
	})
}

// jsonSearch answers {"quotes":[...],"total":n,"more":bool,"next":"cursor"}.
func (s *Service) jsonSearch(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	f, err := filterOf(v)
	if err != nil {
		return err
	}
	count := 20
	if v.Has("count") {
		if count, err = countOf(v); err != nil {
			return err
		}
	}
	same, err := s.unchanged(w, r)
	if err != nil || same {
		return err
	}
	page, err := s.Search(r.Context(), Query{Words: v.Get("q"), Filter: f, Limit: count, Cursor: v.Get("cursor")})
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, map[string]any{"quotes": array(page.quotes()), "total": page.Total, "more": page.More, "next": page.Next})
	return nil
}

func (s *Service) jsonQuote(w http.ResponseWriter, r *http.Request) error {
	q, err := s.visible(r)
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, q.Quote)
	return nil
}

func (p Page) quotes() []Quote {
	out := make([]Quote, len(p.Hits))
	for i, h := range p.Hits {
		out[i] = h.Quote
	}
	return out
}

// array is never null in JSON.
func array(qs []Quote) []Quote {
	if qs == nil {
		return []Quote{}
	}
	return qs
}
