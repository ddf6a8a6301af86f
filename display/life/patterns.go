package life

import "fmt"

// Patterns returns the named patterns that sierpi knows, each freshly parsed: still
// lifes, oscillators, spaceships, guns and puffers, and small ones that live long.
// Cells are facts and are written out here; who found them and when is as the Life
// community records it.
func Patterns() []Pattern {
	out := make([]Pattern, 0, len(known))
	for _, k := range known {
		p, err := ParseRLE([]byte(k.rle))
		if err != nil {
			panic(fmt.Sprintf("the pattern %s: %v", k.name, err)) // a test parses all
		}
		p.Name, p.Kind, p.Discoverer, p.Year = k.name, k.kind, k.discoverer, k.year
		out = append(out, *p)
	}
	return out
}

var known = [...]struct {
	name, kind, discoverer string
	year                   int
	rle                    string
}{
	// Still lifes.
	{"Block", "still life", "John Conway", 1969, "2o$2o!"},
	{"Beehive", "still life", "John Conway", 1969, "b2o$o2bo$b2o!"},
	{"Loaf", "still life", "John Conway", 1969, "b2o$o2bo$bobo$2bo!"},
	{"Boat", "still life", "John Conway", 1969, "2o$obo$bo!"},
	{"Eater 1", "still life", "Bill Gosper", 1971, "2o$obo$2bo$2b2o!"},
	// Oscillators.
	{"Blinker", "oscillator of period 2", "John Conway", 1969, "3o!"},
	{"Toad", "oscillator of period 2", "Simon Norton", 1970, "b3o$3o!"},
	{"Beacon", "oscillator of period 2", "John Conway", 1970, "2o$2o$2b2o$2b2o!"},
	{"Pulsar", "oscillator of period 3", "John Conway", 1970,
		"2b3o3b3o2$o4bobo4bo$o4bobo4bo$o4bobo4bo$2b3o3b3o2$" +
			"2b3o3b3o$o4bobo4bo$o4bobo4bo$o4bobo4bo2$2b3o3b3o!"},
	{"Mold", "oscillator of period 4", "Achim Flammenkamp", 1988, "3b2o$2bo2bo$o2bobo$4bo$ob2o$bo!"},
	{"Octagon 2", "oscillator of period 5", "Sol Goodman and Arthur Taber", 1971,
		"3b2o$2bo2bo$bo4bo$o6bo$o6bo$bo4bo$2bo2bo$3b2o!"},
	{"Unix", "oscillator of period 6", "David Buckingham", 1976, "b2o$b2o2$bo$obo$o2bo2b2o$4bob2o$2b2o!"},
	{"Figure eight", "oscillator of period 8", "Simon Norton", 1970, "3o$3o$3o$3b3o$3b3o$3b3o!"},
	{"Kok's galaxy", "oscillator of period 8", "Jan Kok", 1971,
		"6ob2o$6ob2o$7b2o$2o5b2o$2o5b2o$2o5b2o$2o$2ob6o$2ob6o!"},
	{"Tumbler", "oscillator of period 14", "George Collins", 1970, "bo5bo$obo3bobo$o2bobo2bo$2bo3bo$2b2ob2o!"},
	{"Pentadecathlon", "oscillator of period 15", "John Conway", 1970, "2bo4bo$2ob4ob2o$2bo4bo!"},
	{"Queen bee shuttle", "oscillator of period 30", "Bill Gosper", 1970,
		"9bo$7bobo$6bobo$2o3bo2bo11b2o$2o4bobo11b2o$7bobo$9bo!"},
	// Spaceships.
	{"Glider", "diagonal spaceship, 1 cell in 4 generations", "Richard Guy", 1969, "bo$2bo$3o!"},
	{"Lightweight spaceship", "orthogonal spaceship, 2 cells in 4 generations", "John Conway", 1970, "bo2bo$o$o3bo$4o!"},
	{"Middleweight spaceship", "orthogonal spaceship, 2 cells in 4 generations", "John Conway", 1970, "3bo$bo3bo$o$o4bo$5o!"},
	{"Heavyweight spaceship", "orthogonal spaceship, 2 cells in 4 generations", "John Conway", 1970, "3b2o$bo4bo$o$o5bo$6o!"},
	{"Copperhead", "orthogonal spaceship, 1 cell in 10 generations", "zdr", 2016,
		"b2o2b2o$3b2o$3b2o$obo2bobo$o6bo2$o6bo$b2o2b2o$2b4o2$3b2o$3b2o!"},
	{"Loafer", "orthogonal spaceship, 1 cell in 7 generations", "Josh Ball", 2013,
		"b2o2bob2o$o2bo2b2o$bobo$2bo$8bo$6b3o$5bo$6bo$7b2o!"},
	{"Weekender", "orthogonal spaceship, 2 cells in 7 generations", "David Eppstein", 2000,
		"bo12bo$bo12bo$obo10bobo$bo12bo$bo12bo$2bo3b4o3bo$6b4o$2b4o4b4o2$4bo6bo$5b2o2b2o!"},
	// What grows for ever.
	{"Gosper glider gun", "gun, a glider in 30 generations", "Bill Gosper", 1970,
		"24bo$22bobo$12b2o6b2o12b2o$11bo3bo4b2o12b2o$2o8bo5bo3b2o$" +
			"2o8bo3bob2o4bobo$10bo5bo7bo$11bo3bo$12b2o!"},
	{"Simkin glider gun", "gun, a glider in 120 generations", "Michael Simkin", 2015,
		"2o5b2o$2o5b2o2$4b2o$4b2o5$22b2ob2o$21bo5bo$21bo6bo2b2o$21b3o3bo3b2o$26bo4$" +
			"20b2o$20bo$21b3o$23bo!"},
	{"Puffer 1", "puffer of period 128", "Bill Gosper", 1971,
		"b3o6bo5bo6b3o$o2bo5b3o3b3o5bo2bo$3bo4b2obo3bob2o4bo$3bo19bo$" +
			"3bo2bo13bo2bo$3bo2b2o11b2o2bo$2bo3b2o11b2o3bo!"},
	{"Ten-cell infinite growth", "methuselah that grows for ever", "Paul Callahan", 1997, "6bo$4bob2o$4bobo$4bo$2bo$obo!"},
	// Small ones that live long.
	{"R-pentomino", "methuselah, settles after 1103 generations", "John Conway", 1969, "b2o$2o$bo!"},
	{"B-heptomino", "methuselah, settles after 148 generations", "John Conway", 1970, "ob2o$3o$bo!"},
	{"Pi-heptomino", "methuselah, settles after 173 generations", "John Conway", 1970, "3o$obo$obo!"},
	{"Acorn", "methuselah, settles after 5206 generations", "Charles Corderman", 1971, "bo$3bo$2o2b3o!"},
	{"Rabbits", "methuselah, settles after 17331 generations", "Andrew Trevorrow", 1986, "o3b3o$3o2bo$bo!"},
	// Under another rule.
	{"Replicator", "replicator of period 12", "Nathan Thompson", 1994, "x = 5, y = 5, rule = B36/S23\n2b3o$bo2bo$o3bo$o2bo$3o!"},
}
