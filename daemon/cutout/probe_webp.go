package cutout

import "encoding/binary"

// webpFrame is the first frame of an animation: where it lies on the canvas, and
// where its chunks are in the file.
type webpFrame struct {
	x, y, w, h int
	at, size   int64
}

// probeWebP walks the chunks up to the first frame.
func probeWebP(f *file, info *Info) error {
	const format = "WebP"
	info.Format = format
	if err := webpChunks(f, info); err != nil {
		return truncated(format, err)
	}
	return nil
}

func u24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func webpChunks(f *file, info *Info) error {
	const format = "WebP"
	b, err := f.take(12)
	if err != nil {
		return err
	}
	if int64(binary.LittleEndian.Uint32(b[4:]))+8 > f.size {
		return damaged(format, "it ends before the picture does")
	}
	var extended, animated, alpha bool
	for {
		head, err := f.take(8)
		if err != nil {
			return err
		}
		name, n := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		at := f.pos()
		end := at + n + n&1
		if at+n > f.size {
			return damaged(format, "it ends before the picture does")
		}
		switch name {
		case "VP8X":
			b, err := f.take(10)
			if err != nil {
				return err
			}
			extended, animated, alpha = true, b[0]&2 != 0, b[0]&16 != 0
			info.Width, info.Height = u24(b[4:])+1, u24(b[7:])+1
		case "ICCP":
			if n <= maxProfile {
				b, err := f.bytes(n)
				if err != nil {
					return err
				}
				info.space.icc(b, 3)
			}
		case "ANMF":
			b, err := f.take(16)
			if err != nil {
				return err
			}
			w := &webpFrame{x: 2 * u24(b), y: 2 * u24(b[3:]), w: u24(b[6:]) + 1, h: u24(b[9:]) + 1, at: at + 16, size: n - 16}
			if n < 24 || w.x+w.w > info.Width || w.y+w.h > info.Height {
				return damaged(format, "its first frame is out of place")
			}
			info.first = w
			info.Lossy = true
			info.Memory += 10*int64(w.w)*int64(w.h) + n
			return nil
		case "VP8 ":
			b, err := f.take(10)
			if err != nil {
				return err
			}
			if !extended {
				info.Width, info.Height = int(binary.LittleEndian.Uint16(b[6:])&0x3fff), int(binary.LittleEndian.Uint16(b[8:])&0x3fff)
			}
			info.Lossy = true
			per := int64(3)
			if alpha {
				per = 10
			}
			info.Memory += per*int64(info.Width+16)*int64(info.Height+16) + n
			return nil
		case "VP8L":
			b, err := f.take(5)
			if err != nil {
				return err
			}
			if !extended {
				v := binary.LittleEndian.Uint32(b[1:])
				info.Width, info.Height = int(v&0x3fff)+1, int(v>>14&0x3fff)+1
			}
			info.Memory += 9*int64(info.Width)*int64(info.Height) + n
			return nil
		}
		if animated && name == "IDAT" || end > f.size {
			return damaged(format, "it ends before the picture does")
		}
		if err := f.seek(end); err != nil {
			return err
		}
	}
}
