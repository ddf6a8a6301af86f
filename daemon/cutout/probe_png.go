package cutout

import (
	"encoding/binary"
)

// probePNG walks the chunks.
func probePNG(f *file, info *Info) error {
	const format = "PNG"
	info.Format = format
	if err := pngChunks(f, info); err != nil {
		return truncated(format, err)
	}
	return nil
}

func pngChunks(f *file, info *Info) error {
	const format = "PNG"
	if err := f.skip(8); err != nil {
		return err
	}
	var depth, kind, interlace byte
	var data int64
	var transparent bool
	for first := true; ; first = false {
		head, err := f.take(8)
		if err != nil {
			return err
		}
		n, name := int64(binary.BigEndian.Uint32(head)), string(head[4:])
		if first != (name == "IHDR") {
			return damaged(format, "its header is missing or comes twice")
		}
		end := f.pos() + n + 4
		if end > f.size {
			return damaged(format, "it ends before the picture does")
		}
		switch name {
		case "IHDR":
			if n != 13 {
				return damaged(format, "its header is %d bytes long", n)
			}
			b, err := f.take(13)
			if err != nil {
				return err
			}
			w, h := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
			if w > 1<<31-1 || h > 1<<31-1 {
				return damaged(format, "it says that the picture is %d by %d pixels", w, h)
			}
			if w > maxSide || h > maxSide || int64(w)*int64(h) > maxPixels {
				return tooManyPixels(int64(w), int64(h))
			}
			info.Width, info.Height = int(w), int(h)
			depth, kind, interlace = b[8], b[9], b[12]
		case "tRNS":
			transparent = true
		case "sRGB", "gAMA", "cHRM", "cICP", "iCCP":
			if n <= maxProfile && data == 0 {
				b, err := f.bytes(n)
				if err != nil {
					return err
				}
				info.space.chunk(name, b)
			}
		case "IDAT":
			data += n
		case "IEND":
			if data == 0 {
				return damaged(format, "there is no picture in it")
			}
			return pngMemory(info, depth, kind, interlace, data, transparent)
		}
		if err := f.seek(end); err != nil {
			return err
		}
	}
}

func pngMemory(info *Info, depth, kind, interlace byte, data int64, transparent bool) error {
	const format = "PNG"
	channels := map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
	if channels == 0 || depth == 0 || depth > 16 {
		return damaged(format, "its pixels are of no known kind")
	}
	w, h := int64(info.Width), int64(info.Height)
	// Deflate makes a byte of at most 1032.
	if raw := ((w*channels*int64(depth)+7)/8 + 1) * h; interlace == 0 && raw > 1032*data+65536 {
		return damaged(format, "%d bytes cannot hold the %d by %d pixels that it claims", data, w, h)
	}
	per := int64(4)
	switch {
	case kind == 3 || kind == 0 && depth <= 8 && !transparent:
		per = 1
	case kind == 0 && depth == 16 && !transparent:
		per = 2
	case depth == 16:
		per = 8
	}
	info.Memory += per * w * h
	if interlace != 0 {
		info.Memory += per * w * h // the passes
	}
	return nil
}
