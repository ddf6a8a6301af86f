package cutout

import (
	"bytes"
	"fmt"
)

// maxScans bounds the passes over a JPEG: encoders make about ten, and each costs
// the decoder a walk over the picture however small it is in the file.
const maxScans = 64

// probeJPEG walks the markers up to the end of the picture.
func probeJPEG(f *file, info *Info) error {
	const format = "JPEG"
	info.Format, info.Lossy = format, true
	if err := jpegMarkers(f, info); err != nil {
		return truncated(format, err)
	}
	return nil
}

func jpegMarkers(f *file, info *Info) error {
	const format = "JPEG"
	if err := f.skip(2); err != nil {
		return err
	}
	var comps []jpegComponent
	var progressive, jfif, adobe bool
	var transform byte
	var profile iccParts
	var entropy int64
	scans := 0
	for {
		marker, err := nextMarker(f)
		if err != nil {
			return err
		}
		switch {
		case marker == 0xd9: // EOI
			if len(comps) == 0 || scans == 0 {
				return damaged(format, "there is no picture in it")
			}
			blocks := int64((info.Width+7)/8) * int64((info.Height+7)/8)
			// A block takes one bit at the very least.
			if entropy*8 < blocks {
				return damaged(format, "%d bytes cannot hold the %d by %d pixels that it claims", entropy, info.Width, info.Height)
			}
			info.space.icc(profile.join(), len(comps))
			info.Memory += jpegMemory(comps, info.Width, info.Height, progressive, adobe && transform == 0 && !jfif)
			return nil
		case marker >= 0xd0 && marker <= 0xd8 || marker == 0x01: // RST, SOI, TEM stand alone
			continue
		}
		n, err := f.u16be()
		if err != nil {
			return err
		}
		if n < 2 {
			return damaged(format, "a segment is %d bytes long", n)
		}
		end := f.pos() + int64(n) - 2
		if end > f.size {
			return damaged(format, "it ends before the picture does")
		}
		body := func() ([]byte, error) { return f.bytes(int64(n) - 2) }
		switch marker {
		case 0xc0, 0xc1, 0xc2:
			b, err := body()
			if err != nil {
				return err
			}
			if comps != nil {
				return damaged(format, "it has two frames")
			}
			if len(b) < 6 || len(b) != 6+3*int(b[5]) {
				return damaged(format, "its frame header is %d bytes long", len(b))
			}
			if b[0] != 8 {
				return unsupported(fmt.Sprintf("a JPEG of %d bits a channel", b[0]))
			}
			progressive = marker == 0xc2
			info.Height, info.Width = int(b[1])<<8|int(b[2]), int(b[3])<<8|int(b[4])
			if info.Width == 0 || info.Height == 0 {
				return damaged(format, "it says that the picture is %d by %d pixels", info.Width, info.Height)
			}
			for c := range int(b[5]) {
				h, v := int(b[7+3*c]>>4), int(b[7+3*c]&15)
				if h < 1 || h > 4 || v < 1 || v > 4 {
					return damaged(format, "a channel is sampled %d by %d", h, v)
				}
				comps = append(comps, jpegComponent{h, v})
			}
			if len(comps) != 1 && len(comps) != 3 && len(comps) != 4 {
				return unsupported(fmt.Sprintf("a JPEG of %d channels", len(comps)))
			}
		case 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
			return unsupported("a lossless, hierarchical or arithmetically coded JPEG")
		case 0xe0:
			b, err := body()
			if err != nil {
				return err
			}
			jfif = jfif || bytes.HasPrefix(b, []byte("JFIF\x00"))
		case 0xe2:
			b, err := body()
			if err != nil {
				return err
			}
			profile.add(b)
		case 0xee:
			b, err := body()
			if err != nil {
				return err
			}
			if len(b) >= 12 && bytes.HasPrefix(b, []byte("Adobe")) {
				adobe, transform = true, b[11]
			}
		case 0xda:
			if comps == nil {
				return damaged(format, "its pixels come before their size")
			}
			if scans++; scans > maxScans {
				return &Refusal{fmt.Sprintf("this JPEG file has more than %d passes over the picture", maxScans), "save it anew in an image program"}
			}
			if err := f.seek(end); err != nil {
				return err
			}
			k, err := skipEntropy(f)
			if err != nil {
				return err
			}
			entropy += k
			continue
		}
		if err := f.seek(end); err != nil {
			return err
		}
	}
}

type jpegComponent struct{ h, v int }

// nextMarker skips to the next marker, over what does not belong there, as the
// decoder does.
func nextMarker(f *file) (byte, error) {
	b, err := f.byte()
	for err == nil {
		for err == nil && b != 0xff {
			b, err = f.byte()
		}
		for err == nil && b == 0xff {
			b, err = f.byte()
		}
		if err == nil && b != 0 {
			return b, nil
		}
	}
	return 0, err
}

// skipEntropy skips a scan's data, up to the marker that ends it, and returns its
// length.
func skipEntropy(f *file) (int64, error) {
	start := f.pos()
	for {
		if err := f.more(); err != nil {
			return 0, err
		}
		i := bytes.IndexByte(f.buf, 0xff)
		if i < 0 {
			f.buf = nil
			continue
		}
		at := f.pos() + int64(i)
		f.buf = f.buf[i+1:]
		b, err := f.byte()
		if err != nil {
			return 0, err
		}
		if b == 0xff { // fill bytes
			if err := f.seek(at + 1); err != nil {
				return 0, err
			}
			continue
		}
		if b != 0 && (b < 0xd0 || b > 0xd7) {
			return at - start, f.seek(at)
		}
	}
}

// jpegMemory is what image/jpeg allocates: the planes, all coefficients of a
// progressive picture (256 bytes for a block of 64), and a copy of 4 bytes a pixel
// for CMYK and for JPEGs that are RGB inside.
func jpegMemory(comps []jpegComponent, w, h int, progressive, rgb bool) int64 {
	if len(comps) == 1 {
		comps = []jpegComponent{{1, 1}}
	}
	h0, v0 := comps[0].h, comps[0].v
	mx, my := int64((w+8*h0-1)/(8*h0)), int64((h+8*v0-1)/(8*v0))
	var total int64
	for _, c := range comps {
		blocks := mx * my * int64(c.h*c.v)
		total += blocks * 64
		if progressive {
			total += blocks * 256
		}
	}
	if len(comps) == 4 || rgb {
		total += 4 * int64(w) * int64(h)
	}
	return total
}
