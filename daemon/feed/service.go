package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sierpi/sierpi/daemon/cache"
	"github.com/sierpi/sierpi/daemon/fetch"
	"github.com/sierpi/sierpi/daemon/web"
)

// Source is one feed to gather.
type Source struct {
	Name string // shown; "" means the feed's own title
	URL  string
}

// Options configure a Service.
type Options struct {
	Sources      []Source
	Interval     time.Duration // at least this between two polls of one source; 0 means an hour
	AllowPrivate []string      // hosts on private networks that may be read
	Cache        cache.Shared  // keeps the last good copies; nil keeps them in this process only
	Look         *web.Look
	Logger       *slog.Logger
	Now          func() time.Time // nil means time.Now
	Timeout      time.Duration    // of one poll, and of its lease; 0 means 30 s
}

// Service gathers the sources. Its methods may be called concurrently.
type Service struct {
	sources   []*source
	pace      fetch.Pace
	client    *fetch.Client
	cache     cache.Shared
	refresher *cache.Refresher
	look      *web.Look
	assets    *web.Assets
	log       *slog.Logger
	now       func() time.Time

	polls   chan struct{} // a token for each poll under way
	parsing sync.Mutex    // one document at a time: its memory is the peak

	mu     sync.Mutex // of the sources' records
	seq    uint64     // the last one given to an item
	shown  atomic.Pointer[snapshot]
	stands atomic.Pointer[standing]
	tried  chan struct{} // closed when there is something, or nothing to wait for
	trying int           // sources not tried yet
}

// source is one feed with the newest copy this process has.
type source struct {
	Source
	key     string
	rec     *record // nil: never polled; replaced, never written to
	made    time.Time
	dirty   bool   // the copy on disk is older in what a reboot would miss
	keepErr string // why the copy could not be kept
	tried   bool   // in this process
}

// record is what is kept of a source: the polling's state and the last good copy.
type record struct {
	Poll        fetch.Poll `json:"poll"`
	Sum         string     `json:"sum,omitzero"` // of the body the copy was made from
	Format      string     `json:"format,omitzero"`
	Title       string     `json:"title,omitzero"`
	Link        string     `json:"link,omitzero"`
	Description string     `json:"description,omitzero"`
	Language    string     `json:"language,omitzero"`
	Problems    []string   `json:"problems,omitempty"`
	Changed     time.Time  `json:"changed,omitzero"`  // when a document brought something else; zero if the clock was not set
	Entries     []entry    `json:"entries,omitempty"` // as the publisher orders them, then older ones
}

// entry is an item as it is kept.
type entry struct {
	Item
	// Seq numbers the items in the order this appliance first saw them. It is what
	// "new since the last visit" goes by: dates are the publisher's, clocks jump.
	Seq       uint64    `json:"seq"`
	FirstSeen time.Time `json:"firstSeen,omitzero"` // zero while the clock was not set

	release *Release // what the title says, nil if it is no release's; not kept
}

// identify reads the title. It is done once for an entry's life in the process.
func (e *entry) identify() {
	if r, ok := ParseTitle(e.Title); ok {
		e.release = &r
	}
}

// When is the item's date for sorting: the publisher's unless it lies in the
// future, else when it was first seen.
func (e *entry) When() time.Time {
	if e.Published.IsZero() || !e.FirstSeen.IsZero() && e.Published.After(e.FirstSeen.Add(24*time.Hour)) {
		return e.FirstSeen
	}
	return e.Published
}

const (
	defaultInterval = time.Hour
	defaultTimeout  = 30 * time.Second
	pollsAtOnce     = 4
	maxKept         = 500 // items of one source, those the publisher dropped included
	shutdownKeep    = 2 * time.Second
)

