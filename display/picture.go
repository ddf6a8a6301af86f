package display

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"strconv"

	"github.com/sierpi/sierpi/display/wire"
)

// The headers of a picture.
const (
	FrameHeader = "Sierpi-Frame" // its number
	HashHeader  = "Sierpi-Hash"  // wire's Frame.Hash in decimal
)

const maxPixels = 8192 * 4608

// picture is the last PNG that was asked for; many may ask for the same.
type picture struct {
	number uint32
	scale  int
	png    []byte
}

// Image draws a frame, each cell as scale by scale pixels.
func Image(f *wire.Frame, scale int) *image.Paletted {
	palette := make(color.Palette, 1<<f.Bits)
	for i, c := range f.Colours() {
		if i < len(palette) {
			palette[i] = color.RGBA{c[0], c[1], c[2], 255}
		}
	}
	img := image.NewPaletted(image.Rect(0, 0, f.Width*scale, f.Height*scale), palette)
	for y := range f.Height {
		row := img.Pix[y*scale*img.Stride : y*scale*img.Stride+f.Width*scale]
		for x, v := range f.Cells[y*f.Width : (y+1)*f.Width] {
			for i := range scale {
				row[x*scale+i] = v
			}
		}
		for i := 1; i < scale; i++ {
			copy(img.Pix[(y*scale+i)*img.Stride:], row)
		}
	}
	return img
}

// ServePicture is the daemon's own picture as a PNG, drawn without a browser.
// Query: n, the number of a recent frame (default: the last); scale, pixels a
// cell (default 1); view, a part of the universe that some screen shows. The header Sierpi-Frame tells the frame's number.
func (s *Stage) ServePicture(w http.ResponseWriter, r *http.Request) {
	scale := 1
	if v := r.URL.Query().Get("scale"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || s.opt.Width*n*s.opt.Height*n > maxPixels {
			http.Error(w, fmt.Sprintf("scale: write the pixels a cell, so that at most %d pixels result", maxPixels), http.StatusBadRequest)
			return
		}
		scale = n
	}
	f, v, cached, ok := s.copyFrame(w, r, scale)
	if !ok {
		return
	}
	if cached == nil {
		var buf bytes.Buffer
		// Level 1: twice as large as the best and five times as quick.
		enc := png.Encoder{CompressionLevel: png.BestSpeed}
		if err := enc.Encode(&buf, Image(&f, scale)); err != nil {
			http.Error(w, "the picture cannot be drawn", http.StatusInternalServerError)
			return
		}
		cached = buf.Bytes()
		s.mu.Lock()
		v.picture = picture{f.Number, scale, cached}
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Length", strconv.Itoa(len(cached)))
	_, _ = w.Write(cached)
}

// ServeCells is a frame as a key frame of package wire. Query: n and view as in
// ServePicture.
func (s *Stage) ServeCells(w http.ResponseWriter, r *http.Request) {
	f, _, _, ok := s.copyFrame(w, r, 0)
	if !ok {
		return
	}
	var enc wire.Encoder
	msg, err := enc.Encode(nil, &f)
	if err != nil {
		http.Error(w, "the frame cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(msg)
}

// copyFrame finds the frame that the request names, or answers why not. The frame is
// a copy, because the ring goes on; cached is its PNG if there is one.
func (s *Stage) copyFrame(w http.ResponseWriter, r *http.Request, scale int) (f wire.Frame, v *view, cached []byte, ok bool) {
	var number uint32
	if v := r.URL.Query().Get("n"); v != "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil || n == 0 {
			http.Error(w, "n: write the number of a frame", http.StatusBadRequest)
			return f, nil, nil, false
		}
		number = uint32(n)
	}
	port, err := s.portOf(r)
	if err != nil {
		http.Error(w, "view: "+err.Error(), http.StatusBadRequest)
		return f, nil, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v = s.whole; port != (Viewport{}) && port != v.port {
		if v = s.views[port]; v == nil {
			http.Error(w, "view: no screen shows this part of the universe", http.StatusNotFound)
			return f, nil, nil, false
		}
	}
	found := v.current
	if number != 0 {
		if found = v.frame(number); found == nil {
			http.Error(w, fmt.Sprintf("frame %d is not at hand: the last is %d, and only the last few are kept while a screen is attached", number, v.current.Number), http.StatusNotFound)
			return f, nil, nil, false
		}
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set(FrameHeader, strconv.FormatUint(uint64(found.Number), 10))
	h.Set(HashHeader, strconv.FormatUint(uint64(found.Hash()), 10))
	if v.picture.number == found.Number && v.picture.scale == scale && scale != 0 {
		return f, v, v.picture.png, true
	}
	f = *found
	f.Cells = bytes.Clone(found.Cells)
	f.Palette = append([]wire.RGB(nil), found.Palette...)
	return f, v, nil, true
}
