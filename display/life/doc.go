// Package life is the Game of Life: engines, rules, patterns and their file formats.
// Pure: no I/O, no clock.
//
// # Engines
//
// A Torus is a grid of fixed size, wrapping, or with dead edges under a rule with
// Golly's ":P" bounds. A Plane is unbounded and keeps only what is alive. Both are
// linked blocks of 64 x 64 cells: 64 cells are worked on at once, the sums of each
// row are made once, and a tile of 64 x 8 cells is left alone while what it sees is
// as it was two generations ago, so that still lifes and blinkers cost nothing.
// Large steps are shared among the cores, with the same outcome. For astronomic
// generations of regular patterns see the package hash.
//
// Any B/S rule runs on a torus. A plane refuses B0, under which empty space comes
// alive everywhere at once.
//
// Limits: MaxTorusBlocks (80 MB), MaxPlaneBlocks (160 MB), MaxPatternSide and
// MaxPatternCells for files. What is beyond them is an error before it is memory.
//
// # Beside Golly
//
//	go test ./display/life -run '^$' -bench Golly -benchtime 5x
//
// runs each engine and bgolly (Debian's package golly) in turns on the same
// patterns, requires equal populations and prints both times and their ratio;
// x-golly is how many times as fast as bgolly we are by the clock, x-golly-cpu by
// processor time. It takes some minutes. The engines alone, on any architecture:
//
//	go test ./display/life -run '^$' -bench Engines -benchtime 20x
//	GOARCH=arm64 CGO_ENABLED=0 go test -exec qemu-aarch64-static ./display/life -run '^$' -bench Engines -benchtime 3x
package life
