package cutout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"github.com/jsummers/gobmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Picture is a decoded picture.
type Picture struct {
	Info   Info
	pixels pixels // oriented and reduced as they will be seen
}

// Size is the picture's size in pixels, after reducing.
func (p *Picture) Size() (w, h int) { return p.pixels.size() }

// Pixels are all the picture's pixels, four bytes each, row by row: red, green, blue
// and alpha, not premultiplied.
func (p *Picture) Pixels() []byte {
	w, h := p.Size()
	b := make([]byte, 4*w*h)
	p.pixels.read(b, 0, 0, w, h)
	return b
}

// Decode decodes what Probe looked at. It takes up to Info.Memory. Errors about the
// file are a *Refusal.
func Decode(r io.ReadSeeker, info *Info) (*Picture, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	img, err := decodeImage(r, info)
	if err != nil {
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return nil, err
		}
		return nil, decodeError(info.Format, err)
	}
	w, h := info.plane()
	src, err := pixelsOf(img, w, h, info.Format == "WebP")
	if err != nil {
		return nil, err
	}
	return &Picture{*info, oriented(src, info.orient)}, nil
}

// decodeImage guards against decoders that panic on hostile bytes.
func decodeImage(r io.ReadSeeker, info *Info) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, fmt.Errorf("%v", p)
		}
	}()
	switch info.Format {
	case "JPEG":
		return jpeg.Decode(r)
	case "PNG":
		return png.Decode(r)
	case "GIF":
		return gif.Decode(r)
	case "BMP":
		return gobmp.Decode(r)
	case "TIFF":
		return tiff.Decode(r)
	case "WebP":
		return decodeWebP(r, info)
	}
	return nil, fmt.Errorf("no decoder for %s", info.Format)
}

// decodeError says in our words what a decoder says in its own.
func decodeError(format string, err error) error {
	s := err.Error()
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return damaged(format, "it ends before the picture does")
	}
	if i := strings.Index(s, "unsupported"); i >= 0 {
		if _, reason, ok := strings.Cut(s[i:], ": "); ok {
			return unsupported("a " + format + " of this kind (" + reason + ")")
		}
		return unsupported("a " + format + " of this kind")
	}
	if _, reason, ok := strings.Cut(s, ": "); ok {
		s = reason
	}
	return damaged(format, "%s", s)
}

// decodeWebP decodes a picture, or the first frame of an animation, which it wraps
// as the picture that it would be alone.
func decodeWebP(r io.ReadSeeker, info *Info) (image.Image, error) {
	f := info.first
	if f == nil {
		return webp.Decode(r)
	}
	if _, err := r.Seek(f.at, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	chunks := make([]byte, f.size)
	if _, err := io.ReadFull(r, chunks); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	var b bytes.Buffer
	b.WriteString("RIFF\x00\x00\x00\x00WEBP")
	if bytes.HasPrefix(chunks, []byte("ALPH")) {
		x := make([]byte, 18)
		copy(x, "VP8X\x0a\x00\x00\x00\x10")
		le.PutUint32(x[12:], uint32(f.w-1)|uint32(f.h-1)<<24)
		x[16], x[17] = byte((f.h-1)>>8), byte((f.h-1)>>16)
		b.Write(x)
	}
	b.Write(chunks)
	le.PutUint32(b.Bytes()[4:], uint32(b.Len()-8))
	img, err := webp.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		return nil, err
	}
	if got := img.Bounds(); got.Dx() != f.w || got.Dy() != f.h {
		return nil, errors.New("its first frame has another size than it says")
	}
	return placed{img, image.Pt(f.x, f.y)}, nil
}

// placed is a frame that does not begin at its canvas' corner.
type placed struct {
	image.Image
	at image.Point
}
