package display_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"rsc.io/qr"

	"github.com/sierpi/sierpi/display"
	"github.com/sierpi/sierpi/system/systemtest"
)

// realInvitation is a code that a scanner reads.
func realInvitation(t *testing.T) *display.Invitation {
	t.Helper()
	inv := &display.Invitation{URL: "HTTP://192.168.178.123:8080/JOIN/ABCDEFGHJKMNPQRS"}
	code, err := qr.Encode(inv.URL, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	inv.Side, inv.Modules = code.Size, make([]byte, (code.Size*code.Size+7)/8)
	for n := range code.Size * code.Size {
		if code.Black(n%code.Size, n/code.Size) {
			inv.Modules[n/8] |= 1 << (n % 8)
		}
	}
	return inv
}

// word is a text on the page: where, and in which colour.
type word struct {
	Text                string  `json:"text"`
	Colour              string  `json:"colour"`
	X, Y, Width, Height float64 `json:",omitempty"`
}

// words are the texts on view; bare then shows the page without them.
const (
	words = `[...document.querySelectorAll(".time, .date, .value, .unit, .name, .address, .quote, .author, .title, .source, .who, .says, .about, .invitation")].
		filter((e) => e.checkVisibility() && e.textContent.trim() !== "" && e.getBoundingClientRect().width > 0).map((e) => {
			const range = document.createRange();
			range.selectNodeContents(e.classList.contains("invitation") ? e.lastChild : e);
			const r = range.getBoundingClientRect();
			return { text: e.textContent, colour: getComputedStyle(e).color, X: r.x, Y: r.y, Width: r.width, Height: r.height };
		})`
	bare = `(on) => { for (const e of document.querySelectorAll("#cards *:not(canvas)")) e.style.color = on ? "transparent" : ""; }`
	// The cards are over the change from one ground to the other.
	settled = `(() => { const s = getComputedStyle(document.body); return s.getPropertyValue("--shade") === "%s" && document.getAnimations().every((a) => a.playState !== "running" || a.effect?.target?.classList.contains("ghosts")); })()`
)

func screenshot(t *testing.T, ctx context.Context, name string) image.Image {
	t.Helper()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("SIERPI_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestCardsByDayAndNight turns a wall in a real page: every word on it can be read from afar on
// both grounds, a scanner reads the code, the canvas stays the daemon's picture, and beside an
// upright picture is what is behind it.
func TestCardsByDayAndNight(t *testing.T) {
	zbar := systemtest.Tool(t, "zbarimg", "zbar-tools")
	inv := realInvitation(t)
	var s *display.Stage
	var base string
	var ctx context.Context
	for _, step := range []struct {
		name    string
		colours display.Colours
		night   display.Hours // with half the light; the clock is the machine's
		shade   string
		worst   float64 // contrast of a word with what is behind it
	}{
		{"night", display.NightColours, display.Hours{}, "rgb(5, 6, 12)", 4.5},
		{"day", display.DayColours, display.Hours{}, "rgb(244, 241, 231)", 4.5},
		{"day-dimmed", display.DayColours, display.Hours{To: 24 * 60}, "rgb(244, 241, 231)", 2},
	} {
		dimmed := step.night != display.Hours{}
		if s == nil || dimmed {
			s = newStage(t, display.Options{Scenes: []string{"zoom"}, Kiosk: asKiosk, Cards: exampleCards, Hours: display.Timetable{Night: step.night, Brightness: 0.5}})
			if err := s.Invite(inv); err != nil {
				t.Fatal(err)
			}
			base = serve(t, s)
			ctx = newBrowser(t, 1280, 720)
			open(t, ctx, base+"/kiosk")
			await(t, ctx, `globalThis.sierpi !== undefined && sierpi.screen.painted > 60 && document.querySelector(".invitation canvas") !== null`)
		}
		if err := s.SetColours(step.colours); err != nil {
			t.Fatal(err)
		}
		await(t, ctx, fmt.Sprintf(settled, step.shade))
		awaitStatus(t, s, func(st display.Status) bool { return st.Day == (step.colours == display.DayColours) })
		shown := eval[int](t, ctx, "sierpi.screen.painted")
		await(t, ctx, "sierpi.screen.painted > "+jsInt(shown+60)) // the scene is there again
		compareCanvas(t, ctx, "0")
		sizes := []image.Point{{1280, 720}, {800, 480}, {720, 1280}}
		if dimmed {
			sizes = sizes[1:2]
		}
		for _, size := range sizes {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(size.X), int64(size.Y))); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("cards-%s-%dx%d", step.name, size.X, size.Y)
			worst, most := math.Inf(1), ""
			for range 3 { // quote, headlines, chat
				eval[any](t, ctx, "sierpi.cardTable.turn()")
				list, img := wordsAndGround(t, ctx, step.shade, name)
				if len(list) < 8 {
					t.Fatalf("%s: %d words", name, len(list))
				}
				for _, w := range list {
					if c := w.contrast(t, img, dimmed); c < worst {
						worst, most = c, w.Text
					}
				}
			}
			t.Logf("%s: the least contrast is %.1f, of %q", name, worst, most)
			if worst < step.worst {
				t.Errorf("%s: %q has a contrast of %.1f; %.1f are wanted", name, most, worst, step.worst)
			}
			img := screenshot(t, ctx, name)
			if size.X < size.Y {
				// A corner of the page, and the picture's ground.
				corner := img.At(2, 2)
				whole := fetchFrame(t, base, s.Status().Frame)
				for whole == nil { // on a slow machine it was gone by then
					whole = fetchFrame(t, base, s.Status().Frame)
				}
				own := whole.Palette[0]
				r, g, b, _ := corner.RGBA()
				if d := abs(int(r>>8)-int(own[0])) + abs(int(g>>8)-int(own[1])) + abs(int(b>>8)-int(own[2])); d > 12 {
					t.Errorf("%s: beside the picture is %v, behind it %v", name, corner, own)
				}
			}
			file := filepath.Join(t.TempDir(), "wall.png")
			var buf bytes.Buffer
			if err := png.Encode(&buf, img); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), zbar, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
			if err != nil || strings.TrimSpace(string(out)) != inv.URL {
				t.Errorf("%s: the scanner reads %q (%v)", name, out, err)
			}
		}
	}
}

