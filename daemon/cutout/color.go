package cutout

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Color is a colour in the picture's own colour space, 8 bits a channel.
type Color struct{ R, G, B uint8 }

// String is the colour as #rrggbb.
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// gray says whether the colour has no hue.
func (c Color) gray() bool { return c.R == c.G && c.G == c.B }

// ParseColor reads #rrggbb, rrggbb, #rgb, "white" or "black".
func ParseColor(s string) (Color, error) {
	h := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "#")
	switch h {
	case "white":
		return Color{255, 255, 255}, nil
	case "black":
		return Color{}, nil
	}
	if len(h) == 3 {
		h = string([]byte{h[0], h[0], h[1], h[1], h[2], h[2]})
	}
	b, err := hex.DecodeString(h)
	if err != nil || len(b) != 3 {
		return Color{}, fmt.Errorf("%.40q is not a colour: write it as #ffffff, #fff, white or black", s)
	}
	return Color{b[0], b[1], b[2]}, nil
}
