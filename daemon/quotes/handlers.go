package quotes

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sierpi/sierpi/daemon/web"
)

// maxCount is the most quotes that one request is given.
const maxCount = 200

// Routes are the addresses of the service.
func (s *Service) Routes() []web.Route {
	get := func(pattern string, h func(http.ResponseWriter, *http.Request) error) web.Route {
		return web.Route{Method: "GET", Pattern: pattern, Role: web.Anyone, Handler: s.handler(h)}
	}
	return []web.Route{
		get("/quotes", s.searchPage),
		get("/quotes/{id}", s.quotePage),
		get("/json/random", s.jsonRandom),
		get("/json/latest", s.jsonLatest),
	}
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
		switch {
		case errors.As(err, &bad):
			status, what, remedy = http.StatusBadRequest, bad.What, bad.Remedy
		case errors.Is(err, ErrUnknown):
			status, what, remedy = http.StatusNotFound, "there is no such quote", "search for it at /quotes"
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

func (s *Service) jsonRandom(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	count, err := countOf(q)
	if err != nil {
		return err
	}
	f, err := filterOf(q)
	if err != nil {
		return err
	}
	qs, _, err := s.Random(r.Context(), Walk{Seed: freshSeed()}, f, count)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, array(qs))
	return nil
}

func (s *Service) jsonLatest(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	count, err := countOf(q)
	if err != nil {
		return err
	}
	f, err := filterOf(q)
	if err != nil {
		return err
	}
	qs, err := s.Latest(r.Context(), f, count)
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, array(qs))
	return nil
}

// array is never null in JSON.
func array(qs []Quote) []Quote {
	if qs == nil {
		return []Quote{}
	}
	return qs
}
