package hash

import "math/bits"

// An id names a node of the arena. 0 is none.
type id uint32

// leafLevel is the level of the smallest nodes: squares of 2^3 cells a side.
const leafLevel = 3

// A node is a square of 2^level cells a side. A leaf holds its cells in the ids of
// its upper quarters: row by row, bit 8y+x, the low half in nw. The arena is one
// slice of pointer-free nodes, which Go's own collector never looks into.
type node struct {
	nw, ne, sw, se id
	result         id     // the middle, advanced 2^min(pace, level-2) generations; or 0
	next           id     // in its chain of the table, or in the list of free nodes
	level          uint16 // 0: free
	pace           uint16 // of the result
}

// nodeBytes is what a node costs at the most: itself and its heads in the table.
const nodeBytes = 28 + 8

func (u *Universe) cellsOf(leaf id) uint64 {
	n := &u.nodes[leaf]
	return uint64(n.nw) | uint64(n.ne)<<32
}

func (u *Universe) leaf(cells uint64) id {
	return u.find(leafLevel, id(cells), id(cells>>32), 0, 0)
}

func slot(nw, ne, sw, se id) uint32 {
	h := (uint64(nw)<<32|uint64(sw))*0x9e3779b97f4a7c15 ^ (uint64(ne)<<32|uint64(se))*0xc2b2ae3d27d4eb4f
	h ^= h >> 29
	return uint32(h * 0x9e3779b97f4a7c15 >> 32)
}

// find is the one node with these quarters. It never collects, so that its callers
// may hold ids; room makes sure that there is space for what they find.
func (u *Universe) find(level uint16, nw, ne, sw, se id) id {
	head := &u.heads[slot(nw, ne, sw, se)>>u.shift]
	for i := *head; i != 0; {
		n := &u.nodes[i]
		if n.nw == nw && n.ne == ne && n.sw == sw && n.se == se && n.level == level {
			return i
		}
		i = n.next
	}
	var i id
	if u.free != 0 {
		i = u.free
		u.free = u.nodes[i].next
	} else {
		if len(u.nodes) == cap(u.nodes) {
			// room's estimate was short: rather a little over the limit than wrong.
			u.nodes = append(u.nodes, make([]node, 1024)...)[:len(u.nodes)]
		}
		i = id(len(u.nodes))
		u.nodes = u.nodes[:i+1]
	}
	u.live++
	u.nodes[i] = node{nw: nw, ne: ne, sw: sw, se: se, next: *head, level: level}
	*head = i
	return i
}

// empty is the node of dead cells of a level.
func (u *Universe) empty(level uint16) id {
	for len(u.empties) <= int(level) {
		n := len(u.empties)
		switch {
		case n < leafLevel:
			u.empties = append(u.empties, 0)
		case n == leafLevel:
			u.empties = append(u.empties, u.leaf(0))
		default:
			e := u.empties[n-1]
			u.empties = append(u.empties, u.find(uint16(n), e, e, e, e))
		}
	}
	return u.empties[level]
}

// room is called where every id in use is on the stack or below the root: it makes
// sure that the nodes of one descent from level fit, growing the arena up to its
// limit and then collecting.
func (u *Universe) room(level uint16) {
	need := 64 + 16*int(level)
	if u.capacity-u.live >= need {
		return
	}
	if u.capacity < u.limit {
		u.resize(min(u.capacity*2, u.limit))
		return
	}
	u.collect()
	// Running on the last few nodes would only collect for ever.
	if u.capacity-u.live < max(need, u.capacity/64) {
		u.fail(errMemory)
	}
}

func (u *Universe) resize(capacity int) {
	u.capacity = capacity
	nodes := make([]node, len(u.nodes), capacity+1)
	copy(nodes, u.nodes)
	u.nodes = nodes
	heads := max(1<<8, 1<<bits.Len(uint(capacity-1)))
	u.heads = make([]id, heads)
	u.shift = 32 - uint(bits.TrailingZeros(uint(heads)))
	u.rehash()
}

// rehash links every node in use into the table and every other into the free list.
func (u *Universe) rehash() {
	clear(u.heads)
	u.free, u.live = 0, 0
	for i := len(u.nodes) - 1; i > 0; i-- {
		n := &u.nodes[i]
		if n.level == 0 {
			n.next, u.free = u.free, id(i)
			continue
		}
		head := &u.heads[slot(n.nw, n.ne, n.sw, n.se)>>u.shift]
		n.next, *head = *head, id(i)
		u.live++
	}
}

// marked is set in a node's level while collecting; levels stay below it.
const marked = 1 << 15

// collect frees the nodes that neither the universe nor the step under way needs.
// What a kept node remembers is kept if that node is kept anyway.
func (u *Universe) collect() {
	u.collections++
	u.mark(u.root)
	for _, e := range u.empties {
		u.mark(e)
	}
	for _, i := range u.stack {
		u.mark(i)
	}
	for i := 1; i < len(u.nodes); i++ {
		n := &u.nodes[i]
		if n.level&marked == 0 {
			*n = node{}
		} else if n.result != 0 && u.nodes[n.result].level&marked == 0 {
			// Nodes before i have lost their mark: then it was kept.
			if int(n.result) > i || u.nodes[n.result].level == 0 {
				n.result = 0
			}
		}
		n.level &^= marked
	}
	u.rehash()
}

func (u *Universe) mark(i id) {
	if i == 0 {
		return
	}
	n := &u.nodes[i]
	if n.level&marked != 0 {
		return
	}
	level := n.level
	n.level |= marked
	if level > leafLevel {
		u.mark(n.nw)
		u.mark(n.ne)
		u.mark(n.sw)
		u.mark(n.se)
	}
}
