package life

import "fmt"

// Load replaces the whole grid by words as Words gives them, and its generation.
func (t *Torus) Load(words []uint64, generation uint64) error {
	if len(words) != t.stride*t.height {
		return fmt.Errorf("a grid of %d x %d cells has %d words, not %d", t.width, t.height, t.stride*t.height, len(words))
	}
	for i := range t.blocks {
		b := &t.blocks[i]
		column := words[i/t.stride*64*t.stride+i%t.stride:]
		for r := range b.words(t.now)[:b.rows] {
			b.words(t.now)[r] = column[r*t.stride] & (^uint64(0) >> (63 - b.end))
		}
	}
	t.generation = generation
	t.editAll()
	return nil
}
