package framebuffer

import (
	"image"
	"math"
)

// fit is where each cell lies on the screen, as the kiosk's page lays it out: the
// screen is filled, with whole pixels a cell where not too much of the edge goes for it.
type fit struct {
	xs, ys []int // cell i covers the pixels xs[i] to xs[i+1]; both within the screen
}

func newFit(width, height, cellsX, cellsY int) fit {
	w, h, cx, cy := float64(width), float64(height), float64(cellsX), float64(cellsY)
	cover, contain := max(w/cx, h/cy), min(w/cx, h/cy)
	scale := math.Ceil(cover - 0.01)
	if w < h && cx*scale > w*1.34 {
		scale = math.Floor(contain + 0.01)
	}
	if w >= h && (cx*scale > w*1.25 || cy*scale > h*1.25) {
		scale = cover
	}
	if scale < 1 {
		scale = contain
	}
	return fit{edges(width, cellsX, scale), edges(height, cellsY, scale)}
}

func edges(size, cells int, scale float64) []int {
	begin := math.Round((float64(size) - float64(cells)*scale) / 2)
	out := make([]int, cells+1)
	for i := range out {
		out[i] = min(max(int(begin+math.Floor(float64(i)*scale+1e-6)), 0), size)
	}
	return out
}

// area is the pixels of the cells x0,y0 to x1,y1.
func (f fit) area(x0, y0, x1, y1 int) image.Rectangle {
	return image.Rect(f.xs[x0], f.ys[y0], f.xs[x1], f.ys[y1])
}
