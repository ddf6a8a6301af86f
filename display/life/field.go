package life

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A field is linked blocks in step: what a torus and a plane have in common. Only
// the blocks on its list are visited: those where a tile may need work.
type field struct {
	table      *Table // nil for B3/S23
	generation uint64
	step       uint64 // steps ever made: Clear does not reset it
	now        uint   // the buffer that holds the present, 0 or 1
	blocks     int    // of a torus
	list       []*block
	following  []*block
	tiles      int                      // worked on in the last step
	grow       func(*block, int) *block // makes the neighbour that a block lacks, or nil

	// Helpers take blocks off the list, a few at a time.
	help    func()
	taken   atomic.Int64
	worked  atomic.Int64
	helping sync.WaitGroup
}

// Below this many tiles to work on, about 50 µs, waking other cores does not pay.
const parallelTiles = 800

func (f *field) init(rule Rule, blocks int) {
	if rule.Unbounded() != Conway {
		f.table = rule.Table()
	}
	f.blocks = blocks
	f.list = make([]*block, 0, blocks)
	f.following = make([]*block, 0, blocks)
	f.help = func() {
		f.take()
		f.helping.Done()
	}
}

// Generation is the number of steps since the universe was made or cleared.
func (f *field) Generation() uint64 { return f.generation }

// advance makes one step and returns how many tiles it had to work on.
func (f *field) advance() int {
	f.taken.Store(0)
	f.worked.Store(0)
	if f.tiles >= parallelTiles {
		helpers := min(runtime.GOMAXPROCS(0)-1, f.tiles*2/parallelTiles)
		f.helping.Add(helpers)
		for range helpers {
			go f.help()
		}
	}
	f.take()
	f.helping.Wait()
	f.tiles = int(f.worked.Load())
	f.step++
	f.generation++
	f.now ^= 1
	f.schedule()
	return f.tiles
}

func (f *field) take() {
	const batch = 8
	worked := 0
	var room scratch
	for {
		i := int(f.taken.Add(batch)) - batch
		if i >= len(f.list) {
			break
		}
		for _, b := range f.list[i:min(i+batch, len(f.list))] {
			worked += b.step(f.table, f.now, &room)
		}
	}
	f.worked.Add(int64(worked))
}

// schedule makes the list for the next step: the blocks that changed and those that
// see the change. A block stays until both of its buffers' changes are none, for a
// block off the list is not told to forget them.
func (f *field) schedule() {
	// Where nearly everything is at work, as in a dense soup, looking for the rest costs more
	// than it saves.
	if f.grow == nil && len(f.list) == f.blocks && f.tiles >= f.blocks*4 {
		for _, b := range f.list {
			b.woken = f.step + 1
		}
		return
	}
	f.list, f.following = f.following[:0], f.list
	for _, b := range f.following {
		c := b.changes[f.now]
		if c.any == 0 {
			if b.changes[f.now^1].any != 0 {
				f.wake(b)
			}
			continue
		}
		f.wake(b)
		f.wakeNear(b, c)
	}
}

func (f *field) wakeNear(b *block, c change) {
	last := b.lastTile()
	if c.left != 0 {
		f.wakeAt(b, west)
		if c.left&c.top&1 != 0 {
			f.wakeAt(b, northWest)
		}
		if c.left&c.bottom&last != 0 {
			f.wakeAt(b, southWest)
		}
	}
	if c.right != 0 {
		f.wakeAt(b, east)
		if c.right&c.top&1 != 0 {
			f.wakeAt(b, northEast)
		}
		if c.right&c.bottom&last != 0 {
			f.wakeAt(b, southEast)
		}
	}
	if c.top&1 != 0 {
		f.wakeAt(b, north)
	}
	if c.bottom&last != 0 {
		f.wakeAt(b, south)
	}
}

func (f *field) wakeAt(b *block, direction int) {
	n := b.near[direction]
	if n == nil {
		if f.grow == nil {
			return
		}
		if n = f.grow(b, direction); n == nil {
			return
		}
	}
	f.wake(n)
}

func (f *field) wake(b *block) {
	if b.woken != f.step+1 {
		b.woken = f.step + 1
		f.list = append(f.list, b)
	}
}

// set changes one cell by hand.
func (f *field) set(b *block, row int, bit uint64, alive bool) {
	w := &b.words(f.now)[row&63]
	if alive == (*w&bit != 0) {
		return
	}
	*w ^= bit
	f.edit(b)
}

// edit notes that the block's cells were changed by hand.
func (f *field) edit(b *block) {
	if b.edited && b.changes[f.now] == allChanged {
		return
	}
	b.edited = true
	b.changes[f.now] = allChanged
	f.wake(b)
	f.wakeNear(b, allChanged)
}
