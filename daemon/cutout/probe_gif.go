package cutout

import "encoding/binary"

// probeGIF walks the blocks up to the end of the first frame.
func probeGIF(f *file, info *Info) error {
	const format = "GIF"
	info.Format = format
	if err := gifBlocks(f, info); err != nil {
		return truncated(format, err)
	}
	return nil
}

func gifBlocks(f *file, info *Info) error {
	const format = "GIF"
	b, err := f.take(13)
	if err != nil {
		return err
	}
	info.Width, info.Height = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	if b[10]&0x80 != 0 {
		if err := f.skip(3 << (b[10]&7 + 1)); err != nil {
			return err
		}
	}
	blocks := func() (total int64, err error) {
		for {
			n, err := f.byte()
			if err != nil || n == 0 {
				return total, err
			}
			total += int64(n)
			if err := f.skip(int64(n)); err != nil {
				return total, err
			}
		}
	}
	for {
		kind, err := f.byte()
		if err != nil {
			return err
		}
		switch kind {
		case 0x21:
			if err := f.skip(1); err != nil {
				return err
			}
			if _, err := blocks(); err != nil {
				return err
			}
		case 0x2c:
			b, err := f.take(9)
			if err != nil {
				return err
			}
			w, h := int64(binary.LittleEndian.Uint16(b[4:])), int64(binary.LittleEndian.Uint16(b[6:]))
			if b[8]&0x80 != 0 {
				if err := f.skip(3 << (b[8]&7 + 1)); err != nil {
					return err
				}
			}
			if err := f.skip(1); err != nil {
				return err
			}
			n, err := blocks()
			if err != nil {
				return err
			}
			// A code of 12 bits stands for at most 4,096 pixels.
			if w*h > 2731*(n+1) {
				return damaged(format, "%d bytes cannot hold the %d by %d pixels that it claims", n, w, h)
			}
			info.Memory += w * h
			return nil
		case 0x3b:
			return damaged(format, "there is no picture in it")
		default:
			return damaged(format, "it has a block of unknown kind %d", kind)
		}
	}
}
