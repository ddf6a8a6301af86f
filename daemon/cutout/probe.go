package cutout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bep/imagemeta"
)

// The limits of any picture.
const (
	maxSide    = 65535
	maxPixels  = 100e6
	maxProfile = 4 << 20 // bytes of a colour profile that is kept
)

// Info is what a file says of its picture, read without decoding it.
type Info struct {
	Format        string // "JPEG", "PNG", ...
	Width, Height int    // as the picture is to be looked at, orientation applied
	Memory        int64  // bytes that decoding it and cutting it will take, counted high
	Lossy         bool   // compression left noise in plain areas

	decoding int64 // the part of Memory that the decoder takes

	orient int // EXIF's orientation, 1 to 8
	space  colorSpace
	first  *webpFrame // of an animated WebP
}

// plane is the size of the picture in memory, before the orientation.
func (i *Info) plane() (w, h int) {
	if i.orient >= 5 {
		return i.Height, i.Width
	}
	return i.Width, i.Height
}

// Probe reads the headers of a picture and counts what it needs. It looks through
// the whole file for its end, so that a truncated or lying file is refused here, in
// milliseconds, as is what cannot be read at all. Errors about the file are a
// *Refusal.
func Probe(r io.ReadSeeker) (*Info, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	head := make([]byte, 64)
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	head = head[:n]
	if n == 0 {
		return nil, &Refusal{"the file is empty", "choose the picture again"}
	}
	probe, exif := sniff(head)
	if probe == nil {
		return nil, refuseByName(head)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	f := &file{r: r, size: size}
	info := &Info{orient: 1}
	if err := probe(f, info); err != nil {
		return nil, err
	}
	if info.Width < 1 || info.Height < 1 {
		return nil, damaged(info.Format, "it says that the picture is %d by %d pixels", info.Width, info.Height)
	}
	if info.Width > maxSide || info.Height > maxSide || int64(info.Width)*int64(info.Height) > maxPixels {
		return nil, tooManyPixels(int64(info.Width), int64(info.Height))
	}
	if exif != imagemeta.ImageFormatAuto {
		if err := info.readEXIF(r, exif); err != nil {
			return nil, err
		}
	}
	if info.orient >= 5 {
		info.Width, info.Height = info.Height, info.Width
	}
	info.decoding = info.Memory
	// Two planes of bits for the flood, strips, the compressors' windows.
	info.Memory += int64(info.Width)*int64(info.Height)/4 + 12<<20
	return info, nil
}

func tooManyPixels(w, h int64) error {
	return &Refusal{fmt.Sprintf("the picture is %d by %d pixels", w, h),
		fmt.Sprintf("make it smaller: at most %d million pixels, and %d a side", int(maxPixels/1e6), maxSide)}
}

// damaged is the refusal of a file that contradicts itself.
func damaged(format, why string, args ...any) error {
	return &Refusal{"this " + format + " file is damaged: " + fmt.Sprintf(why, args...), "copy it again from where it came, or save it anew in an image program"}
}

// unsupported is the refusal of a variety that is not read.
func unsupported(what string) error {
	return &Refusal{what + " cannot be read", "save it as PNG or as a usual JPEG and try again"}
}

type prober func(*file, *Info) error

// sniff tells a format by its first bytes, and how its EXIF is read.
func sniff(b []byte) (prober, imagemeta.ImageFormat) {
	has := func(at int, s string) bool { return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s }
	switch {
	case has(0, "\xff\xd8\xff"):
		return probeJPEG, imagemeta.JPEG
	case has(0, "\x89PNG\r\n\x1a\n"):
		return probePNG, imagemeta.PNG
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return probeGIF, imagemeta.ImageFormatAuto
	case has(0, "RIFF") && has(8, "WEBP"):
		return probeWebP, imagemeta.WebP
	case has(0, "II*\x00") && has(8, "CR"):
		return nil, 0
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return probeTIFF, imagemeta.TIFF
	case has(0, "BM"):
		return probeBMP, imagemeta.ImageFormatAuto
	}
	return nil, 0
}

// refuseByName names a format that is known but not read.
func refuseByName(b []byte) error {
	const save = "save it as JPEG or PNG and try again"
	has := func(at int, s string) bool { return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s }
	if has(4, "ftyp") && len(b) >= 12 {
		brands := string(b[8:])
		switch brand := string(b[8:12]); {
		case brand == "avif" || brand == "avis":
			return &Refusal{"this is an AVIF picture, which cannot be read here", save}
		case brand == "crx ":
			return &Refusal{"this is a raw file of a camera (CR3), which cannot be read here", "export it as JPEG from the camera's program"}
		case brand == "heic" || brand == "heix" || brand == "hevc" || brand == "hevx" || brand == "heim" || brand == "heis" ||
			(brand == "mif1" || brand == "msf1") && !strings.Contains(brands, "avif"):
			return &Refusal{"this is a HEIC picture, as iPhones take them, which cannot be read here",
				`on the iPhone choose Settings, Camera, Formats, "Most Compatible" and take it again, or share it by mail, which sends a JPEG; elsewhere save it as JPEG`}
		case strings.Contains(brands, "avif"):
			return &Refusal{"this is an AVIF picture, which cannot be read here", save}
		}
		return &Refusal{"this is a film, not a picture", "take a still of it as JPEG or PNG"}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	named := []struct {
		match        bool
		what, remedy string
	}{
		{has(0, "\x00\x00\x00\x0cJXL ") || has(0, "\xff\x0a"), "a JPEG XL picture", save},
		{has(0, "\x00\x00\x00\x0cjP  ") || has(0, "\xff\x4f\xff\x51"), "a JPEG 2000 picture", save},
		{has(0, "%PDF"), "a PDF document", "export the page as PNG"},
		{has(0, "%!PS") || has(0, "\xc5\xd0\xd3\xc6"), "a PostScript drawing", "export it as PNG"},
		{bytes.HasPrefix(text, []byte("<svg")) || bytes.HasPrefix(text, []byte("<?xml")), "an SVG drawing", "it has a transparent background already, most likely; else export it as PNG"},
		{has(0, "8BPS"), "a Photoshop document", "export it as PNG"},
		{has(0, "gimp xcf"), "a GIMP document", "export it as PNG"},
		{has(0, "\x00\x00\x01\x00"), "an icon file", "export its largest picture as PNG"},
		{has(0, "II*\x00") && has(8, "CR") || has(0, "FUJIFILM") || has(0, "IIU\x00") || has(0, "IIRO"), "a raw file of a camera", "export it as JPEG from the camera's program"},
		{has(0, "PK\x03\x04"), "an archive", "unpack it and choose the pictures in it"},
		{bytes.HasPrefix(text, []byte("<!DOCTYPE html")) || bytes.HasPrefix(text, []byte("<html")), "a web page, not a picture", "save the picture itself"},
	}
	for _, n := range named {
		if n.match {
			return &Refusal{"this is " + n.what + ", which cannot be read here", n.remedy}
		}
	}
	return &Refusal{"this file is no picture that can be read here", "JPEG, PNG, GIF, WebP, BMP and TIFF can"}
}

// readEXIF takes the orientation and, of a TIFF, the colour profile; it refuses raw
// files of cameras that are TIFFs with a thumbnail in front. Whatever else is wrong
// with the metadata, the picture is read as if it had none.
func (i *Info) readEXIF(r io.ReadSeeker, format imagemeta.ImageFormat) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the picture: %w", err)
	}
	raw := false
	func() {
		defer func() { _ = recover() }() // it reads strangers' bytes and is not ours
		_, _ = imagemeta.Decode(imagemeta.Options{
			R: r, ImageFormat: format, Sources: imagemeta.EXIF, LimitNumTags: 1000, LimitTagSize: maxProfile,
			ShouldHandleTag: func(t imagemeta.TagInfo) bool {
				return t.Namespace == "IFD0" && (t.Tag == "Orientation" || format == imagemeta.TIFF && (t.Tag == "ICC_Profile" || t.Tag == "DNGVersion"))
			},
			HandleTag: func(t imagemeta.TagInfo) error {
				switch v := t.Value.(type) {
				case uint16:
					if t.Tag == "Orientation" && v >= 1 && v <= 8 {
						i.orient = int(v)
						if format != imagemeta.TIFF {
							return imagemeta.ErrStopWalking
						}
					}
				case []byte:
					if t.Tag == "ICC_Profile" {
						i.space.icc(v, 3)
					}
				}
				raw = raw || t.Tag == "DNGVersion"
				return nil
			},
		})
	}()
	if raw {
		return &Refusal{"this is a raw file of a camera (DNG), which cannot be read here", "export it as JPEG from the camera's program"}
	}
	return nil
}

