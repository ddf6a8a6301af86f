// Package wire is the frame format that travels from the daemon to its screens,
// its encoder and its decoder. The decoder of display/page/static/wire.js reads
// the same test vectors (testdata/vectors.json).
//
// # The message
//
// One message is one frame; whatever carries it (a WebSocket) keeps messages
// apart. Numbers are little endian.
//
//	offset  size  what
//	0       2     "SF"
//	2       1     version, 1
//	3       1     flags: 1 difference, 2 deflate, 4 palette, 8 ageing, 16 labels, 32 bytes
//	4       4     number of this frame, counted from 1
//	8       4     number of the base: the frame this difference is taken from; 0 without flag 1
//	12      2     width in cells, 1 to 8192
//	14      2     height in cells, 1 to 8192; at most MaxCells cells in all
//	16      1     bits a cell, 1 to 8
//	17      1     steps: how often the ageing table is applied to the base first; 0 without flag 1
//	18            the parts that the flags announce, in this order:
//	              palette: 1 byte count-1, then count times R, G, B
//	              ageing:  2^bits bytes, each below 2^bits
//	              labels:  1 byte length, scene id; 2 bytes length, caption (UTF-8)
//	              payload: to the end of the message, raw deflate (RFC 1951) with flag 2
//
// A message without flag 1 is a key frame: it stands alone, and what it does not
// announce is empty (an absent palette is black, an absent ageing table is the
// identity). A difference has the size and bits of its base and inherits from it
// what it does not announce.
//
// # The payload
//
// A frame's cells are written as bit planes, lowest bit first. A plane is height
// rows of ceil(width/8) bytes; cell x is bit x%8 of byte x/8; the bits beyond
// the width are zero. With flag 32 they are written as bytes instead, a cell after the
// other: larger, but where a picture repeats itself deflate finds it there.
//
// A key frame's payload is its planes (or bytes). A difference's payload codes the
// exclusive or of the planes with those of the base, after the base's cells were put
// through the ageing table steps times; with flag 32 it is the exclusive or of the
// bytes. The planes' bytes are taken in words of eight (the last
// may be shorter): first a bitmap, a bit a word, lowest bit first, of the words that
// are not all zero; then for each of them a byte that says which of its bytes are
// not zero, and those bytes. An empty payload is a difference of nothing.
//
// What is short (4 KiB) is not deflated, though it could be: a browser inflates by a stream
// that it sets up for each message, and that costs it more than the bytes.
//
// # Why an ageing table
//
// A phosphor that fades after a cell died changes most cells of most frames, and
// would cost many times the traffic of the life below it. But the fading follows
// from the frame before: with the rule in the message, only births and deaths
// travel. On a soup of 480x270 cells with 64 levels of fading a frame costs
// what the one-bit frame costs.
//
// # Limits
//
// A frame has at most MaxCells cells, a caption at most 1024 bytes; a decoder holds one frame
// and the payload of one message, about three bytes a cell.
package wire
