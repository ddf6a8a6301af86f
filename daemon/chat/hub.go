package chat

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/sierpi/sierpi/daemon/store"
)

// tailLen is how many of a room's newest changes are kept in memory, so that
// those who wait are answered without a query each.
const tailLen = 200

// room is what the daemon keeps of a room in memory.
type room struct {
	name string

	load    sync.Mutex    // one refresh at a time
	writing chan struct{} // holds one while somebody writes: those who wait for the row must not take all connections

	mu     sync.Mutex
	epoch  string
	from   int64     // tail holds everything after this version,
	last   int64     // up to this one
	tail   []Message // in the order of versions
	wake   chan struct{}
	here   map[string]visitor // by name
	others []string           // names of those who wait at other daemons

	sharedFrom int64  // the answer to a cursor at this version,
	shared     []byte // for all who wrote none of it; nil when not made yet
}

func newRoom(name string) *room {
	return &room{name: name, wake: make(chan struct{}), writing: make(chan struct{}, 1), here: map[string]visitor{}}
}

// after returns what is newer than a cursor and the channel that closes when
// there is more. ok is false when memory does not reach back that far.
func (r *room) after(c cursor) (ms []Message, last int64, wake <-chan struct{}, ok bool) {
	ms, last, wake, _, ok = r.newer(c, "")
	return ms, last, wake, ok
}

// newer is after, with the bytes that answer it where they are made already and
// the author wrote none of it: all who wait come here at once, so the lock is taken once.
func (r *room) newer(c cursor, author string) (ms []Message, last int64, wake <-chan struct{}, shared []byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.epoch != r.epoch || c.version < r.from || c.version > r.last {
		return nil, r.last, r.wake, nil, false
	}
	i := len(r.tail)
	for i > 0 && r.tail[i-1].version > c.version {
		i--
	}
	ms = r.tail[i:len(r.tail):len(r.tail)]
	if r.shared != nil && r.sharedFrom == c.version && !wroteAny(ms, author) {
		shared = r.shared
	}
	return ms, r.last, r.wake, shared, true
}

func wroteAny(ms []Message, author string) bool {
	return author != "" && slices.ContainsFunc(ms, func(m Message) bool { return m.author == author })
}

// answer is what a room's part of a poll's answer is, as JSON: nil when there is
// nothing new. Most of those who wait have the same cursor, and a message goes to
// all of them: they get the same bytes. ok is false when memory does not reach
// back that far.
func (r *room) answer(c cursor, author string) (part []byte, wake <-chan struct{}, ok bool, err error) {
	ms, last, wake, part, ok := r.newer(c, author)
	if !ok || len(ms) == 0 || part != nil {
		return part, wake, ok, nil
	}
	mine := wroteAny(ms, author)
	part, err = json.Marshal(Snapshot{Room: r.name, Cursor: cursor{r.name, c.epoch, last}.String(), Messages: forAuthor(ms, author), Here: r.present()})
	if err != nil || mine {
		return part, wake, true, err
	}
	r.mu.Lock()
	if r.epoch == c.epoch && r.last == last {
		r.sharedFrom, r.shared = c.version, part
	}
	r.mu.Unlock()
	return part, wake, true, nil
}

// refresh reads what is new from the database and wakes those who wait.
func (r *room) refresh(ctx context.Context, db *store.DB) error {
	r.load.Lock()
	defer r.load.Unlock()
	r.mu.Lock()
	epoch, last := r.epoch, r.last
	r.mu.Unlock()
	var state roomState
	var news []Message
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		if state, err = readRoom(ctx, tx, r.name); err != nil {
			return err
		}
		if state.epoch == epoch && state.last == last {
			return nil
		}
		from := last
		if state.epoch != epoch || state.last < last || state.last-last > tailLen || state.floor > last {
			from = max(state.last-tailLen, state.floor)
		}
		epoch, last = state.epoch, from
		news, err = since(ctx, tx, r.name, from, tailLen+1)
		return err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if state.epoch == r.epoch && state.last == r.last {
		return nil
	}
	if epoch != r.epoch || last != r.last {
		r.epoch, r.from, r.tail = epoch, last, nil
	}
	// A new slice: answers under way still read the old one.
	tail := make([]Message, 0, len(r.tail)+len(news))
	tail = append(append(tail, r.tail...), news...)
	if cut := len(tail) - tailLen; cut > 0 {
		r.from = tail[cut-1].version
		tail = tail[cut:]
	}
	r.tail, r.last, r.shared = tail, state.last, nil
	close(r.wake)
	r.wake = make(chan struct{})
	return nil
}