// New returns the service with the copies that the cache has.
func New(o Options) (*Service, error) {
	s := &Service{
		pace:   fetch.Pace{Interval: o.Interval},
		cache:  o.Cache,
		look:   o.Look,
		log:    o.Logger,
		now:    o.Now,
		polls:  make(chan struct{}, pollsAtOnce),
		tried:  make(chan struct{}),
		trying: len(o.Sources),
	}
	if s.pace.Interval <= 0 {
		s.pace.Interval = defaultInterval
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.cache == nil {
		s.cache = cache.NewStack(s.log, cache.NewMemory(8<<20))
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	s.client = fetch.New(fetch.Options{AllowPrivate: o.AllowPrivate, Timeout: o.Timeout, MaxBytes: maxBody, Now: o.Now})
	s.refresher = cache.NewRefresher(s.cache, o.Timeout)
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	if s.assets, err = web.NewAssets("/static/feed/", static); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, src := range o.Sources {
		if err := fetch.CheckURL(src.URL); err != nil {
			return nil, fmt.Errorf("feed source %d (%s): %w", i+1, src.Name, err)
		}
		if seen[src.URL] {
			return nil, fmt.Errorf("feed source %d (%s): %s is listed twice", i+1, src.Name, fetch.Redact(src.URL))
		}
		seen[src.URL] = true
		s.sources = append(s.sources, &source{Source: src, key: "feed:" + src.URL})
	}
	for _, src := range s.sources {
		e, err := s.cache.Get(context.Background(), src.key)
		if err != nil {
			continue
		}
		if rec, err := decodeRecord(e.Value); err == nil {
			src.rec, src.made = rec, e.Made
		} else {
			s.log.Warn("the kept copy of a feed cannot be read and is made anew", "feed", src.Name, "err", err)
		}
	}
	for _, src := range s.sources {
		if src.rec != nil {
			s.noteSeq(src.rec)
		}
	}
	s.rebuild()
	if len(s.sources) == 0 || slices.ContainsFunc(s.sources, func(src *source) bool { return src.rec != nil && len(src.rec.Entries) > 0 }) {
		close(s.tried)
		s.trying = 0
	}
	return s, nil
}

func (s *Service) String() string { return "feed" }

// Run polls the sources until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, src := range s.sources {
		wg.Go(func() { s.follow(ctx, src) })
	}
	wg.Wait()
	<-ctx.Done()
	s.refresher.Stop()
	s.client.Close()
	s.keepAll()
	return nil
}

