package cache

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Memory is a cache inside this process.
type Memory struct {
	max int
	now func() time.Time

	mu      sync.Mutex
	size    int
	entries map[string]*list.Element // of *slot
	used    *list.List               // most recently used first
}

type slot struct {
	key   string
	entry Entry
}

// slotOverhead is what an entry costs beside its key and value, in bytes.
const slotOverhead = 256

// NewMemory returns a cache of at most max bytes.
func NewMemory(max int) *Memory {
	return &Memory{max: max, now: time.Now, entries: map[string]*list.Element{}, used: list.New()}
}

func (m *Memory) String() string { return "memory" }

// Get implements Cache.
func (m *Memory) Get(_ context.Context, key string) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	el, ok := m.entries[key]
	if !ok {
		return Entry{}, ErrMissing
	}
	s := el.Value.(*slot)
	if s.entry.At(m.now()) == Expired {
		m.remove(el)
		return Entry{}, ErrMissing
	}
	m.used.MoveToFront(el)
	return s.entry, nil
}

// Set implements Cache.
func (m *Memory) Set(_ context.Context, key string, e Entry) error {
	if len(e.Value) > MaxValue {
		return ErrTooLarge
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if el, ok := m.entries[key]; ok {
		m.remove(el)
	}
	m.entries[key] = m.used.PushFront(&slot{key, e})
	m.size += slotOverhead + len(key) + len(e.Value)
	for m.size > m.max && m.used.Len() > 1 {
		m.remove(m.used.Back())
	}
	return nil
}

// Delete implements Cache.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el, ok := m.entries[key]; ok {
		m.remove(el)
	}
	return nil
}

func (m *Memory) remove(el *list.Element) {
	s := m.used.Remove(el).(*slot)
	delete(m.entries, s.key)
	m.size -= slotOverhead + len(s.key) + len(s.entry.Value)
}