// wordsAndGround are the words on view, and the page without them. The cards turn by themselves
// too: what they show must be the same before and after.
func wordsAndGround(t *testing.T, ctx context.Context, shade, name string) ([]word, image.Image) {
	t.Helper()
	for range 10 {
		await(t, ctx, fmt.Sprintf(settled, shade))
		list := eval[[]word](t, ctx, words)
		eval[any](t, ctx, "("+bare+")(true)")
		await(t, ctx, fmt.Sprintf(settled, shade))
		img := screenshot(t, ctx, name+"-bare")
		after := eval[[]word](t, ctx, words)
		eval[any](t, ctx, "("+bare+")(false)")
		if slices.EqualFunc(list, after, func(a, b word) bool { b.Colour = a.Colour; return a == b }) {
			return list, img
		}
	}
	t.Fatalf("%s: the cards do not keep still", name)
	return nil, nil
}

func abs(n int) int { return max(n, -n) }

// contrast is that of WCAG 2.2 between the word and the mean of what is behind it.
func (w word) contrast(t *testing.T, img image.Image, dimmed bool) float64 {
	t.Helper()
	var c color.RGBA
	if _, err := fmt.Sscanf(w.Colour, "rgb(%d, %d, %d)", &c.R, &c.G, &c.B); err != nil {
		t.Fatalf("the colour %q: %v", w.Colour, err)
	}
	light := func(c color.Color) (l float64) {
		r, g, b, _ := c.RGBA()
		for i, v := range [3]uint32{r, g, b} {
			s := float64(v) / 0xffff
			if s <= 0.04045 {
				s /= 12.92
			} else {
				s = math.Pow((s+0.055)/1.055, 2.4)
			}
			l += s * [3]float64{0.2126, 0.7152, 0.0722}[i]
		}
		return l
	}
	if dimmed { // the filter comes after the colour
		lamp := math.Pow(0.5, 2/2.4)
		c.R, c.G, c.B = uint8(float64(c.R)*lamp), uint8(float64(c.G)*lamp), uint8(float64(c.B)*lamp)
	}
	var behind []float64
	for y := int(w.Y); y < int(w.Y+w.Height); y++ {
		for x := int(w.X); x < int(w.X+w.Width); x++ {
			if image.Pt(x, y).In(img.Bounds()) {
				behind = append(behind, light(img.At(x, y)))
			}
		}
	}
	if len(behind) == 0 {
		t.Fatalf("%q is at %v, %v, beside the page", w.Text, w.X, w.Y)
	}
	slices.Sort(behind)
	own := light(c)
	least := math.Inf(1)
	for _, part := range []int{25, 50, 75} { // in a hundred
		b := behind[len(behind)*part/100]
		least = min(least, (max(own, b)+0.05)/(min(own, b)+0.05))
	}
	return least
}