// file reads a file's structure, forwards, with its place.
type file struct {
	r    io.ReadSeeker
	size int64
	at   int64
	buf  []byte // unread bytes before at
	mem  [32 << 10]byte
}

func (f *file) seek(to int64) error {
	if to < 0 || to > f.size {
		return io.ErrUnexpectedEOF
	}
	if back := f.at - int64(len(f.buf)); to >= back && to <= f.at {
		f.buf = f.buf[to-back:]
		return nil
	}
	if _, err := f.r.Seek(to, io.SeekStart); err != nil {
		return fmt.Errorf("reading the picture: %w", err)
	}
	f.at, f.buf = to, nil
	return nil
}

func (f *file) pos() int64          { return f.at - int64(len(f.buf)) }
func (f *file) skip(n int64) error  { return f.seek(f.pos() + n) }
func (f *file) left() int64         { return f.size - f.pos() }
func (f *file) byte() (byte, error) { b, err := f.take(1); return b[0], err }
func (f *file) u16be() (int, error) { b, err := f.take(2); return int(b[0])<<8 | int(b[1]), err }

// more fills the buffer when it is empty.
func (f *file) more() error {
	if len(f.buf) > 0 {
		return nil
	}
	n, err := f.r.Read(f.mem[:])
	f.at += int64(n)
	f.buf = f.mem[:n]
	if n > 0 {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the picture: %w", err)
}

// take returns the next n bytes, at most 64; they are all 0 where it fails.
func (f *file) take(n int) ([]byte, error) {
	out := make([]byte, n)
	for got := 0; got < n; {
		if err := f.more(); err != nil {
			return make([]byte, n), err
		}
		k := copy(out[got:], f.buf)
		f.buf = f.buf[k:]
		got += k
	}
	return out, nil
}

// bytes returns the next n bytes, if there are as many.
func (f *file) bytes(n int64) ([]byte, error) {
	if n > f.left() {
		return nil, io.ErrUnexpectedEOF
	}
	return f.take(int(n))
}

// truncated turns an unexpected end into a refusal; other errors stay.
func truncated(format string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return damaged(format, "it ends before the picture does")
	}
	return err
}
