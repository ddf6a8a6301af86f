package cutout

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jsummers/gobmp"
)

// probeBMP asks the decoder for the size and looks whether the pixels are there.
func probeBMP(f *file, info *Info) error {
	const format = "BMP"
	info.Format = format
	b, err := f.take(34)
	if err != nil {
		return truncated(format, err)
	}
	offset, bits, compression := int64(binary.LittleEndian.Uint32(b[10:])), int64(binary.LittleEndian.Uint16(b[28:])), binary.LittleEndian.Uint32(b[30:])
	if binary.LittleEndian.Uint32(b[14:]) == 12 {
		bits, compression = int64(binary.LittleEndian.Uint16(b[24:])), 0
	}
	if _, err := f.r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the picture: %w", err)
	}
	cfg, err := gobmp.DecodeConfig(f.r)
	if err != nil {
		if reason, ok := strings.CutPrefix(err.Error(), "bmp: unsupported feature: "); ok {
			if reason == "dimensions too large" {
				return tooManyPixels(int64(int32(binary.LittleEndian.Uint32(b[18:]))), int64(int32(binary.LittleEndian.Uint32(b[22:]))))
			}
			return unsupported("a BMP of this kind (" + reason + ")")
		}
		return truncated(format, damaged(format, "%s", strings.TrimPrefix(err.Error(), "bmp: invalid format: ")))
	}
	info.Width, info.Height = cfg.Width, cfg.Height
	w, h := int64(cfg.Width), int64(cfg.Height)
	if stride := (w*bits + 31) / 32 * 4; compression != 1 && compression != 2 && offset+stride*h > f.size {
		return damaged(format, "it ends before the picture does")
	}
	per := int64(4)
	if bits <= 8 {
		per = 1
	}
	info.Memory += per*w*h + w*8
	return nil
}
