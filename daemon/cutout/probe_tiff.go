package cutout

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"golang.org/x/image/tiff"
)

// probeTIFF asks the decoder for the size.
func probeTIFF(f *file, info *Info) error {
	const format = "TIFF"
	info.Format = format
	if _, err := f.r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the picture: %w", err)
	}
	cfg, err := tiff.DecodeConfig(f.r)
	if err != nil {
		return tiffError(err)
	}
	info.Width, info.Height = cfg.Width, cfg.Height
	per := int64(4)
	switch cfg.ColorModel {
	case color.GrayModel:
		per = 1
	case color.Gray16Model:
		per = 2
	case color.NRGBA64Model, color.RGBA64Model:
		per = 8
	default:
		if _, ok := cfg.ColorModel.(color.Palette); ok {
			per = 1
		}
	}
	// The picture and, where it is one strip, that strip packed and unpacked.
	info.Memory += 2*per*int64(cfg.Width)*int64(cfg.Height) + f.size
	return nil
}

func tiffError(err error) error {
	s := err.Error()
	if reason, ok := strings.CutPrefix(s, "tiff: unsupported feature: "); ok {
		return unsupported("a TIFF of this kind (" + reason + ")")
	}
	return truncated("TIFF", damaged("TIFF", "%s", strings.TrimPrefix(s, "tiff: invalid format: ")))
}