// follow polls one source whenever it is due.
func (s *Service) follow(ctx context.Context, src *source) {
	for {
		wait, ok := s.remaining(src)
		if !ok {
			s.noteTried(src)
			return
		}
		if wait > 0 {
			s.noteTried(src)
			// Sources with the same interval spread out.
			wait += rand.N(min(wait/20, 5*time.Minute) + 1)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		select {
		case s.polls <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.refresh(ctx, src)
		<-s.polls
		if ctx.Err() != nil {
			return
		}
		s.noteTried(src)
	}
}

func (s *Service) remaining(src *source) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src.rec == nil {
		return 0, true
	}
	// The monotonic clock, if this process did the poll; Remaining copes with
	// what a wall clock does.
	p := src.rec.Poll
	p.LastTry = src.made
	wait, _, ok := p.Remaining(s.now())
	return wait, ok
}

// noteTried lets those go who wait for the very first copy.
func (s *Service) noteTried(src *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src.tried {
		return
	}
	src.tried = true
	if s.trying == 0 {
		return
	}
	s.trying--
	if s.trying == 0 || src.rec != nil && len(src.rec.Entries) > 0 {
		s.trying = 0
		close(s.tried)
	}
}

// refresh gets a newer copy: by a poll of ours, or another instance's.
func (s *Service) refresh(ctx context.Context, src *source) {
	s.mu.Lock()
	since := src.made
	s.mu.Unlock()
	var ours *record
	e, err := s.refresher.Refresh(ctx, src.key, since, func(ctx context.Context, old *cache.Entry) (cache.Entry, error) {
		var entry cache.Entry
		var err error
		ours, entry, err = s.poll(ctx, src, old)
		return entry, err
	})
	var keep *cache.KeepError
	if err != nil && !errors.As(err, &keep) {
		if ctx.Err() == nil {
			s.log.Warn("polling a feed", "feed", src.Name, "err", err)
			s.holdOff(src, err)
		}
		return
	}
	rec := ours
	if rec == nil {
		if rec, err = decodeRecord(e.Value); err != nil {
			s.log.Warn("another instance's copy of a feed cannot be read", "feed", src.Name, "err", err)
			s.holdOff(src, err)
			return
		}
	}
	s.mu.Lock()
	src.rec, src.made, src.dirty = rec, e.Made, e.Transient
	s.stands.Store(nil)
	was := src.keepErr
	src.keepErr = ""
	if keep != nil {
		src.keepErr = keep.Error()
		src.dirty = true
	}
	s.mu.Unlock()
	if src.keepErr != was && keep != nil {
		s.log.Warn("a feed's copy is in memory only", "feed", src.Name, "err", keep)
	}
	s.noteSeq(rec)
	s.rebuild()
}

// holdOff sees that a source whose refreshing went wrong on our side is not tried
// again at once.
func (s *Service) holdOff(src *source, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := &record{Poll: fetch.Poll{URL: src.URL}}
	if src.rec != nil {
		c := *src.rec
		rec = &c
	}
	now := s.now()
	rec.Poll.Failed(nil, fmt.Errorf("%w: %w", fetch.ErrBusy, err), s.pace, now)
	src.rec, src.made = rec, now
	s.stands.Store(nil)
}

// poll asks the publisher and returns the next record, which on failure is the old
// one with the failure noted: the last good copy stays.
func (s *Service) poll(ctx context.Context, src *source, old *cache.Entry) (*record, cache.Entry, error) {
	s.mu.Lock()
	prev, made := src.rec, src.made
	s.mu.Unlock()
	if old != nil && (prev == nil || old.Made.After(made)) {
		if r, err := decodeRecord(old.Value); err == nil {
			prev = r
		}
	}
	rec := &record{Poll: fetch.Poll{URL: src.URL}}
	if prev != nil {
		c := *prev
		rec = &c
	}
	transient := s.ask(ctx, src, rec)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, cache.Entry{}, ctx.Err() // the daemon stops; that is nobody's failure
	}
	value, err := encodeRecord(rec)
	if err != nil {
		return nil, cache.Entry{}, err
	}
	return rec, cache.Entry{Value: value, Made: rec.Poll.LastTry, Fresh: rec.Poll.Wait, Transient: transient && prev != nil}, nil
}

// ask does one poll and notes its outcome in rec. It reports whether nothing
// changed that is worth a write to the card.
func (s *Service) ask(ctx context.Context, src *source, rec *record) (transient bool) {
	before := rec.Poll
	s.log.Debug("polling a feed", "feed", src.Name)
	resp, err := s.client.Get(ctx, rec.Poll.Request(rec.Sum != ""))
	now := s.now()
	fail := func(err error) bool {
		if errors.Is(ctx.Err(), context.Canceled) {
			return true
		}
		rec.Poll.Failed(resp, err, s.pace, now)
		s.log.Warn("polling a feed failed", "feed", src.Name, "err", err, "then", rec.Poll.Reason)
		return !rec.Poll.Gone
	}
	switch {
	case err != nil:
		return fail(err)
	case resp.Status == http.StatusNotModified && rec.Sum != "":
		rec.Poll.Succeeded(resp, rec.Poll.Hints, s.pace, now)
	case resp.Status != http.StatusOK:
		return fail(fmt.Errorf("the publisher answers %d %s", resp.Status, http.StatusText(resp.Status)))
	default:
		hash := sha256.Sum256(resp.Body)
		sum := hex.EncodeToString(hash[:16])
		if sum != rec.Sum {
			doc, err := s.parse(resp)
			if err != nil {
				return fail(err)
			}
			s.merge(rec, doc, now)
			rec.Poll.Hints = doc.Hints
			rec.Sum = sum
			rec.Poll.Succeeded(resp, doc.Hints, s.pace, now)
			return false
		}
		rec.Poll.Succeeded(resp, rec.Poll.Hints, s.pace, now)
	}
	return rec.Poll.ETag == before.ETag && rec.Poll.LastModified == before.LastModified &&
		rec.Poll.Address == before.Address && before.Failures == 0
}

