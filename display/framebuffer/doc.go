// Package framebuffer paints the wall to a Linux framebuffer (/dev/fb0), without X and
// without a browser, for boards too small for one: the same frames, over the
// same WebSocket, with the same cards over them.
//
// Only the tiles that changed are painted, and where no card lies over them a cell's row is
// copied, not composed (BenchmarkPaint).
//
// The heartbeat is honest: its hash is taken of what is read back from the framebuffer, so
// that a console message over the picture is found, and painted over.
//
// Memory: a screen's worth of text plates (at most 4 bytes a pixel they cover), two
// frames of cells, and the font.
package framebuffer
