// Package sierpinski holds the Sierpinski scenes as pure state machines: no I/O,
// no clock, the same frames from the same settings on every architecture.
//
// A scene is made by its New function (or by [New], by name), advanced by Step
// (30 times a second, nominally) and drawn by Draw as one palette index a cell,
// row by row. Palette gives the colours of that moment: they drift, so ask again
// after a Step. Step and Draw do not allocate, but for the arrowhead curve when it
// begins another order, every 18 seconds. A scene is not safe for concurrent use.
//
// At 480x270 and 30 frames a second, differences deflated at level 1, every scene
// stays under 500 KB/s at every level and speed; at most 2 % of the cells flash
// more than three times a second (WCAG 2.3.1 allows a quarter of the view). Tests
// hold both.
//
// Sizes are [MinSide] to [MaxSide] cells a side, [MaxCells] in all. A scene holds
// at most about four bytes a cell: 0.5 MB at 480x270, 33 MB at 3840x2160.
package sierpinski