// largeDocument is what is worth a collection of its own, in bytes.
const largeDocument = 1 << 20

// parse reads documents one at a time, and of a large one leaves no garbage behind:
// on a board with 512 MB, what many such leave before the next collection counts.
func (s *Service) parse(resp *fetch.Response) (*Document, error) {
	s.parsing.Lock()
	defer s.parsing.Unlock()
	doc, err := Parse(resp.Body, resp.Header.Get("Content-Type"), baseOf(resp.URL, resp.Header))
	if len(resp.Body) > largeDocument {
		resp.Body = nil
		runtime.GC()
	}
	return doc, err
}

// merge puts a document's items before those kept of earlier ones.
func (s *Service) merge(rec *record, doc *Document, now time.Time) {
	known := make(map[string]*entry, len(rec.Entries))
	for i := range rec.Entries {
		known[rec.Entries[i].ID] = &rec.Entries[i]
	}
	if now.Year() < 2020 {
		now = time.Time{} // the clock is not set
	}
	entries := make([]entry, 0, len(doc.Items))
	taken := make(map[string]bool, len(doc.Items))
	fresh := 0
	for _, it := range doc.Items {
		if taken[it.ID] {
			continue
		}
		taken[it.ID] = true
		e := entry{Item: it, FirstSeen: now.Round(0)}
		if k, ok := known[it.ID]; ok {
			e.Seq, e.FirstSeen = k.Seq, k.FirstSeen
			if k.Title == e.Title {
				e.release = k.release
			} else {
				e.identify()
			}
		} else {
			fresh++
			e.identify()
		}
		entries = append(entries, e)
	}
	// Publishers list the newest first, so the last gets the lowest number.
	s.mu.Lock()
	next := s.seq
	s.seq += uint64(fresh)
	s.mu.Unlock()
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Seq == 0 {
			next++
			entries[i].Seq = next
		}
	}
	for _, e := range rec.Entries {
		if !taken[e.ID] && len(entries) < maxKept {
			entries = append(entries, e)
		}
	}
	rec.Entries, rec.Changed = entries, now.Round(0)
	rec.Format, rec.Title, rec.Link = doc.Format, doc.Title, doc.Link
	rec.Description, rec.Language, rec.Problems = doc.Description, doc.Language, doc.Problems
}

// noteSeq keeps the numbering above what a record of another time or instance has.
func (s *Service) noteSeq(rec *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rec.Entries {
		s.seq = max(s.seq, rec.Entries[i].Seq)
	}
}

// keepAll writes, before the process ends, what was not worth a write by itself.
func (s *Service) keepAll() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownKeep)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		if src.rec == nil || !src.dirty || ctx.Err() != nil {
			continue
		}
		value, err := encodeRecord(src.rec)
		if err == nil {
			err = s.cache.Set(ctx, src.key, cache.Entry{Value: value, Made: src.made, Fresh: src.rec.Poll.Wait})
		}
		if err != nil {
			s.log.Warn("keeping a feed's copy", "feed", src.Name, "err", err)
		}
	}
}

// encodeRecord compresses: a card and a memcached are slower than gzip.
func encodeRecord(r *record) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return nil, fmt.Errorf("encoding a feed's copy: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxRecord bounds a record read back: the cache may be shared, so it is not
// trusted either.
const maxRecord = 8 << 20

func decodeRecord(b []byte) (*record, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("decoding a feed's copy: %w", err)
	}
	var r record
	if err := json.NewDecoder(io.LimitReader(z, maxRecord)).Decode(&r); err != nil {
		return nil, fmt.Errorf("decoding a feed's copy: %w", err)
	}
	if r.Poll.Wait < 0 || len(r.Entries) > maxKept+maxItems {
		return nil, errors.New("decoding a feed's copy: out of bounds")
	}
	for i := range r.Entries {
		r.Entries[i].identify()
	}
	return &r, nil
}

