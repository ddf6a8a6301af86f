package feed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sierpi/sierpi/daemon/web"
)

// standing is how the sources stand, and the answers that say so. It is worked out
// at most once a second, however many ask: what an answer costs is then a look-up
// and the bytes, ready to write.
type standing struct {
	snap    *snapshot
	at      time.Time
	list    []status
	stale   bool
	texts   string // of the list, as far as answers depend on them
	answers *answers

	age, cacheControl []string // header values
}

// standsFor is how long a standing is good: ages are told in seconds.
const standsFor = time.Second

// standing is the present one. What changes a source's record drops the last one.
func (s *Service) standing() *standing {
	now := s.now()
	good := func(st *standing) bool {
		if st == nil || st.snap != s.shown.Load() {
			return false
		}
		passed := now.Sub(st.at)
		return passed >= 0 && passed < standsFor
	}
	if st := s.stands.Load(); good(st) {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.stands.Load()
	if good(last) {
		return last // another request's
	}
	st := &standing{snap: s.shown.Load(), at: now, list: s.status(now)}
	var old, next time.Duration
	old, next, st.stale = age(st.list)
	st.age = []string{strconv.FormatInt(int64(old/time.Second), 10)}
	st.cacheControl = []string{"no-cache"}
	if !st.stale && next >= time.Second {
		// Age counts against max-age, so it is added.
		st.cacheControl[0] = "max-age=" + strconv.FormatInt(int64((old+next)/time.Second), 10)
	}
	var texts strings.Builder
	for _, one := range st.list {
		texts.WriteString(one.Stale + "\x00" + one.Reason + "\x00")
	}
	st.texts = texts.String()
	if last != nil && last.snap == st.snap && last.texts == st.texts {
		st.answers = last.answers
	} else {
		st.answers = &answers{}
	}
	s.stands.Store(st)
	return st
}

// answers are those that were made for a standing.
type answers struct {
	making sync.Mutex // one at a time: many ask for the same at once
	mu     sync.RWMutex
	made   map[answerKey]*answer
}

type answerKey struct {
	format      *format
	host, query string
	tls         bool
}

// maxAnswers bounds them: addresses carry what anybody types.
const maxAnswers = 32

func (a *answers) get(k answerKey) *answer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.made[k]
}

func (a *answers) put(k answerKey, made *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made == nil || len(a.made) >= maxAnswers {
		a.made = map[answerKey]*answer{}
	}
	a.made[k] = made
}

// answer is a body with its tag, as they are and compressed.
type answer struct {
	plain, small coded
	squeeze      sync.Once // makes small when first asked for
}

type coded struct {
	body         []byte
	etag, length []string // header values
}

func newAnswer(body []byte) *answer {
	a := &answer{}
	a.plain.set(body, "")
	return a
}

func (c *coded) set(body []byte, suffix string) {
	sum := sha256.Sum256(body)
	c.body = body
	c.etag = []string{`"` + hex.EncodeToString(sum[:12]) + suffix + `"`}
	c.length = []string{strconv.Itoa(len(body))}
}

// worthwhile is the shortest body that is compressed, in bytes.
const worthwhile = 1024

func (a *answer) compressed() *coded {
	a.squeeze.Do(func() {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(a.plain.body)
		if cerr := z.Close(); err == nil && cerr == nil {
			a.small.set(b.Bytes(), "-gz")
		}
	})
	return &a.small
}

var (
	gzipCoding = []string{"gzip"}
	byCoding   = []string{"Accept-Encoding"}
)

// serve writes an answer. The headers' values are shared and never written to.
func (a *answer) serve(w http.ResponseWriter, r *http.Request, f *format, st *standing) {
	h := w.Header()
	c := &a.plain
	if len(a.plain.body) >= worthwhile && web.AcceptsGzip(r) {
		if small := a.compressed(); small.body != nil {
			c = small
			h["Content-Encoding"] = gzipCoding
		}
	}
	h["Age"], h["Cache-Control"], h["Etag"], h["Vary"] = st.age, st.cacheControl, c.etag, byCoding
	if tag := r.Header["If-None-Match"]; len(tag) > 0 && matches(tag, c.etag[0]) {
		delete(h, "Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"], h["Content-Length"] = f.contentType, c.length
	if r.Method != http.MethodHead {
		_, _ = w.Write(c.body)
	}
}

// matches tells whether If-None-Match names the tag (RFC 9110 section 13.1.2).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == etag || t == "*" {
				return true
			}
		}
	}
	return false
}

// output answers with the rows that the address asks for.
func (s *Service) output(f *format) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.ready(r.Context())
		st := s.standing()
		key := answerKey{f, r.Host, r.URL.RawQuery, r.TLS != nil}
		a := st.answers.get(key)
		if a == nil {
			flt, err := parseFilter(r.URL.Query())
			if err != nil {
				s.look.Error(w, r, http.StatusBadRequest, "That is no filter of the feed: "+err.Error()+".", "The filters are q, source, resolution and kind.")
				return
			}
			if a, err = st.make(r, key, flt); err != nil {
				s.log.Error("writing a feed", "path", r.URL.Path, "err", err)
				s.look.Error(w, r, http.StatusInternalServerError, "The feed could not be written.", "The machine's log says why.")
				return
			}
		}
		a.serve(w, r, f, st)
	}
}

// make makes the answer unless somebody did while it was waiting.
func (st *standing) make(r *http.Request, key answerKey, flt filter) (*answer, error) {
	st.answers.making.Lock()
	defer st.answers.making.Unlock()
	if a := st.answers.get(key); a != nil {
		return a, nil
	}
	scheme := "http"
	if key.tls {
		scheme = "https"
	}
	rows := flt.pick(st.snap.rows, 0)
	o := &out{base: scheme + "://" + r.Host, rows: rows[:min(maxOut, len(rows))], list: st.list, stale: st.stale, made: st.snap.made}
	o.self = o.base + r.URL.RequestURI()
	body, err := key.format.write(o)
	if err != nil {
		return nil, err
	}
	a := newAnswer(body)
	st.answers.put(key, a)
	return a, nil
}
