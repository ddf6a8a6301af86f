package cutout

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/flate"
)

// pngImage is what writePNG writes: 8 bits a channel, RGBA or gray and alpha.
type pngImage struct {
	width, height int
	gray          bool
	chunks        [][2]string // name and data, to stand before the pixels
	// strips makes a worker's source of rows, as RGBA; a strip is read before the next
	// is asked for.
	strips func() func(y0, y1 int) []byte
}

// level of compression. Above 5 the time doubles for a few hundredths of the size.
const level = 5

// pngStrip is a run of rows on its way out, and what compresses it.
type pngStrip struct {
	source func(y0, y1 int) []byte
	flate  *flate.Writer
	packed bytes.Buffer // an IDAT chunk with room for its head
	rows   []byte
	adler  uint32
	length int
	err    error
}

// writePNG compresses strips of rows in parallel, each on its own, and writes them in
// order as one zlib stream. It holds a strip for each processor and one more.
func writePNG(ctx context.Context, w io.Writer, m pngImage) error {
	head := []byte("\x89PNG\r\n\x1a\n")
	ihdr := make([]byte, 13)
	binary.BigEndian.PutUint32(ihdr, uint32(m.width))
	binary.BigEndian.PutUint32(ihdr[4:], uint32(m.height))
	ihdr[8], ihdr[9] = 8, 6
	if m.gray {
		ihdr[9] = 4
	}
	head = appendChunk(head, "IHDR", ihdr)
	for _, c := range m.chunks {
		head = appendChunk(head, c[0], []byte(c[1]))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}

	rows := stripRows(m.width)
	count := (m.height + rows - 1) / rows
	workers := min(runtime.GOMAXPROCS(0)+1, count)
	free := make(chan *pngStrip, workers)
	for range workers {
		free <- &pngStrip{}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	order := make(chan chan *pngStrip, workers)
	go func() {
		defer close(order)
		for i := range count {
			var s *pngStrip
			select {
			case s = <-free:
			case <-ctx.Done():
				return
			}
			done := make(chan *pngStrip, 1)
			order <- done // room for every strip there is
			go func() {
				s.pack(m, i*rows, min(m.height, i*rows+rows), i == 0, i == count-1)
				done <- s
			}()
		}
	}()
	sum := uint32(1)
	var failed error
	for done := range order {
		s := <-done
		if failed == nil && s.err != nil {
			failed = s.err
		}
		if failed == nil {
			sum = joinAdler(sum, s.adler, s.length)
			_, failed = w.Write(finishIDAT(s.packed.Bytes()))
		}
		if failed != nil {
			cancel()
		}
		free <- s
	}
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		return failed
	}
	tail := appendChunk(nil, "IDAT", binary.BigEndian.AppendUint32(nil, sum))
	_, err := w.Write(appendChunk(tail, "IEND", nil))
	return err
}

// pack filters and compresses the rows y0 to y1.
func (s *pngStrip) pack(m pngImage, y0, y1 int, first, last bool) {
	if s.source == nil {
		s.source = m.strips()
	}
	pix := s.source(y0, y1)
	per := 4
	if m.gray {
		per = 2
		for i, j := 0, 0; i < len(pix); i, j = i+4, j+2 {
			pix[j], pix[j+1] = pix[i], pix[i+3]
		}
	}
	n := per * m.width
	if want := (n + 1) * (y1 - y0); cap(s.rows) < want {
		s.rows = make([]byte, want)
	}
	s.rows = s.rows[:(n+1)*(y1-y0)]
	for y := range y1 - y0 {
		row, to := pix[n*y:n*(y+1)], s.rows[(n+1)*y:(n+1)*(y+1)]
		if y == 0 { // the row above is another strip's
			to[0] = 1
			copy(to[1:1+per], row)
			for i := per; i < n; i++ {
				to[1+i] = row[i] - row[i-per]
			}
			continue
		}
		to[0] = 2
		above := pix[n*(y-1) : n*y]
		to = to[1 : 1+n]
		for i, v := range row {
			to[i] = v - above[i]
		}
	}
	s.adler, s.length = adler32.Checksum(s.rows), len(s.rows)
	s.packed.Reset()
	s.packed.WriteString("\x00\x00\x00\x00IDAT")
	if first {
		s.packed.WriteString("\x78\x9c")
	}
	if s.flate == nil {
		s.flate, s.err = flate.NewWriter(&s.packed, level)
		if s.err != nil {
			return
		}
	} else {
		s.flate.Reset(&s.packed)
	}
	if _, s.err = s.flate.Write(s.rows); s.err != nil {
		return
	}
	if last {
		s.err = s.flate.Close()
	} else {
		s.err = s.flate.Flush()
	}
}

// appendChunk appends a whole chunk.
func appendChunk(b []byte, name string, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	at := len(b)
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// finishIDAT puts length and checksum to a chunk that begins with room for its head.
func finishIDAT(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-8))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// joinAdler is the checksum of two runs of bytes, one behind the other, from theirs
// and the length of the second.
func joinAdler(a, b uint32, n int) uint32 {
	const mod = 65521
	a1, a2, b1, b2 := a&0xffff, a>>16, b&0xffff, b>>16
	low := (a1 + b1 + mod - 1) % mod
	high := uint32((uint64(a2) + uint64(b2) + uint64(n%mod)*uint64(a1+mod-1)) % mod)
	return high<<16 | low
}