// Headline is one line for the wall's card.
type Headline struct {
	Title  string
	Source string
	Link   string
	When   time.Time
}

// Headlines are the newest n items of all sources, newest first.
func (s *Service) Headlines(n int) []Headline {
	snap := s.shown.Load()
	out := make([]Headline, 0, min(n, len(snap.rows)))
	for _, r := range snap.rows[:min(n, len(snap.rows))] {
		out = append(out, Headline{Title: r.Title, Source: r.Items[0].Source, Link: r.Items[0].Link, When: r.When})
	}
	return out
}

// Health is the service's state for /healthz: "ok", "absent" (no source is
// configured), "stale" (copies are older than they should be) or "failed" (nothing
// was ever fetched), and why.
func (s *Service) Health() (state, why string) {
	if len(s.sources) == 0 {
		return "absent", "no feed is configured: add a [[feed.source]] with name and url"
	}
	var stale []string
	failed, untried := 0, 0
	for _, st := range s.standing().list {
		switch {
		case st.Never && st.Error == "":
			untried++
		case st.Never:
			failed++
			stale = append(stale, st.Name+": "+st.Error)
		case st.Stale != "":
			stale = append(stale, st.Name+": "+st.Stale)
		}
	}
	switch {
	case failed == len(s.sources):
		return "failed", strings.Join(stale, "; ")
	case len(stale) > 0:
		return "stale", strings.Join(stale, "; ")
	case untried == len(s.sources):
		return "stale", "nothing was fetched yet"
	}
	return "ok", fmt.Sprintf("%d feeds, %d items", len(s.sources), s.shown.Load().items)
}

// status is how one source does.
type status struct {
	Name    string
	URL     string // without secrets
	Link    string
	Format  string
	Items   int
	Age     time.Duration // of the copy
	Fetched time.Time     // when the copy was last confirmed
	Asked   time.Time     // when it is asked again
	Never   bool          // there is no copy
	Stale   string        // why the copy is older than it should be, "" if it is not
	Error   string        // of the last try
	Next    time.Duration // until the next poll
	Reason  string        // why not sooner
	Stopped bool
	Notes   []string
}

// staleGrace is what a refresh may take before the copy counts as stale.
const staleGrace = 45 * time.Second

// status is how all do. The caller holds s.mu.
func (s *Service) status(now time.Time) []status {
	out := make([]status, 0, len(s.sources))
	for _, src := range s.sources {
		st := status{Name: src.Name, URL: fetch.Redact(src.URL), Never: true}
		if rec := src.rec; rec != nil {
			st.Link, st.Format, st.Items, st.Error, st.Notes = rec.Link, rec.Format, len(rec.Entries), rec.Poll.Error, rec.Problems
			st.Name = name(src)
			st.Never = rec.Sum == ""
			p := rec.Poll
			p.LastTry = src.made
			left, reason, going := p.Remaining(now)
			st.Next, st.Reason, st.Stopped = left, reason, !going
			st.Fetched = rec.Poll.LastOK
			if going {
				st.Asked = rec.Poll.LastTry.Add(p.Wait)
			}
			if age := now.Sub(rec.Poll.LastOK); age > 0 && !rec.Poll.LastOK.IsZero() {
				st.Age = age
			}
			overdue := now.Sub(src.made) - p.Wait
			switch {
			case st.Never:
			case st.Error != "":
				st.Stale = st.Error
			case now.Sub(src.made) < -time.Minute:
				st.Stale = "its age is not known, the clock was turned back"
			case going && overdue > staleGrace:
				st.Stale = "a poll is overdue"
			case src.keepErr != "":
				st.Stale = src.keepErr
			}
		}
		if st.Name == "" {
			st.Name = st.URL
		}
		out = append(out, st)
	}
	return out
}

func name(src *source) string {
	if src.Name == "" && src.rec != nil {
		return src.rec.Title
	}
	return src.Name
}
