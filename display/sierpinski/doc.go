// Package sierpinski holds the Sierpinski scenes as pure state machines: no I/O,
// no clock, the same frames from the same settings on every architecture.
//
// A scene is made by its New function (or by [New], by name), advanced by Step
// (30 times a second, nominally) and drawn by Draw as one palette index a cell,
// row by row. Palette gives the colours of that moment: they drift, so ask again
// after a Step. Nothing here allocates in Step or Draw once a scene is made.
//
// Sizes are 16 to 8192 cells a side, [MaxCells] in all; a scene holds at most about 40 bytes a
// cell (5 MB at 480x270).
package sierpinski
