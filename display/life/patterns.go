package life

import "fmt"

// Patterns returns the named patterns that sierpi knows, each freshly parsed.
// The cells are facts, written out here row by row; who found them and when is
// from the literature.
func Patterns() []Pattern {
	out := make([]Pattern, 0, len(known))
	for _, k := range known {
		p, err := ParseRLE([]byte(k.rle))
		if err != nil {
			panic(fmt.Sprintf("pattern %s: %v", k.name, err)) // held by a test
		}
		p.Name, p.Discoverer, p.Year = k.name, k.discoverer, k.year
		out = append(out, *p)
	}
	return out
}

var known = [...]struct {
	name, discoverer string
	year             int
	rle              string
}{
	{"Block", "John Conway", 1969, "2o$2o!"},
	{"Blinker", "John Conway", 1969, "3o!"},
	{"Glider", "Richard Guy", 1969, "bo$2bo$3o!"},
	{"R-pentomino", "John Conway", 1969, "b2o$2o$bo!"},
	{"Acorn", "Charles Corderman", 1971, "bo$3bo$2o2b3o!"},
	{"Gosper glider gun", "Bill Gosper", 1970,
		"24bo$22bobo$12b2o6b2o12b2o$11bo3bo4b2o12b2o$2o8bo5bo3b2o$2o8bo3bob2o4bobo$10bo5bo7bo$11bo3bo$12b2o!"},
}
